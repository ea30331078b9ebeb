"""Replicas change no result: loss and gradients of DataParallel against one plain pass, and bit for bit again.

What holds for any number of copies holds for both kinds of replicas, threads and forked processes. Then what
processes alone can do: die, or live on when nobody needs them.
"""

import functools
import gc
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from np_cases import V, config, generator
from processes import ENV

from minillm.np import functional as F
from minillm.np import speed
from minillm.np.gpt import GPT
from minillm.np.optim import AdamW, decay_groups
from minillm.np.param import Module, Param
from minillm.np.replicas import CAN_FORK
from minillm.np.rnn import LSTMLanguageModel
from minillm.np.speed import DataParallel

MODELS = {
    "GPT": lambda **changes: GPT(config(**changes), rng=generator(), dtype=np.float64),
    "GPT untied sinusoidal": lambda **changes: GPT(
        config(tied=False, position="sinusoidal", **changes), rng=generator(), dtype=np.float64
    ),
    "LSTM": lambda **changes: LSTMLanguageModel(V, 6, 7, 2, rng=generator(), dtype=np.float64, **changes),
}
needs_fork = pytest.mark.skipif(not CAN_FORK, reason="replicas are processes on Linux only")


@pytest.fixture(params=[pytest.param(False, id="threads"), pytest.param(True, id="processes", marks=needs_fork)])
def processes(request):
    """Each kind of replica in turn."""
    return request.param


@pytest.fixture
def data_parallel(processes):
    return functools.partial(DataParallel, processes=processes)


def batch(rows, ignored=0.0):
    rng = generator(rows)
    x, y = rng.integers(V, size=(2, rows, 6))
    return x, np.where(rng.random(y.shape) < ignored, -100, y)


def one_pass(model, x, y):
    """Mean loss and gradients, as they are defined."""
    model.zero_grad()
    logits, cache = model(x)
    loss, loss_cache = F.cross_entropy(logits, y)
    model.backward(F.cross_entropy_backward(1.0, loss_cache), cache)
    return loss, {name: p.grad for name, p in model.named_parameters()}


def assert_right(parallel, x, y):
    """What `parallel` computes is what one plain pass computes, up to the order of sums."""
    loss = parallel.loss_and_grad(x, y)
    grads = {name: p.grad.copy() for name, p in parallel.model.named_parameters()}
    right_loss, right = one_pass(parallel.model, x, y)
    assert loss == pytest.approx(right_loss, rel=1e-13)
    for name, grad in grads.items():
        np.testing.assert_allclose(grad, right[name], rtol=1e-10, atol=1e-14, err_msg=name)


@pytest.mark.parametrize("copies", [1, 2, 3])
@pytest.mark.parametrize("name", MODELS)
def test_uneven_batch_with_ignored_targets(data_parallel, name, copies):
    x, y = batch(5, ignored=0.4)
    parallel = data_parallel(MODELS[name](), copies)
    for _ in range(2):  # the second time starts from gradients left behind
        assert_right(parallel, x, y)


@pytest.mark.parametrize("copies", [1, 2, 3])
def test_a_shard_with_nothing_to_learn(data_parallel, copies):
    x, y = batch(6)
    y[4:] = -100
    assert_right(data_parallel(MODELS["GPT"](), copies), x, y)


@pytest.mark.parametrize("copies", [2, 3])
def test_more_copies_than_sequences(data_parallel, copies):
    assert_right(data_parallel(MODELS["GPT"](), copies), *batch(1))


def test_nothing_to_learn_at_all(data_parallel):
    x, y = batch(4)
    model = MODELS["GPT"]()
    assert data_parallel(model, 2).loss_and_grad(x, np.full_like(y, -100)) == 0
    assert not any(p.grad.any() for p in model.parameters())


def test_a_smaller_batch_after_a_larger_one(data_parallel):
    """A replica that has no work leaves no gradient of the batch before."""
    parallel = data_parallel(MODELS["GPT"](), 3)
    for rows in (6, 2, 1, 3):
        assert_right(parallel, *batch(rows))


def train(name, copies, processes):
    """Four steps with dropout: all losses, and the weights at the end."""
    model = MODELS[name](dropout=0.3)
    parallel, optimizer = DataParallel(model, copies, processes), AdamW(decay_groups(model, 0.1))
    losses = []
    with parallel.running():
        for step in range(4):
            losses.append(parallel.loss_and_grad(*batch(5, ignored=0.2), np.random.default_rng(step)))
            optimizer.step()
    return losses, [p.data for p in model.parameters()]


