"""Answers that learners give to the exercises of lesson 08 and that are wrong, under the name of the mistake."""

import math

import numpy as np


def softmax(z, axis=-1):
    e = np.exp(z - z.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def reshaped(x, n_head):
    b, t, d = x.shape
    return x.reshape(b, n_head, t, d // n_head)


def not_swapped(x, n_head):
    b, t, d = x.shape
    return x.reshape(b, t, n_head, d // n_head)


def interleaved(x, n_head):
    b, t, d = x.shape
    return x.reshape(b, t, d // n_head, n_head).transpose(0, 3, 1, 2)


def transposed_first(x, n_head):
    b, t, d = x.shape
    return x.swapaxes(1, 2).reshape(b, n_head, t, d // n_head)


def wrong_axes(x, n_head):
    b, t, d = x.shape
    return x.reshape(b, t, n_head, d // n_head).swapaxes(1, 3).reshape(b, n_head, t, d // n_head)


def reversed_heads(x, n_head):
    d = x.shape[2]
    return np.stack([x[:, :, h * d // n_head : (h + 1) * d // n_head] for h in reversed(range(n_head))], axis=1)


def heads(x, w_in, w_out, n_head, scale=None, order=(0, 1, 2), output=True, cut="", merge="", axis=-1):
    """Loops, with one fault."""
    t, d = x.shape
    k_size = d // n_head
    parts = np.split(x @ w_in.T, 3, axis=-1)

    def cut_up(part):
        if cut:
            return part.reshape(n_head, t, k_size)
        return np.stack([part[:, h * k_size : (h + 1) * k_size] for h in range(n_head)])

    q, k, v = (cut_up(parts[i]) for i in order)
    scores = q @ k.swapaxes(1, 2) / (math.sqrt(k_size) if scale is None else scale)
    y = softmax(scores, axis) @ v
    merged = y.reshape(t, d) if merge else np.concatenate(list(y), axis=-1)
    return merged @ w_out.T if output else merged


def per_head(x, w_in, w_out, n_head):
    k_size = x.shape[1] // n_head
    seen = []
    for rows in np.split(x @ w_in.T, n_head, axis=-1):
        q, k, v = np.split(rows, 3, axis=-1)
        seen.append(softmax(q @ k.T / math.sqrt(k_size)) @ v)
    return np.concatenate(seen, axis=-1) @ w_out.T


def untransposed(x, w_in, w_out, n_head):
    return heads(x, w_in, w_out, n_head, output=False) @ w_out


def speed(dim):
    return 10000.0 ** (-2 * np.arange(dim // 2) / dim)


def shift(d_model, angle, first=(1, 1), second=(-1, 1), halves=False):
    """Blocks (first cos, sin) over (second sin, cos), each with its sign."""
    matrix = np.zeros((d_model, d_model))
    for i, a in enumerate(angle):
        s, c = (i, i + d_model // 2) if halves else (2 * i, 2 * i + 1)
        matrix[s, s], matrix[s, c] = first[0] * math.cos(a), first[1] * math.sin(a)
        matrix[c, s], matrix[c, c] = second[0] * math.sin(a), second[1] * math.cos(a)
    return matrix


def swapped_functions(d_model, steps):
    matrix = np.zeros((d_model, d_model))
    for i, a in enumerate(steps * speed(d_model)):
        matrix[2 * i, 2 * i], matrix[2 * i, 2 * i + 1] = math.sin(a), math.cos(a)
        matrix[2 * i + 1, 2 * i], matrix[2 * i + 1, 2 * i + 1] = -math.cos(a), math.sin(a)
    return matrix


def turned(x, first, sign=1, w=None, neighbours=False):
    w = speed(x.shape[1]) if w is None else w
    angle = sign * np.outer(first + np.arange(len(x)), w)
    cos, sin = np.cos(angle), np.sin(angle)
    half = x.shape[1] // 2
    first_half, second_half = (slice(0, None, 2), slice(1, None, 2)) if neighbours else (slice(half), slice(half, None))
    out = np.empty_like(x)
    out[:, first_half] = x[:, first_half] * cos - x[:, second_half] * sin
    out[:, second_half] = x[:, first_half] * sin + x[:, second_half] * cos
    return out


def scores(q, k):
    return q @ k.T / math.sqrt(q.shape[1])


def ones(x):
    return np.ones(x.shape[1] // 2)


def reorder(w, n_head, order, axis=0):
    size = len(w) // n_head
    every = np.concatenate([h * size + order(size) for h in range(n_head)])
    return w[every] if axis == 0 else w[:, every]


def evens_first(size):
    return np.concatenate([np.arange(0, size, 2), np.arange(1, size, 2)])


def back_to_neighbours(size):
    return np.arange(size).reshape(2, -1).T.ravel()


def first_head_only(w, n_head):
    size = len(w) // n_head
    return np.concatenate([w[evens_first(size)], w[size:]])


def halves_exchanged(size):
    return np.roll(np.arange(size), size // 2)


WRONG = {
    "heads_cost": {
        "times-heads": lambda d, h, t: (4 * d * d * h, h * t * t),
        "one-head": lambda d, h, t: (4 * d * (d // h), h * t * t),
        "no-output": lambda d, h, t: (3 * d * d, h * t * t),
        "length": lambda d, h, t: (4 * d * d * t, h * t * t),
        "one-table": lambda d, h, t: (4 * d * d, t * t),
        "divided": lambda d, h, t: (4 * d * d, t * t / h),
        "head-size": lambda d, h, t: (4 * d * d, t * t * (d // h)),
        "linear": lambda d, h, t: (4 * d * d, h * t),
        "causal": lambda d, h, t: (4 * d * d, h * sum(range(t + 1))),
    },
    "split_heads": {
        "reshape-only": reshaped,
        "not-swapped": not_swapped,
        "interleaved": interleaved,
        "axes": [transposed_first, wrong_axes],
        "positions-reversed": reversed_heads,
    },
    "multi_head": {
        "no-scale": lambda x, w_in, w_out, n: heads(x, w_in, w_out, n, scale=1.0),
        "root-of-d": lambda x, w_in, w_out, n: heads(x, w_in, w_out, n, scale=math.sqrt(x.shape[1])),
        "one-head": lambda x, w_in, w_out, n: heads(x, w_in, w_out, 1),
        "reshape-only": lambda x, w_in, w_out, n: heads(x, w_in, w_out, n, cut="reshape"),
        "reshape-both": lambda x, w_in, w_out, n: heads(x, w_in, w_out, n, cut="reshape", merge="reshape"),
        "merge": lambda x, w_in, w_out, n: heads(x, w_in, w_out, n, merge="reshape"),
        "no-output": lambda x, w_in, w_out, n: heads(x, w_in, w_out, n, output=False),
        "untransposed": untransposed,
        "order": [
            lambda x, w_in, w_out, n: heads(x, w_in, w_out, n, order=(1, 0, 2)),
            lambda x, w_in, w_out, n: heads(x, w_in, w_out, n, order=(2, 1, 0)),
        ],
        "per-head": per_head,
        "queries-axis": lambda x, w_in, w_out, n: heads(x, w_in, w_out, n, axis=-2),
    },
    "shift_matrix": {
        "backwards": lambda d, n: shift(d, n * speed(d), first=(1, -1), second=(1, 1)),
        "one-speed": lambda d, n: shift(d, np.full(d // 2, n)),
        "one-step": lambda d, n: shift(d, speed(d)),
        "halves": lambda d, n: shift(d, n * speed(d), halves=True),
        "no-minus": lambda d, n: shift(d, n * speed(d), second=(1, 1)),
        "sine-cosine": swapped_functions,
    },
    "turn_scores": {
        "start-cancels": [
            lambda q, k, start: scores(turned(q, 0), turned(k, 0)),
            lambda q, k, start: scores(turned(q, start), turned(k, start)),
        ],
        "neighbours": lambda q, k, start: scores(turned(q, start, neighbours=True), turned(k, 0, neighbours=True)),
        "backwards": lambda q, k, start: scores(turned(q, start, sign=-1), turned(k, 0, sign=-1)),
        "opposite": [
            lambda q, k, start: scores(turned(q, start), turned(k, 0, sign=-1)),
            lambda q, k, start: scores(turned(q, start, sign=-1), turned(k, 0)),
        ],
        "queries-only": lambda q, k, start: scores(turned(q, start), k),
        "unturned": lambda q, k, start: scores(q, k),
        "no-scale": lambda q, k, start: turned(q, start) @ turned(k, 0).T,
        "one-speed": lambda q, k, start: scores(turned(q, start, w=ones(q)), turned(k, 0, w=ones(k))),
    },
    "import_rows": {
        "inverse": lambda w, n: reorder(w, n, back_to_neighbours),
        "whole-matrix": lambda w, n: w[evens_first(len(w))],
        "columns": lambda w, n: reorder(w, n, evens_first, axis=1),
        "unchanged": lambda w, n: w.copy(),
        "one-head": first_head_only,
        "rotated-halves": lambda w, n: reorder(w, n, halves_exchanged),
    },
}

STUB = {"split_heads": "reshape-only"}
