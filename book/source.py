"""A lesson's source, book/lessons/NN_slug.py, read into cells: pairs of markdown twins, and code.

The file is a text notebook in percent format, so jupytext reads it. A cell's attributes stand behind its
`# %%`. What the rules of a lesson are stands in `structure.py`; reading only collects what breaks them.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jupytext
import yaml

from book.findings import Finding

LANGUAGES = ("zh", "en")
NAMES = {"zh": "Chinese", "en": "English"}
KINDS = ("predict", "repair", "implement", "extend")
RUNS = ("NP", "PT", "GPU")
PAGES = "book/pages"  # pages of the book that are no lessons


@dataclass
class Pair:
    """The same words in both languages. In an exercise's pair stands its task."""

    key: str
    text: dict[str, str]
    lines: dict[str, int]
    exercise: str = ""

    @property
    def line(self) -> int:
        return self.lines["zh"]


@dataclass
class Code:
    """A code cell. `kind`, `difficulty`, `minutes` and `points` stand on the cell that a learner fills in."""

    key: str
    code: str
    line: int
    tags: list[str] = field(default_factory=list)
    exercise: str = ""
    kind: str = ""
    difficulty: int = 0
    minutes: int = 0
    points: int = 0
    both: bool = False


@dataclass
class Exercise:
    """A task, the cell to fill in, the cell that checks it, and whatever code stands between."""

    name: str
    title: dict[str, str]
    task: Pair
    answer: Code
    check: Code
    cells: list[Pair | Code]


@dataclass
class Lesson:
    place: str  # below the course's folder: book/lessons/05_softmax_loss.py
    slug: str
    title: dict[str, str]
    question: dict[str, str]
    minutes: int
    seconds: int
    needs: list[str]
    runs: str
    cells: list[Pair | Code]

    @property
    def id(self) -> str:
        return self.slug[:2]

    @property
    def pairs(self) -> list[Pair]:
        """Every text that stands in two languages, the header's title and question first."""
        words = {language: f"# {self.title[language]}\n\n{self.question[language]}" for language in LANGUAGES}
        head = Pair("title", words, dict.fromkeys(LANGUAGES, 1))
        return [head, *(cell for cell in self.cells if isinstance(cell, Pair))]

    def exercises(self) -> list[Exercise]:
        """In the order of the source. Only for a lesson that keeps the rules of structure.py."""
        groups: dict[str, list[Pair | Code]] = {}
        for cell in self.cells:
            if cell.exercise:
                groups.setdefault(cell.exercise, []).append(cell)
        return [_exercise(name, cells) for name, cells in groups.items()]


def _exercise(name: str, cells: list[Pair | Code]) -> Exercise:
    task, check = cells[0], cells[-1]
    answer = next(cell for cell in cells if isinstance(cell, Code) and cell.kind)
    assert isinstance(task, Pair) and isinstance(check, Code)
    return Exercise(name, {lang: exercise_title(task.text[lang]) for lang in LANGUAGES}, task, answer, check, cells)


def exercise_title(text: str) -> str:
    """The heading of a task without its number: "### 练习 1　不怕大数的 softmax" -> "不怕大数的 softmax"."""
    found = re.search(r"^#+\s*(.+?)\s*$", text, re.MULTILINE)
    heading = found.group(1) if found else ""
    return re.sub(r"^(练习|Exercise)\s*[\d一二三四五六七八九十]*\s*[:：.．、—-]*\s*", "", heading)


@dataclass
class RawCell:
    """A cell as it stands in the file."""

    type: str
    text: str
    line: int
    attributes: dict[str, Any]

    @property
    def key(self) -> str:
        return str(self.attributes.get("key", ""))

    @property
    def language(self) -> str:
        return str(self.attributes.get("lang", ""))


def read_cells(text: str) -> tuple[str, list[RawCell]]:
    """The header's YAML, and the cells below it."""
    notebook = jupytext.reads(text, fmt="py:percent")
    cells = list(notebook.cells)
    header = ""
    if cells and cells[0].cell_type == "raw":
        header = cells.pop(0).source.strip().strip("-")
    markers = [number for number, line in enumerate(text.splitlines(), start=1) if re.match(r"# ?%%", line)]
    if len(markers) != len(cells):  # text above the first cell, say: better no line than a wrong one
        markers = [0] * len(cells)
    raw = []
    for cell, line in zip(cells, markers, strict=True):
        attributes = {name: value for name, value in cell.metadata.items() if name != "lines_to_next_cell"}
        raw.append(RawCell(cell.cell_type, cell.source.strip("\n"), line, attributes))
    return header, raw


def header_fields(text: str) -> dict[str, Any] | str:
    """What stands under `minillm:`, or a word on why it cannot be read."""
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        return f"the header is no YAML ({' '.join(str(error).split())[:160]})"
    fields = data.get("minillm") if isinstance(data, dict) else None
    if not isinstance(fields, dict):
        return "the file does not begin with a header: copy the one of book/lessons/_template.py"
    return fields


def join(raw: list[RawCell]) -> Iterator[Pair | Code]:
    """Cells that keep the rules: the twins joined to pairs."""
    waiting: RawCell | None = None
    for cell in raw:
        if cell.type == "code":
            known = {name: value for name, value in cell.attributes.items() if name not in ("key", "lang")}
            yield Code(cell.key, cell.text, cell.line, **known)
        elif waiting is None:
            waiting = cell
        else:
            yield Pair(
                cell.key,
                {"zh": waiting.text, "en": cell.text},
                {"zh": waiting.line, "en": cell.line},
                str(cell.attributes.get("exercise", "")),
            )
            waiting = None


def read(path: Path, root: Path) -> tuple[Lesson | None, list[Finding]]:
    """The lesson, and what breaks the rules. None when it breaks too many of them to be built."""
    from book.structure import cell_faults, header_faults

    place = path.relative_to(root).as_posix()
    header, raw = read_cells(path.read_text(encoding="utf-8"))
    fields = header_fields(header)
    if isinstance(fields, str):
        return None, [Finding(place, fields)]
    faults = header_faults(place, path.stem, fields)
    faults += cell_faults(place, path.stem[:2], raw)
    if faults:
        return None, faults
    return Lesson(place, path.stem, cells=list(join(raw)), **fields), []


def read_page(path: Path) -> list[Pair | Code]:
    """The cells of a page that is no lesson: the same form, without header, set-up and exercises."""
    return list(join(read_cells(path.read_text(encoding="utf-8"))[1]))
