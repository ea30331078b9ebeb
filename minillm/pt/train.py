"""One training step of a language model in PyTorch: forward, backward, clip, update.

A step's randomness (dropout) comes from a generator seeded with (seed, step) alone. So a run that is
stopped and resumed at any step continues with the very numbers that it would have had.
"""

import math

import numpy as np
import torch

from minillm.config import TrainConfig
from minillm.pt import functional as F
from minillm.pt.lm import LanguageModel
from minillm.pt.muon import Muon, muon_groups
from minillm.pt.optim import AdamW, clip_grad_norm, decay_groups
from minillm.schedule import StepResult, learning_rate


class Trainer:
    """A model, its optimiser (AdamW or Muon, with decay groups) and its schedule."""

    def __init__(self, model: LanguageModel, config: TrainConfig) -> None:
        self.model, self.config = model, config
        kind, grouped = (Muon, muon_groups) if config.optimizer == "muon" else (AdamW, decay_groups)
        self.optimizer = kind(grouped(model, config.weight_decay), config.lr, config.betas, config.eps)

    def step(self, x: np.ndarray, y: np.ndarray, step: int) -> StepResult:
        """Learn from one batch, x, y (B, T) int; negative targets do not count. `step` counts from 0."""
        c = self.config
        lr = learning_rate(step, lr=c.lr, steps=c.steps, warmup=c.warmup, min_lr=c.min_lr, schedule=c.schedule)
        self.optimizer.set_lr(lr)
        ids, targets = self.model.tensor(x), self.model.tensor(y)
        logits = self.model(ids, rng=self.generator(step))
        loss = F.cross_entropy(logits, targets.masked_fill(targets < 0, -100))
        self.model.zero_grad()
        loss.backward()
        norm = clip_grad_norm(self.model.parameters(), c.clip or math.inf)
        self.optimizer.step()
        return StepResult(loss.item(), lr, norm.item())

    def generator(self, step: int) -> torch.Generator:
        """The source of one step's randomness, on the model's device."""
        seed = np.random.SeedSequence([self.config.seed, step]).generate_state(1, np.uint64)[0]
        return torch.Generator(next(self.model.parameters()).device).manual_seed(int(seed))
