"""Answers that learners give to the exercises of lesson 07 and that are wrong, under the name of the mistake."""

import math

import numpy as np


def softmax(z, axis=-1):
    e = np.exp(z - z.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def scores_of(q, k):
    return q @ k.T / math.sqrt(q.shape[1])


def overflowing(q, k):
    e = np.exp(scores_of(q, k))
    return e / e.sum(axis=1, keepdims=True)


def hidden(scores, visible):
    return softmax(np.where(visible, scores, -np.inf))


def causal(scores, v, diagonal=0):
    """diagonal: how many positions of the future are seen; -1 hides one's own."""
    return hidden(scores, np.tri(len(scores), k=diagonal, dtype=bool)) @ v


def large_negative(scores, visible):
    return softmax(np.where(visible, scores, -1e9))


def renormalised(scores, visible):
    p = softmax(scores) * visible
    total = p.sum(axis=1, keepdims=True)
    return np.where(total > 0, p / np.where(total > 0, total, 1), 0)


def not_divided(scores, visible):
    scores = np.where(visible, scores, -np.inf)
    return np.exp(scores - scores.max(axis=1, keepdims=True))


def minus_1e9_without_self(q, k, v):
    return softmax(np.where(np.tri(len(q), k=-1, dtype=bool), scores_of(q, k), -1e9)) @ v


def backward(dy, q, k, v, p=None, step="", roots=(1, 1)):
    root = math.sqrt(q.shape[1])
    p = hidden(scores_of(q, k), np.tri(len(q), dtype=bool)) if p is None else p
    dp = dy @ v.T
    dot = (p * dp).sum(axis=0 if step == "columns" else 1, keepdims=True)
    if step == "no-softmax":
        ds = dp
    elif step == "no-sum":
        ds = p * dp
    elif step == "undone":
        ds = dp - dot
    else:
        ds = p * (dp - dot)
    if step == "dk-transpose":
        return ds @ k / root, ds @ q / root, p.T @ dy
    return ds @ k / root ** roots[0], ds.T @ q / root ** roots[1], (p if step == "dv-transpose" else p.T) @ dy


def swapped_gradients(dy, q, k, v):
    dq, dk, dv = backward(dy, q, k, v)
    return dk, dq, dv


def window(q, k, v, allowed):
    """allowed(i, j) -> which pairs may look."""
    i, j = np.arange(len(q))[:, None], np.arange(len(q))
    return hidden(scores_of(q, k), allowed(i, j)) @ v


def window_after(q, k, v, width):
    p = softmax(scores_of(q, k))
    back = np.arange(len(q))[:, None] - np.arange(len(q))
    return np.where((back >= 0) & (back < width), p, 0) @ v


def window_after_causal(q, k, v, width):
    p = hidden(scores_of(q, k), np.tri(len(q), dtype=bool))
    return (p * ~np.tri(len(q), k=-width, dtype=bool)) @ v


def window_without_root(q, k, v, width):
    return window(q * math.sqrt(q.shape[1]), k, v, lambda i, j: (j <= i) & (i - j < width))


WRONG = {
    "attention_cost": {
        "length": lambda n, d, h: (3 * d * h * n, n * (n + 1) // 2),
        "two-maps": lambda n, d, h: (2 * d * h, n * (n + 1) // 2),
        "one-map": lambda n, d, h: (d * h, n * (n + 1) // 2),
        "square-maps": lambda n, d, h: (3 * d * d, n * (n + 1) // 2),
        "no-mask": lambda n, d, h: (3 * d * h, n * n),
        "excludes-self": lambda n, d, h: (3 * d * h, sum(range(n))),
        "half": [lambda n, d, h: (3 * d * h, n * n // 2), lambda n, d, h: (3 * d * h, n * n / 2)],
        "linear": lambda n, d, h: (3 * d * h, n),
    },
    "attention_weights": {
        "no-scale": lambda q, k: softmax(q @ k.T),
        "d-scale": lambda q, k: softmax(q @ k.T / q.shape[1]),
        "queries-axis": lambda q, k: softmax(scores_of(q, k), axis=0),
        "two-faults": lambda q, k: softmax(q @ k.T, axis=0),
        "multiplied": lambda q, k: softmax(q @ k.T * math.sqrt(q.shape[1])),
        "length-scale": [
            lambda q, k: softmax(q @ k.T / math.sqrt(len(k))),
            lambda q, k: softmax(q @ k.T / math.sqrt(len(q))),
        ],
        "whole": lambda q, k: softmax(scores_of(q, k), axis=None),
        "raw": scores_of,
        "shape": lambda q, k: softmax(scores_of(k, q)),  # queries and keys swapped
        "overflow": overflowing,
    },
    "masked_weights": {
        "after": lambda scores, visible: softmax(scores) * visible,
        "inverted": [
            lambda scores, visible: hidden(scores, ~visible),
            lambda scores, visible: softmax(np.where(visible, -1e9, scores)),
        ],
        "zero-score": lambda scores, visible: softmax(scores * visible),
        "unmasked": lambda scores, visible: softmax(scores),
        "not-divided": not_divided,
        "queries-axis": lambda scores, visible: np.nan_to_num(softmax(np.where(visible, scores, -np.inf), axis=0)),
        "hidden-maximum": renormalised,
        "empty-nan": hidden,
        "empty-shares": large_negative,
    },
    "causal_attention": {
        "no-scale": lambda q, k, v: causal(q @ k.T, v),
        "d-scale": lambda q, k, v: causal(q @ k.T / q.shape[1], v),
        "queries-axis": lambda q, k, v: softmax(np.where(np.tri(len(q)) > 0, scores_of(q, k), -np.inf), axis=0) @ v,
        "swapped": lambda q, k, v: causal(scores_of(k, q), v),
        "inverted": lambda q, k, v: hidden(scores_of(q, k), np.tri(len(q), dtype=bool).T) @ v,
        "after": lambda q, k, v: (softmax(scores_of(q, k)) * np.tri(len(q))) @ v,
        "zero-score": lambda q, k, v: softmax(scores_of(q, k) * np.tri(len(q))) @ v,
        "sees-next": lambda q, k, v: causal(scores_of(q, k), v, diagonal=1),
        "excludes-self": [lambda q, k, v: causal(scores_of(q, k), v, diagonal=-1), minus_1e9_without_self],
        "no-mask": lambda q, k, v: softmax(scores_of(q, k)) @ v,
        "weights": lambda q, k, v: causal(scores_of(q, k), np.eye(len(q))),
        "keys-for-values": lambda q, k, v: causal(scores_of(q, k), k),
    },
    "causal_backward": {
        "no-mask": lambda dy, q, k, v: backward(dy, q, k, v, p=softmax(scores_of(q, k))),
        "no-scale": lambda dy, q, k, v: backward(dy, q, k, v, p=hidden(q @ k.T, np.tri(len(q), dtype=bool))),
        "no-scale-backward": [
            lambda dy, q, k, v: backward(dy, q, k, v, roots=(0, 0)),
            lambda dy, q, k, v: backward(dy, q, k, v, roots=(0, 1)),
            lambda dy, q, k, v: backward(dy, q, k, v, roots=(1, 0)),
        ],
        "no-softmax": lambda dy, q, k, v: backward(dy, q, k, v, step="no-softmax"),
        "no-sum": lambda dy, q, k, v: backward(dy, q, k, v, step="no-sum"),
        "columns": lambda dy, q, k, v: backward(dy, q, k, v, step="columns"),
        "undone": lambda dy, q, k, v: backward(dy, q, k, v, step="undone"),
        "swapped": swapped_gradients,
        "dv-transpose": lambda dy, q, k, v: backward(dy, q, k, v, step="dv-transpose"),
        "dk-transpose": lambda dy, q, k, v: backward(dy, q, k, v, step="dk-transpose"),
    },
    "window_attention": {
        "too-wide": lambda q, k, v, width: window(q, k, v, lambda i, j: (j <= i) & (i - j <= width)),
        "too-narrow": lambda q, k, v, width: window(q, k, v, lambda i, j: (j <= i) & (i - j < width - 1)),
        "two-sided": lambda q, k, v, width: window(q, k, v, lambda i, j: abs(i - j) < width),
        "forwards": lambda q, k, v, width: window(q, k, v, lambda i, j: (j >= i) & (j - i < width)),
        "no-window": lambda q, k, v, width: window(q, k, v, lambda i, j: j <= i),
        "future": lambda q, k, v, width: window(q, k, v, lambda i, j: i - j < width),
        "after": window_after,
        "after-causal": window_after_causal,
        "no-scale": window_without_root,
        "first": lambda q, k, v, width: window(q, k, v, lambda i, j: (j <= i) & (j < width)),
    },
}

STUB = {"attention_weights": "two-faults", "masked_weights": "after"}
