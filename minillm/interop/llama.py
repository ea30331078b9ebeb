"""Llama and its relatives in transformers: rotary positions, RMSNorm, query, key and value each on its own.

    feed-forward        without qk_norm     with qk_norm
    swiglu              llama               qwen3
    one activation      arcee               apertus

All four are one architecture for us; they differ in names and in which biases they can have. Qwen2 is a Llama with
biases on query, key and value. A bias that they do not have is zero in ours.
"""

from typing import Any

from minillm.config import ModelConfig
from minillm.interop.links import Link
from minillm.interop.settings import Settings

TYPES = {
    "llama": "LlamaForCausalLM",
    "qwen2": "Qwen2ForCausalLM",
    "qwen3": "Qwen3ForCausalLM",
    "arcee": "ArceeForCausalLM",
    "apertus": "ApertusForCausalLM",
}
KINDS = {(True, False): "llama", (True, True): "qwen3", (False, False): "arcee", (False, True): "apertus"}
ACTIVATIONS = {
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu_new": "gelu_tanh",
    "gelu_fast": "gelu_tanh",
    "gelu": "gelu",
    "relu": "relu",
    "relu2": "relu2",
}
DEFAULT_CONTEXT = 2048  # generation keeps keys and values for all of it, and Qwen3 can see 40960 positions
PREFIX = "model."
THETA = {"apertus": 12_000_000.0}  # where config.json does not name the base; 10000 elsewhere
DEFAULT_ACTIVATION = {"arcee": "relu2", "apertus": "xielu"}
EPS = {"arcee": 1e-5, "apertus": 1e-5}


def kind_of(config: ModelConfig) -> str:
    return KINDS[config.activation == "swiglu", config.qk_norm]


def refusal(config: ModelConfig) -> str:
    """What of a model with rotary positions none of them can hold; "" if one can hold it all."""
    uneven = not config.qk_norm and config.d_model % config.n_head != 0
    faults = {
        "norm layernorm": config.norm != "rmsnorm",
        "biases beside qk_norm": config.bias and config.qk_norm,
        f"d_model {config.d_model} that {config.n_head} heads do not divide": uneven,
    }
    return ", ".join(fault for fault, there in faults.items() if there)


def to_settings(config: ModelConfig) -> dict[str, Any]:
    """config.json without the token ids."""
    names = {ours: theirs for theirs, ours in reversed(ACTIVATIONS.items())} | {"swiglu": "silu"}
    kind = kind_of(config)
    return {
        "architectures": [TYPES[kind]],
        "model_type": kind,
        "vocab_size": config.vocab_size,
        "max_position_embeddings": config.context,
        "hidden_size": config.d_model,
        "intermediate_size": config.d_ff,
        "num_hidden_layers": config.n_layer,
        "num_attention_heads": config.n_head,
        "num_key_value_heads": config.n_kv_head,
        "head_dim": config.d_head,
        "hidden_act": names[config.activation],
        "rms_norm_eps": config.norm_eps,
        "rope_parameters": {"rope_type": "default", "rope_theta": config.rope_base},
        "rope_theta": config.rope_base,  # the name in transformers before 5
        "attention_bias": config.bias,
        "mlp_bias": config.bias,
        "attention_dropout": config.dropout,
        "initializer_range": config.init_std,
        "tie_word_embeddings": config.tied,
    }


