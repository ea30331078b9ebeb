"""Optimisers: SGD with momentum, Adam, AdamW, and gradient clipping. (Learning rates over time: minillm/schedule.py.)

As in torch.optim, an optimiser takes groups of parameters, each group with its own settings:

    groups = decay_groups(model, weight_decay=0.1)
    optimiser = AdamW(groups, lr=3e-4)
    optimiser.step()                    reads every .grad, changes every .data in place

Here a group's "params" are (name, Param) pairs, so that the state can be saved under the parameter's name.
"""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from minillm.np.chunks import chunks
from minillm.np.param import Array, Module, Param

Group = dict[str, Any]


def decay_groups(model: Module, weight_decay: float) -> list[Group]:
    """Two groups: matrices decay, vectors (biases and norms, whose size means something) do not."""
    named = list(model.named_parameters())
    return [
        {"params": [(n, p) for n, p in named if p.data.ndim >= 2], "weight_decay": weight_decay},
        {"params": [(n, p) for n, p in named if p.data.ndim < 2], "weight_decay": 0.0},
    ]


class Optimizer:
    """Base: keeps groups and, per parameter name, the arrays of its state."""

    slots: tuple[str, ...] = ()  # names of the state arrays, each of the parameter's shape

    def __init__(self, groups: list[Group], **defaults: Any) -> None:
        self.groups = [{**defaults, **group} for group in groups]
        self.state: dict[str, dict[str, Array]] = {
            name: {slot: np.zeros_like(p.data) for slot in self.slots}
            for group in self.groups
            for name, p in group["params"]
        }
        self.steps = 0

    def step(self) -> None:
        """One update of every parameter that has a gradient."""
        self.steps += 1
        for group in self.groups:
            for name, p in group["params"]:
                if p.grad is not None:
                    state = (self.state[name][slot] for slot in self.slots)
                    for w, g, *s in chunks(p.data, p.grad, *state):
                        self.update(group, w, g, *s)

    def update(self, group: Group, w: Array, g: Array, *state: Array) -> None:
        """Change w and its state in place, given its gradient g. All are flat and of one length."""
        raise NotImplementedError

    def set_lr(self, lr: float) -> None:
        for group in self.groups:
            group["lr"] = lr

    def state_arrays(self) -> dict[str, Array]:
        """State arrays as "slot.parameter": the arrays themselves, not copies. `steps` is apart."""
        return {f"{slot}.{name}": a for name, slots in self.state.items() for slot, a in slots.items()}

    def load_state_arrays(self, arrays: dict[str, Array], steps: int) -> None:
        """Copy saved state back. ValueError if names or shapes differ."""
        own = self.state_arrays()
        if own.keys() != arrays.keys():
            raise ValueError("the optimiser's state belongs to another model or another optimiser")
        for key, array in own.items():
            if array.shape != arrays[key].shape:
                raise ValueError(f"optimiser state {key} has shape {arrays[key].shape}, needed is {array.shape}")
            array[...] = arrays[key]
        self.steps = steps


class SGD(Optimizer):
    """v = momentum v + g + weight_decay w;  w = w - lr v.  As torch.optim.SGD without dampening."""

    slots = ("momentum_buffer",)

    def __init__(self, groups: list[Group], lr: float, momentum: float = 0.0, weight_decay: float = 0.0) -> None:
        super().__init__(groups, **{"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    def update(self, group: Group, w: Array, g: Array, *state: Array) -> None:
        (v,) = state
        v *= group["momentum"]
        v += g
        if group["weight_decay"]:
            v += group["weight_decay"] * w
        w -= group["lr"] * v


class Adam(Optimizer):
    """Kingma and Ba 2015 (arXiv 1412.6980):  m, v are running means of g and g²; the corrections
    m / (1 - β1ᵗ), v / (1 - β2ᵗ) undo their start at zero;  w = w - lr m̂ / (√v̂ + eps).
    `weight_decay` is L2: it joins the gradient."""

    slots = ("exp_avg", "exp_avg_sq")
    decoupled = False

    def __init__(
        self,
        groups: list[Group],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(groups, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay)

    def update(self, group: Group, w: Array, g: Array, *state: Array) -> None:
        m, v = state
        (beta1, beta2), lr, decay = group["betas"], group["lr"], group["weight_decay"]
        if decay and self.decoupled:
            w *= 1 - lr * decay
        elif decay:
            g = g + decay * w
        m *= beta1
        m += (1 - beta1) * g
        v *= beta2
        square = g * g
        square *= 1 - beta2
        v += square
        step = np.sqrt(v, out=square)
        step *= 1 / math.sqrt(1 - beta2**self.steps)
        step += group["eps"]
        np.divide(m, step, out=step)
        step *= lr / (1 - beta1**self.steps)
        w -= step


class AdamW(Adam):
    """Adam whose weight decay acts on the weights alone, w = w (1 - lr weight_decay), and not through the
    gradient's running means (Loshchilov and Hutter 2019, arXiv 1711.05101)."""

    decoupled = True


def clip_grad_norm(params: Iterable[Param], max_norm: float) -> float:
    """Scale all gradients by one factor so that their joint Euclidean norm is at most `max_norm`.

    Returns the norm before. As torch.nn.utils.clip_grad_norm_, with its 1e-6 in the divisor.
    """
    grads = [p.grad for p in params if p.grad is not None]
    norm = math.sqrt(sum(float(np.vdot(g, g)) for g in grads))
    if norm > max_norm:
        factor = max_norm / (norm + 1e-6)
        for g in grads:
            g *= factor
    return norm
