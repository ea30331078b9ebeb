"""How good a language model is: loss, perplexity, bits per character. Works with either twin.

Bits per character is the unit in which models with different tokenizers compare: the whole text's
-log2 p, divided by its characters. It includes the end of each document, and, where a tokenizer has written
<unk>, the bits to spell the character that it hides (`Tokenizer.unknown_bits`).
"""

import math
from typing import Any, NamedTuple

import numpy as np

from minillm.data.batches import all_windows
from minillm.data.corpora import token_stream
from minillm.errors import UserError
from minillm.text.tokenizer import Tokenizer


class Scores(NamedTuple):
    """Results on a text. `loss` is the mean in nats a token, `perplexity` its exponential."""

    loss: float
    perplexity: float
    bits_per_char: float
    tokens: int
    characters: int
    unknown: int  # tokens that are <unk>


def scores(nats: float, tokens: np.ndarray, documents: list[str], tokenizer: Tokenizer) -> Scores:
    """From the sum of -log p over tokens[1:] to all figures."""
    characters = sum(map(len, documents))
    if characters == 0:
        raise UserError("there is no text to evaluate on: give at least one character")
    bits = nats / math.log(2) + sum(tokenizer.unknown_bits(document) for document in documents)
    loss = nats / (len(tokens) - 1)
    unknown = int((tokens == tokenizer.unk_id).sum())
    return Scores(loss, math.exp(min(loss, 700)), bits / characters, len(tokens) - 1, characters, unknown)


def evaluate(model: Any, documents: list[str], tokenizer: Tokenizer, context: int, windows: str = "anywhere") -> Scores:
    """Scores of a model (np or pt) on documents, every token predicted once, in the windows that it learnt from."""
    tokens = token_stream(documents, tokenizer)
    eos = tokenizer.eos_id if windows == "documents" else None
    return scores(total_nll(model, tokens, context, eos), tokens, documents, tokenizer)


def total_nll(model: Any, tokens: np.ndarray, context: int, eos: int | None = None) -> float:
    """Sum of -log p in nats over tokens[1:]; with `eos`, in windows that follow the documents."""
    windows = all_windows(tokens, context, eos=eos)
    return sum(float(model.token_nll(x, y).sum(dtype=np.float64)) for x, y in windows)
