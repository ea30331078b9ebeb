"""Is a grammar unambiguous? A proof by exhaustion, for learners who change the town.

Two frames are sequences of word lists. We read them side by side and remember only by how much one is ahead
of the other (as Sardinas and Patterson 1953 do for codes): few states, although frames stand for many
sentences. A gap may be filled with anything that it can ever say, agreement or not: the test errs on the safe side.
"""

from collections.abc import Sequence
from itertools import combinations

from minillm.data.world.grammar import Plot

Words = Sequence[Sequence[str]]


def common_text(a: Words, b: Words) -> str | None:
    """A text that both sequences of word lists can spell, or None."""
    todo, seen = [(0, 0, "", True, "")], set()  # words read of a and of b; the lead; whether a leads; the text
    while todo:
        i, j, lead, a_leads, text = todo.pop()
        if i == len(a) and j == len(b) and not lead:
            return text
        if (i, j, lead, a_leads) in seen:
            continue
        seen.add((i, j, lead, a_leads))
        reads_b = j < len(b) and (a_leads or i == len(a))  # who is behind reads on
        for word in b[j] if reads_b else a[i] if i < len(a) else ():
            if lead and reads_b != a_leads:  # the leader cannot read on: the other is at its end
                break
            if lead.startswith(word):
                rest, leader = lead[len(word) :], a_leads
            elif word.startswith(lead):
                rest, leader = word[len(lead) :], not reads_b
            else:
                continue
            todo.append((i + (not reads_b), j + reads_b, rest, leader, text + word[len(lead) :]))
    return None


def spelt_twice(words: Words) -> str | None:
    """A text that a sequence of word lists spells in two different ways, or None."""
    for i, item in enumerate(words):
        if len(set(item)) < len(item):
            return max(item, key=item.count)
        for first, second in combinations(item, 2):  # the first list in which the two ways differ
            if text := common_text([[first], *words[i + 1 :]], [[second], *words[i + 1 :]]):
                return text
    return None


def check_plot(plot: Plot) -> None:
    """ValueError, in one line that shows the frame or the fact, if a text of the plot may have two derivations."""
    places = [(at, frames) for at, slot in enumerate(plot.slots) for frames in slot.cases().values()]
    told: set[str] = set()
    for at, slot in enumerate(plot.slots):
        cases = slot.cases().values()
        told |= set.intersection(*(facts_told(plot, frame) for frames in cases for frame in frames))
        for frames in cases:
            if len(set(frames)) < len(frames):
                raise ValueError(f"slot {at} has a frame twice: {max(frames, key=list(frames).count)}")
    if missing := plot.variables.keys() - told:
        raise ValueError(f"no slot tells this fact in each of its frames: {', '.join(sorted(missing))}")
    if stops := [word for words in plot.sayings.values() for word in words if "。" in word]:
        raise ValueError(f"a gap says {stops[0]}, and only a frame's end may hold a 。")
    used = {frame: at for at, frames in places for frame in frames if frame}
    for frame in used:
        if frame.rstrip("”").find("。") != len(frame.rstrip("”")) - 1:
            raise ValueError(f"a frame is one sentence with one 。 at its end: {frame}")
        if text := spelt_twice(spelling(plot, frame)):
            raise ValueError(f"{frame} says {text} in two ways")
    for at, frames in places:
        if clash := [frame for frame in frames if frame and used[frame] != at]:
            raise ValueError(f"two slots share a frame: {clash[0]}")
    for first, second in combinations(used, 2):
        if text := common_text(spelling(plot, first), spelling(plot, second)):
            raise ValueError(f"{first} and {second} can both say {text}")


def check_openings(plots: Sequence[Plot]) -> None:
    """ValueError if two plots can open alike: then a story might belong to either."""
    for one, other in combinations(plots, 2):
        for first in [frame for frames in one.slots[0].cases().values() for frame in frames]:
            for second in [frame for frames in other.slots[0].cases().values() for frame in frames]:
                if text := common_text(spelling(one, first), spelling(other, second)):
                    raise ValueError(f"{first} and {second} open two plots with {text}")


def facts_told(plot: Plot, frame: str) -> set[str]:
    """The facts that can be read off each of a frame's sentences."""
    gaps = {plot.wordings[gap].facts[0] for gap in plot.parts[frame].gaps if gap in plot.readings}
    return gaps | set(plot.telling.get(frame, ()))


def spelling(plot: Plot, frame: str) -> list[tuple[str, ...]]:
    """The lists of words that a frame strings together."""
    return [item if isinstance(item, tuple) else plot.sayings[item] for item in plot.parts[frame].items]
