"""minillm.np and minillm.pt compute the same: every public class and function, outputs and all gradients.

The walk is generic. A class, function or method that is new in minillm.np fails here until it has a twin and a
case in parity_cases.py (or a test of its own, marked with `covers`), or stands in EXCEPTIONS with a reason.
"""

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the PyTorch twin needs torch")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from parity_cases import CASES, CONFIGS, Case, config  # noqa: E402

import minillm.np  # noqa: E402
from minillm.config import ACTIVATIONS, NORMS, POSITIONS, ModelConfig, TrainConfig  # noqa: E402
from minillm.generate import generate  # noqa: E402

EXCEPTIONS = {
    "chunks": "how NumPy code is made fast",
    "speed": "how NumPy code is made fast",
    "cores": "how NumPy code is made fast: torch has threads of its own",
    "replicas": "how NumPy code is made fast: torch has threads of its own",
    "erf": "torch has it",
    "gradcheck": "checks gradients written by hand",
    "tape": "a second oracle for gradients written by hand",
    "param.Param": "torch.nn.Parameter",
    "param.Module": "torch.nn.Module; test_number_of_parameters compares what is added to it",
    "attention.causal_bias": "part of the hand-made attention by blocks; torch has a fused kernel",
    "attention.query_blocks": "part of the hand-made attention by blocks; torch has a fused kernel",
    "rnn.LSTM.weights": "torch.nn.LSTM finds its weights by itself",
    "optim.Optimizer.update": "torch's fused kernels",
    "optim.SGD.update": "torch's fused kernels",
    "optim.Adam.update": "torch's fused kernels",
}
NP_ONLY = {"out", "copies"}  # where to write, what to run on: torch manages both itself
PT_ONLY = {"device", "closure", "engine", "ranks"}
COVERED: set[str] = set()


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def covers(*names: str) -> Callable[[Any], Any]:
    """Mark a test as the case of these names."""
    COVERED.update(names)
    return lambda test: test


def public_names() -> dict[str, Any]:
    """Everything public that minillm.np defines: "module.name" and "module.Class.method" -> object."""
    found: dict[str, Any] = {}
    for info in pkgutil.iter_modules(minillm.np.__path__):
        if info.name in EXCEPTIONS:
            continue
        module = importlib.import_module(f"minillm.np.{info.name}")
        for name, value in vars(module).items():
            if name.startswith("_") or not callable(value) or getattr(value, "__module__", "") != module.__name__:
                continue
            found[f"{info.name}.{name}"] = value
            if inspect.isclass(value) and f"{info.name}.{name}" not in EXCEPTIONS:
                methods = {k: v for k, v in vars(value).items() if inspect.isfunction(v) and not k.startswith("_")}
                found |= {f"{info.name}.{name}.{k}": v for k, v in methods.items()}
    return {name: value for name, value in found.items() if not name.endswith("backward")}  # autograd's


PUBLIC = public_names()
NAMES = [name for name in PUBLIC if name not in EXCEPTIONS]


def twin(name: str) -> Any:
    """The object of that name in minillm.pt."""
    module, *path = name.split(".")
    advice = f"minillm.np.{name} has no twin: write minillm.pt.{name}, or list it in EXCEPTIONS with a reason"
    try:
        found = importlib.import_module(f"minillm.pt.{module}")
        for part in path:
            found = getattr(found, part)
    except (ImportError, AttributeError):
        pytest.fail(advice)
    return found


def tensors(value: Any) -> Any:
    """Copies of NumPy arrays as tensors, floating-point ones with gradients; types as torch's; the rest as it is."""
    if isinstance(value, np.ndarray):
        tensor = torch.tensor(value)
        return tensor.requires_grad_() if tensor.is_floating_point() else tensor
    if isinstance(value, tuple):
        return tuple(map(tensors, value))
    return torch.float64 if value is np.float64 else value


def flat(value: Any) -> list[Any]:
    """Leaves of nested tuples."""
    return [leaf for part in value for leaf in flat(part)] if isinstance(value, tuple) else [value]


def leaves(inputs: dict[str, Any]) -> list[tuple[str, Any]]:
    return [(name, leaf) for name, value in inputs.items() for leaf in flat(value)]


def draw(value: Any, rng: np.random.Generator) -> Any:
    if isinstance(value, tuple):
        return tuple(draw(part, rng) for part in value)
    return value(rng) if callable(value) and not isinstance(value, type) else value


