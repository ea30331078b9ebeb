"""Checkers of lesson 01, text."""

import unicodedata
from collections import Counter
from itertools import accumulate, pairwise

from exercises.checks.framework import Run, T, exercise

COMMON = "的一是了我有上在小子们个来说这大到看他里天雨爷奶时地会就人那只车走家过年下"


def han(run: Run, count: int) -> str:
    """So many different common Chinese characters."""
    return "".join(run.rng.permutation(list(COMMON))[:count])


@exercise(
    hint=T(
        zh="在 UTF-8 的表里找：英文字母、é、常用汉字、😀 的码点各在哪一行？一行里的每个字符占同样多的字节。",
        en="Look into the table of UTF-8: in which rows are the code points of an English letter, of é, of a common "
        "Chinese character and of 😀? All characters of a row take the same number of bytes.",
    )
)
def message_bytes(run: Run) -> None:
    """1, 2, 3 and 4 bytes."""
    latin, accented, chinese, emoji = (int(n) for n in run.rng.permutation([17, 29, 43, 71]))
    run.equal(
        run.integer(run.call(latin, accented, chinese, emoji)),
        latin + 2 * accented + 3 * chinese + 4 * emoji,
        mistakes={
            "characters": (
                latin + accented + chinese + emoji,
                T(
                    "你数的是字符的个数，也就是 `len`；题目问的是字节。",
                    "You counted characters, as `len` does; bytes are asked for.",
                ),
            ),
            "gbk": (
                latin + 2 * accented + 2 * chinese + 4 * emoji,
                T(
                    "一个汉字两个字节，那是 GBK；UTF-8 里常用汉字在表的哪一行？",
                    "Two bytes for a Chinese character is GBK; in which row of UTF-8's table are the common ones?",
                ),
            ),
            "accent": (
                latin + accented + 3 * chinese + 4 * emoji,
                T(
                    "é 不在 ASCII 里：一个字节的那一行只到 U+007F。",
                    "é is not in ASCII: the row of single bytes ends at U+007F.",
                ),
            ),
            "emoji": (
                latin + 2 * accented + 3 * chinese + 3 * emoji,
                T(
                    "😀 的码点比 U+FFFF 大，三个字节装不下。",
                    "The code point of 😀 is above U+FFFF; three bytes cannot hold it.",
                ),
            ),
            "utf-32": (
                4 * (latin + accented + chinese + emoji),
                T(
                    "每个字符都四个字节，那是 UTF-32；UTF-8 对小的码点省着用。",
                    "Four bytes for each character is UTF-32; UTF-8 spends less on small code points.",
                ),
            ),
            "bits": (
                8 * (latin + 2 * accented + 3 * chinese + 4 * emoji),
                T("你算的是比特；一个字节是八个比特。", "These are bits; a byte is eight of them."),
            ),
        },
    )


def three(c: int) -> bytes:
    return bytes([0xE0 | c >> 12, 0x80 | c >> 6 & 63, 0x80 | c & 63])


def unmarked(c: int) -> bytes:
    """The right marks on the first byte, none on the others."""
    first, *rest = chr(c).encode()
    return bytes([first, *(byte & 63 for byte in rest)])


def late(c: int) -> bytes:
    """What < in place of <= gives for the last code point of a row: the pattern of the next one."""
    if c == 0x7F:
        return bytes([0xC1, 0xBF])
    return bytes([0xE0, 0x9F, 0xBF]) if c == 0x7FF else bytes([0xF0, 0x8F, 0xBF, 0xBF])


