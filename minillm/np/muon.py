"""Muon: the steps of the matrices inside the blocks are made (roughly) orthogonal; the rest is AdamW's.

    m = μ m + (1 - μ) g;   u = μ m + (1 - μ) g          momentum, looked up one step ahead (Nesterov)
    w = w (1 - lr weight_decay) - lr 0.2 √max(d_out, d_in) orthogonalise(u)

A gradient is a sum of outer products, and a few directions outweigh the others by far. With u = U S Vᵀ,
U Vᵀ has the same directions, all of one size: rare ones are learnt as fast as common ones. It is also the
steepest step among all whose largest singular value is 1 (Bernstein and Newhouse 2024, arXiv 2409.20325).
An embedding's rows are looked up one by one, and the head has a row a token: for them, and for vectors,
this argument does not hold, and AdamW does better.

Sources: Jordan et al. 2024, kellerjordan.github.io/posts/muon; the factor of the step and its weight decay are
those of Liu et al. 2025 (arXiv 2502.16982): with them a learning rate that suits AdamW suits Muon. Shapes:
weights and their states (d_out, d_in).
"""

import math

import numpy as np

from minillm.np.attention import MultiHeadAttention
from minillm.np.block import Block
from minillm.np.optim import AdamW, Group
from minillm.np.param import Array, Module

COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # of s, s³, s⁵: the steepest rise at 0 that stays near 1 (Jordan)
STEPS = 5
EPS = 1e-7  # gradients below this count as nothing: zero stays zero


def orthogonalise(x: Array) -> Array:
    """Nearly U Vᵀ of x = U S Vᵀ, for matrices (..., d_out, d_in).

    Newton-Schulz: a x + b (x xᵀ) x + c (x xᵀ)² x acts on each singular value alone, as a s + b s³ + c s⁵. With
    these a, b, c it does not converge to 1; in return five steps bring every s from 0.002 of the Frobenius norm
    up to between 0.68 and 1.21. Rough is enough: what counts is that no direction outweighs the others by
    hundreds, and nobody knows the best learning rate to 20 % either. An SVD is exact and four times slower.
    """
    tall = x.shape[-2] > x.shape[-1]
    if tall:
        x = x.swapaxes(-1, -2)  # x xᵀ is then the smaller of the two products
    # Frobenius norm 1, so that no singular value exceeds 1. The largest entry first: squares of 1e20 overflow.
    x = x / np.maximum(np.abs(x).max(axis=(-2, -1), keepdims=True), EPS)
    x /= np.maximum(np.linalg.norm(x, axis=(-2, -1), keepdims=True), 1)
    a, b, c = COEFFICIENTS
    for _ in range(STEPS):
        gram = x @ x.swapaxes(-1, -2)
        x = a * x + (b * gram + c * (gram @ gram)) @ x
    return x.swapaxes(-1, -2) if tall else x


def orthogonal_step(u: Array, parts: tuple[int, ...]) -> Array:
    """0.2 √max(d_out, d_in) orthogonalise(...) of each of the matrices that lie in u above one another.

    An orthogonal matrix has entries of root mean square 1 / √max(d_out, d_in); AdamW's steps have about 0.2.
    """
    if len(set(parts)) == 1:  # of one size: all at once
        stacked = orthogonalise(u.reshape(len(parts), -1, u.shape[1]))
        return 0.2 * math.sqrt(max(stacked.shape[1:])) * stacked.reshape(u.shape)
    ends = np.cumsum(parts)[:-1] * (len(u) // sum(parts))
    return np.concatenate([orthogonal_step(part, (1,)) for part in np.split(u, ends)])


def muon_groups(model: Module, weight_decay: float) -> list[Group]:
    """Groups for Muon: matrices inside the blocks, other matrices, and vectors, which do not decay.

    "parts" says in what proportions a parameter's rows divide into matrices, () that it is AdamW's. Attention's
    in_proj holds three that do different work, with H, G and G heads: taken as one, the one with the largest
    gradient would take the step from the others.
    """
    named, modules = list(model.named_parameters()), [m for _, m in model.modules()]
    inside = {id(p) for m in modules if isinstance(m, Block) for p in m.parameters() if p.data.ndim == 2}
    heads = {
        id(m.in_proj.weight): (m.n_head, m.n_kv_head, m.n_kv_head) for m in modules if isinstance(m, MultiHeadAttention)
    }
    kinds = dict.fromkeys(heads.values())  # one, unless a model mixes them
    mine = [(n, p) for n, p in named if id(p) in inside]
    rest = [(n, p) for n, p in named if id(p) not in inside]
    groups: list[Group] = [
        *({"params": [(n, p) for n, p in mine if heads.get(id(p)) == h], "parts": h} for h in kinds),
        {"params": [(n, p) for n, p in mine if id(p) not in heads], "parts": (1,)},
        {"params": [(n, p) for n, p in rest if p.data.ndim >= 2]},
        {"params": [(n, p) for n, p in rest if p.data.ndim < 2], "weight_decay": 0.0},
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
        for group in self.groups:
            if group["parts"]:
                self.state |= {name: {"momentum_buffer": np.zeros_like(p.data)} for name, p in group["params"]}

    def step(self) -> None:
        """One update of every parameter that has a gradient."""
        groups = self.groups
        self.groups = [group for group in groups if not group["parts"]]
        super().step()
        self.groups = groups
        for group in groups:
            for name, p in group["params"] if group["parts"] else ():
                if p.grad is not None:
                    self.update_matrix(group, p.data, p.grad, self.state[name]["momentum_buffer"])

    def update_matrix(self, group: Group, w: Array, g: Array, m: Array) -> None:
        """Change w, matrices above one another, and its momentum m in place, given its gradient g."""
        momentum, lr = group["momentum"], group["lr"]
        m *= momentum
        m += (1 - momentum) * g
        u = orthogonal_step(momentum * m + (1 - momentum) * g, group["parts"])
        w *= 1 - lr * group["weight_decay"]
        u *= lr
        w -= u
