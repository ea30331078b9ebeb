"""A small stochastic grammar whose probabilities are exact: draw a text, read it back, compute its entropy.

A text is told in two steps. First its *facts* are drawn, each from a distribution that may depend on earlier
facts (a Bayesian network; Pearl 1988). Then each *slot* in turn chooses one of its *frames*, sentences with gaps:

    "{day}{hour}，{who}(去|到){place}买{thing}。"

{name} is a gap: the wording of one or several facts, the same wherever it stands, so that sentences agree.
(a|b) is a choice between wordings. Frames of a slot, and wordings in brackets, are equally likely.

Two rules make text and choices one-to-one, so that log p(text) is the sum of the choices' log p and the
entropy of texts is the entropy of choices (README.md has the derivation; ambiguity.py tests the rules):

1. a sentence holds one 。, at its end (perhaps with ” behind it), and no two frames of a plot that could be
   mistaken for each other share a sentence;
2. each fact can be read off the text: all frames of one slot, which every story has, word it one-to-one.
"""

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

Facts = dict[str, Any]
Weights = Mapping[Any, float]
PART = re.compile(r"\{(\w+)\}|\(([^()]*)\)|([^{}()]+)")
SENTENCE = re.compile(r"[^。]*。”?")


@dataclass(frozen=True)
class Variable:
    """A fact: `weights` gives its values and their weights, given the values of its parents."""

    name: str
    parents: tuple[str, ...]
    weights: Callable[..., Weights]

    def distribution(self, facts: Facts) -> dict[Any, float]:
        """Value -> probability given the parents in `facts`; every one above 0."""
        weights = self.weights(*(facts[parent] for parent in self.parents))
        total = sum(weights.values())
        return {value: weight / total for value, weight in weights.items()}


@dataclass(frozen=True)
class Wording:
    """How a gap is filled: a function of some facts."""

    facts: tuple[str, ...]
    say: Callable[..., str]

    def __call__(self, facts: Facts) -> str:
        return self.say(*(facts[name] for name in self.facts))


class Slot(NamedTuple):
    """A step of the story: a list of frames, or one for each value of the fact `given`. The frame "" is silence."""

    frames: Sequence[str] | Mapping[Any, Sequence[str]]
    given: str | None = None

    def cases(self) -> dict[Any, Sequence[str]]:
        return dict(self.frames) if isinstance(self.frames, Mapping) else {None: self.frames}

    def available(self, facts: Facts) -> Sequence[str]:
        return self.cases()[facts[self.given] if self.given else None]


class Choice(NamedTuple):
    """What a slot chose: a frame, and the wording of each of its brackets."""

    frame: str
    words: tuple[str, ...]


class Derivation(NamedTuple):
    """All choices behind a text."""

    facts: Facts
    choices: tuple[Choice, ...]


class Parts(NamedTuple):
    """A frame taken apart: literals and gaps in order, where a literal is a bracket with a single wording."""

    items: tuple[str | tuple[str, ...], ...]  # the name of a gap, or the wordings of a bracket

    @property
    def brackets(self) -> list[tuple[str, ...]]:
        return [item for item in self.items if isinstance(item, tuple)]

    @property
    def gaps(self) -> list[str]:
        return [item for item in self.items if isinstance(item, str)]


def take_apart(frame: str) -> Parts:
    """ValueError: brackets that do not match."""
    found = list(PART.finditer(frame))
    if "".join(match[0] for match in found) != frame:
        raise ValueError(f"this frame has a bracket that does not match: {frame}")
    return Parts(tuple(m[1] if m[1] else tuple(m[2].split("|")) if m[2] is not None else (m[3],) for m in found))


def draw(distribution: Mapping[Any, float], rng: np.random.Generator) -> Any:
    """One value of a distribution."""
    u, value = rng.random(), None
    for value, p in distribution.items():  # noqa: B007, the last value takes what rounding leaves
        u -= p
        if u < 0:
            break
    return value


