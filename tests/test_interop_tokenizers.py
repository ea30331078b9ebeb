"""Tokenizers there and back: the same ids and the same text, for the reader, for every character and for noise."""

import json
import random
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minillm.data.corpora import load_corpus
from minillm.errors import UserError
from minillm.interop.settings import Settings
from minillm.interop.tokenizer import SCALARS, read_tokenizer, to_files
from minillm.text import (
    BPETokenizer,
    CharTokenizer,
    HuggingFaceTokenizer,
    Tokenizer,
    WordTokenizer,
    load_tokenizer,
    train_tokenizer,
)
from minillm.text.bpe import FIRST_MERGE

tokenizers = pytest.importorskip("tokenizers")
TEXT = "我爱北京天安门，爷爷带我看升旗。\nHello world, it's 2026! The cat's on the mat.\n" * 20
TRICKY = [
    "",
    " ",
    "  a",
    "\x00",
    "a\u0300é",
    "²½Ⅷ一〇𠀀",
    "\x1c\x1f\u2028 x",
    "<eos>",
    "👩‍👩‍👧",
    "a  b",
    "１２3 4",
    "_a _",
]


@pytest.fixture(scope="module")
def reader() -> list[str]:
    return load_corpus("reader").train


@pytest.fixture(scope="module", params=["char", "bpe"])
def pair(request, reader) -> tuple[Tokenizer, Tokenizer, "tokenizers.Tokenizer"]:
    """Ours, the same in our wrapping, and the library's own as it stands in the file."""
    ours = train_tokenizer(request.param, reader, {"char": None, "bpe": 1200}[request.param])
    file = to_files(ours, 64)["tokenizer.json"]
    library = tokenizers.Tokenizer.from_str(json.dumps(file))
    library.encode_special_tokens = True
    return ours, HuggingFaceTokenizer(file, {"unk": 1, "eos": 3}), library


def test_the_reader_is_cut_alike(pair, reader):
    ours, wrapped, library = pair
    for text in [*reader, *load_corpus("reader").valid]:
        ids = ours.encode(text, unknown="unk")
        assert library.encode(text).ids == ids
        assert wrapped.encode(text, unknown="unk") == ids
        assert wrapped.unknown_characters(text) == ours.unknown_characters(text)
        assert wrapped.unknown_bits(text) == ours.unknown_bits(text)
        assert wrapped.decode(ids) == ours.decode(ids)
        assert library.decode(ids, skip_special_tokens=True) == ours.decode(ids)


def check_equal(pair, text):
    ours, wrapped, library = pair
    ids = ours.encode(text, unknown="unk")
    assert library.encode(text).ids == ids
    assert wrapped.encode(text, unknown="unk") == ids
    stream = wrapped.stream()
    assert "".join(map(stream.feed, ids)) + stream.close() == library.decode(ids) == ours.decode(ids)


@pytest.mark.parametrize("text", TRICKY)
def test_odd_texts(pair, text):
    check_equal(pair, text)


def test_where_the_classes_of_characters_meet(pair):
    """All ends of all runs of letters, digits, spaces and the rest, and a sample of what lies between."""
    every = "".join(SCALARS)
    sorts = [(char.isalnum(), char.isdecimal(), char.isspace(), 0x3000 < ord(char) < 0x40000) for char in every]
    edges = [i for i in range(1, len(every)) if sorts[i] != sorts[i - 1]]
    assert len(edges) > 1000
    check_equal(pair, "".join(every[i - 1 : i + 1] for i in edges))
    drawn = random.Random(0).sample(every, 30_000)  # so that the classes meet in every order
    check_equal(pair, " ".join("".join(drawn[i : i + 3]) for i in range(0, len(drawn), 3)))


@settings(max_examples=200)
@given(text=st.text(st.one_of(st.characters(exclude_categories=["Cs"]), st.sampled_from(" \t\n_ab我爱北京09"))))
def test_noise(pair, text):
    check_equal(pair, text)


