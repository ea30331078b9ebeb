"""What the checks know of PyTorch: tensors recognised, copied, compared. torch itself is never imported here.

A value can only be a tensor if somebody has imported torch already, so lessons of NumPy alone do without it.
A tensor equals tensors only, an array arrays only: which of the two a function returns is part of the answer.
"""

from __future__ import annotations

import copy
import sys
from typing import Any

import numpy as np


def is_tensor(value: Any) -> bool:
    """Whether a value is a torch.Tensor (a Parameter is one too)."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def as_array(tensor: Any) -> np.ndarray:
    """The numbers of a tensor on any device, with or without a graph; of bfloat16, which NumPy lacks, as float32."""
    tensor = tensor.detach().cpu()
    array: np.ndarray = (tensor.float() if str(tensor.dtype) == "torch.bfloat16" else tensor).numpy()
    return array


def clone(tensor: Any) -> Any:
    """A copy with no history of its own: a leaf that wants gradients if the tensor did, with a copy of its `.grad`."""
    if not tensor.is_leaf:
        return tensor.detach().clone().requires_grad_()
    new = copy.deepcopy(tensor)
    new.grad = None if tensor.grad is None else tensor.grad.clone()  # a Parameter's deepcopy leaves it out
    return new


def untouched(before: Any, after: Any) -> bool:
    """Whether a clone is still what it was made from, to the last bit; what gathers in `.grad` does not count."""
    alike = all(getattr(before, name) == getattr(after, name) for name in ("dtype", "shape", "device", "requires_grad"))
    return alike and np.array_equal(as_array(before), as_array(after), equal_nan=before.is_floating_point())


def brief(tensor: Any) -> str:
    """tensor(3×5)"""
    return f"tensor({'×'.join(map(str, tensor.shape))})"
