"""Characters and their numbers; batches cut from a row of numbers."""

import numpy as np


def vocabulary(text):
    return "".join(sorted(set(text)))


def encode(text, vocabulary):
    number = {char: i for i, char in enumerate(vocabulary)}
    return np.array([number[char] for char in text], dtype=np.int64)


def decode(ids, vocabulary):
    return "".join(vocabulary[i] for i in ids)


def batch(tokens, context, batch_size, rng):
    starts = rng.integers(0, len(tokens) - context, size=batch_size)
    windows = starts[:, None] + np.arange(context)
    return tokens[windows], tokens[windows + 1]
