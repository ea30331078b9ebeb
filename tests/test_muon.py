"""Muon: its orthogonalisation against the singular value decomposition, its steps against torch.optim.Muon."""

import math

import numpy as np
import pytest
from np_cases import LLAMA, config, generator

from conftest import TEXT
from minillm.backend import Backend
from minillm.config import TrainConfig
from minillm.data.batches import random_batch
from minillm.np.gpt import GPT
from minillm.np.muon import COEFFICIENTS, EPS, STEPS, Muon, muon_groups, orthogonalise
from minillm.np.optim import AdamW, decay_groups
from minillm.np.param import Param
from minillm.np.rnn import LSTMLanguageModel
from minillm.np.train import Trainer

torch = pytest.importorskip("torch")

SHAPES = {"wide": (4, 9), "tall": (9, 4), "square": (6, 6), "row": (1, 5), "column": (5, 1), "number": (1, 1)}


def polynomial(s):
    """What the iteration does to one singular value."""
    a, b, c = COEFFICIENTS
    for _ in range(STEPS):
        s = a * s + b * s**3 + c * s**5
    return s


def matrix(shape, singular_values, rng):
    """A matrix with these singular values, and its U and Vᵀ."""
    u, _, vt = np.linalg.svd(rng.standard_normal(shape), full_matrices=False)
    return (u * singular_values) @ vt, u, vt


@pytest.mark.parametrize("name", SHAPES)
def test_the_polynomial_acts_on_singular_values(name):
    """U and V stay; each s of a matrix of Frobenius norm 1 becomes p(p(p(p(p(s))))). Stacks, too."""
    rng = generator()
    for scale in (1e-4, 1, 1e4):
        stack, wanted = [], []
        for _ in range(3):
            s = rng.uniform(0.1, 1, min(SHAPES[name]))
            x, u, vt = matrix(SHAPES[name], scale * s, rng)
            stack.append(x)
            wanted.append((u * polynomial(s / np.linalg.norm(s))) @ vt)
        before = np.array(stack)
        x = before.copy()
        np.testing.assert_allclose(orthogonalise(x), wanted, atol=1e-11)
        np.testing.assert_array_equal(x, before)  # the input is not changed
        np.testing.assert_allclose(orthogonalise(x[0]), wanted[0], atol=1e-11)


def test_singular_values_come_near_one():
    """The docstring's figures; and of random matrices, as gradients at the start are."""
    s = polynomial(np.geomspace(0.002, 1, 10001))
    assert s.min() == pytest.approx(0.68, abs=0.005) and s.max() == pytest.approx(1.20, abs=0.005)
    rng = generator()
    for shape in ((128, 344), (344, 128), (64, 32), (3, 5)):
        for dtype in (np.float32, np.float64):
            y = orthogonalise(rng.standard_normal(shape).astype(dtype))
            assert y.dtype == dtype and y.shape == shape
            s = np.linalg.svd(y, compute_uv=False)
            assert s.min() > 0.65 and s.max() < 1.21


def test_a_direction_a_hundred_times_weaker_counts_as_much():
    rng = generator()
    x, *_ = matrix((20, 30), np.geomspace(1, 0.01, 20), rng)
    s = np.linalg.svd(orthogonalise(x), compute_uv=False)
    assert s.max() / s.min() < 1.8


@pytest.mark.parametrize("scale", [1e-30, 1e-5, 1.0, 1e25])
def test_any_scale(scale):
    """In float32, where squares of 1e25 are infinite. What is below EPS counts as nothing."""
    x = generator().standard_normal((8, 5)).astype(np.float32)
    y = orthogonalise(np.float32(scale) * x)
    assert np.isfinite(y).all()
    if scale > EPS:
        np.testing.assert_allclose(y, orthogonalise(x), atol=1e-4)
    else:
        assert np.abs(y).max() < 1e-18


def test_zero_stays_zero():
    for shape in SHAPES.values():
        assert not orthogonalise(np.zeros(shape)).any()
    w = Param(np.ones((3, 4)))
    w.grad = np.zeros((3, 4))
    Muon([{"params": [("w", w)], "parts": (1,)}], lr=0.1, weight_decay=0.5).step()
    np.testing.assert_allclose(w.data, 0.95)  # only decay


