"""The parts. Each forward returns its result and a cache, each backward takes the gradient of the result and the cache.

B batch, T positions, D width, H heads, K width of a head, V vocabulary.
"""

import math

import numpy as np

EPS = 1e-5
CURVE = math.sqrt(2 / math.pi)  # of GELU's tanh form (Hendrycks and Gimpel 2016)
CUBE = 0.044715


def linear(x, w, b):
    return x @ w.T + b, (x, w)


def linear_backward(dy, cache):
    x, w = cache
    rows, drows = x.reshape(-1, x.shape[-1]), dy.reshape(-1, dy.shape[-1])  # (B·T, D)
    return dy @ w, drows.T @ rows, drows.sum(axis=0)


def layer_norm(x, w, b):
    centred = x - x.mean(axis=-1, keepdims=True)
    inverse = 1 / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + EPS)
    normal = centred * inverse
    return normal * w + b, (normal, inverse, w)


def layer_norm_backward(dy, cache):
    normal, inverse, w = cache
    dn = dy * w
    dn_mean = dn.mean(axis=-1, keepdims=True)
    along = (dn * normal).mean(axis=-1, keepdims=True)
    dx = inverse * (dn - dn_mean - normal * along)
    axes = tuple(range(dy.ndim - 1))
    return dx, (dy * normal).sum(axis=axes), dy.sum(axis=axes)


def gelu(x):
    t = np.tanh(CURVE * (x + CUBE * x * x * x))
    return 0.5 * x * (1 + t), (x, t)


def gelu_backward(dy, cache):
    x, t = cache
    return dy * (0.5 * (1 + t) + 0.5 * x * (1 - t * t) * CURVE * (1 + 3 * CUBE * x * x))


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def attention(q, k, v):
    """Causal.  (B, H, T, K) three times -> (B, H, T, K)"""
    scale = q.shape[-1] ** -0.5
    future = np.triu(np.ones((q.shape[-2], q.shape[-2]), dtype=bool), 1)
    scores = q @ k.swapaxes(-1, -2) * scale  # (B, H, T, T)
    p = softmax(np.where(future, q.dtype.type(-np.inf), scores))
    return p @ v, (q, k, v, p, scale)


def attention_backward(dout, cache):
    q, k, v, p, scale = cache
    dp = dout @ v.swapaxes(-1, -2)
    ds = p * (dp - (p * dp).sum(axis=-1, keepdims=True)) * scale
    return ds @ k, ds.swapaxes(-1, -2) @ q, p.swapaxes(-1, -2) @ dout


def cross_entropy(logits, targets):
    """Mean over all positions, and its gradient.  (B, T, V), (B, T) -> number, (B, T, V)"""
    p = softmax(logits)
    at_target = np.take_along_axis(logits, targets[..., None], axis=-1)[..., 0]
    top = logits.max(axis=-1)
    log_sum = top + np.log(np.exp(logits - top[..., None]).sum(axis=-1))
    loss = (log_sum - at_target).mean()
    flat = p.reshape(-1, p.shape[-1])
    flat[np.arange(len(flat)), targets.ravel()] -= 1
    return float(loss), p / targets.size
