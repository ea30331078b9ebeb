"""The first cell of a notebook: installs what is missing and no more, says so, may be run again."""

import logging
import subprocess
import sys
import types
from importlib.metadata import version

import pytest

from conftest import ROOT

pytest.importorskip("matplotlib")

from minillm import notebook

BIG = {"torch", "numpy", "matplotlib", "ipywidgets"}


@pytest.fixture
def machine(monkeypatch):
    """A machine where `missing` is not installed; `asked` collects the calls of pip, which ends with `code`."""
    state = types.SimpleNamespace(missing=set(), asked=[], code=0)
    real = notebook.find_spec

    def run(command, **options):
        state.asked.append(command)
        assert options["capture_output"], "pip's own words do not reach the notebook"
        return subprocess.CompletedProcess(command, state.code, b"", b"ERROR: No matching distribution")

    monkeypatch.setattr(notebook, "find_spec", lambda name: None if name in state.missing else real(name))
    monkeypatch.setattr(notebook.subprocess, "run", run)
    monkeypatch.setattr(notebook, "checker", lambda lesson, language: (lesson, language))
    return state


def wanted(command):
    return [word for word in command[command.index("install") + 1 :] if word[0] != "-" and not word.isdigit()]


def test_a_complete_machine_is_left_alone(machine, capsys):
    assert notebook.setup("05") == ("05", "zh")
    assert machine.asked == []
    out = capsys.readouterr().out
    assert out.startswith(f"准备好了：NumPy {version('numpy')}，") and out.endswith("画图用 Noto Sans SC。\n")
    assert out.count("\n") == 1


def test_exactly_what_is_missing_is_installed(machine, capsys):
    machine.missing = {"jieba", "tqdm"}
    notebook.setup("01", "en")
    (command,) = machine.asked
    assert command[:4] == [sys.executable, "-m", "pip", "install"] and "--quiet" in command
    assert wanted(command) == ["tqdm", "jieba"]
    assert capsys.readouterr().out.splitlines()[0] == "Installed just now: tqdm, jieba."


def test_large_packages_are_never_installed(machine):
    machine.missing = {*BIG, *notebook.SMALL} - {"matplotlib"}
    notebook.setup("01")
    assert sorted(wanted(machine.asked[0])) == sorted(notebook.SMALL)
    assert not BIG & {word.split("=")[0] for word in machine.asked[0]}


def test_without_network_one_line_says_what_to_do(machine, capsys):
    machine.missing, machine.code = {"safetensors", "zhplot"}, 1
    assert notebook.setup("05") == ("05", "zh")
    first, second = capsys.readouterr().out.splitlines()
    assert "safetensors、zhplot" in first and first.endswith("-m pip install safetensors zhplot")
    assert second.startswith("准备好了")


def test_what_is_not_here_is_said(machine, capsys, monkeypatch):
    monkeypatch.setattr(notebook, "release", lambda name: "" if name == "torch" else "1.0")
    machine.missing = {"matplotlib"}
    notebook.setup("05")
    assert "没有 PyTorch，只有标着 PT 的内容需要它，没有 matplotlib" in capsys.readouterr().out


def test_twice_is_as_good_as_once(machine, capsys):
    import matplotlib

    for _ in range(2):
        notebook.setup("05", "en")
    first, second = capsys.readouterr().out.splitlines()
    assert first == second
    assert logging.getLogger("jieba").filters.count(notebook.loud) == 1
    assert matplotlib.rcParams["figure.dpi"] == 110
    assert matplotlib.rcParams["font.family"] == ["DejaVu Sans", "Noto Sans SC"]


def test_languages_say_the_same_things():
    assert notebook.SAYS["zh"].keys() == notebook.SAYS["en"].keys()
    with pytest.raises(ValueError, match="zh or en"):
        notebook.setup("05", "fr")


def test_jieba_is_quiet():
    pytest.importorskip("jieba")
    code = "from minillm.notebook import silence_jieba; silence_jieba(); import jieba; print(jieba.lcut('北京天安门'))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout and done.stderr == ""


def test_colab_is_asked_for_new_widgets_only(monkeypatch):
    asked = []
    for name in ("google", "google.colab", "google.colab.output"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    sys.modules["google.colab.output"].enable_custom_widget_manager = lambda: asked.append(True)
    for number, times in (("7.7.1", 0), ("8.1.9", 1)):
        monkeypatch.setattr(notebook, "release", lambda name, number=number: number)
        notebook.ready_widgets()
        assert len(asked) == times


def test_the_checker_comes_from_the_course():
    found = notebook.checker("05", "zh")
    assert type(found).__module__.startswith("exercises.checks")


def test_without_the_course_check_says_so(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(notebook, "COURSE", tmp_path)
    monkeypatch.setattr(notebook, "find_spec", lambda name: None)
    check = notebook.checker("05", "en")
    check(len)
    check.hint(len)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3 and "folder of exercises is not here" in lines[0] and len(set(lines)) == 1


@pytest.mark.parametrize("language, says", [("zh", "这一课要用 PyTorch"), ("en", "needs PyTorch")])
def test_a_lesson_that_needs_torch_says_so(monkeypatch, capsys, language, says):
    """In one line with the command, where the checker's own import would end in a trace."""

    class Checks:
        @staticmethod
        def lesson(*ignored):
            raise ModuleNotFoundError("No module named 'torch'", name="torch")

    monkeypatch.setattr(notebook.importlib, "import_module", lambda name: Checks)
    check = notebook.checker("13", language)
    first = capsys.readouterr().out
    assert says in first and "pip install torch" in first and first.count("\n") == 1
    check(print)
    assert capsys.readouterr().out == first
    Checks.lesson = staticmethod(lambda *ignored: (_ for _ in ()).throw(ModuleNotFoundError("x", name="numpy")))
    with pytest.raises(ModuleNotFoundError):
        notebook.checker("13", language)
