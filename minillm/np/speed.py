"""What makes the NumPy model fast and is not mathematics: threads, memory, BLAS. All of it stands here.

1. Threads. NumPy runs element-wise code on one core. Splitting the batch over threads, each with the whole
   model and its own gradients (data parallelism, as on many GPUs), keeps every core busy all the time.
   BLAS then gets one thread per shard.
2. Memory. Every large temporary array is normally fetched from and returned to the operating system, which
   zeroes each page anew; that costs more than the arithmetic. glibc can be told to keep freed memory.

Nothing here changes a result, except that sums over shards are added in another order than one big sum.
"""

import contextlib
import copy
import ctypes
import sys
from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from threadpoolctl import ThreadpoolController

from minillm.np import functional as F
from minillm.np.param import Array, Module, Param
from minillm.np.workers import Workers


@lru_cache(maxsize=1)
def keep_freed_memory() -> None:
    """Tell glibc to reuse freed memory instead of giving it back (a no-op on other systems)."""
    if sys.platform.startswith("linux"):
        with contextlib.suppress(OSError, AttributeError):
            libc = ctypes.CDLL("libc.so.6")
            for option, value in ((-1, 2**30), (-3, 2**30), (-8, 1)):  # M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX
                libc.mallopt(option, value)


@lru_cache(maxsize=1)
def blas() -> ThreadpoolController:
    """NumPy's BLAS, looked up once: that takes milliseconds."""
    return ThreadpoolController()


class DataParallel:
    """Loss and gradients of a language model, computed by several threads on slices of the batch.

    The replicas share the model's weights and have gradients of their own, added up in a fixed order, so
    that the same number of threads gives the same bits.
    """

    def __init__(self, model: Module, threads: int | None = None) -> None:
        self.model, self.workers = model, Workers(threads)
        model.zero_grad()
        shared = {id(p.data): p.data for p in model.parameters()}
        self.replicas = [model, *(copy.deepcopy(model, dict(shared)) for _ in range(self.workers.threads - 1))]

    @contextlib.contextmanager
    def running(self) -> Iterator["DataParallel"]:
        """Set memory and BLAS for a training loop; BLAS gets its threads back at the end."""
        keep_freed_memory()
        with blas().limit(limits=1 if self.workers.threads > 1 else None, user_api="blas"):
            yield self

    def loss_and_grad(self, x: Array, y: Array, rng: np.random.Generator | None = None) -> float:
        """Mean cross-entropy of next-token logits in nats; gradients are left in the model's parameters.

        x, y (B, T) int; targets of -100 are ignored. A generator turns dropout on.
        """
        for replica in self.replicas:
            replica.zero_grad()
        count = max(int((y >= 0).sum()), 1)

        def shard(replica: Module, x: Array, y: Array, rng: np.random.Generator | None) -> float:
            logits, cache = replica(x, rng=rng)
            loss, loss_cache = F.cross_entropy(logits, y)
            share = int((y >= 0).sum()) / count
            replica.backward(F.cross_entropy_backward(share, loss_cache), cache)
            return float(loss) * share

        threads = min(self.workers.threads, len(x))
        replicas = self.replicas[:threads]
        rngs = [np.random.default_rng(seed) for seed in rng.integers(2**63, size=threads)] if rng else [None] * threads
        losses = self.workers.map(shard, replicas, np.array_split(x, threads), np.array_split(y, threads), rngs)

        def add(params: tuple[Param, ...]) -> None:
            for other in params[1:]:
                if other.grad is not None:
                    params[0].accumulate(other.grad)

        self.workers.each(add, list(zip(*(replica.parameters() for replica in replicas), strict=True)))
        return sum(losses)
