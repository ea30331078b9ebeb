"""LSTM: a recurrent network whose memory is kept, not rewritten, from step to step.

    i, f, o = σ(z_i), σ(z_f), σ(z_o),  g = tanh(z_g),  where z = W_ih x + b_ih + W_hh h + b_hh
    c' = f c + i g            what to keep of the old memory, what to add
    h' = o tanh(c')           what to show of it

Hochreiter and Schmidhuber 1997 (Neural Computation 9); the forget gate f is from Gers et al. 2000.
Here H is the size of the hidden state: x (B, T, D), h and c (B, H), z (B, 4H), weights (4H, D) and (4H, H).
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from minillm.pt.layers import Dropout, Embedding, Linear
from minillm.pt.lm import LanguageModel

State = tuple[Tensor, Tensor]


def sigmoid(x: Tensor) -> Tensor:
    """σ(x) = 1 / (1 + exp(-x))"""
    return torch.sigmoid(x)


def lstm_cell(z: Tensor, c: Tensor) -> State:
    """One step: z (B, 4H) before the activations, memory c (B, H) -> h, c (B, H)"""
    i, f, g, o = z.chunk(4, dim=-1)  # (B, H) each
    c = sigmoid(f) * c + sigmoid(i) * torch.tanh(g)
    return sigmoid(o) * torch.tanh(c), c


def lstm(
    x: Tensor, h: Tensor, c: Tensor, w_ih: Tensor, w_hh: Tensor, b_ih: Tensor, b_hh: Tensor
) -> tuple[Tensor, State]:
    """One layer over all steps.  x (B, T, D), h, c (B, H) -> y (B, T, H) and the last h, c"""
    weights = {"weight_ih_l0": w_ih, "weight_hh_l0": w_hh, "bias_ih_l0": b_ih, "bias_hh_l0": b_hh}
    layer = nn.LSTM(x.shape[-1], h.shape[-1], batch_first=True, device="meta")  # the fused loop; brings no weights
    y, (h_last, c_last) = torch.func.functional_call(layer, weights, (x, (h[None], c[None])))
    return y, (h_last[0], c_last[0])


class LSTM(nn.LSTM):
    """`n_layer` LSTM layers, each reading the one below.  x (B, T, D) -> y (B, T, H), states (L, B, H)"""

    def __init__(
        self,
        d_in: int,
        d_hidden: int,
        n_layer: int = 1,
        *,
        rng: np.random.Generator,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str | None = None,
    ) -> None:
        super().__init__(d_in, d_hidden, n_layer, batch_first=True, dtype=dtype, device=device)
        bound = d_hidden**-0.5
        with torch.no_grad():
            for weight in self.parameters():
                weight.copy_(torch.from_numpy(rng.uniform(-bound, bound, weight.shape)).to(dtype))

    def forward(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:  # type: ignore[override]
        """`state` is (h, c), each (L, B, H), zeros if not given. Returns (y, last state)."""
        return super().forward(x, state)


class LSTMLanguageModel(LanguageModel):
    """Token vectors -> LSTM -> logits of the next token. Dropout stands on the way in and on the way out, not
    between steps (Zaremba et al. 2014, arXiv 1409.2329).  ids (B, T) -> (B, T, V)"""

    def __init__(
        self,
        vocab_size: int,
        d_model: int,
        d_hidden: int,
        n_layer: int = 1,
        *,
        dropout: float = 0.0,
        rng: np.random.Generator,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str | None = None,
    ) -> None:
        super().__init__()
        kwargs: dict[str, Any] = {"rng": rng, "dtype": dtype, "device": device}
        self.tok = Embedding(vocab_size, d_model, **kwargs)
        self.lstm = LSTM(d_model, d_hidden, n_layer, **kwargs)
        self.lm_head = Linear(d_hidden, vocab_size, **kwargs)
        self.drop = Dropout(dropout)

    def forward(self, ids: Tensor, rng: torch.Generator | None = None) -> Tensor:
        y, _ = self.lstm(self.drop(self.tok(ids), rng))  # (B, T, H)
        return self.lm_head(self.drop(y, rng))  # (B, T, V)
