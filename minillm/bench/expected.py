"""python -m minillm.bench.expected: which loss to expect after some minutes, and how far a large model would get.

Two things are measured on the Tang poems (`tang`), and one is computed:

- a model of two million parameters, on one core, for some minutes of CPU time: its validation loss along the way;
- a few steps of the preset `large` (over 30 million parameters), to see that it works and how fast this core does it;
- what `large` would do on a T4: its arithmetic per token against the card's published peak, at an assumed
  utilisation. Nobody has measured it; the JSON says so.

CPU time is counted, not the clock on the wall, so that other programs on the machine do not matter. Losses are in
nats a token, and a token is a character.
"""

import argparse
import datetime
import json
import time
from pathlib import Path
from typing import Any

import numpy as np

from minillm.bench.machine import machine
from minillm.config import ModelConfig, TrainConfig, preset
from minillm.data.batches import random_batch
from minillm.data.corpora import Corpus, load_corpus, token_stream
from minillm.errors import UserError
from minillm.evaluate import total_nll
from minillm.text import Tokenizer, train_tokenizer
from minillm.text.files import write_text

FOLDER = Path(__file__).resolve().parent / "results"
JSON = "expected.json"
SHAPE: dict[str, Any] = {"context": 64, "n_layer": 4, "n_head": 4, "d_model": 128, "init_std": 0.06, "norm": "rmsnorm"}
SHAPE |= {"position": "rotary", "activation": "swiglu", "bias": False}
RECIPE: dict[str, Any] = {"steps": 10**6, "batch_size": 16, "lr": 3e-3, "warmup": 50, "schedule": "constant"}
VALID = 20_000  # tokens of validation text that are looked at, at most
# Published by NVIDIA (T4 datasheet): 65 TFLOP/s in fp16 with its tensor cores, 16 GB.
T4 = {"card": "NVIDIA T4", "peak_flops": 65e12, "memory_bytes": 16e9, "assumed_utilisation": 0.25}


def estimate(per_token: float, card: dict[str, Any] = T4) -> dict[str, Any]:
    """Tokens a minute on a card that nobody has measured: its peak times the assumed share, over the arithmetic."""
    tokens = card["peak_flops"] * card["assumed_utilisation"] / per_token
    return {**card, "measured": False, "tokens_per_minute": 60 * tokens}


def learn(texts: Corpus, tokenizer: Tokenizer, minutes: float, every: float) -> dict[str, Any]:
    """The small model on one core: its validation loss against minutes of CPU time and tokens read."""
    from minillm.pt.gpt import GPT
    from minillm.pt.train import Trainer

    ids, valid = texts.tokens(tokenizer), token_stream(texts.valid, tokenizer)[: VALID + 1]
    config, recipe = ModelConfig(tokenizer.vocab_size, **SHAPE), TrainConfig(**RECIPE)
    model = GPT(config, rng=np.random.default_rng(0))
    trainer, spent, step = Trainer(model, recipe), 0.0, 0
    curve: list[dict[str, float]] = []
    while spent < 60 * minutes:
        started = time.process_time()
        x, y = random_batch(ids, config.context, recipe.batch_size, recipe.seed, step)
        trainer.step(x, y, step)
        spent += time.process_time() - started
        step += 1
        if spent >= 60 * every * (len(curve) + 1):
            loss = total_nll(model, valid, config.context) / (len(valid) - 1)
            curve.append({"minutes": round(spent / 60, 3), "tokens": step * x.size, "valid_loss": round(loss, 4)})
            print(curve[-1], flush=True)
    return {"cores": 1, "shape": SHAPE, "recipe": RECIPE, "parameters": model.num_parameters(), "curve": curve}


def try_large(texts: Corpus, tokenizer: Tokenizer, steps: int, rows: int = 4) -> dict[str, Any]:
    """Some steps of the preset, with a batch that a CPU can bear."""
    from minillm.flops import flops_per_token
    from minillm.pt.gpt import GPT
    from minillm.pt.train import Trainer

    ids = texts.tokens(tokenizer)
    config, recipe = preset("large", tokenizer.vocab_size, batch_size=rows)
    model = GPT(config, rng=np.random.default_rng(0))
    trainer, losses, started = Trainer(model, recipe), [], time.process_time()
    for step in range(steps):
        losses.append(round(trainer.step(*random_batch(ids, config.context, rows, 0, step), step).loss, 4))
    rate = 60 * steps * rows * config.context / (time.process_time() - started)
    counts = {"parameters": model.num_parameters(), "flops_per_token": flops_per_token(config)}
    return {**counts, "first_losses": losses, "cpu_tokens_per_minute": rate}


def main() -> None:
    options = argparse.ArgumentParser(prog="python -m minillm.bench.expected", description=__doc__)
    options.add_argument("--out", type=Path, default=Path("runs/expected"), help="folder of expected.json")
    options.add_argument("--corpus", default="tang", help="a corpus by name (default: tang)")
    options.add_argument(
        "--minutes", type=float, default=5, help="of CPU time (default: 5; 0: keep the curve in --out)"
    )
    options.add_argument("--every", type=float, default=0.5, help="minutes between validations (default: 0.5)")
    options.add_argument("--large-steps", type=int, default=4, help="steps of the large model (default: 4)")
    o = options.parse_args()
    path = o.out / JSON
    try:
        texts = load_corpus(o.corpus)
        kept = None if o.minutes > 0 else json.loads(path.read_text(encoding="utf-8"))["cpu"]
    except UserError as error:
        options.error(str(error))
    except (OSError, ValueError, TypeError, KeyError):
        options.error(f"--minutes 0 keeps the curve in {path}, which holds none: measure it, --minutes 5")
    tokenizer = train_tokenizer("char", texts.train)
    cpu = learn(texts, tokenizer, o.minutes, o.every) if kept is None else kept
    large = try_large(texts, tokenizer, o.large_steps)
    result = {
        "machine": machine(),
        "date": datetime.date.today().isoformat(),
        "corpus": o.corpus,
        "train_tokens": len(texts.tokens(tokenizer)),
        "vocab_size": tokenizer.vocab_size,
        "cpu": cpu,
        "large": large,
        "t4": estimate(large["flops_per_token"]),
    }
    o.out.mkdir(parents=True, exist_ok=True)
    write_text(path, json.dumps(result, indent=1) + "\n")
    print(f"saved in {path}")


if __name__ == "__main__":
    main()
