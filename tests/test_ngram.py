"""N-gram models of any order, against a slow spelling of their formulas and against another library."""

import math
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minillm.baselines.counts import UNSEEN, NgramCounts
from minillm.baselines.ngram import Bigram
from minillm.baselines.smoothing import AddK, Backoff, KneserNey, estimate_discount
from minillm.data.corpora import load_corpus, token_stream
from minillm.errors import UserError
from minillm.evaluate import scores
from minillm.text import train_tokenizer

V = 5
MODELS = [AddK, Backoff, KneserNey]
TEXTS = st.lists(st.integers(0, V - 2), min_size=4, max_size=40)  # token 4 is never seen in them
ANY = st.lists(st.integers(0, V - 1), max_size=12)
ORDERS = st.integers(1, 4)

# ---------------------------------------------------------------------- counts


def ngrams(tokens, m):
    return [tuple(tokens[i : i + m]) for i in range(len(tokens) - m + 1)]


@given(TEXTS, ANY, ORDERS)
def test_counts(tokens, other, order):
    grams = NgramCounts(np.array(tokens), V, order)
    found = grams.find(np.array(other, np.int64))
    for m in range(1, order + 1):
        slow = Counter(ngrams(tokens, m))
        assert len(grams.keys[m]) == len(slow)
        for i in range(len(other)):
            gram, at = tuple(other[max(i - m + 1, 0) : i + 1]), found[m][i]
            assert (at == UNSEEN) == (len(gram) < m or slow[gram] == 0)
            if at != UNSEEN:
                assert grams.counts[m][at] == slow[gram]
                assert grams.context(m)[at] == found[m - 1][i - 1]
                assert grams.suffix[m][at] == found[m - 1][i]
                if m < order:
                    assert grams.continuations(m)[at] == len({g[0] for g in ngrams(tokens, m + 1) if g[1:] == gram})
                assert grams.children(m, int(found[m - 1][i - 1]))[gram[-1]] == at
    assert (grams.children(1, UNSEEN) == UNSEEN).all()


def test_keys_do_not_overflow():
    """20 000⁵ is beyond 64 bits; and tokens may come in any integer type."""
    rng = np.random.default_rng(0)
    tokens = rng.integers(19_000, 20_000, 300).astype(np.uint64)
    model = KneserNey(tokens, 20_000, 5)
    for m in range(1, 6):
        assert len(model.grams.keys[m]) == len(set(ngrams(tokens.tolist(), m)))
    assert model.next_probabilities(tokens[:4]).argmax() == tokens[4]


# ---------------------------------------------------------------------- formulas, slowly


def slow_probability(model, tokens, context, w):
    """p(w | context) by recursion over dictionaries, as the formulas stand in the module's docstring."""
    context = tuple(context[max(len(context) - model.order + 1, 0) :])
    lower = slow_probability(model, tokens, context[1:], w) if context else 1 / V
    m = len(context) + 1
    if isinstance(model, KneserNey) and m < model.order:
        grams = Counter(gram[1:] for gram in set(ngrams(tokens, m + 1)))
    else:
        grams = Counter(ngrams(tokens, m))
    after = {v: grams[*context, v] for v in range(V) if grams[*context, v]}
    total, seen = sum(after.values()), after.get(w, 0)
    if isinstance(model, AddK):
        return (seen + model.k) / (total + model.k * V)
    if not total:
        return lower
    counts = list(grams.values())
    n1, n2 = counts.count(1), counts.count(2)
    discount = n1 / (n1 + 2 * n2) if n1 and n2 else 0.5
    assert discount == model.discounts[m - 1]
    if isinstance(model, KneserNey):
        return max(seen - discount, 0) / total + discount * len(after) / total * lower
    if len(after) == V:
        return seen / total
    if seen:
        return (seen - discount) / total
    below = [slow_probability(model, tokens, context[1:], v) if context else 1 / V for v in range(V) if v not in after]
    return discount * len(after) / total * lower / sum(below)


@pytest.mark.parametrize("kind", MODELS)
@given(tokens=TEXTS, context=ANY, order=ORDERS)
@settings(max_examples=60)
def test_probabilities_are_the_formula(kind, tokens, context, order):
    model = kind(np.array(tokens), V, order)
    p = model.next_probabilities(context)
    assert p == pytest.approx([slow_probability(model, tokens, context, w) for w in range(V)], rel=1e-9)


