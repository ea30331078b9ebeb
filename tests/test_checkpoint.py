"""Checkpoints: what is damaged or foreign is refused with one clear line, and a failed write harms nothing."""

import ast
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import save, save_file

from conftest import ROOT, TEXT
from minillm import checkpoint
from minillm.backend import Backend, shapes
from minillm.checkpoint import CHECKPOINT, CONFIG, MODEL, TOKENIZER
from minillm.errors import UserError
from minillm.text import files, train_tokenizer


@pytest.fixture
def folder(trained, tmp_path) -> Path:
    """A run that may be damaged."""
    return Path(shutil.copytree(trained, tmp_path / "run"))


def load(folder: Path):
    """Everything that a folder holds."""
    run, model = Backend("np").load(folder)
    return checkpoint.load_state(folder, run, shapes(model))


def check_refused(folder: Path, name: str, says: str = ""):
    with pytest.raises(UserError) as caught:
        load(folder)
    message = str(caught.value)
    assert str(folder / name) in message and "\n" not in message
    assert says in message


def change_config(folder: Path, **changes):
    config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    for key, value in changes.items():
        config[key] = {**config[key], **value} if isinstance(value, dict) else value
    (folder / CONFIG).write_text(json.dumps(config), encoding="utf-8")


def test_what_was_written_is_read(folder):
    state = load(folder)
    assert state.step == 6 and state.best < 4
    assert set(state.optimizer) == {f"{s}.{n}" for s in ("exp_avg", "exp_avg_sq") for n in state.weights}


@pytest.mark.parametrize("name", [MODEL, CHECKPOINT])
@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[: len(data) // 2],
        lambda data: data[:-1],
        lambda data: data + b"\0",
        lambda data: b"",
        lambda data: data[:9],
        lambda data: b"\xff" * 8 + data[8:],  # a header of 2^64 bytes
        lambda data: data[:12] + b"\x00" + data[13:],
        lambda data: "我爱北京".encode(),
    ],
    ids=["half", "a byte short", "a byte more", "empty", "9 bytes", "endless header", "a header byte", "text"],
)
def test_damaged_weights(name, damage, folder):
    (folder / name).write_bytes(damage((folder / name).read_bytes()))
    check_refused(folder, name, "is damaged: restore a copy or train again")


@pytest.mark.parametrize("name", [MODEL, CHECKPOINT])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100)
@given(data=st.data())
def test_any_altered_byte_is_noticed(name, trained, folder, data):
    good = (trained / name).read_bytes()
    header = 8 + int.from_bytes(good[:8], "little")
    at = data.draw(st.integers(0, header) | st.integers(0, len(good) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda byte: byte != good[at]))
    (folder / name).write_bytes(good[:at] + bytes([byte]) + good[at + 1 :])
    try:
        arrays, _ = checkpoint.read_arrays(folder / name)
    except UserError as error:
        assert str(folder / name) in str(error)
    else:  # a blank of the header may become another blank
        assert good[at : at + 1].isspace() and bytes([byte]).isspace()
        assert arrays.keys() == checkpoint.read_arrays(trained / name)[0].keys()


@pytest.mark.parametrize("name", [MODEL, CHECKPOINT])
def test_foreign_or_missing_weights(name, folder):
    save_file({"weight": np.zeros((2, 3), np.float32)}, folder / name)
    check_refused(folder, name, "is not of this program")
    save_file({"weight": np.zeros((2, 3), np.float32)}, folder / name, {"minillm": '"hello"'})
    check_refused(folder, name, "is not of this program")
    (folder / name).unlink()
    check_refused(folder, name, "is missing")


@pytest.mark.parametrize("name", [MODEL, CHECKPOINT])
def test_another_version(name, folder):
    arrays, header = checkpoint.read_arrays(folder / name)
    (folder / name).write_bytes(save(arrays, {"minillm": json.dumps({**header, "version": 99})}))
    check_refused(folder, name, "has format version 99, this program reads version 1")
    change_config(folder, version=99)
    check_refused(folder, CONFIG, "has format version 99")


