"""A run's folder: what is in it, and how it is written and read so that nothing is ever lost.

    config.json             the model's and the training's settings, where the text came from
    tokenizer.json          the vocabulary
    model.safetensors       the weights with the best validation loss so far: what generate and eval use
    checkpoint.safetensors  the latest weights and the optimiser's state: what --resume continues from
    log.jsonl               one line a step: loss, learning rate, speed; validation losses
    loss.png                the curve

A file is written under another name, flushed to the disk and renamed: a reader finds the old file or the
new one, never half of one. log.jsonl grows instead; a last line that is cut off does not count. config.json
comes last, so that a folder with one can be resumed. The header of a `.safetensors` file carries the step,
so that weights and step cannot disagree, and a checksum, so that no altered byte goes unnoticed. Batches
and dropout of a step depend on (seed, step) alone, so the step is also the position in the data and the
state of the random generators. Both back-ends read and write the same files.
"""

import json
import math
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from minillm.config import ModelConfig, TrainConfig, from_dict, to_dict
from minillm.errors import UserError
from minillm.text import Tokenizer, load_tokenizer
from minillm.text.files import write_bytes, write_text

FORMAT, VERSION = "minillm", 1
MODEL, CHECKPOINT, CONFIG, TOKENIZER, LOG = (
    "model.safetensors",
    "checkpoint.safetensors",
    "config.json",
    "tokenizer.json",
    "log.jsonl",
)
Arrays = dict[str, np.ndarray]


@dataclass
class Run:
    """What config.json and tokenizer.json hold."""

    model: ModelConfig
    train: TrainConfig
    tokenizer: Tokenizer
    data: dict[str, Any] = field(default_factory=dict)  # source, encoding, fingerprint of the tokens


@dataclass
class State:
    """Where a training stands after `step` updates."""

    step: int
    weights: Arrays
    optimizer: Arrays  # "exp_avg.<parameter>" and so on
    best: float  # lowest validation loss so far, nats a token
    waited: int  # validations since then
    skipped: int = 0  # steps that changed nothing, because fp16 overflowed
    scale: dict[str, float] = field(default_factory=dict)  # fp16's loss scale


def begin(folder: Path) -> None:
    """Create the folder. What an earlier run left there goes, its config.json first."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in (CONFIG, CHECKPOINT, MODEL, LOG):
            (folder / name).unlink(missing_ok=True)
    except OSError as error:
        raise UserError(f"cannot write to {folder}: {error.strerror}; choose another --out") from error
    sweep(folder)


def sweep(folder: Path) -> None:
    """Remove half-written files that a killed run has left behind."""
    for name in (CONFIG, TOKENIZER, CHECKPOINT, MODEL, LOG):
        for path in folder.glob(f"{name}.*.tmp"):
            path.unlink(missing_ok=True)


def save_run(folder: Path, run: Run) -> None:
    """Write tokenizer.json and config.json."""
    config = {
        "format": FORMAT,
        "version": VERSION,
        "model": to_dict(run.model),
        "train": to_dict(run.train),
        "data": run.data,
        "tokenizer": run.tokenizer.fingerprint,
    }
    run.tokenizer.save(folder / TOKENIZER)
    text = json.dumps(config, ensure_ascii=False, indent=1) + "\n"
    write_bytes(folder / CONFIG, text.encode("utf-8", "backslashreplace"))  # the text's file may have any name


def load_run(folder: Path) -> Run:
    """UserError if the folder holds no run, or files that do not belong together."""
    path = folder / CONFIG
    if not path.is_file():
        raise UserError(f"{folder} holds no model ({CONFIG} is missing); train one with: minillm train --out {folder}")
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        check_format(path, config)
        model, train = from_dict(ModelConfig, config["model"]), from_dict(TrainConfig, config["train"])
        fingerprint, data = config["tokenizer"], dict(config["data"])
        if any(not isinstance(data.get(name, ""), str | None) for name in ("source", "encoding", "field")):
            raise ValueError("where the text came from is no text")
    except UserError as error:
        raise error if str(path) in str(error) else UserError(f"{path}: {error}") from error
    except (ValueError, KeyError, TypeError, OSError, RecursionError) as error:
        raise UserError(f"{path} is damaged: restore a copy or train again") from error
    check_size(folder, model)
    tokenizer = load_tokenizer(folder / TOKENIZER)
    if tokenizer.fingerprint != fingerprint:
        raise UserError(
            f"{folder / TOKENIZER} is not the tokenizer that this model was trained with: restore the right one"
        )
    return Run(model, train, tokenizer, data)


def save_model(folder: Path, weights: Arrays, run: Run, step: int) -> None:
    """Write model.safetensors."""
    write_arrays(folder / MODEL, weights, {"tokenizer": run.tokenizer.fingerprint, "step": step})


def load_model(folder: Path, run: Run, shapes: dict[str, tuple[int, ...]]) -> Arrays:
    """The weights of model.safetensors, checked against the names and shapes that the model has."""
    arrays, header = read_arrays(folder / MODEL)
    check_header(folder / MODEL, header, run)
    check_shapes(folder / MODEL, arrays, shapes)
    return arrays


def save_state(folder: Path, state: State, run: Run) -> None:
    """Write checkpoint.safetensors."""
    arrays = {f"model.{name}": array for name, array in state.weights.items()}
    arrays |= {f"optimizer.{name}": array for name, array in state.optimizer.items()}
    header = {"tokenizer": run.tokenizer.fingerprint, "step": state.step, "best": state.best, "waited": state.waited}
    if state.skipped or state.scale:
        header |= {"skipped": state.skipped, "scale": state.scale}
    write_arrays(folder / CHECKPOINT, arrays, header)


def load_state(folder: Path, run: Run, shapes: dict[str, tuple[int, ...]]) -> State:
    """The state of checkpoint.safetensors, checked like a model's weights."""
    arrays, header = read_arrays(folder / CHECKPOINT)
    check_header(folder / CHECKPOINT, header, run)
    weights = {name[6:]: array for name, array in arrays.items() if name.startswith("model.")}
    optimizer = {name[10:]: array for name, array in arrays.items() if name.startswith("optimizer.")}
    check_shapes(folder / CHECKPOINT, weights, shapes)
    try:
        step, waited, best = header["step"], header["waited"], float(header["best"])
        skipped, scale = header.get("skipped", 0), dict(header.get("scale", {}))
        if not all(type(count) is int and count >= 0 for count in (step, waited, skipped)) or math.isnan(best):
            raise ValueError("these count nothing")
        return State(step, weights, optimizer, best, waited, skipped, scale)
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{folder / CHECKPOINT} is not a checkpoint of this program: train again") from error


