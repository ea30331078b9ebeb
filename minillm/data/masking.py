"""What BERT learns from: text with hidden tokens (Devlin et al. 2018, arXiv 1810.04805, section 3.1)."""

import numpy as np

from minillm.data.batches import IGNORED

Array = np.ndarray


def mask_tokens(
    ids: Array,
    rng: np.random.Generator,
    *,
    mask_id: int,
    vocab_size: int,
    first_ordinary_id: int,
    p: float = 0.15,
    ignore_index: int = IGNORED,
) -> tuple[Array, Array]:
    """Hide tokens for training: each ordinary token is chosen with probability p; of the chosen, 80% become
    `mask_id`, 10% a random ordinary token, 10% stay, so that the model cannot trust what it sees.

    Ids below `first_ordinary_id` are special tokens and are never chosen. ids (...) -> inputs, targets (...);
    targets are the ids where chosen and `ignore_index` elsewhere.
    """
    chosen = (rng.random(ids.shape) < p) & (ids >= first_ordinary_id)
    fate = rng.random(ids.shape)
    inputs = np.where(chosen & (fate < 0.8), mask_id, ids)
    swapped = chosen & (fate >= 0.9)
    inputs[swapped] = rng.integers(first_ordinary_id, vocab_size, size=int(swapped.sum()))
    return inputs, np.where(chosen, ids, ignore_index)
