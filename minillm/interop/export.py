"""A model of ours as a folder of transformers: config.json, model.safetensors, tokenizer.json and two small files.

    learned or sinusoidal positions, layernorm, any activation but swiglu    GPT-2
    rotary positions, rmsnorm                                                Llama, Qwen3, Arcee, Apertus

`AutoModelForCausalLM.from_pretrained` and `AutoTokenizer.from_pretrained` load the folder as it is, and write the same
greedy text: generation_config.json forbids them the special tokens that ours never writes.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from minillm import checkpoint
from minillm.config import ModelConfig
from minillm.errors import UserError
from minillm.interop import gpt2, llama
from minillm.interop.links import Link, theirs_from
from minillm.interop.settings import Settings
from minillm.interop.tensors import write_tensors
from minillm.interop.tokenizer import to_files
from minillm.text import HuggingFaceTokenizer, Tokenizer
from minillm.text.files import write_text
from minillm.train import never_written


class Theirs(Mapping[str, np.ndarray]):
    """Their weights by name, each made of ours when it is asked for."""

    def __init__(self, links: list[Link], weights: Mapping[str, np.ndarray], config: ModelConfig) -> None:
        self._weights, self._config = weights, config
        self._links = {name: link for link in links for name, _ in link.theirs}
        self.shapes = {name: link.shape_of(rows) for link in links for name, rows in link.theirs}

    def __getitem__(self, name: str) -> np.ndarray:
        link = self._links[name]
        if link.ours in self._weights:
            return theirs_from(link, self._weights[link.ours])[name]
        if link.ours == "emb.pos.weight":
            from minillm.np.position import sinusoidal

            return (self._config.init_std * sinusoidal(*link.shape)).astype(np.float32)
        return np.zeros(self.shapes[name], np.float32)  # a bias that ours does not have

    def __iter__(self) -> Iterator[str]:
        return iter(self._links)

    def __len__(self) -> int:
        return len(self._links)


def export_pretrained(model: Any, tokenizer: Tokenizer, out: str | Path) -> Path:
    """Write a GPT of either back-end and its tokenizer for transformers; the folder. UserError as export_run."""
    weights = model.state_dict()
    if any(hasattr(array, "detach") for array in weights.values()):
        weights = {name: tensor.detach().float().cpu().numpy() for name, tensor in weights.items()}
    return write_folder(model.config, weights, tokenizer, Path(out))


def export_run(folder: str | Path, out: str | Path) -> Path:
    """Write the model in a run's folder for transformers; the folder written.

    UserError: the folder holds no run, or one that no format can hold; `out` holds a model already.
    """
    run = checkpoint.load_run(Path(folder))
    prepared = prepare(run.model, run.tokenizer)  # what cannot be held shows before the weights are read
    there = {link.ours: link.shape for link in prepared[1] if is_there(link, run.model)}
    return write_folder(run.model, checkpoint.load_model(Path(folder), run, there), run.tokenizer, Path(out))


def is_there(link: Link, config: ModelConfig) -> bool:
    """Whether ours has this weight; theirs may be filled with zeros, or with sinusoidal positions."""
    if link.ours == "emb.pos.weight":
        return config.position == "learned"
    return config.bias or not link.ours.endswith(".bias")


def prepare(config: ModelConfig, tokenizer: Tokenizer) -> tuple[dict[str, Any], list[Link], dict[str, Any]]:
    """config.json, the links of the weights, and the tokenizer's files. UserError: no format can hold it."""
    module: ModuleType = llama if config.position == "rotary" else gpt2
    if why := module.refusal(config):
        raise UserError(
            f"no format of transformers holds {config.position} positions with {why}: train with --position rotary "
            "--norm rmsnorm (Llama), or --position learned --norm layernorm and no swiglu (GPT-2)"
        )
    settings = module.to_settings(config)
    begin = tokenizer.bos_id if isinstance(tokenizer, HuggingFaceTokenizer) else tokenizer.eos_id  # as ours learnt it
    known = {"bos_token_id": begin, "eos_token_id": tokenizer.eos_id, "pad_token_id": tokenizer.pad_id}
    settings |= {name: i if i >= 0 else None for name, i in known.items()} | {"dtype": "float32"}
    links = module.links(config, Settings(settings, Path(checkpoint.CONFIG)))
    return settings, links, to_files(tokenizer, config.context)


def write_folder(config: ModelConfig, weights: Mapping[str, np.ndarray], tokenizer: Tokenizer, out: Path) -> Path:
    """All files; config.json last."""
    settings, links, files = prepare(config, tokenizer)
    if (out / checkpoint.CONFIG).exists():
        raise UserError(f"{out} holds a model already: choose another --out")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot write to {out}: {error.strerror}; choose another --out") from error
    theirs = Theirs(links, weights, config)
    write_tensors(out / "model.safetensors", theirs, theirs.shapes, json.dumps({"format": "pt"}))
    ids = {name: settings[name] for name in ("bos_token_id", "eos_token_id", "pad_token_id")}
    files["generation_config.json"] = ids | ({"suppress_tokens": never} if (never := never_written(tokenizer)) else {})
    files[checkpoint.CONFIG] = settings
    for name, values in files.items():
        write_text(out / name, json.dumps(values, ensure_ascii=False, indent=2) + "\n")
    return out
