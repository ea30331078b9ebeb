"""The rungs that count: a blind guess, frequencies of single characters, of pairs, and Kneser-Ney up to five.

What can be chosen (k, λ, the discounts) is chosen on the valid text. All of the training text is counted.
"""

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from minillm.baselines.ngram import Bigram, Uniform
from minillm.baselines.smoothing import AddK, KneserNey
from minillm.ladder.text import Text

DISCOUNTS = (None, 0.5, 0.6, 0.7, 0.8, 0.9)  # None: estimated from the counts, one for each order
ORDERS = (2, 3, 4, 5)

Row = dict[str, Any]


def uniform(text: Text) -> Row:
    return _row(text, Uniform(text.vocab_size), 0)


def unigram(text: Text) -> Row:
    model = AddK(text.tokens["train"], text.vocab_size, 1, valid=text.tokens["valid"])
    return _row(text, model, text.vocab_size, k=model.k)


def bigram(text: Text) -> Row:
    model = Bigram(text.tokens["train"], text.vocab_size, text.tokens["valid"])
    return _row(text, model, len(model.pairs) + text.vocab_size, strength=model.strength)


def kneser_ney(text: Text, order: int) -> Row:
    models = (KneserNey(text.tokens["train"], text.vocab_size, order, discounts) for discounts in DISCOUNTS)
    best, nll = None, np.inf
    for model in models:  # one at a time: on a large corpus each takes much memory
        if (own := model.total_nll(text.tokens["valid"])) < nll:
            best, nll = model, own
    assert best
    return _row(text, best, sum(map(len, best.grams.keys[1:])), discounts=best.discounts)


RUNGS: dict[str, Callable[[Text], Row]] = {
    "uniform": uniform,
    "unigram": unigram,
    "bigram": bigram,
    **{f"KN {order}": lambda text, order=order: kneser_ney(text, order) for order in ORDERS},  # type: ignore[misc]
}


def counted(text: Text) -> Iterator[tuple[str, Row]]:
    """Name and result of each rung, from the lowest."""
    for name, rung in RUNGS.items():
        clock = time.process_time()
        row = rung(text)
        yield name, row | {"cpu_seconds": time.process_time() - clock}


def _row(text: Text, model: Any, numbers: int, **chosen: Any) -> Row:
    """`numbers`: how many counts the model keeps, which stand where others have parameters."""
    bits = text.bits_per_char(model.total_nll(text.tokens["test"]))
    return {"bits_per_char": bits, "kind": "counted", "numbers": numbers, **chosen}
