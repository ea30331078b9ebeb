"""The command line: every command, and one clear line with exit code 2 for whatever a user can get wrong."""

import codecs
import json
import math
import subprocess
import sys

import pytest
from processes import ENV, python

from minillm import checkpoint
from minillm.cli import main, parser, to_json
from minillm.commands import FIXED_ON_RESUME
from minillm.text import files

TINY = ["--preset=tiny", "--context=16", "--n-layer=1", "--d-model=16", "--batch-size=4", "--steps=4", "--eval-every=2"]


def run(*arguments) -> int:
    """The exit code of a command run in this process."""
    try:
        return main([str(argument) for argument in arguments])
    except SystemExit as stop:  # argparse ends so
        return int(stop.code or 0)


def check_refused(capsys, arguments, says):
    assert run(*arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("minillm")
    assert err.endswith("\n") and err.count("\n") == 1, err
    assert says in err


# ---------------------------------------------------------------------- what each command does


@pytest.mark.parametrize("name", ["np", "pt"])
def test_train_generate_eval(name, tmp_path, text_file, capsys):
    if name == "pt":
        pytest.importorskip("torch")
    out, backend = tmp_path / "run", ["--backend", name, "--device", "cpu"]
    assert run("train", "--data", text_file, "--out", out, *TINY, *backend) == 0
    stdout, err = capsys.readouterr()
    assert stdout == ""
    assert "step     2  validation" in err and "step     4  validation" in err
    assert {p.name for p in out.iterdir()} - {"loss.png"} == {
        *(checkpoint.CONFIG, checkpoint.TOKENIZER, checkpoint.MODEL, checkpoint.CHECKPOINT, checkpoint.LOG)
    }
    for extra in ([], ["--temperature", 0], ["--top-k", 3], ["--top-p", 0.5], ["--beam", 3]):
        assert run("generate", "--model", out, "--prompt", "北京", "--tokens", 20, *extra, *backend) == 0
        text = capsys.readouterr().out
        assert text.startswith("北京") and text.endswith("\n")
        assert len(text) > 3
    for data, split in ((text_file, "test"), (text_file, "all"), ("reader", "valid")):
        assert run("eval", "--model", out, "--data", data, "--split", split, *backend) == 0
        assert "bits per character" in capsys.readouterr().out


def test_a_bar_is_drawn_for_a_person_and_not_into_a_log_file(tmp_path, text_file):
    done = python("-m", "minillm", "train", "--data", text_file, "--out", tmp_path / "run", *TINY)
    assert done.returncode == 0, done.stderr
    lines = done.stderr.splitlines()
    assert "%|" not in done.stderr and "tokens/s" not in "".join(lines[:-2])
    assert sum("validation" in line and line.startswith("step") for line in lines) == 2
    assert done.stdout == ""


def test_the_same_seed_draws_the_same_text(trained, capsys):
    texts = []
    for seed in (1, 1, 2):
        assert run("generate", "--model", trained, "--tokens", 40, "--temperature", 2, "--seed", seed) == 0
        texts.append(capsys.readouterr().out)
    assert texts[0] == texts[1] != texts[2]


def test_an_empty_prompt_starts_a_new_piece(trained, capsys):
    assert run("generate", "--model", trained, "--prompt", "", "--tokens", 5, "--json") == 0
    result = json.loads(capsys.readouterr().out)
    assert result["prompt"] == ""
    assert 1 <= result["tokens"] <= 5


def test_json_is_one_object_on_standard_output(trained, tmp_path, text_file, capsys):
    def only_json(*arguments):
        assert run(*arguments, "--json") == 0
        out, err = capsys.readouterr()
        assert out.count("\n") == 1 and err == ""
        return json.loads(out, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))

    out = tmp_path / "run"
    assert only_json("train", "--data", text_file, "--out", out, *TINY)["steps"] == 4
    assert only_json("train", "--resume", "--out", out)["loss"] > 0  # nothing left to do
    assert only_json("generate", "--model", trained, "--tokens", 8)["tokens"] <= 8
    assert only_json("generate", "--model", trained, "--tokens", 8, "--beam", 2)["text"]
    scores = only_json("eval", "--model", trained, "--split", "all")
    assert scores["characters"] > 60_000 and scores["perplexity"] > 1


def test_json_has_no_number_for_what_is_none():
    assert to_json({"loss": math.nan, "best": [math.inf, -math.inf], "text": "北"}) == (
        '{"loss": null, "best": [null, null], "text": "北"}'
    )


def test_samples_of_a_prompt_longer_than_the_context(tmp_path, text_file):
    assert run("train", "--data", text_file, "--out", tmp_path / "run", *TINY, "--prompt", "北京☃" * 20) == 0


def test_json_also_tells_what_went_wrong(tmp_path, capsys):
    assert run("generate", "--model", tmp_path, "--json") == 2
    out, err = capsys.readouterr()
    assert json.loads(out)["error"] in err


