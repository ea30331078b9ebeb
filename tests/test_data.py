"""The reader, files as corpora, batches, evaluation and the baselines to compare with."""

import math
import re
import string
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import TEXT
from minillm.backend import Backend
from minillm.baselines.ngram import Bigram, Uniform
from minillm.checkpoint import Run, read_log
from minillm.cli import main
from minillm.config import ModelConfig, preset
from minillm.data.batches import (
    IGNORED,
    all_windows,
    check_length,
    common_tokens,
    document_starts,
    random_batch,
    recall_targets,
)
from minillm.data.corpora import READER, SPLITS, Corpus, load_corpus, read_pieces, token_stream
from minillm.errors import UserError
from minillm.evaluate import evaluate, scores, total_nll
from minillm.text import train_tokenizer
from minillm.train import train

HAN = re.compile(r"[\u4e00-\u9fff]")
TRADITIONAL = set("愛國學會個們來時說話這對過還沒進開關門見長車東馬鳥魚龍風飛語書畫點裡後從給讓問間聽")

# ---------------------------------------------------------------------- the reader


def test_the_index_is_the_tree():
    rows = (READER / "index.tsv").read_text(encoding="utf-8").splitlines()[1:]
    listed = [row.split("\t")[0] for row in rows]
    assert sorted(listed) == sorted(path.relative_to(READER).as_posix() for path in READER.rglob("*.txt"))
    assert len(listed) == len(read_pieces()) == len(set(listed))


def test_every_piece_is_clean():
    titles = Counter(piece.title for piece in read_pieces())
    assert all(HAN.search(title) and "\n" not in title for title in titles)
    assert max(titles.values()) == 1
    for piece in read_pieces():
        text = f"{piece.title}\n{piece.text}"
        assert piece.split in SPLITS and piece.genre
        assert len(HAN.findall(piece.text)) >= 20, piece.title
        assert not TRADITIONAL & set(text), piece.title
        assert not set(string.printable) - {"\n"} & set(text), piece.title
        assert "\ufeff" not in text and "\ufffd" not in text
        assert piece.text == piece.text.strip("\n")


def test_the_reader_is_large_and_in_three_parts():
    corpus = load_corpus("reader")
    assert sum(len(HAN.findall(text)) for text in corpus.all()) >= 60_000
    parts = [set(getattr(corpus, split)) for split in SPLITS]
    assert sum(map(len, parts)) == len(set.union(*parts)) == len(read_pieces())
    for split in SPLITS:
        assert corpus.split(split) and sum(map(len, corpus.split(split))) >= 0.04 * sum(map(len, corpus.all()))
        assert {piece.genre for piece in read_pieces() if piece.split == split} == {p.genre for p in read_pieces()}
    assert any("我爱北京天安门" in text for text in corpus.train)
    with pytest.raises(UserError, match="no split 'dev'; choose one of train, valid, test"):
        corpus.split("dev")


# ---------------------------------------------------------------------- files


@given(st.lists(st.text("甲乙丙丁", max_size=60), min_size=1, max_size=60))
def test_a_file_is_cut_in_its_order(tmp_path_factory, lines):
    text = "\n".join(lines)
    path = tmp_path_factory.mktemp("cut") / "text.txt"
    path.write_text(text, encoding="utf-8", newline="\n")
    if not text:
        return
    parts = load_corpus(str(path)).all()
    assert "".join(parts) == text
    if len(text) >= 40:
        assert all(parts)
        assert 0.9 * len(text) - 1 < len(parts[0]) <= 0.93 * len(text) + 1


def test_a_file_is_cut_at_line_ends(text_file):
    corpus = load_corpus(str(text_file))
    assert corpus.train[0].endswith("\n") and corpus.valid[0].endswith("\n")
    assert [round(len(part) / len(TEXT), 2) for part in corpus.all()] == pytest.approx([0.9, 0.05, 0.05], abs=0.02)