def write_arrays(path: Path, arrays: Arrays, header: dict[str, Any]) -> None:
    """A safetensors file whose header also holds `header`, as JSON."""
    arrays = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    header = {"format": FORMAT, "version": VERSION, **header}
    header["crc32"] = checksum(arrays, header)
    write_bytes(path, save(arrays, {"minillm": json.dumps(header)}))


def checksum(arrays: Mapping[str, np.ndarray], header: dict[str, Any]) -> int:
    """CRC-32 of the header and of every array's name, type, shape and bytes."""
    crc = zlib.crc32(json.dumps(header, sort_keys=True).encode())
    for name in sorted(arrays):  # one at a time: a lazy mapping need not hold them all
        array = arrays[name]
        crc = zlib.crc32(array.data, zlib.crc32(f"{name} {array.dtype} {array.shape}".encode(), crc))
    return crc


def read_arrays(path: Path) -> tuple[Arrays, dict[str, Any]]:
    """UserError if the file is missing, cut off, altered in any byte, or not of this program."""
    if not path.is_file():
        raise UserError(f"{path} is missing; train the model, or name another folder")
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            if "minillm" not in metadata:
                raise UserError(f"{path} is not of this program: name a folder that minillm train made")
            header = json.loads(metadata["minillm"])
            check_format(path, header)
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
            if header.pop("crc32") != checksum(arrays, header):
                raise ValueError("the checksum is another")
    except UserError:
        raise
    except (SafetensorError, OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise UserError(f"{path} is damaged: restore a copy or train again") from error
    return arrays, header


def check_format(path: Path, header: Any) -> None:
    """UserError unless this program wrote the file, in the version that it reads."""
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise UserError(f"{path} is not of this program: name a folder that minillm train made")
    if header.get("version") != VERSION:
        raise UserError(
            f"{path} has format version {header.get('version')}, this program reads version {VERSION}: "
            "use the program that wrote it, or train again"
        )


def check_size(folder: Path, model: ModelConfig) -> None:
    """UserError if the weights' files, at a byte a weight, are too small for the model: before it takes any memory."""
    positions = model.context if model.position == "learned" else 0
    block = 2 * (model.n_head + model.n_kv_head) * model.d_head + 2 * model.d_ff
    least = model.d_model * (model.vocab_size + positions + model.n_layer * block)
    sizes = [(folder / name).stat().st_size for name in (MODEL, CHECKPOINT) if (folder / name).is_file()]
    if model.context >= 1 << 31:
        raise UserError(f"{folder / CONFIG} has a context of {model.context}: restore the right one, or train again")
    if sizes and least > max(sizes):
        raise UserError(
            f"{folder / CONFIG} describes a model of over {least:,} weights, more than the files beside it hold: "
            "restore the right one, or train again"
        )


def check_header(path: Path, header: dict[str, Any], run: Run) -> None:
    if header.get("tokenizer") != run.tokenizer.fingerprint:
        raise UserError(f"{path} belongs to another tokenizer than the {TOKENIZER} beside it: restore the right one")


def check_shapes(path: Path, arrays: Arrays, shapes: dict[str, tuple[int, ...]]) -> None:
    """UserError that names the first difference between the file's arrays and the model's."""
    for name in [*shapes, *arrays]:
        here = arrays[name].shape if name in arrays else "no such array"
        needed = shapes.get(name, "no such array")
        if here != needed:
            raise UserError(f"{path} does not fit {CONFIG}: {name} is {here} in the file and {needed} in the model")


def append_log(folder: Path, records: Iterable[dict[str, Any]]) -> None:
    """Add lines to log.jsonl."""
    try:
        with open(folder / LOG, "a", encoding="utf-8") as file:
            file.writelines(json.dumps(record) + "\n" for record in records)
    except OSError as error:
        raise UserError(f"cannot write {folder / LOG}: {error.strerror}; free some space") from error


def read_log(folder: Path, steps: int | None = None) -> list[dict[str, Any]]:
    """Lines of log.jsonl, of the first `steps` steps only if given; a last line that a crash cut off is dropped."""
    path = folder / LOG
    records = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else []:
        try:
            record = json.loads(line)
            if record["step"] <= (math.inf if steps is None else steps) and isinstance(record["loss"], float):
                records.append(record)
        except (ValueError, TypeError, KeyError, RecursionError):
            continue
    return records


def write_log(folder: Path, records: list[dict[str, Any]]) -> None:
    """Replace log.jsonl: a resumed run drops the lines of steps that it will do again."""
    write_text(folder / LOG, "".join(json.dumps(record) + "\n" for record in records))