@pytest.mark.parametrize("kind", MODELS)
@given(tokens=TEXTS | st.permutations(range(V)), context=ANY, order=ORDERS)
def test_probabilities_sum_to_one(kind, tokens, context, order):
    """After any context, seen or not, and with all of the vocabulary seen or not."""
    p = kind(np.array(tokens), V, order).next_probabilities(context)
    assert p.shape == (V,) and p.min() > 0
    assert p.sum() == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("kind", MODELS)
@given(tokens=TEXTS, test=ANY, order=ORDERS)
def test_total_nll_is_the_sum_over_tokens(kind, tokens, test, order):
    model = kind(np.array(tokens), V, order)
    each = [-math.log(model.next_probabilities(test[:i])[test[i]]) for i in range(1, len(test))]
    assert model.total_nll(np.array(test, np.int64)) == pytest.approx(sum(each), rel=1e-12)
    if each:
        assert model.perplexity(np.array(test)) == pytest.approx(math.exp(sum(each) / len(each)))


def test_kneser_ney_by_hand():
    """San Francisco: 1 is frequent, but only after 0; so 2, which follows two tokens, is the better guess elsewhere."""
    tokens = [0, 1, 0, 1, 0, 1, 3, 2, 0, 2]
    model = KneserNey(np.array(tokens), V, 2, discounts=[0, 0.5])
    p = model.next_probabilities([4])  # never seen: the lower order answers
    types = {(0, 1), (1, 0), (1, 3), (3, 2), (2, 0), (0, 2)}
    assert p == pytest.approx([sum(b == w for _, b in types) / len(types) for w in range(V)])
    assert p[2] > p[1] and tokens.count(1) > tokens.count(2)
    assert model.next_probabilities([0])[1] == pytest.approx((3 - 0.5) / 4 + 0.5 * 2 / 4 * p[1])


def test_discounts():
    assert estimate_discount(np.array([1, 1, 1, 2, 2, 3, 9])) == 3 / (3 + 2 * 2)
    assert estimate_discount(np.array([1, 1, 3])) == estimate_discount(np.array([2, 2])) == 0.5
    tokens = np.array([0, 1, 2, 0, 1, 1])
    assert KneserNey(tokens, V, 3, 0.4).discounts == [0.4, 0.4, 0.4]
    assert Backoff(tokens, V, 2, [0.1, 0.2]).discounts == [0.1, 0.2]
    for wrong in ([0.5], [0.5] * 4, 1.5, -0.1, math.nan):
        with pytest.raises(UserError, match="discounts are one number, or 3 for the orders"):
            KneserNey(tokens, V, 3, wrong)
    for wrong in (0, 1):
        with pytest.raises(UserError, match="above 0 and below 1"):
            Backoff(tokens, V, 3, wrong)
    assert KneserNey(tokens, V, 3, 0).total_nll(np.array([0, 4])) == math.inf  # nothing is left for the unseen


def test_k_is_the_best_on_validation_text():
    rng = np.random.default_rng(0)
    tokens, valid = rng.integers(0, 3, 200), rng.integers(0, 3, 100)
    tuned = AddK(tokens, V, 2, valid=valid)
    for exponent in range(-20, 5):
        assert tuned.total_nll(valid) <= AddK(tokens, V, 2, k=2.0**exponent).total_nll(valid)
    with pytest.raises(UserError, match="k is 0; it must be above 0"):
        AddK(tokens, V, 2, k=0)


def test_errors_say_what_to_do():
    with pytest.raises(UserError, match="it must be 1"):
        KneserNey(np.array([0, 1]), V, 0)
    with pytest.raises(UserError, match="too few for order 3: give more text"):
        Backoff(np.array([0, 1]), V, 3)
    with pytest.raises(UserError, match="at least 2 tokens"):
        AddK(np.array([0, 1]), V, 1).perplexity(np.array([0]))
    for tokens in ([0, V], [0, -1], [[0, 1], [1, 0]]):
        with pytest.raises(ValueError, match="ids from 0 to 4"):
            AddK(np.array(tokens), V, 1)
        with pytest.raises(ValueError, match="ids from 0 to 4"):
            AddK(np.array([0, 1]), V, 2).total_nll(np.array(tokens))


# ---------------------------------------------------------------------- writing


@pytest.mark.parametrize("kind", MODELS)
def test_text_is_drawn_from_the_model(kind):
    rng = np.random.default_rng(0)
    model = kind(rng.integers(0, 4, 300), V, 3)
    assert model.generate(np.random.default_rng(1), [0, 1], 50) == model.generate(np.random.default_rng(1), [0, 1], 50)
    assert len(model.generate(rng, [], 7)) == 7 and model.generate(rng, [2], 0) == []
    p, n = model.next_probabilities([3, 0, 1]), 4000
    share = np.bincount([model.generate(rng, [3, 0, 1], 1)[0] for _ in range(n)], minlength=V) / n
    assert (np.abs(share - p) < 5 * np.sqrt(p * (1 - p) / n) + 1 / n).all()  # five standard errors


