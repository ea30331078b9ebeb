"""One training step of a language model in NumPy: forward, backward, clip, update.

A step's randomness (dropout) comes from a generator seeded with (seed, step) alone. So a run that is
stopped and resumed at any step continues with the very numbers that it would have had.
"""

import math

import numpy as np

from minillm.config import TrainConfig
from minillm.np.lm import LanguageModel
from minillm.np.muon import Muon, muon_groups
from minillm.np.optim import AdamW, clip_grad_norm, decay_groups
from minillm.np.param import Array
from minillm.np.speed import DataParallel
from minillm.schedule import StepResult, learning_rate


class Trainer:
    """A model, its optimiser (AdamW or Muon, with decay groups) and its schedule."""

    def __init__(self, model: LanguageModel, config: TrainConfig, copies: int | None = None) -> None:
        self.model, self.config = model, config
        kind, grouped = (Muon, muon_groups) if config.optimizer == "muon" else (AdamW, decay_groups)
        self.optimizer = kind(grouped(model, config.weight_decay), config.lr, config.betas, config.eps)
        self.parallel = DataParallel(model, copies)

    def step(self, x: Array, y: Array, step: int) -> StepResult:
        """Learn from one batch, x, y (B, T) int; targets of -100 do not count. `step` counts from 0."""
        c = self.config
        lr = learning_rate(step, lr=c.lr, steps=c.steps, warmup=c.warmup, min_lr=c.min_lr, schedule=c.schedule)
        self.optimizer.set_lr(lr)
        with self.parallel.running():
            loss = self.parallel.loss_and_grad(x, y, np.random.default_rng([c.seed, step]))
            norm = clip_grad_norm(self.model.parameters(), c.clip or np.inf)
            if math.isfinite(norm):  # else the weights stay as they are, for who looks for the reason
                self.optimizer.step()
        return StepResult(loss, lr, norm)
