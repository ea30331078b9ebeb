"""Checkers of lesson 00, start."""

import math
from collections.abc import Callable

from exercises.checks.framework import Run, T, exercise

POOL = "猫狗鱼鸟山水风雨花草春夏秋冬东西左右"


def some(run: Run, count: int) -> list[str]:
    """So many different characters."""
    return [POOL[i] for i in run.rng.permutation(len(POOL))[:count]]


@exercise(
    hint=T(
        zh="文字像一串珠子，`text[0]` 是第一颗。从后往前数，编号是负的，最后一颗是几号？",
        en="A text is like a string of beads, and `text[0]` is the first. Counted from the end the numbers are "
        "negative: which is the last one's?",
    )
)
def last_character(run: Run) -> None:
    """The last one, also when it is the only one, or a line break."""
    text = "".join(some(run, int(run.rng.integers(4, 9))))
    run.equal(
        run.call(text),
        text[-1],
        mistakes={
            "first": (
                text[0],
                T("这是第一个字；要的是最后一个。", "This is the first character; the last is asked for."),
            ),
            "second-last": (
                text[-2],
                T(
                    "这是倒数第二个字。从前往后数，编号从 0 开始；从后往前数，从 −1 开始。",
                    "This is the last but one. Numbers begin with 0 from the front, and with −1 from the back.",
                ),
            ),
            "whole": (
                text,
                T(
                    "你返回了整段文字；计数模型没有这么好的记性。",
                    "You returned the whole text; the counting model has no such memory.",
                ),
            ),
            "number": (
                lambda: len(text) - 1,
                T(
                    "这是最后一个字的编号；要的是那个字本身。",
                    "This is the number of the last character; the character itself is asked for.",
                ),
            ),
            "length": (
                len(text),
                T("这是字数；要的是最后一个字。", "This is the length; the last character is asked for."),
            ),
        },
    )
    run.equal(run.call(text[0]), text[0])
    broken = text + "\n"
    run.equal(
        run.call(broken),
        "\n",
        mistakes={
            "stripped": (
                text[-1],
                T(
                    "平常的文字对了；可是换行也是一个字，模型也要学会什么时候换行，别把它去掉。",
                    "Right for ordinary texts; but a line break is a character too, which a model must learn to write. "
                    "Do not strip it.",
                ),
            )
        },
    )


@exercise(
    hint=T(
        zh="看公式：一整句话的概率是一路上的概率乘起来。这里每一项都一样大，一共有几项？",
        en="See the formula: the probability of a text is the product along the way. Here all factors are equal; how "
        "many are there?",
    )
)
def sentence_chance(run: Run) -> None:
    """p to the power of the length."""
    p, length = float(run.rng.uniform(0.55, 0.95)), int(run.rng.integers(5, 25))
    run.equal(
        run.scalar(run.call(p, length)),
        p**length,
        mistakes={
            "times": (
                p * length,
                T(
                    "你把概率加了 `length` 次，结果大过 1，不再是概率。一个接一个都要对，概率是相乘的。",
                    "You added the probability `length` times, and the result is above 1, no probability any more. When one "
                    "thing after another has to be right, probabilities are multiplied.",
                ),
            ),
            "single": (p, T("这只是一个字写对的概率。", "This is the probability of one character only.")),
            "one-less": (
                p ** (length - 1),
                T(
                    "少乘了一次：第一个字也要写对。",
                    "One factor is missing: the first character has to be right as well.",
                ),
            ),
            "any": (
                1 - (1 - p) ** length,
                T(
                    "这是至少写对一个字的概率；要的是全都写对。",
                    "This is the probability of at least one right; all of them are to be right.",
                ),
            ),
            "all-wrong": (
                (1 - p) ** length,
                T("这是每个字都写错的概率。", "This is the probability that every character is wrong."),
            ),
            "some-wrong": (
                1 - p**length,
                T(
                    "这是至少写错一个字的概率，正好反了。",
                    "This is the probability of a mistake somewhere: just the reverse.",
                ),
            ),
            "loss": (
                -length * math.log(p),
                T(
                    "这是负的对数概率，也就是全句的惊讶；题目要概率本身。",
                    "This is the negative logarithm, the surprise of the whole; the probability itself is asked for.",
                ),
            ),
            "swapped": (
                float(length) ** p,
                T("底和指数写反了。", "Base and exponent have changed places."),
            ),
        },
    )


