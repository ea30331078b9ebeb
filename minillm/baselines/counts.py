"""N-grams counted: every run of 1 to `order` tokens that a text holds, in sorted arrays, without a Python loop
over tokens.

An m-gram has an id, its rank among the distinct m-grams. Its key is made of its context's id and its last token:

    key(w1 .. wm) = id(w1 .. wm-1) · V + wm,        id of the empty context: 0

so that a key stays far below 2⁶³ at any order (V⁵ would not), and all m-grams that continue one context lie side
by side. The id of what the text does not hold is UNSEEN, -1: arrays indexed by id carry one more entry for it,
at their end.

Shapes: G number of distinct m-grams of a level m.
"""

from collections.abc import Sequence

import numpy as np

from minillm.errors import UserError

Array = np.ndarray
UNSEEN = -1


class NgramCounts:
    """All m-grams of a text for m = 1 .. order. Lists are indexed by m; their entry 0 is the empty context's."""

    def __init__(self, tokens: Array, vocab_size: int, order: int) -> None:
        """tokens (N,) int. UserError: order below 1, text shorter than it. ValueError: token out of range."""
        if order < 1:
            raise UserError(f"the order of an n-gram model is {order}; it must be 1 (single tokens) or more")
        if len(tokens) < order:
            raise UserError(f"the text has {len(tokens)} tokens, too few for order {order}: give more text")
        self.vocab_size, self.order = vocab_size, order
        tokens = self._checked(tokens)
        self.keys = [np.zeros(1, np.int64)]  # sorted, (G,)
        self.counts = [np.array([len(tokens)])]  # how often the text holds it, (G,)
        self.suffix = [np.zeros(1, np.int64)]  # id of the same without its first token, a level below, (G,)
        shorter = np.zeros(len(tokens) + 1, np.int64)  # at [i] the id of the (m-1)-gram that ends before place i
        for m in range(1, order + 1):
            places = np.arange(m - 1, len(tokens))  # of the last tokens of all m-grams
            keys, ids, counts = np.unique(
                shorter[places] * vocab_size + tokens[places], return_inverse=True, return_counts=True
            )
            suffix = np.empty(len(keys), np.int64)
            suffix[ids] = shorter[places + 1] if m > 1 else 0  # all places of an m-gram agree
            self.keys.append(keys)
            self.counts.append(counts)
            self.suffix.append(suffix)
            shorter[places + 1] = ids

    def context(self, m: int) -> Array:
        """Ids of the contexts (one token shorter) of all m-grams, (G,); they rise."""
        return self.keys[m] // self.vocab_size

    def continuations(self, m: int) -> Array:
        """How many different tokens stand before each m-gram, for m < order.  -> (G,)"""
        return np.bincount(self.suffix[m + 1], minlength=len(self.keys[m]))

    def per_context(self, m: int, values: Array) -> Array:
        """Sums of a value of the m-grams over those that share a context.  (G of m,) -> (G of m - 1,)"""
        return np.bincount(self.context(m), weights=values, minlength=len(self.keys[m - 1]))

    def find(self, tokens: Array) -> list[Array]:
        """At [m][i] the id of the m-gram whose last token is tokens[i], or UNSEEN.  (N,) -> (order + 1) times (N,)"""
        tokens = self._checked(tokens)
        found = [np.zeros(len(tokens), np.int64)]
        for m in range(1, self.order + 1):
            before = np.full(len(tokens), 0 if m == 1 else UNSEEN)
            before[1:] = found[-1][:-1]
            keys = before * self.vocab_size + tokens  # below 0, so never found, after UNSEEN
            at = np.minimum(np.searchsorted(self.keys[m], keys), len(self.keys[m]) - 1)
            found.append(np.where(self.keys[m][at] == keys, at, UNSEEN))
        return found

    def children(self, m: int, context: int) -> Array:
        """Ids of the m-grams that continue a context, by their last token, UNSEEN where there is none.  -> (V,)"""
        ids = np.full(self.vocab_size, UNSEEN)
        if context != UNSEEN:
            edges = np.array([context, context + 1]) * self.vocab_size
            start, stop = np.searchsorted(self.keys[m], edges)
            ids[self.keys[m][start:stop] - edges[0]] = np.arange(start, stop)
        return ids

    def _checked(self, tokens: Array | Sequence[int]) -> Array:
        tokens = np.asarray(tokens, np.int64)  # uint64 would turn the keys into floats
        if tokens.ndim != 1 or (tokens.size and not 0 <= tokens.min() <= tokens.max() < self.vocab_size):
            raise ValueError(f"tokens are one row of ids from 0 to {self.vocab_size - 1}")
        return tokens


def with_unseen(values: Array, unseen: float) -> Array:
    """The values of all ids, and at UNSEEN that of what the text does not hold.  (G,) -> (G + 1,)"""
    return np.append(values, unseen)
