"""The rungs that learn by gradient: LSTM, GPT in NumPy, GPT in PyTorch, with the same parameters and the same time.

Parameters. The GPT is the preset's; the LSTM gets the width whose count comes nearest. Both share the output layer's
weight with the token vectors (Press and Wolf 2017, arXiv 1608.05859), or one of them would pay for its table twice.

Time. What counts is the CPU time of the learning steps, of all threads and child processes, and there is but one
thread (`one_thread`), so that a second of CPU is a second of one core whatever else the machine does. Validation is
not counted. The learning rate follows the time that is spent, not the steps, and ends where the time does.

Learning rate. Each model tries some for a part of the time on text, recipe and budget of its own (`sweep`); the rate
whose weights are best on valid is used. That time is reported beside the budget. The test text is read once, by the
weights that were best on valid.
"""

import contextlib
import math
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from minillm.backend import Backend
from minillm.config import ModelConfig, TrainConfig, preset
from minillm.data.batches import check_length, document_starts, random_batch
from minillm.errors import UserError
from minillm.evaluate import evaluate, total_nll
from minillm.ladder.text import Settings, Text
from minillm.schedule import learning_rate

WARMUP = 0.05  # share of the time in which the learning rate climbs
TABLE = 0.3  # standard deviation of an LSTM's first token vectors: no norm enlarges them, and small ones learn slowly
CLOSE = 0.02  # counts of parameters that differ by no more are called equal

Row = dict[str, Any]
Say = Callable[[str], None]


@dataclass(frozen=True)
class Learner:
    """A rung: a kind of model, computed by one back-end."""

    name: str
    kind: str  # "lstm" or "gpt"
    backend: Backend

    def model(self, config: ModelConfig, seed: int) -> Any:
        """Fresh weights; an LSTM as large as the GPT that `config` describes."""
        if self.kind == "gpt":
            return self.backend.gpt(config, seed)
        width = lstm_width(config)
        options: dict[str, Any] = {"dropout": config.dropout, "rng": np.random.default_rng(seed)}
        if self.backend.name == "np":
            from minillm.np.rnn import LSTMLanguageModel

            model: Any = LSTMLanguageModel(config.vocab_size, width, width, **options)
        else:
            from minillm.pt.rnn import LSTMLanguageModel as TorchLSTMLanguageModel

            model = TorchLSTMLanguageModel(config.vocab_size, width, width, **options)
        model.tok.weight.data *= TABLE / 0.02  # the layers' own deviation
        model.lm_head.weight = model.tok.weight  # one table, counted and learnt once
        return model

    def trainer(self, model: Any, recipe: TrainConfig) -> Any:
        """What takes a step, in this process and thread alone."""
        if self.backend.name == "np":
            from minillm.np.train import Trainer

            return Trainer(model, recipe, copies=1)
        return self.backend.trainer(model, recipe)


def learners() -> tuple[list[Learner], list[str]]:
    """All rungs that this environment can climb, and a line for each that it cannot."""
    numpy = Backend("np")
    try:
        torch = Backend("pt", "cpu")
    except UserError as error:
        return [Learner("LSTM", "lstm", numpy), Learner("GPT np", "gpt", numpy)], [f"GPT pt is left out: {error}"]
    return [Learner("LSTM", "lstm", torch), Learner("GPT np", "gpt", numpy), Learner("GPT pt", "gpt", torch)], []


def recipes(vocab_size: int, settings: Settings, corpus: str = "") -> tuple[ModelConfig, TrainConfig]:
    """The preset's GPT and its training, changed as the settings say."""
    changes = settings.shape + (settings.world if corpus == "world" else ())
    return preset(settings.preset, vocab_size, **dict(changes))


def gpt_parameters(config: ModelConfig) -> int:
    return Backend("np").gpt(config).num_parameters()


def lstm_parameters(vocab_size: int, width: int) -> int:
    """A table of V vectors, used twice, a bias for each logit, and four gates of two matrices and two biases."""
    return vocab_size * width + vocab_size + 4 * (2 * width * width + 2 * width)


