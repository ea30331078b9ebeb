"""Training and generation beside transformers: each family in each size, np, pt and pt compiled in turn with it."""

import statistics
from typing import Any

from minillm.bench.contenders import THEIRS
from minillm.bench.tasks import Task, task
from minillm.bench.turns import Contender, playing, ratio, rounds, say, times_for
from minillm.flops import flops_per_token

COMPILED = f"{THEIRS} compiled"
PLAYERS = ("np", "pt", "pt compiled", THEIRS, COMPILED)
WRITERS = ("np", "pt", THEIRS)


def measure(parts: list[str], families: list[str], shapes: list[str], count: int, seconds: float) -> dict[str, Any]:
    """{"training": {family: {shape: rows}}, "generation": ...}, as far as `parts` asks for them.

    `seconds`: about so long a turn in training, half of it in generation.
    """
    result: dict[str, Any] = {part: {family: {} for family in families} for part in parts}
    names = PLAYERS if "training" in parts else WRITERS
    for family in families:
        for shape in shapes:
            one = task(family, shape)
            say(f"{', '.join(parts)}: {family}, {shape}")
            first = "train" if "training" in parts else "generate"
            with playing({name: Contender(name, one) for name in names}, first) as players:
                if "training" in parts:
                    result["training"][family][shape] = training(players, one, count, seconds)
                if "generation" in parts:
                    writers = {name: player for name, player in players.items() if name in WRITERS}
                    result["generation"][family][shape] = generation(writers, one, count, seconds / 2)
    return result


def training(players: dict[str, Contender], one: Task, count: int, seconds: float) -> dict[str, Any]:
    steps = times_for(players, "train", seconds)
    taken = rounds(players, "train", steps, count)
    rows = compared(taken, steps * one.tokens)
    for row in rows.values():
        row["gflops"] = row["tokens_per_second"] * flops_per_token(one.config) / 1e9
    return rows


def generation(players: dict[str, Contender], one: Task, count: int, seconds: float) -> dict[str, Any]:
    for player in players.values():
        player.seconds("generate")
    texts = times_for(players, "generate", seconds)
    return compared(rounds(players, "generate", texts, count), texts * (one.config.context - 1))


def compared(taken: dict[str, list[float]], tokens: int) -> dict[str, Any]:
    """Tokens a second, and the ratios against transformers, eager and compiled."""
    rows: dict[str, Any] = {}
    for name, own in taken.items():
        rows[name] = {"tokens_per_second": tokens / statistics.median(own), "seconds": own}
        for key, opponent in (("ratio", THEIRS), ("ratio_compiled", COMPILED)):
            if opponent in taken:
                rows[name][key] = ratio(taken[opponent], own)
    return rows


def matmul_gflops(count: int) -> dict[str, float]:
    """GFLOP/s of float32 matrix products: the best of some rounds."""
    from minillm.bench.contenders import MATMUL

    player = Contender("matmul", task("gpt2", "tiny"))
    best = {job: min(player.seconds(job, 5) for _ in range(count)) / 5 for job in player.value("jobs")}
    player.close()
    return {job: 2 * MATMUL**3 / seconds / 1e9 for job, seconds in best.items()}