@pytest.fixture
def full_precision(monkeypatch):
    """torch.optim.Muon orthogonalises in bfloat16; here in the gradient's own precision."""
    if not hasattr(torch.optim, "Muon"):
        pytest.skip("this torch has no Muon")
    monkeypatch.setattr(torch.Tensor, "bfloat16", torch.Tensor.clone)


@pytest.mark.parametrize("name", SHAPES)
def test_steps_agree_with_torch(name, full_precision):
    rng = generator()
    ours = Param(rng.standard_normal(SHAPES[name]))
    theirs = torch.nn.Parameter(torch.tensor(ours.data))
    options = {"lr": 0.05, "weight_decay": 0.2, "momentum": 0.9}
    optimizer = Muon([{"params": [("w", ours)], "parts": (1,)}], **options)
    reference = torch.optim.Muon([theirs], **options, adjust_lr_fn="match_rms_adamw")
    for step in range(12):
        if step == 6:
            optimizer.set_lr(0.003)
            reference.param_groups[0]["lr"] = 0.003
        ours.grad = rng.standard_normal(ours.data.shape)
        theirs.grad = torch.tensor(ours.grad)
        optimizer.step()
        reference.step()
        np.testing.assert_allclose(ours.data, theirs.detach().numpy(), rtol=1e-10, atol=1e-12)
        state = optimizer.state_arrays()
        assert list(state) == ["momentum_buffer.w"]
        momentum = reference.state[theirs]["momentum_buffer"].numpy()
        np.testing.assert_allclose(state["momentum_buffer.w"], momentum, rtol=1e-12, atol=1e-14)


def test_the_step_has_the_size_of_adamws():
    """Root mean square 0.2 of the learning rate, whatever the shape: AdamW's steps have about that."""
    rng = generator()
    for shape in ((40, 40), (40, 160), (160, 40)):
        w = Param(np.zeros(shape))
        w.grad = rng.standard_normal(shape)
        Muon([{"params": [("w", w)], "parts": (1,)}], lr=0.01).step()
        assert 0.68 < math.sqrt((w.data**2).mean()) / (0.2 * 0.01) < 1.21


def test_three_matrices_in_one_parameter():
    """in_proj's step is that of its queries, keys and values each by itself: none takes it from the others."""
    model = GPT(config(), rng=generator())
    stacked = next(group for group in muon_groups(model, 0.1) if "in_proj" in group["params"][0][0])
    assert stacked["parts"] == (2, 2, 2)
    assert [name for name, _ in stacked["params"]] == ["blocks.0.attn.in_proj.weight", "blocks.1.attn.in_proj.weight"]
    rng, (d3, d) = generator(), stacked["params"][0][1].data.shape
    joint = Param(rng.standard_normal((d3, d)))
    apart = [Param(part.copy()) for part in np.split(joint.data, 3)]
    joint.grad = rng.standard_normal((d3, d)) * np.repeat([1, 10, 100], d)[:, None]
    for p, g in zip(apart, np.split(joint.grad, 3), strict=True):
        p.grad = g.copy()
    Muon([{**stacked, "params": [("w", joint)]}], lr=0.1).step()
    Muon([{"params": [(str(i), p) for i, p in enumerate(apart)], "parts": (1,), "weight_decay": 0.1}], lr=0.1).step()
    np.testing.assert_allclose(joint.data, np.concatenate([p.data for p in apart]), atol=1e-13)


@pytest.mark.parametrize("changes", [{}, {"tied": False}, LLAMA], ids=["tied", "untied", "llama"])
def test_groups(changes):
    """Matrices inside the blocks are Muon's; embeddings, the head and vectors AdamW's; vectors do not decay."""
    model = GPT(config(**changes), rng=generator())
    shapes = {name: p.data.shape for name, p in model.named_parameters()}
    seen = {}
    for group in muon_groups(model, 0.3):
        for name, p in group["params"]:
            assert name not in seen and p.data.shape == shapes[name]
            seen[name] = (len(group.get("parts", ())), group["weight_decay"])
    inside = {name for name, shape in shapes.items() if name.startswith("blocks.") and len(shape) == 2}
    assert len(inside) >= 8
    for name, shape in shapes.items():
        matrices = (3 if "in_proj" in name else 1) if name in inside else 0
        assert seen.pop(name) == (matrices, 0.3 if len(shape) == 2 else 0.0), name
    assert not seen


