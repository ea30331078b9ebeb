"""Is a gradient right? Compare it with the slope of the function itself, measured by central differences.

    df/dx ≈ (f(x + h) - f(x - h)) / 2h

The formula is wrong by h² f'''/6, and round-off in f, of relative size ε, adds about ε |f| / h. The first
shrinks with h, the second grows; their sum is smallest near h = ∛ε, 6e-6 in float64, in units of x, and is
then about ε^(2/3) = 4e-11. In float32 it is 2e-5 at best: check in float64. (Numerical Recipes, section 5.7.)
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from minillm.np.param import Array, Module

STEP = float(np.finfo(np.float64).eps) ** (1 / 3)


@dataclass(frozen=True)
class Worst:
    """The entry where gradient and slope differ most. `error` is relative to the largest gradient of its array."""

    name: str
    index: tuple[int, ...]
    analytic: float
    numeric: float
    error: float
    entries: int  # how many were compared

    def __str__(self) -> str:
        return (
            f"{self.name}[{', '.join(map(str, self.index))}]: relative error {self.error:.2g} "
            f"(analytic {self.analytic:.9g}, numeric {self.numeric:.9g}), the worst of {self.entries} entries"
        )


def slope(function: Callable[[], float], array: Array, index: tuple[int, ...], step: float = STEP) -> float:
    """Central difference of `function` in one entry of `array`, which is changed in place and put back."""
    x = array[index]
    h = step * max(1.0, abs(x))
    array[index] = up = x + h
    f_up = function()
    array[index] = down = x - h
    f_down = function()
    array[index] = x
    return float((f_up - f_down) / (up - down))  # up - down, not 2h: x + h was rounded


def gradcheck(
    function: Callable[[], float],
    arrays: dict[str, Array],
    grads: dict[str, Array],
    samples: int | None = None,
    rng: np.random.Generator | None = None,
    step: float = STEP,
) -> Worst:
    """Compare `grads` with the slopes of `function`, which takes no arguments and reads `arrays` (float64).

    `samples`: how many random entries of each array to look at, drawn with `rng`; None: all of them.
    An error is the difference divided by the largest entry of the array's gradient (or a thousandth of the
    largest of all arrays, if that is more): an entry near 0 may not hide behind it, and need not beat round-off.
    """
    found = []
    for name, array in arrays.items():
        if array.dtype != np.float64 or grads[name].shape != array.shape:
            raise ValueError(f"{name}: {array.dtype}{array.shape} has to be float64 and of the shape of its gradient")
        flat = np.arange(array.size)
        if samples is not None and samples < array.size:
            flat = (rng or np.random.default_rng(0)).choice(array.size, samples, replace=False)
        for i in flat:
            index = tuple(int(k) for k in np.unravel_index(i, array.shape))
            found.append((name, index, float(grads[name][index]), slope(function, array, index, step)))
    size = {name: max((abs(v) for n, _, a, m in found if n == name for v in (a, m)), default=0.0) for name in arrays}
    floor = 1e-3 * max(size.values(), default=0.0) or 1.0
    errors = [abs(a - m) / max(size[name], floor) for name, _, a, m in found]
    worst = int(np.argmax(errors))  # NaN counts as the largest
    return Worst(*found[worst], errors[worst], len(found))


def leaves(tree: Any) -> Iterator[Any]:
    """The members of nested tuples, left to right."""
    if isinstance(tree, tuple):
        for branch in tree:
            yield from leaves(branch)
    else:
        yield tree


def check_module(
    module: Module,
    *inputs: Any,
    rng: np.random.Generator,
    samples: int | None = None,
    dropout_seed: int | None = None,
    **options: Any,
) -> Worst:
    """Check the gradients of all float inputs and all parameters of a float64 module, under a random upstream
    gradient: with the usual sum(out), all ones, many mistakes cancel.

    Inputs may be tuples, as an LSTM's state. During the check all parameters are moved by random amounts, since
    weights of 1 and biases of 0 hide mistakes too. With `dropout_seed`, every forward gets a new generator of
    that seed. `options` are passed to forward.
    """

    def forward() -> tuple[Any, Any]:
        dropout = {} if dropout_seed is None else {"rng": np.random.default_rng(dropout_seed)}
        return module(*inputs, **options, **dropout)

    def loss() -> float:
        return sum(float(np.vdot(d, o)) for d, o in zip(leaves(dout), leaves(forward()[0]), strict=True))

    def random_like(tree: Any) -> Any:
        return tuple(map(random_like, tree)) if isinstance(tree, tuple) else rng.standard_normal(tree.shape)

    params = dict(module.named_parameters())
    before = {name: p.data.copy() for name, p in params.items()}
    try:
        for p in params.values():
            p.data += 0.5 * rng.standard_normal(p.data.shape)
        out, cache = forward()
        dout = random_like(out)
        module.zero_grad()
        dinputs = module.backward(dout[0], cache, *dout[1:]) if isinstance(out, tuple) else module.backward(dout, cache)
        xs = [x for x in leaves((*inputs, *options.values())) if isinstance(x, np.ndarray) and x.dtype.kind == "f"]
        dxs = [dx for dx in leaves(dinputs) if dx is not None]
        arrays = {name: p.data for name, p in params.items()}
        grads = {name: np.zeros_like(p.data) if p.grad is None else p.grad for name, p in params.items()}
        if len(dxs) < len(xs):
            raise ValueError(f"{len(xs)} float inputs, but backward returns {len(dxs)} gradients")
        for i, (x, dx) in enumerate(zip(xs, dxs, strict=False)):  # more: of an input left out, as an LSTM's state
            arrays[f"input {i}"], grads[f"input {i}"] = x, dx
        return gradcheck(loss, arrays, grads, samples, rng)
    finally:
        for name, p in params.items():
            p.data[...] = before[name]
