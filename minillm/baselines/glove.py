"""GloVe: count once how often words meet, then find vectors whose products are the logarithms of those counts.

Source: Pennington, Socher and Manning 2014, "GloVe: Global Vectors for Word Representation",
https://nlp.stanford.edu/pubs/glove.pdf

X_ij is how often word j stands within `window` words of word i, a meeting at distance d counting 1/d. Every word
has two vectors w, w̃ and two biases b, b̃, the least-squares solution, over the pairs that met at all, of

    J = Σ_{X_ij > 0} f(X_ij) (w_i · w̃_j + b_i + b̃_j - log X_ij)²,        f(x) = min(1, (x / x_max)^0.75)

f gives rare pairs, whose counts are mostly chance, little say. Pairs that never met have none at all.

As X is symmetric, w and w̃ differ by their start only, and the paper takes w + w̃ as the word's vector. But a symmetric
table has directions with w̃ = w and others with w̃ = -w, which cancel in the sum. It keeps which words meet each other,
and loses which keep the same company without meeting, as words do that stand in one another's place: w alone has both.

Shapes: P pairs that met, B of them in a batch, V words, D entries of a vector.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from minillm.baselines.rows import AdaGrad, RowGradient, look_up_backward
from minillm.baselines.vectors import Embeddings, number_words

Array = np.ndarray


class Counts(NamedTuple):
    """The entries of a (V, V) table that are not 0."""

    rows: Array  # (P,) int
    columns: Array  # (P,) int
    values: Array  # (P,) float64

    def dense(self, vocab_size: int) -> Array:
        """The table with its zeros; the logarithms of 1 + its rows are word vectors too, the simplest.  -> (V, V)"""
        table = np.zeros((vocab_size, vocab_size))
        table[self.rows, self.columns] = self.values
        return table


def co_occurrences(ids: Array, documents: Array, window: int, vocab_size: int) -> Counts:
    """X: for each two words of one document at a distance d of at most `window`, 1/d at (i, j) and at (j, i).

    ids, documents (N,) int: the words in their order, and which document each is in
    """
    keys: Array = np.zeros(0, np.int64)
    values: Array = np.zeros(0)
    for distance in range(1, min(window, len(ids) - 1) + 1):
        left, right = slice(None, -distance), slice(distance, None)
        together = documents[left] == documents[right]
        a, b = ids[left][together], ids[right][together]
        met = np.concatenate([keys, a * vocab_size + b, b * vocab_size + a])  # a pair is one number
        weights = np.concatenate([values, np.full(2 * len(a), 1 / distance)])
        keys, which = np.unique(met, return_inverse=True)
        values = np.bincount(which, weights, minlength=len(keys))
    return Counts(keys // vocab_size, keys % vocab_size, values)


class Parameters(NamedTuple):
    """What is learnt; the gradients stand in the same order."""

    w: Array  # (V, D)
    w_tilde: Array  # (V, D)
    b: Array  # (V, 1)
    b_tilde: Array  # (V, 1)


def loss_and_gradients(
    parameters: Parameters, batch: Counts, x_max: float = 100.0
) -> tuple[float, tuple[RowGradient, RowGradient, RowGradient, RowGradient]]:
    """J over a batch of B pairs, and its gradients: dw, dw_tilde, db, db_tilde.

    With e the difference in the brackets:  de = 2 f e,  dw_i = de w̃_j,  dw̃_j = de w_i,  db_i = db̃_j = de.
    """
    w, w_tilde, b, b_tilde = parameters
    i, j, x = batch
    w_i, w_j = w[i], w_tilde[j]  # (B, D)
    f = np.minimum(1.0, x / x_max) ** 0.75
    e = np.einsum("bd,bd->b", w_i, w_j) + b[i, 0] + b_tilde[j, 0] - np.log(x)
    de = (2 * f * e).astype(w.dtype)[:, None]  # (B, 1)
    gradients = (
        look_up_backward(i, de * w_j),
        look_up_backward(j, de * w_i),
        look_up_backward(i, de),
        look_up_backward(j, de),
    )
    return float((f * e * e).sum()), gradients


class GloVe:
    """Word vectors from documents, each a sequence of words; words rarer than `min_count` are left out.

    UserError: no word is that frequent.
    """

    def __init__(
        self,
        documents: Iterable[Sequence[str]],
        dim: int = 64,
        *,
        window: int = 10,
        x_max: float = 100.0,
        min_count: int = 2,
        rng: np.random.Generator,
        dtype: Any = np.float32,
    ) -> None:
        self.words, ids, documents_of = number_words(documents, min_count)
        self.x_max = x_max
        self.counts = co_occurrences(ids, documents_of, window, len(self.words))
        shapes = (len(self.words), dim), (len(self.words), dim), (len(self.words), 1), (len(self.words), 1)
        self.parameters = Parameters(*(((rng.random(shape) - 0.5) / dim).astype(dtype) for shape in shapes))
        self._steps = [AdaGrad(parameter) for parameter in self.parameters]

    def train(
        self, epochs: int = 20, *, lr: float = 0.05, batch_size: int = 2048, rng: np.random.Generator
    ) -> list[float]:
        """`epochs` passes over the pairs that met, in random order. The mean of a pair's part of J, by epoch."""
        losses = []
        for _ in range(epochs):
            order = rng.permutation(len(self.counts.values))
            total = 0.0
            for start in range(0, len(order), batch_size):
                batch = Counts(*(part[order[start : start + batch_size]] for part in self.counts))
                loss, gradients = loss_and_gradients(self.parameters, batch, self.x_max)
                for optimiser, gradient in zip(self._steps, gradients, strict=True):
                    optimiser.step(gradient, lr)
                total += loss
            losses.append(total / max(len(order), 1))
        return losses

    def embeddings(self, *, sum_tables: bool = True) -> Embeddings:
        """w + w̃, as in the paper, or w alone."""
        w, w_tilde, _, _ = self.parameters
        return Embeddings(self.words, w + w_tilde if sum_tables else w.copy())
