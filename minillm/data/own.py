"""Texts of your own, one document after the other, however long the file: only the document at hand is in memory.

    my.txt          a text file is one document; of a longer one, every PIECE characters, cut at a line end
    my.jsonl        JSON lines (.jsonl, .ndjson): one object a line, the text in its field `text`
    my.csv          CSV with a header (.csv; .tsv with tabs): one text a row, in the column `text`
    my/             a folder: all such files in it and below, in the order of their names
    hf:NAME         the train split of a Hugging Face dataset (package `datasets`), streamed; its column `text`;
                    hf:NAME:CONFIG where it has several, as in hf:wikimedia/wikipedia:20231101.zh

Another field or column is named with `field`.
"""

import csv
import json
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from minillm.errors import UserError

PIECE = 1 << 20  # characters
LONGEST_CELL = 1 << 24  # characters of one CSV cell; Python's own limit is 131,072
REMOTE = "hf:"


def stream_texts(source: str | Path, field: str = "text", encoding: str | None = None) -> Iterator[str]:
    """The documents of a file, a folder or a Hugging Face dataset; empty ones are left out.

    `encoding` None: UTF-8. UserError: nothing to read there, another encoding, a bad line, no such field.
    """
    name = str(source)
    if name.startswith(REMOTE):
        texts = _dataset(name.removeprefix(REMOTE), field)
    elif os.path.isdir(source):
        texts = (text for path in _files(Path(source)) for text in stream_texts(path, field, encoding))
    else:
        texts = READERS.get(Path(source).suffix.lower(), _lines)(Path(source), field, encoding)
    return (text for text in texts if text)


def is_plain(source: str | Path) -> bool:
    """Whether it is a single text file."""
    remote = str(source).startswith(REMOTE)
    return not remote and not os.path.isdir(source) and Path(source).suffix.lower() not in READERS


def _files(folder: Path) -> list[Path]:
    endings = (".txt", *READERS)
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in endings and path.is_file())
    if not found:
        raise UserError(f"{folder} is a directory without text files ({', '.join(endings)}); name another")
    return found


@contextmanager
def _opened(path: Path, encoding: str | None, newline: str | None = None) -> Iterator[TextIO]:
    try:
        with open(path, encoding=encoding or "utf-8-sig", newline=newline) as file:
            yield file
    except (LookupError, UnicodeEncodeError):  # the latter: in the name of the encoding
        raise UserError(f"unknown text encoding {encoding!r}; try utf-8, gb18030 or utf-16") from None
    except UnicodeError:
        known = encoding or "UTF-8"
        raise UserError(f"{path} is not {known} throughout; save it as UTF-8, or give its --encoding") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name of the file or of the encoding
        if isinstance(error, UserError):
            raise
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"{path} cannot be read: {reason}; name another file, or another --encoding") from None


def _without_mark(lines: Iterable[str]) -> Iterator[str]:
    """The lines without a byte order mark, which most encodings leave there."""
    for number, line in enumerate(lines):
        yield line if number else line.removeprefix("\ufeff")


def _lines(path: Path, field: str, encoding: str | None) -> Iterator[str]:
    with _opened(path, encoding) as file:
        rest, first = "", True
        while block := file.read(PIECE - len(rest)):
            if encoding is None and "\0" in block:
                raise UserError(f"{path} looks binary (a zero byte); name a text file, or give its --encoding")
            rest += block.removeprefix("\ufeff") if first else block
            first = False
            if len(rest) == PIECE:
                cut = rest.rfind("\n") + 1 or PIECE
                yield rest[:cut]
                rest = rest[cut:]
        yield rest


def _json_lines(path: Path, field: str, encoding: str | None) -> Iterator[str]:
    with _opened(path, encoding) as file:
        for number, line in enumerate(_without_mark(file), 1):
            if not line.strip():
                continue
            try:
                entry = json.loads(line)
            except (ValueError, RecursionError):
                raise UserError(f"{path}, line {number} is not JSON; write one object a line, or mend it") from None
            if not isinstance(entry, dict):
                raise UserError(f"{path}, line {number} is no JSON object; write one object a line")
            yield _field(entry, field, f"{path}, line {number}")


def _csv(path: Path, field: str, encoding: str | None) -> Iterator[str]:
    csv.field_size_limit(max(csv.field_size_limit(), LONGEST_CELL))
    with _opened(path, encoding, newline="") as file:
        rows = csv.DictReader(_without_mark(file), delimiter="\t" if path.suffix.lower() == ".tsv" else ",")
        try:
            for row in rows:
                yield _field({name: text or "" for name, text in row.items()}, field, f"{path}, line {rows.line_num}")
        except csv.Error as error:
            raise UserError(f"{path}, line {rows.line_num} is not CSV: {error}; mend it") from None


def _field(entry: dict, field: str, where: str) -> str:
    if field not in entry:
        names = ", ".join(str(name) for name in list(entry)[:20])
        raise UserError(f"{where} has no field {field!r}; name one of: {names}")
    if not isinstance(entry[field], str):
        raise UserError(f"{where}: the field {field!r} holds no text; name another field")
    return entry[field]


def _dataset(name: str, field: str) -> Iterator[str]:
    try:
        from datasets import load_dataset
    except ImportError:
        raise UserError(f"{REMOTE}{name} needs the package datasets: pip install datasets") from None
    if not name:
        raise UserError(f"{REMOTE} names no dataset; write it behind, as in {REMOTE}owner/name")
    name, _, config = name.partition(":")
    try:
        for row in load_dataset(name, *[config] * bool(config), split="train", streaming=True):
            yield _field(row, field, f"the dataset {name}")
    except UserError:
        raise
    except (OSError, ValueError, RuntimeError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(f"the dataset {name} cannot be had: {reason:.200}; check its name and the network") from None


READERS: dict[str, Callable[[Path, str, str | None], Iterator[str]]] = {
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    ".csv": _csv,
    ".tsv": _csv,
}
