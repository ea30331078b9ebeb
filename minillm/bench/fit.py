"""Laws behind measured times: the exponent of a power law, and a sum of powers whose parts mean something."""

from itertools import combinations
from typing import Any

import numpy as np


def exponent(x: Any, y: Any) -> tuple[float, float]:
    """Slope of log y over log x by least squares, and its standard error (0 for two points: nothing is left to err).

    y = c x^p has the exponent p everywhere; for y = a x + b x² it lies between 1 and 2, and grows with x.
    """
    lx, ly = np.log(np.asarray(x, float)), np.log(np.asarray(y, float))
    if len(lx) < 2 or len(lx) != len(ly):
        raise ValueError(f"{len(lx)} and {len(ly)} points; a slope needs at least two, as many of both")
    dx = lx - lx.mean()
    slope = float(dx @ ly / (dx @ dx))
    rest = ly - ly.mean() - slope * dx
    spread = float(rest @ rest) / max(len(lx) - 2, 1)
    return slope, float(np.sqrt(spread / (dx @ dx)))


def power_terms(x: Any, y: Any, powers: tuple[int, ...] = (0, 1, 2)) -> list[float]:
    """Coefficients, none negative, of y = Σ c_i x^powers[i], with the least squared relative error.

    Relative, for a time of a second must not drown one of a millisecond. Not negative, for each term stands for work
    that is done. With so few terms every subset of them can be tried.
    """
    x, y = np.asarray(x, float), np.asarray(y, float)
    columns = np.stack([x**p for p in powers], axis=1) / y[:, None]
    best, least = [0.0] * len(powers), np.inf
    for size in range(1, min(len(powers), len(x) - 1) + 1):
        for chosen in combinations(range(len(powers)), size):
            part = columns[:, chosen]
            scale = np.linalg.norm(part, axis=0)  # else x² dwarfs the rest
            c = np.linalg.lstsq(part / scale, np.ones(len(y)), rcond=None)[0] / scale
            error = float(np.sum((part @ c - 1) ** 2))
            if (c >= 0).all() and error < least - 1e-12:
                best, least = [0.0] * len(powers), error
                for i, value in zip(chosen, c, strict=True):
                    best[i] = float(value)
    return best
