"""Every hand-written gradient against central differences, in float64, under random upstream gradients."""

import inspect

import numpy as np
import pytest
from np_cases import MODULES, OPERATIONS, B, D, T, generator

from minillm.np import attention, bert, block, embeddings, functional, gpt, layers, lm, position, rnn, seq2seq
from minillm.np.gradcheck import check_module, gradcheck, leaves, slope
from minillm.np.param import Module, Param

FILES = [attention, bert, block, embeddings, functional, gpt, layers, lm, position, rnn, seq2seq]
TOLERANCE = 1e-6


def test_every_operation_has_a_case():
    operations = {name for file in FILES for name in vars(file) if f"{name}_backward" in vars(file)}
    assert operations == {name.split(":")[0] for name in OPERATIONS}


def test_every_module_has_a_case():
    modules = {
        name
        for file in FILES
        for name, kind in vars(file).items()
        if inspect.isclass(kind) and issubclass(kind, Module) and kind.__module__ == file.__name__
    }
    assert modules - {"LanguageModel"} == {name.split(":")[0] for name in MODULES}  # the base of the language models


@pytest.mark.parametrize("name", OPERATIONS)
def test_operation(name):
    case, rng = OPERATIONS[name], generator(1)
    arrays = case.arrays(rng)
    before = [array.copy() for array in arrays]
    out, cache = case.forward(*arrays)
    douts = [rng.standard_normal(np.shape(part)) for part in leaves(out)]
    douts_before = [dout.copy() for dout in douts]
    grads = case.backward(*douts, cache)
    for array, copy in zip([*arrays, *douts], [*before, *douts_before], strict=True):
        assert np.array_equal(array, copy), "an operation must not change its inputs"

    def loss():
        return sum(float(np.vdot(d, part)) for d, part in zip(douts, leaves(case.forward(*arrays)[0]), strict=True))

    named = {str(i): array for i, array in enumerate(arrays)}
    worst = gradcheck(loss, named, dict(zip(named, grads, strict=True)), case.samples, rng)
    assert worst.error < TOLERANCE, worst


@pytest.mark.parametrize("name", MODULES)
def test_module(name):
    case, rng = MODULES[name], generator(2)
    module = case.make(rng=rng, dtype=np.float64)
    worst = check_module(module, *case.draw(rng), rng=rng, samples=12, dropout_seed=case.dropout_seed, **case.options)
    assert worst.error < TOLERANCE, worst


@pytest.mark.parametrize("name", MODULES)
def test_two_calls_before_the_backwards(name):
    """Nothing of a call is kept in the module: two calls, then two backwards, add up to both gradients."""
    case, rng = MODULES[name], generator(3)
    module = case.make(rng=rng, dtype=np.float64)

    def forward(inputs):
        dropout = {"rng": generator()} if case.dropout_seed else {}
        return module(*inputs, **case.options, **dropout)

    def backward(dout, cache):
        return module.backward(dout[0], cache, *dout[1:]) if isinstance(dout, tuple) else module.backward(dout, cache)

    def grads():
        return [0 if p.grad is None else p.grad.copy() for p in module.parameters()]

    first, second = case.draw(rng), case.draw(rng)
    (out1, cache1), (out2, cache2) = forward(first), forward(second)
    dinputs1 = list(leaves(backward(out1, cache1)))
    alone1 = grads()
    dinputs2 = list(leaves(backward(out2, cache2)))
    both = grads()

    module.zero_grad()
    out, cache = forward(second)
    again = list(leaves(backward(out, cache)))
    for sum_, g1, g2 in zip(both, alone1, grads(), strict=True):
        np.testing.assert_allclose(sum_, g1 + g2, rtol=1e-12, atol=1e-13)
    for a, b in zip(dinputs2, again, strict=True):
        assert (a is None and b is None) or np.array_equal(a, b)
    assert len(dinputs1) == len(dinputs2)


class Repeated(Module):
    """One weight in two places of one pass: tanh(x W) W."""

    def __init__(self, rng):
        self.inner = layers.Linear(D, D, rng=rng, dtype=np.float64)

    def forward(self, x):
        y, cache1 = self.inner(x)
        y, cache2 = functional.gelu(y)
        y, cache3 = self.inner(y)
        return y, (cache1, cache2, cache3)

    def backward(self, dy, cache):
        cache1, cache2, cache3 = cache
        dy = functional.gelu_backward(self.inner.backward(dy, cache3), cache2)
        return self.inner.backward(dy, cache1)


