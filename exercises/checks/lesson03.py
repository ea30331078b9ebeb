"""Checkers of lesson 03, n-grams and hidden Markov models."""

import math
from collections import Counter
from itertools import pairwise

import numpy as np

from exercises.checks.framework import Run, T, exercise

COMMON = "的一是了我有上在小子们个来说这大到看他里天雨爷奶时地会就人那只车走家过年下"


def han(run: Run, count: int) -> list[str]:
    """So many different common Chinese characters."""
    return [char.item() for char in run.rng.permutation(list(COMMON))[:count]]


@exercise(
    hint=T(
        zh="四个字之间有三个空隙。每个空隙只有两种情形；空隙都定了，标签还有得选吗？",
        en="Between four characters there are three gaps. Each has just two states; once all gaps are settled, is there any choice of tags left?",
    )
)
def possible_taggings(run: Run) -> None:
    """Two to the number of gaps."""
    for n in (int(run.rng.integers(5, 13)), int(run.rng.integers(13, 40)), 3, 2, 1):
        run.equal(
            run.integer(run.call(n)),
            2 ** (n - 1),
            mistakes={
                "all": (
                    4**n,
                    T(
                        "这是所有的贴法；里面有 B 后面跟 S 之类拼不成词的。",
                        "These are all rows of tags; among them are some that spell no words, such as S after B.",
                    ),
                ),
                "one-end": (
                    2**n,
                    T(
                        "多了一倍：拿一个字试试，它只能是 S。是不是有一头没有管住？",
                        "Twice too many: try a single character, which can only be S. Is one of the two ends left free?",
                    ),
                ),
                "ends-free": (
                    2 ** (n + 1),
                    T(
                        "两头都没有管住：一句话不能以 M、E 开头，也不能以 B、M 结尾。",
                        "Both ends are left free: a sentence cannot start with M or E, nor stop after B or M.",
                    ),
                ),
                "length": (
                    n,
                    T(
                        "一、二的时候碰巧对。四个字的，全写下来数一数。",
                        "Right by chance for one and two. Write down all for four characters and count them.",
                    ),
                ),
                "one-border": (
                    n - 1,
                    T(
                        "你数的是空隙的个数；每个空隙都可以断，也可以不断，要看一共有几种组合。",
                        "You counted the gaps; each may be a border or not, and the combinations are asked for.",
                    ),
                ),
            },
        )


