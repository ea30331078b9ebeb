"""A run that is killed, interrupted or moved, and then resumed, is the run that nothing happened to."""

import os
import random
import signal
import sys
import time

import numpy as np
import pytest
from processes import python, start_minillm

from conftest import TEXT
from minillm import checkpoint
from minillm import train as training
from minillm.backend import Backend
from minillm.checkpoint import Run
from minillm.config import OPTIMIZERS, preset
from minillm.data.corpora import Corpus
from minillm.text import files, train_tokenizer
from minillm.train import Silent, train

CORPUS = Corpus("text", [TEXT], [TEXT[:120]], [TEXT[:100]])
TOKENIZER = train_tokenizer("char", [TEXT])


def new_run(steps, eval_every, dropout=0.2, patience=0, optimizer="adamw") -> Run:
    shape = {"context": 16, "n_layer": 1, "d_model": 16, "batch_size": 4, "dropout": dropout}
    model, recipe = preset(
        "tiny",
        TOKENIZER.vocab_size,
        **{**shape, "optimizer": optimizer},
        **{"steps": steps, "eval_every": eval_every, "warmup": 2, "patience": patience},
    )
    return Run(model, recipe, TOKENIZER)


def go(folder, run=None, backend="np", reporter=None):
    """Start the run in the folder, or resume it where it can be resumed."""
    resume = (folder / checkpoint.CONFIG).exists()
    run = checkpoint.load_run(folder) if resume else run
    return train(CORPUS, run, Backend(backend, "cpu"), folder, resume=resume, reporter=reporter)


def curve(folder):
    """(step, loss, validation loss, rate, gradient norm) of each line of the log; the clock's figures left out."""
    return [
        (record["step"], record["loss"], record.get("valid_loss"), record["lr"], record["grad_norm"])
        for record in checkpoint.read_log(folder)
    ]


def check_same(folder, reference):
    """Bit for bit: curve, best model, last weights and optimiser."""
    assert curve(folder) == curve(reference)
    for name in (checkpoint.MODEL, checkpoint.CHECKPOINT):
        assert (folder / name).read_bytes() == (reference / name).read_bytes()
    assert not list(folder.glob("*.tmp"))


class Crash(BaseException):
    """Nothing catches this."""


def crash_points(monkeypatch, counter, at):
    """Crash before or after the at-th change of a file in the run's folder."""

    def crashing(real):
        def call(*arguments, **options):
            counter[0] += 1
            if counter[0] == at:
                raise Crash
            real(*arguments, **options)
            counter[0] += 1
            if counter[0] == at:
                raise Crash

        return call

    monkeypatch.setattr(files.os, "replace", crashing(os.replace))
    monkeypatch.setattr(checkpoint, "append_log", crashing(checkpoint.append_log))


def test_a_crash_around_any_change_of_a_file(tmp_path, monkeypatch):
    reference, run = tmp_path / "reference", new_run(steps=6, eval_every=2)
    with monkeypatch.context() as patch:
        counter = [0]
        crash_points(patch, counter, at=-1)
        go(reference, run)
    assert [step for step, *_ in curve(reference)] == [1, 2, 3, 4, 5, 6]
    assert counter[0] >= 22  # 2 writes at the start, then at least 3 files at each of 3 validations
    for at in range(1, counter[0] + 1):
        folder = tmp_path / str(at)
        with monkeypatch.context() as patch:
            crash_points(patch, [0], at)
            with pytest.raises(Crash):
                go(folder, run)
        go(folder, run)
        check_same(folder, reference)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_crash_in_any_step(tmp_path, optimizer):
    class Dies(Silent):
        def step(self, record):
            if record["step"] == self.last:
                raise Crash

    reference, run = tmp_path / "reference", new_run(steps=7, eval_every=3, optimizer=optimizer)
    go(reference, run)
    for last in range(1, 8):
        folder, reporter = tmp_path / str(last), Dies()
        reporter.last = last
        with pytest.raises(Crash):
            go(folder, run, reporter=reporter)
        go(folder, run)
        check_same(folder, reference)


def test_early_stopping_survives_a_crash(tmp_path, monkeypatch):
    losses = iter([5.0, 4.0, 4.5, 4.5, 4.5, 4.5, 3.0])
    monkeypatch.setattr(training, "validation_nll", lambda model, tokens, *_: next(losses) * (len(tokens) - 1))
    folder, run = tmp_path / "run", new_run(steps=20, eval_every=1, patience=3)

    class Dies(Silent):
        def step(self, record):
            if record["step"] == 4:
                raise Crash

    with pytest.raises(Crash):
        go(folder, run, reporter=Dies())
    result = go(folder)  # step 4 is done again, with the next loss: 4.5, like the lost one
    assert (result.steps, result.valid_loss) == (5, 4.0)


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is of Unix")
def test_kill_minus_9(tmp_path, text_file):
    options = ["--preset=tiny", "--n-layer=1", "--d-model=16", "--dropout=0.2", "--steps=240", "--eval-every=3"]
    command = ["train", "--data", text_file, *options, "--out"]
    assert python("-m", "minillm", *command, tmp_path / "reference").returncode == 0
    folder, rng, killed = tmp_path / "run", random.Random(1), 0
    while True:
        resumable = (folder / checkpoint.CONFIG).exists()
        process = start_minillm(*(["train", "--resume", "--out", folder] if resumable else [*command, folder]))
        before = stamp(folder)
        while process.poll() is None and stamp(folder) == before:
            time.sleep(0.002)  # until it has learnt something
        time.sleep(rng.uniform(0, 0.12))
        if killed == 4 or process.poll() is not None:
            break
        process.kill()
        process.communicate()
        killed += 1
    assert process.communicate()[1] is not None and process.returncode == 0
    assert killed >= 2
    check_same(folder, tmp_path / "reference")


