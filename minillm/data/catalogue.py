"""The public corpora that can be fetched by name: where each file lies, how long it is, and its SHA-256.

files/sources.json holds it all; a file is fixed by its repository's commit, so that it never changes. None of the
texts is part of this package. files/cards has a data card for each corpus.
"""

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from urllib.parse import quote

from minillm.errors import UserError

FILES = Path(__file__).parent / "files"
OFFICIAL = "https://raw.githubusercontent.com"


@dataclass(frozen=True)
class SourceFile:
    """One file: its name in the cache and in a mirror, its official address, and what it must be."""

    name: str
    address: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Source:
    """A corpus as its authors publish it."""

    name: str
    about: str
    size: str
    licence: str
    attribution: str
    files: tuple[SourceFile, ...]

    @property
    def bytes(self) -> int:
        return sum(file.bytes for file in self.files)

    def card(self) -> str:
        """The data card, Chinese and English, as Markdown."""
        return (FILES / "cards" / f"{self.name}.md").read_text(encoding="utf-8")


@lru_cache(maxsize=1)
def catalogue() -> dict[str, Source]:
    """All sources by name."""
    found = json.loads((FILES / "sources.json").read_text(encoding="utf-8"))
    return {name: _source(name, **entry) for name, entry in found.items()}


def find(name: str) -> Source:
    """The source of that name. UserError: there is none."""
    if name not in catalogue():
        raise UserError(f"there is no corpus {name!r} to fetch; choose one of {', '.join(catalogue())}")
    return catalogue()[name]


def _source(name: str, repository: str, commit: str, files: list[dict], **rest: str) -> Source:
    base = f"{OFFICIAL}/{repository}/{commit}"
    entries = (SourceFile(f["file"], f"{base}/{quote(f['path'])}", f["bytes"], f["sha256"]) for f in files)
    return Source(name, files=tuple(entries), **rest)
