"""Answers that learners give to the exercises of lesson 13 and that are wrong, under the name of the mistake."""

import numpy as np
import torch
from torch.nn.functional import cross_entropy


def gradients(w, xs):
    return [2 * w * x * x for x in xs]


def since(w, xs, cleared, of=gradients, late=0):
    return of(w, xs)[cleared.index(True) + late :]


def step(model, optimiser, ids, answers, clear="before", scores=lambda z: z.flatten(0, 1), **options):
    loss = cross_entropy(scores(model(ids)), answers.flatten(), **options)
    if clear == "before":
        optimiser.zero_grad()
    loss.backward()
    if clear == "late":
        optimiser.zero_grad()
    optimiser.step()
    return loss.item()


def reshaped(model, optimiser, ids, answers):
    z = model(ids)
    loss = cross_entropy(z.reshape(z.shape[0], z.shape[2], z.shape[1]), answers)
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
    return loss.item()


def step_first(model, optimiser, ids, answers):
    loss = cross_entropy(model(ids).flatten(0, 1), answers.flatten())
    optimiser.step()
    optimiser.zero_grad()
    loss.backward()
    return loss.item()


def no_update(model, optimiser, ids, answers):
    loss = cross_entropy(model(ids).flatten(0, 1), answers.flatten())
    optimiser.zero_grad()
    loss.backward()
    return loss.item()


def after_update(model, optimiser, ids, answers):
    step(model, optimiser, ids, answers)
    return cross_entropy(model(ids).flatten(0, 1), answers.flatten()).item()


def without_records(model, optimiser, ids, answers):
    with torch.no_grad():
        return step(model, optimiser, ids, answers)


def a_tensor(model, optimiser, ids, answers):
    loss = cross_entropy(model(ids).flatten(0, 1), answers.flatten())
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
    return loss


def state(stacked, out):
    return {"in_proj_weight": stacked, "out_proj.weight": out}


def tensor(array):
    return torch.tensor(array, dtype=torch.float32)


def transposed(*matrices):
    return tensor(np.concatenate([m.T for m in matrices]))


def norm_backward(ctx, dy, mean=lambda v: v.mean(-1, keepdim=True), weighted=True, scaled=True, centred=False):
    xhat, rstd, w = ctx.saved_tensors
    g = dy * w if weighted else dy
    dx = g - xhat * mean(g * xhat) - (g.mean(-1, keepdim=True) if centred else 0)
    return dx * rstd if scaled else dx, (dy * xhat).sum(0)


def with_dw(dw):
    return lambda ctx, dy: (norm_backward(ctx, dy)[0], dw(dy, *ctx.saved_tensors))


def one_term(ctx, dy):
    _, rstd, w = ctx.saved_tensors
    return rstd * dy * w, norm_backward(ctx, dy)[1]


def count(measure, key=lambda t: t.untyped_storage().data_ptr(), own=False, result=False):
    def saved_bytes(function, x):
        pieces = {}

        def pack(t):
            pieces[key(t)] = measure(t)
            return t

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
            y = function(x)
        if not own:
            pieces.pop(x.untyped_storage().data_ptr(), None)
        return sum(pieces.values()) + (y.nbytes if result else 0)

    return saved_bytes


def each_time(function, x):
    total = 0

    def pack(t):
        nonlocal total
        if t.untyped_storage().data_ptr() != x.untyped_storage().data_ptr():
            total += t.untyped_storage().nbytes()
        return t

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        function(x)
    return total


def whole(t):
    return t.untyped_storage().nbytes()


def parted(a, b, tolerance=1e-5, relative=True):
    if a.shape != b.shape:
        return True
    d = np.abs(a - b.detach().numpy()).max()
    return not d <= tolerance * (np.abs(a).max() if relative else 1)


def search(names=lambda ours, theirs: list(ours), test=parted, pick=0):
    def first_parting(ours, theirs, tolerance=1e-5):
        found = [
            n for n in names(ours, theirs) if n in ours and (n not in theirs or test(ours[n], theirs[n], tolerance))
        ]
        return found[pick] if found else None

    return first_parting


def largest(ours, theirs, tolerance=1e-5):
    apart = {n: np.abs(ours[n] - theirs[n].detach().numpy()).max() for n in ours}
    return max(apart, key=apart.get)


def with_nan(a, b, tolerance):
    return a.shape != b.shape or bool(np.abs(a - b.detach().numpy()).max() > tolerance * np.abs(a).max())


def broadcasting(a, b, tolerance):
    return not np.abs(a - b.detach().numpy()).max() <= tolerance * np.abs(a).max()


def own_size(a, b, tolerance):
    return a.shape != b.shape or not np.allclose(b.detach().numpy(), a, rtol=tolerance, atol=0)


def skips_missing(ours, theirs, tolerance=1e-5):
    for name in ours:
        if name in theirs and parted(ours[name], theirs[name], tolerance):
            return name
    return None


def straight(ours, theirs, tolerance=1e-5):
    for name, array in ours.items():
        if np.abs(theirs[name].numpy() - array).max() > tolerance * np.abs(array).max():
            return name
    return None


def says_whether(ours, theirs, tolerance=1e-5):
    return search()(ours, theirs, tolerance) is not None


