"""What the commands of the command line do: options in, a dictionary of figures (for --json) out.

Each imports what it needs when it runs, and checks all settings before it prints anything.
"""

from argparse import Namespace
from dataclasses import replace
from pathlib import Path
from typing import Any

from minillm.config import preset
from minillm.errors import UserError

FIXED_ON_RESUME = (
    *("preset", "tokenizer", "vocab_size", "seed", "lr", "batch_size", "context", "n_layer", "n_head", "d_model"),
    *("dropout", "norm", "position", "activation", "schedule", "optimizer", "patience", "eval_every"),
    *("n_kv_head", "init_std", "qk_norm", "bias", "tied", "recall"),
)


def run_train(options: Namespace) -> dict[str, Any]:
    from minillm.backend import Backend
    from minillm.console import Console
    from minillm.pt.engine import Engine
    from minillm.ranks import index
    from minillm.tensorboard import TensorBoard, Together
    from minillm.train import train
    from minillm.viz import draw_loss

    names = ("precision", "compile", "accumulate", "recompute", "parallel")
    backend = Backend(options.backend, options.device, Engine(**{name: getattr(options, name) for name in names}))
    changes = {name: getattr(options, name) for name in FIXED_ON_RESUME if getattr(options, name) is not None}
    run, corpus = resumed_run(options, changes) if options.resume else new_run(options, changes)
    quiet = options.json or index() > 0  # of several processes the first one speaks
    console = Console(quiet, f"{backend.describe()}, {corpus.name}, {run.tokenizer}, {run.model}")
    reporter: Any = console
    if options.tensorboard:
        reporter = Together(console, TensorBoard(options.out, backend.mfu(run.model) if index() == 0 else None))
    result = train(corpus, run, backend, options.out, resume=options.resume, prompt=options.prompt, reporter=reporter)
    picture = draw_loss(result.log, options.out) if index() == 0 else None
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


def new_run(options: Namespace, changes: dict[str, Any]) -> tuple[Any, Any]:
    """The run that the options describe, and its text."""
    from minillm.checkpoint import CONFIG, Run
    from minillm.data.corpora import NAMES, REMOTE, load_corpus
    from minillm.data.sharded import ShardedCorpus
    from minillm.text import train_tokenizer

    if (options.out / CONFIG).exists():
        raise UserError(f"{options.out} holds a run already: continue it with --resume, or choose another --out")
    kind, vocab_size = changes.pop("tokenizer", "char"), changes.pop("vocab_size", None)
    name, steps = changes.pop("preset", "demo"), {} if options.steps is None else {"steps": options.steps}
    preset(name, 1, **changes, **steps)  # a wrong setting shows before a long text is read
    source = options.data or "reader"
    corpus = load_corpus(source, options.encoding, options.field)
    if isinstance(corpus, ShardedCorpus):
        if options.tokenizer or options.vocab_size:
            raise UserError(f"{source} brings its own tokenizer: leave --tokenizer and --vocab-size out")
        tokenizer = corpus.tokenizer
    elif any(corpus.train):
        tokenizer = train_tokenizer(kind, corpus.train, vocab_size)
    else:
        raise UserError(f"{source} is too short to train on: give more text")
    model, recipe = preset(name, tokenizer.vocab_size, **changes, **steps)
    where = source if source in NAMES or source.startswith(REMOTE) else str(Path(source).resolve())
    origin = {"source": where, "encoding": options.encoding, "field": options.field}
    return Run(model, recipe, tokenizer, origin), corpus


def resumed_run(options: Namespace, changes: dict[str, Any]) -> tuple[Any, Any]:
    """The run in the folder, perhaps with more steps, and its text."""
    from minillm.checkpoint import load_run
    from minillm.data.corpora import load_corpus

    if changes:
        named = ", ".join("--" + name.replace("_", "-") for name in changes)
        raise UserError(f"{named} cannot change on --resume: leave it out, or start a new run in another --out")
    run = load_run(options.out)
    if options.steps is not None:
        run = replace(run, train=replace(run.train, steps=options.steps))
    source = options.data or run.data.get("source")
    if source is None:
        raise UserError(f"{options.out} does not say which text it learnt from: name it with --data")
    encoding, field = (getattr(options, name) or run.data.get(name) for name in ("encoding", "field"))
    return run, load_corpus(source, encoding, field)


