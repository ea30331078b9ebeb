"""Optimisers: torch's own, fused, with state that is saved under the parameters' names.

    groups = decay_groups(model, weight_decay=0.1)
    optimiser = AdamW(groups, lr=3e-4)
    optimiser.step()

A group's "params" are (name, parameter) pairs. torch.optim's own state_dict numbers the parameters;
`state_arrays` names them, so that a checkpoint serves both back-ends and survives a change of order.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

Group = dict[str, Any]


def decay_groups(model: nn.Module, weight_decay: float) -> list[Group]:
    """Two groups: matrices decay, vectors (biases and norms, whose size means something) do not."""
    named = list(model.named_parameters())
    return [
        {"params": [(n, p) for n, p in named if p.ndim >= 2], "weight_decay": weight_decay},
        {"params": [(n, p) for n, p in named if p.ndim < 2], "weight_decay": 0.0},
    ]


class Optimizer(torch.optim.Optimizer):
    """What is added to each of torch's optimisers: a count of steps, set_lr and named state."""

    slots: tuple[str, ...] = ()  # names of the state tensors, each of the parameter's shape

    def __init__(self, groups: list[Group], **defaults: Any) -> None:
        super().__init__(groups, **defaults)
        self.steps = 0

    def step(self, closure: Any = None) -> Any:
        """One update of every parameter that has a gradient."""
        self.steps += 1
        return super().step(closure)

    def set_lr(self, lr: float) -> None:
        for group in self.param_groups:
            group["lr"] = lr

    def named_slots(self) -> list[tuple[str, Tensor, str]]:
        """ "slot.parameter", the parameter and the slot of every state tensor. A group may have slots of its own."""
        return [
            (f"{slot}.{name}", p, slot)
            for group in self.param_groups
            for name, p in zip(group["param_names"], group["params"], strict=True)
            for slot in group.get("slots", self.slots)
        ]

    def state_arrays(self) -> dict[str, Tensor]:
        """State tensors as "slot.parameter": the tensors themselves; zeros where there is no state yet."""
        found = {key: (p, self.state[p].get(slot)) for key, p, slot in self.named_slots()}
        return {key: torch.zeros_like(p) if tensor is None else tensor for key, (p, tensor) in found.items()}

    def load_state_arrays(self, arrays: Mapping[str, Any], steps: int) -> None:
        """Copy saved state (tensors or NumPy arrays) back. ValueError if names or shapes differ."""
        own = self.state_arrays()
        if own.keys() != arrays.keys():
            raise ValueError("the optimiser's state belongs to another model or another optimiser")
        for key, tensor in own.items():
            if tensor.shape != arrays[key].shape:
                found, needed = tuple(arrays[key].shape), tuple(tensor.shape)
                raise ValueError(f"optimiser state {key} has shape {found}, needed is {needed}")
        for key, p, slot in self.named_slots():
            self.state[p][slot] = torch.zeros_like(p).copy_(torch.as_tensor(arrays[key]))
            # Adam's count of steps; SGD does not look at it.
            self.state[p]["step"] = torch.tensor(float(steps), device=p.device)
        self.steps = steps


class SGD(Optimizer, torch.optim.SGD):
    """v = momentum v + g + weight_decay w;  w = w - lr v."""

    slots = ("momentum_buffer",)

    def __init__(self, groups: list[Group], lr: float, momentum: float = 0.0, weight_decay: float = 0.0) -> None:
        super().__init__(groups, lr=lr, momentum=momentum, weight_decay=weight_decay, fused=True)


class AdamArguments(Optimizer):
    """What Adam and AdamW have in common: arguments and the names of the state."""

    slots = ("exp_avg", "exp_avg_sq")

    def __init__(
        self,
        groups: list[Group],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(groups, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, fused=True)


class Adam(AdamArguments, torch.optim.Adam):
    """Kingma and Ba 2015 (arXiv 1412.6980). `weight_decay` is L2: it joins the gradient."""


class AdamW(AdamArguments, torch.optim.AdamW):
    """Adam whose weight decay acts on the weights alone, w = w (1 - lr weight_decay), and not through the
    gradient's running means (Loshchilov and Hutter 2019, arXiv 1711.05101)."""


def clip_grad_norm(params: Iterable[Tensor], max_norm: float) -> Tensor:
    """Scale all gradients by one factor so that their joint Euclidean norm is at most `max_norm`.

    Returns the norm before, a scalar tensor: reading it waits for a GPU to finish, so only the reader pays.
    """
    return nn.utils.clip_grad_norm_(params, max_norm, foreach=True)
