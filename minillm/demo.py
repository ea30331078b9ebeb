"""The demo: learn the bundled reader from nothing, compare with two baselines, write, twice.

The same weights then continue the same prompt in the other back-end, token for token.
"""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from minillm.backend import Backend
from minillm.baselines.ngram import Bigram, Uniform
from minillm.checkpoint import Run
from minillm.cli import draw_loss
from minillm.config import preset
from minillm.console import Console
from minillm.data.corpora import load_corpus, token_stream
from minillm.evaluate import evaluate, scores
from minillm.text import train_tokenizer
from minillm.train import sample_text, train

PROMPT = "我爱北京"


def demo(
    folder: Path,
    backend_name: str = "np",
    device: str = "auto",
    steps: int | None = None,
    seed: int = 0,
    quiet: bool = False,
) -> dict[str, Any]:
    """Run the demo, show it unless `quiet`, and return its figures. Bits are per character of the held-out pieces."""
    backend, console = Backend(backend_name, device), Console(quiet)
    corpus = load_corpus("reader")
    tokenizer = train_tokenizer("char", corpus.train)
    model_config, recipe = preset("demo", tokenizer.vocab_size, seed=seed, **({"steps": steps} if steps else {}))
    run = Run(model_config, recipe, tokenizer, {"source": "reader", "encoding": None})
    console.say(f"读本 the reader: {sum(map(len, corpus.train)):,} 字 characters, {tokenizer.vocab_size} 种 kinds")
    console.say(f"学习 learning, {backend.describe()}: {recipe.steps} 步 steps")
    result = train(corpus, run, backend, folder, prompt=PROMPT, reporter=console)

    _, model = backend.load(folder)
    learnt, valid, held_out = (token_stream(texts, tokenizer) for texts in (corpus.train, corpus.valid, corpus.test))
    vocab = tokenizer.vocab_size
    rated = {
        "uniform": scores(Uniform(vocab).total_nll(held_out), held_out, corpus.test, tokenizer),
        "bigram": scores(Bigram(learnt, vocab, valid).total_nll(held_out), held_out, corpus.test, tokenizer),
        "gpt": evaluate(model, corpus.test, tokenizer, model_config.context),
    }
    names = {
        "uniform": "均匀瞎猜 uniform guess",
        "bigram": "二元计数 bigram counts",
        "gpt": "GPT，刚才学成 learnt just now",
    }
    console.say("\n没见过的文章，每字比特数，越少越好  bits per character on unseen pieces, fewer is better")
    for name, row in rated.items():
        console.say(f"  {row.bits_per_char:6.3f}  {names[name]}")

    other = "pt" if backend_name == "np" else "np"
    texts = {}
    for name in (backend_name, other):
        if name == "pt" and not find_spec("torch"):
            console.say("没有安装 PyTorch  PyTorch is not installed: pip install torch")
            continue
        twin = Backend(name, "cpu" if name == "pt" else device)
        texts[name] = sample_text(twin.load(folder)[1], tokenizer, PROMPT, 120, seed)
        console.say(f"\n{twin.describe()}:\n{texts[name]}")
    if len(texts) == 2:
        same = texts["np"] == texts["pt"]
        console.say(f"\n{'两个写得一字不差 the two agree to the letter' if same else '两个写得不同 the two differ'}")
    picture = draw_loss(result.log, folder, {names[n]: rated[n].loss for n in ("uniform", "bigram")})
    if picture:
        console.say(f"损失曲线 loss curve: {picture}")
    console.say(f"接着写 go on: python -m minillm generate --model {folder} --prompt 天安门")
    return {
        "bits_per_char": {name: row.bits_per_char for name, row in rated.items()},
        "text": texts,
        "steps": result.steps,
        "seconds": result.seconds,
        "tokens_per_second": result.tokens_per_second,
        "out": str(folder),
    }
