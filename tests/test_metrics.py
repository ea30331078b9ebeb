"""minillm.metrics against scikit-learn, sacrebleu and rouge-score on many random cases, and against hand-made ones."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minillm import metrics
from minillm.metrics.bleu import brevity_penalty, n_grams

CASES = settings(max_examples=100, deadline=None, derandomize=True)
split = str.split
WORDS = st.lists(st.sampled_from("abcde"), max_size=9)


def labels(classes, rows):
    label = st.integers(0, classes - 1)
    return st.lists(st.tuples(label, label), min_size=1, max_size=rows)


# ---------------------------------------------------------------------- labels


@CASES
@given(st.integers(1, 5).flatmap(lambda classes: st.tuples(st.just(classes), labels(classes, 30))))
def test_classification_equals_scikit_learn(case):
    judge = pytest.importorskip("sklearn.metrics")
    classes, pairs = case
    truth, guess = np.array(pairs).T
    everything = range(classes)
    matrix = metrics.confusion_matrix(truth, guess, classes)
    assert np.array_equal(matrix, judge.confusion_matrix(truth, guess, labels=everything))
    assert metrics.accuracy(truth, guess) == pytest.approx(judge.accuracy_score(truth, guess), abs=1e-15)
    for average in (None, "macro", "micro", "weighted"):
        right = judge.precision_recall_fscore_support(truth, guess, labels=everything, average=average, zero_division=0)
        ours = metrics.averaged(matrix, average) if average else metrics.per_class(matrix)
        for mine, theirs in zip(ours, right, strict=False):
            assert np.allclose(mine, theirs, rtol=1e-13, atol=0)


def test_scores_by_hand():
    matrix = metrics.confusion_matrix([1, 1, 1, 0, 0], [1, 1, 0, 1, 0], 2)
    assert matrix.tolist() == [[1, 1], [1, 2]]
    assert metrics.per_class(matrix).precision.tolist() == [1 / 2, 2 / 3]
    assert metrics.scores_of_counts(2, 4, 8) == (1 / 2, 1 / 4, 1 / 3)
    assert metrics.averaged(matrix, "macro").f1 == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert metrics.averaged(matrix, "micro") == (3 / 5, 3 / 5, 3 / 5)


def test_nothing_said_and_nothing_there_score_zero():
    assert metrics.scores_of_counts(0, 0, 5) == (0, 0, 0)
    assert metrics.scores_of_counts(0, 5, 0) == (0, 0, 0)
    assert metrics.scores_of_counts(0, 0, 0) == (0, 0, 0)
    only_one = metrics.confusion_matrix([0, 0], [0, 0], 2)
    assert metrics.per_class(only_one).f1.tolist() == [1, 0]
    assert metrics.averaged(only_one, "macro").f1 == 1 / 2
    assert metrics.averaged(only_one, "weighted").f1 == 1


@pytest.mark.parametrize(
    "call",
    [
        lambda: metrics.confusion_matrix([0, 2], [0, 1], 2),
        lambda: metrics.confusion_matrix([0, -1], [0, 1], 2),
        lambda: metrics.confusion_matrix([0, 1], [0], 2),
        lambda: metrics.accuracy([], []),
        lambda: metrics.averaged(np.eye(2), "mean"),
        lambda: metrics.perplexity(np.array([])),
        lambda: metrics.bits_per_character(np.ones(3), 0),
        lambda: metrics.bleu([], []),
        lambda: metrics.bleu([["a"]], [[]]),
        lambda: metrics.bleu([["a"]], []),
        lambda: metrics.rouge_n(["a"], ["a"], 0),
        lambda: metrics.wilson_interval(3, 2),
        lambda: metrics.wilson_interval(1, 2, level=1.0),
        lambda: metrics.bootstrap_interval(lambda rows: 0.0, 0, np.random.default_rng(0)),
        lambda: metrics.runs(["a"], 0),
    ],
)
def test_what_cannot_be_scored_is_refused(call):
    with pytest.raises(ValueError, match=r".{10}"):
        call()


# ---------------------------------------------------------------------- probabilities


def test_perplexity_and_bits():
    nll = np.full(6, math.log(8), dtype=np.float32)
    assert metrics.perplexity(nll) == pytest.approx(8)
    assert metrics.bits_per_character(nll, 9) == pytest.approx(2)  # 6 tokens of 3 bits over 9 characters
    assert metrics.perplexity(np.array([math.log(2), math.log(8)])) == pytest.approx(4)  # the geometric mean


# ---------------------------------------------------------------------- BLEU


@pytest.fixture(scope="module")
def sacrebleu():
    return pytest.importorskip("sacrebleu")


def sentences(count):
    return st.lists(st.tuples(WORDS, *[WORDS] * count), min_size=1, max_size=4)


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("sentence", [False, True])
def test_bleu_equals_sacrebleu(sacrebleu, count, sentence):
    judge = sacrebleu.BLEU(tokenize="none", effective_order=sentence)

    @CASES
    @given(sentences(count))
    def equal(rows):
        ours, *theirs = zip(*rows, strict=True)
        got = metrics.bleu(ours, list(zip(*theirs, strict=True)), sentence=sentence)
        right = judge.corpus_score([" ".join(x) for x in ours], [[" ".join(x) for x in column] for column in theirs])
        assert got.score == pytest.approx(right.score, rel=1e-12)
        assert got.precisions == pytest.approx(right.precisions, rel=1e-12)
        assert got.brevity_penalty == pytest.approx(right.bp, rel=1e-12)
        assert (got.length, got.reference_length) == (right.sys_len, right.ref_len)

    equal()


@pytest.mark.parametrize("name", ["zh", "13a"])
def test_texts_are_cut_as_sacrebleu_cuts_them(sacrebleu, name):
    judge = sacrebleu.BLEU(tokenize=name)
    ours = {"zh": metrics.split_chinese, "13a": metrics.split_english}[name]

    @CASES
    @given(st.text(st.sampled_from(list("我爱，。“”ab12 .,-'!&;$(){}~@/\n\t□￥한ー")) | st.characters(), max_size=20))
    def equal(text):
        assert ours(text) == judge.tokenizer(text).split()

    equal()
    everything = [chr(c) for c in range(0x20000) if not 0xD800 <= c < 0xE000]
    for start in range(0, len(everything), 997):
        text = "x".join(everything[start : start + 997])
        assert ours(text) == judge.tokenizer(text).split(), hex(ord(text[0]))


def test_bleu_of_chinese_equals_sacrebleu(sacrebleu):
    ours, theirs = ["我爱北京的天安门。", "小川买了3.5斤苹果"], ["我爱北京天安门。", "小川买了3.5斤梨，"]
    got = metrics.bleu([metrics.split_chinese(x) for x in ours], [[metrics.split_chinese(x)] for x in theirs])
    assert got.score == pytest.approx(sacrebleu.corpus_bleu(ours, [theirs], tokenize="zh").score, rel=1e-12)


def test_bleu_clips_and_punishes_brevity():
    the = ["the"] * 7
    references = [split("the cat is on the mat"), split("there is a cat on the mat")]
    assert metrics.bleu_counts(the, references, 1).tolist() == [2, 7, 7, 7]  # 2 of 7, as in the paper
    assert metrics.bleu([references[0]], [references]).score == pytest.approx(100)
    assert metrics.bleu([["cat"]], [references]).score == 0
    assert brevity_penalty(3, 6) == pytest.approx(math.exp(-1))
    assert (brevity_penalty(0, 6), brevity_penalty(0, 0), brevity_penalty(7, 6)) == (0, 1, 1)
    assert metrics.bleu_counts([1, 2], [[1], [1, 2, 3]])[-1] == 1  # of two that are as near, the shorter


@CASES
@given(sentences(1))
def test_counts_of_sentences_add_up(rows):
    ours, theirs = zip(*rows, strict=True)
    total = sum(metrics.bleu_counts(a, [b]) for a, b in rows)
    assert metrics.bleu_of_counts(total) == metrics.bleu(ours, [[b] for b in theirs])


# ---------------------------------------------------------------------- ROUGE


def test_rouge_equals_rouge_score():
    scorer = pytest.importorskip("rouge_score.rouge_scorer")

    class Blanks:
        def tokenize(self, text):
            return text.split()

    judge = scorer.RougeScorer(["rouge1", "rouge2", "rouge3", "rougeL"], tokenizer=Blanks())

    @CASES
    @given(WORDS, WORDS)
    def equal(reference, summary):
        right = judge.score(" ".join(reference), " ".join(summary))
        for n in (1, 2, 3):
            assert metrics.rouge_n(reference, summary, n) == pytest.approx(right[f"rouge{n}"], rel=1e-12)
        assert metrics.rouge_l(reference, summary) == pytest.approx(right["rougeL"], rel=1e-12)

    equal()
    assert scorer.RougeScorer(["rouge1"]).score("我爱北京", "我爱北京")["rouge1"].fmeasure == 0  # the trap


def test_rouge_by_hand():
    assert metrics.rouge_l(split("police killed the gunman"), split("the gunman killed police")) == (0.5, 0.5, 0.5)
    assert metrics.lcs_length("ABCBDAB", "BDCABA") == 4
    assert metrics.rouge_n("我爱北京", "北京我爱", 2) == pytest.approx((2 / 3, 2 / 3, 2 / 3))
    assert metrics.rouge_n("", "我", 1) == metrics.rouge_l("", "我") == metrics.rouge_l("我", "") == (0, 0, 0)
    assert n_grams("我", 2) == {}


# ---------------------------------------------------------------------- how sure


def test_bootstrap_interval_of_a_mean():
    rng = np.random.default_rng(0)
    values = rng.normal(size=400)
    low, high = metrics.bootstrap_interval(metrics.mean_of(values), 400, rng, resamples=4000)
    half = 1.96 * values.std() / 20
    assert low == pytest.approx(values.mean() - half, abs=0.005)
    assert high == pytest.approx(values.mean() + half, abs=0.005)
    narrow = metrics.bootstrap_interval(metrics.mean_of(values), 400, rng, level=0.5)
    assert low < narrow.low < values.mean() < narrow.high < high and values.mean() in narrow


def test_pairs_are_drawn_together():
    rng = np.random.default_rng(1)
    hard = rng.normal(size=100)  # much that both systems share
    result = metrics.paired_bootstrap(metrics.mean_of(hard + 0.1), metrics.mean_of(hard), 100, rng)
    assert result.difference == pytest.approx(0.1)
    assert result.interval == pytest.approx((0.1, 0.1))
    assert result.wins == 1
    same = metrics.paired_bootstrap(metrics.mean_of(hard), metrics.mean_of(hard), 100, rng)
    assert same == (0, (0, 0), 0.5)


def test_same_generator_same_interval():
    score = metrics.mean_of(np.arange(99))
    first, again, other = (metrics.bootstrap_interval(score, 99, np.random.default_rng(seed)) for seed in (3, 3, 4))
    assert first == again != other


def test_wilson_interval():
    low, high = metrics.wilson_interval(9, 10)
    for p in (low, high):  # the ends solve Wilson's equation
        assert abs(0.9 - p) == pytest.approx(1.959964 * math.sqrt(p * (1 - p) / 10), rel=1e-6)
    assert metrics.wilson_interval(10, 10) == pytest.approx((1 / (1 + 1.959964**2 / 10), 1))
    assert metrics.wilson_interval(0, 10).low == 0
    with_half = metrics.wilson_interval(50, 100, level=0.5)
    assert 0.5 in with_half and 0.45 not in with_half


# ---------------------------------------------------------------------- leakage


def test_overlap():
    known = metrics.runs(["我爱北京 天安门", "天安门上太阳升"], 4)
    assert "京天安门" in known and "安门天安" not in known  # white space goes, texts do not join
    assert metrics.overlap("爱北京天安", known, 4) == 1
    assert metrics.overlap("爱北京天坛", known, 4) == 1 / 2
    assert metrics.overlap("天安门", known, 4) == 0
