"""Checkers of lesson 06, backpropagation."""

from collections.abc import Callable, Iterable

import numpy as np

from exercises.checks.framework import Run, T, exercise

Tape = list[list[tuple[int, float]]]


@exercise(
    hint=T(
        zh="设 `u = a + b`，`v = b·c`，`L = u·v`。先写出 `L` 对 `u` 和 `v` 的导数，再看 `b` 通到哪几处，各处的份额相加。",
        en="Let `u = a + b`, `v = b·c`, `L = u·v`. First write the derivatives of `L` by `u` and by `v`, then see where `b` "
        "leads, and add up the shares.",
    )
)
def fork_gradients(run: Run) -> None:
    """(bc, bc + (a + b) c, (a + b) b)"""
    a, b, c = (float(x) for x in run.rng.normal(size=3) + run.rng.permutation([2, 3, 5]))
    u, v = a + b, b * c
    names = ("dL/da", "dL/db", "dL/dc")
    got = [run.scalar(x, name=n) for x, n in zip(run.sequence(run.call(a, b, c), length=3), names, strict=True)]
    run.equal(
        got,
        [v, v + u * c, u * b],
        mistakes={
            "first-use": (
                [v, v, u * b],
                T(
                    "`b` 的导数只算了经过 `a + b` 的那条路；它还用在别处。",
                    "The derivative by `b` counts only the path through `a + b`; it is used elsewhere too.",
                ),
            ),
            "second-use": (
                [v, u * c, u * b],
                T(
                    "`b` 的导数只算了经过 `b·c` 的那条路；它还用在别处。（后到的盖掉了先到的？）",
                    "The derivative by `b` counts only the path through `b·c`; it is used elsewhere too. (Has a later share "
                    "overwritten an earlier one?)",
                ),
            ),
            "multiplied": (
                [v, v * u * c, u * b],
                T(
                    "你把 `b` 的两条路乘了起来：一条路上的各段相乘，路与路之间不是。",
                    "You multiplied the two paths of `b`: what lies along one path is multiplied, but paths are not.",
                ),
            ),
            "own-factor": (
                [u, u + v * c, v * b],
                T(
                    "积对一个因子的导数，你写成了这个因子自己。`L = u·v`，`u` 动一点，`L` 动几倍？",
                    "For the derivative of a product by a factor you wrote that factor itself. `L = u·v`: when `u` moves a "
                    "little, how many times as far does `L` move?",
                ),
            ),
            "local": (
                [1.0, 1.0 + c, b],
                T(
                    "这些是头一段的局部导数，还没有乘上从 `L` 传回来的那一段。",
                    "These are the local derivatives of the first stretch; what comes back from `L` has not been multiplied in.",
                ),
            ),
        },
    )


def walk(
    tape: Tape,
    order: Iterable[int],
    rule: Callable[[float, float, float], float] = lambda old, up, slope: old + up * slope,
    begin: float = 1.0,
) -> list[float]:
    """The walk back, in some order; rule: (gradient so far, upstream gradient, slope) -> new gradient."""
    grads = [0.0] * len(tape)
    grads[-1] = begin
    for i in order:
        for operand, slope in tape[i]:
            grads[operand] = rule(grads[operand], grads[i], slope)
    return grads


