"""The HMM segmenter against all tag sequences there are, and word spans."""

import math
from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minillm.baselines.hmm import HMM, MAY_FOLLOW, MAY_START, MAY_STOP, TAGS, HMMSegmenter, tag_words
from minillm.baselines.segmentation import span_scores, word_spans
from minillm.data.corpora import load_corpus
from minillm.errors import UserError

SENTENCES = [["我", "爱", "北京", "天安门", "。"], ["爷爷", "带", "我", "看", "升旗", "。"], ["北京人", "在", "北京"]]
WORDS = st.text("我爱北京天", min_size=1, max_size=4)
SEGMENTED = st.lists(st.lists(WORDS, min_size=1, max_size=6), min_size=1, max_size=6)

# ---------------------------------------------------------------------- against brute force


@st.composite
def models(draw):
    """An HMM of 2 to 4 states and 3 symbols, some moves forbidden, and 1 to 6 symbols."""
    n = draw(st.integers(2, 4))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    free = rng.random((n, n + 1)) < draw(st.sampled_from([0.6, 1]))
    free[:, -1] |= ~free.any(axis=1)  # each state leads somewhere

    def shares(shape, allowed=True):
        p = rng.random(shape) ** 3 * allowed
        return p / p.sum(axis=-1, keepdims=True)

    leave = shares((n, n + 1), free)
    model = HMM(shares(n), leave[:, :-1], leave[:, -1], shares((n, 3)))
    return model, np.array(draw(st.lists(st.integers(0, 2), min_size=1, max_size=6)))


def brute_force(model, symbols):
    """p(states, symbols) of every sequence of states."""
    p = {}
    for states in product(range(len(model.start)), repeat=len(symbols)):
        p[states] = model.start[states[0]] * model.stop[states[-1]] * model.emission[list(states), symbols].prod()
        for a, b in pairwise(states):
            p[states] *= model.transition[a, b]
    return p


@given(models())
def test_viterbi_is_the_best_of_all(case):
    model, symbols = case
    p = brute_force(model, symbols)
    states, log_p = model.viterbi(symbols)
    best = max(p.values())
    assert math.exp(log_p) == pytest.approx(best, rel=1e-12)
    if best:  # ties may go either way
        assert p[tuple(states.tolist())] == pytest.approx(best, rel=1e-12)


@given(models())
def test_forward_backward_is_the_sum_of_all(case):
    model, symbols = case
    p = brute_force(model, symbols)
    total = sum(p.values())
    assert math.exp(model.log_likelihood(symbols)) == pytest.approx(total, rel=1e-11)
    if total == 0:
        with pytest.raises(ValueError, match="probability 0"):
            model.posterior(symbols)
        return
    marginal = np.zeros((len(symbols), len(model.start)))
    for states, value in p.items():
        marginal[range(len(symbols)), states] += value / total
    assert model.posterior(symbols) == pytest.approx(marginal, rel=1e-11, abs=1e-300)


@given(SEGMENTED, st.text("我爱北京☃", min_size=1, max_size=6))
@settings(max_examples=50)
def test_the_segmenter_is_the_best_and_the_sum_of_all(sentences, text):
    """The same for tags of characters: only sequences that spell words count, and one of them is found."""
    model = HMMSegmenter(sentences)
    p = brute_force(model.hmm, model.encode(text))
    possible = {states for states, value in p.items() if value}
    assert possible == {  # 2 to the number of gaps between characters
        tuple(tag_words(words)) for words in segmentations(text)
    }
    found = tuple(TAGS.index(tag) for tag in model.tags(text))
    assert p[found] == pytest.approx(max(p.values()), rel=1e-12)
    assert model.log_likelihood(text) == pytest.approx(math.log(sum(p.values())), rel=1e-11)
    assert model.segment(text) in segmentations(text)
    assert model.posterior(text).sum(axis=1) == pytest.approx(1)


def segmentations(text):
    """All ways to cut a text into words."""
    if len(text) == 1:
        return [[text]]
    return [words for rest in segmentations(text[1:]) for words in ([text[0], *rest], [text[0] + rest[0], *rest[1:]])]


def test_all_sentences_together_have_probability_one():
    """Of length 1, 2, 3 ...: the rest that is longer than 200 characters is below 1e-12."""
    model = HMMSegmenter(SENTENCES).hmm
    reached, total = model.start, 0.0
    for _ in range(200):
        total += float(reached @ model.stop)
        reached = reached @ model.transition
    assert total == pytest.approx(1, abs=1e-12)
    every = [brute_force(model, np.array(s)) for s in product(range(model.emission.shape[1]), repeat=2)]
    assert sum(sum(p.values()) for p in every) == pytest.approx(model.start @ model.transition @ model.stop)


def test_a_long_sentence_does_not_underflow():
    model = HMMSegmenter(SENTENCES)
    text = "我爱北京天安门" * 1000
    assert -math.inf < model.log_likelihood(text) < -745  # exp(-746) is 0
    assert model.posterior(text).sum(axis=1) == pytest.approx(1)
    assert "".join(model.segment(text)) == text


def test_parameters_must_be_probabilities():
    half, row = np.full((2, 2), 0.25), np.array([0.5, 0.5])
    HMM(row, half, row, half * 2)
    for wrong in ((row * 2, half, row, half * 2), (row, half, row * 0, half * 2), (row, half, row, half)):
        with pytest.raises(ValueError, match="do not sum to 1"):
            HMM(*wrong)


