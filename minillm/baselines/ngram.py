"""Two baselines that a neural model must beat: a uniform guess, and counting pairs of tokens.

The bigram model interpolates with the unigram one (Jelinek and Mercer 1980, with the Dirichlet weights of
MacKay and Peto 1995), which itself is smoothed by one count a token:

    p(b | a) = (count(a b) + λ p(b)) / (count(a) + λ),      p(b) = (count(b) + 1) / (N + V)

λ is chosen on validation text, so that the baseline is as good as a bigram model can honestly be.
"""

import math

import numpy as np


class Uniform:
    """Every token is equally likely."""

    def __init__(self, vocab_size: int) -> None:
        self.vocab_size = vocab_size

    def total_nll(self, tokens: np.ndarray) -> float:
        """Sum of -log p in nats over tokens[1:].  tokens (N,) int"""
        return (len(tokens) - 1) * math.log(self.vocab_size)


class Bigram:
    """Interpolated bigram model, counted on `tokens`; λ is tuned on `valid` if it is given."""

    def __init__(
        self, tokens: np.ndarray, vocab_size: int, valid: np.ndarray | None = None, strength: float = 10.0
    ) -> None:
        self.vocab_size, self.strength = vocab_size, strength
        self.unigram = (np.bincount(tokens, minlength=vocab_size) + 1) / (len(tokens) + vocab_size)
        self.contexts = np.bincount(tokens[:-1], minlength=vocab_size)
        self.pairs, self.counts = np.unique(tokens[:-1] * vocab_size + tokens[1:], return_counts=True)
        if valid is not None:
            strengths = [2.0**k for k in range(-3, 11)]
            self.strength = min(strengths, key=lambda strength: self.total_nll(valid, strength))

    def total_nll(self, tokens: np.ndarray, strength: float | None = None) -> float:
        """Sum of -log p in nats over tokens[1:].  tokens (N,) int"""
        lam = strength or self.strength
        a, b = tokens[:-1], tokens[1:]
        keys = a * self.vocab_size + b
        at = np.minimum(np.searchsorted(self.pairs, keys), len(self.pairs) - 1)
        seen = np.where(self.pairs[at] == keys, self.counts[at], 0)
        return float(-np.log((seen + lam * self.unigram[b]) / (self.contexts[a] + lam)).sum())