def test_more_steps_on_resume_are_remembered(tmp_path, text_file, capsys):
    out = tmp_path / "run"
    assert run("train", "--data", text_file, "--out", out, *TINY) == 0
    assert run("train", "--resume", "--out", out, "--steps", 6) == 0
    assert checkpoint.load_run(out).train.steps == 6
    assert [record["step"] for record in checkpoint.read_log(out)] == [1, 2, 3, 4, 5, 6]
    capsys.readouterr()
    check_refused(capsys, ["train", "--resume", "--out", out, "--steps", 3], "has done 6 steps already")


def test_demo(tmp_path, capsys):
    out = tmp_path / "demo"
    assert run("demo", "--steps", 2, "--out", out, "--json") == 0
    result = json.loads(capsys.readouterr().out)
    assert set(result["bits_per_char"]) == {"uniform", "bigram", "gpt"}
    assert len(set(result["text"].values())) == 1
    assert run("demo", "--steps", 1, "--out", out) == 0  # an earlier demo may go
    assert "均匀瞎猜 uniform guess" in capsys.readouterr().err


def test_demo_spares_a_run_of_the_user(trained, capsys):
    check_refused(capsys, ["demo", "--out", trained], "holds a run that is no demo")
    assert (trained / checkpoint.MODEL).exists()


@pytest.mark.parametrize("name", ["train", "generate", "eval", "data", "demo", "progress"])
def test_help_shows_examples(name, capsys):
    assert run(name, "--help") == 0
    out, err = capsys.readouterr()
    assert f"examples:\n  minillm {name}" in out and err == ""
    for line in out.splitlines():
        assert len(line) <= 100


@pytest.mark.parametrize("name", ["train", "generate", "eval", "data", "demo", "progress"])
def test_help_loads_nothing_heavy(name):
    code = f"""
import sys
from minillm.cli import main
try:
    main([{name!r}, "--help"])
finally:
    print([m for m in ("numpy", "torch", "jieba", "matplotlib", "tqdm") if m in sys.modules], file=sys.stderr)
"""
    assert python("-c", code).stderr == "[]\n"


def test_the_package_loads_nothing_heavy():
    code = "import minillm, sys; print([m for m in ('numpy', 'torch', 'jieba', 'matplotlib') if m in sys.modules])"
    assert python("-c", code).stdout == "[]\n"


# ---------------------------------------------------------------------- bad settings and prompts

BAD_GENERATE = {
    "temperature below 0": (["--temperature", -1], "temperature is -1.0"),
    "temperature nan": (["--temperature", "nan"], "temperature is nan"),
    "temperature infinite": (["--temperature", "inf"], "temperature is inf"),
    "temperature below 0, beam": (["--temperature", -1, "--beam", 2], "temperature is -1.0"),
    "temperature no number": (["--temperature", "warm"], "invalid float value: 'warm'"),
    "top-p of 2": (["--top-p", 2], "top-p is 2.0"),
    "top-p of 0": (["--top-p", 0], "top-p is 0.0"),
    "top-p nan": (["--top-p", "nan"], "top-p is nan"),
    "top-k negative": (["--top-k", -1], "top-k is -1"),
    "penalty 0": (["--repetition-penalty", 0], "repetition penalty is 0.0"),
    "penalty nan": (["--repetition-penalty", "nan"], "repetition penalty is nan"),
    "beam negative": (["--beam", -2], "beam width is -2"),
    "no tokens": (["--tokens", 0], "tokens is 0"),
    "seed negative": (["--seed", -1], "seed is -1"),
    "unknown character": (["--prompt", "北京☃"], "'☃' (U+2603) at 2; leave them out"),
    "prompt too long": (["--prompt", "北" * 17], "the prompt has 17 tokens; this model takes 1 to 16"),
    "prompt too long, beam": (["--prompt", "北" * 17, "--beam", 2], "the prompt has 17 tokens"),
    "lone surrogate": (["--prompt", "北\ud800"], "lone surrogate (U+D800) at position 1"),
    "unknown back-end": (["--backend", "tf"], "invalid choice: 'tf'"),
    "device for NumPy": (["--device", "cuda"], "NumPy computes on the CPU"),
}


@pytest.mark.parametrize("case", BAD_GENERATE)
def test_generate_refuses(case, trained, capsys):
    arguments, says = BAD_GENERATE[case]
    check_refused(capsys, ["generate", "--model", trained, *arguments], says)


