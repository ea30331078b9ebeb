"""The ladder compares like with like: one text, one unit, equal parameters, equal time; results can be drawn."""

import itertools
import json
import math
import os
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest

from minillm.baselines.smoothing import KneserNey
from minillm.data.world import entropy, log_probability
from minillm.errors import UserError
from minillm.ladder import __main__ as ladder
from minillm.ladder import learn, results, text
from minillm.ladder.count import DISCOUNTS, RUNGS, counted
from minillm.ladder.text import QUICK, Settings
from minillm.np.train import Trainer

SIZES = {"reader": 1385, "world": 739, "tang": 9282}  # of the vocabularies


@pytest.fixture(scope="module")
def world():
    return text.read("world", QUICK)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The folder of a quick run on the world, made by the command itself."""
    out = tmp_path_factory.mktemp("ladder")
    done = subprocess.run(
        [sys.executable, "-m", "minillm.ladder", "--quick", "--corpora", "world", "--json", "--out", out],
        capture_output=True,
        encoding="utf-8",
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == results.load(out)
    return out


# ---------------------------------------------------------------------- text and counting


def test_every_rung_has_the_same_text(world):
    about = world.describe()
    assert 9_000 < about["characters"]["train"] < 11_000 and about["characters"]["test"] < 2_100
    assert set(world.tokenizer.tokens) == set("".join(world.documents["train"]))
    assert all(len(world.tokens[s]) == about["characters"][s] + about["documents"][s] + 1 for s in world.tokens)


def test_spread_takes_from_everywhere():
    documents = [str(i) * 10 for i in range(9)]
    assert text.spread(documents, None) == text.spread(documents, 90) == documents
    assert text.spread(documents, 30) == documents[::3]
    assert text.spread(documents, 31) == documents[::3]
    assert text.spread(documents[:1], 5) == documents[:1]


def test_uniform_is_the_formula(world):
    """log2 V for every character and every <eos>, and the price of the characters that train does not have."""
    test = world.documents["test"]
    characters, unknown = sum(map(len, test)), [c for c in "".join(test) if c not in set(world.tokenizer.tokens)]
    spelled = len(unknown) * math.log2(0x110000 - 0x800 - len(world.tokenizer.tokens))
    bits = (characters + len(test)) * math.log2(world.vocab_size) + spelled
    assert unknown, "this test text has unknown characters, or nothing is tested"
    assert RUNGS["uniform"](world)["bits_per_char"] == pytest.approx(bits / characters, rel=1e-12)


def test_counted_rungs_are_the_baselines(world):
    rows = dict(counted(world))
    train, valid, test = (world.tokens[split] for split in ("train", "valid", "test"))
    for order in (2, 5):
        models = [KneserNey(train, world.vocab_size, order, discounts) for discounts in DISCOUNTS]
        best = min(models, key=lambda model: model.total_nll(valid))
        row = rows[f"KN {order}"]
        assert row["bits_per_char"] == world.bits_per_char(best.total_nll(test))
        assert row["discounts"] == best.discounts
        grams = {m: {tuple(train[i : i + m]) for i in range(len(train) - m + 1)} for m in range(1, order + 1)}
        assert row["numbers"] == sum(map(len, grams.values()))
    bits = [row["bits_per_char"] for row in rows.values()]
    assert bits == sorted(bits, reverse=True), "on the world each rung is lower than the one before"
    assert all(row["cpu_seconds"] >= 0 for row in rows.values())


def test_the_floor_is_the_entropy(world):
    floor = text.floor(world)
    assert floor["entropy"] == entropy("test", known_split=False).bits_per_character
    test = world.documents["test"]
    bits = -sum(log_probability(story) for story in test) / math.log(2) / sum(map(len, test))
    assert floor["this_text"] == pytest.approx(bits)
    assert floor["this_text"] == pytest.approx(floor["entropy"], rel=0.1), "of a dozen stories"
    assert text.floor(text.read("reader", QUICK)) is None


# ---------------------------------------------------------------------- learning


@pytest.mark.parametrize("name", SIZES)
def test_parameters_are_equal(name):
    for settings in (Settings(), QUICK):
        config, _ = learn.recipes(SIZES[name], settings)
        sizes = {each.name: each.model(config, 0).num_parameters() for each in learn.learners()[0]}
        assert learn.lstm_parameters(config.vocab_size, learn.lstm_width(config)) == sizes["LSTM"]
        assert max(sizes.values()) / min(sizes.values()) < 1 + learn.CLOSE, sizes


@pytest.mark.parametrize("kind", ["lstm", "gpt"])
def test_both_back_ends_build_one_model(kind, backend):
    """The shared table is one parameter, learns, and goes through the weights' dictionary and back."""
    learner = learn.Learner("any", kind, backend)
    config, recipe = learn.recipes(50, QUICK)
    model = learner.model(config, 0)
    reference = learn.Learner("any", kind, learn.Backend("np")).model(config, 0)
    ids = np.arange(12).reshape(2, 6)
    np.testing.assert_allclose(model.next_logits(ids), reference.next_logits(ids), atol=1e-5)
    before = {name: array.copy() for name, array in backend.weights(model).items()}
    learner.trainer(model, recipe).step(ids, ids, 0)
    assert all((array != before[name]).any() for name, array in backend.weights(model).items())
    if kind == "lstm":
        assert model.lm_head.weight is model.tok.weight
    backend.load_weights(model, before)
    np.testing.assert_allclose(model.next_logits(ids), reference.next_logits(ids), atol=1e-5)


