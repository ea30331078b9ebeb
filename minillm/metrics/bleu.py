"""BLEU: how much of a translation's n-grams stand in a reference (Papineni, Roukos, Ward and Zhu 2002).

    BLEU = 100 · BP · (p₁ p₂ p₃ p₄)^(1/4)        BP = 1 if h > r, else exp(1 - r / h)

p_n: the n-grams that a reference has too, over all n-grams of the translations. An n-gram counts at most as often as
it stands in the one reference that has it oftenest ("clipping"). h: tokens in all translations; r: tokens in the
references, each time of the reference that is nearest in length (the shorter of two). Counts are summed over all
sentences first: a corpus has a BLEU that is not the mean of its sentences'.

An order without a single match would make all of it 0. As NIST's mteval-v13a and sacrebleu do by default ("exp"), the
first such order counts 1/2 a match, the next 1/4, and so on (method 3 in Chen and Cherry 2014).

split_english and split_chinese cut as sacrebleu's tokenize="13a" and "zh" (Post 2018): scores compare only if texts
were cut alike.
"""

import math
import re
from collections import Counter
from collections.abc import Hashable, Sequence
from typing import NamedTuple

import numpy as np

Tokens = Sequence[Hashable]
# what sacrebleu calls Chinese; its two ranges above U+FFFF are spelt such that they take in U+2001 to U+2A6D
# (quotation marks, arrows) in place of rare characters, and to compare is to follow
CHINESE = re.compile(
    "([\u2001-\u2a6d\u2e80-\u2fdf\u2ff0-\u303f\u3100-\u312f\u31a0-\u31ef\u3200-\u4db5\u4e00-\u9fbb"
    "\uf900-\ufa2d\ufa30-\ufa6a\ufa70-\ufad9\ufe10-\ufe1f\ufe30-\ufe4f\uff00-\uffef])"
)
MTEVAL = (  # in this order
    (re.compile(r"([{-~\[-` -&(-+:-@/])"), r" \1 "),  # punctuation but for . , - '
    (re.compile(r"([^0-9])([.,])"), r"\1 \2 "),  # a point or comma not after a digit,
    (re.compile(r"([.,])([^0-9])"), r" \1 \2"),  # or not before one
    (re.compile(r"([0-9])(-)"), r"\1 \2 "),  # a dash after a digit
)
ENTITIES = (("&quot;", '"'), ("&amp;", "&"), ("&lt;", "<"), ("&gt;", ">"))


class Bleu(NamedTuple):
    """score and precisions (after smoothing) from 0 to 100, the brevity penalty from 0 to 1, and both lengths."""

    score: float
    precisions: tuple[float, ...]
    brevity_penalty: float
    length: int
    reference_length: int


def bleu(
    translations: Sequence[Tokens], references: Sequence[Sequence[Tokens]], order: int = 4, sentence: bool = False
) -> Bleu:
    """BLEU of translations, each with one or more references, all as tokens.

    With `sentence`, orders longer than the translation are left out, as sacrebleu does for single sentences; without
    it, translations all shorter than `order` score 0. ValueError: nothing to score, or a translation without reference.
    """
    if not translations or len(translations) != len(references):
        raise ValueError(f"{len(translations)} translations, but references for {len(references)}")
    counts = sum(bleu_counts(ours, theirs, order) for ours, theirs in zip(translations, references, strict=True))
    return bleu_of_counts(np.asarray(counts), sentence)


def bleu_counts(translation: Tokens, references: Sequence[Tokens], order: int = 4) -> np.ndarray:
    """All that BLEU knows of a sentence; counts of sentences add up.  -> (2 order + 2,) int

    Matches for n = 1 .. order, n-grams for n = 1 .. order, length, length of the nearest reference.
    """
    if not references:
        raise ValueError("a translation needs at least one reference")
    matches, totals = [], []
    for n in range(1, order + 1):
        ours, most = n_grams(translation, n), Counter[tuple[Hashable, ...]]()
        for reference in references:
            most |= n_grams(reference, n)  # of each n-gram, as many as the reference that has most of it
        matches.append((ours & most).total())  # clipped
        totals.append(ours.total())
    nearest = min(map(len, references), key=lambda length: (abs(length - len(translation)), length))
    return np.array([*matches, *totals, len(translation), nearest])


def bleu_of_counts(counts: np.ndarray, sentence: bool = False) -> Bleu:
    """BLEU from the sum of bleu_counts over a corpus.  (2 order + 2,)"""
    *grams, length, reference_length = (int(count) for count in counts)
    order = len(grams) // 2
    matches, totals = grams[:order], grams[order:]
    penalty = brevity_penalty(length, reference_length)
    precisions, misses = [0.0] * order, 0
    for n in range(order if any(matches) else 0):
        if totals[n]:
            misses += matches[n] == 0
            precisions[n] = 100 * (matches[n] or 0.5**misses) / totals[n]
    used = [p for p, total in zip(precisions, totals, strict=True) if total] if sentence else precisions
    if not all(used) or not used:
        return Bleu(0.0, tuple(precisions), penalty, length, reference_length)
    score = penalty * math.exp(sum(map(math.log, used)) / len(used))
    return Bleu(score, tuple(precisions), penalty, length, reference_length)


def brevity_penalty(length: int, reference_length: int) -> float:
    """What a translation that is too short is multiplied by; 0 if it is empty (and the reference is not)."""
    if length >= reference_length:
        return 1.0
    return math.exp(1 - reference_length / length) if length else 0.0


def n_grams(tokens: Tokens, n: int) -> Counter[tuple[Hashable, ...]]:
    """How often each run of n tokens occurs."""
    return Counter(zip(*(tokens[i:] for i in range(n)), strict=False))


def split_english(text: str) -> list[str]:
    """Words and marks of a sentence, as mteval-v13a cuts them."""
    text = text.replace("<skipped>", "").replace("-\n", "").replace("\n", " ")
    for entity, mark in ENTITIES:
        text = text.replace(entity, mark)
    return _split(f" {text} ")


def split_chinese(text: str) -> list[str]:
    """Each Chinese character and mark by itself, everything else as in English."""
    return _split(CHINESE.sub(r" \1 ", text.strip()))


def _split(text: str) -> list[str]:
    for pattern, apart in MTEVAL:
        text = pattern.sub(apart, text)
    return text.split()
