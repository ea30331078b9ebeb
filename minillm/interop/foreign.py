"""A model of transformers, in its folder or on the Hub, read into ours: everything is checked before memory is taken.

model, tokenizer = from_pretrained("gpt2", backend="pt")
import_pretrained("Qwen/Qwen3-0.6B-Base", Path("runs/qwen3"))       a folder for minillm generate --model
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from minillm import checkpoint
from minillm.backend import Backend
from minillm.config import ModelConfig, TrainConfig
from minillm.errors import UserError
from minillm.interop import gpt2, hub, llama
from minillm.interop.links import Link, check, ours_from
from minillm.interop.settings import Settings, read_json
from minillm.interop.tensors import Tensors, write_tensors
from minillm.interop.tokenizer import read_tokenizer
from minillm.text import Tokenizer

FORMATS: dict[str, ModuleType] = {kind: module for module in (gpt2, llama) for kind in module.TYPES}


class Weights(Mapping[str, np.ndarray]):
    """Our weights by name, each made of theirs when it is asked for, and not kept."""

    def __init__(self, links: list[Link], tensors: Mapping[str, np.ndarray]) -> None:
        self._links, self._tensors = {link.ours: link for link in links}, tensors
        self.shapes = {link.ours: link.shape for link in links}

    def __getitem__(self, name: str) -> np.ndarray:
        return ours_from(self._links[name], self._tensors)

    def __iter__(self) -> Iterator[str]:
        return iter(self._links)

    def __len__(self) -> int:
        return len(self._links)


class Renamed(Mapping[str, np.ndarray]):
    """Tensors under the names of the causal language model: a file of the bare model leaves a prefix out."""

    def __init__(self, tensors: Tensors, prefix: str) -> None:
        bare = not any(name.startswith(prefix) for name in tensors)
        self.names = {(prefix + name if bare and name != "lm_head.weight" else name): name for name in tensors}
        self.shapes = {name: tensors.shapes[theirs] for name, theirs in self.names.items()}
        self._tensors = tensors

    def __getitem__(self, name: str) -> np.ndarray:
        return self._tensors[self.names[name]]

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)


def from_pretrained(
    name: str | Path, *, backend: str = "np", device: str = "auto", context: int | None = None
) -> tuple[Any, Tokenizer]:
    """Our GPT with the weights of a transformers folder or a Hub name, and its tokenizer.

    context: positions that the model shall see at once, at most its own; None: its own, for rotary positions 2048 at
    most. Weights become float32. UserError: what is in the folder is not what minillm can compute exactly, is damaged
    or could run a program; the name is unknown or there is no network.
    """
    device_of = Backend(backend, device)  # a missing PyTorch shows before a long download
    config, weights, tokenizer = read_folder(hub.find(name, check_settings), context)
    model = device_of.gpt(config, seed=None)
    for key, own in model.state_dict().items():
        if backend == "np":
            own[...] = weights[key]
        else:
            import torch

            with torch.no_grad():
                own.copy_(torch.from_numpy(weights[key]))
    return model, tokenizer


def import_pretrained(name: str | Path, out: str | Path, *, context: int | None = None) -> checkpoint.Run:
    """Write a run's folder, as minillm train leaves it, from a transformers folder or a Hub name.

    Errors as from_pretrained; also if `out` holds a model already. One weight at a time is in memory.
    """
    out = Path(out)
    if (out / checkpoint.CONFIG).exists():
        raise UserError(f"{out} holds a model already: choose another --out")
    config, weights, tokenizer = read_folder(hub.find(name, check_settings), context)
    run = checkpoint.Run(config, TrainConfig(), tokenizer, {"imported": str(name)})
    checkpoint.begin(out)
    header: dict[str, Any] = {"format": checkpoint.FORMAT, "version": checkpoint.VERSION}
    header |= {"tokenizer": tokenizer.fingerprint, "step": 0}
    header["crc32"] = checkpoint.checksum(weights, header)
    about = json.dumps({"minillm": json.dumps(header)})
    write_tensors(out / checkpoint.MODEL, weights, weights.shapes, about)
    checkpoint.save_run(out, run)
    return run


def read_folder(folder: Path, context: int | None = None) -> tuple[ModelConfig, Weights, Tokenizer]:
    """Configuration, weights (not read yet) and tokenizer of a transformers folder. UserError as from_pretrained."""
    settings = check_settings(folder)
    module = FORMATS[settings.values["model_type"]]
    if context is not None and context < 1:
        raise UserError(f"context is {context}; it must be at least 1")
    config = module.from_settings(settings, context)
    tensors = Tensors(folder)
    named = Renamed(tensors, module.PREFIX)
    if config.n_layer > len(named):  # before a list of so many layers is made
        settings.refuse(f"it describes {config.n_layer} layers, but the files hold {len(named)} weights")
    links = module.links(config, settings)
    ignored = {key for key in named if module.is_buffer(key)}
    if config.tied and "lm_head.weight" in named:
        ignored.add("lm_head.weight")
    check(folder, links, named.shapes, ignored)
    tensors.check_types(named.names[key] for link in links if not link.zero for key, _ in link.theirs)
    if "lm_head.weight" in ignored:
        check_tied(settings, named, links[0].theirs[0][0])
    return config, Weights(links, named), read_tokenizer(folder, settings, config.vocab_size)


def check_settings(folder: Path) -> Settings:
    """config.json, if it describes a model of a kind that is read. UserError: another, or quantised."""
    path = folder / checkpoint.CONFIG
    settings = Settings(read_json(path), path)
    if settings.values.get("format") == checkpoint.FORMAT:
        raise UserError(f"{folder} is a run of minillm already: use it as it is, with --model {folder}")
    kind = settings.values.get("model_type")
    if not isinstance(kind, str) or kind not in FORMATS:
        settings.refuse(f"model_type is {kind!r:.40}; minillm reads {', '.join(FORMATS)}")
    if "quantization_config" in settings:
        settings.refuse("its weights are quantised: take the model that they were made from")
    return settings


def check_tied(settings: Settings, named: Renamed, embedding: str) -> None:
    """UserError if an output layer beside a tied embedding is another one."""
    head = "lm_head.weight"
    if named.shapes[head] != named.shapes[embedding] or not np.array_equal(named[head], named[embedding]):
        settings.refuse(f"tie_word_embeddings is true, but {head} is another weight: set it to false, if it counts")
