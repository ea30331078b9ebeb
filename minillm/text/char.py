"""One token per Unicode character: the simplest tokenizer, and for Chinese a good one.

Shape: a text of n characters becomes n ids.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Self

from minillm.text.tokenizer import SPECIAL_TOKENS, Tokenizer, require_room, training_texts


class CharTokenizer(Tokenizer):
    """Characters, the most frequent first. Newline, space and NUL are characters like any other."""

    kind = "char"

    def __init__(self, tokens: Sequence[str]) -> None:
        """tokens: the vocabulary after the special tokens. ValueError: not distinct single characters."""
        self._check(tokens)
        super().__init__(token.encode() for token in tokens)
        self.tokens = tuple(tokens)
        self._ids = {token: i for i, token in enumerate(tokens, start=len(SPECIAL_TOKENS))}

    @classmethod
    def train(cls, texts: Iterable[str], vocab_size: int | None = None) -> Self:
        """Keep all characters, or the most frequent that vocab_size has room for; ties by code point."""
        require_room(vocab_size, len(SPECIAL_TOKENS) + 1)
        counts: Counter[str] = Counter()
        for text in training_texts(texts):
            counts.update(text)
        return cls(most_frequent(counts, vocab_size))

    def _encode(self, text: str) -> list[int]:
        return [self._ids.get(char, self.unk_id) for char in text]

    def unknown_characters(self, text: str) -> list[tuple[int, str]]:
        return [(i, char) for i, char in enumerate(text) if char not in self._ids]

    def _check(self, tokens: Sequence[str]) -> None:
        if any(len(token) != 1 for token in tokens) or len(set(tokens)) != len(tokens):
            raise ValueError("tokens are distinct single characters")

    def _state(self) -> dict[str, Any]:
        return {"tokens": list(self.tokens)}

    @classmethod
    def _from_state(cls, state: dict[str, Any]) -> Self:
        tokens = state["tokens"]
        if not isinstance(tokens, list) or not all(isinstance(token, str) for token in tokens):
            raise ValueError("tokens is a list of strings")
        return cls(tokens)


def most_frequent(counts: Counter[str], vocab_size: int | None) -> list[str]:
    """Pieces by falling count, ties by length, then by code points; as many as vocab_size has room for."""
    ranked = sorted(counts, key=lambda piece: (-counts[piece], len(piece), piece))
    return ranked if vocab_size is None else ranked[: vocab_size - len(SPECIAL_TOKENS)]
