"""Text in, token ids out: cleaning, reading files, and three tokenizers behind one interface, with a fourth
for those that come from elsewhere.

Importing this package loads neither jieba nor NumPy; jieba comes in with the first word that is cut.
"""

from collections.abc import Iterable
from pathlib import Path

from minillm.errors import UserError
from minillm.text.bpe import BPETokenizer
from minillm.text.char import CharTokenizer
from minillm.text.clean import clean
from minillm.text.files import read_text
from minillm.text.huggingface import HuggingFaceTokenizer
from minillm.text.tokenizer import SPECIAL_TOKENS, StreamDecoder, Tokenizer
from minillm.text.word import WordTokenizer

__all__ = [
    "SPECIAL_TOKENS",
    "BPETokenizer",
    "CharTokenizer",
    "HuggingFaceTokenizer",
    "StreamDecoder",
    "Tokenizer",
    "WordTokenizer",
    "clean",
    "load_tokenizer",
    "read_text",
    "train_tokenizer",
]


def train_tokenizer(kind: str, texts: Iterable[str], vocab_size: int | None = None) -> Tokenizer:
    """Train a tokenizer of a kind ("char", "word" or "bpe") on texts; vocab_size None means its default.

    UserError: an unknown kind, a vocab_size that is too small, no text.
    """
    if kind not in Tokenizer.kinds:
        ours = ", ".join(name for name in Tokenizer.kinds if name != HuggingFaceTokenizer.kind)
        raise UserError(f"unknown tokenizer kind {kind!r}: choose one of {ours}")
    return Tokenizer.kinds[kind].train(texts, vocab_size)


def load_tokenizer(path: str | Path) -> Tokenizer:
    """Read a tokenizer of any kind from its JSON file. UserError: a missing, damaged or foreign file."""
    return Tokenizer.load(path)