def test_a_model_without_blocks_learns_by_adamw():
    def run(kind, grouped):
        model, rng = LSTMLanguageModel(11, 6, 7, rng=generator(), dtype=np.float64), generator()
        optimizer = kind(grouped(model, 0.1))
        for _ in range(3):
            for p in model.parameters():
                p.grad = rng.standard_normal(p.data.shape)
            optimizer.step()
        return [p.data for p in model.parameters()]

    a, b = run(Muon, muon_groups), run(AdamW, decay_groups)
    assert all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


def small_model(dtype=np.float32):
    return GPT(config(**LLAMA), rng=generator(), dtype=dtype)


def draw_gradients(model, rng):
    for p in model.parameters():
        p.grad = rng.standard_normal(p.data.shape).astype(p.data.dtype)


def test_saved_state_goes_on_bit_for_bit():
    def run(reload):
        model, rng = small_model(), generator(3)
        optimizer = Muon(muon_groups(model, 0.1), lr=0.01)
        for step in range(6):
            if step == 3 and reload:
                state, steps = {k: a.copy() for k, a in optimizer.state_arrays().items()}, optimizer.steps
                optimizer = Muon(muon_groups(model, 0.1), lr=0.01)
                optimizer.load_state_arrays(state, steps)
            draw_gradients(model, rng)
            optimizer.step()
        return [p.data for p in model.parameters()]

    assert all(np.array_equal(a, b) for a, b in zip(run(True), run(False), strict=True))


def test_state_of_adamw_is_refused():
    model = small_model()
    muon, adamw = Muon(muon_groups(model, 0.1)), AdamW(decay_groups(model, 0.1))
    for a, b in ((muon, adamw), (adamw, muon)):
        with pytest.raises(ValueError, match="another optimiser"):
            a.load_state_arrays(b.state_arrays(), 1)


def test_float32_stays_float32():
    model = small_model()
    optimizer = Muon(muon_groups(model, 0.1), lr=np.float64(0.1))
    draw_gradients(model, generator())
    optimizer.step()
    arrays = [*optimizer.state_arrays().values(), *(p.data for p in model.parameters())]
    assert {a.dtype for a in arrays} == {np.dtype(np.float32)}


def test_a_parameter_without_gradient_stays():
    model = small_model()
    before = [p.data.copy() for p in model.parameters()]
    Muon(muon_groups(model, 0.5), lr=0.1).step()
    assert all(np.array_equal(p.data, old) for p, old in zip(model.parameters(), before, strict=True))


def test_a_loss_scale_that_overflowed_leaves_the_weights():
    """torch's GradScaler skips the step of all parameters, and not only of those that are AdamW's."""
    from minillm.pt.gpt import GPT as TorchGPT
    from minillm.pt.muon import Muon as TorchMuon
    from minillm.pt.muon import muon_groups as torch_groups

    model = TorchGPT(config(**LLAMA), rng=generator())
    optimizer, scaler = TorchMuon(torch_groups(model, 0.1), lr=0.1), torch.amp.GradScaler("cpu")
    before = [p.detach().clone() for p in model.parameters()]
    scaler.scale(model(torch.zeros(1, 3, dtype=torch.long)).sum()).backward()
    next(model.parameters()).grad[0, 0] = math.inf
    scaler.unscale_(optimizer)
    scaler.step(optimizer)
    assert all(torch.equal(p, old) for p, old in zip(model.parameters(), before, strict=True))


@pytest.mark.parametrize("processes", [1, 2], ids=["one copy", "two copies"])
def test_it_learns(processes):
    """The trainer's own loop, also where the weights are shared with a second copy of the model."""
    ids = np.array([ord(character) % 11 for character in TEXT])
    model = GPT(config(**LLAMA), rng=generator())
    trainer = Trainer(model, TrainConfig(steps=40, lr=0.03, warmup=3, optimizer="muon"), copies=processes)
    assert isinstance(trainer.optimizer, Muon)
    losses = [trainer.step(*random_batch(ids, 4, 16, 0, step), step).loss for step in range(40)]
    assert np.mean(losses[-5:]) < 0.9 * losses[0]


def test_the_back_ends_are_asked_for_it():
    for name in ("np", "pt"):
        backend = Backend(name, "cpu")
        trainer = backend.trainer(backend.gpt(config()), TrainConfig(optimizer="muon"))
        assert type(trainer.optimizer).__name__ == "Muon"
        trainer = backend.trainer(backend.gpt(config()), TrainConfig())
        assert type(trainer.optimizer).__name__ == "AdamW"
