"""The feed-forward network and the Transformer block: attention, then feed-forward, each on a residual path.

    x = x + attention(norm1(x))
    x = x + cross_attention(norm3(x), memory)      only in a decoder that reads an encoder
    x = x + ffn(norm2(x))

Normalisation comes first in each branch ("pre-norm", as in GPT-2). Shapes: x (B, T, D), memory (B, S, D).
"""

import math
from typing import Any

import numpy as np

from minillm.config import ModelConfig
from minillm.np import functional as F
from minillm.np.attention import KVCache, MultiHeadAttention
from minillm.np.layers import Dropout, LayerNorm, Linear, RMSNorm
from minillm.np.param import Array, Cache, Module


def make_norm(config: ModelConfig, dtype: Any = np.float32) -> LayerNorm | RMSNorm:
    """The normalisation that the configuration names."""
    if config.norm == "rmsnorm":
        return RMSNorm(config.d_model, eps=config.norm_eps, dtype=dtype)
    return LayerNorm(config.d_model, bias=config.bias, eps=config.norm_eps, dtype=dtype)


def make_head(config: ModelConfig, *, rng: np.random.Generator, dtype: Any = np.float32) -> Linear | None:
    """The output layer, (V, D); None if it is tied: then the token embedding's weight serves."""
    if config.tied:
        return None
    return Linear(config.d_model, config.vocab_size, bias=False, std=config.init_std, rng=rng, dtype=dtype)


def attention_options(config: ModelConfig) -> dict[str, Any]:
    """The arguments of `MultiHeadAttention` that the configuration gives."""
    names = ("d_model", "n_head", "n_kv_head", "d_head", "qk_norm", "norm_eps", "bias", "dropout")
    return {name: getattr(config, name) for name in names} | {"std": config.init_std}


class FeedForward(Module):
    """W2 act(W1 x + b1) + b2, or with SwiGLU W2 (silu(W1 x + b1) · (W3 x + b3)) + b2.  (..., D) -> (..., D)"""

    def __init__(
        self, config: ModelConfig, *, out_std: float = 0.02, rng: np.random.Generator, dtype: Any = np.float32
    ) -> None:
        d, f = config.d_model, config.d_ff
        kwargs: dict[str, Any] = {"bias": config.bias, "rng": rng, "dtype": dtype}
        self.activation = config.activation
        self.linear1 = Linear(d, f, std=config.init_std, **kwargs)
        self.linear2 = Linear(f, d, std=out_std, **kwargs)
        self.linear3 = Linear(d, f, std=config.init_std, **kwargs) if config.activation == "swiglu" else None

    def forward(self, x: Array) -> tuple[Array, Cache]:
        h, cache1 = self.linear1(x)  # (..., F)
        cache3 = None
        if self.linear3 is not None:
            up, cache3 = self.linear3(x)
            a, act_cache = F.swiglu(h, up)
        elif self.activation == "relu":
            a, act_cache = F.relu(h)
        elif self.activation == "relu2":
            a, act_cache = F.relu2(h)
        else:
            a, act_cache = F.gelu(h, "tanh" if self.activation == "gelu_tanh" else "none")
        y, cache2 = self.linear2(a)  # (..., D)
        return y, (cache1, cache3, act_cache, cache2)

    def backward(self, dy: Array, cache: Cache) -> Array:
        cache1, cache3, act_cache, cache2 = cache
        da = self.linear2.backward(dy, cache2)
        if self.linear3 is not None:
            dh, dup = F.swiglu_backward(da, act_cache)
            return self.linear1.backward(dh, cache1) + self.linear3.backward(dup, cache3)
        backwards = {"relu": F.relu_backward, "relu2": F.relu2_backward}
        dh = backwards.get(self.activation, F.gelu_backward)(da, act_cache)
        return self.linear1.backward(dh, cache1)


class Block(Module):
    """One layer of a Transformer. `cross` adds attention to an encoder's output."""

    def __init__(
        self,
        config: ModelConfig,
        *,
        causal: bool,
        cross: bool = False,
        rng: np.random.Generator,
        dtype: Any = np.float32,
    ) -> None:
        # Each layer adds to the residual path two or three times; smaller output weights keep its variance
        # from growing with depth (GPT-2).
        out_std = config.init_std / math.sqrt((3 if cross else 2) * config.n_layer)
        heads: dict[str, Any] = attention_options(config) | {"out_std": out_std, "rng": rng, "dtype": dtype}
        rope: dict[str, Any] = {"rotary": config.position == "rotary", "rope_base": config.rope_base}
        self.norm1 = make_norm(config, dtype)
        self.attn = MultiHeadAttention(**heads, causal=causal, **rope)
        self.norm2 = make_norm(config, dtype)
        self.ffn = FeedForward(config, out_std=out_std, rng=rng, dtype=dtype)
        self.norm3 = make_norm(config, dtype) if cross else None
        self.cross_attn = MultiHeadAttention(**heads) if cross else None
        self.drop = Dropout(config.dropout)

    def forward(
        self,
        x: Array,
        mask: Array | None = None,
        memory: Array | None = None,
        memory_mask: Array | None = None,
        rng: np.random.Generator | None = None,
        kv: KVCache | None = None,
    ) -> tuple[Array, Cache]:
        """x (B, T, D) -> (B, T, D). Masks broadcast to (B, H, T, S), True: may attend."""
        n1, n1_cache = self.norm1(x)
        a, a_cache = self.attn(n1, mask=mask, rng=rng, kv=kv)
        a, d1_cache = self.drop(a, rng)
        x = x + a
        cross_cache = None
        if self.cross_attn is not None and self.norm3 is not None:
            n3, n3_cache = self.norm3(x)
            c, c_cache = self.cross_attn(n3, memory, memory_mask, rng)
            c, d3_cache = self.drop(c, rng)
            x = x + c
            cross_cache = (n3_cache, c_cache, d3_cache)
        n2, n2_cache = self.norm2(x)
        f, f_cache = self.ffn(n2)
        f, d2_cache = self.drop(f, rng)
        x = x + f
        return x, (n1_cache, a_cache, d1_cache, cross_cache, n2_cache, f_cache, d2_cache)

    def backward(self, dx: Array, cache: Cache) -> Any:
        """dx (B, T, D) -> (B, T, D), or with cross-attention (dx, dmemory).

        A sum passes its gradient on to both of its terms: the residual path and the branch.
        """
        n1_cache, a_cache, d1_cache, cross_cache, n2_cache, f_cache, d2_cache = cache
        df = self.ffn.backward(self.drop.backward(dx, d2_cache), f_cache)
        dx = dx + self.norm2.backward(df, n2_cache)
        dmemory = None
        if self.cross_attn is not None and self.norm3 is not None:
            n3_cache, c_cache, d3_cache = cross_cache
            dc, dmemory = self.cross_attn.backward(self.drop.backward(dx, d3_cache), c_cache)
            dx = dx + self.norm3.backward(dc, n3_cache)
        da = self.attn.backward(self.drop.backward(dx, d1_cache), a_cache)
        dx = dx + self.norm1.backward(da, n1_cache)
        return dx if dmemory is None else (dx, dmemory)
