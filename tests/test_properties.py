"""What must hold for every shape, mask and seed: normalisation, invariances, causality, dtypes, the KV cache."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from np_cases import LLAMA, MODULES, OPERATIONS, SINUSOIDAL, V, config, generator

from minillm.data.masking import mask_tokens
from minillm.np import functional as F
from minillm.np.attention import MultiHeadAttention, scaled_dot_product_attention
from minillm.np.bert import BERT
from minillm.np.erf import erf
from minillm.np.gpt import GPT
from minillm.np.gradcheck import leaves
from minillm.np.param import Param
from minillm.np.position import rotary, sinusoidal
from minillm.np.rnn import LSTM, sigmoid
from minillm.np.seq2seq import Seq2Seq

few = settings(deadline=None, max_examples=25)
SEEDS, SIZES = st.integers(0, 2**32 - 1), st.integers(1, 6)
SCORES = hnp.arrays(
    np.float64,
    hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=6),
    elements=st.floats(-1e4, 1e4) | st.just(-np.inf),
)


def close(a, b):
    np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)


@few
@given(SCORES)
def test_softmax_rows_sum_to_one_or_are_masked(x):
    p, _ = F.softmax(x)
    close(p.sum(axis=-1), np.isfinite(x).any(axis=-1))
    assert (p[x == -np.inf] == 0).all()
    assert (p >= 0).all()


@few
@given(SCORES, st.floats(-1e3, 1e3))
def test_a_shift_changes_neither_softmax_nor_loss(x, shift):
    np.testing.assert_allclose(F.softmax(x + shift)[0], F.softmax(x)[0], atol=1e-9)
    finite = np.maximum(x, -1e4)
    np.testing.assert_allclose(F.log_softmax(finite + shift)[0], F.log_softmax(finite)[0], atol=1e-8)
    targets = np.zeros(x.shape[:-1], int)
    np.testing.assert_allclose(
        F.cross_entropy(finite + shift, targets)[0], F.cross_entropy(finite, targets)[0], atol=1e-8
    )


@few
@given(SEEDS, SIZES, SIZES)
def test_cross_entropy_is_the_mean_over_what_counts(seed, rows, classes):
    rng = generator(seed)
    logits, targets = rng.standard_normal((rows, classes)), rng.integers(classes, size=rows)
    ignored = rng.random(rows) < 0.4
    loss, cache = F.cross_entropy(logits, np.where(ignored, -100, targets))
    dlogits = F.cross_entropy_backward(1.0, cache)
    log_p, _ = F.log_softmax(logits)
    nll = [-log_p[i, targets[i]] for i in range(rows) if not ignored[i]]
    close(loss, np.mean(nll) if nll else 0)
    assert (dlogits[ignored] == 0).all()
    close(dlogits.sum(axis=-1), 0)


@few
@given(SEEDS, SIZES, st.integers(0, 5))
def test_the_future_does_not_influence_the_past(seed, t, more):
    rng = generator(seed)
    s = t + more
    q, k, v = (rng.standard_normal((2, 3, n, 4)) for n in (t, s, s))
    out, _ = scaled_dot_product_attention(q, k, v, causal=True)
    at = int(rng.integers(t))
    q[:, :, at + 1 :] += 1
    k[:, :, more + at + 1 :] += 1
    v[:, :, more + at + 1 :] += 1
    changed, _ = scaled_dot_product_attention(q, k, v, causal=True)
    close(changed[:, :, : at + 1], out[:, :, : at + 1])
    if more + at + 1 < s:
        assert np.abs(changed[:, :, at + 1 :] - out[:, :, at + 1 :]).max() > 1e-3


@few
@given(SEEDS, SIZES, SIZES)
def test_a_query_sees_what_its_mask_says(seed, t, s):
    """The definition, one query at a time, with empty rows."""
    rng = generator(seed)
    q, k, v = (rng.standard_normal((2, 3, n, 4)) for n in (t, s, s))
    mask = rng.random((2, 3, t, s)) < 0.5
    out, _ = scaled_dot_product_attention(q, k, v, mask)
    for b, h, i in np.ndindex(2, 3, t):
        seen = mask[b, h, i]
        expected = np.zeros(4)
        if seen.any():
            weight = np.exp(k[b, h, seen] @ q[b, h, i] / 2)  # √4 = 2
            expected = weight @ v[b, h, seen] / weight.sum()
        close(out[b, h, i], expected)


@few
@given(SEEDS, st.integers(2, 6), st.sampled_from([{}, LLAMA, SINUSOIDAL]), st.sampled_from([0, 3]))
def test_padding_does_not_matter(seed, t, kind, n_class):
    """What stands at padded places changes nothing at the real ones, nor does the padding's length."""
    rng = generator(seed)
    model = BERT(config(**kind), n_class, rng=rng, dtype=np.float64)
    lengths = rng.integers(1, t + 1, size=3)
    mask = np.arange(t) < lengths[:, None]
    ids = rng.integers(V, size=(3, t))
    logits, _ = model(ids, mask)
    other, _ = model(np.where(mask, ids, rng.integers(V, size=(3, t))), mask)
    for row, n in enumerate(lengths):
        alone, _ = model(ids[row : row + 1, :n])
        for got in (logits, other):
            close(got[row] if n_class else got[row, :n], alone[0])


