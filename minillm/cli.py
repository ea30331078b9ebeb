"""The command line: python -m minillm train | generate | eval | data | export | import | demo | progress.

What a command does stands in commands.py. Nothing heavy is imported before a command runs, so that --help is
quick. What a user can put right ends with one line on standard error and exit code 2.
"""

import argparse
import contextlib
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from minillm.commands import run_data, run_demo, run_eval, run_export, run_generate, run_import, run_progress, run_train
from minillm.config import ACTIVATIONS, NORMS, OPTIMIZERS, POSITIONS, PRESETS, SCHEDULES
from minillm.errors import ProcessError, UserError
from minillm.pt.engine import PARALLEL, PRECISIONS
from minillm.ranks import index

TRAIN_EXAMPLES = """examples:
  minillm train                                     the bundled reader, NumPy, about a minute
  minillm train --data my.txt --out runs/my         a text of your own
  minillm train --backend pt --preset small --out runs/small
  minillm train --resume --out runs/my --steps 4000 go on, up to step 4000
  minillm train --backend pt --preset medium --compile --accumulate 4 --tensorboard
  torchrun --standalone --nproc-per-node 2 -m minillm train --backend pt --preset medium
Ctrl-C saves before it stops."""
GENERATE_EXAMPLES = """examples:
  minillm generate --model runs/my --prompt 我爱北京
  minillm generate --model runs/my --prompt 天安门 --temperature 0            greedy
  minillm generate --model runs/my --prompt 小雨说 --top-k 20 --top-p 0.9 --seed 7
  minillm generate --model runs/my --prompt ""                                a new piece"""
EVAL_EXAMPLES = """examples:
  minillm eval --model runs/my                      the reader's test pieces
  minillm eval --model runs/my --data other.txt --split all --json"""
DATA_EXAMPLES = """examples:
  minillm data list                          the public corpora: size, licence, in the cache or not
  minillm data list waimai                   with its data card
  minillm data get tang300 cmn-eng           fetch them, or the rest of them
  minillm data verify                        the SHA-256 of all that was fetched
  minillm data path tang300                  where it is
  minillm train --data tang300-simplified    fetches it too; needs pip install opencc
  minillm data shards --data big.jsonl --tokenizer bpe --out runs/big
  minillm train --data runs/big              a text larger than the memory, as token ids on the disk
MINILLM_CACHE names the folder that keeps them (default: ~/.cache/minillm), MINILLM_MIRROR a folder
or an http(s) address to fetch them from instead of their public repositories."""
EXPORT_EXAMPLES = """examples:
  minillm export --model runs/my --out my-model     then, in Python, with transformers:
  AutoModelForCausalLM.from_pretrained("my-model"), AutoTokenizer.from_pretrained("my-model")"""
IMPORT_EXAMPLES = """examples:
  minillm import gpt2 --out runs/gpt2               from the Hub; needs pip install huggingface_hub
  minillm import Qwen/Qwen3-0.6B-Base --out runs/qwen3 --context 4096
  minillm import my-model --out runs/back           a folder that save_pretrained or minillm export wrote
  minillm generate --model runs/gpt2 --prompt "Once upon a time" --backend pt
Read are GPT-2, Llama, Qwen2, Qwen3, Arcee and Apertus, from safetensors files; pickles never."""
DEMO_EXAMPLES = """examples:
  minillm demo                                      learn in NumPy, then write in NumPy and PyTorch
  minillm demo --backend pt"""
PROGRESS_EXAMPLES = """examples:
  minillm progress                                  what you have solved, and what comes next
  minillm progress --language en
Kept in ~/.minillm/progress.json, or the file that the variable MINILLM_PROGRESS names."""

