"""Several processes train one model: the same curve as one, resumed by another number, and one that is killed."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from processes import ENV, ROOT

torch = pytest.importorskip("torch")
if not torch.distributed.is_available() or sys.platform == "win32":
    pytest.skip("this PyTorch has no processes that work together", allow_module_level=True)

from scale_worker import HALF, SETTINGS, STEPS, StopsHalfway, go, uneven  # noqa: E402

from minillm import checkpoint, shares  # noqa: E402
from minillm.errors import UserError  # noqa: E402
from minillm.pt.engine import Engine  # noqa: E402

TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
PATIENCE = 120  # seconds; a second or two on a machine that does nothing else
PARTS = {name: 2 * engine.accumulate for name, engine in SETTINGS.items()}


def curve(folder: Path) -> np.ndarray:
    """(step, loss, gradient norm) of every step, and the validation losses."""
    records = checkpoint.read_log(folder)
    assert [record["step"] for record in records] == list(range(1, STEPS + 1))
    figures = [(record["loss"], record["grad_norm"], record.get("valid_loss", 0)) for record in records]
    return np.array(figures)


def check_same(folder: Path, reference: Path, valid: bool = True) -> None:
    ours, theirs = curve(folder), curve(reference)
    np.testing.assert_allclose(ours[:, : 3 if valid else 2], theirs[:, : 3 if valid else 2], rtol=0, atol=1e-9)


@pytest.fixture(scope="module")
def done(tmp_path_factory) -> Path:
    """The folder in which two processes have done all that scale_worker.py does, and one process the same."""
    folder = tmp_path_factory.mktemp("scale")
    for parts in set(PARTS.values()):
        go(folder / f"one-{parts}", Engine(device="cpu", accumulate=parts))
    for name in ("ddp", "fsdp"):
        go(folder / f"one-half-{name}", Engine(device="cpu", accumulate=2), StopsHalfway())
    command = [*TORCHRUN, str(ROOT / "tests" / "scale_worker.py"), str(folder)]
    run = subprocess.run(
        command, env=ENV, capture_output=True, text=True, encoding="utf-8", timeout=2 * PATIENCE, check=False
    )
    assert run.returncode == 0, run.stderr[-4000:]
    return folder


@pytest.mark.parametrize("name", SETTINGS)
def test_two_processes_give_the_curve_of_one(name, done):
    """Loss, gradient norm and validation loss of each step, with dropout; then the weights themselves."""
    reference = done / f"one-{PARTS[name]}"
    check_same(done / name, reference)
    ours, theirs = (checkpoint.read_arrays(folder / checkpoint.MODEL)[0] for folder in (done / name, reference))
    for key, array in theirs.items():
        np.testing.assert_allclose(ours[key], array, rtol=0, atol=1e-9, err_msg=key)


@pytest.mark.parametrize("name", SETTINGS)
def test_every_target_counts_the_same(name, done):
    """Whatever part of the batch it is in, and however few targets that part has."""
    ours = json.loads((done / "uneven.json").read_text())[name]
    np.testing.assert_allclose(ours, uneven(Engine(device="cpu", accumulate=PARTS[name])), rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", SETTINGS)
def test_one_process_goes_on_where_two_were_stopped(name, done):
    """From one file, or from a share of each; the two had agreed on the step to stop at."""
    folder = done / f"{name}-half"
    assert len(checkpoint.read_log(folder)) == HALF
    assert (shares.newest(folder) is not None) == name.startswith("fsdp")
    assert (folder / checkpoint.CHECKPOINT).exists() == name.startswith("ddp")
    go(folder, Engine(device="cpu", accumulate=PARTS[name]))
    check_same(folder, done / f"one-{PARTS[name]}")
    assert shares.newest(folder) is None and (folder / checkpoint.CHECKPOINT).exists()


@pytest.mark.parametrize("name", ["ddp", "fsdp"])
def test_two_processes_go_on_where_one_was_stopped(name, done):
    check_same(done / f"one-half-{name}", done / "one-2")


def test_damaged_shares_are_refused(done, tmp_path):
    folder = Path(shutil.copytree(done / "fsdp", tmp_path / "run"))
    place = shares.newest(folder)
    assert place is not None
    file = max(place.glob("*.safetensors"))
    good = file.read_bytes()
    file.write_bytes(good[:-9])
    with pytest.raises(UserError, match=f"checkpoint-{STEPS} is damaged"):
        go(folder, Engine(device="cpu"))
    file.write_bytes(good[:20] + b"\xff" * 40 + good[60:])
    with pytest.raises(UserError, match=f"checkpoint-{STEPS} is damaged"):
        go(folder, Engine(device="cpu"))
    (place / shares.STATE).unlink()  # as if the processes had been killed before the last of them was done
    with pytest.raises(UserError, match="is missing"):
        go(folder, Engine(device="cpu"))


# ---------------------------------------------------------------------- the command line under torchrun


def start(folder: Path, *options: object) -> subprocess.Popen[str]:
    command = [*TORCHRUN, "-m", "minillm", "train", "--backend", "pt", "--device", "cpu", "--out", str(folder)]
    pipe = subprocess.PIPE
    command += map(str, options)
    return subprocess.Popen(command, env=ENV, stdout=pipe, stderr=pipe, text=True, encoding="utf-8")


def wait_for(process: subprocess.Popen[str], text: str) -> None:
    assert process.stderr is not None
    for line in process.stderr:
        if text in line:
            return
    pytest.fail(f"never said: {text}")


def children(process: subprocess.Popen[str]) -> list[int]:
    """The processes that torchrun has started, by rank."""
    found = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    ranks = {}
    for pid in found:
        environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        ranks |= {entry: int(pid) for entry in environment if entry.startswith(b"RANK=")}
    return [ranks[key] for key in sorted(ranks)]


@pytest.mark.skipif(sys.platform != "linux", reason="finds the processes in /proc")
def test_one_of_two_processes_is_killed(tmp_path, text_file):
    """The other ends with a clear line, long before the minutes that it would wait for a slow one; the folder is free
    again; the run goes on, and hears SIGTERM."""
    folder, options = tmp_path / "run", ["--preset=tiny", "--steps=100000", "--eval-every=20"]
    process = start(folder, "--data", text_file, *options)
    wait_for(process, "step    20  validation")
    second = [sys.executable, "-m", "minillm", "train", "--resume", "--out", folder]
    refused = subprocess.run(second, env=ENV, capture_output=True, text=True, encoding="utf-8", check=False)
    assert refused.returncode == 2 and "another training is at work in" in refused.stderr, refused.stderr
    os.kill(children(process)[1], signal.SIGKILL)
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode != 0
    said = [line for line in err.splitlines() if line.startswith("minillm train: ")]
    assert len(said) == 1 and "another process of this training has ended" in said[0] and "--resume" in said[0], err

    process = start(folder, "--resume")
    wait_for(process, "validation")
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=PATIENCE)
    assert "stopped at step" in err, err
    steps = [record["step"] for record in checkpoint.read_log(folder)]
    assert steps == list(range(1, len(steps) + 1)) and len(steps) > 20


def test_what_is_wrong_is_said_once(tmp_path, text_file):
    """By the first process, before anything is written."""
    options = ["--data", text_file, "--preset=tiny", "--accumulate", 3]
    process = start(tmp_path / "run", *options)
    out, err = process.communicate(timeout=PATIENCE)
    said = [line for line in err.splitlines() if line.startswith("minillm train: ")]
    assert said == [
        "minillm train: a batch of 8 does not divide into 2 processes x 3 parts: "
        "use a --batch-size that is a multiple of 6, or another --accumulate"
    ]
    assert out == "" and not (tmp_path / "run").exists()