def assert_same(a: Any, b: Any, what: str, tolerance: float = 1e-10) -> None:
    """b, a tensor, equals the array a: type, shape, and entries relative to the largest one.

    The 1e-14 is round-off: a gradient that is 0 by mathematics (softmax over one key) is 1e-17 in one of them.
    """
    a, b = np.asarray(a), b.detach().numpy()
    assert a.shape == b.shape, f"{what}: shape {a.shape} in np, {b.shape} in pt"
    assert a.dtype == b.dtype, f"{what}: {a.dtype} in np, {b.dtype} in pt"
    assert np.isfinite(a).all() and np.isfinite(b).all(), f"{what}: not finite"
    if a.size:
        error, largest = np.abs(a - b).max(), np.abs(a).max()
        assert error <= tolerance * largest + 1e-14, (
            f"{what}: differs by {error:.3g}, its largest entry is {largest:.3g}"
        )


def fill(np_model: Any, pt_model: Any, rng: np.random.Generator) -> None:
    """The same random weights for both, biases and norms included."""
    for p in np_model.parameters():
        scale = p.data.shape[-1] ** -0.5 if p.data.ndim > 1 else 0.5
        p.data[...] = (p.data == 1) + scale * rng.standard_normal(p.data.shape)
    pt_model.load_state_dict({name: torch.tensor(array) for name, array in np_model.state_dict().items()})


def build(name: str, init: dict[str, Any], dtype: str = "float64", seed: int = 0) -> tuple[Any, Any]:
    """The class in both back-ends, each from its own generator of the same seed."""
    pair = []
    for cls, library in ((PUBLIC[name], np), (twin(name), torch)):
        offered = {"rng": np.random.default_rng(seed), "dtype": getattr(library, dtype)}
        taken = inspect.signature(cls).parameters
        pair.append(cls(**init, **{key: value for key, value in offered.items() if key in taken}))
    return pair[0], pair[1]


