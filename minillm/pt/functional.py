"""The operations of a Transformer: torch's own under the names and argument orders of this project.

What torch does not define the same way is written out: rows without a single allowed entry give zeros, not
NaN, and dropout draws from the generator that is passed in. x has any number of leading axes (...).
"""

import math

import torch
from torch import Tensor
from torch.nn import functional as F


def linear(x: Tensor, w: Tensor, b: Tensor | None = None) -> Tensor:
    """y = x wᵀ + b.  x (..., d_in), w (d_out, d_in), b (d_out,) -> (..., d_out)"""
    return F.linear(x, w, b)


def embedding(ids: Tensor, w: Tensor) -> Tensor:
    """Rows of a table.  ids (...) int, w (V, D) -> (..., D)"""
    return F.embedding(ids, w)


def softmax(x: Tensor) -> Tensor:
    """Over the last axis. A row of nothing but -inf (every position masked) gives zeros, and zero gradients.
    x (..., n) -> (..., n)"""
    blank = (x == -math.inf).all(dim=-1, keepdim=True)
    return torch.softmax(x.masked_fill(blank, 0), dim=-1).masked_fill(blank, 0)


def log_softmax(x: Tensor) -> Tensor:
    """log p of `softmax`.  x (..., n) -> (..., n)"""
    return torch.log_softmax(x, dim=-1)


def cross_entropy(logits: Tensor, targets: Tensor, ignore_index: int = -100) -> Tensor:
    """Mean of -log p[target], in nats, over the positions whose target is not `ignore_index`.

    logits (..., V), targets (...) int -> scalar. With nothing to count the loss is 0 and so is its gradient
    (torch's own mean would be NaN).
    """
    flat = targets.reshape(-1)
    total = F.cross_entropy(logits.reshape(-1, logits.shape[-1]), flat, ignore_index=ignore_index, reduction="sum")
    return total / (flat != ignore_index).sum().clamp(min=1)


def relu(x: Tensor) -> Tensor:
    """max(x, 0)"""
    return torch.relu(x)


def relu2(x: Tensor) -> Tensor:
    """max(x, 0)² (So et al. 2021, arXiv 2109.08668)"""
    return torch.relu(x).square()


def gelu(x: Tensor, approximate: str = "none") -> Tensor:
    """x Φ(x), Φ the normal distribution function (arXiv 1606.08415); "tanh": its approximation in GPT-2."""
    if approximate not in ("none", "tanh"):
        raise ValueError(f'approximate is {approximate!r}, use "none" or "tanh"')
    if approximate == "tanh" and torch.compiler.is_compiling():
        # The same function, (1 + tanh u)/2 = σ(2u): what the compiler writes for σ is three times as fast on a CPU.
        return x * torch.sigmoid(math.sqrt(8 / math.pi) * (x + 0.044715 * x * x * x))
    return F.gelu(x, approximate=approximate)


def silu(x: Tensor) -> Tensor:
    """x σ(x), σ the logistic function."""
    return F.silu(x)


def swiglu(gate: Tensor, up: Tensor) -> Tensor:
    """silu(gate) · up (Shazeer 2020, arXiv 2002.05202).  gate, up (..., F) -> (..., F)"""
    return F.silu(gate) * up


def layer_norm(x: Tensor, w: Tensor, b: Tensor | None = None, eps: float = 1e-5) -> Tensor:
    """w (x - mean) / √(var + eps) + b over the last axis (arXiv 1607.06450).  x (..., D), w, b (D,) -> (..., D)"""
    return F.layer_norm(x, w.shape, w, b, eps)


def rms_norm(x: Tensor, w: Tensor, eps: float = 1e-5) -> Tensor:
    """w x / √(mean(x²) + eps) (arXiv 1910.07467).  x (..., D), w (D,) -> (..., D)"""
    return F.rms_norm(x, w.shape, w.to(x.dtype), eps)  # under autocast x may be of lower precision


def dropout(x: Tensor, p: float, rng: torch.Generator | None) -> Tensor:
    """Set each value to 0 with probability p and scale the rest by 1/(1-p). Without a generator, or with
    p = 0, x itself. (torch's own dropout knows only the global random state.)"""
    if not 0 <= p < 1:
        raise ValueError(f"dropout p is {p}, it must be at least 0 and below 1")
    if rng is None or p == 0:
        return x
    return x * torch.empty_like(x).bernoulli_(1 - p, generator=rng).div_(1 - p)


def mean_pool(x: Tensor, mask: Tensor) -> Tensor:
    """Mean over the positions where mask is True.  x (B, T, D), mask (B, T) bool -> (B, D)"""
    weight = mask.to(x.dtype)
    weight = weight / weight.sum(dim=1, keepdim=True).clamp(min=1)
    return torch.einsum("btd,bt->bd", x, weight)
