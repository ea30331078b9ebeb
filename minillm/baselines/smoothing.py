"""N-gram models of any order: three answers to the question what to do with an n-gram never seen.

A model predicts a token w from the n - 1 tokens before it, its context h; h' is h without its first token. At the
beginning of a text, where fewer tokens came before, n is lower there. V is the number of tokens in the vocabulary.

    AddK        p(w | h) = (c(h w) + k) / (c(h) + k V)
    Backoff     p(w | h) = (c(h w) - D) / c(h)     if h w was seen, else  α(h) p(w | h')
    KneserNey   p(w | h) = max(c(h w) - D, 0) / c(h) + λ(h) p(w | h'),       λ(h) = D N(h •) / c(h)

c(h) is the sum of c(h w) over w, N(h •) the number of different w seen after h, and below the single token stands
the uniform guess 1 / V, so that every token has a probability above 0. Each order has its own discount D.

Sources: Katz 1987 (backing off); Ney, Essen and Kneser 1994 (absolute discounting, D = n₁ / (n₁ + 2 n₂));
Kneser and Ney 1995; Chen and Goodman 1999, "An empirical study of smoothing techniques for language modeling",
whose interpolated form of Kneser-Ney this is, with one discount an order (their modified one has three).
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np

from minillm.baselines.counts import UNSEEN, NgramCounts, with_unseen
from minillm.errors import UserError

Array = np.ndarray
Discounts = float | Sequence[float] | None


class NgramModel(ABC):
    """What all n-gram models share: a text's probability, the next token's, and text drawn from it."""

    def __init__(self, tokens: Array, vocab_size: int, order: int) -> None:
        """Count tokens (N,) int. UserError: order below 1, or a text shorter than it."""
        self.vocab_size, self.order = vocab_size, order
        self.grams = NgramCounts(tokens, vocab_size, order)

    @abstractmethod
    def _combine(self, m: int, context: Array | int, gram: Array, lower: Array) -> Array:
        """p(w | h) of the m-gram model from p(w | h').  Ids of h and of h w (UNSEEN where unseen), p (X,) -> (X,)"""

    def total_nll(self, tokens: Array) -> float:
        """Sum of -log p in nats over tokens[1:].  tokens (N,) int"""
        found = self.grams.find(tokens)
        p = np.full(max(len(tokens) - 1, 0), 1 / self.vocab_size)  # of tokens[1:]
        for m in range(1, self.order + 1):
            skip = max(m - 2, 0)  # the first of them have fewer than m - 1 tokens before them
            p[skip:] = self._combine(m, found[m - 1][skip:-1], found[m][skip + 1 :], p[skip:])
        with np.errstate(divide="ignore"):  # a discount of 0 leaves nothing for the unseen
            return float(-np.log(p).sum())

    def perplexity(self, tokens: Array) -> float:
        """exp of the mean -log p over tokens[1:]: among how many equally likely tokens it hesitates."""
        if len(tokens) < 2:
            raise UserError("a perplexity needs a text of at least 2 tokens: give more text")
        return math.exp(self.total_nll(tokens) / (len(tokens) - 1))

    def next_probabilities(self, context: Sequence[int] | Array) -> Array:
        """The distribution of the next token after a context of any length.  (T,) -> (V,), sums to 1"""
        tokens = np.asarray(context, np.int64)[max(len(context) - self.order + 1, 0) :]
        found = self.grams.find(tokens)
        p = np.full(self.vocab_size, 1 / self.vocab_size)
        for m in range(1, len(tokens) + 2):
            h = int(found[m - 1][-1]) if m > 1 else 0
            p = self._combine(m, h, self.grams.children(m, h), p)
        return p

    def generate(self, rng: np.random.Generator, prompt: Sequence[int] | Array, n: int) -> list[int]:
        """The n tokens that follow a prompt (it may be empty), each drawn from next_probabilities."""
        tokens = [int(token) for token in prompt]
        for _ in range(n):
            total = np.cumsum(self.next_probabilities(tokens[-self.order :]))
            tokens.append(int(np.searchsorted(total, rng.random() * total[-1], side="right")))
        return tokens[len(tokens) - n :]


class AddK(NgramModel):
    """Add k to every count (k = 1: Laplace). If `valid` is given, k is the power of 2 that suits it best.

    A context never seen gives a uniform guess: what shorter contexts know is not asked.
    """

    def __init__(
        self, tokens: Array, vocab_size: int, order: int = 2, k: float = 1.0, valid: Array | None = None
    ) -> None:
        if not 0 < k < math.inf:
            raise UserError(f"k is {k}; it must be above 0, or unseen n-grams have no probability")
        super().__init__(tokens, vocab_size, order)
        levels = range(1, order + 1)
        self._counts = [with_unseen(counts, 0) for counts in self.grams.counts]
        self._totals = [with_unseen(self.grams.per_context(m, self.grams.counts[m]), 0) for m in levels]
        self.k = k
        if valid is not None:
            nll = {}
            for exponent in range(-20, 5):
                self.k = 2.0**exponent
                nll[self.k] = self.total_nll(valid)
            self.k = min(nll, key=lambda k: nll[k])

    def _combine(self, m: int, context: Array | int, gram: Array, lower: Array) -> Array:
        return (self._counts[m][gram] + self.k) / (self._totals[m - 1][context] + self.k * self.vocab_size)


class KneserNey(NgramModel):
    """Interpolated Kneser-Ney.

    Only the highest order counts occurrences. Below it, c(h w) is the number of different tokens seen before h w:
    a lower order is asked where the longer context failed, and there a token that follows many contexts (的) is
    likelier than one that is frequent after a single one (the 淀 of 海淀).
    """

    def __init__(self, tokens: Array, vocab_size: int, order: int = 3, discounts: Discounts = None) -> None:
        """discounts: one for each order, or one for all, 0 to 1; None estimates them by `estimate_discount`."""
        super().__init__(tokens, vocab_size, order)
        grams = self.grams
        counts = [grams.continuations(m) for m in range(order)] + [grams.counts[order]]
        self.discounts = _discounts(discounts, counts)
        self._direct = [np.ones(1)]  # max(c - D, 0) / c(h) of each h w; the empty context's is never asked for
        self._weight = []  # λ of each h
        for m, discount in enumerate(self.discounts, start=1):
            total = grams.per_context(m, counts[m])
            seen = np.maximum(total, 1)  # 0: h stands only where the text begins or ends, and tells nothing
            direct = np.maximum(counts[m] - discount, 0) / seen[grams.context(m)]
            weight = discount * grams.per_context(m, counts[m] > 0) / seen
            self._direct.append(with_unseen(direct, 0))
            self._weight.append(with_unseen(np.where(total > 0, weight, 1), 1))

    def _combine(self, m: int, context: Array | int, gram: Array, lower: Array) -> Array:
        return self._direct[m][gram] + self._weight[m - 1][context] * lower


class Backoff(NgramModel):
    """Absolute discounting with backing off: a shorter context is asked only about tokens unseen after the longer.

    What the discounts have saved, D N(h •) / c(h), is shared among the tokens unseen after h, in proportion to
    p(w | h'); so α(h) is that sum divided by the p(w | h') of all unseen w. After an h that every token has
    followed nobody is left to share with, and nothing is discounted.
    """

    def __init__(self, tokens: Array, vocab_size: int, order: int = 3, discounts: Discounts = None) -> None:
        """discounts: as for KneserNey, but above 0 and below 1."""
        super().__init__(tokens, vocab_size, order)
        grams = self.grams
        self.discounts = _discounts(discounts, grams.counts)
        if not all(0 < discount < 1 for discount in self.discounts):
            raise UserError("discounts of a back-off model lie above 0 and below 1: give others, or none")
        self._direct = [np.full(1, 1 / vocab_size)]  # p(w | h) of each h w that was seen
        self._weight = []  # α of each h
        lower = self._direct[0]
        for m, discount in enumerate(self.discounts, start=1):
            total = grams.per_context(m, grams.counts[m])
            types = grams.per_context(m, np.ones(len(grams.keys[m])))
            taken = np.where(types < vocab_size, discount, 0)[grams.context(m)]
            direct = (grams.counts[m] - taken) / total[grams.context(m)]
            unseen = 1 - grams.per_context(m, lower[grams.suffix[m]])  # Σ p(w | h') over w unseen after h
            some_left = (types > 0) & (types < vocab_size)
            weight = np.divide(discount * types, total * unseen, out=np.ones(len(types)), where=some_left)
            self._direct.append(with_unseen(direct, 0))
            self._weight.append(with_unseen(weight, 1))
            lower = direct

    def _combine(self, m: int, context: Array | int, gram: Array, lower: Array) -> Array:
        return np.where(gram != UNSEEN, self._direct[m][gram], self._weight[m - 1][context] * lower)


def estimate_discount(counts: Array) -> float:
    """D = n₁ / (n₁ + 2 n₂), n₁ and n₂ the number of n-grams that count 1 and 2 (Ney, Essen and Kneser 1994).

    1/2 where there are none of either: so little text does not tell.
    """
    n1, n2 = (int((counts == count).sum()) for count in (1, 2))
    return n1 / (n1 + 2 * n2) if n1 and n2 else 0.5


def _discounts(given: Discounts, counts: Sequence[Array]) -> list[float]:
    """One discount for each order, from 1 on; counts are indexed by order."""
    if given is None:
        return [estimate_discount(c) for c in counts[1:]]
    discounts = [float(given)] * (len(counts) - 1) if isinstance(given, int | float) else [float(d) for d in given]
    if len(discounts) != len(counts) - 1 or not all(0 <= discount <= 1 for discount in discounts):
        raise UserError(f"discounts are one number, or {len(counts) - 1} for the orders from 1 on, each 0 to 1")
    return discounts
