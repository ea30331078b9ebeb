"""What a lesson's checker module imports, and what a notebook gets.

    @exercise(hint=T(zh="……", en="..."))
    def softmax(run: Run) -> None:
        x = run.rng.normal(size=(3, 5))
        y = run.array(run.call(x), shape=x.shape)
        run.equal(y, right, mistakes={"axis": (wrong, T(zh="……", en="..."))})

In the notebook: check = lesson("05", "zh"); check(softmax); check.hint(softmax).
"""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import secrets
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from exercises.checks.box import show_box
from exercises.checks.run import Run
from exercises.checks.words import Failure, Result, T
from minillm import progress

__all__ = ["Checker", "Exercise", "Failure", "Result", "Run", "T", "exercise", "exercises_of", "lesson", "result_of"]


@dataclass(frozen=True)
class Exercise:
    """One exercise. check: its checking function; rounds: how often it runs, each time on other data."""

    name: str
    check: Callable[[Run], None]
    hint: T
    seconds: float
    rounds: int

    def result(self, fn: Callable[..., Any], seed: int | None = None, seconds: float | None = None) -> Result:
        """Check a function. The same seed draws the same hidden data; seconds: another time limit."""
        seed = secrets.randbits(32) if seed is None else seed
        left = seconds or self.seconds
        try:
            for number in range(self.rounds):
                run = Run(fn, self.name, np.random.default_rng([seed, number]), left)
                with contextlib.redirect_stdout(io.StringIO()) if number else contextlib.nullcontext():
                    self.check(run)  # what a learner prints to find a mistake, once is enough
        except Failure as failure:
            return Result(False, failure.slug, failure.message, seed)
        except Exception as error:
            said = f"{type(error).__name__}: {error}"
            message = T(
                f"检查程序自己出了错，不是你的错：{said}（种子 {seed}）",
                f"The checker itself failed, which is no fault of yours: {said} (seed {seed})",
            )
            return Result(False, "broken", message, seed)
        return Result(True, "", T("通过。", "Passed."), seed)


def exercise(hint: T, seconds: float = 10.0, rounds: int = 3) -> Callable[[Callable[[Run], None]], Exercise]:
    """Make a checking function the exercise of its name. seconds: time limit for the learner's calls in one round."""

    def make(check: Callable[[Run], None]) -> Exercise:
        return Exercise(check.__name__, check, hint, seconds, rounds)

    return make


def exercises_of(lesson_id: str) -> dict[str, Exercise]:
    """The exercises of a lesson, or of the capstone, by name, in order; none if there is no checker module."""
    name = f"exercises.checks.{f'lesson{lesson_id}' if lesson_id[:1].isdigit() else lesson_id}"
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        return {}
    return {item.name: item for item in vars(module).values() if isinstance(item, Exercise)}


def result_of(
    lesson_id: str, name: str, fn: Callable[..., Any], seed: int | None = None, seconds: float | None = None
) -> Result:
    """Check a function as one exercise of a lesson, whatever it is called; shows and keeps nothing."""
    return exercises_of(lesson_id)[name].result(fn, seed, seconds)


def lesson(lesson_id: str, language: str = "zh") -> Checker:
    """The checker of a lesson, for its notebook."""
    return Checker(lesson_id, language)


class Checker:
    """check(fn) checks the exercise of the function's name; check.hint(fn) helps. last: the last result."""

    def __init__(self, lesson_id: str, language: str = "zh") -> None:
        self.lesson, self.language = lesson_id, language
        self.exercises = exercises_of(lesson_id)
        self.last: Result | None = None

    def __repr__(self) -> str:
        return f"<check of lesson {self.lesson}: {', '.join(self.exercises)}>"

    def __call__(self, fn: Callable[..., Any], seed: int | None = None) -> None:
        """Show whether the function is right, or what is likely wrong with it. Raises only when nbgrader marks."""
        name = self._name(fn)
        if name is None:
            return
        found = self.last = self.exercises[name].result(fn, seed)
        self._show(name, found, self.exercises[name].hint)
        if os.environ.get("NBGRADER_EXECUTION"):
            if not found.passed:
                raise AssertionError(f"{name}: {found.message.say(self.language)}")
        elif found.slug not in ("todo", "broken"):
            progress.record(self.lesson, name, found.passed, self.language)

    def hint(self, fn: Callable[..., Any] | str) -> None:
        """Show the second help of an exercise, given its function or name."""
        name = fn if isinstance(fn, str) and fn in self.exercises else self._name(fn)
        if name is not None:
            show_box("hint", name, self.exercises[name].hint, self.language)

    def progress(self) -> None:
        """Show how far you are in the whole course."""
        progress.show(self.language)

    def _name(self, fn: Any) -> str | None:
        """The exercise a function belongs to; else says what to do instead, and returns None."""
        name = getattr(fn, "__name__", "")
        if callable(fn) and name in self.exercises:
            return str(name)
        names = ", ".join(f"`{known}`" for known in self.exercises) or "–"
        first = next(iter(self.exercises), "f")
        if callable(fn):
            shown = "lambda" if name == "<lambda>" else name or type(fn).__name__
            message = T(
                f"`{shown}` 不是第 {self.lesson} 课的练习。", f"`{shown}` is no exercise of lesson {self.lesson}."
            )
        else:
            message = T(
                f"请给出函数本身，不带引号，也不要调用它：写 `check({first})`，不要写 `check({first}(...))`。",
                f"Give the function itself, neither quoted nor called: `check({first})`, not `check({first}(...))`.",
            )
        message = message.then(T(f"本课的练习：{names}。", f"The exercises of this lesson: {names}."))
        self.last = Result(False, "usage", message, 0)
        self._show("check", self.last, None)
        if os.environ.get("NBGRADER_EXECUTION"):
            raise AssertionError(message.say(self.language))
        return None

    def _show(self, name: str, found: Result, hint: T | None) -> None:
        states = {"": "right", "todo": "todo", "usage": "note", "broken": "note"}
        state = states.get(found.slug, "wrong")
        sys.stdout.flush()  # what the function printed comes first
        show_box(state, name, found.message, self.language, None if found.passed else hint)
