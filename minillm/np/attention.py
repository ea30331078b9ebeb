"""Attention: every position takes a weighted mean of the values at the positions it may look at.

    Attention(Q, K, V) = softmax(Q Kᵀ / √d_head + mask) V        (Vaswani et al. 2017, arXiv 1706.03762)

Masks are boolean and True means "may attend", as in PyTorch. A query that may attend nowhere gets zeros.
Shapes: B batch, H heads, G heads of keys and values, T query length, S key length, K size of a head.
"""

import math
from functools import lru_cache
from typing import Any

import numpy as np

from minillm.np import functional as F
from minillm.np.layers import Linear, RMSNorm
from minillm.np.param import Array, Cache, Module
from minillm.np.position import rotary, rotary_backward

BLOCK = 64  # queries handled together under a causal mask


@lru_cache(maxsize=2 * BLOCK)
def causal_bias(n: int, dtype: np.dtype) -> Array:
    """0 where query i may see key j, -inf where j lies in its future.  -> (n, n)"""
    return np.where(np.tri(n, dtype=bool), 0, -np.inf).astype(dtype)


def query_blocks(t: int, s: int, causal: bool) -> list[tuple[int, int, int]]:
    """(first query, end, keys in sight) of each block of queries; without a causal mask one block of all.

    Under one, the last query sees all S keys and no block needs a key beyond its own end: at T = 256 this
    skips 3/8 of the scores (the idea of FlashAttention, arXiv 2205.14135, at its simplest).
    """
    if not causal:
        return [(0, t, s)]
    if s < t:
        raise ValueError(f"a causal mask needs a key for every query: there are {t} queries and {s} keys")
    return [(i, min(i + BLOCK, t), s - t + min(i + BLOCK, t)) for i in range(0, t, BLOCK)]


def scaled_dot_product_attention(
    q: Array,
    k: Array,
    v: Array,
    mask: Array | None = None,
    causal: bool = False,
    dropout: float = 0.0,
    rng: np.random.Generator | None = None,
    out: Array | None = None,
) -> tuple[Array, Cache]:
    """q (B, H, T, K), k, v (B, H, S, K), mask bool, broadcast to (B, H, T, S) -> (B, H, T, K)

    `out` is where to write the result, as in NumPy's own functions.
    """
    t, s = q.shape[2], k.shape[2]
    qs = q * q.dtype.type(1 / math.sqrt(q.shape[-1]))  # scaling T×K queries is cheaper than T×S scores
    if out is None:
        out = np.empty(q.shape, q.dtype)
    if mask is not None:
        mask = np.broadcast_to(mask, (*q.shape[:3], s))
    block_caches = []
    for start, stop, seen in query_blocks(t, s, causal):
        scores = qs[:, :, start:stop] @ k[:, :, :seen].swapaxes(-1, -2)  # (B, H, stop - start, seen)
        if causal and stop - start > 1:  # a last query alone has no future
            scores[..., start - stop :] += causal_bias(stop - start, scores.dtype)
        if mask is not None:
            scores = np.where(mask[:, :, start:stop, :seen], scores, scores.dtype.type(-np.inf))
        p, p_cache = F.softmax(scores)
        kept, drop_cache = F.dropout(p, dropout, rng)
        np.matmul(kept, v[:, :, :seen], out=out[:, :, start:stop])
        block_caches.append((kept, p_cache, drop_cache))
    return out, (qs, k, v, causal, block_caches)


