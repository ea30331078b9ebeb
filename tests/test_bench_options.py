"""What each option is worth: the measurement runs, compares what it says it compares, and draws."""

import json

import pytest

pytest.importorskip("torch")

from minillm.bench import options
from minillm.config import ACTIVATIONS, NORMS, POSITIONS, preset
from minillm.ladder.text import Settings


def test_every_change_changes_modern():
    """A name in the table that modern has already would be measured as worth nothing."""
    modern = preset("modern", 100)
    for name, changes in (options.WITHOUT | {"plain": options.PLAIN}).items():
        assert all(options.recipe(100, {key: value}) != modern for key, value in changes.items()), name
    assert options.PLAIN["norm"] in NORMS and options.PLAIN["position"] in POSITIONS
    assert options.PLAIN["activation"] in ACTIVATIONS


def test_plain_is_the_default_configuration():
    """GPT-2's shape is what ModelConfig gives without any option."""
    config, train = options.recipe(100, options.PLAIN)
    names = ("norm", "position", "activation", "qk_norm", "bias", "tied", "init_std", "rope_base")
    default, default_train = preset("small", 100)
    assert [getattr(config, n) for n in names] == [getattr(default, n) for n in names]
    assert train.optimizer == default_train.optimizer


def test_a_short_run(monkeypatch, tmp_path):
    small = {"n_layer": 1, "n_head": 2, "d_model": 16, "context": 16, "batch_size": 4}
    monkeypatch.setattr(options, "WITHOUT", {name: options.WITHOUT[name] for name in ("GELU", "one key head", "AdamW")})
    monkeypatch.setattr(options, "RATES", (3e-3,))
    monkeypatch.setattr(options, "VALIDATIONS", 1)
    recipe = options.recipe
    monkeypatch.setattr(options, "recipe", lambda vocab_size, changes: recipe(vocab_size, small | changes))
    lines: list[str] = []
    settings = Settings(train_characters=3000, valid_characters=400, test_characters=400)
    result = options.measure("reader", 2e-4, 2, 1e-4, "pt", settings, lines.append)
    assert json.loads(json.dumps(result)) == result
    for row in result["rows"].values():
        assert [run["seed"] for run in row["runs"]] == [0, 1] and len({run["lr"] for run in row["runs"]}) == 1
        best = min(row["sweep"], key=row["sweep"].get)
        assert row["runs"][0]["lr"] == float(best)
        assert all(run["steps"] > 0 and 4 < run["valid"] < 8 for run in row["runs"])
    assert len(result["ablation"]["modern"]) == 2 and set(result["ablation"]) == {"modern", *options.WITHOUT}
    plain, modern = (options.average(result["rows"][name]["runs"]) for name in ("plain", "modern"))
    assert result["lower_by"] == pytest.approx(1 - modern / plain)
    assert any("plain, seed 1" in line for line in lines)
    options.chart(result, tmp_path / "options.png")
    assert (tmp_path / "options.png").read_bytes().startswith(b"\x89PNG")