def test_repeated_weight():
    rng = generator()
    worst = check_module(Repeated(rng), rng.standard_normal((B, T, D)), rng=rng)
    assert worst.error < TOLERANCE, worst


@pytest.mark.parametrize("name", ["GPT", "BERT", "Seq2Seq", "GPT: sinusoidal"])
def test_tied_output_shares_the_embedding(name):
    names = [n for n, _ in MODULES[name].make(rng=generator(), dtype=np.float64).named_parameters()]
    assert "emb.tok.weight" in names
    assert not [n for n in names if "head" in n]


def test_parameters_own_their_gradients():
    """No two parameters share one gradient array, or clipping would scale it twice."""
    for name, case in MODULES.items():
        module = case.make(rng=generator(), dtype=np.float64)
        out, cache = module(*case.draw(generator()), **case.options)
        module.backward(out[0] if isinstance(out, tuple) else out, cache)
        grads = [p.grad for p in module.parameters() if p.grad is not None]
        assert all(g.flags.c_contiguous for g in grads), name  # the optimisers read them as flat arrays
        for i, g in enumerate(grads):
            assert not any(np.shares_memory(g, other) for other in grads[i + 1 :]), name


def test_small_blocks_are_no_special_case(monkeypatch):
    """The block size is a matter of speed alone."""
    rng = generator()
    q, k, v, dout = (rng.standard_normal((2, 3, n, 4)) for n in (7, 9, 9, 7))
    mask = rng.random((2, 1, 1, 9)) < 0.5
    whole, cache = attention.scaled_dot_product_attention(q, k, v, mask, causal=True)
    grads = attention.scaled_dot_product_attention_backward(dout, cache)
    for size in (1, 2, 3, 7):
        monkeypatch.setattr(attention, "BLOCK", size)
        out, cache = attention.scaled_dot_product_attention(q, k, v, mask, causal=True)
        np.testing.assert_allclose(out, whole, rtol=1e-12, atol=1e-14)
        for a, b in zip(attention.scaled_dot_product_attention_backward(dout, cache), grads, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14)


def test_the_check_finds_a_wrong_entry():
    x = generator().uniform(1, 2, (3, 4))
    grad = 3 * x**2
    grad[1, 2] *= 1.001
    worst = gradcheck(lambda: float((x**3).sum()), {"x": x}, {"x": grad})
    assert (worst.name, worst.index, worst.entries) == ("x", (1, 2), 12)
    assert 1e-5 < worst.error < 1e-2
    assert str(worst).startswith("x[1, 2]: relative error")


def test_the_check_finds_a_nan_and_puts_everything_back():
    linear = layers.Linear(D, 2, rng=generator(), dtype=np.float64)
    before = linear.weight.data.copy()
    linear.bias = Param(np.array([np.nan, 0.0]))
    worst = check_module(linear, np.ones((1, D)), rng=generator())
    assert not worst.error < TOLERANCE
    assert np.array_equal(linear.weight.data, before)


def test_the_check_refuses_float32():
    x = np.ones(3, np.float32)
    with pytest.raises(ValueError, match="float64"):
        gradcheck(lambda: 0.0, {"x": x}, {"x": x})


def test_step_is_near_the_best():
    """Ten times longer or shorter measures worse: the docstring's claim."""

    def error(x, step):
        return abs(slope(lambda: float(np.exp(x[0])), x, (0,), step) - np.exp(x[0]))

    points = generator().uniform(0.5, 2, (50, 1))
    errors = {scale: max(error(x, scale * 6e-6) for x in points) for scale in (0.1, 1, 10)}
    assert errors[1] == min(errors.values())
    assert errors[1] < 1e-9


def test_mistakes_of_the_caller_are_told():
    with pytest.raises(ValueError, match="negative"):
        functional.embedding(np.array([1, -100]), np.ones((3, 2)))
    with pytest.raises(ValueError, match="negative"):
        functional.cross_entropy(np.ones((2, 3)), np.array([1, -1]))
    with pytest.raises(ValueError, match="key for every query"):
        attention.scaled_dot_product_attention(*(np.ones((1, 1, n, 2)) for n in (3, 2, 2)), causal=True)
