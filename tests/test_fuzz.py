"""Arbitrary bytes and text into everything that reads: a result that keeps its promises, or one line; nothing else.

In the suite, some examples of each target. `make fuzz` runs for minutes and says how many examples there were.
"""

import contextlib
import json
import shutil

import numpy as np
import pytest
from fuzzing import ENCODINGS, JSON, MINUTES, TEXT, altered_bytes, altered_file, altered_json, answered, fuzz
from hypothesis import strategies as st

from minillm import checkpoint
from minillm.backend import Backend, shapes
from minillm.checkpoint import CHECKPOINT, CONFIG, LOG, MODEL, TOKENIZER
from minillm.config import preset
from minillm.data import catalogue, download, readers, sharded
from minillm.data.corpora import SPLITS, load_corpus, token_stream
from minillm.data.lock import locked
from minillm.data.own import is_plain, stream_texts
from minillm.data.shards import INDEX, Shards, write_shards
from minillm.text import SPECIAL_TOKENS, clean, load_tokenizer, read_text, train_tokenizer
from minillm.text.clean import (
    collapse_spaces,
    normalize,
    remove_stop_words,
    strip_control,
    strip_html,
    to_halfwidth,
    unescape_entities,
)
from minillm.text.files import write_text

KINDS = ("char", "word", "bpe")
CORPUS = ["我爱北京天安门，爷爷带我看升旗。\n", "Hello, 北京! Hello 2024, hello <eos> world.", "北京" * 9]
FLAGS = ("html", "entities", "control", "width", "spaces")
TARGETS = {}


def target(strategy, needs=None):
    """Register a check: it gets a drawn value and an empty folder that stays the same for all values."""

    def register(check):
        TARGETS[check.__name__] = (strategy, check, needs)
        return check

    return register


# ---------------------------------------------------------------------- text


@target(
    st.tuples(
        TEXT,
        st.fixed_dictionaries({flag: st.booleans() for flag in FLAGS}),
        st.sampled_from([None, "NFC", "NFKC"]),
        st.none() | st.lists(TEXT, max_size=3),
    ),
    needs="jieba",
)
def cleaning(value, folder):
    text, flags, form, stop_words = value
    result = clean(text, **flags, unicode=form, stop_words=stop_words)
    assert isinstance(result, str)
    if flags["control"]:
        result.encode()
    for step in (strip_html, unescape_entities, strip_control, to_halfwidth, normalize, collapse_spaces):
        once = step(text)
        assert step(once) == once, step.__name__
    once = remove_stop_words(text, stop_words or ["的"])
    assert remove_stop_words(once, stop_words or ["的"]) == once
    options = {**flags, "html": False, "entities": False, "unicode": form}
    assert clean(clean(text, **options), **options) == clean(text, **options)


def use(tokenizer, text, folder):
    """Everything that a tokenizer does with a text, and what it promises."""
    ids = tokenizer.encode(text, unknown="unk")
    assert all(len(SPECIAL_TOKENS) <= i < tokenizer.vocab_size or i == tokenizer.unk_id for i in ids)
    missing = {at for at, _ in tokenizer.unknown_characters(text)}
    if not missing:
        assert tokenizer.decode(ids) == text == tokenizer.decode(tokenizer.encode(text))
    elif tokenizer.kind == "char":
        assert tokenizer.decode(ids) == "".join(char for at, char in enumerate(text) if at not in missing)
    assert 0 <= tokenizer.unknown_bits(text) < np.inf
    for special in ("skip", "show"):
        stream = tokenizer.stream(special=special)
        assert "".join(map(stream.feed, ids)) + stream.close() == tokenizer.decode(ids, special=special)
    assert all(tokenizer.token_text(i).isprintable() for i in ids)
    tokenizer.save(folder / "saved.json")
    again = load_tokenizer(folder / "saved.json")
    assert again.to_dict() == tokenizer.to_dict() and again.encode(text, unknown="unk") == ids


SIZES = st.none() | st.integers(-2, 40) | st.integers(255, 300)
TRAINING = st.tuples(st.sampled_from(KINDS), st.lists(TEXT, max_size=4), SIZES, TEXT)


@target(TRAINING, needs="jieba")
def tokenizers(value, folder):
    kind, texts, size, text = value
    with answered():
        tokenizer = train_tokenizer(kind, texts, size)
        assert size is None or tokenizer.vocab_size <= size
        with answered():
            tokenizer.encode(text)
        use(tokenizer, text, folder)
        if size is None:  # nothing that it was trained on is unknown
            assert all(tokenizer.decode(tokenizer.encode(text)) == text for text in texts)


