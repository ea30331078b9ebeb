"""What is computed: a model's shape, the batch it learns from, and the arithmetic that this takes.

Two families of one shape each: "gpt2" (layer norm, learned positions, GELU, biases) and "llama" (RMSNorm, rotary
positions, SwiGLU, no biases). A task goes to a contender's process as JSON.
"""

import json
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from minillm.config import ModelConfig, TrainConfig
from minillm.flops import flops_per_token

VOCAB = 2048
FAMILIES: dict[str, dict[str, Any]] = {
    "gpt2": {},
    "llama": {"norm": "rmsnorm", "position": "rotary", "activation": "swiglu", "bias": False},
}
SHAPES: dict[str, tuple[dict[str, Any], int]] = {
    "tiny": ({"n_layer": 2, "n_head": 2, "d_model": 32, "context": 32}, 8),
    "small": ({"n_layer": 4, "n_head": 4, "d_model": 128, "context": 64}, 12),
    "medium": ({"n_layer": 6, "n_head": 6, "d_model": 384, "context": 256}, 8),
}


@dataclass(frozen=True)
class Task:
    """A model, a batch and where to compute. precision is that of minillm/pt/engine.py."""

    family: str
    model: dict[str, Any]  # the fields of ModelConfig that make the shape
    batch: int
    vocab_size: int = VOCAB
    device: str = "cpu"
    precision: str = "fp32"

    @property
    def config(self) -> ModelConfig:
        return ModelConfig(vocab_size=self.vocab_size, **self.model, **FAMILIES[self.family])

    @property
    def tokens(self) -> int:
        """Of a training step."""
        return self.batch * self.config.context

    def ids(self) -> tuple[np.ndarray, np.ndarray]:
        """Inputs and targets, (batch, context). Random: speed does not depend on what they say."""
        shape = self.batch, self.config.context + 1
        ids = np.random.default_rng(0).integers(0, self.vocab_size, shape)
        return ids[:, :-1], ids[:, 1:]

    def json(self) -> str:
        return json.dumps(asdict(self))


def task(family: str, shape: str, **changes: Any) -> Task:
    """A task by the names of its family and its shape."""
    model, batch = SHAPES[shape]
    return Task(family, model, batch, **changes)


def recipe() -> TrainConfig:
    """How everybody learns: AdamW at a constant rate, gradients clipped."""
    return TrainConfig(steps=10**6, lr=1e-4, schedule="constant", warmup=0, weight_decay=0.1)


def flops_per_text(config: ModelConfig, tokens: int, cached: bool) -> float:
    """Of writing so many tokens: with a cache each token goes through the model once, without it again and again."""
    return sum((1 if cached else t) * flops_per_token(config, t) / 3 for t in range(1, tokens + 1))
