"""LSTM: a recurrent network whose memory is kept, not rewritten, from step to step.

    i, f, o = σ(z_i), σ(z_f), σ(z_o),  g = tanh(z_g),  where z = W_ih x + b_ih + W_hh h + b_hh
    c' = f c + i g            what to keep of the old memory, what to add
    h' = o tanh(c')           what to show of it

Hochreiter and Schmidhuber 1997 (Neural Computation 9); the forget gate f is from Gers et al. 2000. Names,
shapes and the order of the gates, i f g o, are those of torch.nn.LSTM with batch_first.
Here H is the size of the hidden state: x (B, T, D), h and c (B, H), z (B, 4H), weights (4H, D) and (4H, H).
"""

from typing import Any

import numpy as np

from minillm.np import functional as F
from minillm.np.layers import Dropout, Embedding, Linear
from minillm.np.lm import LanguageModel
from minillm.np.param import Array, Cache, Module, Param

State = tuple[Array, Array]


def sigmoid(x: Array) -> Array:
    """σ(x) = 1 / (1 + exp(-x)), written with tanh so that nothing overflows."""
    return 0.5 * np.tanh(0.5 * x) + 0.5


def lstm_cell(z: Array, c: Array) -> tuple[State, Cache]:
    """One step: z (B, 4H) before the activations, memory c (B, H) -> h, c (B, H)"""
    zi, zf, zg, zo = np.split(z, 4, axis=-1)  # (B, H) each
    i, f, g, o = sigmoid(zi), sigmoid(zf), np.tanh(zg), sigmoid(zo)
    c_next = f * c + i * g
    shown = np.tanh(c_next)
    return (o * shown, c_next), (i, f, g, o, c, shown)


def lstm_cell_backward(dh: Array, dc: Array, cache: Cache) -> tuple[Array, Array]:
    """dh, dc (B, H) -> dz (B, 4H), dc of the memory before.  σ' = σ (1 - σ),  tanh' = 1 - tanh²"""
    i, f, g, o, c, shown = cache
    dc = dc + dh * o * (1 - shown * shown)  # the new memory acts through h too
    dzi = dc * g * i * (1 - i)
    dzf = dc * c * f * (1 - f)
    dzg = dc * i * (1 - g * g)
    dzo = dh * shown * o * (1 - o)
    return np.concatenate([dzi, dzf, dzg, dzo], axis=-1), dc * f


def lstm(
    x: Array, h: Array, c: Array, w_ih: Array, w_hh: Array, b_ih: Array, b_hh: Array
) -> tuple[tuple[Array, State], Cache]:
    """One layer over all steps.  x (B, T, D), h, c (B, H) -> y (B, T, H) and the last h, c

    The inputs of all steps are multiplied at once; only the product with h has to wait for the step before.
    """
    z, z_cache = F.linear(x, w_ih, b_ih + b_hh)  # (B, T, 4H)
    y = np.empty((*x.shape[:2], h.shape[-1]), dtype=x.dtype)
    h0, cells = h, []
    for t in range(x.shape[1]):
        (h, c), cell = lstm_cell(z[:, t] + h @ w_hh.T, c)
        y[:, t] = h
        cells.append(cell)
    return (y, (h, c)), (z_cache, h0, y, w_hh, cells)


def lstm_backward(dy: Array, dh: Array, dc: Array, cache: Cache) -> tuple[Any, ...]:
    """Back-propagation through time: from the last step to the first, dh and dc carry what later steps want.

    dy (B, T, H), dh, dc (B, H) of the last state -> dx, dh, dc of the first state, dw_ih, dw_hh, db. Both
    biases have the gradient db.
    """
    z_cache, h0, y, w_hh, cells = cache
    dz = np.empty((*y.shape[:2], len(w_hh)), dtype=y.dtype)  # (B, T, 4H)
    for t in reversed(range(len(cells))):
        dz[:, t], dc = lstm_cell_backward(dy[:, t] + dh, dc, cells[t])
        dh = dz[:, t] @ w_hh
    dx, dw_ih, db = F.linear_backward(dz, z_cache)
    before = np.concatenate([h0[:, None], y], axis=1)[:, :-1]  # the h that each step started from
    dw_hh = np.tensordot(dz, before, axes=((0, 1), (0, 1)))
    return dx, dh, dc, dw_ih, dw_hh, db


