"""The start page and the command that opens it, without a browser."""

import json
import os
import re
import urllib.request
from html import unescape

import pytest
from lab_session import Lab, copy_course

from book import lab, start
from conftest import ROOT
from minillm.errors import UserError

DONE = {"tried": "2030-01-02T09:00:00", "passed": "2030-01-02T09:00:00", "tries": 1}
TRIED = {**DONE, "passed": None}


def lesson(number, needs=(), exercises=2, **more):
    title = {"zh": f"第{number}课", "en": f"Lesson {number}"}
    names = [f"e{i}" for i in range(exercises)]
    return {
        **{"id": number, "slug": f"{number}_slug", "title": title, "question": {"zh": "为什么？", "en": "Why?"}},
        **{"minutes": 45, "needs": list(needs), "runs": "NP", "exercises": [{"name": name} for name in names]},
        **more,
    }


LESSONS = [
    lesson("00"),
    lesson("01", ["00"]),
    lesson("05", ["00"], exercises=5),
    lesson("07", ["05"], runs="PT"),
    lesson("13", ["12"], exercises=0),
]
COURSE = {"address": "https://github.com/owner/name", "lessons": LESSONS}


def store(**passed):
    """Progress: store(L00=2) is a learner who passed two exercises of lesson 00."""
    return {key[1:]: {f"e{i}": DONE for i in range(count)} for key, count in passed.items()}


@pytest.fixture
def course(tmp_path):
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks" / "course.json").write_text(json.dumps(COURSE), encoding="utf-8")
    return tmp_path


@pytest.fixture
def progress_file(tmp_path, monkeypatch):
    monkeypatch.setenv("MINILLM_PROGRESS", str(tmp_path / "progress.json"))
    return tmp_path / "progress.json"


def cells_of(page) -> dict[str, str]:
    return {cell["id"]: cell["source"] for cell in page["cells"]}


def row_of(page, number) -> str:
    """The text of a lesson's line in the map."""
    rows = re.findall("<tr.*?</tr>", cells_of(page)["map"])
    texts = [unescape(re.sub(r"<[^>]*>", " ", row)) for row in rows]
    return next(" ".join(text.split()) for text in texts if re.match(rf"[\s→✓]*{number}\s", text))


# ---------------------------------------------------------------------- the page


def test_the_page_is_a_valid_notebook():
    nbformat = pytest.importorskip("nbformat")
    nbformat.validate(start.page(COURSE, {}))


def test_a_line_of_the_map_says_all_of_a_lesson():
    page = start.page(COURSE, {"05": {"e0": DONE, "e1": TRIED, "e4": DONE}})
    assert row_of(page, "05") == "05 第05课 Lesson 05 00 45 NP ●● ○○○ 2/5 中文 · English"
    assert row_of(page, "07") == "07 第07课 Lesson 07 05 45 PT ○○ 0/2 中文 · English"
    assert row_of(page, "13") == "13 第13课 Lesson 13 12 45 NP"  # nothing to do, so nothing to count
    links = re.findall('href="(.*?)"', cells_of(page)["map"])
    assert links[8:12] == [
        *("zh/05_slug.ipynb", "en/05_slug.ipynb"),
        *("../exercises/zh/05_slug.ipynb", "../exercises/en/05_slug.ipynb"),
    ]


def test_lessons_stand_under_the_parts_of_the_syllabus():
    text = re.sub("<.*?>", "", cells_of(start.page(COURSE, {}))["map"])
    wanted = ["0　开始 Start", "第00课", "I　文字 Text", "第01课", "II　", "第05课", "第07课", "III　PyTorch", "第13课"]
    places = [text.index(word) for word in wanted]
    assert places == sorted(places)
    assert "IV" not in text  # a part without lessons


@pytest.mark.parametrize(
    ("progress", "says", "number"),
    [
        (store(), "从这里开始 Start here", "00"),
        (store(L00=1), "接着学 Go on with", "00"),
        (store(L00=2), "接着学 Go on with", "01"),
        (store(L00=2, L01=2), "接着学 Go on with", "05"),
        (store(L00=2, L05=5), "接着学 Go on with", "01"),
        (store(L01=2, L05=5, L07=2), "接着学 Go on with", "00"),
        (store(L00=2, L01=2, L05=5, L07=2), "祝贺你", None),
    ],
)
def test_the_next_step(progress, says, number):
    page = start.page(COURSE, progress)
    text = cells_of(page)["next"]
    assert says in text
    assert re.findall('href="(.*?)"', text) == (
        [f"zh/{number}_slug.ipynb", f"en/{number}_slug.ipynb"] if number else []
    )
    assert cells_of(page)["map"].count("→") == (1 if number else 0)
    if number:
        assert row_of(page, number).startswith(f"→ {number}")


def test_a_lesson_waits_for_its_prerequisites():
    lessons = [lesson("01", ["05"]), lesson("05")]
    assert start.recommended(lessons, {})["id"] == "05"
    assert start.recommended(lessons, store(L05=2))["id"] == "01"
    assert start.recommended([lesson("01", ["05"])], {})["id"] == "01", "lesson 05 is not written yet"
    assert start.recommended([lesson("01", ["05"]), lesson("05", ["01"])], {})["id"] == "01", "better than none"


def test_a_finished_lesson_is_marked():
    page = start.page(COURSE, store(L00=2))
    assert row_of(page, "00").startswith("✓ 00")
    assert not row_of(page, "13").startswith("✓")


