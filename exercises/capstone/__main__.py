"""The checks of the capstone, one step after the other: python -m exercises.capstone [step ...]"""

from __future__ import annotations

import argparse
import ast
import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from exercises.checks import exercises_of
from exercises.checks.box import plain
from exercises.checks.capstone.training import reader
from exercises.checks.words import Result, T
from minillm import progress
from minillm.errors import UserError

HERE = Path(__file__).resolve().parent
ALLOWED = {"numpy", "__future__"} | sys.stdlib_module_names
PROMPT = "我爱北京"


def main(argv: list[str] | None = None, folder: Path = HERE) -> int:
    """Check the steps in order, up to the first that does not pass. 0: all did; 1: one did not; 2: could not look."""
    parser = argparse.ArgumentParser(prog="python -m exercises.capstone", description=__doc__)
    parser.add_argument(
        "steps", nargs="*", metavar="step", help=f"all without any; {', '.join(exercises_of('capstone'))}"
    )
    parser.add_argument("--english", action="store_true", help="answers in English")
    parser.add_argument("--hint", action="store_true", help="with the hint of the step that does not pass")
    parser.add_argument("--solution", action="store_true", help="check the solution in its place, solutions/capstone")
    words = parser.parse_args(argv)
    language = "en" if words.english else "zh"
    folder = HERE.parents[1] / "solutions" / "capstone" if words.solution else folder
    try:
        return check(words.steps, load(folder), language, words.hint, keep=not words.solution)
    except UserError as error:
        print(error, file=sys.stderr)
        return 2


def load(folder: Path) -> Any:
    """The adapters of a folder. UserError: they cannot be imported, or use more than NumPy."""
    for file in sorted(folder.rglob("*.py")):
        if file.parent != folder or file.name == "adapters.py":
            alone(file)
    sys.path.insert(0, str(folder.parents[1]))
    try:
        return importlib.import_module(f"{folder.parent.name}.{folder.name}.adapters")
    except Exception as error:
        last = error.__traceback__
        while last is not None and last.tb_next is not None:
            last = last.tb_next
        place = f"{last.tb_frame.f_code.co_filename}:{last.tb_lineno}: " if last else ""
        raise UserError(f"{place}{type(error).__name__}: {error}") from error
    finally:
        sys.path.pop(0)


def alone(file: Path) -> None:
    """UserError unless a file imports nothing but NumPy, the standard library and its neighbours."""
    try:
        tree = ast.parse(file.read_text(encoding="utf-8"))
    except (SyntaxError, ValueError) as error:
        raise UserError(f"{file}:{getattr(error, 'lineno', None) or 1}: {error.__class__.__name__}: {error}") from None
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names = [node.module or ""]
        else:
            continue
        for name in names:
            if name.partition(".")[0] not in ALLOWED:
                raise UserError(
                    f"{file}:{node.lineno}: 毕业设计只用 NumPy 和标准库，不用 {name}。 "
                    f"The capstone uses NumPy and the standard library alone, not {name}."
                )


def check(steps: list[str], adapters: Any, language: str, hint: bool, keep: bool) -> int:
    """Check steps and tell. keep: write progress down."""
    exercises = exercises_of("capstone")
    for name in steps:
        if name not in exercises:
            raise UserError(f"no step {name}: choose from {', '.join(exercises)}")
    weights: list[Any] = []
    for number, name in enumerate(exercises, start=1):
        if steps and name not in steps:
            continue
        step = getattr(adapters, name, None)
        if not callable(step):
            raise UserError(f"adapters.py has no function {name}: put it back, with the parameters that it had")
        if name == "train":
            print(T("训练，几分钟……", "Training, some minutes ...").say(language), flush=True)
            step = remembering(step, weights)
        found = exercises[name].result(step)
        if keep and found.slug not in ("todo", "broken"):
            progress.record("capstone", name, found.passed, language)
        print(f"{number:2}  {told(name, found, language)}", flush=True)
        if not found.passed:
            if hint:
                print("    " + plain("hint", name, exercises[name].hint, language))
            else:
                print(T(f"要提示：加上 --hint {name}", f"For a hint: add --hint {name}").say(language))
            return 1
    if not steps:
        print(written(adapters, *weights[-1]))
        print(T("你从头写出了一个 GPT。", "You have written a GPT from nothing.").say(language))
    return 0


def told(name: str, found: Result, language: str) -> str:
    """A result in words, its hint left out."""
    state = {"": "right", "todo": "todo", "broken": "note"}.get(found.slug, "wrong")
    return plain(state, name, found.message, language)


def remembering(train: Callable[..., Any], weights: list[Any]) -> Callable[..., Any]:
    """train, whose result is kept: to write with it afterwards."""

    def step(tokens: Any, vocab_size: int, rng: np.random.Generator) -> Any:
        result = train(tokens, vocab_size, rng)
        weights.append(result)
        return result

    return step


def written(adapters: Any, weights: Any, n_head: int) -> str:
    """What the learner's own model writes."""
    characters = reader().characters
    ids = [characters.index(char) for char in PROMPT]
    return "".join(characters[i] for i in adapters.generate(weights, n_head, ids, 60, 0.8, np.random.default_rng(0)))


if __name__ == "__main__":
    sys.exit(main())