def test_weights_of_another_shape(folder):
    change_config(folder, model={"d_model": 32})
    check_refused(folder, MODEL, "does not fit config.json: emb.tok.weight is (34, 16) in the file and (34, 32)")
    change_config(folder, model={"d_model": 16, "n_layer": 2})
    check_refused(folder, MODEL, "blocks.1.norm1.weight is no such array in the file")
    change_config(folder, model={"n_layer": 1, "bias": False})
    check_refused(folder, MODEL, "and no such array in the model")


def test_a_state_that_is_none(folder):
    shutil.copy(folder / MODEL, folder / CHECKPOINT)  # weights alone are no state
    check_refused(folder, CHECKPOINT)


def test_another_tokenizer(folder, trained):
    train_tokenizer("char", [TEXT, "☃"]).save(folder / TOKENIZER)
    check_refused(folder, TOKENIZER, "is not the tokenizer that this model was trained with")
    change_config(folder, tokenizer=train_tokenizer("char", [TEXT, "☃"]).fingerprint)
    check_refused(folder, MODEL, "belongs to another tokenizer")
    for content in ("", "{", "[]", "null"):
        (folder / TOKENIZER).write_text(content)
        check_refused(folder, TOKENIZER)
    (folder / TOKENIZER).unlink()
    check_refused(folder, TOKENIZER)


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "null", "5", '{"format": "minillm"}', '{"format": "minillm", "version": 1}', "[" * 100_000, "我"],
    ids=lambda content: content[:40],
)
def test_damaged_config(content, folder):
    (folder / CONFIG).write_text(content, encoding="gbk")
    check_refused(folder, CONFIG)


@pytest.mark.parametrize(
    "changes",
    [
        {"model": 5},
        {"model": {"d_model": "16"}},
        {"model": {"d_model": 16.5}},
        {"model": {"d_model": 15, "d_head": 0}},
        {"model": {"context": True}},
        {"model": {"bias": 1}},
        {"model": {"norm": ["layernorm"]}},
        {"model": {"d_ff": -1}},
        {"model": {"colour": "red"}},
        {"train": {"lr": "fast"}},
        {"train": {"steps": None}},
        {"train": {"betas": [0.9]}},
        {"train": {"betas": 0.9}},
        {"train": {"betas": ["a", "b"]}},
        {"data": None},
    ],
    ids=str,
)
def test_a_config_that_makes_no_sense(changes, folder):
    change_config(folder, **changes)
    check_refused(folder, CONFIG)


@pytest.mark.parametrize("call", ["replace", "fsync"])
@pytest.mark.parametrize("name", [MODEL, CHECKPOINT, CONFIG])
def test_a_failed_write_leaves_the_old_file(call, name, folder, monkeypatch):
    run = checkpoint.load_run(folder)
    state = load(folder)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def fails(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, call, fails)
    with pytest.raises(UserError, match=r"cannot be written: No space left on device; free space"):
        if name == MODEL:
            checkpoint.save_model(folder, state.weights, run, 7)
        elif name == CHECKPOINT:
            checkpoint.save_state(folder, state, run)
        else:
            checkpoint.save_run(folder, run)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_weights_of_torch_are_copied_in(folder):
    """The twin reads what NumPy wrote, without a warning about arrays that cannot be written to."""
    pytest.importorskip("torch")
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        _, ours = Backend("np").load(folder)
        twin = Backend("pt", "cpu")
        _, theirs = twin.load(folder)
    for name, array in twin.weights(theirs).items():
        np.testing.assert_array_equal(array, ours.state_dict()[name])


def test_no_pickle_anywhere():
    """Reading a pickle can run any code, so that nothing here reads or writes one."""
    names = set()
    for path in (ROOT / "minillm").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import | ast.ImportFrom):
                names |= {alias.name for alias in node.names} | {getattr(node, "module", None)}
            elif isinstance(node, ast.Attribute):
                names.add(ast.unparse(node))
    assert "safetensors.numpy" in names and "np.float32" in names
    unsafe = {"pickle", "marshal", "shelve", "dill", "joblib", "torch.load", "torch.save", "np.load", "np.save"}
    assert not names & unsafe
