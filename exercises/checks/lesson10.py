"""Checkers of lesson 10, the whole GPT: its parameters, the tied table, peeping, floors, operations and memory."""

import math
from collections import Counter
from collections.abc import Callable

import numpy as np

from exercises.checks.framework import Run, T, exercise

Array = np.ndarray


@exercise(
    hint=T(
        zh="一张表一张表地数：两张嵌入表；每层四个 (D, D) 矩阵、两个 (D, 4D) 矩阵，各自的偏置；每道归一化有两个 D。",
        en="Go table by table: two embedding tables; in each layer four matrices (D, D), two of (D, 4D), and their "
        "biases; each normalisation has two times D.",
    )
)
def gpt_parameters(run: Run) -> None:
    """V D + C D + L (12 D² + 13 D) + 2 D."""
    for _ in range(2):
        vocab, context = (int(n) for n in run.rng.integers(100, 5000, size=2))
        layers, d = int(run.rng.integers(3, 40)), 8 * int(run.rng.integers(4, 200))
        right = (vocab + context) * d + layers * (12 * d**2 + 13 * d) + 2 * d
        run.equal(
            run.integer(run.call(vocab, context, layers, d)),
            right,
            mistakes={
                "two-tables": (
                    right + vocab * d,
                    T(
                        "你给输出层另算了一张表；它是共享的，和词元的嵌入是同一张。",
                        "You counted a table for the output layer; it is tied, the same one as the token embedding.",
                    ),
                ),
                "no-positions": (
                    right - context * d,
                    T("少了位置的那张表。", "The table of positions is missing."),
                ),
                "no-biases": (
                    right - layers * 9 * d,
                    T(
                        "少了偏置：每个线性变换的每个输出各有一个。",
                        "Biases are missing: each linear map has one for each of its outputs.",
                    ),
                ),
                "no-last-norm": (
                    right - 2 * d,
                    T("少了末端的归一化。", "The normalisation at the end is missing."),
                ),
                "no-norms": (
                    right - layers * 4 * d - 2 * d,
                    T("归一化也有参数：每一道有 w 和 b。", "Normalisations have parameters too: each has its w and b."),
                ),
                "matrices-only": (
                    (vocab + context) * d + layers * 12 * d**2,
                    T(
                        "矩阵都数对了；偏置和归一化还没有数。",
                        "All matrices are right; biases and normalisations are not counted yet.",
                    ),
                ),
                "no-output-matrix": (
                    right - layers * (d**2 + d),
                    T(
                        "注意力有四个矩阵：查询、键、值，还有把各头合起来的那一个。",
                        "Attention has four matrices: query, key, value, and the one that puts the heads together.",
                    ),
                ),
                "one-layer": (
                    (vocab + context) * d + 12 * d**2 + 13 * d + 2 * d,
                    T("只数了一层。", "Only one layer is counted."),
                ),
            },
        )


@exercise(
    hint=T(
        zh="`gradient[ids] = dx` 是写，不是加；而 `+=` 遇到重复的编号也只加一次。`np.add.at` 一次一次地加。",
        en="`gradient[ids] = dx` writes and does not add; and `+=` adds only once where an id is repeated. `np.add.at` "
        "adds every time.",
    )
)
def table_gradient(run: Run) -> None:
    """dlogitsᵀ hidden, and every dx added to the row of its id."""
    n, d, vocab = 9, *run.sizes(2, low=3, high=6)
    ids = run.rng.integers(vocab - 1, size=n)  # the last is never read, and some are read often
    dx, hidden = run.rng.normal(size=(2, n, d))
    dlogits = run.rng.normal(size=(n, vocab))
    out, looked = dlogits.T @ hidden, np.zeros((vocab, d))
    np.add.at(looked, ids, dx)
    once, written = out.copy(), out.copy()
    once[ids] += dx
    written[ids] = dx
    counts = np.maximum(np.bincount(ids, minlength=vocab), 1)[:, None]
    run.equal(
        run.array(run.call(ids, dx, hidden, dlogits), shape=(vocab, d)),
        out + looked,
        mistakes={
            "overwritten": (
                written,
                T(
                    "读到过的那些行，打分的那份梯度被 `=` 抹掉了。两处用法的梯度要相加。",
                    "In the rows of characters that were read, `=` wiped out the gradient of scoring. The gradients of both "
                    "uses add up.",
                ),
            ),
            "repeats": (
                once,
                T(
                    "两份都加上了，可是重复读到的字只记了最后一次：NumPy 的 `+=` 对重复的编号只加一次。",
                    "Both are there, but a character read more than once counts only the last time: NumPy's `+=` adds once "
                    "for repeated indices.",
                ),
            ),
            "scoring-only": (
                out,
                T("只有打分的那一份，少了查表的。", "Only the share of scoring; the look-up's is missing."),
            ),
            "look-up-only": (
                looked,
                T("只有查表的那一份，少了打分的。", "Only the share of the look-up; scoring's is missing."),
            ),
            "averaged": (
                out + looked / counts,
                T(
                    "重复读到的字，你取了平均；每一次都算数，应当相加。",
                    "For characters read more than once you took the mean; every time counts, so add.",
                ),
            ),
        },
    )