def from_settings(settings: Settings, context: int | None) -> ModelConfig:
    """Our configuration. UserError: what one of them can be told to do and ours cannot."""
    kind = settings.values["model_type"]
    activations = ACTIVATIONS if kind in DEFAULT_ACTIVATION else {"silu": "swiglu"}
    d_model, n_head = settings.whole("hidden_size"), settings.whole("num_attention_heads")
    limit = settings.whole("max_position_embeddings", 2048)
    context = context or min(limit, DEFAULT_CONTEXT)
    if context > limit:
        settings.refuse(f"it was made for {limit} positions; a context of {context} is too long")
    check_windows(settings, context)
    return settings.model(
        vocab_size=settings.whole("vocab_size"),
        context=context,
        n_layer=settings.whole("num_hidden_layers"),
        n_head=n_head,
        n_kv_head=settings.whole("num_key_value_heads", n_head),
        d_model=d_model,
        d_head=settings.whole("head_dim", 128 if kind == "qwen3" else max(d_model // n_head, 1)),
        d_ff=settings.whole("intermediate_size"),
        norm="rmsnorm",
        position="rotary",
        activation=settings.choice("hidden_act", DEFAULT_ACTIVATION.get(kind, "silu"), activations),
        qk_norm=kind in ("qwen3", "apertus"),
        dropout=settings.number("attention_dropout", 0.0),
        bias=any(biases(settings)),
        tied=settings.flag("tie_word_embeddings", False),
        norm_eps=settings.number("rms_norm_eps", EPS.get(kind, 1e-6)),
        rope_base=rope_base(settings),
        init_std=settings.number("initializer_range", 0.02),
    )


def biases(settings: Settings) -> tuple[bool, bool, bool]:
    """Whether query, key and value have biases, and attention's output, and the feed-forward network."""
    kind = settings.values["model_type"]
    if kind == "qwen2":
        return True, False, False
    attention = settings.flag("attention_bias", False)
    return attention, attention, kind in ("llama", "arcee") and settings.flag("mlp_bias", False)


def rope_base(settings: Settings) -> float:
    """The base of the rotary positions. UserError: positions that are scaled or only partly turned."""
    found = settings.values.get("rope_scaling") or settings.values.get("rope_parameters") or {}  # the old name wins
    if not isinstance(found, dict):
        settings.refuse(f"its rotary positions are set to {found!r:.40}; that must be settings by name")
    kind = found.get("rope_type", found.get("type", "default"))
    if settings.values["model_type"] == "apertus" and not found:
        kind = "llama3"  # what its transformers class takes if nothing is said
    if kind != "default" or any(isinstance(value, dict) for value in found.values()):
        settings.refuse(f"its rotary positions are scaled ({kind!r:.20}): minillm computes only the default ones")
    if found.get("partial_rotary_factor", settings.values.get("partial_rotary_factor")) not in (None, 1, 1.0):
        settings.refuse("its rotary positions turn only a part of each head: minillm turns the whole")
    default = settings.number("rope_theta", THETA.get(settings.values["model_type"], 10000.0))
    return Settings(found, settings.path).number("rope_theta", default)


def check_windows(settings: Settings, context: int) -> None:
    """UserError if some layer sees less than the context."""
    layers = settings.values.get("layer_types")
    if layers is not None:
        sliding = not isinstance(layers, list) or any(layer != "full_attention" for layer in layers)
    else:
        sliding = settings.flag("use_sliding_window", False)
    if sliding and settings.whole("sliding_window", 4096) < context:
        settings.refuse("some of its layers see only a sliding window: give a --context that is no longer than that")


def links(config: ModelConfig, settings: Settings) -> list[Link]:
    """All weights. The settings of config.json say which biases they have; they may be fewer than ours."""
    d, f, v = config.d_model, config.d_ff, config.vocab_size
    q, kv = config.n_head * config.d_head, config.n_kv_head * config.d_head
    apertus = settings.values["model_type"] == "apertus"
    gated = config.activation == "swiglu"
    with_bias = biases(settings)

    def weight(ours: str, columns: int, *theirs: tuple[str, int]) -> Link:
        return Link(f"{ours}.weight", tuple((f"{name}.weight", rows) for name, rows in theirs), columns)

    def linear(ours: str, bias: bool, columns: int, *theirs: tuple[str, int]) -> list[Link]:
        found = [weight(ours, columns, *theirs)]
        if config.bias:
            found.append(Link(f"{ours}.bias", tuple((f"{name}.bias", rows) for name, rows in theirs), zero=not bias))
        return found

    found = [weight("emb.tok", d, ("model.embed_tokens", v))]
    for i in range(config.n_layer):
        ours, theirs = f"blocks.{i}", f"model.layers.{i}"
        norms = ("attention_layernorm", "feedforward_layernorm") if apertus else ("input_layernorm", "")
        found.append(weight(f"{ours}.norm1", 0, (f"{theirs}.{norms[0]}", d)))
        parts = [(f"{theirs}.self_attn.{name}_proj", rows) for name, rows in (("q", q), ("k", kv), ("v", kv))]
        found += linear(f"{ours}.attn.in_proj", with_bias[0], d, *parts)
        found += linear(f"{ours}.attn.out_proj", with_bias[1], q, (f"{theirs}.self_attn.o_proj", d))
        if config.qk_norm:
            for name in ("q_norm", "k_norm"):
                found.append(weight(f"{ours}.attn.{name}", 0, (f"{theirs}.self_attn.{name}", config.d_head)))
        found.append(weight(f"{ours}.norm2", 0, (f"{theirs}.{norms[1] or 'post_attention_layernorm'}", d)))
        first = "gate_proj" if gated else "up_proj"
        found += linear(f"{ours}.ffn.linear1", with_bias[2], d, (f"{theirs}.mlp.{first}", f))
        found += linear(f"{ours}.ffn.linear2", with_bias[2], f, (f"{theirs}.mlp.down_proj", d))
        if gated:
            found += linear(f"{ours}.ffn.linear3", with_bias[2], d, (f"{theirs}.mlp.up_proj", f))
    found.append(weight("norm", 0, ("model.norm", d)))
    return found if config.tied else [*found, weight("lm_head", d, ("lm_head", v))]


def is_buffer(name: str) -> bool:
    """What old files carry besides the weights."""
    return name.endswith(".rotary_emb.inv_freq")
