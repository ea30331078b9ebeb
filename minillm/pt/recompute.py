"""Activation checkpointing: keep a block's input alone, and compute the block again when its backward comes.

Chen et al. 2016 (arXiv 1604.06174): memory of one block's activations instead of L, for a third more arithmetic.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint


def recompute_blocks(blocks: nn.ModuleList) -> None:
    """Let every block forget what it computed while gradients are asked for."""
    for block in blocks:
        block.forward = forgetful(block.forward)


def forgetful(forward: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """A block's forward that is computed twice, the second time with the same dropout."""

    def call(x: Tensor, *, rng: torch.Generator | None = None, **options: Any) -> Tensor:
        if not torch.is_grad_enabled():
            return forward(x, rng=rng, **options)
        before = None if rng is None else rng.get_state()

        def again(x: Tensor) -> Tensor:
            if rng is not None and before is not None:
                rng.set_state(before)  # torch would only look after its global generator
            return forward(x, rng=rng, **options)

        out: Tensor = checkpoint(again, x, use_reentrant=False, preserve_rng_state=False)
        return out

    return call
