"""Optimisers and clipping against torch.optim in float64; schedules and early stopping at their key points."""

import math

import numpy as np
import pytest
from np_cases import config, generator

from minillm.np import chunks
from minillm.np.gpt import GPT
from minillm.np.optim import SGD, Adam, AdamW, clip_grad_norm, decay_groups
from minillm.np.param import Param
from minillm.schedule import EarlyStopping, learning_rate

torch = pytest.importorskip("torch")

SHAPES = {"matrix": (5, 7), "vector": (6,), "long": (3, 40)}
CASES = {
    "SGD": (SGD, torch.optim.SGD, {"lr": 0.1}),
    "SGD with momentum": (SGD, torch.optim.SGD, {"lr": 0.1, "momentum": 0.9}),
    "SGD with momentum and decay": (SGD, torch.optim.SGD, {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.2}),
    "Adam": (Adam, torch.optim.Adam, {"lr": 0.01}),
    "Adam with decay, other settings": (
        Adam,
        torch.optim.Adam,
        {"lr": 0.01, "weight_decay": 0.2, "betas": (0.8, 0.95), "eps": 1e-3},
    ),
    "AdamW": (AdamW, torch.optim.AdamW, {"lr": 0.01, "weight_decay": 0.2}),
    "AdamW, other settings": (
        AdamW,
        torch.optim.AdamW,
        {"lr": 0.01, "weight_decay": 0.2, "betas": (0.7, 0.9), "eps": 1e-3},
    ),
}


def close(a, b):
    np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-13)


def pairs(dtype=np.float64):
    """Parameters of ours and of PyTorch with equal values."""
    rng = generator()
    ours = {name: Param(rng.standard_normal(shape).astype(dtype)) for name, shape in SHAPES.items()}
    return ours, {name: torch.nn.Parameter(torch.tensor(p.data)) for name, p in ours.items()}


def draw_gradients(ours, theirs, rng):
    for name, p in ours.items():
        p.grad = rng.standard_normal(p.data.shape)
        theirs[name].grad = torch.tensor(p.grad)


@pytest.mark.parametrize("name", CASES)
def test_twenty_steps_agree_with_torch(name, monkeypatch):
    """Two groups with settings of their own, a learning rate that changes, arrays longer than a piece."""
    monkeypatch.setattr(chunks, "CHUNK", 16)
    ours_kind, their_kind, settings = CASES[name]
    ours, theirs = pairs()
    own = {"weight_decay": 0.0, "lr": 0.05}
    optimizer = ours_kind(
        [
            {"params": [("matrix", ours["matrix"]), ("long", ours["long"])]},
            {"params": [("vector", ours["vector"])], **own},
        ],
        **settings,
    )
    reference = their_kind(
        [{"params": [theirs["matrix"], theirs["long"]]}, {"params": [theirs["vector"]], **own}], **settings
    )
    rng = generator(3)
    for step in range(20):
        if step == 10:
            optimizer.set_lr(0.003)
            for group in reference.param_groups:
                group["lr"] = 0.003
        draw_gradients(ours, theirs, rng)
        optimizer.step()
        reference.step()
        for key, p in ours.items():
            close(p.data, theirs[key].detach().numpy())


@pytest.mark.parametrize("kind", [SGD, Adam, AdamW])
def test_saved_state_goes_on_bit_for_bit(kind):
    def run(reload):
        ours, theirs = pairs()
        make = lambda: kind([{"params": list(ours.items())}], lr=0.01)  # noqa: E731
        optimizer, rng = make(), generator(3)
        for step in range(6):
            if step == 3 and reload:
                state, steps = {k: a.copy() for k, a in optimizer.state_arrays().items()}, optimizer.steps
                optimizer = make()
                optimizer.load_state_arrays(state, steps)
            draw_gradients(ours, theirs, rng)
            optimizer.step()
        return [p.data for p in ours.values()]

    assert all(np.array_equal(a, b) for a, b in zip(run(True), run(False), strict=True))


def test_state_of_another_model_is_refused():
    ours, _ = pairs()
    optimizer = AdamW([{"params": list(ours.items())}])
    state = optimizer.state_arrays()
    with pytest.raises(ValueError, match="another model"):
        optimizer.load_state_arrays({k: v for k, v in state.items() if k != "exp_avg.vector"}, 1)
    with pytest.raises(ValueError, match="has shape"):
        optimizer.load_state_arrays(state | {"exp_avg.vector": np.zeros(2)}, 1)


