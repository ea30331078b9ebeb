"""The processor's cores: which there are, and how a thread is kept on one.

Two threads that meet on one core while another idles take twice the time, and some systems let them.
"""

import contextlib
import os
from collections.abc import Iterator


def cores() -> list[int]:
    """Processor cores that this process may use."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))


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