@exercise(
    hint=T(
        zh="`pairwise(text)` 给出所有相邻的两个字。只留下前一个是 `char` 的，用 `Counter` 数后一个，再看 `most_common(1)`。"
        "一个也没有的时候，先返回。",
        en="`pairwise(text)` gives all neighbours. Keep those whose first is `char`, count the second with `Counter`, "
        "and look at `most_common(1)`. When there are none, return before that.",
    )
)
def most_likely_next(run: Run) -> None:
    """The most frequent follower; the earliest of several; "" if there is none."""
    char, often, early, late, rare, before, other, common = some(run, 8)
    middle = [before + char + next_one for next_one in (often, often, early, late)]
    middle += [other + char + often, other + char + rare, *[common] * 12]
    parts = [before + char + early, *(middle[i] for i in run.rng.permutation(len(middle))), other + char + late]
    text = "".join(parts) + char  # the last character has no follower
    run.equal(
        run.call(text, char),
        often,
        mistakes={
            "before": (
                before,
                T(
                    "这是最常站在 `char` 前面的字；要的是后面的。",
                    "This is what most often stands before `char`; what follows it is asked for.",
                ),
            ),
            "overall": (
                common,
                T(
                    "这是全文最常见的字，不管前面是谁。只数跟在 `char` 后面的。",
                    "This is the most common character of the whole text, whatever stands before. Count only what follows "
                    "`char`.",
                ),
            ),
            "first": (
                early,
                T(
                    "这是第一个跟在后面的字，不是最常跟在后面的。",
                    "This is the first follower, not the most frequent one.",
                ),
            ),
            "last": (
                late,
                T(
                    "这是最后一个跟在后面的字：后来的把先来的盖掉了。要把次数攒起来。",
                    "This is the last follower: later ones have overwritten earlier ones. Let the counts add up.",
                ),
            ),
            "number": (
                3,
                T("这是次数；要的是那个字。", "This is how often; the character is asked for."),
            ),
            "pair": (
                (often, 3),
                T(
                    "`most_common` 给的是（字，次数）这样的一对；从里面取出字来。",
                    "`most_common` gives pairs of a character and its count; take the character out.",
                ),
            ),
            "list": (
                [(often, 3)],
                T(
                    "`most_common(1)` 给的是一个列表，里面有一对（字，次数）；从里面取出字来。",
                    "`most_common(1)` gives a list that holds one pair of character and count; take the character out.",
                ),
            ),
            "rarest": (
                rare,
                T("这是最少跟在后面的字。", "This is the rarest follower."),
            ),
        },
    )
    repeated = (char + char + often) * 3 + char + often
    run.equal(
        run.call(repeated, char),
        often,
        mistakes={
            "overlap": (
                char,
                T(
                    "同一个字连着出现时数漏了：`天天看` 里，“天”后面跟过“天”，也跟过“看”。每个位置都要看，一对和下一对共用一个字。",
                    "Pairs were missed where a character is doubled: in `天天看`, 天 is followed by 天 and also by 看. Look at "
                    "every position: one pair shares a character with the next.",
                ),
            )
        },
    )
    for one, two in ((often, early), (early, often)):
        run.equal(
            run.call(char + one + char + two + common, char),
            one,
            mistakes={
                "tie": (
                    two,
                    T(
                        "次数一样的时候，要取最先跟在后面的那个。",
                        "When several are equally frequent, take the one that followed first.",
                    ),
                )
            },
        )
    run.equal(
        run.call(common + early + char, char),
        "",
        mistakes={
            "unseen": (
                lambda: early,
                T(
                    "这个字后面从来没有字，应当返回空字符串。",
                    "Nothing ever follows this character: return the empty string.",
                ),
            )
        },
    )


