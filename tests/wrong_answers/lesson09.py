"""Answers that learners give to the exercises of lesson 09 and that are wrong, under the name of the mistake."""

import numpy as np


def relu(x):
    return np.maximum(x, 0)


def normalised(x, w, b, eps, *, centre=1, spread=1, ddof=0, root=True, outside=False):
    """Layer normalisation; centre and spread: the axes of mean and variance."""
    variance = x.var(axis=spread, ddof=ddof, keepdims=True)
    inside, after = (0, eps) if outside else (eps, 0)
    below = (variance + inside) ** (0.5 if root else 1) + after
    return w * (x - x.mean(axis=centre, keepdims=True)) / below + b


def rms_only(x, w, b, eps):
    return w * x / np.sqrt((x**2).mean(axis=1, keepdims=True) + eps) + b


def mean_kept(x, w, b, eps):
    return w * x / np.sqrt(x.var(axis=1, keepdims=True) + eps) + b


def gain_on_bias(x, w, b, eps):
    return w * (normalised(x, 1, 0, eps) + b)


def rms(dy, x, w, eps, step="", dw="sum"):
    r = np.sqrt((x**2).mean(axis=1, keepdims=True) + eps)
    x_hat = x / r
    g = dy if step in ("no-gain", "gain-late") else w * dy
    along = (g * x_hat).mean(axis=1, keepdims=True)
    if step == "sum":
        along = along * x.shape[1]
    dx = (g - x_hat * along) / r
    if step == "direct":
        dx = g / r
    elif step == "layer-norm":
        dx = (g - g.mean(axis=1, keepdims=True) - x_hat * along) / r
    elif step == "not-divided":
        dx = g - x_hat * along
    elif step == "sign":
        dx = (g + x_hat * along) / r
    elif step == "x":
        dx = (g - x * (g * x).mean(axis=1, keepdims=True)) / r
    elif step == "gain-late":
        dx = w * dx
    terms = {"sum": dy * x_hat, "mean": dy * x_hat / len(x), "x": dy * x, "gain": w * dy * x_hat}[dw]
    return dx, terms.sum(axis=0)


def gated(dy, x, w_gate, w_up, w_down, *, step=""):
    gate, up = x @ w_gate.T, x @ w_up.T
    sigma = 1 / (1 + np.exp(-gate))
    act, slope = gate * sigma, sigma * (1 + gate * (1 - sigma))
    if step in ("sigma-slope", "sigmoid"):
        slope = sigma * (1 - sigma)
    if step == "sigmoid":
        act = sigma
    da = dy @ w_down
    dgate = da * slope * (1 if step == "no-other" else up)
    dup = da * (slope if step == "slope-everywhere" else act)
    if step == "gate":
        return dgate @ w_gate
    if step == "up":
        return dup @ w_up
    if step == "swapped":
        return dgate @ w_up + dup @ w_gate
    return dgate @ w_gate + dup @ w_up


def along(dy, x, w1, w2, *, path=True, slope=True, start=False, replace=False, forward_order=False, flip=True):
    first, slopes = x, []
    for a, b in zip(w1, w2, strict=True):
        h = (first if start else x) @ a.T
        slopes.append(h > 0 if slope else 1)
        x = relu(h) @ b.T if replace else x + relu(h) @ b.T
    gradients, layers = [dy], list(zip(w1, w2, slopes, strict=True))
    for a, b, mask in layers if forward_order else reversed(layers):
        through = (dy @ b * mask) @ a
        dy = dy + through if path else through
        gradients.append(dy)
    return np.array(gradients[::-1] if flip else gradients)


