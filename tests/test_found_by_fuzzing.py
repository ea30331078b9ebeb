"""What fuzzing (test_fuzz.py) has found, each once: before, these ended in a traceback, or gave a wrong answer."""

import json

import numpy as np
import pytest
from test_fuzz import BPE, encoded, saved, write_run

from minillm import checkpoint
from minillm.backend import Backend
from minillm.checkpoint import CHECKPOINT, CONFIG, LOG, MODEL
from minillm.data import catalogue, download
from minillm.data.own import stream_texts
from minillm.data.readers import READERS
from minillm.data.shards import INDEX, Shards, write_shards
from minillm.errors import UserError
from minillm.text import load_tokenizer
from minillm.text.bpe import FIRST_MERGE
from minillm.text.clean import strip_html
from minillm.text.files import read_text, write_text


@pytest.fixture
def folder(tmp_path):
    write_run(tmp_path / "run")
    return tmp_path / "run"


def refused(call, *arguments):
    with pytest.raises(UserError) as caught:
        call(*arguments)
    message = str(caught.value)
    assert message.isprintable()
    return message


def test_a_message_is_one_line_whatever_is_named_in_it(tmp_path):
    assert str(UserError("北京\n\x1b[2J\ud800。")) == r"北京\n\x1b[2J\ud800。"
    assert r"no\nsuch" in refused(read_text, tmp_path / "no\nsuch")
    (tmp_path / "a.jsonl").write_text('{"a\\nb": 1}')
    assert r"name one of: a\nb" in refused(list, stream_texts(tmp_path / "a.jsonl"))


def test_merges_that_double_are_refused_before_they_fill_the_memory(tmp_path):
    merges = [[FIRST_MERGE - 1, FIRST_MERGE - 1, "\\xff\\xff"]]
    merges += [[FIRST_MERGE + i, FIRST_MERGE + i, "x"] for i in range(60)]
    (tmp_path / "tokenizer.json").write_bytes(encoded({**saved("bpe"), "merges": merges}))
    assert "a merge makes more than the text" in refused(load_tokenizer, tmp_path / "tokenizer.json")
    (tmp_path / "tokenizer.json").write_bytes(encoded({**saved("bpe"), "merges": [[6, 999, "x"]]}))
    assert "does not exist yet" in refused(load_tokenizer, tmp_path / "tokenizer.json")


def test_a_text_that_uses_every_private_character():
    text = "".join(map(chr, range(0xE000, 0x110000)))
    assert strip_html(f"&{text}<b>1&amp;") == f"&{text}1&amp;"


def test_odd_names_of_encodings_and_files(tmp_path):
    for kind in ("txt", "jsonl", "csv"):
        (tmp_path / f"a.{kind}").write_bytes(b"abc")
        for encoding in ("a\0", "\ud800"):
            refused(list, stream_texts(tmp_path / f"a.{kind}", encoding=encoding))
        refused(list, stream_texts(f"{tmp_path}/\0.{kind}"))
    assert "unknown text encoding" in refused(read_text, tmp_path / "a.txt", "\ud800")
    assert "half a character" in refused(write_text, tmp_path / "b.txt", "北\ud800")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "gb18030"])
def test_a_byte_order_mark_is_no_text_in_any_encoding(encoding, tmp_path):
    for kind, text in (("txt", "北京"), ("jsonl", '{"text": "北京"}'), ("csv", "text\r\n北京\r\n")):
        (tmp_path / f"a.{kind}").write_bytes(f"\ufeff{text}".encode(encoding))
        assert list(stream_texts(tmp_path / f"a.{kind}", encoding=encoding)) == ["北京"]


def test_utf16_is_not_taken_for_utf8(tmp_path):
    (tmp_path / "a.txt").write_bytes("Hello".encode("utf-16-le"))
    assert "looks binary" in refused(list, stream_texts(tmp_path))
    assert list(stream_texts(tmp_path, encoding="utf-16-le")) == ["Hello"]


def test_files_of_public_corpora_that_hold_something_else(tmp_path):
    contents = {
        "tang300": [b"", b"[1]", b"[" * 100_000, b'[{"title": 1, "author": "", "paragraphs": []}]'],
        "cmn-eng": [b"\xff", b"a\tb\n", b"a\tb\tc\td\n"],
        "waimai": [b"label,review\nx,y\n", b"label,review\n1\n", b"a,b\n1,2\n"],
    }
    for name, found in contents.items():
        for content in found:
            (tmp_path / "file").write_bytes(content)
            assert "does not hold what it should" in refused(READERS[name], [tmp_path / "file"])


