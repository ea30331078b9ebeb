"""Checkers of lesson 11, training."""

import math

import numpy as np

from exercises.checks.framework import Run, T, exercise


@exercise(
    hint=T(
        zh="第一步改正之后，`m̂` 等于 `g`，`v̂` 等于 `g²`。`√v̂` 是什么？相除还剩下什么？",
        en="After correction the first step has `m̂` equal to `g` and `v̂` equal to `g²`. What is `√v̂`, and what is left of "
        "the quotient?",
    )
)
def first_stride(run: Run) -> None:
    """-lr sign(g), 0 where g is 0."""
    (n,) = run.sizes(1, low=4, high=8)
    g = run.rng.normal(size=n) * 10.0 ** run.rng.integers(-2, 3, size=n)
    g[0], g[1] = abs(g[0]), -abs(g[1])
    lr = float(run.rng.choice([0.3, 0.1, 0.02, 0.001]))
    got = run.array(run.call(g, lr), shape=g.shape)
    run.equal(
        got,
        -lr * np.sign(g),
        mistakes={
            "uphill": (
                lr * np.sign(g),
                T(
                    "步子的长短对了，方向反了：要逆着梯度走，损失才会变小。",
                    "The length is right, the direction is turned round: go against the gradient to make the loss smaller.",
                ),
            ),
            "sgd": (
                -lr * g,
                T(
                    "这是 SGD 的一步：梯度大的走得远。Adam 还要除以梯度平方的滑动平均的根。",
                    "This is a step of SGD, where large gradients go far. Adam also divides by the root of the running mean of "
                    "squared gradients.",
                ),
            ),
            "uncorrected": (
                -lr * np.sign(g) * 0.1 / math.sqrt(1 - 0.999),
                T(
                    "你没有做改正：`m` 偏小，`√v` 偏得更小，步子成了三倍多。",
                    "You made no correction: `m` is too small, `√v` smaller still, and the step more than three times too long.",
                ),
            ),
            "whole-norm": (
                -lr * g / np.linalg.norm(g),
                T(
                    "你除以了整个梯度的长度。Adam 是每个参数各除各的。",
                    "You divided by the length of the whole gradient. In Adam each parameter is divided by its own.",
                ),
            ),
            "no-rate": (
                -np.sign(g),
                T("方向对了，还没有乘学习率。", "The direction is right; the learning rate is missing."),
            ),
        },
    )
    g[2] = 0.0
    got = run.array(run.call(g, lr), shape=g.shape, finite=False)
    run.require(
        np.isfinite(got).all(),
        "zero",
        T(
            "梯度是 0 的参数得到了 nan：零除以零。它应当不动。",
            "A parameter whose gradient is 0 got nan, zero over zero. It should stay where it is.",
        ),
    )
    run.equal(got, -lr * np.sign(g))


@exercise(
    hint=T(
        zh="先算一整篇有多少比特，再换成奈特，最后分给这一篇的所有词元：字符，加上一个 `<eos>`。",
        en="First the bits of a whole story, then the same in nats, then share them among all tokens of the story: its "
        "characters and one `<eos>`.",
    )
)
def floor_in_nats(run: Run) -> None:
    """bits ln 2 n / (n + 1)."""
    bits, n = float(run.rng.uniform(0.3, 5.0)), float(run.rng.uniform(4, 60))
    right = bits * math.log(2) * n / (n + 1)
    run.equal(
        run.scalar(run.call(bits, n)),
        right,
        mistakes={
            "no-end": (
                bits * math.log(2),
                T(
                    "这是每个字符的奈特。词元比字符多：每篇还有一个 `<eos>`，总量不变，分的份数多一份。",
                    "These are nats a character. There are more tokens than characters: each story has one `<eos>`, and the "
                    "same total is shared by one more.",
                ),
            ),
            "divided": (
                bits / math.log(2) * n / (n + 1),
                T(
                    "比特和奈特换反了：一比特是 0.693 奈特，数应当变小。",
                    "Bits and nats the wrong way round: one bit is 0.693 nats, so the number gets smaller.",
                ),
            ),
            "bits": (
                bits * n / (n + 1),
                T("这还是比特；要奈特。", "These are still bits; nats are asked for."),
            ),
            "story": (
                bits * math.log(2) * n,
                T(
                    "这是一整篇的奈特；还要分给每个词元。",
                    "These are the nats of a whole story; share them among its tokens.",
                ),
            ),
            "end-above": (
                bits * math.log(2) * (n + 1) / n,
                T(
                    "`<eos>` 用反了：词元更多，每个词元分到的应当更少，不是更多。",
                    "The `<eos>` is used the wrong way: with more tokens, each gets less, not more.",
                ),
            ),
        },
    )


