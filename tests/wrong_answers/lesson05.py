"""Answers that learners give to the exercises of lesson 05 and that are wrong, under the name of the mistake."""

import math

import numpy as np


def softmax(z):
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def picked(logits, targets):
    return softmax(logits)[np.arange(len(logits)), targets]


def one_hot(logits, targets):
    return np.eye(logits.shape[1])[targets]


def columns(z):
    e = np.exp(z - z.max(axis=0))
    return e / e.sum(axis=0)


def no_maximum(z):
    e = np.exp(z)
    return e / e.sum(axis=-1, keepdims=True)


def global_maximum(z):
    e = np.exp(z - z.max())
    return e / e.sum(axis=-1, keepdims=True)


def loss_of_batch_through_p(logits, targets):
    return -np.log(picked(logits, targets)).mean()


def row_by_row(logits, targets):
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return np.log(np.exp(shifted).sum(axis=-1)) - shifted[np.arange(len(logits)), targets]


def divide_always(logits, temperature):
    return softmax(logits / temperature)


def share_ties(logits, temperature):
    if temperature == 0:
        best = logits == logits.max()
        return best / best.sum()
    return softmax(logits / temperature)


def ones_for_ties(logits, temperature):
    if temperature == 0:
        return (logits == logits.max()).astype(float)
    return softmax(logits / temperature)


def exponentiate_first(logits, temperature):
    if temperature == 0:
        return np.eye(len(logits))[np.argmax(logits)]
    e = np.exp(logits / temperature)
    return e / e.sum()


WRONG = {
    "first_loss": {
        "bits": lambda vocab_size: math.log2(vocab_size),
        "log10": lambda vocab_size: math.log10(vocab_size),
        "sign": lambda vocab_size: math.log(1 / vocab_size),
        "probability": lambda vocab_size: 1 / vocab_size,
        "perplexity": lambda vocab_size: float(vocab_size),
    },
    "stable_softmax": {
        "whole": lambda z: np.exp(z) / np.exp(z).sum(),
        "axis": columns,
        "undivided": lambda z: np.exp(z - z.max(axis=-1, keepdims=True)),
        "log": lambda z: np.log(softmax(z)),
        "overflow": no_maximum,
        "global-max": global_maximum,
    },
    "mean_loss": {
        "not-averaged": row_by_row,
        "sum": lambda logits, targets: row_by_row(logits, targets).sum(),
        "sign": lambda logits, targets: -row_by_row(logits, targets).mean(),
        "bits": lambda logits, targets: row_by_row(logits, targets).mean() / np.log(2),
        "probability": lambda logits, targets: picked(logits, targets).mean(),
        "log-of-mean": lambda logits, targets: -np.log(picked(logits, targets).mean()),
        "raw-score": lambda logits, targets: -logits[np.arange(len(logits)), targets].mean(),
        "all-classes": lambda logits, targets: -np.log(softmax(logits)).mean(),
        "underflow": loss_of_batch_through_p,
        "clipped": lambda logits, targets: -np.log(picked(logits, targets) + 1e-12).mean(),
    },
    "logit_gradient": {
        "batch": lambda logits, targets: softmax(logits) - one_hot(logits, targets),
        "sign": lambda logits, targets: (one_hot(logits, targets) - softmax(logits)) / len(logits),
        "no-target": lambda logits, targets: softmax(logits) / len(logits),
        "sum-sign": lambda logits, targets: (softmax(logits) + one_hot(logits, targets)) / len(logits),
        "classes": lambda logits, targets: (softmax(logits) - one_hot(logits, targets)) / logits.size,
        "index": lambda logits, targets: (softmax(logits) - targets[:, None]) / len(logits),
    },
    "softmax_backward": {
        "diagonal": lambda dp, cache: cache[0] * (1 - cache[0]) * dp,
        "no-mean": lambda dp, cache: cache[0] * dp,
        "no-factor": lambda dp, cache: dp - (cache[0] * dp).sum(-1, keepdims=True),
        "plain-sum": lambda dp, cache: cache[0] * (dp - dp.sum(-1, keepdims=True)),
        "whole": lambda dp, cache: cache[0] * (dp - (cache[0] * dp).sum()),
        "sign": lambda dp, cache: cache[0] * ((cache[0] * dp).sum(-1, keepdims=True) - dp),
    },
    "with_temperature": {
        "multiplied": lambda logits, temperature: softmax(logits * temperature),
        "probabilities": lambda logits, temperature: softmax(softmax(logits) / temperature),
        "after": lambda logits, temperature: softmax(logits) / temperature,
        "ignored": lambda logits, temperature: softmax(logits),
        "zero": divide_always,
        "tie": share_ties,
        "tie-all": ones_for_ties,
        "overflow": exponentiate_first,
    },
}

STUB = {"stable_softmax": "whole"}  # the code to be mended divides by the sum of the whole array