def lstm_width(config: ModelConfig) -> int:
    """The width (of token vectors and of the hidden state) of the LSTM that is as large as a GPT."""
    budget = gpt_parameters(config)
    widths = range(1, budget // config.vocab_size + 2)
    return min(widths, key=lambda width: abs(lstm_parameters(config.vocab_size, width) - budget))


def cpu_seconds() -> float:
    """CPU time of this process, all its threads, and its children that have ended."""
    times = os.times()
    return time.process_time() + times.children_user + times.children_system


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Let NumPy and PyTorch compute in one thread for a while."""
    try:
        import torch
    except ImportError:
        torch = None  # type: ignore[assignment]
    threads = torch.get_num_threads() if torch else 1
    with threadpool_limits(1):
        if torch:
            torch.set_num_threads(1)
        try:
            yield
        finally:
            if torch:
                torch.set_num_threads(threads)


@dataclass
class Learnt:
    """How a training went; losses are in nats a token on valid."""

    best: float
    best_at: float  # share of the time after which the best weights were there
    steps: int
    cpu_seconds: float


def learn(
    learner: Learner, model: Any, recipe: TrainConfig, text: Text, context: int, seconds: float, validations: int
) -> Learnt:
    """Train for that many seconds of CPU and leave the weights in the model that were best on valid."""
    backend, tokens, valid = learner.backend, text.tokens["train"], text.tokens["valid"]
    eos = text.tokenizer.eos_id if recipe.windows == "documents" else None
    starts = None if eos is None else document_starts(tokens, context, eos)
    trainer = learner.trainer(model, recipe)
    weights, learnt = {}, Learnt(math.inf, 0.0, 0, 0.0)
    for i in range(1, validations + 1):
        while learnt.cpu_seconds < seconds * i / validations:
            clock = cpu_seconds()
            trainer.config = at_time(recipe, learnt.cpu_seconds / seconds)
            x, y = random_batch(tokens, context, recipe.batch_size, recipe.seed, learnt.steps, starts)
            loss = trainer.step(x, y, learnt.steps).loss
            learnt.steps += 1
            learnt.cpu_seconds += cpu_seconds() - clock
            if not math.isfinite(loss):
                break
        nll = total_nll(model, valid, context, eos) / (len(valid) - 1)
        if nll < learnt.best:  # never so for NaN
            learnt.best, learnt.best_at = nll, i / validations
            weights = {name: array.copy() for name, array in backend.weights(model).items()}
        if not math.isfinite(nll):
            break
    if weights:
        backend.load_weights(model, weights)
    return learnt


def at_time(recipe: TrainConfig, share: float) -> TrainConfig:
    """The recipe with the learning rate that is due after a share of the time."""
    parts = 1000
    rate = learning_rate(
        int(share * parts),
        lr=recipe.lr,
        steps=parts,
        warmup=int(WARMUP * parts),
        min_lr=recipe.min_lr,
        schedule=recipe.schedule,
    )
    return replace(recipe, lr=rate, schedule="constant", warmup=0)


def sweep(tried: Callable[[float], float], rates: tuple[float, ...], most: int) -> dict[float, float]:
    """Learning rate -> loss on valid. While the best one lies at an edge, its double or its half is tried as well."""
    losses = {rate: tried(rate) for rate in rates}
    while len(losses) < most:
        best = min(losses, key=lambda rate: losses[rate])
        beyond = {max(losses): best * 2, min(losses): best / 2}.get(best)
        if beyond is None:
            break
        losses[beyond] = tried(beyond)
    return dict(sorted(losses.items()))


def climb(learner: Learner, text: Text, settings: Settings, say: Say) -> Row:
    """The result of one rung. UserError: the text is shorter than the context, or no learning rate works."""
    config, recipe = recipes(text.vocab_size, settings, text.name)
    check_length(text.tokens["train"], config.context, f"the training text of {text.name}")
    seconds, spent = 60 * settings.minutes, 0.0

    def tried(rate: float) -> float:
        nonlocal spent
        model = learner.model(config, recipe.seed)
        learnt = learn(
            learner, model, replace(recipe, lr=rate), text, config.context, settings.sweep * seconds, validations=2
        )
        spent += learnt.cpu_seconds
        say(f"  {learner.name}: learning rate {rate:g}, {learnt.steps} steps, valid {learnt.best:.3f} nats a token")
        return learnt.best

    with one_thread():
        losses = sweep(tried, settings.rates, settings.most_rates)
        rate = min(losses, key=lambda rate: losses[rate])
        model = learner.model(config, recipe.seed)
        learnt = learn(learner, model, replace(recipe, lr=rate), text, config.context, seconds, settings.validations)
        if not math.isfinite(learnt.best):
            raise UserError(f"{learner.name} did not learn {text.name} at any of the rates {list(losses)}: try smaller")
        scored = evaluate(model, text.documents["test"], text.tokenizer, config.context, recipe.windows)
    return {
        "bits_per_char": scored.bits_per_char,
        "kind": "learnt",
        "numbers": model.num_parameters(),
        "cpu_seconds": learnt.cpu_seconds,
        "sweep_cpu_seconds": spent,
        "backend": learner.backend.name,
        "width": config.d_model if learner.kind == "gpt" else lstm_width(config),
        "steps": learnt.steps,
        "tokens": learnt.steps * recipe.batch_size * config.context,
        "best_at": learnt.best_at,
        "valid_nats_per_token": learnt.best,
        "lr": rate,
        "sweep": {f"{rate:g}": loss if math.isfinite(loss) else None for rate, loss in losses.items()},
    }