@exercise(
    hint=T(
        zh="分子是 `(a, b)` 这一对的次数加 k。分母要让所有的 b 加起来等于 1：词表里每一种 b 都拿了一个 k。`a` 在末尾的那一次后面没有字，不算。",
        en="Above the line stands the count of the pair `(a, b)`, plus k. Below it, whatever makes the sum over all b equal 1: every kind in "
        "the vocabulary got one k. An `a` at the very end has nothing after it and does not count.",
    )
)
def add_k_bigram(run: Run) -> None:
    """Context at the end, overlapping pairs, unseen pair and context, a vocabulary larger than the text's."""
    a, b, c, d, e = han(run, 5)
    text = (a + b + c) * int(run.rng.integers(2, 5)) + a * 3 + b + d + a + b + c + a
    k, size = float(run.rng.choice([0.1, 0.3, 0.7, 1.5])), int(run.rng.integers(8, 50))
    pairs = Counter(pairwise(text))
    for first, second in ((a, b), (a, a), (a, d), (b, c), (e, a)):
        n = pairs[first, second]
        context = sum(m for (x, _), m in pairs.items() if x == first)
        run.equal(
            run.scalar(run.call(text, first, second, k, size)),
            (n + k) / (context + k * size),
            mistakes={
                "last-counts": (
                    (n + k) / (text.count(first) + k * size),
                    T(
                        "`a` 在文字末尾的那一次也算进了分母；它后面没有字，概率加起来就不到 1。",
                        "The `a` at the end of the text is in your divisor; nothing follows it, and the probabilities sum to less than 1.",
                    ),
                ),
                "no-vocabulary": (
                    (n + k) / (context + k),
                    T(
                        "分母只加了一个 k；词表里每一种字都加了 k，所有的 b 加起来会超过 1。",
                        "Your divisor grew by a single k; every kind in the vocabulary got one, so your probabilities sum to more than 1.",
                    ),
                ),
                "one": (
                    (n + k) / (context + size),
                    T(
                        "分母加的是词表大小，不是 k 倍的词表大小。",
                        "The divisor grew by the size of the vocabulary, without the factor k.",
                    ),
                ),
                "kinds-in-text": (
                    (n + k) / (context + k * len(set(text))),
                    T(
                        "你数的是文字里有几种字；词表可能更大，没出现的也要分到一份。",
                        "You counted the kinds in the text; the vocabulary may be larger, and what does not occur gets a share too.",
                    ),
                ),
                "joint": (
                    (n + k) / (len(text) - 1 + k * size),
                    T(
                        "分母是全部的字对；这里问的是：已经知道上文是 `a`。",
                        "Your divisor counts all pairs; the question is what follows when the context is known to be `a`.",
                    ),
                ),
                "swapped": (
                    (pairs[second, first] + k) / (context + k * size),
                    T("次序反了：你数的是 `b` 后面跟 `a`。", "The order is reversed: you counted `a` after `b`."),
                ),
                "unsmoothed": (
                    lambda n=n, context=context: n / context,
                    T("没有加 k。", "No k was added."),
                ),
                "only-above": (
                    lambda n=n, k=k, context=context: (n + k) / context,
                    T("分子加了 k，分母没有加。", "You added k above the line and nothing below."),
                ),
                "no-overlap": (
                    (text.count(first + second) + k) / (context + k * size),
                    T(
                        "重叠的字对漏了：`str.count` 数完一处就跳过去，三个一样的字里其实有两对。",
                        "Overlapping pairs are missing: `str.count` jumps over each hit, but three equal characters hold two pairs.",
                    ),
                ),
            },
        )


@exercise(
    hint=T(
        zh="概率不要乘起来，把对数加起来，求平均，变号；用什么底取对数，就用什么底还原。0 没有对数，先单独看。",
        en="Do not multiply probabilities; add logarithms, take the mean, change the sign; undo the logarithm with the base that you took. "
        "0 has no logarithm: look for it first.",
    )
)
def perplexity(run: Run) -> None:
    """Mean, base, underflow, zero."""
    short = [float(p) for p in run.rng.uniform(0.03, 0.6, size=int(run.rng.integers(3, 7)))]
    long = [float(p) for p in run.rng.uniform(0.001, 0.02, size=3000)]
    zero = [*short, 0.0, *short]
    for p in (short, long, zero):
        positive = [x for x in p if x > 0]
        nats = [-math.log(x) for x in positive]
        mean = sum(nats) / len(nats)
        run.equal(
            run.scalar(run.call(p), finite=False),
            math.exp(mean) if len(positive) == len(p) else math.inf,
            mistakes={
                "base": (
                    2**mean,
                    T(
                        "对数用的是 e 作底，还原却用了 2。",
                        "The logarithm was to base e, and you undid it with base 2.",
                    ),
                ),
                "no-mean": (
                    lambda nats=nats: math.exp(sum(nats)),
                    T(
                        "没有求平均：文字越长，你的数越大。",
                        "There is no mean: the longer the text, the larger your figure.",
                    ),
                ),
                "mean-of-p": (
                    len(positive) / sum(positive),
                    T(
                        "你先把概率平均了；整段的概率是乘积，所以平均的该是对数。",
                        "You averaged probabilities; that of a text is a product, so it is logarithms that are averaged.",
                    ),
                ),
                "mean-of-inverse": (
                    sum(1 / x for x in positive) / len(positive),
                    T(
                        "你把 1/p 平均了；一个很小的概率就会盖过所有别的。该平均的是对数。",
                        "You averaged 1/p, where one tiny probability drowns all others. It is logarithms that are averaged.",
                    ),
                ),
                "cross-entropy": (
                    mean,
                    T(
                        "这是平均的惊讶，单位奈特；困惑度还要把它放到指数上去。",
                        "This is the mean surprise in nats; perplexity has it in the exponent.",
                    ),
                ),
                "skips-zero": (
                    math.exp(mean),
                    T(
                        "概率是零的那个被你跳过了；模型认定不可能的事发生了，困惑度就是无穷大。",
                        "You skipped the probability of zero; when what a model holds to be impossible happens, perplexity is infinite.",
                    ),
                ),
                "underflow": (
                    math.inf if len(positive) == len(p) else math.nan,
                    T(
                        "三千个概率乘起来，小得变成了零。别乘。",
                        "Three thousand probabilities multiplied become zero. Do not multiply.",
                    ),
                ),
            },
        )


