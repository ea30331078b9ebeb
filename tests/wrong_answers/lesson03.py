"""Answers that learners give in lesson 03, by the name of their mistake."""

import math
from collections import Counter
from itertools import pairwise

import numpy as np


def context_count(text, a):
    return sum(x == a for x, _ in pairwise(text))


def pair_count(text, a, b):
    return sum(pair == (a, b) for pair in pairwise(text))


def by(numerator, denominator):
    """An answer to add_k_bigram from what it takes for the two counts and what it adds below the line."""
    return lambda text, a, b, k, size: numerator(text, a, b, k) / denominator(text, a, k, size)


def above(text, a, b, k):
    return pair_count(text, a, b) + k


def unsmoothed(text, a, b, k, vocab_size):
    return pair_count(text, a, b) / context_count(text, a)


def above_only(text, a, b, k, vocab_size):
    return (pair_count(text, a, b) + k) / context_count(text, a)


def str_count(text, a, b, k):
    return text.count(a + b) + k


def underflow(probabilities):
    with np.errstate(all="ignore"):
        whole = np.prod(probabilities)
        return float(whole ** (-1 / len(probabilities)))


def skips_zero(probabilities):
    kept = [p for p in probabilities if p > 0]
    return math.exp(-sum(map(math.log, kept)) / len(kept))


def geometric(probabilities, base):
    if min(probabilities) == 0:
        return math.inf
    return base ** (-sum(map(math.log, probabilities)) / len(probabilities))


def no_mean(probabilities):
    total = -sum(math.log(p) for p in probabilities if p > 0)
    return math.exp(total) if total < 700 else math.inf


def kinds_before(text):
    return Counter(b for _, b in set(pairwise(text)))


def divided(counts, total):
    return {key: n / total for key, n in counts.items()} if total else {}


def kneser_ney(text, a, b, d, *, lower=None, taken=None, weight=None, unseen=None, mix=True):
    """The right formula, with one part replaced: each part is a function of the counts."""
    kinds = set(pairwise(text))
    below = lower(text, b) if lower else sum(y == b for _, y in kinds) / len(kinds)
    follow = Counter(y for x, y in pairwise(text) if x == a)
    n, total = follow[b], follow.total()
    if not total:
        return below if unseen is None else unseen
    first = taken(n, total, d) if taken else max(n - d, 0) / total
    share = weight(len(follow), total, d) if weight else d * len(follow) / total
    return first if n and not mix else first + share * below


def variant(**parts):
    return lambda text, a, b, d: kneser_ney(text, a, b, d, **parts)


def share_of_occurrences(text, b):
    return sum(y == b for _, y in pairwise(text)) / (len(text) - 1)


def last_counts(text, a, b, d):
    kinds = set(pairwise(text))
    below = sum(y == b for _, y in kinds) / len(kinds)
    follow = Counter(y for x, y in pairwise(text) if x == a)
    if not follow:
        return below
    total = text.count(a)
    return max(follow[b] - d, 0) / total + d * len(follow) / total * below


def log_sum(values):
    top = np.max(values)
    return top if top == -np.inf else top + np.log(np.exp(values - top).sum())


def forward(start, move, stop, emit, add=log_sum):
    alpha = start + emit[0]
    for row in emit[1:]:
        alpha = np.array([add(alpha + move[:, j]) for j in range(len(alpha))]) + row
    return float(add(alpha + stop))


def plain_forward(start, move, stop, emit):
    with np.errstate(all="ignore"):
        alpha = np.exp(start + emit[0])
        for row in emit[1:]:
            alpha = alpha @ np.exp(move) * np.exp(row)
        return float(np.log(alpha @ np.exp(stop)))


def careless(values):
    with np.errstate(all="ignore"):
        return values.max() + np.log(np.exp(values - values.max()).sum())


def nan_for_nothing(start, move, stop, emit):
    with np.errstate(all="ignore"):
        return forward(start, move, stop, emit, careless)