class LSTM(Module):
    """`n_layer` LSTM layers, each reading the one below.  x (B, T, D) -> y (B, T, H), states (L, B, H)"""

    def __init__(
        self, d_in: int, d_hidden: int, n_layer: int = 1, *, rng: np.random.Generator, dtype: Any = np.float32
    ) -> None:
        self.d_hidden, self.n_layer = d_hidden, n_layer
        bound = d_hidden**-0.5
        for layer in range(n_layer):
            shapes = {
                "weight_ih": (4 * d_hidden, d_hidden if layer else d_in),
                "weight_hh": (4 * d_hidden, d_hidden),
                "bias_ih": (4 * d_hidden,),
                "bias_hh": (4 * d_hidden,),
            }
            for name, shape in shapes.items():
                setattr(self, f"{name}_l{layer}", Param(rng.uniform(-bound, bound, shape).astype(dtype)))

    def weights(self, layer: int) -> list[Param]:
        """weight_ih, weight_hh, bias_ih, bias_hh of one layer."""
        return [getattr(self, f"{name}_l{layer}") for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]

    def forward(self, x: Array, state: State | None = None) -> tuple[tuple[Array, State], Cache]:
        """`state` is (h, c), each (L, B, H), zeros if not given. Returns (y, last state) and the cache."""
        zeros = np.zeros((self.n_layer, len(x), self.d_hidden), dtype=x.dtype)
        h0, c0 = state or (zeros, zeros)
        y, states, caches = x, [], []
        for layer in range(self.n_layer):
            (y, last), cache = lstm(y, h0[layer], c0[layer], *(p.data for p in self.weights(layer)))
            states.append(last)
            caches.append(cache)
        h, c = (np.stack(parts) for parts in zip(*states, strict=True))  # (L, B, H)
        return (y, (h, c)), tuple(caches)

    def backward(self, dy: Array, cache: Cache, dstate: State | None = None) -> tuple[Array, State]:
        """dy (B, T, H), and `dstate` (dh, dc) of the last state, zeros if not given -> dx, (dh, dc) of the first"""
        zeros = np.zeros((self.n_layer, len(dy), self.d_hidden), dtype=dy.dtype)
        dh, dc = dstate or (zeros, zeros)
        dh0, dc0 = np.empty_like(zeros), np.empty_like(zeros)
        for layer in reversed(range(self.n_layer)):
            dy, dh0[layer], dc0[layer], dw_ih, dw_hh, db = lstm_backward(dy, dh[layer], dc[layer], cache[layer])
            grads = (dw_ih, dw_hh, db, db.copy())  # a copy, for each parameter owns its gradient
            for param, grad in zip(self.weights(layer), grads, strict=True):
                param.accumulate(grad)
        return dy, (dh0, dc0)


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
        dtype: Any = np.float32,
    ) -> None:
        self.tok = Embedding(vocab_size, d_model, rng=rng, dtype=dtype)
        self.lstm = LSTM(d_model, d_hidden, n_layer, rng=rng, dtype=dtype)
        self.lm_head = Linear(d_hidden, vocab_size, rng=rng, dtype=dtype)
        self.drop = Dropout(dropout)

    def forward(self, ids: Array, rng: np.random.Generator | None = None) -> tuple[Array, Cache]:
        x, tok_cache = self.tok(ids)  # (B, T, D)
        x, in_cache = self.drop(x, rng)
        (y, _), lstm_cache = self.lstm(x)  # (B, T, H)
        y, out_cache = self.drop(y, rng)
        logits, head_cache = self.lm_head(y)  # (B, T, V)
        return logits, (tok_cache, in_cache, lstm_cache, out_cache, head_cache)

    def backward(self, dlogits: Array, cache: Cache) -> None:
        tok_cache, in_cache, lstm_cache, out_cache, head_cache = cache
        dy = self.drop.backward(self.lm_head.backward(dlogits, head_cache), out_cache)
        dx, _ = self.lstm.backward(dy, lstm_cache)
        self.tok.backward(self.drop.backward(dx, in_cache), tok_cache)
