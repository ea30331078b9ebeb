"""How sure is a score? Intervals and comparisons by the bootstrap: draw the test set again, from itself.

A test set is one draw from all texts. To see how far another draw might have been off, resample: as many examples as
there are, with replacement, again and again; the middle 95% of the scores are the interval (Efron 1979; Efron and
Tibshirani 1993, chapter 13). Two systems on one test set share their examples, hard ones and easy ones, and are
compared on the same resamples (Koehn 2004).

A score is given as a function of the rows of the test set, (N,) int -> float, so that any will do: an accuracy, an
F1, a BLEU (minillm.metrics.bleu_counts adds up). `mean_of(values)` makes one of a value an example.
"""

import math
from collections.abc import Callable
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

Array = np.ndarray
Score = Callable[[Array], float]


class Interval(NamedTuple):
    """From low to high."""

    low: float
    high: float

    def __contains__(self, value: object) -> bool:
        return isinstance(value, int | float | np.number) and bool(self.low <= value <= self.high)


class Paired(NamedTuple):
    """The difference of two scores, its interval, and the share of resamples in which the first is the better."""

    difference: float
    interval: Interval
    wins: float  # ties count half


def mean_of(values: Array) -> Score:
    """The score that is the mean of a value an example.  values (N,)"""
    values = np.asarray(values, np.float64)
    return lambda rows: float(values[rows].mean())


def bootstrap_interval(
    score: Score, size: int, rng: np.random.Generator, level: float = 0.95, resamples: int = 1000
) -> Interval:
    """The percentile interval of a score on a test set of `size` examples. ValueError: size or level impossible."""
    return _middle(np.array([score(rows) for rows in _resamples(size, rng, resamples)]), level)


def paired_bootstrap(
    a: Score, b: Score, size: int, rng: np.random.Generator, level: float = 0.95, resamples: int = 1000
) -> Paired:
    """Score a less score b, on the same resamples. Significant at `level` if the interval leaves 0 out."""
    everything = np.arange(size)
    differences = np.array([a(rows) - b(rows) for rows in _resamples(size, rng, resamples)])
    wins = float((differences > 0).mean() + (differences == 0).mean() / 2)
    return Paired(a(everything) - b(everything), _middle(differences, level), wins)


def wilson_interval(successes: int, size: int, level: float = 0.95) -> Interval:
    """The interval of a share, without drawing: all p from which so many successes are no surprise (Wilson 1927).

    It keeps its promise where the bootstrap does not: few examples, or a share near 0 or 1.
    """
    if not 0 <= successes <= size or size < 1:
        raise ValueError(f"{successes} successes of {size} is no share")
    z = NormalDist().inv_cdf((1 + _checked(level)) / 2)
    share, shrink = successes / size, 1 + z**2 / size
    middle = (share + z**2 / (2 * size)) / shrink
    half = z / shrink * math.sqrt(share * (1 - share) / size + z**2 / (4 * size**2))
    return Interval(middle - half if successes else 0.0, middle + half if successes < size else 1.0)


def _resamples(size: int, rng: np.random.Generator, resamples: int) -> list[Array]:
    if size < 1 or resamples < 1:
        raise ValueError(f"{size} examples and {resamples} resamples: both are 1 or more")
    return [rng.integers(size, size=size) for _ in range(resamples)]


def _middle(values: Array, level: float) -> Interval:
    tail = (1 - _checked(level)) / 2
    low, high = np.quantile(values, [tail, 1 - tail])
    return Interval(float(low), float(high))


def _checked(level: float) -> float:
    if not 0 < level < 1:
        raise ValueError(f"a level lies between 0 and 1, not at {level}")
    return level
