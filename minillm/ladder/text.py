"""What all rungs of the ladder share: a corpus cut into characters, the parts that are used, and its true floor.

Every model reads the same stream <eos> document <eos> ... over the characters that the training text has, is chosen
on the same valid text and scored on the same test text, in bits a character (minillm.evaluate): a character that
training never showed costs what `Tokenizer.unknown_bits` asks for it, whichever model has to predict it.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from minillm.data.catalogue import catalogue
from minillm.data.corpora import load_corpus, token_stream
from minillm.data.download import mirror, report
from minillm.errors import UserError
from minillm.evaluate import scores
from minillm.text import CharTokenizer

# A story of the world is 160 characters long and its end depends on its beginning: the models see it as a whole.
STORIES = (("context", 192), ("batch_size", 8), ("windows", "documents"))


@dataclass(frozen=True)
class Settings:
    """How much of everything. Shares of time are CPU time of a single thread."""

    minutes: float = 2.0  # for each model that learns by gradient, at its best learning rate
    preset: str = "demo"  # whose GPT and recipe are used; the LSTM gets as many parameters
    shape: tuple[tuple[str, Any], ...] = ()  # what is changed in the preset
    world: tuple[tuple[str, Any], ...] = STORIES  # and what more for the world
    rates: tuple[float, ...] = (1.5e-3, 3e-3, 6e-3)  # where the sweep of learning rates begins
    most_rates: int = 5  # while the best lies at an edge, the sweep goes on beyond, to so many rates
    sweep: float = 0.2  # each rate is tried for this share of the minutes
    validations: int = 10  # after which the best weights are kept
    train_characters: int | None = None  # None: all of the training text
    valid_characters: int = 10_000
    test_characters: int = 100_000


QUICK = Settings(
    minutes=0.01,
    shape=(("n_layer", 1), ("d_model", 32), ("context", 32), ("batch_size", 8)),
    world=(("windows", "documents"),),
    rates=(3e-3,),
    most_rates=1,
    validations=2,
    train_characters=10_000,
    valid_characters=2_000,
    test_characters=2_000,
)


@dataclass(frozen=True)
class Text:
    """A corpus as the ladder reads it: the documents and the token ids of each split."""

    name: str
    tokenizer: CharTokenizer
    documents: dict[str, list[str]]
    tokens: dict[str, np.ndarray]

    @property
    def vocab_size(self) -> int:
        return self.tokenizer.vocab_size

    def bits_per_char(self, nats: float, split: str = "test") -> float:
        """From a model's sum of -log p over tokens[1:] of a split to bits a character."""
        return scores(nats, self.tokens[split], self.documents[split], self.tokenizer).bits_per_char

    def describe(self) -> dict[str, Any]:
        """Sizes, for the results."""
        return {
            "vocab_size": self.vocab_size,
            "characters": {split: sum(map(len, documents)) for split, documents in self.documents.items()},
            "documents": {split: len(documents) for split, documents in self.documents.items()},
            "unknown": int((self.tokens["test"] == self.tokenizer.unk_id).sum()),  # characters of test
        }


def why_absent(name: str) -> str | None:
    """Why a public corpus cannot be used now, in one line; None if it can. Nothing is fetched unasked."""
    if name not in catalogue() or mirror() or report(catalogue()[name])["state"] == "ok":
        return None
    return f"{name} is left out, for it is not here; fetch it with: python -m minillm data get {name}"


def read(name: str, settings: Settings) -> Text:
    """A corpus by name or path. UserError: there is none, or it is too short to have three parts."""
    corpus = load_corpus(name)
    limits = {
        "train": settings.train_characters,
        "valid": settings.valid_characters,
        "test": settings.test_characters,
    }
    documents = {split: spread(corpus.split(split), limit) for split, limit in limits.items()}
    if not all(map(any, documents.values())):
        raise UserError(f"{name} is too short for three parts: give more text")
    tokenizer = CharTokenizer.train(documents["train"])
    tokens = {split: token_stream(texts, tokenizer) for split, texts in documents.items()}
    return Text(corpus.name, tokenizer, documents, tokens)


def spread(documents: list[str], characters: int | None) -> list[str]:
    """All documents, or every 2nd, 3rd ... so that about that many characters are left, from all over the corpus."""
    every = 1 if characters is None else round(sum(map(len, documents)) / characters)
    return documents[:: max(every, 1)]


def floor(text: Text) -> dict[str, float] | None:
    """The world's true entropy in bits a character, below which no model can stay; None for other corpora.

    entropy    of the test stories for one who knows the town, but not which combinations are kept for testing
    this_text  what the test text at hand costs such a one: the entropy is its mean over all texts
    """
    if text.name != "world":
        return None
    from minillm.data.world import entropy, log_probability

    nats = -sum(map(log_probability, text.documents["test"]))
    characters = sum(map(len, text.documents["test"]))
    return {
        "entropy": entropy("test", known_split=False).bits_per_character,
        "this_text": nats / math.log(2) / characters,
    }