def test_time_is_equal_and_of_one_process(world, monkeypatch, backend):
    """All learn for the CPU seconds that were given, to within a step, in no process but this one."""
    monkeypatch.setattr(os, "fork", lambda: pytest.fail("a second process"))
    learner = learn.Learner("any", "gpt", backend)
    config, recipe = learn.recipes(world.vocab_size, QUICK)
    with learn.one_thread():
        model = learner.model(config, 0)
        clock = time.process_time()
        learnt = learn.learn(learner, model, recipe, world, config.context, 0.5, 2)
        spent = time.process_time() - clock
    assert learnt.steps > 1
    assert 0.5 <= learnt.cpu_seconds < 0.5 + 10 * learnt.cpu_seconds / learnt.steps
    assert learnt.cpu_seconds <= spent


def test_one_thread_and_then_as_before():
    torch = pytest.importorskip("torch")
    from threadpoolctl import threadpool_info, threadpool_limits

    def threads():
        return {pool["num_threads"] for pool in threadpool_info()} | {torch.get_num_threads()}

    before = torch.get_num_threads()
    with threadpool_limits(2):
        torch.set_num_threads(2)
        with learn.one_thread():
            assert threads() == {1}
        assert 2 in threads() and torch.get_num_threads() == 2
    torch.set_num_threads(before)


def test_the_best_weights_are_kept(world, monkeypatch):
    """Of the validations 3, 1 and 2 the second is the best: its weights are in the model at the end."""
    learner = learn.Learner("any", "gpt", learn.Backend("np"))
    config, recipe = learn.recipes(world.vocab_size, QUICK)
    model, seen = learner.model(config, 0), []

    def total_nll(model, tokens, context, eos):
        seen.append(model.emb.tok.weight.data.copy())
        return [3, 1, 2][len(seen) - 1] * (len(tokens) - 1)

    monkeypatch.setattr(learn, "total_nll", total_nll)
    learnt = learn.learn(learner, model, recipe, world, config.context, 0.3, 3)
    assert (learnt.best, learnt.best_at) == (1, 2 / 3)
    assert (model.emb.tok.weight.data == seen[1]).all() and (seen[1] != seen[2]).any()


def test_models_of_the_world_read_whole_stories(world, monkeypatch):
    first, step = [], Trainer.step
    monkeypatch.setattr(Trainer, "step", lambda self, x, y, n: [first.append(x[:, 0]), step(self, x, y, n)][1])
    learner = learn.Learner("any", "gpt", learn.Backend("np"))
    config, recipe = learn.recipes(world.vocab_size, QUICK, "world")
    learn.learn(learner, learner.model(config, 0), recipe, world, config.context, 0.1, 1)
    assert (np.array(first) == world.tokenizer.eos_id).all()
    assert learn.recipes(world.vocab_size, QUICK, "reader")[1].windows == "anywhere"


