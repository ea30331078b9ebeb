"""Checkers of the capstone: text and batches."""

from collections import Counter

import numpy as np

from exercises.checks.framework import Run, T, exercise

TEXT = "春眠不觉晓处闻啼鸟夜来风雨声花落知多少白日依山尽黄河入海流"


@exercise(hint=T("`set` 去掉重复，`sorted` 排好次序。", "`set` drops repetitions, `sorted` puts things in order."))
def vocabulary(run: Run) -> None:
    """Distinct characters, sorted, as one string."""
    document = "".join(run.rng.choice(list(TEXT), size=40))
    run.equal(
        run.text(run.call(document)),
        "".join(sorted(set(document))),
        mistakes={
            "unsorted": (
                "".join(dict.fromkeys(document)),
                T("字是按出现的先后排的，没有排序。", "The characters stand in order of appearance, not sorted."),
            ),
            "repeated": (
                "".join(sorted(document)),
                T(
                    "同一个字出现了好几次：词表里一个字只占一个位置。",
                    "A character stands several times: it has one place only.",
                ),
            ),
            "by-frequency": (
                "".join(char for char, _ in Counter(document).most_common()),
                T(
                    "字是按次数排的；这里要按字本身的次序。",
                    "The characters are ordered by frequency; here by themselves.",
                ),
            ),
        },
    )


@exercise(
    hint=T(
        "先做一张从字到编号的字典，再逐字去查。", "Make a dictionary from character to number, then look each one up."
    )
)
def encode(run: Run) -> None:
    """Places in the vocabulary that was given."""
    known = "".join(run.rng.permutation(list(TEXT)))  # any order: the numbers follow the one that was passed in
    document = "".join(run.rng.choice(list(known[:20]), size=25))
    right = np.array([known.index(char) for char in document])
    alone = sorted(set(document))
    run.equal(
        run.array(run.call(document, known), shape=right.shape, dtype=np.int64),
        right,
        mistakes={
            "code-points": (
                np.array([ord(char) for char in document]),
                T(
                    "这是字的码点；要的是它在词表里的位置。",
                    "These are code points; wanted are places in the vocabulary.",
                ),
            ),
            "from-one": (right + 1, T("你从 1 数起，应当从 0 数起。", "You count from 1; counting starts at 0.")),
            "own-vocabulary": (
                np.array([alone.index(char) for char in document]),
                T(
                    "你用这段文字自己的字重新编了号，没有用传进来的词表：两段文字的编号就对不上了。",
                    "You number the characters of this very text afresh and ignore the vocabulary passed in: the numbers "
                    "of two texts would not agree.",
                ),
            ),
        },
    )


@exercise(
    hint=T(
        "`encode` 反过来：一个编号一个字，再连成一串。",
        "`encode` the other way round: a character a number, then joined.",
    )
)
def decode(run: Run) -> None:
    """The text again."""
    known = "".join(run.rng.permutation(list(TEXT)))
    ids = run.rng.integers(1, len(known), size=12)
    got = run.call(ids, known)
    run.equal(
        run.text(got),
        "".join(known[i] for i in ids),
        mistakes={
            "from-one": (
                "".join(known[i - 1] for i in ids),
                T("每个字都错前了一位：编号从 0 数起。", "Each character is the one before: numbers start at 0."),
            ),
            "spaced": (
                " ".join(known[i] for i in ids),
                T("字和字之间多了空格。", "There are spaces between the characters."),
            ),
            "code-points": (
                "".join(chr(i) for i in ids),
                T("你把编号当成了码点。", "You took the numbers for code points."),
            ),
            "backwards": ("".join(known[i] for i in ids[::-1]), T("文字倒过来了。", "The text runs backwards.")),
        },
    )


@exercise(
    hint=T(
        "N 个词元里，长为 context、后面还留着一个的窗口，一共有几个？起点取最后一个时，窗口停在哪里？",
        "Of N tokens, how many windows of length context leave one token behind them? Where does the last one end?",
    )
)
def batch(run: Run) -> None:
    """Windows, all of them possible, y one further; tokens are distinct so that places can be read off."""
    context, size = run.sizes(2, low=3, high=7)
    tokens = run.rng.permutation(np.arange(100, 100 + 5 * context))
    place = {int(token): i for i, token in enumerate(tokens)}
    x, y = run.sequence(run.call(tokens, context, size, np.random.default_rng(1)), length=2)
    x = run.array(x, shape=(size, context), name="x")
    y = run.array(y, shape=(size, context), name="y")
    starts = np.array([place.get(int(row[0]), -1) for row in x])
    windows = starts[:, None] + np.arange(context)
    inside = bool((starts >= 0).all() and windows.max() < len(tokens))
    run.require(
        inside and np.array_equal(tokens[windows], x),
        "no-window",
        T("x 的一行不是 tokens 里相连的一段。", "A row of x is no run of neighbours in tokens."),
    )
    run.equal(
        y,
        tokens[np.minimum(windows + 1, len(tokens) - 1)],
        mistakes={
            "same": (x, T("y 和 x 一样：模型要猜的是下一个。", "y is x itself: the model is to guess the next one.")),
            "rolled": (
                np.roll(x, -1, axis=1),
                T(
                    "y 的最后一个是这一行的第一个：你在窗口里绕了一圈。要的是文中真正的下一个。",
                    "The last of y is the first of its row: you went round inside the window. Take what really follows.",
                ),
            ),
            "two-ahead": (
                lambda: tokens[windows + 2],
                T("y 往后移了两位。", "y is moved on by two."),
            ),
        },
        name="y",
    )
    other, _ = run.sequence(run.call(tokens, context, size, np.random.default_rng(2)), length=2)
    run.require(
        not np.array_equal(x, other),
        "not-random",
        T(
            "换了 `rng`，窗口还是一样：起点要用它来抽。",
            "With another `rng` the windows are the same: draw their starts with it.",
        ),
    )
    short = tokens[: context + 2]  # two windows fit
    many = [run.sequence(run.call(short, context, 8, np.random.default_rng(i)), length=2)[0] for i in range(8)]
    run.require(
        any(int(row[0]) == int(tokens[1]) for x in many for row in np.asarray(x)),
        "last-window",
        T("最后一个放得下的窗口永远抽不到。", "The last window that fits is never drawn."),
    )
