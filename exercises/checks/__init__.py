"""Checkers that answer back: they name the likely mistake, in the notebook's language, and never show the answer.

In a notebook, `check = lesson("05", "zh")`, then `check(softmax)` and `check.hint(softmax)`. One module a lesson,
lessonNN.py, holds the exercises; framework.py is what such a module imports.
"""

from exercises.checks.framework import Checker, Exercise, Result, Run, T, exercise, exercises_of, lesson, result_of

__all__ = ["Checker", "Exercise", "Result", "Run", "T", "exercise", "exercises_of", "lesson", "result_of"]
