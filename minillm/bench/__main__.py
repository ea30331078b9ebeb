"""python -m minillm.bench: rounds in turn, medians of ratios, a table, JSON and a chart.

Every round measures each contender once, one after the other, while the others sleep. A ratio is the median
over the rounds of (transformers' time / the contender's time) in the same round: above 1 is faster; for BPE the
opponent is the tokenizers library. Absolute speeds move with the machine's mood; such ratios hardly do.
"""

import argparse
import datetime
import json
import os
import platform
import statistics
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from minillm.bench import bpe, contenders
from minillm.bench.contenders import SHAPES, VOCAB

REFERENCE = "transformers"


class Contender:
    """A contender's process."""

    def __init__(self, name: str, shape: str) -> None:
        command = [sys.executable, "-m", "minillm.bench", "--serve", name, "--shape", shape]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.jobs = self.read()["ready"]

    def read(self) -> Any:
        assert self.process.stdout
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError("it ended early")
        return json.loads(line)

    def seconds(self, job: str, times: int) -> float:
        """How long doing the job that many times takes."""
        assert self.process.stdin
        self.process.stdin.write(json.dumps({"do": job, "times": times}) + "\n")
        self.process.stdin.flush()
        return self.read()

    def close(self) -> None:
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait()


def flops_per_token(shape: str) -> float:
    """Of a training step: 6 for every weight in a matrix product, 12 L T D for attention's two products
    (the count of the PaLM paper, arXiv 2204.02311, appendix B: masked scores count too)."""
    c = SHAPES[shape][0]
    d, t, n_layer = c["d_model"], c["context"], c["n_layer"]
    return 6 * (12 * n_layer * d * d + VOCAB * d) + 12 * n_layer * t * d


def rounds(players: dict[str, Contender], job: str, times: int, count: int) -> dict[str, list[float]]:
    """Seconds per contender and round, after one round to warm up."""
    seconds: dict[str, list[float]] = {name: [] for name in players}
    for i in range(count + 1):
        for name, player in players.items():
            took = player.seconds(job, times)
            if i:
                seconds[name].append(took)
    return seconds


def ratio(reference: list[float], own: list[float]) -> float:
    return statistics.median(r / o for r, o in zip(reference, own, strict=True))


def start(names: list[str], shape: str) -> dict[str, Contender]:
    """The contenders that this environment has; the others are named with the reason on standard error."""
    players = {}
    for name in names:
        try:
            player = Contender(name, shape)
            if "train" in player.jobs:
                player.seconds("train", 1)
            players[name] = player
        except (RuntimeError, OSError) as error:
            print(f"{name} is left out: {error} (see the message above)", file=sys.stderr)
    return players


def bench_training(shape: str, count: int, seconds: float) -> dict[str, Any]:
    players = start(["np", "pt", "pt compiled", REFERENCE], shape)
    once = players["np"].seconds("train", 2) / 2
    steps = max(1, round(seconds / once))
    taken = rounds(players, "train", steps, count)
    for player in players.values():
        player.close()
    config, size = SHAPES[shape]
    tokens = steps * size * config["context"]
    results = {}
    for name, own in taken.items():
        rate = tokens / statistics.median(own)
        results[name] = {"tokens_per_second": rate, "gflops": rate * flops_per_token(shape) / 1e9, "seconds": own}
        if REFERENCE in taken:
            results[name]["ratio"] = ratio(taken[REFERENCE], own)
    return results


