"""Threads for work that falls into independent pieces. NumPy lets go of Python's global lock inside its
loops, so threads do run side by side.
"""

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any


def cores() -> list[int]:
    """Processor cores that this process may use."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))


class Workers:
    """A pool of threads; with one thread it simply calls.

    Where the system allows it, each thread stays on a core of its own: two threads that meet on one core
    while another idles would take twice the time.
    """

    def __init__(self, threads: int | None = None) -> None:
        free = cores()
        self.threads = threads or len(free)
        homes = iter(free * self.threads)
        self.pool = (
            ThreadPoolExecutor(self.threads, initializer=lambda: stay_on(next(homes))) if self.threads > 1 else None
        )

    def map(self, function: Callable[..., Any], *arguments: Sequence[Any]) -> list[Any]:
        """[function(a, b, ...), ...], one call a thread at a time, results in order."""
        if self.pool is None:
            return list(map(function, *arguments))
        return list(self.pool.map(function, *arguments))

    def each(self, function: Callable[[Any], Any], pieces: Sequence[Any]) -> list[Any]:
        """[function(piece), ...] for many small pieces, dealt out like cards: one call of the pool a thread."""
        results: list[Any] = [None] * len(pieces)

        def run(first: int) -> None:
            for i in range(first, len(pieces), self.threads):
                results[i] = function(pieces[i])

        self.map(run, range(self.threads))
        return results


def stay_on(core: int) -> None:
    """Bind the calling thread to one core."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {core})  # 0 is the calling thread


@contextlib.contextmanager
def at_home(core: int | None) -> Iterator[None]:
    """Keep the calling thread on one core for a while (None: anywhere)."""
    if core is None or not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


SERIAL = Workers(1)