def shares(counts: Counter, total: float) -> dict[str, float]:
    return {key: n / total for key, n in counts.items()}


@exercise(
    hint=T(
        zh="先把相邻的字对放进一个集合，重复的就只剩一个。然后只看每一对的第二个字，数一数。",
        en="Put the pairs of neighbours into a set first, so that repeated ones are there once. Then look only at the second character of each, and count.",
    )
)
def continuation_shares(run: Run) -> None:
    """Kinds and not times, before and not after, over kinds of pair; a text of one character has none."""
    letters = han(run, 8)
    begin, end, master, servant, *others = letters
    middle = [str(char) for char in run.rng.choice(others, size=30)]
    text = begin + "".join(middle) + (master + servant) * int(run.rng.integers(4, 9)) + end
    for sample in (text, text[:8], text[:1]):
        pairs = list(pairwise(sample))
        kinds = set(pairs)
        before = Counter(b for _, b in kinds)
        run.equal(
            run.mapping(run.call(sample)),
            shares(before, len(kinds)),
            mistakes={
                "times": (
                    shares(Counter(b for _, b in pairs), max(1, len(pairs))),
                    T(
                        "你数的是次数；重复的字对只算一种。",
                        "You counted occurrences; a pair that is repeated is one kind.",
                    ),
                ),
                "frequency": (
                    shares(Counter(sample), len(sample)),
                    T(
                        "这是字的频率，和前面是什么字没有关系。",
                        "This is the frequency of characters, whatever stands before them.",
                    ),
                ),
                "followers": (
                    shares(Counter(a for a, _ in kinds), max(1, len(kinds))),
                    T(
                        "你数的是后面有几种字；要数前面的。",
                        "You counted the kinds of character after it; those before it are asked for.",
                    ),
                ),
                "of-occurrences": (
                    shares(before, max(1, len(pairs))),
                    T(
                        "分子是种类，分母却是次数，加起来不到 1。",
                        "Kinds above the line and occurrences below it: they do not sum to 1.",
                    ),
                ),
                "of-characters": (
                    shares(before, len(set(sample))),
                    T(
                        "你除以了字的种数；要除以字对的种数，加起来才是 1。",
                        "You divided by the kinds of character; divide by the kinds of pair, and they sum to 1.",
                    ),
                ),
                "not-divided": (
                    {key: float(n) for key, n in before.items()},
                    T(
                        "还没有除：这是种数，不是概率。",
                        "Nothing is divided yet: these are numbers of kinds and no probabilities.",
                    ),
                ),
            },
        )


