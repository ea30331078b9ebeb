"""BERT: an encoder that reads the whole sequence at once and predicts the tokens that were hidden in it.

Devlin et al. 2018 (arXiv 1810.04805), without the sentence pairs: embeddings -> L blocks that look both ways
-> norm -> logits of every position's token, or with `n_class` logits of the whole sequence's class.
Shapes: ids (B, T) int, mask (B, T) bool, True at real tokens -> logits (B, T, V), or (B, n_class).
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from minillm.config import ModelConfig
from minillm.pt import functional as F
from minillm.pt.block import Block, make_head, make_norm
from minillm.pt.embeddings import Embeddings
from minillm.pt.layers import Dropout, Linear
from minillm.pt.param import Module


class BERT(Module):
    """Encoder-only Transformer: a masked-token model, or with `n_class` > 0 a classifier of sequences."""

    def __init__(
        self,
        config: ModelConfig,
        n_class: int = 0,
        *,
        rng: np.random.Generator,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str | None = None,
    ) -> None:
        super().__init__()
        self.config, self.n_class = config, n_class
        kwargs: dict[str, Any] = {"rng": rng, "dtype": dtype, "device": device}
        self.emb = Embeddings(config, **kwargs)
        self.drop = Dropout(config.dropout)
        self.blocks = nn.ModuleList(Block(config, causal=False, **kwargs) for _ in range(config.n_layer))
        self.norm = make_norm(config, dtype, device)
        self.classifier = Linear(config.d_model, n_class, **kwargs) if n_class else None
        self.lm_head = None if n_class else make_head(config, **kwargs)

    def forward(self, ids: Tensor, mask: Tensor | None = None, rng: torch.Generator | None = None) -> Tensor:
        """Without a mask all tokens are real. A generator turns dropout on."""
        seen = None if mask is None else mask[:, None, None]  # (B, 1, 1, T): the same keys for all heads and queries
        x = self.drop(self.emb(ids), rng)
        for block in self.blocks:
            x = block(x, seen, rng=rng)
        x = self.norm(x)
        if self.classifier is not None:
            real = torch.ones_like(ids, dtype=torch.bool) if mask is None else mask
            return self.classifier(F.mean_pool(x, real))  # (B, n_class)
        return F.linear(x, self.lm_head.weight if self.lm_head else self.emb.tok.weight)  # (B, T, V)