BAD_TRAIN = {
    "steps 0": (["--steps", 0], "steps is 0; it must be above 0"),
    "d_model not divisible": (["--d-model", 30, "--n-head", 4], "d_model 30 does not divide into 4 heads"),
    "rotary and odd": (["--d-model", 6, "--n-head", 2, "--position", "rotary"], "need an even size, not 3"),
    "lr nan": (["--lr", "nan"], "lr is nan"),
    "lr infinite": (["--lr", "inf"], "lr is inf"),
    "dropout 1": (["--dropout", 1], "dropout is 1.0"),
    "batch 0": (["--batch-size", 0], "batch_size is 0"),
    "seed negative": (["--seed", -1], "seed is -1"),
    "vocabulary of 3": (["--vocab-size", 3], "a vocabulary of 3 is too small"),
    "unknown preset": (["--preset", "huge"], "invalid choice: 'huge'"),
    "context too long": (["--context", 5000], "too few for a context of 5000"),
    "lone surrogate": (["--prompt", "\ud800"], "lone surrogate"),
    "resume without a run": (["--resume"], "holds no model"),
}


@pytest.mark.parametrize("case", BAD_TRAIN)
def test_train_refuses(case, tmp_path, text_file, capsys):
    arguments, says = BAD_TRAIN[case]
    out = tmp_path / "run"
    preset = [] if "--preset" in arguments or "--resume" in arguments else ["--preset", "tiny"]
    check_refused(capsys, ["train", "--data", text_file, "--out", out, *preset, *arguments], says)
    assert not out.exists()


def test_a_resumed_run_keeps_its_settings(trained, capsys):
    check_refused(capsys, ["train", "--resume", "--out", trained, "--lr", 1], "--lr cannot change on --resume")
    known = {action.dest for action in parser()._subparsers._group_actions[0].choices["train"]._actions}
    free = {"help", "json", "data", "encoding", "field", "backend", "device", "out", "resume", "steps", "prompt"}
    free |= {"precision", "compile", "accumulate", "recompute", "parallel", "tensorboard"}
    assert known == free | set(FIXED_ON_RESUME)  # a new option must decide where it belongs


def test_a_run_is_not_overwritten(trained, text_file, capsys):
    check_refused(capsys, ["train", "--data", text_file, "--out", trained], "holds a run already")


def test_another_text_on_resume(trained, tmp_path, capsys):
    other = tmp_path / "other.txt"
    other.write_text("北京" * 100, encoding="utf-8")
    check_refused(capsys, ["train", "--resume", "--out", trained, "--data", other], "is not the text that the run")
    check_refused(capsys, ["train", "--resume", "--out", trained], "does not say which text it learnt from")


def test_resume_finds_its_text_from_elsewhere(tmp_path, monkeypatch, text_file):
    (tmp_path / "reader").write_bytes(text_file.read_bytes())  # no rival to the corpus of that name
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my.txt").write_bytes(text_file.read_bytes())
    for data in ("my.txt", "reader"):
        assert run("train", "--data", data, "--out", tmp_path / data[:2], *TINY) == 0
    monkeypatch.chdir("/")
    for data in ("my.txt", "reader"):
        assert run("train", "--resume", "--out", tmp_path / data[:2], "--steps", 5) == 0


def test_no_command(capsys):
    check_refused(capsys, [], "required: command; see minillm --help")


def test_unknown_device(trained, capsys):
    pytest.importorskip("torch")
    arguments = ["generate", "--model", trained, "--backend", "pt", "--device", "abacus"]
    check_refused(capsys, arguments, "device is 'abacus'")


# ---------------------------------------------------------------------- bad files and folders

