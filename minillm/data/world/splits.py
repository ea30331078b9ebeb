"""Compositional splits: who goes where. Every person and every place is seen in training, some pairs never are.

For each person and each kind of place, a hash orders the places: the first is that person's test place, the
second the validation place, the other six are for training. So test stories put seen words together anew.
"""

import hashlib
from collections.abc import Iterable

SPLITS = ("train", "valid", "test")
PINNED = {("我", "天安门"): "test"}  # 我爱北京天安门


def places_of(who: str, places: Iterable[str], split: str | None = None) -> list[str]:
    """The places, of one kind, where a split's texts have this person; all of them if split is None."""
    if split not in (None, *SPLITS):
        raise ValueError(f"split is None, train, valid or test, not {split!r}")
    places = list(places)
    order = sorted(places, key=lambda place: (PINNED.get((who, place)) != "test", _hash(who, place)))
    parts = {None: places, "test": order[:1], "valid": order[1:2], "train": [p for p in places if p in order[2:]]}
    return parts[split]


def _hash(who: str, place: str) -> str:
    return hashlib.sha256(f"{who} {place}".encode()).hexdigest()