@exercise(
    hint=T(
        zh="数出 `a` 后面每个字的次数，放进一个 `Counter`。它的总和、它有几种、其中 `b` 的次数，三样都在里面。减去 d 的结果不能小于 0；λ 是 d 乘种数除以总和。",
        en="Count what follows `a` in a `Counter`: its total, its number of kinds and the count of `b` are all there. After taking d off, "
        "nothing may be below 0; λ is d times the kinds over the total.",
    )
)
def kneser_ney_bigram(run: Run) -> None:
    """Seen and unseen pairs, an unseen context, a character outside the text."""
    a, b, c, d, e, outside = han(run, 6)
    middle = "".join(str(char) for char in run.rng.choice([c, d, e], size=20))
    text = middle + (a + b) * int(run.rng.integers(3, 6)) + a + c + a + d + e + b + a + d + c + a
    discount = float(run.rng.uniform(0.3, 0.9))
    pairs = Counter(pairwise(text))
    kinds = len(pairs)
    for first, second in ((a, b), (a, e), (a, d), (b, d), (outside, a), (a, outside)):
        follow = {y: n for (x, y), n in pairs.items() if x == first}
        n, total = follow.get(second, 0), sum(follow.values())
        lower = sum(y == second for _, y in pairs) / kinds
        often = sum(m for (_, y), m in pairs.items() if y == second) / (len(text) - 1)
        weight = discount * len(follow) / total if total else 1.0
        taken = max(n - discount, 0) / total if total else 0.0
        times, types = text.count(first), len(follow)
        run.equal(
            run.scalar(run.call(text, first, second, discount)),
            taken + weight * lower,
            mistakes={
                "frequency-below": (
                    taken + weight * often,
                    T(
                        "低阶用了出现的次数；Kneser-Ney 在那里问的是前面有几种字。",
                        "Your lower order goes by occurrences; what Kneser-Ney asks there is how many kinds of character came before.",
                    ),
                ),
                "not-discounted": (
                    lambda n=n, total=total, weight=weight, lower=lower: n / total + weight * lower,
                    T(
                        "分出去了一份，却没有从次数里减掉，加起来超过 1。",
                        "You give a share away without taking it off the counts: the sum is above 1.",
                    ),
                ),
                "one-kind": (
                    lambda taken=taken, total=total, lower=lower, k=discount: taken + k / total * lower,
                    T(
                        "λ 里漏了种数：每一种都让出一个 d，合起来是 d 乘种数。",
                        "λ lacks the number of kinds: each kind gives up one d, and together that is d times the kinds.",
                    ),
                ),
                "lambda-is-d": (
                    taken + discount * lower,
                    T(
                        "λ 不是 d 本身：减掉的是次数，要除以总次数才是概率。",
                        "λ is not d itself: what was taken off are counts, and only divided by their total are they probability.",
                    ),
                ),
                "back-off": (
                    taken if n else weight * lower,
                    T(
                        "这是回退：见过的就不问低阶了。插值是不管见没见过，都加上低阶的那一份。",
                        "This is backing off: what was seen no longer asks the lower order. Interpolation adds that share either way.",
                    ),
                ),
                "negative": (
                    lambda n=n, total=total, weight=weight, lower=lower, k=discount: (n - k) / total + weight * lower,
                    T(
                        "没见过的字对，次数减成了负的。",
                        "For a pair never seen, the count has become negative.",
                    ),
                ),
                "last-counts": (
                    lambda n=n, times=times, k=discount, m=types, lower=lower: (
                        max(n - k, 0) / times + k * m / times * lower
                    ),
                    T(
                        "`a` 在末尾的那一次也算进了分母，它后面没有字。",
                        "The `a` at the end is in your divisor, and nothing follows it.",
                    ),
                ),
                "unseen-context": (
                    0.0 if not total else math.nan,
                    T(
                        "`a` 后面什么也没见过，你给了 0；这时全听低阶的。",
                        "Nothing was ever seen after `a`, and you answered 0; the lower order decides then.",
                    ),
                ),
            },
        )


def best_path(start, move, stop, emit):
    v = start + emit[0]
    for row in emit[1:]:
        v = (v[:, None] + move).max(axis=0) + row
    return float((v + stop).max())


