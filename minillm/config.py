"""All that describes a model and its training, as two dataclasses, and presets by name.

A configuration is plain data: it goes to JSON and back, and a checkpoint carries it. Wrong values raise
UserError at once, before any memory is taken.
"""

import math
from dataclasses import asdict, dataclass, fields
from typing import Any, TypeVar

from minillm.errors import UserError

NORMS = ("layernorm", "rmsnorm")
POSITIONS = ("learned", "sinusoidal", "rotary")
ACTIVATIONS = ("gelu_tanh", "gelu", "relu", "relu2", "swiglu")
SCHEDULES = ("cosine", "linear", "constant")
WINDOWS = ("anywhere", "documents")
OPTIMIZERS = ("adamw", "muon")

T = TypeVar("T")


def require(condition: bool, message: str) -> None:
    if not condition:
        raise UserError(message)


def one_of(name: str, value: str, choices: tuple[str, ...]) -> None:
    require(value in choices, f"{name} is {value!r}; choose one of {', '.join(choices)}")


def check_types(config: Any) -> None:
    """Each field has the type that it is declared with: a config.json may have been edited by hand."""
    for field in fields(config):
        value = getattr(config, field.name)
        if field.type is int:
            require(type(value) is int, f"{field.name} is {value!r}; it must be a whole number")
        elif field.type is float:
            good = type(value) in (int, float) and math.isfinite(value)
            require(good, f"{field.name} is {value!r}; it must be a finite number")
        elif field.type in (bool, str):
            require(type(value) is field.type, f"{field.name} is {value!r}; it must be a {field.type.__name__}")


