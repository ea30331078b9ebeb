"""What two processes do for test_scale_processes.py, all in one go: torchrun scale_worker.py FOLDER.

Float64, so that runs can be compared to nine digits. `go` and `SETTINGS` also serve the process that compares.
"""

import json
import signal
import sys
from pathlib import Path

import numpy as np
import torch

from minillm import checkpoint
from minillm.backend import Backend
from minillm.checkpoint import Run
from minillm.config import preset
from minillm.data.corpora import Corpus
from minillm.pt.distributed import processes
from minillm.pt.engine import Engine
from minillm.ranks import index
from minillm.text import train_tokenizer
from minillm.train import Silent, train

TEXT = "我爱北京天安门，爷爷带我看升旗。\n小雨说：今天下雨，我们去北海看荷花吧！\n" * 40
STEPS, HALF = 12, 6
# name -> engine of two processes; with dropout, as many parts in all give the same numbers
SETTINGS = {
    "ddp": Engine(device="cpu"),
    "ddp-parts": Engine(device="cpu", accumulate=2),
    "fsdp": Engine(device="cpu", parallel="fsdp"),
    "fsdp-parts": Engine(device="cpu", parallel="fsdp", accumulate=2, recompute=True),
}


class Float64(Backend):
    """PyTorch in double precision."""

    def gpt(self, config, seed=0):
        return super().gpt(config, seed).double()


class StopsHalfway(Silent):
    """Ctrl-C, which reaches the first process alone."""

    def step(self, record):
        if record["step"] == HALF:
            signal.raise_signal(signal.SIGINT)


def new_run() -> Run:
    tokenizer = train_tokenizer("char", [TEXT])
    shape = {"context": 16, "n_layer": 2, "d_model": 16, "batch_size": 8, "dropout": 0.1}
    return Run(*preset("tiny", tokenizer.vocab_size, **shape, steps=STEPS, eval_every=4, warmup=2), tokenizer)


def go(folder: Path, engine: Engine, reporter: Silent | None = None):
    """Start the run in the folder, or go on with it."""
    resume = (folder / checkpoint.CONFIG).exists()
    run = checkpoint.load_run(folder) if resume else new_run()
    corpus = Corpus("text", [TEXT], [TEXT[:200]], [TEXT[:100]])
    return train(corpus, run, Float64("pt", engine=engine), folder, resume=resume, reporter=reporter)


def uneven(engine: Engine) -> list[float]:
    """Losses of a batch whose rows have different numbers of targets."""
    rng, run = np.random.default_rng(0), new_run()
    x = rng.integers(0, run.model.vocab_size, (8, 16))
    y = np.where(rng.random((8, 16)) < np.linspace(0, 1, 8)[:, None], x, -100)
    with processes(torch.device("cpu")) as ranks:
        backend = Float64("pt", engine=engine)
        trainer = backend.trainer(backend.gpt(run.model), run.train, ranks)
        return [value for step in range(3) for value in trainer.step(x, y, step)[::2]]


def main(folder: Path) -> None:
    results = {}
    torch.distributed.init_process_group("gloo")  # one for all the runs
    for name, engine in SETTINGS.items():
        go(folder / name, engine)
        results[name] = uneven(engine)
        result = go(folder / f"{name}-half", engine, StopsHalfway())
        assert (result.steps, result.interrupted) == (HALF, True)
    for name in ("ddp", "fsdp"):
        go(folder / f"one-half-{name}", SETTINGS[name])
    if index() == 0:
        (folder / "uneven.json").write_text(json.dumps(results))
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
