"""A run kept on a disk that may lose what was just written, such as Google Drive as Colab mounts it.

    drive/a/  drive/b/          two copies of a run's folder, the older one overwritten next
    drive/a/manifest.json       count, and size and SHA-256 of each file; written last, removed first

Training writes to the machine's own disk (checkpoint.py); `save_copy` carries the files over from time to time. A
renamed file is no promise on a network disk, so nothing here rests on one: a copy counts if every byte of it agrees
with its manifest, and while one copy is being written the other stays untouched. `restore_copy` brings back the newest
copy that counts. `Copies` does the carrying during a training.
"""

import hashlib
import json
import os
import shutil
import sys
import time
from pathlib import Path
from typing import Any

from minillm import checkpoint
from minillm.errors import UserError
from minillm.train import Silent

SLOTS, MANIFEST = ("a", "b"), "manifest.json"
KEPT = (checkpoint.TOKENIZER, checkpoint.LOG, checkpoint.MODEL, checkpoint.CHECKPOINT, checkpoint.CONFIG)


def save_copy(folder: str | Path, drive: str | Path) -> Path:
    """Copy a run's files over the older of the two copies.  -> the copy

    UserError: there is no run in `folder`, or `drive` cannot be written.
    """
    folder, drive = Path(folder), Path(drive)
    if not (folder / checkpoint.CHECKPOINT).is_file():
        raise UserError(f"{folder} holds no checkpoint to copy yet: train first")
    counts = {slot: _count(drive / slot) for slot in SLOTS}
    slot = drive / min(SLOTS, key=lambda name: counts[name])
    try:
        slot.mkdir(parents=True, exist_ok=True)
        (slot / MANIFEST).unlink(missing_ok=True)  # from here on this copy does not count
        files = {name: _copy(folder / name, slot / name) for name in KEPT if (folder / name).is_file()}
        _write(slot / MANIFEST, json.dumps({"count": max(counts.values()) + 1, "files": files}).encode())
    except OSError as error:
        raise UserError(f"{drive} cannot be written: {error.strerror}; is the drive mounted, is it full?") from error
    return slot


def restore_copy(drive: str | Path, folder: str | Path) -> Path | None:
    """Bring the newest whole copy back into a run's folder.  -> the copy, None if there is none

    UserError: copies are there, but every one of them is damaged; or the folder cannot be written.
    """
    drive, folder = Path(drive), Path(folder)
    there = sorted((drive / slot for slot in SLOTS if (drive / slot).is_dir()), key=_count, reverse=True)
    for slot in there:
        files = _manifest(slot).get("files", {})
        if not files or any(_digest(slot / name) != seen for name, seen in files.items()):
            continue
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for name in files:
                beside = folder / f"{name}.{os.getpid()}.tmp"
                shutil.copyfile(slot / name, beside)
                os.replace(beside, folder / name)
        except OSError as error:
            raise UserError(f"{folder} cannot be written: {error.strerror}; choose another") from error
        return slot
    if there:
        raise UserError(f"no copy in {drive} is whole: start again in another folder")
    return None


class Copies(Silent):
    """Copies a run while it trains: a new checkpoint, when the last copy is some minutes old, and the last one.

    Give it to `train(..., reporter=Copies(folder, drive))`, beside others with `Together`. A copy that fails is told
    on standard error, and training goes on: the next one may succeed.
    """

    def __init__(self, folder: Path, drive: Path, minutes: float = 5) -> None:
        self.folder, self.drive, self.pause = Path(folder), Path(drive), 60 * minutes
        self.copied, self.at = self._stamp(), time.monotonic()

    def _stamp(self) -> int:
        path = self.folder / checkpoint.CHECKPOINT
        return path.stat().st_mtime_ns if path.exists() else 0

    def _copy(self) -> None:
        stamp = self._stamp()
        if stamp != self.copied:
            try:
                save_copy(self.folder, self.drive)
            except UserError as error:
                print(f"no copy this time: {error}", file=sys.stderr)
            self.copied, self.at = stamp, time.monotonic()

    def step(self, record: dict[str, Any]) -> None:
        if time.monotonic() - self.at >= self.pause:
            self._copy()

    def close(self) -> None:
        self._copy()


def _manifest(slot: Path) -> dict[str, Any]:
    try:
        found = json.loads((slot / MANIFEST).read_bytes())
        assert isinstance(found["count"], int) and set(found["files"]) <= set(KEPT)
        return found
    except (OSError, ValueError, KeyError, TypeError, AssertionError, RecursionError):
        return {}


def _count(slot: Path) -> int:
    """Of a copy, 0 if its files are not even as long as they should be: such a one is overwritten first."""
    found = _manifest(slot)
    paths = [(slot / name, seen[0]) for name, seen in found.get("files", {}).items()]
    whole = all(path.is_file() and path.stat().st_size == size for path, size in paths)
    return found["count"] if found and whole else 0


def _digest(path: Path) -> list[Any] | None:
    try:
        with open(path, "rb") as file:
            return [path.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest()]
    except OSError:
        return None


def _copy(source: Path, target: Path) -> list[Any]:
    """Size and SHA-256 of what was read; what has arrived is judged when it is needed."""
    data = source.read_bytes()
    _write(target, data)
    return [len(data), hashlib.sha256(data).hexdigest()]


def _write(path: Path, data: bytes) -> None:
    with open(path, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
