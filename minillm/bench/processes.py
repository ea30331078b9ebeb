"""Two processes against one: the same global batch by two processes of one thread, or by one process of two.

The two hold a copy of the model each and average their gradients (DDP over gloo, as `torchrun --nproc-per-node 2 -m
minillm train --backend pt` does it). They gain where one process's threads have too little to share: between two
matrix products a process waits for Python, and many small products keep no two cores busy. They lose the time to
send each other every gradient.
"""

import statistics
from typing import Any

from minillm.bench.machine import threads
from minillm.bench.tasks import task
from minillm.bench.turns import Contender, playing, ratio, rounds, say, times_for

COPIES = 2


def measure(shapes: list[str], count: int, seconds: float) -> dict[str, Any]:
    """{shape: {"one", "two": {"tokens_per_second", "threads", "ratio", "seconds"}}}; ratios against "one"."""
    each = max(1, threads() // COPIES)
    result: dict[str, Any] = {}
    for shape in shapes:
        one = task("gpt2", shape)
        say(f"processes: {shape}")
        contenders = {
            "one": Contender("pt", one, threads=COPIES * each),
            "two": Contender("pt", one, copies=COPIES, threads=each),
        }
        with playing(contenders, "train") as players:
            steps = times_for(players, "train", seconds)
            taken = rounds(players, "train", steps, count)
        result[shape] = {
            name: {
                "processes": COPIES if name == "two" else 1,
                "threads": each if name == "two" else COPIES * each,  # of each process
                "tokens_per_second": steps * one.tokens / statistics.median(own),
                "ratio": ratio(taken["one"], own) if "one" in taken else None,
                "seconds": own,
            }
            for name, own in taken.items()
        }
    return result
