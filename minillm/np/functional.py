"""The operations of a Transformer, each with its derivative written out by hand.

    out, cache = op(x, ...)            forward
    dx, dw, ... = op_backward(dout, cache)   `dx` means dLoss/dx; one gradient per differentiable input

x has any number of leading axes (written ... below) unless a shape says otherwise. The result has the
dtype of the input: float32 for training, float64 for checking. In-place arithmetic (`out=`, `*=`) only
ever writes to arrays made inside the same function; it saves memory traffic, which is what such
element-wise code spends its time on.
"""

import math

import numpy as np

from minillm.np.chunks import chunks, row_dot, row_sum
from minillm.np.erf import erf
from minillm.np.param import Array, Cache

SQRT_2_OVER_PI = math.sqrt(2 / math.pi)
LOWEST = float(np.finfo(np.float32).min)


def linear(x: Array, w: Array, b: Array | None = None) -> tuple[Array, Cache]:
    """y = x wᵀ + b.  x (..., d_in), w (d_out, d_in), b (d_out,) -> (..., d_out)"""
    y = x.reshape(-1, x.shape[-1]) @ w.T  # one matrix product for all leading axes
    if b is not None:
        y += b
    return y.reshape(*x.shape[:-1], len(w)), (x, w, b is not None)


def linear_backward(dy: Array, cache: Cache) -> tuple[Array, Array, Array | None]:
    """dx = dy w,  dw = dyᵀ x,  db = Σ dy over all leading axes."""
    x, w, has_bias = cache
    dy2, x2 = dy.reshape(-1, dy.shape[-1]), x.reshape(-1, x.shape[-1])
    return (dy2 @ w).reshape(x.shape), dy2.T @ x2, dy2.sum(axis=0) if has_bias else None


def embedding(ids: Array, w: Array) -> tuple[Array, Cache]:
    """Rows of a table: the product of a one-hot vector with a matrix.  ids (...) int, w (V, D) -> (..., D)"""
    if ids.size and ids.min() < 0:
        raise ValueError(f"token id {ids.min()} is negative")  # NumPy would count from the end
    return w[ids], (ids, w.shape)


def embedding_backward(dout: Array, cache: Cache) -> Array:
    """dw[i] = Σ of dout over the positions that hold id i.  dout (..., D) -> (V, D)

    Sorting brings equal ids together, so that each id's rows are added in one sweep; `np.add.at` gives
    the same sums several times slower.
    """
    ids, shape = cache
    dw = np.zeros(shape, dtype=dout.dtype)
    flat = ids.ravel()
    if flat.size:
        order = np.argsort(flat, kind="stable")
        unique, starts = np.unique(flat[order], return_index=True)
        dw[unique] = np.add.reduceat(dout.reshape(-1, shape[1])[order], starts, axis=0)
    return dw


def softmax(x: Array) -> tuple[Array, Cache]:
    """p_i = exp(x_i) / Σ_j exp(x_j) over the last axis; subtracting the maximum first changes nothing but
    keeps exp from overflowing. A row of nothing but -inf (every position masked) gives zeros.
    x (..., n) -> (..., n)"""
    top = np.maximum(x.max(axis=-1, keepdims=True), LOWEST)  # -inf - -inf would be NaN
    p = x - top
    np.exp(p, out=p)
    p /= np.maximum(row_sum(p), 1)  # the maximum alone gives 1: less is a row without any
    return p, (p,)


def softmax_backward(dp: Array, cache: Cache) -> Array:
    """dx_i = p_i (dp_i - Σ_j p_j dp_j)"""
    (p,) = cache
    dx = dp - row_dot(p, dp)
    dx *= p
    return dx


def log_softmax(x: Array) -> tuple[Array, Cache]:
    """log p of `softmax`, without ever computing log of a p that has underflown.  x (..., n) -> (..., n)"""
    y = x - x.max(axis=-1, keepdims=True)
    y -= np.log(np.exp(y).sum(axis=-1, keepdims=True))
    return y, (y,)


def log_softmax_backward(dy: Array, cache: Cache) -> Array:
    """dx_i = dy_i - p_i Σ_j dy_j"""
    (y,) = cache
    return dy - np.exp(y) * dy.sum(axis=-1, keepdims=True)