@exercise(
    hint=T(
        zh="先把所有数组的平方和加在一起再开方，得到一个长度；由它算出一个倍数（不大于 1），所有数组都乘它。",
        en="Add the squares of all arrays before taking one root: a single length. It gives a single factor, at most 1, for all "
        "arrays.",
    )
)
def clip_together(run: Run) -> None:
    """One factor for all; short ones stay; zeros stay."""
    rows, columns, n = run.sizes(3, low=2, high=6)
    gradients = [run.rng.normal(size=(rows, columns)), 3 * run.rng.normal(size=n), 0.2 * run.rng.normal(size=2)]
    each = [math.sqrt((g**2).sum()) for g in gradients]
    norm = math.hypot(*each)
    most = float(norm * run.rng.uniform(0.2, 0.6))

    def ask(given: list[np.ndarray], limit: float, finite: bool = True) -> np.ndarray:
        answer = run.sequence(run.call(given, limit), length=len(given))
        arrays = [run.array(a, shape=g.shape, finite=finite) for a, g in zip(answer, given, strict=True)]
        return np.concatenate([a.ravel() for a in arrays])

    def flat(arrays: list[np.ndarray]) -> np.ndarray:
        return np.concatenate([a.ravel() for a in arrays])

    whole = flat(gradients)
    run.equal(
        ask(gradients, most),
        whole * most / norm,
        rtol=1e-4,  # the 1e-6 that libraries put into the divisor is welcome
        mistakes={
            "each": (
                flat([g * most / size for g, size in zip(gradients, each, strict=True)]),
                T(
                    "每个数组都按自己的长度缩放，彼此的比例变了，整体的方向就歪了，总长度也超过了上限。要一个长度、一个倍数。",
                    "Each array is scaled by its own length; their proportions change, the direction of the whole turns, and "
                    "the joint length is above the limit. One length and one factor are wanted.",
                ),
            ),
            "each-min": (
                flat([g * min(1.0, most / size) for g, size in zip(gradients, each, strict=True)]),
                T(
                    "短的不放大了，可是每个数组还是按自己的长度缩放。要把它们看成一个长向量：一个长度、一个倍数。",
                    "Short ones are not made longer any more, but each array is still scaled by its own length. Take them as "
                    "one long vector: one length, one factor.",
                ),
            ),
            "entries": (
                np.clip(whole, -most, most),
                T(
                    "你把每个数截到上下限之间：方向变了。应当全部乘同一个倍数。",
                    "You cut each number off at a limit, and the direction turns. Multiply all of them by one factor.",
                ),
            ),
            "squared": (
                whole * most / norm**2,
                T(
                    "你除以了长度的平方：平方和还没有开方。",
                    "You divided by the square of the length: the root of the sum of squares is missing.",
                ),
            ),
            "sum-of-norms": (
                whole * most / sum(each),
                T(
                    "总长度不是各段长度之和：先把平方加起来，再开方。",
                    "The joint length is not the sum of the lengths: add the squares, then take the root.",
                ),
            ),
            "unit": (
                whole / norm,
                T(
                    "你把长度缩成了 1；上限是 `max_norm`。",
                    "You scaled to length 1; the limit is `max_norm`.",
                ),
            ),
        },
    )
    roomy = 3 * norm
    run.equal(
        ask(gradients, roomy),
        whole,
        mistakes={
            "lengthens": (
                whole * roomy / norm,
                T(
                    "梯度本来就比上限短，你却把它放大到了上限。短的应当原样不动。",
                    "The gradient was shorter than the limit and you made it as long as the limit. Short ones stay as they are.",
                ),
            )
        },
    )
    zeros = [np.zeros_like(g) for g in gradients]
    got = ask(zeros, most, finite=False)
    run.require(
        np.isfinite(got).all(),
        "zero",
        T(
            "梯度全是零的时候，除以零成了 nan。它们应当还是零。",
            "With gradients that are all zero you divide by zero and get nan. They should stay zero.",
        ),
    )
    run.equal(got, np.zeros_like(got))