def run_generate(options: Namespace) -> dict[str, Any]:
    import time
    from collections.abc import Iterable

    import numpy as np

    from minillm.backend import Backend
    from minillm.generate import beam_search, check_sampling, generate
    from minillm.train import never_written

    if options.tokens < 1:
        raise UserError(f"tokens is {options.tokens}; it must be at least 1")
    if options.seed < 0:
        raise UserError(f"seed is {options.seed}; it must not be negative")
    check_sampling(options.temperature, options.top_k, options.top_p, options.repetition_penalty)
    run, model = Backend(options.backend, options.device).load(options.model)
    tokenizer = run.tokenizer
    prompt = tokenizer.prompt(options.prompt)
    limits: dict[str, Any] = {"banned": never_written(tokenizer), "stop": [tokenizer.eos_id]}
    started = time.perf_counter()
    tokens: Iterable[int]
    if options.beam:
        _, tokens = beam_search(model, prompt, options.tokens, width=options.beam, **limits)[0]
    else:
        tokens = generate(
            model,
            prompt,
            options.tokens,
            temperature=options.temperature,
            top_k=options.top_k,
            top_p=options.top_p,
            repetition_penalty=options.repetition_penalty,
            rng=np.random.default_rng(options.seed),
            **limits,
        )

    def show(text: str) -> None:
        if not options.json:
            print(text, end="", flush=True)

    ids, pieces, stream = [], [], tokenizer.stream()
    show(options.prompt)
    for token in tokens:
        ids.append(token)
        pieces.append(stream.feed(token))
        show(pieces[-1])
    pieces.append(stream.close())
    show(pieces[-1] + "\n")
    return {
        "prompt": options.prompt,
        "text": "".join(pieces),
        "tokens": len(ids),
        "ended": ids[-1] == tokenizer.eos_id,
        "tokens_per_second": len(ids) / (time.perf_counter() - started),
    }


def run_eval(options: Namespace) -> dict[str, Any]:
    from minillm.backend import Backend
    from minillm.data.corpora import load_corpus
    from minillm.evaluate import evaluate

    run, model = Backend(options.backend, options.device).load(options.model)
    corpus = load_corpus(options.data, options.encoding, options.field)
    documents = corpus.all() if options.split == "all" else corpus.split(options.split)
    if not any(documents):
        raise UserError(f"{options.data} is too short to have a {options.split} part: give --split all")
    result = evaluate(model, documents, run.tokenizer, run.model.context, run.train.windows)
    if not options.json:
        unknown = f", {result.unknown:,} of them unknown" if result.unknown else ""
        print(f"{options.data}, {options.split}: {result.characters:,} characters, {result.tokens:,} tokens{unknown}")
        print(f"loss                {result.loss:.4f} nats a token")
        print(f"perplexity          {result.perplexity:.2f} per token")
        print(f"bits per character  {result.bits_per_char:.4f}")
    return {"data": options.data, "split": options.split, **result._asdict()}


def run_export(options: Namespace) -> dict[str, Any]:
    from minillm.interop import export_run

    out = export_run(options.model, options.out)
    if not options.json:
        print(f"saved in {out}; in Python: AutoModelForCausalLM.from_pretrained({str(out)!r})")
    return {"model": str(options.model), "out": str(out)}


def run_import(options: Namespace) -> dict[str, Any]:
    from minillm.config import to_dict
    from minillm.interop import import_pretrained

    run = import_pretrained(options.name, options.out, context=options.context)
    if not options.json:
        print(f"{run.tokenizer}, {run.model}")
        print(f"saved in {options.out}; let it write with: minillm generate --model {options.out} --prompt ...")
    return {"name": options.name, "out": str(options.out), "model": to_dict(run.model)}


