"""Checkers of the capstone: clipping, the optimiser, training, generation."""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from exercises.checks.capstone.model import model, same_names
from exercises.checks.framework import Run, T, exercise
from minillm.config import ModelConfig
from minillm.data.corpora import load_corpus
from minillm.np import functional as F
from minillm.np.gpt import GPT
from minillm.np.optim import AdamW, decay_groups
from minillm.np.param import Array, Module, Param

ENOUGH = 4.7  # nats a character on unseen text; counting pairs of characters comes to about as much
SECONDS = 600.0  # the solution needs about 40 on one quiet core


def gradients(run: Run, scale: float = 1.0) -> dict[str, Array]:
    return {"a.weight": scale * run.rng.normal(size=(3, 4)), "a.bias": scale * run.rng.normal(size=5)}


@exercise(
    hint=T(
        "全部梯度是一个长向量：平方都加起来，再开方。只有太长的才缩短。",
        "All gradients are one long vector: add all squares, take the root. Only one that is too long is shortened.",
    )
)
def clip(run: Run) -> None:
    for longest in (0.5, 100.0):
        grads = gradients(run)
        norm = math.sqrt(sum(float((g**2).sum()) for g in grads.values()))
        clipped, told = run.sequence(run.call(grads, longest), length=2)
        run.equal(
            run.scalar(told, name="norm"),
            norm,
            mistakes={
                "norm-after": (
                    min(norm, longest),
                    T("报的是剪过之后的长度；要剪之前的。", "You report the length after clipping."),
                ),
                "squared": (norm**2, T("忘了开方。", "The root is missing.")),
                "sum-of-norms": (
                    sum(float(np.linalg.norm(g)) for g in grads.values()),
                    T("各个长度不能直接相加：先加平方。", "Lengths do not add: add the squares."),
                ),
            },
            name="norm",
        )
        found = same_names(run, clipped, grads, "grads")
        factor = min(1.0, longest / norm)
        for name, g in grads.items():
            own = float(np.linalg.norm(g))
            run.equal(
                found[name],
                g * factor,
                mistakes={
                    "each": (
                        g * min(1.0, longest / own),
                        T(
                            "你把每个数组单独剪了：方向就变了。要一起剪。",
                            "You clip each array by itself, which turns the direction: clip all together.",
                        ),
                    ),
                    "by-value": (
                        np.clip(g, -longest, longest),
                        T("你剪的是每个数，不是长度。", "You clip numbers, not the length."),
                    ),
                    "always": (
                        g * longest / norm,
                        T("短的梯度被拉长了：不超过就不要动。", "A short gradient was stretched: leave those alone."),
                    ),
                },
                name=f"grads[{name!r}]",
            )


def adam(
    weights: dict[str, Array],
    history: list[dict[str, Array]],
    lr: float,
    betas: tuple[float, float],
    eps: float,
    decay: float,
    wrong: str = "",
) -> dict[str, Array]:
    """AdamW, or what it becomes with a mistake."""
    b1, b2 = betas
    out = {}
    for name, w in weights.items():
        m = v = np.zeros_like(w)
        rate = decay if w.ndim == 2 or wrong == "all-decay" else 0.0
        for step, grads in enumerate(history, start=1):
            g = grads[name] + (rate * w if wrong == "l2" else 0)
            m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g * g
            corrected = (m, v) if wrong == "uncorrected" else (m / (1 - b1**step), v / (1 - b2**step))
            root = np.sqrt(corrected[1] + eps) if wrong == "eps-inside" else np.sqrt(corrected[1]) + eps
            w = w - lr * (corrected[0] / root + (0 if wrong in ("l2", "no-decay") else rate * w))
        out[name] = w
    return out


