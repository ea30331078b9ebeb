"""Every exercise of every lesson from one table: the solution passes, the stub does not, wrong answers are named."""

import ast
import contextlib
import functools
import importlib
import inspect
import json
import re
import textwrap
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import MagicMock

import pytest

from book.source import read_cells
from conftest import ROOT
from exercises.checks import exercises_of, result_of

SEEDS = range(5)
SOURCES = sorted((ROOT / "book" / "lessons").glob("[0-9]*.py"))


@functools.cache
def code_cells(source: Path) -> list:
    """The code cells of a lesson that exercises need, and those of the exercises."""
    _, cells = read_cells(source.read_text(encoding="utf-8"))
    wanted = [cell for cell in cells if cell.attributes.get("both") or cell.attributes.get("exercise")]
    return [cell for cell in wanted if cell.type == "code"]


def names(source: Path) -> list[str]:
    """The exercises of a lesson, in order."""
    return list(dict.fromkeys(cell.attributes["exercise"] for cell in code_cells(source) if "kind" in cell.attributes))


LESSONS = [source for source in SOURCES if names(source)]
CASES = [pytest.param(source, name, id=f"{source.stem[:2]}-{name}") for source in LESSONS for name in names(source)]


def run_cells(cells: list[str], folder: Path) -> dict:
    """Run code in one namespace, as a notebook of that folder would, with checks that check nothing."""
    space = {"__name__": "__main__", "check": MagicMock()}
    with contextlib.chdir(folder):
        for cell in cells:
            exec(compile(cell, "<cell>", "exec"), space)
    return space


@functools.cache
def from_source(source: Path) -> dict:
    """What the lesson's source defines: the solutions."""
    return run_cells([cell.text for cell in code_cells(source)], ROOT)


@functools.cache
def from_notebook(path: Path) -> dict:
    """What a built notebook defines. Skips where it is not built: another test says so."""
    if not path.exists():
        pytest.skip(f"{path.relative_to(ROOT)} is not built")
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    sources = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code" and cell["id"] != "setup"]
    return run_cells(sources, path.parent)


def table(source: Path) -> SimpleNamespace:
    """WRONG and STUB of a lesson."""
    module = importlib.import_module(f"wrong_answers.lesson{source.stem[:2]}")
    return SimpleNamespace(wrong=module.WRONG, stub=getattr(module, "STUB", {}))


def wrong_answers(source: Path, name: str):
    """Slug and function of every wrong answer to an exercise."""
    for slug, answers in table(source).wrong[name].items():
        for answer in answers if isinstance(answers, list | tuple) else [answers]:
            if isinstance(answer, str):
                space = dict(from_source(source))
                exec(compile(textwrap.dedent(answer), "<wrong answer>", "exec"), space)
                answer = space[name]
            yield slug, answer


def outcome(source: Path, name: str, fn, seed: int, slug: str = ""):
    """The result of one check; what never ends need not be waited for long."""
    return result_of(source.stem[:2], name, fn, seed=seed, seconds=1 if slug == "timeout" else None)


# ---------------------------------------------------------------------- the table is complete


@pytest.mark.parametrize("source", LESSONS, ids=lambda source: source.stem[:2])
def test_every_exercise_has_a_checker_and_wrong_answers(source):
    lesson = source.stem[:2]
    assert list(exercises_of(lesson)) == names(source), f"exercises/checks/lesson{lesson}.py: same names, same order"
    assert list(table(source).wrong) == names(source), f"tests/wrong_answers/lesson{lesson}.py: same names, same order"
    assert set(table(source).stub) <= set(names(source))
    for name in names(source):
        assert len(list(wrong_answers(source, name))) >= 3, f"{name} needs three wrong answers at least"


@pytest.mark.parametrize("source", LESSONS, ids=lambda source: source.stem[:2])
def test_every_lesson_is_built(source):
    for kind in ("exercises", "solutions"):
        for language in ("zh", "en"):
            assert (ROOT / kind / language / f"{source.stem}.ipynb").exists(), "run: make lessons"


def test_no_checker_without_a_lesson():
    for folder in ("exercises/checks", "tests/wrong_answers"):
        modules = {path.stem.removeprefix("lesson") for path in (ROOT / folder).glob("lesson*.py")}
        assert modules <= {source.stem[:2] for source in LESSONS}, folder


# ---------------------------------------------------------------------- what the checkers say


@pytest.mark.parametrize("origin", ["source", "solutions"])
@pytest.mark.parametrize(("source", "name"), CASES)
def test_the_solution_passes(source, name, origin):
    notebook = ROOT / "solutions" / "zh" / f"{source.stem}.ipynb"
    fn = (from_source(source) if origin == "source" else from_notebook(notebook))[name]
    for seed in SEEDS:
        found = outcome(source, name, fn, seed)
        assert found.passed, (found.slug, found.message.en, seed)


@pytest.mark.parametrize(("source", "name"), CASES)
def test_the_stub_is_told_from_an_answer(source, name):
    fn = from_notebook(ROOT / "exercises" / "zh" / f"{source.stem}.ipynb")[name]
    expected = table(source).stub.get(name, "todo")
    for seed in SEEDS:
        assert outcome(source, name, fn, seed).slug == expected, seed


@pytest.mark.parametrize(("source", "name"), CASES)
def test_wrong_answers_are_named(source, name):
    faults = []
    for slug, fn in wrong_answers(source, name):
        for seed in SEEDS:
            found = outcome(source, name, fn, seed, slug)
            if found.slug != slug:
                faults.append((slug, "was told", found.slug or "passed", "with seed", seed, found.message.en))
    assert not faults


@pytest.mark.parametrize(("source", "name"), CASES)
def test_words_in_both_languages_give_nothing_away(source, name):
    texts = [("hint", exercises_of(source.stem[:2])[name].hint)]
    texts += [(slug, outcome(source, name, fn, 0, slug).message) for slug, fn in wrong_answers(source, name)]
    for slug, text in texts:
        assert re.search("[\u4e00-\u9fff]", text.zh) and re.search("[a-z]{2}", text.en), (slug, text)
        assert text.zh != text.en, (slug, text)
        if slug != "raised":  # that one shows the learner's own line
            for line in solution_lines(source, name):
                assert line not in f"{text.zh}\n{text.en}", (slug, line)


def solution_lines(source: Path, name: str) -> list[str]:
    """The lines of code that make up the solution, and what stands right of their = or return; long ones only."""
    cell = next(c for c in code_cells(source) if c.attributes.get("exercise") == name and "kind" in c.attributes)
    marked = re.findall("### BEGIN SOLUTION\n(.*?)### END SOLUTION", cell.text, re.DOTALL)
    if not marked:  # minillm's own function
        code = textwrap.dedent(inspect.getsource(from_source(source)[name]))
        body = ast.parse(code).body[0].body
        start = body[1].lineno if isinstance(body[0], ast.Expr) else body[0].lineno
        marked = ["\n".join(code.splitlines()[start - 1 :])]
    lines = [line.split("#")[0].strip() for text in marked for line in text.splitlines()]
    parts = lines + [re.sub(r"^(return|[\w, ]+ [-+*/]?=) +", "", line) for line in lines]
    return [part for part in parts if len(part) >= 12]
