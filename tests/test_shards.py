"""Token ids on disk: the same row as in memory, in shards of any size, with constant memory."""

import json
import tracemalloc

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from minillm.data.batches import all_windows, random_batch
from minillm.data.corpora import load_corpus, token_stream
from minillm.data.own import stream_texts
from minillm.data.shards import INDEX, Shards, write_shards
from minillm.errors import UserError
from minillm.text import train_tokenizer

TEXTS = ["北京", "", "我爱北京天安门", "北☃", "天" * 9]
TOKENIZER = train_tokenizer("char", ["我爱北京天安门"])
ROW = token_stream(TEXTS, TOKENIZER)


class Wide:
    """A tokenizer with more ids than 16 bits hold."""

    vocab_size, eos_id, fingerprint = 70_000, 3, "wide"

    def encode(self, text, unknown="error"):
        return [69_999] * len(text)


@pytest.mark.parametrize("size", [1, 2, 5, len(ROW) - 1, len(ROW), len(ROW) + 1])
def test_shards_are_the_row_of_token_stream(tmp_path, size):
    folder = tmp_path / "my"
    shards = write_shards(iter(TEXTS), TOKENIZER, folder, size)
    assert len(shards) == len(ROW) and shards[:].dtype == np.int64
    np.testing.assert_array_equal(shards[:], ROW)
    lengths = [entry["ids"] for entry in shards.index["shards"]]
    assert set(lengths[:-1]) <= {size} and 1 <= lengths[-1] <= size
    shards.verify()
    assert {path.name for path in folder.iterdir()} == {INDEX, *(f"{i:05d}.bin" for i in range(len(lengths)))}


@pytest.fixture
def shards(tmp_path):
    return write_shards(TEXTS, TOKENIZER, tmp_path / "my", 5)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])  # they are only read
@given(st.data())
def test_they_are_read_as_an_array_is(shards, data):
    at = data.draw(st.one_of(st.slices(len(ROW)), st.integers(-len(ROW), len(ROW) - 1)))
    np.testing.assert_array_equal(shards[at], ROW[at])
    rows = np.array(data.draw(st.lists(st.integers(0, len(ROW) - 1), max_size=8)), dtype=int)
    np.testing.assert_array_equal(shards[rows], ROW[rows])


def test_batches_are_cut_from_them(shards):
    for step in range(20):
        for ours, theirs in zip(random_batch(shards, 4, 3, 0, step), random_batch(ROW, 4, 3, 0, step), strict=True):
            np.testing.assert_array_equal(ours, theirs)
    for (x, y), (u, v) in zip(all_windows(shards, 4, 2), all_windows(ROW, 4, 2), strict=True):
        np.testing.assert_array_equal(x, u)
        np.testing.assert_array_equal(y, v)
    for outside in (len(ROW), -len(ROW) - 1):
        with pytest.raises(IndexError):
            shards[outside]


def test_width_follows_the_vocabulary(tmp_path):
    wide = write_shards(["ab"], Wide(), tmp_path / "wide")
    assert wide[:].tolist() == [3, 69_999, 69_999, 3]
    assert (tmp_path / "wide" / "00000.bin").stat().st_size == 4 * 4
    narrow = write_shards(["北"], TOKENIZER, tmp_path / "narrow")
    assert (tmp_path / "narrow" / "00000.bin").stat().st_size == 2 * len(narrow)
    assert len(write_shards([], TOKENIZER, tmp_path / "none")) == 1  # <eos>


def test_what_is_unfinished_or_damaged_is_named(shards, tmp_path):
    folder = shards.folder
    with pytest.raises(UserError, match="holds shards already"):
        write_shards(TEXTS, TOKENIZER, folder)
    with pytest.raises(UserError, match="written with another tokenizer"):
        Shards(folder, train_tokenizer("char", ["乙"]))
    assert len(Shards(folder, TOKENIZER)) == len(ROW)

    first = folder / "00000.bin"
    good = first.read_bytes()
    first.write_bytes(bytes([good[0] ^ 1]) + good[1:])
    with pytest.raises(UserError, match="is damaged: write the shards again"):
        Shards(folder).verify()
    for bad in (good[:-2], good[:-1], b""):
        first.write_bytes(bad)
        with pytest.raises(UserError, match="write the shards again"):
            Shards(folder)
    first.unlink()
    with pytest.raises(UserError, match=r"cannot be read: .*; write the shards again"):
        Shards(folder)

    index = json.loads((folder / INDEX).read_text())
    for change in ({"version": 2}, {"format": "x"}, {"dtype": "O"}, {"shards": []}, {"shards": [{}]}, {"shards": 1}):
        (folder / INDEX).write_text(json.dumps({**index, **change}))
        with pytest.raises(UserError, match="is damaged or of another version"):
            Shards(folder)
    for text in ("", "[]", "null", "[" * 100_000):
        (folder / INDEX).write_text(text)
        with pytest.raises(UserError, match="is damaged or of another version"):
            Shards(folder)
    (folder / INDEX).unlink()
    with pytest.raises(UserError, match="holds no finished shards"):
        Shards(folder)


def test_a_stop_in_the_middle_leaves_no_index_and_can_be_done_again(tmp_path):
    def stopped():
        yield "北京" * 10
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_shards(stopped(), TOKENIZER, tmp_path, 4)
    assert not (tmp_path / INDEX).exists() and (tmp_path / "00000.bin").exists()
    np.testing.assert_array_equal(write_shards(TEXTS, TOKENIZER, tmp_path, 4)[:], ROW)
    with pytest.raises(UserError, match=r"cannot be made: .*; choose another folder"):
        write_shards(TEXTS, TOKENIZER, tmp_path / INDEX / "below")


@pytest.mark.parametrize("kind", ["txt", "jsonl"])
def test_memory_does_not_grow_with_the_text(kind, tmp_path, monkeypatch):
    """Four times the text, the same peak. Half as much again is for what does grow: the list of shards."""
    monkeypatch.setattr("minillm.data.own.PIECE", 1 << 14)
    line = "我爱北京天安门" * 10 if kind == "txt" else json.dumps({"text": "我爱北京天安门" * 10})

    def peak(lines):
        path = tmp_path / f"{lines}.{kind}"
        path.write_text(f"{line}\n" * lines, encoding="utf-8")
        tracemalloc.start()
        write_shards(stream_texts(path), TOKENIZER, tmp_path / f"{kind}{lines}", 1 << 13)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    peak(100)  # what is loaded once
    assert peak(4000) < 1.5 * peak(1000)


def test_a_real_corpus(shared_data, tmp_path, monkeypatch):
    monkeypatch.setenv("MINILLM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("MINILLM_MIRROR", str(shared_data))
    texts = load_corpus("waimai").train
    tokenizer = train_tokenizer("char", texts)
    shards = write_shards(texts, tokenizer, tmp_path / "waimai", 50_000)
    np.testing.assert_array_equal(shards[:], token_stream(texts, tokenizer))
