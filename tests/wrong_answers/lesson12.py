"""Answers that learners give to the exercises of lesson 12 and that are wrong, under the name of the mistake."""

import math

import numpy as np


def softmax(z):
    e = np.exp(z - z.max())
    return e / e.sum()


def all_steps(prompt, tokens):
    return sum(prompt + i for i in range(tokens))


def cut(p, theta, extra=1, divide=True, order=None):
    """extra: how many stay beyond the place that searchsorted finds."""
    order = np.argsort(-p, kind="stable") if order is None else order(p)
    count = np.searchsorted(np.cumsum(p[order]), theta) + extra
    kept = np.zeros_like(p)
    kept[order[:count]] = p[order[:count]]
    return kept / kept.sum() if divide else kept


def at_least_one(p, theta):
    """The set without the token that reaches theta, but never empty."""
    order = np.argsort(-p, kind="stable")
    count = max(np.searchsorted(np.cumsum(p[order]), theta), 1)
    kept = np.zeros_like(p)
    kept[order[:count]] = p[order[:count]]
    return kept / kept.sum()


def below_theta(p, theta):
    order = np.argsort(-p, kind="stable")
    kept = p.copy()
    kept[order[np.cumsum(p[order]) >= theta]] = 0
    return kept / kept.sum()


def running_loop(p, theta):
    kept, total = np.zeros_like(p), 0.0
    for i in np.argsort(-p, kind="stable"):
        if total > theta:
            break
        kept[i], total = p[i], total + p[i]
    return kept


def empty_when_peaked(p, theta):
    if p.max() > theta:
        return np.zeros_like(p)
    return cut(p, theta)


def over_theta(p, theta):
    kept = np.where(p >= theta, p, 0)
    return kept / max(kept.sum(), 1e-300)


def keep(p, chosen):
    kept = np.where(chosen, p, 0)
    return kept / kept.sum()


def unstable(z):
    return np.exp(z) / np.exp(z).sum()


def overflowing_min_p(z, fraction):
    with np.errstate(all="ignore"):
        p = unstable(z)
        return keep(p, p >= fraction * p.max())


def absolute(z, fraction):
    p = softmax(z)
    kept = np.where(p >= fraction, p, 0)
    return kept / max(kept.sum(), 1e-300)


def absolute_nan(z, fraction):
    with np.errstate(all="ignore"):
        return keep(softmax(z), softmax(z) >= 1.5)  # nothing is ever as likely as that


def strict(z, fraction):
    p = softmax(z)
    kept = np.where(p > fraction * p.max(), p, 0)
    return kept / max(kept.sum(), 1e-300)


def loops(text, times, lengths):
    for length in lengths:
        if length and text.endswith(text[-length:] * times):
            return length
    return 0