@pytest.mark.parametrize("kind", [SGD, Adam, AdamW])
def test_float32_stays_float32(kind):
    ours, _ = pairs(np.float32)
    optimizer = kind([{"params": list(ours.items())}], lr=np.float64(0.1), weight_decay=0.1)
    for p in ours.values():
        p.grad = np.ones_like(p.data)
    optimizer.step()
    assert {a.dtype for a in optimizer.state_arrays().values()} | {p.data.dtype for p in ours.values()} == {
        np.dtype(np.float32)
    }


def test_a_parameter_without_gradient_stays():
    ours, _ = pairs()
    before = ours["vector"].data.copy()
    AdamW([{"params": list(ours.items())}], weight_decay=0.5).step()
    assert np.array_equal(ours["vector"].data, before)


def test_an_array_that_cannot_be_changed_in_place_is_refused():
    transposed = Param(np.ones((2, 3)).T)  # flattening it makes a copy, and the update would be lost
    transposed.grad = np.ones((3, 2))
    with pytest.raises(ValueError, match="copy"):
        SGD([{"params": [("w", transposed)]}], lr=0.1).step()


def test_only_matrices_decay():
    model = GPT(config(), rng=generator())
    decayed, kept = decay_groups(model, 0.1)
    assert (decayed["weight_decay"], kept["weight_decay"]) == (0.1, 0.0)
    assert {name for name, _ in decayed["params"]} == {n for n, p in model.named_parameters() if p.data.ndim == 2}
    assert all(name.endswith("bias") or "norm" in name for name, _ in kept["params"])
    assert len(decayed["params"]) + len(kept["params"]) == len(model.parameters())


@pytest.mark.parametrize("limit", [0.5, 5.0, 1e6])
def test_clipping_agrees_with_torch(limit):
    ours, theirs = pairs()
    draw_gradients(ours, theirs, generator(4))
    norm = clip_grad_norm(ours.values(), limit)
    close(norm, torch.nn.utils.clip_grad_norm_(theirs.values(), limit).item())
    for name, p in ours.items():
        close(p.grad, theirs[name].grad.numpy())
    after = math.sqrt(sum(float((p.grad**2).sum()) for p in ours.values()))
    assert after == pytest.approx(min(norm, limit), rel=1e-5)


def test_clipping_skips_parameters_without_gradient():
    ours, _ = pairs()
    ours["vector"].grad = np.full(6, 2.0)
    assert clip_grad_norm(ours.values(), 1.0) == pytest.approx(math.sqrt(24))
    assert ours["matrix"].grad is None


@pytest.mark.parametrize(
    ("schedule", "middle"), [("cosine", 0.1 + 0.9 * 0.5), ("linear", 0.1 + 0.9 * 0.5), ("constant", 1.0)]
)
def test_schedule_at_its_key_points(schedule, middle):
    def rate(step):
        return learning_rate(step, lr=2.0, steps=111, warmup=10, min_lr=0.1, schedule=schedule)

    assert [rate(s) for s in (0, 4, 9)] == pytest.approx([2 / 11, 10 / 11, 20 / 11])  # never 0: every step learns
    assert rate(10) == 2.0
    assert rate(60) == pytest.approx(2 * middle)
    end = 2.0 if schedule == "constant" else 0.2
    assert [rate(110), rate(500)] == pytest.approx([end, end])
    quarter = {"cosine": 0.1 + 0.45 * (1 + math.cos(math.pi / 4)), "linear": 0.1 + 0.9 * 0.75, "constant": 1.0}
    assert rate(35) == pytest.approx(2 * quarter[schedule])


def test_schedule_edges():
    assert learning_rate(0, lr=1.0, steps=1) == 1.0
    assert learning_rate(5, lr=1.0, steps=3, warmup=10) == pytest.approx(6 / 11)
    with pytest.raises(ValueError, match="schedule is"):
        learning_rate(0, lr=1.0, steps=1, schedule="step")


def test_early_stopping():
    stopping = EarlyStopping(patience=2)
    assert [stopping.update(loss) for loss in (3.0, 2.0, 2.0)] == [True, True, False]
    assert not stopping.stop
    assert stopping.update(1.5)
    assert not stopping.update(1.6) and not stopping.stop
    assert not stopping.update(math.nan) and stopping.stop
    assert stopping.best == 1.5

    never = EarlyStopping(patience=0)
    for loss in (1.0, 2.0, 3.0):
        never.update(loss)
    assert not never.stop

    resumed = EarlyStopping(patience=2, best=1.5, waited=1)
    resumed.update(2.0)
    assert resumed.stop
