"""Checkers of lesson 15, evaluation."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np

from exercises.checks.compare import same
from exercises.checks.framework import Run, T, exercise


def apart(values: list[Any]) -> bool:
    """Whether no two of the values are the same."""
    return not any(same(a, b, 1e-9, 1e-9) for i, a in enumerate(values) for b in values[:i])


def drawn(run: Run, draw: Callable[[], Any], answers: Callable[..., list[Any]]) -> Any:
    """Data on which the right answer and all the wrong ones differ."""
    for _ in range(500):
        data = draw()
        if apart(answers(*data)):
            return data
    raise RuntimeError("no data tells the answers apart")


# ---------------------------------------------------------------------- 1


@exercise(
    hint=T(
        zh='答对的条数只能是 0 到 `examples` 的整数。把每个 `k / examples` 用 `f"{x:.{decimals}f}"` 印成同样多位的小数，'
        "看有没有一个正好等于 `printed`。",
        en="The number of right answers is a whole one from 0 to `examples`. Print each `k / examples` with as many decimals by "
        '`f"{x:.{decimals}f}"`, and see whether one of them is `printed`.',
    )
)
def possible_accuracy(run: Run) -> None:
    """Rounded as printed, as many decimals as printed, any number of examples."""
    n = int(run.rng.choice([3, 7, 11, 13]))
    k = int(run.rng.integers(1, n))

    def ask(printed: str, examples: int, right: bool, slug: str, message: T) -> None:
        got = bool(run.choice(run.call(printed, examples), [True, False, np.True_, np.False_]))
        run.require(got == right, slug, message)

    ask(
        f"{k / n:.4f}",
        n,
        True,
        "rounding",
        T(
            "印出来的数是四舍五入过的：2/3 印成 0.6667，乘回去不是整数，可它完全可能。",
            "What is printed has been rounded: 2/3 prints as 0.6667, and times 3 that is no whole number; still it can be.",
        ),
    )
    for examples in (3, 7, 11):
        ask(
            "0.5000",
            examples,
            False,
            "granularity",
            T(
                "条数是奇数，对一半是不可能的；你说可能。分数只能是 `k / examples`，不是 0 到 1 之间什么都行。",
                "Of an odd number no half can be right, and you say it can. A score is some `k / examples`, not anything from 0 to 1.",
            ),
        )
    ask(
        f"{k / 151 + 0.0012:.4f}",
        151,
        False,
        "digits",
        T(
            "最接近的 `k / examples` 印出来与它有一位不同，你却放过了：要每一位都一样，不是差不多就行。",
            "The nearest `k / examples` prints with another digit, and you let it pass: every digit must agree; close is not enough.",
        ),
    )
    ask(
        f"{2 / 3:.2f}",
        6,
        True,
        "decimals",
        T(
            "`printed` 有几位小数，就该按几位来比；这里只印了两位。",
            "Compare with as many decimals as `printed` has; here there are only two.",
        ),
    )
    ask(
        "1.0000",
        n,
        True,
        "ends",
        T(
            "全对也是可能的：`k` 要从 0 一直到 `examples`，两头都算。",
            "All right is possible: `k` runs from 0 to `examples`, both included.",
        ),
    )
    ask("1", n, True, "decimals", T("没有小数点的时候，小数位数是 0。", "Without a point there are 0 decimals."))


# ---------------------------------------------------------------------- 2


def f1_of_classes(matrix: np.ndarray) -> np.ndarray:
    return 2 * np.diag(matrix) / np.maximum(matrix.sum(axis=0) + matrix.sum(axis=1), 1)


def f1_of_means(matrix: np.ndarray) -> float:
    precision = np.mean(np.diag(matrix) / matrix.sum(axis=0))
    recall = np.mean(np.diag(matrix) / matrix.sum(axis=1))
    return float(2 * precision * recall / (precision + recall))


@exercise(
    hint=T(
        zh="每一类的 F1 是 `2 h / (s + t)`：对角线是 `h`，一列的和是 `s`，一行的和是 `t`。分母用 `np.maximum(…, 1)` 就不会是零。"
        "最后对所有类求平均。",
        en="The F1 of a class is `2 h / (s + t)`: `h` on the diagonal, `s` the sum of a column, `t` that of a row. With "
        "`np.maximum(…, 1)` no denominator is zero. Then average over all classes.",
    )
)
def macro_f1(run: Run) -> None:
    """The mean of the F1s; a class never said, or not there at all, counts 0."""
    classes = int(run.rng.integers(3, 6))
    matrix = run.rng.integers(1, 9, size=(classes, classes)) + np.diag(run.rng.integers(5, 40, size=classes))
    f1, weights = f1_of_classes(matrix), matrix.sum(axis=1)
    run.equal(
        run.scalar(run.call(matrix), finite=False),
        float(f1.mean()),
        mistakes={
            "f1-of-means": (
                f1_of_means(matrix),
                T(
                    "这是“平均的 F1”：你先平均了精确率和召回率。macro 要的是每类先算 F1，再平均。",
                    "This is the F1 of the means: you averaged precision and recall first. Macro has an F1 for each class, then the mean.",
                ),
            ),
            "micro": (
                float(np.trace(matrix) / matrix.sum()),
                T(
                    "这是准确率，也就是 micro：大类说了算。macro 里每类一票。",
                    "This is the accuracy, that is, micro, where large classes decide. In macro each class has one vote.",
                ),
            ),
            "weighted": (
                float(np.average(f1, weights=weights)),
                T(
                    "你按各类的大小加了权；macro 里每类一样重。",
                    "You weighted the classes by their size; in macro all weigh the same.",
                ),
            ),
            "precision": (
                float(np.mean(np.diag(matrix) / matrix.sum(axis=0))),
                T("这是精确率的平均，没有用到召回率。", "This is the mean precision; recall is missing."),
            ),
            "not-averaged": (
                float(f1.sum()),
                T("你把各类的 F1 加了起来，还没有除以类数。", "You added up the F1s; divide by the number of classes."),
            ),
        },
    )
    silent = matrix.copy()
    silent[:, 0] = 0  # class 0 is never said
    gone = silent.copy()
    gone[0] = 0  # nor is it there
    for each in (silent, gone):
        got = run.scalar(run.call(each), finite=False)
        run.require(
            np.isfinite(got),
            "empty-class",
            T(
                "有一类从没被说到，或者根本没有，这时你除以了零。",
                "Where a class is never said, or not there at all, you divide by zero.",
            ),
        )
        f1 = f1_of_classes(each)
        run.equal(
            got,
            float(f1.mean()),
            mistakes={
                "skipped": (
                    lambda f1=f1: float(f1[1:].mean()),
                    T(
                        "你把没被说到的那一类漏掉了；它的 F1 是 0，也要占一票，否则不理难的类反而得高分。",
                        "You left out the class that was never said; its F1 is 0 and has a vote, or ignoring hard classes would pay.",
                    ),
                ),
                "full-marks": (
                    lambda f1=f1: float((f1.sum() + 1) / len(f1)),
                    T("空的一类你算了满分；约定是 0。", "You gave an empty class full marks; by agreement it has 0."),
                ),
            },
        )


# ---------------------------------------------------------------------- 3


def grams(tokens: list[str], n: int) -> Counter:
    return Counter(tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1))


def precision_answers(translation: list[str], references: list[list[str]], n: int) -> list[Any]:
    """The right answer first, then wrong ones."""
    ours, theirs = grams(translation, n), [grams(reference, n) for reference in references]
    most, total = Counter(), Counter()
    for each in theirs:
        most, total = most | each, total + each
    count = max(ours.total(), 1)
    return [
        (ours & most).total() / count,
        sum(c for gram, c in ours.items() if gram in total) / count,
        (ours & total).total() / count,
        (ours & theirs[0]).total() / count,
        len(ours.keys() & most.keys()) / max(len(ours), 1),
        (ours & most).total() / max(most.total(), 1),
        precision_answers(translation, references, 1)[0] if n > 1 else None,  # right for n = 1
    ]


@exercise(
    hint=T(
        zh="给译文和每个参考各做一个 `Counter`，键是 n 元组。参考的几个 `Counter` 用 `|` 合并，取的正是较大的次数；再用 `&` 与译文的相交，取较小的。",
        en="Make a `Counter` of n-grams of the translation and of each reference. `|` joins the references' Counters by the larger "
        "counts, which is what is wanted; `&` then meets the translation's by the smaller.",
    )
)
def clipped_precision(run: Run) -> None:
    """Clipped by the reference with most; n of 1 to 3; too short a translation."""
    words = [str(w) for w in run.rng.permutation(["the", "cat", "sat", "on", "a", "mat", "is", "there"])[:4]]

    def sentence(low: int, high: int) -> list[str]:
        return [str(w) for w in run.rng.choice(words, size=int(run.rng.integers(low, high)), p=[0.5, 0.2, 0.2, 0.1])]

    for n in (1, 2):
        translation, references, _ = drawn(
            run,
            lambda n=n: (sentence(9, 13), [sentence(5, 8) for _ in range(2)], n),
            precision_answers,
        )
        right, *wrong = precision_answers(translation, references, n)
        messages = {
            "unclipped": T(
                "没有截断：译文里的一个 n 元组出现多少次，你就算多少次。参考里有几个，最多只能算几个。",
                "Not clipped: an n-gram counts as often as the translation has it. It may count only as often as a reference has it.",
            ),
            "sum-of-references": T(
                "你把几个参考的次数加在一起了；每个 n 元组只看含它最多的那一个参考。",
                "You added up the counts of the references; for each n-gram only the one reference with most of it counts.",
            ),
            "first-reference": T("你只看了第一个参考译文。", "You looked at the first reference only."),
            "kinds": T(
                "你数的是不同的 n 元组有几种；重复的也要数。",
                "You counted different n-grams; repeated ones count, too.",
            ),
            "recall": T(
                "分母是参考的 n 元组数，这是召回率；精确率要除以译文的 n 元组数。",
                "You divided by the n-grams of the references, a recall; for a precision divide by those of the translation.",
            ),
            "single-words": T("不管 `n` 是几，你都只比单个的词。", "Whatever `n` is, you compare single words."),
        }
        run.equal(
            run.scalar(run.call(translation, references, n)),
            right,
            mistakes={slug: (value, messages[slug]) for slug, value in zip(messages, wrong, strict=True)},
        )
    short = words[:2]
    got = run.scalar(run.call(short, [words], 3), finite=False)
    run.equal(got, 0.0)


# ---------------------------------------------------------------------- 4


def subsequence(a: str, b: str) -> int:
    row = [0] * (len(b) + 1)
    for x in a:
        before = 0
        for j, y in enumerate(b, start=1):
            before, row[j] = row[j], before + 1 if x == y else max(row[j], row[j - 1])
    return row[-1]


def substring(a: str, b: str) -> int:
    return max((j - i for i in range(len(a)) for j in range(i, len(a) + 1) if a[i:j] in b), default=0)


def rouge_answers(reference: str, written: str) -> list[float]:
    length = subsequence(reference, written)
    both = len(reference) + len(written)
    return [
        2 * length / both,
        2 * substring(reference, written) / both,
        2 * (Counter(reference) & Counter(written)).total() / both,
        length / len(reference),
        length / len(written),
        (length / len(reference) + length / len(written)) / 2,
    ]


@exercise(
    hint=T(
        zh="造一张 (参考长 + 1) × (写的长 + 1) 的表，全是 0。两个字相同，`表[i, j] = 表[i-1, j-1] + 1`；不同，取 `表[i-1, j]` 和 `表[i, j-1]` 的大者。"
        "右下角就是长度。F1 化简以后是 `2 × 长度 / (两边字数之和)`。",
        en="Make a table of zeros, (reference + 1) by (written + 1). For equal characters it is the entry diagonally above plus one; else "
        "the larger of above and left. The lower right corner is the length; F1 simplifies to 2 × length over both numbers of characters.",
    )
)
def rouge_l_f1(run: Run) -> None:
    """A subsequence, F1, empty sides, long texts."""
    letters = [str(c) for c in run.rng.permutation(list("我爱北京天安门上太阳升小雨雪花"))[:8]]

    def text(low: int, high: int) -> str:
        return "".join(run.rng.choice(letters, size=int(run.rng.integers(low, high))))

    reference, written = drawn(run, lambda: (text(6, 9), text(10, 14)), rouge_answers)
    right, *wrong = rouge_answers(reference, written)
    messages = {
        "contiguous": T(
            "这是最长的**连着的**一段；子序列中间可以隔着别的字，只要次序对。",
            "This is the longest run that stands **together**; a subsequence may have other characters between, in the same order.",
        ),
        "bag": T(
            "你只数了共有的字，没有管次序，那是 ROUGE-1。",
            "You counted characters in common whatever their order, which is ROUGE-1.",
        ),
        "recall": T("这是召回率；题目要 F1。", "This is the recall; F1 is asked for."),
        "precision": T("这是精确率；题目要 F1。", "This is the precision; F1 is asked for."),
        "arithmetic": T(
            "这是精确率和召回率的算术平均；F1 是调和平均。",
            "This is the arithmetic mean of precision and recall; F1 is the harmonic one.",
        ),
    }
    run.equal(
        run.scalar(run.call(reference, written)),
        right,
        mistakes={slug: (value, messages[slug]) for slug, value in zip(messages, wrong, strict=True)},
    )
    for pair in (("", written), (reference, ""), ("", "")):
        run.equal(run.scalar(run.call(*pair)), 0.0)
    long = text(60, 61), text(50, 51)
    run.equal(run.scalar(run.call(*long)), rouge_answers(*long)[0])


# ---------------------------------------------------------------------- 5


@exercise(
    hint=T(
        zh="先抽题号：`rng.integers(len(a), size=len(a))`，就是有放回的。用**同一组**题号取 `a` 和 `b`，各求平均，相减；重复 `resamples` 次，最后 `np.quantile(…, [0.025, 0.975])`。",
        en="Draw question numbers by `rng.integers(len(a), size=len(a))`, which is with replacement. Take `a` and `b` at the **same** "
        "numbers, average, subtract; do so `resamples` times, and end with `np.quantile(…, [0.025, 0.975])`.",
    )
)
def paired_interval(run: Run) -> None:
    """Same rows for both; with replacement; of means; 95%; the generator that is passed in."""

    def ask(a: np.ndarray, b: np.ndarray, seed: int, resamples: int = 2000) -> tuple[float, float]:
        value = run.call(a, b, np.random.default_rng(seed), resamples, may_change=True)
        low, high = run.sequence(value, of=float, length=2)
        return low, high

    seed = int(run.rng.integers(1 << 30))
    n = int(run.rng.integers(80, 120))
    b = run.rng.normal(size=n)
    low, high = ask(b + 0.25, b, seed)
    run.require(
        abs(low + 0.25) > 0.05,
        "sign",
        T("差的方向反了：是 `a` 减 `b`。", "The difference is the wrong way round: it is `a` less `b`."),
    )
    run.require(
        high - low < 1e-6,
        "unpaired",
        T(
            "每道题上 `a` 都正好比 `b` 高 0.25，差没有任何晃动，你的区间却有宽度：两个系统抽的不是同样的题。",
            "On every question `a` is above `b` by just 0.25 and the difference cannot waver, yet your interval has a width: the two "
            "systems were not given the same questions.",
        ),
    )
    run.equal(low, 0.25, atol=1e-9)
    a = b + run.rng.normal(size=n)
    low, high = ask(a, b, seed)
    width = (high - low) / (2 * 1.96 * (a - b).std() / np.sqrt(n))
    run.require(
        width > 0.05,
        "no-replacement",
        T(
            "区间没有宽度：你抽题没有放回，每次都是同样的 N 道题，只是换了次序，平均当然不变。",
            "The interval has no width: drawn without replacement it is the same N questions each time, in another order, of one mean.",
        ),
    )
    run.require(
        width < 2.5,
        "single-questions",
        T(
            "区间太宽：这是单道题的差散开的样子，不是**平均**差的。每次要抽 N 道题，先求平均。",
            "Too wide: this is how the differences of single questions scatter, not that of their **mean**. Draw N questions and average first.",
        ),
    )
    run.require(
        width > 0.9,
        "level",
        T(
            "区间偏窄：95% 是掐掉两头各 2.5%，不是各 5%。",
            "Too narrow: for 95% cut off 2.5% at either end, not 5%.",
        ),
    )
    run.require(
        width < 1.1,
        "different",
        T(
            "区间偏宽：应当是差的 2.5% 到 97.5% 分位数。",
            "Too wide: it should reach from the 2.5% to the 97.5% quantile of the difference.",
        ),
    )
    run.require(
        ask(a, b, seed) == (low, high) != ask(a, b, seed + 1),
        "own-randomness",
        T(
            "同样的 `rng` 没有给出同样的区间，或者不同的 `rng` 给出了同样的区间：随机数要从传进来的 `rng` 来。",
            "The same `rng` does not give the same interval, or another one does: draw from the `rng` that is passed in.",
        ),
    )


# ---------------------------------------------------------------------- 6


@exercise(
    hint=T(
        zh="先用 `split` 和 `join` 去掉每篇训练文字的空白，各自留着，不要连成一长串。测试文字也去掉空白，"
        "取出所有长 `min(n, 字数)` 的片段，看有没有一个 `in` 某一篇。",
        en="Take the white space out of each training text with `split` and `join`, and keep the texts apart. Do the same with a "
        "test text, take all its runs of `n` characters (of all, if it has fewer), and see whether one is `in` a training text.",
    )
)
def leaked(run: Run) -> None:
    """A run within one training text; white space; short texts; no false alarms."""
    letters = [str(c) for c in run.rng.permutation([chr(0x4E00 + i) for i in range(200)])]
    n = int(run.rng.integers(5, 8))

    def take(count: int) -> str:
        return "".join(letters.pop() for _ in range(count))

    first, second, other = take(20), take(20), take(20)
    train = [first, second, other]
    copied, near, fresh = second, take(3) + first[4 : 4 + n] + take(4), take(15)
    too_little = take(3) + first[2 : 1 + n] + take(4)  # n - 1 in a row
    run.equal(
        run.sequence(run.call([fresh, copied, too_little, near], train, n), of=int),
        [1, 3],
        mistakes={
            "identical": (
                [1],
                T(
                    "你只找到了一模一样的；改过几个字的抄本，只要还有 `n` 个字连着相同，也算。",
                    "You found only what is identical; a copy with changes counts, too, as long as `n` characters in a row agree.",
                ),
            ),
            "one-short": (
                [1, 2, 3],
                T(
                    "只有 `n - 1` 个字连着相同的，你也算了泄漏：数一数片段有多长。",
                    "You call a leak what has only `n - 1` characters in a row: see how long your runs are.",
                ),
            ),
            "texts": (
                [copied, near],
                T("要的是编号，不是文字本身。", "Indices are asked for, not the texts themselves."),
            ),
            "rest": ([0, 2], T("反了：你返回的是没有漏的。", "The other way round: these have not leaked.")),
        },
    )
    across = first[-3:] + second[: n - 3] + take(3)
    run.equal(
        run.sequence(run.call([across], train, n), of=int),
        [],
        mistakes={
            "joined": (
                [0],
                T(
                    "这条的片段一半在一篇的末尾，一半在下一篇的开头：你把训练文字连成了一串。各篇要分开看。",
                    "Half of that run ends one training text and half begins the next: you joined them into one. Keep them apart.",
                ),
            )
        },
    )
    spaced = other[:2] + " " + other[2:5] + "\n" + other[5 : n + 1]
    run.equal(
        run.sequence(run.call([spaced], train, n), of=int),
        [0],
        mistakes={
            "white-space": (
                [],
                T(
                    "多了一个空格、换了一行，你就认不出来了：先去掉空白再比。",
                    "A blank or a line break more, and you do not see it: take out white space before you compare.",
                ),
            )
        },
    )
    short_known, short_new = other[6 : 4 + n], take(n - 2)
    run.equal(
        run.sequence(run.call([short_new, short_known], train, n), of=int),
        [1],
        mistakes={
            "short": (
                [],
                T(
                    "不到 `n` 个字的测试文字，你一条也没有查：它整条在训练文字里，也是泄漏。",
                    "Test texts shorter than `n` you never find: one that stands in a training text as a whole has leaked, too.",
                ),
            ),
            "short-all": (
                [0, 1],
                T("不到 `n` 个字的，你全当成了泄漏。", "You call every text shorter than `n` a leak."),
            ),
        },
    )
