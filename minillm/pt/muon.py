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

from minillm.pt.attention import MultiHeadAttention
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


def orthogonal_step(u: Tensor, parts: tuple[int, ...]) -> Tensor:
    """0.2 √max(d_out, d_in) orthogonalise(...) of each of the matrices that lie in u above one another.

    An orthogonal matrix has entries of root mean square 1 / √max(d_out, d_in); AdamW's steps have about 0.2.
    """
    if len(set(parts)) == 1:  # of one size: all at once
        stacked = orthogonalise(u.reshape(len(parts), -1, u.shape[1]))
        return stacked.reshape(u.shape) * (0.2 * math.sqrt(max(stacked.shape[1:])))
    rows = [len(u) // sum(parts) * part for part in parts]
    return torch.cat([orthogonal_step(part, (1,)) for part in u.split(rows)])


def muon_groups(model: nn.Module, weight_decay: float) -> list[Group]:
    """Groups for Muon: matrices inside the blocks, other matrices, and vectors, which do not decay.

    "parts" says in what proportions a parameter's rows divide into matrices, () that it is AdamW's: attention's
    in_proj holds three, with H, G and G heads.
    """
    named = list(model.named_parameters())
    inside = {id(p) for m in model.modules() if isinstance(m, Block) for p in m.parameters() if p.ndim == 2}
    heads = {
        id(m.in_proj.weight): (m.n_head, m.n_kv_head, m.n_kv_head)
        for m in model.modules()
        if isinstance(m, MultiHeadAttention)
    }
    kinds = dict.fromkeys(heads.values())  # one, unless a model mixes them
    mine = [(n, p) for n, p in named if id(p) in inside]
    rest = [(n, p) for n, p in named if id(p) not in inside]
    groups: list[Group] = [
        *({"params": [(n, p) for n, p in mine if heads.get(id(p)) == h], "parts": h} for h in kinds),
        {"params": [(n, p) for n, p in mine if id(p) not in heads], "parts": (1,)},
        {"params": [(n, p) for n, p in rest if p.ndim >= 2]},
        {"params": [(n, p) for n, p in rest if p.ndim < 2], "weight_decay": 0.0},
    ]
    return [{"weight_decay": weight_decay, **group} for group in groups if group["params"]]


class Muon(AdamW):
    """Groups with "parts" by Muon, the others by AdamW; both at the same learning rate."""

    def __init__(
        self,
        groups: list[Group],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.95,
    ) -> None:
        super().__init__([{"parts": (), "momentum": momentum, **g} for g in groups], lr, betas, eps, weight_decay)
        # AdamW, fused, looks after fp16's loss scale by itself; here torch.amp.GradScaler has to.
        self._step_supports_amp_scaling = False
        for group in self.param_groups:
            if group["parts"]:
                group["slots"] = ("momentum_buffer",)
                for p in group["params"]:
                    self.state[p]["momentum_buffer"] = torch.zeros_like(p)

    def step(self, closure: Any = None) -> Any:
        """One update of every parameter that has a gradient."""
        groups = self.param_groups
        self.param_groups = [group for group in groups if not group["parts"]]
        try:
            loss = super().step(closure)
        finally:
            self.param_groups = groups
        for group in groups:
            for p in group["params"] if group["parts"] else ():
                if p.grad is not None:
                    self.update_matrix(group, p, p.grad, self.state[p]["momentum_buffer"])
        return loss

    @torch.no_grad()
    def update_matrix(self, group: Group, w: Tensor, g: Tensor, m: Tensor) -> None:
        """Change w, matrices above one another, and its momentum m in place, given its gradient g."""
        momentum, lr = group["momentum"], group["lr"]
        m.mul_(momentum).add_(g, alpha=1 - momentum)
        u = orthogonal_step((momentum * m).add_(g, alpha=1 - momentum), group["parts"])
        w.mul_(1 - lr * group["weight_decay"]).sub_(u, alpha=lr)
