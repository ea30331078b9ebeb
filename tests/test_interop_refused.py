"""Foreign folders that are damaged, malicious or beyond us: one clear line each, before any memory is taken."""

import json
import os
import shutil
import threading
import tracemalloc
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from processes import ENV, python
from safetensors.numpy import load_file, save_file

from minillm.backend import Backend
from minillm.checkpoint import Run, save_run
from minillm.cli import main
from minillm.config import ModelConfig, TrainConfig
from minillm.errors import UserError
from minillm.interop import export_pretrained, from_pretrained, import_pretrained
from minillm.text import CharTokenizer, WordTokenizer

pytest.importorskip("tokenizers")
TOKENIZER = CharTokenizer("我爱北京天安门")
SHAPE = {"vocab_size": TOKENIZER.vocab_size, "context": 8, "n_layer": 1, "n_head": 2, "d_model": 8}
LLAMA = SHAPE | {"norm": "rmsnorm", "position": "rotary", "activation": "swiglu", "bias": False}
WEIGHTS, SETTINGS = "model.safetensors", "config.json"


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> dict[str, Path]:
    """Two sound folders of transformers, which minillm export wrote."""
    made = {}
    for name, shape in {"gpt2": SHAPE, "llama": LLAMA, "qwen3": LLAMA | {"qk_norm": True}}.items():
        out = tmp_path_factory.mktemp("sound") / name
        made[name] = export_pretrained(Backend("np").gpt(ModelConfig(**shape)), TOKENIZER, out)
    return made


@pytest.fixture
def copy(folders, tmp_path):
    """A copy of one of them, to be spoilt."""
    return lambda name: Path(shutil.copytree(folders[name], tmp_path / name))


def refused(folder, says, **options):
    """Importing ends with one line, and leaves nothing behind that could be taken for a model."""
    out = folder.parent / "run"
    with pytest.raises(UserError, match=says) as error:
        import_pretrained(folder, out, **options)
    assert "\n" not in str(error.value) and len(str(error.value)) < 400
    assert not (out / SETTINGS).exists()


def change(folder, **values):
    """Settings of config.json; None removes one."""
    path = folder / SETTINGS
    settings = json.loads(path.read_text()) | values
    path.write_text(json.dumps({name: value for name, value in settings.items() if value is not None}))


def test_the_sound_folders_are_read(folders):
    for folder in folders.values():
        model, _ = from_pretrained(folder)
        assert np.isfinite(model(np.arange(8)[None])[0]).all()


SETTINGS_REFUSED = {
    "model_type is 'bert'": ("gpt2", {"model_type": "bert"}),
    "model_type is None": ("gpt2", {"model_type": None}),
    "model_type is \\['gpt2'\\]": ("gpt2", {"model_type": ["gpt2"]}),
    "quantised": ("gpt2", {"quantization_config": {"bits": 4}}),
    "n_embd is None": ("gpt2", {"n_embd": None}),
    "n_embd is '8'": ("gpt2", {"n_embd": "8"}),
    "n_layer is True": ("gpt2", {"n_layer": True}),
    "n_head is -2": ("gpt2", {"n_head": -2}),
    "d_model 8 does not divide into 3": ("gpt2", {"n_head": 3}),
    "activation_function is 'mish'": ("gpt2", {"activation_function": "mish"}),
    "layer_norm_epsilon is 'small'": ("gpt2", {"layer_norm_epsilon": "small"}),
    "layer_norm_epsilon is nan": ("gpt2", {"layer_norm_epsilon": float("nan")}),
    "tie_word_embeddings is 'no'": ("gpt2", {"tie_word_embeddings": "no"}),
    "scaled in another way": ("gpt2", {"scale_attn_by_inverse_layer_idx": True}),
    "reads an encoder": ("gpt2", {"add_cross_attention": True}),
    "describes 1000000000 layers": ("gpt2", {"n_layer": 10**9}),
    "wte.weight is \\(13, 8\\), and should be \\(1000000000000, 8\\)": ("gpt2", {"vocab_size": 10**12}),
    "wte.weight is \\(13, 8\\), and should be \\(13, 10\\)": ("gpt2", {"n_embd": 10, "n_head": 1}),
    "mlp.c_fc.weight is": ("gpt2", {"n_inner": 10**15}),
    "hidden_act is 'gelu'": ("llama", {"hidden_act": "gelu"}),
    "scaled \\('llama3'\\)": ("llama", {"rope_parameters": {"rope_type": "llama3", "factor": 8.0}}),
    "scaled \\('linear'\\)": ("llama", {"rope_scaling": {"type": "linear", "factor": 2.0}}),
    "positions are set to 3": ("llama", {"rope_scaling": 3}),
    "only a part of each head": ("llama", {"partial_rotary_factor": 0.5}),
    "rope_theta is 'big'": ("llama", {"rope_parameters": {"rope_theta": "big"}}),
    "do not divide into n_kv_head 3": ("llama", {"num_key_value_heads": 3}),
    "even size, not 3": ("llama", {"head_dim": 3}),
    "lacks the weight model.layers.0.self_attn.q_proj.bias": ("llama", {"attention_bias": True}),
    "lacks the weight model.layers.0.self_attn.q_norm": ("llama", {"model_type": "qwen3"}),
    "lacks the weight lm_head.weight": ("llama", {"tie_word_embeddings": False}),
    "holds weights that .*q_norm": ("qwen3", {"model_type": "llama"}),
    "sliding window": ("qwen3", {"use_sliding_window": True, "sliding_window": 4}),
    "a sliding window": ("qwen3", {"layer_types": ["sliding_attention"], "sliding_window": 4}),
}


