"""python -m minillm.bench: the parts of the benchmark in one run, as a table, JSON and a chart.

Each part is measured in rounds in which the contenders take turns, and its JSON holds every round, the machine and
the day. `--only` measures some parts and leaves the others in bench.json as they are: the part "gpu" may come from
another machine. About 12 minutes on two cores that have nothing else to do; a minute with --quick.
"""

import argparse
import datetime
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from minillm.bench import bpe, contenders, gpu, models, processes, scaling
from minillm.bench.machine import machine, threads
from minillm.bench.share import share_of_time
from minillm.bench.table import table
from minillm.bench.tasks import FAMILIES, SHAPES, VOCAB, task
from minillm.bench.turns import say
from minillm.errors import UserError
from minillm.text.files import write_text

PARTS = ("training", "generation", "share", "scaling", "processes", "gpu", "bpe")
RESULTS = Path(__file__).resolve().parent / "results"
QUICK = Path("runs/bench")
JSON, CHART = "bench.json", "bench.png"
FACTS = {"machine", "threads", "date", "rounds", "took_seconds", "result"}  # of each part


def measure(
    only: list[str], rounds: int, seconds: float, shapes: list[str], quick: bool
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each part as it is ready: its name and {"machine", "threads", "date", "rounds", "took_seconds", "result"}."""
    families = ["gpt2"] if quick else list(FAMILIES)
    most, widest = (512, 256) if quick else (1024, 512)
    texts, few = (["world"] if quick else bpe.texts_at_hand()), max(2, rounds // 2)
    together: list[str] = [name for name in ("training", "generation") if name in only]
    plan: list[tuple[list[str], int, Callable[[], dict[str, Any]]]] = [
        (together, rounds, lambda: both(together, families, shapes, rounds, seconds)),
        (["share"], 1, lambda: {"share": {shape: share_of_time(task("gpt2", shape), 5) for shape in shapes}}),
        (["scaling"], rounds, lambda: {"scaling": scaling.measure(rounds, most, widest)}),
        (["processes"], rounds, lambda: {"processes": processes.measure(shapes, rounds, seconds)}),
        (["gpu"], rounds, lambda: {"gpu": gpu.measure(rounds) if gpu.available() else {"left_out": NO_GPU}}),
        (["bpe"], few, lambda: {"bpe": {text: bpe.measure(text, few) for text in texts}}),
    ]
    for names, count, run in plan:
        if not names or names[0] not in only:
            continue
        start = time.perf_counter()
        found = run()
        took = round(time.perf_counter() - start, 1)
        say(f"{', '.join(names)}: {took:.0f} s")
        facts = {"machine": machine(), "threads": threads(), "date": datetime.date.today().isoformat()}
        for name in names:
            yield name, facts | {"rounds": count, "took_seconds": took, "result": found[name]}


NO_GPU = "left out: this machine has no CUDA card that PyTorch sees"


def both(names: list[str], families: list[str], shapes: list[str], rounds: int, seconds: float) -> dict[str, Any]:
    """Training and generation with what belongs to them: the shapes, and the peak that training is held against."""
    sizes = {shape: {**SHAPES[shape][0], "batch": SHAPES[shape][1], "vocab_size": VOCAB} for shape in shapes}
    peak = models.matmul_gflops(rounds) if "training" in names else {}
    found = models.measure(names, families, shapes, rounds, seconds)
    parts: dict[str, Any] = {name: {"shapes": sizes, "families": rows} for name, rows in found.items()}
    if peak:
        parts["training"]["matmul_gflops"] = peak
    return parts


def saved_parts(folder: Path) -> dict[str, Any]:
    """The parts that the folder's bench.json holds. UserError: it is damaged, or not one of ours."""
    path = folder / JSON
    try:
        parts = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    except (OSError, ValueError) as error:
        raise UserError(f"cannot read {path} ({error}): move it away, or give another --out") from error
    if not isinstance(parts, dict) or not all(isinstance(p, dict) and p.keys() >= FACTS for p in parts.values()):
        raise UserError(f"{path} is not what this benchmark writes: move it away, or give another --out")
    return parts


def save(result: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Write what was measured beside the parts that are there already; returns all of it."""
    path = folder / JSON
    before = saved_parts(folder)
    measured = {name: part for name, part in result.items() if name not in before or "left_out" not in part["result"]}
    found = before | measured
    whole = {name: found[name] for name in PARTS if name in found}
    write_text(path, json.dumps(whole, indent=1) + "\n")
    return whole


def draw(result: dict[str, Any], folder: Path) -> None:
    """Save the chart, where matplotlib is there to draw it."""
    from minillm.bench.chart import plot_bench
    from minillm.viz import save_figure

    try:
        axes = plot_bench(result)
    except ImportError:
        say("no chart: matplotlib is not installed")
        return
    if axes is not None:
        save_figure(axes, folder / CHART)


def main() -> None:
    options = argparse.ArgumentParser(prog="python -m minillm.bench", description=__doc__)
    options.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), help="parts (default: all)")
    options.add_argument("--out", type=Path, help=f"folder of {JSON} and {CHART} (default: {RESULTS}; quick: {QUICK})")
    options.add_argument("--no-save", action="store_true", help="print the table and write nothing")
    options.add_argument("--rounds", type=int, help="rounds (default: 7; quick: 2)")
    options.add_argument("--seconds", type=float, help="about so long a turn (default: 0.6; quick: 0.2)")
    options.add_argument("--shapes", nargs="+", choices=SHAPES, help="default: all; quick: tiny")
    options.add_argument("--quick", action="store_true", help="a minute, to see that all works: not for publication")
    options.add_argument("--serve", help=argparse.SUPPRESS)
    o = options.parse_args()
    if o.serve:
        contenders.serve(o.serve)
        return
    if o.rounds is not None and o.rounds < 1:
        options.error("--rounds: at least 1")
    rounds, seconds = o.rounds or (2 if o.quick else 7), o.seconds or (0.2 if o.quick else 0.6)
    shapes = o.shapes or (["tiny"] if o.quick else list(SHAPES))
    folder = o.out or (QUICK if o.quick else RESULTS)
    if not o.no_save:
        try:  # now, not after ten minutes
            folder.mkdir(parents=True, exist_ok=True)
            saved_parts(folder)
        except (OSError, UserError) as error:
            options.error(str(error))
    result: dict[str, Any] = {}
    for name, part in measure(o.only, rounds, seconds, shapes, o.quick):
        result[name] = part
        if not o.no_save:
            draw(save({name: part}, folder), folder)  # at once: who stops here has lost nothing
    print(table(result))
    if not o.no_save:
        say(f"\nsaved in {folder}")


if __name__ == "__main__":
    main()