class Plot:
    """One kind of story: its facts, their wordings (a fact without one is worded as it is), its slots.

    Variables stand behind their parents. All information is in nats.
    """

    def __init__(self, variables: Sequence[Variable], wordings: Mapping[str, Wording], slots: Sequence[Slot]) -> None:
        self.variables = {variable.name: variable for variable in variables}
        self.wordings = {name: Wording((name,), str) for name in self.variables} | dict(wordings)
        self.slots = slots
        self.parts = {
            frame: take_apart(frame) for slot in slots for frames in slot.cases().values() for frame in frames
        }
        self._marginals: dict[tuple[str, ...], dict[tuple, float]] = {}

    # ------------------------------------------------------------------ texts

    def sample(self, rng: np.random.Generator) -> Derivation:
        facts: Facts = {}
        for variable in self.variables.values():
            facts[variable.name] = draw(variable.distribution(facts), rng)
        return Derivation(facts, self.tell(facts, rng))

    def tell(self, facts: Facts, rng: np.random.Generator) -> tuple[Choice, ...]:
        """Choose the sentences for given facts."""
        choices = []
        for slot in self.slots:
            frames = slot.available(facts)
            frame = frames[int(len(frames) * rng.random())]
            brackets = self.parts[frame].brackets
            choices.append(
                Choice(frame, tuple(b[int(len(b) * rng.random())] if len(b) > 1 else b[0] for b in brackets))
            )
        return tuple(choices)

    def sentences(self, derivation: Derivation) -> list[str]:
        """What each slot says."""
        said = []
        for choice in derivation.choices:
            words = iter(choice.words)
            items = self.parts[choice.frame].items
            said.append(
                "".join(next(words) if isinstance(i, tuple) else self.wordings[i](derivation.facts) for i in items)
            )
        return said

    def text(self, derivation: Derivation) -> str:
        return "".join(self.sentences(derivation))

    # ------------------------------------------------------------------ the way back

    def parse(self, text: str) -> Iterator[Derivation]:
        """All derivations of a text: none, or one if the plot passes `check`."""
        said = SENTENCE.findall(text)
        if "".join(said) == text:
            for facts, choices in self._align(said, 0, {}):
                derivation = Derivation(facts, choices)
                if len(facts) == len(self.variables) and self.possible(derivation) and self.text(derivation) == text:
                    yield derivation

    def _align(self, said: list[str], at: int, facts: Facts) -> Iterator[tuple[Facts, tuple[Choice, ...]]]:
        """Ways in which the slots from `at` on say these sentences; whether the gaps agree is seen later."""
        if at == len(self.slots):
            if not said:
                yield facts, ()
            return
        for frame in dict.fromkeys(f for frames in self.slots[at].cases().values() for f in frames):
            if not frame:
                for found, choices in self._align(said, at + 1, facts):
                    yield found, (Choice("", ()), *choices)
            elif said and (match := self.patterns[frame].fullmatch(said[0])):
                read = self._facts_read(frame, match)
                if read is not None and all(facts.get(name, value) == value for name, value in read.items()):
                    words = tuple(match[f"b{i}"] for i in range(len(self.parts[frame].brackets)))
                    for found, choices in self._align(said[1:], at + 1, facts | read):
                        yield found, (Choice(frame, words), *choices)

    def _facts_read(self, frame: str, match: re.Match) -> Facts | None:
        """The facts that a sentence words one-to-one, or None if it contradicts itself."""
        facts = dict(self.telling.get(frame, ()))
        for i, gap in enumerate(self.parts[frame].gaps):
            if gap in self.readings:
                name, value = self.wordings[gap].facts[0], self.readings[gap][match[f"g{i}"]]
                if facts.setdefault(name, value) != value:
                    return None
        return facts

    def possible(self, derivation: Derivation) -> bool:
        """Whether facts and choices have a probability above 0."""
        facts = derivation.facts
        return all(facts[v.name] in v.distribution(facts) for v in self.variables.values()) and all(
            choice.frame in slot.available(facts) for slot, choice in zip(self.slots, derivation.choices, strict=True)
        )

    def log_probability(self, derivation: Derivation) -> float:
        """Log p of the choices in nats; -inf if they are not possible."""
        facts = derivation.facts
        if not self.possible(derivation):
            return -math.inf
        total = sum(math.log(v.distribution(facts)[facts[v.name]]) for v in self.variables.values())
        for slot, choice in zip(self.slots, derivation.choices, strict=True):
            total -= math.log(len(slot.available(facts))) + self.bracket_nats(choice.frame)
        return total

    def bracket_nats(self, frame: str) -> float:
        """Information of a frame's choices between wordings."""
        return sum(math.log(len(bracket)) for bracket in self.parts[frame].brackets)

    # ------------------------------------------------------------------ exact sums

    def marginal(self, names: Sequence[str]) -> dict[tuple, float]:
        """The joint distribution of some facts: values in the order of `names` -> probability, summed exactly."""
        key = tuple(names)
        if key not in self._marginals:
            needed = set(key)
            for variable in reversed(self.variables.values()):
                if variable.name in needed:
                    needed |= set(variable.parents)
            states: list[tuple[Facts, float]] = [({}, 1.0)]
            for variable in self.variables.values():
                if variable.name in needed:
                    options = ((f, p, value, q) for f, p in states for value, q in variable.distribution(f).items())
                    states = [(f | {variable.name: value}, p * q) for f, p, value, q in options]
            result: dict[tuple, float] = {}
            for facts, p in states:
                values = tuple(facts[name] for name in key)
                result[values] = result.get(values, 0.0) + p
            self._marginals[key] = result
        return self._marginals[key]

    # ------------------------------------------------------------------ what gaps can say

    @cached_property
    def sayings(self) -> dict[str, tuple[str, ...]]:
        """All that a gap can be filled with."""
        return {
            name: tuple(dict.fromkeys(wording.say(*values) for values in self.marginal(wording.facts)))
            for name, wording in self.wordings.items()
        }

    @cached_property
    def readings(self) -> dict[str, dict[str, Any]]:
        """For each gap that words one fact one-to-one: its words -> the fact's value."""
        alone = {name: wording for name, wording in self.wordings.items() if len(wording.facts) == 1}
        tables = {name: {w.say(value): value for (value,) in self.marginal(w.facts)} for name, w in alone.items()}
        return {name: table for name, table in tables.items() if len(table) == len(self.marginal(alone[name].facts))}

    @cached_property
    def telling(self) -> dict[str, Facts]:
        """Frames that a slot has in one of its cases only: so they tell the fact that it depends on."""
        found: dict[str, Facts] = {}
        for slot in self.slots:
            cases = slot.cases()
            for value, frame in ((value, frame) for value, frames in cases.items() for frame in frames):
                if slot.given and sum(frame in frames for frames in cases.values()) == 1:
                    found[frame] = {slot.given: value}
        return found

    @cached_property
    def patterns(self) -> dict[str, re.Pattern]:
        """A regular expression for each frame; gaps are groups g0, g1, ..., brackets (and literals) b0, b1, ..."""
        return {frame: self._pattern(parts) for frame, parts in self.parts.items()}

    def _pattern(self, parts: Parts) -> re.Pattern:
        pieces, counts = [], {"g": 0, "b": 0}
        for item in parts.items:
            kind, words = ("b", item) if isinstance(item, tuple) else ("g", self.sayings[item])
            pieces.append(f"(?P<{kind}{counts[kind]}>{'|'.join(map(re.escape, words))})")
            counts[kind] += 1
        return re.compile("".join(pieces))
