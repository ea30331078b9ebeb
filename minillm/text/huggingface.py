"""A tokenizer that others trained, as the tokenizer.json of the `tokenizers` library, behind our interface.

Read are the files whose tokens spell the text byte by byte (byte-level BPE: GPT-2, Llama 3, Qwen) or piece by
piece (what minillm.interop writes for a character tokenizer). The library cuts and merges; the way back from ids
to text is ours, so that a stream of ids never shows half a character.

Three things are as in all our tokenizers, and not as in transformers: encode adds nothing before or after a text
(`prompt` does, if the file says so), text never produces a special token ("<|endoftext|>" is thirteen ordinary
characters), and decode does not tidy spaces. What the file's own normaliser changes (Qwen: NFC) stays changed:
then decode(encode(x)) is the normalised x. A special token that the file does not have has the id -1.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any, ClassVar, Self

from minillm.errors import UserError
from minillm.text.tokenizer import Special, StreamDecoder, Tokenizer

ROLES = ("pad", "unk", "bos", "eos", "mask", "sep")
ABSENT = -1
LARGEST = 1 << 24  # ids; the largest public vocabularies have a quarter of a million


class HuggingFaceTokenizer(Tokenizer):
    """The tokenizer of a tokenizer.json, with the special tokens of a tokenizer_config.json."""

    kind = "huggingface"
    special_tokens: ClassVar[Sequence[str]] = ()  # at the ids that the file gives them

    def __init__(
        self, file: dict[str, Any], ids: dict[str, int], vocab_size: int = 0, config: dict[str, Any] | None = None
    ) -> None:
        """file: what tokenizer.json holds; ids: of the roles "eos", "pad", ... that it has; vocab_size: the model's,
        which may be padded beyond the last token; config: tokenizer_config.json, kept for the way back.

        ValueError: a file that the library cannot read, whose tokens do not spell text, or ids that do not fit.
        """
        self.file, self.config = file, config or {}
        self._library = read_library(file)
        vocab = self._library.get_vocab(with_added_tokens=True)
        least = max(vocab.values(), default=-1) + 1
        if not 0 < least <= (vocab_size or least) <= LARGEST:
            raise ValueError(f"its ids go up to {least - 1}, the model's vocabulary has {vocab_size}")
        self._pieces = [b""] * (vocab_size or least)
        spell = piece_speller(file.get("decoder"))
        for token, i in vocab.items():
            self._pieces[i] = spell(token)
        unfit = [role for role, i in ids.items() if role not in ROLES or type(i) is not int or not 0 <= i < least]
        if unfit:
            raise ValueError(f"no token has the id of {', '.join(unfit)}")
        self.own_ids = ids
        for role in ROLES:
            setattr(self, f"{role}_id", ids.get(role, ABSENT))
        added = self._library.get_added_tokens_decoder()
        self._hidden = {*ids.values(), *(i for i, token in added.items() if token.special)}
        # Byte-level BPE drops, without a word, the bytes that it has no token for.
        spelt = {piece for piece in self._pieces if len(piece) == 1}
        self._unspelt = {byte for byte in range(256) if bytes([byte]) not in spelt} if spell is byte_piece else set()

    def id_of(self, token: Any) -> int | None:
        """The id of a token as the file writes it, if it has one."""
        found: int | None = self._library.token_to_id(token) if isinstance(token, str) else None
        return found

    def has(self, i: int) -> bool:
        """Whether there is a token of that id; those that only fill up a model's vocabulary are none."""
        return 0 <= i < self.vocab_size and self._library.id_to_token(i) is not None

    @classmethod
    def train(cls, texts: Iterable[str], vocab_size: int | None = None) -> Self:
        """UserError: there is nothing to train."""
        raise UserError("a huggingface tokenizer comes with a model (minillm import); train a char, word or bpe one")

    def _encode(self, text: str) -> list[int]:
        ids: list[int] = self._library.encode(text, add_special_tokens=False).ids
        return ids

    def prompt(self, text: str) -> list[int]:
        """Ids of a text that a model shall continue, after what the file puts before every text (Llama: <bos>)."""
        own = [*self._prefix, *self.encode(text)] or [i for i in (self.eos_id, self.bos_id) if i != ABSENT][:1]
        if not own:
            raise UserError("this tokenizer has no token that begins a text: give a prompt")
        return own

    @cached_property
    def _prefix(self) -> list[int]:
        """What the file's post-processor puts before a text."""
        whole, plain = (self._library.encode("a", add_special_tokens=add).ids for add in (True, False))
        starts = [i for i in range(len(whole)) if whole[i : i + len(plain)] == plain]
        return whole[: starts[0]] if plain and starts else []

    def unknown_characters(self, text: str) -> list[tuple[int, str]]:
        """(position, character) of each that the vocabulary has no token for."""
        if self._unspelt:
            return [(i, char) for i, char in enumerate(text) if not self._unspelt.isdisjoint(char.encode())]
        if self.unk_id == ABSENT or self.file["model"].get("unk_token") is None:
            return []
        found = self._library.encode(text, add_special_tokens=False)
        spans = [span for i, span in zip(found.ids, found.offsets, strict=True) if i == self.unk_id]
        return [(i, text[i]) for start, end in spans for i in range(start, end)]

    def stream(self, *, special: Special = "skip") -> StreamDecoder:
        """A decoder for ids that arrive one at a time."""
        if special not in ("skip", "show"):
            raise ValueError(f'special is "skip" or "show", not {special!r}')
        return StreamDecoder(self._pieces if special == "show" else self._shown)

    @cached_property
    def _shown(self) -> list[bytes]:
        return [b"" if i in self._hidden else piece for i, piece in enumerate(self._pieces)]

    def _state(self) -> dict[str, Any]:
        return {"vocab_size": self.vocab_size, "ids": self.own_ids, "config": self.config, "tokenizer": self.file}

    @classmethod
    def _from_state(cls, state: dict[str, Any]) -> Self:
        file, ids, vocab_size, config = (state[name] for name in ("tokenizer", "ids", "vocab_size", "config"))
        if not all(isinstance(value, dict) for value in (file, ids, config)) or type(vocab_size) is not int:
            raise ValueError("a part is of another type")
        return cls(file, ids, vocab_size, config)