WRONG = {
    "grad_after": {
        "overwritten": lambda w, xs, cleared: gradients(w, xs)[-1],
        "never-cleared": lambda w, xs, cleared: sum(gradients(w, xs)),
        "cleared-late": lambda w, xs, cleared: sum(since(w, xs, cleared, late=1)),
        "averaged": lambda w, xs, cleared: float(np.mean(since(w, xs, cleared))),
        "inner": lambda w, xs, cleared: sum(since(w, xs, cleared, lambda w, xs: [2 * w * x for x in xs])),
        "by-x": lambda w, xs, cleared: sum(since(w, xs, cleared, lambda w, xs: [2 * w * w * x for x in xs])),
        "type": lambda w, xs, cleared: torch.tensor(sum(since(w, xs, cleared))),
    },
    "training_step": {
        "softmax-first": lambda *given: step(*given, scores=lambda z: z.softmax(-1).flatten(0, 1)),
        "log-softmax-axis": lambda *given: step(*given, scores=lambda z: z.softmax(1).flatten(0, 1)),
        "scrambled": reshaped,
        "summed": lambda *given: step(*given, reduction="sum"),
        "after-update": after_update,
        "not-cleared": lambda *given: step(*given, clear="never"),
        "not-updated": [no_update, lambda *given: step(*given, clear="late")],
        "tensor": a_tensor,
        "raised": [step_first, without_records, lambda *given: step(*given, scores=lambda z: z)],
    },
    "carry_over": {
        "not-transposed": lambda q, k, v, o: state(tensor(np.concatenate([q, k, v])), tensor(o.T)),
        "order": lambda q, k, v, o: state(transposed(k, q, v), tensor(o.T)),
        "all-at-once": lambda q, k, v, o: state(tensor(np.concatenate([q, k, v]).reshape(len(q), -1).T), tensor(o.T)),
        "side-by-side": lambda q, k, v, o: state(tensor(np.concatenate([q, k, v], axis=1)), tensor(o.T)),
        "out-not-transposed": lambda q, k, v, o: state(transposed(q, k, v), tensor(o)),
        "keys": lambda q, k, v, o: {"in_proj.weight": transposed(q, k, v), "out_proj.weight": tensor(o.T)},
        "shared": lambda q, k, v, o: state(transposed(q, k, v), torch.from_numpy(o.T).float()),
        "dtype": lambda q, k, v, o: state(torch.tensor(np.concatenate([q.T, k.T, v.T])), torch.tensor(o.T)),
        "type": [
            lambda q, k, v, o: state(np.concatenate([q.T, k.T, v.T]), o.T),
            lambda q, k, v, o: (transposed(q, k, v), tensor(o.T)),
        ],
    },
    "rms_norm_backward": {
        "one-term": one_term,
        "no-w": lambda ctx, dy: norm_backward(ctx, dy, weighted=False),
        "sum-for-mean": lambda ctx, dy: norm_backward(ctx, dy, mean=lambda v: v.sum(-1, keepdim=True)),
        "layer-norm": lambda ctx, dy: norm_backward(ctx, dy, centred=True),
        "no-rstd": lambda ctx, dy: norm_backward(ctx, dy, scaled=False),
        "whole-mean": lambda ctx, dy: norm_backward(ctx, dy, mean=lambda v: v.mean()),
        "dw-averaged": with_dw(lambda dy, xhat, rstd, w: (dy * xhat).mean(0)),
        "dw-no-xhat": with_dw(lambda dy, xhat, rstd, w: dy.sum(0)),
        "dw-of-x": with_dw(lambda dy, xhat, rstd, w: (dy * xhat / rstd).sum(0)),
        "not-summed": with_dw(lambda dy, xhat, rstd, w: dy * xhat),
        "swapped": lambda ctx, dy: norm_backward(ctx, dy)[::-1],
        "type": [
            lambda ctx, dy: norm_backward(ctx, dy)[0],
            lambda ctx, dy: tuple(part.numpy() for part in norm_backward(ctx, dy)),
        ],
    },
    "saved_bytes": {
        "twice": each_time,
        "part": count(lambda t: t.nbytes),
        "x-counted": count(whole, own=True),
        "numbers": count(lambda t: whole(t) // t.element_size()),
        "four": count(lambda t: whole(t) // t.element_size() * 4),
        "output": count(whole, result=True),
    },
    "first_parting": {
        "never": lambda ours, theirs, tolerance=1e-5: None,
        "largest": largest,
        "last": search(pick=-1),
        "sorted": search(names=lambda ours, theirs: sorted(ours)),
        "their-order": search(names=lambda ours, theirs: list(theirs)),
        "agreeing": search(test=lambda *given: not parted(*given)),
        "absolute": search(test=lambda a, b, tolerance: parted(a, b, tolerance, relative=False)),
        "entry-by-entry": search(test=own_size),
        "nan": search(test=with_nan),
        "broadcast": search(test=broadcasting),
        "missing": skips_missing,
        "tolerance": lambda ours, theirs, tolerance=1e-5: search()(ours, theirs),
        "raised": straight,
        "type": says_whether,
    },
}

STUB = {"training_step": "tensor"}
