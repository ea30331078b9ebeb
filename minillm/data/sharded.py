"""A corpus too large for the memory: its training text as token shards, what is held out of it as text.

    card.json                   where the text came from, documents, characters and tokens of each split
    tokenizer.json              the tokenizer that made the ids
    train/                      the ids of the training split (shards.py)
    valid.jsonl, test.jsonl     the documents of the other two

A document is held out by the SHA-256 of its text, 5% for validation and 5% for the test, until a split has HELD_OUT
characters: more would measure no better, and slow every validation down. What comes twice is held out twice, or not
at all. The card is written last: a folder without it counts as unfinished. In memory are a document, a shard, and
what is held out.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from minillm.data.corpora import LOADERS, Corpus, load_corpus
from minillm.data.own import is_plain, stream_texts
from minillm.data.shards import INDEX, Shards, write_shards
from minillm.errors import UserError
from minillm.text import train_tokenizer
from minillm.text.files import write_bytes, write_text
from minillm.text.tokenizer import Tokenizer

CARD, TOKENIZER, TRAIN = "card.json", "tokenizer.json", "train"
FORMAT, VERSION = "minillm-corpus", 1
HELD_OUT = 1 << 18  # characters of validation text, and as many of test text
DOCUMENT = 1 << 16  # characters; a longer text of one's own is cut at line ends
SAMPLE = 10**7  # characters that a word or BPE vocabulary is learnt from; characters are counted in all of it


@dataclass(frozen=True)
class ShardedCorpus(Corpus):
    """A corpus whose training text is there as token ids only; `train` is empty."""

    tokenizer: Tokenizer
    shards: Shards
    card: dict[str, Any]

    def split(self, name: str) -> list[str]:
        if name == "train":
            raise UserError(f"{self.name} holds its training text as token ids only; choose valid or test")
        return super().split(name)

    def all(self) -> list[str]:
        return self.split("train")

    def tokens(self, tokenizer: Tokenizer) -> Shards:
        """The row of training ids, by memory map. UserError: they were made with another tokenizer."""
        return Shards(self.shards.folder, tokenizer)


def is_sharded(source: str | Path) -> bool:
    """Whether it is a folder that write_corpus has finished."""
    return (Path(source) / CARD).is_file()


def load_sharded(source: str | Path) -> ShardedCorpus:
    """The corpus in a folder that write_corpus made. UserError: it is damaged, or not whole."""
    folder = Path(source)
    tokenizer = Tokenizer.load(folder / TOKENIZER)
    shards = Shards(folder / TRAIN, tokenizer)
    held_out = {name: list(stream_texts(folder / f"{name}.jsonl")) for name in ("valid", "test")}
    try:
        card = json.loads((folder / CARD).read_bytes())
        if (card["format"], card["version"]) != (FORMAT, VERSION):
            raise ValueError("another format")
        counts = {name: card["splits"][name] for name in ("train", *held_out)}
        if counts["train"]["tokens"] != len(shards):
            raise ValueError("other shards")
        if any(counts[name] != _count(texts) for name, texts in held_out.items()):
            raise ValueError("other texts")
    except (ValueError, KeyError, TypeError, OSError, RecursionError):
        raise UserError(f"{folder / CARD} does not describe what is beside it: write the folder again") from None
    return ShardedCorpus(str(source), [], **held_out, tokenizer=tokenizer, shards=shards, card=card)


def write_corpus(
    source: str,
    folder: str | Path,
    tokenizer: Tokenizer | str = "char",
    vocab_size: int | None = None,
    *,
    encoding: str | None = None,
    field: str | None = None,
    at: Callable[[int], None] = lambda characters: None,
) -> ShardedCorpus:
    """Write a corpus by name, or texts of one's own (own.py), into a folder to train from.

    The tokenizer is a kind ("char", "word", "bpe") that learns from the training texts, or one that has learnt. `at`
    is told of each document's characters as it is encoded. A corpus by name keeps its own splits. UserError: the
    source cannot be read or has no training text, the folder is taken.
    """
    folder = Path(folder)
    if is_sharded(folder) or (folder / TRAIN / INDEX).exists():
        raise UserError(f"{folder} holds shards already: choose another folder, or remove it first")
    parts = _Parts(source, encoding, field)
    if next(parts.train(), None) is None:
        raise UserError(f"{source} holds no text to train on; name another")
    if isinstance(tokenizer, str):
        learnt_from = parts.train() if tokenizer == "char" else _first(parts.train(), SAMPLE)
        tokenizer = train_tokenizer(tokenizer, learnt_from, vocab_size)
    train = {"documents": 0, "characters": 0}

    def counted() -> Iterator[str]:
        for text in parts.train():
            train["documents"] += 1
            train["characters"] += len(text)
            at(len(text))
            yield text

    shards = write_shards(counted(), tokenizer, folder / TRAIN)
    tokenizer.save(folder / TOKENIZER)
    for name, texts in parts.held_out.items():
        lines = "".join(json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in texts)
        write_text(folder / f"{name}.jsonl", lines)
    splits = {"train": {**train, "tokens": len(shards)}}
    splits |= {name: _count(texts) for name, texts in parts.held_out.items()}
    card = {"format": FORMAT, "version": VERSION, "source": source, "encoding": encoding, "field": field}
    text = json.dumps({**card, "splits": splits}, ensure_ascii=False, indent=1) + "\n"
    write_bytes(folder / CARD, text.encode("utf-8", "backslashreplace"))  # the source may have any name
    return load_sharded(folder)


class _Parts:
    """The texts of a source in three parts; the held-out ones are there when train() has ended."""

    def __init__(self, source: str, encoding: str | None, field: str | None) -> None:
        self.source, self.encoding, self.field = source, encoding, field
        self.held_out: dict[str, list[str]] = {"valid": [], "test": []}
        self.named = load_corpus(source) if source in LOADERS else None

    def train(self) -> Iterator[str]:
        """The training texts, read anew each time."""
        if self.named:
            self.held_out = {"valid": list(filter(None, self.named.valid)), "test": list(filter(None, self.named.test))}
            yield from filter(None, self.named.train)
            return
        held: dict[str, dict[bytes, str]] = {"valid": {}, "test": {}}
        size = dict.fromkeys(held, 0)
        for text in self._documents():
            digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
            name = {0: "valid", 1: "test"}.get(int.from_bytes(digest[:8], "big") % 20)
            if name and digest not in held[name] and size[name] < HELD_OUT:
                held[name][digest] = text
                size[name] += len(text)
            elif not name or digest not in held[name]:
                yield text
        self.held_out = {name: list(texts.values()) for name, texts in held.items()}

    def _documents(self) -> Iterator[str]:
        texts = stream_texts(self.source, self.field or "text", self.encoding)
        return chain.from_iterable(map(_cut, texts)) if is_plain(self.source) else texts


def _cut(text: str) -> Iterator[str]:
    """Pieces of about DOCUMENT characters, each to the end of its line."""
    start = 0
    while start < len(text):
        end = text.find("\n", start + DOCUMENT) + 1 or len(text)
        yield text[start:end]
        start = end


def _first(texts: Iterable[str], characters: int) -> Iterator[str]:
    for text in texts:
        yield text
        characters -= len(text)
        if characters <= 0:
            return


def _count(texts: list[str]) -> dict[str, int]:
    return {"documents": len(texts), "characters": sum(map(len, texts))}