WRONG = {
    "ffn_sizes": {
        "no-biases": lambda d: (8 * d * d, 8 * d // 3),
        "one-matrix": [lambda d: (4 * d * d + 5 * d, 8 * d // 3), lambda d: (4 * d * d, 8 * d // 3)],
        "equal-biases": [lambda d: (8 * d * d + 2 * d, 8 * d // 3), lambda d: (8 * d * d + 8 * d, 8 * d // 3)],
        "one-bias": [lambda d: (8 * d * d + 4 * d, 8 * d // 3), lambda d: (8 * d * d + d, 8 * d // 3)],
        "same-width": lambda d: (8 * d * d + 5 * d, 4 * d),
        "half": lambda d: (8 * d * d + 5 * d, 2 * d),
        "one-third": lambda d: (8 * d * d + 5 * d, 4 * d // 3),
        "wider": lambda d: (8 * d * d + 5 * d, 6 * d),
    },
    "ffn_update": {
        "outer-relu": lambda x, w1, b1, w2, b2: relu(relu(x @ w1.T + b1) @ w2.T) + b2,
        "outer-relu-bias": lambda x, w1, b1, w2, b2: relu(relu(x @ w1.T + b1) @ w2.T + b2),
        "no-relu": lambda x, w1, b1, w2, b2: (x @ w1.T + b1) @ w2.T + b2,
        "no-output-bias": lambda x, w1, b1, w2, b2: relu(x @ w1.T + b1) @ w2.T,
        "bias-after-relu": lambda x, w1, b1, w2, b2: (relu(x @ w1.T) + b1) @ w2.T + b2,
        "added-x": lambda x, w1, b1, w2, b2: x + relu(x @ w1.T + b1) @ w2.T + b2,
    },
    "normalise_rows": {
        "both-faults": lambda x, w, b, eps: normalised(x, w, b, eps, centre=0, spread=0, outside=True),
        "positions": lambda x, w, b, eps: normalised(x, w, b, eps, centre=0, spread=0),
        "half-mended": [
            lambda x, w, b, eps: normalised(x, w, b, eps, centre=0),
            lambda x, w, b, eps: normalised(x, w, b, eps, spread=0),
        ],
        "eps-outside": lambda x, w, b, eps: normalised(x, w, b, eps, outside=True),
        "no-eps": lambda x, w, b, eps: normalised(x, w, b, 0),
        "unbiased": lambda x, w, b, eps: normalised(x, w, b, eps, ddof=1),
        "no-mean": rms_only,
        "mean-kept": mean_kept,
        "no-root": lambda x, w, b, eps: normalised(x, w, b, eps, root=False),
        "gain-on-bias": gain_on_bias,
    },
    "rms_gradient": {
        "direct-only": lambda dy, x, w, eps: rms(dy, x, w, eps, "direct"),
        "layer-norm": lambda dy, x, w, eps: rms(dy, x, w, eps, "layer-norm"),
        "sum": lambda dy, x, w, eps: rms(dy, x, w, eps, "sum"),
        "no-gain": lambda dy, x, w, eps: rms(dy, x, w, eps, "no-gain"),
        "gain-late": lambda dy, x, w, eps: rms(dy, x, w, eps, "gain-late"),
        "not-divided": lambda dy, x, w, eps: rms(dy, x, w, eps, "not-divided"),
        "sign": lambda dy, x, w, eps: rms(dy, x, w, eps, "sign"),
        "x-for-hat": lambda dy, x, w, eps: rms(dy, x, w, eps, "x"),
        "dw-mean": lambda dy, x, w, eps: rms(dy, x, w, eps, dw="mean"),
        "dw-x": lambda dy, x, w, eps: rms(dy, x, w, eps, dw="x"),
        "dw-gain": lambda dy, x, w, eps: rms(dy, x, w, eps, dw="gain"),
    },
    "swiglu_gradient": {
        "gate-only": lambda *given: gated(*given, step="gate"),
        "up-only": lambda *given: gated(*given, step="up"),
        "sigma-slope": lambda *given: gated(*given, step="sigma-slope"),
        "sigma-for-silu": lambda *given: gated(*given, step="sigmoid"),
        "slope-everywhere": lambda *given: gated(*given, step="slope-everywhere"),
        "no-other-factor": lambda *given: gated(*given, step="no-other"),
        "swapped": lambda *given: gated(*given, step="swapped"),
    },
    "stream_gradients": {
        "no-path": lambda *given: along(*given, path=False),
        "no-slope": lambda *given: along(*given, slope=False),
        "start": lambda *given: along(*given, start=True),
        "plain-forward": lambda *given: along(*given, replace=True),
        "order": lambda *given: along(*given, forward_order=True),
        "reversed": lambda *given: along(*given, flip=False),
        "path-only": lambda dy, x, w1, w2: np.repeat(dy[None], len(w1) + 1, axis=0),
    },
}

STUB = {"ffn_update": "outer-relu", "normalise_rows": "both-faults"}
