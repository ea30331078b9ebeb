"""What training is in both twins: learning-rate schedules, early stopping, what a step reports.

Plain Python numbers: steps count optimiser updates from 0, rates are per step, losses are in nats.
"""

import math
from typing import NamedTuple


def learning_rate(
    step: int, *, lr: float, steps: int, warmup: int = 0, min_lr: float = 0.0, schedule: str = "cosine"
) -> float:
    """The rate at `step` (from 0): a linear climb over `warmup` steps, then from lr down to min_lr · lr at the
    last step along half a cosine (Loshchilov and Hutter 2017) or a line, or no descent at all ("constant")."""
    if schedule not in ("cosine", "linear", "constant"):
        raise ValueError(f"schedule is {schedule!r}, use cosine, linear or constant")
    if step < warmup:
        return lr * (step + 1) / (warmup + 1)
    if schedule == "constant":
        return lr
    progress = min(1.0, (step - warmup) / max(1, steps - 1 - warmup))
    fall = 0.5 * (1 + math.cos(math.pi * progress)) if schedule == "cosine" else 1 - progress
    return lr * (min_lr + (1 - min_lr) * fall)


class EarlyStopping:
    """Tells when the validation loss has not improved for `patience` validations (0: never)."""

    def __init__(self, patience: int, best: float = math.inf, waited: int = 0) -> None:
        self.patience, self.best, self.waited = patience, best, waited

    def update(self, loss: float) -> bool:
        """Take a new validation loss; True if it is the best so far."""
        better = loss < self.best
        self.best, self.waited = (loss, 0) if better else (self.best, self.waited + 1)
        return better

    @property
    def stop(self) -> bool:
        return 0 < self.patience <= self.waited


class StepResult(NamedTuple):
    """What a step reports: mean loss in nats a token, the learning rate used, the gradient norm before clipping."""

    loss: float
    lr: float
    grad_norm: float
    skipped: bool = False  # fp16 overflowed: nothing was changed but the loss's scale
