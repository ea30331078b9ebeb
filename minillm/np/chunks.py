"""The same arithmetic, faster: in pieces that fit into the processor's cache, and sums over short rows.

A formula written with NumPy makes one pass over memory for each of its operations. On large arrays the
passes, not the arithmetic, take the time. Done piece by piece, all operations on a piece find it in cache.
"""

from collections.abc import Iterator

import numpy as np

from minillm.np.param import Array

CHUNK = 32768  # elements: five arrays of float32 pieces fit into 1 MB of cache


def chunks(*arrays: Array) -> Iterator[tuple[Array, ...]]:
    """Flat views, CHUNK elements long, of contiguous arrays of one size. Writing to a view writes to its array."""
    flat = [a.reshape(-1, copy=False) for a in arrays]  # a copy would swallow what is written: ValueError instead
    for start in range(0, flat[0].size, CHUNK):
        yield tuple(a[start : start + CHUNK] for a in flat)


def row_sum(x: Array) -> Array:
    """Sum over the last axis (einsum takes half the time of `sum` on short rows).  (..., n) -> (..., 1)"""
    return np.einsum("...i->...", x)[..., None]


def row_dot(x: Array, y: Array) -> Array:
    """Dot products along the last axis.  (..., n), (..., n) -> (..., 1)"""
    return np.einsum("...i,...i->...", x, y)[..., None]
