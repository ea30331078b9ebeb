"""What test_parity.py feeds to each public class and function of minillm.np and its twin.

A case draws its inputs from a generator: floating-point inputs get gradients, all others do not. All
dimensions of a case differ, so that a swapped axis cannot go unnoticed. With `init` the case is a class and
`init` its constructor's arguments.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from minillm.config import ModelConfig

B, T, S, L, H, K, D, F, V, CONTEXT = 2, 5, 7, 3, 4, 6, 24, 10, 11, 9
Spec = Callable[[np.random.Generator], Any]


@dataclass(frozen=True)
class Case:
    label: str
    inputs: dict[str, Any]
    init: dict[str, Any] | None = None
    dropout: bool = False
    backward: Callable[..., Any] | None = None  # (module, cache, *douts) -> gradients, where it is called another way
    collect: Callable[[tuple], tuple] = field(default=lambda grads: grads)  # one gradient for each float input


def case(
    label: str = "plain",
    *,
    init: dict[str, Any] | None = None,
    dropout: bool = False,
    backward: Callable[..., Any] | None = None,
    collect: Callable[[tuple], tuple] = lambda grads: grads,
    **inputs: Any,
) -> Case:
    return Case(label, inputs, init, dropout, backward, collect)


def normal(*shape: int) -> Spec:
    return lambda rng: rng.standard_normal(shape)


def ids(high: int, *shape: int) -> Spec:
    return lambda rng: rng.integers(high, size=shape)


def targets(high: int, *shape: int, ignored: float = 0.4) -> Spec:
    return lambda rng: np.where(rng.random(shape) < ignored, -100, rng.integers(high, size=shape))


def mask(*shape: int) -> Spec:
    """Random, with the first row of keys all masked."""

    def draw(rng: np.random.Generator) -> np.ndarray:
        seen = rng.random(shape) < 0.6
        seen.reshape(-1, shape[-1])[0] = False
        return seen

    return draw


def partly_infinite(*shape: int) -> Spec:
    """Scores as a mask leaves them: some -inf, one row nothing but -inf."""
    return lambda rng: np.where(mask(*shape)(rng), rng.standard_normal(shape), -np.inf)


def config(**changes: Any) -> ModelConfig:
    shape = {"vocab_size": V, "context": CONTEXT, "n_layer": L, "n_head": H, "d_model": D, "d_ff": F}
    return ModelConfig(**{**shape, **changes})


LLAMA = {"norm": "rmsnorm", "position": "rotary", "activation": "swiglu", "bias": False, "tied": False}
CONFIGS = {
    "gpt2": config(),
    "untied": config(tied=False),
    "no bias": config(bias=False),
    "relu sinusoidal": config(activation="relu", position="sinusoidal"),
    "gelu rmsnorm": config(activation="gelu", norm="rmsnorm", norm_eps=1e-3),
    "llama": config(**LLAMA),
    "rotary with bias": config(position="rotary", activation="swiglu"),
    "qwen3": config(**LLAMA | {"tied": True}, qk_norm=True, n_kv_head=1, d_head=6, rope_base=1e6, norm_eps=1e-6),
    "squared relu, large first weights": config(activation="relu2", position="sinusoidal", init_std=0.3),
    "grouped queries with bias": config(n_head=4, n_kv_head=2, d_head=2, qk_norm=True),
    "dropout": config(dropout=0.3),
}


def for_configs(inputs: dict[str, Any], dropout: bool = True, **init: Any) -> list[Case]:
    """One case for each configuration, without the one with dropout if the class has none."""
    return [
        case(label, init={"config": c, **init}, dropout=c.dropout > 0, **inputs)
        for label, c in CONFIGS.items()
        if dropout or not c.dropout
    ]


X, QKV = normal(B, T, D), {"q": normal(B, H, T, K), "k": normal(B, H, S, K), "v": normal(B, H, S, K)}
SELF = {"q": normal(B, H, T, K), "k": normal(B, H, T, K), "v": normal(B, H, T, K)}
ATTENTION = {"d_model": D, "n_head": H}
GROUPED = {"d_model": D, "n_head": 6, "n_kv_head": 2, "d_head": 4, "qk_norm": True, "norm_eps": 0.1}
LSTM_SHAPES = {
    "x": normal(B, T, D), "h": normal(B, K), "c": normal(B, K),
    "w_ih": normal(4 * K, D), "w_hh": normal(4 * K, K), "b_ih": normal(4 * K), "b_hh": normal(4 * K),
}  # fmt: skip

CASES: dict[str, list[Case]] = {
    "functional.linear": [
        case(x=X, w=normal(F, D), b=normal(F)),
        case("no bias", x=normal(B, H, T, D), w=normal(F, D)),
    ],
    "functional.embedding": [
        case(ids=ids(V, B, T), w=normal(V, D)),
        case("one id only", ids=ids(1, B, T), w=normal(V, D)),
    ],
    "functional.softmax": [
        case(x=normal(B, T, V)),
        case("large", x=lambda rng: 1000 * rng.standard_normal((B, V))),
        case("masked", x=partly_infinite(B, T, V)),
    ],
    "functional.log_softmax": [
        case(x=normal(B, T, V)),
        case("large", x=lambda rng: 1000 * rng.standard_normal((B, V))),
    ],
    "functional.cross_entropy": [
        case(logits=normal(B, T, V), targets=ids(V, B, T)),
        case("ignored", logits=normal(B, T, V), targets=targets(V, B, T)),
        case("own ignore_index", logits=normal(B, T, V), targets=ids(V, B, T), ignore_index=3),
        case("nothing to count", logits=normal(B, T, V), targets=targets(V, B, T, ignored=1)),
    ],
    "functional.relu": [case(x=X), case("zeros", x=lambda rng: np.zeros((B, T)))],
    "functional.relu2": [case(x=X), case("zeros", x=lambda rng: np.zeros((B, T)))],
    "functional.gelu": [
        case("exact", x=lambda rng: 3 * rng.standard_normal((B, T, F))),
        case("tanh", x=lambda rng: 3 * rng.standard_normal((B, T, F)), approximate="tanh"),
    ],
    "functional.silu": [case(x=lambda rng: 5 * rng.standard_normal((B, T, F)))],
    "functional.swiglu": [case(gate=normal(B, T, F), up=normal(B, T, F))],
    "functional.layer_norm": [
        case(x=X, w=normal(D), b=normal(D)),
        case("no bias", x=normal(B, D), w=normal(D)),
        case("eps", x=X, w=normal(D), b=normal(D), eps=0.3),
    ],
    "functional.rms_norm": [case(x=X, w=normal(D)), case("eps", x=X, w=normal(D), eps=0.3)],
    "functional.dropout": [
        case("on", dropout=True, x=X, p=0.3),
        case("p is 0", dropout=True, x=X, p=0.0),
        case("off", x=X, p=0.3, rng=None),
    ],
    "functional.mean_pool": [case(x=X, mask=mask(B, T))],
    "muon.orthogonalise": [
        case("wide", x=normal(D, T)),
        case("tall", x=normal(T, D)),
        case("square, stacked", x=normal(3, K, K)),
        case("one entry", x=normal(1, 1)),
        case("tiny", x=lambda rng: 1e-9 * rng.standard_normal((T, S))),
        case("huge", x=lambda rng: 1e200 * rng.standard_normal((T, S))),
        case("zeros", x=lambda rng: np.zeros((T, S))),
    ],
    "muon.orthogonal_step": [
        case("one", u=normal(T, D), parts=(1,)),
        case("three of one size", u=normal(3 * K, D), parts=(1, 1, 1)),
        case("of two sizes", u=normal(4 * K, D), parts=(2, 1, 1)),
    ],
    "position.frequencies": [case(dim=D), case("base", dim=D, base=500.0)],
    "position.sinusoidal": [case(length=T, d_model=D)],
    "position.rotary_table": [case(start=3, length=T, d_head=K, base=500.0, dtype=np.float64)],
    "position.rotary": [case(x=normal(B, H, T, K)), case("later", x=normal(B, H, T, K), start=3, base=77.0)],
    "position.turn": [case(x=normal(B, H, T, K), cos=normal(T, K // 2), sin=normal(T, K // 2))],
    "attention.scaled_dot_product_attention": [
        case(**QKV),
        case("causal", **SELF, causal=True),
        case("causal, keys before", **QKV, causal=True),
        case("padding", **QKV, mask=mask(B, 1, 1, S)),
        case("any mask", **QKV, mask=mask(B, H, T, S)),
        case("nothing in sight", **QKV, mask=np.zeros((B, 1, 1, S), dtype=bool)),
        case("causal padding", **SELF, causal=True, mask=mask(B, 1, 1, T)),
        case("causal padding, keys before", **QKV, causal=True, mask=mask(B, 1, 1, S)),
        case("dropout", dropout=True, **SELF, causal=True, mask=mask(B, 1, 1, T)) ,
    ],
    "attention.repeat_heads": [case(x=normal(B, H, S, K), times=3), case("once", x=normal(B, H, S, K), times=1)],
    "attention.MultiHeadAttention": [
        case("one key head", init={**ATTENTION, "n_kv_head": 1, "causal": True}, x=X),
        case("groups", init={**GROUPED, "rotary": True, "causal": True, "rope_base": 50.0}, x=X, mask=mask(B, 1, 1, T)),
        case("groups, cross", init=GROUPED, x=X, memory=normal(B, S, D), mask=mask(B, 1, 1, S)),
        case("first weights", init={**ATTENTION, "std": 0.3, "out_std": 0.1}, x=X),
        case(init=ATTENTION, x=X),
        case("causal", init={**ATTENTION, "causal": True}, x=X),
        case("no bias", init={**ATTENTION, "bias": False}, x=X, mask=mask(B, 1, 1, T)),
        case("rotary", init={**ATTENTION, "rotary": True, "causal": True}, x=X, mask=mask(B, 1, 1, T)),
        case("cross", init=ATTENTION, x=X, memory=normal(B, S, D), mask=mask(B, 1, 1, S)),
        case("cross, no bias", init={**ATTENTION, "bias": False}, x=X, memory=normal(B, S, D)),
        case("dropout", init={**ATTENTION, "dropout": 0.3}, dropout=True, x=X, mask=mask(B, H, T, T)),
    ],
    "layers.Linear": [
        case(init={"d_in": D, "d_out": F, "std": 0.3}, x=X),
        case("no bias", init={"d_in": D, "d_out": F, "bias": False}, x=X),
    ],
    "layers.Embedding": [case(init={"n": V, "d_model": D}, ids=ids(V, B, T))],
    "layers.LayerNorm": [
        case(init={"d_model": D}, x=X),
        case("no bias", init={"d_model": D, "bias": False, "eps": 0.1}, x=X),
    ],
    "layers.RMSNorm": [case(init={"d_model": D, "eps": 0.1}, x=X)],
    "layers.Dropout": [case("on", init={"p": 0.3}, dropout=True, x=X), case("off", init={"p": 0.3}, x=X)],
    "block.FeedForward": for_configs({"x": X}, dropout=False),
    "block.Block": [
        *for_configs({"x": X, "mask": mask(B, 1, 1, T)}, causal=True),
        case("both ways", init={"config": config(), "causal": False}, x=X),
        *for_configs(
            {"x": X, "memory": normal(B, S, D), "memory_mask": mask(B, 1, 1, S)}, causal=True, cross=True
        ),
    ],
    "embeddings.Embeddings": [
        *for_configs({"ids": ids(V, B, T)}, dropout=False),
        case("later", init={"config": config()}, ids=ids(V, B, T), start=3),
    ],
    "gpt.GPT": for_configs({"ids": ids(V, B, T)}),
    "bert.BERT": [
        *for_configs({"ids": ids(V, B, T), "mask": mask(B, T)}),
        case("no mask", init={"config": config()}, ids=ids(V, B, T)),
        *for_configs({"ids": ids(V, B, T), "mask": mask(B, T)}, n_class=S),
        case("class, no mask", init={"config": config(), "n_class": S}, ids=ids(V, B, T)),
    ],
    "seq2seq.Seq2Seq": [
        *for_configs({"src": ids(V, B, S), "tgt": ids(V, B, T), "src_mask": mask(B, S)}),
        case("no mask", init={"config": config()}, src=ids(V, B, S), tgt=ids(V, B, T)),
    ],
    "rnn.sigmoid": [case(x=lambda rng: 9 * rng.standard_normal((B, T)))],
    "rnn.lstm_cell": [case(z=normal(B, 4 * K), c=normal(B, K))],
    "rnn.lstm": [case(**LSTM_SHAPES, collect=lambda grads: (*grads, grads[-1]))],  # both biases have one gradient
    "rnn.LSTM": [
        case(
            f"{n} layers" + (", state" if state else ""),
            init={"d_in": D, "d_hidden": K, "n_layer": n},
            backward=lambda m, cache, dy, dh, dc: m.backward(dy, cache, (dh, dc)),
            collect=lambda grads, state=state: grads if state else grads[:1],
            x=X,
            **({"state": (normal(n, B, K), normal(n, B, K))} if state else {}),
        )
        for n in (1, 3)
        for state in (False, True)
    ],
    "rnn.LSTMLanguageModel": [
        case(init={"vocab_size": V, "d_model": D, "d_hidden": K, "n_layer": L}, ids=ids(V, B, T)),
        case(
            "dropout",
            init={"vocab_size": V, "d_model": D, "d_hidden": K, "dropout": 0.3},
            dropout=True,
            ids=ids(V, B, T),
        ),
    ],
}  # fmt: skip
