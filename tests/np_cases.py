"""Every operation and module of minillm.np with small inputs, all dimensions different: what the tests walk over.

A new operation (a function with a `_backward`) or module without a case here fails test_gradcheck.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from minillm.config import ModelConfig
from minillm.np import attention, position, rnn
from minillm.np import functional as F
from minillm.np.attention import MultiHeadAttention
from minillm.np.bert import BERT
from minillm.np.block import Block, FeedForward
from minillm.np.embeddings import Embeddings
from minillm.np.gpt import GPT
from minillm.np.layers import Dropout, Embedding, LayerNorm, Linear, RMSNorm
from minillm.np.param import Module
from minillm.np.rnn import LSTM, LSTMLanguageModel
from minillm.np.seq2seq import Seq2Seq

B, T, S, H, K, D, N, V, L = 2, 4, 5, 3, 4, 6, 7, 11, 2  # N: any other size


def generator(seed: int = 7) -> np.random.Generator:
    return np.random.default_rng(seed)


IDS = generator().integers(V, size=(B, T))
SRC = generator(8).integers(V, size=(B, S))
PADDING = np.array([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]], bool)  # (B, S)
EMPTY = np.array([[1, 0, 1, 1, 0], [0, 0, 0, 0, 0]], bool)  # (B, S), a sequence of padding alone
ANY_MASK = generator(9).random((B, H, T, S)) < 0.4  # some rows have no True
ANY_MASK[1, 2, 0] = False
TARGETS = np.array([[3, -100, 0, 10], [-100, 5, 5, 1]])


def attend(**options: Any) -> Callable[..., Any]:
    return lambda q, k, v: attention.scaled_dot_product_attention(q, k, v, **options)


@dataclasses.dataclass
class Case:
    """`forward(*arrays) -> out, cache` and `backward(*douts, cache) -> gradients` of arrays of these shapes."""

    forward: Callable[..., Any]
    backward: Callable[..., Any]
    shapes: list[tuple[int, ...]]
    samples: int | None = None

    def arrays(self, rng: np.random.Generator, dtype: Any = np.float64) -> list[np.ndarray]:
        return [rng.standard_normal(shape).astype(dtype) for shape in self.shapes]


def both_biases(*arguments: Any) -> tuple[Any, ...]:
    *grads, db = rnn.lstm_backward(*arguments)
    return (*grads, db, db)


ATTENTION = attention.scaled_dot_product_attention_backward
QKV = [(B, H, T, K), (B, H, S, K), (B, H, S, K)]
LONG = [(1, 1, attention.BLOCK + 3, 2), (1, 1, attention.BLOCK + 5, 2), (1, 1, attention.BLOCK + 5, 2)]

# "operation" or "operation: what is special"
OPERATIONS = {
    "linear": Case(F.linear, F.linear_backward, [(B, T, D), (N, D), (N,)]),
    "linear: no bias": Case(F.linear, lambda d, c: F.linear_backward(d, c)[:2], [(B, T, D), (N, D)]),
    "embedding": Case(lambda w: F.embedding(IDS, w), lambda d, c: (F.embedding_backward(d, c),), [(V, D)]),
    "softmax": Case(F.softmax, lambda d, c: (F.softmax_backward(d, c),), [(B, T, S)]),
    "log_softmax": Case(F.log_softmax, lambda d, c: (F.log_softmax_backward(d, c),), [(B, T, S)]),
    "cross_entropy": Case(
        lambda x: F.cross_entropy(x, IDS), lambda d, c: (F.cross_entropy_backward(d, c),), [(B, T, V)]
    ),
    "cross_entropy: ignored targets": Case(
        lambda x: F.cross_entropy(x, TARGETS), lambda d, c: (F.cross_entropy_backward(d, c),), [(B, T, V)]
    ),
    "cross_entropy: nothing to count": Case(
        lambda x: F.cross_entropy(x, np.full((B, T), -100)),
        lambda d, c: (F.cross_entropy_backward(d, c),),
        [(B, T, V)],
    ),
    "relu": Case(F.relu, lambda d, c: (F.relu_backward(d, c),), [(B, T, D)]),
    "relu2": Case(F.relu2, lambda d, c: (F.relu2_backward(d, c),), [(B, T, D)]),
    "gelu": Case(F.gelu, lambda d, c: (F.gelu_backward(d, c),), [(B, T, D)]),
    "gelu: tanh": Case(lambda x: F.gelu(x, "tanh"), lambda d, c: (F.gelu_backward(d, c),), [(B, T, D)]),
    "silu": Case(F.silu, lambda d, c: (F.silu_backward(d, c),), [(B, T, D)]),
    "swiglu": Case(F.swiglu, F.swiglu_backward, [(B, T, D), (B, T, D)]),
    "layer_norm": Case(F.layer_norm, F.layer_norm_backward, [(B, T, D), (D,), (D,)]),
    "layer_norm: no bias": Case(F.layer_norm, lambda d, c: F.layer_norm_backward(d, c)[:2], [(B, T, D), (D,)]),
    "layer_norm: large eps": Case(
        lambda x, w, b: F.layer_norm(x, w, b, 0.5), F.layer_norm_backward, [(B, T, D), (D,), (D,)]
    ),
    "rms_norm": Case(F.rms_norm, F.rms_norm_backward, [(B, T, D), (D,)]),
    "rms_norm: large eps": Case(lambda x, w: F.rms_norm(x, w, 0.5), F.rms_norm_backward, [(B, T, D), (D,)]),
    "dropout": Case(lambda x: F.dropout(x, 0.4, generator()), lambda d, c: (F.dropout_backward(d, c),), [(B, T, D)]),
    "dropout: off": Case(lambda x: F.dropout(x, 0.4, None), lambda d, c: (F.dropout_backward(d, c),), [(B, T, D)]),
    "mean_pool": Case(lambda x: F.mean_pool(x, PADDING), lambda d, c: (F.mean_pool_backward(d, c),), [(B, S, D)]),
    "mean_pool: only padding": Case(
        lambda x: F.mean_pool(x, EMPTY), lambda d, c: (F.mean_pool_backward(d, c),), [(B, S, D)]
    ),
    "rotary": Case(position.rotary, lambda d, c: (position.rotary_backward(d, c),), [(B, H, T, K)]),
    "rotary: later start": Case(
        lambda x: position.rotary(x, 5), lambda d, c: (position.rotary_backward(d, c),), [(B, H, T, K)]
    ),
    "rotary: base": Case(
        lambda x: position.rotary(x, 2, 9.0), lambda d, c: (position.rotary_backward(d, c),), [(B, H, T, K)]
    ),
    "repeat_heads": Case(
        lambda x: attention.repeat_heads(x, 3),
        lambda d, c: (attention.repeat_heads_backward(d, c),),
        [(B, H, T, K)],
    ),
    "scaled_dot_product_attention": Case(attend(), ATTENTION, QKV),
    "scaled_dot_product_attention: padding": Case(attend(mask=PADDING[:, None, None]), ATTENTION, QKV),
    "scaled_dot_product_attention: only padding": Case(attend(mask=EMPTY[:, None, None]), ATTENTION, QKV),
    "scaled_dot_product_attention: any mask": Case(attend(mask=ANY_MASK), ATTENTION, QKV),
    "scaled_dot_product_attention: causal, S > T": Case(attend(causal=True), ATTENTION, QKV),
    "scaled_dot_product_attention: causal, S = T": Case(attend(causal=True), ATTENTION, [(B, H, T, K)] * 3),
    "scaled_dot_product_attention: causal and any mask": Case(attend(causal=True, mask=ANY_MASK), ATTENTION, QKV),
    "scaled_dot_product_attention: several blocks": Case(attend(causal=True), ATTENTION, LONG, samples=60),
    "scaled_dot_product_attention: several blocks, masked": Case(
        attend(causal=True, mask=generator().random((1, 1, 1, LONG[1][2])) < 0.3), ATTENTION, LONG, samples=60
    ),
    "scaled_dot_product_attention: dropout": Case(
        lambda q, k, v: attend(dropout=0.4, rng=generator())(q, k, v), ATTENTION, QKV
    ),
    "lstm_cell": Case(rnn.lstm_cell, rnn.lstm_cell_backward, [(B, 4 * N), (B, N)]),
    "lstm": Case(
        rnn.lstm, both_biases, [(B, T, D), (B, N), (B, N), (4 * N, D), (4 * N, N), (4 * N,), (4 * N,)], samples=40
    ),
}


@dataclasses.dataclass
class Model:
    """`make(rng=, dtype=)` builds the module; `inputs` are shapes of float arrays (tuples of shapes: nested), or
    what is passed as it is."""

    make: Callable[..., Module]
    inputs: list[Any]
    options: dict[str, Any] = dataclasses.field(default_factory=dict)
    dropout_seed: int | None = None

    def draw(self, rng: np.random.Generator, dtype: Any = np.float64) -> list[Any]:
        def values(item: Any) -> Any:
            if isinstance(item, tuple) and isinstance(item[0], tuple):
                return tuple(map(values, item))
            return rng.standard_normal(item).astype(dtype) if isinstance(item, tuple) else item

        return [values(item) for item in self.inputs]


def config(**changes: Any) -> ModelConfig:
    return ModelConfig(
        **{"vocab_size": V, "context": 9, "n_layer": L, "n_head": 2, "d_model": 8, "d_ff": 10, **changes}
    )


LLAMA = {"norm": "rmsnorm", "position": "rotary", "activation": "swiglu", "bias": False, "tied": False}
QWEN3 = LLAMA | {"qk_norm": True, "n_kv_head": 1, "d_head": 6, "tied": True}
SINUSOIDAL = {"position": "sinusoidal", "activation": "gelu", "bias": False}
RELU = {"activation": "relu", "tied": False}


def made(kind: Callable[..., Module], *arguments: Any, **options: Any) -> Callable[..., Module]:
    return lambda rng, dtype: kind(*arguments, **options, rng=rng, dtype=dtype)


def model(kind: Callable[..., Module], *arguments: Any, **changes: Any) -> Callable[..., Module]:
    return made(kind, config(**changes), *arguments)


DX, MEMORY = (B, T, 8), (B, S, 8)
MODULES = {
    "Linear": Model(made(Linear, D, N), [(B, T, D)]),
    "Linear: no bias": Model(made(Linear, D, N, bias=False), [(B, T, D)]),
    "Embedding": Model(made(Embedding, V, D), [IDS]),
    "LayerNorm": Model(lambda rng, dtype: LayerNorm(D, dtype=dtype), [(B, T, D)]),
    "LayerNorm: no bias": Model(lambda rng, dtype: LayerNorm(D, bias=False, dtype=dtype), [(B, T, D)]),
    "RMSNorm": Model(lambda rng, dtype: RMSNorm(D, dtype=dtype), [(B, T, D)]),
    "Dropout": Model(lambda rng, dtype: Dropout(0.4), [(B, T, D)], dropout_seed=1),
    "MultiHeadAttention": Model(made(MultiHeadAttention, 6, 3), [(B, T, 6)]),
    "MultiHeadAttention: causal, no bias": Model(made(MultiHeadAttention, 6, 3, causal=True, bias=False), [(B, T, 6)]),
    "MultiHeadAttention: causal rotary, padding": Model(
        made(MultiHeadAttention, 12, 3, causal=True, rotary=True), [(B, S, 12)], {"mask": EMPTY[:, None, None]}
    ),
    "MultiHeadAttention: cross": Model(
        made(MultiHeadAttention, 6, 3), [(B, T, 6), (B, S, 6)], {"mask": PADDING[:, None, None]}
    ),
    "MultiHeadAttention: cross, rotary": Model(made(MultiHeadAttention, 12, 3, rotary=True), [(B, T, 12), (B, S, 12)]),
    "MultiHeadAttention: cross, no bias, dropout": Model(
        made(MultiHeadAttention, 6, 3, bias=False, dropout=0.4), [(B, T, 6), (B, S, 6)], dropout_seed=1
    ),
    "MultiHeadAttention: groups": Model(
        made(MultiHeadAttention, 6, 4, n_kv_head=2, d_head=3, causal=True), [(B, T, 6)]
    ),
    "MultiHeadAttention: groups, normalised, rotary, padding": Model(
        made(MultiHeadAttention, 5, 6, n_kv_head=2, d_head=4, qk_norm=True, rotary=True, causal=True),
        [(B, S, 5)],
        {"mask": EMPTY[:, None, None]},
    ),
    "MultiHeadAttention: groups, normalised, cross": Model(
        made(MultiHeadAttention, 6, 3, n_kv_head=1, qk_norm=True, bias=False),
        [(B, T, 6), (B, S, 6)],
        {"mask": PADDING[:, None, None]},
    ),
    "FeedForward: gelu_tanh": Model(model(FeedForward), [DX]),
    "FeedForward: gelu": Model(model(FeedForward, activation="gelu"), [DX]),
    "FeedForward: relu": Model(model(FeedForward, activation="relu", bias=False), [DX]),
    "FeedForward: relu2": Model(model(FeedForward, activation="relu2"), [DX]),
    "FeedForward: swiglu": Model(model(FeedForward, activation="swiglu"), [DX]),
    "Block": Model(made(Block, config(), causal=False), [MEMORY], {"mask": PADDING[:, None, None]}),
    "Block: Llama": Model(made(Block, config(**LLAMA), causal=True), [DX]),
    "Block: cross": Model(
        made(Block, config(**SINUSOIDAL), causal=True, cross=True),
        [DX, None, MEMORY],
        {"memory_mask": EMPTY[:, None, None]},
    ),
    "Block: dropout": Model(
        made(Block, config(dropout=0.4), causal=True, cross=True), [DX, None, MEMORY], dropout_seed=1
    ),
    "Embeddings": Model(model(Embeddings), [IDS]),
    "Embeddings: sinusoidal": Model(model(Embeddings, position="sinusoidal"), [IDS], {"start": 2}),
    "Embeddings: rotary": Model(model(Embeddings, position="rotary"), [IDS]),
    "Embeddings: later start": Model(model(Embeddings), [IDS], {"start": 2}),
    "GPT": Model(model(GPT), [IDS]),
    "GPT: Llama": Model(model(GPT, **LLAMA), [IDS]),
    "GPT: Qwen3": Model(model(GPT, **QWEN3), [IDS]),
    "GPT: sinusoidal": Model(model(GPT, **SINUSOIDAL), [IDS]),
    "GPT: dropout": Model(model(GPT, **RELU, dropout=0.3), [IDS], dropout_seed=1),
    "BERT": Model(model(BERT), [SRC, PADDING]),
    "BERT: no mask, untied": Model(model(BERT, **LLAMA), [SRC]),
    "BERT: classes": Model(model(BERT, 3), [SRC, PADDING]),
    "BERT: classes, no mask, dropout": Model(model(BERT, 3, dropout=0.3), [SRC], dropout_seed=1),
    "Seq2Seq": Model(model(Seq2Seq), [SRC, IDS, PADDING]),
    "Seq2Seq: Llama": Model(model(Seq2Seq, **LLAMA), [SRC, IDS]),
    "Seq2Seq: only padding, dropout": Model(model(Seq2Seq, dropout=0.3), [SRC, IDS, EMPTY], dropout_seed=1),
    "LSTM": Model(made(LSTM, D, N), [(B, T, D)]),
    "LSTM: two layers, state": Model(made(LSTM, D, N, 2), [(B, T, D), ((2, B, N), (2, B, N))]),
    "LSTMLanguageModel": Model(made(LSTMLanguageModel, V, D, N, 2), [IDS]),
    "LSTMLanguageModel: dropout": Model(made(LSTMLanguageModel, V, D, N, dropout=0.4), [IDS], dropout_seed=1),
}