def run_demo(options: Namespace) -> dict[str, Any]:
    from minillm.demo import demo

    return demo(options.out, options.backend, options.device, options.steps, options.seed, quiet=options.json)


def run_progress(options: Namespace) -> dict[str, Any]:
    from minillm import progress

    if options.reset:
        old = progress.reset()
        if not options.json:
            print(f"started afresh; the old progress is kept in {old}" if old else "nothing is kept yet")
        return {"old": None if old is None else str(old)}
    if not options.json:
        print(progress.table(options.language))
    return progress.summary(options.language)


def run_shards(options: Namespace) -> dict[str, Any]:
    import sys

    from tqdm import tqdm

    from minillm.data.sharded import write_corpus
    from minillm.text import Tokenizer

    if options.data is None or options.out is None or options.names:
        raise UserError("shards needs --data FILE|NAME and --out DIR, and no other name")
    learnt: Tokenizer | str = options.tokenizer or "char"
    if learnt not in Tokenizer.kinds:
        learnt = Tokenizer.load(options.tokenizer)
        if options.vocab_size is not None:
            raise UserError(f"{options.tokenizer} has its vocabulary already: leave --vocab-size out")
    # disable=None: no bar where nobody watches
    hidden = True if options.json else None
    with tqdm(desc=options.data, unit=" characters", unit_scale=True, disable=hidden, file=sys.stderr) as bar:
        corpus = write_corpus(
            options.data,
            options.out,
            learnt,
            options.vocab_size,
            encoding=options.encoding,
            field=options.field,
            at=bar.update,
        )
    splits = corpus.card["splits"]
    if not options.json:
        for name, counts in splits.items():
            print(f"{name}: " + ", ".join(f"{count:,} {unit}" for unit, count in counts.items()))
        print(f"saved in {options.out}, {corpus.tokenizer}; train with: minillm train --data {options.out}")
    return {"out": str(options.out), "vocab_size": corpus.tokenizer.vocab_size, "splits": splits}


def run_data(options: Namespace) -> dict[str, Any]:
    from minillm.data import catalogue, download

    if options.action == "shards":
        return run_shards(options)
    for name in ("data", "out", "tokenizer", "vocab_size", "encoding", "field"):
        if getattr(options, name) is not None:
            raise UserError(f"--{name.replace('_', '-')} belongs to data shards, not to data {options.action}")
    sources = [catalogue.find(name) for name in options.names] or list(catalogue.catalogue().values())
    if options.action in ("get", "path") and not options.names:
        raise UserError(f"name what to {options.action}: {', '.join(source.name for source in sources)}, or several")
    if options.action == "get":
        for source in sources:
            download.fetch(source, quiet=options.json)
    found = [download.report(source) for source in sources]
    wrong = [entry for entry in found if entry["state"] != "ok"]
    if options.action == "verify" and not options.names:
        wrong = [entry for entry in wrong if entry["state"] == "damaged"]  # what was never fetched is no fault
    if wrong and options.action in ("verify", "path"):
        states = ", ".join(f"{entry['name']} is {entry['state']}" for entry in wrong)
        names = " ".join(entry["name"] for entry in wrong)
        raise UserError(f"{states}; fetch what is not right with: minillm data get {names}")
    if not options.json:
        for source, entry in zip(sources, found, strict=True):
            credit = f"  licence: {source.licence}\n  source: {source.attribution}"
            heading = f"{source.name}: {source.about}; {source.bytes / 1e6:.1f} MB; {entry['state']}"
            card = f"\n\n{source.card()}" if options.names else ""
            texts = {
                "list": f"{heading}\n  {source.size}\n{credit}{card}",
                "get": f"{source.name}: {entry['path']}\n{credit}",
                "verify": f"{source.name}: {entry['state']}",
                "path": entry["path"],
            }
            print(texts[options.action])
    return {"cache": str(download.cache_folder()), "mirror": download.mirror() or None, "corpora": found}