@exercise(
    hint=T(
        zh="一项要等所有用过它的都分完，才轮到它往下分：用过它的都比它晚出生。再想想，一项用了两次，两份导数该怎么办？",
        en="An entry may pass on only after all who used it: those were all born later. And when an entry was used twice, what "
        "becomes of its two derivatives?",
    )
)
def pass_back(run: Run) -> None:
    """Youngest first, adding up; values used twice, the same operand twice, an entry that nobody uses."""
    operands: list[list[int]] = [[], [], [0, 1], [2, 1], [2, 3], [4, 4], [0], [5, 2]]
    for length in (6, 8, 1):
        tape: Tape = [[(i, float(run.rng.normal())) for i in used] for used in operands[:length]]
        back, front = range(len(tape) - 1, -1, -1), range(len(tape))
        run.equal(
            run.sequence(run.call(tape), of=float, length=len(tape)),
            walk(tape, back),
            mistakes={
                "two-faults": (
                    walk(tape, front, lambda old, up, slope: up * slope),
                    T(
                        "两处毛病都还在：次序不对，导数还没到手就往下分了；而且后到的一份盖掉了先到的。",
                        "Both faults are there: the order is wrong, so that derivatives are passed on before they have arrived; "
                        "and a later share overwrites an earlier one.",
                    ),
                ),
                "overwritten": (
                    walk(tape, back, lambda old, up, slope: up * slope),
                    T(
                        "次序对了，可是用了两次的那一项，后到的一份盖掉了先到的。",
                        "The order is right, but where an entry was used twice, the later share overwrites the earlier one.",
                    ),
                ),
                "order": (
                    walk(tape, front),
                    T(
                        "你从最老的一项开始：轮到它往下分的时候，它自己的导数还没有到。",
                        "You begin with the oldest entry: when its turn comes, its own derivative has not arrived yet.",
                    ),
                ),
                "local": (
                    walk(tape, back, lambda old, up, slope: old + slope),
                    T(
                        "你只加了箭头上的局部导数，没有乘上从上面传下来的导数。",
                        "You added the local derivatives alone, without the factor that comes from upstream.",
                    ),
                ),
                "added": (
                    walk(tape, back, lambda old, up, slope: old + up + slope),
                    T(
                        "沿着一条路，各段应当相乘；你把上游的导数和局部导数加了起来。",
                        "Along a path one multiplies; you added the upstream derivative and the local one.",
                    ),
                ),
                "no-start": (
                    walk(tape, back, begin=0.0),
                    T(
                        "全是零：结果对它自己的导数没有放进去，没有东西可分。",
                        "All zeros: the derivative of the result by itself was not put in, so there is nothing to pass on.",
                    ),
                ),
            },
        )


def differences(
    f: Callable[[np.ndarray], float], x: np.ndarray, up: float, down: float, put_back: bool = True
) -> np.ndarray:
    """f with one entry moved up, less f with it moved down, entry by entry. put_back: before the next one is moved."""
    y, out = x.copy(), np.zeros(x.shape)
    for index in np.ndindex(x.shape):
        y[index] = x[index] + up
        upper = f(y)
        y[index] = x[index] - down
        out[index] = upper - f(y)
        if put_back:
            y[index] = x[index]
    return out


@exercise(
    hint=T(
        zh="用 `np.ndindex(x.shape)` 走过每个位置。造一个全零、只在这个位置是 `h` 的数组，在 `x` 的两边各算一次 `f`；两点相距多远，就除以多远。",
        en="`np.ndindex(x.shape)` walks over all places. Make an array of zeros with `h` in that place alone and evaluate `f` on "
        "either side of `x`; divide by the distance between the two points.",
    )
)
def central_slopes(run: Run) -> None:
    """Equal to the central difference with a step that is not small; any shape."""
    rows, columns = run.sizes(2, low=2, high=5)
    for shape in ((rows, columns), (rows + columns,)):
        n = int(np.prod(shape))
        cubes, pairs = run.rng.normal(size=n), run.rng.normal(size=(n, n))

        def f(x: np.ndarray, cubes: np.ndarray = cubes, pairs: np.ndarray = pairs) -> float:
            flat = x.ravel()
            return float(cubes @ flat**3 + flat @ pairs @ flat)

        x, h = run.rng.normal(size=shape), float(run.rng.uniform(0.2, 0.4))
        right = differences(f, x, h, h) / (2 * h)
        got = run.array(run.call(f, x, h), shape=shape)
        run.equal(
            got,
            right,
            mistakes={
                "forward": (
                    differences(f, x, h, 0) / h,
                    T(
                        "这是前向差分，只看了一边；中心差分要看两边。",
                        "This is the forward difference, which looks to one side; the central one looks to both.",
                    ),
                ),
                "backward": (
                    differences(f, x, 0, h) / h,
                    T("你只看了小的那一边；中心差分要看两边。", "You looked to the lower side only; look to both."),
                ),
                "one-h": (
                    2 * right,
                    T(
                        "恰好大了一倍：两个点相距不是一个 `h`。",
                        "Exactly twice too large: the two points are further apart than one `h`.",
                    ),
                ),
                "sign": (-right, T("符号反了：是前面的减后面的。", "The sign is turned round: upper minus lower.")),
                "undivided": (
                    2 * h * right,
                    T(
                        "只做了减法，还没有除以两点的距离。",
                        "Only a difference so far; divide by the distance of the two points.",
                    ),
                ),
                "together": (
                    np.full(shape, (f(x + h) - f(x - h)) / (2 * h)),
                    T(
                        "你让所有的数一起挪，于是每处都得到同一个数；应当一次只挪一个。",
                        "You moved all entries together and got one and the same number everywhere; move one at a time.",
                    ),
                ),
                "not-restored": (
                    differences(f, x, h, h, put_back=False) / (2 * h),
                    T(
                        "挪过的数没有放回去：轮到下一个的时候，前面的还歪着。",
                        "Entries that were moved are not put back: when the next one's turn comes, the earlier ones are still off.",
                    ),
                ),
            },
            rtol=1e-6,
        )


