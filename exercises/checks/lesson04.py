"""Checkers of lesson 04, word vectors."""

import math

import numpy as np

from exercises.checks.framework import Run, T, exercise


def sigmoid(s: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-s))


@exercise(
    hint=T(
        zh="分数都是 0，`σ(0)` 是多少？一道是非题的损失是它的负对数。一对词一共有几道题？",
        en="All scores are 0; what is `σ(0)`? The loss of one question is its negative logarithm. How many questions has "
        "a pair?",
    )
)
def untrained_loss(run: Run) -> None:
    """(K + 1) ln 2."""
    negatives = int(run.rng.integers(4, 30))
    run.equal(
        run.scalar(run.call(negatives)),
        (negatives + 1) * math.log(2),
        mistakes={
            "no-neighbour": (
                negatives * math.log(2),
                T(
                    "你只数了噪声的题。真邻居也是一道题。",
                    "You counted the questions of the noise only. The true neighbour is a question too.",
                ),
            ),
            "one-question": (
                math.log(2),
                T(
                    "这是一道题的损失；一对词的损失是好几道题加起来。",
                    "This is the loss of one question; that of a pair is the sum of several.",
                ),
            ),
            "choice": (
                math.log(negatives + 1),
                T(
                    "你把它当成一道选择题，从这么多词里挑一个，那是 softmax。负采样问的是好几道互不相干的是非题。",
                    "You took it for one question of choice among so many words, which would be softmax. Negative sampling asks "
                    "several separate questions of yes or no.",
                ),
            ),
            "bits": (
                float(negatives + 1),
                T(
                    "这是比特：抛一次硬币一比特。题目要奈特。",
                    "These are bits, one a toss of a coin. Nats are asked for.",
                ),
            ),
            "sign": (
                -(negatives + 1) * math.log(2),
                T(
                    "损失不会是负的：概率的对数是负数，公式里还有一个负号。",
                    "A loss is not negative: the logarithm of a probability is below zero, and the formula has a minus.",
                ),
            ),
        },
    )


def rows_added(ids: np.ndarray, dout: np.ndarray, size: int) -> np.ndarray:
    """The slow way."""
    dw = np.zeros((size, dout.shape[-1]))
    for i, row in zip(ids.ravel(), dout.reshape(-1, dout.shape[-1]), strict=True):
        dw[i] += row
    return dw


def rows_last(ids: np.ndarray, dout: np.ndarray, size: int) -> np.ndarray:
    """Of equal ids only the last counts."""
    dw = np.zeros((size, dout.shape[-1]))
    for i, row in zip(ids.ravel(), dout.reshape(-1, dout.shape[-1]), strict=True):
        dw[i] = row
    return dw


@exercise(
    hint=T(
        zh="NumPy 先把 `dw[ids]` 整个取出来，加完再整个写回去，所以重复的编号只写进最后一次。找一个不会漏掉重复的加法，课文里用过；用循环也行。",
        en="NumPy takes out all of `dw[ids]`, adds, and writes all of it back, so that of a repeated id only the last is "
        "kept. Find the addition that loses no repeats, used in the lesson; a loop will do as well.",
    )
)
def add_rows(run: Run) -> None:
    """Sums over repeats, for one row of ids and for several."""
    size, batch, length, dim = run.sizes(4, low=3, high=9)
    for shape in ((batch,), (batch, length)):
        ids = run.rng.integers(1, size, size=shape)
        ids.flat[-1] = ids.flat[0]  # one is repeated
        dout = run.rng.normal(size=(*shape, dim))
        right = rows_added(ids, dout, size)
        times = np.bincount(ids.ravel(), minlength=size)[:, None]
        run.equal(
            run.array(run.call(ids, dout, size), shape=(size, dim)),
            right,
            mistakes={
                "repeated": (
                    rows_last(ids, dout, size),
                    T(
                        "编号有重复的时候，只留下了最后一次的梯度；每一次都要加上。",
                        "Where an id is repeated, only its last gradient is kept; every one has to be added.",
                    ),
                ),
                "averaged": (
                    lambda right=right, times=times: right / np.maximum(times, 1),
                    T(
                        "你把同一行的梯度取了平均；它们应当加起来。",
                        "You took the mean of the gradients of a row; they add up.",
                    ),
                ),
                "first": (
                    lambda ids=ids, dout=dout: rows_last(ids.ravel()[::-1], dout.reshape(-1, dim)[::-1], size),
                    T(
                        "编号有重复的时候，只留下了第一次的梯度；每一次都要加上。",
                        "Where an id is repeated, only its first gradient is kept; every one has to be added.",
                    ),
                ),
                "shifted": (
                    lambda ids=ids, dout=dout: rows_added(ids - 1, dout, size),
                    T(
                        "每个梯度都放到了前面一行：编号从 0 开始，编号就是行号。",
                        "Every gradient went one row too high: ids begin with 0, and the id is the row.",
                    ),
                ),
            },
        )