@pytest.fixture(autouse=True)
def same_coins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let torch's coin tosses come from a NumPy generator passed in torch's place, so that both drop the same."""

    def bernoulli_(self: Any, p: float, *, generator: np.random.Generator) -> Any:
        return self.copy_(torch.from_numpy(generator.random(tuple(self.shape), dtype=np.float32) >= 1 - p))

    monkeypatch.setattr(torch.Tensor, "bernoulli_", bernoulli_)


def run(np_call: Any, pt_call: Any, np_backward: Any, case: Case, rng: np.random.Generator) -> None:
    """Compare outputs and, where np has a backward, the gradients of all floating-point inputs."""
    inputs = {name: draw(value, rng) for name, value in case.inputs.items()}
    pt_inputs = {name: tensors(value) for name, value in inputs.items()}
    np_rng, pt_rng = ({"rng": np.random.default_rng(5)} if case.dropout else {} for _ in "ab")
    np_out = np_call(**inputs, **np_rng)
    np_out, cache = np_out if np_backward else (np_out, ())
    pt_out = pt_call(**pt_inputs, **pt_rng)
    assert len(flat(np_out)) == len(flat(pt_out))
    for i, (a, b) in enumerate(zip(flat(np_out), flat(pt_out), strict=True)):
        assert_same(a, b, f"output {i}")
    if not np_backward:
        return
    douts = [rng.standard_normal(np.shape(out)) for out in flat(np_out)]
    torch.autograd.backward(flat(pt_out), [torch.tensor(d) for d in douts])
    grads = case.collect(tuple(g for g in flat(np_backward(cache, *douts)) if g is not None))
    wanted = [(name, leaf) for name, leaf in leaves(pt_inputs) if torch.is_tensor(leaf) and leaf.requires_grad]
    assert len(grads) == len(wanted), f"np gives {len(grads)} gradients for {[name for name, _ in wanted]}"
    for (name, leaf), grad in zip(wanted, grads, strict=True):
        assert_same(grad, leaf.grad, f"gradient of {name}")


def assert_same_grads(np_model: Any, pt_model: Any) -> None:
    pt_params = dict(pt_model.named_parameters())
    for name, p in np_model.named_parameters():
        grad = pt_params[name].grad
        assert (p.grad is None) == (grad is None), f"{name} has a gradient in one back-end only"
        if grad is not None:
            assert_same(p.grad, grad, f"gradient of {name}")


@pytest.mark.parametrize("name", NAMES)
def test_has_a_twin_with_the_same_signature(name: str) -> None:
    def signature(value: Any, but: set[str]) -> list[tuple[str, Any, Any]]:
        kept = [p for p in inspect.signature(value).parameters.values() if p.name not in but]
        kept = [
            p for p in kept if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
        ]  # nn.Module's, where none is written
        return [(p.name, p.kind, None if p.name == "dtype" else p.default) for p in kept]

    assert signature(twin(name), PT_ONLY) == signature(PUBLIC[name], NP_ONLY), "(name, kind, default) of parameters"


@pytest.mark.parametrize("name", [name for name in NAMES if name.count(".") == 1])
def test_has_a_case(name: str) -> None:
    assert name in CASES or name in COVERED, f"no case for {name}: add one to parity_cases.py"


def test_no_exception_is_stale() -> None:
    known = PUBLIC.keys() | {info.name for info in pkgutil.iter_modules(minillm.np.__path__)}
    assert sorted((EXCEPTIONS.keys() | CASES.keys() | COVERED) - known) == []


ALL = [pytest.param(name, case, id=f"{name}-{case.label}") for name, cases in CASES.items() for case in cases]
MODELS = [param for param in ALL if param.values[1].init is not None]


@pytest.mark.parametrize("name, case", ALL)
def test_outputs_and_gradients(name: str, case: Case) -> None:
    rng = np.random.default_rng(1)
    if case.init is None:
        backward = getattr(
            importlib.import_module(f"minillm.np.{name.split('.')[0]}"), f"{name.split('.')[1]}_backward", None
        )
        run(PUBLIC[name], twin(name), backward and (lambda cache, *douts: backward(*douts, cache)), case, rng)
        return
    np_model, pt_model = build(name, case.init)
    fill(np_model, pt_model, rng)

    def model_backward(cache: Any, *douts: Any) -> Any:
        if case.backward:
            return case.backward(np_model, cache, *douts)
        return np_model.backward(*douts, cache)

    run(np_model, pt_model, model_backward, case, rng)
    assert_same_grads(np_model, pt_model)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name, case", MODELS)
def test_same_seed_gives_the_same_weights(name: str, case: Case, dtype: str) -> None:
    assert case.init is not None
    np_model, pt_model = build(name, case.init, dtype, seed=3)
    np_state, pt_state = np_model.state_dict(), pt_model.state_dict()
    assert list(np_state) == list(pt_state)
    for key, array in np_state.items():
        assert array.dtype == dtype
        assert array.shape == pt_state[key].shape, key
        assert array.tobytes() == pt_state[key].numpy().tobytes(), f"{key} starts with other weights"


@covers("param.normal")
def test_normal() -> None:
    from minillm.np.param import normal
    from minillm.pt.param import normal as pt_normal

    a = normal(np.random.default_rng(0), (3, 4), 0.02).data
    b = pt_normal(np.random.default_rng(0), (3, 4), 0.02)
    assert a.tobytes() == b.detach().numpy().tobytes()


def test_number_of_parameters() -> None:
    np_model, pt_model = build("gpt.GPT", {"config": config()})
    assert np_model.num_parameters() == pt_model.num_parameters() > 0


@covers("block.make_head")
@pytest.mark.parametrize("tied", [False, True])
def test_make_head(tied: bool) -> None:
    options = {"tied": tied, "init_std": 0.5}
    a, b = (
        make(config(**options), rng=np.random.default_rng(3))
        for make in (PUBLIC["block.make_head"], twin("block.make_head"))
    )
    assert (a is None) == (b is None) == tied
    if not tied:
        np.testing.assert_array_equal(a.weight.data, b.weight.detach().numpy())
        assert 0.4 < a.weight.data.std() < 0.6


@covers("block.attention_options")
@pytest.mark.parametrize("c", CONFIGS.values(), ids=CONFIGS)
def test_attention_options(c: ModelConfig) -> None:
    assert PUBLIC["block.attention_options"](c) == twin("block.attention_options")(c)


@covers("block.make_norm")
@pytest.mark.parametrize("c", CONFIGS.values(), ids=CONFIGS)
def test_make_norm(c: ModelConfig) -> None:
    a, b = PUBLIC["block.make_norm"](c), twin("block.make_norm")(c)
    assert type(a).__name__ == type(b).__name__ and a.eps == b.eps and a.state_dict().keys() == b.state_dict().keys()


# Random shapes, masks and seeds


@st.composite
def attention_inputs(draw_: Any) -> dict[str, Any]:
    small = st.integers(1, 4)
    b, h, k = draw_(small), draw_(small), draw_(small)
    t = draw_(st.one_of(st.integers(1, 6), st.integers(62, 67), st.just(130)))  # np works in blocks of 64 queries
    causal = draw_(st.booleans())
    s = t + draw_(st.integers(0, 5)) if causal else draw_(st.integers(1, 8))
    shape = draw_(st.sampled_from([None, (b, 1, 1, s), (b, h, t, s), (1, 1, t, s), (b, 1, t, 1)]))
    rng = np.random.default_rng(draw_(st.integers(0, 2**32)))
    density = draw_(st.sampled_from([0.0, 0.2, 0.9]))
    return {
        "q": rng.standard_normal((b, h, t, k)),
        "k": rng.standard_normal((b, h, s, k)),
        "v": rng.standard_normal((b, h, s, k)),
        "mask": None if shape is None else rng.random(shape) < density,
        "causal": causal,
    }


@settings(max_examples=300, deadline=None)
@given(inputs=attention_inputs())
def test_attention_of_any_shape(inputs: dict[str, Any]) -> None:
    name = "attention.scaled_dot_product_attention"
    from minillm.np.attention import scaled_dot_product_attention_backward

    def backward(cache: Any, *douts: Any) -> Any:
        return scaled_dot_product_attention_backward(*douts, cache)

    run(PUBLIC[name], twin(name), backward, Case("any", inputs), np.random.default_rng(2))


@st.composite
def configs(draw_: Any) -> ModelConfig:
    heads, groups = draw_(st.sampled_from([(1, 1), (2, 1), (2, 2), (3, 1), (3, 3), (4, 2)]))
    return ModelConfig(
        vocab_size=draw_(st.integers(1, 9)),
        context=draw_(st.integers(1, 8)),
        n_layer=draw_(st.integers(1, 3)),
        n_head=heads,
        n_kv_head=groups,
        d_model=heads * draw_(st.sampled_from([2, 4])),
        d_head=draw_(st.sampled_from([0, 2, 6])),
        qk_norm=draw_(st.booleans()),
        d_ff=draw_(st.integers(0, 5)),
        norm=draw_(st.sampled_from(NORMS)),
        position=draw_(st.sampled_from(POSITIONS)),
        activation=draw_(st.sampled_from(ACTIVATIONS)),
        bias=draw_(st.booleans()),
        tied=draw_(st.booleans()),
        norm_eps=draw_(st.sampled_from([1e-5, 1e-2])),
        rope_base=draw_(st.sampled_from([10000.0, 7.0])),
        init_std=draw_(st.sampled_from([0.02, 0.2])),
    )


@settings(max_examples=100, deadline=None)
@given(c=configs(), batch=st.integers(1, 3), seed=st.integers(0, 2**32), data=st.data())
def test_gpt_of_any_shape(c: ModelConfig, batch: int, seed: int, data: Any) -> None:
    from minillm.np import functional as np_f
    from minillm.pt import functional as pt_f

    rng = np.random.default_rng(seed)
    np_model, pt_model = build("gpt.GPT", {"config": c})
    fill(np_model, pt_model, rng)
    x, y = rng.integers(c.vocab_size, size=(2, batch, data.draw(st.integers(1, c.context), label="length")))
    y[rng.random(y.shape) < 0.3] = -100
    logits, cache = np_model(x)
    loss, loss_cache = np_f.cross_entropy(logits, y)
    np_model.backward(np_f.cross_entropy_backward(1.0, loss_cache), cache)
    pt_logits = pt_model(torch.tensor(x))
    pt_loss = pt_f.cross_entropy(pt_logits, torch.tensor(y))
    pt_loss.backward()
    assert_same(logits, pt_logits, "logits")
    assert_same(loss, pt_loss, "loss")
    assert_same_grads(np_model, pt_model)


# Generation


def small_models(**changes: Any) -> tuple[Any, Any]:
    np_model, pt_model = build("gpt.GPT", {"config": config(**changes)})
    fill(np_model, pt_model, np.random.default_rng(4))
    return np_model, pt_model


@covers("attention.KVCache", "lm.LanguageModel")
@pytest.mark.parametrize("position", POSITIONS)
def test_key_value_cache(position: str) -> None:
    """Fed in pieces, reordered in between: as without a cache, as in np."""
    np_model, pt_model = small_models(position=position)
    x = np.random.default_rng(0).integers(np_model.config.vocab_size, size=(3, 9))
    rows, np_kv, pt_kv = [2, 0, 0], np_model.new_cache(3), pt_model.new_cache(3)
    for start, stop in ((0, 4), (4, 5), (5, 8), (8, 9)):
        a = np_model.next_logits(x[:, start:stop], np_kv)
        b = pt_model.next_logits(x[:, start:stop], pt_kv)
        assert isinstance(b, np.ndarray)
        assert_same(a, torch.tensor(b), f"logits after {stop}")
        assert_same(pt_model.next_logits(x[:, :stop]), torch.tensor(b), "logits without a cache")
        assert np_kv[0].length == pt_kv[0].length == stop
        if stop == 5:
            x = np.concatenate([x[rows, :stop], x[:, stop:]], axis=1)
            for layer in (*np_kv, *pt_kv):
                layer.reorder(rows)
    for model, kv in ((np_model, np_kv), (pt_model, pt_kv)):
        with pytest.raises(ValueError, match="10 positions"):
            model.next_logits(x[:, :1], kv)
    for name in ("np", "pt"):
        cache = importlib.import_module(f"minillm.{name}.attention").KVCache(1, 1, 2, 3)
        piece = np.zeros((1, 1, 3, 3), np.float32) if name == "np" else torch.zeros(1, 1, 3, 3)
        with pytest.raises(ValueError, match="holds 2 positions, 3"):
            cache.append(piece, piece)


def test_token_nll() -> None:
    rng = np.random.default_rng(0)
    for name, init in (
        ("gpt.GPT", {"config": config()}),
        ("rnn.LSTMLanguageModel", {"vocab_size": 11, "d_model": 5, "d_hidden": 6}),
    ):
        np_model, pt_model = build(name, init)
        fill(np_model, pt_model, rng)
        x, y = rng.integers(11, size=(2, 3, 7))
        y[0, :3] = -1
        a, b = np_model.token_nll(x, y), pt_model.token_nll(x, y)
        assert_same(a, torch.tensor(b), "nll")
        assert (b[0, :3] == 0).all() and (b[1:] > 0).all()
        assert_same(np_model.next_logits(x), torch.tensor(pt_model.next_logits(x)), "next logits")


@pytest.mark.parametrize("kv_cache", [True, False])
def test_greedy_text(kv_cache: bool) -> None:
    """40 tokens, far beyond the context of 9."""
    texts = [
        list(generate(m, [1, 2, 3], 40, temperature=0, rng=np.random.default_rng(0), kv_cache=kv_cache))
        for m in small_models()
    ]
    assert texts[0] == texts[1] and len(set(texts[0])) > 1


def test_a_table_made_for_generation_serves_training() -> None:
    twin("position.rotary_table").cache_clear()
    _, model = small_models(position="rotary")
    model.next_logits(np.zeros((1, 5), int))
    model(torch.zeros(1, 5, dtype=torch.long)).sum().backward()


# Optimisers and training

OPTIMISERS = [
    ("SGD", {"lr": 0.1}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.1}),
    ("Adam", {}),
    ("Adam", {"lr": 0.1, "betas": (0.8, 0.95), "eps": 1e-3, "weight_decay": 0.1}),
    ("AdamW", {}),
    ("AdamW", {"lr": 0.1, "betas": (0.8, 0.95), "eps": 1e-3, "weight_decay": 0.1}),
]


@covers("optim.Optimizer", "optim.SGD", "optim.Adam", "optim.AdamW", "optim.decay_groups", "optim.clip_grad_norm")
@pytest.mark.parametrize("resumed", [False, True])
@pytest.mark.parametrize("name, options", OPTIMISERS)
def test_optimisers_step_for_step(name: str, options: dict[str, Any], resumed: bool) -> None:
    """Weights and state agree after every step, also when np's state moves into a fresh torch optimiser half way."""
    rng = np.random.default_rng(0)
    np_model, pt_model = build("layers.Linear", {"d_in": 3, "d_out": 4})
    groups = PUBLIC["optim.decay_groups"](np_model, 0.2), twin("optim.decay_groups")(pt_model, 0.2)
    for a, b in zip(*groups, strict=True):
        assert [n for n, _ in a["params"]] == [n for n, _ in b["params"]] and a["weight_decay"] == b["weight_decay"]
    np_opt, pt_opt = PUBLIC[f"optim.{name}"](groups[0], **options), twin(f"optim.{name}")(groups[1], **options)

    np_state, pt_state = np_opt.state_arrays(), pt_opt.state_arrays()
    assert {k: v.shape for k, v in np_state.items()} == {k: v.shape for k, v in pt_state.items()}
    for step in range(8):
        if step == 4:
            np_opt.set_lr(0.02)
            if resumed:
                pt_opt = twin(f"optim.{name}")(twin("optim.decay_groups")(pt_model, 0.2), **options)
                pt_opt.load_state_arrays(np_opt.state_arrays(), np_opt.steps)
            pt_opt.set_lr(0.02)
        for a, b in zip(np_model.parameters(), pt_model.parameters(), strict=True):
            a.grad = rng.standard_normal(a.data.shape)
            b.grad = torch.tensor(a.grad)
        np_opt.step()
        pt_opt.step()
        assert np_opt.steps == pt_opt.steps == step + 1
        for key, tensor in pt_model.state_dict().items():
            assert_same(np_model.state_dict()[key], tensor, f"{key} after step {step}")
        if name != "SGD" or "momentum" in options:  # torch keeps no momentum that is not used
            for key, tensor in pt_opt.state_arrays().items():
                assert_same(np_opt.state_arrays()[key], tensor, f"{key} after step {step}")


