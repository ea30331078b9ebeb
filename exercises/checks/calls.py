"""Call a learner's function safely: with a time limit, in a thread that can be ended; on copies of its arguments."""

from __future__ import annotations

import contextlib
import contextvars
import ctypes
import inspect
import sys
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, NamedTuple

import numpy as np

from exercises.checks import tensors


class OutOfTime(BaseException):
    """Raised inside a function that takes too long. No Exception, so that `except Exception` does not hold it up."""


class Outcome(NamedTuple):
    """What became of a call: its value, or the exception, or neither because the time was up."""

    value: Any
    error: BaseException | None
    timeout: bool
    alive: bool  # it did not even end when told to: it waits in C code
    seconds: float


def limited(function: Callable[[], Any], seconds: float) -> Outcome:
    """Call a function in a worker thread and wait at most so long. Ctrl-C ends it too, and goes on upwards.

    NumPy's floating-point warnings are silent meanwhile: the check looks at the numbers itself.
    """
    box: dict[str, Any] = {}
    done = threading.Event()  # not Thread.join: interrupted by Ctrl-C, that takes a running thread for ended

    def work() -> None:
        with contextlib.suppress(OutOfTime):  # it may arrive a moment too late
            try:
                with np.errstate(all="ignore"):
                    box["value"] = function()
            except BaseException as error:
                box["error"] = error
            finally:
                done.set()

    context = contextvars.copy_context()  # a notebook finds by it the cell that printed something
    thread = threading.Thread(target=context.run, args=(work,), daemon=True)
    started = time.monotonic()
    thread.start()
    try:
        while not done.is_set() and time.monotonic() < started + seconds:
            done.wait(min(0.05, seconds))  # in short pieces: on Windows Ctrl-C waits for the end of one
    except BaseException:
        end(thread, done)
        raise
    spent = time.monotonic() - started
    if not done.is_set():
        return Outcome(None, None, True, not end(thread, done), spent)
    return Outcome(box.get("value"), box.get("error"), False, False, spent)


def end(thread: threading.Thread, done: threading.Event, patience: float = 4.0) -> bool:
    """Raise OutOfTime inside a thread until it ends or patience does. Returns whether it ended.

    A bare `except:` swallows it, if it strikes inside its `try`. Switching threads at almost every step lets it
    strike at all places of a loop, soon at one outside.
    """
    until = time.monotonic() + patience
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        while not done.is_set() and thread.is_alive() and time.monotonic() < until:
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident or 0), ctypes.py_object(OutOfTime))
            done.wait(0.001)
    finally:
        sys.setswitchinterval(interval)
    return done.is_set() or not thread.is_alive()


def clone(value: Any) -> Any:
    """A deep copy of arrays, tensors, lists, tuples, dicts and sets; any other object itself (models, functions)."""
    if type(value) is np.ndarray:
        return value.copy(order="K")
    if tensors.is_tensor(value):
        return tensors.clone(value)
    if type(value) in (list, tuple, set):
        return type(value)(map(clone, value))
    if type(value) is dict:
        return {key: clone(item) for key, item in value.items()}
    return value


def untouched(before: Any, after: Any) -> bool:
    """Whether a clone still equals what it was made from, to the last bit."""
    if type(before) is not type(after):
        return False
    if type(before) is np.ndarray:
        same = before.dtype == after.dtype and before.shape == after.shape
        return same and np.array_equal(before, after, equal_nan=before.dtype.kind in "fc")
    if tensors.is_tensor(before):
        return tensors.untouched(before, after)
    if type(before) in (list, tuple):
        return len(before) == len(after) and all(map(untouched, before, after))
    if type(before) is dict:
        return list(before) == list(after) and all(untouched(before[key], after[key]) for key in before)
    return before is after or bool(before == after)


def parameter(function: Callable[..., Any], place: int | str) -> str:
    """The name of the parameter that takes an argument, given its place or keyword."""
    if isinstance(place, str):
        return place
    try:
        return list(inspect.signature(function).parameters)[place]
    except (ValueError, TypeError, IndexError):  # *args, or a signature that cannot be read
        return f"#{place + 1}"


def fits(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether a function takes these arguments."""
    try:
        inspect.signature(function).bind(*args, **kwargs)
    except TypeError:
        return False
    except ValueError:  # a built-in without a signature
        pass
    return True


def culprit(error: BaseException, function: Callable[..., Any]) -> tuple[str, int, str]:
    """Where in the learner's own code an exception came up: name of the function, line number, the line.

    The learner's code is whatever lives in the same globals as the function: all cells of a notebook.
    ("", 0, "") if it did not pass there.
    """
    home = getattr(inspect.unwrap(function), "__globals__", None)
    last: TracebackType | None = None
    step = error.__traceback__
    while step is not None:
        if home is not None and step.tb_frame.f_globals is home:
            last = step
        step = step.tb_next
    if last is None:
        return "", 0, ""
    lines = inspect.getframeinfo(last, context=1).code_context or [""]
    return last.tb_frame.f_code.co_name, last.tb_lineno, lines[0].strip()


def show_call(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    """A call as a short line of code: softmax(array(3×5), axis=-1)."""
    parts = [brief(value) for value in args] + [f"{key}={brief(value)}" for key, value in kwargs.items()]
    return f"{name}({', '.join(parts)})"


def brief(value: Any, width: int = 40) -> str:
    """A value in a few characters: small ones in full, arrays by their shape."""
    if isinstance(value, np.ndarray):
        if value.ndim == 1 and value.size <= 6 and value.dtype.kind in "biuf":
            return "[" + ", ".join(f"{number:.4g}" for number in value.tolist()) + "]"
        return f"array({'×'.join(map(str, value.shape))})"
    if tensors.is_tensor(value):
        return tensors.brief(value)
    if isinstance(value, float | np.floating):
        return f"{value:.6g}"
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, list) and any(isinstance(item, np.ndarray) or tensors.is_tensor(item) for item in value):
        text = f"[{', '.join(map(brief, value))}]"
    elif callable(value):
        return getattr(value, "__name__", type(value).__name__)
    elif isinstance(value, str | bytes | int | list | tuple | dict | set | bool | None):
        text = repr(value)
    else:
        return type(value).__name__
    return text if len(text) <= width else text[: width - 1] + "…"