def future_of(kind: str, rng: np.random.Generator, length: int, vocab: int) -> Callable[[Array], Array]:
    """A model in a black box: honest, or peeping in one of several ways."""
    table = rng.normal(size=(vocab, vocab))
    at = int(rng.integers(1, length - 2))

    def logits_of(ids: Array) -> Array:
        codes = np.asarray(ids)
        rows = table[codes]
        means = np.cumsum(rows, axis=0) / np.arange(1, length + 1)[:, None]
        if kind == "next":
            means[:-1] += rows[1:]
        elif kind == "all":
            means = means + rows.mean(axis=0)
        elif kind == "last":
            means[: length - 1] += 0.1 * rows[-1]
        elif kind == "one":
            means[at] += rows[at + 1]
        elif kind == "faint":
            means[:-1] += 1e-3 * rows[1:]
        return means

    return logits_of


@exercise(
    hint=T(
        zh="把位置 `t` 的编号换成另一个，只比较 `t` 之前的各行。每个 `t` 都要试；`t` 自己那一行当然会变。",
        en="Replace the id at place `t` by another and compare only the rows before `t`. Try every `t`; row `t` itself "
        "changes of course.",
    )
)
def looks_ahead(run: Run) -> None:
    """Honest models are cleared, peeping ones caught, wherever they peep."""
    length, vocab = (int(n) for n in run.rng.integers((6, 5), (10, 9)))
    ids = run.rng.integers(vocab, size=length)
    ids[-1] = vocab - 1  # plus one would be outside the vocabulary
    answers = {}
    for kind in ("honest", "all", "next", "one", "last", "faint"):
        got = run.call(future_of(kind, run.rng, length, vocab), ids, vocab)
        answers[kind] = run.choice(bool(got) if isinstance(got, np.bool_) else got, [True, False])
    run.require(
        any(answers.values()),
        "never",
        T(
            "你的函数从来不说“偷看”，连全看的模型也放过了。",
            "Your function never says that a model peeps, not even of one that sees everything.",
        ),
    )
    run.require(
        not all(answers.values()),
        "always",
        T(
            "你冤枉了老实的模型：换了位置 t 的字，t 自己那一行和后面的行当然会变，要比的只有前面的行。",
            "You accuse an honest model: when the character at t changes, row t and later rows change of course; only "
            "earlier rows are to be compared.",
        ),
    )
    run.require(
        answers["honest"] is False,
        "upside-down",
        T("反了：偷看应当是 True。", "It is the wrong way round: peeping is True."),
    )
    run.require(
        answers["next"] or not answers["last"],
        "last-only",
        T(
            "你只换了最后一个字，或者只看了离它很远的行。有的模型只偷看下一个：每个位置都要换一换。",
            "You replaced the last character only, or looked only far away from it. Some models peep at the next one: "
            "every place has to be tried.",
        ),
    )
    run.require(
        answers["one"],
        "last-only",
        T(
            "有一个模型只在中间一个位置偷看，你没有抓住。每个位置都要换一换，前面的每一行都要比。",
            "One model peeps at one place in the middle, and you did not catch it. Try every place, and compare every "
            "row before it.",
        ),
    )
    run.require(
        answers["last"],
        "next-only",
        T(
            "有一个模型偷看的是最后一个字，你没有抓住：前面的每一行都要比，最后一个位置也要换。",
            "One model peeps at the last character, and you did not catch it: compare all rows before, and replace the "
            "last place too.",
        ),
    )
    run.require(
        answers["faint"],
        "coarse",
        T(
            "有一个模型偷看得很轻，分数只变千分之几，你的容差太宽了。不偷看的，前面各行一丝不变。",
            "One model peeps faintly, its scores change by some thousandths, and your tolerance is too wide. Without "
            "peeping the earlier rows do not change at all.",
        ),
    )