@exercise(
    hint=T(
        "两个移动平均都从 0 开始，开头偏小，所以要校正；衰减直接作用在权重上，不经过这两个平均。",
        "Both moving averages begin at 0 and are too small at first, hence the correction; decay acts on the weights "
        "themselves and not through the averages.",
    )
)
def adamw(run: Run) -> None:
    weights = gradients(run)
    history = [gradients(run, scale=1e-3) for _ in range(4)]
    settings = (0.05, (0.8, 0.9), 1e-4, 0.3)
    found = same_names(run, run.call(weights, history, *settings), weights, "weights")
    module = Holder({name: Param(array.copy()) for name, array in weights.items()})
    optimizer = AdamW(decay_groups(module, 0.3), lr=0.05, betas=(0.8, 0.9), eps=1e-4)
    for grads in history:
        for name, param in module.named_parameters():
            param.grad = grads[name]
        optimizer.step()
    told = {
        "uncorrected": T("两个平均没有校正开头的偏小。", "The averages are not corrected for their start at zero."),
        "l2": T(
            "衰减加进了梯度里：那是带 L2 的 Adam，不是 AdamW。",
            "The decay went into the gradient: that is Adam with L2, not AdamW.",
        ),
        "no-decay": T("权重没有衰减。", "The weights do not decay."),
        "all-decay": T("一维的数组也衰减了。", "Arrays of one dimension decay as well."),
        "eps-inside": T("eps 放进了根号里面；它加在根号外面。", "eps went under the root; it stands outside."),
    }
    wrong = {slug: adam(weights, history, *settings, wrong=slug) for slug in told}
    for name, param in sorted(module.named_parameters(), reverse=True):  # the matrix first: more can go wrong with it
        mistakes = {slug: (wrong[slug][name], text) for slug, text in told.items()}
        run.equal(found[name], param.data, mistakes=mistakes, name=f"weights[{name!r}]")


class Holder(Module):
    """Parameters without a model around them."""

    def __init__(self, params: dict[str, Param]) -> None:
        self.params = params

    def named_parameters(self) -> Iterator[tuple[str, Param]]:
        yield from self.params.items()


class Text(NamedTuple):
    """The reader as numbers of its characters: what to learn from, what to measure on."""

    learn: Array
    unseen: Array
    characters: str


def reader() -> Text:
    corpus = load_corpus("reader")
    learn, unseen = "\n".join(corpus.train), "\n".join(corpus.valid)
    characters = "".join(sorted(set(learn + unseen)))
    number = {char: i for i, char in enumerate(characters)}
    rows = [np.array([number[char] for char in text]) for text in (learn, unseen)]
    return Text(rows[0], rows[1], characters)


def unseen_loss(weights: dict[str, Array], n_head: int, tokens: Array) -> float:
    """Mean loss in nats of a model on tokens, cut into windows as long as its context."""
    vocab, d_model = weights["emb.tok.weight"].shape
    context = len(weights["emb.pos.weight"])
    n_layer = sum(name.endswith("norm1.weight") for name in weights)
    gpt = GPT(ModelConfig(vocab, context, n_layer, n_head, d_model), rng=np.random.default_rng(0))
    gpt.load_state_dict(weights)
    count = (len(tokens) - 1) // context
    rows = np.arange(count)[:, None] * context + np.arange(context)
    return float(np.mean([gpt.token_nll(tokens[row][None], tokens[row + 1][None]).mean() for row in rows]))


@exercise(
    hint=T(
        "先让它把一个批次背下来，损失近 0，再放到全文上。慢，就看看权重是不是 float32。",
        "Let it learn a single batch by heart first, down to a loss near 0; then the whole text. If it is slow: are the "
        "weights float32?",
    ),
    seconds=SECONDS,
    rounds=1,
)
def train(run: Run) -> None:
    text = reader()
    vocab = len(text.characters)
    weights, n_head = run.sequence(run.call(text.learn, vocab, run.rng), length=2)
    n_head, weights = run.integer(n_head, name="n_head"), run.mapping(weights, name="weights")
    table, positions = (np.asarray(weights.get(f"emb.{name}.weight", np.zeros((1, 1)))) for name in ("tok", "pos"))
    n_layer = sum(str(name).endswith("norm1.weight") for name in weights)
    good = table.ndim == positions.ndim == 2 and n_head > 0 and table.shape[1] % n_head == 0
    run.require(good, "sizes", T("n_head 要整除嵌入的宽度。", "n_head must divide the width of the embedding."))
    config = ModelConfig(vocab, len(positions), max(1, n_layer), n_head, table.shape[1])
    shapes = GPT(config, rng=np.random.default_rng(0)).state_dict()
    weights = same_names(run, weights, shapes, "weights")
    loss = unseen_loss(weights, n_head, text.unseen)
    run.require(
        loss < 0.9 * math.log(vocab),
        "not-learnt",
        T(
            f"没见过的文字上每字 {loss:.2f} 奈特，和瞎猜（{math.log(vocab):.2f}）差不多：权重更新了吗？",
            f"{loss:.2f} nats a character on unseen text, hardly better than a guess ({math.log(vocab):.2f}): are the "
            "weights updated?",
        ),
    )
    run.require(
        loss < ENOUGH,
        "too-high",
        T(
            f"没见过的文字上每字 {loss:.2f} 奈特，要低于 {ENOUGH}：学习率、步数、批大小，一样一样地试。",
            f"{loss:.2f} nats a character on unseen text, and it should be below {ENOUGH}: try learning rate, steps and "
            "batch size, one at a time.",
        ),
    )


