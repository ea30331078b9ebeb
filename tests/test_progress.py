"""The learner's progress: one small file that survives accidents, and how it is shown."""

import json
import multiprocessing
import os
import re
import sys
import unicodedata

import pytest
from processes import python

from minillm import progress
from minillm.cli import main
from minillm.errors import UserError

COURSE = {
    "lessons": [
        {"id": "00", "slug": "00_start", "title": {"zh": "开始", "en": "Start"}, "exercises": []},
        {
            "id": "05",
            "slug": "05_softmax_loss",
            "title": {"zh": "softmax 与交叉熵", "en": "Softmax & cross-entropy"},
            "exercises": [
                {"name": "softmax", "title": {"zh": "稳定的 <softmax>", "en": "A stable <softmax>"}},
                {"name": "loss", "title": {"zh": "损失", "en": "The loss"}},
            ],
        },
        {
            "id": "07",
            "slug": "07_attention",
            "title": {"zh": "注意力", "en": "Attention"},
            "exercises": [{"name": "attend", "title": {"zh": "加权平均", "en": "A weighted average"}}],
        },
    ]
}


@pytest.fixture
def file(monkeypatch, tmp_path):
    """The progress file of a learner who has just begun."""
    path = tmp_path / "home" / "progress.json"
    monkeypatch.setenv(progress.VARIABLE, str(path))
    monkeypatch.setattr(progress, "_said", set())
    return path


@pytest.fixture
def course(monkeypatch):
    monkeypatch.setattr(progress, "course_map", lambda: COURSE["lessons"])


def test_tries_and_passes_are_kept(file):
    assert progress.read() == {}
    for passed in (False, True, False, True):
        progress.record("05", "softmax", passed)
    progress.record("07", "attend", False)
    store = progress.read()
    entry = store["05"]["softmax"]
    assert entry["tries"] == 4
    assert entry["tried"] <= entry["passed"]
    assert store["07"]["attend"]["passed"] is None
    assert not list(file.parent.glob("*.tmp"))


def test_the_first_pass_counts(file, monkeypatch):
    progress.record("05", "softmax", True)
    store = progress.read()
    store["05"]["softmax"]["passed"] = "2020-01-01T00:00:00"
    file.write_text(json.dumps({"version": 1, "exercises": store}))
    progress.record("05", "softmax", True)
    assert progress.read()["05"]["softmax"]["passed"] == "2020-01-01T00:00:00"