def cross_entropy(logits: Array, targets: Array, ignore_index: int = -100) -> tuple[Array, Cache]:
    """Mean of -log p[target], in nats, over the positions whose target is not `ignore_index`.

    logits (..., V), targets (...) int -> scalar. With nothing to count the loss is 0 and so is its gradient.
    """
    flat = logits.reshape(-1, logits.shape[-1])
    rows = np.flatnonzero(targets.ravel() != ignore_index)
    cols = targets.ravel()[rows]
    if len(cols) and cols.min() < 0:
        raise ValueError(f"target {cols.min()} is negative and not ignore_index {ignore_index}")
    e = flat - flat.max(axis=-1, keepdims=True)
    right = e[rows, cols]  # the target's shifted logit, before exp overwrites it
    np.exp(e, out=e)
    total = e.sum(axis=-1)  # p = e / total
    count = max(len(rows), 1)
    loss = (np.log(total[rows]) - right).sum() / logits.dtype.type(count)
    return loss, (e, total, rows, cols, count, logits.shape)


def cross_entropy_backward(dloss: Array | float, cache: Cache) -> Array:
    """dlogits = (p - onehot(target)) · dloss / count, and 0 at ignored positions."""
    e, total, rows, cols, count, shape = cache
    scale = e.dtype.type(dloss / count)
    share = np.zeros_like(total)
    share[rows] = scale / total[rows]
    dlogits = e * share[:, None]
    dlogits[rows, cols] -= scale
    return dlogits.reshape(shape)


def relu(x: Array) -> tuple[Array, Cache]:
    """max(x, 0)"""
    return np.maximum(x, 0), (x,)


def relu_backward(dy: Array, cache: Cache) -> Array:
    """dx = dy where x > 0, else 0 (at 0 too, as in PyTorch)."""
    (x,) = cache
    return dy * (x > 0)


def relu2(x: Array) -> tuple[Array, Cache]:
    """max(x, 0)² (So et al. 2021, arXiv 2109.08668)"""
    y = np.maximum(x, 0)
    return y * y, (y,)


def relu2_backward(dy: Array, cache: Cache) -> Array:
    """dx = 2 max(x, 0) dy"""
    (y,) = cache
    return 2 * y * dy


def gelu(x: Array, approximate: str = "none") -> tuple[Array, Cache]:
    """x Φ(x), Φ the normal distribution function (Hendrycks and Gimpel 2016, arXiv 1606.08415).

    "none":  Φ(x) = (1 + erf(x / √2)) / 2
    "tanh":  Φ(x) ≈ (1 + tanh(√(2/π) (x + 0.044715 x³))) / 2, as in GPT-2
    """
    if approximate not in ("none", "tanh"):
        raise ValueError(f'approximate is {approximate!r}, use "none" or "tanh"')
    x = np.ascontiguousarray(x)
    phi, y = np.empty_like(x), np.empty_like(x)
    for xi, phi_i, yi in chunks(x, phi, y):
        if approximate == "tanh":
            np.multiply(xi, xi, out=phi_i)
            phi_i *= SQRT_2_OVER_PI * 0.044715
            phi_i += SQRT_2_OVER_PI
            phi_i *= xi
            np.tanh(phi_i, out=phi_i)
        else:
            phi_i[:] = erf(xi * math.sqrt(0.5))
        phi_i += 1
        phi_i *= 0.5
        np.multiply(xi, phi_i, out=yi)
    return y, (x, phi, approximate)


def gelu_backward(dy: Array, cache: Cache) -> Array:
    """dx = dy (Φ(x) + x Φ'(x));  Φ' = exp(-x²/2) / √(2π), or for tanh with inner u: 2 Φ (1 - Φ) u'."""
    x, phi, approximate = cache
    dx = np.empty_like(x)
    for dyi, xi, phi_i, dxi in chunks(np.ascontiguousarray(dy), x, phi, dx):
        np.multiply(xi, xi, out=dxi)
        if approximate == "tanh":
            dxi *= 6 * 0.044715 * SQRT_2_OVER_PI
            dxi += 2 * SQRT_2_OVER_PI  # 2 u'
            dxi *= phi_i
            dxi *= 1 - phi_i
        else:
            dxi *= -0.5
            np.exp(dxi, out=dxi)
            dxi *= 1 / math.sqrt(2 * math.pi)
        dxi *= xi
        dxi += phi_i
        dxi *= dyi
    return dx


def silu(x: Array) -> tuple[Array, Cache]:
    """x σ(x), σ the logistic function, written with tanh so that nothing overflows."""
    sigma = np.tanh(x * 0.5)
    sigma += 1
    sigma *= 0.5
    return x * sigma, (x, sigma)


def silu_backward(dy: Array, cache: Cache) -> Array:
    """dx = dy σ (1 + x (1 - σ))"""
    x, sigma = cache
    dx = 1 - sigma
    dx *= x
    dx += 1
    dx *= sigma
    dx *= dy
    return dx


