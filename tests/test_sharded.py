"""Training from token shards: the same curve as from memory, in constant memory, from a folder one command writes."""

import json
import tempfile
import tracemalloc
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from test_cli import TINY, check_refused, run

from minillm import checkpoint
from minillm.backend import Backend
from minillm.checkpoint import Run
from minillm.config import preset
from minillm.data import sharded
from minillm.data.corpora import Corpus, load_corpus, load_reader, token_stream
from minillm.data.sharded import CARD, TOKENIZER, ShardedCorpus, is_sharded, load_sharded, write_corpus
from minillm.data.shards import write_shards
from minillm.errors import UserError
from minillm.text import load_tokenizer, train_tokenizer
from minillm.train import train

DOCUMENTS = [f"第{i}篇：我爱北京，\n天安门{i}。" for i in range(300)]


@pytest.fixture
def lines(tmp_path):
    path = tmp_path / "my.jsonl"
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in DOCUMENTS), encoding="utf-8")
    return path


def test_every_document_is_in_one_split(lines, tmp_path):
    corpus = write_corpus(str(lines), tmp_path / "out")
    again = load_sharded(tmp_path / "out")
    assert is_sharded(tmp_path / "out") and again.tokenizer.fingerprint == corpus.tokenizer.fingerprint
    assert (again.valid, again.test, again.card) == (corpus.valid, corpus.test, corpus.card)
    texts = corpus.tokenizer.decode([i or 3 for i in corpus.shards[:]], special="show").split("<eos>")[1:-1]
    assert Counter([*texts, *corpus.valid, *corpus.test]) == Counter(DOCUMENTS)
    assert texts == [text for text in DOCUMENTS if text in texts]
    for held_out in (corpus.valid, corpus.test):
        assert abs(len(held_out) - 15) < 5 * (300 * 0.05 * 0.95) ** 0.5  # five standard deviations
    for name, split in (("train", texts), ("valid", corpus.valid), ("test", corpus.test)):
        counts = corpus.card["splits"][name]
        assert (counts["documents"], counts["characters"]) == (len(split), sum(map(len, split)))
    assert corpus.card["splits"]["train"]["tokens"] == len(corpus.shards)


def test_what_comes_twice_is_never_in_two_splits(tmp_path, monkeypatch):
    """Also when a split has enough: what would still belong to it is learnt from, unless it is held out already."""
    monkeypatch.setattr(sharded, "HELD_OUT", 50)
    path = tmp_path / "my.jsonl"
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in DOCUMENTS * 3), encoding="utf-8")
    corpus = write_corpus(str(path), tmp_path / "out")
    texts = corpus.tokenizer.decode(list(corpus.shards[:]), special="show").split("<eos>")[1:-1]
    for held_out in (corpus.valid, corpus.test):
        assert 50 <= sum(map(len, held_out)) < 80 and len(set(held_out)) == len(held_out)
    assert Counter(texts) == {text: 3 for text in DOCUMENTS if text not in [*corpus.valid, *corpus.test]}


def test_a_text_file_is_cut_into_documents(tmp_path, monkeypatch):
    monkeypatch.setattr(sharded, "DOCUMENT", 100)
    text = "\n".join(DOCUMENTS)
    (tmp_path / "my.txt").write_text(text, encoding="utf-8")
    corpus = write_corpus(str(tmp_path / "my.txt"), tmp_path / "out", "bpe", 300)
    assert corpus.tokenizer.kind == "bpe" and corpus.tokenizer.vocab_size == 300
    pieces = corpus.tokenizer.decode(list(corpus.shards[:]), special="show").split("<eos>")[1:-1]
    pieces += corpus.valid + corpus.test
    assert corpus.valid and corpus.test
    assert all(piece in text and 100 < len(piece) < 130 for piece in pieces if not text.endswith(piece))
    assert sum(map(len, pieces)) == len(text)


def test_a_corpus_by_name_keeps_its_splits(tmp_path):
    reader = load_reader("reader")
    corpus = write_corpus("reader", tmp_path / "out")
    assert (corpus.valid, corpus.test) == (reader.valid, reader.test)
    np.testing.assert_array_equal(corpus.shards[:], token_stream(reader.train, corpus.tokenizer))


@pytest.mark.parametrize(("name", "windows"), [("np", "anywhere"), ("np", "documents"), ("pt", "anywhere")])
def test_the_curve_is_that_of_the_same_ids_in_memory(name, windows, lines, tmp_path):
    if name == "pt":
        pytest.importorskip("torch")
    corpus = write_corpus(str(lines), tmp_path / "out")
    texts = [text for text in DOCUMENTS if text not in [*corpus.valid, *corpus.test]]
    logs = []
    for i, source in enumerate([Corpus("memory", texts, corpus.valid, corpus.test), corpus]):
        changes = {"context": 16, "n_layer": 1, "d_model": 16, "batch_size": 4, "windows": windows}
        model, recipe = preset("tiny", corpus.tokenizer.vocab_size, **changes, steps=6, eval_every=3)
        result = train(source, Run(model, recipe, corpus.tokenizer), Backend(name, "cpu"), tmp_path / f"run{i}")
        logs.append([(r["loss"], r["grad_norm"], r.get("valid_loss")) for r in result.log])
    assert len(logs[0]) == 6 and logs[0] == logs[1]


