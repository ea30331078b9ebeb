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


def make_head(
    config: ModelConfig,
    *,
    rng: np.random.Generator,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str | None = None,
) -> Linear | None:
    """The output layer, (V, D); None if it is tied: then the token embedding's weight serves."""
    if config.tied:
        return None
    kwargs: dict[str, Any] = {"rng": rng, "dtype": dtype, "device": device}
    return Linear(config.d_model, config.vocab_size, bias=False, std=config.init_std, **kwargs)


def attention_options(config: ModelConfig) -> dict[str, Any]:
    """The arguments of `MultiHeadAttention` that the configuration gives."""
    names = ("d_model", "n_head", "n_kv_head", "d_head", "qk_norm", "norm_eps", "bias", "dropout")
    return {name: getattr(config, name) for name in names} | {"std": config.init_std}


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
        self.linear1 = Linear(d, f, std=config.init_std, **kwargs)
        self.linear2 = Linear(f, d, std=out_std, **kwargs)
        self.linear3 = Linear(d, f, std=config.init_std, **kwargs) if config.activation == "swiglu" else None

    def forward(self, x: Tensor) -> Tensor:
        h = self.linear1(x)  # (..., F)
        if self.linear3 is not None:
            a = F.swiglu(h, self.linear3(x))
        elif self.activation == "relu":
            a = F.relu(h)
        elif self.activation == "relu2":
            a = F.relu2(h)
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
        out_std = config.init_std / math.sqrt((3 if cross else 2) * config.n_layer)
        place: dict[str, Any] = {"dtype": dtype, "device": device}
        heads: dict[str, Any] = attention_options(config) | {"out_std": out_std, "rng": rng, **place}
        rope: dict[str, Any] = {"rotary": config.position == "rotary", "rope_base": config.rope_base}
        self.norm1 = make_norm(config, **place)
        self.attn = MultiHeadAttention(**heads, causal=causal, **rope)
        self.norm2 = make_norm(config, **place)
        self.ffn = FeedForward(config, out_std=out_std, rng=rng, **place)
        self.norm3 = make_norm(config, **place) if cross else None
        self.cross_attn = MultiHeadAttention(**heads) if cross else None
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
