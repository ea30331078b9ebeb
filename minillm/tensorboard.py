"""A training's figures for TensorBoard: losses, learning rate, gradient norm, tokens a second, MFU, samples.

tensorboard --logdir runs
"""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from minillm.errors import UserError
from minillm.train import Silent

FOLDER = "tensorboard"
NAMES = {"loss": "loss/train", "valid_loss": "loss/validation", "lr": "learning rate", "grad_norm": "gradient norm"}


class TensorBoard(Silent):
    """Writes into `folder`/tensorboard. `mfu` turns tokens a second into a share of the device's peak.

    UserError: TensorBoard is not installed.
    """

    def __init__(self, folder: Path, mfu: Callable[[float], float] | None = None) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise UserError("--tensorboard needs PyTorch and TensorBoard: pip install torch tensorboard") from None
        self.open, self.folder, self.mfu = SummaryWriter, folder / FOLDER, mfu
        self.writer: Any = None

    def start(self, first: int, last: int) -> None:
        # What a run that was stopped wrote beyond its checkpoint no longer counts.
        self.writer = self.open(str(self.folder), purge_step=first + 1, max_queue=100)

    def note(self, line: str) -> None:
        self.writer.add_text("engine", line)

    def step(self, record: dict[str, Any]) -> None:
        figures = {name: record[key] for key, name in NAMES.items() if key in record}
        figures["tokens a second"] = record["tokens_per_second"]
        if self.mfu is not None:
            figures["MFU"] = self.mfu(record["tokens_per_second"])
        for name, value in figures.items():
            if math.isfinite(value):
                self.writer.add_scalar(name, value, record["step"])

    def validation(self, step: int, loss: float, better: bool, sample: str) -> None:
        self.writer.add_text("sample", sample, step)
        self.writer.flush()

    def close(self) -> None:
        if self.writer is not None:
            self.writer.close()


class Together(Silent):
    """Several reporters as one."""

    def __init__(self, *reporters: Silent) -> None:
        self.reporters = reporters

    def start(self, first: int, last: int) -> None:
        for reporter in self.reporters:
            reporter.start(first, last)

    def note(self, line: str) -> None:
        for reporter in self.reporters:
            reporter.note(line)

    def step(self, record: dict[str, Any]) -> None:
        for reporter in self.reporters:
            reporter.step(record)

    def validation(self, step: int, loss: float, better: bool, sample: str) -> None:
        for reporter in self.reporters:
            reporter.validation(step, loss, better, sample)

    def close(self) -> None:
        for reporter in self.reporters:
            reporter.close()
