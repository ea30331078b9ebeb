"""To and from transformers: logits and greedy text are the same on both sides, weights the same bit for bit."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from minillm.backend import Backend
from minillm.cli import main
from minillm.config import ModelConfig
from minillm.generate import generate
from minillm.interop import export_pretrained, from_pretrained, import_pretrained
from minillm.interop.foreign import read_folder
from minillm.text import BPETokenizer, CharTokenizer
from minillm.train import never_written

TEXT = "我爱北京天安门，爷爷带我看升旗。\nHello world, it's 2026! The cat's on the mat.\n" * 20
# Logits are made to be of size 1 to 10. Each is the end of sums of some hundred float32 products, each rounded to
# 6e-8 of its size: between two orders of summation 1e-6 is usual. A wrong eps, base or activation moves them by 1e-3.
TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def hf():
    """torch and what is needed of transformers, which takes seconds to import."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    return SimpleNamespace(
        torch=torch,
        config=transformers.AutoConfig.for_model,
        model=transformers.AutoModelForCausalLM,
        tokenizer=transformers.AutoTokenizer,
        wrap=transformers.PreTrainedTokenizerFast,
    )


@pytest.fixture(scope="module")
def their_tokenizer(hf):
    """As GPT-2's: byte-level BPE, and <|endoftext|> for everything special. 300 tokens."""
    from tokenizers import ByteLevelBPETokenizer

    library = ByteLevelBPETokenizer()
    library.train_from_iterator(
        [TEXT], vocab_size=300, min_frequency=2, special_tokens=["<|endoftext|>"], show_progress=False
    )
    end = "<|endoftext|>"
    return hf.wrap(tokenizer_object=library._tokenizer, bos_token=end, eos_token=end, unk_token=end)


def drawn(shape: tuple[int, ...], name: str, rng: np.random.Generator) -> np.ndarray:
    """Weights that keep a signal's size, biases and norms that matter."""
    noise = rng.standard_normal(shape).astype(np.float32)
    if len(shape) == 2:
        return noise / np.sqrt(shape[-1])
    return 0.3 * noise + (name.endswith("weight"))


def fill(model, seed: int = 0) -> None:
    """Drawn weights into a model of torch or of ours."""
    rng = np.random.default_rng(seed)
    for name, weight in model.state_dict().items():
        values = drawn(tuple(weight.shape), name, rng)
        if isinstance(weight, np.ndarray):
            weight[...] = values
        else:
            weight.copy_(type(weight)(values))


def logits_of(model, ids: np.ndarray) -> np.ndarray:
    """Of ours, of either back-end, or of theirs."""
    if not hasattr(model, "parameters") or isinstance(model.parameters(), list):
        return model(ids)[0]
    import torch

    with torch.no_grad():
        out = model(torch.from_numpy(ids))
    return getattr(out, "logits", out).numpy()


def check_close(ours: np.ndarray, theirs: np.ndarray) -> None:
    assert 1 < np.abs(theirs).max() < 12  # the tolerance is meant for this size
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=TOLERANCE)


# ---------------------------------------------------------------------- theirs to ours

GPT2 = {"n_embd": 24, "n_layer": 2, "n_head": 3, "n_positions": 32, "layer_norm_epsilon": 1e-3}
LLAMA = {"hidden_size": 32, "intermediate_size": 40, "num_hidden_layers": 2, "num_attention_heads": 4}
LLAMA |= {"num_key_value_heads": 2, "max_position_embeddings": 32, "rms_norm_eps": 1e-3}
ROPE = {"rope_parameters": {"rope_type": "default", "rope_theta": 500.0}}
THEIRS = {
    "gpt2": ("gpt2", GPT2),
    "gpt2-untied": ("gpt2", GPT2 | {"tie_word_embeddings": False, "n_inner": 40, "activation_function": "gelu"}),
    "gpt2-relu": ("gpt2", GPT2 | {"n_head": 1, "n_layer": 1, "activation_function": "relu"}),
    "llama": ("llama", LLAMA),
    "llama-tied": ("llama", LLAMA | ROPE | {"tie_word_embeddings": True, "num_key_value_heads": 1, "head_dim": 12}),
    "llama-bias": ("llama", LLAMA | {"attention_bias": True, "mlp_bias": True}),
    "llama-attention-bias": ("llama", LLAMA | {"attention_bias": True}),
    "qwen2": ("qwen2", LLAMA | ROPE),
    "qwen3": ("qwen3", LLAMA | ROPE | {"head_dim": 10}),
    "qwen3-tied": ("qwen3", LLAMA | {"head_dim": 16, "num_key_value_heads": 4, "tie_word_embeddings": True}),
    "arcee": ("arcee", LLAMA | {"mlp_bias": True}),
    "apertus": ("apertus", LLAMA | ROPE | {"hidden_act": "gelu"}),
}


