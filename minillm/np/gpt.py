"""GPT: a decoder-only Transformer that predicts the next token at every position.

Radford et al. 2018 and 2019 (GPT, GPT-2): token embedding + position -> L blocks -> norm -> logits.
Options of `ModelConfig` turn it into a Llama-like model (RMSNorm, rotary positions, SwiGLU, no biases).
Shapes: ids (B, T) int -> logits (B, T, V), T at most `context`.
"""

from typing import Any

import numpy as np

from minillm.config import ModelConfig
from minillm.np import functional as F
from minillm.np.attention import KVCache
from minillm.np.block import Block, make_head, make_norm
from minillm.np.embeddings import Embeddings
from minillm.np.layers import Dropout
from minillm.np.lm import LanguageModel
from minillm.np.param import Array, Cache


class GPT(LanguageModel):
    """Decoder-only Transformer language model."""

    def __init__(self, config: ModelConfig, *, rng: np.random.Generator, dtype: Any = np.float32) -> None:
        self.config, self.dtype = config, np.dtype(dtype)
        self.emb = Embeddings(config, rng=rng, dtype=dtype)
        self.drop = Dropout(config.dropout)
        self.blocks = [Block(config, causal=True, rng=rng, dtype=dtype) for _ in range(config.n_layer)]
        self.norm = make_norm(config, dtype)
        self.lm_head = make_head(config, rng=rng, dtype=dtype)

    def forward(
        self, ids: Array, rng: np.random.Generator | None = None, kv: list[KVCache] | None = None
    ) -> tuple[Array, Cache]:
        """Logits of the next token at each position. A generator turns dropout on; with the caches of
        `new_cache` ids holds the new tokens only."""
        x, emb_cache = self.emb(ids, kv[0].length if kv else 0)
        x, drop_cache = self.drop(x, rng)
        block_caches = []
        for i, block in enumerate(self.blocks):
            x, cache = block(x, rng=rng, kv=kv[i] if kv else None)
            block_caches.append(cache)
        if kv:
            x = x[:, -1:]  # only the last position's prediction is new
        x, norm_cache = self.norm(x)
        w = self.lm_head.weight if self.lm_head else self.emb.tok.weight
        logits, head_cache = F.linear(x, w.data)  # (B, T, V)
        return logits, (emb_cache, drop_cache, block_caches, norm_cache, head_cache)

    def backward(self, dlogits: Array, cache: Cache) -> None:
        """Accumulate all gradients. Token ids have none."""
        emb_cache, drop_cache, block_caches, norm_cache, head_cache = cache
        dx, dw, _ = F.linear_backward(dlogits, head_cache)
        (self.lm_head.weight if self.lm_head else self.emb.tok.weight).accumulate(dw)
        dx = self.norm.backward(dx, norm_cache)
        for block, block_cache in zip(reversed(self.blocks), reversed(block_caches), strict=True):
            dx = block.backward(dx, block_cache)
        self.emb.backward(self.drop.backward(dx, drop_cache), emb_cache)

    def new_cache(self, batch: int = 1) -> list[KVCache]:
        """Empty key-value caches, one a layer, for generation."""
        c = self.config
        return [KVCache(batch, c.n_kv_head, c.context, c.d_head, self.dtype) for _ in self.blocks]
