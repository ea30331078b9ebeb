"""Records into train, valid and test, 80 : 10 : 10: whole ones, the same way on every machine and for ever.

A record's place follows from the SHA-256 of its text, not from its position: a poem stands in the same split in
tang300 and in tang, and what occurs twice stands in one split only. Records that share a key (a sentence pair's
English, or its Chinese) are one group and stay together.
"""

import hashlib
from collections.abc import Iterable, Sequence
from typing import Protocol, TypeVar

SHARES = {"train": 80, "valid": 10, "test": 10}  # per cent


class Keyed(Protocol):
    def keys(self) -> tuple[str, ...]: ...


T = TypeVar("T", bound=Keyed)


def split_of(key: str) -> str:
    """The split that a text belongs to."""
    number = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") % 100
    train, valid = SHARES["train"], SHARES["train"] + SHARES["valid"]
    return "train" if number < train else "valid" if number < valid else "test"


def split_records(records: Sequence[T]) -> dict[str, list[T]]:
    """The records of each split, in their order."""
    groups = _groups(record.keys() for record in records)
    parts: dict[str, list[T]] = {name: [] for name in SHARES}
    for record in records:
        parts[split_of(groups[record.keys()[0]])].append(record)
    return parts


def _groups(keys: Iterable[tuple[str, ...]]) -> dict[str, str]:
    """Key -> the least key of its group, where the keys of one record are of one group (union-find)."""
    parent: dict[str, str] = {}

    def root(key: str) -> str:
        while (above := parent.setdefault(key, key)) != key:
            parent[key] = parent[above]
            key = above
        return key

    for first, *others in keys:
        for other in others or [first]:
            low, high = sorted((root(first), root(other)))
            parent[high] = low
    return {key: root(key) for key in parent}
