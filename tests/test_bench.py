"""The benchmark compares like with like, and its arithmetic is right. (Speed itself is no matter for a test.)"""

import json

import bench_result
import numpy as np
import pytest

from minillm.bench import __main__ as bench
from minillm.bench import bpe, gpu, models, theirs, turns
from minillm.bench.chart import PANELS, plot_bench
from minillm.bench.share import share_of_time
from minillm.bench.table import table
from minillm.bench.tasks import FAMILIES, SHAPES, Task, task
from minillm.config import ModelConfig
from minillm.flops import flops_per_token, matrix_weights
from minillm.np.gpt import GPT
from minillm.text.bpe import split

MINI = {"n_layer": 1, "n_head": 2, "d_model": 8, "context": 4}


@pytest.mark.parametrize("family", FAMILIES)
def test_transformers_has_the_same_shape(family):
    """As many parameters in each family, and the same count of those that tokens are multiplied with."""
    pytest.importorskip("transformers")
    for shape in SHAPES:
        one = task(family, shape)
        ours = GPT(one.config, rng=np.random.default_rng(0))
        named = theirs.make_model(one).named_parameters()
        sizes = {name: p.numel() for name, p in named if p.ndim == 2}
        total = ours.num_parameters()
        assert sum(p.numel() for p in theirs.make_model(one).parameters()) == total
        sizes.pop("lm_head.weight", None)
        positions = one.config.context * one.config.d_model if family == "gpt2" else 0
        assert sum(sizes.values()) - positions == matrix_weights(one.config)


@pytest.mark.parametrize("family", FAMILIES)
def test_transformers_trains_and_writes(family):
    pytest.importorskip("transformers")
    jobs = theirs.jobs(Task(family, MINI, 2, 16))
    jobs["train"](2)
    jobs["generate"](1)


def test_the_tokenizers_library_has_the_same_task(monkeypatch):
    """A megabyte of it; the same chunks, as many merges, as many tokens."""
    pytest.importorskip("tokenizers")
    texts = bpe.documents("world")
    assert bpe.MEGABYTE <= sum(len(text.encode()) for text in texts) < 1.01 * bpe.MEGABYTE
    monkeypatch.setattr(bpe, "MERGES", 200)
    ours, library = bpe.train_ours(texts), bpe.train_library(texts)
    assert len(ours.merges) == 200 and library.get_vocab_size() == 256 + 200
    for text in texts[:200]:
        assert len(library.pre_tokenizer.pre_tokenize_str(text)) == len(split(text))
    tokens = [sum(map(len, map(ours.encode, texts))), sum(len(found.ids) for found in library.encode_batch_fast(texts))]
    assert tokens[0] == pytest.approx(tokens[1], rel=1e-3)  # of equally frequent pairs they may take another


def test_flops_by_hand():
    """small: per token and layer 4 D² + 8 D² weights, once forward and twice backward, 2 operations each."""
    config = task("gpt2", "small").config
    weights = 4 * (4 * 128 * 128 + 2 * 128 * 512) + 2048 * 128
    scores = 4 * 2 * 64 * 128  # QKᵀ and PV: T · D multiplications each, in every layer
    assert flops_per_token(config) == 6 * weights + 6 * scores
    grouped = ModelConfig(vocab_size=16, context=4, n_layer=1, n_head=4, n_kv_head=2, d_model=8, activation="swiglu")
    assert matrix_weights(grouped) == 8 * 8 + 2 * 4 * 8 + 8 * 8 + 3 * 8 * grouped.d_ff + 16 * 8
    assert flops_per_token(config, 2 * config.context) > flops_per_token(config)


def test_ratio_is_the_median_within_rounds():
    assert turns.ratio([2.0, 4.0, 100.0], [1.0, 4.0, 10.0]) == 2.0
    rows = models.compared({"np": [2.0], "transformers": [1.0], "transformers compiled": [0.5]}, 10)
    assert rows["np"]["ratio"] == 0.5 and rows["np"]["ratio_compiled"] == 0.25
    assert rows["np"]["tokens_per_second"] == 5


class Recorded:
    """A contender that takes no time, and writes down its turns."""

    def __init__(self, name, turns):
        self.name, self.turns = name, turns

    def seconds(self, job, times=1, task=None):
        self.turns.append(self.name)
        return len(self.turns)


def test_rounds_let_another_begin_each_time():
    seen = []
    taken = turns.rounds({name: Recorded(name, seen) for name in "abc"}, "train", 1, 2)
    assert "".join(seen) == "abc" + "bca" + "cab"
    assert taken == {"a": [6, 8], "b": [4, 9], "c": [5, 7]}  # the first round warms up


def test_contenders_train_and_write_in_their_processes():
    one = Task("llama", MINI, 2, 16)
    with turns.playing({name: turns.Contender(name, one) for name in ("np", "nobody")}, "train") as players:
        assert list(players) == ["np"]  # the other is named on standard error, and left out
        rows = models.training(players, one, 1, 0.01)
        written = models.generation(players, one, 1, 0.01)
        assert players["np"].seconds("generate_uncached") > 0
    assert rows["np"]["gflops"] > 0 and written["np"]["tokens_per_second"] > 0
    assert players["np"].processes[0].poll() == 0


