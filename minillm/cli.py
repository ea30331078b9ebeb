"""The command line: python -m minillm train | generate | eval | demo.

Only argparse is imported here; a command imports what it needs when it runs, so that --help is quick.
What a user can put right ends with one line on standard error and exit code 2.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from minillm.config import ACTIVATIONS, NORMS, POSITIONS, PRESETS, SCHEDULES, preset
from minillm.errors import UserError

FIXED_ON_RESUME = [
    "preset",
    "tokenizer",
    "vocab_size",
    "seed",
    "lr",
    "batch_size",
    "context",
    "n_layer",
    "n_head",
    "d_model",
    "dropout",
    "norm",
    "position",
    "activation",
    "schedule",
    "patience",
    "eval_every",
]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; the exit code is 0, or 2 after an error that the user can put right."""
    for stream in (sys.stdout, sys.stderr):  # a Windows console may not be UTF-8
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="replace")
    options = parser().parse_args(arguments)
    try:
        result = options.run(options)
    except UserError as error:
        if options.json:
            print(json.dumps({"error": str(error)}, ensure_ascii=False))
        print(f"minillm {options.command}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        return 130
    if options.json:
        print(json.dumps(result, ensure_ascii=False))
    return 0


def parser() -> argparse.ArgumentParser:
    """All commands and their options."""
    top = argparse.ArgumentParser(prog="minillm", description="Train a small language model by hand, and let it write.")
    commands = top.add_subparsers(dest="command", required=True, metavar="command")

    train = command(commands, "train", run_train, "train a GPT on a text", TRAIN_EXAMPLES)
    data_options(train, default=None)
    backend_options(train)
    train.add_argument(
        "--out", type=Path, default=Path("runs/model"), metavar="DIR", help="the run's folder (default: runs/model)"
    )
    train.add_argument("--resume", action="store_true", help="continue the run in DIR where its last checkpoint stands")
    train.add_argument(
        "--preset",
        choices=PRESETS,
        help="; ".join(f"{name}: {p.about}" for name, p in PRESETS.items()) + " (default: demo)",
    )
    train.add_argument("--steps", type=int, metavar="N", help="optimiser updates in all")
    train.add_argument("--seed", type=int, metavar="S", help="decides weights, batches and dropout (default: 0)")
    train.add_argument("--tokenizer", choices=("char", "word", "bpe"), help="how text is cut (default: char)")
    train.add_argument("--vocab-size", type=int, metavar="V", help="at most so many tokens (default: all; bpe: 2048)")
    train.add_argument("--prompt", default="我爱北京", metavar="TEXT", help="what the samples on the way continue")
    shape = train.add_argument_group("instead of the preset's values")
    for name in ("context", "n-layer", "n-head", "d-model", "batch-size", "eval-every", "patience"):
        shape.add_argument(f"--{name}", type=int, metavar="N")
    for name in ("lr", "dropout"):
        shape.add_argument(f"--{name}", type=float, metavar="X")
    for name, choices in (
        ("norm", NORMS),
        ("position", POSITIONS),
        ("activation", ACTIVATIONS),
        ("schedule", SCHEDULES),
    ):
        shape.add_argument(f"--{name}", choices=choices)

    generate = command(commands, "generate", run_generate, "continue a text", GENERATE_EXAMPLES)
    model_options(generate)
    generate.add_argument(
        "--prompt", default="我爱北京", metavar="TEXT", help="the text to continue (default: 我爱北京)"
    )
    generate.add_argument("--tokens", type=int, default=100, metavar="N", help="tokens to write at most (default: 100)")
    generate.add_argument(
        "--temperature",
        type=float,
        default=0.8,
        metavar="X",
        help="0: always the likeliest; 1: as learnt (default: 0.8)",
    )
    generate.add_argument(
        "--top-k", type=int, default=0, metavar="K", help="draw from the K likeliest tokens (default: 0, all)"
    )
    generate.add_argument(
        "--top-p",
        type=float,
        default=1.0,
        metavar="P",
        help="draw from the likeliest tokens that make up P (default: 1)",
    )
    generate.add_argument(
        "--repetition-penalty", type=float, default=1.0, metavar="X", help="above 1: repeat less (default: 1)"
    )
    generate.add_argument(
        "--beam", type=int, default=0, metavar="N", help="beam search of that width instead of drawing"
    )
    generate.add_argument(
        "--seed", type=int, default=0, metavar="S", help="the same seed draws the same text (default: 0)"
    )

    evaluate = command(commands, "eval", run_eval, "loss, perplexity and bits per character on a text", EVAL_EXAMPLES)
    model_options(evaluate)
    data_options(evaluate, default="reader")
    evaluate.add_argument(
        "--split", choices=("train", "valid", "test", "all"), default="test", help="which part (default: test)"
    )

    demo = command(commands, "demo", run_demo, "a minute: learn the bundled reader, compare, write", DEMO_EXAMPLES)
    backend_options(demo)
    demo.add_argument(
        "--out", type=Path, default=Path("runs/demo"), metavar="DIR", help="where the run is kept (default: runs/demo)"
    )
    demo.add_argument("--steps", type=int, metavar="N", help="optimiser updates (default: the preset's)")
    demo.add_argument("--seed", type=int, default=0, metavar="S")
    return top


def command(commands: Any, name: str, run: Any, about: str, examples: str) -> argparse.ArgumentParser:
    sub = commands.add_parser(
        name, help=about, description=about, epilog=examples, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    sub.set_defaults(run=run)
    sub.add_argument("--json", action="store_true", help="print one JSON object for machines")
    return sub


def data_options(sub: argparse.ArgumentParser, default: str | None) -> None:
    sub.add_argument(
        "--data", default=default, metavar="FILE|NAME", help="a text file, or reader, the bundled corpus (default)"
    )
    sub.add_argument("--encoding", metavar="NAME", help="of the file, if it is not UTF-8: gb18030, utf-16, ...")


def backend_options(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--backend", choices=("np", "pt"), default="np", help="NumPy or PyTorch (default: np)")
    sub.add_argument("--device", default="auto", help="for pt: auto, cpu, cuda, mps (default: auto)")


def model_options(sub: argparse.ArgumentParser) -> None:
    sub.add_argument(
        "--model", type=Path, default=Path("runs/model"), metavar="DIR", help="a run's folder (default: runs/model)"
    )
    backend_options(sub)


def run_train(options: argparse.Namespace) -> dict[str, Any]:
    from minillm.backend import Backend
    from minillm.checkpoint import CONFIG, Run, load_run
    from minillm.console import Console
    from minillm.data.corpora import load_corpus
    from minillm.text import train_tokenizer
    from minillm.train import train

    backend = Backend(options.backend, options.device)
    changes = {name: getattr(options, name) for name in FIXED_ON_RESUME if getattr(options, name) is not None}
    steps = {} if options.steps is None else {"steps": options.steps}
    if options.resume:
        if changes:
            named = ", ".join("--" + name.replace("_", "-") for name in changes)
            raise UserError(f"{named} cannot change on --resume: leave it out, or start a new run in another --out")
        run = load_run(options.out)
        run = replace(run, train=replace(run.train, **steps))
        source, encoding = options.data or run.data["source"], options.encoding or run.data["encoding"]
        corpus = load_corpus(source, encoding)
    else:
        if (options.out / CONFIG).exists():
            raise UserError(f"{options.out} holds a run already: continue it with --resume, or choose another --out")
        source = options.data or "reader"
        corpus = load_corpus(source, options.encoding)
        kind, vocab_size = changes.pop("tokenizer", "char"), changes.pop("vocab_size", None)
        tokenizer = train_tokenizer(kind, corpus.train, vocab_size)
        model, recipe = preset(changes.pop("preset", "demo"), tokenizer.vocab_size, **changes, **steps)
        where = source if source == corpus.name and not Path(source).exists() else str(Path(source).resolve())
        run = Run(model, recipe, tokenizer, {"source": where, "encoding": options.encoding})
    console = Console(quiet=options.json)
    console.say(f"{backend.describe()}, {corpus.name}, {run.tokenizer}, {run.model}")
    result = train(corpus, run, backend, options.out, resume=options.resume, prompt=options.prompt, reporter=console)
    picture = draw_loss(result.log, options.out)
    console.say(f"best validation loss {result.valid_loss:.4f} nats a token; {result.tokens_per_second:,.0f} tokens/s")
    console.say(
        f"saved in {options.out}" + (f"; the curve: {picture}" if picture else "; no curve: pip install matplotlib")
    )
    if result.interrupted:
        console.say(f"stopped at step {result.steps}; continue with: minillm train --resume --out {options.out}")
    return {
        "out": str(options.out),
        "steps": result.steps,
        "interrupted": result.interrupted,
        "loss": result.loss,
        "valid_loss": result.valid_loss,
        "tokens_per_second": result.tokens_per_second,
        "seconds": result.seconds,
    }


def draw_loss(log: list[dict[str, Any]], folder: Path, baselines: dict[str, float] | None = None) -> Path | None:
    """Save loss.png beside the run; None if matplotlib is not there or nothing was learnt yet."""
    from importlib.util import find_spec

    if not log or not find_spec("matplotlib"):
        return None
    from minillm.viz import plot_loss, save_figure

    path = folder / "loss.png"
    save_figure(plot_loss(log, baselines=baselines, title="训练损失 training loss"), path)
    return path


def load_model(options: argparse.Namespace, backend_name: str | None = None) -> tuple[Any, Any]:
    """The run's settings and its model, in the back-end asked for."""
    from minillm.backend import Backend

    backend = Backend(backend_name or options.backend, options.device)
    return backend.load(options.model)


def run_generate(options: argparse.Namespace) -> dict[str, Any]:
    import time

    import numpy as np

    from minillm.generate import beam_search, generate
    from minillm.train import never_written

    if options.tokens < 1:
        raise UserError(f"tokens is {options.tokens}; it must be at least 1")
    run, model = load_model(options)
    tokenizer = run.tokenizer
    prompt = tokenizer.encode(options.prompt) or [tokenizer.eos_id]
    started = time.perf_counter()
    if options.beam:
        _, ids = beam_search(model, prompt, options.tokens, width=options.beam, stop=[tokenizer.eos_id])[0]
        text = tokenizer.decode(ids)
        if not options.json:
            print(options.prompt + text)
    else:
        stream = tokenizer.stream()
        pieces, ids = [], []
        if not options.json:
            print(options.prompt, end="", flush=True)
        for token in generate(
            model,
            prompt,
            options.tokens,
            temperature=options.temperature,
            top_k=options.top_k,
            top_p=options.top_p,
            repetition_penalty=options.repetition_penalty,
            banned=never_written(tokenizer),
            stop=[tokenizer.eos_id],
            rng=np.random.default_rng(options.seed),
        ):
            ids.append(token)
            pieces.append(stream.feed(token))
            if not options.json:
                print(pieces[-1], end="", flush=True)
        pieces.append(stream.close())
        if not options.json:
            print(pieces[-1])
        text = "".join(pieces)
    seconds = time.perf_counter() - started
    return {
        "prompt": options.prompt,
        "text": text,
        "tokens": len(ids),
        "ended": bool(ids) and ids[-1] == tokenizer.eos_id,
        "tokens_per_second": len(ids) / seconds,
    }


def run_eval(options: argparse.Namespace) -> dict[str, Any]:
    from minillm.data.corpora import load_corpus
    from minillm.evaluate import evaluate

    run, model = load_model(options)
    corpus = load_corpus(options.data, options.encoding)
    documents = corpus.all() if options.split == "all" else corpus.split(options.split)
    result = evaluate(model, documents, run.tokenizer, run.model.context)
    if not options.json:
        print(f"{options.data}, {options.split}: {result.characters:,} characters, {result.tokens:,} tokens", end="")
        print(f", {result.unknown} of them unknown" if result.unknown else "")
        print(f"loss                {result.loss:.4f} nats a token")
        print(f"perplexity          {result.perplexity:.2f} per token")
        print(f"bits per character  {result.bits_per_char:.4f}")
    return {"data": options.data, "split": options.split, **result._asdict()}


def run_demo(options: argparse.Namespace) -> dict[str, Any]:
    from minillm.demo import demo

    return demo(options.out, options.backend, options.device, options.steps, options.seed, quiet=options.json)


TRAIN_EXAMPLES = """examples:
  minillm train                                     the bundled reader, NumPy, about a minute
  minillm train --data my.txt --out runs/my         a text of your own
  minillm train --backend pt --preset small --out runs/small
  minillm train --resume --out runs/my --steps 4000 go on, up to step 4000
Ctrl-C saves before it stops."""
GENERATE_EXAMPLES = """examples:
  minillm generate --model runs/my --prompt 我爱北京
  minillm generate --model runs/my --prompt 天安门 --temperature 0            greedy
  minillm generate --model runs/my --prompt 小雨说 --top-k 20 --top-p 0.9 --seed 7"""
EVAL_EXAMPLES = """examples:
  minillm eval --model runs/my                      the reader's test pieces
  minillm eval --model runs/my --data other.txt --split all --json"""
DEMO_EXAMPLES = """examples:
  minillm demo                                      learn in NumPy, then write in NumPy and PyTorch
  minillm demo --backend pt"""
