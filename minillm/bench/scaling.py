"""How time grows with length and with width, beside what the count of arithmetic says.

Three ladders, each one thing doubled and the rest fixed, without a large vocabulary that would hide it:
- a training step over the length T. In the arithmetic a part grows as T (matrices) and a part as T² (attention);
- a training step over the width D. The blocks' matrices grow as D², attention and norms as D;
- writing T tokens with a key-value cache and without. With it each token costs one step through the model, and
  a glance at all that was written; without, a walk through all of it: a power of T more.

For each: the exponent of the measured times (slope on logarithmic axes, with its standard error), the exponent that
the arithmetic has over the very same points, and for lengths c + a T + b T²: attention takes over at T = a / b.
"""

import statistics
from collections.abc import Callable
from typing import Any

from minillm.bench.fit import exponent, power_terms
from minillm.bench.tasks import Task, flops_per_text
from minillm.bench.turns import Contender, playing, say
from minillm.flops import flops_per_token

VOCAB = 512
BODY = {"n_layer": 2, "n_head": 4}


def ladder(
    kind: str, points: list[int], make: Callable[[int], Task], job: str, count: Callable[[Task], float]
) -> dict[str, Any]:
    """One thing to be doubled: its points, the task at each, the job, the arithmetic of the job."""
    return {"kind": kind, "points": points, "tasks": [make(x) for x in points], "job": job, "flops": count}


def ladders(most: int = 1024, widest: int = 512) -> dict[str, dict[str, Any]]:
    """All of them, up to that length and that width."""

    def doubled(first: int, last: int) -> list[int]:
        return [2**i for i in range(first.bit_length() - 1, last.bit_length())]

    def training(one: Task) -> float:
        return one.tokens * flops_per_token(one.config)

    def writing(cached: bool) -> Callable[[Task], float]:
        return lambda one: flops_per_text(one.config, one.config.context - 1, cached)

    def at(batch: int, width: int, length: int) -> Task:
        return Task("gpt2", {**BODY, "d_model": width, "context": length}, batch, VOCAB)

    lengths, widths, texts = doubled(64, most), doubled(64, widest), doubled(32, most // 4)
    return {
        "length": ladder("length", lengths, lambda t: at(4, 128, t), "train", training),
        "width": ladder("width", widths, lambda d: at(8, d, 64), "train", training),
        "cached": ladder("length", texts, lambda t: at(1, 128, t + 1), "generate", writing(True)),
        "uncached": ladder("text", texts, lambda t: at(1, 128, t + 1), "generate_uncached", writing(False)),
    }


def measure(count: int, most: int = 1024, widest: int = 512, names: tuple[str, ...] = ("np", "pt")) -> dict[str, Any]:
    """{ladder: {contender: its law}}: seconds a step (or a text) at each point, fitted."""
    result: dict[str, Any] = {}
    plans = ladders(most, widest)
    first = plans["length"]["tasks"][0]
    with playing({name: Contender(name, first) for name in names}, "train") as players:
        for kind, plan in plans.items():
            say(f"scaling: {kind}, {', '.join(map(str, plan['points']))}")
            times = [repeats(players, one, plan["job"]) for one in plan["tasks"]]
            taken: dict[str, list[list[float]]] = {name: [[] for _ in times] for name in players}
            for _ in range(count):
                for i, one in enumerate(plan["tasks"]):
                    for name, player in players.items():
                        taken[name][i].append(player.seconds(plan["job"], times[i], one) / times[i])
            work = [plan["flops"](one) for one in plan["tasks"]]
            result[kind] = {name: law(plan["kind"], plan["points"], own, work) for name, own in taken.items()}
    return result


def repeats(players: dict[str, Contender], one: Task, job: str, seconds: float = 0.1) -> int:
    """How often the job is done in a turn; warms the players up for it."""
    for player in players.values():
        player.seconds(job, 1, one)
    return max(1, round(seconds / max(player.seconds(job, 1, one) for player in players.values())))


def law(kind: str, points: list[int], taken: list[list[float]], work: list[float]) -> dict[str, Any]:
    """The measured times at the points and what is behind them."""
    medians = [statistics.median(own) for own in taken]
    slope, error = exponent(points, medians)
    found: dict[str, Any] = {"points": points, "seconds": taken, "median": medians}
    found |= {"exponent": slope, "error": error, "theory": exponent(points, work)[0]}
    if kind == "length":
        found["terms"] = power_terms(points, medians)
        found["theory_terms"] = power_terms(points, work)
        found["takes_over"], found["theory_takes_over"] = map(takes_over, (found["terms"], found["theory_terms"]))
        each = [takes_over(power_terms(points, once)) for once in zip(*taken, strict=True)]
        found["takes_over_rounds"] = each  # fitted in each round alone: how far the number can be trusted
    return found


def takes_over(terms: list[float]) -> float | None:
    """The T where b T² passes a T; None if the times show no T²."""
    _, a, b = terms
    return a / b if b > 0 else None
