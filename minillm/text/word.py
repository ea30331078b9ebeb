"""Words as jieba cuts them, with characters to fall back on.

Chinese writes no spaces, so that words must be found first; jieba finds them with a dictionary and, for
words outside it, a hidden Markov model (https://github.com/fxsjy/jieba). A word that is not in the
vocabulary is spelt with its characters, so that only an unknown character is unknown.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any, Self

from minillm.errors import UserError
from minillm.text.char import CharTokenizer, most_frequent
from minillm.text.tokenizer import SPECIAL_TOKENS, require_room, training_texts


class WordTokenizer(CharTokenizer):
    """A character tokenizer with words on top. If no character is unknown, decode(encode(x)) == x."""

    kind = "word"

    @classmethod
    def train(cls, texts: Iterable[str], vocab_size: int | None = None, *, min_count: int = 2) -> Self:
        """Keep characters, and words seen at least min_count times, in one list by falling count.

        A vocab_size cuts that list: the rarest characters and words go first.
        """
        require_room(vocab_size, len(SPECIAL_TOKENS) + 1)
        chars: Counter[str] = Counter()
        words: Counter[str] = Counter()
        for text in training_texts(texts):
            chars.update(text)
            words.update(word for word in cut_words(text) if len(word) > 1)
        frequent = Counter({word: count for word, count in words.items() if count >= min_count})
        return cls(most_frequent(chars + frequent, vocab_size))

    def _encode(self, text: str) -> list[int]:
        ids: list[int] = []
        for word in cut_words(text):
            whole = self._ids.get(word)
            ids += super()._encode(word) if whole is None else [whole]
        return ids

    def _check(self, tokens: Sequence[str]) -> None:
        if not all(tokens) or len(set(tokens)) != len(tokens):
            raise ValueError("tokens are distinct words and characters, none empty")


def cut_words(text: str) -> list[str]:
    """The words of a text, in order: joined, they are the text. UserError: jieba is not installed."""
    words: list[str] = _jieba().lcut(text)
    return words


@cache
def _jieba() -> Any:
    """A jieba tokenizer of our own, so that dictionaries that a user gives jieba do not change ours."""
    import logging
    import warnings

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about invalid escapes in jieba's source
            import jieba
    except ImportError as error:
        raise UserError("the word tokenizer needs jieba: pip install jieba") from error
    jieba.setLogLevel(logging.WARNING)  # no "Building prefix dict ..." on the screen
    return jieba.Tokenizer()
