"""NumPy alone is enough: train, write, rate and run the demo where importing torch fails."""

import pytest
from processes import python

BLOCK = """
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "matplotlib", "jieba"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Blocked())
from minillm.cli import main
for command in sys.argv[1:]:
    code = main(command.split())
    if code:
        sys.exit(code)
"""
TRAIN = "train --preset=tiny --n-layer=1 --steps=4 --eval-every=2"


def test_numpy_alone(tmp_path, text_file):
    out = tmp_path / "run"
    done = python(
        *("-c", BLOCK, f"{TRAIN} --data {text_file} --out {out}", f"train --resume --steps=6 --out {out}"),
        *(f"generate --model {out} --prompt 北京 --tokens 5", f"eval --model {out} --data {text_file}"),
    )
    assert done.returncode == 0, done.stderr
    assert "no curve: pip install matplotlib" in done.stderr
    assert done.stdout.startswith("北京") and "bits per character" in done.stdout


def test_demo_without_torch(tmp_path):
    done = python("-c", BLOCK, f"demo --steps 1 --out {tmp_path / 'demo'}")
    assert done.returncode == 0, done.stderr
    assert "PyTorch is not installed: pip install torch" in done.stderr
    assert "NumPy:\n我爱北京" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "command, says",
    [
        (f"{TRAIN} --backend pt", "PyTorch is not installed: pip install torch, or use --backend np"),
        (f"{TRAIN} --tokenizer word", "the word tokenizer needs jieba: pip install jieba"),
    ],
)
def test_what_is_missing_is_named(command, says, tmp_path, text_file):
    done = python("-c", BLOCK, f"{command} --data {text_file} --out {tmp_path / 'run'}")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"minillm train: {says}\n"
