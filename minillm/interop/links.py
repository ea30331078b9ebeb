"""Which of our weights is which of theirs: a list of links, read one way for import and the other way for export.

Ours is (rows, columns), or (rows,) for a vector. Theirs may be split by rows into several (query, key, value), or
transposed (GPT-2's Conv1D multiplies from the other side).
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from minillm.errors import UserError

Shape = tuple[int, ...]


class Link(NamedTuple):
    """One weight of ours, and the names and rows of theirs that it is made of."""

    ours: str
    theirs: tuple[tuple[str, int], ...]
    columns: int = 0  # 0: a vector
    transposed: bool = False
    keep: int = 0  # so many of their rows are ours; 0: all
    zero: bool = False  # they have no such bias

    @property
    def shape(self) -> Shape:
        """Of our weight."""
        rows = self.keep or sum(rows for _, rows in self.theirs)
        return (rows, self.columns) if self.columns else (rows,)

    def shape_of(self, rows: int) -> Shape:
        """Of one of theirs with that many of our rows."""
        if not self.columns:
            return (rows,)
        return (self.columns, rows) if self.transposed else (rows, self.columns)


def check(where: object, links: list[Link], found: Mapping[str, Shape], ignored: set[str]) -> None:
    """UserError that names the first weight that is missing, misshapen or unknown. Takes no memory."""
    needed = {name: link.shape_of(rows) for link in links for name, rows in link.theirs if not link.zero}
    for name, shape in needed.items():
        if name not in found:
            raise UserError(
                f"{where} lacks the weight {name}: its config.json describes another model, or it is cut off"
            )
        if found[name] != shape:
            raise UserError(f"{where} does not fit its config.json: {name} is {found[name]}, and should be {shape}")
    if extra := sorted(found.keys() - needed.keys() - ignored):
        raise UserError(
            f"{where} holds weights that this architecture does not have: {', '.join(extra[:3])} ({len(extra)} in "
            "all); minillm reads plain causal language models"
        )


def ours_from(link: Link, theirs: Mapping[str, np.ndarray]) -> np.ndarray:
    """Our weight, float32."""
    if link.zero:
        return np.zeros(link.shape, np.float32)
    parts = [theirs[name] for name, _ in link.theirs]
    whole = parts[0] if len(parts) == 1 else np.concatenate(parts)
    whole = (whole.T if link.transposed else whole)[: link.shape[0]]
    return np.require(whole, np.float32, ["C", "W"])  # a copy if it lies in the file, or otherwise than we want it


def theirs_from(link: Link, ours: np.ndarray) -> dict[str, np.ndarray]:
    """Their weights, as views of ours (a part of theirs is never transposed and split at once)."""
    found, start = {}, 0
    for name, rows in link.theirs:
        part = ours[start : start + rows]
        found[name] = part.T if link.transposed else part
        start += rows
    return found
