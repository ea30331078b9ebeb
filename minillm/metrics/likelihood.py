"""How surprised a language model is: perplexity a token, and bits a character, which alone compare across tokenizers.

    perplexity = exp(Σ nll / tokens)      bits per character = Σ nll / (ln 2 · characters)

nll is -ln p of each token, in nats (Jelinek, Mercer, Bahl and Baker 1977). How many tokens a text has is the
tokenizer's doing; how many characters it has is not. minillm/evaluate.py does this for whole models and corpora.
"""

import math

import numpy as np


def perplexity(nll: np.ndarray) -> float:
    """Among how many equally likely tokens the model hesitates.  nll (N,) nats. ValueError: no token."""
    return math.exp(_total(nll) / len(nll))


def bits_per_character(nll: np.ndarray, characters: int) -> float:
    """Bits to tell a text of so many characters.  nll (N,) nats, of all its tokens. ValueError: no token, no text."""
    if characters < 1:
        raise ValueError(f"a text has at least 1 character, not {characters}")
    return _total(nll) / math.log(2) / characters


def _total(nll: np.ndarray) -> float:
    if np.ndim(nll) != 1 or not len(nll):
        raise ValueError(f"one row of losses, at least one, is asked for, not shape {np.shape(nll)}")
    return float(np.sum(nll, dtype=np.float64))