@exercise(
    hint=T(
        zh="分两段写。后一段的进度在第 `warmup` 步是 0，在第 `steps - 1` 步是 1：分母是这两个步数之差。余弦乘的是 "
        "`peak - lowest`，最后再加上 `lowest`。",
        en="Two cases. In the second the progress is 0 at step `warmup` and 1 at step `steps - 1`, so the divisor is the "
        "difference of these two. The cosine multiplies `peak - lowest`, and `lowest` is added.",
    )
)
def warm_cosine(run: Run) -> None:
    """The whole schedule at once, as an array."""
    warmup = int(run.rng.integers(3, 9))
    steps = warmup + int(run.rng.integers(8, 20))
    peak = float(run.rng.uniform(0.5, 2.0))
    lowest = float(peak * run.rng.uniform(0.05, 0.3))
    t = np.arange(steps)

    def curve(climb: np.ndarray, progress: np.ndarray, least: float = lowest, shape: str = "cosine") -> np.ndarray:
        fall = 0.5 * (1 + np.cos(np.pi * progress)) if shape == "cosine" else 1 - progress
        return np.where(t < warmup, climb, least + (peak - least) * fall)

    climb, progress = peak * (t + 1) / (warmup + 1), (t - warmup) / (steps - 1 - warmup)
    got = np.array([run.scalar(run.call(int(step), steps, warmup, peak, lowest)) for step in t])
    run.equal(
        got,
        curve(climb, progress),
        mistakes={
            "from-zero": (
                curve(peak * t / warmup, progress),
                T(
                    "第 0 步的学习率是 0：第一个批次白读了。直线要从 `peak / (warmup + 1)` 开始。",
                    "At step 0 the learning rate is 0, and the first batch is read for nothing. The line begins with "
                    "`peak / (warmup + 1)`.",
                ),
            ),
            "peak-twice": (
                curve(peak * (t + 1) / warmup, progress),
                T(
                    "预热的最后一步就到了 `peak`，第 `warmup` 步又是 `peak`：早了一步。",
                    "The last step of the warm-up has reached `peak` already, and step `warmup` has it again: one step early.",
                ),
            ),
            "no-warmup": (
                lowest + (peak - lowest) * 0.5 * (1 + np.cos(np.pi * t / (steps - 1))),
                T("没有预热：一开始就是 `peak`。", "There is no warm-up: it begins at `peak`."),
            ),
            "never-arrives": (
                curve(climb, (t - warmup) / (steps - warmup)),
                T(
                    "最后一步没有走到 `lowest`：步数从 0 数起，最后一步是 `steps - 1`。",
                    "The last step does not arrive at `lowest`: steps count from 0, so the last is `steps - 1`.",
                ),
            ),
            "jumps": (
                curve(climb, t / (steps - 1)),
                T(
                    "余弦的进度从第 0 步算起，预热完了就往下跳一截。应当从第 `warmup` 步算起。",
                    "The cosine's progress counts from step 0, so that there is a jump after the warm-up. Count from step `warmup`.",
                ),
            ),
            "to-zero": (
                curve(climb, progress, least=0.0),
                T("最后降到了零，没有用上 `lowest`。", "It falls to zero; `lowest` is not used."),
            ),
            "line": (
                curve(climb, progress, shape="line"),
                T(
                    "两头都对，中间走的是直线；要半个余弦。",
                    "Right at both ends, a straight line between them; half a cosine is wanted.",
                ),
            ),
        },
    )


