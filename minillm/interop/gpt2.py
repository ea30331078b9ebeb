"""GPT-2 of transformers: learned positions, LayerNorm, biases everywhere (`GPT2LMHeadModel`).

Its linear layers are Conv1D, y = x W + b, so that weights lie transposed; query, key and value are one, c_attn, in
our order. Where ours has no biases, theirs are zero; sinusoidal positions become a learned table that holds them.
"""

from typing import Any

from minillm.config import ModelConfig
from minillm.errors import UserError
from minillm.interop.links import Link
from minillm.interop.settings import Settings

TYPES = {"gpt2": "GPT2LMHeadModel"}
ACTIVATIONS = {
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu_fast": "gelu_tanh",
    "gelu": "gelu",
    "relu": "relu",
    "relu2": "relu2",
}
PREFIX = "transformer."


def refusal(config: ModelConfig) -> str:
    """What of a model without rotary positions GPT-2 cannot hold; "" if it can all."""
    grouped = config.n_kv_head != config.n_head or config.d_head * config.n_head != config.d_model
    faults = {
        "norm rmsnorm": config.norm != "layernorm",
        "activation swiglu": config.activation == "swiglu",
        "qk_norm": config.qk_norm,
        "n_kv_head or d_head of its own": grouped,
    }
    return ", ".join(fault for fault, there in faults.items() if there)


def to_settings(config: ModelConfig) -> dict[str, Any]:
    """config.json without the token ids."""
    names = {ours: theirs for theirs, ours in reversed(ACTIVATIONS.items())}
    return {
        "architectures": ["GPT2LMHeadModel"],
        "model_type": "gpt2",
        "vocab_size": config.vocab_size,
        "n_positions": config.context,
        "n_embd": config.d_model,
        "n_layer": config.n_layer,
        "n_head": config.n_head,
        "n_inner": config.d_ff,
        "activation_function": names[config.activation],
        "resid_pdrop": config.dropout,
        "embd_pdrop": config.dropout,
        "attn_pdrop": config.dropout,
        "layer_norm_epsilon": config.norm_eps,
        "initializer_range": config.init_std,
        "tie_word_embeddings": config.tied,
    }


def from_settings(settings: Settings, context: int | None) -> ModelConfig:
    """Our configuration. UserError: what GPT-2 can be told to do and ours cannot. `context` may only be shorter."""
    if not settings.flag("scale_attn_weights", True) or settings.flag("scale_attn_by_inverse_layer_idx", False):
        settings.refuse("its attention is scaled in another way than by 1/√d_head: minillm cannot compute that")
    if settings.flag("add_cross_attention", False):
        settings.refuse("it reads an encoder (add_cross_attention): minillm reads plain causal language models")
    d_model, positions = settings.whole("n_embd"), settings.whole("n_positions")
    if context is not None and context > positions:
        raise UserError(f"context is {context}, but {settings.path} has learned {positions} positions: give fewer")
    return settings.model(
        vocab_size=settings.whole("vocab_size"),
        context=context or positions,
        n_layer=settings.whole("n_layer"),
        n_head=settings.whole("n_head"),
        d_model=d_model,
        d_ff=settings.whole("n_inner", 4 * d_model),
        activation=settings.choice("activation_function", "gelu_new", ACTIVATIONS),
        dropout=settings.number("resid_pdrop", 0.1),
        tied=settings.flag("tie_word_embeddings", True),
        norm_eps=settings.number("layer_norm_epsilon", 1e-5),
        init_std=settings.number("initializer_range", 0.02),
    )


def links(config: ModelConfig, settings: Settings) -> list[Link]:
    """All weights of a GPT-2; of sinusoidal positions, too."""
    d, f = config.d_model, config.d_ff

    def norm(ours: str, theirs: str) -> list[Link]:
        return [Link(f"{ours}.{kind}", ((f"{PREFIX}{theirs}.{kind}", d),)) for kind in ("weight", "bias")]

    def linear(ours: str, theirs: str, d_out: int, d_in: int) -> list[Link]:
        weight = Link(f"{ours}.weight", ((f"{PREFIX}{theirs}.weight", d_out),), d_in, transposed=True)
        return [weight, Link(f"{ours}.bias", ((f"{PREFIX}{theirs}.bias", d_out),))]

    found = [
        Link("emb.tok.weight", ((PREFIX + "wte.weight", config.vocab_size),), d),
        Link("emb.pos.weight", ((PREFIX + "wpe.weight", settings.whole("n_positions")),), d, keep=config.context),
    ]
    for i in range(config.n_layer):
        ours, theirs = f"blocks.{i}", f"h.{i}"
        found += norm(f"{ours}.norm1", f"{theirs}.ln_1")
        found += linear(f"{ours}.attn.in_proj", f"{theirs}.attn.c_attn", 3 * d, d)
        found += linear(f"{ours}.attn.out_proj", f"{theirs}.attn.c_proj", d, d)
        found += norm(f"{ours}.norm2", f"{theirs}.ln_2")
        found += linear(f"{ours}.ffn.linear1", f"{theirs}.mlp.c_fc", f, d)
        found += linear(f"{ours}.ffn.linear2", f"{theirs}.mlp.c_proj", d, f)
    found += norm("norm", "ln_f")
    return found if config.tied else [*found, Link("lm_head.weight", (("lm_head.weight", config.vocab_size),), d)]


def is_buffer(name: str) -> bool:
    """What old files carry besides the weights: the causal mask, and its -10000."""
    return name.endswith((".attn.bias", ".attn.masked_bias"))
