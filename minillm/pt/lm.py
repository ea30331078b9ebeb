"""What every language model can do beside forward: rate a text and name the next token.

NumPy arrays in and out, as in the NumPy twin, so that generation and evaluation need not know which one
they hold. Shapes: ids, targets (B, T) int.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from minillm.pt import functional as F
from minillm.pt.param import Module


class LanguageModel(Module):
    """Base of the models whose `forward(ids, ...)` gives logits (B, T, V) of the next token."""

    @torch.inference_mode()
    def next_logits(self, ids: np.ndarray, kv: Any = None) -> np.ndarray:
        """Logits of the token after the last one.  ids (B, T) -> (B, V)"""
        logits = self(self.tensor(ids)) if kv is None else self(self.tensor(ids), kv=kv)
        return to_numpy(logits[:, -1])

    @torch.inference_mode()
    def token_nll(self, ids: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """-log p(target) in nats at every position, 0 where the target is negative.  -> (B, T)"""
        right = self.tensor(targets)
        log_p = F.log_softmax(self(self.tensor(ids)))
        nll = -log_p.gather(-1, right.clamp(min=0)[..., None])[..., 0]
        return to_numpy(nll.masked_fill(right < 0, 0))

    def tensor(self, ids: np.ndarray) -> Tensor:
        """Ids where the weights are."""
        return torch.as_tensor(ids).to(device=next(self.parameters()).device, dtype=torch.long)


def to_numpy(x: Tensor) -> np.ndarray:
    """On the CPU; half precision, of which NumPy knows but one kind, becomes float32."""
    return (x.float() if x.itemsize < 4 else x).cpu().numpy()
