"""The three tokenizers behind their one interface, and BPE against a naive loop and another library."""

import csv
import hashlib
import json
import math
import os
import subprocess
import sys
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minillm.errors import UserError
from minillm.text import (
    SPECIAL_TOKENS,
    BPETokenizer,
    CharTokenizer,
    Tokenizer,
    WordTokenizer,
    load_tokenizer,
    train_tokenizer,
)
from minillm.text.bpe import FIRST_MERGE, N_SPECIAL, learn_merges, split
from minillm.text.tokenizer import N_SCALAR

KINDS = ["char", "word", "bpe"]
TEXTS = [
    "我爱北京天安门，爷爷带我看升旗。",
    "我爱北京，北京的春天很美。\n北京的秋天也很美！",
    "Hello, 北京! Hello 2024, hello <eos> world.",
]
ANY_TEXT = st.text(max_size=40) | st.text("我爱北京天安门，。a b12\n\0<eos>", max_size=40)


@pytest.fixture(scope="module", params=KINDS)
def tokenizer(request) -> Tokenizer:
    if request.param == "word":
        pytest.importorskip("jieba")
    return train_tokenizer(request.param, TEXTS, {"char": None, "word": None, "bpe": 300}[request.param])


BPE = BPETokenizer.train(TEXTS, 320)