REASONS = {  # why one would; what each is worth, measured, stands in bench/results/options.json
    "n-kv-head": "grouped queries: fewer keys and values than heads, a smaller cache when writing",
    "norm": "rmsnorm leaves the mean alone: cheaper and as good",
    "position": "rotary: attention sees distances, and there is no table to learn",
    "activation": "swiglu: a gate; relu2: the square of relu, the cheapest",
    "qk-norm": "normalise queries and keys: scores cannot blow up, so learning rates may be larger",
    "tied": "embedding and output layer share one table: fewer weights",
    "bias": "linear layers have one; without it nothing is lost",
    "init-std": "of the first weights (GPT-2: 0.02); with AdamW, narrow models start faster from 0.05 to 0.1",
    "recall": "the first N steps learn mostly to find again what the document had before, such as names (0: none do)",
    "optimizer": "muon: evens out the steps of the matrices inside the blocks; AdamW for the rest",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command. The exit code is 0, 2 after an error that the user can put right, 130 after Ctrl-C,
    1 if nobody reads the output any more."""
    for stream in (sys.stdout, sys.stderr):  # a Windows console may not be UTF-8
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="replace")
    options = parser().parse_args(arguments)
    try:
        result = options.run(options)
        if options.json and index() == 0:
            print(to_json(result))
        sys.stdout.flush()
        return 0
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        return 130
    except UserError as error:
        if index() > 0 and not isinstance(error, ProcessError):
            return 2  # the first of several processes says it
        message = str(error)
        if options.json:
            print(to_json({"error": message}))
    except MemoryError:
        message = "not enough memory: choose a smaller model, batch or context"
    except OSError as error:
        forget_output()
        if isinstance(error, BrokenPipeError):  # as in `minillm generate | head -c 10`
            return 1
        message = f"{error.filename or 'the output'} cannot be used: {error.strerror or error}; name another place"
    print(f"minillm {options.command}: {message}", file=sys.stderr)
    return 2


def forget_output() -> None:
    """Drop what could not be written, or Python tries again at its end and complains of it there."""
    with contextlib.suppress(OSError, ValueError):  # standard output may be no file at all
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def to_json(value: dict[str, Any]) -> str:
    """One line. What JSON has no number for, such as the loss before the first step, becomes null."""
    finite = json.loads(json.dumps(value), parse_constant=lambda name: None)
    return json.dumps(finite, ensure_ascii=False)


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, without repeating all options."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help\n")


def parser() -> Parser:
    """All commands and their options."""
    top = Parser(prog="minillm", description="Train a small language model by hand, and let it write.")
    commands = top.add_subparsers(dest="command", required=True, metavar="command")
    train_options(command(commands, "train", run_train, "train a GPT on a text", TRAIN_EXAMPLES))
    generate_options(command(commands, "generate", run_generate, "continue a text", GENERATE_EXAMPLES))

    sub = command(commands, "eval", run_eval, "loss, perplexity and bits per character on a text", EVAL_EXAMPLES)
    model_options(sub)
    data_options(sub, default="reader")
    sub.add_argument(
        "--split", choices=("train", "valid", "test", "all"), default="test", help="which part (default: test)"
    )

    about = "public corpora: list, get, verify, path; shards: token ids of a large text"
    sub = command(commands, "data", run_data, about, DATA_EXAMPLES)
    sub.add_argument("action", choices=("list", "get", "verify", "path", "shards"))
    sub.add_argument("names", nargs="*", metavar="NAME", help="tang300, tang, cmn-eng, waimai (list, verify: all)")
    group = sub.add_argument_group("of shards")
    add = group.add_argument
    add("--data", metavar="FILE|NAME", help="a text file, a folder, .jsonl, .csv, hf:NAME, or a corpus")
    add("--out", type=Path, metavar="DIR", help="the folder to write and to train from")
    add("--tokenizer", metavar="KIND|FILE", help="char, word, bpe, or a tokenizer.json (default: char)")
    add("--vocab-size", type=int, metavar="V", help="at most so many tokens (default: all; bpe: 2048)")
    text_options(group)

    sub = command(commands, "export", run_export, "write a model for transformers", EXPORT_EXAMPLES)
    sub.add_argument(
        "--model", type=Path, default=Path("runs/model"), metavar="DIR", help="a run (default: runs/model)"
    )
    sub.add_argument("--out", type=Path, required=True, metavar="DIR", help="the folder to write")

    sub = command(commands, "import", run_import, "read a model of transformers", IMPORT_EXAMPLES)
    sub.add_argument("name", metavar="NAME|FOLDER", help="a model of the Hub, or a folder of transformers")
    sub.add_argument("--out", type=Path, required=True, metavar="DIR", help="the run's folder to write")
    about = "positions that it shall see at once (default: its own, but 2048 at most if they are rotary)"
    sub.add_argument("--context", type=int, metavar="N", help=about)

    sub = command(commands, "demo", run_demo, "a minute: learn the bundled reader, compare, write", DEMO_EXAMPLES)
    backend_options(sub)
    sub.add_argument(
        "--out", type=Path, default=Path("runs/demo"), metavar="DIR", help="where the run is kept (default: runs/demo)"
    )
    sub.add_argument("--steps", type=int, metavar="N", help="optimiser updates (default: the preset's)")
    sub.add_argument("--seed", type=int, default=0, metavar="S", help="decides weights, batches and text (default: 0)")

    sub = command(commands, "progress", run_progress, "your way through the exercises", PROGRESS_EXAMPLES)
    sub.add_argument("--language", choices=("zh", "en"), default="zh", help="of the titles (default: zh)")
    sub.add_argument("--reset", action="store_true", help="start afresh; the old file is kept beside")
    return top


def command(commands: Any, name: str, run: Any, about: str, examples: str) -> Parser:
    sub: Parser = commands.add_parser(
        name, help=about, description=about, epilog=examples, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    sub.set_defaults(run=run)
    sub.add_argument("--json", action="store_true", help="print one JSON object for machines")
    return sub


def data_options(sub: Parser, default: str | None) -> None:
    sub.add_argument(
        "--data",
        default=default,
        metavar="FILE|NAME",
        help="a text file, a folder, .jsonl, .csv, a corpus, or what data shards wrote (default: reader)",
    )
    text_options(sub)


def text_options(sub: Any) -> None:
    sub.add_argument("--encoding", metavar="NAME", help="of the file, if it is not UTF-8: gb18030, utf-16, ...")
    sub.add_argument(
        "--field", metavar="NAME", help="of JSON lines, or the column of CSV, with the text (default: text)"
    )


def backend_options(sub: Parser) -> None:
    sub.add_argument("--backend", choices=("np", "pt"), default="np", help="NumPy or PyTorch (default: np)")
    sub.add_argument("--device", default="auto", help="for pt: auto, cpu, cuda, mps (default: auto)")


def model_options(sub: Parser) -> None:
    sub.add_argument(
        "--model", type=Path, default=Path("runs/model"), metavar="DIR", help="a run's folder (default: runs/model)"
    )
    backend_options(sub)


def train_options(sub: Parser) -> None:
    data_options(sub, default=None)
    backend_options(sub)
    add = sub.add_argument
    add("--out", type=Path, default=Path("runs/model"), metavar="DIR", help="the run's folder (default: runs/model)")
    add("--resume", action="store_true", help="continue the run in DIR where its last checkpoint stands")
    about = "; ".join(f"{name}: {preset.about}" for name, preset in PRESETS.items())
    add("--preset", choices=PRESETS, help=f"{about} (default: demo)")
    add("--steps", type=int, metavar="N", help="optimiser updates in all")
    add("--seed", type=int, metavar="S", help="decides weights, batches and dropout (default: 0)")
    add("--tokenizer", choices=("char", "word", "bpe"), help="how text is cut (default: char)")
    add("--vocab-size", type=int, metavar="V", help="at most so many tokens (default: all; bpe: 2048)")
    add("--prompt", default="我爱北京", metavar="TEXT", help="what the samples on the way continue")
    shape = sub.add_argument_group("instead of the preset's values")
    numbers = ("context", "n-layer", "n-head", "n-kv-head", "d-model", "batch-size", "eval-every", "patience", "recall")
    for name in numbers:
        shape.add_argument(f"--{name}", type=int, metavar="N", help=REASONS.get(name))
    for name in ("lr", "dropout", "init-std"):
        shape.add_argument(f"--{name}", type=float, metavar="X", help=REASONS.get(name))
    for name in ("qk-norm", "bias", "tied"):
        shape.add_argument(f"--{name}", action=argparse.BooleanOptionalAction, help=REASONS[name])
    choices = {"norm": NORMS, "position": POSITIONS, "activation": ACTIVATIONS, "schedule": SCHEDULES}
    for name, names in choices.items():
        shape.add_argument(f"--{name}", choices=names, help=REASONS.get(name))
    shape.add_argument("--optimizer", choices=OPTIMIZERS, help=REASONS["optimizer"])
    add = sub.add_argument_group("how PyTorch computes a step; the result stays the same but for rounding").add_argument
    about = "of matrix products: bf16 or fp16 on a card, else fp32 (default: auto)"
    add("--precision", choices=PRECISIONS, default="auto", help=about)
    add("--compile", action="store_true", help="torch.compile; where it does not work, go on without it")
    about = "cut the batch into N parts, one after another: less memory (default: 1)"
    add("--accumulate", type=int, default=1, metavar="N", help=about)
    add("--recompute", action="store_true", help="compute blocks again in the backward: less memory, a third more work")
    about = "under torchrun: ddp, whole copies of the model; fsdp, each process a share (default: ddp)"
    add("--parallel", choices=PARALLEL, default="ddp", help=about)
    about = "write figures and samples for TensorBoard into DIR/tensorboard"
    sub.add_argument("--tensorboard", action="store_true", help=about)


def generate_options(sub: Parser) -> None:
    model_options(sub)
    add = sub.add_argument
    add("--prompt", default="我爱北京", metavar="TEXT", help="the text to continue (default: 我爱北京)")
    add("--tokens", type=int, default=100, metavar="N", help="tokens to write at most (default: 100)")
    about = "0: always the likeliest; 1: as learnt (default: 0.8)"
    add("--temperature", type=float, default=0.8, metavar="X", help=about)
    add("--top-k", type=int, default=0, metavar="K", help="draw from the K likeliest tokens (default: 0, all)")
    about = "draw from the likeliest tokens that make up P (default: 1)"
    add("--top-p", type=float, default=1.0, metavar="P", help=about)
    about = "above 1: repeat less (default: 1)"
    add("--repetition-penalty", type=float, default=1.0, metavar="X", help=about)
    add("--beam", type=int, default=0, metavar="N", help="beam search of that width instead of drawing")
    add("--seed", type=int, default=0, metavar="S", help="the same seed draws the same text (default: 0)")
