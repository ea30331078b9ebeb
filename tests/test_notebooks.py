"""The committed notebooks, run: lessons twice in one kernel, solutions all right, exercises all 'not yet'.

That their outputs are still what is committed is for nbval (`make test`); that their source is, for `make check`.
"""

import json
from pathlib import Path

import nbformat
import pytest

pytest.importorskip("nbclient")

from book.execute import execute

ROOT = Path(__file__).resolve().parent.parent
LANGUAGES = ("zh", "en")


def notebooks(folder: str) -> list[Path]:
    return [path for language in LANGUAGES for path in sorted((ROOT / folder / language).glob("[0-9]*.ipynb"))]


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def read(path: Path) -> nbformat.NotebookNode:
    return nbformat.read(path, as_version=4)


def checks(notebook: nbformat.NotebookNode) -> list[str]:
    """The ids of the cells in which a check answers."""
    return [cell.id for cell in notebook.cells if cell.cell_type == "code" and cell.source.startswith("check(")]


def texts(outputs: list[nbformat.NotebookNode]) -> str:
    return "".join(output.get("text", "") or output.get("data", {}).get("text/plain", "") for output in outputs)


@pytest.mark.parametrize("path", notebooks("notebooks")[: len(notebooks("notebooks")) // 2], ids=name)
def test_a_lesson_runs_twice_in_one_kernel_with_the_same_result(path: Path):
    once = read(path)
    code = [cell for cell in once.cells if cell.cell_type == "code"]
    again = [nbformat.from_dict({**cell, "id": f"{cell.id}-2"}) for cell in code]
    once.cells = code + again
    outputs = execute(once, path.parent)
    for cell in code:
        if "nbval-ignore-output" not in cell.metadata.get("tags", []):  # a time was measured
            assert outputs[cell.id] == outputs[f"{cell.id}-2"], f"cell {cell.id} gives something else the second time"


@pytest.mark.parametrize("path", notebooks("solutions"), ids=name)
def test_every_solution_passes_its_check(path: Path):
    notebook = read(path)
    outputs = execute(notebook, path.parent)
    assert checks(notebook)
    for key in checks(notebook):
        assert texts(outputs[key]).startswith("✓"), texts(outputs[key])


@pytest.mark.parametrize("path", notebooks("exercises"), ids=name)
def test_untouched_exercises_run_to_the_end_and_say_not_yet(path: Path):
    notebook = read(path)
    outputs = execute(notebook, path.parent)
    course = json.loads((ROOT / "notebooks" / "course.json").read_text(encoding="utf-8"))
    lesson = next(lesson for lesson in course["lessons"] if lesson["slug"] == path.stem)
    kinds = {exercise["name"]: exercise["kind"] for exercise in lesson["exercises"]}
    not_yet = {"zh": ("○ 还没完成", "✗ 还不对"), "en": ("○ Not yet", "✗ Not yet right")}[path.parent.name]
    found = {
        cell.metadata["minillm"]["exercise"]: texts(outputs[cell.id])
        for cell in notebook.cells
        if cell.id in checks(notebook)
    }
    assert found.keys() == kinds.keys()
    for exercise, said in found.items():
        expected = not_yet[kinds[exercise] == "repair"]  # code that is to be mended is not missing, it is wrong
        assert said.startswith(expected), said


@pytest.mark.parametrize("path", notebooks("exercises"), ids=name)
def test_exercise_notebooks_are_committed_without_outputs(path: Path):
    assert not any(cell.get("outputs") for cell in read(path).cells)


def test_both_languages_have_the_same_notebooks():
    for folder in ("notebooks", "exercises", "solutions"):
        found = notebooks(folder)
        assert found
        assert [p.name for p in found if p.parent.name == "zh"] == [p.name for p in found if p.parent.name == "en"]