@exercise(
    hint=T(
        zh="`grad` 比 `shape` 多出来的轴都在最前面，先沿着它们求和。剩下的轴里，`shape` 是 1 而 `grad` 不是 1 的，再求和，用 `keepdims=True` 留住那一轴。",
        en="The axes that `grad` has over and above `shape` are all in front: sum over them first. Of the others, those that are 1 in "
        "`shape` and not in `grad` are summed next, kept by `keepdims=True`.",
    )
)
def unbroadcast(run: Run) -> None:
    """Added axes, stretched axes, both, none."""
    a, b, c = run.sizes(3, low=2, high=6)
    whole = run.rng.normal(size=(a, b, c))
    cases: list[tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]] = [  # shape, added axes, stretched axes
        ((a, b, c), (), ()),
        ((a, b, 1), (), (2,)),
        ((c,), (0, 1), ()),
        ((b, c), (0,), ()),
        ((a, 1, c), (), (1,)),
        ((1, c), (0,), (1,)),
        ((), (0, 1, 2), ()),
    ]
    for shape, added, stretched in cases:
        axes = added + stretched
        right = whole.sum(axis=axes).reshape(shape)
        got = run.call(whole, shape)
        if isinstance(got, np.ndarray | np.generic) and np.shape(got) != shape:
            size = np.shape(got)
            run.require(
                not (added and size == whole.sum(axis=stretched, keepdims=True).shape),
                "added-axes",
                T(
                    "广播在前面添的轴还在：来源没有那一轴，应当沿着它求和，把它去掉。",
                    "The axis that broadcasting added in front is still there; the operand has none: sum over it, and it goes.",
                ),
            )
            run.require(
                not (stretched and size == whole.sum(axis=added).shape),
                "stretched-axes",
                T(
                    "添的轴去掉了，可是长度本来是 1、被撑开的轴没有收回去。",
                    "Added axes are gone, but an axis of length 1 that was stretched has not been brought back.",
                ),
            )
            run.require(
                not (stretched and size == whole.sum(axis=axes).shape),
                "squeezed",
                T(
                    "数加对了，可是长度是 1 的那一轴被加没了；它要留着。",
                    "The sums are right, but the axis of length 1 went with them; it has to stay.",
                ),
            )
        run.equal(
            run.array(got, shape=shape),
            right,
            mistakes={
                "mean": (
                    lambda axes=axes, shape=shape: whole.mean(axis=axes).reshape(shape),
                    T(
                        "你求了平均。用了几次就收到几份梯度，几份要加起来。",
                        "You took the mean. What was used several times gets as many gradients, and they add up.",
                    ),
                ),
                "one-share": (
                    lambda axes=axes, shape=shape: whole[
                        tuple(0 if i in axes else slice(None) for i in range(3))
                    ].reshape(shape),
                    T(
                        "你只取了第一份梯度；每一次使用都有一份，要加起来。",
                        "You took the first gradient only; each use has one, and they add up.",
                    ),
                ),
                "last-share": (
                    lambda axes=axes, shape=shape: whole[
                        tuple(-1 if i in axes else slice(None) for i in range(3))
                    ].reshape(shape),
                    T(
                        "你只取了最后一份梯度；每一次使用都有一份，要加起来。",
                        "You took the last gradient only; each use has one, and they add up.",
                    ),
                ),
                "cut": (
                    lambda shape=shape: np.resize(whole, shape),
                    T(
                        "你把数组硬裁成了这个形状，其余的梯度丢掉了；应当沿着撑开的轴求和。",
                        "You cut the array to this shape and threw the rest away; sum over the axes that were stretched.",
                    ),
                ),
            },
        )


