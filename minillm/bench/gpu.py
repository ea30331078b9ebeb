"""On a GPU: a GPT-2 of 124 million parameters at context 1024. Tokens a second, MFU, memory.

MFU, model FLOPs utilisation (arXiv 2204.02311, appendix B): the arithmetic that the model needs, 6 N + 12 L H K T a
token, over what the card can do in that time. What it can do is measured, not read from its data sheet: large matrix
products on the same card (minillm/pt/mfu.py). The precision is bf16, or fp16 where the card is too old for that.
Contenders come one after another, each with the card to itself.
"""

import statistics
from typing import Any

from minillm.bench.contenders import THEIRS
from minillm.bench.tasks import Task
from minillm.bench.turns import Contender, say
from minillm.flops import flops_per_token

SHAPE = {"n_layer": 12, "n_head": 12, "d_model": 768, "context": 1024}
VOCAB = 50304  # GPT-2's 50257, rounded up to a multiple of 64
BATCHES = (64, 32, 16, 8, 4, 2, 1)
PLAYERS = ("pt compiled", "pt", f"{THEIRS} compiled", THEIRS)


def available() -> bool:
    """Whether this PyTorch sees a CUDA card."""
    try:
        import torch
    except ImportError:
        return False
    return torch.cuda.is_available()


def best_precision(device: str) -> str:
    """What `minillm train --precision auto` takes there."""
    import torch

    from minillm.pt.engine import pick_precision

    return pick_precision("auto", torch.device(device))


def measure(
    count: int,
    steps: int = 10,
    device: str = "cuda",
    shape: dict[str, Any] | None = None,
    vocab_size: int = VOCAB,
    batches: tuple[int, ...] = BATCHES,
    names: tuple[str, ...] = PLAYERS,
    precision: str = "",
) -> dict[str, Any]:
    """The card, its measured peak, and a row a contender. The batch is the largest of `batches` that fits a
    contender and those before it."""
    precision = precision or best_precision(device)
    tasks = [Task("gpt2", shape or SHAPE, batch, vocab_size, device, precision) for batch in batches]
    say(f"gpu: peak of {precision} matrix products on {device}")
    player = Contender("card", tasks[-1])
    card = player.value("card")
    player.close()
    rows = {}
    for name in names:
        if row := contender(name, tasks, count, steps, card["peak_flops"]):
            rows[name] = row
            tasks = [one for one in tasks if one.batch <= row["batch"]]  # larger ones need not be tried again
    return {"card": card, "precision": precision, "shape": {**(shape or SHAPE), "vocab_size": vocab_size}, "rows": rows}


def contender(name: str, tasks: list[Task], count: int, steps: int, peak: float) -> dict[str, Any] | None:
    """Its row with the first task that fits into memory; None if none does."""
    for one in tasks:
        say(f"gpu: {name}, batch {one.batch}")
        player = Contender(name, one)
        try:
            player.seconds("train", 2)
            own = [player.seconds("train", steps) for _ in range(count)]
            memory = player.value("memory")
        except (RuntimeError, OSError) as error:
            say(f"{name} does not run with a batch of {one.batch}: {error} (see the message above)")
            continue
        finally:
            player.close()
        rate = steps * one.tokens / statistics.median(own)
        return {
            "batch": one.batch,
            "tokens_per_second": rate,
            "mfu": rate * flops_per_token(one.config) / peak,
            "memory_bytes": memory,
            "seconds": own,
        }
    return None