@pytest.mark.parametrize("copies", [1, 2, 3])
@pytest.mark.parametrize("name", MODELS)
def test_the_same_run_gives_the_same_bits(processes, name, copies):
    """A second time, and with replicas of the other kind."""
    (losses, weights), (again, weights_again) = train(name, copies, processes), train(name, copies, False)
    assert losses == again
    assert all(np.array_equal(a, b) for a, b in zip(weights, weights_again, strict=True))


def test_dropout_differs_between_copies_and_steps(data_parallel):
    x, y = (np.repeat(a, 2, axis=0) for a in batch(1))  # both copies get the same sequence
    parallel = data_parallel(MODELS["GPT"](dropout=0.5), 2)
    losses = [
        parallel.loss_and_grad(x, np.where(counts, y, -100), np.random.default_rng(step))
        for counts in ([[True], [False]], [[False], [True]])  # the loss of one copy, then of the other
        for step in range(3)
    ]
    assert len(set(losses)) == 6


def test_replicas_share_the_weights(data_parallel):
    """What changes the model's weights changes what the replicas compute."""
    model = MODELS["GPT"]()
    parallel = data_parallel(model, 3)
    x, y = batch(6)
    y[:2] = -100  # the replicas' losses alone
    losses = [parallel.loss_and_grad(x, y)]
    next(iter(model.parameters())).data[...] *= 2
    losses.append(parallel.loss_and_grad(x, y))
    assert losses[1] == pytest.approx(one_pass(model, x, y)[0], rel=1e-13)
    model.load_state_dict({name: np.zeros_like(a) for name, a in model.state_dict().items()})
    losses.append(parallel.loss_and_grad(x, y))
    assert losses[2] == pytest.approx(np.log(V), rel=1e-13)
    assert losses[0] != pytest.approx(losses[1], rel=1e-3)


def test_two_of_one_model(data_parallel):
    """The second leaves the first its weights, and both see every change."""
    model = MODELS["GPT"]()
    first, second = data_parallel(model, 2), data_parallel(model, 3)
    for scale in (1, 2):
        next(iter(model.parameters())).data[...] *= scale
        assert_right(first, *batch(5))
        assert_right(second, *batch(6))


@pytest.mark.parametrize("row", [0, 2, 4])  # the model itself, its first and its second replica meet the mistake
def test_an_error_is_raised_and_the_next_step_works(data_parallel, row):
    parallel = data_parallel(MODELS["GPT"](), 3)
    x, y = batch(6)
    wrong = x.copy()
    wrong[row] = -1
    for _ in range(2):
        with pytest.raises(ValueError, match="token id -1 is negative"):
            parallel.loss_and_grad(wrong, y)
        assert_right(parallel, x, y)


def test_an_interrupt_does_not_mix_up_answers(data_parallel):
    """A job that was set going, and whose result nobody fetched, leaves no trace in the next."""
    parallel = data_parallel(MODELS["GPT"](), 2)
    for _ in range(2):
        parallel.replicas[0].start(*batch(100), 600, None)
        assert_right(parallel, *batch(5))


class Two(Module):
    def __init__(self):
        self.a, self.b = Param(np.zeros(3)), Param(np.zeros((2, 2)))


def test_a_parameter_without_gradient_has_none(data_parallel, monkeypatch):
    def give(model, names, value):
        for name in names:
            getattr(model, name).accumulate(np.full_like(getattr(model, name).data, value))
        return value

    monkeypatch.setattr(speed, "shard", give)
    model = Two()
    (replica,) = data_parallel(model, 2).replicas
    for value, names in enumerate(["ab", "b", "", "a"]):
        replica.start(names, value)
        loss, grads = replica.finish()
        assert loss == value
        for name, p, grad in zip("ab", model.parameters(), grads, strict=True):
            if name in names:
                np.testing.assert_array_equal(grad, np.full_like(p.data, value))
            else:
                assert grad is None
    assert all(p.grad is None for p in model.parameters())


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="this system cannot bind threads to cores")
def test_the_caller_may_use_all_cores_again(data_parallel):
    x, y = batch(4)
    before = os.sched_getaffinity(0)
    parallel = data_parallel(MODELS["GPT"](), 2)
    parallel.loss_and_grad(x, y)
    assert os.sched_getaffinity(0) == before
    with pytest.raises(ValueError, match="negative"):
        parallel.loss_and_grad(-x - 1, y)
    assert os.sched_getaffinity(0) == before


def test_one_copy_does_not_fork(monkeypatch):
    def fork():
        raise AssertionError("forked")

    monkeypatch.setattr(os, "fork", fork, raising=False)
    assert_right(DataParallel(MODELS["GPT"](), 1), *batch(3))
    if CAN_FORK:
        with pytest.raises(AssertionError, match="forked"):
            DataParallel(MODELS["GPT"](), 2)


