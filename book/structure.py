"""The rules of a lesson's source: its header, its keys, its twins, its exercises. Every breach is a finding."""

import re
from collections import Counter
from typing import Any

from book.code import MARKER, marker_fault
from book.findings import Finding
from book.source import KINDS, LANGUAGES, NAMES, RUNS, RawCell

GENERATED = ("title", "exercises")
ATTRIBUTES = {"key", "lang", "tags", "exercise", "kind", "difficulty", "minutes", "points", "both"}


def header_faults(place: str, stem: str, fields: dict[str, Any]) -> list[Finding]:
    """Seven fields, each of its type. stem is the file's name without .py."""
    faults = []
    if not re.fullmatch(r"\d\d_[a-z0-9_]+", stem):
        faults.append("name the file NN_words.py: two digits, then small letters, digits and _")
    for name in ("title", "question"):
        words = fields.get(name)
        if (
            not isinstance(words, dict)
            or set(words) != set(LANGUAGES)
            or not all(isinstance(word, str) and word.strip() for word in words.values())
        ):
            faults.append(f'the header needs  {name}: {{zh: "…", en: "…"}}')
    for name in ("minutes", "seconds"):
        number = fields.get(name)
        if not isinstance(number, int) or number <= 0:
            faults.append(f"the header needs  {name}: a whole number above 0")
    needs = fields.get("needs")
    if not isinstance(needs, list) or not all(isinstance(need, str) for need in needs):
        faults.append('the header needs  needs: ["00", ...]  with the numbers in quotes, or  needs: []')
    elif any(not re.fullmatch(r"\d\d", need) or need >= stem[:2] for need in needs):
        faults.append(f"the header's needs are numbers of lessons before this one, and it says {needs}")
    if fields.get("runs") not in RUNS:
        faults.append(f"the header needs  runs: one of {', '.join(RUNS)}")
    unknown = set(fields) - {"title", "question", "minutes", "seconds", "needs", "runs"}
    if unknown:
        faults.append(f"the header has no field named {', '.join(sorted(unknown))}: take it out")
    return [Finding(place, text) for text in faults]


def cell_faults(place: str, lesson: str, raw: list[RawCell]) -> list[Finding]:
    """The rules of single cells, then of twins, of the set-up cell, of exercises."""
    faults = []
    for cell in raw:
        faults += [Finding(place, text, cell.key, cell.line) for text in _one(cell)]
    faults += _twins(place, raw)
    faults += _setup(place, lesson, raw)
    faults += _exercises(place, raw)
    return faults


def _one(cell: RawCell) -> list[str]:
    faults = []
    given = cell.attributes
    if not cell.key:
        mark = "# %% [markdown]" if cell.type == "markdown" else "# %%"
        faults.append(f'the cell has no key: write  {mark} key="a-name"')
    elif not re.fullmatch(r"[a-z0-9-]{1,60}", cell.key):
        faults.append("a key holds only small letters, digits and -")
    elif cell.key in GENERATED:
        faults.append("this key belongs to a generated cell: take another one")
    if cell.type == "raw":
        faults.append("a raw cell has no place in a lesson: make it markdown or code")
    unknown = set(given) - ATTRIBUTES
    if unknown:
        faults.append(f"unknown attribute {', '.join(sorted(unknown))}: there are {', '.join(sorted(ATTRIBUTES))}")
    if cell.type == "markdown":
        wrong = set(given) & {"kind", "difficulty", "minutes", "points", "both", "tags"}
        if wrong:
            faults.append(f"{', '.join(sorted(wrong))} belongs on a code cell")
        if cell.language not in LANGUAGES:
            faults.append('a markdown cell says lang="zh" or lang="en"')
        if not cell.text.strip():
            faults.append("the cell is empty: write it or take it out, in both languages")
    elif cell.type == "code":
        if "lang" in given:
            faults.append("code has no language: it stands once, for both")
        tags = given.get("tags", [])
        if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
            faults.append('tags are a list of names: tags=["nbval-check-output"]')
        elif "nbval-skip" in tags:
            faults.append("every cell runs in the tests: take the tag nbval-skip out")
        if given.get("both", True) is not True:
            faults.append("write both=true or leave it out")
        if set(given) & {"kind", "difficulty", "minutes", "points"}:
            faults += _answer(cell)
        elif MARKER.search(cell.text):
            faults.append("solution markers belong in the cell of an exercise that has kind, difficulty, ...")
    return faults


