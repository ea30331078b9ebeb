"""Skip-gram and GloVe: gradients, what is drawn and counted, what is learnt; neighbours, and vectors as files."""

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from np_cases import generator

from minillm.baselines import glove, word2vec
from minillm.baselines.glove import Counts, GloVe, Parameters, co_occurrences
from minillm.baselines.roles import ROLES, neighbour_accuracy
from minillm.baselines.rows import AdaGrad, RowGradient, look_up_backward, one_hot
from minillm.baselines.vectors import Embeddings, number_words
from minillm.baselines.word2vec import Noise, SkipGram, keep_probability, window_pairs
from minillm.data.corpora import read_pieces
from minillm.errors import UserError
from minillm.np import functional as F
from minillm.np.gradcheck import gradcheck
from minillm.text.word import cut_words

few = settings(max_examples=25)
SEEDS, SIZES = st.integers(0, 2**32 - 1), st.integers(1, 6)
TOLERANCE = 1e-6  # of central differences in float64, as for every other gradient


def close(a, b):
    np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)


def words_of(ids, documents):
    """Ids back to a list a document."""
    return [ids[documents == document].tolist() for document in np.unique(documents)]


@st.composite
def texts(draw):
    """ids, documents: up to four documents of up to nine words out of five."""
    lengths = draw(st.lists(st.integers(1, 9), min_size=1, max_size=4))
    ids = draw(st.lists(st.integers(0, 4), min_size=sum(lengths), max_size=sum(lengths)))
    return np.array(ids), np.repeat(np.arange(len(lengths)), lengths)


# ---------------------------------------------------------------------- rows of a table


@few
@given(SEEDS, SIZES, SIZES, st.lists(st.integers(0, 5), max_size=2).map(tuple))
def test_a_look_up_is_a_product_with_one_hot_vectors(seed, size, dim, shape):
    """Forward, W[ids] = onehot(ids) W; backward, dW = onehot(ids)ᵀ dout. As in minillm.np, where W is the embedding."""
    rng = generator(seed)
    table, ids = rng.standard_normal((size, dim)), rng.integers(size, size=shape)
    product = one_hot(ids, size)
    out, cache = F.embedding(ids, table)
    assert np.array_equal(product @ table, table[ids]) and np.array_equal(out, table[ids])
    dout = rng.standard_normal(out.shape)
    gradient = look_up_backward(ids, dout)
    expected = product.reshape(-1, size).T @ dout.reshape(-1, dim)
    close(gradient.dense(size), expected)
    close(F.embedding_backward(dout, cache), expected)
    assert np.array_equal(gradient.ids, np.unique(ids))


def test_adagrad_by_hand():
    table = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    optimiser = AdaGrad(table)
    optimiser.step(RowGradient(np.array([0, 2]), np.array([[3.0, -1.0], [0.0, 2.0]])), lr=0.1)
    close(table, [[0.9, 2.1], [3.0, 4.0], [5.0, 5.9]])  # the first step is lr long, whatever the gradient
    optimiser.step(RowGradient(np.array([0]), np.array([[4.0, 0.0]])), lr=0.1)
    close(table, [[0.9 - 0.1 * 4 / 5, 2.1], [3.0, 4.0], [5.0, 5.9]])


# ---------------------------------------------------------------------- skip-gram


@few
@given(SEEDS, SIZES, SIZES, st.integers(1, 8), st.integers(0, 4))
def test_skip_gram_loss_and_gradients(seed, vocab_size, dim, batch, negatives):
    rng = generator(seed)
    w_in, w_out = rng.standard_normal((2, vocab_size, dim))
    centers, contexts = rng.integers(vocab_size, size=(2, batch))
    noise = rng.integers(vocab_size, size=(batch, negatives))

    def run():
        return word2vec.loss_and_gradients(w_in, w_out, centers, contexts, noise)

    loss, d_in, d_out = run()
    expected = 0.0
    for c, o, drawn in zip(centers, contexts, noise, strict=True):
        expected -= math.log(1 / (1 + math.exp(-w_in[c] @ w_out[o])))
        expected -= sum(math.log(1 / (1 + math.exp(w_in[c] @ w_out[n]))) for n in drawn if n != o)
    assert loss == pytest.approx(expected, rel=1e-9)
    grads = {"in": d_in.dense(vocab_size), "out": d_out.dense(vocab_size)}
    worst = gradcheck(lambda: run()[0], {"in": w_in, "out": w_out}, grads)
    assert worst.error < TOLERANCE, worst