def test_what_is_written_depends_on_order_minus_one_tokens():
    model = KneserNey(np.array([0, 1, 2, 3] * 50), V, 3)
    written = [1, *model.generate(np.random.default_rng(0), [0, 1], 40)]
    assert sum(b == (a + 1) % 4 for a, b in pairwise(written)) > 30
    for context in ([4, 4, 0, 1], [0, 1], np.array([2, 0, 1])):
        assert (model.next_probabilities(context) == model.next_probabilities([0, 1])).all()


# ---------------------------------------------------------------------- another library


def nltk_model(text, order, discount):
    """KneserNeyInterpolated of nltk, on n-grams of one text as ours counts them: no padding.

    It differs from ours in three things, none of which is Kneser and Ney's: one discount for all orders (we give it
    ours); none at all for single tokens, so that it has no probability for a token that was never seen (ours: 0 as
    the discount of order 1); and below the highest order its λ counts types that occur, and not those with a
    continuation. The two part only where an n-gram stands at the text's very beginning and nowhere else: its
    probabilities then sum to more than 1, or it divides by 0. So the texts here end as they begin.
    """
    lm = pytest.importorskip("nltk.lm", reason="needs nltk to compare with")
    model = lm.KneserNeyInterpolated(order, discount=discount)
    model.fit([[gram for m in range(1, order + 1) for gram in ngrams(text, m)]], vocabulary_text=text)
    return model


def assert_same_as_nltk(text, test, order, discount):
    chars = sorted(set(text))
    ids = {char: i for i, char in enumerate(chars)}
    tokens, test_tokens = (np.array([ids[char] for char in t]) for t in (text, test))
    ours = KneserNey(tokens, len(chars), order, [0.0, *[discount] * (order - 1)])
    theirs = nltk_model(text, order, discount)
    windows = [tuple(test[max(i - order + 1, 0) : i + 1]) for i in range(1, len(test))]
    assert ours.perplexity(test_tokens) == pytest.approx(theirs.perplexity(windows), rel=1e-9)
    for context in {window[:-1] for window in windows[:3]}:
        p = ours.next_probabilities([ids[char] for char in context])
        assert p == pytest.approx([theirs.score(char, context) for char in chars], rel=1e-9)


@given(st.text("我爱北京", min_size=5, max_size=40), st.data(), st.integers(2, 4), st.floats(0.01, 0.99))
@settings(max_examples=60)
def test_kneser_ney_is_that_of_nltk(text, data, order, discount):
    text += text[: order - 1]
    test = data.draw(st.text(sorted(set(text)), min_size=2, max_size=20))
    assert_same_as_nltk(text, test, order, discount)


@pytest.mark.parametrize("order", [2, 3, 5])
def test_kneser_ney_is_that_of_nltk_on_chinese(order):
    corpus = load_corpus("reader")
    text = corpus.train[0][:600]
    test = "".join(char for char in corpus.test[0][:200] if char in set(text))
    assert_same_as_nltk(text + text[: order - 1], test, order, 0.75)


# ---------------------------------------------------------------------- on the reader


def test_the_order_of_merit_on_the_reader():
    """Bits a character: Kneser-Ney gains with each order and leads; add-k has no fallback and loses beyond pairs."""
    corpus = load_corpus("reader")
    tokenizer = train_tokenizer("char", corpus.train)
    train, valid, test = (token_stream(corpus.split(name), tokenizer) for name in ("train", "valid", "test"))
    size = tokenizer.vocab_size

    def bits(model):
        return scores(model.total_nll(test), test, corpus.test, tokenizer).bits_per_char

    by_order = {kind: [bits(kind(train, size, order)) for order in range(1, 6)] for kind in (Backoff, KneserNey)}
    kneser_ney = by_order[KneserNey]
    assert kneser_ney == sorted(kneser_ney, reverse=True)
    assert all(a < b for a, b in zip(kneser_ney[1:], by_order[Backoff][1:], strict=True))
    assert kneser_ney[1] < bits(Bigram(train, size, valid)) < bits(AddK(train, size, 2, valid=valid))
    assert bits(AddK(train, size, 3, valid=valid)) > bits(AddK(train, size, 2, valid=valid)) + 1
    assert 6 < kneser_ney[4] < 6.5