def save_theirs(hf, tokenizer, case, folder, **options):
    """A folder of transformers with a model of drawn weights; the model."""
    kind, settings = THEIRS[case]
    special = {"bos_token_id": 0, "eos_token_id": 0, "pad_token_id": None}
    model = hf.model.from_config(hf.config(kind, vocab_size=len(tokenizer), **settings, **special)).eval()
    fill(model)
    model.save_pretrained(folder, **options)
    tokenizer.save_pretrained(folder)
    return model


@pytest.mark.parametrize("case", THEIRS)
def test_imported_logits_are_theirs(case, hf, their_tokenizer, tmp_path):
    theirs = save_theirs(hf, their_tokenizer, case, tmp_path / "theirs")
    ids = np.random.default_rng(1).integers(0, len(their_tokenizer), (2, 13))
    expected = logits_of(theirs, ids)
    for backend in ("np", "pt"):
        model, tokenizer = from_pretrained(tmp_path / "theirs", backend=backend, device="cpu")
        check_close(logits_of(model, ids), expected)
        assert tokenizer.encode(TEXT) == their_tokenizer(TEXT)["input_ids"]
    folder = export_pretrained(model, tokenizer, tmp_path / "back")
    check_close(logits_of(hf.model.from_pretrained(folder), ids), expected)
    assert hf.tokenizer.from_pretrained(folder)(TEXT)["input_ids"] == tokenizer.encode(TEXT)
    import_pretrained(tmp_path / "theirs", tmp_path / "run")
    check_close(logits_of(Backend("np").load(tmp_path / "run")[1], ids), expected)


@pytest.mark.parametrize("case", ["gpt2", "qwen3"])
@pytest.mark.parametrize("backend", ["np", "pt"])
def test_an_imported_model_writes_what_theirs_writes(case, backend, hf, their_tokenizer, tmp_path, capsys):
    theirs = save_theirs(hf, their_tokenizer, case, tmp_path / "theirs")
    text = "Hello world"
    with hf.torch.no_grad():
        out = theirs.generate(
            **hf.tokenizer.from_pretrained(tmp_path / "theirs")(text, return_tensors="pt"),
            max_new_tokens=15,
            do_sample=False,
        )
    assert main(["import", str(tmp_path / "theirs"), "--out", str(tmp_path / "run")]) == 0
    capsys.readouterr()
    arguments = ["generate", "--model", str(tmp_path / "run"), "--prompt", text, "--tokens", "15"]
    assert main([*arguments, "--temperature", "0", "--backend", backend, "--device", "cpu"]) == 0
    assert capsys.readouterr().out == their_tokenizer.decode(out[0], skip_special_tokens=True) + "\n"


@pytest.mark.parametrize("case", ["gpt2-untied", "llama"])
def test_shards_names_and_half_precision(case, hf, their_tokenizer, tmp_path):
    """Weights in several files, of the bare model, in bfloat16 or float16, with buffers of old versions."""
    theirs = save_theirs(hf, their_tokenizer, case, tmp_path / "whole")
    _, weights, _ = read_folder(tmp_path / "whole")
    expected = {name: weights[name] for name in weights}
    save_theirs(hf, their_tokenizer, case, tmp_path / "shards", max_shard_size="20KB")
    assert len(list((tmp_path / "shards").glob("*.safetensors"))) > 1
    for dtype in (hf.torch.bfloat16, hf.torch.float16):
        theirs.to(dtype).save_pretrained(tmp_path / str(dtype))
        their_tokenizer.save_pretrained(tmp_path / str(dtype))
        theirs.float()
        fill(theirs)
    from safetensors.numpy import load_file, save_file

    arrays = load_file(tmp_path / "whole" / "model.safetensors")
    prefix, buffer = (
        ("transformer.", "h.0.attn.bias")
        if case.startswith("gpt2")
        else ("model.", "layers.0.self_attn.rotary_emb.inv_freq")
    )
    arrays = {name.removeprefix(prefix): array for name, array in arrays.items()} | {buffer: np.ones((1, 1, 4, 4))}
    (tmp_path / "bare").mkdir()
    for file in (tmp_path / "whole").glob("*.json"):
        (tmp_path / "bare" / file.name).write_bytes(file.read_bytes())
    save_file(arrays, tmp_path / "bare" / "model.safetensors")
    for folder, bits in (("shards", 24), ("bare", 24), ("torch.bfloat16", 8), ("torch.float16", 11)):
        _, weights, _ = read_folder(tmp_path / folder)
        assert set(weights) == set(expected)
        for name, array in expected.items():
            rounded = weights[name]
            assert rounded.dtype == np.float32
            if bits == 24:
                assert np.array_equal(rounded, array), (folder, name)
            else:  # rounded to that many bits, no further
                np.testing.assert_allclose(rounded, array, rtol=0.5**bits, atol=1e-7)
                assert not np.array_equal(rounded, array)


