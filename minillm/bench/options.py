"""What each option of the model is worth: the same text, the same size, the same CPU time, one option at a time.

    python -m minillm.bench.options [--data tang] [--minutes 3.5] [--seeds 3]

`plain` is GPT-2's configuration with AdamW, `modern` the preset "modern". Both get the best learning rate of a small
sweep of their own and then train, with several seeds, for the same seconds of CPU time of one thread (ladder/learn.py
says how they are counted). Afterwards each option is taken away from modern, or another one put in its place, for
less time. Losses are in nats a token on valid, the lowest on the way. Writes results/options.json and options.png.
"""

import argparse
import json
import math
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from statistics import mean
from typing import Any

from minillm.backend import Backend
from minillm.bench.machine import machine
from minillm.config import PRESETS, ModelConfig, TrainConfig, preset
from minillm.errors import UserError
from minillm.ladder.learn import Learner, learn, one_thread, sweep
from minillm.ladder.text import Settings, Text, read
from minillm.text.files import write_text

RESULTS = Path(__file__).parent / "results"
PLAIN: dict[str, Any] = {
    **{"norm": "layernorm", "position": "learned", "activation": "gelu_tanh", "qk_norm": False, "bias": True},
    **{"init_std": 0.02, "optimizer": "adamw"},
}
WITHOUT: dict[str, dict[str, Any]] = {  # what is changed in modern
    "LayerNorm": {"norm": "layernorm"},
    "learned positions": {"position": "learned"},
    "GELU": {"activation": "gelu_tanh"},
    "SwiGLU": {"activation": "swiglu"},
    "no QK-norm": {"qk_norm": False},
    "first weights 0.02": {"init_std": 0.02},
    "biases": {"bias": True},
    "one key head": {"n_kv_head": 1},
    "untied": {"tied": False},
    "AdamW": {"optimizer": "adamw"},
}
RATES = (3e-3, 6e-3, 1.2e-2)
SWEEP = 0.2  # share of the minutes for which each learning rate is tried
VALIDATIONS = 4

Say = Callable[[str], None]


def recipe(vocab_size: int, changes: dict[str, Any]) -> tuple[ModelConfig, TrainConfig]:
    """Modern, changed."""
    return preset("modern", vocab_size, **changes)


class Contest:
    """The text, the back-end and the time that all configurations share."""

    def __init__(self, text: Text, backend: str, say: Say) -> None:
        self.text, self.say = text, say
        self.learner = Learner("GPT", "gpt", Backend(backend))

    def train(self, changes: dict[str, Any], rate: float, seconds: float, seed: int = 0) -> dict[str, Any]:
        config, train = recipe(self.text.vocab_size, changes)
        model = self.learner.model(config, seed)
        train = replace(train, lr=rate, seed=seed)
        learnt = learn(self.learner, model, train, self.text, config.context, seconds, VALIDATIONS)
        return {
            "valid": learnt.best if math.isfinite(learnt.best) else None,
            "seed": seed,
            "lr": rate,
            "steps": learnt.steps,
            "tokens": learnt.steps * train.batch_size * config.context,
            "cpu_seconds": learnt.cpu_seconds,
            "parameters": model.num_parameters(),
            "best_at": learnt.best_at,
        }

    def best_rate(self, name: str, changes: dict[str, Any], seconds: float) -> tuple[float, dict[float, float]]:
        def tried(rate: float) -> float:
            loss = self.train(changes, rate, seconds)["valid"]
            self.say(f"  {name}: learning rate {rate:g}: {loss} nats")
            return math.inf if loss is None else loss

        losses = sweep(tried, RATES, most=5)
        return min(losses, key=lambda rate: losses[rate]), losses

    def runs(self, name: str, changes: dict[str, Any], rate: float, seconds: float, seeds: int) -> list[dict[str, Any]]:
        found = []
        for seed in range(seeds):
            found.append(self.train(changes, rate, seconds, seed))
            if found[-1]["valid"] is None:
                raise UserError(f"{name} did not learn {self.text.name} at the rate {rate:g}: give more --minutes")
            self.say(f"{name}, seed {seed}: {found[-1]['valid']:.4f} nats after {found[-1]['steps']} steps")
        return found


