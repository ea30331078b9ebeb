"""Exact expectations over the stories of a plot: its entropy and its mean length, by sums over small tables.

Chain rule and linearity do it (README.md): the entropy is a sum over choices of the expected entropy of that choice
given the facts on which its distribution depends; the length is a sum over what each slot may say.
"""

import math
from collections.abc import Iterator
from typing import Any

from minillm.data.world.grammar import Plot, Slot


def cross_entropy(plot: Plot, code: Plot | None = None) -> float:
    """Expected -log p in nats of a story of `plot`, under `code`'s distributions of the facts: by default its own.

    `code` has the same facts, wordings and slots.
    """
    code, nats = code or plot, 0.0
    for variable in plot.variables.values():
        for (*given, value), p in plot.marginal((*variable.parents, variable.name)).items():
            facts = dict(zip(variable.parents, given, strict=True))
            nats -= p * math.log(code.variables[variable.name].distribution(facts)[value])
    for slot, case, p in cases(plot):
        frames = slot.cases()[case]
        nats += p * (math.log(len(frames)) + sum(map(plot.bracket_nats, frames)) / len(frames))
    return nats


def expected_length(plot: Plot) -> float:
    """Expected number of characters of a story."""
    total = 0.0
    for slot, case, p in cases(plot):
        lengths = [frame_length(plot, frame, slot.given, case) for frame in slot.cases()[case]]
        total += p * sum(lengths) / len(lengths)
    return total


def cases(plot: Plot) -> Iterator[tuple[Slot, Any, float]]:
    """Each slot, with the values of the fact on which its frames depend (or None) and their probabilities."""
    for slot in plot.slots:
        if slot.given is None:
            yield slot, None, 1.0
        else:
            yield from ((slot, value, p) for (value,), p in plot.marginal((slot.given,)).items())


def frame_length(plot: Plot, frame: str, given: str | None, case: Any) -> float:
    """Expected characters of a frame, if the fact `given` is `case`."""
    length = sum(sum(map(len, bracket)) / len(bracket) for bracket in plot.parts[frame].brackets)
    for gap in plot.parts[frame].gaps:
        wording, mass, total = plot.wordings[gap], 0.0, 0.0
        names = wording.facts if given is None or given in wording.facts else (*wording.facts, given)
        for values, p in plot.marginal(names).items():
            facts = dict(zip(names, values, strict=True))
            if given is None or facts[given] == case:
                mass, total = mass + p, total + p * len(wording(facts))
        length += total / mass
    return length