def _answer(cell: RawCell) -> list[str]:
    """The cell that a learner fills in."""
    given, faults = cell.attributes, []
    if "exercise" not in given:
        faults.append("kind, difficulty, minutes and points stand on the cell of an exercise: add exercise=…")
    if given.get("kind") not in KINDS:
        faults.append(f"kind is one of {', '.join(KINDS)}")
    if given.get("difficulty") not in (1, 2, 3, 4, 5):
        faults.append("difficulty is a number from 1 to 5")
    for name in ("minutes", "points"):
        if not isinstance(given.get(name), int) or given[name] <= 0:
            faults.append(f"{name} is a whole number above 0")
    fault = marker_fault(cell.text)
    return [*faults, fault] if fault else faults


def _twins(place: str, raw: list[RawCell]) -> list[Finding]:
    """Chinese first, its English twin directly below; keys unique but for that."""
    faults = []
    seen: Counter[tuple[str, str]] = Counter()
    index = 0
    while index < len(raw):
        cell = raw[index]
        index += 1
        twin = raw[index] if index < len(raw) else None
        here = [cell]
        if cell.type == "markdown" and cell.language in LANGUAGES:
            other = "en" if cell.language == "zh" else "zh"
            if twin and (twin.key, twin.language) == (cell.key, other):
                here.append(twin)
                index += 1
                if cell.language == "en":
                    text = "the English stands first: put the Chinese above it"
                    faults.append(Finding(place, text, cell.key, cell.line))
                if cell.attributes.get("exercise") != twin.attributes.get("exercise"):
                    faults.append(Finding(place, "the twins name different exercises", cell.key, cell.line))
            else:
                text = f'no {NAMES[other]} twin below it: write the cell with the same key and lang="{other}" there'
                faults.append(Finding(place, text, cell.key, cell.line))
        seen[cell.key, cell.type] += 1
        if cell.key and sum(count for (key, _), count in seen.items() if key == cell.key) > 1:
            faults.append(Finding(place, "the key stands twice: give this cell another one", cell.key, cell.line))
    return faults


def _setup(place: str, lesson: str, raw: list[RawCell]) -> list[Finding]:
    code = [cell for cell in raw if cell.type == "code"]
    want = f'check = setup("{lesson}")'
    if not code or code[0].key != "setup":
        return [Finding(place, f'the first code cell has key="setup" and says  {want}')]
    if want not in code[0].text.splitlines():
        return [Finding(place, f"this cell says  {want}", "setup", code[0].line)]
    return []


def _exercises(place: str, raw: list[RawCell]) -> list[Finding]:
    """Task, answer, check, in this order; the cells of an exercise stand together, after the lesson's first code."""
    faults = []
    groups: dict[str, list[RawCell]] = {}
    last = ""
    for cell in raw:
        name = str(cell.attributes.get("exercise", ""))
        if name and name in groups and last != name:
            text = f'the cells of exercise "{name}" stand apart: bring them together'
            faults.append(Finding(place, text, cell.key, cell.line))
        if name:
            groups.setdefault(name, []).append(cell)
            if cell.attributes.get("both"):
                faults.append(Finding(place, "a cell of an exercise is not both=true", cell.key, cell.line))
        last = name
    for name, cells in groups.items():
        answers = [cell for cell in cells if "kind" in cell.attributes]
        shape = [cell.type for cell in cells]
        where = (cells[0].key, cells[0].line)
        if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
            faults.append(Finding(place, f'"{name}" names no function: the checker goes by this name', *where))
        if shape[:2] != ["markdown"] * 2 or "markdown" in shape[2:]:
            text = f'exercise "{name}" begins with its task in both languages, then only code'
            faults.append(Finding(place, text, *where))
        elif not all(re.search(r"^#+ \S", task.text, re.MULTILINE) for task in cells[:2]):
            faults.append(Finding(place, f'the task of exercise "{name}" has no heading in both languages', *where))
        if len(answers) != 1:
            text = (
                f'exercise "{name}" has one code cell with kind, difficulty, minutes, points; here are {len(answers)}'
            )
            faults.append(Finding(place, text, *where))
        if cells[-1].type != "code" or "kind" in cells[-1].attributes or "check" not in cells[-1].text:
            faults.append(Finding(place, f'exercise "{name}" ends with the cell that calls check(...)', *where))
    return faults