def scaled_dot_product_attention_backward(
    dout: Array, cache: Cache, out: tuple[Array, Array, Array] | None = None
) -> tuple[Array, Array, Array]:
    """dout (B, H, T, K) -> dq (B, H, T, K), dk, dv (B, H, S, K), written to `out` if it is given.

    No mask is needed here: where it stood, p is 0 and lets nothing through.
    """
    qs, k, v, causal, block_caches = cache
    dq, dk, dv = out or (np.empty(qs.shape, qs.dtype), np.empty(k.shape, k.dtype), np.empty(v.shape, v.dtype))
    dk[...], dv[...] = 0, 0
    for (start, stop, seen), block_cache in zip(
        query_blocks(qs.shape[2], k.shape[2], causal), block_caches, strict=True
    ):
        kept, p_cache, drop_cache = block_cache
        dout_block = dout[:, :, start:stop]
        dv[:, :, :seen] += kept.swapaxes(-1, -2) @ dout_block
        dp = F.dropout_backward(dout_block @ v[:, :, :seen].swapaxes(-1, -2), drop_cache)
        dscores = F.softmax_backward(dp, p_cache)
        np.matmul(dscores, k[:, :, :seen], out=dq[:, :, start:stop])
        dk[:, :, :seen] += dscores.swapaxes(-1, -2) @ qs[:, :, start:stop]
    dq *= dq.dtype.type(1 / math.sqrt(dq.shape[-1]))
    return dq, dk, dv


class KVCache:
    """Keys and values of the positions seen so far, for one attention layer at generation."""

    def __init__(self, batch: int, n_head: int, length: int, d_head: int, dtype: Any = np.float32) -> None:
        self.k = np.empty((batch, n_head, length, d_head), dtype)
        self.v = np.empty((batch, n_head, length, d_head), dtype)
        self.length = 0

    def append(self, k: Array, v: Array) -> tuple[Array, Array]:
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


def repeat_heads(x: Array, times: int) -> tuple[Array, Cache]:
    """Every head `times` times in a row.  (B, G, S, K) -> (B, G · times, S, K)"""
    return x if times == 1 else np.repeat(x, times, axis=1), (times,)