@pytest.mark.parametrize("says", SETTINGS_REFUSED)
def test_settings_that_we_cannot_compute(says, copy):
    name, values = SETTINGS_REFUSED[says]
    folder = copy(name)
    change(folder, **values)
    tracemalloc.start()
    refused(folder, says)
    assert tracemalloc.get_traced_memory()[1] < 5e6
    tracemalloc.stop()


@pytest.mark.parametrize(
    "values",
    [
        {"use_sliding_window": True, "sliding_window": 8},  # as long as the context
        {"use_sliding_window": False, "sliding_window": 4},
        {"rope_scaling": {"rope_type": "default"}, "rope_parameters": None},
    ],
)
def test_settings_that_change_nothing(values, copy):
    folder = copy("qwen3")
    change(folder, **values)
    assert from_pretrained(folder)[0].config.context == 8


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "config.json is missing"),
        (b"", "no JSON"),
        (b"{", "no JSON"),
        (b"[" * 100_000, "no JSON"),
        (b"\xff\xfe\x00", "no JSON"),
        (b"[1]", "no settings by name"),
        (b" " * (1 << 21) + b"{}", "too many for such a file"),
    ],
)
def test_no_config(content, says, copy):
    folder = copy("gpt2")
    (folder / SETTINGS).unlink()
    if content is not None:
        (folder / SETTINGS).write_bytes(content)
    refused(folder, says)


def test_the_context(copy):
    refused(copy("gpt2"), "has learned 8 positions", context=9)
    refused(copy("llama"), "made for 8 positions", context=9)
    refused(copy("qwen3"), "at least 1", context=0)


def test_a_shorter_context_is_the_same_model(folders):
    for name in ("gpt2", "llama"):
        whole, part = (from_pretrained(folders[name], context=n)[0] for n in (None, 5))
        assert part.config.context == 5
        ids = np.arange(5)[None]
        assert np.array_equal(whole(ids)[0], part(ids)[0])


# ---------------------------------------------------------------------- weights


class Bomb:
    """Runs a program when it is unpickled."""

    def __reduce__(self):
        return os.mkdir, ("exploded",)


def test_a_pickle_is_never_opened(copy, tmp_path, monkeypatch):
    import pickle

    monkeypatch.chdir(tmp_path)
    folder = copy("gpt2")
    (folder / WEIGHTS).unlink()
    refused(folder, "holds no weights")
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(Bomb()))
    refused(folder, "only as pytorch_model.bin, a pickle, which can run any program")
    (folder / "pytorch_model.bin").rename(folder / WEIGHTS)  # under a false name, too
    refused(folder, "damaged or cut off")
    assert not Path("exploded").exists()


