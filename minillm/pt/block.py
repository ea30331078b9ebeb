"""The feed-forward network and the Transformer block: attention, then feed-forward, each on a residual path.

    x = x + attention(norm1(x))
    x = x + cross_attention(norm3(x), memory)      only in a decoder that reads an encoder
    x = x + ffn(norm2(x))

Normalisation comes first in each branch ("pre-norm", as in GPT-2). Shapes: x (B, T, D), memory (B, S, D).
"""

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from minillm.config import ModelConfig
from minillm.pt import functional as F
from minillm.pt.attention import KVCache, MultiHeadAttention
from minillm.pt.layers import Dropout, LayerNorm, Linear, RMSNorm
from minillm.pt.param import Module


def make_norm(
    config: ModelConfig, dtype: torch.dtype = torch.float32, device: torch.device | str | None = None
) -> LayerNorm | RMSNorm:
    """The normalisation that the configuration names."""
    if config.norm == "rmsnorm":
        return RMSNorm(config.d_model, eps=config.norm_eps, dtype=dtype, device=device)
    return LayerNorm(config.d_model, bias=config.bias, eps=config.norm_eps, dtype=dtype, device=device)


class FeedForward(Module):
    """W2 act(W1 x + b1) + b2, or with SwiGLU W2 (silu(W1 x + b1) · (W3 x + b3)) + b2.  (..., D) -> (..., D)"""

    def __init__(
        self,
        config: ModelConfig,
        *,
        out_std: float = 0.02,
        rng: np.random.Generator,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str | None = None,
    ) -> None:
        super().__init__()
        d, f = config.d_model, config.d_ff
        kwargs: dict[str, Any] = {"bias": config.bias, "rng": rng, "dtype": dtype, "device": device}
        self.activation = config.activation
        self.linear1 = Linear(d, f, **kwargs)
        self.linear2 = Linear(f, d, std=out_std, **kwargs)
        self.linear3 = Linear(d, f, **kwargs) if config.activation == "swiglu" else None

    def forward(self, x: Tensor) -> Tensor:
        h = self.linear1(x)  # (..., F)
        if self.linear3 is not None:
            a = F.swiglu(h, self.linear3(x))
        elif self.activation == "relu":
            a = F.relu(h)
        else:
            a = F.gelu(h, "tanh" if self.activation == "gelu_tanh" else "none")
        return self.linear2(a)  # (..., D)


class Block(Module):
    """One layer of a Transformer. `cross` adds attention to an encoder's output."""

    def __init__(
        self,
        config: ModelConfig,
        *,
        causal: bool,
        cross: bool = False,
        rng: np.random.Generator,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str | None = None,
    ) -> None:
        super().__init__()
        # Each layer adds to the residual path two or three times; smaller output weights keep its variance
        # from growing with depth (GPT-2).
        out_std = 0.02 / math.sqrt((3 if cross else 2) * config.n_layer)
        place: dict[str, Any] = {"dtype": dtype, "device": device}
        kwargs = {"bias": config.bias, "dropout": config.dropout, "out_std": out_std, "rng": rng, **place}
        self.norm1 = make_norm(config, **place)
        self.attn = MultiHeadAttention(
            config.d_model, config.n_head, causal=causal, rotary=config.position == "rotary", **kwargs
        )
        self.norm2 = make_norm(config, **place)
        self.ffn = FeedForward(config, out_std=out_std, rng=rng, **place)
        self.norm3 = make_norm(config, **place) if cross else None
        self.cross_attn = MultiHeadAttention(config.d_model, config.n_head, **kwargs) if cross else None
        self.drop = Dropout(config.dropout)

    def forward(
        self,
        x: Tensor,
        mask: Tensor | None = None,
        memory: Tensor | None = None,
        memory_mask: Tensor | None = None,
        rng: torch.Generator | None = None,
        kv: KVCache | None = None,
    ) -> Tensor:
        """x (B, T, D) -> (B, T, D). Masks broadcast to (B, H, T, S), True: may attend."""
        x = x + self.drop(self.attn(self.norm1(x), mask=mask, rng=rng, kv=kv), rng)
        if self.cross_attn is not None and self.norm3 is not None:
            x = x + self.drop(self.cross_attn(self.norm3(x), memory, memory_mask, rng), rng)
        return x + self.drop(self.ffn(self.norm2(x)), rng)
