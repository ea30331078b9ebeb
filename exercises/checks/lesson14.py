"""Checkers of lesson 14, training on a GPU."""

from collections.abc import Callable

import numpy as np

from exercises.checks.framework import Run, T, exercise


@exercise(
    hint=T(
        zh="一个参数在训练时有四个数：它自己、它的梯度、Adam 的两个状态。每个数几个字节？切开以后，四样都切。",
        en="In training a parameter has four numbers: itself, its gradient, and Adam's two states. How many bytes each? "
        "When cut up, all four are.",
    )
)
def bytes_on_card(run: Run) -> None:
    """16 bytes a parameter, over the cards if cut."""
    parameters = int(run.rng.integers(10**6, 10**9))
    cards = int(run.rng.integers(3, 9))
    got = [run.scalar(run.call(parameters, cards, cut)) for cut in (False, True)]

    def answer(bytes_each: float, first: float = 1.0, second: float | None = None) -> list[float]:
        whole = float(bytes_each * parameters)
        return [whole * first, whole * (1 / cards if second is None else second)]

    run.equal(
        got,
        answer(16),
        mistakes={
            "weights-only": (
                answer(4),
                T(
                    "你只算了权重。训练还要梯度和优化器的状态。",
                    "You counted the weights only. Training also needs gradients and the optimiser's state.",
                ),
            ),
            "no-state": (
                answer(8),
                T(
                    "权重和梯度有了，优化器的状态还没有算。",
                    "Weights and gradients are there; the optimiser's state is not.",
                ),
            ),
            "one-state": (
                answer(12),
                T("Adam 的状态有两个，你只算了一个。", "Adam has two states; you counted one."),
            ),
            "always-cut": (
                answer(16, 1 / cards),
                T(
                    "不切的时候你也除以了卡数：DDP 的每张卡都有完整的一份。",
                    "You divided by the number of cards without cutting, too: with DDP each card holds a whole copy.",
                ),
            ),
            "never-cut": (
                answer(16, 1.0, 1.0),
                T("切开以后，每张卡应当只剩一份里的一块。", "Cut up, each card should hold only its part."),
            ),
            "state-only": (
                answer(16, 1.0, (8 + 8 / cards) / 16),
                T(
                    "你只切了优化器的状态；权重和梯度也切。",
                    "You cut the optimiser's state only; weights and gradients are cut, too.",
                ),
            ),
            "all-cards": (
                answer(16, float(cards), 1.0),
                T("这是所有卡加起来；要的是每一张。", "This is all cards together; each one is asked for."),
            ),
            "swapped": (
                answer(16, 1 / cards, 1.0),
                T("切和不切弄反了。", "Cutting and not cutting are the wrong way round."),
            ),
        },
    )


@exercise(
    hint=T(
        zh="一共有多少损失？一共有多少词元？这两个数各加各的，最后才除一次。",
        en="How much loss is there in all? How many tokens in all? Add up each by itself, and divide once, at the end.",
    )
)
def batch_loss(run: Run) -> None:
    """Sum over sum; empty micro-batches; nothing at all."""
    m = int(run.rng.integers(3, 7))
    counts = run.rng.permutation(np.arange(5, 40))[:m]
    sums = counts * run.rng.uniform(1, 6, size=m)
    each = sums / counts
    total = float(sums.sum() / counts.sum())
    means = (
        float(each.mean()),
        T(
            "这是平均的平均：词元少的小批和词元多的占了一样的份量。每个**词元**的份量才应当一样。",
            "This is the mean of means: a micro-batch of few tokens weighs as much as one of many. Each **token** should "
            "weigh the same.",
        ),
    )
    run.equal(
        run.scalar(run.call(sums, counts)),
        total,
        mistakes={
            "mean-of-means": means,
            "sum-of-means": (
                float(each.sum()),
                T(
                    "你把各批的平均加了起来：批次越多，损失越大。",
                    "You added up the means: the more micro-batches, the larger the loss.",
                ),
            ),
            "per-part": (
                float(sums.sum() / m),
                T(
                    "你除以了小批的个数；要除以词元的个数。",
                    "You divided by the number of micro-batches; divide by that of tokens.",
                ),
            ),
            "no-division": (
                float(sums.sum()),
                T("这是总和，还没有除。", "This is the sum; it is not divided yet."),
            ),
            "largest": (
                float(sums.sum() / (m * counts.max())),
                T(
                    "每批的词元数不一样，不能拿最多的那批当全部。",
                    "The numbers of tokens differ: do not take the largest for all.",
                ),
            ),
        },
    )
    counts[1], sums[1] = 0, 0.0
    got = run.scalar(run.call(sums, counts), finite=False)
    run.require(
        np.isfinite(got),
        "empty-part",
        T(
            "有一批一个词元也不算，你的结果成了 `nan`：别在每一批里做除法。",
            "One micro-batch has no token that counts, and your result is `nan`: do not divide within each.",
        ),
    )
    run.equal(got, float(sums.sum() / counts.sum()))
    got = run.scalar(run.call(np.zeros(m), np.zeros(m, dtype=int)), finite=False)
    run.require(
        np.isfinite(got),
        "nothing",
        T("全部都是空的时候应当返回 0，你的是零除以零。", "When all are empty, return 0; yours is zero over zero."),
    )
    run.equal(got, 0.0)


