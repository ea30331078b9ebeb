"""Stories of the town: draw them, read them back, and say exactly how much information they carry.

A story's choices are the plot, the facts and the wording. The stream that a model learns from is
<eos> story <eos> story <eos> ...: a story ends after its last slot for certain (if that slot is silent, <eos> is what
says so), so that the stream carries E[information of a story] / E[characters of a story] a character.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from minillm.data.corpora import Corpus
from minillm.data.world.exact import cross_entropy, expected_length
from minillm.data.world.grammar import Choice, Facts
from minillm.data.world.plots import KINDS, plot
from minillm.data.world.splits import SPLITS


@dataclass(frozen=True)
class Story:
    """A text and all that is behind it."""

    text: str
    kind: str
    facts: Facts
    choices: tuple[Choice, ...]
    sentences: tuple[str, ...]  # one for each choice; "" where it is silent


class Entropy(NamedTuple):
    """Exact expectations over the stories of a split."""

    nats: float  # a story
    characters: float  # a story, without <eos>

    @property
    def bits_per_character(self) -> float:
        """What `evaluate` calls bits_per_char: all bits of the stream, <eos> included, over the characters."""
        return self.nats / math.log(2) / self.characters

    @property
    def bits_per_token(self) -> float:
        """The same over characters and <eos>, one a story: the least mean loss of a character model, in bits."""
        return self.nats / math.log(2) / (self.characters + 1)


def story(rng: np.random.Generator, split: str | None = None, kinds: Sequence[str] = KINDS) -> Story:
    """A story of a split, or of the whole world; of any kind, or of some."""
    kind = kinds[int(rng.integers(len(kinds)))]
    grammar = plot(kind, split)
    derivation = grammar.sample(rng)
    said = tuple(grammar.sentences(derivation))
    return Story("".join(said), kind, derivation.facts, derivation.choices, said)


def stories(rng: np.random.Generator, split: str | None = None) -> Iterator[Story]:
    """Stories without end."""
    while True:
        yield story(rng, split)


def derivations(text: str, split: str | None = None) -> list[Story]:
    """All ways to derive a text: one for a story, none for anything else."""
    return [
        Story(text, kind, found.facts, found.choices, tuple(plot(kind, split).sentences(found)))
        for kind in KINDS
        for found in plot(kind, split).parse(text)
    ]


def log_probability(text: str, split: str | None = None) -> float:
    """Log p of a story in nats, exact, found by reading the text; -inf if the split cannot produce it."""
    found = [
        plot(kind, split).log_probability(derivation) for kind in KINDS for derivation in plot(kind, split).parse(text)
    ]
    return math.log(sum(map(math.exp, found)) / len(KINDS)) if found else -math.inf


@lru_cache
def entropy(split: str | None = None, *, known_split: bool = True) -> Entropy:
    """The exact entropy of a split's stories. None: of the whole world.

    known_split=False: what the split's stories cost one who knows the town, but not which people and places
    are kept for which split: their cross-entropy under the whole world. On valid and test this is the floor for
    a model: a model that beats it has guessed how the split was made.
    """
    plots = [(plot(kind, split), plot(kind, split if known_split else None)) for kind in KINDS]
    nats = sum(cross_entropy(told, code) for told, code in plots) / len(plots) + math.log(len(KINDS))
    return Entropy(nats, sum(expected_length(told) for told, _ in plots) / len(plots))


def corpus(characters: int = 200_000, seed: int = 0) -> Corpus:
    """Stories of at least `characters` characters, 80 : 10 : 10, in compositional splits. Same seed, same text."""
    documents: dict[str, list[str]] = {}
    for i, (split, percent) in enumerate(zip(SPLITS, (80, 10, 10), strict=True)):
        rng, total, documents[split] = np.random.default_rng([seed, i]), 0, []
        while 100 * total < percent * characters:
            documents[split].append(story(rng, split).text)
            total += len(documents[split][-1])
    return Corpus("world", **documents)
