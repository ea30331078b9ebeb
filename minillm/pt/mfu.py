"""Model FLOPs utilisation: the share of a device's matrix peak that goes into the model's own arithmetic.

The arithmetic is counted (minillm/flops.py); what is computed again to save memory does not count. The peak is not
the data sheet's: a large matrix product measures it here.
"""

import time
from functools import lru_cache

import torch


@lru_cache(maxsize=4)
def matrix_peak(device: torch.device, precision: str = "fp32", seconds: float = 0.3) -> float:
    """FLOP/s of the best of several large square matrix products in that precision, measured once a process."""
    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[precision]
    n = 8192 if device.type == "cuda" else 1024
    a, b = (torch.randn(n, n, device=device).to(dtype) for _ in range(2))
    best, end = float("inf"), time.perf_counter() + seconds
    for _ in range(3):
        a @ b  # the first ones choose a kernel and wake the clock
    synchronise(device)
    while best == float("inf") or time.perf_counter() < end:
        started = time.perf_counter()
        for _ in range(3):
            a @ b
        synchronise(device)
        best = min(best, (time.perf_counter() - started) / 3)
    return 2 * n**3 / best


def synchronise(device: torch.device) -> None:
    """Wait until the device has done what it was told."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
