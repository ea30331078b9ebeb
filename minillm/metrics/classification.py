"""Labels right and wrong: confusion matrix, accuracy, precision, recall, F1.

    precision = hits / said      recall = hits / there      F1 = 2 hits / (said + there)

hits: rightly given to a class; said: given to it; there: of it in truth. F1 is the harmonic mean of the other two
(van Rijsbergen 1979, Information Retrieval, chapter 7: F = 1 - E with equal weights). Where a denominator is 0, the
score is 0, as scikit-learn's `zero_division=0`.

Shapes: N examples, C classes; labels are integers from 0 to C - 1.
"""

from typing import NamedTuple

import numpy as np

Array = np.ndarray


class Scores(NamedTuple):
    """Precision, recall and F1: numbers, or one of each for every class."""

    precision: float | Array
    recall: float | Array
    f1: float | Array


def scores_of_counts(hits: int | Array, said: int | Array, there: int | Array) -> Scores:
    """Scores from counts, numbers or arrays of one shape. A score whose denominator is 0 is 0."""
    return Scores(_ratio(hits, said), _ratio(hits, there), _ratio(2 * np.asarray(hits), np.add(said, there)))


def confusion_matrix(truth: Array, guess: Array, classes: int) -> Array:
    """At [i, j] how many examples of class i were called j.  truth, guess (N,) int -> (C, C) int

    ValueError: no examples, lengths that differ, a label that is not one of the classes.
    """
    truth, guess = _labels(truth, guess)
    if min(truth.min(), guess.min()) < 0 or max(truth.max(), guess.max()) >= classes:
        raise ValueError(f"labels are integers from 0 to {classes - 1}")
    return np.bincount(truth * classes + guess, minlength=classes**2).reshape(classes, classes)


def accuracy(truth: Array, guess: Array) -> float:
    """The share of right answers.  truth, guess (N,) int. ValueError: as for confusion_matrix."""
    truth, guess = _labels(truth, guess)
    return float((truth == guess).mean())


def per_class(matrix: Array) -> Scores:
    """Precision, recall and F1 of every class.  confusion matrix (C, C) -> three of (C,)"""
    return scores_of_counts(np.diag(matrix), matrix.sum(axis=0), matrix.sum(axis=1))


def averaged(matrix: Array, average: str) -> Scores:
    """One precision, recall and F1 for all classes.  confusion matrix (C, C)

    "macro": the mean over classes, every class alike (its F1 is the mean of the F1s, not the F1 of the means);
    "weighted": the mean over classes, each as heavy as it is frequent;
    "micro": hits of all classes over all examples, which with one label an example is the accuracy, three times.
    ValueError: another word.
    """
    if average == "micro":
        return scores_of_counts(int(np.trace(matrix)), int(matrix.sum()), int(matrix.sum()))
    if average not in ("macro", "weighted"):
        raise ValueError(f"the average is macro, micro or weighted, not {average!r}")
    weights = matrix.sum(axis=1) if average == "weighted" else np.ones(len(matrix))
    return Scores(*(float(np.average(score, weights=weights)) for score in per_class(matrix)))


def _labels(truth: Array, guess: Array) -> tuple[Array, Array]:
    truth, guess = np.asarray(truth), np.asarray(guess)
    if truth.ndim != 1 or truth.shape != guess.shape or not len(truth):
        raise ValueError(f"labels and guesses are two rows of one length, not of shapes {truth.shape}, {guess.shape}")
    return truth, guess


def _ratio(above: int | Array, below: int | Array) -> float | Array:
    above, below = np.asarray(above, np.float64), np.asarray(below, np.float64)
    ratio = np.divide(above, below, out=np.zeros(np.broadcast_shapes(above.shape, below.shape)), where=below > 0)
    return ratio if ratio.ndim else float(ratio)
