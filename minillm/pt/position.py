"""Where a token stands: sinusoidal and rotary positions. (Learned positions are an `Embedding`.)

Tables are computed in float64 on the CPU, then rounded and moved: MPS has no float64, and float32 angles of
far positions would be off.
"""

from functools import lru_cache

import torch
from torch import Tensor


def frequencies(dim: int, base: float = 10000.0) -> Tensor:
    """Angular speeds base^(-2i/dim) of the dim/2 pairs, in radians a position.  -> (dim/2,) float64"""
    if dim % 2:
        raise ValueError(f"positions turn pairs of numbers: the dimension must be even, it is {dim}")
    return base ** (-torch.arange(0, dim, 2, dtype=torch.float64, device="cpu") / dim)


def sinusoidal(length: int, d_model: int) -> Tensor:
    """PE[t, 2i] = sin(t ω_i), PE[t, 2i+1] = cos(t ω_i) (Vaswani et al. 2017).  -> (length, D) float64"""
    angle = torch.outer(torch.arange(length, dtype=torch.float64, device="cpu"), frequencies(d_model))
    return torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(1)


@lru_cache(maxsize=32)
def rotary_table(
    start: int, length: int, d_head: int, base: float, dtype: torch.dtype, device: torch.device | str | None = None
) -> tuple[Tensor, Tensor]:
    """cos and sin of t ω_i for positions start..start+length-1.  -> two of (length, K/2)"""
    with torch.inference_mode(False):  # a table first made for generation must also serve training
        positions = torch.arange(start, start + length, dtype=torch.float64, device="cpu")
        angle = torch.outer(positions, frequencies(d_head, base))
        return angle.cos().to(dtype).to(device=device), angle.sin().to(dtype).to(device=device)


def rotary(x: Tensor, start: int = 0, base: float = 10000.0) -> Tensor:
    """Turn the pair (x_i, x_{i+K/2}) at position t by the angle t ω_i (Su et al. 2021, arXiv 2104.09864).

    The halves are paired as in GPT-NeoX and Llama.  x (..., T, K) -> (..., T, K)
    """
    return turn(x, *rotary_table(start, x.shape[-2], x.shape[-1], base, x.dtype, x.device))


def turn(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """(a, b) -> (a cos - b sin, a sin + b cos)"""
    a, b = x.chunk(2, dim=-1)
    return torch.cat([a * cos - b * sin, a * sin + b * cos], dim=-1)
