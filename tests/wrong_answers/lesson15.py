"""Answers that learners give to the exercises of lesson 15 and that are wrong, under the name of the mistake."""

from collections import Counter

import numpy as np


def whole_number(printed, examples):
    return (float(printed) * examples).is_integer()


def nearest_is_close(printed, examples):
    accuracy = float(printed)
    return abs(round(accuracy * examples) / examples - accuracy) < 0.01


def four_decimals(printed, examples):
    return any(f"{k / examples:.4f}" == printed for k in range(examples + 1))


def not_all(printed, examples):
    decimals = len(printed.partition(".")[2])
    return any(f"{k / examples:.{decimals}f}" == printed for k in range(examples))


def f1_of_means(matrix):
    precision = np.mean(np.diag(matrix) / matrix.sum(axis=0))
    recall = np.mean(np.diag(matrix) / matrix.sum(axis=1))
    return float(2 * precision * recall / (precision + recall))


def classes(matrix):
    with np.errstate(all="ignore"):
        return 2 * np.diag(matrix) / (matrix.sum(axis=0) + matrix.sum(axis=1))


def by_precision_and_recall(matrix):
    with np.errstate(all="ignore"):
        precision, recall = np.diag(matrix) / matrix.sum(axis=0), np.diag(matrix) / matrix.sum(axis=1)
        return float(np.mean(2 * precision * recall / (precision + recall)))


def only_what_was_said(matrix):
    return float(np.mean(classes(matrix)[matrix.sum(axis=0) > 0]))


def full_marks_for_nothing(matrix):
    return float(np.mean(np.where(matrix.sum(axis=0) > 0, classes(matrix), 1.0)))


def grams(tokens, n):
    return Counter(tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1))


def most(references, n):
    total = Counter()
    for reference in references:
        total |= grams(reference, n)
    return total


def added(references, n):
    return sum((grams(reference, n) for reference in references), Counter())


def unclipped(translation, references, n):
    known = most(references, n)
    ours = grams(translation, n)
    return sum(count for gram, count in ours.items() if gram in known) / ours.total()


def kinds(translation, references, n):
    ours = grams(translation, n)
    return len(ours.keys() & most(references, n).keys()) / len(ours)


def over(right, below):
    return right.total() / max(below.total(), 1)


def single_words(translation, references, n):
    return over(grams(translation, 1) & most(references, 1), grams(translation, 1))


def subsequence(a, b):
    table = np.zeros((len(a) + 1, len(b) + 1))
    for i, x in enumerate(a, start=1):
        for j, y in enumerate(b, start=1):
            table[i, j] = table[i - 1, j - 1] + 1 if x == y else max(table[i - 1, j], table[i, j - 1])
    return table[-1, -1]


def contiguous(reference, written):
    runs = (reference[i:j] for i in range(len(reference)) for j in range(i + 1, len(reference) + 1))
    longest = max((len(run) for run in runs if run in written), default=0)
    return 2 * longest / (len(reference) + len(written))


def bag(reference, written):
    return 2 * (Counter(reference) & Counter(written)).total() / (len(reference) + len(written))


def interval(a, b, rng, resamples, level=0.95, paired=True, replace=True):
    differences = []
    for _ in range(resamples):
        rows = rng.choice(len(a), size=len(a), replace=replace)
        others = rows if paired else rng.choice(len(a), size=len(a), replace=replace)
        differences.append(a[rows].mean() - b[others].mean())
    low, high = np.quantile(differences, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def single_questions(a, b, rng, resamples=1000):
    low, high = np.quantile(rng.choice(a - b, size=resamples), [0.025, 0.975])
    return float(low), float(high)


def bare(text):
    return "".join(text.split())


def shares(text, train, width):
    return any(text[i : i + width] in other for other in train for i in range(len(text) - width + 1))


def search(test, train, n, clean=bare, short="whole"):
    train, found = [clean(text) for text in train], []
    for index, text in enumerate(map(clean, test)):
        searched = len(text) >= n or short == "whole"
        if shares(text, train, min(n, len(text))) if searched else short == "all":
            found.append(index)
    return found


WRONG = {
    "possible_accuracy": {
        "rounding": whole_number,
        "granularity": lambda printed, examples: 0 <= float(printed) <= 1,
        "digits": nearest_is_close,
        "decimals": four_decimals,
        "ends": not_all,
    },
    "macro_f1": {
        "f1-of-means": f1_of_means,
        "micro": lambda matrix: float(np.trace(matrix) / matrix.sum()),
        "weighted": lambda matrix: float(np.average(classes(matrix), weights=matrix.sum(axis=1))),
        "precision": lambda matrix: float(np.mean(np.diag(matrix) / matrix.sum(axis=0))),
        "not-averaged": lambda matrix: float(classes(matrix).sum()),
        "empty-class": by_precision_and_recall,
        "skipped": only_what_was_said,
        "full-marks": full_marks_for_nothing,
    },
    "clipped_precision": {
        "unclipped": unclipped,
        "sum-of-references": lambda translation, references, n: over(
            grams(translation, n) & added(references, n), grams(translation, n)
        ),
        "first-reference": lambda translation, references, n: over(
            grams(translation, n) & grams(references[0], n), grams(translation, n)
        ),
        "kinds": kinds,
        "recall": lambda translation, references, n: over(
            grams(translation, n) & most(references, n), most(references, n)
        ),
        "single-words": single_words,
    },
    "rouge_l_f1": {
        "contiguous": contiguous,
        "bag": bag,
        "recall": lambda reference, written: subsequence(reference, written) / len(reference),
        "precision": lambda reference, written: subsequence(reference, written) / len(written),
        "arithmetic": lambda reference, written: (
            subsequence(reference, written) * (1 / len(reference) + 1 / len(written)) / 2
        ),
    },
    "paired_interval": {
        "sign": lambda a, b, rng, resamples=1000: interval(b, a, rng, resamples),
        "unpaired": lambda a, b, rng, resamples=1000: interval(a, b, rng, resamples, paired=False),
        "no-replacement": lambda a, b, rng, resamples=1000: interval(a, b, rng, resamples, replace=False),
        "single-questions": single_questions,
        "level": lambda a, b, rng, resamples=1000: interval(a, b, rng, resamples, level=0.9),
        "own-randomness": lambda a, b, rng, resamples=1000: interval(a, b, np.random.default_rng(0), resamples),
    },
    "leaked": {
        "identical": lambda test, train, n: [i for i, text in enumerate(test) if text in train],
        "one-short": lambda test, train, n: search(test, train, n - 1),
        "rest": lambda test, train, n: [i for i in range(len(test)) if i not in search(test, train, n)],
        "joined": lambda test, train, n: search(test, ["".join(train)], n),
        "white-space": lambda test, train, n: search(test, train, n, clean=lambda text: text),
        "short": lambda test, train, n: search(test, train, n, short="none"),
        "short-all": lambda test, train, n: search(test, train, n, short="all"),
    },
}

STUB = {"macro_f1": "f1-of-means"}  # the code to be mended averages first and combines afterwards
