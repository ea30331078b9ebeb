"""Skip-gram with negative sampling: a word is known by the company it keeps, learnt by telling company from noise.

Sources: Mikolov et al. 2013, arXiv 1301.3781 (skip-gram) and 1310.4546 (negative sampling, subsampling).

Every word has two vectors: a row of W_in as a centre, a row of W_out as a neighbour. For a centre c and a word o
from its window, with K words n_k drawn as noise, the loss is that of K + 1 yes-or-no questions,

    L = -log σ(w_c · w'_o) - Σ_k log σ(-w_c · w'_{n_k}),        σ(s) = 1 / (1 + exp(-s))

The noise is drawn with p(w) ∝ count(w)^0.75. A window's size is drawn anew for each centre, 1 to `window`, so that
near words count more. Frequent words, which tell little, are skipped: a word of relative frequency f stays with
probability √(t / f).

Shapes: B pairs of a centre and a neighbour, K noise words each, V words, D entries of a vector.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from minillm.baselines.rows import AdaGrad, RowGradient, look_up_backward
from minillm.baselines.vectors import Embeddings, number_words

Array = np.ndarray


def loss_and_gradients(
    w_in: Array, w_out: Array, centers: Array, contexts: Array, noise: Array
) -> tuple[float, RowGradient, RowGradient]:
    """The sum of L over a batch, and its gradients.

    w_in, w_out (V, D), centers, contexts (B,) int, noise (B, K) int -> loss, dw_in, dw_out

    With s the B (K + 1) scores and y = 1 for the neighbour, 0 for noise:  ds = σ(s) - y,  dw_c = Σ ds w',
    dw' = ds w_c. Noise that happens to be the neighbour itself does not count.
    """
    others = np.concatenate([contexts[:, None], noise], axis=1)  # (B, K+1)
    w_c, w_o = w_in[centers], w_out[others]  # (B, D), (B, K+1, D)
    scores = (w_o @ w_c[:, :, None])[:, :, 0]  # (B, K+1)
    counts = others != contexts[:, None]
    counts[:, 0] = True
    ds = np.tanh(scores * 0.5)
    ds += 1
    ds *= 0.5  # σ, which as a tanh never overflows
    scores[:, 0] *= -1
    loss = float((np.logaddexp(0, scores) * counts).sum())  # -log σ(s) = log(1 + exp(-s))
    ds[:, 0] -= 1
    ds *= counts
    dw_c = (ds[:, None] @ w_o)[:, 0]  # (B, D)
    dw_o = ds[:, :, None] * w_c[:, None]  # (B, K+1, D)
    return loss, look_up_backward(centers, dw_c), look_up_backward(others, dw_o)


def keep_probability(counts: Array, t: float) -> Array:
    """min(1, √(t / f)), f the relative frequency: how often subsampling keeps a word.  counts (V,) -> (V,)"""
    return np.minimum(1.0, np.sqrt(t * counts.sum() / counts))


class Noise:
    """Words drawn with probability ∝ count^power: between each word as often as it occurs (1) and all alike (0)."""

    def __init__(self, counts: Array, power: float = 0.75) -> None:
        weights = counts**power
        self.probabilities = weights / weights.sum()
        self._edges = np.cumsum(self.probabilities)[:-1]  # word i owns the numbers from edge i-1 to edge i

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        """Independent draws.  -> shape int"""
        return np.searchsorted(self._edges, rng.random(shape), side="right")


def window_pairs(ids: Array, documents: Array, window: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """All (centre, neighbour) pairs whose distance is at most the centre's own window, uniform in 1..window.

    ids, documents (N,) int: the words in their order, and which document each is in -> centers, contexts (P,)
    """
    reach = rng.integers(1, window + 1, size=len(ids))
    centers, contexts = [ids[:0]], [ids[:0]]
    for distance in range(1, min(window, len(ids) - 1) + 1):
        left, right = slice(None, -distance), slice(distance, None)
        together = documents[left] == documents[right]
        for at, other in ((left, right), (right, left)):
            near = together & (reach[at] >= distance)
            centers.append(ids[at][near])
            contexts.append(ids[other][near])
    return np.concatenate(centers), np.concatenate(contexts)


class SkipGram:
    """Word vectors from documents, each a sequence of words; words rarer than `min_count` are left out.

    UserError: no word is that frequent.
    """

    def __init__(
        self,
        documents: Iterable[Sequence[str]],
        dim: int = 64,
        *,
        window: int = 5,
        negatives: int = 5,
        subsample: float = 1e-3,
        min_count: int = 2,
        rng: np.random.Generator,
        dtype: Any = np.float32,
    ) -> None:
        self.words, self.ids, self.documents = number_words(documents, min_count)
        counts = np.bincount(self.ids)
        self.window, self.negatives = window, negatives
        self.keep, self.noise = keep_probability(counts, subsample), Noise(counts)
        self.w_in = ((rng.random((len(self.words), dim)) - 0.5) / dim).astype(dtype)
        self.w_out = np.zeros_like(self.w_in)
        self._steps = AdaGrad(self.w_in), AdaGrad(self.w_out)

    def pairs(self, rng: np.random.Generator) -> tuple[Array, Array]:
        """One pass over the text, subsampled, in random order.  -> centers, contexts (P,)"""
        kept = rng.random(len(self.ids)) < self.keep[self.ids]
        centers, contexts = window_pairs(self.ids[kept], self.documents[kept], self.window, rng)
        order = rng.permutation(len(centers))
        return centers[order], contexts[order]

    def train(
        self, epochs: int = 20, *, lr: float = 0.1, batch_size: int = 512, rng: np.random.Generator
    ) -> list[float]:
        """`epochs` passes, the learning rate falling in a straight line to 0. The mean loss of a pair, by epoch.

        The paper's plain gradient steps are made pair by pair. In a batch a frequent word's gradients add up to a
        step that is far too long; AdaGrad, which knows how much came before, makes it the right length.
        """
        losses = []
        for epoch in range(epochs):
            centers, contexts = self.pairs(rng)
            total = 0.0
            for start in range(0, len(centers), batch_size):
                batch = slice(start, start + batch_size)
                noise = self.noise.draw((len(centers[batch]), self.negatives), rng)
                loss, d_in, d_out = loss_and_gradients(self.w_in, self.w_out, centers[batch], contexts[batch], noise)
                rate = lr * (1 - (epoch + start / len(centers)) / epochs)
                self._steps[0].step(d_in, rate)
                self._steps[1].step(d_out, rate)
                total += loss
            losses.append(total / max(len(centers), 1))
        return losses

    def embeddings(self) -> Embeddings:
        """The centre vectors, as the paper uses."""
        return Embeddings(self.words, self.w_in.copy())