def all_paths(start, move, stop, emit):
    """ln p, the maximum subtracted at each step."""
    with np.errstate(divide="ignore"):
        alpha = start + emit[0]
        for row in emit[1:]:
            top = alpha.max()
            if top == -math.inf:
                return -math.inf
            alpha = np.log(np.exp(alpha - top) @ np.exp(move)) + top + row
        alpha = alpha + stop
        top = alpha.max()
        return float(top + np.log(np.exp(alpha - top).sum())) if top > -math.inf else -math.inf


@exercise(
    hint=T(
        zh="和 Viterbi 一样一步步走，只是每个格子里不取最大，而取“对数的和”：先找出最大的，减掉它，取指数相加，取对数，再把它加回来。"
        "最大的也是 `-inf` 时，直接给 `-inf`。别忘了最后的 stop。",
        en="Walk step by step as Viterbi does, with a “sum in logarithms” for each place instead of the maximum: find the largest, subtract it, "
        "exponentiate and add, take the logarithm, and put it back. If even the largest is `-inf`, so is the sum. Do not forget stop.",
    )
)
def sentence_log_likelihood(run: Run) -> None:
    """Sum and not maximum, direction of moves, ends, thousands of characters, impossible sentences."""
    n = int(run.rng.integers(3, 5))

    def model(length: int, blocked: bool) -> tuple:
        leave = run.rng.dirichlet(np.ones(n + 1) * 0.7, size=n) + 0.01
        leave /= leave.sum(axis=1, keepdims=True)
        start = run.rng.dirichlet(np.ones(n))
        emit = run.rng.uniform(0.01, 0.3, size=(length, n))
        if blocked:
            leave[0, 0] = leave[1, 2] = start[1] = 0
        with np.errstate(divide="ignore"):
            return np.log(start), np.log(leave[:, :-1]), np.log(leave[:, -1]), np.log(emit)

    for start, move, stop, emit in (model(5, False), model(7, True), model(1, False), model(1200, False)):
        right = all_paths(start, move, stop, emit)
        run.equal(
            run.scalar(run.call(start, move, stop, emit), finite=False),
            right,
            mistakes={
                "best-path": (
                    best_path(start, move, stop, emit),
                    T(
                        "这是最好的一条路；所有的路都要加进来。",
                        "This is the best path alone; all of them are to be added.",
                    ),
                ),
                "no-stop": (
                    all_paths(start, move, np.zeros(n), emit),
                    T("句子停下来的概率没有算进去。", "The probability of stopping is missing."),
                ),
                "transposed": (
                    all_paths(start, move.T, stop, emit),
                    T(
                        "走的方向反了：`move` 的行是从哪里来，列是到哪里去。",
                        "The moves go the wrong way: a row of `move` is where one comes from, a column where one goes.",
                    ),
                ),
                "first-emission": (
                    all_paths(start - emit[0], move, stop, emit),
                    T("第一个字没有吐出来。", "The first character was never emitted."),
                ),
                "not-a-log": (
                    lambda right=right: math.exp(right),
                    T("你返回了概率；要的是它的对数。", "You returned the probability; its logarithm is asked for."),
                ),
                "underflow": (
                    -math.inf,
                    T(
                        "句子一长，你的概率就小成了零：取指数以前，先减去最大的。",
                        "With a long sentence your probability becomes zero: subtract the largest before you exponentiate.",
                    ),
                ),
            },
            rtol=1e-6,
        )
    start, move, stop, emit = model(4, True)
    emit[2] = -np.inf
    got = run.scalar(run.call(start, move, stop, emit), finite=False)
    run.require(
        not math.isnan(got),
        "minus-infinity",
        T(
            "没有一条路走得通时，你给的是 `nan`：`-inf` 减 `-inf` 没有答案。",
            "When no path is possible, you return `nan`: `-inf` minus `-inf` has no answer.",
        ),
    )
    run.equal(got, -math.inf)
