"""Checkers of lesson 05, softmax and cross-entropy."""

import math

import numpy as np

from exercises.checks.framework import Run, T, exercise


def softmax(z: np.ndarray, axis: int | None = -1) -> np.ndarray:
    e = np.exp(z - z.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def batch(run: Run) -> tuple[np.ndarray, np.ndarray]:
    """Logits (B, V) and targets (B,), B and V different, with a target that is neither the first nor the best."""
    rows, vocab = run.sizes(2, low=3, high=8)
    logits = 2 * run.rng.normal(size=(rows, vocab))
    targets = run.rng.integers(1, vocab, size=rows)
    return logits, targets


@exercise(
    hint=T(
        zh="每个字的概率是多少？把它代进 `L = −ln p_y`，再想想 `−ln(1/a)` 还能写成什么。",
        en="How large is each character's probability? Put it into `L = −ln p_y`, then think what else "
        "`−ln(1/a)` may be called.",
    )
)
def first_loss(run: Run) -> None:
    """ln V, in nats."""
    vocab = int(run.rng.integers(50, 20_000))
    run.equal(
        run.scalar(run.call(vocab)),
        math.log(vocab),
        mistakes={
            "bits": (
                math.log2(vocab),
                T(
                    "这是以 2 为底的对数，单位是比特；题目要的是奈特。",
                    "This is a logarithm to base 2, in bits; nats are asked for.",
                ),
            ),
            "log10": (
                math.log10(vocab),
                T(
                    "这是以 10 为底的对数；奈特用的是自然对数。",
                    "This is a logarithm to base 10; nats use the natural one.",
                ),
            ),
            "sign": (
                -math.log(vocab),
                T(
                    "损失不会是负的：概率小于 1，它的对数已经是负数，公式里还有一个负号。",
                    "A loss is not negative: the logarithm of a probability is below zero, and the formula has a minus.",
                ),
            ),
            "probability": (
                1 / vocab,
                T(
                    "这是每个字的概率，还差一步：损失是它的负对数。",
                    "This is each character's probability; one step is missing: the loss is its negative logarithm.",
                ),
            ),
            "perplexity": (
                vocab,
                T(
                    "这是困惑度，也就是在几个字里瞎猜；损失是它的对数。",
                    "This is the perplexity, the number of characters guessed among; the loss is its logarithm.",
                ),
            ),
        },
    )


@exercise(
    hint=T(
        zh="每一行先减去这一行的最大值，再除以这一行的总和。两处都要 `axis=-1` 和 `keepdims=True`。",
        en="Each row first loses its own maximum and is then divided by its own sum. Both take `axis=-1` and "
        "`keepdims=True`.",
    )
)
def stable_softmax(run: Run) -> None:
    """Right along rows; no overflow; no mix of rows."""
    z, _ = batch(run)
    e = np.exp(z)
    got = run.array(run.call(z), shape=z.shape)
    run.equal(
        got,
        softmax(z),
        mistakes={
            "whole": (
                e / e.sum(),
                T(
                    "你除以了整个数组的总和：整张表加起来才是 1。每一行应当各自加起来等于 1。",
                    "You divided by the sum of the whole array, so the whole table sums to 1. Each row should sum to 1 by itself.",
                ),
            ),
            "axis": (
                softmax(z, axis=0),
                T(
                    "你沿着第 0 轴归一了：现在每一列加起来是 1。一行才是一个分布。",
                    "You normalised along axis 0: now every column sums to 1. It is a row that is a distribution.",
                ),
            ),
            "undivided": (
                lambda: np.exp(z - z.max(axis=-1, keepdims=True)),
                T("取了指数，还没有除以总和。", "Exponentiated, but not yet divided by the sum."),
            ),
            "log": (
                lambda: np.log(softmax(z)),
                T(
                    "这是概率的对数；题目要概率本身。",
                    "These are logarithms of the probabilities; the probabilities are asked for.",
                ),
            ),
        },
    )
    large = z + 1000.0
    got = run.array(run.call(large), shape=z.shape, finite=False)
    run.require(
        np.isfinite(got).all(),
        "overflow",
        T(
            "小分数对了，可是分数到了一千就出现 nan：指数溢出。取指数之前先做什么，概率不变，又不会溢出？",
            "Right for small scores, but with scores of a thousand there is nan: the exponential overflows. What can be "
            "done before it that changes no probability?",
        ),
    )
    apart = z.copy()
    apart[-1] -= 2000.0
    got = run.array(run.call(apart), shape=z.shape, finite=False)
    run.require(
        np.isfinite(got).all() and np.allclose(got, softmax(apart)),
        "global-max",
        T(
            "你减去的是整个数组的最大值：分数普遍很低的那一行，每一项都下溢成了 0。每一行要减去自己的最大值。",
            "You subtracted the maximum of the whole array: in a row of low scores every term underflows to 0. Each row must "
            "lose its own maximum.",
        ),
    )
    run.equal(run.array(run.call(large), shape=z.shape), softmax(large))


@exercise(
    hint=T(
        zh="用一步到位的式子 `c + ln Σ exp(z_j − c) − z_y`。取出每一行正确答案的分数："
        "`logits[np.arange(len(logits)), targets]`。",
        en="Use the formula that goes straight from the scores, `c + ln Σ exp(z_j − c) − z_y`. The score of each "
        "row's right answer is `logits[np.arange(len(logits)), targets]`.",
    )
)
def mean_loss(run: Run) -> None:
    """Mean over rows, nats, stable."""
    logits, targets = batch(run)
    rows = np.arange(len(logits))
    log_p = np.log(softmax(logits))
    each = -log_p[rows, targets]
    got = run.call(logits, targets)
    run.require(
        np.shape(got) != each.shape,
        "not-averaged",
        T(
            "这是每一行自己的损失；题目要它们的平均，一个数。",
            "These are the losses of the rows; their mean is asked for, one number.",
        ),
    )
    run.equal(
        run.scalar(got, finite=False),
        each.mean(),
        mistakes={
            "sum": (
                each.sum(),
                T(
                    "你把各行的损失加了起来；平均还要除以行数，否则批次一大损失就大。",
                    "You added up the losses of the rows; a mean is divided by their number, or a larger batch has a larger loss.",
                ),
            ),
            "sign": (
                -each.mean(),
                T("差一个负号：损失是负的对数概率。", "A minus is missing: the loss is the negative log-probability."),
            ),
            "bits": (
                each.mean() / math.log(2),
                T("这是比特；题目要奈特，用自然对数。", "These are bits; nats are asked for."),
            ),
            "probability": (
                softmax(logits)[rows, targets].mean(),
                T(
                    "这是正确答案的平均概率，还没有取负对数。",
                    "This is the mean probability of the right answers, without the negative logarithm.",
                ),
            ),
            "log-of-mean": (
                -math.log(softmax(logits)[rows, targets].mean()),
                T(
                    "你先平均了概率，再取对数；应当先对每一行取对数，再平均。",
                    "You averaged probabilities and then took the logarithm; take each row's logarithm first, then average.",
                ),
            ),
            "raw-score": (
                -logits[rows, targets].mean(),
                T(
                    "你直接拿分数当对数概率了，少了 `ln Σ exp(z_j)` 这一项。",
                    "You took scores for log-probabilities; the term `ln Σ exp(z_j)` is missing.",
                ),
            ),
            "all-classes": (
                -log_p.mean(),
                T(
                    "你把所有字的对数概率都算进去了；只有正确答案那一个算数。",
                    "You counted the log-probabilities of all characters; only the right answer's counts.",
                ),
            ),
        },
    )
    hopeless = logits.copy()
    hopeless[0] = 0
    hopeless[0, 0] = 2000.0  # the right answer of row 0 is not 0
    got = run.scalar(run.call(hopeless, targets), finite=False)
    run.require(
        math.isfinite(got),
        "underflow",
        T(
            "平常的分数对了；可是模型错得离谱时，概率下溢成 0，对数变成了无穷大（或者指数先溢出了）。不要先算概率再取对数。",
            "Right for ordinary scores; but when the model is badly wrong, the probability underflows to 0 and its logarithm is "
            "infinite (or the exponential has overflown). Do not compute probabilities first and logarithms second.",
        ),
    )
    right = (each[1:].sum() + 2000.0) / len(each)
    run.equal(
        got,
        right,
        mistakes={
            "clipped": (
                lambda: got if got < right else right,
                T(
                    "你给概率加了一个很小的数，免得对 0 取对数。这样不会报错，但错得离谱的地方损失被截断了，梯度也没了。",
                    "You added a tiny number to the probability to avoid the logarithm of 0. No error then, but where the model is "
                    "badly wrong the loss is cut off, and with it the gradient.",
                ),
            )
        },
    )


@exercise(
    hint=T(
        zh="一行的梯度是 `p_i − [i = y]`：先算这一行的概率，再在正确答案的位置减 1。损失是 `B` 行的平均，所以最后还要除以什么？",
        en="One row's gradient is `p_i − [i = y]`: compute the row's probabilities, then subtract 1 at the right answer. The "
        "loss is a mean over `B` rows, so by what is the result divided?",
    )
)
def logit_gradient(run: Run) -> None:
    """(p - onehot) / B."""
    logits, targets = batch(run)
    p, one_hot = softmax(logits), np.eye(logits.shape[1])[targets]
    right = (p - one_hot) / len(logits)
    got = run.array(run.call(logits, targets), shape=logits.shape)
    run.equal(
        got,
        right,
        mistakes={
            "batch": (
                p - one_hot,
                T(
                    "每一行都对，可是没有除以行数 `B`：损失是平均，梯度也要平均。",
                    "Each row is right, but not divided by the number of rows `B`: the loss is a mean, and so is its gradient.",
                ),
            ),
            "sign": (
                -right,
                T(
                    "符号反了：应当是概率减答案。照这样更新，损失会越来越大。",
                    "The sign is turned round: it is probability minus answer. Updates with this would raise the loss.",
                ),
            ),
            "no-target": (
                p / len(logits),
                T(
                    "只有概率，还没有减去答案：正确的那个字要减 1。",
                    "Only probabilities so far, no answers: subtract 1 at the right character.",
                ),
            ),
            "sum-sign": (
                (p + one_hot) / len(logits),
                T(
                    "你加上了答案；应当减去。每一行梯度的和应当是 0。",
                    "You added the answer; it is subtracted. Each row of the gradient should sum to 0.",
                ),
            ),
            "classes": (
                (p - one_hot) / logits.size,
                T(
                    "你除以了所有数的个数；平均是对 `B` 行的，只除以行数。",
                    "You divided by the number of all entries; the mean is over `B` rows, so divide by their number only.",
                ),
            ),
            "index": (
                (p - targets[:, None]) / len(logits),
                T(
                    "你减去的是答案的编号；要减的是独热向量：正确的位置 1，别处 0。",
                    "You subtracted the answers' indices; subtract one-hot vectors: 1 in the right place, 0 elsewhere.",
                ),
            ),
        },
    )


@exercise(
    hint=T(
        zh="公式是 `p_j (dp_j − Σ_i p_i dp_i)`。求和是对最后一轴、每一行各做各的，结果要留着那一轴才好相减。",
        en="The formula is `p_j (dp_j − Σ_i p_i dp_i)`. The sum runs over the last axis, each row by itself, and keeps that "
        "axis so that it can be subtracted.",
    )
)
def softmax_backward(run: Run) -> None:
    """p (dp - Σ p dp), for two and for four axes."""
    rows, n = run.sizes(2, low=3, high=8)
    for shape in ((rows, n), (2, 3, rows, n)):
        p = softmax(run.rng.normal(size=shape))
        dp = run.rng.normal(size=shape)
        dot = (p * dp).sum(axis=-1, keepdims=True)
        got = run.array(run.call(dp, (p,)), shape=shape)
        run.equal(
            got,
            p * (dp - dot),
            mistakes={
                "diagonal": (
                    p * (1 - p) * dp,
                    T(
                        "你只算了表的对角线：每个分数只影响自己的概率。可是它们共用一个分母，一个变了，别的都变。",
                        "You used only the diagonal of the table, as if a score moved its own probability alone. They share a "
                        "denominator: when one changes, all do.",
                    ),
                ),
                "no-mean": (
                    p * dp,
                    T("少了减去平均的那一项。", "The mean that is to be subtracted is missing."),
                ),
                "no-factor": (
                    dp - dot,
                    T(
                        "括号里对了，外面还要乘上各自的概率。",
                        "Right inside the brackets; what is missing is the factor of each probability.",
                    ),
                ),
                "plain-sum": (
                    p * (dp - dp.sum(axis=-1, keepdims=True)),
                    T(
                        "减去的应当是按概率加权的和，你的和没有加权。",
                        "What is subtracted is a sum weighted by probability; yours has no weights.",
                    ),
                ),
                "whole": (
                    p * (dp - (p * dp).sum()),
                    T(
                        "你对整个数组求了和；每一行应当只用自己的和。",
                        "You summed over the whole array; each row uses its own sum only.",
                    ),
                ),
                "sign": (-p * (dp - dot), T("符号反了。", "The sign is turned round.")),
            },
        )


@exercise(
    hint=T(
        zh="先减去最大值，再除以温度，再取指数。温度是 0 时不做除法：造一个全零的数组，在 `np.argmax` 的位置放 1。",
        en="Subtract the maximum first, divide by the temperature next, then exponentiate. At temperature 0 do not divide: make an "
        "array of zeros and put a 1 where `np.argmax` says.",
    )
)
def with_temperature(run: Run) -> None:
    """softmax(z / τ), τ = 0 greedy, tiny τ without overflow."""
    (n,) = run.sizes(1, low=4, high=9)
    z = 3 * run.rng.normal(size=n)
    temperature = float(run.rng.choice([0.3, 0.5, 2.0, 3.0]))
    p = softmax(z)
    run.equal(
        run.array(run.call(z, temperature), shape=z.shape),
        softmax(z / temperature),
        mistakes={
            "multiplied": (
                softmax(z * temperature),
                T(
                    "你乘上了温度：这样高温反而更尖。应当除以温度。",
                    "You multiplied by the temperature, and a high one makes the peak sharper. Divide by it.",
                ),
            ),
            "probabilities": (
                softmax(p / temperature),
                T(
                    "你把温度用在了概率上，又做了一遍 softmax；温度要用在分数上。",
                    "You applied the temperature to probabilities and took a second softmax; it belongs to the scores.",
                ),
            ),
            "after": (
                p / temperature,
                T(
                    "你先做了 softmax 再除以温度，概率加起来不再是 1。",
                    "You divided after the softmax; the probabilities no longer sum to 1.",
                ),
            ),
            "ignored": (p, T("温度没有用上。", "The temperature is not used.")),
        },
    )
    greedy = np.zeros(n)
    greedy[np.argmax(z)] = 1
    got = run.array(run.call(z, 0.0), shape=z.shape, finite=False)
    run.require(
        np.isfinite(got).all(),
        "zero",
        T(
            "温度为 0 时除以了零。0 要单独处理：把全部概率给分数最高的字。",
            "At temperature 0 you divide by zero. Treat 0 by itself: all probability to the highest score.",
        ),
    )
    run.equal(got, greedy)
    tied = np.zeros(n)
    tied[[1, 3]] = 5.0
    first = np.zeros(n)
    first[1] = 1
    run.equal(
        run.array(run.call(tied, 0.0), shape=tied.shape),
        first,
        mistakes={
            "tie": (
                (tied > 0) / 2,
                T(
                    "有并列的时候，你把概率平分了；约定是全给最前面的一个。",
                    "With a tie you share the probability; by agreement the first one gets all.",
                ),
            ),
            "tie-all": (
                (tied > 0).astype(float),
                T(
                    "有并列的时候，你给了每一个 1，加起来超过了 1。",
                    "With a tie you gave each of them 1, more than 1 in total.",
                ),
            ),
        },
    )
    got = run.array(run.call(100 * z, 0.01), shape=z.shape, finite=False)
    run.require(
        np.isfinite(got).all(),
        "overflow",
        T(
            "温度很小时溢出了：先减去最大值，再除以温度。",
            "A small temperature overflows: subtract the maximum before you divide.",
        ),
    )
    run.equal(got, softmax(z / 1e-4))