@settings(max_examples=100)
@given(data=st.data())
def test_any_ids_decode_alike(pair, data):
    """Halves of characters, too: both write U+FFFD in the same places."""
    ours, wrapped, library = pair
    ids = data.draw(st.lists(st.integers(0, ours.vocab_size - 1), max_size=12))
    assert wrapped.decode(ids) == ours.decode([i for i in ids if i not in (1, 3)], special="show") or {0, 2, 4, 5} & {
        *ids
    }
    assert library.decode(ids, skip_special_tokens=True) == ours.decode(ids)


def test_two_tokens_of_one_spelling_are_refused():
    a, b, c = (FIRST_MERGE - 256 + byte for byte in b"abc")
    twice = BPETokenizer([(a, b), (b, c), (FIRST_MERGE, c), (a, FIRST_MERGE + 1)])
    with pytest.raises(UserError, match=f"tokens {FIRST_MERGE + 2} and {FIRST_MERGE + 3} .* the same bytes"):
        to_files(twice, 64)


def test_a_word_tokenizer_is_refused():
    with pytest.raises(UserError, match="jieba"):
        to_files(WordTokenizer(["北京", "北"]), 64)


# ---------------------------------------------------------------------- theirs


def byte_level(special: list[str], **options) -> dict:
    """A file such as GPT-2's."""
    library = tokenizers.ByteLevelBPETokenizer(**options)
    library.train_from_iterator([TEXT], vocab_size=300, min_frequency=2, special_tokens=special, show_progress=False)
    return json.loads(library.to_str())