def test_memory_does_not_grow_with_the_text(tmp_path):
    """Sixteen times the training text, and much the same peak of 0.2 MB. In memory the ids alone would be 8 MB more."""
    tokenizer = train_tokenizer("char", DOCUMENTS)

    def peak(times):
        folder = Path(tempfile.mkdtemp(dir=tmp_path))
        text = "我爱北京，天安门。" * 7000
        ids = write_shards([text] * times, tokenizer, folder / "train", 1 << 16)
        corpus = ShardedCorpus("my", [], ["我爱北京"], ["天安门"], tokenizer, ids, {})
        shape = {"context": 16, "n_layer": 1, "d_model": 16, "batch_size": 4}
        model, recipe = preset("tiny", tokenizer.vocab_size, **shape, steps=4, eval_every=2)
        tracemalloc.start()
        train(corpus, Run(model, recipe, tokenizer), Backend("np"), folder / "run")
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    peak(1)  # what is loaded once
    assert peak(16) < 2 * peak(1)  # runs differ by a tenth


def test_the_commands(lines, tmp_path, capsys):
    out, model = tmp_path / "out", tmp_path / "run"
    assert run("data", "shards", "--data", lines, "--out", out, "--json") == 0
    told, err = capsys.readouterr()
    assert json.loads(told)["splits"] == load_sharded(out).card["splits"] and err == ""
    assert run("train", "--data", out, "--out", model, *TINY) == 0
    assert run("train", "--resume", "--out", model, "--steps", 6) == 0
    assert [record["step"] for record in checkpoint.read_log(model)] == [1, 2, 3, 4, 5, 6]
    assert run("eval", "--model", model, "--data", out) == 0
    assert "bits per character" in capsys.readouterr().out
    arguments = ["eval", "--model", model, "--data", out, "--split", "all"]
    check_refused(capsys, arguments, "holds its training text as token ids only; choose valid or test")
    arguments = ["train", "--data", out, "--tokenizer", "bpe", "--out", tmp_path / "other"]
    check_refused(capsys, arguments, "brings its own tokenizer: leave --tokenizer and --vocab-size out")
    arguments = ["data", "shards", "--data", lines, "--out", out]
    check_refused(capsys, arguments, "holds shards already: choose another folder, or remove it first")
    check_refused(capsys, ["data", "shards"], "shards needs --data FILE|NAME and --out DIR")
    check_refused(capsys, ["data", "list", "--out", out], "--out belongs to data shards, not to data list")

    again = tmp_path / "again"  # the tokenizer of the first
    assert run("data", "shards", "--data", lines, "--out", again, "--tokenizer", out / TOKENIZER) == 0
    assert "train: " in capsys.readouterr().out
    assert load_sharded(again).shards.fingerprint == load_sharded(out).shards.fingerprint
    other = tmp_path / "other"
    assert run("data", "shards", "--data", lines, "--out", other, "--tokenizer", "bpe", "--vocab-size", 300) == 0
    capsys.readouterr()
    arguments = ["train", "--resume", "--out", model, "--steps", 8, "--data", other]
    check_refused(capsys, arguments, "was written with another tokenizer")


def test_other_ids_are_no_resume(lines, tmp_path, capsys):
    run("data", "shards", "--data", lines, "--out", tmp_path / "out")
    run("train", "--data", tmp_path / "out", "--out", tmp_path / "run", *TINY)
    (tmp_path / "less.jsonl").write_text("".join(lines.read_text().splitlines(True)[:200]))
    tokenizer = ["--tokenizer", tmp_path / "out" / TOKENIZER]
    run("data", "shards", "--data", tmp_path / "less.jsonl", "--out", tmp_path / "less", *tokenizer)
    capsys.readouterr()
    arguments = ["train", "--resume", "--out", tmp_path / "run", "--steps", 8, "--data", tmp_path / "less"]
    check_refused(capsys, arguments, "is not the text that the run in")


def test_what_is_unfinished_or_damaged_is_named(lines, tmp_path):
    out = tmp_path / "out"
    write_corpus(str(lines), out)
    card = (out / CARD).read_bytes()
    for data in (b"", b"[]", b"{}", card.replace(b'"tokens": ', b'"tokens": 1'), card.replace(b"m-corpus", b"x")):
        (out / CARD).write_bytes(data)
        with pytest.raises(UserError, match="does not describe what is beside it: write the folder again"):
            load_corpus(str(out))
    (out / CARD).write_bytes(card)
    valid = (out / "valid.jsonl").read_bytes()
    (out / "valid.jsonl").write_bytes(valid[: valid.index(b"\n") + 1])
    with pytest.raises(UserError, match="does not describe"):
        load_corpus(str(out))
    (out / "valid.jsonl").write_bytes(valid)
    train_tokenizer("char", ["乙"]).save(out / TOKENIZER)
    with pytest.raises(UserError, match="written with another tokenizer"):
        load_corpus(str(out))
    (tmp_path / "empty.txt").write_text("")
    with pytest.raises(UserError, match="holds no text to train on"):
        write_corpus(str(tmp_path / "empty.txt"), tmp_path / "none")
    assert not (tmp_path / "none").exists()
    assert load_tokenizer(out / TOKENIZER).kind == "char"
