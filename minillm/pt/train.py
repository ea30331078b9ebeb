"""One training step of a language model in PyTorch: forward, backward, clip, update.

A step's randomness (dropout) comes from a generator seeded with (seed, step) alone. So a run that is
stopped and resumed at any step continues with the very numbers that it would have had.

An `Engine` says how the step is computed. With several processes, or with `accumulate`, the batch is cut into equal
parts and each process computes its own, one after another; a part's loss counts as much as it has targets, so that
the sum is the loss of the batch as a whole. Each part has dropout of its own, from (seed, step, part).
"""

import math
import warnings
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from typing import Any

import numpy as np
import torch

from minillm.config import TrainConfig
from minillm.errors import UserError
from minillm.heap import keep_freed_memory
from minillm.pt import functional as F
from minillm.pt.distributed import replicate, shard, whole
from minillm.pt.engine import Engine, autocast, pick_precision
from minillm.pt.lm import LanguageModel
from minillm.pt.memory import largest_fit, out_of_memory
from minillm.pt.muon import Muon, muon_groups
from minillm.pt.optim import AdamW, clip_grad_norm, decay_groups
from minillm.pt.recompute import recompute_blocks
from minillm.ranks import Ranks
from minillm.schedule import StepResult, learning_rate


def mean_loss(model: Any, ids: torch.Tensor, targets: torch.Tensor, rng: torch.Generator | None) -> torch.Tensor:
    """Mean cross-entropy over the targets that are not negative, in nats.  ids, targets (B, T) -> ()"""
    return F.cross_entropy(model(ids, rng=rng), targets.masked_fill(targets < 0, -100))


