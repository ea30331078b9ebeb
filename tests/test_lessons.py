"""The lesson machine: a source becomes notebooks, executed where the code changed; set-up cell, template, address."""

import json
import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from lesson_tree import SOURCE, edit, plant
from nbformat import NotebookNode

from book import build, code, course, execute, generated, lock, render, source, twins
from book.classroom import teacher_notebook
from book.course import ROOT

KINDS = ("notebooks", "exercises", "solutions")


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    return plant(tmp_path_factory.mktemp("course"), build=True)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """The same course, not built yet."""
    return plant(tmp_path / "course")


def notebook(root: Path, folder: str, language: str) -> NotebookNode:
    return nbformat.read(root / folder / language / "05_double.ipynb", as_version=4)


def cells(root: Path, folder: str, language: str) -> dict[str, NotebookNode]:
    return {cell.id: cell for cell in notebook(root, folder, language).cells}


def contents(root: Path) -> dict[str, str]:
    places = [*root.rglob("*.ipynb"), *root.rglob("*.json")]
    return {path.relative_to(root).as_posix(): path.read_text(encoding="utf-8") for path in places}


# ---- the notebooks


def test_each_notebook_has_its_cells(built: Path):
    exercise = ["ex-triple", "ex-half", "ex-double"]
    exercise = [key + part for key in exercise for part in ("", "-code", "-check")]
    lesson = ["title", "setup", "imports", "problem", "naive", "listing", "listing-run", "exercises", "end"]
    for language in source.LANGUAGES:
        assert list(cells(built, "notebooks", language)) == lesson
        assert list(cells(built, "exercises", language)) == ["title", "setup", "imports", *exercise]
        assert list(cells(built, "solutions", language)) == ["title", "setup", "imports", *exercise]


def test_code_is_the_same_in_both_languages_but_for_one_word(built: Path):
    for folder in KINDS:
        zh, en = cells(built, folder, "zh"), cells(built, folder, "en")
        for key, cell in zh.items():
            if cell.cell_type == "code":
                assert cell.source.replace('("05", "zh")', '("05", "en")') == en[key].source


def test_answers_are_in_the_solutions_only(built: Path):
    exercise, solution = cells(built, "exercises", "en"), cells(built, "solutions", "en")
    assert "3 * x" in solution["ex-triple-code"].source and "3 * x" not in exercise["ex-triple-code"].source
    text = json.dumps([contents(built)[f"{folder}/en/05_double.ipynb"] for folder in KINDS])
    assert "SOLUTION" not in text and "STUB" not in text and "# stub" not in text


def test_outputs_are_executed_once_and_copied(built: Path):
    zh, en = cells(built, "notebooks", "zh"), cells(built, "notebooks", "en")
    assert en["naive"].outputs[0].text == "对数 logarithm 0.693\n"
    assert en["listing-run"].outputs[0].data == {"text/plain": "42"}
    assert [cell.get("outputs") for cell in zh.values()] == [cell.get("outputs") for cell in en.values()]
    assert zh["setup"].outputs == []  # what it says depends on the machine
    counts = [cell.execution_count for cell in zh.values() if cell.cell_type == "code"]
    assert counts == list(range(1, len(counts) + 1))


def test_check_boxes_are_in_the_language(built: Path):
    assert cells(built, "solutions", "zh")["ex-triple-check"].outputs[0].text == "✓ 检查 12\n"
    assert cells(built, "solutions", "en")["ex-triple-check"].outputs[0].text == "✓ check 12\n"
    assert not any(cell.get("outputs") for cell in cells(built, "exercises", "zh").values())


def test_generated_texts(built: Path):
    title = cells(built, "notebooks", "zh")["title"].source
    colab = "https://colab.research.google.com/github/someone/MiniLLM/blob/main/notebooks/zh/05_double.ipynb"
    for words in ("# 05　翻倍与交叉熵", "**翻倍之后是多少？**", "10 分钟", "NumPy", "(../en/05_double.ipynb)", colab):
        assert words in title
    listed = cells(built, "notebooks", "en")["exercises"].source
    assert "| 1. Three times | extend | ●●○○○ | 5 |" in listed and "(../../exercises/en/05_double.ipynb)" in listed
    tags = cells(built, "notebooks", "en")["naive"].metadata
    assert tags == {"tags": ["nbval-check-output"]}


def test_every_notebook_is_valid_and_links_lead_somewhere(built: Path):
    for folder in KINDS:
        for language in source.LANGUAGES:
            this = notebook(built, folder, language)
            nbformat.validate(this)
            text = "\n".join(cell.source for cell in this.cells if cell.id in ("title", "exercises"))
            for target in twins.take_apart(text).parts["link"]:
                if not target.startswith("https:"):
                    assert (built / folder / language / target.replace("*", language)).exists() or "*" in target


