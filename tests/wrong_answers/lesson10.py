"""Answers that learners give to the exercises of lesson 10 and that are wrong, under the name of the mistake."""

import math
from collections import Counter

import numpy as np


def parameters(vocab_size, context, n_layer, d_model, biases=9, norms=4, last=2, square=12):
    d = d_model
    return (vocab_size + context) * d + n_layer * (square * d * d + (biases + norms) * d) + last * d


def added_once(ids, dx, hidden, dlogits):
    gradient = dlogits.T @ hidden
    gradient[ids] += dx
    return gradient


def overwritten(ids, dx, hidden, dlogits):
    gradient = dlogits.T @ hidden
    gradient[ids] = dx
    return gradient


def look_up_only(ids, dx, hidden, dlogits):
    gradient = np.zeros((dlogits.shape[1], dx.shape[1]))
    np.add.at(gradient, ids, dx)
    return gradient


def averaged(ids, dx, hidden, dlogits):
    counts = np.maximum(np.bincount(ids, minlength=dlogits.shape[1]), 1)
    return dlogits.T @ hidden + look_up_only(ids, dx, hidden, dlogits) / counts[:, None]


def replaced(ids, t, vocab_size):
    changed = ids.copy()
    changed[t] = (changed[t] + 1) % vocab_size
    return changed


def own_row_compared(logits_of, ids, vocab_size):
    before = logits_of(ids)
    for t in range(1, len(ids)):
        after = logits_of(replaced(ids, t, vocab_size))
        if not np.allclose(after[: t + 1], before[: t + 1]):
            return True
    return False


def last_replaced(logits_of, ids, vocab_size):
    t = len(ids) - 1
    return not np.allclose(logits_of(replaced(ids, t, vocab_size))[:t], logits_of(ids)[:t])


def row_before_compared(logits_of, ids, vocab_size):
    before = logits_of(ids)
    return any(
        not np.allclose(logits_of(replaced(ids, t, vocab_size))[t - 1], before[t - 1]) for t in range(1, len(ids) - 1)
    )


def wide_tolerance(logits_of, ids, vocab_size):
    before = logits_of(ids)
    for t in range(1, len(ids)):
        if np.abs(logits_of(replaced(ids, t, vocab_size))[:t] - before[:t]).max() > 0.01:
            return True
    return False


def upside_down(logits_of, ids, vocab_size):
    before = logits_of(ids)
    return all(np.allclose(logits_of(replaced(ids, t, vocab_size))[:t], before[:t]) for t in range(1, len(ids)))


def floor_by(keys, answers):
    seen, pairs = Counter(keys), Counter(zip(keys, answers, strict=True))
    return -sum(n * math.log(n / seen[key]) for (key, _), n in pairs.items()) / len(answers)


def current_only(x, y):
    return floor_by(x.ravel().tolist(), y.ravel().tolist())


def joint(x, y):
    pairs = Counter(zip(x.ravel().tolist(), y.ravel().tolist(), strict=True))
    return -sum(n / x.size * math.log(n / x.size) for n in pairs.values())


def whole_past(x, y):
    return floor_by([tuple(row[: t + 1].tolist()) for row in x for t in range(len(row))], y.ravel().tolist())


def flops(vocab_size, n_layer, d_model, length, tokens, head=1, scores=2, passes=3, each=2):
    inner = 12 * n_layer * d_model**2 + head * vocab_size * d_model + scores * n_layer * length * d_model
    return passes * each * inner * tokens


def widest(memory, vocab_size, n_layer, length, batch, each=16, kept=True, heads=None, logits=2, sentences=None, low=0):
    def needed(d):
        n = (vocab_size + length) * d + n_layer * (12 * d * d + 13 * d) + 2 * d
        rows = d // 64 if heads is None else heads
        numbers = n_layer * (21 * d + 2 + rows * length) + 2 * d + 1 + logits * vocab_size + 5
        return each * n + 4 * (sentences or batch) * length * numbers * kept

    width = low
    while needed(width + 64) <= memory:
        width += 64
    return width


def strictly_less(memory, *given):
    return widest(memory - 1, *given)


def one_further(memory, *given):
    return widest(memory, *given) + 64


WRONG = {
    "gpt_parameters": {
        "two-tables": lambda v, c, n, d: parameters(v, c, n, d) + v * d,
        "no-positions": lambda v, c, n, d: parameters(v, 0, n, d),
        "no-biases": lambda v, c, n, d: parameters(v, c, n, d, biases=0),
        "no-last-norm": lambda v, c, n, d: parameters(v, c, n, d, last=0),
        "no-norms": lambda v, c, n, d: parameters(v, c, n, d, norms=0, last=0),
        "matrices-only": lambda v, c, n, d: parameters(v, c, n, d, biases=0, norms=0, last=0),
        "no-output-matrix": lambda v, c, n, d: parameters(v, c, n, d, square=11, biases=8),
        "one-layer": lambda v, c, n, d: parameters(v, c, 1, d),
    },
    "table_gradient": {
        "overwritten": overwritten,
        "repeats": added_once,
        "scoring-only": lambda ids, dx, hidden, dlogits: dlogits.T @ hidden,
        "look-up-only": look_up_only,
        "averaged": averaged,
        "shape": lambda ids, dx, hidden, dlogits: hidden.T @ dlogits,
    },
    "looks_ahead": {
        "never": lambda logits_of, ids, vocab_size: False,
        "always": own_row_compared,
        "last-only": last_replaced,
        "next-only": row_before_compared,
        "coarse": wide_tolerance,
        "upside-down": upside_down,
    },
    "batch_floor": {
        "past": whole_past,
        "positions": lambda x, y: floor_by([(t, int(c)) for row in x for t, c in enumerate(row)], y.ravel().tolist()),
        "frequencies": lambda x, y: floor_by([0] * x.size, y.ravel().tolist()),
        "bits": lambda x, y: current_only(x, y) / math.log(2),
        "sum": lambda x, y: current_only(x, y) * x.size,
        "rows": lambda x, y: current_only(x, y) * x.size / len(x),
        "joint": joint,
        "sign": lambda x, y: -current_only(x, y),
    },
    "training_flops": {
        "forward": lambda *shape: flops(*shape, passes=1),
        "twice": lambda *shape: flops(*shape, passes=2),
        "multiply-adds": lambda *shape: flops(*shape, each=1),
        "no-scores": lambda *shape: flops(*shape, scores=0),
        "half-scores": lambda *shape: flops(*shape, scores=1),
        "no-head": lambda *shape: flops(*shape, head=0),
        "look-up": lambda *shape: flops(*shape, head=2),
        "no-square": lambda v, n, d, length, tokens: flops(v, n, d, 1, tokens),
    },
    "largest_width": {
        "weights-only": lambda *given: widest(*given, each=4),
        "no-optimiser": lambda *given: widest(*given, each=8),
        "no-activations": lambda *given: widest(*given, kept=False),
        "no-square": lambda *given: widest(*given, heads=0),
        "one-head": lambda *given: widest(*given, heads=1),
        "no-logits": lambda *given: widest(*given, logits=0),
        "one-sentence": lambda *given: widest(*given, sentences=1),
        "one-short": strictly_less,
        "one-further": one_further,
        "nothing-fits": lambda *given: max(64, widest(*given)),
    },
}

STUB = {"table_gradient": "overwritten"}  # the code to be mended writes where it should add