def shortest(text, times):
    return loops(text, times, range(1, len(text) // times + 1))


def anywhere(text, times=3):
    for length in range(1, len(text) // times + 1):
        for i in range(len(text) - length * times + 1):
            if text[i : i + length] * times == text[i : i + length * times]:
                return length
    return 0


def from_the_start(text, times=3):
    for length in range(1, len(text) // times + 1):
        if text.startswith(text[:length] * times):
            return length
    return 0


def counted(text, times=3):
    """Counts, but not in a row."""
    for length in range(1, len(text) // times + 1):
        if text.count(text[-length:]) >= times and length > 1:
            return length
    return 0


def attend(q, k, v, keys, values, scale=None, ask=None, mean=None, shares=softmax):
    keys, values = np.vstack([keys, k]), np.vstack([values, v])
    scores = keys @ (q if ask is None else k) / (math.sqrt(len(q)) if scale is None else scale(len(q)))
    return shares(scores) @ (values if mean is None else keys), keys, values


def only_the_past(q, k, v, keys, values):
    if not len(keys):
        return v, k[None], v[None]
    out = softmax(keys @ q / math.sqrt(len(q))) @ values
    return out, np.vstack([keys, k]), np.vstack([values, v])


def in_front(q, k, v, keys, values):
    out, *_ = attend(q, k, v, keys, values)
    return out, np.vstack([k, keys]), np.vstack([v, values])


def search(next_log_p, width, longest, stop, *, score=None, ends=True, early=False, open_too=True, per_path=False):
    score = score or (lambda total, ids: total / len(ids))
    paths, complete = [(0.0, [])], []
    for step in range(longest):
        groups = [[(total + lp, [*ids, t]) for t, lp in enumerate(next_log_p(ids))] for total, ids in paths]
        if per_path and step:
            best = [max(group, key=lambda path: path[0]) for group in groups]
        else:
            best = sorted((path for group in groups for path in group), key=lambda path: -path[0])[:width]
        if ends:
            complete += [path for path in best if path[1][-1] == stop]
            best = [path for path in best if path[1][-1] != stop]
        paths = best
        if early and complete:
            break
    pool = complete + paths if open_too or not complete else complete
    return max(pool, key=lambda path: score(*path))[1]


def without_stop(next_log_p, width, longest, stop):
    def score(total, ids):
        return total / max(len(ids) - (ids[-1] == stop), 1)

    return search(next_log_p, width, longest, stop, score=score)


def unchanged_cache(q, k, v, keys, values):
    return attend(q, k, v, keys, values)[0], keys, values


WRONG = {
    "positions_computed": {
        "one-too-far": lambda p, t: (sum(p + i for i in range(1, t + 1)), p + t - 1),
        "last-fed": lambda p, t: (all_steps(p, t + 1), p + t - 1),
        "no-prompt": [
            lambda p, t: (t * (t - 1) // 2, p + t - 1),
            lambda p, t: (t * (t + 1) // 2, p + t - 1),
        ],
        "prompt-once": lambda p, t: (p + t * (t - 1) // 2, p + t - 1),
        "square": [lambda p, t: ((p + t) ** 2, p + t - 1), lambda p, t: (t * t, p + t - 1)],
        "linear": lambda p, t: (p + t, p + t),
        "last-cached": lambda p, t: (all_steps(p, t), p + t),
        "prompt-free": lambda p, t: (all_steps(p, t), t),
        "no-saving": lambda p, t: (all_steps(p, t), all_steps(p, t)),
    },
    "nucleus": {
        "two-faults": lambda p, theta: cut(p, theta, extra=0, divide=False),
        "drops-last": [at_least_one, below_theta],
        "not-divided": [lambda p, theta: cut(p, theta, divide=False), running_loop],
        "one-more": lambda p, theta: cut(p, theta, extra=2),
        "unsorted": lambda p, theta: cut(p, theta, order=lambda p: np.arange(len(p))),
        "least-likely": lambda p, theta: cut(p, theta, order=np.argsort),
        "threshold": over_theta,
        "empty": empty_when_peaked,
        "ties": lambda p, theta: cut(p, theta, order=lambda p: np.argsort(p, kind="stable")[::-1]),
    },
    "min_p": {
        "not-divided": [
            lambda z, f: np.where(softmax(z) >= f * softmax(z).max(), softmax(z), 0),
            lambda z, f: np.where(np.exp(z - z.max()) >= f, np.exp(z - z.max()), 0),
        ],
        "absolute": absolute,
        "scores": lambda z, f: keep(softmax(z), z >= f * z.max()),
        "inverted": lambda z, f: keep(softmax(z), softmax(z) < f * softmax(z).max()),
        "top-p": lambda z, f: cut(softmax(z), f),
        "first-only": lambda z, f: (z == z.max()).astype(float),
        "uncut": lambda z, f: softmax(z),
        "overflow": overflowing_min_p,
        "strict": strict,
    },
    "loop_length": {
        "whole": lambda text, times=3: shortest(text, times) * times,
        "rounds": lambda text, times=3: times if shortest(text, times) else 0,
        "misses": [from_the_start, lambda text, times=3: loops(text, times, range(1, 2))],
        "whole-text": lambda text, times=3: loops(text, times, range(1, (len(text) - 1) // times + 1)),
        "anywhere": anywhere,
        "too-few": lambda text, times=3: loops(text, times - 1, range(1, len(text) // max(times - 1, 1) + 1)),
        "longest": lambda text, times=3: loops(text, times, range(len(text) // times, 0, -1)),
    },
    "attend_next": {
        "not-grown": unchanged_cache,
        "front": in_front,
        "mixed-up": lambda q, k, v, keys, values: (
            attend(q, k, v, keys, values)[0],
            np.vstack([keys, v]),
            np.vstack([values, k]),
        ),
        "excludes-self": only_the_past,
        "no-scale": lambda *a: attend(*a, scale=lambda d: 1),
        "d-scale": lambda *a: attend(*a, scale=lambda d: d),
        "asks-with-key": lambda *a: attend(*a, ask="key"),
        "averages-keys": lambda *a: attend(*a, mean="keys"),
        "no-softmax": lambda *a: attend(*a, shares=lambda z: z),
    },
    "beam_until": {
        "total": lambda *a: search(*a, score=lambda total, ids: total),
        "never-ends": lambda *a: search(*a, ends=False),
        "first-stop": lambda *a: search(*a, early=True),
        "only-complete": lambda *a: search(*a, open_too=False),
        "greedy": lambda f, width, longest, stop: search(f, 1, longest, stop),
        "all": lambda f, width, longest, stop: search(f, 10**6, longest, stop),
        "per-path": lambda *a: search(*a, per_path=True),
        "stop-not-counted": without_stop,
        "worst": lambda *a: search(*a, score=lambda total, ids: -total / len(ids)),
    },
}

STUB = {"nucleus": "two-faults"}
