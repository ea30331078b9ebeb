"""A lesson's notebook as a page of the book: section ids, links, exercises at the end."""

import json
from typing import Any

from book.site.cells import Cell, markdown_cell, source
from book.site.course import Course
from book.site.exercises import exercise_cells
from book.site.markdown import change_links, drop_outside_images, mark_headings
from book.site.words import WORDS
from minillm.errors import UserError
from minillm.widgets import VIEW


def lesson_page(course: Course, lesson: dict[str, Any], language: str) -> str:
    """The notebook's JSON for Sphinx."""
    folder = f"notebooks/{language}"
    path = f"{folder}/{lesson['slug']}.ipynb"
    if not (course.root / path).is_file():
        raise UserError(f"{path} is not there: run first: make lessons")
    notebook = json.loads((course.root / path).read_text(encoding="utf-8"))
    cells = [title_cell(course, lesson, language, path)]
    for cell in notebook["cells"]:
        if cell["id"] in ("title", "exercises"):
            continue
        cells.append(book_cell(course, cell, language, folder))
    cells += exercise_cells(course, lesson, language)
    return json.dumps({**notebook, "cells": cells}, ensure_ascii=False)


def title_cell(course: Course, lesson: dict[str, Any], language: str, path: str) -> Cell:
    """The head of the page: title, the one question, facts, where to run it."""
    words = WORDS[language]
    links = [f"[{words['colab']}]({course.colab(path)})", f"[{words['notebook']}]({course.address}/blob/main/{path})"]
    facts = [*course.facts(lesson, language), *links]
    text = (
        f"% key title\n\n# {lesson['id']}{'　' if language == 'zh' else ' '}{lesson['title'][language]}\n\n"
        f"{{.question}}\n{lesson['question'][language]}\n\n{{.facts}}\n{' · '.join(facts)}"
    )
    return markdown_cell("title", text)


def book_cell(course: Course, cell: Cell, language: str, folder: str) -> Cell:
    """One cell of the notebook, ready for the book."""
    if cell["cell_type"] == "markdown":
        text = drop_outside_images(source(cell))
        text = change_links(text, lambda target: course.link(target, language, folder))
        return {**cell, "source": mark_headings(text, cell["id"]), "attachments": cell.get("attachments", {})}
    if cell["cell_type"] != "code":
        return cell
    metadata = dict(cell["metadata"])
    if cell["id"] == "setup":  # a reader of the page needs it only when copying the code
        prompt = {"code_prompt_show": WORDS[language]["setup"], "code_prompt_hide": WORDS[language]["setup"]}
        metadata = {**metadata, "tags": ["hide-cell"], "mystnb": prompt}
    if words := picture_words(cell):
        metadata["mystnb"] = {**metadata.get("mystnb", {}), "image": {"alt": words}}
    return {**cell, "metadata": metadata, "outputs": [without_widget(output) for output in cell["outputs"]]}


def picture_words(cell: Cell) -> str:
    """What a cell's picture says of itself in words, for those who do not see it; "" without a picture."""
    described = [output.get("metadata", {}).get("image/png", {}).get("alt", "") for output in cell["outputs"]]
    return next(filter(None, described), "")


def without_widget(output: dict[str, Any]) -> dict[str, Any]:
    """The output without the form that only a running kernel can show."""
    if VIEW not in output.get("data", {}):
        return output
    return {**output, "data": {kind: data for kind, data in output["data"].items() if kind != VIEW}}
