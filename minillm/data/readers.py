"""The public corpora's files, as poems, sentence pairs and reviews, in their order and with nothing left out.

Each kind of record knows two texts: `document()` for a language model to read, and `keys()`, which decide what must
stand in the same split (see split.py).
"""

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Self

from minillm.data.catalogue import find
from minillm.data.download import fetch
from minillm.data.simplify import simplify
from minillm.errors import UserError

NOT_HAN = re.compile(r"[^\u3400-\u9fff\U00020000-\U0003ffff]")


class Poem(NamedTuple):
    """A Tang poem; a line of the text holds a couplet."""

    title: str
    author: str
    text: str  # empty for four poems of the complete collection, of which nothing is left

    def document(self) -> str:
        return f"{self.title}\n{self.text}" if self.text else ""

    def keys(self) -> tuple[str, ...]:
        """The characters without punctuation: editions differ in that."""
        return (NOT_HAN.sub("", self.text) or self.title,)

    def in_simplified(self) -> Self:
        return self._replace(**dict(zip(("title", "author", "text"), simplify(self), strict=True)))


class Pair(NamedTuple):
    """A sentence in English and in Chinese; who wrote them must be named where they are published."""

    english: str
    chinese: str
    attribution: str

    def document(self) -> str:
        return f"{self.english}\t{self.chinese}"

    def keys(self) -> tuple[str, ...]:
        """Either side: a sentence with several translations must not be known from another split."""
        return f"en {self.english}", f"zh {self.chinese}"

    def in_simplified(self) -> Self:
        return self._replace(chinese=simplify([self.chinese])[0])


class Review(NamedTuple):
    """A customer's opinion of a delivery: label 1 good, 0 bad."""

    label: int
    text: str

    def document(self) -> str:
        return self.text

    def keys(self) -> tuple[str, ...]:
        return (self.text,)

    def in_simplified(self) -> Self:
        return self._replace(text=simplify([self.text])[0])


Record = Poem | Pair | Review


def read_poems(paths: Iterable[Path]) -> list[Poem]:
    """Poems out of JSON files as chinese-poetry has them. UserError: another file."""
    poems = []
    for path in paths:
        with _all_of(path) as text:
            entries = [(entry["title"], entry["author"], "\n".join(entry["paragraphs"])) for entry in json.loads(text)]
            poems += [Poem(*map(_text, entry)) for entry in entries]
    return poems


def read_pairs(paths: Iterable[Path]) -> list[Pair]:
    """Pairs out of lines of three columns: English, Chinese, attribution. UserError: another file."""
    pairs = []
    for path in paths:
        with _all_of(path) as text:
            pairs += [Pair(*line.split("\t")) for line in text.split("\n") if line]
    return pairs


def read_reviews(paths: Iterable[Path]) -> list[Review]:
    """Reviews out of a CSV file with the columns label and review. UserError: another file."""
    reviews = []
    for path in paths:
        with _all_of(path) as text:
            rows = csv.DictReader(io.StringIO(text, newline=""))
            reviews += [Review(int(row["label"]), _text(row["review"])) for row in rows]
    return reviews


@contextmanager
def _all_of(path: Path) -> Iterator[str]:
    """The text of a file; what cannot be made of it becomes a UserError."""
    try:
        yield path.read_bytes().decode()
    except (ValueError, KeyError, TypeError, RecursionError, OSError, csv.Error) as error:
        raise UserError(f"{path} does not hold what it should: fetch it with minillm data get") from error


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("that is no text")
    value.encode()  # ValueError: a lone surrogate
    return value


READERS: dict[str, Callable[[Iterable[Path]], Sequence[Record]]] = {
    "tang300": read_poems,
    "tang": read_poems,
    "cmn-eng": read_pairs,
    "waimai": read_reviews,
}


def read_records(name: str) -> Sequence[Record]:
    """All records of a public corpus, which is fetched if need be. UserError: no such corpus, or it cannot be had."""
    return READERS[find(name).name](fetch(find(name)))
