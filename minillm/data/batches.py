"""Batches cut from a row of token ids: random windows to learn from, all windows in order to measure with.

x and y are (B, T) int64; y is x moved on by one token, what the model shall predict. Windows lie anywhere, or follow
the documents: then each begins where one begins, and no model has to guess what stood before its window.
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


def document_starts(tokens: np.ndarray, context: int, eos: int) -> np.ndarray:
    """Where a window can begin with a document: the places of the <eos> before each, if a context fits behind."""
    end, step = len(tokens) - context, 1 << 20  # a row on disk is never read as a whole
    return np.concatenate([i + np.flatnonzero(tokens[i : min(i + step, end)] == eos) for i in range(0, end, step)])


def window_places(
    tokens: np.ndarray, context: int, batch_size: int, seed: int, step: int, starts: np.ndarray | None = None
) -> np.ndarray:
    """Where the windows of a step begin: at random places of the row, of `starts` if given.  -> (B,)"""
    rng = np.random.default_rng([seed, step])
    chosen = rng.integers(0, len(tokens) - context if starts is None else len(starts), size=batch_size)
    return chosen if starts is None else starts[chosen]


def random_batch(
    tokens: np.ndarray, context: int, batch_size: int, seed: int, step: int, starts: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """The batch of a step, the same for the same (seed, step).

    So the position in the data is the step itself, and nothing has to be stored to resume a run.
    """
    rows = window_places(tokens, context, batch_size, seed, step, starts)[:, None] + np.arange(context)
    return tokens[rows], tokens[rows + 1]


def common_tokens(tokens: np.ndarray, vocab_size: int, share: float = 0.01) -> np.ndarray:
    """Which tokens make up more than `share` of the first million, punctuation above all.  -> (V,) bool"""
    some = tokens[: min(len(tokens), 1 << 20)]
    return np.bincount(some, minlength=vocab_size) > share * len(some)


def recall_targets(
    x: np.ndarray, y: np.ndarray, common: np.ndarray, eos: int, rng: np.random.Generator, kept: float = 0.1
) -> np.ndarray:
    """y with most targets IGNORED: those stay that came before in their document and are not common, and of the others
    the share `kept`.  x, y (B, T), common (V,) bool -> (B, T)

    What stands close by predicts most of a text. If that is learnt first, a small model stops there, and may never
    begin to look back to the name in the first sentence; if looking back is learnt first, it stays.
    """
    document = np.cumsum(x == eos, axis=1)  # of each input; a target belongs to that of the input before it
    length = x.shape[1]
    seen = (x[:, None, :] == y[:, :, None]) & (document[:, None, :] == document[:, :, None])
    again = (seen & np.tri(length, dtype=bool)).any(axis=2)
    return np.where(again & ~common[y] | (rng.random(y.shape) < kept), y, IGNORED)


def all_windows(
    tokens: np.ndarray, context: int, batch_size: int = 32, eos: int | None = None
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Windows that predict every token but the first exactly once, each with at least half a context before it,
    or, where `eos` is given, everything since its document began.

    With `eos` a window holds as many whole documents as fit. One that does not fit, or the row as a whole without
    `eos`, is read in windows that overlap by half; targets that an earlier window has counted are IGNORED. A
    window may be shorter than T: its row is filled up with token 0 behind the text, where a causal model cannot look.
    """
    pieces = [(0, len(tokens) - 1)] if eos is None else whole_documents(tokens, context, eos)
    windows = [window for first, last in pieces for window in overlapping(first, last, context)]
    for i in range(0, len(windows), batch_size):
        group = windows[i : i + batch_size]
        x = np.zeros((len(group), context), dtype=np.int64)
        y = np.full((len(group), context), IGNORED, dtype=np.int64)
        for row, (start, seen, stop) in enumerate(group):
            x[row, : stop - start] = tokens[start:stop]
            y[row, seen : stop - start] = tokens[start + 1 + seen : stop + 1]
        yield x, y


def whole_documents(tokens: np.ndarray, context: int, eos: int) -> Iterator[tuple[int, int]]:
    """The row cut at <eos> into pieces of at most T predictions, or of one document: tokens first+1..last."""
    first, end = 0, 0
    for place in (*np.flatnonzero(tokens[1:] == eos) + 1, len(tokens) - 1):
        if place - first > context and end > first:
            yield first, end
            first = end
        end = int(place)
    yield first, end


def overlapping(first: int, last: int, context: int) -> Iterator[tuple[int, int, int]]:
    """Windows (start, seen, stop) over tokens first..last: `seen` of their predictions are counted already."""
    stride = max(1, context // 2)
    for start in range(first, max(last - context, first) + stride, stride):
        seen = 0 if start == first else context - stride
        if start + seen < last:
            yield start, seen, min(start + context, last)
