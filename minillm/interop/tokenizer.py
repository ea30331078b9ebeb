r"""Our tokenizers as tokenizer.json of the `tokenizers` library, and theirs as ours.

A character tokenizer is a WordLevel model on text that is cut before every character. A BPE tokenizer is a BPE model
on the same chunks: Python's classes of characters are written out as ranges, because \w and \d mean others in the
library's regular expressions (and change with the version of Unicode). Ids are the same for every text. A special
token's name in a text is ordinary text, as with us (`split_special_tokens`); decode gives the same text. What cannot
be written: a word tokenizer, whose cuts jieba finds; a BPE tokenizer two of whose tokens spell the same bytes, for
there a token is known by its spelling (training on the course's corpora made none).

Writing needs no library: it is JSON.
"""

import re
from pathlib import Path
from typing import Any

from minillm.errors import UserError
from minillm.interop.settings import Settings, read_json
from minillm.text import SPECIAL_TOKENS, BPETokenizer, HuggingFaceTokenizer, Tokenizer
from minillm.text.bpe import HAN
from minillm.text.huggingface import CHARACTERS, ROLES

FILE, CONFIG, MAP = "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"
LONGEST = 1 << 28  # bytes; the largest public ones have some 35 million
SCALARS = ("".join(map(chr, range(0xD800))), "".join(map(chr, range(0xE000, 0x110000))))


def to_files(tokenizer: Tokenizer, context: int) -> dict[str, dict[str, Any]]:
    """The files' names and what they hold. UserError: a tokenizer that they cannot hold."""
    if isinstance(tokenizer, HuggingFaceTokenizer):
        names = {f"{role}_token": tokenizer.token_text(i) for role, i in tokenizer.own_ids.items()}
        return {
            FILE: tokenizer.file,
            CONFIG: {"tokenizer_class": "PreTrainedTokenizerFast", **names} | tokenizer.config,
        }
    if isinstance(tokenizer, BPETokenizer):
        model, cut, decoder = bpe_parts(tokenizer)
    elif tokenizer.kind == "char":
        vocab = {tokenizer.decode([i], special="show"): i for i in range(tokenizer.vocab_size)}
        model = {"type": "WordLevel", "vocab": vocab, "unk_token": SPECIAL_TOKENS[tokenizer.unk_id]}
        cut, decoder = split(r"[\s\S]"), {"type": "Fuse"}
    else:
        raise UserError(
            f"a {tokenizer.kind} tokenizer cuts text with jieba, which a {FILE} cannot say: train with --tokenizer "
            "char or bpe"
        )
    added: dict[str, Any] = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False) | {"special": True}
    file = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [{"id": i, "content": token, **added} for i, token in enumerate(SPECIAL_TOKENS)],
        "normalizer": None,
        "pre_tokenizer": cut,
        "post_processor": None,
        "decoder": decoder,
        "model": model,
    }
    config: dict[str, Any] = {f"{role}_token": token for role, token in zip(ROLES, SPECIAL_TOKENS, strict=True)}
    config |= {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": context,
        "model_input_names": ["input_ids", "attention_mask"],  # no token types: GPT-2 would add their vectors
        "clean_up_tokenization_spaces": False,
        "split_special_tokens": True,
    }
    return {FILE: file, CONFIG: config}


def bpe_parts(tokenizer: BPETokenizer) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Model, pre-tokenizer and decoder of a byte-level BPE tokenizer."""
    names = list(SPECIAL_TOKENS) + CHARACTERS  # the 256 bytes follow the special tokens
    merges = []
    for left, right in tokenizer.merges:
        merges.append([names[left], names[right]])
        names.append(names[left] + names[right])
    vocab = {name: i for i, name in enumerate(names)}
    if len(vocab) < len(names):
        twice = next(i for i, name in enumerate(names) if vocab[name] != i)
        raise UserError(
            f"tokens {twice} and {vocab[names[twice]]} of this tokenizer spell the same bytes, which a {FILE} cannot "
            "say: train it again with another --vocab-size"
        )
    model: dict[str, Any] = {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None}
    model |= {"end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "ignore_merges": False}
    bytewise = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    cut = {"type": "Sequence", "pretokenizers": [split(chunk_pattern()), bytewise]}
    return {**model, "vocab": vocab, "merges": merges}, cut, bytewise


def split(pattern: str) -> dict[str, Any]:
    """A pre-tokenizer that makes each match a piece."""
    return {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}


def chunk_pattern() -> str:
    """minillm.text.bpe.CHUNK with every class of characters written out."""
    han, letter, digit = written_out(rf"[{HAN}]"), written_out(rf"[^\W\d_{HAN}]"), written_out(r"\d")
    space, word, other = written_out(r"\s"), written_out(rf"[^\W_{HAN}]"), written_out(r"[^\w\s]|_")
    return f"{han}+| ?{letter}+| ?{digit}+|{space}+?(?= {word})|{space}+|{other}+"


def written_out(characters: str) -> str:
    r"""A class of the characters that a pattern matches here and now, as ranges: \d -> [\x{30}-\x{39}...]."""
    runs = [run[0] for part in SCALARS for run in re.finditer(f"(?:{characters})+", part)]
    return "[" + "".join(rf"\x{{{ord(run[0]):X}}}-\x{{{ord(run[-1]):X}}}" for run in runs) + "]"


def read_tokenizer(folder: Path, settings: Settings, vocab_size: int) -> HuggingFaceTokenizer:
    """The tokenizer of a transformers folder. UserError: missing, damaged, of a kind that is not read, too large."""
    path = folder / FILE
    if not path.is_file():
        raise UserError(
            f"{path} is missing: in transformers, AutoTokenizer.from_pretrained(...).save_pretrained(...) writes it"
        )
    file = read_json(path, LONGEST)
    config: dict[str, Any] = {}
    for name in (MAP, CONFIG):
        if (folder / name).is_file():
            config |= read_json(folder / name, LONGEST)
    try:
        plain = HuggingFaceTokenizer(file, {}, vocab_size, config)
        return HuggingFaceTokenizer(file, special_ids(plain, config, settings), vocab_size, config)
    except UserError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path} is no tokenizer that minillm can use: {' '.join(str(error).split()):.160}") from None


def special_ids(tokenizer: HuggingFaceTokenizer, config: dict[str, Any], settings: Settings) -> dict[str, int]:
    """Ids of the special tokens that there are: by their names in tokenizer_config.json, else as config.json says.

    ValueError: there is none that could end a text.
    """
    ids = {}
    for role in ROLES:
        token = config.get(f"{role}_token")
        named = tokenizer.id_of(token.get("content") if isinstance(token, dict) else token)
        listed = settings.values.get(f"{role}_token_id")
        told = listed[0] if isinstance(listed, list) and listed else listed
        if named is not None:
            ids[role] = named
        elif type(told) is int and tokenizer.has(told):
            ids[role] = told
    if "eos" not in ids and "bos" in ids:
        ids["eos"] = ids["bos"]  # one token between texts, as in GPT-2
    if "eos" not in ids:
        raise ValueError("no token ends a text: tokenizer_config.json lacks eos_token")
    return ids
