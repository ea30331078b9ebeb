"""Checkers of lesson 07, attention."""

import math
from typing import Any

import numpy as np

from exercises.checks.framework import Run, T, exercise

NO_SCALE = T(
    "你的分数没有除以 √d_k：查询一长，分数就大，softmax 就偏向一个。",
    "Your scores are not divided by √d_k: the longer the queries, the larger the scores, and softmax favours one.",
)
D_SCALE = T(
    "你的分数除以了 d_k；公式里除的不是它本身。方差是 d_k 的数，该除以什么，方差才是 1？",
    "Your scores are divided by d_k; the formula does not divide by that itself. By what is a number of variance d_k "
    "divided to have variance 1?",
)
QUERIES_AXIS = T(
    "你的 softmax 是对查询做的：每一列加起来是 1。应当是每个问的位置有一份自己的分布。",
    "Your softmax runs over the queries: every column sums to 1. It is each asking position that should have a "
    "distribution of its own.",
)
INVERTED = T(
    "掩码反了：能看的遮住了，不能看的留着。True 的意思是“可以看”。",
    "The mask is inverted: what may be seen is hidden, and what may not be seen is left. True means “may be seen”.",
)
AFTER = T(
    "你先做了 softmax，再把不许看的权重清零：每一行加起来不到 1，不许看的分数还站在分母里。",
    "You did the softmax first and set forbidden weights to zero afterwards: the rows sum to less than 1, and the "
    "forbidden scores still stand in the denominator.",
)
ZERO_SCORE = T(
    "你把不许看的分数换成了 0。0 也是一个分数，它的指数是 1，照样分到份额。",
    "You replaced forbidden scores by 0. That is a score like any other: its exponential is 1, and it gets a share.",
)


def softmax(z: np.ndarray, axis: int | None = -1) -> np.ndarray:
    """A row of nothing but -inf gives nan."""
    with np.errstate(invalid="ignore"):
        e = np.exp(z - z.max(axis=axis, keepdims=True))
        return e / e.sum(axis=axis, keepdims=True)


def shares(z: np.ndarray, visible: np.ndarray) -> np.ndarray:
    """Softmax over what may be seen; a row without any is nan."""
    return softmax(np.where(visible, z, -np.inf))


def behind(n: int) -> np.ndarray:
    """How far position j lies behind position i.  -> (n, n)"""
    return np.arange(n)[:, None] - np.arange(n)


def sentence(run: Run, count: int) -> list[np.ndarray]:
    """`count` arrays (T, d_k), T and d_k different; large enough that a wrong scale shows."""
    length, d_k = run.sizes(2, low=4, high=8)
    return [1.5 * run.rng.normal(size=(length, d_k)) for _ in range(count)]


