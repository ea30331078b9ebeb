"""A made-up result of the whole benchmark, in the form that python -m minillm.bench saves."""

from minillm.bench import scaling
from minillm.bench.models import PLAYERS, WRITERS, compared

SPEED = {"np": 1.0, "pt": 1.25, "pt compiled": 1.5, "transformers": 1.0, "transformers compiled": 1.2}


def families(names):
    rows = compared({name: [2.0 / SPEED[name]] * 3 for name in names}, 3000)
    for row in rows.values():
        row["gflops"] = row["tokens_per_second"] / 30
    return {family: {shape: rows for shape in ("tiny", "small", "medium")} for family in ("gpt2", "llama")}


def laws():
    """Times that follow the arithmetic exactly, NumPy at 10 GFLOP/s and PyTorch at 20."""
    found = {}
    for kind, plan in scaling.ladders().items():
        work = [plan["flops"](one) for one in plan["tasks"]]
        found[kind] = {
            name: scaling.law(plan["kind"], plan["points"], [[w / speed] * 2 for w in work], work)
            for name, speed in (("np", 1e10), ("pt", 2e10))
        }
    return found


def whole():
    text = {"training_seconds": 2.5, "encoding_mb_per_second": 4.0, "train_ratio": 0.5, "encode_ratio": 0.25}
    library = {"training_seconds": 1.25, "encoding_mb_per_second": 16.0, "train_ratio": 1.0, "encode_ratio": 1.0}
    one = {"processes": 1, "threads": 2, "tokens_per_second": 1000.0, "ratio": 1.0, "seconds": [1.0]}
    two = {"processes": 2, "threads": 1, "tokens_per_second": 1100.0, "ratio": 1.1, "seconds": [0.9]}
    row = {"batch": 32, "tokens_per_second": 150000.0, "mfu": 0.5, "memory_bytes": 4e10, "seconds": [1.0]}
    card = {"name": "a card", "peak_flops": 3e14}
    shape = {"n_layer": 12, "n_head": 12, "d_model": 768, "context": 1024, "vocab_size": 50304}
    results = {
        "training": {"families": families(PLAYERS), "shapes": {}, "matmul_gflops": {"numpy": 100.0}},
        "generation": {"families": families(WRITERS), "shapes": {}},
        "share": {"small": {"linear": 0.75, "other": 0.25}},
        "scaling": laws(),
        "processes": {shape: {"one": one, "two": two} for shape in ("tiny", "small", "medium")},
        "gpu": {
            "card": card,
            "precision": "bf16",
            "shape": shape,
            "rows": {"pt": row, "pt compiled": {**row, "mfu": 0.6}},
        },
        "bpe": {"world": {"bpe": text, "tokenizers": library}},
    }
    facts = {"machine": "a machine", "threads": 2, "date": "2026-01-01", "rounds": 3, "took_seconds": 1.0}
    return {name: {**facts, "result": result} for name, result in results.items()}