@few
@given(SEEDS, st.integers(2, 5), SIZES)
def test_source_padding_does_not_matter(seed, s, t):
    rng = generator(seed)
    model = Seq2Seq(config(), rng=rng, dtype=np.float64)
    src, tgt = rng.integers(V, size=(1, s)), rng.integers(V, size=(1, t))
    n = int(rng.integers(1, s))
    logits, _ = model(src, tgt, np.arange(s)[None] < n)
    close(logits, model(src[:, :n], tgt)[0])
    memory, _ = model.encode(src[:, :n])
    close(logits, model.decode(tgt, memory)[0])
    if t > 1:
        close(logits[:, :-1], model.decode(tgt[:, :-1], memory)[0])


def test_an_encoder_looks_both_ways():
    ids = np.arange(6)[None]
    other = np.where(ids == 5, 7, ids)  # only the last token differs
    bert, seq2seq = (kind(config(), rng=generator(), dtype=np.float64) for kind in (BERT, Seq2Seq))
    for encode in (bert, seq2seq.encode):
        assert not np.allclose(encode(ids)[0][:, 0], encode(other)[0][:, 0], rtol=1e-9, atol=0)


@few
@given(SEEDS, st.integers(0, 50), st.integers(0, 50), st.integers(0, 100))
def test_rotary_scores_depend_on_the_distance_alone(seed, a, b, shift):
    q, k = generator(seed).standard_normal((2, 1, 8))
    score = (rotary(q, a)[0] * rotary(k, b)[0]).sum()
    close((rotary(q, a + shift)[0] * rotary(k, b + shift)[0]).sum(), score)
    close((rotary(q, a)[0] ** 2).sum(), (q**2).sum())


def test_rotary_and_sinusoidal_values():
    """Speeds 1 and 1/100 for size 4; the pairs are (0, 2) and (1, 3) in one, (0, 1) and (2, 3) in the other."""
    turned, _ = rotary(np.array([[1.0, 1.0, 0.0, 0.0]]), start=3)
    close(turned[0], [np.cos(3), np.cos(0.03), np.sin(3), np.sin(0.03)])
    close(sinusoidal(4, 4)[3], [np.sin(3), np.cos(3), np.sin(0.03), np.cos(0.03)])


@few
@given(SEEDS, st.just(0.0) | st.floats(0.01, 0.9))
def test_dropout_keeps_the_mean(seed, p):
    n = 20000
    y, cache = F.dropout(np.ones(n), p, generator(seed))
    spread = np.sqrt(p / (1 - p) / n)
    assert abs(y.mean() - 1) <= 6 * spread
    assert np.isin(y.round(9), [0, np.round(1 / (1 - p), 9)]).all()
    assert np.array_equal(F.dropout_backward(np.ones(n), cache), y)


@few
@given(SEEDS, st.integers(1, 9), st.sampled_from([{}, LLAMA, SINUSOIDAL]), st.data())
def test_kv_cache_equals_the_full_forward(seed, t, kind, data):
    rng = generator(seed)
    model = GPT(config(**kind), rng=rng, dtype=np.float64)
    ids = rng.integers(V, size=(2, t))
    full, _ = model(ids)
    kv, start = model.new_cache(2), 0
    while start < t:
        step = data.draw(st.integers(1, t - start))
        logits, _ = model(ids[:, start : start + step], kv=kv)
        start += step
        close(logits[:, -1], full[:, start - 1])


@few
@given(SEEDS, st.integers(1, 6), st.data())
def test_lstm_can_be_cut_anywhere(seed, t, data):
    rng = generator(seed)
    lstm = LSTM(3, 4, 2, rng=rng, dtype=np.float64)
    x = rng.standard_normal((2, t, 3))
    (y, last), _ = lstm(x)
    cut = data.draw(st.integers(0, t))
    (first, state), _ = lstm(x[:, :cut])
    (second, end), _ = lstm(x[:, cut:], state)
    close(np.concatenate([first, second], axis=1), y)
    close(end, last)


def test_nothing_overflows():
    x = np.array([-1e4, -50.0, 0.0, 50.0, 1e4], np.float32)
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        for op in (
            F.softmax,
            F.log_softmax,
            F.relu,
            F.gelu,
            lambda x: F.gelu(x, "tanh"),
            F.silu,
            lambda x: (sigmoid(x), 0),
        ):
            assert np.isfinite(op(x)[0]).all()
        assert np.isfinite(F.cross_entropy(x, np.array(0))[0])


@few
@given(SEEDS, st.sampled_from([np.float64, np.float32]))
def test_erf_is_that_of_the_standard_library(seed, dtype):
    x = (4 * generator(seed).standard_normal(500)).astype(dtype)
    got = erf(x)
    assert got.dtype == dtype
    limit = 1e-15 if dtype is np.float64 else 3e-7
    np.testing.assert_allclose(got, [math.erf(value) for value in x], rtol=limit)


