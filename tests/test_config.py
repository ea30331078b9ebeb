"""Configurations, presets, schedules: what goes in comes out, and what makes no sense is refused."""

import math

import pytest

from minillm.config import PRESETS, ModelConfig, TrainConfig, from_dict, preset, to_dict
from minillm.errors import UserError
from minillm.schedule import EarlyStopping, learning_rate


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_survives_json(name):
    import json

    model, train = preset(name, 100)
    assert from_dict(ModelConfig, json.loads(json.dumps(to_dict(model)))) == model
    assert from_dict(TrainConfig, json.loads(json.dumps(to_dict(train)))) == train


def test_changes_to_a_preset_count_from_the_start():
    """d_ff follows from d_model and the activation that are asked for, not from the preset's."""
    model, train = preset("tiny", 100, d_model=64, steps=7)
    assert (model.d_model, model.d_ff, model.n_layer) == (64, 256, 2)
    assert (train.steps, train.batch_size) == (7, 8)
    assert preset("tiny", 100, activation="swiglu")[0].d_ff == 88  # 8/3 of 32, up to a multiple of 8
    assert ModelConfig(100, d_model=32, d_ff=50).d_ff == 50
    with pytest.raises(TypeError, match="colour"):
        preset("tiny", 100, colour="red")
    with pytest.raises(UserError, match="preset is 'huge'; choose one of tiny"):
        preset("huge", 100)


@pytest.mark.parametrize(
    "kind, values",
    [
        (ModelConfig, {"vocab_size": 0}),
        (ModelConfig, {"vocab_size": 9.0}),
        (ModelConfig, {"vocab_size": 9, "dropout": math.nan}),
        (ModelConfig, {"vocab_size": 9, "dropout": 1.0}),
        (ModelConfig, {"vocab_size": 9, "norm_eps": 0.0}),
        (ModelConfig, {"vocab_size": 9, "activation": "sine"}),
        (ModelConfig, {"vocab_size": 9, "d_model": 30}),
        (ModelConfig, {"vocab_size": 9, "d_model": 12, "position": "rotary"}),
        (ModelConfig, {"vocab_size": 9, "position": "rotary", "d_head": 7}),
        (ModelConfig, {"vocab_size": 9, "n_kv_head": 3}),
        (ModelConfig, {"vocab_size": 9, "d_head": -1}),
        (ModelConfig, {"vocab_size": 9, "rope_base": 0.0}),
        (ModelConfig, {"vocab_size": 9, "init_std": -0.1}),
        (TrainConfig, {"steps": 0}),
        (TrainConfig, {"steps": 1.5}),
        (TrainConfig, {"lr": 0.0}),
        (TrainConfig, {"lr": math.inf}),
        (TrainConfig, {"min_lr": 1.1}),
        (TrainConfig, {"betas": (0.9, 1.0)}),
        (TrainConfig, {"seed": -1}),
        (TrainConfig, {"schedule": "zigzag"}),
        (TrainConfig, {"optimizer": "sgd"}),
        (TrainConfig, {"windows": "nowhere"}),
    ],
    ids=str,
)
def test_refused(kind, values):
    with pytest.raises(UserError, match=list(values)[-1].split("_")[0]):
        kind(**values)


def test_learning_rate():
    options = {"lr": 1.0, "steps": 11, "warmup": 4, "min_lr": 0.1}
    assert [learning_rate(step, **options) for step in range(4)] == pytest.approx([0.2, 0.4, 0.6, 0.8])
    for schedule, middle, end in (("cosine", 0.55, 0.1), ("linear", 0.55, 0.1), ("constant", 1.0, 1.0)):
        rates = [learning_rate(step, **options, schedule=schedule) for step in (4, 7, 10, 50)]
        assert rates == pytest.approx([1.0, middle, end, end])
    quarter = 0.1 + 0.9 * (1 + math.cos(math.pi / 6)) / 2
    assert learning_rate(5, **options) == pytest.approx(quarter)
    assert learning_rate(0, lr=1.0, steps=1) == 1.0
    with pytest.raises(ValueError, match="schedule is 'x'"):
        learning_rate(0, lr=1.0, steps=1, schedule="x")


def test_early_stopping():
    stopping = EarlyStopping(2)
    seen = [(stopping.update(loss), stopping.stop) for loss in (3.0, 2.0, 2.0, 1.5, 1.6, 1.5)]
    assert seen == [(True, False), (True, False), (False, False), (True, False), (False, False), (False, True)]
    never = EarlyStopping(0)
    assert [never.update(1.0) for _ in range(9)].count(True) == 1
    assert not never.stop
