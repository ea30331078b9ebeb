"""The checkpoints of a training under way: what is written when, by which process, and what a resumed one reads.

One process, or the first of several with whole copies of the model, writes checkpoint.safetensors; processes that
share a model out write a folder of shares. Any of them goes on from either, with any number of processes.
"""

import math
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from minillm import checkpoint, shares
from minillm.backend import Backend, shapes
from minillm.checkpoint import CHECKPOINT, Run, State
from minillm.data.lock import locked
from minillm.errors import UserError
from minillm.ranks import Ranks
from minillm.schedule import EarlyStopping

LOCK = "training.lock"


class Taken(Exception):
    """Another holds the lock."""


@contextmanager
def alone_in(folder: Path, ranks: Ranks) -> Iterator[None]:
    """Hold the folder for one training. The system frees it when the process ends, in whatever way.

    UserError: another training is at work there. Where a file system knows no locks, nobody is kept out.
    """

    def taken() -> None:
        raise Taken

    refused = False
    with ExitStack() as held:
        if ranks.index == 0:
            try:
                folder.mkdir(parents=True, exist_ok=True)
                held.enter_context(locked(folder / LOCK, taken))
            except Taken:
                refused = True
            except OSError:
                pass  # what else is wrong with the folder shows as soon as something is written there
        if ranks.any(refused):
            raise UserError(f"another training is at work in {folder}: wait until it ends, or choose another --out")
        yield


class Saver:
    """Writes and reads what a run's folder holds; every process calls it, the first alone writes whole files."""

    def __init__(self, folder: Path, run: Run, backend: Backend, ranks: Ranks, model: Any, trainer: Any) -> None:
        self.folder, self.run, self.backend, self.ranks = folder, run, backend, ranks
        self.model, self.trainer, self.first = model, trainer, ranks.index == 0
        self.sharded = getattr(trainer, "sharded", False)
        self.step = self.skipped = 0  # step of the last checkpoint; steps that fp16 skipped
        self.log: list[dict[str, Any]] = []  # up to the last checkpoint
        self.pending: list[dict[str, Any]] = []  # since then

    def begin(self, stopping: EarlyStopping) -> None:
        """A folder that holds nothing but the first weights."""
        if self.first:
            checkpoint.begin(self.folder)
            shares.clear(self.folder)
        self.save(0, stopping)

    def save_run(self) -> None:
        if self.first:
            checkpoint.save_run(self.folder, self.run)

    def restore_log(self) -> None:
        """Drop the lines of steps that will be done again, and half-written files."""
        self.log = checkpoint.read_log(self.folder, self.step)
        self.ranks.total(0)  # all have read it
        if self.first:
            checkpoint.sweep(self.folder)
            checkpoint.write_log(self.folder, self.log)

    def restore(self) -> State:
        """Load the latest checkpoint into model and trainer. UserError: damaged, or of another model."""
        place, state = shares.newest(self.folder), None
        if place is None or (self.folder / CHECKPOINT).is_file():
            state = checkpoint.load_state(self.folder, self.run, shapes(self.model))
        optimizer = self.trainer.optimizer
        if place is not None and (state is None or shares.step_of(place) > state.step):
            if self.backend.name == "np":
                raise UserError(f"{place} was written by PyTorch's processes in shares: resume with --backend pt")
            state = State(0, self.model.state_dict(), optimizer.state_arrays(), math.inf, 0)
            shares.load_shares(place, state, self.run)
            arrays = state.optimizer
        else:
            assert state is not None
            self.backend.load_weights(self.model, state.weights)
            own = optimizer.state_arrays() if self.sharded else None
            arrays = self.backend.tensors(state.optimizer, own)
        try:
            optimizer.load_state_arrays(arrays, state.step - state.skipped)
        except ValueError as error:
            raise UserError(f"{self.folder / CHECKPOINT} cannot be resumed: {error}") from error
        if self.backend.name == "pt":
            self.trainer.load_state(state.scale)
        self.step, self.skipped = state.step, state.skipped
        return state

    def save(self, step: int, stopping: EarlyStopping) -> None:
        """Where the training stands, after the log's new lines."""
        if self.first:
            checkpoint.append_log(self.folder, self.pending)
        if self.first or self.sharded:
            weights, optimizer = self.model.state_dict(), self.trainer.optimizer.state_arrays()
            scale = self.trainer.state() if self.backend.name == "pt" else {}
            state = State(step, weights, optimizer, stopping.best, stopping.waited, self.skipped, scale)
            if self.sharded:
                place = shares.save_shares(self.folder, state, self.run, self.ranks)
                if self.first:
                    (self.folder / CHECKPOINT).unlink(missing_ok=True)
                    shares.clear(self.folder, but=place)
            else:
                state.weights, state.optimizer = self.backend.arrays(weights), self.backend.arrays(optimizer)
                checkpoint.save_state(self.folder, state, self.run)
                shares.clear(self.folder)
        self.step = step
        self.log.extend(self.pending)
        self.pending.clear()

    def save_model(self, step: int) -> None:
        """The weights that are the best so far."""
        if self.first or self.sharded:
            weights = self.backend.weights(self.model)
            if self.first:
                checkpoint.save_model(self.folder, weights, self.run, step)