TOKENIZERS = {kind: train_tokenizer("char" if kind == "word" else kind, CORPUS, None) for kind in KINDS}
BPE = train_tokenizer("bpe", CORPUS, 290)


@target(st.tuples(st.lists(st.integers(0, BPE.vocab_size - 1), max_size=30), st.lists(st.integers(-9, 400))))
def decoding(value, folder):
    inside, any_ids = value
    stream = BPE.stream()
    text = "".join(map(stream.feed, inside)) + stream.close()
    assert text == BPE.decode(inside)
    text.encode()
    try:
        BPE.decode(any_ids).encode()
    except ValueError as error:  # documented, and no UserError: a program gave the ids
        assert "is outside 0.." in str(error)


def tokenizer_files():
    return st.one_of(altered_json(saved(kind)).map(encoded) | altered_bytes(encoded(saved(kind))) for kind in KINDS)


def saved(kind):
    return {**TOKENIZERS[kind].to_dict(), "kind": kind} if kind != "bpe" else BPE.to_dict()


def encoded(value):
    return json.dumps(value, ensure_ascii=True).encode()


@target(st.tuples(tokenizer_files(), TEXT), needs="jieba")
def tokenizer_file(value, folder):
    data, text = value
    (folder / "tokenizer.json").write_bytes(data)
    with answered():
        tokenizer = load_tokenizer(folder / "tokenizer.json")
        with answered():
            tokenizer.encode(text)
        use(tokenizer, text, folder)


BYTES = (
    st.binary(max_size=60)
    | st.tuples(TEXT, st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "gb18030", "utf-32"])).map(
        lambda pair: pair[0].encode(pair[1], "surrogatepass" if "utf" in pair[1] else "replace")
    )
    | altered_bytes("我爱北京天安门，爷爷带我看升旗。\r\nHello 2024!\n".encode())
)
NAMES = TEXT.map(lambda text: text.replace("/", "")[:40]).filter(lambda name: name.strip(".") != "")


@target(st.tuples(BYTES, ENCODINGS | TEXT, NAMES))
def text_files(value, folder):
    data, encoding, name = value
    (folder / "any.txt").write_bytes(data)
    with answered():
        text = read_text(folder / "any.txt", encoding)
        assert text and "\r" not in text and (encoding is not None or "\0" not in text)
        with answered():
            write_text(folder / "copy.txt", text)
            assert read_text(folder / "copy.txt", "utf-8") == text.removeprefix("\ufeff")
    with answered():
        read_text(folder / "none" / name, encoding)
    with answered():
        write_text(folder / "none" / name, "一")


# ---------------------------------------------------------------------- texts of one's own


ROWS = st.lists(st.dictionaries(st.just("text") | TEXT, TEXT | JSON, max_size=3), max_size=4)
LINES = ROWS.map(lambda rows: "\n".join(json.dumps(row) for row in rows).encode())
CELLS = st.lists(st.lists(st.just("text") | TEXT, max_size=3), max_size=4)
TABLE = CELLS.map(lambda rows: "\r\n".join(",".join(f'"{cell}"' for cell in row) for row in rows))
GOOD_LINES = "".join(json.dumps({"id": i, "text": f"第{i}篇"}, ensure_ascii=False) + "\n" for i in range(4)).encode()
GOOD_TABLE = 'id,text\r\n1,"我爱\r\n北京"\r\n2,天安门\r\n3,"一""二"\r\n'.encode()
CONTENT = (
    BYTES
    | LINES
    | TABLE.map(lambda text: text.encode("utf-8", "surrogatepass"))
    | altered_bytes(GOOD_LINES)
    | altered_bytes(GOOD_TABLE)
    | st.just(b'{"text": "' + "我".encode() * 200_000 + b'"}')
)
FIELDS = st.sampled_from([None, None, "text", "id", "诗"]) | TEXT
KIND = st.sampled_from([".txt", ".jsonl", ".ndjson", ".csv", ".tsv", ".TXT", ""])