def test_the_rate_follows_the_time(world, monkeypatch):
    """A hundred steps of 10 ms in a second: up in the first twentieth, then down to the recipe's end."""
    ticks, rates, step = itertools.count(), [], Trainer.step
    monkeypatch.setattr(learn, "cpu_seconds", lambda: next(ticks) / 100)
    monkeypatch.setattr(Trainer, "step", lambda *a: [rates.append((r := step(*a)).lr), r][1])
    learner = learn.Learner("any", "gpt", learn.Backend("np"))
    config, recipe = learn.recipes(world.vocab_size, QUICK)
    learnt = learn.learn(learner, learner.model(config, 0), recipe, world, config.context, 1.0, 1)
    assert learnt.steps == len(rates) and 99 <= learnt.steps <= 101
    assert rates[0] < 0.05 * recipe.lr and max(rates) > 0.99 * recipe.lr and rates.index(max(rates)) in (4, 5, 6)
    assert rates[6:] == sorted(rates[6:], reverse=True)
    assert rates[-1] == pytest.approx(recipe.min_lr * recipe.lr, rel=0.01)


def test_the_sweep_goes_beyond_an_edge():
    def loss(best):
        return lambda rate: abs(math.log(rate / best))

    assert list(learn.sweep(loss(2), (1, 2, 4), 6)) == [1, 2, 4]
    assert list(learn.sweep(loss(8), (1, 2, 4), 6)) == [1, 2, 4, 8, 16]
    assert list(learn.sweep(loss(0.5), (1, 2, 4), 6)) == [0.25, 0.5, 1, 2, 4]
    assert list(learn.sweep(loss(1000), (1, 2, 4), 6)) == [1, 2, 4, 8, 16, 32]
    assert list(learn.sweep(loss(1000), (1,), 1)) == [1]
    assert list(learn.sweep(lambda rate: math.inf if rate > 1 else rate, (1, 2, 4), 4)) == [0.5, 1, 2, 4]


def test_test_text_is_read_once_and_last(world, monkeypatch):
    order = []
    real = learn.learn
    monkeypatch.setattr(learn, "learn", lambda *a, **b: order.append("learn") or real(*a, **b))
    score = learn.evaluate
    monkeypatch.setattr(learn, "evaluate", lambda *a: order.append("test") or score(*a))
    settings = replace(QUICK, rates=(1e-3, 2e-3), most_rates=2)
    row = learn.climb(learn.learners()[0][-1], world, settings, lambda line: None)
    assert order == ["learn", "learn", "learn", "test"]
    assert row["lr"] == float(min(row["sweep"], key=row["sweep"].get))
    assert row["sweep_cpu_seconds"] == pytest.approx(2 * settings.sweep * 60 * settings.minutes, abs=0.5)


def test_without_torch(monkeypatch):
    def backend(name, device="auto"):
        if name == "pt":
            raise UserError("PyTorch is not installed")
        return learn_backend(name, device)

    learn_backend = learn.Backend
    monkeypatch.setattr(learn, "Backend", backend)
    able, lines = learn.learners()
    assert [(each.name, each.backend.name) for each in able] == [("LSTM", "np"), ("GPT np", "np")]
    assert lines == ["GPT pt is left out: PyTorch is not installed"]


# ---------------------------------------------------------------------- the command and its results


def test_the_run_says_all(folder):
    entry = results.load(folder)["corpora"]["world"]
    assert list(entry["rungs"]) == [*RUNGS, *(each.name for each in learn.learners()[0])]
    assert {"machine", "date", "settings", "floor"} <= set(entry)
    learnt = [row for row in entry["rungs"].values() if row["kind"] == "learnt"]
    sizes = [row["numbers"] for row in learnt]
    assert max(sizes) / min(sizes) < 1 + learn.CLOSE
    for row in learnt:
        assert row["cpu_seconds"] >= 60 * QUICK.minutes and row["steps"] > 0
        assert entry["floor"]["entropy"] < row["bits_per_char"] < entry["rungs"]["uniform"]["bits_per_char"] + 0.5


