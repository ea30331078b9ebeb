"""The exercises at the end of a lesson's page: task, the code to begin with, the hint folded. Never a solution."""

import importlib
import json
from itertools import takewhile
from pathlib import Path
from typing import Any

from book import generated
from book.site.cells import Cell, markdown_cell, source
from book.site.course import Course
from book.site.markdown import HEADING, change_links, mark_headings
from book.site.words import WORDS


def exercise_cells(course: Course, lesson: dict[str, Any], language: str) -> list[Cell]:
    """Markdown cells for the page; none if the lesson has no exercises."""
    if not lesson["exercises"]:
        return []
    words = WORDS[language]
    path = f"exercises/{language}/{lesson['slug']}.ipynb"
    where = f"{words['where'].format(path)} [{words['colab']}]({course.colab(path)})"
    cells = [markdown_cell("exercises", f"% key exercises\n\n## {words['exercises']}\n\n{where}")]
    hints = read_hints(lesson["id"], language)
    groups = read_groups(course.root / path)
    for exercise, group in zip(lesson["exercises"], groups, strict=True):
        task, *code = group
        text = change_links(source(task), lambda target: course.link(target, language, f"exercises/{language}"))
        text = mark_headings(_with_facts(text, exercise, language), task["id"])
        blocks = [f"```python\n{source(cell)}\n```" for cell in code]
        if exercise["name"] in hints:
            hint = hints[exercise["name"]]
            blocks.append(f'<details class="hint">\n<summary>{words["hint"]}</summary>\n\n{hint}\n\n</details>')
        cells.append(markdown_cell(task["id"], "\n\n".join([text, *blocks])))
    return cells


def read_groups(path: Path) -> list[list[Cell]]:
    """Each exercise's task and the code below it, without the cell that checks it."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    cells = [cell for cell in cells if cell["id"] not in ("title", "setup")]
    groups: list[list[Cell]] = []
    while cells:
        first, *cells = cells
        if first["cell_type"] == "markdown":
            code = list(takewhile(lambda cell: cell["cell_type"] == "code", cells))
            groups.append([first, *(cell for cell in code if not source(cell).startswith("check("))])
    return groups


def read_hints(lesson: str, language: str) -> dict[str, str]:
    """The hint of each exercise that has a checker."""
    checks = importlib.import_module("exercises.checks")
    return {name: exercise.hint.say(language) for name, exercise in checks.exercises_of(lesson).items()}


def _with_facts(text: str, exercise: dict[str, Any], language: str) -> str:
    """The task with a line below its heading: kind, difficulty, minutes."""
    kind, difficulty = generated.WORDS[language][exercise["kind"]], generated.dots(exercise["difficulty"])
    facts = f"{kind} · {difficulty} · {WORDS[language]['minutes'].format(exercise['minutes'])}"
    facts = f"{{.facts}}\n{facts}"
    head, *rest = text.strip().split("\n")
    if not HEADING.match(head):
        return f"### {exercise['title'][language]}\n\n{facts}\n\n{text}"
    return "\n".join([head, "", facts, "", *rest])
