"""Weights in safetensors files: read one at a time without copying, as float32, and written one at a time.

The file is a length, a JSON header with type, shape and place of each tensor, and their bytes
(https://github.com/huggingface/safetensors). The library checks that header; the bytes are then mapped into memory,
so that nothing is read before it is used and a model larger than half of the memory can be converted. No file
that could hold a program (a pickle, as in pytorch_model.bin) is ever opened.
"""

import json
import math
import mmap
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open

from minillm.errors import UserError
from minillm.interop.settings import read_json
from minillm.text.files import write_parts

ONE, INDEX = "model.safetensors", "model.safetensors.index.json"
PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")
TYPES = {"F32": 4, "F16": 2, "BF16": 2}  # bytes a number
LONGEST_INDEX = 1 << 26


class Tensors(Mapping[str, np.ndarray]):
    """The tensors of a folder by name. `shapes` are known at once; a tensor is read when it is asked for."""

    def __init__(self, folder: Path) -> None:
        """UserError: no weights, only pickles, a file that is missing, damaged or of another type of number."""
        self.shapes: dict[str, tuple[int, ...]] = {}
        self._places: dict[str, tuple[mmap.mmap, str, int]] = {}
        for path in files(folder):
            self._read_header(path)

    def _read_header(self, path: Path) -> None:
        try:
            with safe_open(path, framework="numpy"):  # the library's own checks: places, sizes, the file's length
                pass
            with open(path, "rb") as file:
                (length,) = struct.unpack("<Q", file.read(8))
                header = json.loads(file.read(length))
                data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except (SafetensorError, OSError, ValueError, RecursionError, struct.error) as error:
            raise UserError(f"{path} is damaged or cut off ({error!s:.80}): copy or download it again") from None
        header.pop("__metadata__", None)
        for name, entry in header.items():
            if name in self._places:
                raise UserError(f"{path} holds {name}, which another file beside it holds as well: download them again")
            self.shapes[name] = tuple(entry["shape"])
            self._places[name] = (data, entry["dtype"], 8 + length + entry["data_offsets"][0])

    def check_types(self, names: Iterator[str]) -> None:
        """UserError if one of these is stored as numbers that are not read: integers, float8."""
        for name in names:
            if self._places[name][1] not in TYPES:
                raise UserError(
                    f"{name} is stored as {self._places[name][1]}; minillm reads {', '.join(TYPES)}: "
                    "take a model that is not quantised"
                )

    def __getitem__(self, name: str) -> np.ndarray:
        """A float32 array; of a float32 file without copying, read only."""
        data, kind, start = self._places[name]
        shape = self.shapes[name]
        raw = np.frombuffer(data, np.uint8, math.prod(shape) * TYPES[kind], start)
        return float32(raw, kind).reshape(shape)

    def __iter__(self) -> Iterator[str]:
        return iter(self.shapes)

    def __len__(self) -> int:
        return len(self.shapes)


def float32(raw: np.ndarray, kind: str) -> np.ndarray:
    """The numbers in little-endian bytes. bfloat16, which NumPy lacks, is the upper half of a float32."""
    if kind == "BF16":
        return (raw.view("<u2").astype(np.uint32) << np.uint32(16)).view(np.float32)
    if kind == "F16":
        return raw.view("<f2").astype(np.float32)
    return raw.view("<f4").astype(np.float32, copy=False)


def files(folder: Path) -> list[Path]:
    """The safetensors files of a folder: one, or those that an index names."""
    if (folder / ONE).is_file():
        return [folder / ONE]
    if (folder / INDEX).is_file():
        places = read_json(folder / INDEX, LONGEST_INDEX).get("weight_map")
        if not isinstance(places, dict) or not places or not all(isinstance(name, str) for name in places.values()):
            raise UserError(f"{folder / INDEX} names no files (weight_map): copy or download it again")
        names = sorted(set(places.values()))
        for name in names:
            if Path(name).name != name or "\\" in name or not name.endswith(".safetensors"):
                raise UserError(
                    f"{folder / INDEX} names {name!r:.60}, which is no safetensors file beside it: leave it"
                )
            if not (folder / name).is_file():
                raise UserError(f"{folder / name} is missing: the download is not complete")
        return [folder / name for name in names]
    pickles = [path.name for pattern in PICKLES for path in sorted(folder.glob(pattern))]
    if pickles:
        raise UserError(
            f"{folder} holds its weights only as {pickles[0]}, a pickle, which can run any program when it is read: "
            "take a copy with model.safetensors (in transformers: save_pretrained writes one)"
        )
    raise UserError(f"{folder} holds no weights ({ONE} is missing): name a folder of transformers")


def write_tensors(path: Path, arrays: Mapping[str, np.ndarray], shapes: dict[str, tuple[int, ...]], about: str) -> None:
    """A safetensors file of float32 arrays, which are asked for one at a time. `about`: its metadata, as JSON."""
    header: dict[str, object] = {"__metadata__": json.loads(about)}
    end = 0
    for name, shape in shapes.items():
        start, end = end, end + 4 * math.prod(shape)
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [start, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # the numbers begin at a multiple of 8

    def parts() -> Iterator[bytes | memoryview]:
        yield struct.pack("<Q", len(text)) + text
        for name in shapes:
            yield np.ascontiguousarray(arrays[name], dtype="<f4").reshape(-1).view(np.uint8).data

    write_parts(path, parts())
