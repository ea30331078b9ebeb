"""What makes the NumPy model fast and is not mathematics. (The rest of it: chunks, cores, replicas.)

1. Data parallelism. NumPy runs element-wise code on one core. Splitting the batch over as many copies of the
   model as there are cores, each with its own gradients (as on many GPUs), keeps every core busy all the
   time. BLAS then gets one thread for each copy.
2. Memory. What large temporary arrays have freed is kept for the next ones (minillm/heap.py).

Nothing here changes a result, except that sums over shards are added in another order than one big sum.
"""

import contextlib
from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from threadpoolctl import ThreadpoolController

from minillm.heap import keep_freed_memory
from minillm.np import functional as F
from minillm.np.cores import at_home, cores
from minillm.np.param import Array, Module
from minillm.np.replicas import CAN_FORK, ProcessReplica, ThreadReplica


@lru_cache(maxsize=1)
def blas() -> ThreadpoolController:
    """NumPy's BLAS, looked up once: that takes milliseconds."""
    return ThreadpoolController()


def shard(model: Module, x: Array, y: Array, count: int, seed: int | None) -> float:
    """One slice of a batch: leave its share of the gradients in the model, return its share of the mean loss.

    `count` is the number of targets in the whole batch; a seed turns dropout on.
    """
    logits, cache = model(x, rng=None if seed is None else np.random.default_rng(seed))
    loss, loss_cache = F.cross_entropy(logits, y)
    share = int((y >= 0).sum()) / count
    model.backward(F.cross_entropy_backward(share, loss_cache), cache)
    return float(loss) * share


class DataParallel:
    """Loss and gradients of a language model, computed by several copies on slices of the batch.

    Gradients are added in a fixed order, so that the same number of copies gives the same bits. `copies` is
    their number, the model itself included; None: one for each core.
    """

    def __init__(self, model: Module, copies: int | None = None, processes: bool = CAN_FORK) -> None:
        keep_freed_memory()
        model.zero_grad()
        self.model, free = model, cores()
        self.homes = [free[i % len(free)] for i in range(copies or len(free))]
        self.replicas: list[ProcessReplica | ThreadReplica] = []
        with blas().limit(limits=1, user_api="blas"):  # what is forked keeps the limit
            for core in self.homes[1:]:
                kind = ProcessReplica if processes else ThreadReplica
                self.replicas.append(kind(model, shard, core))

    @contextlib.contextmanager
    def running(self) -> Iterator["DataParallel"]:
        """Set BLAS for a training step; it gets its threads back at the end."""
        with blas().limit(limits=1 if self.replicas else None, user_api="blas"):
            yield self

    def loss_and_grad(self, x: Array, y: Array, rng: np.random.Generator | None = None) -> float:
        """Mean cross-entropy of next-token logits in nats; gradients are left in the model's parameters.

        x, y (B, T) int; targets of -100 are ignored. A generator turns dropout on.
        """
        n = min(1 + len(self.replicas), len(x))
        helpers = self.replicas[: n - 1]
        seeds = [int(seed) for seed in rng.integers(2**63, size=n)] if rng else [None] * n
        count = max(int((y >= 0).sum()), 1)
        shards = list(zip(np.array_split(x, n), np.array_split(y, n), [count] * n, seeds, strict=True))
        for helper, arguments in zip(helpers, shards[1:], strict=True):
            helper.start(*arguments)
        self.model.zero_grad()
        with at_home(self.homes[0] if helpers else None):
            loss = shard(self.model, *shards[0])
        params = self.model.parameters()
        for helper in helpers:
            part, grads = helper.finish()
            loss += part
            for p, grad in zip(params, grads, strict=True):
                if grad is not None:
                    p.accumulate(grad)
        return loss