def swiglu(gate: Array, up: Array) -> tuple[Array, Cache]:
    """silu(gate) · up (Shazeer 2020, arXiv 2002.05202).  gate, up (..., F) -> (..., F)"""
    act, act_cache = silu(gate)
    return act * up, (act, up, act_cache)


def swiglu_backward(dy: Array, cache: Cache) -> tuple[Array, Array]:
    """dgate = silu'(gate) · up · dy,  dup = silu(gate) · dy"""
    act, up, act_cache = cache
    return silu_backward(dy * up, act_cache), dy * act


def layer_norm(x: Array, w: Array, b: Array | None = None, eps: float = 1e-5) -> tuple[Array, Cache]:
    """y = w x̂ + b with x̂ = (x - mean) / √(var + eps) over the last axis (Ba et al. 2016, arXiv 1607.06450).

    x (..., D), w, b (D,) -> (..., D)
    """
    xhat = x - row_sum(x) * (1 / x.shape[-1])
    rstd = 1 / np.sqrt(row_dot(xhat, xhat) * (1 / x.shape[-1]) + eps)  # (..., 1)
    xhat *= rstd
    y = xhat * w
    if b is not None:
        y += b
    return y, (xhat, rstd, w, b is not None)


def layer_norm_backward(dy: Array, cache: Cache) -> tuple[Array, Array, Array | None]:
    """With g = w dy:  dx = (g - mean(g) - x̂ mean(g x̂)) / std.  The two means are there because every
    x_i moves the mean and the variance that all D outputs share."""
    xhat, rstd, w, has_bias = cache
    dy2, xhat2 = dy.reshape(-1, len(w)), xhat.reshape(-1, len(w))
    dw = np.einsum("ni,ni->i", dy2, xhat2)
    db = dy2.sum(axis=0) if has_bias else None
    dx = dy * w
    along = row_dot(dx, xhat) * (1 / len(w))
    dx -= row_sum(dx) * (1 / len(w))
    dx -= xhat * along
    dx *= rstd
    return dx, dw, db


def rms_norm(x: Array, w: Array, eps: float = 1e-5) -> tuple[Array, Cache]:
    """y = w x / √(mean(x²) + eps) (Zhang and Sennrich 2019, arXiv 1910.07467).  x (..., D), w (D,) -> (..., D)"""
    rstd = 1 / np.sqrt(row_dot(x, x) * (1 / x.shape[-1]) + eps)
    xhat = x * rstd
    return xhat * w, (xhat, rstd, w)


def rms_norm_backward(dy: Array, cache: Cache) -> tuple[Array, Array]:
    """With g = w dy:  dx = (g - x̂ mean(g x̂)) / rms"""
    xhat, rstd, w = cache
    dw = np.einsum("ni,ni->i", dy.reshape(-1, len(w)), xhat.reshape(-1, len(w)))
    dx = dy * w
    along = row_dot(dx, xhat) * (1 / len(w))
    dx -= xhat * along
    dx *= rstd
    return dx, dw


def dropout(x: Array, p: float, rng: np.random.Generator | None) -> tuple[Array, Cache]:
    """Set each value to 0 with probability p and scale the rest by 1/(1-p), so that the mean stays
    (Srivastava et al. 2014). Without a generator, or with p = 0, x itself: this is how evaluation turns it off."""
    if not 0 <= p < 1:
        raise ValueError(f"dropout p is {p}, it must be at least 0 and below 1")
    if rng is None or p == 0:
        return x, (None,)
    keep = (rng.random(x.shape, dtype=np.float32) >= p).astype(x.dtype)
    keep *= 1 / (1 - p)
    return x * keep, (keep,)


def dropout_backward(dy: Array, cache: Cache) -> Array:
    """The same mask, the same scale."""
    (keep,) = cache
    return dy if keep is None else dy * keep


def mean_pool(x: Array, mask: Array) -> tuple[Array, Cache]:
    """Mean over the positions where mask is True.  x (B, T, D), mask (B, T) bool -> (B, D)"""
    weight = (mask / np.maximum(mask.sum(axis=1, keepdims=True), 1)).astype(x.dtype)
    return np.einsum("btd,bt->bd", x, weight), (weight,)


def mean_pool_backward(dout: Array, cache: Cache) -> Array:
    """Each counted position gets an equal share.  dout (B, D) -> (B, T, D)"""
    (weight,) = cache
    return weight[:, :, None] * dout[:, None, :]