def stamp(folder):
    path = folder / checkpoint.CHECKPOINT
    return path.stat().st_mtime_ns if path.exists() else 0


@pytest.mark.skipif(sys.platform == "win32", reason="a console's Ctrl-C cannot be sent to one process there")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_saves_and_ends(number, tmp_path, text_file):
    folder = tmp_path / "run"
    process = start_minillm("train", "--data", text_file, "--preset=tiny", "--steps=5000", "--out", folder)
    for line in process.stderr:
        if line.startswith("step    50 "):
            break
    process.send_signal(number)
    _, err = process.communicate()
    assert process.returncode == 0
    assert "stopped at step" in err and f"continue with: minillm train --resume --out {folder}" in err
    steps = [step for step, *_ in curve(folder)]
    assert 50 <= len(steps) < 5000 and steps == list(range(1, len(steps) + 1))
    assert python("-m", "minillm", "generate", "--model", folder, "--tokens", 3).returncode == 0
    done = python("-m", "minillm", "train", "--resume", "--out", folder, "--steps", len(steps) + 3)
    assert done.returncode == 0, done.stderr
    assert [step for step, *_ in curve(folder)] == list(range(1, len(steps) + 4))


def test_ctrl_c_before_the_first_validation_leaves_a_model(tmp_path):
    class Interrupts(Silent):
        def step(self, record):
            if record["step"] == 2:
                signal.raise_signal(signal.SIGINT)

    folder, reference, run = tmp_path / "run", tmp_path / "reference", new_run(steps=6, eval_every=5)
    result = go(folder, run, reporter=Interrupts())
    assert result.interrupted and result.steps == 2
    Backend("np").load(folder)
    go(folder)
    go(reference, run)
    check_same(folder, reference)


@pytest.mark.skipif(sys.platform == "win32", reason="there a polite kill cannot be ignored")
def test_torchrun_does_not_silence_an_error():
    """It kills politely whoever is left of several processes; one alone ends as before."""
    program = (
        "import os, signal, sys\n"
        "from minillm.stop import stop_requests\n"
        "os.environ |= dict(pair.split('=') for pair in sys.argv[1:])\n"
        "try:\n"
        "    with stop_requests():\n"
        "        raise ValueError('why')\n"
        "except ValueError as error:\n"
        "    signal.raise_signal(signal.SIGTERM)\n"
        "    print(error)\n"
    )
    alone = python("-c", program)
    assert (alone.returncode, alone.stdout) == (-signal.SIGTERM, "")
    one_of_two = python("-c", program, "MASTER_ADDR=localhost", "WORLD_SIZE=2")
    assert (one_of_two.returncode, one_of_two.stdout) == (0, "why\n")


def test_a_second_ctrl_c_stops_at_once(tmp_path):
    class Interrupts(Silent):
        closed = False

        def step(self, record):
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)

        def close(self):
            self.closed = True

    reporter = Interrupts()
    with pytest.raises(KeyboardInterrupt):
        go(tmp_path / "run", new_run(steps=6, eval_every=3), reporter=reporter)
    assert reporter.closed
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_run_moves_between_the_back_ends(tmp_path, optimizer):
    pytest.importorskip("torch")

    class StopsAt(Silent):
        def __init__(self, step):
            self.last = step

        def validation(self, step, loss, better, sample):
            if step == self.last:
                signal.raise_signal(signal.SIGINT)

    folder, reference = tmp_path / "run", tmp_path / "reference"
    run = new_run(steps=12, eval_every=2, dropout=0, optimizer=optimizer)
    go(reference, run)
    go(folder, run, "np", StopsAt(4))
    go(folder, run, "pt", StopsAt(8))
    go(folder, run, "np")
    assert [step for step, *_ in curve(folder)] == list(range(1, 13))
    ours, theirs = (np.array([(loss, norm) for _, loss, _, _, norm in curve(f)]) for f in (folder, reference))
    assert np.abs(ours / theirs - 1).max() < 1e-4
    a, b = (checkpoint.read_arrays(f / checkpoint.CHECKPOINT)[0] for f in (folder, reference))
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_allclose(a[name], b[name], rtol=1e-3, atol=1e-5, err_msg=name)


def test_an_earlier_run_in_the_folder_leaves_nothing_behind(tmp_path, monkeypatch):
    """As the demo does it. Else a crash could pair the old weights with the new settings."""
    folder, run = tmp_path / "run", new_run(steps=4, eval_every=2)
    go(folder, run)
    (folder / f"{checkpoint.MODEL}.123.tmp").write_bytes(b"half")
    with monkeypatch.context() as patch:
        crash_points(patch, [0], at=3)
        with pytest.raises(Crash):
            train(CORPUS, run, Backend("np"), folder)
    assert not {checkpoint.CONFIG, checkpoint.MODEL} & {path.name for path in folder.iterdir()}
    assert not list(folder.glob("*.tmp"))


def test_a_damaged_log_does_not_stop_a_run(tmp_path):
    folder = tmp_path / "run"
    go(folder, new_run(steps=4, eval_every=2))
    with open(folder / checkpoint.LOG, "ab") as file:
        file.write(b'null\n[1]\n{"loss": 1}\n\xff\xfe\n{"step": 5, "lo')
    assert [record["step"] for record in checkpoint.read_log(folder)] == [1, 2, 3, 4]
    assert [record["step"] for record in checkpoint.read_log(folder, 3)] == [1, 2, 3]
