"""The block and the model. Weights are a dictionary of arrays, with the names that PyTorch would give them."""

import math

import numpy as np

from .layers import (
    attention,
    attention_backward,
    cross_entropy,
    gelu,
    gelu_backward,
    layer_norm,
    layer_norm_backward,
    linear,
    linear_backward,
)


def initial_weights(vocab_size, context, n_layer, d_model, rng):
    """Normal with 0.02; the two layers that write into the residual stream smaller with depth (Radford et al. 2019)."""

    def normal(*shape, std=0.02):
        return (std * rng.standard_normal(shape)).astype(np.float32)

    def zeros(size):
        return np.zeros(size, dtype=np.float32)

    d, small = d_model, 0.02 / math.sqrt(2 * n_layer)
    weights = {"emb.tok.weight": normal(vocab_size, d), "emb.pos.weight": normal(context, d)}
    for i in range(n_layer):
        block = {
            "norm1.weight": zeros(d) + 1,
            "norm1.bias": zeros(d),
            "attn.in_proj.weight": normal(3 * d, d),
            "attn.in_proj.bias": zeros(3 * d),
            "attn.out_proj.weight": normal(d, d, std=small),
            "attn.out_proj.bias": zeros(d),
            "norm2.weight": zeros(d) + 1,
            "norm2.bias": zeros(d),
            "ffn.linear1.weight": normal(4 * d, d),
            "ffn.linear1.bias": zeros(4 * d),
            "ffn.linear2.weight": normal(d, 4 * d, std=small),
            "ffn.linear2.bias": zeros(d),
        }
        weights |= {f"blocks.{i}.{name}": array for name, array in block.items()}
    return weights | {"norm.weight": zeros(d) + 1, "norm.bias": zeros(d)}


def layer(weights, name):
    """A layer's two arrays."""
    return weights[f"{name}.weight"], weights[f"{name}.bias"]


def split_heads(x, n_head):
    """(B, T, D) -> (B, H, T, K)"""
    return x.reshape(*x.shape[:2], n_head, -1).swapaxes(1, 2)


def join_heads(x):
    """(B, H, T, K) -> (B, T, D)"""
    return x.swapaxes(1, 2).reshape(x.shape[0], x.shape[2], -1)


def block(x, weights, n_head):
    normal1, c_norm1 = layer_norm(x, *layer(weights, "norm1"))
    qkv, c_in = linear(normal1, *layer(weights, "attn.in_proj"))
    mixed, c_attention = attention(*(split_heads(part, n_head) for part in np.split(qkv, 3, axis=-1)))
    out, c_out = linear(join_heads(mixed), *layer(weights, "attn.out_proj"))
    h = x + out
    normal2, c_norm2 = layer_norm(h, *layer(weights, "norm2"))
    wide, c_1 = linear(normal2, *layer(weights, "ffn.linear1"))
    active, c_gelu = gelu(wide)
    out, c_2 = linear(active, *layer(weights, "ffn.linear2"))
    return h + out, (c_norm1, c_in, c_attention, c_out, c_norm2, c_1, c_gelu, c_2, n_head)


def block_backward(dy, cache):
    c_norm1, c_in, c_attention, c_out, c_norm2, c_1, c_gelu, c_2, n_head = cache
    grads = {}

    def through(name, backward, dy, cache):
        dx, grads[f"{name}.weight"], grads[f"{name}.bias"] = backward(dy, cache)
        return dx

    d = through("ffn.linear2", linear_backward, dy, c_2)
    d = through("ffn.linear1", linear_backward, gelu_backward(d, c_gelu), c_1)
    dh = dy + through("norm2", layer_norm_backward, d, c_norm2)
    d = split_heads(through("attn.out_proj", linear_backward, dh, c_out), n_head)
    dqkv = np.concatenate([join_heads(part) for part in attention_backward(d, c_attention)], axis=-1)
    d = through("attn.in_proj", linear_backward, dqkv, c_in)
    return dh + through("norm1", layer_norm_backward, d, c_norm1), grads


def below(weights, prefix):
    """The weights whose names begin so, without that beginning."""
    return {name.removeprefix(prefix): array for name, array in weights.items() if name.startswith(prefix)}


def depth(weights):
    return sum(name.endswith("norm1.weight") for name in weights)


def forward(weights, n_head, ids):
    """Logits (B, T, V) for ids (B, T)."""
    x = weights["emb.tok.weight"][ids] + weights["emb.pos.weight"][: ids.shape[1]]
    caches = []
    for i in range(depth(weights)):
        x, cache = block(x, below(weights, f"blocks.{i}."), n_head)
        caches.append(cache)
    normal, c_norm = layer_norm(x, *layer(weights, "norm"))
    return normal @ weights["emb.tok.weight"].T, (caches, normal, c_norm)


def loss_and_gradients(weights, n_head, ids, targets):
    logits, (caches, normal, c_norm) = forward(weights, n_head, ids)
    loss, dlogits = cross_entropy(logits, targets)
    table = weights["emb.tok.weight"]
    flat = dlogits.reshape(-1, len(table))
    dtable = flat.T @ normal.reshape(len(flat), -1)  # as the output layer ...
    grads = {}
    dx, grads["norm.weight"], grads["norm.bias"] = layer_norm_backward(dlogits @ table, c_norm)
    for i in reversed(range(len(caches))):
        dx, of_block = block_backward(dx, caches[i])
        grads |= {f"blocks.{i}.{name}": array for name, array in of_block.items()}
    np.add.at(dtable, ids, dx)  # ... and as the embedding: one array, two uses
    dpos = np.zeros_like(weights["emb.pos.weight"])
    dpos[: ids.shape[1]] = dx.sum(axis=0)
    return loss, grads | {"emb.tok.weight": dtable, "emb.pos.weight": dpos}
