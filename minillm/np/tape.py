"""A small autograd: every operation notes on a tape how to pass a gradient back to its operands.

A second, independent oracle for the derivatives written by hand in functional.py: build the same formula from
these few primitives, call `backward`, compare. (The idea: Wengert 1964; in this form: micrograd.) Slow by choice.

    x = Var(array)
    y = (x * 2).tanh().sum()
    y.backward()
    x.grad                    dy/dx
"""

from collections.abc import Callable
from itertools import count
from typing import Any

import numpy as np

from minillm.np.param import Array

CLOCK = count()  # every Var's time of birth: a result is always younger than its operands


def unbroadcast(grad: Array, shape: tuple[int, ...]) -> Array:
    """Sum over the axes that broadcasting added or stretched, back to `shape`."""
    grad = grad.sum(axis=tuple(range(grad.ndim - len(shape))))
    stretched = tuple(i for i, n in enumerate(shape) if n == 1 and grad.shape[i] != 1)
    return grad.sum(axis=stretched, keepdims=True) if stretched else grad


class Var:
    """An array that remembers where it came from: `parents` are (operand, function from dout to d operand)."""

    __array_ufunc__ = None  # so that array + Var calls Var.__radd__

    def __init__(self, data: Any, parents: tuple[tuple["Var", Callable[[Array], Array]], ...] = ()) -> None:
        self.data, self.parents, self.birth = np.asarray(data), parents, next(CLOCK)
        self.grad: Any = None

    @property
    def shape(self) -> tuple[int, ...]:
        return self.data.shape

    def backward(self, grad: Array | float = 1.0) -> None:
        """Set `.grad` of everything that this value was made of. `grad` is the upstream gradient."""
        made_of, todo = {self}, [self]
        while todo:  # a loop, not recursion: graphs are deeper than Python's stack
            for parent, _ in todo.pop().parents:
                if parent not in made_of:
                    made_of.add(parent)
                    todo.append(parent)
        for var in made_of:
            var.grad = np.zeros_like(var.data)
        self.grad = np.broadcast_to(np.asarray(grad, self.data.dtype), self.shape)
        for var in sorted(made_of, key=lambda v: v.birth, reverse=True):  # youngest first
            for parent, pull in var.parents:
                parent.grad = parent.grad + unbroadcast(pull(var.grad), parent.shape)

    def elementwise(self, value: Array, slope: Array) -> "Var":
        """A function of each entry by itself, given its values and its derivative's."""
        return Var(value, ((self, lambda d: d * slope),))

    def exp(self) -> "Var":
        y = np.exp(self.data)
        return self.elementwise(y, y)

    def log(self) -> "Var":
        return self.elementwise(np.log(self.data), 1 / self.data)

    def tanh(self) -> "Var":
        y = np.tanh(self.data)
        return self.elementwise(y, 1 - y * y)

    def __pow__(self, n: float) -> "Var":
        return self.elementwise(self.data**n, n * self.data ** (n - 1))

    def __add__(self, other: Any) -> "Var":
        other = as_var(other)
        return Var(self.data + other.data, ((self, lambda d: d), (other, lambda d: d)))

    def __mul__(self, other: Any) -> "Var":
        other = as_var(other)
        return Var(self.data * other.data, ((self, lambda d: d * other.data), (other, lambda d: d * self.data)))

    def __matmul__(self, other: Any) -> "Var":
        """Both operands have two axes or more; leading axes broadcast."""
        other = as_var(other)
        pulls = (lambda d: d @ other.data.swapaxes(-1, -2)), (lambda d: self.data.swapaxes(-1, -2) @ d)
        return Var(self.data @ other.data, ((self, pulls[0]), (other, pulls[1])))

    def sum(self, axis: int | tuple[int, ...] | None = None) -> "Var":
        """The summed axes stay, with length 1."""
        y = self.data.sum(axis=axis, keepdims=True)
        return Var(y, ((self, lambda d: np.broadcast_to(d, self.shape)),))

    def max(self, axis: int) -> "Var":
        """The axis stays, with length 1. Equal maxima share the gradient."""
        y = self.data.max(axis=axis, keepdims=True)
        at = self.data == y
        return Var(y, ((self, lambda d: d * at / at.sum(axis=axis, keepdims=True)),))

    def reshape(self, *shape: int) -> "Var":
        return Var(self.data.reshape(shape), ((self, lambda d: d.reshape(self.shape)),))

    def transpose(self, *axes: int) -> "Var":
        return Var(self.data.transpose(axes), ((self, lambda d: d.transpose(np.argsort(axes))),))

    def __getitem__(self, index: Any) -> "Var":
        def pull(d: Array) -> Array:
            out = np.zeros_like(self.data)
            np.add.at(out, index, d)  # an entry taken twice gets both gradients
            return out

        return Var(self.data[index], ((self, pull),))

    def __neg__(self) -> "Var":
        return self * -1.0

    def __sub__(self, other: Any) -> "Var":
        return self + -as_var(other)

    def __rsub__(self, other: Any) -> "Var":
        return as_var(other) - self

    def __truediv__(self, other: Any) -> "Var":
        return self * as_var(other) ** -1.0

    def __rtruediv__(self, other: Any) -> "Var":
        return as_var(other) / self

    __radd__, __rmul__ = __add__, __mul__


def as_var(x: Any) -> Var:
    """Numbers and arrays become constants."""
    return x if isinstance(x, Var) else Var(x)
