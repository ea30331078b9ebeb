"""Generation: each way to choose the next token against cases worked out by hand or by brute force."""

import itertools
import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from minillm.backend import Backend
from minillm.config import ModelConfig
from minillm.errors import UserError
from minillm.generate import beam_search, control_repetition, distribution, generate

LOG_P = np.log(np.array([0.1, 0.4, 0.3, 0.2], dtype=np.float32))


def rng(seed=0):
    return np.random.default_rng(seed)


def make_model(backend, vocab_size=7, context=8, seed=0, **options):
    """A GPT with weights large enough that its choices differ clearly."""
    config = ModelConfig(vocab_size, context=context, n_layer=2, n_head=2, d_model=16, **options)
    model = backend.gpt(config, seed)
    backend.load_weights(model, {name: 12 * array for name, array in backend.weights(model).items()})
    return model


# ---------------------------------------------------------------------- one distribution


@pytest.mark.parametrize(
    "settings, expected",
    [
        ({}, [0.1, 0.4, 0.3, 0.2]),
        ({"temperature": 0}, [0, 1, 0, 0]),
        ({"temperature": 0.5}, [1 / 30, 16 / 30, 9 / 30, 4 / 30]),  # squares, made to sum to 1
        ({"temperature": 5e-324}, [0, 1, 0, 0]),
        ({"temperature": 1e300}, [0.25, 0.25, 0.25, 0.25]),
        ({"top_k": 1}, [0, 1, 0, 0]),
        ({"top_k": 2}, [0, 4 / 7, 3 / 7, 0]),
        ({"top_k": 4}, [0.1, 0.4, 0.3, 0.2]),
        ({"top_k": 99}, [0.1, 0.4, 0.3, 0.2]),
        ({"top_p": 0.01}, [0, 1, 0, 0]),
        ({"top_p": 0.39}, [0, 1, 0, 0]),
        ({"top_p": 0.41}, [0, 4 / 7, 3 / 7, 0]),
        ({"top_p": 0.71}, [0, 4 / 9, 3 / 9, 2 / 9]),
        ({"top_p": 1.0}, [0.1, 0.4, 0.3, 0.2]),
        ({"top_k": 2, "top_p": 0.5}, [0, 1, 0, 0]),  # 4/7 is more than a half of what top-k has left
        ({"top_k": 2, "top_p": 0.6}, [0, 4 / 7, 3 / 7, 0]),
        ({"temperature": 0.5, "top_k": 3, "top_p": 0.6}, [0, 16 / 25, 9 / 25, 0]),
    ],
    ids=str,
)
def test_distribution(settings, expected):
    p = distribution(LOG_P, **settings)
    assert p.dtype == np.float64
    np.testing.assert_allclose(p, expected, rtol=1e-6, atol=1e-12)


def test_ties_are_broken_by_the_lower_id():
    """So exactly k tokens stay, and NumPy and PyTorch agree."""
    equal = np.zeros(4, dtype=np.float32)
    np.testing.assert_array_equal(distribution(equal, top_k=2), [0.5, 0.5, 0, 0])
    np.testing.assert_array_equal(distribution(equal, top_p=0.5), [0.5, 0.5, 0, 0])  # the boundary belongs to it
    np.testing.assert_array_equal(distribution(equal, temperature=0), [1, 0, 0, 0])


def test_a_banned_token_has_no_probability():
    logits = np.array([1, -np.inf, 2, -np.inf])
    for settings in ({}, {"temperature": 5e-324}, {"top_k": 3}, {"top_p": 0.99}, {"temperature": 1e9}):
        p = distribution(logits, **settings)
        assert p[1] == p[3] == 0 and p.sum() == pytest.approx(1)


@given(st.lists(st.floats(-50, 50, width=32), min_size=1, max_size=20), st.floats(0.01, 10), st.data())
def test_distribution_keeps_the_smallest_likely_set(logits, temperature, data):
    logits = np.array(logits, dtype=np.float32)
    top_k, top_p = data.draw(st.integers(0, 25)), data.draw(st.floats(0.01, 1))
    full, p = distribution(logits, temperature), distribution(logits, temperature, top_k, top_p)
    assert p.sum() == pytest.approx(1)
    kept = p > 0
    size = np.count_nonzero(kept)
    assert 1 <= size <= (top_k or len(p))
    assert full[kept].min() >= full[~kept].max(initial=0)
    assert p[np.argmax(full)] > 0
    ranked = np.sort(full)[::-1][: top_k or None]
    assert size == 1 or ranked[: size - 1].sum() < top_p * ranked.sum() + 1e-12


