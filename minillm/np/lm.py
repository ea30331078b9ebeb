"""What every language model can do beside forward and backward: rate a text and name the next token.

Both results are plain NumPy arrays here and in the PyTorch twin, so that generation and evaluation need
not know which one they hold. Shapes: ids, targets (B, T) int.
"""

from typing import Any

import numpy as np

from minillm.np import functional as F
from minillm.np.param import Array, Module


class LanguageModel(Module):
    """Base of the models whose `forward(ids, ...)` gives logits (B, T, V) of the next token."""

    def next_logits(self, ids: Array, kv: Any = None) -> Array:
        """Logits of the token after the last one.  ids (B, T) -> (B, V)"""
        logits, _ = self.forward(ids) if kv is None else self.forward(ids, kv=kv)
        return logits[:, -1]

    def token_nll(self, ids: Array, targets: Array) -> Array:
        """-log p(target) in nats at every position, 0 where the target is negative.  -> (B, T)"""
        logits, _ = self.forward(ids)
        log_p, _ = F.log_softmax(logits)
        nll = -np.take_along_axis(log_p, np.maximum(targets, 0)[..., None], axis=-1)[..., 0]
        return np.where(targets >= 0, nll, 0)
