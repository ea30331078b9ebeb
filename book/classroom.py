"""A course directory for nbgrader: the exercises with their answers between markers, and what nbgrader must know.

nbgrader takes the answers out itself when a teacher releases an assignment. The configuration that is written with
them calls marking.py, so that the stubs are those of the course's own exercise notebooks, and the marks fair.
"""

from pathlib import Path
from typing import Any

from nbformat import NotebookNode

from book.code import expand
from book.course import Course
from book.render import dumps, render
from book.source import Code, Lesson
from minillm.errors import UserError

CONFIG = '''\
"""Written by: python -m book.build nbgrader. Settings of your own may follow below."""

import sys

course = {root!r}  # where the course lives: without it there is neither minillm nor a check
sys.path.insert(0, course)

from book.marking import configure

c = get_config()
c.CourseDirectory.course_id = "minillm"
configure(c, course)
'''


def write_course(course: Course, folder: Path, numbers: list[str], language: str) -> int:
    """Write source/NN_slug/NN_slug.ipynb for each lesson with exercises, and nbgrader_config.py if there is none."""
    chosen = [lesson for lesson in course.chosen(numbers) if lesson.exercises()]
    if not chosen:
        raise UserError("no exercises in these lessons: run make check, which says whether one cannot be read")
    for lesson in chosen:
        path = folder / "source" / lesson.slug / f"{lesson.slug}.ipynb"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dumps(teacher_notebook(lesson, course, language)), encoding="utf-8")
        print(path)
    config = folder / "nbgrader_config.py"
    if not config.exists():
        config.write_text(CONFIG.format(root=str(course.root)), encoding="utf-8")
        print(config)
    return 0


def teacher_notebook(lesson: Lesson, course: Course, language: str) -> NotebookNode:
    """The exercise notebook with its answers back in place, and nbgrader's metadata."""
    (built,) = [built for built in render(lesson, course) if (built.kind, built.language) == ("exercise", language)]
    notebook = built.notebook
    code = {cell.key: cell for cell in lesson.cells if isinstance(cell, Code)}
    points = {exercise.check.key: exercise.answer.points for exercise in lesson.exercises()}
    for cell in notebook.cells:
        if cell.id == "title":
            cell.source = cell.source.split("\n")[0]  # no links: a student has this notebook alone
        if cell.cell_type != "code":
            continue
        if cell.id != "setup":
            cell.source = expand(code[cell.id].code, course.root)
        cell.metadata = {"nbgrader": _grading(cell.id, code[cell.id], points.get(cell.id))}
    return notebook


def _grading(key: str, cell: Code, points: int | None) -> dict[str, Any]:
    """An answer is the student's; a check is locked and graded; set-up, imports and the like are locked."""
    answer = bool(cell.kind)
    grading: dict[str, Any] = {
        "schema_version": 3,
        "grade_id": key,
        "grade": points is not None,
        "solution": answer,
        "locked": not answer,
        "task": False,
        "cell_type": "code",
    }
    if points is not None:
        grading["points"] = points
    return grading
