"""Freed memory is kept for the next array, where the system lets a process choose (glibc, so Linux)."""

import contextlib
import ctypes
import sys
from functools import lru_cache

TRIM_THRESHOLD, MMAP_THRESHOLD, ARENA_MAX = -1, -3, -8  # mallopt(3)


@lru_cache(maxsize=1)
def keep_freed_memory() -> None:
    """Tell glibc to reuse freed memory instead of giving it back (a no-op on other systems).

    Every large temporary array is normally fetched from and returned to the operating system, which zeroes each
    page anew; in a training step on a CPU that can cost more than the element-wise arithmetic.
    """
    if sys.platform.startswith("linux"):
        with contextlib.suppress(OSError, AttributeError):  # another C library, such as musl
            libc = ctypes.CDLL("libc.so.6")
            for option, value in ((TRIM_THRESHOLD, 2**30), (MMAP_THRESHOLD, 2**30), (ARENA_MAX, 1)):
                libc.mallopt(option, value)
