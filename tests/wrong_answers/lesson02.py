"""Answers that learners give in lesson 02, by the name of their mistake."""

import math
import re
from collections import Counter
from itertools import pairwise


def counted(rows):
    """Counts of [(pairs, times), ...]."""
    counts = Counter()
    for pairs, times in rows:
        for pair in pairs:
            counts[pair] += times
    return dict(counts)


def border(chunks):
    row = []
    for chunk, times in chunks.items():
        row += list(chunk) * times
    return dict(Counter(pairwise(row)))


def overlap(chunks):
    counts = Counter()
    for chunk, times in chunks.items():
        for pair in set(pairwise(chunk)):
            i = 0
            while i < len(chunk) - 1:
                if (chunk[i], chunk[i + 1]) == pair:
                    counts[pair] += times
                    i += 2
                else:
                    i += 1
    return dict(counts)


def walk(tokens, pair, new, *, end=0, right_half=False, either=False):
    out, i = [], 0
    while i < len(tokens) - end:
        two = tuple(tokens[i : i + 2])
        if two == pair or (either and two == pair[::-1]):
            out.append(new)
            i += 1 if right_half else 2
        else:
            out.append(tokens[i])
            i += 1
    return out


def first_only(tokens, pair, new):
    for i in range(len(tokens) - 1):
        if (tokens[i], tokens[i + 1]) == pair:
            return [*tokens[:i], new, *tokens[i + 2 :]]
    return list(tokens)


def twice_used(tokens, pair, new):
    out = []
    for i, token in enumerate(tokens):
        if tuple(tokens[i : i + 2]) == pair:
            out.append(new)
        elif i == 0 or (tokens[i - 1], token) != pair:
            out.append(token)
    return out


def from_the_right(tokens, pair, new):
    return walk(tokens[::-1], pair[::-1], new)[::-1]


def keep_right_half(tokens, pair, new):
    return [new if tuple(tokens[i : i + 2]) == pair else tokens[i] for i in range(len(tokens))]


def merge_again(tokens, pair, new):
    out = []
    for token in tokens:
        if out and (out[-1], token) == pair:
            out[-1] = new
        else:
            out.append(token)
    return out


def changes_the_list(tokens, pair, new):
    i = 0
    while i < len(tokens) - 1:
        if (tokens[i], tokens[i + 1]) == pair:
            tokens[i : i + 2] = [new]
        i += 1
    return tokens


def one_pass(text, merges):
    tokens, i = list(text), 0
    while i < len(tokens) - 1:
        if (tokens[i], tokens[i + 1]) in merges:
            tokens[i : i + 2] = [tokens[i] + tokens[i + 1]]
            i = 0
        else:
            i += 1
    return tokens


def longest(text, merges):
    known, tokens = {a + b for a, b in merges}, []
    while text:
        size = max([n for n in range(2, len(text) + 1) if text[:n] in known], default=1)
        tokens.append(text[:size])
        text = text[size:]
    return tokens


def rounds(text, merges, order=min, most=None):
    tokens, done = list(text), 0
    while found := [merges.index(pair) for pair in pairwise(tokens) if pair in merges]:
        if done == most:
            break
        a, b = merges[order(found)]
        tokens, done = merge_again(tokens, (a, b), a + b), done + 1
    return tokens


def together(turns, vocab):
    text = "<sep>".join(turns) + "<eos>"
    return [vocab[part] for part in re.split("(<sep>|<eos>|.)", text) if part]


def spoken(turns, vocab, between="<sep>", end="<eos>"):
    ids = []
    for number, turn in enumerate(turns):
        ids += [vocab[char] for char in turn]
        if between and number < len(turns) - 1:
            ids.append(vocab[between])
    return [*ids, vocab[end]] if end else ids


def without_marks(turns):
    return [turn.replace("<sep>", "").replace("<eos>", "") for turn in turns]


def without_any(turns):
    while (fewer := without_marks(turns)) != turns:
        turns = fewer
    return turns


WRONG = {
    "laughing_tokens": {
        "bytes": lambda n: len(("哈" * n).encode()),
        "characters": lambda n: n,
        "first-merge": lambda n: n // 2 + n % 2,
        "rest-single": lambda n: n // 4 + n % 4,
        "rounded-up": lambda n: math.ceil(n / 4),
        "rounded-down": lambda n: n // 4,
    },
    "weighted_pairs": {
        "unweighted": lambda chunks: counted((pairwise(chunk), 1) for chunk in chunks),
        "border": border,
        "once-a-chunk": lambda chunks: counted((set(pairwise(chunk)), times) for chunk, times in chunks.items()),
        "overlap": overlap,
        "unordered": lambda chunks: counted(
            ([tuple(sorted(pair)) for pair in pairwise(chunk)], times) for chunk, times in chunks.items()
        ),
        "tokens": lambda chunks: counted(chunks.items()),
    },
    "merge_pair": {
        "first-only": first_only,
        "overlap": twice_used,
        "from-the-right": from_the_right,
        "right-half-stays": keep_right_half,
        "either-order": lambda tokens, pair, new: walk(tokens, pair, new, either=True),
        "again": merge_again,
        "last-lost": lambda tokens, pair, new: walk(tokens, pair, new, end=1),
        "mutated": changes_the_list,
    },
    "encode_by_rank": {
        "left-to-right": one_pass,
        "longest": longest,
        "latest-first": lambda text, merges: rounds(text, merges, order=max),
        "one-merge": lambda text, merges: rounds(text, merges, most=1),
        "characters": lambda text, merges: list(text),
    },
    "bits_per_character": {
        "nats": lambda nats, text: sum(nats) / len(text),
        "multiplied": lambda nats, text: sum(nats) * math.log(2) / len(text),
        "per-token": lambda nats, text: sum(nats) / len(nats) / math.log(2),
        "loss": lambda nats, text: sum(nats) / len(nats),
        "per-byte": lambda nats, text: sum(nats) / math.log(2) / len(text.encode()),
        "total": lambda nats, text: sum(nats) / math.log(2),
        "perplexity": lambda nats, text: math.exp(sum(nats) / len(nats)),
    },
    "chat_ids": {
        "injected": together,
        "filtered": lambda turns, vocab: together(without_marks(turns), vocab),
        "deleted": lambda turns, vocab: spoken(without_marks(turns), vocab),
        "scrubbed": lambda turns, vocab: spoken(without_any(turns), vocab),
        "spelt": lambda turns, vocab: [vocab[char] for char in "<sep>".join(turns) + "<eos>"],
        "extra-sep": lambda turns, vocab: [*spoken(turns, vocab, end="<sep>"), vocab["<eos>"]],
        "no-eos": lambda turns, vocab: spoken(turns, vocab, end=None),
        "no-sep": lambda turns, vocab: spoken(turns, vocab, between=None),
        "eos-each": lambda turns, vocab: spoken(turns, vocab, between="<eos>"),
    },
}

STUB = {"encode_by_rank": "left-to-right"}
