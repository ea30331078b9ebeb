"""The capstone: the solution passes, the empty package and wrong answers are told what they are."""

import importlib
import inspect
import shutil

import pytest
from processes import ENV, python
from wrong_answers.capstone import WRONG

from conftest import ROOT
from exercises.checks import exercises_of, result_of

EMPTY = importlib.import_module("exercises.capstone.adapters")
SOLUTION = importlib.import_module("solutions.capstone.adapters")
STEPS = list(exercises_of("capstone"))
SEEDS = range(3)


def functions(module) -> dict:
    return {
        name: fn for name, fn in vars(module).items() if inspect.isfunction(fn) and fn.__module__ == module.__name__
    }


def test_steps_adapters_solution_and_wrong_answers_have_the_same_names():
    assert STEPS == list(functions(EMPTY)) == list(functions(SOLUTION)) == list(WRONG)
    for name, fn in functions(EMPTY).items():
        assert inspect.signature(fn) == inspect.signature(getattr(SOLUTION, name))
        assert inspect.getdoc(fn) == inspect.getdoc(getattr(SOLUTION, name))
        assert len(WRONG[name]) >= 3, f"{name} needs three wrong answers at least"


@pytest.mark.parametrize("name", STEPS)
def test_the_solution_passes(name):
    for seed in SEEDS if name != "train" else range(1):  # training takes most of a minute
        found = result_of("capstone", name, getattr(SOLUTION, name), seed=seed)
        assert found.passed, (found.slug, found.message.en, seed)


@pytest.mark.parametrize("name", STEPS)
def test_an_empty_step_is_told_so(name):
    assert result_of("capstone", name, getattr(EMPTY, name), seed=0).slug == "todo"


@pytest.mark.parametrize("name", STEPS)
def test_wrong_answers_are_named(name):
    faults = []
    for slug, fn in WRONG[name].items():
        for seed in SEEDS:
            found = result_of("capstone", name, fn, seed=seed)
            if found.slug != slug:
                faults.append((slug, "was told", found.slug or "passed", "with seed", seed, found.message.en))
    assert not faults


# ---------------------------------------------------------------------- the command


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A learner's folder, with text.py written and called."""
    monkeypatch.setitem(ENV, "MINILLM_PROGRESS", str(tmp_path / "progress.json"))
    folder = tmp_path / "exercises" / "capstone"
    shutil.copytree(ROOT / "exercises" / "capstone", folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "exercises" / "checks", tmp_path / "exercises" / "checks")
    shutil.copy(ROOT / "exercises" / "__init__.py", tmp_path / "exercises")
    shutil.copy(ROOT / "solutions" / "capstone" / "my_gpt" / "text.py", folder / "my_gpt")
    adapters = (folder / "adapters.py").read_text(encoding="utf-8")
    adapters = adapters.replace("raise NotImplementedError", "return text.vocabulary(document)", 1)
    adapters = adapters.replace("\n\n\ndef", "\n\nfrom .my_gpt import text\n\n\ndef", 1)
    (folder / "adapters.py").write_text(adapters, encoding="utf-8")
    return folder


def run(folder, *words):
    done = python("-m", "exercises.capstone", *words, cwd=folder.parents[1])
    return done.returncode, done.stdout.strip().splitlines(), done.stderr.strip()


def test_the_command_goes_as_far_as_the_learner_has_come(own):
    code, lines, _ = run(own, "--english", "--hint")
    assert code == 1
    assert [line.split()[1:] for line in lines[:1]] == [["✓", "Passed", "vocabulary"]]
    assert "Not yet encode" in lines[1] and "Hint" in lines[2] and len(lines) == 3
    assert run(own, "vocabulary")[0] == 0
    assert "vocabulary" in (own.parents[1] / "progress.json").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("file", "code", "said"),
    [
        ("my_gpt/text.py", "import torch\n", "text.py:1: "),
        ("my_gpt/text.py", "import os\nfrom minillm.np import gpt\n", "not minillm.np"),
        ("my_gpt/text.py", "def f(:\n", "SyntaxError"),
        ("my_gpt/text.py", "import numpy\n1 / 0\n", "text.py:2: ZeroDivisionError"),
        ("adapters.py", "x = 1\n", "no function vocabulary"),
    ],
)
def test_what_cannot_be_checked_is_told_in_one_line(own, file, code, said):
    (own / file).write_text(code, encoding="utf-8")
    status, lines, error = run(own)
    assert (status, lines) == (2, [])
    assert said in error and len(error.splitlines()) == 1


def test_a_step_that_is_none(own):
    assert "no step gpt: choose from vocabulary" in run(own, "gpt")[2]