def pmi_of(X: np.ndarray) -> np.ndarray:
    return np.log(X * X.sum() / np.outer(X.sum(axis=1), X.sum(axis=0)))


@exercise(
    hint=T(
        zh="先算碰巧时该有多少次：行和乘列和，除以总和。再算比值、取对数、把负的改成 0。分母是 0 的地方先跳过，免得出现 `nan`。",
        en="First compute how many meetings chance would give: sum of the row times sum of the column over the total. Then the "
        "ratio, its logarithm, and 0 for what is negative. Step round the places where the divisor is 0, or there is `nan`.",
    )
)
def ppmi_table(run: Run) -> None:
    """PPMI of a full table, then of one with zeros, then of one with an empty row."""
    (n,) = run.sizes(1, low=4, high=7)
    X = run.rng.integers(1, 30, size=(n, n)) * 1.0
    X[0, 1:3] = 1.0, 40.0  # not symmetric, and pairs on both sides of chance
    pmi = pmi_of(X)
    run.equal(
        run.array(run.call(X), shape=X.shape),
        np.maximum(pmi, 0),
        mistakes={
            "negative": (
                pmi,
                T(
                    "这是 PMI；PPMI 要把负的改成 0。",
                    "This is PMI; for PPMI what is negative becomes 0.",
                ),
            ),
            "bits": (
                np.maximum(pmi, 0) / math.log(2),
                T("这是比特；题目要奈特，用自然对数。", "These are bits; nats are asked for: the natural logarithm."),
            ),
            "absolute": (
                np.abs(pmi),
                T(
                    "你去掉了负号；比碰巧少的对应当是 0，不是正数。",
                    "You dropped the minus; pairs that met less than by chance should have 0, not a positive number.",
                ),
            ),
            "no-logarithm": (
                np.maximum(np.exp(pmi), 1),
                T("这是与碰巧的比，还没有取对数。", "This is the ratio to chance, without its logarithm."),
            ),
            "all-zero": (
                np.zeros_like(X),
                T(
                    "全是 0：你取对数的数没有一个大于 1。`X` 里是次数，要么三处都化成概率，要么别忘了总和；还要和碰巧时相比。",
                    "All zeros: nothing that you took the logarithm of was above 1. `X` holds counts: make all three of them "
                    "probabilities or remember the total, and compare with chance.",
                ),
            ),
        },
    )
    X[1, 2] = X[n - 1, 0] = 0.0
    for empty in (False, True):
        if empty:
            X[2] = 0.0
        with np.errstate(all="ignore"):
            right = np.nan_to_num(np.maximum(pmi_of(X), 0), nan=0.0)
        got = run.array(run.call(X), shape=X.shape, finite=False)
        run.require(
            np.isfinite(got).all(),
            "zero",
            T(
                "没有零的表对了；可是表里有零的时候出现了 nan 或无穷大：0 的对数，或者 0 除以 0。",
                "Right for a table without zeros; but zeros give nan or infinity: the logarithm of 0, or 0 divided by 0.",
            ),
        )
        run.equal(
            got,
            right,
            mistakes={
                "plus-one": (
                    lambda: np.maximum(pmi_of(X + 1), 0),
                    T(
                        "你给每个次数加了 1，躲开了零，可是别的数也都变了。",
                        "You added 1 to every count to avoid zeros, and that changed all the others too.",
                    ),
                )
            },
        )


