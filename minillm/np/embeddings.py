"""From token ids to vectors: what a Transformer reads, shared by GPT, BERT and the encoder-decoder.

Shapes: ids (B, T) int -> (B, T, D), T at most `context`.
"""

from typing import Any

import numpy as np

from minillm.config import ModelConfig
from minillm.np.layers import Embedding
from minillm.np.param import Array, Cache, Module
from minillm.np.position import sinusoidal


class Embeddings(Module):
    """Token vectors plus, unless the positions are rotary, position vectors.  ids (B, T) -> (B, T, D)"""

    def __init__(self, config: ModelConfig, *, rng: np.random.Generator, dtype: Any = np.float32) -> None:
        self.context, self.dtype = config.context, dtype
        d = config.d_model
        kwargs: dict[str, Any] = {"std": config.init_std, "rng": rng, "dtype": dtype}
        self.tok = Embedding(config.vocab_size, d, **kwargs)
        self.pos = Embedding(config.context, d, **kwargs) if config.position == "learned" else None
        self.table = None
        if config.position == "sinusoidal":  # brought to the size of a token vector's entries
            self.table = (config.init_std * sinusoidal(config.context, d)).astype(dtype)

    def forward(self, ids: Array, start: int = 0) -> tuple[Array, Cache]:
        """`start` is the position of the first column of ids."""
        end = start + ids.shape[1]
        if end > self.context:
            raise ValueError(f"{end} positions asked of a model with a context of {self.context}")
        x, tok_cache = self.tok(ids)
        pos_cache = None
        if self.pos is not None:
            pos, pos_cache = self.pos(np.arange(start, end))
            x += pos
        elif self.table is not None:
            x += self.table[start:end]
        return x, (tok_cache, pos_cache)

    def backward(self, dx: Array, cache: Cache) -> None:
        tok_cache, pos_cache = cache
        self.tok.backward(dx, tok_cache)
        if self.pos is not None:
            self.pos.backward(dx.sum(axis=0), pos_cache)  # every sequence used the same position vectors
