"""How well a segmentation agrees with another: precision, recall and F1 of word spans.

A word counts as found if both its ends are right (Sproat and Emerson 2003, the first SIGHAN bakeoff). The reference
is what one has: words that people have marked, or another program's, such as jieba's. Against the latter F1 measures
agreement with that program, mistakes included, and not truth.
"""

from collections.abc import Iterable, Sequence
from itertools import accumulate

from minillm.metrics.classification import Scores, scores_of_counts


def word_spans(words: Iterable[str]) -> set[tuple[int, int]]:
    """Where each word begins and ends, in characters."""
    ends = list(accumulate(map(len, words)))
    return set(zip([0, *ends[:-1]], ends, strict=True)) if ends else set()


def span_scores(reference: Iterable[Sequence[str]], found: Iterable[Sequence[str]]) -> Scores:
    """Scores of segmented texts, counted over all of them. ValueError: the texts themselves differ, or none."""
    right = in_reference = in_found = 0
    for theirs, ours in zip(reference, found, strict=True):
        if "".join(theirs) != "".join(ours):
            raise ValueError(f"two texts, not two segmentations of one: {theirs!r:.40} and {ours!r:.40}")
        a, b = word_spans(theirs), word_spans(ours)
        right, in_reference, in_found = right + len(a & b), in_reference + len(a), in_found + len(b)
    if not in_reference:
        raise ValueError("there is no word to score")
    return scores_of_counts(right, in_found, in_reference)
