"""From token ids to vectors: what a Transformer reads, shared by GPT, BERT and the encoder-decoder.

Shapes: ids (B, T) int -> (B, T, D), T at most `context`.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from minillm.config import ModelConfig
from minillm.pt.layers import Embedding
from minillm.pt.param import Module
from minillm.pt.position import sinusoidal


class Embeddings(Module):
    """Token vectors plus, unless the positions are rotary, position vectors.  ids (B, T) -> (B, T, D)"""

    table: Tensor | None

    def __init__(
        self,
        config: ModelConfig,
        *,
        rng: np.random.Generator,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str | None = None,
    ) -> None:
        super().__init__()
        self.context = config.context
        kwargs: dict[str, Any] = {"std": config.init_std, "rng": rng, "dtype": dtype, "device": device}
        self.tok = Embedding(config.vocab_size, config.d_model, **kwargs)
        self.pos = Embedding(config.context, config.d_model, **kwargs) if config.position == "learned" else None
        table = None
        if config.position == "sinusoidal":  # brought to the size of a token vector's entries
            table = (config.init_std * sinusoidal(config.context, config.d_model)).to(dtype).to(device=device)
        self.register_buffer("table", table, persistent=False)  # moves with the model, is not saved with it

    def forward(self, ids: Tensor, start: int = 0) -> Tensor:
        """`start` is the position of the first column of ids."""
        end = start + ids.shape[1]
        if end > self.context:
            raise ValueError(f"{end} positions asked of a model with a context of {self.context}")
        x = self.tok(ids)
        table = self.table if self.pos is None else self.pos.weight
        return x if table is None else x + table[start:end]
