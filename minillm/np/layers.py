"""The layers that own parameters: Linear, Embedding, LayerNorm, RMSNorm, and the Dropout that owns none.

Each is the operation of the same name in functional.py with its weights. Arguments, parameter names and
shapes are those of torch.nn; weights start as in GPT-2, normal with standard deviation 0.02.
"""

from typing import Any

import numpy as np

from minillm.np import functional as F
from minillm.np.param import Array, Cache, Module, Param, normal


class Linear(Module):
    """y = x Wᵀ + b, weight (d_out, d_in), bias (d_out,).  (..., d_in) -> (..., d_out)"""

    def __init__(
        self,
        d_in: int,
        d_out: int,
        *,
        bias: bool = True,
        std: float = 0.02,
        rng: np.random.Generator,
        dtype: Any = np.float32,
    ) -> None:
        self.weight = normal(rng, (d_out, d_in), std, dtype)
        self.bias = Param(np.zeros(d_out, dtype)) if bias else None

    def forward(self, x: Array) -> tuple[Array, Cache]:
        return F.linear(x, self.weight.data, self.bias.data if self.bias else None)

    def backward(self, dy: Array, cache: Cache) -> Array:
        dx, dw, db = F.linear_backward(dy, cache)
        self.weight.accumulate(dw)
        if self.bias and db is not None:
            self.bias.accumulate(db)
        return dx


class Embedding(Module):
    """A table of vectors, weight (n, d_model).  ids (...) -> (..., D)"""

    def __init__(
        self, n: int, d_model: int, *, std: float = 0.02, rng: np.random.Generator, dtype: Any = np.float32
    ) -> None:
        self.weight = normal(rng, (n, d_model), std, dtype)

    def forward(self, ids: Array) -> tuple[Array, Cache]:
        return F.embedding(ids, self.weight.data)

    def backward(self, dout: Array, cache: Cache) -> None:
        self.weight.accumulate(F.embedding_backward(dout, cache))


class LayerNorm(Module):
    """Layer normalisation, weight and bias (d_model,).  (..., D) -> (..., D)"""

    def __init__(self, d_model: int, *, bias: bool = True, eps: float = 1e-5, dtype: Any = np.float32) -> None:
        self.weight = Param(np.ones(d_model, dtype))
        self.bias = Param(np.zeros(d_model, dtype)) if bias else None
        self.eps = eps

    def forward(self, x: Array) -> tuple[Array, Cache]:
        return F.layer_norm(x, self.weight.data, self.bias.data if self.bias else None, self.eps)

    def backward(self, dy: Array, cache: Cache) -> Array:
        dx, dw, db = F.layer_norm_backward(dy, cache)
        self.weight.accumulate(dw)
        if self.bias and db is not None:
            self.bias.accumulate(db)
        return dx


class RMSNorm(Module):
    """Root-mean-square normalisation, weight (d_model,).  (..., D) -> (..., D)"""

    def __init__(self, d_model: int, *, eps: float = 1e-5, dtype: Any = np.float32) -> None:
        self.weight = Param(np.ones(d_model, dtype))
        self.eps = eps

    def forward(self, x: Array) -> tuple[Array, Cache]:
        return F.rms_norm(x, self.weight.data, self.eps)

    def backward(self, dy: Array, cache: Cache) -> Array:
        dx, dw = F.rms_norm_backward(dy, cache)
        self.weight.accumulate(dw)
        return dx


class Dropout(Module):
    """Dropout with probability p; off when no generator is passed.  (...) -> (...)"""

    def __init__(self, p: float) -> None:
        self.p = p

    def forward(self, x: Array, rng: np.random.Generator | None = None) -> tuple[Array, Cache]:
        return F.dropout(x, self.p, rng)

    def backward(self, dy: Array, cache: Cache) -> Array:
        return F.dropout_backward(dy, cache)