def test_a_mirror_in_the_home_of_nobody(tmp_path, monkeypatch):
    monkeypatch.setenv("MINILLM_CACHE", str(tmp_path))
    monkeypatch.setenv("MINILLM_MIRROR", "~nobody-of-that-name/mirror")
    assert "cannot be read" in refused(download.fetch, catalogue.find("tang300"), True)


def test_an_index_of_shards_names_its_own_files_only(tmp_path):
    shards = write_shards(["我爱北京" * 9], BPE, tmp_path / "my", 10)
    index = json.loads((tmp_path / "my" / INDEX).read_text())
    (tmp_path / "00000.bin").write_bytes((tmp_path / "my" / "00000.bin").read_bytes())
    for name in ("../00000.bin", str(tmp_path / "00000.bin"), 5, "00001.bin"):
        index["shards"][0]["file"] = name
        (tmp_path / "my" / INDEX).write_text(json.dumps(index))
        assert "is damaged or of another version" in refused(Shards, tmp_path / "my")
    index["shards"][0]["file"] = "00000.bin"
    (tmp_path / "my" / INDEX).write_text(json.dumps(index))
    assert len(Shards(tmp_path / "my")) == len(shards)
    (tmp_path / "my" / INDEX).write_text(json.dumps({**index, "shards": index["shards"][:-1]}))
    assert "is damaged or of another version" in refused(Shards, tmp_path / "my")
    index["shards"][0] = ["file", "ids", "sha256"]
    (tmp_path / "my" / INDEX).write_text(json.dumps(index))
    assert "is damaged or of another version" in refused(Shards, tmp_path / "my")
    assert len(shards) > 10


def test_ids_beyond_the_vocabulary_are_damage(tmp_path):
    write_shards(["我爱北京"], BPE, tmp_path / "my")
    data = (tmp_path / "my" / "00000.bin").read_bytes()
    (tmp_path / "my" / "00000.bin").write_bytes(b"\xff\xff" + data[2:])
    shards = Shards(tmp_path / "my", BPE)
    assert "an id of 65535 beyond the vocabulary" in refused(shards.__getitem__, np.array([0, 1]))
    assert shards[1:].max() < BPE.vocab_size


def test_a_run_on_a_file_whose_name_is_no_unicode(folder):
    run = checkpoint.load_run(folder)
    run.data["source"] = "我的\udcff.txt"
    checkpoint.save_run(folder, run)
    assert checkpoint.load_run(folder).data["source"] == "我的\udcff.txt"
    assert "我的" in (folder / CONFIG).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["source", "encoding", "field"])
def test_a_config_whose_text_has_no_name(name, folder):
    config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    (folder / CONFIG).write_text(json.dumps({**config, "data": {name: 5}}))
    assert "is damaged" in refused(checkpoint.load_run, folder)


@pytest.mark.parametrize("size", [10**7, 2**31, 10**30])
@pytest.mark.parametrize("name", ["vocab_size", "context", "n_layer", "d_model", "d_ff"])
def test_a_model_larger_than_its_weights_is_refused_before_it_fills_the_memory(name, size, folder, monkeypatch):
    monkeypatch.setattr("minillm.np.gpt.GPT.__init__", None)  # it is not even begun
    config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    (folder / CONFIG).write_text(json.dumps({**config, "model": {**config["model"], name: size}}))
    assert "restore the right one, or train again" in refused(Backend("np").load, folder)


def test_headers_that_no_program_writes(folder):
    run = checkpoint.load_run(folder)
    arrays, header = checkpoint.read_arrays(folder / CHECKPOINT)
    shapes = {name[6:]: array.shape for name, array in arrays.items() if name.startswith("model.")}
    for change in ({"step": float("inf")}, {"step": -1}, {"step": 1.5}, {"waited": "many"}, {"best": "x"}):
        checkpoint.write_arrays(folder / CHECKPOINT, arrays, {**header, **change})
        assert "is not a checkpoint" in refused(checkpoint.load_state, folder, run, shapes)
    data = (folder / MODEL).read_bytes()
    length = int.from_bytes(data[:8], "little")
    head = json.loads(data[8 : 8 + length])
    head["__metadata__"]["minillm"] = "[" * 100_000
    text = json.dumps(head).encode()
    (folder / MODEL).write_bytes(len(text).to_bytes(8, "little") + text + data[8 + length :])
    assert "is damaged" in refused(checkpoint.read_arrays, folder / MODEL)


def test_lines_of_a_log_that_say_nothing(folder):
    good = checkpoint.read_log(folder)
    with open(folder / LOG, "a") as file:
        file.write('{"step": 3}\n{"step": 3, "loss": "x"}\n[1]\n' + "[" * 100_000 + "\n")
    assert checkpoint.read_log(folder) == good and len(good) == 6
