"""Pages of the book that are no lessons: complete, their twins agree, and code that fails is named."""

import ast
import json

import pytest

from conftest import ROOT

pytest.importorskip("jupytext", reason="the book's packages are not installed")
pytest.importorskip("zhplot", reason="the pictures' packages are not installed")

from book.check import pages
from book.site.course import Course
from book.site.pages import run_pages
from book.source import Code, read_page
from minillm import viz, widgets
from minillm.errors import UserError

PAGE = """\
# %% [markdown] key="title" lang="zh"
# # 一页 `x`
# %% [markdown] key="title" lang="en"
# # A page `x`
# %% key="sum"
print(1 + 1)
"""


def planted(folder, text: str) -> Course:
    (folder / "book" / "pages").mkdir(parents=True)
    (folder / "book" / "pages" / "one.py").write_text(text, encoding="utf-8")
    glossary = (ROOT / "book" / "glossary.csv").read_bytes()
    (folder / "book" / "glossary.csv").write_bytes(glossary)
    return Course(folder, "https://github.com/someone/MiniLLM", [])


def called(path) -> set[str]:
    """The names of the functions that the page's code calls."""
    code = "\n".join(cell.code for cell in read_page(path) if isinstance(cell, Code))
    calls = [node.func for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Call)]
    return {call.id for call in calls if isinstance(call, ast.Name)}


def test_every_picture_and_every_control_is_shown():
    elsewhere = {"draw_loss", "png", "use_chinese_font"}  # files and fonts: told in words, or not for readers
    promised = (set(viz.__all__) - elsewhere) | {"play"}
    promised |= {name for name in dir(widgets) if hasattr(getattr(widgets, name), "widget")}
    assert promised <= called(ROOT / "book" / "pages" / "pictures.py")
    assert {"Slider", "Choice", "Words", "Toggle"} <= promised


def test_the_code_runs_once_and_stands_in_both_languages(tmp_path):
    found = run_pages(planted(tmp_path, PAGE))
    for language, title in (("zh", "一页"), ("en", "A page")):
        cells = json.loads(found[language]["one.ipynb"])["cells"]
        assert title in cells[0]["source"]
        assert cells[1]["outputs"][0]["text"] == "2\n"


def test_a_cell_that_fails_is_named(tmp_path):
    with pytest.raises(UserError, match=r'book/pages/one.py, cell "sum": ZeroDivisionError'):
        run_pages(planted(tmp_path, PAGE.replace("1 + 1", "1 / 0")))


def test_twins_that_disagree_are_found(tmp_path):
    assert not pages(planted(tmp_path / "good", PAGE).root)
    found = pages(planted(tmp_path / "bad", PAGE.replace("A page `x`", "A page")).root)
    assert [finding.key for finding in found] == ["title"]
