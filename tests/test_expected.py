"""What to expect after some minutes: the measured curve that lesson 14 shows, and what is only computed."""

import json

import pytest

from minillm.bench.expected import FOLDER, JSON, T4, estimate
from minillm.config import preset


def test_an_estimate_says_that_it_is_one():
    found = estimate(2e8, {"card": "half a card", "peak_flops": 1e12, "assumed_utilisation": 0.5})
    assert found["measured"] is False
    assert found["tokens_per_minute"] == pytest.approx(60 * 1e12 * 0.5 / 2e8)


def test_the_committed_results():
    found = json.loads((FOLDER / JSON).read_text(encoding="utf-8"))
    assert {"machine", "date", "corpus"} <= found.keys()
    losses = [row["valid_loss"] for row in found["cpu"]["curve"]]
    assert losses == sorted(losses, reverse=True) and losses[-1] < 5
    assert found["large"]["parameters"] >= 30e6
    first = found["large"]["first_losses"]
    assert first[-1] < first[0] < 10  # it learns
    assert found["t4"] == estimate(found["large"]["flops_per_token"], T4)


def test_the_large_preset_is_large_whatever_the_vocabulary():
    config, _ = preset("large", 100)
    attention, ffn = 4 * config.d_model**2, 3 * config.d_model * config.d_ff
    assert config.n_layer * (attention + ffn) >= 30e6


@pytest.mark.parametrize("minutes", [0.02, 0])
def test_measuring(minutes, tmp_path, monkeypatch):
    pytest.importorskip("torch")
    from minillm.bench import expected

    if minutes == 0:  # the curve that is there stays
        (tmp_path / JSON).write_text(json.dumps({"cpu": {"curve": "as it was"}}))
    arguments = ["--corpus", "reader", "--minutes", str(minutes), "--every", "0.01", "--large-steps", "1"]
    monkeypatch.setattr("sys.argv", ["expected", "--out", str(tmp_path), *arguments])
    monkeypatch.setattr(expected, "preset", lambda name, size, **changes: preset("tiny", size, **changes))
    expected.main()
    found = json.loads((tmp_path / JSON).read_text(encoding="utf-8"))
    if minutes:
        assert len(found["cpu"]["curve"]) >= 2
        assert all(3 < row["valid_loss"] < 8 for row in found["cpu"]["curve"])
    else:
        assert found["cpu"] == {"curve": "as it was"}
    assert found["t4"]["tokens_per_minute"] > 0


@pytest.mark.parametrize("text", [None, "{", "[]", "{}"], ids=["none", "cut", "list", "empty"])
def test_there_is_no_curve_to_keep(text, tmp_path, monkeypatch, capsys):
    from minillm.bench import expected

    if text is not None:
        (tmp_path / JSON).write_text(text, encoding="utf-8")
    monkeypatch.setattr("sys.argv", ["expected", "--out", str(tmp_path), "--corpus", "reader", "--minutes", "0"])
    with pytest.raises(SystemExit):
        expected.main()
    assert "--minutes 5" in capsys.readouterr().err


def test_an_unknown_corpus(tmp_path, monkeypatch, capsys):
    from minillm.bench import expected

    monkeypatch.setattr("sys.argv", ["expected", "--out", str(tmp_path), "--corpus", "nowhere"])
    with pytest.raises(SystemExit):
        expected.main()
    assert "nowhere" in capsys.readouterr().err