def test_optimiser_state_of_another_model_is_refused() -> None:
    _, model = build("layers.Linear", {"d_in": 3, "d_out": 4})
    optimiser = twin("optim.AdamW")(twin("optim.decay_groups")(model, 0.1))
    state = optimiser.state_arrays()
    with pytest.raises(ValueError, match="another model"):
        optimiser.load_state_arrays({k: v for k, v in state.items() if "bias" not in k}, 1)
    with pytest.raises(ValueError, match=r"exp_avg.weight has shape \(3, 4\)"):
        optimiser.load_state_arrays(state | {"exp_avg.weight": np.zeros((3, 4))}, 1)


@pytest.mark.parametrize("max_norm", [0.1, 100.0, np.inf])
def test_clip_grad_norm(max_norm: float) -> None:
    np_model, pt_model = build("layers.Linear", {"d_in": 3, "d_out": 4})
    for a, b in zip(np_model.parameters(), pt_model.parameters(), strict=True):
        a.grad = np.random.default_rng(0).standard_normal(a.data.shape)
        b.grad = torch.tensor(a.grad)
    norms = [
        clip(model.parameters(), max_norm)
        for clip, model in ((PUBLIC["optim.clip_grad_norm"], np_model), (twin("optim.clip_grad_norm"), pt_model))
    ]
    assert_same(np.float64(norms[0]), norms[1], "norm")
    assert_same_grads(np_model, pt_model)


