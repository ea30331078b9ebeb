"""The command line: python -m minillm train | generate | eval | data | demo | progress.

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

from minillm.commands import run_data, run_demo, run_eval, run_generate, run_progress, run_train
from minillm.config import ACTIVATIONS, NORMS, OPTIMIZERS, POSITIONS, PRESETS, SCHEDULES
from minillm.errors import UserError

TRAIN_EXAMPLES = """examples:
  minillm train                                     the bundled reader, NumPy, about a minute
  minillm train --data my.txt --out runs/my         a text of your own
  minillm train --backend pt --preset small --out runs/small
  minillm train --resume --out runs/my --steps 4000 go on, up to step 4000
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
DEMO_EXAMPLES = """examples:
  minillm demo                                      learn in NumPy, then write in NumPy and PyTorch
  minillm demo --backend pt"""
PROGRESS_EXAMPLES = """examples:
  minillm progress                                  what you have solved, and what comes next
  minillm progress --language en
Kept in ~/.minillm/progress.json, or the file that the variable MINILLM_PROGRESS names."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command. The exit code is 0, 2 after an error that the user can put right, 130 after Ctrl-C,
    1 if nobody reads the output any more."""
    for stream in (sys.stdout, sys.stderr):  # a Windows console may not be UTF-8
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="replace")
    options = parser().parse_args(arguments)
    try:
        result = options.run(options)
        if options.json:
            print(to_json(result))
        sys.stdout.flush()
        return 0
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        return 130
    except UserError as error:
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
    for name in ("context", "n-layer", "n-head", "d-model", "batch-size", "eval-every", "patience"):
        shape.add_argument(f"--{name}", type=int, metavar="N")
    for name in ("lr", "dropout"):
        shape.add_argument(f"--{name}", type=float, metavar="X")
    choices = {"norm": NORMS, "position": POSITIONS, "activation": ACTIVATIONS, "schedule": SCHEDULES}
    for name, names in choices.items():
        shape.add_argument(f"--{name}", choices=names)
    about = "muon: for the matrices inside the blocks, AdamW for the rest"
    shape.add_argument("--optimizer", choices=OPTIMIZERS, help=about)


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