def measure(
    data: str, minutes: float, seeds: int, less: float, backend: str, settings: Settings, say: Say
) -> dict[str, Any]:
    """All figures, as results/options.json holds them. UserError: no such text, or too little of it."""
    text = read(data, settings)
    contest = Contest(text, backend, say)
    rows: dict[str, Any] = {}
    with one_thread():
        both: dict[str, dict[str, Any]] = {"plain": PLAIN, "modern": {}}
        for name, changes in both.items():
            rate, losses = contest.best_rate(name, changes, SWEEP * 60 * minutes)
            rows[name] = {"sweep": {f"{r:g}": loss for r, loss in losses.items()}}
            rows[name]["runs"] = contest.runs(name, changes, rate, 60 * minutes, seeds)
        rate = rows["modern"]["runs"][0]["lr"]
        ablation = {"modern": contest.runs("modern", {}, rate, 60 * less, seeds)}
        for name, changes in WITHOUT.items():
            own = rate
            if "optimizer" in changes:
                own, _ = contest.best_rate(name, changes, SWEEP * 60 * minutes)
            ablation[name] = contest.runs(name, changes, own, 60 * less, 1)
    result = {
        "machine": machine(),
        "date": date.today().isoformat(),
        "text": {"name": text.name, **text.describe()},
        "minutes": minutes,
        "ablation_minutes": less,
        "backend": backend,
        "preset": {"model": PRESETS["modern"].model, "train": PRESETS["modern"].train, "plain": PLAIN},
        "rows": rows,
        "ablation": ablation,
    }
    result["lower_by"] = 1 - average(rows["modern"]["runs"]) / average(rows["plain"]["runs"])
    return result


def average(runs: list[dict[str, Any]]) -> float:
    return mean(run["valid"] for run in runs)


def chart(result: dict[str, Any], path: Path) -> None:
    """Left: plain and modern, a dot for each seed, a line for their mean. Right: modern with one option changed, and
    what that costs."""
    from minillm.canvas import COLOURS, new_axes, save_figure

    left, right = new_axes(width=10, height=4, columns=2)
    for i, (row, colour) in enumerate(zip(result["rows"].values(), COLOURS, strict=False)):
        left.plot([i] * len(row["runs"]), [run["valid"] for run in row["runs"]], "o", color=colour, markersize=8)
        left.plot([i - 0.25, i + 0.25], [average(row["runs"])] * 2, color=colour)
        left.annotate(f"{average(row['runs']):.3f}", (i + 0.28, average(row["runs"])), va="center")
    left.set_xticks(range(len(result["rows"])), result["rows"])
    left.set_xlim(-0.6, len(result["rows"]) - 0.2)
    left.set_ylabel("验证损失（奈特/词元）\nvalidation loss (nats a token)")
    left.set_title(f"{result['text']['name']}，{result['minutes']:g} 分钟 CPU minutes")
    left.grid(axis="y", alpha=0.3)
    base = average(result["ablation"]["modern"])
    rows = sorted((average(runs) - base, name) for name, runs in result["ablation"].items() if name != "modern")
    spread = [run["valid"] - base for run in result["ablation"]["modern"]]
    right.axvspan(min(spread), max(spread), color="0.85", zorder=0, label="modern 的种子 seeds of modern")
    right.barh([name for _, name in rows], [cost for cost, _ in rows], color=COLOURS[2], zorder=2)
    right.axvline(0, color="0.4", linewidth=0.8)
    right.set_xlabel("比 modern 高（奈特/词元） above modern (nats a token)")
    right.set_title(f"换掉一项 one change，{result['ablation_minutes']:g} 分钟 CPU minutes")
    right.legend()
    save_figure(left, path)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m minillm.bench.options", description=__doc__.split("\n")[0])
    parser.add_argument("--data", default="tang", help="a corpus or a file (default: tang)")
    parser.add_argument("--minutes", type=float, default=3.5, help="of CPU time a run (default: 3.5)")
    parser.add_argument("--less", type=float, default=0.75, help="minutes for each ablation (default: 0.75)")
    parser.add_argument("--seeds", type=int, default=3, help="(default: 3)")
    parser.add_argument("--backend", choices=("np", "pt"), default="pt")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    options = parser.parse_args()
    settings = Settings(valid_characters=30_000)
    try:
        result = measure(options.data, options.minutes, options.seeds, options.less, options.backend, settings, print)
        options.out.mkdir(parents=True, exist_ok=True)
        write_text(options.out / "options.json", json.dumps(result, indent=1, ensure_ascii=False) + "\n")
        chart(result, options.out / "options.png")
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    print(f"modern is {result['lower_by']:.1%} below plain; written to {options.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
