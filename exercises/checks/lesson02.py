"""Checkers of lesson 02, tokenizers."""

import math
import re
from collections import Counter
from itertools import pairwise

from exercises.checks.framework import Run, T, exercise

COMMON = "的一是了我有上在小子们个来说这大到看他里天雨爷奶时地会就人那只车走家过年下"


def han(run: Run, count: int) -> list[str]:
    """So many different common Chinese characters."""
    return [char.item() for char in run.rng.permutation(list(COMMON))[:count]]


@exercise(
    hint=T(
        zh="先做学得最早的：两个两个地粘，剩几个单的？再把粘好的两个两个地粘，又剩几个？三种长短的各有几个，加起来。",
        en="Do the merge learnt first: glue two and two, and how many single ones are left? Then glue the glued ones two and two, "
        "and how many are left again? Count the tokens of all three lengths, and add.",
    )
)
def laughing_tokens(run: Run) -> None:
    """Fours, at most one two, at most one single."""
    for n in (8 * int(run.rng.integers(3, 9)) + 7, 7, 3, 0, 1, 2, 4):
        run.equal(
            run.integer(run.call(n)),
            n // 4 + n % 4 // 2 + n % 2,
            mistakes={
                "bytes": (
                    3 * n,
                    T(
                        "你数的是字节；这个分词器从字做起，还学过两次合并。",
                        "You counted bytes; this tokenizer starts from characters, and has learnt two merges.",
                    ),
                ),
                "characters": (
                    n,
                    T("一次也没有合并。", "Nothing has been merged."),
                ),
                "first-merge": (
                    n // 2 + n % 2,
                    T(
                        "你只做了第一次合并；粘好的“哈哈”还可以两个两个地粘。",
                        "You did the first merge only; the 哈哈 that it made can be glued two and two as well.",
                    ),
                ),
                "rest-single": (
                    n // 4 + n % 4,
                    T(
                        "四个一组以后，剩下的你都当成单个的了；剩两个或三个时，里面还有一个“哈哈”。",
                        "After the groups of four you left the rest single; if two or three are left, there is a 哈哈 among them.",
                    ),
                ),
                "rounded-up": (
                    -(-n // 4),
                    T(
                        "你除以四，再往上取整，好像剩下的总能合成一个；三个“哈”能合成一个词元吗？",
                        "You divided by four and rounded up, as if the rest always made one token; can three 哈 become one?",
                    ),
                ),
                "rounded-down": (
                    n // 4,
                    T(
                        "除不尽的那几个不见了：编码一个字也不会丢。",
                        "Those left over by the division are gone: encoding never loses a character.",
                    ),
                ),
            },
        )


@exercise(
    hint=T(
        zh="两层循环：外层走过每一段和它的次数，内层走过这一段里相邻的两个。每遇到一对，加上这一段的次数。"
        "`itertools.pairwise` 给出相邻的两个，重叠的也给。",
        en="Two loops: the outer one over the chunks with their counts, the inner one over neighbours in the chunk. For each pair add "
        "the count of its chunk. `itertools.pairwise` gives neighbours, overlapping ones too.",
    )
)
def weighted_pairs(run: Run) -> None:
    """Weights, borders, overlaps, order; numbers and strings as tokens."""
    a, b, c, d = han(run, 4)
    n1, n2, n3, n4 = (int(n) for n in run.rng.permutation([2, 3, 5, 9]))
    text = {(a, b, c): n1, (b, a, a, a): n2, (d,): n3, (c, a, b, a, b): n4}
    x = int(run.rng.integers(6, 200))
    for chunks in (text, {(x, x, x, x): n1, (x, x + 1): n2}, {(a,): 4}):
        right: Counter[tuple] = Counter()
        unweighted: Counter[tuple] = Counter()
        single: Counter[tuple] = Counter()
        apart: Counter[tuple] = Counter()
        unordered: Counter[tuple] = Counter()
        for chunk, times in chunks.items():
            for pair in pairwise(chunk):
                right[pair] += times
                unweighted[pair] += 1
                unordered[tuple(sorted(pair))] += times
            for pair in set(pairwise(chunk)):
                single[pair] += times
            for pair, count in without_overlap(chunk).items():
                apart[pair] += count * times
        run.equal(
            run.mapping(run.call(chunks)),
            dict(right),
            mistakes={
                "unweighted": (
                    dict(unweighted),
                    T(
                        "每一段你只算了一次；它在语料里出现几次，它的对子就要算几次。",
                        "You counted each chunk once; its pairs count as often as the chunk occurs in the corpus.",
                    ),
                ),
                "border": (
                    lambda chunks=chunks: across(chunks),
                    T(
                        "你数了跨过边界的对子：上一段的末尾和下一段的开头不是邻居。",
                        "You counted pairs across borders: the end of one chunk and the beginning of the next are no neighbours.",
                    ),
                ),
                "once-a-chunk": (
                    dict(single),
                    T(
                        "同一段里重复的对子，你只算了一次；每个出现的地方都要算。",
                        "A pair that comes twice in a chunk counted once; every place counts.",
                    ),
                ),
                "overlap": (
                    dict(apart),
                    T(
                        "重叠的对子你跳过去了：三个同样的词元里有两对。",
                        "You jumped over overlapping pairs: three equal tokens hold two.",
                    ),
                ),
                "unordered": (
                    dict(unordered),
                    T(
                        "“ab”和“ba”你算成了一对；次序不同，就是不同的对子。",
                        "You took ab and ba for one pair; in another order it is another pair.",
                    ),
                ),
                "tokens": (
                    lambda chunks=chunks: singles(chunks),
                    T(
                        "你数的是单个的词元；要数相邻的两个。",
                        "You counted single tokens; pairs of neighbours are asked for.",
                    ),
                ),
            },
        )


def without_overlap(chunk: tuple) -> Counter[tuple]:
    """Pairs as str.count counts: of aaa one."""
    counts: Counter[tuple] = Counter()
    for pair in set(pairwise(chunk)):
        i = 0
        while i < len(chunk) - 1:
            hit = chunk[i : i + 2] == pair
            counts[pair] += hit
            i += 1 + hit
    return counts


def across(chunks: dict[tuple, int]) -> dict[tuple, int]:
    """The pairs of all chunks in a row, each repeated as often as it occurs."""
    row = [token for chunk, times in chunks.items() for token in chunk * times]
    return dict(Counter(pairwise(row)))


def singles(chunks: dict[tuple, int]) -> dict:
    counts: Counter = Counter()
    for chunk, times in chunks.items():
        for token in chunk:
            counts[token] += times
    return dict(counts)


def merged(tokens: list[int], pair: tuple[int, int], new: int) -> list[int]:
    out, i = [], 0
    while i < len(tokens):
        hit = tuple(tokens[i : i + 2]) == pair
        out.append(new if hit else tokens[i])
        i += 1 + hit
    return out


def again(tokens: list[int], pair: tuple[int, int], new: int) -> list[int]:
    """Looks back at what it has just made: new may be merged once more."""
    out: list[int] = []
    for token in tokens:
        if out and (out[-1], token) == pair:
            out[-1] = new
        else:
            out.append(token)
    return out


def overlapping(tokens: list[int], pair: tuple[int, int], new: int) -> list[int]:
    """A new for each place of the pair, overlapping or not."""
    hits = [two == pair for two in pairwise(tokens)]
    starts, used = [*hits, False], [False, *hits]
    kept = zip(tokens, starts, used, strict=False)  # of an empty list nothing
    return [new if start else token for token, start, taken in kept if start or not taken]


@exercise(
    hint=T(
        zh="用一个位置 `i` 走过列表。从 `i` 起的两个正是 `pair`，就放一个 `new`，`i` 走两步；不是，就照抄一个，走一步。"
        "最后剩下的一个别忘了。",
        en="Walk through the list with a place `i`. If the two tokens from `i` on are the `pair`, put one `new` and go two steps; if "
        "not, copy one token and go one step. Do not forget the last one.",
    )
)
def merge_pair(run: Run) -> None:
    """All places, from the left, overlaps once, nothing merged again."""
    a, b, c, new = (int(n) for n in run.rng.permutation(range(6, 60))[:4])
    cases = [
        ([c, a, b, c, a, b, a, c, b], (a, b), new),
        ([a, a, a, b, a, a, c], (a, a), new),
        ([b, a, c], (a, b), new),
        ([a, b, b, c], (a, b), a),  # new equals the left half: (a, b) must not swallow a second b
        ([a], (a, b), new),
        ([], (a, b), new),
    ]
    for tokens, pair, made in cases:
        first = next((i for i, two in enumerate(pairwise(tokens)) if two == pair), len(tokens))
        run.equal(
            run.sequence(run.call(tokens, pair, made)),
            merged(tokens, pair, made),
            mistakes={
                "first-only": (
                    [*tokens[:first], made, *tokens[first + 2 :]],
                    T(
                        "只合了第一处；每一处都要合。",
                        "Only the first place was merged; merge every one.",
                    ),
                ),
                "overlap": (
                    overlapping(tokens, pair, made),
                    T(
                        "重叠的地方，同一个词元用了两次：它已经合进前一个新词元，就不再是自由的了。",
                        "Where places overlap, one token was used twice: once it has gone into a new token, it is no longer free.",
                    ),
                ),
                "from-the-right": (
                    merged(tokens[::-1], pair[::-1], made)[::-1],
                    T(
                        "你从右往左合：三个一样的，应当合前两个。",
                        "You merged from right to left: of three equal tokens the first two are joined.",
                    ),
                ),
                "right-half-stays": (
                    [made if two == pair else two[0] for two in pairwise([*tokens, None])],
                    T(
                        "左边换成了新词元，右边的一半还留着：一对要换成一个。",
                        "The left half became the new token, and the right half is still there: two become one.",
                    ),
                ),
                "either-order": (
                    lambda tokens=tokens, pair=pair, made=made: merged_either(tokens, pair, made),
                    T(
                        "次序反着的一对你也合了；`(a, b)` 和 `(b, a)` 是两回事。",
                        "You merged pairs in the opposite order as well; `(a, b)` is not `(b, a)`.",
                    ),
                ),
                "again": (
                    again(tokens, pair, made),
                    T(
                        "刚合成的 `new` 又被拿去合了一次：编号碰巧等于这一对的左半边时就会这样。",
                        "The `new` just made was merged once more: that happens when its id equals the left half of the pair.",
                    ),
                ),
                "last-lost": (
                    lambda tokens=tokens, pair=pair, made=made: without_last(tokens, pair, made),
                    T(
                        "最后一个词元丢了：它右边没有邻居，可是它自己还要抄过去。",
                        "The last token is lost: it has no neighbour on its right, but it still has to be copied.",
                    ),
                ),
            },
        )


def merged_either(tokens: list[int], pair: tuple[int, int], new: int) -> list[int]:
    out, i = [], 0
    while i < len(tokens):
        hit = tuple(tokens[i : i + 2]) in (pair, pair[::-1])
        out.append(new if hit else tokens[i])
        i += 1 + hit
    return out


def without_last(tokens: list[int], pair: tuple[int, int], new: int) -> list[int]:
    """A walk that ends one place early."""
    out, i = [], 0
    while i < len(tokens) - 1:
        hit = tuple(tokens[i : i + 2]) == pair
        out.append(new if hit else tokens[i])
        i += 1 + hit
    return out


Merges = list[tuple[str, str]]


def by_rank(text: str, merges: Merges) -> list[str]:
    tokens = list(text)
    rank = {pair: number for number, pair in enumerate(merges)}
    while possible := [(rank[pair], i) for i, pair in enumerate(pairwise(tokens)) if pair in rank]:
        _, i = min(possible)
        tokens[i : i + 2] = [tokens[i] + tokens[i + 1]]
    return tokens


def latest(text: str, merges: Merges) -> list[str]:
    """The pair learnt last comes first."""
    tokens = list(text)
    rank = {pair: number for number, pair in enumerate(merges)}
    while possible := [(-rank[pair], i) for i, pair in enumerate(pairwise(tokens)) if pair in rank]:
        _, i = min(possible)
        tokens[i : i + 2] = [tokens[i] + tokens[i + 1]]
    return tokens


def leftmost(text: str, merges: Merges) -> list[str]:
    tokens, i = list(text), 0
    while i < len(tokens) - 1:
        if (tokens[i], tokens[i + 1]) in merges:
            tokens[i : i + 2] = [tokens[i] + tokens[i + 1]]
            i = 0
        else:
            i += 1
    return tokens


def longest(text: str, merges: Merges) -> list[str]:
    """The longest token of the vocabulary that fits, from the left."""
    known = {a + b for a, b in merges}
    tokens = []
    while text:
        size = next((n for n in range(len(text), 1, -1) if text[:n] in known), 1)
        tokens.append(text[:size])
        text = text[size:]
    return tokens


def one_merge(text: str, merges: Merges) -> list[str]:
    """The earliest pair, everywhere, and then no more."""
    tokens = list(text)
    possible = [merges.index(pair) for pair in pairwise(tokens) if pair in merges]
    if not possible:
        return tokens
    a, b = merges[min(possible)]
    out: list[str] = []
    for token in tokens:
        if out and (out[-1], token) == (a, b):
            out[-1] = a + b
        else:
            out.append(token)
    return out


@exercise(
    hint=T(
        zh="先做一个字典，从对子查它是第几个学的。每一轮看遍相邻的对子，在字典里有的当中取号最小的，合掉它，再来一轮。"
        "一对也没有了，就停。",
        en="Make a dict first that tells for each pair when it was learnt. In each round look at all neighbours, take of those in the "
        "dict the one with the smallest number, merge it, and begin another round. Stop when there is none.",
    )
)
def encode_by_rank(run: Run) -> None:
    """Order of learning, not place, not length; repeated; all places."""
    a, b, c, d, e, f, g, h = han(run, 8)
    merges = [(b, c), (a, b), (b + c, d), (a, b + c), (d, e), (a + b, c), (c, d), (e, e), (e + e, e + e)]
    merges += [(f, g), (g, h), (f, g + h)]  # fgh is in the vocabulary, and f g h makes fg h
    texts = [
        a + b + c + d + e,
        a + b + a + b + c,
        e * 7 + d,
        c + d + e + a,
        b + c + a + b + c + d,
        f + g + h + a,
        a,
        "",
    ]
    texts += ["".join(run.rng.choice([a, b, c, d, e, f, g, h], size=12)) for _ in range(4)]
    right = [by_rank(text, merges) for text in texts]
    got = [run.sequence(run.call(text, merges), of=str) for text in texts]
    mistakes = [  # each is known by what it makes of all the texts: of one, two may make the same
        (
            "left-to-right",
            leftmost,
            T(
                "还是从左往右，见到能合的就合：排在前面的不一定是先学的。",
                "Still from left to right, merging whatever it can: what comes first in the text was not always learnt first.",
            ),
        ),
        (
            "longest",
            longest,
            T(
                "你总取词表里最长的一块；BPE 不看长短，只看学的先后。",
                "You always took the longest piece of the vocabulary; BPE looks at the order of learning, not at length.",
            ),
        ),
        (
            "latest-first",
            latest,
            T("次序反了：你先做了学得最晚的。", "The order is turned round: you did the pair learnt last."),
        ),
        (
            "one-merge",
            one_merge,
            T(
                "只做了一轮；合完以后又有新的邻居，要一直做到没有一对能合。",
                "Only one round was done; merging makes new neighbours, so go on until no pair can be merged.",
            ),
        ),
        ("characters", lambda text, merges: list(text), T("一对也没有合。", "Nothing was merged.")),
    ]
    for slug, wrong, message in mistakes:
        run.require(got == right or got != [wrong(text, merges) for text in texts], slug, message)
    for text, expected in zip(texts, right, strict=True):
        run.equal(run.sequence(run.call(text, merges), of=str), expected)


@exercise(
    hint=T(
        zh="三步：把惊讶全部加起来；除以 `math.log(2)`，奈特就成了比特；再除以字符的个数。词元的个数用不着。",
        en="Three steps: add up all surprises; divide by `math.log(2)` to turn nats into bits; divide by the number of characters. The "
        "number of tokens is not needed.",
    )
)
def bits_per_character(run: Run) -> None:
    """Total bits over characters; tokens and bytes do not matter."""
    text = "".join(han(run, int(run.rng.integers(9, 20)))) + "，ok"
    nats = [float(x) for x in run.rng.uniform(0.3, 7.0, size=int(run.rng.integers(4, 8)))]
    total, length = sum(nats), len(text)
    run.equal(
        run.scalar(run.call(nats, text)),
        total / math.log(2) / length,
        mistakes={
            "nats": (
                total / length,
                T("这是每字符的奈特；还要换成比特。", "These are nats per character; turn them into bits."),
            ),
            "multiplied": (
                total * math.log(2) / length,
                T(
                    "你乘以了 ln 2；一奈特比一比特大，换成比特，数应当变大。",
                    "You multiplied by ln 2; a nat is more than a bit, so the number of bits is the larger one.",
                ),
            ),
            "per-token": (
                total / math.log(2) / len(nats),
                T(
                    "你除以了词元的个数；切法一换，这个数就变，没法比。要除以字符数。",
                    "You divided by the number of tokens, which changes with the way of cutting; divide by that of characters.",
                ),
            ),
            "loss": (
                total / len(nats),
                T(
                    "这就是每词元的损失，一步也没有换算。",
                    "This is the loss per token, with nothing converted.",
                ),
            ),
            "per-byte": (
                total / math.log(2) / len(text.encode()),
                T(
                    "你除以了字节数；一个汉字是三个字节，题目要每字符的。",
                    "You divided by the number of bytes; a Chinese character has three, and bits per character are asked for.",
                ),
            ),
            "total": (
                total / math.log(2),
                T(
                    "这是整段的比特；还要摊到每个字符上。",
                    "These are the bits of the whole; share them out over the characters.",
                ),
            ),
            "perplexity": (
                math.exp(total / len(nats)),
                T(
                    "这是每词元的困惑度；它和损失一样，随切法而变。",
                    "This is the perplexity per token; like the loss, it changes with the way of cutting.",
                ),
            ),
        },
    )


def conversation(turns: list[str], vocab: dict[str, int]) -> list[int]:
    ids = [token for turn in turns for token in (*(vocab[char] for char in turn), vocab["<sep>"])]
    return [*ids[:-1], vocab["<eos>"]]


def scrubbed(text: str) -> str:
    """Without any mark, deleted again and again."""
    while (fewer := re.sub("<sep>|<eos>", "", text)) != text:
        text = fewer
    return text


def parsed(text: str, vocab: dict[str, int]) -> list[int]:
    """What a careless tokenizer makes of a text: marks in it become special tokens."""
    return [vocab[part] for part in re.findall("<sep>|<eos>|.", text)]


@exercise(
    hint=T(
        zh="不要先拼成一个大字符串。一段一段来：这段话里每个字符各自查 `vocab`，一个字符永远不会是 `<sep>`；"
        '段与段之间由你的程序放 `vocab["<sep>"]`。',
        en="Do not join everything into one string first. Turn by turn: each character looks itself up in `vocab`, and one character "
        'can never be `<sep>`; between turns your program puts `vocab["<sep>"]`.',
    )
)
def chat_ids(run: Run) -> None:
    """Signs only from code; the words complete."""
    a, b, c, d = ("".join(run.rng.permutation(han(run, 3))) for _ in range(4))
    characters = [*dict.fromkeys(a + b + c + d + "<>/sepo，。")]
    numbers = [int(n) for n in run.rng.permutation(range(6, 90))]
    vocab = {"<eos>": 3, "<sep>": 5} | dict(zip(characters, numbers, strict=False))
    marks = re.compile("<sep>|<eos>")
    conversations = [
        [a, b, c],
        [a, f"{d}<s<sep>ep>{b}"],
        [f"{a}，{b}。", f"{c}<sep>{d}。", f"{b}<eos>"],
        [c],
    ]
    for turns in conversations:
        words = [[vocab[char] for char in turn] for turn in turns]
        right = conversation(turns, vocab)
        deleted = [marks.sub("", turn) for turn in turns]
        run.equal(
            run.sequence(run.call(turns, vocab)),
            right,
            mistakes={
                "injected": (
                    parsed("<sep>".join(turns) + "<eos>", vocab),
                    T(
                        "用户写的 `<sep>` 变成了真的特殊词元：他替别人说了话。记号不要混在文字里再去找。",
                        "A `<sep>` that a user wrote became a real special token: he spoke for somebody else. Do not mix signs "
                        "into the text and then look for them.",
                    ),
                ),
                "filtered": (
                    parsed("<sep>".join(deleted) + "<eos>", vocab),
                    T(
                        "你把文字里的记号删掉了：话缺了一块；而且删一遍 `<s<sep>ep>`，剩下的正好是 `<sep>`。不用删，也不用找。",
                        "You deleted the signs from the text: words are missing; and delete once from `<s<sep>ep>`, and `<sep>` is "
                        "what remains. There is nothing to delete, and nothing to look for.",
                    ),
                ),
                "deleted": (
                    conversation(deleted, vocab),
                    T(
                        "用户写的 `<sep>` 不见了。它是五个普通的字符，要原样留着。",
                        "The `<sep>` that a user wrote is gone. It is five ordinary characters, to be kept as they are.",
                    ),
                ),
                "scrubbed": (
                    conversation([scrubbed(turn) for turn in turns], vocab),
                    T(
                        "你把用户写的记号一遍遍删干净了：安全是安全，可是话少了一块。它们是普通的字符，不必删。",
                        "You deleted the user's signs again and again: safe, but words are missing. They are ordinary characters "
                        "and need no deleting.",
                    ),
                ),
                "spelt": (
                    lambda turns=turns: [vocab[char] for char in "<sep>".join(turns) + "<eos>"],
                    T(
                        "你的程序放进去的记号也被拆成了字符：它们应当是编号 5 和 3 这样的一个词元。",
                        "The signs that your program puts in were spelt in characters as well; each should be a single id.",
                    ),
                ),
                "extra-sep": (
                    [*right[:-1], 5, 3],
                    T(
                        "最后多了一个 `<sep>`：它只站在两段话之间。",
                        "There is a `<sep>` too many at the end: it stands only between two turns.",
                    ),
                ),
                "no-eos": (
                    right[:-1],
                    T(
                        "最后少了 `<eos>`：模型不知道对话到这里结束了。",
                        "The `<eos>` at the end is missing: a model cannot know that the conversation is over.",
                    ),
                ),
                "no-sep": (
                    [*(token for row in words for token in row), 3],
                    T(
                        "段与段之间没有 `<sep>`，分不出谁说了什么。",
                        "There is no `<sep>` between the turns, and nobody can tell who said what.",
                    ),
                ),
                "eos-each": (
                    [token for row in words for token in [*row, 3]],
                    T(
                        "每段话后面都是 `<eos>`；两段之间该放 `<sep>`。",
                        "Every turn ends in `<eos>`; between two turns there should be `<sep>`.",
                    ),
                ),
            },
        )
