"""Threads change no result: loss and gradients of DataParallel against one plain pass, and bit for bit again."""

import numpy as np
import pytest
from np_cases import V, config, generator

from minillm.np import functional as F
from minillm.np.gpt import GPT
from minillm.np.optim import AdamW, decay_groups
from minillm.np.rnn import LSTMLanguageModel
from minillm.np.speed import DataParallel
from minillm.np.workers import Workers

MODELS = {
    "GPT": lambda **changes: GPT(config(**changes), rng=generator(), dtype=np.float64),
    "GPT untied sinusoidal": lambda **changes: GPT(
        config(tied=False, position="sinusoidal", **changes), rng=generator(), dtype=np.float64
    ),
    "LSTM": lambda **changes: LSTMLanguageModel(V, 6, 7, 2, rng=generator(), dtype=np.float64, **changes),
}


def batch(rows, ignored=0.0):
    rng = generator(rows)
    x, y = rng.integers(V, size=(2, rows, 6))
    return x, np.where(rng.random(y.shape) < ignored, -100, y)


def assert_same_as_one_pass(make, x, y, threads):
    plain = make()
    logits, cache = plain(x)
    loss, loss_cache = F.cross_entropy(logits, y)
    plain.backward(F.cross_entropy_backward(1.0, loss_cache), cache)
    model = make()
    parallel = DataParallel(model, threads)
    for _ in range(2):  # the second time starts from gradients left behind
        assert parallel.loss_and_grad(x, y) == pytest.approx(loss, rel=1e-13)
        for (name, p), q in zip(model.named_parameters(), plain.parameters(), strict=True):
            np.testing.assert_allclose(p.grad, q.grad, rtol=1e-10, atol=1e-14, err_msg=name)


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("name", MODELS)
def test_uneven_batch_with_ignored_targets(name, threads):
    assert_same_as_one_pass(MODELS[name], *batch(5, ignored=0.4), threads)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_a_shard_with_nothing_to_learn(threads):
    x, y = batch(6)
    y[4:] = -100
    assert_same_as_one_pass(MODELS["GPT"], x, y, threads)


@pytest.mark.parametrize("threads", [2, 3])
def test_more_threads_than_sequences(threads):
    assert_same_as_one_pass(MODELS["GPT"], *batch(1), threads)


def test_nothing_to_learn_at_all():
    x, y = batch(4)
    model = MODELS["GPT"]()
    assert DataParallel(model, 2).loss_and_grad(x, np.full_like(y, -100)) == 0
    assert not any(p.grad.any() for p in model.parameters())


def test_a_smaller_batch_after_a_larger_one():
    """A thread that has no work leaves no gradient of the batch before."""
    make = MODELS["GPT"]
    model, again = make(), make()
    parallel = DataParallel(model, 3)
    parallel.loss_and_grad(*batch(6))
    parallel.loss_and_grad(*batch(2))
    DataParallel(again, 2).loss_and_grad(*batch(2))
    assert all(np.array_equal(p.grad, q.grad) for p, q in zip(model.parameters(), again.parameters(), strict=True))


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("name", MODELS)
def test_the_same_run_gives_the_same_bits(name, threads):
    def run():
        model = MODELS[name](dropout=0.3)
        parallel, optimizer = DataParallel(model, threads), AdamW(decay_groups(model, 0.1))
        losses = []
        with parallel.running():
            for step in range(4):
                losses.append(parallel.loss_and_grad(*batch(5, ignored=0.2), np.random.default_rng(step)))
                optimizer.step(parallel.workers)
        return losses, [p.data for p in model.parameters()]

    (losses, weights), (again, weights_again) = run(), run()
    assert losses == again
    assert all(np.array_equal(a, b) for a, b in zip(weights, weights_again, strict=True))


def test_dropout_differs_between_threads_and_steps():
    x, y = (np.repeat(a, 2, axis=0) for a in batch(1))  # both threads get the same sequence
    parallel = DataParallel(MODELS["GPT"](dropout=0.5), 2)
    losses = {parallel.loss_and_grad(x, y, np.random.default_rng(step)) for step in range(3)}
    assert len(losses) == 3
    total, second = (next(iter(replica.parameters())).grad for replica in parallel.replicas)
    assert not np.allclose(total - second, second)


def test_replicas_share_the_weights():
    model = MODELS["GPT"]()
    parallel = DataParallel(model, 3)
    model.load_state_dict({name: np.zeros_like(a) for name, a in model.state_dict().items()})
    for replica in parallel.replicas:
        assert not any(p.data.any() for p in replica.parameters())
    assert len({id(p) for replica in parallel.replicas for p in replica.parameters()}) == 3 * len(model.parameters())


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_workers_keep_the_order_and_pass_errors_on(threads):
    workers = Workers(threads)
    assert workers.map(pow, range(7), [2] * 7) == [n * n for n in range(7)]
    assert workers.each(lambda n: n * n, list(range(7))) == [n * n for n in range(7)]
    with pytest.raises(ZeroDivisionError):
        workers.each(lambda n: 1 // n, [1, 0, 1])
