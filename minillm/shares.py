"""The checkpoint of a model that several processes share out (FSDP): each writes its part, in a folder of its own.

    checkpoint-400/shard-00001-….safetensors    weights and optimiser's state, a file a process
    checkpoint-400/state.json                   step, best loss, tokenizer, the files and their sizes

state.json is written last: a folder without it does not count, and its files must have the sizes that it names. Any
number of processes reads what any other number wrote (torch.distributed.checkpoint). Safetensors hold no code, as
PyTorch's own format might.
"""

import json
import shutil
from pathlib import Path
from typing import Any

from safetensors import safe_open

from minillm.checkpoint import FORMAT, VERSION, Run, State, check_format, check_header
from minillm.errors import UserError
from minillm.ranks import Ranks
from minillm.text.files import write_bytes

NAME, STATE = "checkpoint-", "state.json"


def newest(folder: Path) -> Path | None:
    """The finished checkpoint of the highest step."""
    found = [path for path in folder.glob(f"{NAME}*") if (path / STATE).is_file() and step_of(path) >= 0]
    return max(found, key=step_of, default=None)


def step_of(path: Path) -> int:
    number = path.name.removeprefix(NAME)
    return int(number) if number.isdecimal() else -1


def clear(folder: Path, but: Path | None = None) -> None:
    """Remove all checkpoints but one, state.json first, so that none is half there and counts."""
    for path in folder.glob(f"{NAME}*"):
        if path != but and path.is_dir() and step_of(path) >= 0:
            (path / STATE).unlink(missing_ok=True)
            shutil.rmtree(path, ignore_errors=True)


def save_shares(folder: Path, state: State, run: Run, ranks: Ranks) -> Path:
    """Write the state, whose weights and optimiser are tensors here; every process calls it. UserError: it cannot."""
    from minillm.pt.distributed import save_shares

    place = folder / f"{NAME}{state.step}"
    if ranks.index == 0:
        shutil.rmtree(place, ignore_errors=True)  # begun by a run that was killed
    ranks.total(0)
    try:
        save_shares(str(place), named(state))
    except Exception as error:  # of whichever process: PyTorch gathers them in a kind of its own
        raise UserError(f"{place} cannot be written: {error!s:.200}; free space there or name another place") from error
    if ranks.index == 0:
        header = {"format": FORMAT, "version": VERSION, "tokenizer": run.tokenizer.fingerprint, "step": state.step}
        header |= {"best": state.best, "waited": state.waited, "skipped": state.skipped, "scale": state.scale}
        header["files"] = {path.name: path.stat().st_size for path in sorted(place.glob("*.safetensors"))}
        write_bytes(place / STATE, json.dumps(header).encode())
    ranks.total(0)
    return place


def load_shares(place: Path, state: State, run: Run) -> None:
    """Fill the state, whose weights and optimiser are the model's own tensors. UserError: damaged, or of another."""
    from minillm.pt.distributed import load_shares

    try:
        header = json.loads((place / STATE).read_bytes())
        check_format(place / STATE, header)
        check_header(place / STATE, header, run)
        sizes = {path.name: path.stat().st_size for path in place.glob("*.safetensors")}
        if sizes != header["files"]:
            raise ValueError("files are missing, or cut off")
        for name in sizes:
            with safe_open(place / name, framework="numpy") as file:
                file.keys()  # its header can be read: PyTorch would complain at length
        load_shares(str(place), named(state))
        state.step, state.best, state.waited = int(header["step"]), float(header["best"]), int(header["waited"])
        state.skipped, state.scale = int(header["skipped"]), dict(header["scale"])
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"{place} is damaged or does not fit the model: restore a copy or train again") from error


def named(state: State) -> dict[str, Any]:
    weights = {f"model.{name}": tensor for name, tensor in state.weights.items()}
    return weights | {f"optimizer.{name}": tensor for name, tensor in state.optimizer.items()}
