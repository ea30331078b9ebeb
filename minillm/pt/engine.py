"""How a training step is computed: device, precision, compiler, micro-batches, several processes.

An `Engine` changes speed and memory, not the result but for rounding: batch, order and learning rate are those of
TrainConfig, and the same run may go on with another engine. torch is imported where it is needed, so that the
command line can name these settings without it.
"""

from dataclasses import dataclass
from typing import Any

from minillm.errors import UserError

PRECISIONS = ("auto", "fp32", "bf16", "fp16")
PARALLEL = ("ddp", "fsdp")


@dataclass(frozen=True)
class Engine:
    """Settings of PyTorch's training step."""

    device: str = "auto"  # cpu, cuda, mps; auto: the best there is
    precision: str = "auto"  # of the matrix products; weights stay float32. auto: what the device is built for
    compile: bool = False  # torch.compile; where it cannot, training goes on without it
    accumulate: int = 1  # parts that a step's batch is computed in, one after another
    recompute: bool = False  # forget what is inside a block until its backward needs it (arXiv 1604.06174)
    parallel: str = "ddp"  # under torchrun: ddp, a whole model in each process; fsdp, a part of each weight

    def __post_init__(self) -> None:
        for name, choices in (("precision", PRECISIONS), ("parallel", PARALLEL)):
            if (value := getattr(self, name)) not in choices:
                raise UserError(f"{name} is {value!r}; choose one of {', '.join(choices)}")
        if self.accumulate < 1:
            raise UserError(f"accumulate is {self.accumulate}; it must be at least 1")

    def rows(self, batch_size: int, processes: int = 1) -> int:
        """Sequences computed at a time. UserError unless the batch divides into equal parts."""
        parts = processes * self.accumulate
        if batch_size % parts:
            shares = f"{processes} processes x {self.accumulate} parts" if processes > 1 else f"{parts} parts"
            raise UserError(
                f"a batch of {batch_size} does not divide into {shares}: "
                f"use a --batch-size that is a multiple of {parts}, or another --accumulate"
            )
        return batch_size // parts


def pick_precision(name: str, device: Any) -> str:
    """fp32, bf16 or fp16: what "auto" means on a torch.device, or the one that is named.

    bf16 has float32's range and needs no care; cards before Ampere (a T4) only imitate it, but have fp16. On a CPU
    and on MPS either is rarely faster than float32, and never as exact.
    """
    import torch

    if device.type != "cuda":
        return "fp32" if name == "auto" else name
    native = torch.cuda.is_bf16_supported(including_emulation=False)
    if name == "bf16" and not native:
        raise UserError(f"{torch.cuda.get_device_name(device)} does not compute in bf16: use --precision fp16 or auto")
    return ("bf16" if native else "fp16") if name == "auto" else name


def autocast(precision: str, device: Any) -> Any:
    """A context in which matrix products are computed in that precision, and sums, norms and losses in float32."""
    import torch

    dtype = torch.float16 if precision == "fp16" else torch.bfloat16
    return torch.autocast(device.type, dtype=dtype, enabled=precision != "fp32")