@covers("muon.Muon", "muon.muon_groups")
@pytest.mark.parametrize("resumed", [False, True])
@pytest.mark.parametrize("name", ["gpt.GPT", "bert.BERT", "seq2seq.Seq2Seq"])
@pytest.mark.parametrize("options", [{}, {"lr": 0.1, "betas": (0.8, 0.95), "eps": 1e-3, "momentum": 0.7}])
def test_muon_step_for_step(name: str, options: dict[str, Any], resumed: bool) -> None:
    """As above, on whole models: some matrices are Muon's, and one parameter has no gradient."""
    rng = np.random.default_rng(0)
    np_model, pt_model = build(name, {"config": CONFIGS["llama"]})
    groups = PUBLIC["muon.muon_groups"](np_model, 0.2), twin("muon.muon_groups")(pt_model, 0.2)
    for a, b in zip(*groups, strict=True):
        assert [n for n, _ in a["params"]] == [n for n, _ in b["params"]]
        assert {k: v for k, v in a.items() if k != "params"} == {k: v for k, v in b.items() if k != "params"}
    np_opt, pt_opt = PUBLIC["muon.Muon"](groups[0], **options), twin("muon.Muon")(groups[1], **options)
    np_state, pt_state = np_opt.state_arrays(), pt_opt.state_arrays()
    assert {k: v.shape for k, v in np_state.items()} == {k: v.shape for k, v in pt_state.items()}
    for step in range(4):
        if step == 2:
            np_opt.set_lr(0.02)
            if resumed:
                pt_opt = twin("muon.Muon")(twin("muon.muon_groups")(pt_model, 0.2), **options)
                pt_opt.load_state_arrays(np_opt.state_arrays(), np_opt.steps)
            pt_opt.set_lr(0.02)
        for i, (a, b) in enumerate(zip(np_model.parameters(), pt_model.parameters(), strict=True)):
            if i != 4:
                a.grad = rng.standard_normal(a.data.shape)
                b.grad = torch.tensor(a.grad)
        np_opt.step()
        pt_opt.step()
        assert np_opt.steps == pt_opt.steps == step + 1
        for key, tensor in pt_model.state_dict().items():
            assert_same(np_model.state_dict()[key], tensor, f"{key} after step {step}")
        for key, tensor in pt_opt.state_arrays().items():
            assert_same(np_opt.state_arrays()[key], tensor, f"{key} after step {step}")