@few
@given(SEEDS, st.integers(1, 6))
def test_ratings_of_a_text(seed, t):
    rng = generator(seed)
    model = GPT(config(), rng=rng, dtype=np.float64)
    ids, targets = rng.integers(V, size=(2, 3, t))
    targets[rng.random(targets.shape) < 0.3] = -100
    logits, _ = model(ids)
    assert np.array_equal(model.next_logits(ids), logits[:, -1])
    close(model.next_logits(ids, kv=model.new_cache(3)), logits[:, -1])
    nll = model.token_nll(ids, targets)
    assert (nll[targets == -100] == 0).all()
    close(nll.sum() / max((targets >= 0).sum(), 1), F.cross_entropy(logits, targets)[0])


def float64_in(tree):
    """Arrays or NumPy scalars of float64 anywhere in nested tuples and lists."""
    if isinstance(tree, tuple | list):
        return [found for branch in tree for found in float64_in(branch)]
    return [tree] if isinstance(tree, np.ndarray | np.generic) and tree.dtype == np.float64 else []


@pytest.mark.parametrize("name", OPERATIONS)
def test_operations_promote_nothing_silently(name):
    case = OPERATIONS[name]
    out, cache = case.forward(*case.arrays(generator(), np.float32))
    assert not float64_in([out, cache])
    douts = [np.ones(np.shape(part), np.float32) for part in leaves(out)]
    grads = case.backward(*douts, cache)
    assert {part.dtype for part in [*leaves(out), *grads]} == {np.dtype(np.float32)}


@pytest.mark.parametrize("name", MODULES)
def test_modules_promote_nothing_silently(name):
    case = MODULES[name]
    module = case.make(rng=generator(), dtype=np.float32)
    dropout = {"rng": generator()} if case.dropout_seed else {}
    out, cache = module(*case.draw(generator(), np.float32), **case.options, **dropout)
    assert not float64_in([out, cache])
    dinputs = module.backward(out[0], cache, *out[1:]) if isinstance(out, tuple) else module.backward(out, cache)
    values = [*leaves(out), *(d for d in leaves(dinputs) if d is not None), *(p.grad for p in module.parameters())]
    assert {value.dtype for value in values} == {np.dtype(np.float32)}


def test_a_gradient_of_another_dtype_or_shape_is_refused():
    p = Param(np.ones((2, 3), np.float32))
    for grad in (np.ones((2, 3)), np.ones((3, 2), np.float32)):
        with pytest.raises(ValueError, match="gradient is"):
            p.accumulate(grad)


@few
@given(SEEDS)
def test_masked_tokens_follow_the_rule(seed):
    rng = generator(seed)
    ids = rng.integers(20, size=(50, 400))
    inputs, targets = mask_tokens(ids, rng, mask_id=4, vocab_size=20, first_ordinary_id=6)
    chosen = targets != -100
    assert np.array_equal(targets[chosen], ids[chosen])
    assert np.array_equal(inputs[~chosen], ids[~chosen])
    assert not chosen[ids < 6].any()
    ordinary, hidden = int((ids >= 6).sum()), int(chosen.sum())
    masked, stayed = (inputs == 4)[chosen].mean(), (inputs == ids)[chosen].mean()
    assert abs(hidden / ordinary - 0.15) < 6 * np.sqrt(0.15 * 0.85 / ordinary)
    assert abs(masked - 0.8) < 6 * np.sqrt(0.8 * 0.2 / hidden)
    assert abs(stayed - (0.1 + 0.1 / 14)) < 6 * np.sqrt(0.1 * 0.9 / hidden)  # a random token may be the same one
    assert (inputs[chosen] == 4).sum() + (inputs[chosen] >= 6).sum() == hidden
    assert set(inputs[chosen & (inputs != 4) & (inputs != ids)]) == set(range(6, 20))


def test_state_dict_goes_round_and_refuses_what_does_not_fit():
    one, two = (GPT(config(), rng=generator(seed), dtype=np.float32) for seed in (1, 2))
    state = {name: array.copy() for name, array in one.state_dict().items()}
    two.load_state_dict(state)
    assert all(np.array_equal(a, b) for a, b in zip(state.values(), two.state_dict().values(), strict=True))
    name = "blocks.0.attn.in_proj.weight"
    for wrong, message in (
        ({k: v for k, v in state.items() if k != name}, "missing weights: " + name),
        (state | {"extra": state[name]}, "does not have: extra"),
        (state | {name: state[name].T}, name + " has shape"),
    ):
        with pytest.raises(ValueError, match=message):
            two.load_state_dict(wrong)


def test_misfits_are_told():
    model = GPT(config(), rng=generator())
    with pytest.raises(ValueError, match="context of 9"):
        model(np.zeros((1, 10), int))
    with pytest.raises(ValueError, match="divide into 4 heads"):
        MultiHeadAttention(6, 4, rng=generator())
    with pytest.raises(ValueError, match="even"):
        sinusoidal(3, 5)
    with pytest.raises(ValueError, match="at least 0 and below 1"):
        F.dropout(np.ones(2), 1.0, generator())
    with pytest.raises(ValueError, match="approximate"):
        F.gelu(np.ones(2), "yes")
