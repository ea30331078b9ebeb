"""The one interface of all tokenizers: text to token ids and back.

A token is a piece of UTF-8: a character, a word, or (BPE) any run of bytes. So decoding is the same for
every kind: look the bytes up, join them, read them as UTF-8. Ids 0 to 5 are the special tokens. No text
ever produces them: "<eos>" in a text is five ordinary characters; only code puts the id 3 into a sequence.
(A tokenizer that came from elsewhere, huggingface.py, keeps its own special tokens, at its own ids; -1: none.)

Rules for odd text: NUL is a character like any other. A lone surrogate is no Unicode text at all (UTF-8
cannot hold it), so that train and encode refuse it with a UserError.
"""

from __future__ import annotations

import codecs
import hashlib
import json
import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

from minillm.errors import UserError
from minillm.text.files import read_text, write_text

SPECIAL_TOKENS = ("<pad>", "<unk>", "<bos>", "<eos>", "<mask>", "<sep>")
N_SCALAR = 0x110000 - 0x800  # Unicode scalar values: all code points but the surrogates
FORMAT, VERSION = "minillm-tokenizer", 1

Unknown = Literal["error", "unk"]
Special = Literal["skip", "show"]


class Tokenizer(ABC):
    """What every tokenizer can do. A subclass sets `kind` and writes `train` and the underscored methods."""

    kind: ClassVar[str]
    kinds: ClassVar[dict[str, type[Tokenizer]]] = {}  # kind -> class, filled as the subclasses are defined
    special_tokens: ClassVar[Sequence[str]] = SPECIAL_TOKENS  # of the ids from 0
    pad_id, unk_id, bos_id, eos_id, mask_id, sep_id = range(len(SPECIAL_TOKENS))

    def __init_subclass__(cls) -> None:
        Tokenizer.kinds[cls.kind] = cls

    def __init__(self, pieces: Iterable[bytes]) -> None:
        """pieces: the bytes of the tokens that follow the special ones, in the order of their ids."""
        self._pieces = [*(token.encode() for token in SPECIAL_TOKENS), *pieces]

    def __repr__(self) -> str:
        return f"{type(self).__name__}(vocab_size={self.vocab_size})"

    @property
    def vocab_size(self) -> int:
        """Number of ids V, special tokens included: ids run from 0 to V - 1."""
        return len(self._pieces)

    # ------------------------------------------------------------------ text to ids

    @classmethod
    @abstractmethod
    def train(cls, texts: Iterable[str], vocab_size: int | None = None) -> Self:
        """Learn a vocabulary of at most vocab_size tokens from texts. The same texts give the same result.

        UserError: no text, a vocab_size that is too small, a lone surrogate.
        """

    @abstractmethod
    def _encode(self, text: str) -> list[int]:
        """Ids of a valid text; unknown characters become unk_id."""

    def encode(self, text: str, *, unknown: Unknown = "error") -> list[int]:
        """Ids of a text. A character outside the vocabulary is an error, or unk_id with unknown="unk".

        UserError: unknown characters (named with their positions), a lone surrogate.
        """
        if unknown not in ("error", "unk"):
            raise ValueError(f'unknown is "error" or "unk", not {unknown!r}')
        require_unicode(text)
        if unknown == "error" and (missing := self.unknown_characters(text)):
            named = ", ".join(f"{char!r} (U+{ord(char):04X}) at {at}" for at, char in missing[:3])
            more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
            raise UserError(
                f"unknown to this {self.kind} tokenizer: {named}{more}; leave them out, or train with a bpe "
                'tokenizer, which knows all (in Python, unknown="unk" reads them as <unk>)'
            )
        return self._encode(text)

    def prompt(self, text: str) -> list[int]:
        """Ids of a text that a model shall continue, never none. UserError as encode."""
        return self.encode(text) or [self.eos_id]

    def unknown_characters(self, text: str) -> list[tuple[int, str]]:
        """(position, character) of each character that no token can spell; always empty for BPE."""
        return []

    def unknown_bits(self, text: str) -> float:
        """Bits to spell what <unk> hides in a text, to be added to the model's own bits for that text.

        A model pays for predicting <unk>, but <unk> does not say which character stood there. Without this
        charge, a tokenizer that knows nothing looks best: its text is all <unk>, at almost no bits. The
        charge is a uniform code: log2 of the number of Unicode scalar values outside the vocabulary, for
        each unknown character. So bits per character compare across tokenizers. 0 for BPE.
        """
        require_unicode(text)
        if not (missing := self.unknown_characters(text)):
            return 0.0
        known = sum(len(piece.decode("utf-8", "ignore")) == 1 for piece in self._pieces)
        return len(missing) * math.log2(N_SCALAR - known)

    # ------------------------------------------------------------------ ids to text

    def decode(self, ids: Iterable[int], *, special: Special = "skip") -> str:
        """Text of ids; broken UTF-8 (BPE only) becomes U+FFFD. ValueError: an id out of range."""
        stream = self.stream(special=special)
        return "".join(map(stream.feed, ids)) + stream.close()

    def stream(self, *, special: Special = "skip") -> StreamDecoder:
        """A decoder for ids that arrive one at a time."""
        if special not in ("skip", "show"):
            raise ValueError(f'special is "skip" or "show", not {special!r}')
        hidden = [b""] * len(SPECIAL_TOKENS)
        return StreamDecoder(self._pieces if special == "show" else hidden + self._pieces[len(hidden) :])

    def token_text(self, token: int) -> str:
        r"""A token as a person can read it: "<eos>", "你", "\n", or "\xe4\xbd" for a part of a character."""
        text = self._pieces[_in_range(token, self.vocab_size)].decode("utf-8", "backslashreplace")
        return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)

    # ------------------------------------------------------------------ files

    @abstractmethod
    def _state(self) -> dict[str, Any]:
        """What makes this tokenizer, as JSON values; from_dict hands it to _from_state."""

    @classmethod
    @abstractmethod
    def _from_state(cls, state: dict[str, Any]) -> Self:
        """The tokenizer of a _state. Damaged state: KeyError, TypeError or ValueError."""

    def to_dict(self) -> dict[str, Any]:
        """The tokenizer as JSON values."""
        head = {"format": FORMAT, "version": VERSION, "kind": self.kind}
        return head | {"special_tokens": list(self.special_tokens)} | self._state()

    @classmethod
    def from_dict(cls, data: Any) -> Tokenizer:
        """The tokenizer of a to_dict. UserError: data that is no such thing, or another kind than cls."""
        if not isinstance(data, dict) or data.get("format") != FORMAT:
            raise UserError("this is no tokenizer of minillm: name a file that Tokenizer.save wrote")
        if data.get("version") != VERSION:
            raise UserError(f"tokenizer version {data.get('version')!r}, not {VERSION}: train it again")
        kind = data.get("kind")
        if not isinstance(kind, str) or kind not in cls.kinds or (cls is not Tokenizer and kind != cls.kind):
            expected = ", ".join(cls.kinds) if cls is Tokenizer else cls.kind
            raise UserError(f"tokenizer of kind {kind!r}, but expected {expected}: name another file")
        try:
            if data["special_tokens"] != list(cls.kinds[kind].special_tokens):
                raise ValueError("its special tokens are not ours")
            return cls.kinds[kind]._from_state(data)
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(f"damaged {kind} tokenizer ({error!r:.100}): train or copy it again") from error

    def save(self, path: str | Path) -> None:
        """Write JSON for machine and reader, one token a line, all or nothing. UserError: cannot write."""
        fields = [f"{_json(key)}: {_lines(value)}" for key, value in self.to_dict().items()]
        write_text(path, "{\n" + ",\n".join(fields) + "\n}\n")

    @classmethod
    def load(cls, path: str | Path) -> Tokenizer:
        """Read what save wrote. UserError: a missing, damaged or foreign file."""
        try:
            data = json.loads(read_text(path))
        except json.JSONDecodeError as error:
            raise UserError(f"{path} is no JSON at line {error.lineno}: train or copy it again") from error
        except (ValueError, RecursionError) as error:  # a number of 5000 digits, 100 000 brackets
            if isinstance(error, UserError):
                raise
            raise UserError(f"{path} is damaged JSON: train or copy it again") from error
        try:
            return cls.from_dict(data)
        except UserError as error:
            raise UserError(f"{path}: {error}") from error

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the tokenizer (64 hex digits). A checkpoint keeps it, to refuse another tokenizer."""
        canonical = json.dumps(self.to_dict(), ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()


class StreamDecoder:
    """Text of ids that arrive one by one. All that feed and close returned, joined, equals decode(ids)."""

    def __init__(self, pieces: Sequence[bytes]) -> None:
        self._pieces = pieces
        self._utf8 = codecs.getincrementaldecoder("utf-8")("replace")

    def feed(self, token: int) -> str:
        """The characters that are complete now: perhaps none, never a half. ValueError: id out of range."""
        return self._utf8.decode(self._pieces[_in_range(token, len(self._pieces))])

    def close(self) -> str:
        """What is left: "", or U+FFFD if the ids ended inside a character. Then ready for another text."""
        return self._utf8.decode(b"", final=True)


def require_unicode(text: str) -> None:
    """UserError, with its position, if the text holds a lone surrogate."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        code = ord(text[error.start])
        raise UserError(
            f"the text holds a lone surrogate (U+{code:04X}) at position {error.start}, which is half a "
            "character and no Unicode text: leave it out (in Python, minillm.text.clean removes it)"
        ) from None


def training_texts(texts: Iterable[str]) -> Iterator[str]:
    """The texts one by one, each checked. UserError: a lone surrogate, or no character at all."""
    if isinstance(texts, str):
        raise ValueError("texts is a list of texts, not one text: write [text]")
    empty = True
    for text in texts:
        require_unicode(text)
        empty = empty and not text
        yield text
    if empty:
        raise UserError("there is no text to train a tokenizer on: give at least one character")


def require_room(vocab_size: int | None, least: int) -> None:
    """UserError if vocab_size is below the least that this kind of tokenizer can work with."""
    if vocab_size is not None and vocab_size < least:
        raise UserError(f"a vocabulary of {vocab_size} is too small: this tokenizer needs at least {least}")


def _in_range(token: int, vocab_size: int) -> int:
    if not 0 <= token < vocab_size:  # a negative index would quietly count from the end
        raise ValueError(f"token id {token} is outside 0..{vocab_size - 1}")
    return token


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _lines(value: Any) -> str:
    return "[\n" + ",\n".join(map(_json, value)) + "\n]" if isinstance(value, list) else _json(value)
