"""Public corpora into the cache folder: each file complete and with its SHA-256, or not there at all.

A file comes from its official address, or from a mirror: a folder or an http(s) address that holds the files under
their names in the cache. It grows beside its place as NAME.part, and gets its name once its SHA-256 is right, so
that neither Ctrl-C nor a bad server leaves a wrong file; a file that was damaged later is found and fetched again.

    MINILLM_CACHE    where the files are kept (default: ~/.cache/minillm)
    MINILLM_MIRROR   where they come from (default: their public repositories)
"""

import hashlib
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from minillm.data.catalogue import Source, SourceFile
from minillm.data.lock import locked
from minillm.data.transfer import CHUNK, TransferError, transfer
from minillm.errors import UserError

CACHE, MIRROR = "MINILLM_CACHE", "MINILLM_MIRROR"
At = Callable[[int], None]


def cache_folder() -> Path:
    """Where fetched corpora are kept. UserError: there is no home folder."""
    named = os.environ.get(CACHE) or "~/.cache/minillm"
    try:
        return Path(named).expanduser().absolute() / "corpora"
    except RuntimeError:
        raise UserError(f"there is no home folder for {named}; name a folder with {CACHE}") from None


def place(file: SourceFile) -> Path:
    """The file's path in the cache, whether it is there or not."""
    return cache_folder() / file.name


def state(file: SourceFile) -> str:
    """What the cache holds: "ok", "missing" or "damaged"."""
    path = place(file)
    if not path.exists():
        return "missing"
    return "ok" if _is_right(path, file) else "damaged"


def location(source: Source) -> Path:
    """Its one file in the cache, or the folder of its files."""
    first = place(source.files[0])
    return first if len(source.files) == 1 else first.parent


def report(source: Source) -> dict[str, Any]:
    """A corpus and what the cache holds of it: its state is "ok", "missing", "incomplete" or "damaged"."""
    states = {file.name: state(file) for file in source.files}
    kinds = set(states.values())
    return {
        **{name: getattr(source, name) for name in ("name", "about", "size", "bytes", "licence", "attribution")},
        "path": str(location(source)),
        "state": "damaged" if "damaged" in kinds else "incomplete" if len(kinds) > 1 else kinds.pop(),
        "files": states,
    }


def fetch(source: Source, quiet: bool = False) -> list[Path]:
    """The files of a corpus, fetched if the cache does not hold them. Unless quiet, standard error tells of it.

    UserError: they cannot be had (no network, a wrong mirror), or the cache cannot be written.
    """
    missing = [file for file in source.files if state(file) != "ok"]
    if missing:
        say = _silent if quiet else _say
        say(f"fetching {source.name}, {source.bytes:,} bytes, from {mirror() or 'its public repository'}")
        say(f"licence: {source.licence}; source: {source.attribution}")
        with _bar(source.name, sum(file.bytes for file in missing), quiet) as bar:
            for file in missing:
                _fetch_file(file, bar, say)
    return [place(file) for file in source.files]


def mirror() -> str:
    """What the user named as the place to fetch from; empty: the official addresses."""
    return os.environ.get(MIRROR, "").strip()


def _fetch_file(file: SourceFile, bar: Any, say: Callable[[str], None]) -> None:
    path = place(file)
    part, lock = (path.with_name(f"{path.name}.{ending}") for ending in ("part", "lock"))
    before = bar.n

    def at(position: int) -> None:
        bar.update(before + position - bar.n)

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with locked(lock, lambda: say(f"another process is fetching {file.name}: waiting for it")):
            if state(file) != "ok":  # it may have come while we waited
                _fill(file, part, at, say)
                _flush(part)  # the rename must not reach the disk before the data does
                os.replace(part, path)
        at(file.bytes)
    except OSError as error:
        reason = error.strerror or error
        raise UserError(f"{path} cannot be written: {reason}; free space, or name a folder with {CACHE}") from None


def _fill(file: SourceFile, part: Path, at: At, say: Callable[[str], None]) -> None:
    """Make `part` the right file, from the mirror or the official address."""
    base = mirror()
    if base and not base.lower().startswith(("http://", "https://")):
        _copy(Path(os.path.expanduser(base)) / file.name, part, at)
        if not _is_right(part, file):
            part.unlink()
            raise UserError(f"{Path(base) / file.name} is not the file (wrong SHA-256); mend the mirror {MIRROR} names")
        return
    address = f"{base.rstrip('/')}/{quote(file.name)}" if base else file.address

    def again(reason: str, pause: float) -> None:
        say(f"{file.name}: {reason}; trying again in {pause:.1f} s")

    try:
        transfer(address, part, file.bytes, lambda: _is_right(part, file), at, again)
    except TransferError as error:
        raise UserError(
            f"{address} cannot be fetched: {error}; check the network and try again (what has come is kept), "
            f"or name a mirror, a folder or an address, with {MIRROR}, or put the file at {place(file)}"
        ) from None


def _copy(origin: Path, part: Path, at: At) -> None:
    try:
        source = open(origin, "rb")  # noqa: SIM115 (an error of this file must not be taken for one of the other)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(
            f"{origin} cannot be read: {reason}; {MIRROR} must name a folder or an http(s) address"
        ) from None
    with source, open(part, "wb") as target:
        while chunk := source.read(CHUNK):
            target.write(chunk)
            at(target.tell())


def _is_right(path: Path, file: SourceFile) -> bool:
    if not path.is_file() or path.stat().st_size != file.bytes:
        return False
    with open(path, "rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest() == file.sha256


def _flush(path: Path) -> None:
    with open(path, "rb+") as file:
        os.fsync(file.fileno())


@contextmanager
def _bar(name: str, total: int, quiet: bool) -> Iterator[Any]:
    from tqdm import tqdm

    shown: dict[str, Any] = {"unit": "B", "unit_scale": True, "dynamic_ncols": True, "file": sys.stderr}
    # disable=None: no bar where nobody watches, so that a log file holds whole lines only
    with tqdm(total=total, desc=name, disable=True if quiet else None, **shown) as bar:
        yield bar


def _say(line: str) -> None:
    from tqdm import tqdm

    with suppress(ValueError):  # standard error may be closed
        tqdm.write(line, file=sys.stderr)


def _silent(line: str) -> None: ...
