"""Copies of a run on a disk that may lose files: two of them, judged by their bytes; the newest whole one counts."""

import pytest

from minillm import checkpoint
from minillm.drive import MANIFEST, Copies, restore_copy, save_copy
from minillm.errors import UserError


def write_run(folder, step):
    folder.mkdir(exist_ok=True)
    for name in (checkpoint.CONFIG, checkpoint.CHECKPOINT, checkpoint.LOG):
        (folder / name).write_text(f"{name} {step}")


def step_of(folder):
    steps = {(folder / name).read_text().split()[1] for name in (checkpoint.CONFIG, checkpoint.CHECKPOINT)}
    assert len(steps) == 1  # of one copy, not mixed
    return int(steps.pop())


@pytest.fixture
def places(tmp_path):
    return tmp_path / "run", tmp_path / "drive"


def copies(places, *steps):
    run, drive = places
    for step in steps:
        write_run(run, step)
        slot = save_copy(run, drive)
    return slot


def test_the_newest_copy_comes_back(places, tmp_path):
    assert restore_copy(places[1], tmp_path / "back") is None
    for step in range(1, 6):
        copies(places, step)
        restore_copy(places[1], tmp_path / "back")
        assert step_of(tmp_path / "back") == step
    assert sorted(path.name for path in places[1].iterdir()) == ["a", "b"]
    assert not list((tmp_path / "back").glob("*.tmp"))


def half(slot):
    path = slot / checkpoint.CHECKPOINT
    path.write_bytes(path.read_bytes()[:5])


def other_byte(slot):
    path = slot / checkpoint.CHECKPOINT
    path.write_bytes(b"X" + path.read_bytes()[1:])


def lost(slot):
    (slot / checkpoint.CHECKPOINT).unlink()


def unfinished(slot):
    (slot / MANIFEST).unlink()


def cut_manifest(slot):
    (slot / MANIFEST).write_text("{")


@pytest.mark.parametrize("harm", [half, other_byte, lost, unfinished, cut_manifest])
def test_a_damaged_copy_does_not_count(harm, places, tmp_path):
    harm(copies(places, 1, 2, 3))
    restore_copy(places[1], tmp_path / "back")
    assert step_of(tmp_path / "back") == 2


@pytest.mark.parametrize("harm", [half, lost, unfinished, cut_manifest])
def test_a_damaged_copy_is_overwritten_first(harm, places):
    damaged = copies(places, 1, 2, 3)
    harm(damaged)
    assert copies(places, 4) == damaged


def test_no_whole_copy_is_said(places, tmp_path):
    half(copies(places, 1))
    with pytest.raises(UserError, match=r"no copy in .* is whole"):
        restore_copy(places[1], tmp_path / "back")


def test_there_must_be_a_run(places):
    with pytest.raises(UserError, match="holds no checkpoint to copy yet"):
        save_copy(*places)


def test_a_manifest_cannot_name_files_elsewhere(places, tmp_path):
    slot = copies(places, 1)
    (tmp_path / "secret").write_text("x")
    text = (slot / MANIFEST).read_text().replace(f'"{checkpoint.LOG}"', '"../../secret"')
    (slot / MANIFEST).write_text(text)
    with pytest.raises(UserError, match="is whole"):
        restore_copy(places[1], tmp_path / "back")


def test_copies_follow_the_checkpoints(places, monkeypatch):
    run, drive = places
    clock = [0.0]
    monkeypatch.setattr("minillm.drive.time.monotonic", lambda: clock[0])
    carrier = Copies(run, drive, minutes=1)
    write_run(run, 1)
    carrier.step({"step": 1})
    assert not drive.exists()  # a minute has not passed
    clock[0] = 61
    carrier.step({"step": 2})
    assert step_of(drive / "a") == 1
    clock[0] = 200
    carrier.step({"step": 3})
    assert not (drive / "b").exists()  # no new checkpoint
    write_run(run, 2)
    carrier.close()
    assert step_of(drive / "b") == 2


def test_a_copy_that_fails_does_not_stop_the_training(places, capsys):
    run, drive = places
    drive.write_text("no folder")
    carrier = Copies(run, drive, minutes=0)
    write_run(run, 1)
    carrier.step({"step": 1})
    assert "no copy this time" in capsys.readouterr().err