# ---------------------------------------------------------------------- ours to theirs

SHAPE = {"context": 24, "n_layer": 2, "n_head": 4, "d_model": 32, "norm_eps": 1e-3}
ROTARY = SHAPE | {"norm": "rmsnorm", "position": "rotary", "bias": False}
OURS = {
    "gpt2": SHAPE,
    "gpt2-no-bias": SHAPE | {"bias": False, "tied": False, "activation": "gelu", "dropout": 0.1},
    "gpt2-sinusoidal": SHAPE | {"position": "sinusoidal", "activation": "relu2", "d_ff": 40, "init_std": 0.5},
    "llama": ROTARY | {"activation": "swiglu"},
    "llama-grouped": ROTARY | {"activation": "swiglu", "n_kv_head": 2, "d_head": 6, "rope_base": 300.0, "tied": False},
    "llama-bias": ROTARY | {"activation": "swiglu", "bias": True},
    "qwen3": ROTARY | {"activation": "swiglu", "qk_norm": True, "n_kv_head": 1, "d_head": 12},
    "qwen3-uneven": ROTARY | {"activation": "swiglu", "qk_norm": True, "n_head": 3, "d_head": 10, "tied": False},
    "arcee": ROTARY | {"activation": "gelu_tanh", "bias": True, "n_kv_head": 2},
    "apertus": ROTARY | {"activation": "relu2", "qk_norm": True, "n_kv_head": 2, "d_head": 10, "rope_base": 300.0},
}


@pytest.mark.parametrize("case", OURS)
def test_exported_models_are_theirs_and_come_back(case, hf, tmp_path):
    kind = BPETokenizer if case in ("llama", "gpt2") else CharTokenizer
    tokenizer = kind.train([TEXT], 300)
    config = ModelConfig(vocab_size=tokenizer.vocab_size, **OURS[case])
    model = Backend("np").gpt(config)
    fill(model)
    folder = export_pretrained(model, tokenizer, tmp_path / "theirs")
    theirs, info = hf.model.from_pretrained(folder, output_loading_info=True)
    assert not any(info.values()), info
    assert theirs.config.model_type == case.split("-")[0]
    ids = np.random.default_rng(1).integers(0, tokenizer.vocab_size, (2, 13))
    check_close(logits_of(model, ids), logits_of(theirs, ids))

    tok = hf.tokenizer.from_pretrained(folder)
    for text in (TEXT, "北京<eos>  <unk>", "\x00\u3000²𠀀é\U0001f600"):
        assert tok(text)["input_ids"] == tokenizer.encode(text, unknown="unk")
    assert (tok.eos_token_id, tok.pad_token_id) == (tokenizer.eos_id, tokenizer.pad_id)
    prompt = "北京 Hello"
    with hf.torch.no_grad():
        out = theirs.generate(**tok(prompt, return_tensors="pt"), max_new_tokens=10, do_sample=False)
    ids = tokenizer.encode(prompt)
    limits = {"banned": never_written(tokenizer), "stop": [tokenizer.eos_id], "rng": np.random.default_rng()}
    ids += generate(model, ids, 10, temperature=0, **limits)
    assert out[0].tolist() == ids
    assert tok.decode(out[0], skip_special_tokens=True) == tokenizer.decode(ids)

    back, their_tokenizer = from_pretrained(folder)
    assert their_tokenizer.encode(TEXT) == tokenizer.encode(TEXT)
    assert [getattr(their_tokenizer, f"{role}_id") for role in ("pad", "unk", "bos", "eos", "mask", "sep")] == [
        *range(6)
    ]
    kept = {"position": "learned"} if config.position == "sinusoidal" else {}
    kept |= {"bias": True} if config.position != "rotary" else {}
    assert back.config == ModelConfig(vocab_size=tokenizer.vocab_size, **OURS[case] | kept)
    weights = back.state_dict()
    for name, array in model.state_dict().items():
        assert np.array_equal(weights.pop(name), array), name
    assert all(name == "emb.pos.weight" or not array.any() for name, array in weights.items())


