"""Who computes. Each contender lives in a process of its own, so that no library sets another's threads.

A contender is asked over standard input, one JSON line a time, and answers one line on standard output:
{"do": "train", "times": 5, "task": "..."} -> [seconds, what the job returned]. "generate" writes texts that fill
the context from one token.
"""

import json
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from minillm.bench import bpe, card, theirs
from minillm.bench.tasks import Task, recipe

THEIRS = "transformers"
Job = Callable[[int], Any]
Jobs = dict[str, Job]
JOINED = ExitStack()  # left when this process has answered everything


def ours(backend_name: str, task: Task, compiled: bool = False) -> Jobs:
    """minillm in NumPy or PyTorch, its trainer made as `minillm train` (with --precision, --compile) makes it."""
    from minillm.backend import Backend
    from minillm.generate import generate
    from minillm.pt.engine import Engine

    torchs = backend_name == "pt"
    engine = Engine(precision=task.precision, compile=compiled) if torchs else None
    backend = Backend(backend_name, task.device, engine)
    ranks = JOINED.enter_context(backend.processes())  # alone, or with those that turns.py started together
    model = backend.gpt(task.config)
    trainer: Any = None  # made when it is needed: it takes memory, and in NumPy processes
    x, y = task.ids()

    def train(steps: int) -> None:
        nonlocal trainer
        if trainer is None:
            trainer = backend.trainer(model, replace(recipe(), batch_size=task.batch), ranks)
            trainer.say = refuse
        for step in range(steps):
            trainer.step(x, y, step)

    def write(texts: int, kv_cache: bool = True) -> None:
        tokens = task.config.context - 1
        for _ in range(texts):
            rng = np.random.default_rng(0)
            assert len(list(generate(model, [1], tokens, temperature=0, rng=rng, kv_cache=kv_cache))) == tokens

    return {
        "train": train,
        "generate": write,
        "generate_uncached": lambda texts: write(texts, kv_cache=False),
        "memory": lambda _: card.memory(task) if torchs else None,
    }


def refuse(reason: str) -> None:
    """What the trainer says before it goes on without the compiler: no contender may pass for another."""
    raise RuntimeError(reason)


def matmul(task: Task) -> Jobs:
    """Square float32 matrix products: what this machine can do at best, in NumPy's and in PyTorch's BLAS."""
    a = np.random.default_rng(0).random((MATMUL, MATMUL), dtype=np.float32)
    jobs: Jobs = {"numpy": lambda times: repeat(times, lambda: a @ a)}
    try:
        import torch

        t = torch.from_numpy(a)
        jobs["torch"] = lambda times: repeat(times, lambda: t @ t)
    except ImportError:
        pass
    return jobs | {"jobs": lambda times: [name for name in jobs if name != "jobs"]}


def repeat(times: int, work: Callable[[], Any]) -> None:
    for _ in range(times):
        work()


MATMUL = 2048


MAKERS: dict[str, Callable[[Any], Jobs]] = {
    "np": lambda task: ours("np", task),
    "pt": lambda task: ours("pt", task),
    "pt compiled": lambda task: ours("pt", task, compiled=True),
    THEIRS: theirs.jobs,
    f"{THEIRS} compiled": lambda task: theirs.jobs(task, compiled=True),
    "matmul": matmul,
    "card": card.jobs,
    "bpe": bpe.ours,
    bpe.LIBRARY: bpe.library,
}


def serve(name: str) -> None:
    """Answer requests until the input ends. What a task needs is made when it is first named."""

    @cache
    def jobs(task: str) -> Jobs:
        return MAKERS[name](Task(**json.loads(task)) if task.startswith("{") else task)

    with JOINED:
        for line in sys.stdin:
            request = json.loads(line)
            job, times = jobs(request["task"])[request["do"]], request["times"]
            if times >= 8:
                job(times // 8)  # untimed: cores and caches wake up from the others' turn
            start = time.perf_counter()
            value = job(times)
            print(json.dumps([time.perf_counter() - start, value]), flush=True)