def writes_into_start(start, move, stop, emit):
    alpha = start
    alpha += emit[0]
    for row in emit[1:]:
        alpha = np.array([log_sum(alpha + move[:, j]) for j in range(len(alpha))]) + row
    return float(log_sum(alpha + stop))


WRONG = {
    "possible_taggings": {
        "all": lambda length: 4**length,
        "one-end": lambda length: 2**length,
        "ends-free": lambda length: 4 * 2 ** (length - 1),
        "length": lambda length: length,
        "one-border": lambda length: length - 1,
        "type": lambda length: 4**length / 2 ** (length + 1),
    },
    "add_k_bigram": {
        "last-counts": by(above, lambda text, a, k, size: text.count(a) + k * size),
        "no-vocabulary": by(above, lambda text, a, k, size: context_count(text, a) + k),
        "one": by(above, lambda text, a, k, size: context_count(text, a) + size),
        "kinds-in-text": by(above, lambda text, a, k, size: context_count(text, a) + k * len(set(text))),
        "joint": by(above, lambda text, a, k, size: len(text) - 1 + k * size),
        "swapped": by(
            lambda text, a, b, k: pair_count(text, b, a) + k,
            lambda text, a, k, size: context_count(text, a) + k * size,
        ),
        "unsmoothed": unsmoothed,
        "only-above": above_only,
        "no-overlap": by(str_count, lambda text, a, k, size: context_count(text, a) + k * size),
    },
    "perplexity": {
        "base": lambda probabilities: geometric(probabilities, 2),
        "no-mean": no_mean,
        "mean-of-p": lambda probabilities: len(probabilities) / sum(probabilities),
        "mean-of-inverse": lambda probabilities: sum(1 / p for p in probabilities if p > 0) / len(probabilities),
        "cross-entropy": lambda probabilities: -sum(math.log(p) for p in probabilities if p > 0) / len(probabilities),
        "skips-zero": skips_zero,
        "underflow": underflow,
        "raised": lambda probabilities: math.prod(probabilities) ** (-1 / len(probabilities)),
    },
    "continuation_shares": {
        "times": lambda text: divided(Counter(b for _, b in pairwise(text)), len(text) - 1),
        "frequency": lambda text: divided(Counter(text), len(text)),
        "followers": lambda text: divided(Counter(a for a, _ in set(pairwise(text))), len(set(pairwise(text)))),
        "of-occurrences": lambda text: divided(kinds_before(text), len(text) - 1),
        "of-characters": lambda text: divided(kinds_before(text), len(set(text))),
        "not-divided": lambda text: dict(kinds_before(text)),
    },
    "kneser_ney_bigram": {
        "frequency-below": variant(lower=share_of_occurrences),
        "not-discounted": variant(taken=lambda n, total, d: n / total),
        "one-kind": variant(weight=lambda kinds, total, d: d / total),
        "lambda-is-d": variant(weight=lambda kinds, total, d: d),
        "back-off": variant(mix=False),
        "negative": variant(taken=lambda n, total, d: (n - d) / total),
        "last-counts": last_counts,
        "unseen-context": variant(unseen=0.0),
    },
    "sentence_log_likelihood": {
        "best-path": lambda start, move, stop, emit: forward(start, move, stop, emit, np.max),
        "no-stop": lambda start, move, stop, emit: forward(start, move, np.zeros_like(stop), emit),
        "transposed": lambda start, move, stop, emit: forward(start, move.T, stop, emit),
        "first-emission": lambda start, move, stop, emit: forward(
            start, move, stop, np.vstack([np.zeros_like(start), emit[1:]])
        ),
        "not-a-log": lambda start, move, stop, emit: math.exp(forward(start, move, stop, emit)),
        "underflow": plain_forward,
        "minus-infinity": nan_for_nothing,
        "mutated": writes_into_start,
    },
}
STUB = {"perplexity": "base"}