def travel(
    gradient: Callable[[np.ndarray], np.ndarray],
    w: np.ndarray,
    lr: float,
    beta: float,
    steps: int,
    way: str = "right",
) -> np.ndarray:
    """The path of momentum_path, right or with a named mistake."""
    path, v, first = [w], np.zeros_like(w), gradient(w)
    for _ in range(steps):
        g = first if way == "stale" else gradient(w)
        old, v = v, beta * v + ((1 - beta) * g if way == "dampened" else g)
        move = {"late": old, "nesterov": g + beta * v}.get(way, v)
        w = w + lr * move if way == "uphill" else w - lr * move
        path.append(w)
    return np.stack(path)


@exercise(
    hint=T(
        zh="速度从全零开始。每一步先在**现在**的 `w` 上求梯度，再更新速度，最后用新的速度走。记下的每个点要是新的数组：`w = w - ...`，不是 `w -= ...`。",
        en="The velocity starts at zero. Each step finds the gradient at the **present** `w`, then updates the velocity, then moves by "
        "the new one. Each point kept must be a new array: `w = w - ...`, not `w -= ...`.",
    )
)
def momentum_path(run: Run) -> None:
    """Points with the start; PyTorch's convention."""
    n, steps = run.sizes(2, low=3, high=7)
    m = run.rng.normal(size=(n, n))
    a = m @ m.T / n + np.eye(n)
    w, lr, beta = run.rng.normal(size=n), float(run.rng.uniform(0.02, 0.1)), float(run.rng.uniform(0.5, 0.9))

    def gradient(w: np.ndarray) -> np.ndarray:
        return a @ w

    path = travel(gradient, w, lr, beta, steps)
    got = run.call(gradient, w, lr, beta, steps)
    run.require(
        not (np.shape(got) == (steps, n) and np.allclose(got, path[1:])),
        "no-start",
        T("路是对的，可是少了起点。", "The path is right, but its start is missing."),
    )
    run.require(
        not (np.shape(got) == (n,) and np.allclose(got, path[-1])),
        "end-only",
        T("这只是终点；要的是走过的每一个点。", "This is only the end; every point of the way is asked for."),
    )
    got = run.array(got, shape=(steps + 1, n))
    run.equal(
        got,
        path,
        mistakes={
            "no-momentum": (
                travel(gradient, w, lr, 0.0, steps),
                T("没有动量：每一步只用了当时的梯度。", "No momentum: each step used the gradient of the moment only."),
            ),
            "dampened": (
                travel(gradient, w, lr, beta, steps, "dampened"),
                T(
                    "新梯度上多乘了 `1 − β`。那样速度是平均，不是和；这里的写法没有那个因子。",
                    "The new gradient carries a factor `1 − β`. Then the velocity is a mean instead of a sum; ours has no such factor.",
                ),
            ),
            "late": (
                travel(gradient, w, lr, beta, steps, "late"),
                T(
                    "你先走，后更新速度：每一步用的都是上一步的速度，第一步原地不动。",
                    "You move first and update the velocity afterwards: every step uses the last one's velocity, and the first goes "
                    "nowhere.",
                ),
            ),
            "uphill": (
                travel(gradient, w, lr, beta, steps, "uphill"),
                T(
                    "符号反了：你顺着梯度走，是在上坡。",
                    "The sign is turned round: you go along the gradient, which is uphill.",
                ),
            ),
            "nesterov": (
                travel(gradient, w, lr, beta, steps, "nesterov"),
                T(
                    "这是 Nesterov 的走法，多看了一步；题目要普通的动量。",
                    "This is Nesterov's way, which looks a step further; plain momentum is asked for.",
                ),
            ),
            "stale": (
                travel(gradient, w, lr, beta, steps, "stale"),
                T(
                    "梯度只在起点求了一次；每走一步，都要在新的地方再求。",
                    "The gradient was found once, at the start; after each step it has to be found anew.",
                ),
            ),
            "aliased": (
                np.tile(path[-1], (steps + 1, 1)),
                T(
                    "每一行都是终点：你记下的是同一个数组，后来又在原处改了它。",
                    "Every row is the end: you kept the same array again and again and changed it in place afterwards.",
                ),
            ),
        },
    )


