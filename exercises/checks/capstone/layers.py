"""Checkers of the capstone: the layers, forward and backward."""

import math

import numpy as np

from exercises.checks.framework import Run, T, exercise
from minillm.np import functional as F
from minillm.np.attention import scaled_dot_product_attention, scaled_dot_product_attention_backward
from minillm.np.param import Array


@exercise(
    hint=T(
        "先减去最大值再取指数。梯度是 p 减去目标那一格的 1；损失是平均，梯度也跟着除。",
        "Subtract the maximum before exponentials. The gradient is p minus 1 at the target; the loss is a mean, so divide.",
    )
)
def cross_entropy(run: Run) -> None:
    b, t, v = run.sizes(3)
    logits, targets = 2 * run.rng.normal(size=(b, t, v)), run.rng.integers(0, v, size=(b, t))
    right, cache = F.cross_entropy(logits, targets)
    gradient = F.cross_entropy_backward(1.0, cache)
    p = F.softmax(logits)[0]
    loss, dlogits = run.sequence(run.call(logits, targets), length=2)
    run.equal(
        run.scalar(loss, name="loss"),
        float(right),
        mistakes={
            "sum": (
                float(right) * b * t,
                T("这是总和；要的是平均到每个位置。", "This is the sum; wanted is the mean."),
            ),
            "bits": (
                float(right) / math.log(2),
                T("这是比特；要用自然对数。", "These are bits; use the natural logarithm."),
            ),
            "no-log-sum": (
                float(-np.take_along_axis(logits, targets[..., None], -1).mean()),
                T(
                    "你漏了归一化：只取了目标的分数。",
                    "The normalisation is missing: you took the target's score only.",
                ),
            ),
        },
        name="loss",
    )
    run.equal(
        run.array(dlogits, shape=logits.shape, name="dlogits"),
        gradient,
        mistakes={
            "not-averaged": (
                gradient * b * t,
                T(
                    "梯度没有除以位置的个数，损失却是平均。",
                    "The gradient is not divided by the number of positions, though the loss is a mean.",
                ),
            ),
            "target-forgotten": (
                p / (b * t),
                T(
                    "梯度里只有 p：目标那一格的 1 还没有减。",
                    "The gradient is p alone: nothing is subtracted at the target.",
                ),
            ),
            "sign": (-gradient, T("梯度的符号反了。", "The gradient has the wrong sign.")),
            "sequences-only": (
                gradient * t,
                T(
                    "你只除以了序列数，没有除以每条的位置数。",
                    "You divided by the sequences and not by their positions.",
                ),
            ),
        },
        name="dlogits",
    )
    huge, _ = run.sequence(run.call(1e4 * logits, targets), length=2)
    run.equal(run.scalar(huge, name="loss"), float(F.cross_entropy(1e4 * logits, targets)[0]), name="loss")


@exercise(
    hint=T(
        "把 B 和 T 合成一维来想：dx 和 x、dw 和 w 形状相同，能乘出这种形状的只有一种写法。",
        "Think of B and T as one dimension: dx has x's shape and dw has w's, and only one product gives each.",
    )
)
def linear(run: Run) -> None:
    b, t, d, o = run.sizes(4)
    x, w, bias, dy = (run.rng.normal(size=s) for s in ((b, t, d), (o, d), (o,), (b, t, o)))
    y, dx, dw, db = run.sequence(run.call(x, w, bias, dy), length=4)
    right = x @ w.T
    run.equal(
        run.array(y, shape=right.shape, name="y"),
        right + bias,
        mistakes={"no-bias": (right, T("偏置没有加上。", "The bias is not added."))},
        name="y",
    )
    run.equal(run.array(dx, shape=x.shape, name="dx"), dy @ w, name="dx")
    each = np.einsum("bto,btd->bod", dy, x)
    dw_right = each.sum(axis=0)
    run.equal(
        run.array(dw, shape=w.shape, name="dw"),
        dw_right,
        mistakes={
            "dw-mean": (dw_right / (b * t), T("dw 要求和，不求平均。", "dw is a sum over positions, no mean.")),
            "dw-last": (
                each[-1],
                T("dw 只有最后一条序列的：各条要加起来。", "dw is the last sequence's only: they add up."),
            ),
            "dw-first": (
                each[0],
                T("dw 只有第一条序列的：各条要加起来。", "dw is the first sequence's only: they add up."),
            ),
        },
        name="dw",
    )
    db_right = dy.sum(axis=(0, 1))
    run.equal(
        run.array(db, shape=bias.shape, name="db"),
        db_right,
        mistakes={
            "db-mean": (db_right / (b * t), T("db 要求和，不求平均。", "db is a sum over positions, no mean.")),
            "db-one": (dy[0, 0], T("db 只取了一个位置。", "db is that of one position only.")),
        },
        name="db",
    )