def upper(x: np.ndarray, added: object) -> np.ndarray:
    """The first 16 bits, after adding something to all 32."""
    bits = x.view(np.uint32).astype(np.uint64) + np.asarray(added, dtype=np.uint64)
    return (bits & np.uint64(0xFFFF0000)).astype(np.uint32).view(np.float32)


def equal_bits(run: Run, got: np.ndarray, right: np.ndarray, mistakes: dict[str, tuple[np.ndarray, T]]) -> None:
    """Every number is the right one, however small: in float64, where no tolerance is added."""
    wide = {slug: (value.astype(np.float64), message) for slug, (value, message) in mistakes.items()}
    run.equal(got.astype(np.float64), right.astype(np.float64), wide, rtol=0, atol=0)


def nearest(x: np.ndarray) -> np.ndarray:
    return upper(x, 0x7FFF + ((x.view(np.uint32) >> 16) & 1).astype(np.uint64))


def numbers(run: Run, n: int) -> np.ndarray:
    """Float32 of many sizes, without the ones that fp16 cannot hold."""
    return (run.rng.normal(size=n) * 10.0 ** run.rng.integers(-3, 4, size=n)).astype(np.float32)


@exercise(
    hint=T(
        zh="先想截断：后 16 位清零。要舍入，就在清零之前加上一个数，让过半的进位。加多少，正中间的才会跟着留下的末位走？",
        en="Think of cutting off first: set the last 16 bits to zero. To round, add a number before that, so that what is above "
        "the middle carries. How much, so that the middle itself follows the last bit that stays?",
    )
)
def to_bf16(run: Run) -> None:
    """Nearest, ties to even, both signs; then ties alone."""
    x = numbers(run, 12)
    x[0] = 3e38 * run.rng.uniform(0.5, 1)  # bf16 holds it, fp16 does not
    got = run.array(run.call(x), shape=x.shape, dtype=np.float32, finite=False)
    with np.errstate(over="ignore"):
        as_fp16 = x.astype(np.float16).astype(np.float32)
    cut = upper(x, 0)
    equal_bits(
        run,
        got,
        nearest(x),
        {
            "unchanged": (
                x,
                T("你原样返回了：后 16 位还在。", "You returned it as it was: the last 16 bits are still there."),
            ),
            "cut": (
                cut,
                T(
                    "你砍掉了后 16 位，总是往零那边走；要舍入到最近的。",
                    "You cut the last 16 bits off, always towards zero; round to the nearest.",
                ),
            ),
            "up": (
                upper(x, 0x10000),
                T("你总是进一位；要看哪边近。", "You always go up by one; see which side is nearer."),
            ),
            "fp16": (
                as_fp16,
                T(
                    "这是 fp16：尾数 10 位，大数溢出。bf16 的指数和 fp32 一样长。",
                    "This is fp16, with 10 bits of fraction, and large numbers overflow. bf16 has an exponent as long as fp32's.",
                ),
            ),
            "low-bits": (
                (x.view(np.uint32) & np.uint32(0x0000FFFF)).view(np.float32),
                T(
                    "你留下了后 16 位，丢了前 16 位：弄反了。",
                    "You kept the last 16 bits and dropped the first: the wrong way round.",
                ),
            ),
        },
    )
    ties = (numbers(run, 12).view(np.uint32) & np.uint32(0xFFFF0000) | np.uint32(0x8000)).view(np.float32)
    ties[0] = np.float32(1 + 2**-8)
    ties[1] = np.float32(1 + 3 * 2**-8)
    got = run.array(run.call(ties), shape=ties.shape, dtype=np.float32)
    equal_bits(
        run,
        got,
        nearest(ties),
        {
            "half-up": (
                upper(ties, 0x8000),
                T(
                    "正中间的数你都进了一位。应当取末位是 0 的那个：有时进，有时舍。",
                    "Numbers exactly in the middle all go up with you. Take the neighbour whose last bit is 0: sometimes up, "
                    "sometimes down.",
                ),
            ),
            "half-down": (
                upper(ties, 0x7FFF),
                T(
                    "正中间的数你都舍掉了。应当取末位是 0 的那个：有时进，有时舍。",
                    "Numbers exactly in the middle all go down with you. Take the neighbour whose last bit is 0: sometimes up, "
                    "sometimes down.",
                ),
            ),
            "to-odd": (
                upper(ties, 0x8000 - ((ties.view(np.uint32) >> 16) & 1).astype(np.uint64)),
                T(
                    "正中间的数取了末位是 1 的；应当取末位是 0 的。",
                    "From the middle you go to the odd neighbour; go to the even one.",
                ),
            ),
        },
    )


