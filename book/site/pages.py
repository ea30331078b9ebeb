"""Pages of the book that are no lessons: book/pages/*.py, bilingual as those are, their code run for the book."""

import json

import nbformat

from book.execute import Failed, execute
from book.render import METADATA
from book.site.cells import Cell, markdown_cell
from book.site.course import Course
from book.site.page import book_cell
from book.site.words import LANGUAGES
from book.source import PAGES, Code, Pair, read_page
from minillm.errors import UserError


def run_pages(course: Course) -> dict[str, dict[str, str]]:
    """By language and file name, each page as notebook JSON for Sphinx. Its code runs once for both languages.

    UserError: a cell does not run.
    """
    found: dict[str, dict[str, str]] = {language: {} for language in LANGUAGES}
    for path in sorted((course.root / PAGES).glob("*.py")):
        cells = read_page(path)
        notebook = nbformat.v4.new_notebook(metadata=METADATA)
        notebook.cells = [nbformat.v4.new_code_cell(cell.code, id=cell.key) for cell in cells if isinstance(cell, Code)]
        try:
            outputs = execute(notebook, course.root)
        except Failed as failed:
            raise UserError(f'{PAGES}/{path.name}, cell "{failed.key}": {failed}') from failed
        done: dict[str, Cell] = {cell.id: {**cell, "outputs": outputs[cell.id]} for cell in notebook.cells}
        for language in LANGUAGES:
            both = [markdown_cell(c.key, c.text[language]) if isinstance(c, Pair) else done[c.key] for c in cells]
            shown = [book_cell(course, cell, language, PAGES) for cell in both]
            found[language][f"{path.stem}.ipynb"] = json.dumps({**notebook, "cells": shown}, ensure_ascii=False)
    return found