@target(st.tuples(st.lists(st.tuples(CONTENT, KIND), min_size=1, max_size=3), ENCODINGS, FIELDS))
def own_texts(value, folder):
    files, encoding, field = value
    shutil.rmtree(folder / "my", ignore_errors=True)
    (folder / "my").mkdir()
    paths = [folder / "my" / f"{i}{kind}" for i, (_, kind) in enumerate(files)]
    for path, (content, _) in zip(paths, files, strict=True):
        path.write_bytes(content)
    for source in (paths[0], folder / "my"):
        with answered():
            assert all(text and isinstance(text, str) for text in stream_texts(source, field or "text", encoding))
        with answered():
            corpus = load_corpus(str(source), encoding, field)
            if is_plain(source):
                assert "".join(corpus.all()) == read_text(source, encoding)
            else:
                everything = list(stream_texts(source, field or "text", encoding))
                assert sorted(corpus.all()) == sorted(set(everything))
            tokenizer = train_tokenizer("char", corpus.train)
            for split in SPLITS:
                assert token_stream(corpus.split(split), tokenizer)[0] == tokenizer.eos_id


@target(st.tuples(NAMES, FIELDS, ENCODINGS))
def names_of_files(value, folder):
    name, field, encoding = value
    source = f"{folder / 'none'}{name}"
    with answered():
        load_corpus(source, encoding, field)
    with answered():
        list(stream_texts(source, field or "text", encoding))
    with answered():
        list(stream_texts(f"{source}.jsonl", field or "text", encoding))


POEM = json.dumps([{"title": "題", "author": "人", "paragraphs": ["白日依山盡，", "黃河入海流。"]}] * 2).encode()
PUBLIC = {"tang300": POEM, "cmn-eng": "Hi.\t嗨。\tCC-BY\n".encode() * 2, "waimai": "label,review\n1,好吃\n".encode()}


@target(
    st.sampled_from(sorted(PUBLIC)).flatmap(lambda name: st.tuples(st.just(name), altered_bytes(PUBLIC[name]) | BYTES))
)
def public_corpora(value, folder):
    name, data = value
    (folder / "file").write_bytes(data)
    with answered():
        for record in readers.READERS[name]([folder / "file"]):
            record.document().encode()
            "".join(record.keys()).encode()


@target(TEXT | st.sampled_from(list(catalogue.catalogue())))
def names_of_corpora(name, folder):
    with answered():
        assert catalogue.find(name).name == name and catalogue.find(name).card().startswith("# ")


PLACES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=20)
MIRRORS = (PLACES | st.sampled_from(["~", "~none/x", "/", "ftp://x/y", "file:///", "北京"])).filter(
    lambda place: place.strip() and not place.strip().lower().startswith("http")
)


@target(st.tuples(MIRRORS, st.binary(max_size=40)))
def mirrors(value, folder):
    mirror, content = value
    (folder / "mirror").mkdir(exist_ok=True)
    (folder / "mirror" / "tang300.json").write_bytes(content)
    source = catalogue.find("tang300")
    for place in (mirror, str(folder / "mirror")):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("MINILLM_CACHE", str(folder / "cache"))
            patch.setenv("MINILLM_MIRROR", place)
            with answered():
                download.fetch(source, quiet=True)
                raise AssertionError("that is not the file")
            assert download.report(source)["state"] == "missing"


@target(st.tuples(PLACES.map(lambda name: name.replace("/", "")), st.binary(max_size=20)))
def locks(value, folder):
    name, content = value
    with contextlib.suppress(OSError):  # documented: "." is a folder, and a name may be too long
        (folder / f"a{name}").write_bytes(content)
    with contextlib.suppress(OSError), locked(folder / f"a{name}"):
        pass


# ---------------------------------------------------------------------- shards and checkpoints


@target(st.tuples(st.lists(TEXT.map(lambda text: text[:60]), max_size=4), st.sampled_from([1, 7, 1000])))
def writing_shards(value, folder):
    texts, size = value
    shutil.rmtree(folder / "my", ignore_errors=True)
    with answered():
        shards = write_shards(texts, BPE, folder / "my", size)
        shards.verify()
        np.testing.assert_array_equal(shards[:], token_stream(texts, BPE))


@target(st.sampled_from([INDEX, "00000.bin"]).flatmap(lambda name: st.tuples(st.just(name), st.data())))
def damaged_shards(value, folder):
    name, data = value
    if not (folder / "good").exists():
        write_shards(CORPUS, BPE, folder / "good", 20)
    good = (folder / "good" / name).read_bytes()
    shutil.rmtree(folder / "my", ignore_errors=True)
    shutil.copytree(folder / "good", folder / "my")
    (folder / "my" / name).write_bytes(data.draw(altered_file(good) if name == INDEX else altered_bytes(good)))
    with answered():
        shards = Shards(folder / "my", BPE)
        assert len(shards) > 0
        with answered():
            assert shards[:].max() < BPE.vocab_size
        shards.verify()
        np.testing.assert_array_equal(shards[:], Shards(folder / "good")[:])