@exercise(
    hint=T(
        zh="先看码点落在表的哪一行，决定几个字节。从右边开始，每次取除以 64 的余数，加上 128，就是一个后续字节；"
        "最后剩下的数加上第一个字节的记号：192、224 或 240。别忘了字节要从左到右排。",
        en="First see which row of the table the code point is in: that says how many bytes. From the right, each remainder of a "
        "division by 64, plus 128, is one continuation byte; what is left at the end is added to the first byte's mark, "
        "192, 224 or 240. Remember to put the bytes from left to right.",
    )
)
def utf8_encode(run: Run) -> None:
    """All four rows, and their last code points."""
    ranges = [(0x4E00, 0xA000), (0x41, 0x7B), (0xC0, 0x250), (0x1F600, 0x1F640)]
    points = [int(run.rng.integers(low, high)) for low, high in ranges]
    for c in [*points, 0x7F, 0x80, 0x7FF, 0x800, 0xFFFF, 0x10000, 0, 0x10FFFF]:
        right = chr(c).encode()
        got = run.call(c)
        if not isinstance(got, bytes | bytearray):
            run.wrong_type(got, T("字节串 bytes", "bytes"))
        run.equal(
            bytes(got),
            right,
            mistakes={
                "reversed": (
                    right[::-1],
                    T(
                        "字节对了，次序反了：带着长度记号的那个字节排在最前面。",
                        "The bytes are right and their order is turned round: the one with the mark of the length comes first.",
                    ),
                ),
                "marks": (
                    lambda c=c: unmarked(c),
                    T(
                        "后面的字节没有记号：它们每一个都要以 `10` 开头，读的人才知道这不是一个字的开头。",
                        "The later bytes lack their mark: each begins with `10`, so that a reader knows that no character begins there.",
                    ),
                ),
                "raw": (
                    lambda c=c: c.to_bytes((c.bit_length() + 7) // 8, "big"),
                    T(
                        "你把码点原样拆成了字节，没有一个记号：读的人看不出每个字有几个字节。",
                        "You cut the code point into bytes as it is, without any marks: a reader cannot see how many bytes belong to it.",
                    ),
                ),
                "utf-16": (
                    lambda c=c: chr(c).encode("utf-16-be"),
                    T("这是 UTF-16，不是 UTF-8。", "This is UTF-16, not UTF-8."),
                ),
                "always-three": (
                    lambda c=c: three(c) if c < 0x800 else b"",
                    T(
                        "汉字对了，可是小的码点也用了三个字节。先看它落在表的哪一行。",
                        "Right for Chinese characters, but small code points got three bytes as well. See first which row they are in.",
                    ),
                ),
                "no-four": (
                    lambda c=c: three(c) if 0xFFFF < c < 0x20000 else b"",
                    T(
                        "比 U+FFFF 大的码点要四个字节，你还是用了三个的样子。",
                        "Code points above U+FFFF take four bytes; you used the pattern of three.",
                    ),
                ),
                "border": (
                    lambda c=c: late(c) if c in (0x7F, 0x7FF, 0xFFFF) else b"",
                    T(
                        f"U+{c:04X} 是它那一行的最后一个，你却用了下一行的样子：看看比较的是小于，还是小于等于。",
                        f"U+{c:04X} is the last of its row, and you used the pattern of the next: look at where you compare, "
                        "less, or less or equal?",
                    ),
                ),
            },
        )


@exercise(
    hint=T(
        zh="课文里的次序是：去标签、还原转义、去掉看不见的字符、全角变半角、规范化、收拾空白。"
        "`&#8203;` 要先还原成零宽空格，才看得出它该去掉。`to_halfwidth` 的 `punctuation` 默认是什么？",
        en="The lesson's order: tags, escapes, invisible characters, full width to half width, normalisation, white space. "
        "`&#8203;` must become a zero-width space before anything can see that it has to go. And what is the default of "
        "`punctuation` in `to_halfwidth`?",
    )
)
def repair_page(run: Run) -> None:
    """Order of tags and escapes; punctuation kept; invisible characters gone, disguised ones too; letters narrow."""
    a, b, c, d = (han(run, 3) for _ in range(4))
    got = run.text(run.call(f"<p>{a} &lt;b&gt; {b}</p>"))
    run.equal(
        got,
        f"{a} <b> {b}",
        mistakes={
            "order": (
                f"{a} {b}",
                T(
                    "正文里的 `<b>` 不见了：它写成 `&lt;b&gt;`，一还原就像真的标签，接着被当作标签删掉了。",
                    "The `<b>` of the text is gone: written `&lt;b&gt;`, it looks like a real tag once unescaped, and was then "
                    "deleted as one.",
                ),
            ),
            "tags": (
                f"<p>{a} <b> {b}</p>",
                T("标签还在。", "The tags are still there."),
            ),
            "escapes": (
                f"{a} &lt;b&gt; {b}",
                T(
                    "转义没有还原：`&lt;` 应当变成 `<`。",
                    "The escapes were not undone: `&lt;` should become `<`.",
                ),
            ),
        },
    )
    line = f"{c}，{d}！“{a}？”"
    run.equal(
        run.text(run.call(f"<div>{line}</div>")),
        line,
        mistakes={
            "punctuation": (
                unicodedata.normalize("NFKC", line),
                T(
                    "中文的标点变成了英文的：，成了 `,`，！成了 `!`。这种“统一”对中文是改坏了。",
                    "Chinese punctuation became English: ，turned into `,` and ！into `!`. Such unifying damages Chinese.",
                ),
            ),
            "stripped": (
                "".join(filter(str.isalnum, line)),
                T(
                    "标点全没了。它们不是脏东西：模型要读，也要写。",
                    "All punctuation is gone. It is no dirt: a model has to read it, and to write it.",
                ),
            ),
        },
    )
    run.equal(
        run.text(run.call(f"<p>{a}\u200b{b}\ufeff</p>")),
        a + b,
        mistakes={
            "invisible": (
                f"{a}\u200b{b}\ufeff",
                T(
                    "看上去干净了，里面还藏着看不见的字符：打印每个码点就看得到。课文里有一步专门去掉它们。",
                    "It looks clean, but invisible characters are still inside: print the code points and you see them. One step "
                    "of the lesson is there to remove them.",
                ),
            )
        },
    )
    run.equal(
        run.text(run.call(f"<p>{c}&#8203;{d}&shy;</p>")),
        c + d,
        mistakes={
            "disguised": (
                f"{c}\u200b{d}\xad",
                T(
                    "直接写着的零宽空格去掉了，写成 `&#8203;` 的却留了下来：去掉看不见的字符时，它还没有现出原形。",
                    "A zero-width space that stands there as itself is gone, but one written `&#8203;` stayed: when invisible "
                    "characters were removed, it had not yet shown its face.",
                ),
            )
        },
    )
    number = str(int(run.rng.integers(1000, 9999)))
    wide = "".join(chr(ord(digit) + 0xFEE0) for digit in number)
    run.equal(
        run.text(run.call(f"<p>{a}Ａ{wide}</p>")),
        f"{a}A{number}",
        mistakes={
            "wide": (
                f"{a}Ａ{wide}",
                T(
                    "全角的字母和数字还是全角：标点要留，它们要变成半角。",
                    "Full-width letters and digits are still full-width: punctuation stays, but these become half-width.",
                ),
            )
        },
    )
    run.equal(run.text(run.call(f"<p> {a}\u3000 {b}&nbsp;</p>\n\n\n\n<p>{c}</p>")), f"{a} {b}\n\n{c}")


@exercise(
    hint=T(
        zh="准备一个空的集合。每读一个词元，先把它放进集合，再把集合现在的大小记到列表里。",
        en="Begin with an empty set. For each token, put it into the set first, then note the set's present size in the list.",
    )
)
def growth_curve(run: Run) -> None:
    """Distinct tokens in each prefix."""
    kinds = [word.item() for word in run.rng.choice(list(COMMON), size=6, replace=False)]
    tokens = [*kinds[:3], kinds[2], kinds[0], kinds[3], *(word.item() for word in run.rng.choice(kinds, size=12))]
    prefixes = [tokens[: i + 1] for i in range(len(tokens))]
    right = [len(set(prefix)) for prefix in prefixes]
    flags = [int(token not in tokens[:i]) for i, token in enumerate(tokens)]
    got = run.call(tokens)
    run.require(
        isinstance(got, list | tuple) or got != right[-1],
        "only-last",
        T(
            "这是最后一共有几种；题目要的是每读一个以后各有几种，一个列表。",
            "This is the number of kinds at the end; asked for is a list, with the number after each token.",
        ),
    )
    run.equal(
        run.sequence(got),
        right,
        mistakes={
            "flags": (
                flags,
                T(
                    "你记的是每个词元新不新；还要一路累加起来。",
                    "You noted whether each token is new; these still have to be added up along the way.",
                ),
            ),
            "early": (
                [0, *right[:-1]],
                T(
                    "整条曲线晚了一步：你先记了大小，才把词元放进去。",
                    "The whole curve is one step behind: you noted the size before the token was put in.",
                ),
            ),
            "constant": (
                [right[-1]] * len(tokens),
                T(
                    "每一格都是最后的种数：你每次看的是整串词元，而不是读到现在的这一段。",
                    "Every entry is the final number: each time you looked at all tokens, not at those read so far.",
                ),
            ),
            "changes": (
                [1, *(1 + n for n in accumulate(a != b for a, b in pairwise(tokens)))],
                T(
                    "你只和前一个词元比；隔了几个又出现的，也是见过的。",
                    "You compared with the token just before; one that comes back after a while has been seen as well.",
                ),
            ),
            "once": (
                [sum(n == 1 for n in Counter(prefix).values()) for prefix in prefixes],
                T(
                    "你数的是到现在只出现过一次的；出现过几次都算一种。",
                    "You counted kinds that have occurred exactly once so far; a kind counts however often it occurred.",
                ),
            ),
            "length": (
                list(range(1, len(tokens) + 1)),
                T(
                    "你数的是读了几个；重复的不能再算。",
                    "You counted how many were read; repetitions must not count again.",
                ),
            ),
            "only-new": (
                list(range(1, right[-1] + 1)),
                T(
                    "列表太短：你只在遇到新词元时才记一笔。旧的也要记，曲线才和文字一样长。",
                    "The list is too short: you noted something only when a token was new. Note it for old ones too, and the "
                    "curve is as long as the text.",
                ),
            ),
        },
    )
    run.equal(run.sequence(run.call([])), [])


@exercise(
    hint=T(
        zh="先把 `train` 变成集合。再一个一个看 `new` 里的词元，不在集合里的有几个，除以 `new` 的长度。`new` 是空的时候，别做除法。",
        en="Turn `train` into a set first. Then look at the tokens of `new` one by one: how many are not in the set, over the "
        "length of `new`. Do not divide when `new` is empty.",
    )
)
def unknown_rate(run: Run) -> None:
    """Occurrences, not kinds; whole tokens, not substrings; 0 for nothing."""
    a, b, c, d, e, f, g, h = han(run, 8)
    train = [a, b, a + b, c + d, a, c, a, b]
    new = [a, a, a, b, b, e, e, e, d, f + g, a + b, c, h]  # unknown: e e e d fg h; d is part of a known word
    run.rng.shuffle(new)
    vocabulary = set(train)
    unknown = [token for token in new if token not in vocabulary]
    known_text = "".join(train)
    run.equal(
        run.scalar(run.call(train, new)),
        len(unknown) / len(new),
        mistakes={
            "kinds": (
                len(set(unknown)) / len(set(new)),
                T(
                    "你数的是种数；一个生词出现三次，就难倒模型三次，每次都要算。",
                    "You counted kinds; an unknown word that comes three times is unknown three times. Count every occurrence.",
                ),
            ),
            "kinds-over-tokens": (
                len(set(unknown)) / len(new),
                T(
                    "上面数的是种数，下面数的是个数，两边对不上：生词每次出现都算。",
                    "You divided kinds by occurrences, which do not fit together: count every occurrence of an unknown token.",
                ),
            ),
            "known": (
                1 - len(unknown) / len(new),
                T("这是认得的比例；题目要不认得的。", "This is the share that is known; the unknown one is asked for."),
            ),
            "swapped": (
                sum(token not in set(new) for token in train) / len(train),
                T(
                    "两个参数换了位置：你量的是训练文字里有多少不在新文字里。",
                    "The two arguments changed places: you measured how much of the training text is missing from the new.",
                ),
            ),
            "train-length": (
                len(unknown) / len(train),
                T(
                    "你除以了训练文字的长度；比例是对新文字说的。",
                    "You divided by the length of the training text; the share is one of the new text.",
                ),
            ),
            "leak": (
                0.0,
                T(
                    "你得到零：词表里是不是也有了新文字？词表只能从 `train` 来。",
                    "You got zero: did the new text get into the vocabulary too? It comes from `train` alone.",
                ),
            ),
            "substring": (
                sum(token not in known_text for token in new) / len(new),
                T(
                    "你在一整串文字里找；词的一部分不算认得，要和整个词元比。",
                    "You searched in one long string; a part of a word is not a known token. Compare whole tokens.",
                ),
            ),
            "percent": (
                100 * len(unknown) / len(new),
                T("这是百分数；题目要 0 到 1 之间的数。", "This is a percentage; a number from 0 to 1 is asked for."),
            ),
        },
    )
    run.equal(run.scalar(run.call(train, [])), 0.0)


@exercise(
    hint=T(
        zh="最多有三个字节在等后面的。试着把全部字节解码；不行就少拿一个、两个、三个，第一次成功的地方就是边界。"
        "或者从末尾往前找最后一个字的第一个字节，看它说自己有几个字节。",
        en="At most three bytes can be waiting for more. Try to decode all; if that fails, leave out one, two, three: the "
        "first success is the border. Or walk back from the end to the last character's first byte and see how many bytes it "
        "announces.",
    )
)
def complete_part(run: Run) -> None:
    """Cut anywhere, whole or not, one to four bytes a character; then a whole stream."""
    text = han(run, 3)
    data = text.encode()
    cases = [data[:7], data[:8], data, b"", ("a" + text[:1]).encode(), text[:2].encode() + "😀".encode()[:3], b"ab\xc3"]
    for given in cases:
        right_text = given.decode(errors="ignore")
        rest = given[len(right_text.encode()) :]
        got = run.sequence(run.call(given), length=2)
        got_text = run.text(got[0])
        if not isinstance(got[1], bytes | bytearray):
            run.wrong_type(got[1], T("字节串 bytes", "bytes"))
        run.equal(
            (got_text, bytes(got[1])),
            (right_text, rest),
            mistakes={
                "replaced": (
                    (given.decode(errors="replace"), b""),
                    T(
                        "半个字变成了 �，剩下的字节到了也拼不回来。尾巴不要解码，原样留着。",
                        "The half character became �, and its other bytes will come too late. Do not decode the tail, keep it.",
                    ),
                ),
                "lost": (
                    (right_text, b""),
                    T(
                        "文字对了，尾巴却丢了：下次接不上，这个字就永远没了。",
                        "The text is right, but the tail is lost: nothing can be put in front next time, and the character is gone.",
                    ),
                ),
                "held-back": (
                    (right_text[:-1], right_text[-1:].encode()) if not rest else (None, None),
                    T(
                        "最后一个字已经完整，你还留着它：最后一句话的最后一个字就永远等不到。",
                        "The last character is complete, and you hold it back: the last character of the last sentence would never come.",
                    ),
                ),
                "threes": (
                    lambda given=given: (
                        given[: len(given) // 3 * 3].decode(errors="ignore"),
                        given[len(given) // 3 * 3 :],
                    ),
                    T(
                        "你按三个字节一组切；不是每个字符都占三个字节。",
                        "You cut into groups of three bytes; not every character has three.",
                    ),
                ),
                "nothing": (
                    ("", given),
                    T(
                        "最后一个字不完整，你就把全部都留下了；前面完整的字应当交出去。",
                        "The last character is incomplete, and so you kept everything; hand out the complete ones before it.",
                    ),
                ),
            },
        )
    message = f"{han(run, 5)}，café 😀{han(run, 2)}"
    stream = message.encode()
    out, tail = "", b""
    for i in range(0, len(stream), 2):
        piece, tail = run.sequence(run.call(tail + stream[i : i + 2]), length=2)
        out += piece
    run.equal(out, message)