@exercise(
    hint=T(
        zh="每个矩阵的形状是 (d_head, d_model)，长度在哪里出现？因果掩码下第 1 行看 1 个，第 2 行看 2 个，一直加下去。",
        en="Each matrix has the shape (d_head, d_model): where does the length come in? Under a causal mask the first row "
        "sees 1, the second 2, and so on: add them up.",
    )
)
def attention_cost(run: Run) -> None:
    """3 D K, and 1 + 2 + ... + T."""
    length, d_model, d_head = (int(n) for n in run.rng.permutation([7, 9, 17, 26, 35])[:3])
    parameters, pairs = run.sequence(run.call(length, d_model, d_head), length=2)
    right = 3 * d_model * d_head
    run.equal(
        run.scalar(parameters, name="parameters"),
        right,
        mistakes={
            "length": (
                right * length,
                T(
                    "你把长度也乘进了参数。所有的位置共用同样的三个矩阵，句子再长，参数也不多一个。",
                    "You multiplied the parameters by the length. All positions share the same three matrices; a longer "
                    "sentence has not one parameter more.",
                ),
            ),
            "two-maps": (
                2 * d_model * d_head,
                T(
                    "只数了两个矩阵：查询、键、值各有一个。",
                    "Only two matrices counted: queries, keys and values have one each.",
                ),
            ),
            "one-map": (
                d_model * d_head,
                T("这只是一个矩阵的参数。", "These are the parameters of a single matrix."),
            ),
            "square-maps": (
                3 * d_model**2,
                T(
                    "你把三个矩阵当成了 (d_model, d_model)；它们的输出只有 d_head 个数。",
                    "You took the three matrices for (d_model, d_model); they give only d_head numbers.",
                ),
            ),
        },
        name="parameters",
    )
    run.equal(
        run.scalar(pairs, name="pairs"),
        length * (length + 1) // 2,
        mistakes={
            "no-mask": (
                length**2,
                T(
                    "这是没有掩码时的对数；因果掩码不许看未来。",
                    "So many pairs there are without a mask; a causal one forbids the future.",
                ),
            ),
            "excludes-self": (
                length * (length - 1) // 2,
                T("你没有把自己看自己算进去。", "You left out the pairs in which a position looks at itself."),
            ),
            "half": (
                lambda: pairs if pairs in (length**2 / 2, length**2 // 2) else None,
                T(
                    "差一点：整张表的一半，把对角线也劈成了两半。",
                    "Nearly: half of the table cuts its diagonal in half too.",
                ),
            ),
            "linear": (
                length,
                T(
                    "这只是位置的个数；每个位置能看的不止一个。",
                    "This is only the number of positions; each of them may see more than one.",
                ),
            ),
        },
        name="pairs",
    )


@exercise(
    hint=T(
        zh="一个查询有 `q.shape[1]` 个数，根号开了没有？一行属于一个查询，求最大值和求和都要沿着键的那一轴，还要留住它：`keepdims=True`。",
        en="A query has `q.shape[1]` numbers: where is the root? A row belongs to one query, so both the maximum and the sum run "
        "along the axis of the keys, and keep it: `keepdims=True`.",
    )
)
def attention_weights(run: Run) -> None:
    """softmax(q kᵀ / √d) along keys, T, S and d all different."""
    t, s, d = run.sizes(3, low=3, high=8)
    q, k = 1.5 * run.rng.normal(size=(t, d)), 1.5 * run.rng.normal(size=(s, d))
    dots, root = q @ k.T, math.sqrt(d)
    got = run.array(run.call(q, k), shape=(t, s))
    run.equal(
        got,
        softmax(dots / root),
        mistakes={
            "no-scale": (softmax(dots), NO_SCALE),
            "d-scale": (softmax(dots / d), D_SCALE),
            "queries-axis": (softmax(dots / root, axis=0), QUERIES_AXIS),
            "two-faults": (
                lambda: next(w for w in (softmax(dots / d, axis=0), softmax(dots, axis=0)) if np.allclose(w, got)),
                T(
                    "两处毛病都还在：softmax 是对查询做的，每一列加起来才是 1；分数除以的数也不合公式。",
                    "Both faults are there: softmax runs over the queries, so that it is the columns that sum to 1; and the "
                    "scores are not divided by what the formula says.",
                ),
            ),
            "multiplied": (
                softmax(dots * root),
                T(
                    "你乘上了根号；应当让分数变小，而不是更大。",
                    "You multiplied by the root; scores should become smaller, not larger.",
                ),
            ),
            "length-scale": (
                lambda: next(w for w in (softmax(dots / math.sqrt(n)) for n in (t, s)) if np.allclose(w, got)),
                T(
                    "根号下放的是位置的个数；应当是一个查询有几个数。",
                    "Under your root stands a number of positions; it should be how many numbers a query has.",
                ),
            ),
            "whole": (
                softmax(dots / root, axis=None),
                T(
                    "你除以了整张表的总和：整张表加起来才是 1。每一行应当各自是 1。",
                    "You divided by the sum of the whole table, so all of it sums to 1. Each row should, by itself.",
                ),
            ),
            "raw": (dots / root, T("这是分数，还没有做 softmax。", "These are scores; the softmax is missing.")),
        },
    )
    large = q * (2000.0 / np.abs(dots / root).max())
    run.require(
        np.isfinite(run.array(run.call(large, k), shape=(t, s), finite=False)).all(),
        "overflow",
        T(
            "平常的分数对了；分数一大，指数就溢出。第 05 课在取指数之前先做了什么？",
            "Right for ordinary scores; large ones overflow in the exponential. What did lesson 05 do before it?",
        ),
    )


@exercise(
    hint=T(
        zh="先用 `np.where` 把不许看的分数换掉，换成指数为 0 的数，再求每行的最大值。全被遮住的行最大值是负无穷，减它之前、除总和之前各要想一想。",
        en="First use `np.where` to replace the forbidden scores by something whose exponential is 0, and only then find each "
        "row's maximum. In a row that is masked altogether that maximum is minus infinity: think before subtracting it, and "
        "before dividing by the sum.",
    )
)
def masked_weights(run: Run) -> None:
    """Masked before; hidden scores of any size; zeros for a row without any."""
    t, s = run.sizes(2, low=4, high=8)
    scores = 2 * run.rng.normal(size=(t, s))
    visible = run.rng.random((t, s)) < 0.6
    visible[:, :2] = run.rng.permuted(np.tile([True, False], (t, 1)), axis=1)  # in each row both occur
    right = shares(scores, visible)
    got = run.array(run.call(scores, visible), shape=(t, s), finite=False)
    run.equal(
        got,
        right,
        mistakes={
            "after": (softmax(scores) * visible, AFTER),
            "inverted": (shares(scores, ~visible), INVERTED),
            "zero-score": (softmax(scores * visible), ZERO_SCORE),
            "unmasked": (softmax(scores), T("掩码没有用上。", "The mask was not used.")),
            "not-divided": (
                lambda: np.exp(
                    np.where(visible, scores, -np.inf) - np.where(visible, scores, -np.inf).max(axis=1, keepdims=True)
                ),
                T("遮住了，也取了指数，还没有除以总和。", "Masked and exponentiated, but not yet divided by the sum."),
            ),
            "queries-axis": (
                lambda: np.nan_to_num(softmax(np.where(visible, scores, -np.inf), axis=0)),
                QUERIES_AXIS,
            ),
        },
    )
    run.array(got)
    huge = np.where(visible, scores, scores + 2000.0)
    got = run.array(run.call(huge, visible), shape=(t, s), finite=False)
    run.require(
        np.isfinite(got).all() and np.allclose(got, right),
        "hidden-maximum",
        T(
            "不许看的分数极大时，能看的权重就坏了：你减去的最大值，是从不许看的分数里来的，能看的全都下溢成了 0。",
            "When a forbidden score is enormous, the weights that may be seen go wrong: the maximum that you subtract comes from "
            "a forbidden score, and all that may be seen underflows to 0.",
        ),
    )
    row = int(run.rng.integers(t))
    visible = visible.copy()
    visible[row] = False
    right = np.where(np.arange(t)[:, None] == row, 0.0, right)
    got = run.array(run.call(scores, visible), shape=(t, s), finite=False)
    run.require(
        not np.isnan(got[row]).any(),
        "empty-nan",
        T(
            "一个都不许看的那一行成了 nan：“负无穷减负无穷”，或者零除以零。",
            "The row with nothing to look at became nan: minus infinity minus minus infinity, or zero divided by zero.",
        ),
    )
    run.require(
        abs(got[row].sum() - 1) > 0.01,
        "empty-shares",
        T(
            "一个都不许看的那一行，仍然把份额分给了不许看的位置；它应当全是零。",
            "The row with nothing to look at still gives shares to forbidden positions; it should be all zeros.",
        ),
    )
    run.equal(run.array(got), right)


def causal_mistakes(q: np.ndarray, k: np.ndarray, v: np.ndarray) -> dict[str, tuple[Any, T]]:
    """What goes wrong in causal attention, by name."""
    dots, d, back = q @ k.T, q.shape[1], behind(len(q))
    scores, past = dots / math.sqrt(d), back >= 0
    return {
        "no-scale": (shares(dots, past) @ v, NO_SCALE),
        "d-scale": (shares(dots / d, past) @ v, D_SCALE),
        "queries-axis": (softmax(np.where(past, scores, -np.inf), axis=0) @ v, QUERIES_AXIS),
        "swapped": (
            shares(scores.T, past) @ v,
            T(
                "查询和键换了位置：问的是查询，所以每一行应当是一个查询对所有的键。",
                "Queries and keys have changed places: it is the query that asks, so a row is one query against all keys.",
            ),
        ),
        "inverted": (
            shares(scores, back <= 0) @ v,
            T(
                "掩码反了：你让每个位置看自己和后面；应当是自己和前面。",
                "The mask is inverted: you let each position see itself and what follows; it should be what came before.",
            ),
        ),
        "after": ((softmax(scores) * past) @ v, AFTER),
        "zero-score": (softmax(scores * past) @ v, ZERO_SCORE),
        "sees-next": (
            shares(scores, back >= -1) @ v,
            T(
                "因果掩码宽了一格：每个位置还看见了下一个，那正是要猜的答案。",
                "The causal mask is one too wide: each position sees the next one too, the very answer to be guessed.",
            ),
        ),
        "no-mask": (
            softmax(scores) @ v,
            T("掩码没有用上：每个位置都看见了未来。", "No mask is in use: every position sees the future."),
        ),
        "weights": (
            shares(scores, past),
            T("这是权重，还没有拿它去平均值。", "These are the weights; the mean of the values is missing."),
        ),
        "keys-for-values": (
            shares(scores, past) @ k,
            T(
                "权重对了，可是平均的是键；该平均的是值。",
                "The weights are right, but you averaged the keys; average the values.",
            ),
        ),
    }


def not_without_self(run: Run, got: np.ndarray, q: np.ndarray, k: np.ndarray, v: np.ndarray) -> None:
    """Fail with excludes-self if positions see only what came before them. (The first one sees nothing then.)"""
    without = shares(q @ k.T / math.sqrt(q.shape[1]), behind(len(q)) > 0) @ v
    run.require(
        not np.allclose(got[1:], without[1:]),
        "excludes-self",
        T(
            "因果掩码窄了一格：每个位置看不见自己，第一个位置什么也看不见。",
            "The causal mask is one too narrow: no position sees itself, and the first sees nothing at all.",
        ),
    )


@exercise(
    hint=T(
        zh="照着公式：分数除以根号，掩码换成负无穷，softmax，再乘 `v`。第一个位置只看得见自己，所以你的第一行应当恰好是 `v[0]`。",
        en="Follow the formula: scores over the root, minus infinity where the mask is, softmax, times `v`. The first position sees "
        "only itself, so your first row should be exactly `v[0]`.",
    )
)
def causal_attention(run: Run) -> None:
    """softmax(q kᵀ / √d + mask) v."""
    q, k, v = sentence(run, 3)
    got = run.call(q, k, v)
    if isinstance(got, np.ndarray) and got.shape == (len(q), len(q)) != v.shape:
        run.equal(got, v, mistakes={"weights": causal_mistakes(q, k, v)["weights"]})
    got = run.array(got, shape=v.shape, finite=False)
    not_without_self(run, got, q, k, v)
    right = shares(q @ k.T / math.sqrt(q.shape[1]), behind(len(q)) >= 0) @ v
    run.equal(run.array(got), right, mistakes=causal_mistakes(q, k, v))


@exercise(
    hint=T(
        zh="先像前向那样算出带掩码的 `p`，再照课文里的五个式子往回走。根号在 `dq` 和 `dk` 里各出现一次，`dv` 里没有。",
        en="Compute the masked `p` as in the forward pass, then walk back along the five formulas of the lesson. The root occurs "
        "once in `dq` and once in `dk`, and not in `dv`.",
    )
)
def causal_backward(run: Run) -> None:
    """dq, dk, dv under a causal mask."""
    dy, q, k, v = sentence(run, 4)
    past, root = behind(len(q)) >= 0, math.sqrt(q.shape[1])

    def gradients(p: np.ndarray, inner: str = "", turn: bool = True) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        dp = dy @ v.T
        dot = (p * dp).sum(axis=0 if inner == "columns" else 1, keepdims=True)
        ds = {"none": dp, "no-sum": p * dp, "undone": dp - dot}.get(inner, p * (dp - dot))
        return ds @ k / root, (ds.T if turn else ds) @ q / root, (p.T if turn else p) @ dy

    p = shares(q @ k.T / root, past)
    right = gradients(p)
    got = run.sequence(run.call(dy, q, k, v), length=3)
    for name, each in zip(("dq", "dk", "dv"), got, strict=True):
        run.array(each, shape=q.shape, name=name, finite=False)
    unmasked = gradients(softmax(q @ k.T / root))
    scale = T(
        "梯度大了：前向把分数除过根号，反向传到查询和键的时候也要除。",
        "The gradient is too large: on the way forward the root divided the scores; on the way back it divides what goes to "
        "queries and keys too.",
    )
    whole: dict[str, tuple[Any, T]] = {
        "no-mask": (
            unmasked,
            T(
                "权重是不带掩码重新算的：未来也收到了梯度。",
                "The weights were computed anew without the mask: the future gets gradients too.",
            ),
        ),
        "no-scale": (gradients(shares(q @ k.T, past)), NO_SCALE),
        "no-scale-backward": ([right[0] * root, right[1] * root, right[2]], scale),
        "no-softmax": (
            gradients(p, "none"),
            T(
                "`dp` 直接当成了 `dz`：中间还隔着 softmax，它也有反向。",
                "You took `dp` for `dz`: there is a softmax between them, and it has a backward of its own.",
            ),
        ),
        "no-sum": (
            gradients(p, "no-sum"),
            T(
                "softmax 的反向少了一半：一个分数变了，同一行所有的份额都跟着变，所以还要减去按份额的平均。",
                "Half of softmax's backward is missing: when one score changes, all shares of its row change, so the mean by "
                "shares has to be subtracted.",
            ),
        ),
        "columns": (
            gradients(p, "columns"),
            T(
                "softmax 的反向里，求和沿着列做了；前向的 softmax 是按行做的。",
                "In softmax's backward your sum runs along columns; forward, softmax went along rows.",
            ),
        ),
        "undone": (
            gradients(p, "undone"),
            T("softmax 的反向漏了最后乘上的份额。", "Softmax's backward lacks its last factor, the shares."),
        ),
        "swapped": (
            [right[1], right[0], right[2]],
            T("`dq` 和 `dk` 换了位置。", "`dq` and `dk` have changed places."),
        ),
        "dv-transpose": (
            [*right[:2], gradients(p, turn=False)[2]],
            T(
                "`dv` 少了一次转置：值 j 的梯度，来自所有看过它的位置。",
                "`dv` lacks a transpose: the gradient of value j comes from all positions that looked at it.",
            ),
        ),
        "dk-transpose": (
            [right[0], gradients(p, turn=False)[1], right[2]],
            T(
                "`dk` 少了一次转置：键 j 的梯度，来自所有问过它的位置。",
                "`dk` lacks a transpose: the gradient of key j comes from all positions that asked it.",
            ),
        ),
    }
    for at, name in enumerate(("dq", "dk", "dv")):
        mistakes = {slug: (wrong[at], message) for slug, (wrong, message) in whole.items()}
        run.equal(run.array(got[at], name=name), right[at], mistakes=mistakes, name=name)


@exercise(
    hint=T(
        zh="先算每一对位置隔了多远：`i - j`。允许的距离从 0 开始，一共有 `width` 种。",
        en="First compute how far apart each pair of positions is: `i - j`. The distances that are allowed begin at 0, and there "
        "are `width` of them.",
    )
)
def window_attention(run: Run) -> None:
    """0 <= i - j < width; a width of 1, in between, and beyond the length."""
    q, k, v = sentence(run, 3)
    n = len(q)
    scores, back = q @ k.T / math.sqrt(q.shape[1]), behind(n)
    for width in (int(run.rng.integers(2, n - 1)), 1, n + 2):
        got = run.array(run.call(q, k, v, width), shape=v.shape, finite=False)
        mistakes: dict[str, tuple[Any, T]] = {
            "too-wide": (
                shares(scores, (back >= 0) & (back <= width)) @ v,
                T("窗宽了一格：自己也算一个。", "The window is one too wide: oneself is counted too."),
            ),
            "too-narrow": (
                np.nan_to_num(shares(scores, (back >= 0) & (back < width - 1)) @ v),
                T(
                    "窗窄了一格：自己也算在 `width` 里，但只算一个。",
                    "The window is one too narrow: oneself counts among the `width`, but only once.",
                ),
            ),
            "two-sided": (
                shares(scores, np.abs(back) < width) @ v,
                T("窗开向了两边：未来也看见了。", "The window opens to both sides: the future is seen as well."),
            ),
            "forwards": (
                shares(scores, (back <= 0) & (back > -width)) @ v,
                T(
                    "窗开反了：看的是后面几个，应当是前面几个。",
                    "The window opens the wrong way: it shows what follows, not what came before.",
                ),
            ),
            "no-window": (
                shares(scores, back >= 0) @ v,
                T(
                    "`width` 没有用上：这是没有窗的因果注意力。",
                    "`width` is not in use: this is causal attention without a window.",
                ),
            ),
            "future": (
                shares(scores, back < width) @ v,
                T("太远的过去遮住了，未来却还看得见。", "The far past is masked, but the future can still be seen."),
            ),
            "after": ((softmax(scores) * ((back >= 0) & (back < width))) @ v, AFTER),
            "after-causal": ((shares(scores, back >= 0) * (back < width)) @ v, AFTER),
            "no-scale": (shares(q @ k.T, (back >= 0) & (back < width)) @ v, NO_SCALE),
            "first": (
                shares(scores, (back >= 0) & (np.arange(n) < width)) @ v,
                T(
                    "你让每个位置看开头的几个；窗应当跟着位置走，看最近的几个。",
                    "You let each position see the first few; the window should move along and show the last few.",
                ),
            ),
        }
        right = shares(scores, (back >= 0) & (back < width)) @ v
        run.equal(np.nan_to_num(got) if np.isnan(got).any() else got, right, mistakes=mistakes)
        run.array(got)
