"""Parameters and modules: torch's own, with initial weights from a NumPy generator."""

import numpy as np
import torch
from torch import nn


def normal(
    rng: np.random.Generator,
    shape: tuple[int, ...],
    std: float,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str | None = None,
) -> nn.Parameter:
    """A parameter drawn from a normal distribution with mean 0 and standard deviation `std`."""
    draw = torch.from_numpy(std * rng.standard_normal(shape)).to(dtype)  # MPS takes no float64, hence in two steps
    return nn.Parameter(draw.to(device=device))


class Module(nn.Module):
    """Base of all layers and models."""

    def num_parameters(self) -> int:
        return sum(param.numel() for param in self.parameters())