def test_titles_are_text_and_not_html():
    strange = lesson("00", title={"zh": "a < b & c", "en": '<script>"'}, question={"zh": '"><b>', "en": "?"})
    html = start.lesson_map([strange], {}) + start.next_step([strange], {})
    assert "a &lt; b &amp; c" in html
    assert "<script>" not in html and "<b>" not in html


def test_every_link_of_the_course_leads_somewhere():
    page = start.page(start.load_course(ROOT), {})
    text = "\n".join(cells_of(page).values())
    links = [*re.findall('href="(.*?)"', text), *re.findall(r"\]\((\.\./.*?)\)", text)]
    assert len(links) > 8
    assert [link for link in links if not (ROOT / "notebooks" / link).is_file()] == []


# ---------------------------------------------------------------------- the command


@pytest.fixture
def launched(monkeypatch):
    """The arguments with which JupyterLab would have been started."""
    labapp = pytest.importorskip("jupyterlab.labapp")
    monkeypatch.setattr(os, "environ", dict(os.environ))
    monkeypatch.setattr(lab, "own_folder", lambda: None)
    seen = []
    monkeypatch.setattr(labapp.LabApp, "launch_instance", seen.append)
    return seen


def test_arguments_go_on_to_jupyterlab(course, progress_file, launched, monkeypatch):
    monkeypatch.setattr(lab, "ROOT", course)
    os.environ["PYTHONPATH"] = "elsewhere"
    os.environ.pop("JUPYTER_CONFIG_PATH", None)
    assert lab.main(["--no-browser", "--port", "9000"]) == 0
    assert launched == [["--no-browser", "--port", "9000"]]
    assert os.environ["PYTHONPATH"] == os.pathsep.join([str(course), "elsewhere"])
    assert os.environ["JUPYTER_CONFIG_PATH"] == str(ROOT / "book" / "jupyter")
    assert (course / start.PLACE).is_file()


@pytest.mark.parametrize("content", [None, "[", '{"lessons": 3}', "[]"])
def test_without_a_map_one_line_says_what_to_run(course, progress_file, launched, monkeypatch, capsys, content):
    monkeypatch.setattr(lab, "ROOT", course)
    file = course / "notebooks" / "course.json"
    file.unlink() if content is None else file.write_text(content, encoding="utf-8")
    assert lab.main([]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and "make lessons" in err
    assert not launched


def test_without_jupyterlab_one_line_says_what_to_run(course, monkeypatch):
    monkeypatch.setattr(lab, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install -r requirements\.txt"):
        lab.prepare(course)


def test_a_damaged_progress_file_is_set_aside(course, progress_file, capsys):
    pytest.importorskip("jupyterlab")
    progress_file.write_text('{"version": 1, "exerc', encoding="utf-8")
    lab.prepare(course)
    assert capsys.readouterr().err.count("\n") == 1
    assert progress_file.with_name("progress.json.damaged").is_file()
    assert "从这里开始" in (course / start.PLACE).read_text(encoding="utf-8")


def test_an_unreadable_progress_file_stops_nobody(course, progress_file, capsys):
    pytest.importorskip("jupyterlab")
    progress_file.mkdir()
    lab.prepare(course)
    assert "cannot be read" in capsys.readouterr().err
    assert (course / start.PLACE).is_file()


def test_progress_is_read(course, progress_file):
    pytest.importorskip("jupyterlab")
    progress_file.write_text(json.dumps({"version": 1, "exercises": store(L00=2)}), encoding="utf-8")
    lab.prepare(course)
    page = json.loads((course / start.PLACE).read_text(encoding="utf-8"))
    assert row_of(page, "00").endswith("2/2 中文 · English")


def test_built_notebooks_are_trusted_and_damaged_ones_skipped(course, tmp_path):
    nbformat = pytest.importorskip("nbformat")
    sign = pytest.importorskip("nbformat.sign")
    start.write(course, {})
    for number, text in enumerate(["", "{", "[]", '{"cells": 1}']):
        (course / "notebooks" / f"damaged{number}.ipynb").write_text(text, encoding="utf-8")
    home = tmp_path / "home"
    home.mkdir()
    lab.trust(course, home)
    notary = sign.NotebookNotary(data_dir=str(home))
    book = nbformat.read(course / start.PLACE, as_version=4)
    assert notary.check_signature(book)
    book.cells[0].source = "other"
    assert not notary.check_signature(book)


@pytest.mark.skipif(os.name == "nt", reason="no terminals to make, and no Ctrl-C for one process")
def test_a_server_that_starts_quietly_looks_for_no_news_and_stops_at_ctrl_c(tmp_path):
    pytest.importorskip("jupyterlab")

    def ask(path: str) -> str:
        url = f"{running.info['url']}{path}?token={running.info['token']}"
        return urllib.request.urlopen(url, timeout=60).read().decode()

    _, terminal = os.openpty()  # on a terminal Jupyter would ask before it stops
    with Lab(copy_course(tmp_path / "course"), tmp_path / "home", terminal) as running:
        assert "MiniLLM" in ask("api/contents/notebooks/start.ipynb")
        defaults = json.loads(ask("lab/api/settings/@jupyterlab/apputils-extension:notification"))["schema"][
            "properties"
        ]
        assert defaults["fetchNews"]["default"] == "false"
        assert defaults["checkForUpdates"]["default"] is False
        assert '"buildCheck": false' in ask("lab")
        assert running.stop() == 0
    said = running.said()
    assert "lab/tree/notebooks/start.ipynb?token=" in said
    assert "Traceback" not in said and "[I " not in said and "[W " not in said
