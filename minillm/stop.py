"""Ctrl-C and a polite kill, heard between two steps."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from minillm.ranks import count


@contextmanager
def stop_requests() -> Iterator[Callable[[], bool]]:
    """A function that tells whether Ctrl-C (or a polite kill) came: the step under way is finished first,
    so that what is saved is whole. A second Ctrl-C stops at once.

    With several processes, one that an error ends is deaf to a polite kill from then on: torchrun sends it as soon as
    another has ended, and the error is still to be said.
    """
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked.is_set  # only the main thread receives signals
        return

    def ask(number: int, frame: Any) -> None:
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()

    old: dict[int, Any] = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked.is_set
    except Exception:
        if count() > 1:
            old[signal.SIGTERM] = signal.SIG_IGN
        raise
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
