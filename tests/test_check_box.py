"""What a notebook shows of a check, in both languages; what is kept; marks under nbgrader."""

import json
import os

import numpy as np
import pytest
from toy_lesson import RIGHT, learner, toy

from conftest import ROOT
from exercises.checks import T, exercises_of, lesson
from exercises.checks.box import STATES, html, plain
from minillm import progress

__all__ = ["toy"]  # a fixture that every test here uses


@pytest.mark.parametrize("language", ["zh", "en"])
def test_the_box_says_a_word_first_and_escapes_the_rest(language):
    message, hint = T("<b>坏 & `a<b`</b>\n第二行", "<b>bad & `a<b`</b>\nline two"), T("看 <这里>", "see <here>")
    for state, (word, colour) in STATES.items():
        box = html(state, "f", message, language, hint)
        assert f">{word.say(language)}<" in box and colour in box and 'role="status"' in box
        assert "<b>" not in box and "<这里>" not in box and "<here>" not in box
        assert plain(state, "f", message, language, hint).startswith(word.say(language))
    box = html("wrong", "f", message, language, hint)
    assert "<code>a&lt;b</code>" in box and "<br>" in box
    assert box.index("<details") < box.index("&lt;here&gt;" if language == "en" else "&lt;这里&gt;")
    text = plain("wrong", "f", message, language, hint)
    assert "check.hint(f)" in text and hint.say(language) not in text


def test_a_check_in_plain_python(capsys):
    check = lesson("98", "en")
    assert check(learner(RIGHT)) is None
    assert capsys.readouterr().out == "✓ Passed normalise\n"
    assert check(learner("return x / x.sum()")) is None
    out = capsys.readouterr().out
    assert out == "✗ Not yet right normalise: the whole array\nFor a hint: check.hint(normalise)\n"
    assert check.last.slug == "all"
    check.hint("normalise")
    assert capsys.readouterr().out == "→ Hint normalise: Divided by <what>? See `axis`.\n"
    check.hint(learner("pass"))
    assert "Divided by" in capsys.readouterr().out
    check(learner("raise NotImplementedError"))
    assert capsys.readouterr().out.startswith("○ Not yet normalise: ")


MISUSE = {
    "a result": np.ones(2),
    "nothing": None,
    "a name in quotes": "normalise",
    "a lambda": lambda x: x,
    "another function": len,
    "a partial": __import__("functools").partial(len, []),
}


@pytest.mark.parametrize("case", MISUSE)
@pytest.mark.parametrize("language", ["zh", "en"])
def test_misuse_is_told_with_the_names_of_the_exercises(case, language, capsys):
    check = lesson("98", language)
    check(MISUSE[case])
    out = capsys.readouterr().out
    assert "`normalise`, `guess`" in out and out.count("\n") == 1
    assert check.last.slug == "usage"
    assert progress.read() == {}
    if case != "a name in quotes":
        check.hint(MISUSE[case])
        assert "`normalise`, `guess`" in capsys.readouterr().out


def test_a_lesson_without_checkers(capsys):
    assert exercises_of("97") == {}
    lesson("97", "zh")(len)
    assert "第 97 课" in capsys.readouterr().out


def test_a_checker_module_that_cannot_be_imported_is_no_missing_one(monkeypatch, tmp_path):
    import exercises.checks

    (tmp_path / "lesson96.py").write_text("import there_is_no_such_module\n")
    monkeypatch.setattr(exercises.checks, "__path__", [*exercises.checks.__path__, str(tmp_path)])
    with pytest.raises(ModuleNotFoundError, match="there_is_no_such_module"):
        exercises_of("96")


def test_under_nbgrader_a_failing_check_raises(monkeypatch, capsys):
    monkeypatch.setenv("NBGRADER_EXECUTION", "autograde")
    check = lesson("98", "zh")
    check(learner(RIGHT))
    for body, says in (("return x / x.sum()", "normalise: 整个数组"), ("raise NotImplementedError", "还没写")):
        with pytest.raises(AssertionError, match=says):
            check(learner(body))
    with pytest.raises(AssertionError, match="normalise"):
        check(None)
    assert "✗ 还不对" in capsys.readouterr().out
    assert progress.read() == {}  # a teacher's machine is no learner's


def test_tries_are_kept_and_stubs_are_not(capsys):
    check = lesson("98")
    check(learner("raise NotImplementedError"))
    assert progress.read() == {}
    for body in ("return x", "pass", RIGHT, "return x"):
        check(learner(body))
    entry = progress.read()["98"]["normalise"]
    assert entry["tries"] == 4 and entry["passed"]  # passed once is passed


CELLS = [
    "from exercises.checks import lesson, exercise, T\nimport types, sys\n"
    "m = types.ModuleType('exercises.checks.lesson98')\n"
    "@exercise(hint=T('提示', 'hint'), rounds=1, seconds=1)\ndef f(run):\n    run.equal(run.call(1), 2)\n"
    "m.f = f\nsys.modules[m.__name__] = m\ncheck = lesson('98', 'zh')",
    "def f(x):\n    print('in f')\n    return 1 + 1",
    "check(f)",
    "def f(x):\n    y = x\n    return y / 0",
    "check(f)",
    "def f(x):\n    while True:\n        pass",
    "check(f)",
]


def test_in_a_real_notebook(tmp_path):
    """Prints stay above the box, the box comes as HTML and text, and a faulty line of a cell is quoted."""
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in CELLS])
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    nbclient.NotebookClient(notebook, timeout=60, kernel_name="python3").execute(cwd=str(tmp_path), env=environment)
    right, wrong, endless = (notebook.cells[i].outputs for i in (2, 4, 6))
    assert [output.output_type for output in right] == ["stream", "display_data"]
    assert right[0].text == "in f\n"
    assert set(right[1].data) == {"text/html", "text/plain"} and right[1].data["text/plain"] == "✓ 通过 f"
    assert "（第 3 行 `return y / 0`）" in wrong[0].data["text/plain"] and len(wrong) == 1
    assert "死循环" in endless[0].data["text/html"]
    assert json.loads((tmp_path / "progress.json").read_text())["exercises"]["98"]["f"]["tries"] == 3
