"""The demo: learn the bundled reader from nothing, compare with two baselines, write, twice.

The same weights then continue the same prompt in the other back-end, token for token.
"""

from pathlib import Path
from typing import Any

from minillm.backend import Backend
from minillm.baselines.ngram import Bigram, Uniform
from minillm.checkpoint import CONFIG, Run, load_run
from minillm.config import preset
from minillm.console import Console
from minillm.data.corpora import load_corpus, token_stream
from minillm.errors import UserError
from minillm.evaluate import evaluate, scores
from minillm.text import train_tokenizer
from minillm.train import sample_text, train
from minillm.viz import draw_loss

PROMPT = "我爱北京"


def demo(
    folder: Path,
    backend_name: str = "np",
    device: str = "auto",
    steps: int | None = None,
    seed: int = 0,
    quiet: bool = False,
) -> dict[str, Any]:
    """Run the demo, show it unless `quiet`, and return its figures. Bits are per character of the held-out pieces.

    UserError: the folder holds a run that is no demo, or cannot be written. An earlier demo there goes.
    """
    if (folder / CONFIG).exists() and not load_run(folder).data.get("demo"):
        raise UserError(f"{folder} holds a run that is no demo: choose another --out")
    backend = Backend(backend_name, device)
    corpus = load_corpus("reader")
    tokenizer = train_tokenizer("char", corpus.train)
    changes = {"seed": seed} if steps is None else {"seed": seed, "steps": steps}
    model_config, recipe = preset("demo", tokenizer.vocab_size, **changes)
    run = Run(model_config, recipe, tokenizer, {"source": "reader", "encoding": None, "demo": True})
    console = Console(
        quiet,
        f"读本 the reader: {sum(map(len, corpus.train)):,} 字 characters, {tokenizer.vocab_size} 种 kinds\n"
        f"学习 learning, {backend.describe()}: {recipe.steps} 步 steps",
    )
    result = train(corpus, run, backend, folder, prompt=PROMPT, reporter=console)
    if result.interrupted:
        raise KeyboardInterrupt

    _, model = backend.load(folder)
    learnt, valid, held_out = (token_stream(texts, tokenizer) for texts in (corpus.train, corpus.valid, corpus.test))
    vocab = tokenizer.vocab_size
    counted: dict[str, Uniform | Bigram] = {"uniform": Uniform(vocab), "bigram": Bigram(learnt, vocab, valid)}
    rated = {name: scores(m.total_nll(held_out), held_out, corpus.test, tokenizer) for name, m in counted.items()}
    rated["gpt"] = evaluate(model, corpus.test, tokenizer, model_config.context)
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
        try:
            twin = Backend(name, "cpu")
        except UserError as error:  # NumPy alone will do
            console.say(f"\n{error}")
            continue
        model = twin.load(folder)[1]
        samples = [sample_text(model, tokenizer, PROMPT, 60, seed + i) for i in range(3)]
        texts[name] = "\n———\n".join(samples)
        console.say(f"\n{twin.describe()}:\n{texts[name]}")
    if len(texts) == 2:
        same = texts["np"] == texts["pt"]
        console.say(f"\n{'两个写得一字不差 the two agree to the letter' if same else '两个写得不同 the two differ'}")
    picture = draw_loss(
        result.log, folder, {names[n]: m.total_nll(valid) / (len(valid) - 1) for n, m in counted.items()}
    )
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