@exercise(
    hint=T(
        zh="`end` 从 0 走到所有次数的总和，`u` 却只在 0 到 1 之间。让两边用同一把尺子。",
        en="`end` walks from 0 to the sum of all counts, while `u` lies between 0 and 1. Measure both with the same ruler.",
    )
)
def choose(run: Run) -> None:
    """The inverse of the cumulated shares, at a point inside every unit of the stretch; no zero count is drawn."""
    characters = "".join(some(run, 4))
    counts = [int(n) for n in run.rng.permutation([1, 2, 3, 5])]
    if counts[0] == 5:
        counts.reverse()
    total = sum(counts)
    points = [(k + 0.5) / total for k in range(total)]
    got = "".join(run.text(run.call(characters, counts, u)) for u in points)

    def drawn(function: Callable[[float], str]) -> str:
        return "".join(map(function, points))

    def walk(u: float, scale: float, order: int = 1) -> str:
        end = 0
        for char, n in list(zip(characters, counts, strict=True))[::order]:
            end += n
            if u * scale < end:
                return char
        return characters[::order][-1]

    def not_added(u: float) -> str:
        return next((c for c, n in zip(characters, counts, strict=True) if u < n / total), characters[-1])

    run.equal(
        got,
        drawn(lambda u: walk(u, total)),
        mistakes={
            "unnormalised": (
                lambda: drawn(lambda u: walk(u, 1)),
                T(
                    "不管 `u` 是多少，抽到的总是第一个字：第一段的长度是它的次数，已经有 1 那么长，`u` 却到不了 1。",
                    "Whatever `u` is, the first character is drawn: its stretch is as long as its count, 1 at least, and `u` never "
                    "gets to 1.",
                ),
            ),
            "argmax": (
                lambda: drawn(lambda u: characters[counts.index(max(counts))]),
                T(
                    "总是抽到最常见的字：这是贪心，不是抽签，`u` 没有用上。",
                    "The most frequent character is drawn every time: that is greedy and no sampling; `u` is not used.",
                ),
            ),
            "uniform": (
                lambda: drawn(lambda u: characters[int(u * 4)]),
                T(
                    "每个字占的段一样长，次数没有用上。",
                    "All stretches are equally long: the counts are not used.",
                ),
            ),
            "largest": (
                lambda: drawn(lambda u: walk(u, max(counts))),
                T(
                    "你用最大的次数去换算，后面的字永远抽不到。全部段接起来有多长？",
                    "You scaled by the largest count, and the later characters are never drawn. How long are all stretches "
                    "together?",
                ),
            ),
            "not-added": (
                lambda: drawn(not_added),
                T(
                    "你拿 `u` 和每个字自己的份额比。段是一段接一段排开的，要和到这里为止的总长比。",
                    "You compare `u` with each character's own share. The stretches lie end to end: compare with the length so "
                    "far.",
                ),
            ),
            "backwards": (
                lambda: drawn(lambda u: walk(u, total, -1)),
                T(
                    "份额对了，顺序反了：段要从第一个字开始排。",
                    "The shares are right and the order is turned round: lay the stretches out from the first character on.",
                ),
            ),
        },
    )
    run.equal(
        run.text(run.call(characters, [0, *counts[1:]], 0.0)),
        characters[1],
        mistakes={
            "zero": (
                characters[0],
                T(
                    "次数是 0 的字也被抽到了（`u` 正好是 0 的时候）：没见过的字没有段，点落在段尾要算下一段的。",
                    "A character with a count of 0 was drawn (when `u` is exactly 0): what was never seen has no stretch, and a "
                    "point on the end of one belongs to the next.",
                ),
            )
        },
    )


class Model:
    """A next_character that knows one continuation of one beginning and is puzzled by any other text."""

    def __init__(self, beginning: str, story: str) -> None:
        self.beginning, self.story, self.__name__ = beginning, story, "next_character"

    def __call__(self, text: str) -> str:
        said = text[len(self.beginning) :] if text.startswith(self.beginning) else None
        if said is not None and self.story.startswith(said) and len(said) < len(self.story):
            return self.story[len(said)]
        return "。" if len(text) > 60 else "一" if len(text) == 1 else "二"


