"""Parameters and modules: what a layer owns, and what a model is made of.

A `Param` is an array with its gradient. A `Module` has a `forward` that returns `(out, cache)` and a
`backward` that takes the upstream gradient and that very cache, adds to the gradients of its own
parameters and returns the gradient of its input. Nothing of a pass is kept inside the module, so one
module can be called twice (an LSTM step, a shared encoder) before either call is differentiated.

Names and shapes are those of PyTorch: `named_parameters`, `state_dict`, weights of shape (d_out, d_in).
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

Array = np.ndarray
Cache = tuple[Any, ...]


class Param:
    """A trainable array `data` and `grad`, the derivative of the loss with respect to it (None: none yet)."""

    def __init__(self, data: Array) -> None:
        self.data = data
        self.grad: Array | None = None

    def accumulate(self, grad: Array) -> None:
        """Add `grad` to the gradient: a weight that is used twice gets the sum of both uses.

        The first gradient is kept as it is, without a copy, so the caller gives the array away.
        """
        if grad.shape != self.data.shape or grad.dtype != self.data.dtype:
            raise ValueError(f"gradient is {grad.dtype}{grad.shape}, parameter is {self.data.dtype}{self.data.shape}")
        if self.grad is None:
            self.grad = grad
        else:
            self.grad += grad


def normal(rng: np.random.Generator, shape: tuple[int, ...], std: float, dtype: Any = np.float32) -> Param:
    """A parameter drawn from a normal distribution with mean 0 and standard deviation `std`."""
    return Param((std * rng.standard_normal(shape)).astype(dtype))


class Module:
    """Base of all layers and models: finds the parameters in its attributes, in order of definition."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.forward(*args, **kwargs)

    def forward(self, *args: Any, **kwargs: Any) -> tuple[Any, Cache]:
        """Return `(out, cache)`."""
        raise NotImplementedError

    def backward(self, dout: Any, cache: Cache) -> Any:
        """Accumulate the parameters' gradients, return the gradient of the input."""
        raise NotImplementedError

    def modules(self, prefix: str = "") -> Iterator[tuple[str, "Module"]]:
        """This module and all below it, with dotted names."""
        yield prefix, self
        for name, value in vars(self).items():
            children = {name: value} if isinstance(value, Module) else {}
            if isinstance(value, list):
                children = {f"{name}.{i}": child for i, child in enumerate(value) if isinstance(child, Module)}
            for child_name, child in children.items():
                yield from child.modules(f"{prefix}.{child_name}" if prefix else child_name)

    def named_parameters(self) -> Iterator[tuple[str, Param]]:
        """Every parameter once, with its dotted name."""
        seen = set()
        for prefix, module in self.modules():
            for name, value in vars(module).items():
                if isinstance(value, Param) and id(value) not in seen:
                    seen.add(id(value))
                    yield (f"{prefix}.{name}" if prefix else name), value

    def parameters(self) -> list[Param]:
        return [param for _, param in self.named_parameters()]

    def zero_grad(self) -> None:
        for param in self.parameters():
            param.grad = None

    def num_parameters(self) -> int:
        return sum(param.data.size for param in self.parameters())

    def state_dict(self) -> dict[str, Array]:
        """The parameters' arrays by name. They are the arrays themselves, not copies."""
        return {name: param.data for name, param in self.named_parameters()}

    def load_state_dict(self, state: dict[str, Array]) -> None:
        """Copy arrays into the parameters. Raises ValueError that names what is missing, extra or misshapen."""
        own = self.state_dict()
        if missing := sorted(own.keys() - state.keys()):
            raise ValueError(f"missing weights: {', '.join(missing[:3])} ({len(missing)} in all)")
        if extra := sorted(state.keys() - own.keys()):
            raise ValueError(f"weights that this model does not have: {', '.join(extra[:3])} ({len(extra)} in all)")
        for name, data in own.items():
            if state[name].shape != data.shape:
                raise ValueError(f"{name} has shape {tuple(state[name].shape)}, this model needs {data.shape}")
        for name, data in own.items():
            data[...] = state[name]