def read(folder, file, config=None, told=None, vocab_size=300) -> HuggingFaceTokenizer:
    """What read_tokenizer makes of a folder."""
    (folder / "tokenizer.json").write_text(json.dumps(file))
    if config is not None:
        (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return read_tokenizer(folder, Settings(told or {}, folder / "config.json"), vocab_size)


def test_one_special_token_only(tmp_path):
    """As the public gpt2: tokenizer_config.json names none, config.json gives two ids."""
    told = {"eos_token_id": 0, "bos_token_id": 0}
    ours = read(tmp_path, byte_level(["<|endoftext|>"]), {"model_max_length": 1024}, told, vocab_size=320)
    assert (ours.bos_id, ours.eos_id) == (0, 0)
    assert (ours.pad_id, ours.unk_id, ours.mask_id, ours.sep_id) == (-1, -1, -1, -1)
    assert ours.vocab_size == 320
    assert ours.prompt("") == [0]
    ids = ours.encode("<|endoftext|>我爱北京 Hello\x00\U0001f600")
    assert 0 not in ids
    assert ours.decode([0, *ids, 319]) == "<|endoftext|>我爱北京 Hello\x00\U0001f600"
    assert ours.decode([0], special="show") == ours.token_text(0) == "<|endoftext|>"
    assert ours.unknown_characters("我\x00") == [] and ours.unknown_bits("我\x00") == 0
    from minillm.train import never_written

    assert never_written(ours) == []  # its end must be written


def test_it_is_saved_and_found_again(tmp_path):
    config = {"eos_token": {"content": "<e>"}, "pad_token": "<p>", "chat_template": "{{ messages }}"}
    ours = read(tmp_path, byte_level(["<p>", "<e>"]), config)
    ours.save(tmp_path / "ours.json")
    again = load_tokenizer(tmp_path / "ours.json")
    assert isinstance(again, HuggingFaceTokenizer)
    assert again.fingerprint == ours.fingerprint
    assert (again.pad_id, again.eos_id, again.bos_id) == (0, 1, -1)
    assert again.encode(TEXT) == ours.encode(TEXT) and again.decode(again.encode(TEXT)) == TEXT
    assert to_files(again, 64)["tokenizer_config.json"]["chat_template"] == "{{ messages }}"
    assert to_files(again, 64)["tokenizer.json"] == ours.file
    with pytest.raises(ValueError, match="outside"):
        again.decode([300])


def test_what_comes_before_every_prompt(tmp_path):
    """Llama 3's file puts <bos> before a text: a prompt begins so, a text in the middle does not."""
    library = tokenizers.Tokenizer.from_str(json.dumps(byte_level(["<bos>"])))
    library.post_processor = tokenizers.processors.TemplateProcessing(single="<bos> $A", special_tokens=[("<bos>", 0)])
    ours = read(tmp_path, json.loads(library.to_str()), {"bos_token": "<bos>"})
    assert ours.prompt("the cat") == [0, *ours.encode("the cat")] == library.encode("the cat").ids
    assert ours.prompt("") == [0]


def test_truncation_and_padding_in_the_file_are_not_ours(tmp_path):
    library = tokenizers.Tokenizer.from_str(json.dumps(byte_level(["<p>"])))
    library.enable_truncation(5)
    library.enable_padding(length=9)
    ours = read(tmp_path, json.loads(library.to_str()), told={"eos_token_id": [0, 7]})
    assert ours.decode(ours.encode(TEXT)) == TEXT
    assert len(ours.encode("the")) < 9


def test_no_token_ends_a_text(tmp_path):
    file = byte_level([])
    with pytest.raises(UserError, match="no token ends a text"):
        read(tmp_path, file, {"eos_token": "<not there>"}, {"eos_token_id": 300, "bos_token_id": 10**12})
    assert read(tmp_path, file, told={"bos_token_id": 5}).eos_id == 5
    with pytest.raises(UserError, match="give a prompt"):
        HuggingFaceTokenizer(file, {}).prompt("")


def test_characters_that_an_incomplete_alphabet_lacks_are_named():
    library = tokenizers.Tokenizer(tokenizers.models.BPE(vocab={"a": 0, "Ġ": 1}, merges=[]))
    library.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    library.decoder = tokenizers.decoders.ByteLevel()
    ours = HuggingFaceTokenizer(json.loads(library.to_str()), {})
    assert ours.encode("a a") == [0, 1, 0]
    with pytest.raises(UserError, match=r"'b'.*at 1"):
        ours.encode("ab")
    with pytest.raises(UserError, match="surrogate"):
        ours.encode("a\ud800")


BROKEN = {
    "no model": lambda file: file.pop("model"),
    "library says": lambda file: file["model"].update(type="Magic"),
    "its decoder is None": lambda file: file.update(decoder=None),
    "its decoder is WordPiece": lambda file: file.update(
        decoder={"type": "WordPiece", "prefix": "##", "cleanup": True}
    ),
    "ids go up to": lambda file: file["added_tokens"].append(file["added_tokens"][0] | {"id": 900, "content": "<x>"}),
}


@pytest.mark.parametrize("says", BROKEN)
def test_files_that_cannot_be_used(says, tmp_path):
    file = byte_level(["<|endoftext|>"])
    BROKEN[says](file)
    with pytest.raises(UserError, match=says) as error:
        read(tmp_path, file)
    assert "tokenizer.json" in str(error.value)


@pytest.mark.parametrize(
    "change",
    [
        {"vocab_size": 10**12},
        {"vocab_size": 3},
        {"ids": {"eos": 999}},
        {"ids": {"x": 0}},
        {"ids": []},
        {"config": 3},
        {"tokenizer": {}},
    ],
)
def test_a_damaged_file_of_ours(change, tmp_path):
    path = tmp_path / "tokenizer.json"
    HuggingFaceTokenizer(byte_level(["<e>"]), {"eos": 0}).save(path)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(UserError, match="damaged huggingface tokenizer"):
        load_tokenizer(path)


def test_without_the_library(monkeypatch):
    file = byte_level(["<e>"])
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(UserError, match="pip install tokenizers"):
        HuggingFaceTokenizer(file, {})
    assert to_files(CharTokenizer("北京"), 64)  # writing does not need it


def test_it_is_not_trained():
    with pytest.raises(UserError, match="minillm import"):
        train_tokenizer("huggingface", ["text"])
    with pytest.raises(UserError, match=r"bpe, char, word$"):
        train_tokenizer("other", ["text"])
