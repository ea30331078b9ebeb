"""Attention: every position takes a weighted mean of the values at the positions it may look at.

    Attention(Q, K, V) = softmax(Q Kᵀ / √d_head + mask) V        (Vaswani et al. 2017, arXiv 1706.03762)

Masks are boolean and True means "may attend". A query that may attend nowhere gets zeros.
Shapes: B batch, H heads, G heads of keys and values, T query length, S key length, K size of a head.
"""

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from minillm.pt import functional as F
from minillm.pt.layers import Linear, RMSNorm
from minillm.pt.param import Module
from minillm.pt.position import rotary


def scaled_dot_product_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    mask: Tensor | None = None,
    causal: bool = False,
    dropout: float = 0.0,
    rng: torch.Generator | None = None,
) -> Tensor:
    """q (B, H, T, K), k, v (B, H, S, K), mask bool, broadcast to (B, H, T, S) -> (B, H, T, K)

    torch's fused kernel, with two differences. Causal means that the last query sees all S keys (torch lets
    the first query see the first key, another thing when T < S). And rows without any allowed key are safe.
    """
    t, s = q.shape[2], k.shape[2]
    drops = rng is not None and dropout > 0
    causal = causal and t > 1  # the last query alone sees everything
    if causal and (mask is not None or drops or t != s):
        past = torch.ones(t, s, dtype=torch.bool, device=q.device).tril(s - t)
        mask, causal = past if mask is None else mask & past, False
    if drops:  # the fused kernel draws from the global random state only
        scores = (q * (1 / math.sqrt(q.shape[-1]))) @ k.transpose(-1, -2)  # (B, H, T, S)
        if mask is not None:
            scores = scores.masked_fill(~mask, -math.inf)
        return F.dropout(F.softmax(scores), dropout, rng) @ v
    if mask is None:
        return nn.functional.scaled_dot_product_attention(q, k, v, is_causal=causal)
    # What a row of no keys gives has differed between kernels, NaN among them (pytorch issue 103963). So such
    # a row may look everywhere, and what it saw is thrown away.
    blind = ~mask.any(dim=-1, keepdim=True)
    return nn.functional.scaled_dot_product_attention(q, k, v, mask | blind).masked_fill(blind, 0)


class KVCache:
    """Keys and values of the positions seen so far, for one attention layer at generation."""

    def __init__(
        self,
        batch: int,
        n_head: int,
        length: int,
        d_head: int,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str | None = None,
    ) -> None:
        self.k = torch.empty(batch, n_head, length, d_head, dtype=dtype, device=device)
        self.v = torch.empty_like(self.k)
        self.length = 0

    def append(self, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Store new keys and values (B, H, T, K), return all so far (B, H, S, K)."""
        end = self.length + k.shape[2]
        if end > self.k.shape[2]:
            raise ValueError(f"the cache holds {self.k.shape[2]} positions, {end} are asked of it")
        self.k[:, :, self.length : end] = k
        self.v[:, :, self.length : end] = v
        self.length = end
        return self.k[:, :, :end], self.v[:, :, :end]

    def reorder(self, rows: list[int]) -> None:
        """Let row i of the batch go on from what row rows[i] has seen (beam search)."""
        self.k, self.v = self.k[rows], self.v[rows]


def repeat_heads(x: Tensor, times: int) -> Tensor:
    """Every head `times` times in a row.  (B, G, S, K) -> (B, G · times, S, K)"""
    return x if times == 1 else x.repeat_interleave(times, dim=1)


class MultiHeadAttention(Module):
    """H attentions side by side on K dimensions each (K = D/H if d_head is 0), between two linear maps.

    The three input maps are rows of one weight, as in torch.nn.MultiheadAttention: query, key, value. With
    n_kv_head G below H each key and value head serves H/G query heads (grouped queries, arXiv 2305.13245).
    With qk_norm each query and key is normalised before it is turned and multiplied (arXiv 2010.04245).
    With `memory`, queries come from x and keys and values from memory (cross-attention).
    """

    def __init__(
        self,
        d_model: int,
        n_head: int,
        *,
        n_kv_head: int = 0,
        d_head: int = 0,
        causal: bool = False,
        rotary: bool = False,
        rope_base: float = 10000.0,
        qk_norm: bool = False,
        norm_eps: float = 1e-5,
        bias: bool = True,
        dropout: float = 0.0,
        std: float = 0.02,
        out_std: float = 0.02,
        rng: np.random.Generator,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str | None = None,
    ) -> None:
        super().__init__()
        self.n_head, self.n_kv_head = n_head, n_kv_head or n_head
        self.d_head = d_head or d_model // n_head
        if not d_head and d_model % n_head:
            raise ValueError(f"d_model {d_model} does not divide into {n_head} heads")
        if n_head % self.n_kv_head:
            raise ValueError(f"{n_head} query heads do not divide into {n_kv_head} groups")
        self.causal, self.rotary, self.rope_base, self.dropout = causal, rotary, rope_base, dropout
        width = (n_head + 2 * self.n_kv_head) * self.d_head
        place: dict[str, Any] = {"dtype": dtype, "device": device}
        self.in_proj = Linear(d_model, width, bias=bias, std=std, rng=rng, **place)
        self.out_proj = Linear(n_head * self.d_head, d_model, bias=bias, std=out_std, rng=rng, **place)
        self.q_norm = RMSNorm(self.d_head, eps=norm_eps, **place) if qk_norm else None
        self.k_norm = RMSNorm(self.d_head, eps=norm_eps, **place) if qk_norm else None

    def forward(
        self,
        x: Tensor,
        memory: Tensor | None = None,
        mask: Tensor | None = None,
        rng: torch.Generator | None = None,
        kv: KVCache | None = None,
    ) -> Tensor:
        """x (B, T, D), memory (B, S, D), mask broadcast to (B, H, T, S) -> (B, T, D)

        With a `KVCache` x holds only the new positions.
        """
        h, g = self.n_head, self.n_kv_head
        if memory is None:
            q, k, v = self.split(self.in_proj(x), h, g, g)
        else:
            sizes = [h * self.d_head, 2 * g * self.d_head]
            wq, wkv = self.in_proj.weight.split(sizes)
            bq, bkv = (None, None) if self.in_proj.bias is None else self.in_proj.bias.split(sizes)
            (q,), (k, v) = self.split(F.linear(x, wq, bq), h), self.split(F.linear(memory, wkv, bkv), g, g)
        if self.q_norm is not None and self.k_norm is not None:
            q, k = self.q_norm(q), self.k_norm(k)
        if self.rotary:
            start = kv.length if kv else 0
            q, k = rotary(q, start, self.rope_base), rotary(k, start, self.rope_base)
        if kv is not None:
            k, v = kv.append(k, v)
        k, v = repeat_heads(k, h // g), repeat_heads(v, h // g)
        heads = scaled_dot_product_attention(q, k, v, mask, self.causal, self.dropout, rng)  # (B, H, T, K)
        return self.out_proj(heads.transpose(1, 2).flatten(2))

    def split(self, x: Tensor, *heads: int) -> list[Tensor]:
        """View (B, T, sum(heads) · K) as tensors of (B, heads[i], T, K), without copying."""
        return list(x.unflatten(-1, (-1, self.d_head)).transpose(1, 2).split(heads, dim=1))