@exercise(
    hint=T(
        zh="两个根的积是 β，小于 1；复根的长度是 √β，也小于 1。所以长度 1 只能由实根走到，而且是往负的那边走。把 `r = −1` 代进方程，解出 `η`。哪个特征值最先到？",
        en="The product of the roots is β, below 1; complex roots have length √β, below 1 as well. So only a real root can reach length 1, "
        "and it does so on the negative side. Put `r = −1` into the equation and solve for `η`. Which eigenvalue gets there first?",
    )
)
def largest_step(run: Run) -> None:
    """2 (1 + β) / λ_max"""
    (n,) = run.sizes(1, low=3, high=6)
    m = run.rng.normal(size=(n, n))
    a = m @ m.T + 0.5 * np.eye(n)
    values = np.linalg.eigvalsh(a)
    top = values[-1]
    for beta in (float(run.rng.uniform(0.3, 0.9)), 0.0):
        run.equal(
            run.scalar(run.call(a, beta)),
            2 * (1 + beta) / top,
            mistakes={
                "no-momentum": (
                    2 / top,
                    T(
                        "这是不带动量的界限，`beta` 没有用上。",
                        "This is the limit without momentum; `beta` is not used.",
                    ),
                ),
                "smallest": (
                    2 * (1 + beta) / values[0],
                    T(
                        "你用了最小的特征值；最先炸的是最陡的方向。",
                        "You used the smallest eigenvalue; it is the steepest direction that blows up first.",
                    ),
                ),
                "diagonal": (
                    2 * (1 + beta) / np.diag(a).max(),
                    T(
                        "你看的是对角线；坐标轴没有转好的时候，最陡的方向不在轴上。",
                        "You looked at the diagonal; while the axes are not turned, the steepest direction lies on none of them.",
                    ),
                ),
                "one": (
                    (1 + beta) / top,
                    T(
                        "恰好一半：在这里两个根的长度都是 √β，还没有到 1。走到长度 1 的那个 `r` 是几？",
                        "Exactly half: here both roots have length √β, still below 1. Which `r` is it that reaches length 1?",
                    ),
                ),
                "effective": (
                    2 * (1 - beta) / top,
                    T(
                        "你拿有效的步子 `η / (1 − β)` 去比 `2/λ`。那只在梯度不变的时候成立；在界限上，梯度一步一变号。",
                        "You held the effective step `η / (1 − β)` against `2/λ`. That holds while the gradient stays the same; at the "
                        "limit it changes sign at every step.",
                    ),
                ),
                "longer": (
                    2 / (1 - beta) / top,
                    T(
                        "你除以了 `1 − β`。它是梯度不变时速度的倍数；在界限上，梯度一步一变号。",
                        "You divided by `1 − β`, the factor of the velocity while the gradient stays the same; at the limit it changes "
                        "sign at every step.",
                    ),
                ),
                "trace": (
                    2 * (1 + beta) / np.trace(a),
                    T(
                        "你用了对角线的和，也就是所有特征值的和；只有最大的一个算数。",
                        "You used the sum of the diagonal, which is the sum of all eigenvalues; only the largest counts.",
                    ),
                ),
            },
        )
