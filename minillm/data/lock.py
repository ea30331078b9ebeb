"""A lock between processes, on a file: whoever holds it alone may write what it stands for.

The operating system holds the lock (flock, or locking on Windows) and frees it when its process ends in whatever
way, so that a lock file left behind locks nothing.
"""

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

POLL = 0.1  # seconds between two tries; a wait inside the system could not be ended by Ctrl-C everywhere


@contextlib.contextmanager
def locked(path: Path, waiting: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Hold the lock; while another process or thread has it, call `waiting` once and wait. OSError: no lock there."""
    told = False
    while (handle := _take(path)) is None:
        if not told:
            waiting()
            told = True
        time.sleep(POLL)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):  # Windows does not remove an open file: it stays, and locks nothing
            path.unlink()
        os.close(handle)


def _take(path: Path) -> int | None:
    """The locked file, or None if another has it."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT)
    try:
        if sys.platform == "win32":
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(handle), os.stat(path)):
            return handle
        os.close(handle)  # its last holder has removed it meanwhile: a newcomer would lock another file
    except (BlockingIOError, PermissionError, FileNotFoundError):
        os.close(handle)
    except BaseException:
        os.close(handle)
        raise
    return None