def test_one_line_far_longer_than_the_rest_takes_no_part_away(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("短。\n" * 100 + "长" * 900 + "\n" + "短。\n" * 10, encoding="utf-8")
    assert all(load_corpus(str(path)).all())


def test_real_text_from_outside(shared_data, tmp_path, capsys):
    """English and Chinese sentences of Tatoeba, in their raw form."""
    out = tmp_path / "run"
    options = ["--preset=tiny", "--n-layer=1", "--steps=2", "--eval-every=2", "--vocab-size=2000"]
    part = tmp_path / "cmn.txt"  # its first sentences: all of it is rated at each validation
    part.write_text("".join((shared_data / "cmn.txt").open(encoding="utf-8").readlines()[:3000]), encoding="utf-8")
    assert main(["train", "--data", str(part), "--out", str(out), *options]) == 0
    assert main(["eval", "--data", str(part), "--model", str(out)]) == 0
    assert "bits per character" in capsys.readouterr().out


# ---------------------------------------------------------------------- batches


def test_token_stream():
    tokenizer = train_tokenizer("char", ["北京"])
    north, capital = tokenizer.encode("北京")
    eos, unk = tokenizer.eos_id, tokenizer.unk_id
    stream = token_stream(["北京", "", "北☃"], tokenizer)
    assert stream.dtype == np.int64
    assert stream.tolist() == [eos, north, capital, eos, north, unk, eos]
    assert token_stream([], tokenizer).tolist() == [eos]


@given(st.integers(1, 20), st.integers(0, 30), st.integers(1, 9), st.integers(0, 2**40), st.integers(0, 10**6))
def test_random_batch(context, extra, batch, seed, step):
    tokens = 7 * np.arange(context + 1 + extra)
    x, y = random_batch(tokens, context, batch, seed, step)
    assert x.shape == y.shape == (batch, context)
    assert (y == x + 7).all() and (np.diff(x, axis=1) == 7).all()
    again, _ = random_batch(tokens, context, batch, seed, step)
    np.testing.assert_array_equal(x, again)


def test_random_batches_differ_and_reach_everything():
    tokens = np.arange(20)
    starts = [random_batch(tokens, 4, 8, seed, step)[0][:, 0] for seed in range(5) for step in range(20)]
    assert len({tuple(row) for row in starts}) == len(starts)
    assert set(np.concatenate(starts)) == set(range(16))  # the last window predicts the last token
    with pytest.raises(UserError, match="has 4 tokens, too few for a context of 4"):
        check_length(tokens[:4], 4)
    check_length(tokens[:5], 4)


@given(st.integers(0, 60), st.integers(1, 20), st.integers(1, 5))
def test_all_windows_predict_every_token_once(length, context, batch_size):
    tokens = 100 + np.arange(length)
    predicted = []
    for x, y in all_windows(tokens, context, batch_size):
        assert x.shape == y.shape and len(x) <= batch_size and x.shape[1] <= context
        for row, column in np.argwhere(y != IGNORED):
            target = y[row, column]
            predicted.append(target)
            assert x[row, column] == target - 1
            seen = x[row, : column + 1]
            np.testing.assert_array_equal(seen, np.arange(target - len(seen), target))  # the tokens before it, in order
            assert len(seen) >= min(target - 100, context - max(1, context // 2) + 1)
    assert sorted(predicted) == tokens[1:].tolist()


EOS = 3
ROWS = st.lists(st.integers(1, 12), min_size=1, max_size=8)  # lengths of documents


def row_of(lengths):
    """<eos> document <eos> ..., the documents' tokens all different."""
    tokens = 100 + np.arange(sum(lengths) + len(lengths) + 1)
    tokens[np.cumsum([0, *(n + 1 for n in lengths)])] = EOS
    return tokens


@given(ROWS, st.integers(1, 12), st.integers(0, 99))
def test_batches_that_follow_the_documents(lengths, context, step):
    tokens = row_of(lengths)
    context = min(context, len(tokens) - 1)
    starts = document_starts(tokens, context, EOS)
    x, y = random_batch(tokens, context, 5, 0, step, starts)
    assert (x[:, 0] == EOS).all() and x.shape == y.shape == (5, context)
    np.testing.assert_array_equal(x[:, 1:], y[:, :-1])
    found = [random_batch(tokens, context, 50, 0, s, starts)[0] for s in range(20)]
    possible = [i for i in np.flatnonzero(tokens == EOS) if i + context < len(tokens)]
    assert {tuple(row) for x in found for row in x} == {tuple(tokens[i : i + context]) for i in possible}


@given(ROWS, st.integers(1, 15), st.integers(1, 5))
def test_windows_that_follow_the_documents(lengths, context, batch_size):
    """Every token once, and before it all of its document, or half a context of one that is too long."""
    tokens = row_of(lengths)
    predicted, windows = [], 0
    for x, y in all_windows(tokens, context, batch_size, EOS):
        windows += len(x)
        for row, column in np.argwhere(y != IGNORED):
            at = len(predicted) + 1
            assert y[row, column] == tokens[at]
            predicted.append(at)
            np.testing.assert_array_equal(x[row, : column + 1], tokens[at - column - 1 : at])
            start = max(np.flatnonzero(tokens[:at] == EOS))
            length = lengths[int((tokens[:start] == EOS).sum())]
            assert column + 1 >= min(at - start, context if length < context else context - max(1, context // 2) + 1)
    assert predicted == list(range(1, len(tokens)))
    if sum(lengths) + len(lengths) <= context:
        assert windows == 1  # as many as fit


def test_targets_to_recall():
    """By hand: EOS is 1, 5 a comma, 7 and 8 names. A document ends where the next begins."""
    tokens = np.array([[1, 7, 5, 20, 5, 7, 8, 7, 1, 8, 5, 7, 20, 8]])
    x, y = tokens[:, :-1], tokens[:, 1:]
    common = common_tokens(np.array([5] * 10 + [1] * 10 + list(range(2, 5)) * 2 + [7, 8, 20]), 30, share=0.1)
    assert np.flatnonzero(common).tolist() == [1, 5]
    found = recall_targets(x, y, common, 1, np.random.default_rng(0), kept=0)
    assert [int(t) for t in found[0]] == [7 if i in (4, 6) else 8 if i == 12 else IGNORED for i in range(13)]
    np.testing.assert_array_equal(recall_targets(x, y, common, 1, np.random.default_rng(0), kept=1), y)


@given(st.integers(0, 2**32 - 1))
def test_targets_to_recall_are_those_of_a_loop(seed):
    rng = np.random.default_rng(seed)
    tokens, common = rng.integers(0, 9, (3, 21)), rng.random(9) < 0.3
    x, y = tokens[:, :-1], tokens[:, 1:]
    found = recall_targets(x, y, common, EOS, np.random.default_rng(1), 0.0)
    for row, column in np.ndindex(y.shape):
        begins = max([i for i in range(column + 1) if x[row, i] == EOS], default=0)
        again = y[row, column] in x[row, begins : column + 1]
        assert found[row, column] == (y[row, column] if again and not common[y[row, column]] else IGNORED)
    some = recall_targets(x, y, np.ones(9, bool), EOS, np.random.default_rng(1), 0.5)
    assert set(np.unique(some[some != y])) <= {IGNORED}


def test_a_run_begins_by_recalling(tmp_path, backend):
    """The masked targets of the first steps are what the model learns from; then it learns from all."""
    corpus = Corpus("lines", TEXT.splitlines(), TEXT.splitlines()[:3], [])
    tokenizer = train_tokenizer("char", corpus.train)
    model, recipe = preset("tiny", tokenizer.vocab_size, context=40, steps=2, recall=1, lr=1e-12)
    train(corpus, Run(model, recipe, tokenizer), backend, tmp_path)
    tokens = token_stream(corpus.train, tokenizer)
    x, y = random_batch(tokens, 40, recipe.batch_size, recipe.seed, 0)
    rng = np.random.default_rng([recipe.seed, 0, 1])
    masked = recall_targets(x, y, common_tokens(tokens, tokenizer.vocab_size), tokenizer.eos_id, rng)
    nll, counted = backend.gpt(model, recipe.seed).token_nll(x, masked), masked != IGNORED
    assert 0 < counted.mean() < 0.5
    log = read_log(tmp_path)
    assert log[0]["loss"] == pytest.approx(nll.sum() / counted.sum(), rel=1e-5)
    second = random_batch(tokens, 40, recipe.batch_size, recipe.seed, 1)
    assert log[1]["loss"] == pytest.approx(backend.gpt(model, recipe.seed).token_nll(*second).mean(), rel=1e-5)


def test_nll_that_follows_the_documents_is_that_of_each_alone(backend):
    model = backend.gpt(ModelConfig(120, context=8, n_layer=1, n_head=2, d_model=16))
    documents = [row_of([n]) for n in (4, 7, 5)]  # no two fit into a context
    row = np.concatenate([[EOS], *(document[1:] for document in documents)])
    alone = sum(total_nll(model, document, 8) for document in documents)
    assert total_nll(model, row, 8, EOS) == pytest.approx(alone, rel=1e-5)
    assert total_nll(model, row, 8) != pytest.approx(alone, rel=1e-5)


def test_a_run_learns_and_is_measured_in_its_own_windows(tmp_path):
    corpus = Corpus("lines", TEXT.splitlines(), TEXT.splitlines()[:3], [])
    tokenizer = train_tokenizer("char", corpus.train)
    model, recipe = preset("tiny", tokenizer.vocab_size, context=40, steps=2, windows="documents")
    train(corpus, Run(model, recipe, tokenizer), Backend("np"), tmp_path)
    run, trained = Backend("np").load(tmp_path)
    log, tokens = read_log(tmp_path), token_stream(corpus.train, tokenizer)
    starts = document_starts(tokens, 40, tokenizer.eos_id)
    first = random_batch(tokens, 40, recipe.batch_size, recipe.seed, 0, starts)
    assert Backend("np").gpt(model, recipe.seed).token_nll(*first).mean() == pytest.approx(log[0]["loss"])
    valid_loss = log[-1]["valid_loss"]
    assert evaluate(trained, corpus.valid, tokenizer, 40, run.train.windows).loss == pytest.approx(valid_loss)
    assert evaluate(trained, corpus.valid, tokenizer, 40).loss != pytest.approx(valid_loss)


@pytest.mark.parametrize("context", [1, 2, 5, 8])
def test_nll_is_that_of_a_loop_over_the_tokens(backend, context):
    model = backend.gpt(ModelConfig(11, context=context, n_layer=1, n_head=2, d_model=16))
    weights = backend.weights(model)
    backend.load_weights(model, {name: 10 * array for name, array in weights.items()})
    stride = max(1, context // 2)
    for length in (2, 5, 9, 30):
        tokens = np.random.default_rng(length).integers(0, 11, length)
        nats = 0.0
        for i in range(1, length):
            start = max(0, math.ceil((i - context) / stride) * stride)  # the first window that holds token i - 1
            logits = model.next_logits(tokens[None, start:i])[0].astype(np.float64)
            nats += np.log(np.exp(logits - logits.max()).sum()) + logits.max() - logits[tokens[i]]
        assert total_nll(model, tokens, context) == pytest.approx(nats, rel=1e-5)


# ---------------------------------------------------------------------- scores and baselines


class UniformModel:
    def token_nll(self, x, y):
        return np.where(y >= 0, math.log(64), 0)


def test_scores_of_a_uniform_model():
    """2 bits a character would be 64 tokens of which each spells three characters."""
    tokenizer = train_tokenizer("char", ["北京天安门"])
    documents = ["北京" * 10, "天安门" * 4]
    characters, tokens = 32, 32 + 2  # each document ends with <eos>
    result = evaluate(UniformModel(), documents, tokenizer, 8)
    assert (result.tokens, result.characters, result.unknown) == (tokens, characters, 0)
    assert result.bits_per_char == pytest.approx(math.log2(64) * tokens / characters)
    assert result.loss == pytest.approx(math.log(64)) and result.perplexity == pytest.approx(64)
    with_unknown = evaluate(UniformModel(), ["北☃"], tokenizer, 8)
    assert with_unknown.unknown == 1
    assert with_unknown.bits_per_char == pytest.approx((6 * 3 + tokenizer.unknown_bits("☃")) / 2)
    with pytest.raises(UserError, match="no text to evaluate on"):
        evaluate(UniformModel(), [""], tokenizer, 8)
    tokens = token_stream(["北"], tokenizer)
    assert scores(1e9, tokens, ["北"], tokenizer).perplexity < math.inf


def test_uniform_baseline():
    assert Uniform(8).total_nll(np.array([1, 2, 3])) == pytest.approx(2 * math.log(8))


@given(st.lists(st.integers(0, 5), min_size=2, max_size=30), st.floats(0.01, 100))
def test_bigram_probabilities_sum_to_one(tokens, strength):
    model = Bigram(np.array(tokens), 6, strength=strength)
    for a in range(6):
        p = [math.exp(-model.total_nll(np.array([a, b]))) for b in range(6)]
        assert sum(p) == pytest.approx(1)
        assert min(p) > 0


def test_bigram_by_hand():
    model = Bigram(np.array([0, 1, 0, 1, 1]), 2, strength=2.0)
    unigram_1 = (3 + 1) / (5 + 2)
    p = (2 + 2 * unigram_1) / (2 + 2)  # 0 1 comes twice, and 0 comes twice before something
    assert model.total_nll(np.array([0, 1])) == pytest.approx(-math.log(p))
    assert model.total_nll(np.array([0, 1, 0])) > model.total_nll(np.array([0, 1]))


def test_bigram_strength_is_the_best_on_validation_text():
    rng = np.random.default_rng(0)
    tokens, valid = rng.integers(0, 5, 200), rng.integers(0, 5, 100)
    tuned = Bigram(tokens, 5, valid)
    for k in range(-3, 11):
        assert tuned.total_nll(valid) <= Bigram(tokens, 5, strength=2.0**k).total_nll(valid)
    assert tuned.strength > 10  # random text: pairs tell nothing