@dataclass(frozen=True)
class ModelConfig:
    """The shape of a Transformer, GPT-2's by default; each option's reason stands beside it.

    0 means the usual: `n_kv_head` as many as `n_head`; `d_head` d_model / n_head; `d_ff` 4 d_model, and 8/3 d_model
    for SwiGLU, whose third matrix then costs nothing extra.
    """

    vocab_size: int
    context: int = 64  # positions that the model can see at once
    n_layer: int = 4
    n_head: int = 4
    d_model: int = 128
    d_ff: int = 0
    n_kv_head: int = 0  # grouped queries: fewer keys and values than queries, a smaller cache (arXiv 2305.13245)
    d_head: int = 0
    norm: str = "layernorm"  # rmsnorm: no mean, no bias, as good and cheaper (arXiv 1910.07467)
    position: str = "learned"  # rotary: attention sees distances, no table to learn (arXiv 2104.09864)
    activation: str = "gelu_tanh"  # swiglu: a gate (arXiv 2002.05202); relu2: relu squared, the cheapest (2109.08668)
    qk_norm: bool = False  # RMSNorm of each query and key: scores cannot blow up, larger steps (arXiv 2010.04245)
    dropout: float = 0.0
    bias: bool = True
    tied: bool = True  # the output layer shares the token embedding's weight: fewer weights (arXiv 1608.05859)
    norm_eps: float = 1e-5
    rope_base: float = 10000.0  # wavelength of the slowest rotary pair, over 2π: raise it for long contexts
    init_std: float = 0.02  # of first weights, as in GPT-2; with AdamW, narrow models start faster from 0.05 to 0.1

    def __post_init__(self) -> None:
        check_types(self)
        for name in ("vocab_size", "context", "n_layer", "n_head", "d_model", "norm_eps", "rope_base", "init_std"):
            require(getattr(self, name) > 0, f"{name} is {getattr(self, name)}; it must be above 0")
        for name in ("n_kv_head", "d_head", "d_ff"):
            require(getattr(self, name) >= 0, f"{name} is {getattr(self, name)}; it must not be negative")
        one_of("norm", self.norm, NORMS)
        one_of("position", self.position, POSITIONS)
        one_of("activation", self.activation, ACTIVATIONS)
        require(0 <= self.dropout < 1, f"dropout is {self.dropout}; it must be at least 0 and below 1")
        require(
            self.d_head > 0 or self.d_model % self.n_head == 0,
            f"d_model {self.d_model} does not divide into {self.n_head} heads; make it a multiple, or give d_head",
        )
        kv = self.n_kv_head or self.n_head
        require(
            self.n_head % kv == 0,
            f"{self.n_head} query heads do not divide into n_kv_head {kv} groups; make it a divisor",
        )
        d_head = self.d_head or self.d_model // self.n_head
        if self.position != "learned":
            size = d_head if self.position == "rotary" else self.d_model
            require(size % 2 == 0, f"{self.position} positions need an even size, not {size}; change d_model or n_head")
        object.__setattr__(self, "n_kv_head", kv)
        object.__setattr__(self, "d_head", d_head)
        if not self.d_ff:
            swiglu_size = -(-8 * self.d_model // 3 // 8) * 8  # rounded up to a multiple of 8
            object.__setattr__(self, "d_ff", swiglu_size if self.activation == "swiglu" else 4 * self.d_model)


@dataclass(frozen=True)
class TrainConfig:
    """How a model is trained. Steps count optimiser updates; the learning rate is per step."""

    steps: int = 500
    batch_size: int = 16  # sequences of `context` tokens a step
    lr: float = 3e-3
    min_lr: float = 0.1  # the schedule's end, as a fraction of lr
    warmup: int = 20  # steps
    schedule: str = "cosine"
    betas: tuple[float, float] = (0.9, 0.95)
    eps: float = 1e-8
    weight_decay: float = 0.1
    clip: float = 1.0  # largest global gradient norm; 0 turns it off
    eval_every: int = 50  # steps between validations, samples and checkpoints
    patience: int = 0  # validations without a new best before stopping; 0: never stop early
    optimizer: str = "adamw"  # muon: AdamW for all but the matrices inside the blocks
    windows: str = "anywhere"  # where the sequences begin: anywhere in the text, or where a document does
    recall: int = 0  # so many first steps learn mostly to find again what the document had (data/batches.py)
    seed: int = 0

    def __post_init__(self) -> None:
        check_types(self)
        for name in ("steps", "batch_size", "eval_every", "lr"):
            require(getattr(self, name) > 0, f"{name} is {getattr(self, name)}; it must be above 0")
        for name in ("warmup", "patience", "recall", "clip", "weight_decay", "seed", "eps"):
            require(getattr(self, name) >= 0, f"{name} is {getattr(self, name)}; it must not be negative")
        require(0 <= self.min_lr <= 1, f"min_lr is {self.min_lr}; it is a fraction of lr, between 0 and 1")
        one_of("schedule", self.schedule, SCHEDULES)
        one_of("optimizer", self.optimizer, OPTIMIZERS)
        one_of("windows", self.windows, WINDOWS)
        object.__setattr__(self, "betas", tuple(self.betas))
        good = len(self.betas) == 2 and all(0 <= beta < 1 for beta in self.betas)
        require(good, f"betas are {self.betas}; they are two numbers, at least 0 and below 1")


@dataclass(frozen=True)
class Preset:
    """A model shape and a training recipe that fit together; the vocabulary comes from the text."""

    model: dict[str, Any]
    train: dict[str, Any]
    about: str


PRESETS = {
    "tiny": Preset(
        {"context": 32, "n_layer": 2, "n_head": 2, "d_model": 32},
        {"steps": 100, "batch_size": 8, "warmup": 10, "eval_every": 50},
        "seconds: to see that everything works",
    ),
    "demo": Preset(
        {"context": 64, "n_layer": 2, "n_head": 4, "d_model": 128, "dropout": 0.1, "norm": "rmsnorm"}
        | {"position": "rotary", "activation": "swiglu", "bias": False},
        {"steps": 600, "batch_size": 24, "lr": 2e-3, "eval_every": 100},
        "a minute on two cores: the bundled reader",
    ),
    "world": Preset(
        {"context": 96, "n_layer": 3, "n_head": 4, "d_model": 64, "norm": "rmsnorm", "position": "rotary"}
        | {"activation": "relu2", "qk_norm": True, "bias": False, "init_std": 0.08},
        {"steps": 6000, "lr": 6e-3, "min_lr": 0.02, "warmup": 60, "weight_decay": 0.0, "eval_every": 300}
        | {"optimizer": "muon", "windows": "documents", "recall": 400},
        "minutes: the generated world, with --data world-large --tokenizer bpe --vocab-size 3072",
    ),
    "modern": Preset(
        {"context": 64, "n_layer": 4, "n_head": 3, "d_model": 96, "norm": "rmsnorm", "position": "rotary"}
        | {"activation": "relu2", "qk_norm": True, "bias": False, "init_std": 0.08},
        {"steps": 2000, "batch_size": 16, "lr": 1e-2, "eval_every": 200, "optimizer": "muon"},
        "minutes: as small as it is, with what came after GPT-2 (bench/options.py says what each part is worth)",
    ),
    "small": Preset(
        {"context": 64, "n_layer": 4, "n_head": 4, "d_model": 128},
        {"steps": 2000, "batch_size": 12, "eval_every": 200},
        "minutes: a megabyte of text",
    ),
    "medium": Preset(
        {"context": 256, "n_layer": 6, "n_head": 6, "d_model": 384, "dropout": 0.1},
        {"steps": 5000, "batch_size": 8, "lr": 1e-3, "warmup": 100, "eval_every": 250},
        "hours on a CPU, minutes on a GPU",
    ),
    "large": Preset(
        {"context": 256, "n_layer": 10, "n_head": 8, "d_model": 512, "norm": "rmsnorm"}
        | {"position": "rotary", "activation": "swiglu", "bias": False},
        {"steps": 2000, "batch_size": 64, "lr": 1e-3, "warmup": 100, "eval_every": 100},
        "over 30 million parameters, for a GPU: lesson 14",
    ),
}


def to_dict(config: ModelConfig | TrainConfig) -> dict[str, Any]:
    """Plain data for JSON."""
    return asdict(config)


def from_dict(kind: type[T], data: dict[str, Any]) -> T:
    """The dataclass `kind` from plain data. UserError on fields that it does not have or lacks."""
    require(isinstance(data, dict), f"{kind.__name__} is {data!r:.40}; it must be an object with named settings")
    names = {field.name for field in fields(kind)}  # type: ignore[arg-type]
    if unknown := sorted(data.keys() - names):
        raise UserError(f"unknown setting in {kind.__name__}: {', '.join(unknown)}; written by a newer version?")
    try:
        return kind(**data)
    except TypeError as error:
        raise UserError(f"incomplete or malformed {kind.__name__}: {error}") from error


def preset(name: str, vocab_size: int, **changes: Any) -> tuple[ModelConfig, TrainConfig]:
    """The two configurations of a named preset. Each change goes to the one that has a field of that name."""
    one_of("preset", name, tuple(PRESETS))
    model_fields = {field.name for field in fields(ModelConfig)}
    model = PRESETS[name].model | {key: value for key, value in changes.items() if key in model_fields}
    train = PRESETS[name].train | {key: value for key, value in changes.items() if key not in model_fields}
    return ModelConfig(vocab_size=vocab_size, **model), TrainConfig(**train)