def test_the_map_of_lessons(built: Path):
    data = json.loads((built / "notebooks/course.json").read_text(encoding="utf-8"))
    assert data["address"] == "https://github.com/someone/MiniLLM"
    (lesson,) = data["lessons"]
    assert lesson["slug"] == "05_double" and lesson["title"]["zh"] == "翻倍与交叉熵"
    assert [exercise["points"] for exercise in lesson["exercises"]] == [3, 1, 2]


# ---- building


def test_building_again_executes_nothing_and_changes_nothing(built: Path, monkeypatch):
    before = contents(built)
    monkeypatch.setattr(build, "execute", lambda *_: pytest.fail("executed again"))
    assert build.main(["lessons"], built) == 0
    assert contents(built) == before


def test_executing_again_changes_nothing_either(tree: Path):
    assert build.main(["lessons"], tree) == 0
    before = contents(tree)
    assert build.main(["lessons", "05", "--force"], tree) == 0
    assert contents(tree) == before


def test_other_text_is_built_without_executing(tree: Path, monkeypatch):
    assert build.main(["lessons"], tree) == 0
    edit(tree, SOURCE, "# One sentence.", "# A single sentence.")
    monkeypatch.setattr(build, "execute", lambda *_: pytest.fail("executed again"))
    assert build.main(["lessons", "05"], tree) == 0
    assert cells(tree, "notebooks", "en")["end"].source.endswith("A single sentence.")
    assert cells(tree, "notebooks", "en")["naive"].outputs


def test_other_package_source_is_executed(tree: Path):
    assert build.main(["lessons"], tree) == 0
    edit(tree, "minillm/ops.py", "x * 2", "x * 20")
    assert build.main(["lessons"], tree) == 0
    assert cells(tree, "notebooks", "en")["listing-run"].outputs[0].data == {"text/plain": "420"}


def test_a_lesson_that_fails_writes_nothing_and_says_where(tree: Path, capsys):
    edit(tree, SOURCE, "double(21)", "double(missing)")
    assert build.main(["lessons"], tree) == 1
    err = capsys.readouterr().err
    assert err.startswith(f'{SOURCE}, cell "listing-run" (line 34): the lesson notebook in zh stops here')
    assert "NameError: name 'missing' is not defined" in err and "Traceback" not in err
    assert not list(tree.rglob("*.ipynb"))


def test_what_fails_in_a_solution_is_told_as_well(tree: Path, capsys):
    edit(tree, SOURCE, "return 3 * x", "return 3 * y")
    assert build.main(["lessons"], tree) == 1
    assert f'{SOURCE}, cell "ex-triple-check"' in capsys.readouterr().err
    assert not list(tree.rglob("*.ipynb"))


def test_a_lesson_that_is_not_there(tree: Path, capsys):
    assert build.main(["lessons", "06"], tree) == 2
    assert capsys.readouterr().err == "there is no lesson 06: there are 05\n"


def test_the_learners_progress_is_left_alone(tree: Path, monkeypatch):
    monkeypatch.setenv("MINILLM_PROGRESS", "mine.json")
    edit(tree, SOURCE, "double(21)", 'import os\nos.environ["MINILLM_PROGRESS"] != "mine.json"')
    assert build.main(["lessons"], tree) == 0
    assert cells(tree, "notebooks", "en")["listing-run"].outputs[0].data == {"text/plain": "True"}


def test_live_widgets_are_not_kept():
    data = {execute.VIEW: {"model_id": "1"}, "text/plain": "a slider", "image/png": "xx"}
    shown = nbformat.v4.new_output("display_data", data=data)
    bare = nbformat.v4.new_output("display_data", data={execute.VIEW: {"model_id": "1"}})
    (output,) = execute.normal([shown, bare])
    assert output.data == {"text/plain": "a slider", "image/png": "xx"}
    assert shown.data == data


# ---- the first cell


def first_cell(built: Path, address: str) -> str:
    text = cells(built, "notebooks", "en")["setup"].source
    return text.replace("https://github.com/someone/MiniLLM", address)