def test_at_home_unless_told_otherwise(monkeypatch, tmp_path):
    monkeypatch.delenv(progress.VARIABLE, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    progress.record("05", "softmax", True)
    assert (tmp_path / ".minillm" / "progress.json").exists()


def test_an_empty_variable_keeps_nothing(monkeypatch, tmp_path):
    monkeypatch.setenv(progress.VARIABLE, "")
    monkeypatch.setenv("HOME", str(tmp_path))
    progress.record("05", "softmax", True)
    assert progress.read() == {} and not list(tmp_path.iterdir())
    assert progress.reset() is None


DAMAGED = {
    "half a file": b'{"version": 1, "exercises": {"05"',
    "empty": b"",
    "binary": bytes(range(256)),
    "a list": b"[]",
    "no exercises": b'{"version": 1}',
    "no records": b'{"version": 1, "exercises": {"05": []}}',
    "a record without tries": b'{"version": 1, "exercises": {"05": {"softmax": {}}}}',
    "deep": b"[" * 100_000,
}


@pytest.mark.parametrize("case", DAMAGED)
def test_a_damaged_file_is_kept_aside(case, file, capsys):
    file.parent.mkdir()
    file.write_bytes(DAMAGED[case])
    progress.record("05", "softmax", True, "en")
    assert progress.read()["05"]["softmax"]["tries"] == 1
    assert file.with_name("progress.json.damaged").read_bytes() == DAMAGED[case]
    err = capsys.readouterr().err
    assert "damaged" in err and err.count("\n") == 1


@pytest.mark.parametrize("language", ["zh", "en"])
def test_a_place_that_cannot_be_written_is_told_once_and_fails_nothing(language, monkeypatch, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(progress, "_said", set())
    monkeypatch.setenv(progress.VARIABLE, str(tmp_path / "file" / "progress.json"))
    for _ in range(3):
        progress.record("05", "softmax", True, language)
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and {"zh": "进度没有记下来", "en": "Progress was not kept"}[language] in err


def test_a_folder_or_no_home_fails_nothing(file, monkeypatch, capsys):
    file.mkdir(parents=True)
    progress.record("05", "softmax", True)
    with pytest.raises(UserError, match="cannot be read"):
        progress.read()
    progress.show()
    monkeypatch.setenv(progress.VARIABLE, "~there_is_no_such_user/progress.json")
    progress.record("05", "softmax", True)
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.skipif(sys.platform == "win32" or not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may")
def test_a_folder_that_is_read_only(file, capsys):
    file.parent.mkdir()
    file.parent.chmod(0o500)
    progress.record("05", "softmax", True)
    file.parent.chmod(0o700)
    assert capsys.readouterr().err.count("\n") == 1


def write_many(path: str, name: str) -> None:
    os.environ[progress.VARIABLE] = path
    for _ in range(5):
        progress.record("05", name, True)


def test_what_another_notebook_wrote_meanwhile_stays(file):
    context = multiprocessing.get_context("spawn")
    first = context.Process(target=write_many, args=(str(file), "other"))
    progress.record("05", "mine", True)
    first.start()
    first.join()
    progress.record("05", "mine", True)
    assert {name: entry["tries"] for name, entry in progress.read()["05"].items()} == {"mine": 2, "other": 5}


def test_reset_keeps_the_old_file(file):
    assert progress.reset() is None
    progress.record("05", "softmax", True)
    old = progress.reset()
    assert progress.read() == {} and json.loads(old.read_text())["exercises"]["05"]


# ---------------------------------------------------------------------- the map of lessons


def test_the_map_is_found_beside_the_package_or_above_the_current_directory(tmp_path, monkeypatch):
    monkeypatch.setattr(progress, "__file__", str(tmp_path / "site" / "minillm" / "progress.py"))
    monkeypatch.chdir(tmp_path)
    assert progress.course_map() == []
    (tmp_path / "notebooks" / "zh").mkdir(parents=True)
    (tmp_path / "notebooks" / "course.json").write_text(json.dumps(COURSE, ensure_ascii=False), encoding="utf-8")
    monkeypatch.chdir(tmp_path / "notebooks" / "zh")
    assert progress.course_map() == COURSE["lessons"]
    (tmp_path / "notebooks" / "course.json").write_text("{", encoding="utf-8")
    assert progress.course_map() == []


def test_the_summary_counts_and_says_what_comes_next(file, course):
    assert progress.summary()["next"]["name"] == "softmax"
    progress.record("05", "softmax", True)
    progress.record("05", "loss", False)
    progress.record("05", "renamed since", True)  # no longer in the course
    progress.record("07", "attend", True)
    found = progress.summary("en")
    assert [(lesson["done"], lesson["total"]) for lesson in found["lessons"]] == [(0, 0), (1, 2), (1, 1)]
    assert (found["done"], found["total"]) == (2, 3)
    assert found["next"] == {
        "lesson": "05",
        "notebook": "exercises/en/05_softmax_loss.ipynb",
        "name": "loss",
        "title": "The loss",
    }
    progress.record("05", "loss", True)
    assert progress.summary()["next"] is None


def columns(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)


@pytest.mark.parametrize("language", ["zh", "en"])
def test_the_table_lines_up(language, file, course):
    progress.record("05", "softmax", True)
    lines = progress.table(language).splitlines()
    bars = [line for line in lines if "░" in line or "█" in line]
    assert len(bars) == 3
    assert len({columns(re.split("[█░]", line)[0]) for line in bars}) == 1
    assert "█████░░░░░  1/2" in lines[1]
    assert (
        lines[-1]
        == {
            "zh": "下一个：第 05 课，损失 (exercises/zh/05_softmax_loss.ipynb)",
            "en": "Next: lesson 05, The loss (exercises/en/05_softmax_loss.ipynb)",
        }[language]
    )


def test_without_a_map_what_the_file_holds(file, monkeypatch):
    monkeypatch.setattr(progress, "course_map", list)
    assert progress.table("zh") == "还没有做过练习。"
    progress.record("07", "attend", True)
    progress.record("05", "softmax", False)
    assert [line[:2] for line in progress.table("zh").splitlines()[:2]] == ["05", "07"]
    assert "softmax" in progress.table("en").splitlines()[-1]


@pytest.mark.parametrize("language", ["zh", "en"])
def test_the_html_table(language, file, course, capsys):
    progress.record("05", "softmax", True)
    html = progress.html(language)
    assert "&lt;softmax&gt;" in html and "<softmax>" not in html
    assert "width: 50%" in html and "1/2" in html
    assert html.count("<tr>") == 4 and html.count("</tr>") == 4
    progress.show(language)  # no notebook here
    assert capsys.readouterr().out == progress.table(language) + "\n"


# ---------------------------------------------------------------------- the command


def test_the_command(file, course, capsys):
    progress.record("05", "softmax", True)
    assert main(["progress"]) == 0
    assert capsys.readouterr().out == progress.table("zh") + "\n"
    assert main(["progress", "--language", "en"]) == 0
    assert capsys.readouterr().out == progress.table("en") + "\n"
    assert main(["progress", "--json"]) == 0
    out, err = capsys.readouterr()
    assert out.count("\n") == 1 and err == "" and json.loads(out)["done"] == 1
    assert main(["progress", "--reset", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["old"].endswith("progress.json.old")
    assert main(["progress", "--reset"]) == 0
    assert capsys.readouterr().out == "nothing is kept yet\n"


def test_the_command_with_a_file_that_cannot_be_read(file, capsys):
    file.mkdir(parents=True)
    assert main(["progress"]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("minillm progress: ") and err.count("\n") == 1


def test_a_real_process_needs_nothing_heavy(file):
    code = """
import sys
from minillm.cli import main
main(["progress"])
print([m for m in ("numpy", "torch", "matplotlib", "IPython") if m in sys.modules], file=sys.stderr)
"""
    done = python("-c", code)
    assert (done.returncode, done.stderr) == (0, "[]\n")