def test_the_command_line_there_and_back(hf, trained, tmp_path, capsys):
    assert main(["export", "--model", str(trained), "--out", str(tmp_path / "theirs")]) == 0
    assert main(["import", str(tmp_path / "theirs"), "--out", str(tmp_path / "back"), "--json"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert "AutoModelForCausalLM" in out[0]
    assert json.loads(out[1])["model"]["context"] == 16
    tok, model = (auto.from_pretrained(tmp_path / "theirs") for auto in (hf.tokenizer, hf.model))
    with hf.torch.no_grad():
        ids = model.generate(**tok("小雨", return_tensors="pt"), max_new_tokens=12, do_sample=False)
    for run in (trained, tmp_path / "back"):
        assert main(["generate", "--model", str(run), "--prompt", "小雨", "--tokens", "12", "--temperature", "0"]) == 0
        assert capsys.readouterr().out == tok.decode(ids[0], skip_special_tokens=True) + "\n"
    for run in (trained, tmp_path / "back"):  # most of the reader's characters are unknown to this tokenizer
        assert main(["eval", "--model", str(run), "--data", "reader", "--split", "valid", "--json"]) == 0
    ours, back = map(json.loads, capsys.readouterr().out.splitlines())
    assert ours == back
    assert ours["unknown"] > 5000


def test_a_model_of_torch_is_exported_as_it_stands(hf, tmp_path):
    tokenizer = CharTokenizer.train([TEXT])
    config = ModelConfig(vocab_size=tokenizer.vocab_size, **OURS["gpt2"])
    model = Backend("pt", "cpu").gpt(config)
    fill(model)
    theirs = hf.model.from_pretrained(export_pretrained(model, tokenizer, tmp_path / "theirs"))
    ids = np.arange(12)[None]
    check_close(logits_of(model, ids), logits_of(theirs, ids))


PUBLIC = {
    "gpt2": {"activation_function": "gelu_new", "n_ctx": 1024, "n_embd": 768, "n_head": 12, "n_layer": 12}
    | {"n_positions": 1024, "layer_norm_epsilon": 1e-5, "vocab_size": 50257, "model_type": "gpt2"},
    "qwen3": {"attention_bias": False, "head_dim": 128, "hidden_act": "silu", "hidden_size": 1024}
    | {"intermediate_size": 3072, "max_position_embeddings": 40960, "max_window_layers": 28, "model_type": "qwen3"}
    | {"num_attention_heads": 16, "num_hidden_layers": 28, "num_key_value_heads": 8, "rms_norm_eps": 1e-6}
    | {"rope_scaling": None, "rope_theta": 1000000, "sliding_window": None, "tie_word_embeddings": True}
    | {"use_sliding_window": False, "vocab_size": 151936},
}


@pytest.mark.parametrize("name", PUBLIC)
def test_shapes_of_the_public_models(name, hf, tmp_path):
    """gpt2 and Qwen3-0.6B as their config.json on the Hub describes them; transformers makes them without memory."""
    from minillm.interop.foreign import FORMATS, check_settings

    (tmp_path / "config.json").write_text(json.dumps(PUBLIC[name]))
    settings = check_settings(tmp_path)
    config = FORMATS[name].from_settings(settings, None)
    links = FORMATS[name].links(config, settings)
    with hf.torch.device("meta"):
        theirs = hf.model.from_config(hf.config(name, **{k: v for k, v in PUBLIC[name].items() if k != "model_type"}))
    shapes = {key: tuple(weight.shape) for key, weight in theirs.named_parameters()}
    assert {name: link.shape_of(rows) for link in links for name, rows in link.theirs} == shapes
    size = sum(int(np.prod(link.shape)) for link in links)
    assert size == {"gpt2": 124_439_808, "qwen3": 596_049_920}[name]
    assert (config.context, config.rope_base) == {"gpt2": (1024, 1e4), "qwen3": (2048, 1e6)}[name]
    from minillm.backend import Zeros
    from minillm.pt.gpt import GPT

    ours = GPT(config, rng=Zeros(), device="meta") if name == "gpt2" else None  # a meta copy is made of real zeros
    if ours is not None:
        assert {key: tuple(weight.shape) for key, weight in ours.state_dict().items()} == {
            link.ours: link.shape for link in links
        }
