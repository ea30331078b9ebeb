"""The encoder-decoder Transformer: one stack reads the source both ways, another writes the target from it.

Vaswani et al. 2017 (arXiv 1706.03762), with the normalisation first. Source and target share a vocabulary and
its vectors, and the output layer shares them too unless `tied` is off.
Shapes: src (B, S) int, src_mask (B, S) bool, True at real tokens, tgt (B, T) int -> logits (B, T, V).
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from minillm.config import ModelConfig
from minillm.pt import functional as F
from minillm.pt.block import Block, make_head, make_norm
from minillm.pt.embeddings import Embeddings
from minillm.pt.layers import Dropout
from minillm.pt.param import Module


class Seq2Seq(Module):
    """Encoder-decoder Transformer with `n_layer` blocks on either side."""

    def __init__(
        self,
        config: ModelConfig,
        *,
        rng: np.random.Generator,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str | None = None,
    ) -> None:
        super().__init__()
        self.config = config
        layers = range(config.n_layer)
        kwargs: dict[str, Any] = {"rng": rng, "dtype": dtype, "device": device}
        self.emb = Embeddings(config, **kwargs)
        self.drop = Dropout(config.dropout)
        self.encoder = nn.ModuleList(Block(config, causal=False, **kwargs) for _ in layers)
        self.encoder_norm = make_norm(config, dtype, device)
        self.decoder = nn.ModuleList(Block(config, causal=True, cross=True, **kwargs) for _ in layers)
        self.decoder_norm = make_norm(config, dtype, device)
        self.lm_head = make_head(config, **kwargs)

    def forward(
        self, src: Tensor, tgt: Tensor, src_mask: Tensor | None = None, rng: torch.Generator | None = None
    ) -> Tensor:
        """Logits of the next target token at each position. A generator turns dropout on."""
        return self.decode(tgt, self.encode(src, src_mask, rng), src_mask, rng)

    def encode(self, src: Tensor, src_mask: Tensor | None = None, rng: torch.Generator | None = None) -> Tensor:
        """src (B, S) -> memory (B, S, D): what the decoder reads, computed once for all target tokens."""
        seen = None if src_mask is None else src_mask[:, None, None]  # (B, 1, 1, S)
        x = self.drop(self.emb(src), rng)
        for block in self.encoder:
            x = block(x, seen, rng=rng)
        return self.encoder_norm(x)

    def decode(
        self, tgt: Tensor, memory: Tensor, src_mask: Tensor | None = None, rng: torch.Generator | None = None
    ) -> Tensor:
        """tgt (B, T), memory (B, S, D) -> logits (B, T, V)"""
        seen = None if src_mask is None else src_mask[:, None, None]  # (B, 1, 1, S)
        x = self.drop(self.emb(tgt), rng)
        for block in self.decoder:
            x = block(x, memory=memory, memory_mask=seen, rng=rng)
        return F.linear(self.decoder_norm(x), self.lm_head.weight if self.lm_head else self.emb.tok.weight)