@exercise(
    hint=T(
        "x 有三条路通到 y：直接、经过均值、经过方差。后两条各给 dx 减去一项。",
        "x reaches y on three paths: straight, through the mean, through the variance. Each of the latter takes a term off.",
    )
)
def layer_norm(run: Run) -> None:
    b, t, d = run.sizes(3, low=3)
    scale = 10.0 ** run.rng.uniform(-3, 0, size=(b, t, 1))  # small ones show where eps stands
    x, w, bias, dy = (run.rng.normal(size=s) for s in ((b, t, d), (d,), (d,), (b, t, d)))
    x = x * scale
    y, dx, dw, db = run.sequence(run.call(x, w, bias, dy), length=4)
    right, cache = F.layer_norm(x, w, bias)
    wanted = F.layer_norm_backward(dy, cache)
    centred = x - x.mean(-1, keepdims=True)
    var = x.var(-1, keepdims=True)
    root = np.sqrt(var + 1e-5)
    normal, dn = centred / root, dy * w
    run.equal(
        run.array(y, shape=x.shape, name="y"),
        right,
        mistakes={
            "eps-outside": (
                centred / (np.sqrt(var) + 1e-5) * w + bias,
                T("1e-5 要加在根号里面。", "The 1e-5 belongs under the root."),
            ),
            "no-eps": (centred / np.sqrt(var) * w + bias, T("没有加 1e-5。", "The 1e-5 is missing.")),
            "unbiased": (
                centred / np.sqrt(x.var(-1, ddof=1, keepdims=True) + 1e-5) * w + bias,
                T("方差除以了 D-1，应当除以 D。", "The variance is divided by D-1; divide by D."),
            ),
            "over-batch": (
                (x - x.mean((0, 1))) / np.sqrt(x.var((0, 1)) + 1e-5) * w + bias,
                T(
                    "均值和方差是跨位置算的；层归一化只在一个位置的 D 个数里算。",
                    "Mean and variance run over positions; layer normalisation takes the D numbers of one position.",
                ),
            ),
            "not-centred": (x / root * w + bias, T("没有减去均值。", "The mean is not subtracted.")),
        },
        name="y",
    )
    run.equal(
        run.array(dx, shape=x.shape, name="dx"),
        wanted[0],
        mistakes={
            "constants": (
                dn / root,
                T(
                    "你把均值和方差当成了常数：它们也随 x 变。",
                    "You took mean and variance for constants: they move with x.",
                ),
            ),
            "no-variance-path": (
                (dn - dn.mean(-1, keepdims=True)) / root,
                T("少了经过方差的那一条路。", "The path through the variance is missing."),
            ),
            "no-mean-path": (
                (dn - normal * (dn * normal).mean(-1, keepdims=True)) / root,
                T("少了经过均值的那一条路。", "The path through the mean is missing."),
            ),
            "weight-forgotten": (
                lambda: F.layer_norm_backward(dy / w, cache)[0],
                T("dx 没有乘上 w。", "dx lacks the factor w."),
            ),
        },
        name="dx",
    )
    run.equal(run.array(dw, shape=w.shape, name="dw"), wanted[1], name="dw")
    run.equal(run.array(db, shape=w.shape, name="db"), wanted[2], name="db")


