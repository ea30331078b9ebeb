"""A lesson as notebooks, without outputs: the lesson itself, its exercises and its solutions, in each language."""

import hashlib
import json
from dataclasses import dataclass
from typing import Any

import nbformat
from nbformat import NotebookNode

from book import code as forms
from book import generated
from book.course import Course
from book.findings import Finding, Refused
from book.source import LANGUAGES, Code, Lesson, Pair

METADATA: dict[str, Any] = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {
        "codemirror_mode": {"name": "ipython", "version": 3},
        "file_extension": ".py",
        "mimetype": "text/x-python",
        "name": "python",
        "nbconvert_exporter": "python",
        "pygments_lexer": "ipython3",
    },
}


@dataclass
class Built:
    """A notebook and its place. An exercise notebook is never executed: it is the learner's."""

    kind: str  # lesson, exercise, solution
    language: str
    place: str
    notebook: NotebookNode

    @property
    def executed(self) -> bool:
        return self.kind != "exercise"

    @property
    def code_hash(self) -> str:
        return str(self.notebook.metadata["minillm"]["code"])


def render(lesson: Lesson, course: Course) -> list[Built]:
    """The notebooks of a lesson. Raises Refused when it pastes what the package does not have."""
    expanded = _expand(lesson, course)
    kinds = ["lesson", "exercise", "solution"] if lesson.exercises() else ["lesson"]
    return [_notebook(lesson, kind, language, expanded, course) for kind in kinds for language in LANGUAGES]


def _expand(lesson: Lesson, course: Course) -> dict[str, str]:
    """Each code cell's text by its key, with the package's source pasted."""
    expanded, lost = {}, []
    for cell in lesson.cells:
        if isinstance(cell, Code):
            try:
                expanded[cell.key] = forms.expand(cell.code, course.root)
            except forms.Lost as error:
                text = f"the cell pastes from the package, and {error}"
                lost.append(Finding(lesson.place, text, cell.key, cell.line))
    if lost:
        raise Refused(lost)
    return expanded


def _notebook(lesson: Lesson, kind: str, language: str, expanded: dict[str, str], course: Course) -> Built:
    cells = [_markdown("title", generated.title(lesson, kind, language, course))]
    chosen = [cell for cell in lesson.cells if _belongs(cell, kind)]
    setup = next(index for index, cell in enumerate(chosen) if cell.key == "setup")
    listed = False
    for index, cell in enumerate(chosen):
        if kind == "lesson" and cell.exercise:
            if not listed:
                cells.append(_markdown("exercises", generated.exercise_list(lesson, language)))
            listed = True
        elif index == setup:
            cells.append(_code("setup", generated.setup_code(lesson, language, course)))
        elif isinstance(cell, Pair):
            cells.append(_markdown(cell.key, cell.text[language]))
        else:
            text = forms.exercise(expanded[cell.key]) if kind == "exercise" else forms.solution(expanded[cell.key])
            cells.append(_code(cell.key, text, _metadata(cell)))
    metadata: dict[str, Any] = {**METADATA, "minillm": {"lesson": lesson.id, "kind": kind, "language": language}}
    metadata["minillm"]["code"] = code_hash(cells)
    if lesson.runs == "GPU":
        metadata["accelerator"] = "GPU"  # Colab starts a machine with one
    notebook = nbformat.v4.new_notebook(cells=cells, metadata=metadata)
    place = f"{generated.FOLDERS[kind]}/{language}/{lesson.slug}.ipynb"
    return Built(kind, language, place, notebook)


def _belongs(cell: Pair | Code, kind: str) -> bool:
    if kind == "lesson":
        return True  # an exercise's cells there become the list of exercises
    return bool(cell.exercise) or cell.key == "setup" or (isinstance(cell, Code) and cell.both)


def _metadata(cell: Code) -> dict[str, Any]:
    metadata: dict[str, Any] = {"tags": list(cell.tags)} if cell.tags else {}
    if cell.exercise:
        metadata["minillm"] = {"exercise": cell.exercise}
    return metadata


def _markdown(key: str, text: str) -> NotebookNode:
    return nbformat.v4.new_markdown_cell(text, id=key)


def _code(key: str, text: str, metadata: dict[str, Any] | None = None) -> NotebookNode:
    return nbformat.v4.new_code_cell(text, id=key, metadata=metadata or {})


def code_hash(cells: list[NotebookNode]) -> str:
    """Of all code but the set-up cell, which holds the address and the language."""
    parts = [[cell.id, cell.source] for cell in cells if cell.cell_type == "code" and cell.id != "setup"]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def dumps(notebook: NotebookNode) -> str:
    """As the file holds it."""
    return str(nbformat.writes(notebook, version=4)) + "\n"
