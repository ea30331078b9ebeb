"""A teacher's round with nbgrader, with the commands of book/teaching; and whether these commands exist."""

import html
import importlib.util
import os
import re
import shlex
import subprocess
import sys
import textwrap
from pathlib import Path

import nbformat
import pytest
from wrong_answers.lesson05 import WRONG

from book import build
from conftest import ROOT
from exercises.checks import result_of

LESSON = "05_softmax_loss"
GUIDES = {language: ROOT / "book" / "teaching" / f"teaching.{language}.md" for language in ("zh", "en")}
needs_nbgrader = pytest.mark.skipif(
    importlib.util.find_spec("nbgrader") is None, reason="nbgrader is not installed: make teaching"
)

RIGHT_LOSS = """
    def first_loss(vocab_size):
        return math.log(vocab_size)
"""
RIGHT_SOFTMAX = """
    def stable_softmax(z):
        e = np.exp(z - z.max(axis=-1, keepdims=True))
        return e / e.sum(axis=-1, keepdims=True)
"""
SUM_OF_LOSSES = """
    def mean_loss(logits, targets):
        p = stable_softmax(logits)
        return -np.log(p[np.arange(len(logits)), targets]).sum()
"""
RIGHT_BUT_NOISY = """
    import warnings

    def first_loss(vocab_size):
        warnings.warn("a warning is no mistake")
        return math.log(vocab_size)
"""
HARD_CODED = """
    check = print

    def mean_loss(logits, targets):
        return 2.3026
"""


def hand_in(copy: Path, folder: Path, answers: dict[str, str]) -> None:
    """A student's folder with a copy of the exercises, in which some are answered."""
    notebook = nbformat.read(copy, as_version=4)
    cells = {cell.id: cell for cell in notebook.cells}
    for key, answer in answers.items():
        cells[key].source = textwrap.dedent(answer).strip()
    folder.mkdir(parents=True)
    nbformat.write(notebook, folder / copy.name)


def code(path: Path) -> dict[str, str]:
    """The code cells of a notebook by their ids."""
    return {cell.id: cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"}


@needs_nbgrader
@pytest.mark.parametrize("language", ["zh", "en"])
def test_a_teachers_round_gives_the_right_marks(language: str, tmp_path: Path, monkeypatch):
    from nbgrader.api import Gradebook

    monkeypatch.setenv("PATH", os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))  # alembic
    monkeypatch.setenv("MINILLM_PROGRESS", str(tmp_path / "progress.json"))
    course = tmp_path / "class"
    assert build.main(["nbgrader", str(course), "05", "--language", language]) == 0

    def nbgrader(*words: str) -> None:
        command = [sys.executable, "-m", "nbgrader", *words, LESSON]
        done = subprocess.run(command, cwd=course, capture_output=True, encoding="utf-8", check=False)
        assert done.returncode == 0, done.stderr

    nbgrader("generate_assignment")
    released = course / "release" / LESSON / f"{LESSON}.ipynb"
    own_copy = ROOT / "exercises" / language / f"{LESSON}.ipynb"
    assert code(released) == code(own_copy)
    two_right = {"ex-first-loss-code": RIGHT_LOSS, "ex-stable-softmax-code": RIGHT_SOFTMAX}
    hand_in(released, course / "submitted/1001" / LESSON, {**two_right, "ex-mean-loss-code": SUM_OF_LOSSES})
    odd = {"ex-first-loss-code": RIGHT_BUT_NOISY, "ex-mean-loss-code": HARD_CODED}
    hand_in(own_copy, course / "submitted/1002" / LESSON, odd)  # not what was released, and playing tricks
    nbgrader("autograde")
    nbgrader("generate_feedback")

    marks = {}
    with Gradebook(f"sqlite:///{course / 'gradebook.db'}") as gradebook:
        for student in ("1001", "1002"):
            notebook = gradebook.find_submission_notebook(LESSON, LESSON, student)
            marks[student] = {grade.name: (grade.score, grade.max_score) for grade in notebook.grades}
    assert marks["1001"] == {
        "ex-first-loss-check": (1, 1),
        "ex-stable-softmax-check": (1, 1),
        "ex-mean-loss-check": (0, 2),
        "ex-logit-gradient-check": (0, 2),
        "ex-softmax-backward-check": (0, 2),
        "ex-with-temperature-check": (0, 2),
    }
    nothing_more = {key: (0, most) for key, (_, most) in marks["1001"].items()}
    assert marks["1002"] == {**nothing_more, "ex-first-loss-check": (1, 1)}
    page = html.unescape((course / "feedback/1001" / LESSON / f"{LESSON}.html").read_text(encoding="utf-8"))
    mistake = result_of("05", "mean_loss", WRONG["mean_loss"]["sum"]).message.say(language)
    assert f"AssertionError: mean_loss: {mistake}" in page
    assert "framework.py" not in page
    assert not (tmp_path / "progress.json").exists()


# ---- the guides


def commands(language: str) -> list[list[str]]:
    """The words of every command: lines of code blocks, and what stands between backticks."""
    text = GUIDES[language].read_text(encoding="utf-8")
    blocks = re.findall(r"^```\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    return [shlex.split(line) for line in lines + re.findall(r"`((?:make|nbgrader|jupyter) [^`\n]+)`", text)]


def test_both_guides_give_the_same_commands():
    zh, en = ([[word for word in words if word != language] for words in commands(language)] for language in GUIDES)
    assert zh == en
    assert len(zh) > 15


@pytest.mark.parametrize("language", GUIDES)
def test_the_guide_shows_what_the_check_says(language: str):
    mistake = result_of("05", "mean_loss", WRONG["mean_loss"]["sum"]).message.say(language)
    assert f"> {mistake}\n" in GUIDES[language].read_text(encoding="utf-8")


@pytest.mark.parametrize("language", GUIDES)
def test_commands_of_make_and_build_exist(language: str, tmp_path: Path, capsys):
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    seen = set()
    for number, words in enumerate(commands(language)):
        if words[0] == "make":
            assert words[1] in targets, words
        elif words[:3] == ["python", "-m", "book.build"]:
            assert build.main([words[3], str(tmp_path / str(number)), *words[5:]]) == 0, words
        else:
            continue
        seen.add(words[0])
    assert seen == {"make", "python"}


@needs_nbgrader
@pytest.mark.parametrize("language", GUIDES)
def test_commands_of_nbgrader_exist(language: str):
    from nbgrader.apps.nbgraderapp import NbGraderApp

    known = {name: app for name, (app, help_text) in NbGraderApp.subcommands.items() if "DEPRECATED" not in help_text}
    used = [words for words in commands(language) if words[0] == "nbgrader"]
    for words in used:
        assert words[1] in known, words
        options = {*known[words[1]].flags, *known[words[1]].aliases}
        for option in [word for word in words if word.startswith("--") and "." not in word]:
            assert option.removeprefix("--").partition("=")[0] in options, words
    assert {"generate_assignment", "autograde", "generate_feedback", "export"} <= {words[1] for words in used}
