"""Answers that learners give to the exercises of lesson 06 and that are wrong, under the name of the mistake."""

import numpy as np


def own_factor(a, b, c):
    u, v = a + b, b * c
    return u, u + v * c, v * b


def overwriting(tape):
    grads = [0.0] * len(tape)
    grads[-1] = 1.0
    for i in reversed(range(len(tape))):
        for operand, slope in tape[i]:
            grads[operand] = grads[i] * slope
    return grads


def oldest_first(tape):
    grads = [0.0] * len(tape)
    grads[-1] = 1.0
    for i, entry in enumerate(tape):
        for operand, slope in entry:
            grads[operand] += grads[i] * slope
    return grads


def local_only(tape):
    grads = [0.0] * len(tape)
    grads[-1] = 1.0
    for entry in tape[::-1]:
        for operand, slope in entry:
            grads[operand] += slope
    return grads


def adding_along_the_path(tape):
    grads = [0.0] * len(tape)
    grads[-1] = 1.0
    for i in reversed(range(len(tape))):
        for operand, slope in tape[i]:
            grads[operand] += grads[i] + slope
    return grads


def nothing_to_pass(tape):
    grads = [0.0] * len(tape)
    for i in reversed(range(len(tape))):
        for operand, slope in tape[i]:
            grads[operand] += grads[i] * slope
    return grads


def each_entry(slope):
    """central_slopes out of a formula of f, x, the step as an array, and h."""

    def slopes(f, x, h):
        out = np.zeros_like(x)
        for index in np.ndindex(x.shape):
            step = np.zeros_like(x)
            step[index] = h
            out[index] = slope(f, x, step, h)
        return out

    return slopes


def not_put_back(f, x, h):
    x, out = x.copy(), np.zeros_like(x)
    for index in np.ndindex(x.shape):
        x[index] += h
        up = f(x)
        x[index] -= 2 * h
        out[index] = (up - f(x)) / (2 * h)
    return out


def moved_in_place(f, x, h):
    out = np.zeros_like(x)
    for index in np.ndindex(x.shape):
        x[index] += h
        up = f(x)
        x[index] -= 2 * h
        out[index] = (up - f(x)) / (2 * h)
    return out


def stretched(grad, shape):
    """The axes that broadcasting stretched, when those it added are gone."""
    return tuple(i for i, n in enumerate(shape) if n == 1 and grad.shape[i] != 1)


def added_axes_only(grad, shape):
    return grad.sum(axis=tuple(range(grad.ndim - len(shape))))


def stretched_axes_only(grad, shape):
    extra = grad.ndim - len(shape)
    return grad.sum(axis=tuple(extra + i for i, n in enumerate(shape) if n == 1), keepdims=True)


def axes_lost(grad, shape):
    grad = added_axes_only(grad, shape)
    return grad.sum(axis=stretched(grad, shape))


def averaged(grad, shape):
    grad = grad.mean(axis=tuple(range(grad.ndim - len(shape))))
    return grad.mean(axis=stretched(grad, shape), keepdims=True)


def share(at):
    """unbroadcast that keeps one share, the first or the last."""

    def one(grad, shape):
        while grad.ndim > len(shape):
            grad = grad[at]
        for axis in stretched(grad, shape):
            grad = np.take(grad, [at], axis=axis)
        return np.asarray(grad)

    return one


def moving(step, factor=1):
    """momentum_path out of a formula: step(v, g, beta) -> (new v, move)."""

    def path(gradient, w, lr, beta, steps):
        points, v = [w], np.zeros_like(w)
        for _ in range(steps):
            v, move = step(v, gradient(w), beta)
            w = w - factor * lr * move
            points.append(w)
        return np.stack(points)

    return path


plain = moving(lambda v, g, beta: (beta * v + g, beta * v + g))


def one_gradient(gradient, w, lr, beta, steps):
    g = gradient(w)
    return plain(lambda w: g, w, lr, beta, steps)


def same_array(gradient, w, lr, beta, steps):
    w = w.copy()
    points, v = [w], np.zeros_like(w)
    for _ in range(steps):
        v = beta * v + gradient(w)
        w -= lr * v
        points.append(w)
    return np.stack(points)


def eigenvalues(hessian):
    return np.linalg.eigvalsh(hessian)


WRONG = {
    "fork_gradients": {
        "first-use": lambda a, b, c: (b * c, b * c, (a + b) * b),
        "second-use": lambda a, b, c: (b * c, (a + b) * c, (a + b) * b),
        "multiplied": lambda a, b, c: (b * c, b * c * (a + b) * c, (a + b) * b),
        "own-factor": own_factor,
        "local": lambda a, b, c: (1.0, 1.0 + c, b),
    },
    "pass_back": {
        "overwritten": overwriting,
        "order": oldest_first,
        "local": local_only,
        "added": adding_along_the_path,
        "no-start": nothing_to_pass,
    },
    "central_slopes": {
        "forward": each_entry(lambda f, x, step, h: (f(x + step) - f(x)) / h),
        "backward": each_entry(lambda f, x, step, h: (f(x) - f(x - step)) / h),
        "one-h": each_entry(lambda f, x, step, h: (f(x + step) - f(x - step)) / h),
        "sign": each_entry(lambda f, x, step, h: (f(x - step) - f(x + step)) / (2 * h)),
        "undivided": each_entry(lambda f, x, step, h: f(x + step) - f(x - step)),
        "together": lambda f, x, h: np.full(x.shape, (f(x + h) - f(x - h)) / (2 * h)),
        "not-restored": not_put_back,
        "mutated": moved_in_place,
    },
    "unbroadcast": {
        "added-axes": stretched_axes_only,
        "stretched-axes": added_axes_only,
        "squeezed": axes_lost,
        "mean": averaged,
        "one-share": share(0),
        "last-share": share(-1),
        "cut": lambda grad, shape: np.resize(grad, shape),
    },
    "momentum_path": {
        "no-start": lambda *given: plain(*given)[1:],
        "end-only": lambda *given: plain(*given)[-1],
        "no-momentum": moving(lambda v, g, beta: (v, g)),
        "dampened": moving(lambda v, g, beta: (beta * v + (1 - beta) * g,) * 2),
        "late": moving(lambda v, g, beta: (beta * v + g, v)),
        "uphill": moving(lambda v, g, beta: (beta * v + g,) * 2, factor=-1),
        "nesterov": moving(lambda v, g, beta: (beta * v + g, g + beta * (beta * v + g))),
        "stale": one_gradient,
        "aliased": same_array,
    },
    "largest_step": {
        "no-momentum": lambda hessian, beta: 2 / eigenvalues(hessian)[-1],
        "smallest": lambda hessian, beta: 2 * (1 + beta) / eigenvalues(hessian)[0],
        "diagonal": lambda hessian, beta: 2 * (1 + beta) / np.diag(hessian).max(),
        "one": lambda hessian, beta: (1 + beta) / eigenvalues(hessian)[-1],
        "effective": lambda hessian, beta: 2 * (1 - beta) / eigenvalues(hessian)[-1],
        "longer": lambda hessian, beta: 2 / (1 - beta) / eigenvalues(hessian)[-1],
        "trace": lambda hessian, beta: 2 * (1 + beta) / np.trace(hessian),
    },
}

STUB = {"pass_back": "two-faults"}  # the code to be mended goes in the wrong order and overwrites