def test_damaged_weights(copy):
    folder = copy("gpt2")
    path = folder / WEIGHTS
    whole = path.read_bytes()
    length = int.from_bytes(whole[:8], "little")
    header = json.loads(whole[8 : 8 + length])

    def with_header(text: bytes) -> bytes:
        return len(text).to_bytes(8, "little") + text + whole[8 + length :]

    entry = header["transformer.wte.weight"]
    absurd = header | {"transformer.wte.weight": entry | {"shape": [10**9, 10**9]}}
    outside = header | {"transformer.wte.weight": entry | {"data_offsets": [0, 10**15]}}
    for content in (
        b"",
        whole[:5],
        whole[:100],
        whole[:-1],
        whole + b"\0",
        b"\xff" * 8 + whole[8:],
        with_header(b"[]"),
        with_header(json.dumps(absurd).encode()),
        with_header(json.dumps(outside).encode()),
        with_header(b"[" * 9999),
    ):
        path.write_bytes(content)
        refused(folder, "damaged or cut off")


def spoil(folder, edit):
    arrays = load_file(folder / WEIGHTS)
    edit(arrays)
    save_file(arrays, folder / WEIGHTS)


def test_missing_misshapen_and_unknown_weights(copy):
    edits = {
        "lacks the weight transformer.h.0.ln_2.bias": lambda a: a.pop("transformer.h.0.ln_2.bias"),
        r"c_proj.weight is \(8, 9\), and should be \(8, 8\)": lambda a: a.update(
            {"transformer.h.0.attn.c_proj.weight": np.zeros((8, 9), np.float32)}
        ),
        r"weights that this .*: score.weight \(1 in all\)": lambda a: a.update(
            {"score.weight": np.zeros(3, np.float32)}
        ),
        "stored as I8; .* not quantised": lambda a: a.update(
            {"transformer.wte.weight": np.zeros((TOKENIZER.vocab_size, 8), np.int8)}
        ),
        "lm_head.weight is another weight": lambda a: a.update(
            {"lm_head.weight": np.ones((TOKENIZER.vocab_size, 8), np.float32)}
        ),
    }
    for i, (says, edit) in enumerate(edits.items()):
        folder = copy("gpt2")
        spoil(folder, edit)
        refused(folder, says)
        folder.rename(folder.with_name(f"done{i}"))
    folder = copy("gpt2")  # the embedding once more, which older versions saved
    spoil(folder, lambda a: a.update({"lm_head.weight": a["transformer.wte.weight"].copy()}))
    from_pretrained(folder)


@pytest.mark.parametrize(
    ("index", "says"),
    [
        ({"weight_map": {"a": "../gpt2/model.safetensors"}}, "no safetensors file beside it"),
        ({"weight_map": {"a": "/etc/passwd"}}, "no safetensors file beside it"),
        ({"weight_map": {"a": "..\\x.safetensors"}}, "no safetensors file beside it"),
        ({"weight_map": {"a": "shard.bin"}}, "no safetensors file beside it"),
        ({"weight_map": {"a": "x.safetensors"}}, "x.safetensors is missing"),
        ({"weight_map": {"a": 3}}, "names no files"),
        ({"weight_map": {}}, "names no files"),
        ({}, "names no files"),
        ({"weight_map": {"a": "one.safetensors", "b": "two.safetensors"}}, "which another file beside it holds"),
    ],
)
def test_indices(index, says, copy):
    folder = copy("gpt2")
    shutil.copy(folder / WEIGHTS, folder / "two.safetensors")
    (folder / WEIGHTS).rename(folder / "one.safetensors")
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    refused(folder, says)


def test_no_tokenizer_and_one_that_does_not_fit(copy):
    folder = copy("gpt2")
    path = folder / "tokenizer.json"
    file = json.loads(path.read_text())
    file["model"]["vocab"]["门门"] = TOKENIZER.vocab_size
    path.write_text(json.dumps(file))
    refused(folder, "ids go up to 13, the model's vocabulary has 13")
    path.write_text("{")
    refused(folder, "tokenizer.json is no JSON")
    path.unlink()
    refused(folder, "tokenizer.json is missing")