def read_library(file: dict[str, Any]) -> Any:
    """The library's tokenizer. UserError: not installed. ValueError: it cannot read the file."""
    try:
        from tokenizers import Tokenizer as Library
    except ImportError:
        raise UserError("a tokenizer of Hugging Face's kind needs their library: pip install tokenizers") from None
    if not isinstance(file.get("model"), dict):
        raise ValueError("there is no model in it")
    try:
        library = Library.from_str(json.dumps(file))
    except Exception as error:  # the library raises nothing narrower
        raise ValueError(f"the tokenizers library says: {error}") from error
    library.no_truncation()
    library.no_padding()
    library.encode_special_tokens = True  # as ordinary text
    return library


def piece_speller(decoder: Any) -> Any:
    """The function from a token to its bytes. ValueError: the file's decoder does more than to join such pieces."""
    kind = decoder.get("type") if isinstance(decoder, dict) else None
    if kind == "Sequence" and len(decoder.get("decoders", ())) == 1:
        return piece_speller(decoder["decoders"][0])
    if kind == "ByteLevel":
        return byte_piece
    if kind == "Fuse":
        return str.encode
    raise ValueError(f"its decoder is {kind}; minillm reads byte-level tokenizers (GPT-2, Llama 3, Qwen)")


def byte_piece(token: str) -> bytes:
    """The bytes that GPT-2's printable characters stand for; a token with any other character is literal text."""
    try:
        return bytes(BYTES[char] for char in token)
    except KeyError:
        return token.encode()


def byte_alphabet() -> list[str]:
    """A printable character for each byte: itself where it is printable in Latin-1, else one from U+0100 on.

    As in GPT-2's encoder.py (https://github.com/openai/gpt-2), whose vocabularies are written in these characters.
    """
    printable = {*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)}
    others = iter(range(256, 512))
    return [chr(byte if byte in printable else next(others)) for byte in range(256)]


CHARACTERS = byte_alphabet()
BYTES = {char: byte for byte, char in enumerate(CHARACTERS)}
