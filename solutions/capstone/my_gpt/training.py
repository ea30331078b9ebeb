"""Clipping, AdamW, and the loop."""

import math

import numpy as np

from .model import initial_weights, loss_and_gradients
from .text import batch

CONTEXT, N_LAYER, N_HEAD, D_MODEL = 64, 2, 4, 128
STEPS, BATCH, LR, WARMUP = 350, 16, 3e-3, 20


def clip(grads, max_norm):
    norm = float(np.sqrt(sum(float((g * g).sum()) for g in grads.values())))
    factor = min(1.0, max_norm / norm) if norm else 1.0
    return {name: g * factor for name, g in grads.items()}, norm


class AdamW:
    """Loshchilov and Hutter 2019. Matrices decay, vectors do not."""

    def __init__(self, betas=(0.9, 0.95), eps=1e-8, weight_decay=0.1):
        self.betas, self.eps, self.weight_decay = betas, eps, weight_decay
        self.steps, self.mean, self.square = 0, {}, {}

    def step(self, weights, grads, lr):
        """New weights."""
        self.steps += 1
        (b1, b2), new = self.betas, {}
        for name, w in weights.items():
            g = grads[name]
            self.mean[name] = b1 * self.mean.get(name, 0) + (1 - b1) * g
            self.square[name] = b2 * self.square.get(name, 0) + (1 - b2) * g * g
            mean = self.mean[name] / (1 - b1**self.steps)
            square = self.square[name] / (1 - b2**self.steps)
            decay = self.weight_decay if w.ndim == 2 else 0.0
            new[name] = w - lr * (mean / (np.sqrt(square) + self.eps) + decay * w)
        return new


def learning_rate(step):
    """Up in a line, then down along a cosine to a tenth."""
    if step < WARMUP:
        return LR * (step + 1) / WARMUP
    along = (step - WARMUP) / (STEPS - WARMUP)
    return LR * (0.1 + 0.45 * (1 + math.cos(math.pi * along)))


def train(tokens, vocab_size, rng):
    """Weights that know the text, and the number of heads."""
    weights, optimizer = initial_weights(vocab_size, CONTEXT, N_LAYER, D_MODEL, rng), AdamW()
    for step in range(STEPS):
        ids, targets = batch(tokens, CONTEXT, BATCH, rng)
        _, grads = loss_and_gradients(weights, N_HEAD, ids, targets)
        grads, _ = clip(grads, 1.0)
        weights = optimizer.step(weights, grads, learning_rate(step))
    return weights, N_HEAD
