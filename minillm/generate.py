"""From next-token probabilities to text: greedy, temperature, top-k, top-p, beam search, repetition control.

Works on the logits of either twin: a model needs `next_logits(ids (B, T), kv) -> (B, V)`, `new_cache(batch)`
and `config.context`. Choosing a token is done in NumPy float64, so that the same seed gives the same text.

The window. A model sees at most `context` tokens. When the window is full, it restarts with the latest
half of it. This rule is the same with and without the key-value cache, and so is therefore the text.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from minillm.errors import UserError


def distribution(logits: np.ndarray, temperature: float = 1.0, top_k: int = 0, top_p: float = 1.0) -> np.ndarray:
    """Probabilities to draw the next token from.  logits (V,) -> (V,) float64

    temperature  logits are divided by it: below 1 sharper, above 1 flatter; 0 leaves the best token alone
    top_k        only the k likeliest tokens stay; 0: all (Fan et al. 2018, arXiv 1805.04833)
    top_p        only the smallest set of likeliest tokens with that much probability stays; it always
                 holds the likeliest (Holtzman et al. 2020, arXiv 1904.09751)
    """
    check_sampling(temperature, top_k, top_p)
    if temperature == 0:
        p = np.zeros(len(logits))
        p[int(np.argmax(logits))] = 1
        return p
    z = logits.astype(np.float64)
    with np.errstate(over="ignore"):  # a tiny temperature sends all but the best to -inf, as it should
        p = np.exp((z - z.max()) / temperature)
    p /= p.sum()
    if not (0 < top_k < len(p) or top_p < 1):
        return p
    order = np.argsort(-p, kind="stable")
    keep = len(p) if top_k == 0 else min(top_k, len(p))
    if top_p < 1:
        total = np.cumsum(p[order[:keep]])
        keep = int(np.searchsorted(total, top_p * total[-1])) + 1
    p[order[keep:]] = 0
    return p / p.sum()


def check_sampling(temperature: float, top_k: int, top_p: float, penalty: float = 1.0) -> None:
    """UserError on settings that no distribution has."""
    if not (temperature >= 0 and np.isfinite(temperature)):
        raise UserError(f"temperature is {temperature}; it must be 0 (greedy) or above")
    if top_k < 0:
        raise UserError(f"top-k is {top_k}; it must be 0 (all tokens) or above")
    if not 0 < top_p <= 1:
        raise UserError(f"top-p is {top_p}; it must be above 0 and at most 1")
    if not (penalty > 0 and np.isfinite(penalty)):
        raise UserError(f"repetition penalty is {penalty}; it must be above 0, and 1 turns it off")


def check_prompt(model: Any, prompt: Sequence[int]) -> None:
    """UserError unless the model can see the whole prompt."""
    context = model.config.context
    if not 1 <= len(prompt) <= context:
        raise UserError(f"the prompt has {len(prompt)} tokens; this model takes 1 to {context}, its context")


def control_repetition(
    logits: np.ndarray, ids: Sequence[int], penalty: float = 1.0, no_repeat_ngram: int = 0
) -> np.ndarray:
    """Make tokens that were written before less likely.  logits (V,) -> (V,), a copy if anything changes

    penalty          logits of seen tokens are divided by it if positive, multiplied if negative (CTRL,
                     Keskar et al. 2019, arXiv 1909.05858); 1: off
    no_repeat_ngram  no sequence of that many tokens may occur twice (Paulus et al. 2018); 0: off
    """
    if penalty != 1 and len(ids):
        seen = np.unique(np.asarray(ids))
        logits = logits.copy()
        logits[seen] = np.where(logits[seen] > 0, logits[seen] / penalty, logits[seen] * penalty)
    n = no_repeat_ngram
    if 0 < n <= len(ids):
        tail = tuple(ids[len(ids) - n + 1 :])
        banned = {ids[i + n - 1] for i in range(len(ids) - n + 1) if tuple(ids[i : i + n - 1]) == tail}
        if banned and len(banned) < len(logits):
            logits = logits.copy()
            logits[list(banned)] = -np.inf
    return logits


class Reader:
    """Feeds ids to a model and gives the logits of what comes next, with or without a key-value cache."""

    def __init__(self, model: Any, kv_cache: bool = True, batch: int = 1) -> None:
        self.model, self.batch, self.kv_cache = model, batch, kv_cache
        self.window = np.zeros((batch, 0), dtype=np.int64)
        self.kv: Any = None

    def feed(self, ids: np.ndarray) -> np.ndarray:
        """Append ids (B, n), return the next token's logits (B, V)."""
        context = self.model.config.context
        self.window = np.concatenate([self.window, ids], axis=1)
        if self.window.shape[1] > context:
            self.window, self.kv = self.window[:, -(context // 2 or 1) :], None
        if not self.kv_cache:
            return self.model.next_logits(self.window)
        if self.kv is None:
            self.kv, ids = self.model.new_cache(self.batch), self.window
        return self.model.next_logits(ids, self.kv)

    def reorder(self, rows: list[int]) -> None:
        """Let row i continue what row rows[i] has read."""
        self.window = self.window[rows]
        for layer in self.kv or []:
            layer.reorder(rows)


def generate(
    model: Any,
    prompt: Sequence[int],
    tokens: int,
    *,
    temperature: float = 1.0,
    top_k: int = 0,
    top_p: float = 1.0,
    repetition_penalty: float = 1.0,
    no_repeat_ngram: int = 0,
    banned: Sequence[int] = (),
    stop: Sequence[int] = (),
    rng: np.random.Generator,
    kv_cache: bool = True,
) -> Iterator[int]:
    """Yield up to `tokens` new ids after the prompt, one by one; ends early after an id in `stop`.

    `banned` ids are never chosen. UserError, at once: a prompt that is empty or longer than the context,
    impossible settings.
    """
    check_sampling(temperature, top_k, top_p, repetition_penalty)
    check_prompt(model, prompt)

    def write() -> Iterator[int]:
        reader, ids = Reader(model, kv_cache), list(prompt)
        new = np.array([ids])
        for _ in range(tokens):
            logits = control_repetition(reader.feed(new)[0], ids, repetition_penalty, no_repeat_ngram)
            if len(banned):
                logits = logits.copy()
                logits[list(banned)] = -np.inf
            p = distribution(logits, temperature, top_k, top_p)
            token = int(np.argmax(p)) if temperature == 0 else int(rng.choice(len(p), p=p))
            yield token
            if token in stop:
                return
            ids.append(token)
            new = np.array([[token]])

    return write()


def beam_search(
    model: Any,
    prompt: Sequence[int],
    tokens: int,
    *,
    width: int = 4,
    banned: Sequence[int] = (),
    stop: Sequence[int] = (),
    length_penalty: float = 0.0,
) -> list[tuple[float, list[int]]]:
    """The `width` best continuations found, best first, as (score, ids).

    Keeps the `width` likeliest beginnings at every step. score = Σ log p / length^length_penalty, in nats.
    A continuation ends after an id in `stop`; `banned` ids are never chosen. UserError as `generate`.
    """
    if width < 1:
        raise UserError(f"beam width is {width}; it must be at least 1")
    check_prompt(model, prompt)
    reader = Reader(model, batch=width)
    new = np.tile(np.asarray(prompt), (width, 1))
    beams: list[list[int]] = [[] for _ in range(width)]
    sums = np.full(width, -np.inf)
    sums[0] = 0  # all rows are equal at first: only one of them counts
    done: list[tuple[float, list[int]]] = []
    for length in range(1, tokens + 1):
        logits = reader.feed(new).astype(np.float64)  # (width, V)
        logits[:, list(banned)] = -np.inf
        top = logits.max(axis=1, keepdims=True)
        log_p = logits - top - np.log(np.exp(logits - top).sum(axis=1, keepdims=True))
        total = sums[:, None] + log_p
        vocab = total.shape[1]
        rows: list[int] = []
        ids: list[int] = []
        kept: list[float] = []
        enough = (1 + len(stop)) * width  # so many that `width` of them go on
        for flat in np.argsort(-total, axis=None, kind="stable")[:enough].tolist():
            row, token = divmod(flat, vocab)
            if token in stop:
                done.append((float(total[row, token]) / length**length_penalty, [*beams[row], token]))
            elif len(rows) < width:
                rows.append(row)
                ids.append(token)
                kept.append(float(total[row, token]))
        beams = [[*beams[row], token] for row, token in zip(rows, ids, strict=True)]
        sums = np.array(kept)
        reader.reorder(rows)
        new = np.array(ids)[:, None]
    done += [(float(s) / max(tokens, 1) ** length_penalty, beam) for s, beam in zip(sums, beams, strict=True)]
    return sorted((pair for pair in done if pair[0] > -np.inf), key=lambda pair: -pair[0])[:width]
