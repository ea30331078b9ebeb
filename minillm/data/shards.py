"""A row of token ids on disk, for texts larger than the memory: written once, read through a memory map.

    index.json                     ids' width, length and SHA-256 of each shard, their sum, the tokenizer's fingerprint
    00000.bin, 00001.bin, ...      ids one after the other, little-endian, uint16 where the vocabulary allows it

The row is the same as token_stream's: <eos> document <eos> document <eos>. Shards stands where an array of ids may:
it has a length, takes slices and arrays of positions, and gives int64.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from minillm.errors import UserError
from minillm.text.files import write_bytes, write_text
from minillm.text.tokenizer import Tokenizer

INDEX = "index.json"
FORMAT, VERSION = "minillm-shards", 1
SHARD = 1 << 24  # ids


class Shards:
    """The ids in a folder of shards, as one row."""

    def __init__(self, folder: str | Path, tokenizer: Tokenizer | None = None) -> None:
        """UserError: no finished shards there, shards of another length, or made with another tokenizer."""
        self.folder = Path(folder)
        self.index = _read_index(self.folder)
        if tokenizer is not None and tokenizer.fingerprint != self.index["tokenizer"]:
            raise UserError(f"{folder} was written with another tokenizer: give that one, or write the shards again")
        self._limit = 1 << 32 if tokenizer is None else tokenizer.vocab_size
        self._maps = [_map(self.folder / shard["file"], shard["ids"], self.index["dtype"]) for shard in self._shards]
        self._ends = np.cumsum([len(ids) for ids in self._maps])

    @property
    def _shards(self) -> list[dict[str, Any]]:
        return self.index["shards"]

    def __len__(self) -> int:
        return int(self._ends[-1])

    def __getitem__(self, at: int | slice | np.ndarray) -> np.ndarray:
        """The ids at a position, a slice, or an array of positions of any shape; int64, same shape.

        UserError: an id that the tokenizer, if one was given, does not have.
        """
        if isinstance(at, slice):
            at = np.arange(*at.indices(len(self)))
        positions = np.asarray(at)
        if positions.size and (positions.min() < -len(self) or positions.max() >= len(self)):
            raise IndexError(f"positions run to {positions.max()}, and there are {len(self)} ids")
        positions = np.where(positions < 0, positions + len(self), positions)
        shard = np.searchsorted(self._ends, positions, side="right")
        ids = np.empty(positions.shape, dtype=np.int64)
        for i in np.unique(shard):
            here = shard == i
            start = self._ends[i] - len(self._maps[i])
            ids[here] = self._maps[i][positions[here] - start]
        if ids.size and ids.max() >= self._limit:
            raise UserError(f"{self.folder} is damaged (an id of {ids.max()} beyond the vocabulary): write it again")
        return ids[()]

    @property
    def fingerprint(self) -> str:
        """SHA-256 of what the index says of the shards: the ids' own SHA-256s, so that they need not be read."""
        told = [[shard["ids"], shard["sha256"]] for shard in self._shards]
        return hashlib.sha256(json.dumps([self.index["dtype"], told]).encode()).hexdigest()

    def verify(self) -> None:
        """Read all of it. UserError: a shard has changed since it was written."""
        for shard in self._shards:
            with open(self.folder / shard["file"], "rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() != shard["sha256"]:
                    raise UserError(f"{self.folder / shard['file']} is damaged: write the shards again")


def write_shards(texts: Iterable[str], tokenizer: Tokenizer, folder: str | Path, shard_size: int = SHARD) -> Shards:
    """Encode texts one after the other into shards of `shard_size` ids; in memory are one text and one shard.

    Characters that the tokenizer does not know become <unk>; empty texts are left out. The index comes last: without
    it the folder counts as unfinished, and writing begins afresh. UserError: the folder holds shards already, or
    cannot be written.
    """
    if shard_size < 1:
        raise ValueError(f"shard_size is {shard_size}; it must be at least 1")
    folder = Path(folder)
    if (folder / INDEX).exists():
        raise UserError(f"{folder} holds shards already: choose another folder, or remove it first")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{folder} cannot be made: {error.strerror}; choose another folder") from None
    dtype = np.dtype("<u2" if tokenizer.vocab_size <= 1 << 16 else "<u4")
    shards: list[dict[str, Any]] = []
    for number, ids in enumerate(_blocks(texts, tokenizer, dtype, shard_size)):
        name, data = f"{number:05d}.bin", ids.tobytes()
        write_bytes(folder / name, data)
        shards.append({"file": name, "ids": len(ids), "sha256": hashlib.sha256(data).hexdigest()})
    index = {
        "format": FORMAT,
        "version": VERSION,
        "dtype": dtype.str,
        "tokenizer": tokenizer.fingerprint,
        "ids": sum(shard["ids"] for shard in shards),  # so that none of the following can be lost unnoticed
        "shards": shards,
    }
    write_text(folder / INDEX, json.dumps(index, indent=1) + "\n")
    return Shards(folder)


def _blocks(texts: Iterable[str], tokenizer: Tokenizer, dtype: np.dtype, size: int) -> Iterator[np.ndarray]:
    """The row of ids, cut every `size` of them. The last block may be shorter, and no block is empty."""
    block, filled = np.empty(size, dtype=dtype), 0
    for ids in _encoded(texts, tokenizer, dtype):
        while len(ids):
            taken = ids[: size - filled]
            block[filled : filled + len(taken)] = taken
            filled += len(taken)
            ids = ids[len(taken) :]
            if filled == size:
                yield block
                filled = 0
    if filled:
        yield block[:filled]


def _encoded(texts: Iterable[str], tokenizer: Tokenizer, dtype: np.dtype) -> Iterator[np.ndarray]:
    yield np.array([tokenizer.eos_id], dtype=dtype)
    for text in texts:
        if text:
            yield np.array([*tokenizer.encode(text, unknown="unk"), tokenizer.eos_id], dtype=dtype)


def _read_index(folder: Path) -> dict[str, Any]:
    try:
        index = json.loads((folder / INDEX).read_bytes())
    except FileNotFoundError:
        raise UserError(
            f"{folder} holds no finished shards ({INDEX} is missing): write them with minillm data shards"
        ) from None
    except OSError as error:
        raise UserError(f"{folder / INDEX} cannot be read: {error.strerror}; name another folder") from None
    except (ValueError, RecursionError):
        index = None
    try:
        known = (index["format"], index["version"]) == (FORMAT, VERSION) and index["dtype"] in ("<u2", "<u4")
        files = [f"{i:05d}.bin" for i in range(len(index["shards"]))]  # so that no index names a file elsewhere
        whole = files == [shard["file"] for shard in index["shards"]]
        whole = whole and all(type(shard["ids"]) is int and "sha256" in shard for shard in index["shards"])
        whole = whole and index["ids"] == sum(shard["ids"] for shard in index["shards"])
        if known and whole and files and "tokenizer" in index:
            return index
    except (TypeError, KeyError):
        pass
    raise UserError(f"{folder / INDEX} is damaged or of another version: write the shards again")


def _map(path: Path, ids: int, dtype: str) -> np.ndarray:
    try:
        found = np.memmap(path, dtype=dtype, mode="r")
    except (OSError, ValueError) as error:  # ValueError: empty, or half an id at its end
        raise UserError(f"{path} cannot be read: {error}; write the shards again") from None
    if len(found) != ids:
        raise UserError(f"{path} holds {len(found)} ids where {ids} are right: write the shards again")
    return found