@exercise(
    hint=T(
        zh="衰减乘在旧的 `w` 上，不经过 `m` 和 `v`。`ε` 加在根号外面。返回的 `m`、`v` 不带改正，改正只用在这一步。",
        en="The decay multiplies the old `w` and passes through neither `m` nor `v`. `ε` is added outside the root. The `m` and "
        "`v` returned are uncorrected; the correction is for this step only.",
    )
)
def adamw_step(run: Run) -> None:
    """Against the formula, with large eps and decay so that each shows."""
    (n,) = run.sizes(1, low=3, high=7)
    w, g, m = run.rng.normal(size=(3, n))
    v = run.rng.uniform(0.2, 2.0, size=n)
    t = int(run.rng.integers(2, 6))
    lr, beta1, beta2, eps, decay = 0.1, 0.8, 0.9, 0.05, 0.5

    def step(gradient: np.ndarray = g, old: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        new_m = beta1 * m + (1 - beta1) * gradient
        new_v = beta2 * v + (1 - beta2) * gradient**2
        m_hat, v_hat = new_m / (1 - beta1**t), new_v / (1 - beta2**t)
        start = (1 - lr * decay) * w if old is None else old
        return start - lr * m_hat / (np.sqrt(v_hat) + eps), new_m, new_v

    right = step()
    answer = run.sequence(run.call(w, g, m, v, t, lr, beta1, beta2, eps, decay), length=3)
    names = ("w", "m", "v")
    got_w, got_m, got_v = (run.array(a, shape=(n,), name=k) for a, k in zip(answer, names, strict=True))
    new_w, new_m, new_v = right
    l2 = step(g + decay * w, w)
    m_hat, v_hat = new_m / (1 - beta1**t), new_v / (1 - beta2**t)
    run.equal(
        np.array([got_w, got_m, got_v]),
        np.array(right),
        mistakes={
            "l2": (
                np.array(l2),
                T(
                    "你把衰减加进了梯度，那是 L2：它也被 `√v` 除了。AdamW 的衰减直接乘在权重上。",
                    "You added the decay to the gradient, which is L2: it is divided by `√v`, too. In AdamW the decay "
                    "multiplies the weights themselves.",
                ),
            ),
            "uncorrected": (
                np.array([(1 - lr * decay) * w - lr * new_m / (np.sqrt(new_v) + eps), new_m, new_v]),
                T(
                    "没有改正起步的偏差：`m` 和 `v` 要各除以一个数。",
                    "The bias of the beginning is not corrected: divide `m` and `v` by a number each.",
                ),
            ),
            "one-corrected": (
                np.array([(1 - lr * decay) * w - lr * m_hat / (np.sqrt(new_v) + eps), new_m, new_v]),
                T("只改正了 `m`，`v` 也要。", "Only `m` is corrected; `v` needs it, too."),
            ),
            "returns-corrected": (
                np.array([new_w, m_hat, v_hat]),
                T(
                    "`w` 对了，可是返回的 `m`、`v` 是改正以后的：下一步再用，就改正了两回。",
                    "`w` is right, but the `m` and `v` returned are corrected ones: used in the next step, they would be "
                    "corrected twice.",
                ),
            ),
            "eps-inside": (
                np.array([(1 - lr * decay) * w - lr * m_hat / np.sqrt(v_hat + eps), new_m, new_v]),
                T("`ε` 放进了根号里面；应当加在根号外面。", "`ε` is inside the root; it is added outside."),
            ),
            "no-root": (
                np.array([(1 - lr * decay) * w - lr * m_hat / (v_hat + eps), new_m, new_v]),
                T("`v` 没有开方：它是平方的平均。", "The root of `v` is missing: it is a mean of squares."),
            ),
            "no-decay": (
                np.array(step(g, w)),
                T("没有权重衰减：这是 Adam。", "There is no weight decay: this is Adam."),
            ),
            "decay-without-rate": (
                np.array(step(g, (1 - decay) * w)),
                T(
                    "衰减没有乘学习率：每步乘的是 `1 - lr * decay`。",
                    "The decay is not multiplied by the learning rate: the factor of a step is `1 - lr * decay`.",
                ),
            ),
            "uphill": (
                np.array([(1 - lr * decay) * w + lr * m_hat / (np.sqrt(v_hat) + eps), new_m, new_v]),
                T("符号反了：要逆着梯度走。", "The sign is turned round: go against the gradient."),
            ),
        },
    )


@exercise(
    hint=T(
        zh="记两样东西：最好的那次的序号，和等了几次。只跟最好的比；一有更好的，等的次数归零；不然加一，满了就返回。",
        en="Keep two things: the index of the best, and how many have been waited. Compare with the best only; on a better one the "
        "count goes back to zero; else add one, and return when it is full.",
    )
)
def stop_early(run: Run) -> None:
    """Best so far, waiting that resets, ties, the end of the list."""
    level, scale = float(run.rng.uniform(2, 4)), float(run.rng.uniform(0.1, 0.3))

    def ask(shape: tuple[float, ...]) -> list[int]:
        losses = [level + scale * x for x in shape]
        return [int(i) for i in run.sequence(run.call(losses, 3), of=int, length=2)]

    run.equal(
        ask((5, 4, 6, 2, 5, 4, 3, 4.5, 5, 6, 1, 7)),
        [3, 6],
        mistakes={
            "kept-last": (
                [6, 6],
                T(
                    "你留下了停下来时的那一份；要留的是最好的那一份。",
                    "You kept what there was when you stopped; keep the best.",
                ),
            ),
            "never-stops": (
                [10, 11],
                T(
                    "你看完了全部损失，没有停。等满 `patience` 次，后面的就不会发生了。",
                    "You looked at all losses and never stopped. When `patience` have been waited, what follows never happens.",
                ),
            ),
            "saw-the-future": (
                [10, 6],
                T(
                    "停得对，可是留下的那一份在停下之后：那时训练已经不在了。",
                    "You stop in the right place, but what you keep lies beyond it, where there is no training any more.",
                ),
            ),
            "never-reset": (
                [3, 5],
                T(
                    "有了新的最好，等的次数没有归零：前面等过的也算进去了。",
                    "The waiting did not start anew at a new best: what had been waited before was counted, too.",
                ),
            ),
            "previous": (
                [6, 9],
                T("要和迄今最好的比，不是和前一个比。", "Compare with the best so far, not with the one before."),
            ),
            "late": (
                [3, 7],
                T("多等了一次：等满 `patience` 次就停。", "You waited once too often: stop when `patience` are full."),
            ),
            "from-one": (
                [4, 7],
                T("序号从 0 数起，你从 1 数了。", "Indices count from 0; you counted from 1."),
            ),
        },
    )
    run.equal(
        ask((3, 2, 2, 5, 5, 6)),
        [1, 4],
        mistakes={
            "tie": (
                [2, 5],
                T(
                    "和最好的正好相等，不算更好：不换，也不归零。",
                    "One that just equals the best is no better: keep the first, and do not start the waiting anew.",
                ),
            )
        },
    )
    run.equal(ask((5, 4, 3)), [2, 2])
