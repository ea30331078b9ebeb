"""The encoder-decoder Transformer: one stack reads the source both ways, another writes the target from it.

Vaswani et al. 2017 (arXiv 1706.03762), with the normalisation first. Source and target share a vocabulary and
its vectors, and the output layer shares them too unless `tied` is off.
Shapes: src (B, S) int, src_mask (B, S) bool, True at real tokens, tgt (B, T) int -> logits (B, T, V).
"""

from typing import Any

import numpy as np

from minillm.config import ModelConfig
from minillm.np import functional as F
from minillm.np.block import Block, make_head, make_norm
from minillm.np.embeddings import Embeddings
from minillm.np.layers import Dropout
from minillm.np.param import Array, Cache, Module


class Seq2Seq(Module):
    """Encoder-decoder Transformer with `n_layer` blocks on either side."""

    def __init__(self, config: ModelConfig, *, rng: np.random.Generator, dtype: Any = np.float32) -> None:
        layers = range(config.n_layer)
        self.config = config
        self.emb = Embeddings(config, rng=rng, dtype=dtype)
        self.drop = Dropout(config.dropout)
        self.encoder = [Block(config, causal=False, rng=rng, dtype=dtype) for _ in layers]
        self.encoder_norm = make_norm(config, dtype)
        self.decoder = [Block(config, causal=True, cross=True, rng=rng, dtype=dtype) for _ in layers]
        self.decoder_norm = make_norm(config, dtype)
        self.lm_head = make_head(config, rng=rng, dtype=dtype)

    def forward(
        self, src: Array, tgt: Array, src_mask: Array | None = None, rng: np.random.Generator | None = None
    ) -> tuple[Array, Cache]:
        """Logits of the next target token at each position. A generator turns dropout on."""
        memory, encode_cache = self.encode(src, src_mask, rng)
        logits, decode_cache = self.decode(tgt, memory, src_mask, rng)
        return logits, (encode_cache, decode_cache)

    def backward(self, dlogits: Array, cache: Cache) -> None:
        """Accumulate all gradients."""
        encode_cache, decode_cache = cache
        self.encode_backward(self.decode_backward(dlogits, decode_cache), encode_cache)

    def encode(
        self, src: Array, src_mask: Array | None = None, rng: np.random.Generator | None = None
    ) -> tuple[Array, Cache]:
        """src (B, S) -> memory (B, S, D): what the decoder reads, computed once for all target tokens."""
        seen = None if src_mask is None else src_mask[:, None, None]  # (B, 1, 1, S)
        x, emb_cache = self.emb(src)
        x, drop_cache = self.drop(x, rng)
        block_caches = []
        for block in self.encoder:
            x, cache = block(x, seen, rng=rng)
            block_caches.append(cache)
        memory, norm_cache = self.encoder_norm(x)
        return memory, (emb_cache, drop_cache, block_caches, norm_cache)

    def encode_backward(self, dmemory: Array, cache: Cache) -> None:
        emb_cache, drop_cache, block_caches, norm_cache = cache
        dx = self.encoder_norm.backward(dmemory, norm_cache)
        for block, block_cache in zip(reversed(self.encoder), reversed(block_caches), strict=True):
            dx = block.backward(dx, block_cache)
        self.emb.backward(self.drop.backward(dx, drop_cache), emb_cache)

    def decode(
        self, tgt: Array, memory: Array, src_mask: Array | None = None, rng: np.random.Generator | None = None
    ) -> tuple[Array, Cache]:
        """tgt (B, T), memory (B, S, D) -> logits (B, T, V)"""
        seen = None if src_mask is None else src_mask[:, None, None]  # (B, 1, 1, S)
        x, emb_cache = self.emb(tgt)
        x, drop_cache = self.drop(x, rng)
        block_caches = []
        for block in self.decoder:
            x, cache = block(x, memory=memory, memory_mask=seen, rng=rng)
            block_caches.append(cache)
        x, norm_cache = self.decoder_norm(x)
        w = self.lm_head.weight if self.lm_head else self.emb.tok.weight
        logits, head_cache = F.linear(x, w.data)
        return logits, (emb_cache, drop_cache, block_caches, norm_cache, head_cache)

    def decode_backward(self, dlogits: Array, cache: Cache) -> Array:
        """dlogits (B, T, V) -> dmemory (B, S, D), the sum over all blocks, for each of them read the memory."""
        emb_cache, drop_cache, block_caches, norm_cache, head_cache = cache
        dx, dw, _ = F.linear_backward(dlogits, head_cache)
        (self.lm_head.weight if self.lm_head else self.emb.tok.weight).accumulate(dw)
        dx = self.decoder_norm.backward(dx, norm_cache)
        dmemory: Any = 0
        for block, block_cache in zip(reversed(self.decoder), reversed(block_caches), strict=True):
            dx, dm = block.backward(dx, block_cache)
            dmemory = dmemory + dm
        self.emb.backward(self.drop.backward(dx, drop_cache), emb_cache)
        return dmemory
