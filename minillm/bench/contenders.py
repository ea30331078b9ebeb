"""What is measured. Each contender lives in a process of its own, so that no library sets another's threads.

A contender is asked over standard input, one JSON line a time, and answers one line on standard output:
{"do": "train", "steps": 5} -> seconds;  {"do": "generate", "tokens": 255} -> seconds.
"""

import json
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from minillm.bench import bpe
from minillm.config import ModelConfig, TrainConfig

SHAPES: dict[str, tuple[dict[str, Any], int]] = {
    "small": ({"n_layer": 4, "n_head": 4, "d_model": 128, "context": 64}, 12),
    "medium": ({"n_layer": 6, "n_head": 6, "d_model": 384, "context": 256}, 8),
}
VOCAB = 2048
Job = Callable[[int], Any]


def batch(shape: str) -> tuple[np.ndarray, np.ndarray]:
    """Random ids: speed does not depend on what they say."""
    config, size = SHAPES[shape]
    ids = np.random.default_rng(0).integers(0, VOCAB, (size, config["context"] + 1))
    return ids[:, :-1], ids[:, 1:]


def train_config() -> TrainConfig:
    return TrainConfig(steps=10**6, lr=1e-4, schedule="constant", warmup=0)


def ours(backend_name: str, shape: str, compiled: bool = False) -> dict[str, Job]:
    """minillm in NumPy or PyTorch."""
    from minillm.backend import Backend
    from minillm.generate import generate

    backend = Backend(backend_name, "cpu")
    config = ModelConfig(vocab_size=VOCAB, **SHAPES[shape][0])
    model = backend.gpt(config)
    trainer = backend.trainer(model, train_config())
    if compiled:
        import torch

        trainer.model.forward = torch.compile(trainer.model.forward)
    x, y = batch(shape)

    def train(steps: int) -> None:
        for step in range(steps):
            trainer.step(x, y, step)

    def write(tokens: int, kv_cache: bool = True) -> None:
        rng = np.random.default_rng(0)
        assert len(list(generate(model, [1], tokens, temperature=0, rng=rng, kv_cache=kv_cache))) == tokens

    return {"train": train, "generate": write, "generate_uncached": lambda tokens: write(tokens, kv_cache=False)}


def make_gpt2(shape: str) -> Any:
    """Hugging Face's GPT2LMHeadModel of the same shape as ours."""
    from transformers import GPT2Config, GPT2LMHeadModel
    from transformers.utils import logging

    logging.set_verbosity_error()
    size = SHAPES[shape][0]
    config = GPT2Config(
        vocab_size=VOCAB,
        n_positions=size["context"],
        n_embd=size["d_model"],
        n_layer=size["n_layer"],
        n_head=size["n_head"],
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        bos_token_id=None,
        eos_token_id=None,
        pad_token_id=0,
    )
    return GPT2LMHeadModel(config)


def transformers_gpt2(shape: str) -> dict[str, Job]:
    """That model, with torch's fused AdamW and its own cached generate."""
    import torch

    model = make_gpt2(shape)
    recipe = train_config()
    optimizer = torch.optim.AdamW(model.parameters(), lr=recipe.lr, betas=recipe.betas, weight_decay=0.1, fused=True)
    x, y = (torch.from_numpy(ids) for ids in batch(shape))

    def train(steps: int) -> None:
        for _ in range(steps):
            optimizer.zero_grad()
            logits = model(x, use_cache=False).logits
            loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), y.flatten())
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), recipe.clip)
            optimizer.step()
            loss.item()

    def write(tokens: int, use_cache: bool = True) -> None:
        model.eval()
        prompt = torch.ones(1, 1, dtype=torch.long)
        with torch.inference_mode():
            ids = model.generate(
                prompt, do_sample=False, max_new_tokens=tokens, min_new_tokens=tokens, use_cache=use_cache
            )
        assert ids.shape[1] == tokens + 1
        model.train()

    return {"train": train, "generate": write, "generate_uncached": lambda tokens: write(tokens, use_cache=False)}


def matmul() -> dict[str, Job]:
    """Square float32 matrix products: what this machine can do at best, in NumPy's and in PyTorch's BLAS."""
    n = 2048
    a = np.random.default_rng(0).random((n, n), dtype=np.float32)
    jobs: dict[str, Job] = {"numpy": lambda times: [a @ a for _ in range(times)]}
    try:
        import torch

        t = torch.from_numpy(a)
        jobs["torch"] = lambda times: [t @ t for _ in range(times)]
    except ImportError:
        pass
    return jobs


# Operation -> the functions that belong to it, with all that they call. Attention contains its softmax.
OPERATIONS = {
    "linear": ("linear", "linear_backward"),
    "attention": ("scaled_dot_product_attention", "scaled_dot_product_attention_backward"),
    "gelu": ("gelu", "gelu_backward"),
    "layer_norm": ("layer_norm", "layer_norm_backward"),
    "cross_entropy": ("cross_entropy", "cross_entropy_backward"),
    "embedding": ("embedding", "embedding_backward"),
    "optimizer": ("clip_grad_norm", "update"),
}


def share_of_time(shape: str, steps: int) -> dict[str, float]:
    """Where a training step in NumPy spends its time, by one copy of the model: fractions by operation."""
    import cProfile
    import pstats

    from minillm.backend import Backend
    from minillm.np.train import Trainer

    model = Backend("np").gpt(ModelConfig(vocab_size=VOCAB, **SHAPES[shape][0]))
    trainer = Trainer(model, train_config(), copies=1)
    x, y = batch(shape)
    trainer.step(x, y, 0)
    with cProfile.Profile() as profile:
        for step in range(steps):
            trainer.step(x, y, step)
    stats: Any = pstats.Stats(profile)
    cumulative: dict[str, float] = {}
    for (_, _, function), (_, _, _, seconds, _) in stats.stats.items():
        cumulative[function] = cumulative.get(function, 0.0) + seconds
    shares = {name: sum(cumulative.get(f, 0.0) for f in group) / stats.total_tt for name, group in OPERATIONS.items()}
    return shares | {"other": 1 - sum(shares.values())}


def serve(name: str, shape: str) -> None:
    """Answer requests until the input ends. For BPE, `shape` is the name of a text."""
    makers: dict[str, Callable[[], dict[str, Job]]] = {
        "np": lambda: ours("np", shape),
        "pt": lambda: ours("pt", shape),
        "pt compiled": lambda: ours("pt", shape, compiled=True),
        "transformers": lambda: transformers_gpt2(shape),
        "matmul": matmul,
        "bpe": lambda: bpe.ours(shape),
        bpe.LIBRARY: lambda: bpe.library(shape),
    }
    jobs = makers[name]()
    print(json.dumps({"ready": sorted(jobs)}), flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        jobs[request["do"]](max(1, request["times"] // 8))  # untimed: cores and caches wake up from the others' turn
        start = time.perf_counter()
        jobs[request["do"]](request["times"])
        print(json.dumps(time.perf_counter() - start), flush=True)