@exercise(
    hint=T(
        zh="先数每个字读到几次，再数每一对（字，答案）几次。一对的概率最好是后者除以前者；每一次出现付出它的负对数。",
        en="Count how often each character is read, then how often each pair (character, answer) occurs. The best "
        "probability is the second over the first, and each occurrence costs its negative logarithm.",
    )
)
def batch_floor(run: Run) -> None:
    """Conditional entropy of the answer given the current character, counted on the batch."""
    rows, length = run.sizes(2, low=4, high=9)
    tokens = run.rng.integers(4, size=(rows, length + 1))
    tokens[0, :3] = 0, 1, 0
    tokens[1, :3] = 0, 2, 1
    x, y = tokens[:, :-1], tokens[:, 1:]

    def floor(keys: list[tuple[int, ...]]) -> float:
        answers = y.ravel().tolist()
        seen, pairs = Counter(keys), Counter(zip(keys, answers, strict=True))
        return -sum(n * math.log(n / seen[key]) for (key, _), n in pairs.items()) / x.size

    right = floor([(int(c),) for c in x.ravel()])
    run.equal(
        run.scalar(run.call(x, y)),
        right,
        mistakes={
            "past": (
                floor([tuple(int(c) for c in row[: t + 1]) for row in x for t in range(length)]),
                T(
                    "这是按整个前文数的底；这个模型只看当前的字。",
                    "This is the floor for whole pasts; this model sees the current character only.",
                ),
            ),
            "positions": (
                floor([(t, int(row[t])) for row in x for t in range(length)]),
                T("你把位置也算进去了；这个模型不知道位置。", "You counted places too; this model knows no places."),
            ),
            "frequencies": (
                floor([() for _ in range(x.size)]),
                T(
                    "这是只看答案的频率，连当前的字也没有看。",
                    "This uses the frequencies of answers alone, without the current character.",
                ),
            ),
            "bits": (right / math.log(2), T("这是比特；题目要奈特。", "These are bits; nats are asked for.")),
            "sum": (right * x.size, T("没有除以位置的个数。", "Not divided by the number of positions.")),
            "rows": (
                right * length,
                T(
                    "你除以了句数；要除以所有位置的个数。",
                    "You divided by the number of sentences; divide by that of all positions.",
                ),
            ),
            "joint": (
                lambda: (
                    -sum(
                        n / x.size * math.log(n / x.size)
                        for n in Counter(zip(x.ravel().tolist(), y.ravel().tolist(), strict=True)).values()
                    )
                ),
                T(
                    "你用的是一对字的概率；当前的字已经知道了，要用条件概率。",
                    "You used the probability of the pair; the current character is known, so use the conditional one.",
                ),
            ),
            "sign": (-right, T("符号反了。", "The sign is turned round.")),
        },
    )