@exercise(
    hint=T(
        zh="先让每一行除以自己的长度，点积就成了余弦。把第 `i` 个的余弦改成负无穷，再从大到小排，取前 `n` 个。",
        en="Divide each row by its own length first, and dot products become cosines. Set the cosine of word `i` to minus "
        "infinity, order from large to small, and take the first `n`.",
    )
)
def nearest_ids(run: Run) -> None:
    """By cosine, descending, without the word itself; rows of very different lengths."""
    v, d = run.sizes(2, low=5, high=9)
    v += 8
    matrix = run.rng.normal(size=(v, d)) * np.exp(1.2 * run.rng.normal(size=(v, 1)))
    i, n = int(run.rng.integers(v)), int(run.rng.integers(4, 7))
    unit = matrix / np.linalg.norm(matrix, axis=1, keepdims=True)

    def best(scores: np.ndarray, itself: bool = False) -> list[int]:
        scores = scores.copy()
        if not itself:
            scores[i] = -np.inf
        return [int(k) for k in np.argsort(-scores)[:n]]

    cosines = unit @ unit[i]
    got = run.call(matrix, i, n)
    got = got.tolist() if isinstance(got, np.ndarray) else run.sequence(got)
    worst = [int(k) for k in np.argsort(np.where(np.arange(v) == i, np.inf, cosines))[:n]]
    run.equal(
        got,
        best(cosines),
        mistakes={
            "itself": (
                best(cosines, itself=True),
                T(
                    "第一个就是它自己：谁和自己的余弦都是 1。不要算它。",
                    "The first is the word itself: everyone has cosine 1 with themselves. Leave it out.",
                ),
            ),
            "dot": (
                best(matrix @ matrix[i]),
                T(
                    "你比的是点积：长的向量占了便宜。要除以长度。",
                    "You compared dot products, which favour long vectors. Divide by the lengths.",
                ),
            ),
            "dot-itself": (
                best(matrix @ matrix[i], itself=True),
                T(
                    "你比的是点积，长的向量占了便宜；而且把它自己也算进去了。",
                    "You compared dot products, which favour long vectors; and the word itself is among them.",
                ),
            ),
            "distance": (
                best(-np.linalg.norm(matrix - matrix[i], axis=1)),
                T(
                    "你比的是两点的距离；题目要余弦，只看方向，不看长短。",
                    "You compared distances; the cosine is asked for, which sees direction and not length.",
                ),
            ),
            "far": (
                worst,
                T("顺序反了：你给出的是最不像的几个。", "The order is turned round: these are the least similar."),
            ),
            "rising": (
                best(cosines)[::-1],
                T(
                    "词都对，次序反了：最像的应当在最前面。",
                    "The right words in the wrong order: the most similar comes first.",
                ),
            ),
        },
    )


@exercise(
    hint=T(
        zh="每道题的 `∂L/∂s` 是概率减答案：第一行的答案是 1，其余是 0。`w_c` 在每道题里都有份，各题的梯度要加起来。",
        en="The `∂L/∂s` of each question is probability minus answer: the first row's answer is 1, all others are 0. `w_c` has "
        "a part in every question, so its gradients add up.",
    )
)
def question_gradients(run: Run) -> None:
    """ds = sigmoid(s) - y, dw_c = ds others, dothers = ds w_c."""
    k, d = run.sizes(2, low=3, high=7)
    w_c, others = run.rng.normal(size=d), run.rng.normal(size=(k + 1, d))
    s = others @ w_c
    y = np.eye(k + 1)[0]
    p = sigmoid(s)
    chosen = np.exp(s) / np.exp(s).sum()

    def both(ds: np.ndarray) -> list[np.ndarray]:
        return [ds @ others, np.outer(ds, w_c)]

    dw_c, dothers = run.sequence(run.call(w_c, others), length=2)
    run.require(
        np.shape(dw_c) != others.shape or np.shape(dothers) != w_c.shape,
        "swapped",
        T(
            "两个梯度的次序反了：先 `w_c` 的，再 `others` 的。",
            "The two gradients are swapped: first that of `w_c`, then that of `others`.",
        ),
    )
    run.require(
        np.shape(dw_c) != others.shape,
        "not-summed",
        T(
            "`w_c` 的梯度有好几行，一道题一行：它们要加起来，因为用的是同一个 `w_c`。",
            "Your gradient of `w_c` has several rows, one a question: they add up, for it is the same `w_c` in all of them.",
        ),
    )
    got = [run.array(dw_c, shape=(d,), name="dw_c"), run.array(dothers, shape=others.shape, name="dothers")]
    run.equal(
        got,
        both(p - y),
        mistakes={
            "no-answer": (
                both(p),
                T(
                    "只有概率，还没有减去答案：真邻居那一行的答案是 1。",
                    "Only probabilities so far, no answers: that of the true neighbour's row is 1.",
                ),
            ),
            "sign": (
                both(y - p),
                T(
                    "符号反了：应当是概率减答案。照这样更新，损失会越来越大。",
                    "The sign is turned round: it is probability minus answer. Updates with this would raise the loss.",
                ),
            ),
            "all-true": (
                both(p - 1),
                T(
                    "你把噪声也当成了真邻居：只有第一行的答案是 1。",
                    "You took the noise for true neighbours: only the first row's answer is 1.",
                ),
            ),
            "softmax": (
                both(chosen - y),
                T(
                    "这是 softmax 的梯度，从这几个词里挑一个。负采样是各自独立的是非题，要用 sigmoid。",
                    "This is the gradient of softmax, one choice among these words. Negative sampling asks separate questions of "
                    "yes or no and takes the sigmoid.",
                ),
            ),
            "score": (
                both(s - y),
                T(
                    "你用分数减了答案；分数要先经过 sigmoid 变成概率。",
                    "You subtracted answers from scores; the sigmoid has to make them probabilities first.",
                ),
            ),
            "mean": (
                [a / (k + 1) for a in both(p - y)],
                T(
                    "你除以了题数；这里的损失是各题之和，不是平均。",
                    "You divided by the number of questions; this loss is their sum.",
                ),
            ),
        },
    )