class Trainer:
    """A model, its optimiser (AdamW or Muon, with decay groups) and its schedule.

    `device` is where a model computes whose weights are shared out (parallel="fsdp"); others stay where they are.
    """

    def __init__(
        self,
        model: LanguageModel,
        config: TrainConfig,
        engine: Engine | None = None,
        ranks: Ranks | None = None,
        device: torch.device | None = None,
    ) -> None:
        self.model, self.config = model, config
        self.engine, self.ranks = engine or Engine(), ranks or Ranks()
        self.device = device or next(model.parameters()).device
        if self.device.type == "cpu":
            keep_freed_memory()
        self.precision = pick_precision(self.engine.precision, self.device)
        rows = self.engine.rows(config.batch_size, self.ranks.count)
        # Windows measured at a time: on a card, what is known to fit.
        self.rows = 32 if self.device.type == "cpu" else min(32, rows)
        self.say: Callable[[str], None] = print
        gpt: Any = model
        if self.engine.recompute:
            recompute_blocks(gpt.blocks)
        self.sharded = self.ranks.count > 1 and self.engine.parallel == "fsdp"
        if self.sharded:
            if config.optimizer == "muon":
                raise UserError("muon needs whole matrices, fsdp shares them out: use --parallel ddp, or adamw")
            shard(model, gpt.blocks, self.device)
        kind, grouped = (Muon, muon_groups) if config.optimizer == "muon" else (AdamW, decay_groups)
        self.optimizer = kind(grouped(model, config.weight_decay), config.lr, config.betas, config.eps)
        self.optimizer._step_supports_amp_scaling = False  # an overflow shall leave its count of steps alone, too
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=self.precision == "fp16")
        self.ddp: Any = replicate(model, self.device) if self.ranks.count > 1 and not self.sharded else None
        self.alone = partial(mean_loss, model)  # not compiled, and without the other processes
        self.loss: Any = partial(mean_loss, self.ddp or model)
        # Dropout's generator would tear the graph into pieces at each dropout.
        self.drops = not hasattr(model, "config") or gpt.config.dropout > 0
        self.compiling = self.engine.compile and not self.drops
        if self.compiling:
            self.loss = partial(torch.compile(mean_loss), self.ddp or model)

    def step(self, x: np.ndarray, y: np.ndarray, step: int) -> StepResult:
        """Learn from one batch, x, y (B, T) int; negative targets do not count. `step` counts from 0.

        With several processes each is given the whole batch. UserError: out of memory; the message says what to try.
        """
        c = self.config
        lr = learning_rate(step, lr=c.lr, steps=c.steps, warmup=c.warmup, min_lr=c.min_lr, schedule=c.schedule)
        self.optimizer.set_lr(lr)
        fits = True
        try:
            loss = self.loss_and_grad(x, y, step)
        except (RuntimeError, MemoryError) as error:
            fits = not out_of_memory(error)
            if fits:
                raise
        if not fits:  # what the error held is free only now
            raise largest_fit(self, x, y, step)
        self.scaler.unscale_(self.optimizer)
        norm = whole(clip_grad_norm(self.model.parameters(), c.clip or math.inf)).item()
        finite, scaled = math.isfinite(norm), self.scaler.is_enabled()
        if finite or scaled:  # else the weights stay as they are, for who looks for the reason
            self.scaler.step(self.optimizer)
            self.scaler.update()
        return StepResult(self.ranks.total(loss.item()), lr, norm, scaled and not finite)

    def loss_and_grad(self, x: np.ndarray, y: np.ndarray, step: int) -> torch.Tensor:
        """This process's share of the batch's mean loss; gradients (of all processes) are left in the parameters."""
        if not self.compiling:
            return self.all_parts(x, y, step)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # the compiler's asides about caches and precision
                loss = self.all_parts(x, y, step)
        except Exception as error:  # no C++ compiler, no Triton, an operation that it does not know
            if out_of_memory(error):
                raise
            reason = next(iter(str(error).strip().splitlines()), "") or type(error).__name__
            self.say(f"torch.compile does not work here ({reason:.200}); training goes on without it")
            if self.ddp is not None:
                self.ddp = replicate(self.model, self.device)
            self.loss = partial(mean_loss, self.ddp or self.model)
            loss = self.all_parts(x, y, step)
        self.compiling = False  # it is done, or given up
        return loss

    def all_parts(self, x: np.ndarray, y: np.ndarray, step: int) -> torch.Tensor:
        """Forward and backward of this process's parts of the batch."""
        parts, rows = self.engine.accumulate, self.engine.rows(len(x), self.ranks.count)
        count = int((y >= 0).sum())
        self.model.zero_grad()
        losses = []
        for i in range(parts):
            part = self.ranks.index * parts + i
            mine = slice(part * rows, (part + 1) * rows)
            rng = self.generator(step, part) if self.drops else None
            waits = self.ddp is not None and i < parts - 1  # gradients are averaged once, behind the last part
            with self.ddp.no_sync() if waits else nullcontext():
                losses.append(self.one_part(self.loss, x[mine], y[mine], count, rng))
        return torch.stack(losses).sum()

    def one_part(self, loss_of: Any, x: np.ndarray, y: np.ndarray, count: int, rng: Any) -> torch.Tensor:
        """Add the gradients of a part's share in the mean over `count` targets; return that share."""
        ids, targets = self.model.tensor(x), self.model.tensor(y)
        with autocast(self.precision, self.device):
            mean = loss_of(ids, targets, rng)
        loss = mean * (int((y >= 0).sum()) / max(count, 1))
        # Averaging over the processes divides by their number.
        self.scaler.scale(loss * self.ranks.count).backward()
        return loss.detach()

    def generator(self, step: int, part: int = 0) -> torch.Generator:
        """The source of one step's randomness, or of a part of it, on the model's device."""
        whole_batch = self.engine.accumulate * self.ranks.count == 1
        entropy = [self.config.seed, step] if whole_batch else [self.config.seed, step, part]
        seed = np.random.SeedSequence(entropy).generate_state(1, np.uint64)[0]
        return torch.Generator(self.device).manual_seed(int(seed))

    def state(self) -> dict[str, float]:
        """What a checkpoint needs beside weights and optimiser: fp16's loss scale."""
        return {name: value for name, value in self.scaler.state_dict().items() if name in ("scale", "_growth_tracker")}

    def load_state(self, state: dict[str, float]) -> None:
        if self.scaler.is_enabled() and state:
            self.scaler.load_state_dict({**self.scaler.state_dict(), **state})

    def describe(self) -> str:
        """One line: how steps are computed."""
        e, n = self.engine, self.ranks.count
        rows = e.rows(self.config.batch_size, n)
        names = {
            "fp32": "fp32",
            "bf16": "bf16, weights in fp32",
            "fp16": "fp16 with a gradient scaler, weights in fp32",
        }
        compiled = "compiled" if self.compiling else "not compiled"
        if e.compile and self.drops:
            compiled += " (dropout draws from a generator of its own, which the compiler does not take: --dropout 0)"
        shared = f"{n} processes ({e.parallel})" if n > 1 else "1 process"
        batch = f"a batch of {self.config.batch_size} as {n} x {e.accumulate} x {rows}"
        optimizer = {"adamw": "fused AdamW", "muon": "Muon with fused AdamW"}[self.config.optimizer]
        parts = [names[self.precision], compiled, shared, batch, optimizer]
        return ", ".join(parts + ["blocks recomputed"] * e.recompute)