@exercise(
    hint=T(
        "0.5 x (1 + t) 是两个含 x 的因子的积；t 里面还有一个关于 x 的函数。",
        "0.5 x (1 + t) is a product of two factors with x in them, and inside t there is another function of x.",
    )
)
def gelu(run: Run) -> None:
    x, dy = 2 * run.rng.normal(size=(2, *run.sizes(2)))
    y, dx = run.sequence(run.call(x, dy), length=2)
    right, cache = F.gelu(x, "tanh")
    curve = math.sqrt(2 / math.pi)
    t = np.tanh(curve * (x + 0.044715 * x**3))
    run.equal(
        run.array(y, shape=x.shape, name="y"),
        right,
        mistakes={
            "exact": (
                F.gelu(x)[0],
                T(
                    "这是用误差函数的 GELU；这一步要 tanh 的那一种。",
                    "This is GELU by the error function; here it is the tanh form.",
                ),
            ),
            "sigmoid": (
                x / (1 + np.exp(-1.702 * x)),
                T("这是用逻辑函数近似的 GELU。", "This is GELU approximated by the logistic function."),
            ),
            "relu": (np.maximum(x, 0), T("这是 ReLU。", "This is ReLU.")),
            "square": (
                0.5 * x * (1 + np.tanh(curve * (x + 0.044715 * x**2))),
                T("括号里应是三次方。", "It is a third power inside the brackets."),
            ),
        },
        name="y",
    )
    inner = 0.5 * x * (1 - t * t) * curve
    run.equal(
        run.array(dx, shape=x.shape, name="dx"),
        F.gelu_backward(dy, cache),
        mistakes={
            "no-product-rule": (
                dy * 0.5 * (1 + t),
                T("乘积法则只用了一半：t 也随 x 变。", "Half of the product rule: t moves with x as well."),
            ),
            "no-inner": (
                dy * (0.5 * (1 + t) + inner),
                T(
                    "链式法则少了一环：tanh 里面的三次方没有求导。",
                    "A link of the chain is missing: the cube inside tanh.",
                ),
            ),
            "dy-forgotten": (
                lambda: F.gelu_backward(np.ones_like(dy), cache),
                T("没有乘上 dy。", "The factor dy is missing."),
            ),
        },
        name="dx",
    )


def attend(q: Array, k: Array, v: Array, scale: float = 1.0, mask: str = "before") -> Array:
    """Causal attention, right or wrong. scale: beside 1/√K; mask: before softmax, after it, or none."""
    scores = q @ k.swapaxes(-1, -2) / math.sqrt(q.shape[-1]) * scale
    seen = np.tri(q.shape[-2], dtype=bool)
    p = F.softmax(np.where(seen, scores, -np.inf) if mask == "before" else scores)[0]
    return (p * seen if mask == "after" else p) @ v


@exercise(
    hint=T(
        "倒着走：先到 v 和 p，再穿过 softmax，再穿过缩放，最后到 q 和 k。",
        "Walk back: to v and p, through softmax, through the scaling, and to q and k.",
    )
)
def attention(run: Run) -> None:
    b, h, t, d = run.sizes(4, low=2, high=6)
    q, k, v, dout = (1.5 * run.rng.normal(size=(b, h, t, d)) for _ in range(4))
    out, *gradients = run.sequence(run.call(q, k, v, dout), length=4)
    right, cache = scaled_dot_product_attention(q, k, v, causal=True)
    run.equal(
        run.array(out, shape=q.shape, name="out"),
        right,
        mistakes={
            "no-scale": (attend(q, k, v, math.sqrt(d)), T("分数没有除以 √K。", "The scores are not divided by √K.")),
            "no-mask": (attend(q, k, v, mask="none"), T("每个位置都看到了未来。", "Every position sees the future.")),
            "mask-after": (
                attend(q, k, v, mask="after"),
                T(
                    "先做了 softmax 再遮：每行加起来不到 1。",
                    "The mask comes after softmax: the rows sum to less than 1.",
                ),
            ),
        },
        name="out",
    )
    wanted = scaled_dot_product_attention_backward(dout, cache)
    p = F.softmax(np.where(np.tri(t, dtype=bool), q @ k.swapaxes(-1, -2) / math.sqrt(d), -np.inf))[0]
    dp = dout @ v.swapaxes(-1, -2)
    for name, got, value, other in zip(("dq", "dk", "dv"), gradients, wanted, (k, q, v), strict=True):

        def without_softmax(name: str = name, other: Array = other) -> Array:
            ds = dp * np.tri(t) / math.sqrt(d)
            return (ds if name == "dq" else ds.swapaxes(-1, -2)) @ other

        def no_sum(name: str = name, other: Array = other) -> Array:
            ds = p * dp / math.sqrt(d)
            return (ds if name == "dq" else ds.swapaxes(-1, -2)) @ other

        run.equal(
            run.array(got, shape=q.shape, name=name),
            value,
            mistakes={
                "no-scale-back": (
                    value * math.sqrt(d),
                    T(
                        "反向时忘了缩放：分数除以过 √K。",
                        "The scaling is missing on the way back: scores were divided by √K.",
                    ),
                ),
                "no-softmax-back": (
                    without_softmax,
                    T("反向时跳过了 softmax。", "The way back skips softmax."),
                ),
                "no-sum-back": (
                    no_sum,
                    T(
                        "softmax 的反向少了一项：一个权重大了，同一行别的就小了。",
                        "A term of softmax's backward is missing: as one weight grows the others of its row shrink.",
                    ),
                ),
                "untransposed": (lambda: p @ dout, T("p 还要转置。", "p has to be transposed.")),
            },
            name=name,
        )