Rule = Callable[[float, int, bool], tuple[float, int]]


@exercise(
    hint=T(
        zh="三种情形，三个 `return`：溢出；好的一步，而且数满了；好的一步，还没有数满。哪几种情形要把计数归零？",
        en="Three cases, three `return`s: an overflow; a good step that fills the count; a good step that does not. In which of "
        "them does the count go back to zero?",
    )
)
def next_scale(run: Run) -> None:
    """A sequence of steps, each from what the function returned before."""
    wait = int(run.rng.integers(3, 6))
    start = float(2 ** run.rng.integers(10, 17))
    calm, near = [True] * (2 * wait + 1), [True] * (wait - 1)
    finite = [*calm, False, False, *near, False, True, *calm]

    def walk(step: Callable[..., object]) -> list[float]:
        scale, good, seen = start, 0, []
        for fine in finite:
            scale, good = step(scale, good, fine)  # type: ignore[misc]
            seen += [float(scale), float(good)]
        return seen

    def rule(
        up: float = 2.0,
        down: float = 0.5,
        patience: int = wait,
        forget: bool = True,
        restart: bool = True,
        after: int = 0,
    ) -> Rule:
        def step(scale: float, good: int, fine: bool) -> tuple[float, int]:
            if not fine:
                return scale * down, 0 if forget else good
            if good + 1 >= patience:
                return scale * up, after if restart else good + 1
            return scale, good + 1

        return step

    def asked(scale: float, good: int, fine: bool) -> tuple[float, int]:
        scale, good = run.sequence(run.call(scale, good, fine, wait), length=2)
        return run.scalar(scale, name="scale"), run.integer(good, name="good")

    run.equal(
        walk(asked),
        walk(rule()),
        mistakes={
            "every-step": (
                walk(rule(patience=1)),
                T("每好一步就加倍，没有等。", "It doubles after every good step; there is no waiting."),
            ),
            "late": (
                walk(rule(patience=wait + 1)),
                T("多等了一步：这一步也算好的一步。", "It waits one step too long: this step is a good one as well."),
            ),
            "never-restarts": (
                walk(rule(restart=False)),
                T(
                    "加倍以后没有重新数，于是步步加倍。",
                    "After doubling it does not count anew, and so doubles at every step.",
                ),
            ),
            "counts-the-doubling": (
                walk(rule(after=1)),
                T("加倍以后应当从 0 数起，你从 1 数起。", "After doubling count from 0; you count from 1."),
            ),
            "not-in-a-row": (
                walk(rule(forget=False)),
                T(
                    "溢出以后没有重新数：好的步子要**连着** `wait` 步。",
                    "After an overflow it does not count anew: there must be `wait` good steps **in a row**.",
                ),
            ),
            "stays": (
                walk(rule(down=1.0)),
                T(
                    "溢出以后缩放没有变小，下一步还会溢出。",
                    "After an overflow the scale stays, and the next step overflows again.",
                ),
            ),
            "wrong-way": (
                walk(rule(up=0.5, down=2.0)),
                T(
                    "方向反了：溢出要缩小，一直好才放大。",
                    "The wrong way round: smaller after an overflow, larger when all is well.",
                ),
            ),
            "never-grows": (
                walk(rule(up=1.0)),
                T(
                    "只会变小，从不加倍：梯度会慢慢丢光。",
                    "It only shrinks and never doubles: gradients get lost little by little.",
                ),
            ),
        },
    )