def written(model: Model, limit: int, seen: Callable[[str, str], str]) -> str:
    """What a loop writes that shows the model seen(beginning, new) instead of all."""
    new = ""
    while len(new) < limit and not new.endswith("。"):
        new += model(seen(model.beginning, new))
    return model.beginning + new


@exercise(
    hint=T(
        zh="`for _ in range(limit)` 最多转 `limit` 圈。每一圈问一次模型，把全部文字交给它，把它的回答接在后面；"
        "刚接上的是“。”就跳出去。",
        en="`for _ in range(limit)` goes round at most `limit` times. Each time, show the model all the text, add its answer "
        "at the end, and leave the loop if what was just added is 。.",
    )
)
def write_until(run: Run) -> None:
    """Stops after the first new 。, keeps it, shows the model everything, counts new characters only."""
    a, b, *rest = some(run, int(run.rng.integers(8, 12)))
    beginning, story = f"{a}。{b}", "".join(rest) + "。"
    model, room = Model(beginning, story), len(story) + 4
    right = beginning + story
    run.equal(
        run.text(run.call(model, beginning, room)),
        right,
        mistakes={
            "stop-dropped": (
                right[:-1],
                T(
                    "句号没有留下来。先接上，再看要不要停。",
                    "The full stop is missing. Add first, then see whether to stop.",
                ),
            ),
            "only-new": (
                story,
                T("只有新写的字；开头也要返回。", "Only what is new; the beginning is to be returned as well."),
            ),
            "same-context": (
                written(model, room, lambda beginning, new: beginning),
                T(
                    "每次交给模型的都是同一个开头，它就每次都答同一个字。要把它刚写的也交给它。",
                    "The model sees the same beginning each time, and so it gives the same answer. Show it what it has just "
                    "written, too.",
                ),
            ),
            "last-only": (
                written(model, room, lambda beginning, new: (beginning + new)[-1]),
                T(
                    "你只给模型看最后一个字，它又成了计数模型。要把全部文字给它。",
                    "You show the model the last character only, which makes it a counting model again. Show it all the text.",
                ),
            ),
            "new-shown": (
                written(model, room, lambda beginning, new: new),
                T(
                    "你只给模型看新写的字，它不知道开头是什么。",
                    "You show the model only what is new; it does not know the beginning.",
                ),
            ),
            "old-stop": (
                beginning,
                T(
                    "开头里本来有句号，你就停了；只看新写的字。",
                    "There is a full stop in the beginning, and you stopped at that; look at new characters only.",
                ),
            ),
            "never-stops": (
                right + "二" * 4,
                T("写出了句号还在往下写。", "It goes on after the full stop."),
            ),
        },
    )
    long = "".join(rest) * 2
    model, limit = Model(beginning, long), len(rest) + 1
    right = beginning + long[:limit]
    run.equal(
        run.text(run.call(model, beginning, limit)),
        right,
        mistakes={
            "limit-with-beginning": (
                right[:limit],
                T(
                    "`limit` 只数新写的字，你把开头也数进去了。",
                    "`limit` counts new characters only; you counted the beginning as well.",
                ),
            ),
            "one-more": (
                beginning + long[: limit + 1],
                T("多写了一个字：最多写 `limit` 个。", "One character too many: at most `limit`."),
            ),
            "one-less": (
                right[:-1],
                T("少写了一个字：可以写 `limit` 个。", "One character too few: `limit` are allowed."),
            ),
            "no-limit": (
                lambda: written(model, 1000, lambda beginning, new: beginning + new),
                T(
                    "模型不写句号，你就一直写下去了：`limit` 没有用上。",
                    "The model writes no full stop, and you never ended: `limit` is not used.",
                ),
            ),
        },
    )
    run.equal(
        run.text(run.call(model, beginning, 0)),
        beginning,
        mistakes={
            "zero": (
                beginning + long[0],
                T(
                    "`limit` 是 0 的时候一个字也不该写：先看还能不能写，再写。",
                    "With a `limit` of 0 nothing is to be written: see whether you may before you write.",
                ),
            )
        },
    )
