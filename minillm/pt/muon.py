"""Muon: the steps of the matrices inside the blocks are made (roughly) orthogonal; the rest is torch's AdamW.

    m = μ m + (1 - μ) g;   u = μ m + (1 - μ) g          momentum, looked up one step ahead (Nesterov)
    w = w (1 - lr weight_decay) - lr 0.2 √max(d_out, d_in) orthogonalise(u)

Why, and where from: minillm/np/muon.py. torch.optim.Muon is not used: it computes in bfloat16, and knows neither
of matrices that are stored as one nor of parameters that are AdamW's. Shapes: weights (d_out, d_in).
"""

import math
from typing import Any

import torch
from torch import Tensor, nn

from minillm.pt.block import Block
from minillm.pt.optim import AdamW, Group

COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # of s, s³, s⁵: the steepest rise at 0 that stays near 1 (Jordan)
STEPS = 5
EPS = 1e-7  # gradients below this count as nothing: zero stays zero


def orthogonalise(x: Tensor) -> Tensor:
    """Nearly U Vᵀ of x = U S Vᵀ, for matrices (..., d_out, d_in): singular values of about 1."""
    tall = x.shape[-2] > x.shape[-1]
    if tall:
        x = x.mT  # x xᵀ is then the smaller of the two products
    # Frobenius norm 1, so that no singular value exceeds 1. The largest entry first: squares of 1e20 overflow.
    x = x / x.abs().amax(dim=(-2, -1), keepdim=True).clamp(min=EPS)
    x = x / torch.linalg.vector_norm(x, dim=(-2, -1), keepdim=True).clamp(min=1)
    a, b, c = COEFFICIENTS
    for _ in range(STEPS):
        gram = x @ x.mT
        x = a * x + (b * gram + c * (gram @ gram)) @ x
    return x.mT if tall else x


def muon_groups(model: nn.Module, weight_decay: float) -> list[Group]:
    """Groups for Muon: matrices inside the blocks, other matrices, and vectors, which do not decay.

    "matrices" says how many a parameter holds, 0 that it is AdamW's: attention's in_proj (3D, D) holds three.
    """
    named = list(model.named_parameters())
    inside = {id(p) for m in model.modules() if isinstance(m, Block) for p in m.parameters() if p.ndim == 2}
    mine = [(n, p) for n, p in named if id(p) in inside]
    rest = [(n, p) for n, p in named if id(p) not in inside]
    groups: list[Group] = [
        {"params": [(n, p) for n, p in mine if n.endswith("in_proj.weight")], "matrices": 3},
        {"params": [(n, p) for n, p in mine if not n.endswith("in_proj.weight")], "matrices": 1},
        {"params": [(n, p) for n, p in rest if p.ndim >= 2]},
        {"params": [(n, p) for n, p in rest if p.ndim < 2], "weight_decay": 0.0},
    ]
    return [{"weight_decay": weight_decay, **group} for group in groups if group["params"]]


class Muon(AdamW):
    """Groups with "matrices" above 0 by Muon, the others by AdamW; both at the same learning rate."""

    def __init__(
        self,
        groups: list[Group],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.95,
    ) -> None:
        super().__init__([{"matrices": 0, "momentum": momentum, **g} for g in groups], lr, betas, eps, weight_decay)
        # AdamW, fused, looks after fp16's loss scale by itself; here torch.amp.GradScaler has to.
        self._step_supports_amp_scaling = False
        for group in self.param_groups:
            if group["matrices"]:
                group["slots"] = ("momentum_buffer",)
                for p in group["params"]:
                    self.state[p]["momentum_buffer"] = torch.zeros_like(p)

    def step(self, closure: Any = None) -> Any:
        """One update of every parameter that has a gradient."""
        groups = self.param_groups
        self.param_groups = [group for group in groups if not group["matrices"]]
        try:
            loss = super().step(closure)
        finally:
            self.param_groups = groups
        for group in groups:
            for p in group["params"] if group["matrices"] else ():
                if p.grad is not None:
                    self.update_matrix(group, p, p.grad, self.state[p]["momentum_buffer"])
        return loss

    @torch.no_grad()
    def update_matrix(self, group: Group, w: Tensor, g: Tensor, m: Tensor) -> None:
        """Change w (k d_out, d_in), k matrices, and its momentum m in place, given its gradient g."""
        momentum, lr, shape = group["momentum"], group["lr"], (group["matrices"], -1, w.shape[1])
        m.mul_(momentum).add_(g, alpha=1 - momentum)
        u = orthogonalise((momentum * m).add_(g, alpha=1 - momentum).view(shape))  # (k, d_out, d_in)
        # An orthogonal matrix has entries of root mean square 1 / √max(d_out, d_in); AdamW's steps have about 0.2.
        size = 0.2 * math.sqrt(max(u.shape[-2:]))
        w.mul_(1 - lr * group["weight_decay"]).sub_(u.reshape(w.shape), alpha=lr * size)
