"""One character after the other."""

import numpy as np

from .layers import softmax
from .model import forward


def generate(weights, n_head, ids, count, temperature, rng):
    ids, context = list(ids), len(weights["emb.pos.weight"])
    for _ in range(count):
        logits = forward(weights, n_head, np.array([ids[-context:]]))[0][0, -1]
        if temperature == 0:
            ids.append(int(logits.argmax()))
        else:
            p = softmax(logits.astype(np.float64) / temperature)
            ids.append(int(rng.choice(len(p), p=p)))
    return ids