@exercise(
    hint=T(
        zh="先把所有卡的梯度平均成一个完整的，再切；权重照同样的办法切。一块一块对上，各走各的。",
        en="First the mean of all cards' gradients, as a whole, then cut it; cut the weights in the same way. Chunk by chunk, "
        "each takes its own step.",
    )
)
def sharded_step(run: Run) -> None:
    """array_split of w - lr mean(g)."""
    cards = int(run.rng.integers(2, 5))
    n = cards * int(run.rng.integers(2, 5)) + 1
    weights = run.rng.normal(size=n)
    gradients = [run.rng.normal(size=n) for _ in range(cards)]
    lr = float(run.rng.uniform(0.1, 0.9))
    split = np.array_split
    answer = run.sequence(run.call(weights, gradients, lr), length=cards)
    mean, total = sum(gradients) / cards, sum(gradients)
    right = split(weights - lr * mean, cards)
    whole = [np.asarray(part) for part in answer]
    run.require(
        not all(part.shape == (n,) for part in whole),
        "whole",
        T(
            "每张卡都返回了整个权重；它只管自己那一块，别的根本没有。",
            "Each card returns the whole weights; it looks after its own chunk and does not have the rest.",
        ),
    )
    got = [run.array(a, shape=b.shape, name=f"[{r}]") for r, (a, b) in enumerate(zip(answer, right, strict=True))]

    def joined(parts: list[np.ndarray]) -> np.ndarray:
        return np.concatenate(parts)

    own = [w - lr * split(g, cards)[r] for r, (w, g) in enumerate(zip(split(weights, cards), gradients, strict=True))]
    run.equal(
        joined(got),
        joined(right),
        mistakes={
            "own-gradient": (
                joined(own),
                T(
                    "每张卡只用了自己的梯度：别的卡读的批次白读了。",
                    "Each card uses its own gradient only: what the others read was read for nothing.",
                ),
            ),
            "sum": (
                weights - lr * total,
                T(
                    "梯度加起来了，还没有除以卡数。",
                    "The gradients are added up and not divided by the number of cards.",
                ),
            ),
            "uphill": (
                weights + lr * mean,
                T("方向反了：要减去梯度。", "The wrong direction: subtract the gradient."),
            ),
            "no-rate": (weights - mean, T("还没有乘学习率。", "The learning rate is missing.")),
            "first-card": (
                weights - lr * gradients[0],
                T("你只用了第一张卡的梯度。", "You used the first card's gradient only."),
            ),
            "unchanged": (weights, T("权重没有动：只切了，没有走。", "The weights have not moved: cut, but no step.")),
            "only-gradient": (
                mean,
                T(
                    "这是平均的梯度；要走一步以后的权重。",
                    "This is the mean gradient; the weights after a step are asked for.",
                ),
            ),
        },
    )


@exercise(
    hint=T(
        zh="把 32 位拆成前后两半，各用一个 `&`：后一半除以 2 的 16 次方就是 $t$，前一半是下面那个数。往上一格，是给前一半的末位加 1。`u` 是均匀的：它小于 $t$ 的可能性正好是 $t$。",
        en="Split the 32 bits into two halves, with one `&` each: the last half over 2 to the 16th is $t$, the first is the lower "
        "number. One gap up is to add 1 to the last bit of the first half. `u` is uniform: the chance that it is below $t$ is $t$.",
    )
)
def round_by_chance(run: Run) -> None:
    """Lower or upper neighbour by u < t; exact numbers stay."""
    n = 16
    t = np.tile([0.3, 0.3, 0.7, 0.7], 4) + run.rng.uniform(-0.1, 0.1, size=n)
    u = np.tile([0.1, 0.45, 0.55, 0.9], 4) + run.rng.uniform(-0.04, 0.04, size=n)
    last = (t * 2**16).astype(np.uint32)
    x = ((np.abs(numbers(run, n)).view(np.uint32) & np.uint32(0xFFFF0000)) | last).view(np.float32)
    t = last / 2**16
    lower, higher = upper(x, 0), upper(x, 0x10000)
    got = run.array(run.call(x, u), shape=x.shape, dtype=np.float32)
    equal_bits(
        run,
        got,
        np.where(u < t, higher, lower),
        {
            "nearest": (
                nearest(x),
                T("这是舍入到最近的，没有用上 `u`。", "This rounds to the nearest; `u` is not used."),
            ),
            "lower": (lower, T("总是取下面的：更新还是会丢。", "Always the lower one: updates still get lost.")),
            "upper": (higher, T("总是取上面的。", "Always the upper one.")),
            "turned": (
                np.where(u > t, higher, lower),
                T(
                    "比反了：离上面越近，应当越容易舍到上面。",
                    "Compared the wrong way round: the nearer to the upper one, the likelier it should go there.",
                ),
            ),
            "coin": (
                np.where(u < 0.5, higher, lower),
                T(
                    "你掷的是硬币，一半一半；可能性应当等于 $t$。",
                    "You toss a coin, half and half; the chance should be $t$.",
                ),
            ),
        },
    )
    exact = upper(x, 0)
    equal_bits(
        run,
        run.array(run.call(exact, np.zeros(n)), shape=x.shape, dtype=np.float32),
        exact,
        {
            "moves-exact": (
                upper(exact, 0x10000),
                T(
                    "`x` 本来就是 bf16 的数，$t = 0$，却被挪了一格：应当是 `u < t`，不含等于。",
                    "`x` is a number of bf16 already, $t = 0$, and yet it moved: it should be `u < t`, without the equal.",
                ),
            )
        },
    )
