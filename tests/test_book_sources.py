"""How notebooks become pages of the book: ids, links, exercises, glossary. No Sphinx, no browser."""

import json
from pathlib import Path

import pytest

from book.site.course import Course
from book.site.exercises import exercise_cells
from book.site.markdown import change_links, drop_outside_images, mark_headings
from book.site.page import VIEW, lesson_page
from book.site.sources import glossary_page, shown
from minillm.errors import UserError

ADDRESS = "https://github.com/someone/MiniLLM"
SLUGS = {"00": "00_start", "99": "99_last"}


def lesson(number: str, needs: tuple[str, ...] = (), exercises: tuple[str, ...] = ()) -> dict:
    tasks = [
        {"name": name, "title": {"zh": name, "en": name}, "kind": "repair", "difficulty": 2, "minutes": 7}
        for name in exercises
    ]
    words = {"zh": f"第{number}课", "en": f"lesson {number}"}
    facts = {"minutes": 10, "needs": list(needs), "runs": "NP", "exercises": tasks}
    return {"id": number, "slug": SLUGS[number], "title": words, "question": words, **facts}


def notebook(path: Path, *cells: tuple[str, str, str]) -> None:
    """A notebook of (type, id, source)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    extra = {"markdown": {}, "code": {"outputs": [], "execution_count": None}}
    written = [
        {"cell_type": kind, "id": key, "metadata": {}, "source": text, **extra[kind]} for kind, key, text in cells
    ]
    path.write_text(
        json.dumps({"cells": written, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}), encoding="utf-8"
    )


@pytest.fixture
def course(tmp_path) -> Course:
    lessons = [lesson("00"), lesson("99", ("00", "42"), ("mend", "make"))]
    (tmp_path / "notebooks").mkdir()
    data = {"address": ADDRESS + "/", "lessons": lessons}
    (tmp_path / "notebooks" / "course.json").write_text(json.dumps(data), encoding="utf-8")
    notebook(
        tmp_path / "notebooks" / "en" / "99_last.ipynb",
        ("markdown", "title", "# generated"),
        ("code", "setup", "check = setup('99')"),
        (
            "markdown",
            "idea",
            "## The idea\n\n![badge](https://example.org/badge.svg) See [start](00_start.ipynb#run).\n\n### More",
        ),
        ("code", "run", "print(1)"),
        ("markdown", "exercises", "## Exercises\n\na table"),
        ("markdown", "end", "## The end"),
    )
    notebook(
        tmp_path / "exercises" / "en" / "99_last.ipynb",
        ("markdown", "title", "# generated"),
        ("code", "setup", "check = setup('99')"),
        ("code", "imports", "import numpy as np"),
        ("markdown", "ex-mend", "### Exercise 1: Mend\n\nIt is broken."),
        ("code", "ex-mend-code", "def mend(): ..."),
        ("code", "ex-mend-check", "check(mend)"),
        ("markdown", "ex-make", "### Exercise 2: Make"),
        ("code", "ex-make-data", "data = 3"),
        ("code", "ex-make-code", "def make(): ..."),
        ("code", "ex-make-check", "check(make)"),
    )
    return Course.read(tmp_path)


def test_headings_get_their_cells_key_and_code_is_left_alone():
    text = "words\n## One\n```bash\n# no heading\n```\n### Two\n~~~\n## none\n~~~\n#hashtag"
    marked = mark_headings(text, "key").split("\n")
    assert [line for line in marked if line.startswith("%")] == ["% key key", "% key key-2"]
    assert marked[marked.index("## One") - 2] == "% key key" and marked[marked.index("### Two") - 2] == "% key key-2"


def test_links_change_and_code_and_formulas_do_not():
    text = "[a](x) `[b](x)` $[c](x)$ [`d`](x) ![e](x) [f](y)\n```\n[g](x)\n```"
    changed = change_links(text, {"x": "new", "y": None}.get)
    assert changed == "[a](new) `[b](x)` $[c](x)$ [`d`](new) ![e](x) f\n```\n[g](x)\n```"


def test_outside_pictures_go_with_their_links():
    assert (
        drop_outside_images("a [![badge](https://x.org/b.svg)](https://x.org) b ![own](own.png)")
        == "a  b ![own](own.png)"
    )


@pytest.mark.parametrize(
    ("target", "where"),
    [
        ("00_start.ipynb", "00_start.ipynb"),
        ("00_start.ipynb#run", "00_start.ipynb#run"),
        ("../../exercises/zh/99_last.ipynb", "99_last.ipynb#exercises"),
        ("../../solutions/zh/99_last.ipynb", f"{ADDRESS}/blob/main/solutions/zh/99_last.ipynb"),
        ("../en/00_start.ipynb", f"{ADDRESS}/blob/main/notebooks/en/00_start.ipynb"),
        ("../../exercises", f"{ADDRESS}/tree/main/exercises"),
        ("https://arxiv.org/abs/1706.03762", "https://arxiv.org/abs/1706.03762"),
        ("#idea", "#idea"),
    ],
)
def test_links_of_a_lesson_lead_into_the_book_or_to_the_repository(course, target, where):
    assert course.link(target, "zh", "notebooks/zh") == where


def test_page_of_a_lesson(course):
    cells = json.loads(lesson_page(course, course.lessons[1], "en"))["cells"]
    assert [cell["id"] for cell in cells] == ["title", "setup", "idea", "run", "end", "exercises", "ex-mend", "ex-make"]
    title, setup, idea = (cell for cell in cells[:3])
    assert "# 99 lesson 99" in title["source"] and "after [00 lesson 00](00_start.ipynb), 42" in title["source"]
    assert setup["metadata"]["tags"] == ["hide-cell"]
    assert "example.org" not in idea["source"] and "[start](00_start.ipynb#run)" in idea["source"]
    assert idea["source"].count("% key idea") == 2


def test_exercises_come_with_facts_and_code_without_the_check(course, monkeypatch):
    monkeypatch.setattr("book.site.exercises.read_hints", lambda lesson, language: {"make": "Think of `data`."})
    _, mend, make = (cell["source"] for cell in exercise_cells(course, course.lessons[1], "en"))
    assert "repair · ●●○○○ · 7 minutes" in mend and "def mend(): ..." in mend and "import numpy" not in mend
    assert "check(" not in mend + make and "<details" not in mend
    assert make.index("data = 3") < make.index("def make") < make.index("Think of `data`.")
    assert mend.index("### Exercise 1") < mend.index("●") < mend.index("It is broken.")


def test_an_exercise_that_the_notebook_lacks_is_no_silent_gap(course):
    course.lessons[1]["exercises"].pop()
    with pytest.raises(ValueError):
        exercise_cells(course, course.lessons[1], "en")


def test_a_lesson_that_was_not_built_is_named(course):
    with pytest.raises(UserError, match=r"notebooks/zh/99_last\.ipynb is not there: run first: make lessons"):
        lesson_page(course, course.lessons[1], "zh")


def test_live_widgets_do_not_reach_the_page_and_pictures_keep_their_words(course):
    path = course.root / "notebooks" / "en" / "99_last.ipynb"
    data = json.loads(path.read_text(encoding="utf-8"))
    bundle = {VIEW: {"model_id": "x"}, "text/html": "<p>still</p>"}
    words = {"image/png": {"alt": "a curve"}}
    data["cells"][3]["outputs"] = [{"output_type": "display_data", "data": bundle, "metadata": words}]
    path.write_text(json.dumps(data), encoding="utf-8")
    cells = json.loads(lesson_page(course, course.lessons[1], "en"))["cells"]
    assert cells[3]["outputs"][0]["data"] == {"text/html": "<p>still</p>"}
    assert cells[3]["metadata"]["mystnb"]["image"]["alt"] == "a curve"


def test_glossary_is_sorted_and_says_what_not_to_say(tmp_path):
    path = tmp_path / "glossary.csv"
    rows = [
        "张量|~阵,tensor|~array,张力|量,,数。,Numbers.",
        "参数,entropy,,,平均。,Mean.",
        "编号,~id|~ids,,number,位置。,Place.",
    ]
    path.write_text("\n".join(["zh,en,not_zh,not_en,note_zh,note_en", *rows]), encoding="utf-8")
    chinese, english = glossary_page(path, "zh"), glossary_page(path, "en")
    assert chinese.index("**编号**") < chinese.index("**参数**") < chinese.index("**张量**"), (
        "by pinyin: bian, can, zhang"
    )
    assert english.index("**entropy**") < english.index("**id**") < english.index("**tensor**")
    assert "| **张量** | tensor | 数。 *不说：张力、量* |" in chinese
    assert "| **id** | 编号 | Place. *not: number* |" in english


@pytest.mark.parametrize(
    ("forms", "word"),
    [
        ("token", "token"),
        ("~id|~ids", "id"),
        ("tokeniz*|word segmentation|~cut*", "word segmentation"),
        ("overfit*", "overfit"),
    ],
)
def test_shown_form_of_a_term(forms, word):
    assert shown(forms) == word
