"""book/glossary.csv: the terms of the course, and whether both sides of a pair use them.

Columns zh and en hold what may be written, the first is the one that we prefer, separated by |. An
alternative that begins with ~ is accepted as a rendering but says nothing by itself: 头 renders "head", yet
开头 does not ask for one. A * at the end of a Latin word stands for any ending. not_zh and not_en hold what
may not be written for the term. note_zh and note_en define it in one short sentence.
"""

import csv
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from book.findings import Finding
from book.source import LANGUAGES, NAMES
from minillm.errors import UserError

PLACE = "book/glossary.csv"
COLUMNS = ["zh", "en", "not_zh", "not_en", "note_zh", "note_en"]


@dataclass(frozen=True)
class Rendering:
    """One way to write a term. `asks`: seeing it in one language, we look for the term in the other."""

    text: str
    asks: bool

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """Latin words whole, in any case, with a plural; Chinese anywhere."""
        if not re.search(r"[A-Za-z]", self.text):
            return re.compile(re.escape(self.text))
        stem, any_ending = self.text.rstrip("*"), self.text.endswith("*")
        words = r"[-\s]+".join(re.escape(word) for word in re.split(r"[-\s]+", stem))
        if any_ending:
            ending = r"\w*" if stem.isascii() else ""
        elif stem.endswith("y") and not stem.endswith(("ay", "ey", "oy")):
            words, ending = words[:-1], "(?:y|ies)"
        else:
            ending = "(?:s|es)?"
        return re.compile(rf"(?<![A-Za-z0-9_]){words}{ending}(?![A-Za-z0-9_])", re.IGNORECASE)


@dataclass(frozen=True)
class Term:
    """For each language: the renderings, those refused, a definition."""

    renderings: dict[str, list[Rendering]]
    refused: dict[str, list[Rendering]]
    note: dict[str, str]

    def preferred(self, language: str) -> str:
        return self.renderings[language][0].text.rstrip("*")

    def shown(self, language: str) -> str:
        """For a message: every rendering that is accepted."""
        return ", ".join(rendering.text for rendering in self.renderings[language])


def _renderings(cell: str) -> list[Rendering]:
    parts = [part.strip() for part in cell.split("|") if part.strip()]
    return [Rendering(part.lstrip("~"), not part.startswith("~")) for part in parts]


def load(root: Path) -> list[Term]:
    """The glossary, in the order of the file."""
    with (root / PLACE).open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        if reader.fieldnames != COLUMNS:
            raise UserError(f"{PLACE}, line 1: the columns are {','.join(COLUMNS)}")
        terms = []
        for row in reader:
            if None in row or None in row.values() or not row["zh"] or not row["en"]:
                text = "six columns, zh and en not empty; quote a cell that holds a comma"
                raise UserError(f"{PLACE}, line {reader.line_num}: {text}")
            terms.append(
                Term(
                    {language: _renderings(row[language]) for language in LANGUAGES},
                    {language: _renderings(row[f"not_{language}"]) for language in LANGUAGES},
                    {language: row[f"note_{language}"] for language in LANGUAGES},
                )
            )
    return terms


def glossary_faults(terms: list[Term]) -> list[Finding]:
    """A rendering that two terms claim would let either pass for the other."""
    faults, seen = [], set()
    for term in terms:
        for language in LANGUAGES:
            for rendering in term.renderings[language]:
                name = (language, rendering.text.casefold())
                if rendering.asks and name in seen:
                    text = f'"{rendering.text}" stands in two lines: join them, or mark one with ~'
                    faults.append(Finding(PLACE, text))
                if rendering.asks:
                    seen.add(name)
            if not term.note[language]:
                faults.append(Finding(PLACE, f'"{term.preferred(language)}" has no definition in {NAMES[language]}'))
    return faults


def used(terms: list[Term], words: str, language: str) -> dict[int, str]:
    """The terms that a text uses, by number, each with the words found.

    Longer renderings first: 词向量 is one term, and not also the 向量 in it.
    """
    all_renderings = [
        (rendering, number) for number, term in enumerate(terms) for rendering in term.renderings[language]
    ]
    found: dict[int, str] = {}
    for rendering, number in sorted(all_renderings, key=lambda pair: -len(pair[0].text)):
        match = rendering.pattern.search(words)
        if match and rendering.asks:
            found.setdefault(number, match[0])
            words = rendering.pattern.sub(" \x00 ", words)
    return found


def faults(terms: list[Term], words: dict[str, str]) -> list[str]:
    """Terms of one side that the other does not render, or renders wrongly. `words` by language, without code."""
    texts = []
    for here, there in (("zh", "en"), ("en", "zh")):
        for number, match in sorted(used(terms, words[here], here).items()):
            term = terms[number]
            shown = " ".join(match.split())
            if not any(rendering.pattern.search(words[there]) for rendering in term.renderings[there]):
                texts.append(
                    f'the {NAMES[here]} says "{shown}" and the {NAMES[there]} has none of: {term.shown(there)}: '
                    f"write one of them, or put what you wrote into {PLACE}"
                )
            for wrong in term.refused[there]:
                if wrong.pattern.search(words[there]):
                    texts.append(
                        f'the {NAMES[there]} says "{wrong.text}" for {shown}: write {term.preferred(there)} ({PLACE})'
                    )
    return texts
