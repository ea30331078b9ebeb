"""Everything that drifted apart: sources, twins, notebooks, outputs, the map of lessons. Executes nothing."""

from pathlib import Path

import nbformat

from book import glossary, lock, twins
from book.course import Course, course_map
from book.execute import normal, outputs_of
from book.findings import Finding, Refused
from book.generated import FOLDERS
from book.render import Built, render
from book.source import LANGUAGES, PAGES, Lesson, Pair, read_page

PASSED = "✓"  # how the line of a check that passed begins


def findings(course: Course) -> list[Finding]:
    """All findings of a course, lesson by lesson."""
    known = lock.load(course.root)
    found = [*course.faults, *glossary.glossary_faults(glossary.load(course.root))]
    numbers = course.numbers()
    for lesson in course.lessons:
        for need in lesson.needs:
            if need not in numbers:
                text = f"the header needs lesson {need}, which is not there: write another number"
                found.append(Finding(lesson.place, text))
        found += twins.findings(lesson, course, known)
        if lesson.id not in known:
            found.append(Finding(lesson.place, f"the lesson was not built yet: run: make lessons LESSON={lesson.id}"))
            continue
        try:
            found += notebooks(lesson, render(lesson, course), course.root)
        except Refused as refused:
            found += refused.findings
    found += [Finding(lock.PLACE, f"lesson {n} is gone: run: make lessons") for n in sorted(set(known) - numbers)]
    return found + pages(course.root) + strays(course) + the_map(course)


def pages(root: Path) -> list[Finding]:
    """The pages that are no lessons: whether their twins agree. Their code is run when the book is built."""
    terms, found = glossary.load(root), []
    for path in sorted((root / PAGES).glob("*.py")):
        for pair in (cell for cell in read_page(path) if isinstance(cell, Pair)):
            found += [Finding(f"{PAGES}/{path.name}", text, pair.key, pair.line) for text in twins.faults(terms, pair)]
    return found


def notebooks(lesson: Lesson, rendered: list[Built], root: Path) -> list[Finding]:
    """Each committed notebook against the one that the source gives now."""
    remedy = f"change the lesson, not the notebook, and run: make lessons LESSON={lesson.id}"
    found: list[Finding] = []
    in_chinese: dict[str, list[nbformat.NotebookNode]] = {}
    for built in rendered:
        path = root / built.place
        if not path.exists():
            found.append(Finding(built.place, f"{lesson.place} was not built: run: make lessons LESSON={lesson.id}"))
            continue
        try:
            old = nbformat.read(path, as_version=4)
        except Exception:  # whatever nbformat finds wrong, the remedy is the same
            found.append(Finding(built.place, f"this is no notebook any more: run: make lessons LESSON={lesson.id}"))
            continue
        found += _cells(lesson, built, old, remedy)
        found += _outputs(lesson, built, old, remedy)
        if (built.kind, built.language) == ("lesson", "zh"):
            in_chinese = outputs_of(old)
        elif built.kind == "lesson":
            text = f"its output is not the one of notebooks/zh: {remedy}"
            both = outputs_of(old).items() if in_chinese else []
            found += [Finding(built.place, text, key) for key, value in both if in_chinese.get(key, value) != value]
    return found


def _cells(lesson: Lesson, built: Built, old: nbformat.NotebookNode, remedy: str) -> list[Finding]:
    """Ids, order, text and metadata of the cells."""
    new_cells, old_cells = built.notebook.cells, old.cells
    new_keys, old_keys = [cell.get("id") for cell in new_cells], [cell.get("id") for cell in old_cells]
    lines = {cell.key: cell.line for cell in lesson.cells}
    found = []
    for key in new_keys:
        if key not in old_keys:
            text = f"the cell is missing ({lesson.place}, line {lines.get(key, 1)}): {remedy}"
            found.append(Finding(built.place, text, key))
    for key in old_keys:
        if key not in new_keys:
            found.append(Finding(built.place, f"{lesson.place} has no such cell: {remedy}", str(key)))
    if not found and new_keys != old_keys:
        key = next(new for new, was in zip(new_keys, old_keys, strict=False) if new != was)
        found.append(Finding(built.place, f"the cells stand in another order than in {lesson.place}: {remedy}", key))
    by_key = {cell.get("id"): cell for cell in old_cells}
    for cell in new_cells:
        was = by_key.get(cell.id)
        if was is None:
            continue
        for part in ("cell_type", "source", "metadata"):
            if cell[part] != was[part]:
                where = f"{lesson.place}, line {lines[cell.id]}" if cell.id in lines else lesson.place
                name = {"cell_type": "type", "source": "text"}.get(part, part)
                found.append(Finding(built.place, f"its {name} is not what {where} gives: {remedy}", cell.id))
                break
    if {**built.notebook.metadata, "minillm": 0} != {**old.metadata, "minillm": 0}:
        found.append(Finding(built.place, f"the notebook's metadata are not what the build writes: {remedy}"))
    return found


def _outputs(lesson: Lesson, built: Built, old: nbformat.NotebookNode, remedy: str) -> list[Finding]:
    outputs = outputs_of(old)
    if not built.executed:
        full = [key for key, value in outputs.items() if value]
        text = f"an exercise notebook is committed without outputs: {remedy}"
        return [Finding(built.place, text, key) for key in full]
    if old.metadata.get("minillm", {}) != built.notebook.metadata["minillm"]:
        return [Finding(built.place, f"its outputs belong to other code: {remedy}")]
    if built.kind == "solution":
        again = f"make lessons LESSON={lesson.id} ARGS=--force"
        text = f"its check did not pass: put the solution or the check right, then run: {again}"
        asked = [cell.id for cell in built.notebook.cells if cell.source.startswith("check(")]
        failed = [key for key in asked if not any(line.startswith(PASSED) for line in _said(outputs.get(key, [])))]
        if failed:
            return [Finding(built.place, text, key) for key in failed]
    live = [key for key, value in outputs.items() if normal(value) != value]
    text = f"its output holds a live widget, which only a kernel can show: {remedy}"
    return [Finding(built.place, text, key) for key in live]


def _said(outputs: list[nbformat.NotebookNode]) -> list[str]:
    """The lines of a cell's outputs as plain text."""
    texts = [output.get("text") or output.get("data", {}).get("text/plain", "") for output in outputs]
    return "\n".join(texts).splitlines()


def strays(course: Course) -> list[Finding]:
    """Notebooks that no lesson gives."""
    known = {lesson.slug for lesson in course.lessons} | {Path(fault.place).stem for fault in course.faults}
    found = []
    for folder in FOLDERS.values():
        for language in LANGUAGES:
            for path in sorted((course.root / folder / language).glob("*.ipynb")):
                if path.stem not in known:
                    text = f"no lesson gives this notebook: delete it, or write book/lessons/{path.stem}.py"
                    found.append(Finding(path.relative_to(course.root).as_posix(), text))
    return found


def the_map(course: Course) -> list[Finding]:
    path = course.root / "notebooks" / "course.json"
    if course.faults:
        return []  # a lesson that cannot be read is not in the map either
    if path.exists() and path.read_text(encoding="utf-8") == course_map(course):
        return []
    return [Finding("notebooks/course.json", "not what the headers of the lessons give: run: make lessons")]


def main(course: Course) -> int:
    """Print each finding on a line. 1 if there is one."""
    found = findings(course)
    for finding in found:
        print(finding)
    count = len(course.lessons)
    lessons = "1 lesson" if count == 1 else f"{count} lessons"
    print(f"{len(found)} to put right." if found else f"{lessons}: sources, twins, notebooks and outputs agree.")
    return int(bool(found))