def real_lines(limit: int) -> list[str]:
    """Lines of the public corpora beside the checkout; the test skips where they are not."""
    mirror = Path(__file__).resolve().parent.parent.parent / "shared" / "data" / "mirror"
    if not mirror.is_dir():
        pytest.skip(f"no real corpora at {mirror}")
    with open(mirror / "waimai_10k.csv", encoding="utf-8") as file:
        reviews = [row[1] for row in csv.reader(file)]
    with open(mirror / "cmn.txt", encoding="utf-8") as file:
        sentences = [line.split("\t")[1] for line in file]
    return reviews[1 : limit // 2 + 1] + sentences[-limit // 2 :]


# ---------------------------------------------------------------------- the interface


def test_special_tokens_have_the_first_ids(tokenizer):
    ids = [getattr(tokenizer, f"{token[1:-1]}_id") for token in SPECIAL_TOKENS]
    assert ids == [0, 1, 2, 3, 4, 5]
    assert [tokenizer.token_text(i) for i in ids] == list(SPECIAL_TOKENS)


def test_text_cannot_inject_special_tokens(tokenizer):
    for token in SPECIAL_TOKENS:
        for text in (token, f"我{token}北京", token * 3):
            assert all(i >= N_SPECIAL or i == tokenizer.unk_id for i in tokenizer.encode(text, unknown="unk"))
    assert tokenizer.decode(tokenizer.encode("<eos>")) == "<eos>"


def test_special_tokens_are_skipped_or_shown(tokenizer):
    ids = [tokenizer.bos_id, *tokenizer.encode("北京"), tokenizer.eos_id]
    assert tokenizer.decode(ids) == "北京"
    assert tokenizer.decode(ids, special="show") == "<bos>北京<eos>"


def test_known_text_survives(tokenizer):
    for text in [*TEXTS, "", "门安天\n\n  京北 Hollow 4420"]:
        ids = tokenizer.encode(text)
        assert tokenizer.decode(ids) == text
        assert all(N_SPECIAL <= i < tokenizer.vocab_size for i in ids)


@given(ANY_TEXT)
def test_bpe_any_text_survives(text):
    assert BPE.decode(BPE.encode(text)) == text
    assert BPE.unknown_characters(text) == [] and BPE.unknown_bits(text) == 0


@given(ANY_TEXT)
def test_char_and_word_lose_only_what_is_unknown(text):
    pytest.importorskip("jieba")
    for kind in (CharTokenizer, WordTokenizer):
        ours = kind.train(["我爱北京天安门，。", "我爱北京，天安门\0"])
        unknown = {char for _, char in ours.unknown_characters(text)}
        assert unknown == set(text) - set("我爱北京天安门，。\0")
        ids = ours.encode(text, unknown="unk")
        assert ids.count(ours.unk_id) == sum(char in unknown for char in text)
        assert ours.decode(ids) == "".join(char for char in text if char not in unknown)


def test_unknown_characters_are_named(tokenizer):
    if tokenizer.kind == "bpe":
        assert tokenizer.decode(tokenizer.encode("龘\n驫麤鱻")) == "龘\n驫麤鱻"
        return
    with pytest.raises(UserError) as caught:
        tokenizer.encode("北龘京驫麤\t")
    message = str(caught.value)
    assert "'龘' (U+9F98) at 1, '驫' (U+9A6B) at 3, '麤' (U+9EA4) at 4 and 1 more" in message
    assert "\n" not in message and 'unknown="unk"' in message
    assert tokenizer.encode("北龘京", unknown="unk").count(tokenizer.unk_id) == 1


def test_unknown_bits_charge_a_uniform_code(tokenizer):
    assert tokenizer.unknown_bits("北京") == 0
    known = len(set("".join(TEXTS)))
    expected = 0 if tokenizer.kind == "bpe" else 3 * math.log2(N_SCALAR - known)
    assert tokenizer.unknown_bits("北龘京龘驫") == pytest.approx(expected, rel=1e-15)
    assert sum(not 0xD800 <= code <= 0xDFFF for code in range(sys.maxunicode + 1)) == N_SCALAR


def test_lone_surrogates_are_refused_and_nul_is_a_character(tokenizer):
    kind = type(tokenizer)
    for use in (tokenizer.encode, tokenizer.unknown_bits, lambda text: kind.train([text])):
        with pytest.raises(UserError, match=r"lone surrogate \(U\+D83D\) at position 2.*clean"):
            use("北京\ud83d美")
    ours = kind.train(["a\0b", "\0"])
    assert ours.decode(ours.encode("\0a\0\0b")) == "\0a\0\0b"


@pytest.mark.parametrize("token", [-1, 10**6])
def test_ids_out_of_range(tokenizer, token):
    for use in (tokenizer.token_text, lambda i: tokenizer.decode([i]), tokenizer.stream().feed):
        with pytest.raises(ValueError, match=r"is outside 0\.\."):
            use(token)


def test_wrong_arguments(tokenizer):
    kind = type(tokenizer)
    for call in (
        lambda: tokenizer.encode("", unknown="skip"),
        lambda: tokenizer.decode([], special="hide"),
        lambda: kind.train("one text"),
    ):
        with pytest.raises(ValueError):
            call()
    for call in (lambda: kind.train([]), lambda: kind.train(["", ""]), lambda: kind.train(TEXTS, 6)):
        with pytest.raises(UserError):
            call()
    with pytest.raises(UserError, match="char"):
        train_tokenizer("letters", TEXTS)


def test_token_text_is_for_people():
    assert [BPE.token_text(N_SPECIAL + byte) for byte in b"a\n\xe4"] == ["a", r"\n", r"\xe4"]
    assert "北京" in [BPE.token_text(i) for i in range(BPE.vocab_size)]


# ---------------------------------------------------------------------- streaming


@given(st.lists(st.integers(0, BPE.vocab_size - 1), max_size=30), st.sampled_from(["skip", "show"]))
def test_stream_equals_decode_equals_plain_utf8_for_any_ids(ids, special):
    stream = BPE.stream(special=special)
    text = "".join(map(stream.feed, ids)) + stream.close()
    assert text == BPE.decode(ids, special=special)
    shown = [i for i in ids if i >= N_SPECIAL or special == "show"]
    assert text == b"".join(BPE._pieces[i] for i in shown).decode("utf-8", "replace")


@given(ANY_TEXT)
def test_stream_never_shows_half_a_character(text):
    stream = BPE.stream()
    shown = ""
    for i in BPE.encode(text):
        shown += stream.feed(i)
        assert text.startswith(shown)  # so no U+FFFD unless the text has one there
    assert shown == text and stream.close() == ""


def test_stream_ends_inside_a_character():
    first, second, third = (N_SPECIAL + byte for byte in "北".encode())
    stream = BPE.stream()
    assert stream.feed(first) + stream.feed(second) == ""
    assert stream.close() == "\ufffd"
    assert [stream.feed(i) for i in (first, second, third)] == ["", "", "北"]


# ---------------------------------------------------------------------- vocabularies


def test_char_keeps_the_most_frequent_then_the_smallest():
    assert CharTokenizer.train(["bbaaccd", "\n"]).tokens == ("a", "b", "c", "\n", "d")
    assert CharTokenizer.train(["ccbbaad"], N_SPECIAL + 2).tokens == ("a", "b")


def test_word_keeps_frequent_words_and_all_characters():
    pytest.importorskip("jieba")
    ours = WordTokenizer.train(["北京北京上海"])
    assert ours.tokens == ("京", "北", "北京", "上", "海")  # 上海 came only once
    assert [ours.token_text(i) for i in ours.encode("北京上海京北")] == ["北京", "上", "海", "京", "北"]
    assert WordTokenizer.train(["北京北京上海"], N_SPECIAL + 3).tokens == ("京", "北", "北京")


def test_jieba_is_loaded_late_and_says_nothing(tmp_path):
    pytest.importorskip("jieba")
    code = (
        "import sys, minillm.text as t\n"
        "t.train_tokenizer('char', ['北京']), t.train_tokenizer('bpe', ['北京']), t.clean('北京')\n"
        "assert not {'jieba', 'numpy', 'torch'} & set(sys.modules)\n"
        "t.train_tokenizer('word', ['北京'])\n"
        "assert 'jieba' in sys.modules\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "default", "-c", code],
        capture_output=True,
        cwd=Path(__file__).parents[1],
        env=os.environ | {"PYTHONPYCACHEPREFIX": str(tmp_path)},  # compiled afresh, which is when Python warns
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


# ---------------------------------------------------------------------- files


def test_save_and_load(tokenizer, tmp_path):
    path = tmp_path / "tokenizer.json"
    tokenizer.save(path)
    for again in (
        load_tokenizer(path),
        type(tokenizer).load(str(path)),
        Tokenizer.from_dict(tokenizer.to_dict()),
    ):
        assert type(again) is type(tokenizer) and again.fingerprint == tokenizer.fingerprint
        assert again.encode(TEXTS[0]) == tokenizer.encode(TEXTS[0])
    text = path.read_text(encoding="utf-8")
    assert '"北' in text and "\\u" not in text
    state = tokenizer.to_dict()
    assert len(text.splitlines()) > len(state.get("tokens", state.get("merges")))
    head = {"format": "minillm-tokenizer", "version": 1, "kind": tokenizer.kind}
    assert head.items() <= json.loads(text).items()
    assert list(tmp_path.iterdir()) == [path]


@given(st.text(min_size=1, max_size=20))
def test_any_vocabulary_survives_json(text):
    for kind in (CharTokenizer, BPETokenizer):
        ours = kind.train([text * 2])
        again = Tokenizer.from_dict(json.loads(json.dumps(ours.to_dict())))
        assert again.encode(text) == ours.encode(text) and again.to_dict() == ours.to_dict()


def test_fingerprint_is_the_hash_of_the_canonical_json():
    canonical = (
        '{"format":"minillm-tokenizer","kind":"char","special_tokens":'
        '["<pad>","<unk>","<bos>","<eos>","<mask>","<sep>"],"tokens":["北","京"],"version":1}'
    )
    assert CharTokenizer("北京").fingerprint == hashlib.sha256(canonical.encode()).hexdigest()


def test_fingerprint_tells_tokenizers_apart(tokenizer):
    others = [kind.train(["北京京京"]).fingerprint for kind in (CharTokenizer, BPETokenizer)]
    others += [CharTokenizer("北京").fingerprint, CharTokenizer("京北").fingerprint]
    assert len({tokenizer.fingerprint, *others}) == 4  # training on 北京京京 gives the tokens 京 and 北


def test_training_is_deterministic(tokenizer):
    again = type(tokenizer).train(iter(TEXTS), tokenizer.vocab_size)
    assert again.to_dict() == tokenizer.to_dict()


DAMAGE = {
    "not a dict": lambda d: [d],
    "foreign": lambda d: {"model": {"type": "BPE"}},
    "format": lambda d: d | {"format": "x"},
    "version": lambda d: d | {"version": 2},
    "kind": lambda d: d | {"kind": "letters"},
    "kind is a list": lambda d: d | {"kind": []},
    "no tokens": lambda d: {key: d[key] for key in d if key not in ("tokens", "merges")},
    "special tokens": lambda d: d | {"special_tokens": ["<pad>"]},
    "token twice": lambda d: d | {"tokens": ["a", "a"], "merges": [[6, 7, "\0\1"], [6, 7, "\0\1"]]},
    "token of a wrong type": lambda d: d | {"tokens": ["a", 1], "merges": [[6.0, "7", "x"]]},
    "empty token": lambda d: d | {"tokens": ["a", ""], "merges": [[]]},
    "surrogate": lambda d: d | {"tokens": ["\ud800"], "merges": [[6, 7, "\ud800"]]},
    "a string for a list": lambda d: d | {"tokens": "abc", "merges": "abc"},
    "null": lambda d: d | {"tokens": None, "merges": None},
    "a merge of tokens that come later": lambda d: d | {"tokens": None, "merges": [[6, 262, "x"]]},
    "a merge of a special token": lambda d: d | {"tokens": None, "merges": [[0, 6 + 97, "a"]]},
    "a merge beside a wrong text": lambda d: d | {"tokens": None, "merges": [[6 + 97, 6 + 97, "ab"]]},
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_dicts_are_refused(tokenizer, damage):
    with pytest.raises(UserError) as caught:
        Tokenizer.from_dict(DAMAGE[damage](tokenizer.to_dict()))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "null", "{}", "[" * 100_000, "9" * 5000, "北京"])
def test_damaged_files_are_refused(tmp_path, text):
    path = tmp_path / "tokenizer.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UserError) as caught:
        load_tokenizer(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_a_file_cut_anywhere_is_refused(tmp_path):
    path = tmp_path / "tokenizer.json"
    CharTokenizer.train(TEXTS).save(path)
    whole = path.read_bytes()
    for length in range(0, len(whole.rstrip()), 7):
        path.write_bytes(whole[:length])
        with pytest.raises(UserError):
            load_tokenizer(path)


def test_a_class_refuses_another_kind():
    with pytest.raises(UserError, match="kind 'char', but expected bpe"):
        BPETokenizer.from_dict(CharTokenizer("ab").to_dict())


# ---------------------------------------------------------------------- BPE


def naive_merges(chunks: dict[bytes, int], n_merges: int) -> list[tuple[int, int]]:
    """Byte-pair encoding as its definition says: count all, take the best, replace it everywhere."""
    words = [([N_SPECIAL + byte for byte in chunk], count) for chunk, count in chunks.items()]
    merges = []
    for new in range(FIRST_MERGE, FIRST_MERGE + n_merges):
        counts = Counter()
        for ids, count in words:
            for pair in pairwise(ids):
                counts[pair] += count
        best = min(counts, key=lambda pair: (-counts[pair], pair), default=None)
        if best is None or counts[best] < 2:
            break
        merges.append(best)
        words = [(replace(ids, best, new), count) for ids, count in words]
    return merges


def replace(ids: list[int], pair: tuple[int, int], new: int) -> list[int]:
    out = []
    for i in ids:
        if out and (out[-1], i) == pair:
            out[-1] = new
        else:
            out.append(i)
    return out


def naive_encode(chunk: bytes, merges: list[tuple[int, int]]) -> list[int]:
    ids = [N_SPECIAL + byte for byte in chunk]
    for new, pair in enumerate(merges, start=FIRST_MERGE):
        ids = replace(ids, pair, new)
    return ids


CHUNKS = st.dictionaries(
    st.text("ab", min_size=1, max_size=12).map(str.encode) | st.text("abc天安", max_size=8).map(str.encode),
    st.integers(1, 3),
    max_size=6,
)


@given(CHUNKS)
def test_bpe_learns_what_the_naive_loop_learns(chunks):
    assert learn_merges(chunks, 30) == naive_merges(chunks, 30)


@given(CHUNKS, st.text("abc天安", max_size=30))
def test_bpe_encodes_what_the_naive_loop_encodes(chunks, text):
    ours = BPETokenizer(learn_merges(chunks, 30))
    assert ours._merge(text.encode()) == naive_encode(text.encode(), ours.merges)


def test_bpe_on_real_text_is_the_naive_loop():
    lines = real_lines(60)
    chunks = {chunk.encode(): n for chunk, n in Counter(chunk for line in lines for chunk in split(line)).items()}
    ours = BPETokenizer.train(lines, FIRST_MERGE + 120)
    assert ours.merges == naive_merges(chunks, 120) and len(ours.merges) == 120
    assert all(ours._merge(chunk) == naive_encode(chunk, ours.merges) for chunk in chunks)


def test_bpe_ties_and_overlaps_by_hand():
    a, b = N_SPECIAL + ord("a"), N_SPECIAL + ord("b")
    assert learn_merges({b"ba": 2, b"ab": 2}, 9) == [(a, b), (b, a)]  # the smaller ids first
    assert learn_merges({b"aaa": 1}, 9) == [(a, a)]  # two overlapping places; then (aa, a) only once
    assert learn_merges({b"ab": 1, b"ba": 1}, 9) == []
    assert BPETokenizer([(a, a)])._merge(b"aaa") == [FIRST_MERGE, a]


def test_bpe_vocab_size():
    assert BPETokenizer.train(TEXTS, FIRST_MERGE).vocab_size == FIRST_MERGE
    assert BPETokenizer.train(TEXTS, FIRST_MERGE + 7).vocab_size == FIRST_MERGE + 7
    assert BPETokenizer.train(["ab"]).vocab_size == FIRST_MERGE  # no pair occurs twice


@given(ANY_TEXT)
def test_bpe_chunks_are_a_cut_of_the_text(text):
    assert "".join(split(text)) == text
    assert all(split(text))


def test_bpe_chunks_of_mixed_text():
    text = "我爱北京，天安门。Hello  wörld, 24小时 24 x_1\n\n 你\n好 "
    assert split(text) == [
        "我爱北京", "，", "天安门", "。", "Hello", " ", " wörld", ",", " 24", "小时", " 24", " x", "_", "1",
        "\n\n ", "你", "\n", "好", " ",
    ]  # fmt: skip


def test_bpe_agrees_with_the_tokenizers_library():
    tokenizers = pytest.importorskip("tokenizers")
    lines = real_lines(400)
    ours = BPETokenizer.train(lines, 1000)
    # The library spells each byte with a letter: GPT-2's alphabet maps printable bytes to themselves.
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    letters = {byte: chr(byte) for byte in printable}
    letters |= {byte: chr(256 + n) for n, byte in enumerate(b for b in range(256) if b not in letters)}
    names = ["".join(letters[byte] for byte in piece) for piece in ours._pieces]
    vocab = {name: i for i, name in enumerate(names) if i >= N_SPECIAL}
    merges = [(names[left], names[right]) for left, right in ours.merges]
    theirs = tokenizers.Tokenizer(tokenizers.models.BPE(vocab=vocab, merges=merges))
    theirs.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    for line in lines:
        assert ours.encode(line) == [i for chunk in split(line) for i in theirs.encode(chunk).ids]


def test_encoding_twice_from_the_cache_is_the_same_and_safe():
    ours = BPETokenizer.train(TEXTS, 300)
    first = ours.encode(TEXTS[0])
    expected = list(first)
    first.clear()
    assert ours.encode(TEXTS[0]) == expected