def test_results_go_to_the_table_and_the_picture_and_back(folder, tmp_path, capsys):
    result = results.load(folder)
    results.save(result, tmp_path)
    assert results.load(tmp_path) == result
    row = result["corpora"]["world"]["rungs"]["KN 5"]
    pytest.importorskip("matplotlib")
    assert ladder.main(["--draw", "--out", str(tmp_path)]) == 0
    assert f"| Kneser-Ney order 5 | {row['bits_per_char']:.3f} |" in capsys.readouterr().out
    assert (tmp_path / "ladder.png").read_bytes() == (folder / "ladder.png").read_bytes()


def test_the_picture_shows_the_numbers(folder):
    pytest.importorskip("matplotlib")
    from minillm.ladder.chart import plot_ladder

    entry = results.load(folder)["corpora"]["world"]
    other = {**entry, "floor": None, "rungs": {name: entry["rungs"][name] for name in ("uniform", "KN 5")}}
    first, second = plot_ladder({"corpora": {"world": entry, "my": other}})
    bits = [row["bits_per_char"] for row in entry["rungs"].values()]
    assert [bar.get_width() for bar in first.patches] == bits
    rows = [round(bar.get_y() + bar.get_height() / 2) for bar in second.patches]
    assert rows == [0, list(RUNGS).index("KN 5")], "what is missing leaves its row empty"
    assert first.lines[0].get_xdata()[0] == entry["floor"]["entropy"] and not second.lines
    words = [text.get_text() for text in first.texts]
    assert all(any(word.startswith(f"{b:.2f}") for word in words) for b in bits)
    assert "0.488" in words and "没有人知道 nobody knows" in [text.get_text() for text in second.texts]


def test_an_absent_corpus_is_left_out_with_a_line(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MINILLM_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("MINILLM_MIRROR", raising=False)
    monkeypatch.setattr(ladder, "measure", lambda name, settings: {"rungs": {"uniform": {}}, "name": name})
    result = ladder.climb_all(["tang", "reader"], QUICK, tmp_path)
    assert list(result["corpora"]) == ["reader"]
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "tang is left out, for it is not here; fetch it with: python -m minillm data get tang"
    assert ladder.main(["--corpora", "tang", "--out", str(tmp_path)]) == 2
    assert "ladder: none of these corpora is here" in capsys.readouterr().err


def test_a_run_adds_to_what_is_there(tmp_path, monkeypatch):
    monkeypatch.setattr(
        ladder, "measure", lambda name, settings: {"rungs": {"uniform": {}}, "minutes": settings.minutes}
    )
    ladder.climb_all(["world"], replace(QUICK, minutes=1.0), tmp_path)
    ladder.climb_all(["reader"], replace(QUICK, minutes=2.0), tmp_path)
    kept = results.load(tmp_path)["corpora"]
    assert [(name, entry["minutes"]) for name, entry in kept.items()] == [("reader", 2.0), ("world", 1.0)]


@pytest.mark.parametrize("content", ["{", "[]", '{"corpora": {"world": {}}}', '{"corpora": []}'])
def test_a_damaged_file_is_refused_in_a_line(content, tmp_path, capsys):
    (tmp_path / "ladder.json").write_text(content, encoding="utf-8")
    assert ladder.main(["--draw", "--out", str(tmp_path)]) == 2
    line = capsys.readouterr().err
    assert line.count("\n") == 1 and "holds no ladder" in line
    assert ladder.main(["--draw", "--out", str(tmp_path / "none")]) == 2
    assert "run python -m minillm.ladder" in capsys.readouterr().err


def test_wrong_options(tmp_path, capsys):
    for arguments, says in ((["--minutes", "0"], "above 0"), (["--corpora", "no/such"], "no such file")):
        assert ladder.main([*arguments, "--quick", "--out", str(tmp_path)]) == 2
        assert says in capsys.readouterr().err
