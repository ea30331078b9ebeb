"""Answers that learners give to the exercises of lesson 11 and that are wrong, under the name of the mistake."""

import math

import numpy as np


def norm_of(gradients):
    return math.sqrt(sum((g**2).sum() for g in gradients))


def each_by_itself(gradients, max_norm):
    return [g * min(1.0, max_norm / np.linalg.norm(g)) for g in gradients]


def sum_of_squares(gradients, max_norm):
    squares = sum((g**2).sum() for g in gradients)
    return [g * max_norm / squares for g in gradients]


def sum_of_norms(gradients, max_norm):
    total = sum(np.linalg.norm(g) for g in gradients)
    return [g * max_norm / total for g in gradients]


def always_divide(gradients, max_norm):
    norm = np.sqrt(sum((g**2).sum() for g in gradients))
    return [g / norm * min(norm, max_norm) for g in gradients]


def half_cosine(progress):
    return 0.5 * (1 + math.cos(math.pi * progress))


def climb_from_zero(step, steps, warmup, peak, lowest):
    if step < warmup:
        return peak * step / warmup
    return lowest + (peak - lowest) * half_cosine((step - warmup) / (steps - 1 - warmup))


def climb_too_fast(step, steps, warmup, peak, lowest):
    if step < warmup:
        return peak * (step + 1) / warmup
    return lowest + (peak - lowest) * half_cosine((step - warmup) / (steps - 1 - warmup))


def no_warmup(step, steps, warmup, peak, lowest):
    return lowest + (peak - lowest) * half_cosine(step / (steps - 1))


def one_step_short(step, steps, warmup, peak, lowest):
    if step < warmup:
        return peak * (step + 1) / (warmup + 1)
    return lowest + (peak - lowest) * half_cosine((step - warmup) / (steps - warmup))


def progress_of_all(step, steps, warmup, peak, lowest):
    if step < warmup:
        return peak * (step + 1) / (warmup + 1)
    return lowest + (peak - lowest) * half_cosine(step / (steps - 1))


def down_to_zero(step, steps, warmup, peak, lowest):
    if step < warmup:
        return peak * (step + 1) / (warmup + 1)
    return peak * half_cosine((step - warmup) / (steps - 1 - warmup))


def straight_down(step, steps, warmup, peak, lowest):
    if step < warmup:
        return peak * (step + 1) / (warmup + 1)
    return peak + (lowest - peak) * (step - warmup) / (steps - 1 - warmup)


def adamw_with(*, l2=False, correct="mv", give="plain", eps_place="out", root=True, shrink="rate", sign=-1):
    """AdamW with one thing done otherwise."""

    def adamw_step(w, g, m, v, t, lr=1e-3, beta1=0.9, beta2=0.95, eps=1e-8, decay=0.1):
        if l2:
            g = g + decay * w
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g**2
        m_hat = m / (1 - beta1**t) if "m" in correct else m
        v_hat = v / (1 - beta2**t) if "v" in correct else v
        outside = (np.sqrt(v_hat) if root else v_hat) + eps
        below = np.sqrt(v_hat + eps) if eps_place == "in" else outside
        factor = {"rate": 1 - lr * decay, "none": 1.0, "bare": 1 - decay}["none" if l2 else shrink]
        w = factor * w + sign * lr * m_hat / below
        return (w, m, v) if give == "plain" else (w, m_hat, v_hat)

    return adamw_step


def stop_with(*, reset=True, against="best", extra=0, tie=False, stops=True, keep="best", first=0):
    """Early stopping with one thing done otherwise."""

    def stop_early(losses, patience):
        best, waited, end = 0, 0, len(losses) - 1
        for i in range(1, len(losses)):
            mark = losses[best] if against == "best" else losses[i - 1]
            if losses[i] < mark or (tie and losses[i] == mark):
                best, waited = i, 0 if reset else waited
            else:
                waited += 1
            if stops and waited >= patience + extra:
                end = i
                break
        kept = {"best": best, "last": end, "all": int(np.argmin(losses))}[keep]
        return kept + first, end + first

    return stop_early


WRONG = {
    "first_stride": {
        "uphill": lambda gradient, lr: lr * np.sign(gradient),
        "sgd": lambda gradient, lr: -lr * gradient,
        "uncorrected": lambda gradient, lr: -lr * 0.1 * gradient / np.sqrt(0.001 * gradient**2),
        "whole-norm": lambda gradient, lr: -lr * gradient / np.linalg.norm(gradient),
        "no-rate": lambda gradient, lr: -np.sign(gradient),
        "zero": lambda gradient, lr: -lr * gradient / np.sqrt(gradient**2),
    },
    "floor_in_nats": {
        "no-end": lambda bits_per_character, characters: bits_per_character * math.log(2),
        "divided": lambda bits_per_character, characters: (
            bits_per_character * characters / math.log(2) / (characters + 1)
        ),
        "bits": lambda bits_per_character, characters: bits_per_character * characters / (characters + 1),
        "story": lambda bits_per_character, characters: bits_per_character * characters * math.log(2),
        "end-above": lambda bits_per_character, characters: (
            bits_per_character * math.log(2) * (characters + 1) / characters
        ),
    },
    "clip_together": {
        "each": lambda gradients, max_norm: [g * max_norm / np.linalg.norm(g) for g in gradients],
        "each-min": each_by_itself,
        "entries": lambda gradients, max_norm: [np.clip(g, -max_norm, max_norm) for g in gradients],
        "squared": sum_of_squares,
        "sum-of-norms": sum_of_norms,
        "unit": lambda gradients, max_norm: [g / norm_of(gradients) for g in gradients],
        "lengthens": lambda gradients, max_norm: [g * max_norm / norm_of(gradients) for g in gradients],
        "zero": always_divide,
    },
    "warm_cosine": {
        "from-zero": climb_from_zero,
        "peak-twice": climb_too_fast,
        "no-warmup": no_warmup,
        "never-arrives": one_step_short,
        "jumps": progress_of_all,
        "to-zero": down_to_zero,
        "line": straight_down,
    },
    "adamw_step": {
        "l2": adamw_with(l2=True),
        "uncorrected": adamw_with(correct=""),
        "one-corrected": adamw_with(correct="m"),
        "returns-corrected": adamw_with(give="corrected"),
        "eps-inside": adamw_with(eps_place="in"),
        "no-root": adamw_with(root=False),
        "no-decay": adamw_with(shrink="none"),
        "decay-without-rate": adamw_with(shrink="bare"),
        "uphill": adamw_with(sign=1),
    },
    "stop_early": {
        "kept-last": stop_with(keep="last"),
        "never-stops": stop_with(stops=False),
        "saw-the-future": stop_with(keep="all"),
        "never-reset": stop_with(reset=False),
        "previous": stop_with(against="previous"),
        "late": stop_with(extra=1),
        "from-one": stop_with(first=1),
        "tie": stop_with(tie=True),
    },
}

STUB = {"clip_together": "each"}  # the code to be mended scales each array by its own length