def test_nothing_is_written_over(folders, trained, tmp_path, capsys):
    refused_line(capsys, ["import", folders["gpt2"], "--out", trained], "holds a model already")
    refused_line(capsys, ["import", folders["gpt2"], "--out", folders["gpt2"]], "holds a model already")
    refused_line(capsys, ["export", "--model", trained, "--out", trained], "holds a model already")
    refused_line(capsys, ["import", trained, "--out", tmp_path / "x"], "a run of minillm already")
    refused_line(capsys, ["export", "--model", folders["gpt2"], "--out", tmp_path / "x"], "not of this program")
    refused_line(capsys, ["export", "--model", tmp_path, "--out", tmp_path / "x"], "holds no model")


def refused_line(capsys, arguments, says):
    assert main([str(argument) for argument in arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"minillm {arguments[0]}: ") and err.count("\n") == 1
    assert says in err


# ---------------------------------------------------------------------- ours


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"norm": "rmsnorm"}, "learned positions with norm rmsnorm: train with --position rotary"),
        ({"activation": "swiglu", "position": "sinusoidal"}, "sinusoidal positions with activation swiglu"),
        ({"qk_norm": True, "n_kv_head": 1}, "learned positions with qk_norm, n_kv_head or d_head of its own"),
        ({"d_head": 8}, "n_kv_head or d_head of its own"),
        ({"position": "rotary"}, "rotary positions with norm layernorm"),
        ({"position": "rotary", "norm": "rmsnorm", "qk_norm": True}, "rotary positions with biases beside qk_norm"),
        ({"position": "rotary", "norm": "rmsnorm", "n_head": 3, "d_head": 4}, "d_model 8 that 3 heads do not divide"),
    ],
)
def test_models_that_no_format_holds(changes, says, tmp_path):
    model = Backend("np").gpt(ModelConfig(**SHAPE | changes))
    with pytest.raises(UserError, match=says):
        export_pretrained(model, TOKENIZER, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_word_tokenizer_and_a_place_that_cannot_be_written(tmp_path, capsys):
    tokenizer = WordTokenizer([*"我爱北京天安", "北京"])
    save_run(tmp_path, Run(ModelConfig(**SHAPE), TrainConfig(), tokenizer))
    refused_line(capsys, ["export", "--model", tmp_path, "--out", tmp_path / "out"], "cuts text with jieba")
    save_run(tmp_path, Run(ModelConfig(**SHAPE), TrainConfig(), TOKENIZER))
    refused_line(capsys, ["export", "--model", tmp_path, "--out", tmp_path / "out"], "model.safetensors is missing")
    model = Backend("np").gpt(ModelConfig(**SHAPE))
    with pytest.raises(UserError, match="cannot write to"):
        export_pretrained(model, TOKENIZER, tmp_path / SETTINGS / "out")


# ---------------------------------------------------------------------- names


class Hub(BaseHTTPRequestHandler):
    """Answers as the Hub does, for four repositories."""

    ANSWERS: ClassVar = {"gated": (403, "GatedRepo"), "unknown": (401, "RepoNotFound"), "empty": (404, "EntryNotFound")}
    asked: ClassVar[list[str]] = []
    folder: Path

    def do_GET(self):
        parts = self.path.split("?")[0].strip("/").split("/")
        Hub.asked.append(self.path)
        name = next((name for name in (*self.ANSWERS, "broken", "sound", "pickle") if name in parts), "unknown")
        if name in self.ANSWERS:
            status, code = self.ANSWERS[name]
            if name == "empty" and "resolve" not in parts:
                return self.answer(200, json.dumps({"id": "some/empty", "sha": "0" * 40, "siblings": []}).encode())
            return self.answer(status, b"{}", {"X-Error-Code": code, "X-Error-Message": code})
        if name == "broken":
            return self.answer(400, b"out of order")
        files = {path.name: path.read_bytes() for path in self.folder.iterdir()}
        if name == "pickle":
            files = {"pytorch_model.bin": b"", SETTINGS: files[SETTINGS]}
        files["README.md"] = b"not wanted"
        if "resolve" in parts and parts[-1] in files:
            return self.answer(200, files[parts[-1]], {"X-Repo-Commit": "0" * 40, "ETag": f'"{parts[-1]}"'})
        if "tree" in parts:
            tree = [{"type": "file", "path": p, "size": len(b), "oid": "0" * 40} for p, b in files.items()]
            return self.answer(200, json.dumps(tree).encode())
        if parts[0] == "api":
            info = {"id": f"some/{name}", "sha": "0" * 40, "siblings": [{"rfilename": file} for file in files]}
            return self.answer(200, json.dumps(info).encode())
        return self.answer(404, b"", {"X-Error-Code": "EntryNotFound"})

    do_HEAD = do_GET

    def answer(self, status, body, headers=None):
        self.send_response(status)
        for key, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *arguments):
        pass