def run_cells(folder: Path, *texts: str) -> subprocess.CompletedProcess[str]:
    """Run cells one after the other, far from any course."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    folder.mkdir(exist_ok=True)
    command = [sys.executable, "-c", "\n".join(texts)]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_the_first_cell_finds_the_course_above(built: Path):
    text = first_cell(built, "no address")
    done = run_cells(built / "exercises" / "zh", text, text, "print(sys.path.count(str(course)), course)")
    assert done.stdout.splitlines()[:2] == ["ready 05 en"] * 2, done.stderr
    assert done.stdout.splitlines()[2] == f"1 {built}"


def test_the_first_cell_fetches_the_course_once(built: Path, tmp_path: Path):
    """As on Colab: an empty folder, and an address."""
    origin = plant(tmp_path / "origin")
    author = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    for words in (["init", "--quiet"], ["add", "."], [*author, "commit", "--quiet", "-m", "all"]):
        subprocess.run(["git", *words], cwd=origin, check=True)
    text = first_cell(built, origin.as_uri())
    away = tmp_path / "content"
    done = run_cells(away, text, text, "print(Path.cwd())")
    assert done.stdout.splitlines() == ["ready 05 en", "ready 05 en", str(away)], done.stderr
    assert [path.name for path in away.iterdir()] == ["MiniLLM"]
    (origin / "minillm/__init__.py").unlink()
    assert run_cells(away, text).returncode == 0  # the second day: it is there


def test_the_first_cell_says_what_is_wrong(built: Path, tmp_path: Path):
    done = run_cells(tmp_path / "away", first_cell(built, (tmp_path / "nowhere").as_uri()))
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1].endswith("Could not fetch the course: check network and address.")


# ---- a new lesson, a new address, a class


def test_a_new_lesson_keeps_all_rules(tree: Path, capsys):
    for place in ("book/lessons/_template.py", "book/glossary.csv"):
        (tree / place).write_text((ROOT / place).read_text(encoding="utf-8"), encoding="utf-8")
    assert build.main(["new", "08", "heads_positions"], tree) == 0
    assert "book/lessons/08_heads_positions.py: write it" in capsys.readouterr().out
    lesson, faults = source.read(tree / "book/lessons/08_heads_positions.py", tree)
    assert lesson and faults == []
    known: lock.Lock = {}
    lock.update(known, lesson)
    assert twins.findings(lesson, course.load(tree), known) == []
    home = course.Course(ROOT, "https://github.com/a/b", [lesson], [])
    assert len(render.render(lesson, home)) == 6  # what it pastes is there
    assert build.main(["new", "08", "again"], tree) == 2
    assert "lesson 08 is there already" in capsys.readouterr().err


def test_a_new_address_is_written_everywhere(tree: Path, monkeypatch):
    assert build.main(["lessons"], tree) == 0
    monkeypatch.setattr(build, "execute", lambda *_: pytest.fail("executed for an address"))
    assert build.main(["address", "https://github.com/you/my-course.git"], tree) == 0
    everything = "".join([*contents(tree).values(), (tree / "pyproject.toml").read_text(encoding="utf-8")])
    assert "someone/MiniLLM" not in everything
    assert 'Repository = "https://github.com/you/my-course"' in everything
    assert "git clone --depth 1 https://github.com/you/my-course MiniLLM" in everything
    assert build.main(["check"], tree) == 0


@pytest.mark.parametrize(
    "url", ["github.com/a/b", "https://github.com/a", "https://a.org/b/c", 'https://github.com/a/b"']
)
def test_a_wrong_address_is_refused(tree: Path, url: str, capsys):
    assert build.main(["address", url], tree) == 2
    assert "is no address of a repository" in capsys.readouterr().err


def test_the_teachers_notebook_becomes_the_exercise(built: Path, tmp_path: Path):
    home = course.load(built)
    teacher = {cell.id: cell for cell in teacher_notebook(home.lessons[0], home, "en").cells}
    exercise = cells(built, "exercises", "en")
    assert "3 * x" in teacher["ex-triple-code"].source
    for key, cell in teacher.items():
        if cell.cell_type == "code" and key != "setup":
            assert code.exercise(cell.source) == exercise[key].source
    graded = {key: cell.metadata.nbgrader.points for key, cell in teacher.items() if "points" in str(cell.metadata)}
    assert graded == {"ex-triple-check": 3, "ex-half-check": 1, "ex-double-check": 2}
    assert build.main(["nbgrader", str(tmp_path / "class"), "05", "--language", "zh"], built) == 0
    assert (tmp_path / "class/source/05_double/05_double.ipynb").is_file()
    compile((tmp_path / "class/nbgrader_config.py").read_text(encoding="utf-8"), "nbgrader_config.py", "exec")


def test_words_of_the_generated_cells_are_there_in_both_languages():
    assert set(generated.WORDS["zh"]) == set(generated.WORDS["en"])