CHINESE = "我爱北京天安门，爷爷带我看升旗。\n" * 30
BAD_FILES = {
    "empty": (b"", "is empty; name a file with text in it"),
    "binary": (bytes(range(256)) * 4, "name a text file"),
    "GBK": (CHINESE.encode("gbk"), 'looks like gb18030 text ("我爱北京天安门'),
    "UTF-16": (CHINESE.encode("utf-16"), "give --encoding utf-16"),
    "UTF-16 without mark": (CHINESE.encode("utf-16-le"), "give --encoding utf-16-le"),
    "shorter than the context": ("北京".encode(), "too few for a context of 32: give more text or less --context"),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_train_refuses_a_file(case, tmp_path, capsys):
    content, says = BAD_FILES[case]
    path = tmp_path / "text.txt"
    path.write_bytes(content)
    arguments = ["train", "--preset", "tiny", "--data", path, "--out", tmp_path / "run"]
    check_refused(capsys, arguments, says)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("encoding", ["gbk", "gb18030", "utf-16", "utf-16-le"])
def test_a_file_in_another_encoding_is_read_on_request(encoding, tmp_path):
    path = tmp_path / "text.txt"
    mark = codecs.BOM_UTF16_LE if encoding == "utf-16-le" else b""
    path.write_bytes(mark + CHINESE.encode(encoding))
    out = tmp_path / "run"
    assert run("train", "--data", path, "--encoding", encoding, "--out", out, *TINY) == 0
    assert run("train", "--resume", "--out", out, "--steps", 5) == 0  # the encoding is remembered
    assert set(checkpoint.load_run(out).tokenizer.tokens) <= set(CHINESE)


@pytest.mark.parametrize("command", ["train", "eval"])
def test_no_such_text(command, trained, tmp_path, capsys):
    where = ["--out", tmp_path / "run"] if command == "train" else ["--model", trained]
    for data, says in (
        (tmp_path / "none.txt", "no such file, and no corpus of that name (there is: reader, "),
        ("wikipedia", "no corpus of that name (there is: reader, "),
        ("我爱北京。" * 1000, "no such file"),  # a text in the place of its name
        (tmp_path, "is a directory without text files"),
    ):
        check_refused(capsys, [command, *where, "--data", data], says)
    arguments = [command, *where, "--data", __file__, "--encoding", "klingon"]
    check_refused(capsys, arguments, "unknown text encoding 'klingon'")


def test_eval_of_a_text_too_short_to_be_split(trained, tmp_path, capsys):
    path = tmp_path / "short.txt"
    path.write_text("北", encoding="utf-8")
    assert run("eval", "--model", trained, "--data", path) == 0  # all of one character is its last part
    assert run("eval", "--model", trained, "--data", path, "--split", "all") == 0
    capsys.readouterr()
    arguments = ["eval", "--model", trained, "--data", path, "--split", "train"]
    check_refused(capsys, arguments, "too short to have a train part: give --split all")


@pytest.mark.parametrize("command", ["generate", "eval"])
def test_no_model(command, tmp_path, capsys):
    check_refused(capsys, [command, "--model", tmp_path / "none"], "holds no model (config.json is missing)")


@pytest.mark.parametrize("command", ["train", "demo"])
def test_a_folder_that_cannot_be_written(command, tmp_path, text_file, capsys):
    text = ["--data", text_file] if command == "train" else []
    check_refused(capsys, [command, *text, "--out", text_file / "run"], "Not a directory; choose another --out")
    check_refused(capsys, [command, *text, "--out", text_file], "choose another --out")


@pytest.mark.parametrize("write", [0, 2, 4, 6])
def test_a_full_disk_leaves_the_old_checkpoint(write, tmp_path, text_file, capsys, monkeypatch):
    """The disk is full from the given write on: of the first checkpoint (0), or later in the run."""
    out, writes = tmp_path / "run", []
    real = files.os.fsync

    def fsync(number):
        writes.append(number)
        if len(writes) > write:
            raise OSError(28, "No space left on device")
        real(number)

    monkeypatch.setattr(files.os, "fsync", fsync)
    assert run("train", "--data", text_file, "--out", out, *TINY) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("minillm train: ") and "cannot be written: No space left on device" in last
    assert not list(out.glob("*.tmp"))
    monkeypatch.undo()
    if write > 2:  # checkpoint, tokenizer, configuration: the run has begun
        assert run("train", "--resume", "--out", out) == 0
    else:
        assert run("train", "--data", text_file, "--out", out, *TINY) == 0
    assert [record["step"] for record in checkpoint.read_log(out)] == [1, 2, 3, 4]


def test_too_large_a_model(tmp_path, text_file, capsys, monkeypatch):
    def no_memory(*arguments, **options):
        raise MemoryError

    monkeypatch.setattr("minillm.np.gpt.GPT.__init__", no_memory)
    check_refused(capsys, ["train", "--data", text_file, "--out", tmp_path / "run"], "not enough memory")


# ---------------------------------------------------------------------- as a real process


def test_an_error_of_a_real_process(tmp_path):
    done = python("-m", "minillm", "generate", "--model", tmp_path)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)


@pytest.mark.skipif(sys.platform == "win32", reason="pipes and /dev/full are of Unix")
def test_nobody_reads_the_output(trained):
    command = [sys.executable, "-m", "minillm", "generate", "--model", trained, "--temperature", "2", "--tokens"]
    writer = subprocess.Popen([*command, "5"], env=ENV, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    writer.stdout.close()  # long before it has anything to say
    assert writer.stderr.read() == b""
    assert writer.wait() == 1
    if sys.platform == "linux":
        with open("/dev/full", "w") as full:
            done = subprocess.run([*command, "5"], env=ENV, stdout=full, stderr=subprocess.PIPE, check=False)
        assert done.returncode == 2
        assert done.stderr.decode().count("\n") == 1 and b"No space left" in done.stderr


def test_a_text_of_one_character_is_too_short_to_train_on(tmp_path, capsys):
    (tmp_path / "one.txt").write_text("短", encoding="utf-8")
    assert main(["train", "--data", str(tmp_path / "one.txt"), "--out", str(tmp_path / "run")]) == 2
    assert capsys.readouterr().err.endswith("one.txt is too short to train on: give more text\n")
    assert not (tmp_path / "run").exists()
