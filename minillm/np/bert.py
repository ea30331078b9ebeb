"""BERT: an encoder that reads the whole sequence at once and predicts the tokens that were hidden in it.

Devlin et al. 2018 (arXiv 1810.04805), without the sentence pairs: embeddings -> L blocks that look both ways
-> norm -> logits of every position's token, or with `n_class` logits of the whole sequence's class.
Shapes: ids (B, T) int, mask (B, T) bool, True at real tokens -> logits (B, T, V), or (B, n_class).
"""

from typing import Any

import numpy as np

from minillm.config import ModelConfig
from minillm.np import functional as F
from minillm.np.block import Block, make_head, make_norm
from minillm.np.embeddings import Embeddings
from minillm.np.layers import Dropout, Linear
from minillm.np.param import Array, Cache, Module


class BERT(Module):
    """Encoder-only Transformer: a masked-token model, or with `n_class` > 0 a classifier of sequences."""

    def __init__(
        self, config: ModelConfig, n_class: int = 0, *, rng: np.random.Generator, dtype: Any = np.float32
    ) -> None:
        self.config, self.n_class = config, n_class
        self.emb = Embeddings(config, rng=rng, dtype=dtype)
        self.drop = Dropout(config.dropout)
        self.blocks = [Block(config, causal=False, rng=rng, dtype=dtype) for _ in range(config.n_layer)]
        self.norm = make_norm(config, dtype)
        self.classifier = Linear(config.d_model, n_class, rng=rng, dtype=dtype) if n_class else None
        self.lm_head = None if n_class else make_head(config, rng=rng, dtype=dtype)

    def forward(
        self, ids: Array, mask: Array | None = None, rng: np.random.Generator | None = None
    ) -> tuple[Array, Cache]:
        """Without a mask all tokens are real. A generator turns dropout on."""
        seen = None if mask is None else mask[:, None, None]  # (B, 1, 1, T): the same keys for all heads and queries
        x, emb_cache = self.emb(ids)
        x, drop_cache = self.drop(x, rng)
        block_caches = []
        for block in self.blocks:
            x, cache = block(x, seen, rng=rng)
            block_caches.append(cache)
        x, norm_cache = self.norm(x)
        pool_cache = None
        if self.classifier is not None:
            x, pool_cache = F.mean_pool(x, np.ones(ids.shape, dtype=bool) if mask is None else mask)  # (B, D)
            logits, head_cache = self.classifier(x)  # (B, n_class)
        else:
            w = self.lm_head.weight if self.lm_head else self.emb.tok.weight
            logits, head_cache = F.linear(x, w.data)  # (B, T, V)
        return logits, (emb_cache, drop_cache, block_caches, norm_cache, pool_cache, head_cache)

    def backward(self, dlogits: Array, cache: Cache) -> None:
        """Accumulate all gradients."""
        emb_cache, drop_cache, block_caches, norm_cache, pool_cache, head_cache = cache
        if self.classifier is not None:
            dx = F.mean_pool_backward(self.classifier.backward(dlogits, head_cache), pool_cache)
        else:
            dx, dw, _ = F.linear_backward(dlogits, head_cache)
            (self.lm_head.weight if self.lm_head else self.emb.tok.weight).accumulate(dw)
        dx = self.norm.backward(dx, norm_cache)
        for block, block_cache in zip(reversed(self.blocks), reversed(block_caches), strict=True):
            dx = block.backward(dx, block_cache)
        self.emb.backward(self.drop.backward(dx, drop_cache), emb_cache)
