"""When the memory is not enough: find out what would fit, and say it in one line."""

from typing import Any

import numpy as np
import torch

from minillm.errors import ProcessError

SIGNS = ("out of memory", "not enough memory", "can't allocate memory", "CUBLAS_STATUS_ALLOC_FAILED")


def out_of_memory(error: BaseException) -> bool:
    """Whether that is what an error means; each device says it in another way."""
    kinds = (MemoryError, torch.OutOfMemoryError)
    return isinstance(error, kinds) or (isinstance(error, RuntimeError) and any(sign in str(error) for sign in SIGNS))


def largest_fit(trainer: Any, x: np.ndarray, y: np.ndarray, step: int) -> ProcessError:
    """The error to raise, with the smallest --accumulate at which a part of the batch does fit.

    Tried out on the model alone, where a process can compute it without the others.
    """
    parts, rows = trainer.engine.accumulate, trainer.engine.rows(len(x), trainer.ranks.count)
    trouble = f"not enough memory on {trainer.device} for {rows} sequences of {x.shape[1]} tokens at a time"
    kept = "the last checkpoint is whole"
    for smaller in [n for n in range(rows // 2, 0, -1) if rows % n == 0]:
        if trainer.sharded or fits(trainer, x[:smaller], y[:smaller], step):
            return ProcessError(
                f"{trouble}: use --accumulate {parts * rows // smaller}, the same batch of {len(x)} "
                f"in parts of {smaller}, or --recompute; {kept}"
            )
    return ProcessError(f"{trouble}: use --recompute, a shorter --context or a smaller model; {kept}")


def fits(trainer: Any, x: np.ndarray, y: np.ndarray, step: int) -> bool:
    """Whether forward and backward of that much do. Nothing is learnt from it."""
    trainer.model.zero_grad()
    if trainer.device.type == "cuda":
        torch.cuda.empty_cache()
    try:
        trainer.one_part(trainer.alone, x, y, y.size, trainer.generator(step) if trainer.drops else None)
        return True
    except (RuntimeError, MemoryError) as error:
        if not out_of_memory(error):
            raise
        return False
    finally:
        trainer.model.zero_grad()
