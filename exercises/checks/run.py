"""What a check has in hand: hidden random data, safe calls of the learner's function, and named failures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from exercises.checks import compare
from exercises.checks.calls import clone, culprit, fits, limited, parameter, show_call, untouched
from exercises.checks.compare import kind
from exercises.checks.returned import Returned
from exercises.checks.tensors import as_array, is_tensor
from exercises.checks.words import NOTHING, Failure, T

RTOL, ATOL = 1e-7, 1e-9


class Run(Returned):
    """One round of checking one function. rng: fresh hidden randomness; fn: the learner's function.

    Built-in slugs: todo, raised, timeout, none, mutated, type, shape, dtype, nan, different; of tensors also
    device, detached, attached.
    """

    def __init__(self, fn: Callable[..., Any], name: str, rng: np.random.Generator, seconds: float) -> None:
        self.fn, self.name, self.rng = fn, name, rng
        self.limit = self.left = seconds

    # ------------------------------------------------------------------ data

    def sizes(self, count: int, low: int = 2, high: int = 7) -> list[int]:
        """So many different sizes from low to high, for shapes in which no axis can be taken for another."""
        return [int(n) for n in self.rng.permutation(np.arange(low, high + 1))[:count]]

    # ------------------------------------------------------------------ the call

    def call(
        self,
        *args: Any,
        fn: Callable[..., Any] | None = None,
        may_return_none: bool = False,
        may_change: bool = False,
        **kwargs: Any,
    ) -> Any:
        """Call the learner's function (or fn) on copies of the arguments, and return its value.

        Fails with, in this order: raised or todo, timeout, none, mutated. With may_change the function gets the
        arguments themselves and may write into them. The time limit counts for all calls of a check together.
        """
        fn = self.fn if fn is None else fn
        self.shown = show_call(self.name if fn is self.fn else getattr(fn, "__name__", self.name), args, kwargs)
        self.reveal = bool(args or kwargs)
        if not fits(fn, args, kwargs):
            self.miss(
                "raised",
                "参数对不上：检查时这样调用你的函数。",
                "The parameters do not fit how the check calls your function.",
            )
        given = (args, kwargs) if may_change else (clone(args), clone(kwargs))
        function = fn
        outcome = limited(lambda: function(*given[0], **given[1]), self.left)
        self.left -= outcome.seconds
        if outcome.error is not None:
            self._raised(outcome.error)
        if outcome.timeout or self.left < 0:
            self._timeout(outcome.alive)
        if outcome.value is None and not may_return_none:
            self.miss(
                "none",
                "函数返回了 `None`：是不是忘了写 `return`？",
                "The function returned `None`: did you forget `return`?",
            )
        if not may_change:
            self._unchanged(fn, (args, kwargs), given)
        return outcome.value

    def _raised(self, error: BaseException) -> None:
        where, number, line = culprit(error, self.fn)
        if isinstance(error, NotImplementedError):
            other = where not in ("", self.name, getattr(self.fn, "__name__", ""))
            name = where if other else self.name
            uses = T(f"（`{self.name}` 要用到它。）", f"(`{self.name}` uses it.)") if other else NOTHING
            raise Failure("todo", T(f"还没写：`{name}`。", f"Not written yet: `{name}`.").then(uses))
        said = " ".join(f"{type(error).__name__}: {error}".removesuffix(": ").split())
        said = said if len(said) <= 200 else said[:199] + "…"
        code = f" `{line}`" if line else ""
        place = T(f"（第 {number} 行{code}）", f" (line {number}{':' if line else ''}{code})") if number else NOTHING
        message = T(f"运行时出错：{said}{place.zh}。", f"It raised an error: {said}{place.en}.")
        if isinstance(error, RecursionError):
            message = message.then(T("函数没完没了地调用自己。", "The function calls itself without end."))
        self.miss("raised", *message)

    def _timeout(self, alive: bool) -> None:
        message = T(
            f"超过 {self.limit:g} 秒还没有算完：多半是死循环，看看循环什么时候会停。",
            f"Not finished in {self.limit:g} s: likely an endless loop. When would yours stop?",
        )
        if alive:
            message = message.then(
                T("它还停不下来：如果电脑变慢，请重启内核。", "It still runs: restart the kernel if things get slow.")
            )
        self.miss("timeout", *message)

    def _unchanged(self, fn: Callable[..., Any], before: tuple[Any, Any], after: tuple[Any, Any]) -> None:
        places: list[int | str] = [*range(len(before[0])), *before[1]]
        for place, old, new in zip(
            places, [*before[0], *before[1].values()], [*after[0], *after[1].values()], strict=True
        ):
            if not untouched(old, new):
                name = parameter(fn, place)
                raise Failure(
                    "mutated",
                    T(
                        f"你的函数改动了传进来的 `{name}`：调用者的数据也跟着变了。算出新的值，不要写回 `{name}`。",
                        f"Your function changes `{name}`, which was passed in, and so the caller's data. "
                        f"Compute a new value instead of writing into `{name}`.",
                    ),
                )

    # ------------------------------------------------------------------ right or wrong

    def equal(
        self,
        got: Any,
        right: Any,
        mistakes: Mapping[str, tuple[Any, T]] | None = None,
        rtol: float = RTOL,
        atol: float = ATOL,
        name: str = "",
    ) -> None:
        """Fail unless got is right: by the name of the first mistake whose value it is, or with different.

        mistakes: slug -> (wrong value, or a function that computes it when needed; what to tell the learner).
        A mistake that happens to give the right value on this data, or whose function fails, does not count.
        """
        with np.errstate(all="ignore"):
            if compare.same(got, right, rtol, atol):
                return
            for slug, (wrong, message) in (mistakes or {}).items():
                try:
                    value = wrong() if callable(wrong) else wrong
                    hit = compare.same(got, value, rtol, atol) and not compare.same(value, right, rtol, atol)
                except Exception:
                    continue
                if hit:
                    raise Failure(slug, message)
            self._different(got, right, rtol, atol, name)

    def _different(self, got: Any, right: Any, rtol: float, atol: float, name: str) -> None:
        if is_tensor(got) and is_tensor(right):
            got, right = as_array(got), as_array(right)
        arrays = isinstance(right, np.ndarray) and isinstance(got, np.ndarray | np.generic)
        numbers = compare.is_number(got) and compare.is_number(right) and compare.is_bool(got) == compare.is_bool(right)
        alike = arrays or numbers or kind(got) == kind(right) or {type(got), type(right)} <= {list, tuple}
        if not alike:
            self.wrong_type(got, kind(right), name)
        if isinstance(right, np.ndarray) and np.shape(got) != right.shape:
            self.miss("shape", *compare.shape_message(np.shape(got), right.shape, name))
        self.miss("different", *compare.difference(got, right, rtol, atol, self.reveal, name))

    def require(self, condition: Any, slug: str, message: T) -> None:
        """Fail with this slug and message unless the condition holds."""
        if not condition:
            raise Failure(slug, message)
