"""Corpora by name, or out of your own files, each in three parts: train, valid, test.

The reader is 《槐树胡同读本》, written for this project: data/files/reader, one file a piece, with an
index of titles, genres and splits. The world is generated (data/world), and its entropy is known. The public
corpora (catalogue.py) are fetched when first asked for, and split 80 : 10 : 10 by whole poems, pairs and reviews
(split.py); tang300-simplified is tang300 in simplified script.

A text file of your own is cut 90 : 5 : 5, in its order, at line ends; a folder, JSON lines or CSV (own.py) is
split 90 : 5 : 5 by whole documents, chosen by their SHA-256. A corpus is in memory as a whole; one that is too
large for that becomes a folder of token shards first (sharded.py).
"""

import csv
import hashlib
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from minillm.data.catalogue import catalogue
from minillm.data.own import REMOTE, is_plain, stream_texts
from minillm.data.readers import Record, read_records
from minillm.data.simplify import simplify
from minillm.data.split import split_records
from minillm.errors import UserError
from minillm.text.files import read_text
from minillm.text.tokenizer import Tokenizer

READER = Path(__file__).parent / "files" / "reader"
SPLITS = ("train", "valid", "test")
SIMPLIFIED = "-simplified"


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

    def tokens(self, tokenizer: Tokenizer) -> Any:
        """The row of training ids: see token_stream. An array, or Shards, which stand where an array may."""
        return token_stream(self.train, tokenizer)


@lru_cache(maxsize=1)
def read_pieces() -> tuple[Piece, ...]:
    """All pieces of the bundled reader, in the order of its index."""
    pieces = []
    with open(READER / "index.tsv", encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            title, _, text = (READER / row["file"]).read_text(encoding="utf-8").partition("\n\n")
            pieces.append(Piece(title, row["genre"], row["split"], text.strip("\n")))
    return tuple(pieces)


def load_reader(name: str) -> Corpus:
    """The bundled reader; a document is a title and its piece."""
    by_split = {split: [f"{p.title}\n{p.text}" for p in read_pieces() if p.split == split] for split in SPLITS}
    return Corpus(name, **by_split)


def load_records(name: str) -> dict[str, list[Record]]:
    """The poems, sentence pairs or reviews of a public corpus, by split. UserError: no such corpus, no network,
    or no OpenCC for one in simplified script."""
    simplified = name.endswith(SIMPLIFIED)
    if simplified:
        simplify([])  # OpenCC is missed now, not after a long download
    parts = split_records(read_records(name.removesuffix(SIMPLIFIED)))  # before the script changes
    if simplified:
        parts = {split: [record.in_simplified() for record in records] for split, records in parts.items()}
    return parts


def load_public(name: str) -> Corpus:
    """A public corpus; a document is a title and its poem, a pair with a tab between, or a review."""
    parts = load_records(name)
    return Corpus(name, **{split: [text for r in parts[split] if (text := r.document())] for split in SPLITS})


def load_world(name: str) -> Corpus:
    """Stories of the generated world (data/world), always the same ones: 200,000 characters, or as much to learn
    from as a model reads in minutes, ten million, and the same to be judged by."""
    from minillm.data.world import corpus

    small = corpus()
    return small if name == "world" else Corpus(name, corpus(10_000_000).train, small.valid, small.test)


LOADERS: dict[str, Callable[[str], Corpus]] = {
    "reader": load_reader,
    "world": load_world,
    "world-large": load_world,
    **dict.fromkeys(catalogue(), load_public),
    **{f"{name}{SIMPLIFIED}": load_public for name in ("tang300", "tang", "cmn-eng")},
}
NAMES = tuple(LOADERS)


def load_corpus(source: str, encoding: str | None = None, field: str | None = None) -> Corpus:
    """A corpus by name, or from files of your own by path (`encoding` None: UTF-8; `field` None: text), or a folder
    that `minillm data shards` has written.

    UserError if there is neither such a name nor such a file, or the file is not readable text.
    """
    from minillm.data.sharded import is_sharded, load_sharded  # it knows this module

    if source in LOADERS:
        return LOADERS[source](source)
    if not source.startswith(REMOTE) and not os.path.exists(source):  # Path.exists would fail on too long a name
        raise UserError(f"{source}: no such file, and no corpus of that name (there is: {', '.join(NAMES)})")
    if is_sharded(source):
        return load_sharded(source)
    if not is_plain(source):
        return split_documents(source, stream_texts(source, field or "text", encoding))
    text = read_text(source, encoding)
    valid, test = (cut_at_line(text, len(text) * percent // 100) for percent in (90, 95))
    return Corpus(source, [text[:valid]], [text[valid:test]], [text[test:]])


def split_documents(name: str, texts: Iterable[str]) -> Corpus:
    """Documents that differ, in their order, 90 : 5 : 5; valid and test get at least one each if there are three.

    UserError: there is none.
    """
    documents = list(dict.fromkeys(texts))  # what stands twice would be known from another split
    if not documents:
        raise UserError(f"{name} holds no text; name another")
    shuffled = sorted(documents, key=lambda text: hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest())
    share = max(len(documents) // 20, len(documents) > 2)
    valid, test = set(shuffled[:share]), set(shuffled[share : 2 * share])
    train = [text for text in documents if text not in valid and text not in test]
    return Corpus(name, train, [t for t in documents if t in valid], [t for t in documents if t in test])


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
