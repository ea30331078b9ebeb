"""Answers that learners give to the exercises of lesson 00 and that are wrong, under the name of the mistake."""

import math
import re
from collections import Counter
from itertools import pairwise


def followers(text, char):
    return Counter(b for a, b in pairwise(text) if a == char)


def index_past_the_end(text, char):
    counts = Counter()
    for i in range(len(text)):
        if text[i] == char:
            counts[text[i + 1]] += 1
    return counts.most_common(1)[0][0]


def non_overlapping(text, char):
    return Counter(re.findall(f"{char}(.)", text)).most_common(1)[0][0]


def smallest_of_a_tie(text, char):
    counts = followers(text, char)
    return min(counts, key=lambda b: (-counts[b], b))


def latest_of_a_tie(text, char):
    counts = followers(text, char)
    return max(reversed(counts), key=lambda b: counts[b])


def most_common_or_the_one_before(text, char):
    counts = followers(text, char) or Counter(text[: text.index(char)][-1:])
    return counts.most_common(1)[0][0]


def walk(characters, counts, point):
    end = 0
    for character, count in zip(characters, counts, strict=True):
        end += count
        if point < end:
            return character
    return characters[-1]


def own_share(characters, counts, u):
    for character, count in zip(characters, counts, strict=True):
        if u < count / sum(counts):
            return character
    return characters[-1]


def own_share_or_nothing(characters, counts, u):
    for character, count in zip(characters, counts, strict=True):
        if u < count / sum(counts):
            return character


def end_belongs_here(characters, counts, u):
    end = 0
    for character, count in zip(characters, counts, strict=True):
        end += count
        if u * sum(counts) <= end:
            return character


def stop_before_adding(next_character, beginning, limit):
    text = beginning
    for _ in range(limit):
        new = next_character(text)
        if new == "。":
            break
        text += new
    return text


def right(next_character, beginning, limit):
    text = beginning
    for _ in range(limit):
        text += next_character(text)
        if text.endswith("。"):
            break
    return text


def same_context(next_character, beginning, limit):
    text = beginning
    for _ in range(limit):
        text += next_character(beginning)
        if text[-1] == "。":
            break
    return text


def last_only(next_character, beginning, limit):
    text = beginning
    for _ in range(limit):
        text += next_character(text[-1])
        if text[-1] == "。":
            break
    return text


def new_only(next_character, beginning, limit):
    new = ""
    while len(new) < limit and "。" not in new:
        new += next_character(new)
    return beginning + new


def any_stop(next_character, beginning, limit):
    text = beginning
    while "。" not in text and len(text) < len(beginning) + limit:
        text += next_character(text)
    return text


def no_stop(next_character, beginning, limit):
    text = beginning
    for _ in range(limit):
        text += next_character(text)
    return text


def beginning_counts(next_character, beginning, limit):
    text, new = beginning, ""
    while not new.endswith("。") and len(text) < limit:
        new = next_character(text)
        text += new
    return text[:limit] if not new.endswith("。") else text


def one_more(next_character, beginning, limit):
    return right(next_character, beginning, limit + 1)


def one_less(next_character, beginning, limit):
    return right(next_character, beginning, limit - 1)


def no_limit(next_character, beginning, limit):
    text = beginning
    while True:
        text += next_character(text)
        if text[-1] == "。":
            return text


def write_first(next_character, beginning, limit):
    text, count = beginning, 0
    while True:
        text += next_character(text)
        count += 1
        if text[-1] == "。" or count >= limit:
            return text


WRONG = {
    "last_character": {
        "first": lambda text: text[0],
        "second-last": lambda text: text[max(len(text) - 2, 0)],
        "whole": lambda text: text,
        "number": lambda text: len(text) - 1,
        "length": lambda text: len(text),
        "raised": lambda text: text[len(text)],
        "stripped": lambda text: text.strip()[-1],
    },
    "sentence_chance": {
        "times": lambda p, length: p * length,
        "single": lambda p, length: p,
        "one-less": lambda p, length: p ** (length - 1),
        "any": lambda p, length: 1 - (1 - p) ** length,
        "all-wrong": lambda p, length: (1 - p) ** length,
        "some-wrong": lambda p, length: 1 - p**length,
        "loss": lambda p, length: -length * math.log(p),
        "swapped": lambda p, length: length**p,
    },
    "most_likely_next": {
        "before": lambda text, char: followers(text[::-1], char).most_common(1)[0][0],
        "overall": lambda text, char: Counter(text).most_common(1)[0][0],
        "first": lambda text, char: text[text.index(char) + 1],
        "last": lambda text, char: dict(pairwise(text))[char],
        "number": lambda text, char: max(followers(text, char).values()),
        "pair": lambda text, char: followers(text, char).most_common(1)[0],
        "list": lambda text, char: followers(text, char).most_common(1),
        "rarest": lambda text, char: min(followers(text, char), key=followers(text, char).get),
        "raised": [index_past_the_end, lambda text, char: followers(text, char).most_common(1)[0][0]],
        "overlap": non_overlapping,
        "tie": [smallest_of_a_tie, latest_of_a_tie],
        "unseen": most_common_or_the_one_before,
    },
    "choose": {
        "unnormalised": lambda characters, counts, u: walk(characters, counts, u),
        "argmax": lambda characters, counts, u: characters[counts.index(max(counts))],
        "uniform": lambda characters, counts, u: characters[int(u * len(characters))],
        "largest": lambda characters, counts, u: walk(characters, counts, u * max(counts)),
        "not-added": own_share,
        "none": own_share_or_nothing,
        "backwards": lambda characters, counts, u: walk(characters[::-1], counts[::-1], u * sum(counts)),
        "zero": end_belongs_here,
    },
    "write_until": {
        "stop-dropped": stop_before_adding,
        "only-new": lambda next_character, beginning, limit: right(next_character, beginning, limit)[len(beginning) :],
        "same-context": same_context,
        "last-only": last_only,
        "new-shown": new_only,
        "old-stop": any_stop,
        "never-stops": no_stop,
        "limit-with-beginning": beginning_counts,
        "one-more": one_more,
        "one-less": one_less,
        "no-limit": no_limit,
        "zero": write_first,
    },
}

STUB = {"choose": "unnormalised"}  # the code to be mended compares u with counts
