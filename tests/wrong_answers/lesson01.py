"""Answers that learners give in lesson 01, by the name of their mistake."""

import re
from collections import Counter

from minillm.text.clean import collapse_spaces, normalize, strip_control, strip_html, to_halfwidth, unescape_entities


def all_utf8(code_point, first=0x80, second=0x800, third=0x10000):
    """UTF-8 with the borders between its rows put elsewhere."""
    c = code_point
    if c < first:
        return bytes([c])
    if c < second:
        return bytes([0xC0 | c >> 6, 0x80 | c & 63])
    if c < third:
        return bytes([0xE0 | c >> 12, 0x80 | c >> 6 & 63, 0x80 | c & 63])
    return bytes([0xF0 | c >> 18, 0x80 | c >> 12 & 63, 0x80 | c >> 6 & 63, 0x80 | c & 63])


def without_marks(code_point):
    first, *rest = all_utf8(code_point)
    return bytes([first, *(byte & 63 for byte in rest)])


def washed(page, *steps):
    for step in steps:
        page = step(page)
    return page


def order(page):
    page = strip_html(unescape_entities(page))
    return collapse_spaces(normalize(to_halfwidth(strip_control(page))))


def nfkc(page):
    page = strip_control(unescape_entities(strip_html(page)))
    return collapse_spaces(normalize(page, "NFKC"))


def no_punctuation(page):
    page = to_halfwidth(strip_control(unescape_entities(strip_html(page))))
    return collapse_spaces(re.sub(r"[^\w\s<>]", "", page))


def flags(tokens):
    seen, curve = set(), []
    for token in tokens:
        curve.append(int(token not in seen))
        seen.add(token)
    return curve


def early(tokens):
    seen, curve = set(), []
    for token in tokens:
        curve.append(len(seen))
        seen.add(token)
    return curve


def changes(tokens):
    curve, last = [], None
    for token in tokens:
        curve.append((curve[-1] if curve else 0) + (token != last))
        last = token
    return curve


def only_new(tokens):
    seen, curve = set(), []
    for token in tokens:
        if token not in seen:
            seen.add(token)
            curve.append(len(seen))
    return curve


def held_back(data):
    end = len(data)
    while end and data[end - 1] & 0xC0 == 0x80:
        end -= 1
    end = max(0, end - 1)
    return data[:end].decode(), data[end:]


def all_or_nothing(data):
    try:
        return data.decode(), b""
    except UnicodeDecodeError:
        return "", data


def share(tokens, vocabulary):
    return sum(token not in vocabulary for token in tokens) / len(tokens) if tokens else 0.0


WRONG = {
    "message_bytes": {
        "characters": lambda latin, accented, han, emoji: latin + accented + han + emoji,
        "gbk": lambda latin, accented, han, emoji: latin + 2 * accented + 2 * han + 4 * emoji,
        "accent": lambda latin, accented, han, emoji: latin + accented + 3 * han + 4 * emoji,
        "emoji": lambda latin, accented, han, emoji: latin + 2 * accented + 3 * (han + emoji),
        "utf-32": lambda latin, accented, han, emoji: 4 * (latin + accented + han + emoji),
        "bits": lambda latin, accented, han, emoji: 8 * (latin + 2 * accented + 3 * han + 4 * emoji),
    },
    "utf8_encode": {
        "reversed": lambda code_point: all_utf8(code_point)[::-1],
        "marks": without_marks,
        "raw": lambda code_point: code_point.to_bytes(max(1, (code_point.bit_length() + 7) // 8), "big"),
        "always-three": lambda code_point: all_utf8(code_point, 0, 0),
        "no-four": lambda code_point: all_utf8(code_point, third=0x110000),
        "border": lambda code_point: all_utf8(code_point, 0x7F, 0x7FF, 0xFFFF),
        "type": lambda code_point: all_utf8(code_point).hex(),
    },
    "repair_page": {
        "order": order,
        "tags": lambda page: washed(page, unescape_entities, strip_control, to_halfwidth, collapse_spaces),
        "escapes": lambda page: washed(page, strip_html, strip_control, to_halfwidth, collapse_spaces),
        "punctuation": nfkc,
        "stripped": no_punctuation,
        "invisible": lambda page: washed(page, strip_html, unescape_entities, to_halfwidth, collapse_spaces),
        "disguised": lambda page: washed(
            page, strip_html, strip_control, unescape_entities, to_halfwidth, collapse_spaces
        ),
        "wide": lambda page: washed(page, strip_html, unescape_entities, strip_control, normalize, collapse_spaces),
        "different": lambda page: to_halfwidth(strip_control(unescape_entities(strip_html(page)))).strip(),
    },
    "growth_curve": {
        "only-last": lambda tokens: len(set(tokens)),
        "flags": flags,
        "early": early,
        "constant": lambda tokens: [len(set(tokens)) for _ in tokens],
        "changes": changes,
        "once": lambda tokens: [sum(n == 1 for n in Counter(tokens[: i + 1]).values()) for i in range(len(tokens))],
        "length": lambda tokens: [i + 1 for i in range(len(tokens))],
        "only-new": only_new,
    },
    "unknown_rate": {
        "kinds": lambda train, new: share(set(new), set(train)),
        "kinds-over-tokens": lambda train, new: len(set(new) - set(train)) / len(new) if new else 0.0,
        "known": lambda train, new: 1 - share(new, set(train)),
        "swapped": lambda train, new: share(train, set(new)),
        "train-length": lambda train, new: share(new, set(train)) * len(new) / len(train),
        "leak": lambda train, new: share(new, set(train) | set(new)),
        "substring": lambda train, new: share(new, "".join(train)),
        "percent": lambda train, new: 100 * share(new, set(train)),
        "raised": lambda train, new: sum(token not in train for token in new) / len(new),
    },
    "complete_part": {
        "replaced": lambda data: (data.decode(errors="replace"), b""),
        "lost": lambda data: (data.decode(errors="ignore"), b""),
        "held-back": held_back,
        "threes": lambda data: (
            data[: len(data) // 3 * 3].decode(errors="ignore"),
            data[len(data) // 3 * 3 :],
        ),
        "nothing": all_or_nothing,
        "raised": lambda data: (data.decode(), b""),
    },
}

STUB = {"repair_page": "order"}