@exercise(
    hint=T(
        zh="每个词元：矩阵里的每个数一个乘加；每层的分数和加权各 `length · D` 个乘加。一个乘加两次运算，反向是前向的两倍。",
        en="For each token: one multiply-add for each number of the matrices; `length · D` for the scores of a layer, and "
        "as many for the weighted sum. Two FLOPs a multiply-add; backward is twice the forward.",
    )
)
def training_flops(run: Run) -> None:
    """3 · 2 · (12 L D² + V D + 2 L T D) a token."""
    vocab, tokens = (int(n) for n in run.rng.integers(500, 60_000, size=2))
    layers, d, length = int(run.rng.integers(2, 30)), 8 * int(run.rng.integers(4, 60)), int(run.rng.integers(50, 900))
    matrices, head, scores = 12 * layers * d**2, vocab * d, layers * length * d
    right = 6 * (matrices + head + 2 * scores) * tokens
    run.equal(
        run.integer(run.call(vocab, layers, d, length, tokens)),
        right,
        mistakes={
            "forward": (right // 3, T("这只是前向。", "This is forward only.")),
            "twice": (
                right // 3 * 2,
                T(
                    "反向的每个乘法变成两个，所以反向是前向的两倍，合起来是三倍。",
                    "Each product becomes two in backward, so backward is twice the forward, three times in all.",
                ),
            ),
            "multiply-adds": (
                right // 2,
                T("你数的是乘加；一个乘加是两次运算。", "You counted multiply-adds; each of them is two FLOPs."),
            ),
            "no-scores": (
                6 * (matrices + head) * tokens,
                T(
                    "少了没有权重的乘法：查询乘键，注意力的权重乘值。",
                    "The products without weights are missing: queries with keys, attention weights with values.",
                ),
            ),
            "half-scores": (
                6 * (matrices + head + scores) * tokens,
                T(
                    "注意力里有两个乘法：查询乘键，还有权重乘值。你只算了一个。",
                    "Attention has two products: queries with keys, and weights with values. You counted one.",
                ),
            ),
            "no-head": (
                6 * (matrices + 2 * scores) * tokens,
                T("少了末端的打分：D 乘 V 的矩阵。", "The scoring at the end is missing, a matrix of D by V."),
            ),
            "look-up": (
                6 * (matrices + 2 * head + 2 * scores) * tokens,
                T(
                    "嵌入你算了两次；开头查表不是乘法，一次也不用算。",
                    "You counted the embedding twice; the look-up at the start is no multiplication and costs nothing.",
                ),
            ),
            "no-square": (
                6 * (matrices + head + 2 * layers * d) * tokens,
                T(
                    "每个词元要和 `length` 个词元作点积，你的式子里没有 `length`。",
                    "Each token takes dot products with `length` others; there is no `length` in your formula.",
                ),
            ),
        },
    )


def widest(memory: int, vocab: int, layers: int, length: int, batch: int, **changes: int) -> int:
    """The answer, or with `changes` that of somebody who forgot something."""
    each_parameter, numbers = changes.get("each", 16), changes.get("numbers", 4)
    width = 0
    while True:
        d = width + 64
        n = (vocab + length) * d + layers * (12 * d**2 + 13 * d) + 2 * d
        heads = changes.get("heads", d // 64)
        kept = layers * (21 * d + 2 + changes.get("square", 1) * heads * length) + 2 * d + 1
        kept += changes.get("logits", 1) * 2 * vocab + 5
        if each_parameter * n + numbers * changes.get("sentences", batch) * length * kept > memory:
            return width
        width = d


@exercise(
    hint=T(
        zh="先写一个函数，给宽度，返回要多少字节；再从 64 起一级一级往上试，直到装不下，退回一级。",
        en="First write a function from the width to the bytes that it needs; then go up from 64 by steps until it does not "
        "fit, and step back once.",
    )
)
def largest_width(run: Run) -> None:
    """The greatest multiple of 64 with 16 N + M within the memory."""
    slips = {
        "weights-only": (
            {"each": 4},
            T(
                "你只给参数留了 4 字节：训练还要装梯度和 AdamW 的两份平均。",
                "You left 4 bytes a parameter: training holds gradients and AdamW's two means as well.",
            ),
        ),
        "no-optimiser": (
            {"each": 8},
            T("权重和梯度之外，还有 AdamW 的两份。", "Beside weights and gradients there are the two copies of AdamW."),
        ),
        "no-activations": (
            {"numbers": 0},
            T("激活没有算进去。", "Activations are not counted."),
        ),
        "no-square": (
            {"square": 0},
            T(
                "注意力的权重没有算：每个词元、每个头各 `length` 个。",
                "Attention weights are not counted: `length` of them for each token and head.",
            ),
        ),
        "one-head": (
            {"heads": 1},
            T(
                "注意力的权重每个头都有一份，头数随宽度增加。",
                "Every head has attention weights of its own, and wider models have more heads.",
            ),
        ),
        "no-logits": (
            {"logits": 0},
            T(
                "末端的 logit 和它的指数没有算：每个词元 2V 个。",
                "The logits and their exponentials are not counted: 2V a token.",
            ),
        ),
        "one-sentence": (
            {"sentences": 1},
            T("激活没有乘以批次的句数。", "Activations are not multiplied by the sentences of the batch."),
        ),
    }
    for _ in range(100):  # until all slips lead to different widths
        vocab, layers, length, batch = (int(n) for n in run.rng.integers((20_000, 6, 500, 8), (60_000, 20, 1500, 20)))
        given = (vocab, layers, length, batch)
        d = 64 * int(run.rng.integers(12, 40))
        n = (vocab + length) * d + layers * (12 * d**2 + 13 * d) + 2 * d
        kept = layers * (21 * d + 2 + d // 64 * length) + 2 * d + 1 + 2 * vocab + 5
        memory = 16 * n + 4 * batch * length * kept  # a width of d fills it exactly
        found = [widest(memory, *given, **changes) for changes, _ in slips.values()]
        if len({*found, d - 64, d, d + 64}) == len(found) + 3:
            break
    right = widest(memory, *given)
    got = run.integer(run.call(memory, *given))
    run.equal(
        got,
        right,
        mistakes={
            **{slug: (widest(memory, *given, **changes), message) for slug, (changes, message) in slips.items()},
            "one-further": (
                right + 64,
                T("多走了一级：这个宽度已经装不下了。", "One step too far: this width does not fit any more."),
            ),
            "one-short": (
                right - 64,
                T(
                    "少走了一级：正好装满也算装得下。",
                    "One step too few: filling the memory exactly still fits.",
                ),
            ),
        },
    )
    run.equal(
        run.integer(run.call(1000, *given)),
        0,
        mistakes={
            "nothing-fits": (
                64,
                T("连宽 64 都装不下的时候，应当返回 0。", "When not even a width of 64 fits, the answer is 0."),
            ),
            "negative": (
                -64,
                T("宽度不会是负的：装不下就返回 0。", "A width is not negative: if nothing fits, return 0."),
            ),
        },
    )