@pytest.fixture(scope="module")
def hub(folders):
    """The address of a Hub of our own."""
    pytest.importorskip("huggingface_hub")
    Hub.folder = folders["gpt2"]
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


NAMES = ["some/gated", "some/unknown", "some/empty", "some/broken", "some/pickle", "a..b", "some/sound"]
BY_NAME = """
import sys
from minillm.cli import main
for name in sys.argv[2:]:
    print(main(["import", name, "--out", sys.argv[1] + "/" + name.replace("/", "-")]), flush=True)
"""


def by_name(tmp_path, *names, **environment):
    """What importing each name says, in a process of its own: the library reads its environment once."""
    home = {"HF_HOME": str(tmp_path / "cache"), "HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    home |= {"HF_HUB_DISABLE_XET": "1", "HF_HUB_OFFLINE": "0", "NO_PROXY": "127.0.0.1"}
    old = {name: ENV.get(name) for name in home | environment}
    ENV.update(home | environment)
    try:
        done = python("-c", BY_NAME, tmp_path, *names)
    finally:
        for name, value in old.items():
            ENV.pop(name) if value is None else ENV.update({name: value})
    return done.stdout, done.stderr.splitlines()


def test_names(hub, tmp_path):
    out, err = by_name(tmp_path, *NAMES, HF_ENDPOINT=hub)
    assert out.split("\n")[:6] == ["2"] * 6, (out, err)
    says = [
        "accept its terms",
        "no public model of that name",
        "no config.json",
        "the Hub cannot give it (",
        "a pickle",
        "neither a folder nor a name",
    ]
    assert len(err) == 6, err
    for line, words in zip(err, says, strict=True):
        assert line.startswith("minillm import: ") and words in line
    assert out.endswith("0\n") and (tmp_path / "some-sound" / SETTINGS).is_file()
    assert not any("README" in path or path.endswith(".bin") for path in Hub.asked)


def test_no_network(tmp_path):
    """At once, and without the library's own warnings; what is in the cache can be read."""
    for environment in ({"HF_HUB_OFFLINE": "1"}, {"HF_ENDPOINT": "http://127.0.0.1:9"}):
        out, err = by_name(tmp_path, "gpt2", **environment)
        assert out == "2\n" and len(err) == 1, err
        assert "there is no folder gpt2" in err[0] and "network" in err[0]


def test_from_the_cache(hub, tmp_path):
    assert by_name(tmp_path, "some/sound", HF_ENDPOINT=hub)[0].endswith("0\n")
    shutil.rmtree(tmp_path / "some-sound")
    assert by_name(tmp_path, "some/sound", HF_HUB_OFFLINE="1")[0].endswith("0\n")


def test_no_folder_and_no_name(capsys, tmp_path):
    refused_line(capsys, ["import", tmp_path / "none", "--out", tmp_path / "out"], "there is no folder")
    refused_line(capsys, ["import", "a b", "--out", tmp_path / "out"], "there is no folder")


def test_without_the_library(capsys, tmp_path, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    refused_line(capsys, ["import", "gpt2", "--out", tmp_path / "out"], "pip install huggingface_hub")