def repeat_heads_backward(dy: Array, cache: Cache) -> Array:
    """A head that was used several times gets the sum of its gradients.  (B, G · times, S, K) -> (B, G, S, K)"""
    (times,), (b, heads, s, k) = cache, dy.shape
    return dy if times == 1 else dy.reshape(b, heads // times, times, s, k).sum(axis=2)


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
        dtype: Any = np.float32,
    ) -> None:
        self.n_head, self.n_kv_head = n_head, n_kv_head or n_head
        self.d_head = d_head or d_model // n_head
        if not d_head and d_model % n_head:
            raise ValueError(f"d_model {d_model} does not divide into {n_head} heads")
        if n_head % self.n_kv_head:
            raise ValueError(f"{n_head} query heads do not divide into {n_kv_head} groups")
        self.causal, self.rotary, self.rope_base, self.dropout = causal, rotary, rope_base, dropout
        width = (n_head + 2 * self.n_kv_head) * self.d_head
        self.in_proj = Linear(d_model, width, bias=bias, std=std, rng=rng, dtype=dtype)
        self.out_proj = Linear(n_head * self.d_head, d_model, bias=bias, std=out_std, rng=rng, dtype=dtype)
        self.q_norm = RMSNorm(self.d_head, eps=norm_eps, dtype=dtype) if qk_norm else None
        self.k_norm = RMSNorm(self.d_head, eps=norm_eps, dtype=dtype) if qk_norm else None

    def forward(
        self,
        x: Array,
        memory: Array | None = None,
        mask: Array | None = None,
        rng: np.random.Generator | None = None,
        kv: KVCache | None = None,
    ) -> tuple[Array, Cache]:
        """x (B, T, D), memory (B, S, D), mask broadcast to (B, H, T, S) -> (B, T, D)

        With a `KVCache` x holds only the new positions, and there is no backward.
        """
        (b, t, _), h, g = x.shape, self.n_head, self.n_kv_head
        if memory is None:
            qkv, in_cache = self.in_proj(x)
            q, k, v = self.split(qkv, h, g, g)
        else:
            w, bias, rows = self.in_proj.weight.data, self.in_proj.bias, h * self.d_head
            q_flat, q_cache = F.linear(x, w[:rows], bias.data[:rows] if bias else None)
            kv_flat, kv_cache = F.linear(memory, w[rows:], bias.data[rows:] if bias else None)
            (q,), (k, v) = self.split(q_flat, h), self.split(kv_flat, g, g)
            in_cache = (q_cache, kv_cache)
        norms = turns = None
        if self.q_norm is not None and self.k_norm is not None:
            (q, q_norm), (k, k_norm) = self.q_norm(q), self.k_norm(k)
            norms = (q_norm, k_norm)
        if self.rotary:
            start = kv.length if kv else 0
            (q, q_turn), (k, k_turn) = rotary(q, start, self.rope_base), rotary(k, start, self.rope_base)
            turns = (q_turn, k_turn)
        if kv is not None:
            k, v = kv.append(k, v)
        (k, repeated), (v, _) = repeat_heads(k, h // g), repeat_heads(v, h // g)
        merged = np.empty((b, t, h * self.d_head), dtype=x.dtype)
        _, core_cache = scaled_dot_product_attention(
            q, k, v, mask, self.causal, self.dropout, rng, out=self.split(merged, h)[0]
        )
        y, out_cache = self.out_proj(merged)
        return y, (in_cache, turns, core_cache, out_cache, memory is None, norms, repeated)

    def backward(self, dy: Array, cache: Cache) -> Any:
        """dy (B, T, D) -> dx (B, T, D), or (dx, dmemory) for cross-attention"""
        in_cache, turns, core_cache, out_cache, is_self, norms, repeated = cache
        dmerged = self.out_proj.backward(dy, out_cache)
        (b, t, _), h, g, s = dmerged.shape, self.n_head, self.n_kv_head, core_cache[1].shape[2]
        if is_self:
            dqkv = np.empty((b, t, (h + 2 * g) * self.d_head), dtype=dmerged.dtype)
            dq, dk, dv = self.split(dqkv, h, g, g)
        else:
            dq_flat = np.empty((b, t, h * self.d_head), dtype=dmerged.dtype)
            dkv_flat = np.empty((b, s, 2 * g * self.d_head), dtype=dmerged.dtype)
            (dq,), (dk, dv) = self.split(dq_flat, h), self.split(dkv_flat, g, g)
        dout = self.split(dmerged, h)[0]
        if g == h:
            scaled_dot_product_attention_backward(dout, core_cache, out=(dq, dk, dv))
        else:
            dq[...], dk_all, dv_all = scaled_dot_product_attention_backward(dout, core_cache)
            dk[...], dv[...] = repeat_heads_backward(dk_all, repeated), repeat_heads_backward(dv_all, repeated)
        if turns is not None:
            dq[...] = rotary_backward(dq, turns[0])
            dk[...] = rotary_backward(dk, turns[1])
        if self.q_norm is not None and self.k_norm is not None:
            dq[...] = self.q_norm.backward(dq, norms[0])
            dk[...] = self.k_norm.backward(dk, norms[1])
        if is_self:
            return self.in_proj.backward(dqkv, in_cache)
        dx, dwq, dbq = F.linear_backward(dq_flat, in_cache[0])
        dmemory, dwkv, dbkv = F.linear_backward(dkv_flat, in_cache[1])
        self.in_proj.weight.accumulate(np.concatenate([dwq, dwkv]))
        if self.in_proj.bias is not None:
            self.in_proj.bias.accumulate(np.concatenate([dbq, dbkv]))
        return dx, dmemory

    def split(self, x: Array, *heads: int) -> list[Array]:
        """View (B, T, sum(heads) · K) as arrays of (B, heads[i], T, K), without copying."""
        b, t, _ = x.shape
        together = x.reshape(b, t, -1, self.d_head).swapaxes(1, 2)
        return np.split(together, np.cumsum(heads)[:-1], axis=1)
