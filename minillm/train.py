"""The training loop, the same for both back-ends: batches in, validation, samples, checkpoints, a log.

A run is a function of its settings and its seed. It can be stopped at any moment, by Ctrl-C or by the
machine, and resumed: after a checkpoint at step s, step s is computed again exactly as it would have been.
Several processes under torchrun go through the same loop; all know the whole batch and compute their rows of it
(minillm/pt/train.py), and the first of them writes, prints and samples.
"""

import hashlib
import math
import time
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from minillm.backend import Backend
from minillm.checkpoint import Run
from minillm.data.batches import (
    all_windows,
    check_length,
    common_tokens,
    document_starts,
    random_batch,
    recall_targets,
    window_places,
)
from minillm.data.corpora import Corpus, token_stream
from minillm.data.shards import Shards
from minillm.errors import UserError
from minillm.generate import generate
from minillm.ranks import Ranks
from minillm.saver import Saver, alone_in
from minillm.schedule import EarlyStopping, StepResult
from minillm.stop import stop_requests
from minillm.text import Tokenizer

OVERFLOWS = 20  # steps in a row that fp16 may skip: its loss scale has then been halved as often


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
    def note(self, line: str) -> None: ...
    def step(self, record: dict[str, Any]) -> None: ...
    def validation(self, step: int, loss: float, better: bool, sample: str) -> None: ...
    def close(self) -> None: ...


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

    UserError: too little text, a folder that cannot be written or where another training is at work, a damaged
    checkpoint, other data on resume, a loss that is no number, not enough memory.
    """
    config, context = run.train, run.model.context
    tokens, valid = corpus.tokens(run.tokenizer), token_stream(corpus.valid, run.tokenizer)
    check_length(tokens, context, f"the training text of {corpus.name}")
    eos = run.tokenizer.eos_id if config.windows == "documents" else None
    starts = None if eos is None else document_starts(tokens, context, eos)
    common = common_tokens(tokens, run.model.vocab_size) if config.recall else None
    run.tokenizer.encode(prompt, unknown="unk")  # a prompt that is no text is refused now, not at the first sample
    run.data["tokens"] = fingerprint(tokens) if not resume else run.data.get("tokens")
    if resume and run.data["tokens"] != fingerprint(tokens):
        raise UserError(f"{corpus.name} is not the text that the run in {folder} began with: give the same --data")

    with backend.processes() as ranks:
        model = backend.gpt(run.model, config.seed)
        trainer = backend.trainer(model, config, ranks)
        reporter = reporter if reporter and ranks.index == 0 else Silent()
        with alone_in(folder, ranks), stop_requests() as stop, closing(reporter):
            saver = Saver(folder, run, backend, ranks, model, trainer)
            first, stopping = start(saver, resume)
            log, pending, overflows = saver.log, saver.pending, 0
            started, learning, done, loss = time.perf_counter(), 0.0, first, log[-1]["loss"] if log else math.nan
            reporter.start(first, config.steps)
            if backend.name == "pt":
                trainer.say = reporter.note
                reporter.note(trainer.describe())
            if done < config.recall:
                reporter.note(f"up to step {config.recall} mostly what came before is learnt: --recall")
            while done < config.steps and not stopping.stop:
                if ranks.any(stop() or time.perf_counter() - started >= seconds):
                    break
                clock = time.perf_counter()
                x, y = random_batch(tokens, context, config.batch_size, config.seed, done, starts)
                if common is not None and done < config.recall:
                    rng = np.random.default_rng([config.seed, done, 1])
                    y = recall_targets(x, y, common, run.tokenizer.eos_id, rng)
                result = trainer.step(x, y, done)
                elapsed = time.perf_counter() - clock
                learning += elapsed
                overflows = overflows + 1 if result.skipped else 0
                saver.skipped += result.skipped
                if overflows == OVERFLOWS or not (result.skipped or is_finite(result)):
                    places = window_places(tokens, context, config.batch_size, config.seed, done, starts)
                    raise UserError(not_finite(result, done + 1, x, y, places, model, config.lr, saver.step))
                done, loss = done + 1, result.loss
                record: dict[str, Any] = {"step": done, "loss": loss, "lr": result.lr}
                record |= {"skipped": True} if result.skipped else {"grad_norm": result.grad_norm}
                record["tokens_per_second"] = x.size / elapsed
                if done % config.eval_every == 0 or done == config.steps:
                    # Without validation text the training loss decides.
                    with backend.reading(trainer):
                        nll = validation_nll(model, valid, context, eos, ranks, getattr(trainer, "rows", 32))
                    record["valid_loss"] = nll / (len(valid) - 1) if len(valid) > 1 else loss
                    better = stopping.update(record["valid_loss"])
                    if better:
                        saver.save_model(done)
                    if saver.first or saver.sharded:
                        sample = sample_text(backend.writer(model, trainer), run.tokenizer, prompt, 40, config.seed)
                        reporter.validation(done, record["valid_loss"], better, sample)
                pending.append(record)
                reporter.step(record)
                if "valid_loss" in record:
                    saver.save(done, stopping)
            interrupted = done < config.steps and ranks.any(stop())
            if pending:
                if stopping.best == math.inf:  # stopped before the first validation
                    saver.save_model(done)
                saver.save(done, stopping)
    rate = (done - first) * config.batch_size * context / learning if learning else 0.0
    return Result(done, loss, stopping.best, rate, time.perf_counter() - started, interrupted, log)


def start(saver: Saver, resume: bool) -> tuple[int, EarlyStopping]:
    """The steps done already, and what they say of stopping early. UserError: a checkpoint that cannot be resumed."""
    config, stopping = saver.run.train, EarlyStopping(saver.run.train.patience)
    if resume:
        state = saver.restore()
        stopping = EarlyStopping(config.patience, state.best, state.waited)
        if config.steps < state.step:
            done = f"the run in {saver.folder} has done {state.step} steps already"
            raise UserError(f"{done}: give --steps of at least {state.step}")
        saver.restore_log()
    else:
        saver.begin(stopping)
    saver.save_run()  # on resume, too: there may be more steps to do
    return saver.step, stopping


def validation_nll(model: Any, tokens: np.ndarray, context: int, eos: int | None, ranks: Ranks, rows: int) -> float:
    """Sum of -log p in nats over tokens[1:], the windows dealt out to the processes.

    All compute at each round, if need be what another counts: a model that is shared out can only be used together.
    """
    batches, total = all_windows(tokens, context, rows, eos), 0.0
    while dealt := list(islice(batches, ranks.count)):
        x, y = dealt[min(ranks.index, len(dealt) - 1)]
        nll = float(model.token_nll(x, y).sum(dtype=np.float64))
        total += nll if ranks.index < len(dealt) else 0.0
    return ranks.total(total)


def is_finite(result: StepResult) -> bool:
    return math.isfinite(result.loss) and math.isfinite(result.grad_norm)


def not_finite(
    result: StepResult, step: int, x: np.ndarray, y: np.ndarray, places: np.ndarray, model: Any, lr: float, saved: int
) -> str:
    """One line on a loss or gradient that is no number: the step, the sequences that give it, what to do."""
    if result.skipped:
        what = f"fp16 overflowed in {OVERFLOWS} steps one after the other, up to step {step}"
        return f"{what}: use --precision fp32, or a smaller --lr (it was {lr}); the checkpoint of step {saved} is whole"
    name = "loss" if not math.isfinite(result.loss) else "gradient's norm"
    value = result.loss if not math.isfinite(result.loss) else result.grad_norm
    with np.errstate(all="ignore"):  # row by row, as the weights were before the step
        bad = [i for i in range(len(x)) if not np.isfinite(model.token_nll(x[i : i + 1], y[i : i + 1])).all()]
    shown = bad[:8] or range(min(len(x), 8))
    more = ", ..." if len(bad or x) > 8 else ""
    where = ", ".join(str(int(places[i])) for i in shown) + more
    return (
        f"the {name} became {value} at step {step}: use a smaller --lr (it was {lr}); sequences of the batch that "
        f"{'give no number' if bad else 'it comes from'} begin at tokens {where} of the text; "
        f"the checkpoint of step {saved} is whole"
    )


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
    """Special tokens that no text contains and that a sample shall not show. Another's tokenizer may lack some, or
    begin and end a text with the same one."""
    ids = {tokenizer.pad_id, tokenizer.unk_id, tokenizer.bos_id, tokenizer.mask_id, tokenizer.sep_id}
    return sorted(i for i in ids - {tokenizer.eos_id} if i >= 0)
