"""Rows of a table: looking one up is multiplying by a one-hot vector, and a gradient touches few of them.

Looking up id i in a table W (V, D) is the product onehot(i) W. Its derivative is therefore onehot(i)ᵀ dout: a
table of zeros but for row i. Over a batch, the rows of equal ids add up. Nobody stores those zeros: a gradient
is a list of distinct ids with one row each, and the optimiser changes those rows alone.
"""

from typing import NamedTuple

import numpy as np

Array = np.ndarray


class RowGradient(NamedTuple):
    """The gradient of a table, without the rows that are zero."""

    ids: Array  # (n,) distinct, rising
    rows: Array  # (n, D)

    def dense(self, size: int) -> Array:
        """The same with its zeros.  -> (size, D)"""
        table = np.zeros((size, *self.rows.shape[1:]), self.rows.dtype)
        table[self.ids] = self.rows
        return table


def one_hot(ids: Array, size: int) -> Array:
    """Each id as a vector of zeros with a single one.  ids (...) int -> (..., size) float64"""
    return np.eye(size)[ids]


def look_up_backward(ids: Array, dout: Array) -> RowGradient:
    """The gradient of the table W, given that of out = W[ids].  ids (...), dout (..., D)

    Sorting brings equal ids together, so that their rows are added in one sweep; `np.add.at` gives the same
    sums several times slower.
    """
    flat = ids.ravel()
    if not flat.size:
        return RowGradient(flat, dout.reshape(0, dout.shape[-1]))
    order = np.argsort(flat, kind="stable")
    unique, starts = np.unique(flat[order], return_index=True)
    return RowGradient(unique, np.add.reduceat(dout.reshape(flat.size, -1)[order], starts, axis=0))


class AdaGrad:
    """Each entry of a table has its own step size, which shrinks as its gradients add up (Duchi et al. 2011, JMLR 12):

        s = s + g²,    w = w - lr g / (√s + eps)

    A frequent word, whose gradients are many and large, moves carefully; a rare one makes the most of what it sees.
    """

    def __init__(self, table: Array, eps: float = 1e-8) -> None:
        self.table, self.squares, self.eps = table, np.zeros_like(table), eps

    def step(self, gradient: RowGradient, lr: float) -> None:
        """Change the table in place, in the rows that have a gradient."""
        ids, g = gradient
        squares = self.squares[ids]
        squares += g * g
        self.squares[ids] = squares
        self.table[ids] -= lr * g / (np.sqrt(squares) + self.eps)