@covers("train.Trainer")
@pytest.mark.parametrize(
    "label, optimizer",
    [("gpt2", "adamw"), ("llama", "adamw"), ("gpt2", "muon"), ("llama", "muon")],
    ids=["gpt2", "llama", "gpt2, muon", "llama, muon"],
)
def test_the_same_training(label: str, optimizer: str) -> None:
    """50 steps with decay groups, clipping and a schedule: one loss curve; then the same greedy text."""
    c = CONFIGS[label]
    np_model, pt_model = build("gpt.GPT", {"config": c}, seed=6)
    recipe = TrainConfig(steps=50, lr=0.02, warmup=5, clip=1.0, optimizer=optimizer)
    np_trainer, pt_trainer = (
        PUBLIC["train.Trainer"](np_model, recipe, copies=1),
        twin("train.Trainer")(pt_model, recipe),
    )
    rng, clipped = np.random.default_rng(7), 0
    for step in range(50):
        start, stride = rng.integers(c.vocab_size, size=4), rng.integers(1, 4, size=4)
        text = (start[:, None] + stride[:, None] * np.arange(c.context + 1)) % c.vocab_size  # something to learn
        x, y = text[:, :-1], text[:, 1:].copy()
        y[0, :2] = -100
        a, b = np_trainer.step(x, y, step), pt_trainer.step(x, y, step)
        assert a._fields == b._fields
        assert abs(a.loss - b.loss) <= 1e-8 and abs(a.grad_norm - b.grad_norm) <= 1e-8 * a.grad_norm, step
        assert a.lr == b.lr
        clipped += a.grad_norm > recipe.clip
        if step == 0:
            first = a.loss
    assert 0 < clipped < 50 and a.loss < 0.7 * first, "the run must clip, not always, and learn"
    texts = [list(generate(m, [1, 2, 3], 20, temperature=0, rng=rng)) for m in (np_model, pt_model)]
    assert texts[0] == texts[1]


