"""Answers that learners give to the exercises of lesson 14 and that are wrong, under the name of the mistake."""

import numpy as np


def cut_bits(x, added=0):
    bits = x.view(np.uint32).astype(np.uint64) + np.asarray(added).astype(np.uint64)
    return (bits & 0xFFFF0000).astype(np.uint32).view(np.float32)


def to_odd(x):
    last = (x.view(np.uint32) >> 16) & 1
    return cut_bits(x, 0x8000 - last)


def to_nearest(x):
    last = (x.view(np.uint32) >> 16) & 1
    return cut_bits(x, 0x7FFF + last)


def as_fp16(x):
    with np.errstate(over="ignore"):
        return x.astype(np.float16).astype(np.float32)


def means(sums, counts):
    with np.errstate(all="ignore"):
        return sums / counts


def weighted_means(sums, counts):
    return float((means(sums, counts) * counts).sum() / counts.sum())


def plain_sums(sums, counts):
    with np.errstate(all="ignore"):
        return float(sums.sum() / counts.sum())


def doubles_always(scale, good, finite, wait):
    return (scale * 2, 0) if finite else (scale / 2, 0)


def scale_with(*, late=0, restart=True, after=0, forget=True, up=2.0, down=0.5):
    """The scaler's rule with one thing done otherwise."""

    def next_scale(scale, good, finite, wait):
        if not finite:
            return scale * down, 0 if forget else good
        good += 1
        if good >= wait + late:
            return scale * up, after if restart else good
        return scale, good

    return next_scale


def shards_of(weights, gradients, step):
    return list(np.array_split(step(weights, gradients), len(gradients)))


def own_gradients(weights, gradients, lr):
    cards = len(gradients)
    parts = zip(np.array_split(weights, cards), gradients, strict=True)
    return [w - lr * np.array_split(g, cards)[r] for r, (w, g) in enumerate(parts)]


def mean_of(gradients):
    return sum(gradients) / len(gradients)


WRONG = {
    "bytes_on_card": {
        "weights-only": lambda parameters, cards, cut: 4 * parameters / (cards if cut else 1),
        "no-state": lambda parameters, cards, cut: 8 * parameters / (cards if cut else 1),
        "one-state": lambda parameters, cards, cut: 12 * parameters / (cards if cut else 1),
        "always-cut": lambda parameters, cards, cut: 16 * parameters / cards,
        "never-cut": lambda parameters, cards, cut: 16 * parameters,
        "state-only": lambda parameters, cards, cut: parameters * (8 + 8 / (cards if cut else 1)),
        "all-cards": lambda parameters, cards, cut: 16 * parameters * (1 if cut else cards),
        "swapped": lambda parameters, cards, cut: 16 * parameters / (1 if cut else cards),
    },
    "batch_loss": {
        "mean-of-means": lambda sums, counts: float(means(sums, counts).mean()),
        "sum-of-means": lambda sums, counts: float(means(sums, counts).sum()),
        "per-part": lambda sums, counts: float(sums.sum() / len(sums)),
        "no-division": lambda sums, counts: float(sums.sum()),
        "largest": lambda sums, counts: float(sums.sum() / (len(sums) * counts.max())),
        "empty-part": weighted_means,
        "nothing": plain_sums,
    },
    "to_bf16": {
        "unchanged": lambda x: x.copy(),
        "cut": lambda x: cut_bits(x),
        "up": lambda x: cut_bits(x, 0x10000),
        "fp16": as_fp16,
        "low-bits": lambda x: (x.view(np.uint32) & np.uint32(0xFFFF)).view(np.float32),
        "half-up": lambda x: cut_bits(x, 0x8000),
        "half-down": lambda x: cut_bits(x, 0x7FFF),
        "to-odd": to_odd,
        "mutated": lambda x: np.bitwise_and(x.view(np.uint32), 0xFFFF0000, out=x.view(np.uint32)).view(np.float32),
    },
    "next_scale": {
        "every-step": doubles_always,
        "late": scale_with(late=1),
        "never-restarts": scale_with(restart=False),
        "counts-the-doubling": scale_with(after=1),
        "not-in-a-row": scale_with(forget=False),
        "stays": scale_with(down=1.0),
        "wrong-way": scale_with(up=0.5, down=2.0),
        "never-grows": scale_with(up=1.0),
    },
    "sharded_step": {
        "whole": lambda weights, gradients, lr: [weights - lr * mean_of(gradients) for _ in gradients],
        "own-gradient": own_gradients,
        "sum": lambda weights, gradients, lr: shards_of(weights, gradients, lambda w, g: w - lr * sum(g)),
        "uphill": lambda weights, gradients, lr: shards_of(weights, gradients, lambda w, g: w + lr * mean_of(g)),
        "no-rate": lambda weights, gradients, lr: shards_of(weights, gradients, lambda w, g: w - mean_of(g)),
        "first-card": lambda weights, gradients, lr: shards_of(weights, gradients, lambda w, g: w - lr * g[0]),
        "unchanged": lambda weights, gradients, lr: shards_of(weights, gradients, lambda w, g: w),
        "only-gradient": lambda weights, gradients, lr: shards_of(weights, gradients, lambda w, g: mean_of(g)),
    },
    "round_by_chance": {
        "nearest": lambda x, u: to_nearest(x),
        "lower": lambda x, u: cut_bits(x),
        "upper": lambda x, u: cut_bits(x, 0x10000),
        "turned": lambda x, u: cut_bits(x, 0x10000 * (u > (x.view(np.uint32) & 0xFFFF) / 2**16)),
        "coin": lambda x, u: cut_bits(x, 0x10000 * (u < 0.5)),
        "moves-exact": lambda x, u: cut_bits(x, 0x10000 * (u <= (x.view(np.uint32) & 0xFFFF) / 2**16)),
    },
}

STUB = {"batch_loss": "mean-of-means"}  # the code to be mended takes the mean of means