@pytest.mark.parametrize(
    "settings",
    [
        *({"temperature": value} for value in (-1, math.nan, math.inf)),
        *({"top_p": value} for value in (0, -0.1, 1.1, math.nan)),
        *({"repetition_penalty": value} for value in (0, -1, math.nan, math.inf)),
        {"top_k": -1},
        {"prompt": []},
        {"prompt": [1] * 9},
    ],
    ids=str,
)
def test_wrong_settings_are_refused_at_once(settings):
    prompt = settings.pop("prompt", [1])
    with pytest.raises(UserError):
        generate(make_model(Backend("np")), prompt, 3, rng=rng(), **settings)  # nothing was asked of it yet


def test_wrong_beam_settings():
    model = make_model(Backend("np"))
    for prompt, width in (([], 2), ([1] * 9, 2), ([1], 0)):
        with pytest.raises(UserError):
            beam_search(model, prompt, 3, width=width)


# ---------------------------------------------------------------------- repetition


def test_repetition_penalty():
    logits = np.array([2.0, -2.0, 1.0, -1.0])
    np.testing.assert_array_equal(control_repetition(logits, [0, 1, 1], penalty=2), [1, -4, 1, -1])
    np.testing.assert_array_equal(control_repetition(logits, [], penalty=2), logits)
    assert control_repetition(logits, [0], penalty=1) is logits
    np.testing.assert_array_equal(logits, [2, -2, 1, -1])  # the caller's array is as it was


def test_no_repeat_ngram():
    logits = np.zeros(4)
    ids = [1, 2, 3, 1, 2]
    assert np.isneginf(control_repetition(logits, ids, no_repeat_ngram=3)).tolist() == [False, False, False, True]
    assert np.isneginf(control_repetition(logits, ids, no_repeat_ngram=1)).tolist() == [False, True, True, True]
    assert not np.isneginf(control_repetition(logits, ids, no_repeat_ngram=4)).any()
    assert not np.isneginf(control_repetition(logits, [1, 0, 2, 3], no_repeat_ngram=1)).any()  # something must stay
    assert np.isfinite(logits).all()


@pytest.mark.parametrize("n", [2, 3])
def test_no_ngram_comes_twice(n):
    ids = [1, *generate(make_model(Backend("np"), 9), [1], 40, temperature=0, no_repeat_ngram=n, rng=rng())]
    assert max(Counter(zip(*(ids[i:] for i in range(n)), strict=False)).values()) == 1
    free = [1, *generate(make_model(Backend("np"), 9), [1], 40, temperature=0, rng=rng())]
    assert max(Counter(zip(*(free[i:] for i in range(n)), strict=False)).values()) > 1


# ---------------------------------------------------------------------- whole texts


@pytest.mark.parametrize("position", ["learned", "rotary", "sinusoidal"])
@pytest.mark.parametrize("context", [1, 2, 7, 8])
def test_the_cache_changes_nothing(backend, position, context):
    """Also far beyond the context, where the window starts anew."""
    model = make_model(backend, context=context, position=position)
    for prompt in ([3], [1, 2, 3, 4, 5, 6, 1, 2][:context]):
        for settings in ({"temperature": 0}, {"temperature": 1.5}):
            with_cache, without = (
                list(generate(model, prompt, 50, **settings, rng=rng(5), kv_cache=kv)) for kv in (True, False)
            )
            assert with_cache == without
            assert len(with_cache) == 50


def test_the_window_restarts_with_its_latest_half():
    """Greedy text is what a plain loop over the model finds."""
    backend = Backend("np")
    model = make_model(backend, context=8)
    ids, window, expected = [2, 3], [2, 3], []
    for _ in range(30):
        expected.append(int(np.argmax(model.forward(np.array([window]))[0][0, -1])))
        window = [*window, expected[-1]]
        if len(window) > 8:
            window = window[-4:]
    assert list(generate(model, ids, 30, temperature=0, rng=rng())) == expected
    assert list(generate(model, ids, 30, temperature=0, rng=rng(9))) == expected  # greedy needs no luck


