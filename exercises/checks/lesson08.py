"""Checkers of lesson 08, heads and positions."""

import math
from typing import Any

import numpy as np

from exercises.checks.framework import Run, T, exercise

RESHAPE = T(
    "形状对，内容错：直接 `reshape` 成 (B, H, T, K)，一个头里就混进了别的位置的数。先切最后一轴，再换轴。",
    "The shape is right, the content wrong: a `reshape` straight to (B, H, T, K) puts numbers of other positions into a head. "
    "Cut the last axis first, then swap axes.",
)
ROOT_D = T(
    "根号下放的是 d_model；点积的一方是一个头的查询，它有几个数？",
    "Under your root stands d_model; what enters the dot product is one head's query: how many numbers has that?",
)
NO_SCALE = T("你的分数没有除以根号。", "Your scores are not divided by the root.")


def softmax(z: np.ndarray, axis: int = -1) -> np.ndarray:
    e = np.exp(z - z.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def speeds(dim: int, base: float = 10000.0) -> np.ndarray:
    """Angular speeds of the pairs.  -> (dim/2,)"""
    return base ** (-np.arange(0, dim, 2) / dim)


@exercise(
    hint=T(
        zh="四个大矩阵是 (d_model, d_model)，切成几个头都是它们。权重表每个头一张，一张有几行几列？",
        en="The four large matrices are (d_model, d_model), however many heads they are cut into. Each head has a table of "
        "weights of its own: how many rows and columns?",
    )
)
def heads_cost(run: Run) -> None:
    """4 D², and H T²."""
    n_head = int(run.rng.integers(2, 6))
    d_model, length = n_head * int(run.rng.integers(5, 11)), int(run.rng.integers(61, 97))
    parameters, weights = run.sequence(run.call(d_model, n_head, length), length=2)
    right = 4 * d_model**2
    run.equal(
        run.scalar(parameters, name="parameters"),
        right,
        mistakes={
            "times-heads": (
                right * n_head,
                T(
                    "你给每个头都算了一整套大矩阵。头是把大矩阵的行切开来用，并没有添新的。",
                    "You gave each head a full set of large matrices. Heads cut up the rows of the large ones; none are added.",
                ),
            ),
            "one-head": (
                right // n_head,
                T(
                    "这只是一个头那一份的行；所有的头合起来是多少？",
                    "These are the rows of one head only; how many do all heads have together?",
                ),
            ),
            "no-output": (
                3 * d_model**2,
                T(
                    "只数了三个矩阵：把各头混在一起的 `W_O` 没有算。",
                    "Only three matrices counted: `W_O`, which mixes the heads, is missing.",
                ),
            ),
            "length": (
                right * length,
                T(
                    "你把长度乘进了参数；所有的位置共用同样的矩阵。",
                    "You multiplied the parameters by the length; all positions share the same matrices.",
                ),
            ),
        },
        name="parameters",
    )
    run.equal(
        run.scalar(weights, name="weights"),
        n_head * length**2,
        mistakes={
            "one-table": (
                length**2,
                T(
                    "这只是一个头的权重表；每个头各有一张。",
                    "This is the table of a single head; each head has one of its own.",
                ),
            ),
            "divided": (
                length**2 / n_head,
                T(
                    "权重表不会切开：每个头的表都是每个位置对每个位置。切开的是向量。",
                    "Tables of weights are not cut up: each head has one of every position against every position. It is vectors "
                    "that are cut.",
                ),
            ),
            "head-size": (
                d_model // n_head * length**2,
                T(
                    "你乘上了一个头有几个数；一对位置在一个头里只有一个权重，不管比对用了几个数。",
                    "You multiplied by how many numbers a head has; a pair of positions has one weight in a head, whatever the "
                    "number of numbers compared.",
                ),
            ),
            "linear": (
                n_head * length,
                T(
                    "每个头里，每个位置都要看所有的位置，不止一个。",
                    "In each head every position looks at all positions, not at one.",
                ),
            ),
            "causal": (
                n_head * length * (length + 1) // 2,
                T("这里没有掩码，未来也看得见。", "There is no mask here; the future can be seen."),
            ),
        },
        name="weights",
    )


@exercise(
    hint=T(
        zh="分两步：先把最后一轴切成 (n_head, K)，位置那一轴不动；再用 `transpose` 把头那一轴换到位置前面。",
        en="Two steps: first cut the last axis into (n_head, K), leaving the axis of positions alone; then let `transpose` put "
        "the axis of heads before it.",
    )
)
def split_heads(run: Run) -> None:
    """reshape(B, T, H, K).transpose(0, 2, 1, 3)."""
    b, t, h, k = run.sizes(4, low=2, high=7)
    x = run.rng.normal(size=(b, t, h * k))
    got = run.call(x, h)
    if isinstance(got, np.ndarray) and got.shape == (b, t, h, k):
        run.fail(
            "not-swapped",
            T(
                "切好了，还没有换轴：你的形状是 (B, T, H, K)，头那一轴应当在位置之前。",
                "Cut, but the axes are not swapped yet: your shape is (B, T, H, K), and the axis of heads belongs before that "
                "of positions.",
            ),
        )
    run.equal(
        run.array(got, shape=(b, h, t, k)),
        x.reshape(b, t, h, k).transpose(0, 2, 1, 3),
        mistakes={
            "reshape-only": (x.reshape(b, h, t, k), RESHAPE),
            "interleaved": (
                x.reshape(b, t, k, h).transpose(0, 3, 1, 2),
                T(
                    "你让第 h 个头每隔 H 个取一个数；应当是连着的 K 个数。",
                    "Your head h takes every H-th number; it should have K numbers in a row.",
                ),
            ),
            "axes": (
                lambda: next(
                    w
                    for w in (
                        x.reshape(b, t, h, k).swapaxes(1, 3).reshape(b, h, t, k),
                        x.swapaxes(1, 2).reshape(b, h, t, k),
                    )
                    if np.allclose(w, got)
                ),
                T(
                    "换的轴不对，形状是后来用 `reshape` 凑出来的。`reshape` 不能代替换轴。",
                    "The wrong axes were swapped, and a `reshape` afterwards made the shape fit. A `reshape` is no swap of axes.",
                ),
            ),
            "positions-reversed": (
                x.reshape(b, t, h, k).transpose(0, 2, 1, 3)[:, ::-1],
                T("头的次序反了。", "The heads are in reverse order."),
            ),
        },
    )


def heads_of(x: np.ndarray, h: int, wrong: str = "") -> np.ndarray:
    """(T, D) -> (H, T, K)"""
    t, d = x.shape
    return x.reshape(h, t, d // h) if wrong else x.reshape(t, h, d // h).transpose(1, 0, 2)


@exercise(
    hint=T(
        zh="`x @ w_in.T` 的最后一轴是 3D：先是查询，再是键，再是值，每段里面才是各个头。算完以后，把头换回位置之后，再合并。",
        en="The last axis of `x @ w_in.T` is 3D: queries, then keys, then values, and within each of them the heads. At the end "
        "move the heads back behind the positions before you merge.",
    )
)
def multi_head(run: Run) -> None:
    """All heads at once, equal to a loop."""
    t, h, k = run.sizes(3, low=2, high=5)
    t += 2
    d = h * k
    x = run.rng.normal(size=(t, d))
    w_in, w_out = 1.5 * run.rng.normal(size=(3 * d, d)) / math.sqrt(d), run.rng.normal(size=(d, d)) / math.sqrt(d)

    def answer(
        root: float = math.sqrt(k),
        order: tuple[int, int, int] = (0, 1, 2),
        cut: str = "",
        merge: str = "",
        output: str = "",
        heads: int = h,
        axis: int = -1,
    ) -> np.ndarray:
        parts = np.split(x @ w_in.T, 3, axis=-1)
        q, key, v = (heads_of(parts[i], heads, cut) for i in order)
        y = softmax(q @ key.swapaxes(1, 2) / root, axis=axis) @ v
        merged = y.reshape(t, d) if merge else y.transpose(1, 0, 2).reshape(t, d)
        if output == "none":
            return merged
        return merged @ (w_out if output == "untransposed" else w_out.T)

    mixed = (x @ w_in.T).reshape(t, h, 3, k).transpose(2, 1, 0, 3)
    per_head = (softmax(mixed[0] @ mixed[1].swapaxes(1, 2) / math.sqrt(k)) @ mixed[2]).transpose(1, 0, 2).reshape(t, d)
    got = run.array(run.call(x, w_in, w_out, h), shape=(t, d))
    run.equal(
        got,
        answer(),
        mistakes={
            "no-scale": (answer(root=1.0), NO_SCALE),
            "root-of-d": (answer(root=math.sqrt(d)), ROOT_D),
            "one-head": (
                answer(heads=1, root=math.sqrt(d)),
                T(
                    "你只做了一个头：`n_head` 没有用上，所有的数共用一份权重。",
                    "You did a single head: `n_head` is not in use, and all numbers share one set of weights.",
                ),
            ),
            "reshape-only": (answer(cut="reshape"), RESHAPE),
            "reshape-both": (answer(cut="reshape", merge="reshape"), RESHAPE),
            "merge": (
                answer(merge="reshape"),
                T(
                    "切得对，合并时却忘了先把头换回位置之后，就 `reshape` 了。",
                    "The cut is right, but when merging you did the `reshape` without first moving the heads back behind positions.",
                ),
            ),
            "no-output": (
                answer(output="none"),
                T(
                    "各头已经并排放好，还没有乘 `w_out`。",
                    "The heads are side by side, but not yet multiplied by `w_out`.",
                ),
            ),
            "untransposed": (
                answer(output="untransposed"),
                T(
                    "`w_out` 忘了转置。它是方的，不转置也乘得上，所以没有报错。",
                    "`w_out` lacks its transpose. It is square and multiplies without one, and so there was no error.",
                ),
            ),
            "order": (
                lambda: next(
                    w
                    for w in (answer(order=o) for o in ((1, 0, 2), (2, 1, 0), (0, 2, 1), (1, 2, 0), (2, 0, 1)))
                    if np.allclose(w, got)
                ),
                T("查询、键、值的次序弄错了。", "Queries, keys and values are in the wrong order."),
            ),
            "per-head": (
                per_head @ w_out.T,
                T(
                    "你先按头切，再在每个头里分查询、键、值；`w_in` 里是先分三段，再在每段里分头。",
                    "You cut into heads first and took queries, keys and values from each; in `w_in` the three come first, and "
                    "the heads are within each.",
                ),
            ),
            "queries-axis": (
                answer(axis=-2),
                T(
                    "softmax 是对查询做的；应当沿着键的那一轴。",
                    "Softmax runs over queries; it should run along the keys.",
                ),
            ),
        },
    )


@exercise(
    hint=T(
        zh="先写一对：把两角和的公式写成 2 乘 2 的矩阵，左边是挪过之后的正弦和余弦。再把各对的小方块放在对角线上，第 i 块占第 2i 和 2i+1 行。",
        en="Write a single pair first: the addition formulas as a 2 by 2 matrix, with the moved sine and cosine on the left. Then "
        "put the blocks along the diagonal, block i in rows 2i and 2i + 1.",
    )
)
def shift_matrix(run: Run) -> None:
    """Blocks (cos, sin; -sin, cos) along the diagonal; a table that is moved; negative steps."""
    d = 2 * int(run.rng.integers(3, 8))
    for steps in (int(run.rng.integers(2, 12)), 0, -int(run.rng.integers(2, 12))):
        got = run.array(run.call(d, steps), shape=(d, d))

        def blocks(angle: np.ndarray, sign: int = 1) -> np.ndarray:
            out = np.zeros((d, d))
            for i, a in enumerate(angle):
                out[2 * i : 2 * i + 2, 2 * i : 2 * i + 2] = [
                    [math.cos(a), sign * math.sin(a)],
                    [-sign * math.sin(a), math.cos(a)],
                ]
            return out

        angle = steps * speeds(d)
        halves = np.arange(d).reshape(-1, 2).T.ravel()
        block = np.zeros((d, d))
        block[np.ix_(halves.argsort(), halves.argsort())] = blocks(angle)
        plain = blocks(angle)
        one_sign = plain.copy()
        one_sign[np.arange(1, d, 2), np.arange(0, d, 2)] *= -1
        run.equal(
            got,
            plain,
            mistakes={
                "backwards": (
                    blocks(angle, sign=-1),
                    T(
                        "转的方向反了：你的矩阵把第 t 行变成第 t - steps 行。正弦在前、余弦在后时，负号在哪一格？",
                        "It turns the wrong way: your matrix takes row t to row t - steps. With the sine first and the cosine "
                        "second, in which entry is the minus?",
                    ),
                ),
                "one-speed": (
                    blocks(np.full(d // 2, float(steps))),
                    T(
                        "所有的对都转了同一个角；每一对有自己的角速度。",
                        "All pairs turn by the same angle; each has an angular speed of its own.",
                    ),
                ),
                "one-step": (
                    blocks(speeds(d)),
                    T("你只挪了一步：`steps` 没有用上。", "You moved one step only: `steps` is not in use."),
                ),
                "halves": (
                    block,
                    T(
                        "你按前后两半配了对；这张表里正弦和余弦是相邻的。",
                        "You paired the two halves; in this table sine and cosine are neighbours.",
                    ),
                ),
                "no-minus": (
                    one_sign,
                    T(
                        "少了一个负号：两个正弦同号，就不是转动了。核对余弦的两角和公式。",
                        "A minus is missing: with both sines of one sign it is no turn. Look at the addition formula of the cosine.",
                    ),
                ),
                "sine-cosine": (
                    blocks(math.pi / 2 - angle),
                    T(
                        "正弦和余弦换了位置：挪 0 步应当什么也不变，对角线上该是谁？",
                        "Sine and cosine have changed places: moving 0 steps should change nothing, so which belongs on the diagonal?",
                    ),
                ),
            },
        )


@exercise(
    hint=T(
        zh="先写一个小函数，把一个数组从某个位置起转好：角度是 (T, d_k/2)，用 `np.outer`。查询从 `start` 起，键从 0 起，最后才是点积和根号。",
        en="First write a little function that turns an array from some position on: the angles are (T, d_k/2), by `np.outer`. "
        "Queries begin at `start`, keys at 0; the dot product and the root come last.",
    )
)
def turn_scores(run: Run) -> None:
    """Queries from start, keys from 0, halves paired, turned the same way, divided by the root."""
    t, s, half = run.sizes(3, low=2, high=6)
    d, start = 2 * half, int(run.rng.integers(3, 20))
    q, k = run.rng.normal(size=(t, d)), run.rng.normal(size=(s, d))

    def turned(x: np.ndarray, first: float, w: np.ndarray, sign: int = 1, pairs: str = "halves") -> np.ndarray:
        angle = sign * np.outer(first + np.arange(len(x)), w)
        if pairs == "halves":
            a, b = x[:, :half], x[:, half:]
            return np.hstack([a * np.cos(angle) - b * np.sin(angle), a * np.sin(angle) + b * np.cos(angle)])
        a, b = x[:, 0::2], x[:, 1::2]
        both = [a * np.cos(angle) - b * np.sin(angle), a * np.sin(angle) + b * np.cos(angle)]
        return np.stack(both, axis=-1).reshape(x.shape)

    w, root = speeds(d), math.sqrt(d)

    def answer(
        q_at: float = start, k_at: float = 0, signs: tuple[int, int] = (1, 1), pairs: str = "halves", **o: Any
    ) -> np.ndarray:
        speed = o.get("w", w)
        return turned(q, q_at, speed, signs[0], pairs) @ turned(k, k_at, speed, signs[1], pairs).T / o.get("root", root)

    got = run.array(run.call(q, k, start), shape=(t, s))
    run.equal(
        got,
        answer(),
        mistakes={
            "start-cancels": (  # not used at all, or used for both: the distances are the same
                answer(q_at=0),
                T(
                    "分数里没有 `start`：要么没有用上，要么键也从 `start` 数起，两边抵消了。键站在 0、1、2……",
                    "There is no `start` in your scores: it is not in use, or keys are counted from it as well and it cancels "
                    "out. Keys stand at 0, 1, 2 and so on.",
                ),
            ),
            "neighbours": (
                answer(pairs="neighbours"),
                T(
                    "你把相邻的两个数配了对；这里配对的是前后两半。",
                    "You paired neighbours; here the two halves are paired.",
                ),
            ),
            "backwards": (
                answer(signs=(-1, -1)),
                T(
                    "两边都往反方向转了，得到的是远近相反的分数。核对旋转矩阵里负号的位置。",
                    "Both turn the wrong way, which exchanges before and behind. Check where the minus stands in the rotation.",
                ),
            ),
            "opposite": (
                lambda: next(v for v in (answer(signs=(1, -1)), answer(signs=(-1, 1))) if np.allclose(v, got)),
                T(
                    "查询和键转的方向相反：分数看的成了两个位置之和，而不是差。",
                    "Queries and keys turn in opposite directions: scores see the sum of two positions, not their difference.",
                ),
            ),
            "queries-only": (
                turned(q, start, w) @ k.T / root,
                T("键没有转。", "The keys were not turned."),
            ),
            "unturned": (q @ k.T / root, T("查询和键都没有转。", "Neither queries nor keys were turned.")),
            "no-scale": (answer(root=1.0), NO_SCALE),
            "one-speed": (
                answer(w=np.ones(half)),
                T(
                    "所有的对都转得一样快；每一对有自己的角速度。",
                    "All pairs turn at one speed; each has an angular speed of its own.",
                ),
            ),
        },
    )


@exercise(
    hint=T(
        zh="拿一个 K = 4 的头想：行是“对 0 的一、对 0 的二、对 1 的一、对 1 的二”。要变成两个“一”在前，两个“二”在后。`reshape` 成 (头, 对, 二选一, 列)，再换一次轴。",
        en="Think of a head with K = 4: its rows are first of pair 0, second of pair 0, first of pair 1, second of pair 1. Both "
        "firsts should come first, then both seconds. Make it (head, pair, which of two, column) by `reshape`, then swap axes once.",
    )
)
def import_rows(run: Run) -> None:
    """Within each head: 0, 2, 4 ..., 1, 3, 5 ..."""
    h, half = run.sizes(2, low=3, high=5)
    size = 2 * half
    d = h * size
    w = run.rng.normal(size=(d, d))
    order = np.arange(size).reshape(half, 2).T.ravel()
    heads = w.reshape(h, size, d)
    whole = np.arange(d).reshape(-1, 2).T.ravel()
    columns = w.reshape(d, h, size)[:, :, order].reshape(d, d)
    run.equal(
        run.array(run.call(w, h), shape=(d, d)),
        heads[:, order].reshape(d, d),
        mistakes={
            "inverse": (
                heads[:, order.argsort()].reshape(d, d),
                T(
                    "方向反了：这是把前后两半的排法变成相邻的排法。",
                    "The wrong direction: this turns the arrangement in halves into neighbours.",
                ),
            ),
            "whole-matrix": (
                w[whole],
                T(
                    "你把整个矩阵一起重排了，各个头的行混到了一处。每个头要各排各的。",
                    "You reordered the whole matrix at once, and rows of different heads are mixed. Each head is reordered by itself.",
                ),
            ),
            "columns": (
                columns,
                T(
                    "你重排的是列。矩阵的形状是（输出，输入），查询的第 i 个数由第 i 行算出。",
                    "You reordered columns. A matrix has the shape (out, in): row i computes number i of the query.",
                ),
            ),
            "unchanged": (w, T("什么也没有变。", "Nothing has changed.")),
            "one-head": (
                np.concatenate([w[:size][order], w[size:]]),
                T("只有第一个头重排了。", "Only the first head was reordered."),
            ),
            "rotated-halves": (
                np.roll(heads, half, axis=1).reshape(d, d),
                T(
                    "你把每个头的前后两半对调了；要的是把奇数行和偶数行分开。",
                    "You exchanged the halves of each head; what is wanted is to separate even rows from odd rows.",
                ),
            ),
        },
    )