def test_shares_add_up():
    shares = share_of_time(task("gpt2", "tiny"), 1)
    assert sum(shares.values()) == pytest.approx(1)
    assert all(share > 0 for share in shares.values())


def test_the_gpu_part_takes_the_largest_batch_that_fits():
    """The same path as on a card, tiny, on a CPU; the impossible batch stands for one that memory cannot hold."""
    pytest.importorskip("torch")
    found = gpu.measure(1, 1, "cpu", MINI, 16, batches=(-1, 2), names=("pt",), precision="bf16")
    row = found["rows"]["pt"]
    assert row["batch"] == 2 and row["tokens_per_second"] > 0 and found["card"]["peak_flops"] > 0
    flops = flops_per_token(Task("gpt2", MINI, 2, 16).config)
    assert row["mfu"] == pytest.approx(row["tokens_per_second"] * flops / found["card"]["peak_flops"])


def test_table():
    lines = table(bench_result.whole()).splitlines()
    assert "| gpt2 small, pt compiled | 2,250 | 1.50 | 1.25 | 75 | 75% |" in lines
    assert "| llama tiny, np | 1,500 | 1.00 |" in lines
    assert "| training step over width, np | 64 | 512 | 1.84 ± 0.03 | 1.84 | - | - |" in lines
    assert "| training step over length, pt | 64 | 1024 | 1.25 ± 0.04 | 1.25 | 896 (896 to 896) | 896 |" in lines
    assert "| small, 2 x 1 | 1,100 | 1.10 |" in lines
    assert "| pt | 32 | 150,000 | 50.0% | 40.0 |" in lines
    assert "| world, minillm | 2.50 | 0.50 | 4.0 | 0.25 |" in lines
    assert "| linear | 75% |" in lines
    assert lines.count("a machine; 2 threads; 2026-01-01") == 1


def test_the_chart_has_a_panel_for_each_part():
    pytest.importorskip("matplotlib")
    result = json.loads(json.dumps(bench_result.whole()))  # what is drawn comes from the file
    axes = plot_bench(result)
    panels = sum(map(len, PANELS.values()))
    assert sum(bool(ax.get_title()) for ax in axes) == panels
    assert not [part for part in result if part not in PANELS and part != "share"]
    assert plot_bench({}) is None
    result["gpu"]["result"] = {"left_out": "no card"}
    assert sum(bool(ax.get_title()) for ax in plot_bench(result)) == panels - 1


def test_each_part_comes_with_its_machine_and_day(monkeypatch):
    """The order is that of the table, whatever is asked for; where there is no card the part says so."""
    monkeypatch.setattr(gpu, "available", lambda: False)
    (share, first), (card, second) = bench.measure(["gpu", "share"], 1, 0.01, ["tiny"], quick=True)
    assert (share, card) == ("share", "gpu")
    assert set(first["result"]) == {"tiny"} and first["date"][:2] == "20" and first["machine"]
    assert second["result"] == {"left_out": bench.NO_GPU}
    assert list(table({"gpu": second}).splitlines())[2] == f"gpu: {bench.NO_GPU}"


def test_saving_keeps_the_parts_that_were_not_measured(tmp_path):
    whole = bench_result.whole()
    bench.save({name: whole[name] for name in ("gpu", "bpe")}, tmp_path)
    left_out = {**whole["gpu"], "result": {"left_out": "no card"}}
    newer = {**whole["bpe"], "date": "2026-02-02"}
    found = bench.save({"bpe": newer, "gpu": left_out, "share": whole["share"]}, tmp_path)
    saved = json.loads((tmp_path / bench.JSON).read_text(encoding="utf-8"))
    assert list(saved) == ["share", "gpu", "bpe"]  # in the order of the table
    assert saved["bpe"]["date"] == "2026-02-02" and saved["gpu"] == whole["gpu"]
    pytest.importorskip("matplotlib")
    bench.draw(found, tmp_path)
    assert (tmp_path / bench.CHART).read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    "text", ["{", "[1]", '{"training": {"seconds": 1.0}}', '{"gpu": 3}'], ids=["cut", "list", "older", "number"]
)
def test_results_of_another_kind_are_refused_before_anything_is_measured(text, tmp_path, monkeypatch, capsys):
    path = tmp_path / bench.JSON
    path.write_text(text, encoding="utf-8")
    monkeypatch.setattr("sys.argv", ["bench", "--quick", "--only", "share", "--out", str(tmp_path)])
    monkeypatch.setattr(bench, "measure", lambda *_: pytest.fail("something was measured"))
    with pytest.raises(SystemExit) as ended:
        bench.main()
    said = capsys.readouterr().err
    assert ended.value.code == 2 and "bench.json" in said and "give another --out" in said
    assert path.read_text(encoding="utf-8") == text


def test_a_folder_that_cannot_be_one_is_refused_before_anything_is_measured(text_file, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["bench", "--quick", "--only", "share", "--out", str(text_file)])
    monkeypatch.setattr(bench, "measure", lambda *_: pytest.fail("something was measured"))
    with pytest.raises(SystemExit):
        bench.main()
    assert str(text_file) in capsys.readouterr().err