def bench_generation(shape: str, count: int) -> dict[str, Any]:
    players = start(["np", "pt", REFERENCE], shape)
    tokens = SHAPES[shape][0]["context"] - 1  # one token of prompt: the context is filled exactly
    taken = {}
    for job, repeat in (("generate", count), ("generate_uncached", max(2, count // 2))):
        for name, own in rounds(players, job, tokens, repeat).items():
            taken[name + (" without cache" if "uncached" in job else "")] = own
    for player in players.values():
        player.close()
    results = {}
    for name, own in taken.items():
        results[name] = {"tokens_per_second": tokens / statistics.median(own), "seconds": own}
        if name in players:
            results[name]["times_uncached"] = statistics.median(taken[name + " without cache"]) / statistics.median(own)
            if REFERENCE in players:
                results[name]["ratio"] = ratio(taken[REFERENCE], own)
    return results


def bench_bpe(text: str, count: int) -> dict[str, Any]:
    """Seconds to learn the merges from a text, and megabytes of it encoded in a second."""
    players = start(["bpe", bpe.LIBRARY], text)
    size = sum(len(document.encode()) for document in bpe.documents(text))
    taken = {job: rounds(players, job, times, count) for job, times in (("train", 1), ("encode", 2))}
    for player in players.values():
        player.close()
    results = {}
    for name in players:
        learning, encoding = (taken[job][name] for job in ("train", "encode"))
        results[name] = {
            "training_seconds": statistics.median(learning),
            "encoding_mb_per_second": 2 * size / statistics.median(encoding) / 1e6,
            "seconds": {"train": learning, "encode": encoding},
        }
        if bpe.LIBRARY in players:
            for job, own in (("train", learning), ("encode", encoding)):
                results[name][f"{job}_ratio"] = ratio(taken[job][bpe.LIBRARY], own)
    return results


def bench_matmul(count: int) -> dict[str, float]:
    """GFLOP/s of float32 matrix products: the best of some rounds."""
    player = Contender("matmul", "small")
    best = {job: min(player.seconds(job, 5) for _ in range(count)) / 5 for job in player.jobs}
    player.close()
    return {job: 2 * 2048**3 / seconds / 1e9 for job, seconds in best.items()}


def machine() -> str:
    """Processor, cores, system and versions, in one line."""
    name = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        name = next(
            (line.split(":")[1].strip() for line in info.read_text().splitlines() if "model name" in line), name
        )
    versions = []
    for package in ("numpy", "torch", "transformers", "tokenizers"):
        try:
            versions.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    system = f"{platform.system()}, Python {platform.python_version()}"
    return f"{name}, {os.cpu_count()} cores, {system}, {', '.join(versions)}"


def table(result: dict[str, Any]) -> str:
    """The result in Markdown."""
    peak = max(result["matmul_gflops"].values())
    lines = [f"{result['machine']}; {result['date']}; {result['rounds']} rounds"]
    lines += [f"float32 matrix products at best: {peak:.0f} GFLOP/s", ""]
    lines += ["| training | tokens/s | against transformers | GFLOP/s | of the peak |", "|---|---|---|---|---|"]
    for shape, rows in result["training"].items():
        for name, row in rows.items():
            against = f"{row['ratio']:.2f}" if "ratio" in row else "-"
            speed = f"{row['tokens_per_second']:,.0f} | {against} | {row['gflops']:.0f} | {row['gflops'] / peak:.0%}"
            lines.append(f"| {shape}, {name} | {speed} |")
    lines += [
        "",
        "| generation, batch 1 | tokens/s | against transformers | against its own without cache |",
        "|---|---|---|---|",
    ]
    for shape, rows in result["generation"].items():
        for name, row in rows.items():
            if "times_uncached" in row:
                against = f"{row['ratio']:.2f}" if "ratio" in row else "-"
                lines.append(
                    f"| {shape}, {name} | {row['tokens_per_second']:,.0f} | {against} | {row['times_uncached']:.1f} |"
                )
    lines += [
        "",
        f"| BPE, {bpe.MERGES:,} merges on 1 MB | training, s | against {bpe.LIBRARY} | encoding, MB/s "
        f"| against {bpe.LIBRARY} |",
        "|---|---|---|---|---|",
    ]
    for text, rows in result["bpe"].items():
        for name, row in rows.items():
            learning, encoding = (f"{row[key]:.2f}" if key in row else "-" for key in ("train_ratio", "encode_ratio"))
            shown = "minillm" if name == "bpe" else name
            speed = f"{row['training_seconds']:.1f} | {learning} | {row['encoding_mb_per_second']:.1f} | {encoding}"
            lines.append(f"| {text}, {shown} | {speed} |")
    lines += ["", "| share of a training step in NumPy | " + " | ".join(result["share"]) + " |"]
    lines.append("|---|" + "---|" * len(result["share"]))
    for name in next(iter(result["share"].values())):
        lines.append(f"| {name} | " + " | ".join(f"{shares[name]:.0%}" for shares in result["share"].values()) + " |")
    return "\n".join(lines)


def chart(result: dict[str, Any], path: Path) -> None:
    """Bars: speed against transformers, in training and generation."""
    from minillm.viz import new_axes, save_figure

    bars = []
    for kind, chinese in (("training", "训练"), ("generation", "生成")):
        for shape, rows in result[kind].items():
            bars += [(f"{chinese} {kind}, {shape}: {n}", row["ratio"]) for n, row in rows.items() if "ratio" in row]
    if not bars:
        return
    ax = new_axes(8, 0.6 + 0.36 * len(bars))
    names, values = zip(*reversed(bars), strict=True)
    colours = ["0.6" if name.endswith(REFERENCE) else "tab:blue" for name in names]
    ax.barh(names, values, color=colours)
    ax.bar_label(ax.containers[0], fmt="%.2f", padding=3)
    ax.axvline(1, color="0.3", linewidth=1, linestyle="--")
    ax.margins(x=0.12)
    ax.set_xlabel("速度之比，transformers = 1    speed against transformers")
    save_figure(ax, path)


def main() -> None:
    options = argparse.ArgumentParser(prog="python -m minillm.bench", description=__doc__)
    options.add_argument("--out", type=Path, default=Path("runs/bench"), help="folder of bench.json and bench.png")
    options.add_argument("--rounds", type=int, default=9, help="rounds (default: 9)")
    options.add_argument(
        "--seconds", type=float, default=1.5, help="about so long a contender and round (default: 1.5)"
    )
    options.add_argument("--shapes", nargs="+", choices=SHAPES, default=list(SHAPES))
    options.add_argument("--serve", help=argparse.SUPPRESS)
    options.add_argument("--shape", help=argparse.SUPPRESS)
    o = options.parse_args()
    if o.serve:
        contenders.serve(o.serve, o.shape)
        return
    result: dict[str, Any] = {
        "machine": machine(),
        "date": datetime.date.today().isoformat(),
        "rounds": o.rounds,
        "shapes": {shape: {**SHAPES[shape][0], "batch": SHAPES[shape][1], "vocab_size": VOCAB} for shape in o.shapes},
        "matmul_gflops": bench_matmul(o.rounds),
        "training": {shape: bench_training(shape, o.rounds, o.seconds) for shape in o.shapes},
        "generation": {shape: bench_generation(shape, o.rounds) for shape in o.shapes},
        "bpe": {text: bench_bpe(text, max(2, o.rounds // 3)) for text in bpe.texts_at_hand()},
        "share": {shape: contenders.share_of_time(shape, 5) for shape in o.shapes},
    }
    o.out.mkdir(parents=True, exist_ok=True)
    (o.out / "bench.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    chart(result, o.out / "bench.png")
    print(table(result))
    print(f"\nsaved in {o.out}", file=sys.stderr)


if __name__ == "__main__":
    main()
