"""The training loop, the same for both back-ends: batches in, validation, samples, checkpoints, a log.

A run is a function of its settings and its seed. It can be stopped at any moment, by Ctrl-C or by the
machine, and resumed: after a checkpoint at step s, step s is computed again exactly as it would have been.
"""

import hashlib
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from minillm import checkpoint
from minillm.backend import Backend, shapes
from minillm.checkpoint import Run, State
from minillm.data.batches import check_length, document_starts, random_batch
from minillm.data.corpora import Corpus, token_stream
from minillm.data.shards import Shards
from minillm.errors import UserError
from minillm.evaluate import total_nll
from minillm.generate import generate
from minillm.schedule import EarlyStopping
from minillm.text import Tokenizer


@dataclass
class Result:
    """How a training ended. Losses are in nats a token."""

    steps: int
    loss: float  # of the last step's batch
    valid_loss: float  # the best
    tokens_per_second: float
    seconds: float
    interrupted: bool
    log: list[dict[str, Any]]


class Silent:
    """What the loop tells the outside; the command line shows it, tests and notebooks may not care."""

    def start(self, first: int, last: int) -> None: ...
    def step(self, record: dict[str, Any]) -> None: ...
    def validation(self, step: int, loss: float, better: bool, sample: str) -> None: ...
    def close(self) -> None: ...


@contextmanager
def stop_requests() -> Iterator[Callable[[], bool]]:
    """A function that tells whether Ctrl-C (or a polite kill) came: the step under way is finished first,
    so that what is saved is whole. A second Ctrl-C stops at once."""
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked.is_set  # only the main thread receives signals
        return

    def ask(number: int, frame: Any) -> None:
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()

    old = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked.is_set
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)


def fingerprint(tokens: np.ndarray | Shards) -> str:
    """SHA-256 of a row of ids: a resumed run must see the same text."""
    if isinstance(tokens, Shards):
        return tokens.fingerprint
    return hashlib.sha256(np.ascontiguousarray(tokens, dtype="<i8").tobytes()).hexdigest()


def train(
    corpus: Corpus,
    run: Run,
    backend: Backend,
    folder: Path,
    *,
    resume: bool = False,
    prompt: str = "我爱北京",
    reporter: Silent | None = None,
    seconds: float = math.inf,
) -> Result:
    """Train a GPT on a corpus and leave it in `folder` (see checkpoint.py); end after `seconds` at the latest.

    UserError: too little text, a folder that cannot be written, a damaged checkpoint, other data on resume.
    """
    reporter = reporter or Silent()
    config, context = run.train, run.model.context
    tokens, valid = corpus.tokens(run.tokenizer), token_stream(corpus.valid, run.tokenizer)
    check_length(tokens, context, f"the training text of {corpus.name}")
    eos = run.tokenizer.eos_id if config.windows == "documents" else None
    starts = None if eos is None else document_starts(tokens, context, eos)
    run.tokenizer.encode(prompt, unknown="unk")  # a prompt that is no text is refused now, not at the first sample
    run.data["tokens"] = fingerprint(tokens) if not resume else run.data.get("tokens")
    if resume and run.data["tokens"] != fingerprint(tokens):
        raise UserError(f"{corpus.name} is not the text that the run in {folder} began with: give the same --data")

    model = backend.gpt(run.model, config.seed)
    trainer = backend.trainer(model, config)
    stopping = EarlyStopping(config.patience)
    first, log = 0, []
    pending: list[dict[str, Any]] = []
    if resume:
        state = checkpoint.load_state(folder, run, shapes(model))
        backend.load_weights(model, state.weights)
        try:
            trainer.optimizer.load_state_arrays(backend.tensors(state.optimizer), state.step)
        except ValueError as error:
            raise UserError(f"{folder / checkpoint.CHECKPOINT} cannot be resumed: {error}") from error
        first, stopping = state.step, EarlyStopping(config.patience, state.best, state.waited)
        if config.steps < first:
            raise UserError(f"the run in {folder} has done {first} steps already: give --steps of at least {first}")
        checkpoint.sweep(folder)
        log = checkpoint.read_log(folder, first)
        checkpoint.write_log(folder, log)
    else:
        checkpoint.begin(folder)

    def save(step: int) -> None:
        optimizer = backend.arrays(trainer.optimizer.state_arrays())
        state = State(step, backend.weights(model), optimizer, stopping.best, stopping.waited)
        checkpoint.append_log(folder, pending)
        checkpoint.save_state(folder, state, run)
        log.extend(pending)
        pending.clear()

    if not resume:
        save(0)
    checkpoint.save_run(folder, run)  # on resume, too: there may be more steps to do

    started, learning, done, loss = time.perf_counter(), 0.0, first, log[-1]["loss"] if log else math.nan
    reporter.start(first, config.steps)
    with stop_requests() as stop, closing(reporter):
        while done < config.steps and not stopping.stop and not stop() and time.perf_counter() - started < seconds:
            clock = time.perf_counter()
            x, y = random_batch(tokens, context, config.batch_size, config.seed, done, starts)
            result = trainer.step(x, y, done)
            elapsed = time.perf_counter() - clock
            learning += elapsed
            done, loss = done + 1, result.loss
            if not math.isfinite(loss):
                raise UserError(f"the loss became {loss} at step {done}: use a smaller --lr (it was {config.lr})")
            record: dict[str, Any] = {"step": done, "loss": loss, "lr": result.lr, "grad_norm": result.grad_norm}
            record["tokens_per_second"] = x.size / elapsed
            if done % config.eval_every == 0 or done == config.steps:
                # Without validation text the training loss decides.
                nll = total_nll(model, valid, context, eos)
                record["valid_loss"] = nll / (len(valid) - 1) if len(valid) > 1 else loss
                better = stopping.update(record["valid_loss"])
                if better:
                    checkpoint.save_model(folder, backend.weights(model), run, done)
                sample = sample_text(model, run.tokenizer, prompt, 40, config.seed)
                reporter.validation(done, record["valid_loss"], better, sample)
            pending.append(record)
            reporter.step(record)
            if "valid_loss" in record:
                save(done)
        interrupted = stop() and done < config.steps
        if pending:
            if stopping.best == math.inf:  # stopped before the first validation
                checkpoint.save_model(folder, backend.weights(model), run, done)
            save(done)
    rate = (done - first) * config.batch_size * context / learning if learning else 0.0
    return Result(done, loss, stopping.best, rate, time.perf_counter() - started, interrupted, log)


def sample_text(
    model: Any, tokenizer: Tokenizer, prompt: str, tokens: int, seed: int, temperature: float = 0.8, **options: Any
) -> str:
    """The prompt continued. The model does not see what it does not know or has no room for: unknown characters
    and, if the prompt is longer than the context, its beginning."""
    known = [i for i in tokenizer.encode(prompt, unknown="unk") if i != tokenizer.unk_id]
    ids = known[-model.config.context :] or [tokenizer.eos_id]
    new = generate(
        model,
        ids,
        tokens,
        temperature=temperature,
        banned=never_written(tokenizer),
        stop=[tokenizer.eos_id],
        rng=np.random.default_rng(seed),
        **options,
    )
    return prompt + tokenizer.decode(list(new))


def never_written(tokenizer: Tokenizer) -> list[int]:
    """Special tokens that no text contains and that a sample shall not show."""
    return [tokenizer.pad_id, tokenizer.unk_id, tokenizer.bos_id, tokenizer.mask_id, tokenizer.sep_id]