PARTS = st.sampled_from([sharded.CARD, sharded.TOKENIZER, "valid.jsonl", f"train/{INDEX}"])


@target(st.tuples(PARTS, st.data()))
def damaged_corpora(value, folder):
    name, data = value
    if not (folder / "good").exists():
        (folder / "my.jsonl").write_text("".join(json.dumps({"text": f"北京{i}"}) + "\n" for i in range(60)))
        sharded.write_corpus(str(folder / "my.jsonl"), folder / "good")
    good = (folder / "good" / name).read_bytes()
    shutil.rmtree(folder / "my", ignore_errors=True)
    shutil.copytree(folder / "good", folder / "my")
    (folder / "my" / name).write_bytes(data.draw(altered_bytes(good) if ".jsonl" in name else altered_file(good)))
    with answered():
        corpus = load_corpus(str(folder / "my"))
        assert sharded.is_sharded(folder / "my") and all(corpus.valid)
        ids = corpus.tokens(corpus.tokenizer)
        ids.verify()
        assert ids[:].max() < corpus.tokenizer.vocab_size


def write_run(folder):
    """What a training of a tiny model leaves behind."""
    tokenizer = train_tokenizer("char", CORPUS)
    shape = {"context": 8, "n_layer": 1, "d_model": 8, "n_head": 2}
    run = checkpoint.Run(*preset("tiny", tokenizer.vocab_size, **shape), tokenizer, {"source": "我的.txt"})
    weights = Backend("np").weights(Backend("np").gpt(run.model))
    folder.mkdir()
    checkpoint.save_run(folder, run)
    checkpoint.save_model(folder, weights, run, 6)
    optimizer = {f"exp_avg.{name}": array for name, array in weights.items()}
    checkpoint.save_state(folder, checkpoint.State(6, weights, optimizer, 1.5, 0), run)
    checkpoint.append_log(folder, [{"step": step, "loss": 2.5, "lr": 1e-3} for step in range(1, 7)])


WRITTEN = st.sampled_from([CONFIG, TOKENIZER, MODEL, CHECKPOINT, LOG, "header", "header"])


@target(st.tuples(WRITTEN, st.data()))
def checkpoints(value, folder):
    name, data = value
    my = folder / "my"
    if not (folder / "good").exists():
        write_run(folder / "good")
    shutil.rmtree(my, ignore_errors=True)
    shutil.copytree(folder / "good", my)
    if name == "header":  # with the right checksum: made on purpose, not damaged
        name = data.draw(st.sampled_from([MODEL, CHECKPOINT]))
        arrays, header = checkpoint.read_arrays(my / name)
        header = data.draw(altered_json(header).filter(lambda value: isinstance(value, dict)))
        checkpoint.write_arrays(my / name, arrays, header)
    else:
        good = (my / name).read_bytes()
        (my / name).write_bytes(data.draw(altered_file(good) if name in (CONFIG, TOKENIZER) else altered_bytes(good)))
    with answered():
        run, model = Backend("np").load(my)
        state = checkpoint.load_state(my, run, shapes(model))
        assert state.step >= 0 and state.waited >= 0
        for array in model.state_dict().values():
            assert array.dtype == np.float32
        source = run.data.get("source")
        assert source is None or isinstance(source, str)
        checkpoint.save_run(my, run)
        assert checkpoint.load_run(my).data == run.data
    for record in checkpoint.read_log(my):
        assert record["step"] >= 0 and isinstance(record["loss"], float)


# ---------------------------------------------------------------------- the run


@pytest.mark.filterwarnings("ignore:.*invalid escape:DeprecationWarning")  # of the encoding unicode_escape
@pytest.mark.parametrize("name", TARGETS)
def test_a_result_or_one_line(name, request, tmp_path, capsys):
    strategy, check, needs = TARGETS[name]
    if needs:
        pytest.importorskip(needs)
    count = fuzz(strategy, lambda value: check(value, tmp_path), 60 * MINUTES / len(request.session.items))
    if MINUTES:
        with capsys.disabled():
            print(f"\n{name}: {count:,} examples", end="")