@exercise(
    hint=T(
        "模型给每个位置都打了分，你只要最后一个位置的。分数先除以温度，再变成概率。",
        "The model scores every position, and you need those of the last. Divide scores by the temperature, then softmax.",
    )
)
def generate(run: Run) -> None:
    gpt, weights = model(run)
    context = gpt.config.context

    def greedy(prompt: list[int], pick: Any, place: int = -1) -> list[int]:
        ids = list(prompt)
        for _ in range(9):
            ids.append(int(pick(gpt.forward(np.array([ids[-context:]]))[0][0, place])))
        return ids

    for _ in range(50):  # until mistakes show
        prompt = [int(i) for i in run.rng.integers(0, 11, size=3)]
        right, first_place = greedy(prompt, np.argmax), greedy(prompt, np.argmax, 0)
        if right != first_place:
            break
    got = run.sequence(run.call(weights, 2, prompt, 9, 0, np.random.default_rng(1)), of=int)
    run.equal(
        [int(i) for i in got],
        right,
        mistakes={
            "new-only": (right[3:], T("开头的那几个字没有带上。", "The given beginning is missing.")),
            "least-likely": (greedy(prompt, np.argmin), T("取了最不可能的字。", "You take the least likely.")),
            "first-place": (
                first_place,
                T("你看的是第一个位置的分数。", "You look at the scores of the first position."),
            ),
        },
    )
    start, count, temperature = list(range(context)), 250, 1.6
    spread = float(gpt.forward(run.rng.integers(0, 11, size=(50, context)))[0][:, -1].std(axis=-1).mean())
    weights |= {
        name: weights[name] * 1.5 / spread for name in ("norm.weight", "norm.bias")
    }  # far from even and from sure
    gpt.load_state_dict(weights)
    seed = int(run.rng.integers(1 << 30))
    calls = [run.call(weights, 2, start, count, temperature, np.random.default_rng(seed)) for _ in range(2)]
    first, second = (run.sequence(ids, of=int, length=context + count) for ids in calls)
    run.require(
        first == second,
        "unseeded",
        T("同样的 `rng`，两次写的不一样：随机数要从它那里来。", "The same `rng`, two different texts: draw from it."),
    )
    windows = np.array(first)[np.arange(count)[:, None] + np.arange(context)]
    scores, drawn = gpt.forward(windows)[0][:, -1], np.array(first[context:])
    if np.array_equal(scores.argmax(-1), drawn):
        run.fail(
            "always-greedy",
            T(
                "温度大于 0 时也总取最可能的：要按概率抽。",
                "Above temperature 0, too, you take the likeliest: draw it.",
            ),
        )
    options = {
        "": scores / temperature,
        "multiplied": scores * temperature,
        "no-temperature": scores,
        "uniform": 0 * scores,
    }
    likelihood = {name: F.log_softmax(z)[0][np.arange(count), drawn].sum() for name, z in options.items()}
    said = {
        "multiplied": T("分数乘上了温度，应当除。", "The scores are multiplied by the temperature instead of divided."),
        "no-temperature": T("温度没有用上。", "The temperature is not used."),
        "uniform": T(
            "每个字的机会一样大：没有用上模型的分数。", "All come equally often: the model's scores are not used."
        ),
    }
    best = max(likelihood, key=likelihood.__getitem__)
    if best:
        run.fail(best, said[best])