def with_helpers(model, copies):
    """A DataParallel, and its processes' ids."""
    before = set(multiprocessing.active_children())
    parallel = DataParallel(model, copies, processes=True)
    return parallel, [process.pid for process in multiprocessing.active_children() if process not in before]


def ended(pid):
    """Whether a process is gone, or a zombie that its parent has not asked for yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return True


def assert_they_end(pids, seconds=60):
    deadline = time.monotonic() + seconds
    while (left := [pid for pid in pids if not ended(pid)]) and time.monotonic() < deadline:
        time.sleep(0.01)
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    assert not left, "still there"


@needs_fork
def test_helpers_are_on_cores_of_their_own():
    parallel, pids = with_helpers(MODELS["GPT"](), 3)
    parallel.loss_and_grad(*batch(3))
    free = sorted(os.sched_getaffinity(0))
    assert sorted(min(os.sched_getaffinity(pid)) for pid in pids) == sorted(free[i % len(free)] for i in (1, 2))
    assert all(len(os.sched_getaffinity(pid)) == 1 for pid in pids)


@needs_fork
def test_a_helper_that_is_killed_at_work(monkeypatch):
    monkeypatch.setattr(speed, "shard", lambda model: os.kill(os.getpid(), signal.SIGKILL))
    (replica,) = DataParallel(MODELS["GPT"](), 2, processes=True).replicas
    replica.start()
    with pytest.raises(RuntimeError, match="helper process of the training was ended from outside"):
        replica.finish()


@needs_fork
def test_a_helper_that_is_killed_between_steps():
    parallel, pids = with_helpers(MODELS["GPT"](), 3)
    parallel.loss_and_grad(*batch(6))
    os.kill(pids[1], signal.SIGKILL)
    assert_they_end(pids[1:])
    for _ in range(2):  # the first try leaves the other helper at work
        with pytest.raises(RuntimeError, match="helper process of the training was ended from outside"):
            parallel.loss_and_grad(*batch(6))


@needs_fork
def test_a_helper_that_is_killed_before_it_reads_its_job():
    parallel, (pid,) = with_helpers(MODELS["GPT"](), 2)
    parallel.loss_and_grad(*batch(4))
    os.kill(pid, signal.SIGSTOP)
    (replica,) = parallel.replicas
    replica.start(*batch(2), 12, None)
    os.kill(pid, signal.SIGKILL)
    assert_they_end([pid])
    with pytest.raises(RuntimeError, match="helper process of the training was ended from outside"):
        replica.finish()


@needs_fork
def test_helpers_end_when_they_are_forgotten():
    model = MODELS["GPT"]()
    parallel, pids = with_helpers(model, 3)
    assert len(pids) == 2
    parallel.loss_and_grad(*batch(6))
    assert not any(map(ended, pids))
    del parallel
    gc.collect()
    assert_they_end(pids)
    assert_right(DataParallel(model, 2), *batch(4))  # the model keeps its weights


@needs_fork
def test_helpers_end_though_later_ones_live():
    """A process that is forked later inherits the pipes of those before."""
    first, pids = with_helpers(MODELS["GPT"](), 2)
    second, later = with_helpers(MODELS["GPT"](), 2)
    del first
    gc.collect()
    assert_they_end(pids, 10)
    assert not any(map(ended, later))
    assert_right(second, *batch(4))


@needs_fork
@pytest.mark.parametrize("at_work", [False, True])
def test_helpers_end_with_a_parent_that_is_killed(at_work):
    script = f"""
import multiprocessing, os, signal, sys, time
sys.path.insert(0, {str(Path(__file__).parent)!r})
from test_speed import *
first, second = DataParallel(MODELS["GPT"](), 3), DataParallel(MODELS["GPT"](), 2)
first.loss_and_grad(*batch(6))
print(*(process.pid for process in multiprocessing.active_children()), flush=True)
if {at_work}:
    first.replicas[0].start(*batch(1000), 6000, None)
else:
    time.sleep(1)  # the helpers fall asleep
os.kill(os.getpid(), signal.SIGKILL)
"""
    with subprocess.Popen([sys.executable, "-c", script], env=ENV, stdout=subprocess.PIPE, text=True) as parent:
        pids = [int(pid) for pid in parent.stdout.readline().split()]  # to the end would wait for the helpers too
        assert parent.wait(120) == -signal.SIGKILL
    assert len(pids) == 3
    assert_they_end(pids)
