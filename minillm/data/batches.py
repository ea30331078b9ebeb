"""Batches cut from a row of token ids: random windows to learn from, all windows in order to measure with.

x and y are (B, T) int64; y is x moved on by one token, what the model shall predict.
"""

from collections.abc import Iterator

import numpy as np

from minillm.errors import UserError

IGNORED = -100  # a target that does not count, as PyTorch's ignore_index


def check_length(tokens: np.ndarray, context: int, name: str = "the text") -> None:
    """UserError unless the row holds one window and its next token."""
    if len(tokens) <= context:
        raise UserError(
            f"{name} has {len(tokens)} tokens, too few for a context of {context}: give more text or less --context"
        )


def random_batch(
    tokens: np.ndarray, context: int, batch_size: int, seed: int, step: int
) -> tuple[np.ndarray, np.ndarray]:
    """The batch of a step: windows at random places, the same for the same (seed, step).

    So the position in the data is the step itself, and nothing has to be stored to resume a run.
    """
    rng = np.random.default_rng([seed, step])
    starts = rng.integers(0, len(tokens) - context, size=batch_size)
    rows = starts[:, None] + np.arange(context)
    return tokens[rows], tokens[rows + 1]


def all_windows(tokens: np.ndarray, context: int, batch_size: int = 32) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Windows that predict every token but the first exactly once, each with at least half a context before it.

    Windows overlap by half; targets that an earlier window has counted are IGNORED. The last may be shorter
    than T: its row is filled up with token 0 behind the text, where a causal model cannot look.
    """
    stride = max(1, context // 2)
    last = len(tokens) - 1  # number of predictions
    starts = list(range(0, max(last - context, 0) + stride, stride)) if last > 0 else []
    starts = [s for s in starts if s == 0 or s + context - stride < last]
    for i in range(0, len(starts), batch_size):
        group = starts[i : i + batch_size]
        x = np.zeros((len(group), context), dtype=np.int64)
        y = np.full((len(group), context), IGNORED, dtype=np.int64)
        for row, start in enumerate(group):
            stop = min(start + context, last)
            seen = 0 if start == 0 else context - stride
            x[row, : stop - start] = tokens[start:stop]
            y[row, seen : stop - start] = tokens[start + 1 + seen : stop + 1]
        yield x, y
