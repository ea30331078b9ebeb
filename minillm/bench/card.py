"""A card: its name, what it can do at best in matrix products, and how much of its memory was taken."""

from typing import Any

from minillm.bench.tasks import Task


def jobs(task: Task) -> dict[str, Any]:
    """ "card" gives the task's processor and its measured peak, FLOP/s in the task's precision."""
    return {"card": lambda _: {"name": name(task.device), "peak_flops": peak(task)}}


def name(device: str) -> str:
    import torch

    return torch.cuda.get_device_name() if device == "cuda" else device


def peak(task: Task) -> float:
    import torch

    from minillm.pt.mfu import matrix_peak

    return matrix_peak(torch.device(task.device), task.precision, seconds=1.0)


def memory(task: Task) -> int | None:
    """Bytes that tensors took at most in this process; None where torch does not count them."""
    import torch

    return torch.cuda.max_memory_allocated() if task.device == "cuda" else None