@exercise(
    hint=T(
        zh="`w @ w_tilde.T` 一次给出全部点积；偏置一个按行加、一个按列加。取对数之前，先把零换成别的数；最后只把碰见过的对加起来。",
        en="`w @ w_tilde.T` gives all dot products at once; one bias is added along rows, the other along columns. Put another "
        "number in place of zeros before the logarithm, and in the end sum only the pairs that met.",
    )
)
def glove_error(run: Run) -> None:
    """J over the pairs that met, with weights capped at 1."""
    v, d = run.sizes(2, low=3, high=7)
    x_max = float(run.rng.integers(8, 20))
    w, w_tilde = run.rng.normal(size=(2, v, d))
    b, b_tilde = run.rng.normal(size=(2, v))
    X = np.round(np.exp(run.rng.uniform(0.2, 5, size=(v, v))))  # 1 to 148: on both sides of x_max
    X[0, 0], X[1, 1] = 2.0, 4 * x_max
    empty = run.rng.random((v, v)) < 0.2
    empty[0, :3], empty[1, 1] = (False, True, True), False
    X[empty] = 0.0
    met = X > 0

    def J(f: np.ndarray, e: np.ndarray, counted: np.ndarray = met) -> float:
        return float((f * e**2)[counted].sum())

    log = np.log(np.where(met, X, 1))
    capped, dots = np.minimum(1, X / x_max), w @ w_tilde.T
    f, e = capped**0.75, dots + b[:, None] + b_tilde - log
    got = run.scalar(run.call(w, w_tilde, b, b_tilde, X, x_max), finite=False)
    run.require(
        math.isfinite(got),
        "log-zero",
        T(
            "结果是 nan 或无穷大：没碰见过的对，对数是负无穷，权重是 0 也救不了它（0 乘无穷大是 nan）。",
            "The result is nan or infinite: for pairs that never met the logarithm is minus infinity, and a weight of 0 does "
            "not help (0 times infinity is nan).",
        ),
    )
    run.equal(
        got,
        J(f, e),
        mistakes={
            "uncapped": (
                J((X / x_max) ** 0.75, e),
                T(
                    "权重没有封顶：次数超过 `x_max` 的，权重应当是 1。",
                    "The weights have no cap: counts above `x_max` should have weight 1.",
                ),
            ),
            "no-power": (
                J(capped, e),
                T("权重少了 0.75 次方。", "The weights lack the power 0.75."),
            ),
            "no-weight": (
                J(np.ones_like(X), e),
                T("没有乘权重：少见的对应当少听一点。", "No weights: rare pairs should have less say."),
            ),
            "log1p": (
                J(f, dots + b[:, None] + b_tilde - np.log1p(X)),
                T(
                    "你给次数加了 1 再取对数，躲开了零，可是碰见过的对也变了。",
                    "You added 1 before the logarithm to avoid zeros, and that changed the pairs that met.",
                ),
            ),
            "no-bias": (J(f, dots - log), T("少了两个偏置。", "The two biases are missing.")),
            "bias-axes": (
                J(f, dots + b + b_tilde[:, None] - log),
                T(
                    "两个偏置加反了：`b` 跟着行走，`b_tilde` 跟着列走。",
                    "The biases are the wrong way round: `b` goes with rows, `b_tilde` with columns.",
                ),
            ),
            "both-columns": (
                J(f, dots + b + b_tilde - log),
                T(
                    "两个偏置都按列加了：`b` 应当跟着行走，一行一个。",
                    "Both biases were added along columns: `b` goes with rows, one a row.",
                ),
            ),
            "mean": (
                J(f, e) / met.sum(),
                T("你取了平均；`J` 是和。", "You took a mean; `J` is a sum."),
            ),
            "not-squared": (
                float((f * e)[met].sum()),
                T("误差没有平方：正负会互相抵消。", "The errors are not squared: positive and negative ones cancel."),
            ),
        },
    )