def test_skip_gram_does_not_overflow():
    w = np.array([[100.0], [-100.0]], np.float32)
    with np.errstate(all="raise", under="ignore"):
        loss, d_in, d_out = word2vec.loss_and_gradients(w, w, np.array([0, 1]), np.array([1, 1]), np.array([[0], [0]]))
    assert loss == pytest.approx(2e4)  # 0 with 1 is thought impossible, and 0 with 0 certain
    assert d_in.rows.dtype == d_out.rows.dtype == np.float32


@few
@given(SEEDS, texts(), st.integers(1, 12))
def test_windows_are_those_of_a_double_loop(seed, text, window):
    ids, documents = text
    reach = iter(generator(seed).integers(1, window + 1, size=len(ids)))
    expected = Counter()
    for words in words_of(ids, documents):
        for i, center in enumerate(words):
            near = next(reach)
            expected.update((center, words[j]) for j in range(len(words)) if 0 < abs(i - j) <= near)
    pairs = window_pairs(ids, documents, window, generator(seed))
    assert Counter(zip(*(part.tolist() for part in pairs), strict=True)) == expected


def test_noise_follows_the_distribution():
    counts = np.array([1, 16, 81, 256, 10_000])
    noise = Noise(counts)
    weights = np.array([1, 8, 27, 64, 1000])  # counts^(3/4)
    close(noise.probabilities, weights / 1100)
    n = 200_000
    drawn = np.bincount(noise.draw((n // 4, 4), generator()).ravel(), minlength=5)
    p = noise.probabilities
    assert (np.abs(drawn - n * p) < 5 * np.sqrt(n * p * (1 - p))).all()  # 5 standard errors


def test_subsampling_keeps_what_it_should():
    close(keep_probability(np.array([900, 90, 10]), 0.01), [math.sqrt(0.01 / 0.9), math.sqrt(0.01 / 0.09), 1])
    documents = [["的"] * 9 + [f"词{i % 5}"] for i in range(2000)]
    generator(1).shuffle(stream := [word for words in documents for word in words])
    model = SkipGram([stream], window=1, subsample=0.01, rng=generator())
    assert model.words[0] == "的"
    kept = []
    for seed in range(5):
        centers, _ = model.pairs(generator(seed))
        kept.append(len(centers) / 2)  # a window of 1 has two pairs, but at the ends of the text
    expected, variance = 0.0, 0.0
    for count in (18_000, 400, 400, 400, 400, 400):
        p = min(1, math.sqrt(0.01 / (count / 20_000)))
        expected, variance = expected + count * p, variance + count * p * (1 - p)
    assert abs(np.mean(kept) - expected) < 5 * math.sqrt(variance / 5) + 1
    share = (centers == 0).mean()  # of the last pass: 的, 90% of the text, is about half of what is left
    assert abs(share - 18_000 * math.sqrt(0.01 / 0.9) / expected) < 5 * math.sqrt(0.25 / kept[-1])


# ---------------------------------------------------------------------- GloVe


@given(texts(), st.integers(1, 12))
def test_co_occurrences_are_those_of_a_double_loop(text, window):
    ids, documents = text
    expected = np.zeros((5, 5))
    for words in words_of(ids, documents):
        for i, a in enumerate(words):
            for j, b in enumerate(words):
                if 0 < abs(i - j) <= window:
                    expected[a, b] += 1 / abs(i - j)
    counts = co_occurrences(ids, documents, window, 5)
    close(counts.dense(5), expected)
    assert len(counts.values) == (expected > 0).sum() and (counts.values > 0).all()


@few
@given(SEEDS, SIZES, SIZES, st.integers(1, 8))
def test_glove_loss_and_gradients(seed, vocab_size, dim, batch):
    rng = generator(seed)
    shapes = (vocab_size, dim), (vocab_size, dim), (vocab_size, 1), (vocab_size, 1)
    parameters = Parameters(*(rng.standard_normal(shape) for shape in shapes))
    counts = Counts(*rng.integers(vocab_size, size=(2, batch)), 10 ** rng.uniform(-1, 3, size=batch))  # around x_max
    loss, gradients = glove.loss_and_gradients(parameters, counts)
    w, w_tilde, b, b_tilde = parameters
    expected = 0.0
    for i, j, x in zip(*counts, strict=True):
        weight = (x / 100) ** 0.75 if x < 100 else 1
        expected += weight * (w[i] @ w_tilde[j] + b[i, 0] + b_tilde[j, 0] - math.log(x)) ** 2
    assert loss == pytest.approx(expected, rel=1e-9)
    grads = {name: g.dense(vocab_size) for name, g in zip(Parameters._fields, gradients, strict=True)}
    worst = gradcheck(lambda: glove.loss_and_gradients(parameters, counts)[0], parameters._asdict(), grads)
    assert worst.error < TOLERANCE, worst


# ---------------------------------------------------------------------- what both learn

PLANTED = {role: [f"{role}{i}" for i in range(8)] for role in "人时地动物形"}
ROLE_PATTERNS = ["人时地", "地动人", "时动物", "形物动", "物时形", "人形动"]
TOPIC_PATTERNS = [role * 3 for role in PLANTED]


def planted_text(rng, patterns, sentences=10_000):
    """Sentences of three words, each any word of the role in its place; but one in five any word at all.

    Without the latter two words would meet as often as any others or never, and GloVe, which looks only at pairs
    that met, would have nothing to learn from.
    """
    names = list(PLANTED)
    roles = np.array([[names.index(role) for role in pattern] for pattern in patterns])
    roles = roles[rng.integers(len(patterns), size=sentences)]
    roles = np.where(rng.random(roles.shape) < 0.8, roles, rng.integers(len(names), size=roles.shape))
    which = rng.integers(8, size=roles.shape)
    return [[PLANTED[names[role]][i] for role, i in zip(*pair, strict=True)] for pair in zip(roles, which, strict=True)]


def train_skip_gram(documents, seed):
    rng = generator(seed)
    model = SkipGram(documents, dim=8, window=2, subsample=1.0, rng=rng)
    return model, model.train(3, batch_size=256, rng=rng)


def train_glove(documents, seed):
    rng = generator(seed)
    model = GloVe(documents, dim=8, window=2, rng=rng)
    return model, model.train(60, lr=0.1, batch_size=256, rng=rng)


BOTH = pytest.mark.parametrize("train", [train_skip_gram, train_glove])


def precision(vectors):
    """The share of the 7 nearest of each word that are of its role or topic. By chance 7/47 = 0.15."""
    return np.mean([near[0] == word[0] for word in vectors.words for near, _ in vectors.nearest(word, 7)])


@pytest.mark.parametrize("patterns", [ROLE_PATTERNS, TOPIC_PATTERNS], ids=["roles", "topics"])
@pytest.mark.parametrize("seed", range(5))
def test_skip_gram_finds_what_was_planted(seed, patterns):
    model, losses = train_skip_gram(planted_text(generator(100 + seed), patterns), seed)
    assert losses[-1] < losses[0]
    assert precision(model.embeddings()) > 0.85
    score, chance, words = neighbour_accuracy(model.embeddings(), PLANTED)
    assert score > 0.9 and chance == pytest.approx(7 / 47) and words == 48


@pytest.mark.parametrize("seed", range(5))
def test_glove_finds_what_was_planted(seed):
    """Words of one role keep the same company but rarely meet: w alone tells, in the sum of the tables it cancels."""
    roles, losses = train_glove(planted_text(generator(100 + seed), ROLE_PATTERNS), seed)
    topics, _ = train_glove(planted_text(generator(100 + seed), TOPIC_PATTERNS), seed)
    assert losses[-1] < losses[0]
    assert precision(topics.embeddings()) > 0.85
    assert precision(topics.embeddings(sum_tables=False)) > 0.85
    assert precision(roles.embeddings(sum_tables=False)) > 0.85
    assert precision(roles.embeddings()) < 0.7


@BOTH
def test_a_seed_decides_everything(train):
    documents = planted_text(generator(), ROLE_PATTERNS, 200)
    (one, losses), (again, losses_again), (other, _) = (train(documents, seed) for seed in (1, 1, 2))
    assert losses == losses_again
    assert np.array_equal(one.embeddings().matrix, again.embeddings().matrix)
    assert not np.allclose(one.embeddings().matrix, other.embeddings().matrix, rtol=0.1)


@BOTH
def test_training_stays_in_float32_and_bears_a_lonely_word(train):
    model, losses = train([["树", "下"] * 9, []], 0)
    assert model.embeddings().matrix.dtype == np.float32 and np.isfinite(losses).all()
    model, losses = train([["树"], ["树"], []], 0)  # no word has a neighbour: nothing to learn
    assert set(losses) == {0.0} and len(model.embeddings()) == 1
    with pytest.raises(UserError, match="no word occurs 2 times"):
        train([["树"], []], 0)


@pytest.fixture(scope="module")
def reader():
    """The reader's words, without punctuation."""
    pytest.importorskip("jieba")
    return [[word for word in cut_words(piece.text) if word[0].isalnum()] for piece in read_pieces()]


@pytest.mark.parametrize("kind", [SkipGram, GloVe])
def test_words_of_the_reader_find_words_of_their_role(kind, reader):
    """By chance 0.17 do. Ten passes find about 0.5, twenty 0.6; twice chance is asked for, 4 standard errors."""
    rng = generator()
    model = kind(reader, dim=32, window=3, min_count=5, rng=rng)
    model.train(10, rng=rng)
    score, chance, words = neighbour_accuracy(model.embeddings())
    assert words > 0.9 * sum(map(len, ROLES.values()))
    assert score > 2 * chance


def test_rare_words_are_taken_out_first():
    words, ids, documents = number_words([["b", "x", "a", "a"], ["y"], ["a", "b"]], min_count=2)
    assert words == ["a", "b"]
    assert (ids.tolist(), documents.tolist()) == ([1, 0, 0, 0, 1], [0, 0, 0, 2, 2])
    assert number_words(["天天", "天上"], min_count=1)[0] == ["天", "上"]  # a string's words are its characters


# ---------------------------------------------------------------------- words with vectors

KINGDOM = Embeddings(
    ["国王", "王后", "男人", "女人", "苹果"], np.array([[3, 1, 0], [3, -1, 0], [0, 2, 0], [0, -2, 0], [0, 0, 5.0]])
)


def test_neighbours_and_analogies_by_hand():
    assert [word for word, _ in KINGDOM.nearest("国王", 2)] == ["王后", "男人"]
    close([cosine for _, cosine in KINGDOM.nearest("国王")], [0.8, math.sqrt(0.1), 0, -math.sqrt(0.1)])
    close(KINGDOM.similarities(["男人"], ["女人", "苹果"]), [[-1, 0]])
    ((word, cosine),) = KINGDOM.analogy("男人", "女人", "国王", n=1)  # man is to woman as king is to ...
    target = np.array([3 / math.sqrt(10), 1 / math.sqrt(10) - 2, 0])
    close(cosine, target @ [3, -1, 0] / np.linalg.norm(target) / math.sqrt(10))
    assert word == "王后"
    assert {word for word, _ in KINGDOM.analogy("男人", "女人", "国王")} == {"王后", "苹果"}  # nothing that was asked
    zero = Embeddings(["a", "b"], np.array([[0.0, 0.0], [1.0, 0.0]]))
    assert zero.nearest("a") == [("b", 0.0)] and zero.nearest("b", 0) == []


def test_neighbour_accuracy_by_hand():
    """Three words are known. The two of one class find each other; the third has none to find."""
    classes = {"crown": ["国王", "王后", "太子"], "fruit": ["苹果"]}
    score, chance, words = neighbour_accuracy(KINGDOM, classes)
    assert words == 3 and score == pytest.approx(2 / 3) and chance == pytest.approx((1 / 2 + 1 / 2 + 0) / 3)
    with pytest.raises(ValueError, match="two known words"):
        neighbour_accuracy(KINGDOM, {"fruit": ["苹果", "梨"]})


def test_unknown_words_are_named_with_known_ones_like_them():
    for ask in (
        lambda: KINGDOM["国后"],
        lambda: KINGDOM.nearest("国后"),
        lambda: KINGDOM.analogy("男人", "女人", "国后"),
        lambda: KINGDOM.similarities(["国王"], ["国后"]),
    ):
        with pytest.raises(
            UserError, match=r"'国后' is not one of the 5 known words; .* like it are (国王, 王后|王后, 国王)$"
        ):
            ask()
    with pytest.raises(UserError, match="none is written like it"):
        KINGDOM["龘"]
    assert "苹果" in KINGDOM and "梨" not in KINGDOM
    for words, matrix in ((["a"], np.ones((2, 2))), (["a", "a"], np.ones((2, 2)))):
        with pytest.raises(ValueError):
            Embeddings(words, matrix)


WORD = st.text(min_size=1, max_size=5)
FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False)


@few
@given(st.lists(WORD, unique=True, min_size=1, max_size=5), st.integers(1, 4), st.data())
def test_a_file_gives_back_what_was_saved(tmp_path_factory, words, dim, data):
    path = tmp_path_factory.mktemp("vectors") / "words.txt"
    matrix = np.array([[data.draw(FLOATS) for _ in range(dim)] for _ in words], np.float32)
    try:
        Embeddings(words, matrix).save(path)
    except UserError as error:
        assert "cannot stand in a file" in str(error) and any(not word.isprintable() or " " in word for word in words)
        return
    vectors = Embeddings.load(path)
    assert vectors.words == words and np.array_equal(vectors.matrix, matrix)
    assert path.read_text(encoding="utf-8").split("\n")[0] == f"{len(words)} {dim}"


@pytest.mark.parametrize("word", [" ", "a b", "行\n", "\u3000", "\0", "\ud800", ""])
def test_words_that_would_break_the_file_are_refused(tmp_path, word):
    with pytest.raises(UserError, match="cannot stand in a file"):
        Embeddings(["树", word], np.ones((2, 2))).save(tmp_path / "words.txt")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "text, says",
    [
        ("我爱北京\n", 'does not begin with "V D"'),
        ("2 2\n树 1 2\n", "says 2 words but holds 1"),
        ("1 2\n树 1\n", "line 2: not a new word and 2 numbers"),
        ("1 2\n树 1 2 3\n", "line 2"),
        ("1 2\n树 1 x\n", "line 2"),
        ("1 2\n树 1 nan\n", "line 2"),
        ("1 2\n树 1 1e99\n", "line 2"),
        ("2 1\n树 1\n树 2\n", "line 3"),
        ("1 -1\n树\n", 'does not begin with "V D"'),
        ("0 0\n", 'does not begin with "V D"'),
    ],
)
def test_a_file_that_does_not_fit_is_refused(tmp_path, text, says):
    path = tmp_path / "words.txt"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UserError) as caught:
        Embeddings.load(path)
    assert says in str(caught.value) and str(path) in str(caught.value) and "\n" not in str(caught.value)


@given(st.text("012 -.e\n\r\t树nai\x0b\u3000x", max_size=30))
def test_any_text_is_read_or_refused(tmp_path_factory, text):
    path = tmp_path_factory.getbasetemp() / "any.txt"
    path.write_text(text, encoding="utf-8", newline="")
    try:
        vectors = Embeddings.load(path)
    except UserError:
        return
    assert vectors.matrix.shape[0] == len(vectors) and np.isfinite(vectors.matrix).all()
