"""The benchmark compares like with like, and its arithmetic is right. (Speed itself is no matter for a test.)"""

import json
import subprocess
import sys

import numpy as np
import pytest

from minillm.bench import __main__ as bench
from minillm.bench import bpe, contenders
from minillm.config import ModelConfig
from minillm.np.gpt import GPT
from minillm.text.bpe import split


def test_a_contender_answers_each_request():
    command = [sys.executable, "-m", "minillm.bench", "--serve", "np", "--shape", "small"]
    requests = [{"do": "train", "times": 1}, {"do": "generate", "times": 3}, {"do": "generate_uncached", "times": 3}]
    lines = "".join(json.dumps(request) + "\n" for request in requests)
    done = subprocess.run(command, input=lines, capture_output=True, text=True, timeout=120, check=True)
    ready, *seconds = map(json.loads, done.stdout.splitlines())
    assert ready == {"ready": ["generate", "generate_uncached", "train"]}
    assert len(seconds) == 3 and all(s > 0 for s in seconds)


@pytest.mark.parametrize("shape", contenders.SHAPES)
def test_transformers_has_the_same_shape(shape):
    pytest.importorskip("transformers")
    config = ModelConfig(vocab_size=contenders.VOCAB, **contenders.SHAPES[shape][0])
    ours = GPT(config, rng=np.random.default_rng(0))
    assert sum(p.numel() for p in contenders.make_gpt2(shape).parameters()) == ours.num_parameters()


def test_the_tokenizers_library_has_the_same_task(monkeypatch):
    """A megabyte of it; the same chunks, as many merges, as many tokens."""
    pytest.importorskip("tokenizers")
    texts = bpe.documents("world")
    assert bpe.MEGABYTE <= sum(len(text.encode()) for text in texts) < 1.01 * bpe.MEGABYTE
    monkeypatch.setattr(bpe, "MERGES", 200)
    ours, theirs = bpe.train_ours(texts), bpe.train_library(texts)
    assert len(ours.merges) == 200 and theirs.get_vocab_size() == 256 + 200
    for text in texts[:200]:
        assert len(theirs.pre_tokenizer.pre_tokenize_str(text)) == len(split(text))
    tokens = [sum(map(len, map(ours.encode, texts))), sum(len(found.ids) for found in theirs.encode_batch_fast(texts))]
    assert tokens[0] == pytest.approx(tokens[1], rel=1e-3)  # of equally frequent pairs they may take another


def test_flops_by_hand():
    """small: per token and layer 4 D² + 8 D² weights, once forward and twice backward, 2 operations each."""
    weights = 4 * (4 * 128 * 128 + 2 * 128 * 512) + contenders.VOCAB * 128
    scores = 4 * 2 * 64 * 128  # QKᵀ and PV: T · D multiplications each, in every layer
    assert bench.flops_per_token("small") == 6 * weights + 6 * scores


def test_ratio_is_the_median_within_rounds():
    assert bench.ratio([2.0, 4.0, 100.0], [1.0, 4.0, 10.0]) == 2.0


def test_shares_add_up():
    shares = contenders.share_of_time("small", 1)
    assert sum(shares.values()) == pytest.approx(1)
    assert all(share > 0 for share in shares.values())


def test_table_and_chart(tmp_path):
    row = {"tokens_per_second": 1500.0, "gflops": 50.0, "seconds": [1.0], "ratio": 1.25}
    result = {
        "machine": "a machine",
        "date": "2026-01-01",
        "rounds": 1,
        "matmul_gflops": {"numpy": 100.0},
        "training": {"small": {"np": row}},
        "generation": {"small": {"np": {**row, "times_uncached": 7.0}, "np without cache": row}},
        "bpe": {
            "world": {
                "bpe": {
                    "training_seconds": 2.5,
                    "encoding_mb_per_second": 4.0,
                    "train_ratio": 0.5,
                    "encode_ratio": 0.25,
                },
                "tokenizers": {"training_seconds": 1.25, "encoding_mb_per_second": 16.0},
            }
        },
        "share": {"small": {"linear": 0.75, "other": 0.25}},
    }
    lines = bench.table(result).splitlines()
    assert "| small, np | 1,500 | 1.25 | 50 | 50% |" in lines
    assert "| small, np | 1,500 | 1.25 | 7.0 |" in lines
    assert "| world, minillm | 2.5 | 0.50 | 4.0 | 0.25 |" in lines
    assert "| world, tokenizers | 1.2 | - | 16.0 | - |" in lines
    assert "| linear | 75% |" in lines
    pytest.importorskip("matplotlib")
    bench.chart(result, tmp_path / "bench.png")
    assert (tmp_path / "bench.png").read_bytes().startswith(b"\x89PNG")
