"""Corpora: the bundled reader by name, or any text file, each in three parts: train, valid, test.

The reader is 《槐树胡同读本》, written for this project: data/files/reader, one file a piece, with an
index of titles, genres and splits. A text file of your own is cut 90 : 5 : 5, in its order, at line ends.
"""

import csv
import os
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from minillm.errors import UserError
from minillm.text.files import read_text
from minillm.text.tokenizer import Tokenizer

READER = Path(__file__).parent / "files" / "reader"
SPLITS = ("train", "valid", "test")
NAMES = ("reader",)


class Piece(NamedTuple):
    """One piece of the reader."""

    title: str
    genre: str
    split: str
    text: str  # without the title


@dataclass(frozen=True)
class Corpus:
    """Documents in three splits. A document is a text that begins and ends for itself."""

    name: str
    train: list[str]
    valid: list[str]
    test: list[str]

    def split(self, name: str) -> list[str]:
        if name not in SPLITS:
            raise UserError(f"there is no split {name!r}; choose one of {', '.join(SPLITS)}")
        return getattr(self, name)

    def all(self) -> list[str]:
        """The documents of all three splits."""
        return self.train + self.valid + self.test


@lru_cache(maxsize=1)
def read_pieces() -> tuple[Piece, ...]:
    """All pieces of the bundled reader, in the order of its index."""
    pieces = []
    with open(READER / "index.tsv", encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            title, _, text = (READER / row["file"]).read_text(encoding="utf-8").partition("\n\n")
            pieces.append(Piece(title, row["genre"], row["split"], text.strip("\n")))
    return tuple(pieces)


def load_corpus(source: str, encoding: str | None = None) -> Corpus:
    """A corpus by name, or from a text file by path (`encoding` None: UTF-8).

    UserError if there is neither such a name nor such a file, or the file is not readable text.
    """
    if source in NAMES:
        by_split = {split: [f"{p.title}\n{p.text}" for p in read_pieces() if p.split == split] for split in SPLITS}
        return Corpus(source, **by_split)
    if not os.path.exists(source):  # Path.exists would fail on a name that is too long
        raise UserError(f"{source}: no such file, and no corpus of that name (there is: {', '.join(NAMES)})")
    text = read_text(source, encoding)
    valid, test = (cut_at_line(text, len(text) * percent // 100) for percent in (90, 95))
    return Corpus(source, [text[:valid]], [text[valid:test]], [text[test:]])


def cut_at_line(text: str, position: int) -> int:
    """The start of the first line after `position`, or `position` itself if that line is more than a fortieth
    of the text away: each part shall get its share."""
    newline = text.find("\n", position, position + len(text) // 40)
    return position if newline < 0 else newline + 1


def token_stream(documents: Iterable[str], tokenizer: Tokenizer) -> np.ndarray:
    """<eos> document <eos> document <eos> ...: one long row of ids, int64.

    Characters that the tokenizer does not know become <unk>; empty documents are left out.
    """
    ids = [tokenizer.eos_id]
    for document in documents:
        if document:
            ids += tokenizer.encode(document, unknown="unk")
            ids.append(tokenizer.eos_id)
    return np.array(ids, dtype=np.int64)
