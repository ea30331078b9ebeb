"""Where a token stands: sinusoidal and rotary positions. (Learned positions are an `Embedding`.)

Attention by itself does not see order; one of the three has to tell it.
"""

from functools import lru_cache

import numpy as np

from minillm.np.param import Array, Cache


def frequencies(dim: int, base: float = 10000.0) -> Array:
    """Angular speeds base^(-2i/dim) of the dim/2 pairs, in radians a position.  -> (dim/2,) float64"""
    if dim % 2:
        raise ValueError(f"positions turn pairs of numbers: the dimension must be even, it is {dim}")
    return base ** (-np.arange(0, dim, 2) / dim)


def sinusoidal(length: int, d_model: int) -> Array:
    """PE[t, 2i] = sin(t ω_i), PE[t, 2i+1] = cos(t ω_i) (Vaswani et al. 2017).  -> (length, D) float64"""
    angle = np.outer(np.arange(length), frequencies(d_model))
    return np.stack([np.sin(angle), np.cos(angle)], axis=-1).reshape(length, d_model)


@lru_cache(maxsize=32)
def rotary_table(start: int, length: int, d_head: int, base: float, dtype: np.dtype) -> tuple[Array, Array]:
    """cos and sin of t ω_i for positions start..start+length-1.  -> two of (length, K/2)"""
    angle = np.outer(np.arange(start, start + length), frequencies(d_head, base))
    return np.cos(angle).astype(dtype), np.sin(angle).astype(dtype)


def rotary(x: Array, start: int = 0, base: float = 10000.0) -> tuple[Array, Cache]:
    """Turn the pair (x_i, x_{i+K/2}) at position t by the angle t ω_i (Su et al. 2021, arXiv 2104.09864).

    The product of a turned query and a turned key depends on the distance of their positions only.
    The halves are paired as in GPT-NeoX and Llama.  x (..., T, K) -> (..., T, K)
    """
    cos, sin = rotary_table(start, x.shape[-2], x.shape[-1], base, x.dtype)
    return turn(x, cos, sin), (cos, sin)


def rotary_backward(dy: Array, cache: Cache) -> Array:
    """The gradient turns back: a rotation's transpose is its inverse."""
    cos, sin = cache
    return turn(dy, cos, -sin)


def turn(x: Array, cos: Array, sin: Array) -> Array:
    """(a, b) -> (a cos - b sin, a sin + b cos)"""
    half = x.shape[-1] // 2
    a, b = x[..., :half], x[..., half:]
    out = np.empty(x.shape, dtype=x.dtype)
    np.multiply(a, cos, out=out[..., :half])
    np.multiply(a, sin, out=out[..., half:])
    out[..., :half] -= b * sin
    out[..., half:] += b * cos
    return out
