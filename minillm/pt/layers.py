"""The layers that own parameters: Linear, Embedding, LayerNorm, RMSNorm, and the Dropout that owns none.

As torch.nn's, except that initial weights come from a NumPy generator, as in GPT-2 normal with standard
deviation 0.02, and that dropout is on when a torch.Generator is passed, whatever train() or eval() said.
"""

import numpy as np
import torch
from torch import Tensor, nn

from minillm.pt import functional as F
from minillm.pt.param import Module, normal


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
        dtype: torch.dtype = torch.float32,
        device: torch.device | str | None = None,
    ) -> None:
        super().__init__()
        self.weight = normal(rng, (d_out, d_in), std, dtype, device)
        self.bias = nn.Parameter(torch.zeros(d_out, dtype=dtype, device=device)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight, self.bias)


class Embedding(Module):
    """A table of vectors, weight (n, d_model).  ids (...) -> (..., D)"""

    def __init__(
        self,
        n: int,
        d_model: int,
        *,
        std: float = 0.02,
        rng: np.random.Generator,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str | None = None,
    ) -> None:
        super().__init__()
        self.weight = normal(rng, (n, d_model), std, dtype, device)

    def forward(self, ids: Tensor) -> Tensor:
        return F.embedding(ids, self.weight)


class LayerNorm(Module):
    """Layer normalisation, weight and bias (d_model,).  (..., D) -> (..., D)"""

    def __init__(
        self,
        d_model: int,
        *,
        bias: bool = True,
        eps: float = 1e-5,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str | None = None,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(d_model, dtype=dtype, device=device))
        self.bias = nn.Parameter(torch.zeros(d_model, dtype=dtype, device=device)) if bias else None
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        return F.layer_norm(x, self.weight, self.bias, self.eps)


class RMSNorm(Module):
    """Root-mean-square normalisation, weight (d_model,).  (..., D) -> (..., D)"""

    def __init__(
        self,
        d_model: int,
        *,
        eps: float = 1e-5,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str | None = None,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(d_model, dtype=dtype, device=device))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, self.weight, self.eps)


class Dropout(Module):
    """Dropout with probability p; off when no generator is passed.  (...) -> (...)"""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Tensor, rng: torch.Generator | None = None) -> Tensor:
        return F.dropout(x, self.p, rng)
