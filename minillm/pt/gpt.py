"""GPT: a decoder-only Transformer that predicts the next token at every position.

Radford et al. 2018 and 2019 (GPT, GPT-2): token embedding + position -> L blocks -> norm -> logits.
Options of `ModelConfig` turn it into a Llama-like model (RMSNorm, rotary positions, SwiGLU, no biases).
Shapes: ids (B, T) int -> logits (B, T, V), T at most `context`.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from minillm.config import ModelConfig
from minillm.pt import functional as F
from minillm.pt.attention import KVCache
from minillm.pt.block import Block, make_head, make_norm
from minillm.pt.embeddings import Embeddings
from minillm.pt.layers import Dropout
from minillm.pt.lm import LanguageModel


class GPT(LanguageModel):
    """Decoder-only Transformer language model."""

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
        kwargs: dict[str, Any] = {"rng": rng, "dtype": dtype, "device": device}
        self.emb = Embeddings(config, **kwargs)
        self.drop = Dropout(config.dropout)
        self.blocks = nn.ModuleList(Block(config, causal=True, **kwargs) for _ in range(config.n_layer))
        self.norm = make_norm(config, dtype, device)
        self.lm_head = make_head(config, **kwargs)

    def forward(self, ids: Tensor, rng: torch.Generator | None = None, kv: list[KVCache] | None = None) -> Tensor:
        """Logits of the next token at each position. A generator turns dropout on; with the caches of
        `new_cache` ids holds the new tokens only, and only the last position's logits (B, 1, V) return."""
        x = self.drop(self.emb(ids, kv[0].length if kv else 0), rng)
        for i, block in enumerate(self.blocks):
            x = block(x, rng=rng, kv=kv[i] if kv else None)
        if kv:
            x = x[:, -1:]  # only the last position's prediction is new
        return F.linear(self.norm(x), self.lm_head.weight if self.lm_head else self.emb.tok.weight)  # (B, T, V)

    def new_cache(self, batch: int = 1) -> list[KVCache]:
        """Empty key-value caches, one a layer, for generation, of the weights' type and on their device."""
        c, w = self.config, self.emb.tok.weight
        return [KVCache(batch, c.n_kv_head, c.context, c.d_head, w.dtype, w.device) for _ in self.blocks]
