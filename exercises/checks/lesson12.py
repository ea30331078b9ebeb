"""Checkers of lesson 12, generation."""

import math
from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np

from exercises.checks.framework import Run, T, exercise

NOT_DIVIDED = T(
    "剪对了，剩下的概率合起来还不是 1：还差一步，才能拿去抽签。",
    "Cut rightly, but what is left does not sum to 1: one step is missing before lots can be drawn from it.",
)


def softmax(z: np.ndarray) -> np.ndarray:
    e = np.exp(z - z.max())
    return e / e.sum()


@exercise(
    hint=T(
        zh="不用缓存，第一步算整个提示词，以后每一步多一个，全加起来。用缓存，每个位置只算一次：哪个词元从来没有喂进去过？",
        en="Without a cache the first step computes the whole prompt, and each later step one position more: add them all up. With "
        "one, every position is computed once: which token is never fed at all?",
    )
)
def positions_computed(run: Run) -> None:
    """T P + T (T - 1) / 2, and P + T - 1."""
    prompt, tokens = (int(n) for n in run.rng.permutation([5, 8, 13, 21, 34])[:2])
    without, cached = run.sequence(run.call(prompt, tokens), length=2)
    right = tokens * prompt + tokens * (tokens - 1) // 2
    run.equal(
        run.scalar(without, name="without a cache"),
        right,
        mistakes={
            "one-too-far": (
                right + tokens,
                T(
                    "每一步多算了一个：猜第一个新词元时，模型面前只有提示词。",
                    "One too many at every step: when the first new token is guessed, the model has only the prompt before it.",
                ),
            ),
            "last-fed": (
                right + prompt + tokens,
                T(
                    "多了一步：写出最后一个词元以后，不必再问模型。",
                    "One step too many: after the last token has been written, the model need not be asked again.",
                ),
            ),
            "no-prompt": (
                lambda: without if without in (tokens * (tokens - 1) // 2, tokens * (tokens + 1) // 2) else None,
                T(
                    "提示词没有算进去：不用缓存，每一步都要把它重算一遍。",
                    "The prompt is not counted: without a cache it is computed again at every step.",
                ),
            ),
            "prompt-once": (
                lambda: (
                    without
                    if without in (prompt + tokens * (tokens - 1) // 2, prompt + tokens * (tokens + 1) // 2)
                    else None
                ),
                T(
                    "提示词只算了一次：不用缓存，每一步都要把它重算一遍。",
                    "The prompt is counted once: without a cache it is computed again at every step.",
                ),
            ),
            "square": (
                lambda: without if without in ((prompt + tokens) ** 2, tokens**2) else None,
                T(
                    "平方不假，可这是每一步都算到最后那么长；开头的几步短得多。",
                    "A square it is; but yours takes every step to be as long as the last, and the first ones are shorter.",
                ),
            ),
            "linear": (
                lambda: without if without in (prompt + tokens, prompt + tokens - 1, tokens) else None,
                T(
                    "这是每个位置只算一次；不用缓存，旧的位置每一步都重算。",
                    "This computes each position once; without a cache the old ones are computed again at every step.",
                ),
            ),
        },
        name="without a cache",
    )
    run.equal(
        run.scalar(cached, name="with a cache"),
        prompt + tokens - 1,
        mistakes={
            "last-cached": (
                prompt + tokens,
                T(
                    "多了一个：最后写出的词元，它后面不再写什么，用不着喂给模型。",
                    "One too many: nothing is written after the last token, so it need not be fed to the model.",
                ),
            ),
            "prompt-free": (
                lambda: cached if cached in (tokens, tokens - 1) else None,
                T(
                    "提示词也要算一次，它的键和值才进得了缓存。",
                    "The prompt has to be computed once too, or its keys and values never get into the cache.",
                ),
            ),
            "no-saving": (
                right,
                T(
                    "和不用缓存一样多：缓存没有省下什么吗？",
                    "As many as without a cache: does the cache save nothing?",
                ),
            ),
        },
        name="with a cache",
    )


def keep(p: np.ndarray, chosen: Any) -> np.ndarray:
    """Only the chosen entries, not made to sum to one."""
    kept = np.zeros_like(p)
    kept[chosen] = p[chosen]
    return kept


@exercise(
    hint=T(
        zh="`searchsorted` 给出累加第一次够 `theta` 的位置，从 0 数；要留几个，比它多几？最后除以留下的总和。",
        en="`searchsorted` gives the place where the running sum first reaches `theta`, counted from 0; how many more than that stay? At "
        "the end divide by the sum of what is left.",
    )
)
def nucleus(run: Run) -> None:
    """The set that reaches theta; sums to one; the first alone where it is enough."""
    ranked = np.array([0.30, 0.24, 0.18, 0.12, 0.08, 0.05, 0.03]) * run.rng.uniform(0.96, 1.04, size=7)
    p = ranked[[6, 0, *run.rng.permutation([1, 2, 3, 4, 5])]] / ranked.sum()  # neither up nor down with the ids
    vocab = len(p)
    order = np.argsort(-p, kind="stable")
    total = np.cumsum(p[order])
    place = int(run.rng.integers(2, 5))  # so many stay, the last of them needed
    theta = float((total[place - 2] + total[place - 1]) / 2)
    shares = keep(p, order[:place])
    got = run.array(run.call(p, theta), shape=p.shape, finite=False)
    short, long = keep(p, order[: place - 1]), keep(p, order[: place + 1])
    ascending = np.cumsum(p[order[::-1]])
    run.equal(
        got,
        shares / shares.sum(),
        mistakes={
            "two-faults": (
                short,
                T(
                    "两处毛病都还在：少留了一个，留下的合起来又不是 1。",
                    "Both faults are there: one token too few stays, and what stays does not sum to 1.",
                ),
            ),
            "drops-last": (
                short / short.sum(),
                T(
                    "少留了一个：使总和够 `theta` 的那一个也要留下，否则留下的还不够。",
                    "One too few stays: the token with which the sum reaches `theta` belongs to the set, or the set falls short.",
                ),
            ),
            "not-divided": (shares, NOT_DIVIDED),
            "one-more": (
                lambda: next(kept for kept in (long, long / long.sum()) if np.allclose(kept, got)),
                T("多留了一个：已经够 `theta` 了就停。", "One too many stays: stop as soon as `theta` is reached."),
            ),
            "unsorted": (
                lambda: unsorted_nucleus(p, theta),
                T(
                    "你按词元的编号累加；应当从概率最大的开始。",
                    "You add up in the order of the ids; begin with the likeliest.",
                ),
            ),
            "least-likely": (
                lambda: next(
                    kept / kept.sum()
                    for kept in (keep(p, order[::-1][: np.searchsorted(ascending, theta) + extra]) for extra in (0, 1))
                    if np.allclose(kept / kept.sum(), got)
                ),
                T(
                    "你从概率最小的开始留；应当从最大的开始。",
                    "You keep the least likely first; begin with the likeliest.",
                ),
            ),
            "threshold": (
                lambda: keep(p, p >= theta) / max(keep(p, p >= theta).sum(), 1e-300),
                T(
                    "你留下的是自己的概率就够 `theta` 的；`theta` 说的是合起来。",
                    "You keep what has `theta` all by itself; `theta` is meant for the sum.",
                ),
            ),
        },
    )
    peaked = np.full(vocab, 0.1 / (vocab - 1))
    peaked[int(run.rng.integers(vocab))] = 0.9
    got = run.array(run.call(peaked, 0.5), shape=p.shape, finite=False)
    run.require(
        np.isfinite(got).all() and got.sum() > 0,
        "empty",
        T(
            "第一名一个人就够 `theta` 时，你一个也没有留下。",
            "Where the likeliest has `theta` by itself, you keep none at all.",
        ),
    )
    run.equal(got, (peaked == 0.9).astype(float))
    level = np.full(8, 1 / 8)
    run.equal(
        run.array(run.call(level, 0.5), shape=level.shape),
        np.repeat([0.25, 0.0], 4),
        mistakes={
            "ties": (
                np.repeat([0.0, 0.25], 4),
                T(
                    "概率相等时，你先留了后面的；应当先留前面的。",
                    "Of equal probabilities you keep the later ones first; keep the earlier.",
                ),
            ),
        },
    )


def unsorted_nucleus(p: np.ndarray, theta: float) -> np.ndarray:
    kept = keep(p, slice(0, int(np.searchsorted(np.cumsum(p), theta)) + 1))
    return kept / kept.sum()


@exercise(
    hint=T(
        zh="每个概率与最大的概率之比，只看两个分数之差，用不着总和。先减去最大的分数，再取指数。",
        en="The ratio of a probability to the largest depends on the difference of two scores only; no sum is needed. Subtract the largest "
        "score first, then exponentiate.",
    )
)
def min_p(run: Run) -> None:
    """p >= fraction · max p, made to sum to one; no overflow."""
    ranked = np.array([0.20, 0.18, 0.16, 0.14, 0.12, 0.08, 0.06, 0.04, 0.02]) * run.rng.uniform(0.98, 1.02, size=9)
    z = 3 + np.log(run.rng.permutation(ranked / ranked[0]))
    fraction = float((ranked[4] + ranked[5]) / 2 / ranked.max())  # five stay; none has as much by itself
    p = softmax(z)
    right = keep(p, p >= fraction * p.max())
    got = run.array(run.call(z, fraction), shape=z.shape, finite=False)
    run.require(
        np.isfinite(got).all() and got.sum() > 0,
        "absolute",
        T(
            "一个也没有留下：你是不是拿概率直接和 `fraction` 比？门槛要随第一名的高低走。",
            "None is left: do you compare probabilities with `fraction` itself? The bar has to move with the likeliest.",
        ),
    )
    run.equal(
        got,
        right / right.sum(),
        mistakes={
            "not-divided": (
                lambda: next(kept for kept in (right, right / p.max()) if np.allclose(kept, got)),
                NOT_DIVIDED,
            ),
            "scores": (
                lambda: keep(p, z >= fraction * z.max()) / keep(p, z >= fraction * z.max()).sum(),
                T(
                    "你比的是分数；要比的是概率。",
                    "You compare scores; it is probabilities that are to be compared.",
                ),
            ),
            "inverted": (
                lambda: keep(p, p < fraction * p.max()) / keep(p, p < fraction * p.max()).sum(),
                T("留反了：剪掉的是前几名。", "The wrong way round: the likeliest are cut off."),
            ),
            "top-p": (
                lambda: top_p(p, fraction),
                T(
                    "这是 top-p：它看总和；min-p 只和第一名比。",
                    "This is top-p, which looks at the sum; min-p compares with the likeliest only.",
                ),
            ),
            "first-only": (
                (p == p.max()).astype(float),
                T(
                    "只留下了第一名：够它的 `fraction` 倍就该留下。",
                    "Only the likeliest stays: whatever has `fraction` times as much should.",
                ),
            ),
            "uncut": (p, T("没有剪：这是原来的分布。", "Nothing is cut: this is the distribution as it was.")),
        },
    )
    got = run.array(run.call(z + 2000.0, fraction), shape=z.shape, finite=False)
    run.require(
        np.isfinite(got).all(),
        "overflow",
        T(
            "小分数对了；分数到了两千，指数就溢出。第 05 课在取指数之前先做了什么？",
            "Right for small scores; scores of two thousand overflow in the exponential. What did lesson 05 do before it?",
        ),
    )
    run.equal(got, right / right.sum(), atol=1e-8, rtol=1e-6)
    one = np.where(np.arange(len(z)) < 2, 1.0, -5.0)
    run.equal(
        run.array(run.call(one, 1.0), shape=z.shape),
        np.where(np.arange(len(z)) < 2, 0.5, 0.0),
        mistakes={
            "strict": (
                lambda: np.zeros_like(z),
                T("恰好够的也要留下。", "What just reaches the bar stays too."),
            ),
        },
    )


def top_p(p: np.ndarray, theta: float) -> np.ndarray:
    order = np.argsort(-p, kind="stable")
    kept = keep(p, order[: int(np.searchsorted(np.cumsum(p[order]), theta)) + 1])
    return kept / kept.sum()


def last_loop(text: str, times: int) -> int:
    for length in range(1, len(text) // times + 1):
        if text.endswith(text[-length:] * times):
            return length
    return 0


@exercise(
    hint=T(
        zh="从短到长，一个长度一个长度地试：取末尾这么长的一段，重复 `times` 遍，文字是不是以它结尾？Python 的字符串可以乘一个数。",
        en="Try the lengths from short to long: take a passage of that length from the end, repeat it `times` times, and ask whether the text "
        "ends with that. A string of Python can be multiplied by a number.",
    )
)
def loop_length(run: Run) -> None:
    """The shortest passage at the end, `times` times in a row; loops elsewhere do not count."""
    letters = [str(c) for c in run.rng.permutation(list("我爱北京天安门上太阳升小雨雪花"))]
    size, times = int(run.rng.choice([2, 5])), int(run.rng.integers(3, 5))
    passage, start, end = "".join(letters[:size]), "".join(letters[5:9]), "".join(letters[9:12])
    partial = passage[-1]  # a piece of the passage before it, no whole one
    circle = start + partial + passage * times

    def ask(text: str, number: int) -> int:
        return int(run.scalar(run.call(text, number)))

    got = ask(circle, times)
    run.require(
        got != size * times,
        "whole",
        T("这是整个圈的总长；要的是其中一遍的长度。", "This is all the rounds together; the length of one is wanted."),
    )
    run.require(
        got == size or got != times,
        "rounds",
        T("这像是遍数，不是一遍的长度。", "This looks like the number of rounds, not the length of one."),
    )
    run.require(
        got != 0,
        "misses",
        T(
            "文字的末尾在转圈，你答了 0：看看长度的范围，还有是不是从末尾数起。",
            "The text ends in a circle and you say 0: look at the range of lengths, and whether you count from the end.",
        ),
    )
    run.equal(got, size)
    exact = passage * times
    run.require(
        ask(exact, times) == size,
        "whole-text",
        T(
            "整段文字从头到尾都是圈时，你漏了它：最长可以是多长？",
            "A text that is nothing but the circle escapes you: how long can a passage be at most?",
        ),
    )
    run.require(
        ask(passage * times + end, times) == 0,
        "anywhere",
        T(
            "圈在中间，末尾已经出来了，应当答 0：只看文字的末尾。",
            "The circle is in the middle and the text has left it, so the answer is 0: look at the end only.",
        ),
    )
    run.require(
        ask(start + passage * (times - 1), times) == 0,
        "too-few",
        T(
            "只说了 `times - 1` 遍，还不够，应当答 0。",
            "Said `times - 1` times only, which is not enough: the answer is 0.",
        ),
    )
    run.require(
        ask(start + passage * (2 * times), times) == size,
        "longest",
        T(
            "同一个圈可以看成一遍，也可以看成两遍一起；要最短的。",
            "A circle can be seen as one passage or as two in one; the shortest is wanted.",
        ),
    )
    run.require(
        ask((passage + end[0]) * (times - 1) + passage, times) == 0,
        "not-in-a-row",
        T(
            "同一段话说了好几遍，可是没有连着，应当答 0。",
            "The same passage several times, but not in a row: the answer is 0.",
        ),
    )
    run.equal(ask("", times), 0)


@exercise(
    hint=T(
        zh="先把新的键和值接在后面（`np.vstack`），再用一个查询去看所有的键：分数有 S + 1 个。",
        en="First append the new key and value (`np.vstack`), then let the one query look at all keys: there are S + 1 scores.",
    )
)
def attend_next(run: Run) -> None:
    """softmax(keys q / √d) values, the new position among them; the cache grows at its end; an empty one."""
    count, d = run.sizes(2, low=3, high=7)
    q, k, v = 1.5 * run.rng.normal(size=(3, d))
    keys, values = 1.5 * run.rng.normal(size=(2, count, d))
    long_keys, long_values = np.vstack([keys, k]), np.vstack([values, v])
    out, new_keys, new_values = run.sequence(run.call(q, k, v, keys, values), length=3)
    for name, got, right, old, new, other in (
        ("keys", new_keys, long_keys, keys, k, v),
        ("values", new_values, long_values, values, v, k),
    ):
        run.require(
            np.shape(got) != old.shape or not np.allclose(got, old),
            "not-grown",
            T(
                "返回的缓存没有变长：下一步就看不见这个位置了。",
                "The cache that you return has not grown: the next step will not see this position.",
            ),
        )
        run.equal(
            run.array(got, shape=right.shape, name=name),
            right,
            mistakes={
                "front": (
                    np.vstack([new, old]),
                    T(
                        "新的接在了前面：缓存按位置的次序存，新的在最后。",
                        "The new one stands in front: the cache is in the order of positions, the newest last.",
                    ),
                ),
                "mixed-up": (
                    np.vstack([old, other]),
                    T(
                        "键和值接混了：键接在键后面，值接在值后面。",
                        "Keys and values are mixed up: a key goes to the keys, a value to the values.",
                    ),
                ),
            },
            name=name,
        )
    scores, root = long_keys @ q, math.sqrt(d)
    run.equal(
        run.array(out, shape=(d,), name="output"),
        softmax(scores / root) @ long_values,
        mistakes={
            "excludes-self": (
                softmax(keys @ q / root) @ values,
                T(
                    "新位置没有看自己：它自己的键和值也要算进去。",
                    "The new position does not see itself: its own key and value count too.",
                ),
            ),
            "no-scale": (
                softmax(scores) @ long_values,
                T("分数没有除以根号。", "The scores are not divided by the root."),
            ),
            "d-scale": (
                softmax(scores / d) @ long_values,
                T(
                    "分数除以了 d_k 本身；公式里是它的根号。",
                    "The scores are divided by d_k itself; the formula has its root.",
                ),
            ),
            "asks-with-key": (
                softmax(long_keys @ k / root) @ long_values,
                T("你拿键去问了；问的是查询。", "You ask with the key; it is the query that asks."),
            ),
            "averages-keys": (
                softmax(scores / root) @ long_keys,
                T("平均的是键；该平均的是值。", "You averaged the keys; average the values."),
            ),
            "no-softmax": (
                scores / root @ long_values,
                T("分数还没有变成份额就拿去平均了。", "The scores went into the mean before they were made shares."),
            ),
        },
        name="output",
    )
    empty = np.zeros((0, d))
    out, new_keys, new_values = run.sequence(run.call(q, k, v, empty, empty), length=3)
    run.equal(run.array(out, shape=(d,), name="output"), v, name="output of the first position")
    run.equal(run.array(new_keys, shape=(1, d), name="keys"), k[None], name="keys")
    run.equal(run.array(new_values, shape=(1, d), name="values"), v[None], name="values")


Path = tuple[float, list[int]]


def search(
    next_log_p: Callable[[list[int]], np.ndarray],
    width: int,
    longest: int,
    stop: int,
    *,
    score: str = "mean",
    ends: bool = True,
    per_path: bool = False,
    stop_first: bool = False,
    unfinished: bool = True,
) -> list[int]:
    """The right search, and by its options the wrong ones."""
    paths: list[Path] = [(0.0, [])]
    complete: list[Path] = []
    for step in range(longest):
        longer = [(total + float(lp), [*ids, t]) for total, ids in paths for t, lp in enumerate(next_log_p(ids))]
        if per_path:
            size = max(len(longer) // max(len(paths), 1), 1)
            longer = [max(longer[i : i + size]) for i in range(0, len(longer), size)] if step else longer
        best = sorted(longer, key=lambda path: -path[0])[:width]
        if ends:
            complete += [path for path in best if path[1][-1] == stop]
            best = [path for path in best if path[1][-1] != stop]
        paths = best
        if stop_first and complete:
            break
    pool = complete + (paths if unfinished or not complete else [])
    values = {
        "mean": lambda path: path[0] / len(path[1]),
        "sum": lambda path: path[0],
        "without-stop": lambda path: path[0] / max(len(path[1]) - (path[1][-1] == stop), 1),
        "worst": lambda path: -path[0] / len(path[1]),
    }
    return max(pool, key=values[score])[1]


WAYS: dict[str, tuple[dict[str, Any], T]] = {
    "total": (
        {"score": "sum"},
        T(
            "你按总分选了成品：每多一个词元总分就更低，短的总占便宜。",
            "You choose by the total: every further token lowers it, and the shorter always gains.",
        ),
    ),
    "never-ends": (
        {"ends": False},
        T(
            "写了 `stop` 还接着写：以它结尾的路已经完了，不该再接。",
            "It goes on after `stop`: a path that ends in it is complete and is not to be extended.",
        ),
    ),
    "first-stop": (
        {"stop_first": True},
        T(
            "一有成品你就停了：没写完的路也许更好，让它们继续。",
            "You end with the first complete text: paths still open may be better, let them go on.",
        ),
    ),
    "only-complete": (
        {"unfinished": False},
        T(
            "没写完的路你没有算进去：写满了 `longest` 还没停的，也是候选。",
            "You leave out the paths still open: one that has not ended after `longest` tokens is a candidate too.",
        ),
    ),
    "greedy": ({"width": 1}, T("`width` 没有用上：这是贪心。", "`width` is not in use: this is greedy.")),
    "all": (
        {"width": 10**6},
        T(
            "`width` 没有用上：这是穷举，一条路也没丢。",
            "`width` is not in use: this enumerates, no path is ever dropped.",
        ),
    ),
    "per-path": (
        {"per_path": True},
        T(
            "你给每条路只留了它自己最好的一个接法；应当所有的路、所有的接法放在一起比。",
            "You keep the best extension of each path by itself; all extensions of all paths compete together.",
        ),
    ),
    "stop-not-counted": (
        {"score": "without-stop"},
        T("算平均时没有把 `stop` 算作一个词元。", "In the mean `stop` is not counted as a token."),
    ),
    "worst": ({"score": "worst"}, T("选成了最差的一个。", "You choose the worst of all.")),
}


def tables(run: Run, vocab: int, longest: int) -> Callable[[list[int]], np.ndarray]:
    """Random log-probabilities after each beginning, peaked enough that beginnings mislead."""
    found: dict[tuple[int, ...], np.ndarray] = {}
    for length in range(longest):
        for ids in product(range(vocab), repeat=length):
            found[ids] = np.log(softmax(1.5 * run.rng.normal(size=vocab)))
    return lambda ids: found[tuple(ids)].copy()


@exercise(
    hint=T(
        zh="每一步三件事：接长所有没写完的路，排序留前 `width` 条，再把以 `stop` 结尾的挑出来另放。最后成品和没写完的一起比 `total / len(ids)`。",
        en="Three things at each step: extend all open paths, sort and keep the first `width`, then take out those that end in `stop`. At the "
        "end compare complete and open ones together by `total / len(ids)`.",
    )
)
def beam_until(run: Run) -> None:
    """Small random tables, so many that no two of the ways to go wrong give the same texts on all of them."""
    stop, longest = int(run.rng.integers(3)), 4
    together = [["right", *WAYS]]  # ways that no table has told apart yet
    chosen = []
    for _ in range(400):
        next_log_p, width = tables(run, 3, longest), int(run.rng.integers(2, 4))
        texts = {"right": search(next_log_p, width, longest, stop)}
        for slug, (options, _message) in WAYS.items():
            texts[slug] = search(next_log_p, **{"width": width, "longest": longest, "stop": stop, **options})
        split = [
            [slug for slug in group if texts[slug] == text] for group in together for text in distinct(group, texts)
        ]
        if len(split) > len(together):
            chosen.append((next_log_p, width, texts))
            together = split
        if len(together) > len(WAYS):
            break
    possible, wrong = list(WAYS), None
    for next_log_p, width, texts in chosen:
        got = [int(run.scalar(t)) for t in run.sequence(run.call(next_log_p, width, longest, stop))]
        possible = [slug for slug in possible if texts[slug] == got]
        if got != texts["right"]:
            wrong = wrong or (got, texts["right"])
    if wrong:
        for slug in possible:
            run.require(False, slug, WAYS[slug][1])
        run.equal(*wrong)


def distinct(group: list[str], texts: dict[str, list[int]]) -> list[list[int]]:
    """The different texts of a group of ways."""
    found: list[list[int]] = []
    for slug in group:
        if texts[slug] not in found:
            found.append(texts[slug])
    return found
