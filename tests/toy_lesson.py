"""A toy lesson, number 98, on which the checkers' framework is tested."""

import sys
import time
import types

import numpy as np
import pytest

from exercises.checks import Exercise, T, exercise
from minillm import progress

RIGHT = "return x / x.sum(axis=1, keepdims=True)"


@exercise(hint=T("除以<谁>？看 `axis`。", "Divided by <what>? See `axis`."))
def normalise(run):
    x = run.rng.normal(size=run.sizes(2)) + 5
    y = run.array(run.call(x), shape=x.shape)
    run.equal(
        y,
        x / x.sum(axis=1, keepdims=True),
        mistakes={
            "never": (x / x.sum(axis=1, keepdims=True), T("对的值不算错", "the right value is no mistake")),
            "broken": (lambda: 1 / 0, T("算不出来", "cannot be computed")),
            "all": (lambda: x / x.sum(), T("整个数组", "the whole array")),
            "columns": (x / x.sum(axis=0), T("按列", "by columns")),
        },
    )


@exercise(hint=T("数一数", "Count"), rounds=1)
def guess(run):
    run.equal(run.scalar(run.call()), 42.0)


@pytest.fixture(autouse=True)
def toy(monkeypatch, tmp_path):
    """Lesson 98 with two exercises; progress in a file of its own."""
    module = types.ModuleType("exercises.checks.lesson98")
    module.normalise, module.guess = normalise, guess
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setenv(progress.VARIABLE, str(tmp_path / "progress.json"))
    monkeypatch.delenv("NBGRADER_EXECUTION", raising=False)


def learner(body: str, name: str = "normalise", parameters: str = "x"):
    """A function as a learner writes it in a notebook."""
    space = {"np": np, "time": time}
    exec(f"def {name}({parameters}):\n    " + body.replace("\n", "\n    "), space)
    return space[name]


def checked(check, fn, **options):
    """The result of a check given as a function of run, and of the learner's function."""
    return Exercise("f", check, T("提示", "hint"), 5.0, 1).result(fn, seed=0, **options)