def test_dropout_of_a_step_depends_on_seed_and_step_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()  # real coins
    x = np.random.default_rng(0).integers(11, size=(4, 9))

    def loss(seed: int, step: int) -> float:
        _, model = build("gpt.GPT", {"config": config(dropout=0.3)})
        return twin("train.Trainer")(model, TrainConfig(seed=seed)).step(x, x, step).loss

    assert loss(1, 2) == loss(1, 2) != loss(1, 3) != loss(2, 2)


def test_dropout_keeps_its_share(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    y = twin("functional.dropout")(torch.ones(100_000), 0.3, torch.Generator().manual_seed(0))
    assert set(y.unique().tolist()) == {0.0, torch.tensor(1.0).div(0.7).item()}
    assert abs((y == 0).double().mean().item() - 0.3) < 0.01  # 7 standard deviations


@pytest.mark.parametrize("name", ["auto", "cpu", None])
def test_pick_device(name: str | None) -> None:
    from minillm.pt.device import pick_device

    assert isinstance(pick_device(name), torch.device)


def test_pick_device_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    from minillm.errors import UserError
    from minillm.pt.device import pick_device

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError, match=r"cuda.*not available"):
        pick_device("cuda")
    with pytest.raises(UserError, match="choose one of"):
        pick_device("tpu")