# ---------------------------------------------------------------------- counts, tags, words


def test_parameters_are_counts():
    k = 0.25
    model = HMMSegmenter([["我", "爱", "北京"], ["北京", "我"], ["天安门"]], k)
    hmm = model.hmm
    assert hmm.start == pytest.approx(np.array([2 + k, 0, 0, 1 + k]) / (3 + 2 * k))  # B and S may start
    assert hmm.transition[0] == pytest.approx(np.array([0, 1 + k, 2 + k, 0]) / (3 + 2 * k))  # B goes to M and E
    assert hmm.transition[2] == pytest.approx(np.array([k, 0, 0, 1 + k]) / (3 + 3 * k))  # E to B, S or the end
    assert hmm.stop == pytest.approx([0, 0, (2 + k) / (3 + 3 * k), (1 + k) / (3 + 3 * k)])
    n = 7 + 1  # 我爱北京天安门, and the unknown: 爱 S, 天 B, 安 M, 门 E were seen once
    assert hmm.emission[3, model.symbols["我"]] == pytest.approx((2 + k) / (3 + 1 + n * k))
    assert hmm.emission[:, model.unknown] == pytest.approx([(1 + k) / (c + 1 + n * k) for c in (3, 1, 3, 3)])


def test_forbidden_moves_have_probability_zero():
    hmm = HMMSegmenter(SENTENCES).hmm
    assert ((hmm.start > 0) == MAY_START).all() and ((hmm.stop > 0) == MAY_STOP).all()
    assert ((hmm.transition > 0) == MAY_FOLLOW).all()
    moves = {TAGS[a] + TAGS[b] for a, b in product(range(4), repeat=2) if MAY_FOLLOW[a, b]}
    assert moves == {"BM", "BE", "MM", "ME", "EB", "ES", "SB", "SS"}
    assert (hmm.emission > 0).all()


@given(st.lists(WORDS, max_size=8))
def test_words_to_tags(words):
    tags = "".join(TAGS[tag] for tag in tag_words(words))
    assert tags == "".join("S" if len(word) == 1 else f"B{'M' * (len(word) - 2)}E" for word in words)


@given(SEGMENTED, st.text("我爱北京天☃\n ab，", max_size=30))
def test_words_joined_are_the_text(sentences, text):
    words = HMMSegmenter(sentences).segment(text)
    assert "".join(words) == text
    assert all(word == "\n" or (word and "\n" not in word) for word in words)


def test_it_learns_what_it_was_shown():
    model = HMMSegmenter(SENTENCES, k=0.01)
    for words in SENTENCES[:2]:
        assert model.segment("".join(words)) == words
    assert model.tags("我爱天安门") == "SSBME"
    assert model.segment("") == [] and model.tags("") == "" and model.posterior("").shape == (0, 4)
    assert model.log_likelihood("") == -math.inf  # a sentence has a character
    assert model.log_likelihood("我爱北京") > model.log_likelihood("京北爱我")
    assert model.log_likelihood("☃") == model.log_likelihood("☂")  # some unknown character


def test_errors_say_what_to_do():
    for nothing in ([], [[]]):
        with pytest.raises(UserError, match="give at least one"):
            HMMSegmenter(nothing)
    with pytest.raises(UserError, match="empty word: leave it out"):
        HMMSegmenter([["我", ""]])
    for k in (0, -1, math.nan, math.inf):
        with pytest.raises(UserError, match="must be above 0"):
            HMMSegmenter(SENTENCES, k)


# ---------------------------------------------------------------------- scores


def test_span_scores_by_hand():
    assert word_spans(["我", "爱", "北京"]) == {(0, 1), (1, 2), (2, 4)}
    assert word_spans([]) == set()
    reference, found = [["我", "爱", "北京"], ["天安门"]], [["我爱", "北京"], ["天", "安", "门"]]
    assert span_scores(reference, found) == (1 / 5, 1 / 4, pytest.approx(2 / 9))
    assert span_scores(reference, reference) == (1, 1, 1)
    assert span_scores([["天安门"]], [["天", "安门"]]) == (0, 0, 0)
    with pytest.raises(ValueError, match="two texts"):
        span_scores([["我"]], [["爱"]])
    with pytest.raises(ValueError, match="no word"):
        span_scores([[]], [[]])


@given(SEGMENTED)
def test_scores_change_places(sentences):
    apart = [list("".join(words)) for words in sentences]
    there, back = span_scores(sentences, apart), span_scores(apart, sentences)
    assert (there.precision, there.recall) == (back.recall, back.precision) and there.f1 == pytest.approx(back.f1)


def test_agreement_with_jieba_on_the_reader():
    """jieba has a dictionary of 350 000 words, we have 60 000 characters that it has cut. It is the reference here,
    not the truth. The blind guess is a cut at every character. One wrong tag spoils two words, so that
    half of the way from there to 1 is the least to ask for."""
    pytest.importorskip("jieba")
    from minillm.text.word import cut_words

    corpus = load_corpus("reader")
    train, test = (
        [cut_words(line) for d in docs for line in d.split("\n") if line] for docs in (corpus.train, corpus.test)
    )
    model = HMMSegmenter(train)
    found = span_scores(test, [model.segment("".join(words)) for words in test])
    blind = span_scores(test, [list("".join(words)) for words in test])
    assert found.f1 > (1 + blind.f1) / 2
    assert min(found.precision, found.recall) > 0.8 and abs(found.precision - found.recall) < 0.05