def test_stop_and_banned():
    model = make_model(Backend("np"))
    free = list(generate(model, [1], 30, temperature=2, rng=rng(3)))
    stop = free[10]
    stopped = list(generate(model, [1], 30, temperature=2, stop=[stop], rng=rng(3)))
    assert stopped == free[: free.index(stop) + 1]
    banned = list(generate(model, [1], 200, temperature=3, banned=[0, 5], rng=rng(3)))
    assert set(banned) == {1, 2, 3, 4, 6}
    assert list(generate(model, [1], 0, rng=rng())) == []


def test_both_back_ends_write_the_same(trained):
    pytest.importorskip("torch")
    texts = {}
    for name in ("np", "pt"):
        run, model = Backend(name, "cpu").load(trained)
        prompt = run.tokenizer.encode("北京")
        for settings in ({"temperature": 0}, {"temperature": 1.0}, {"top_k": 5}, {"top_p": 0.8}):
            texts.setdefault(str(settings), []).append(list(generate(model, prompt, 60, **settings, rng=rng(1))))
        texts.setdefault("beam", []).append([ids for _, ids in beam_search(model, prompt, 30, width=3)])
    for settings, (ours, theirs) in texts.items():
        assert ours == theirs, settings


# ---------------------------------------------------------------------- beam search


def log_p(model, prompt, ids):
    """Sum of log p of ids after the prompt: one forward a token, no cache."""
    total = 0.0
    for n, token in enumerate(ids):
        logits = model.next_logits(np.array([[*prompt, *ids[:n]]]))[0].astype(np.float64)
        total += logits[token] - logits.max() - math.log(np.exp(logits - logits.max()).sum())
    return total


@pytest.mark.parametrize("stop", [(), (2,), (0, 2)])
@pytest.mark.parametrize("length_penalty", [0.0, 1.0])
def test_a_wide_beam_finds_what_brute_force_finds(backend, stop, length_penalty):
    vocab, length, prompt = 4, 3, [1, 3]
    model = make_model(backend, vocab)
    texts = set()
    for ids in itertools.product(range(vocab), repeat=length):
        end = next((n + 1 for n, token in enumerate(ids) if token in stop), length)
        texts.add(ids[:end])
    ranked = sorted(
        ((log_p(model, prompt, ids) / len(ids) ** length_penalty, list(ids)) for ids in texts), reverse=True
    )
    found = beam_search(model, prompt, length, width=vocab**length, stop=stop, length_penalty=length_penalty)
    assert [ids for _, ids in found] == [ids for _, ids in ranked]
    np.testing.assert_allclose([score for score, _ in found], [score for score, _ in ranked], rtol=1e-4)


@hypothesis_settings(max_examples=30)
@given(st.integers(0, 1000), st.integers(1, 5), st.lists(st.integers(0, 4), max_size=2))
def test_a_beam_gives_true_scores(seed, width, stop):
    model = make_model(Backend("np"), 5, seed=seed)
    found = beam_search(model, [1], 5, width=width, stop=stop)
    assert 1 <= len(found) <= width
    assert [score for score, _ in found] == sorted((score for score, _ in found), reverse=True)
    assert len({tuple(ids) for _, ids in found}) == len(found)
    for score, ids in found:
        assert score == pytest.approx(log_p(model, [1], ids), rel=1e-4)
        assert len(ids) == 5 or ids[-1] in stop
        assert not set(ids[:-1]) & set(stop)
    if width == 1 and not stop:
        assert found[0][1] == list(generate(model, [1], 5, temperature=0, rng=rng()))


def test_a_beam_beyond_the_context(backend):
    model = make_model(backend, context=4)
    (_, ids), *_ = beam_search(model, [1, 2], 20, width=1)
    assert ids == list(generate(model, [1, 2], 20, temperature=0, rng=rng()))
    assert len(beam_search(model, [1, 2], 20, width=3)) == 3


def test_a_beam_leaves_banned_ids_out():
    found = beam_search(make_model(Backend("np"), 4), [1], 3, width=64, banned=[0, 2])
    assert sorted(ids for _, ids in found) == [list(ids) for ids in itertools.product([1, 3], repeat=3)]
