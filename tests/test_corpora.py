"""The public corpora as records and splits, the command that manages them, and files of one's own as corpora."""

import json
import random
import sys
import types
from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_cli import TINY, check_refused, run

from minillm.data import catalogue, own
from minillm.data.corpora import NAMES, SPLITS, load_corpus, load_records
from minillm.data.own import stream_texts
from minillm.data.readers import Pair, Poem, Review, read_records
from minillm.data.simplify import _converter, simplify
from minillm.data.split import split_of, split_records
from minillm.errors import UserError


@pytest.fixture(scope="module")
def cache(tmp_path_factory, shared_data):
    """A cache folder, filled from the corpora beside the checkout as they are asked for."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MINILLM_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("MINILLM_MIRROR", str(shared_data))
        yield


# ---------------------------------------------------------------------- what the corpora hold


def test_poems(cache):
    poems = read_records("tang300")
    assert len(poems) == 366 and sum(len(poem.text.replace("\n", "")) for poem in poems) == 25_239
    assert poems[0][:2] == ("在嶽詠蟬", "駱賓王")
    assert poems[0].document().startswith("在嶽詠蟬\n西陸蟬聲唱，南冠客思侵。\n那堪玄鬢影，")
    tang = read_records("tang")
    assert len(tang) == 57_607 and sum(not poem.text for poem in tang) == 4
    assert sum(len(poem.text.replace("\n", "")) for poem in tang) == 3_668_082
    assert sum(map(len, load_corpus("tang").all())) == 4_376_426  # as its data card says


def test_pairs_and_reviews(cache):
    pairs = read_records("cmn-eng")
    assert len(pairs) == 24_026 and pairs[0].document() == "Hi.\t嗨。"
    assert all(all(pair) and "tatoeba.org" in pair.attribution for pair in pairs)
    reviews = read_records("waimai")
    assert Counter(review.label for review in reviews) == {0: 7987, 1: 4000}
    assert reviews[0] == Review(1, "很快，好吃，味道足，量大") and all(review.text for review in reviews)


@pytest.mark.parametrize("name", list(catalogue.catalogue()))
def test_splits_are_whole_and_apart(cache, name):
    records, parts = read_records(name), load_records(name)
    assert list(parts) == list(SPLITS) and Counter(r for part in parts.values() for r in part) == Counter(records)
    corpus = load_corpus(name)
    assert corpus.test == [record.document() for record in parts["test"] if record.document()]
    for share, split in ((0.8, "train"), (0.1, "valid"), (0.1, "test")):
        # groups fall independently: five standard deviations of a binomial, a little more for groups of several
        assert abs(len(parts[split]) - share * len(records)) < 6 * (share * (1 - share) * len(records)) ** 0.5
    keys = {split: {key for record in part for key in set(record.keys())} for split, part in parts.items()}
    assert not keys["train"] & keys["test"] and not keys["train"] & keys["valid"] and not keys["valid"] & keys["test"]
    card = catalogue.find(name).card()
    assert all(f"{len(part):,}" in card and f"{sum(map(len, corpus.split(s))):,}" in card for s, part in parts.items())


def test_a_poem_of_both_collections_is_in_the_same_split(cache):
    where = {poem.keys(): split for split, poems in load_records("tang").items() for poem in poems}
    both = [(split, where[p.keys()]) for split, ps in load_records("tang300").items() for p in ps if p.keys() in where]
    assert len(both) == 363 and all(here == there for here, there in both)


def test_the_split_is_for_ever():
    """Scores of this year and of next year are of the same text."""
    assert [split_of(str(number)) for number in range(10)] == EVER
    poem = Poem("題", "人", "白日依山盡，\n黃河入海流。")
    assert poem.keys() == poem._replace(text="白日依山盡黃河入海流").keys()
    pairs = [Pair("a", "甲", ""), Pair("b", "乙", ""), Pair("a", "丙", ""), Pair("d", "丙", ""), Pair("b", "丁", "")]
    homes = []
    for order in range(10):
        random.Random(order).shuffle(pairs)
        parts = split_records(pairs)
        home = {pair: split for split, part in parts.items() for pair in part}
        assert len({split for pair, split in home.items() if pair.english in "ad"}) == 1
        assert home[("b", "乙", "")] == home[("b", "丁", "")]
        assert all(part == [pair for pair in pairs if pair in part] for part in parts.values())
        homes.append(home)
    assert all(home == homes[0] for home in homes)


EVER = ["train", "train", "train", "train", "train", "valid", "train", "train", "test", "train"]


def test_simplified_script(cache):
    pytest.importorskip("opencc")
    assert simplify(["乾坤乾燥，西陸蟬聲唱", "我爱北京", ""]) == ["乾坤干燥，西陆蝉声唱", "我爱北京", ""]
    old, new = load_corpus("tang300"), load_corpus("tang300-simplified")
    assert [len(old.split(split)) for split in SPLITS] == [len(new.split(split)) for split in SPLITS]
    assert not set("愛國學會個們來時說話這對過還沒進開關門見長車東馬鳥魚龍風飛") & set("".join(new.all()))
    assert load_records("cmn-eng-simplified")["train"][0].english == load_records("cmn-eng")["train"][0].english


def test_without_the_converter(monkeypatch):
    _converter.cache_clear()
    monkeypatch.setitem(sys.modules, "opencc", None)
    with pytest.raises(UserError, match="simplified script needs OpenCC: pip install opencc"):
        simplify(["愛"])


# ---------------------------------------------------------------------- the command


def test_data(shared_data, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MINILLM_CACHE", str(tmp_path))
    monkeypatch.setenv("MINILLM_MIRROR", str(shared_data))
    for action in ("verify", "path"):
        check_refused(capsys, ["data", action, "tang300"], "tang300 is missing; fetch what is not right with: minillm")
    assert run("data", "get", "tang300", "tang") == 0
    out, err = capsys.readouterr()
    assert "public domain" in out and "chinese-poetry" in out and "licence: MIT" in err and "%|" not in err
    assert run("data", "path", "tang300", "tang") == 0
    paths = capsys.readouterr().out.split()
    assert paths == [str(tmp_path / "corpora" / "tang300.json"), str(tmp_path / "corpora" / "tang")]
    assert run("data", "verify") == 0
    assert "tang: ok\ncmn-eng: missing\n" in capsys.readouterr().out
    assert run("data", "get", "waimai", "--json") == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["corpora"][0]["files"] == {"waimai_10k.csv": "ok"} and err == ""
    (tmp_path / "corpora" / "tang" / "poet.tang.0.json").unlink()
    assert run("data", "list", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["cache"] == str(tmp_path / "corpora") and found["mirror"] == str(shared_data)
    states = {entry["name"]: entry["state"] for entry in found["corpora"]}
    assert states == {"tang300": "ok", "tang": "incomplete", "cmn-eng": "missing", "waimai": "ok"}
    (tmp_path / "corpora" / "tang300.json").write_text("[]")
    check_refused(
        capsys, ["data", "verify"], "tang300 is damaged; fetch what is not right with: minillm data get tang3"
    )
    assert run("data", "get", "tang300") == 0 and run("data", "verify", "tang300") == 0


def test_data_list_names_licences_and_shows_cards(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MINILLM_CACHE", str(tmp_path))
    assert run("data", "list") == 0
    out = capsys.readouterr().out
    for source in catalogue.catalogue().values():
        assert f"{source.name}: " in out and source.licence in out and source.attribution in out
    assert run("data", "list", "waimai") == 0
    assert "# 外卖评论 · Food-delivery reviews" in capsys.readouterr().out
    check_refused(capsys, ["data", "get"], "name what to get: tang300, tang, cmn-eng, waimai")
    check_refused(capsys, ["data", "list", "reader"], "no corpus 'reader' to fetch; choose one of tang300")
    check_refused(capsys, ["data", "burn"], "invalid choice: 'burn'")


def test_training_on_a_corpus_by_name(shared_data, tmp_path, monkeypatch):
    monkeypatch.setenv("MINILLM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("MINILLM_MIRROR", str(shared_data))
    assert run("train", "--data", "tang300", "--out", tmp_path / "run", *TINY) == 0
    assert run("train", "--resume", "--out", tmp_path / "run", "--steps", 5) == 0
    assert {"reader", "tang300", "tang300-simplified", "tang", "cmn-eng", "waimai"} <= set(NAMES)


# ---------------------------------------------------------------------- files of one's own

DOCUMENTS = [f"第{i}篇：我爱北京，\n天安门{i}。" for i in range(100)]


def write(folder, kind, documents=DOCUMENTS, field="text", encoding="utf-8"):
    path = folder / f"my.{kind}"
    if kind == "jsonl":
        text = "\n".join(json.dumps({"id": 1, field: text}, ensure_ascii=False) for text in documents)
    else:
        mark = "\t" if kind == "tsv" else ","
        quoted = ('"' + text.replace('"', '""') + '"' for text in documents)
        text = "\r\n".join([f"id{mark}{field}", *(f"1{mark}{text}" for text in quoted)]) + "\r\n"
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize("kind", ["jsonl", "csv", "tsv"])
@pytest.mark.parametrize("encoding", [None, "utf-8-sig", "gb18030"])
def test_json_lines_and_csv(kind, encoding, tmp_path):
    path = write(tmp_path, kind, encoding=encoding or "utf-8")
    given_encoding = encoding if encoding == "gb18030" else None  # a byte order mark is no part of the text
    assert list(stream_texts(path, encoding=given_encoding)) == DOCUMENTS
    corpus = load_corpus(str(path), given_encoding)
    assert sorted(corpus.all()) == sorted(DOCUMENTS)
    assert [len(corpus.split(split)) for split in SPLITS] == [90, 5, 5]
    assert corpus.train == [text for text in DOCUMENTS if text in corpus.train]


def test_another_field_also_on_the_command_line(tmp_path, capsys):
    path = write(tmp_path, "csv", field="诗")
    assert list(stream_texts(path, "诗")) == DOCUMENTS
    check_refused(
        capsys,
        ["train", "--data", path, "--out", tmp_path / "run"],
        "my.csv, line 3 has no field 'text'; name one of: id, 诗",
    )
    assert run("train", "--data", path, "--field", "诗", "--out", tmp_path / "run", *TINY) == 0
    assert run("train", "--resume", "--out", tmp_path / "run", "--steps", 5) == 0
    assert run("eval", "--data", path, "--field", "诗", "--model", tmp_path / "run") == 0


def test_a_folder(tmp_path):
    (tmp_path / "b").mkdir()
    (tmp_path / "a.txt").write_text("甲\r\n乙", encoding="utf-8", newline="")
    (tmp_path / "b" / "c.TXT").write_text("丙", encoding="utf-8")
    (tmp_path / "b" / "picture.png").write_bytes(b"\x89PNG\xff")
    write(tmp_path / "b", "jsonl", ["丁", "", "甲\n乙"])
    assert list(stream_texts(tmp_path)) == ["甲\n乙", "丙", "丁", "甲\n乙"]
    corpus = load_corpus(str(tmp_path))
    assert [len(corpus.split(split)) for split in SPLITS] == [1, 1, 1]  # what comes twice is taken once
    (tmp_path / "none").mkdir()
    with pytest.raises(UserError, match="directory without text files"):
        list(stream_texts(tmp_path / "none"))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text("甲乙丙", max_size=9), max_size=30), st.integers(1, 12))
def test_a_text_file_comes_in_pieces_cut_at_line_ends(tmp_path, monkeypatch, lines, size):
    monkeypatch.setattr(own, "PIECE", size)
    path = tmp_path / "text.txt"
    path.write_text("\n".join(lines), encoding="utf-8")
    pieces = list(stream_texts(path))
    assert "".join(pieces) == "\n".join(lines)
    assert all(0 < len(piece) <= size for piece in pieces)
    for piece in pieces[:-1]:
        assert piece.endswith("\n") or ("\n" not in piece and len(piece) == size)


BAD = {
    "no JSON": ("a.jsonl", b'{"text": "a"}\n{oops}\n', "line 2 is not JSON"),
    "deep JSON": ("a.jsonl", b"[" * 100_000, "line 1 is not JSON"),
    "a list": ("a.jsonl", b"[1]\n", "line 1 is no JSON object"),
    "no such field": ("a.jsonl", b'{"title": "a"}\n', "line 1 has no field 'text'; name one of: title"),
    "a number": ("a.jsonl", b'{"text": 1}\n', "the field 'text' holds no text"),
    "an empty file": ("a.jsonl", b"", "holds no text"),
    "only a heading": ("a.csv", b"text\r\n", "holds no text"),
    "a cell without end": ("a.csv", b'text\r\n"' + b"x" * (1 << 24) + b"xx", "is not CSV: field larger than"),
    "GBK": ("a.csv", "text\r\n我爱北京\r\n".encode("gbk"), "is not UTF-8 throughout; save it as UTF-8, or give its"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_files_are_named(case, tmp_path):
    name, content, says = BAD[case]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=says) as caught:
        load_corpus(str(tmp_path / name))
    assert "\n" not in str(caught.value) and name in str(caught.value)
    with pytest.raises(UserError, match="unknown text encoding 'klingon'"):
        load_corpus(str(tmp_path / name), "klingon")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.binary(max_size=60), st.sampled_from(["jsonl", "csv", "tsv", "txt"]), st.sampled_from([None, "utf-16", "gbk"])
)
def test_any_bytes_are_read_or_refused_in_one_line(tmp_path, content, kind, encoding):
    path = tmp_path / f"any.{kind}"
    path.write_bytes(content)
    try:
        assert all(isinstance(text, str) and text for text in stream_texts(path, encoding=encoding))
    except UserError as error:
        assert "\n" not in str(error).replace(str(path), "")


def test_a_dataset_by_name(monkeypatch):
    asked = []

    def load_dataset(name, *config, **options):
        asked.append((name, *config, options))
        if name == "none/such":
            raise FileNotFoundError("Couldn't find it\nin many lines")
        return iter([{"content": "甲"}, {"content": ""}, {"content": "乙"}])

    monkeypatch.setitem(sys.modules, "datasets", types.SimpleNamespace(load_dataset=load_dataset))
    assert list(stream_texts("hf:some/name", "content")) == ["甲", "乙"]
    assert asked == [("some/name", {"split": "train", "streaming": True})]
    assert next(stream_texts("hf:some/name:part.zh", "content")) == "甲"
    assert asked[1:] == [("some/name", "part.zh", {"split": "train", "streaming": True})]
    with pytest.raises(UserError, match="the dataset none/such cannot be had: Couldn't find it; check its name"):
        load_corpus("hf:none/such")
    with pytest.raises(UserError, match="hf: names no dataset"):
        load_corpus("hf:")
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(UserError, match="hf:some/name needs the package datasets: pip install datasets"):
        load_corpus("hf:some/name")
