"""Answers that learners give to the steps of the capstone and that are wrong, under the name of the mistake."""

import math
from collections import Counter

import numpy as np

from minillm.np import functional as F
from solutions.capstone import adapters as right
from solutions.capstone.my_gpt import layers, model
from solutions.capstone.my_gpt import text as own


def changed(step, place, change):
    """The right answer, with one of the returned values changed."""

    def wrong(*args):
        values = list(getattr(right, step)(*args))
        values[place] = change(values[place], *args)
        return tuple(values)

    return wrong


# ---------------------------------------------------------------------- text


def moved(tokens, context, size, rng, by):
    starts = rng.integers(0, len(tokens) - context - by + 1, size=size)
    rows = starts[:, None] + np.arange(context)
    return tokens[rows], tokens[rows + by]


def first_windows(tokens, context, size, rng):
    rows = np.arange(size)[:, None] % (len(tokens) - context) + np.arange(context)
    return tokens[rows], tokens[rows + 1]


def never_last(tokens, context, size, rng):
    rows = rng.integers(0, len(tokens) - context - 1, size=size)[:, None] + np.arange(context)
    return tokens[rows], tokens[rows + 1]


def scattered(tokens, context, size, rng):
    rows = rng.integers(0, len(tokens) - 1, size=(size, context))
    return tokens[rows], tokens[rows + 1]


def rolled(tokens, context, size, rng):
    x, _ = own.batch(tokens, context, size, rng)
    return x, np.roll(x, -1, axis=1)


# ---------------------------------------------------------------------- layers


def normalised(x, w, b, dy, how):
    """Layer normalisation with a mistake in the forward pass."""
    _, *gradients = right.layer_norm(x, w, b, dy)
    mean, var = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
    y = {
        "eps-outside": lambda: (x - mean) / (np.sqrt(var) + 1e-5),
        "no-eps": lambda: (x - mean) / np.sqrt(var),
        "unbiased": lambda: (x - mean) / np.sqrt(x.var(-1, ddof=1, keepdims=True) + 1e-5),
        "over-batch": lambda: (x - x.mean((0, 1))) / np.sqrt(x.var((0, 1)) + 1e-5),
        "not-centred": lambda: x / np.sqrt(var + 1e-5),
    }[how]()
    return y * w + b, *gradients


def norm_backward(x, w, b, dy, how):
    y, _, dw, db = right.layer_norm(x, w, b, dy)
    _, (normal, inverse, _) = layers.layer_norm(x, w, b)
    dn = dy if how == "weight-forgotten" else dy * w
    mean, along = dn.mean(-1, keepdims=True), normal * (dn * normal).mean(-1, keepdims=True)
    if how == "constants":
        mean = along = 0
    return y, inverse * (dn - mean * (how != "no-mean-path") - along * (how != "no-variance-path")), dw, db


def relu(x, dy):
    return np.maximum(x, 0), dy * (x > 0)


def gelu_by(x, dy, how):
    t = np.tanh(layers.CURVE * (x + layers.CUBE * x**3))
    inner = 0.5 * x * (1 - t * t) * layers.CURVE * (how == "no-inner")
    return 0.5 * x * (1 + t), dy * (0.5 * (1 + t) + inner)


def attend(q, k, v, dout, how):
    """Attention with a mistake on the way forward or back."""
    _, *gradients = right.attention(q, k, v, dout)
    scale = 1 / math.sqrt(q.shape[-1])
    scores, seen = q @ k.swapaxes(-1, -2) * (1 if how == "no-scale" else scale), np.tri(q.shape[-2], dtype=bool)
    p = layers.softmax(scores if how in ("no-mask", "mask-after") else np.where(seen, scores, -np.inf))
    out = (p * seen if how == "mask-after" else p) @ v
    dp = dout @ v.swapaxes(-1, -2)
    dv = (p if how == "untransposed" else p.swapaxes(-1, -2)) @ dout
    if how in ("no-softmax-back", "no-sum-back"):
        ds = scale * (dp * seen if how == "no-softmax-back" else p * dp)
        gradients = [ds @ k, ds.swapaxes(-1, -2) @ q, dv]
    if how == "no-scale-back":
        gradients[:2] = gradients[0] / scale, gradients[1] / scale
    if how == "untransposed":
        gradients[2] = dv
    return out, *gradients


# ---------------------------------------------------------------------- model


def block(x, weights, n_head, dy, how):
    """A block whose forward pass has a mistake; its gradients do not matter then."""
    _, dx, grads = right.block(x, weights, n_head, dy)

    def norm(x, name):
        return layers.layer_norm(x, *model.layer(weights, name))[0]

    def attention(x):
        qkv = layers.linear(x, *model.layer(weights, "attn.in_proj"))[0]
        parts = np.split(qkv, 3, axis=-1)
        if how == "mixed-heads":
            b, t, d = x.shape
            parts = [part.reshape(b, n_head, t, d // n_head) for part in parts]
            out = layers.attention(*parts)[0].reshape(b, t, d)
        else:
            heads = 1 if how == "one-head" else n_head
            out = model.join_heads(layers.attention(*(model.split_heads(part, heads) for part in parts))[0])
        return layers.linear(out, *model.layer(weights, "attn.out_proj"))[0]

    def ffn(x):
        h = layers.gelu(layers.linear(x, *model.layer(weights, "ffn.linear1"))[0])[0]
        return layers.linear(h, *model.layer(weights, "ffn.linear2"))[0]

    if how == "post-norm":
        h = norm(x + attention(x), "norm1")
        return norm(h + ffn(h), "norm2"), dx, grads
    h = attention(norm(x, "norm1")) + (0 if how in ("no-residual", "first-residual") else x)
    y = ffn(norm(h, "norm2")) + (0 if how in ("no-residual", "second-residual") else h)
    return y, dx, grads


def residual_forgotten(dx, x, weights, n_head, dy):
    """dx without what comes straight along the first residual path."""
    cut = {name: array if "norm2" in name or "ffn" in name else 0 * array for name, array in weights.items()}
    h = x + (block_attention(x, weights, n_head))
    return dx - right.block(h, cut, n_head, dy)[1]


def block_attention(x, weights, n_head):
    quiet = {name: 0 * array if name.startswith("ffn.linear2") else array for name, array in weights.items()}
    return right.block(x, quiet, n_head, x)[0] - x


def without(mapping, name):
    return {key: value for key, value in mapping.items() if key != name}


def started(change):
    return lambda *args: {name: change(name, array) for name, array in right.initial_weights(*args).items()}


def gpt_loss(weights, n_head, ids, targets, how):
    loss, grads = right.loss_and_gradients(weights, n_head, ids, targets)
    if how == "no-positions":
        loss = right.loss_and_gradients(
            {**weights, "emb.pos.weight": 0 * weights["emb.pos.weight"]}, n_head, ids, targets
        )[0]
    elif how == "one-block":
        shallow = {name: array for name, array in weights.items() if not name.startswith("blocks.1.")}
        loss = right.loss_and_gradients(shallow, n_head, ids, targets)[0]
    else:
        x = weights["emb.tok.weight"][ids] + weights["emb.pos.weight"][: ids.shape[1]]
        for i in range(2):
            x, _ = model.block(x, model.below(weights, f"blocks.{i}."), n_head)
        loss = layers.cross_entropy(x @ weights["emb.tok.weight"].T, targets)[0]
    return loss, grads


def table_gradient(weights, n_head, ids, targets, how):
    loss, grads = right.loss_and_gradients(weights, n_head, ids, targets)
    logits, (caches, normal, c_norm) = model.forward(weights, n_head, ids)
    dlogits = layers.cross_entropy(logits, targets)[1]
    head = np.einsum("btv,btd->vd", dlogits, normal)
    dx = layers.layer_norm_backward(dlogits @ weights["emb.tok.weight"], c_norm)[0]
    for cache in reversed(caches):
        dx = model.block_backward(dx, cache)[0]
    assigned = np.zeros_like(head)
    assigned[ids] = dx
    table = {"output-only": head, "input-only": grads["emb.tok.weight"] - head, "assigned": head + assigned}[how]
    return loss, {**grads, "emb.tok.weight": table}


# ---------------------------------------------------------------------- training


def norm_of(grads):
    return math.sqrt(sum(float((g * g).sum()) for g in grads.values()))


def clip_by(grads, longest, how):
    norm = norm_of(grads)
    each = {
        "each": lambda g: g * min(1, longest / np.linalg.norm(g)),
        "by-value": lambda g: np.clip(g, -longest, longest),
        "always": lambda g: g * longest / norm,
    }
    if how in each:
        return {name: each[how](g) for name, g in grads.items()}, norm
    told = {"norm-after": min(norm, longest), "squared": norm**2}
    told["sum-of-norms"] = sum(float(np.linalg.norm(g)) for g in grads.values())
    return right.clip(grads, longest)[0], told[how]


def adam(weights, history, lr, betas, eps, decay, how):
    (b1, b2), out = betas, {}
    for name, w in weights.items():
        m = v = 0 * w
        rate = decay * (w.ndim == 2 or how == "all-decay")
        for n, grads in enumerate(history, start=1):
            g = grads[name] + (rate * w if how == "l2" else 0)
            m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g * g
            mean, square = (m, v) if how == "uncorrected" else (m / (1 - b1**n), v / (1 - b2**n))
            root = np.sqrt(square + eps) if how == "eps-inside" else np.sqrt(square) + eps
            w = w - lr * (mean / root + (0 if how in ("l2", "no-decay") else rate * w))
        out[name] = w
    return out


def untrained(tokens, vocab_size, rng):
    return right.initial_weights(vocab_size, 16, 1, 8, rng), 2


def spoilt(change):
    def train(tokens, vocab_size, rng):
        weights, n_head = untrained(tokens, vocab_size, rng)
        return change(weights), n_head

    return train


def frequencies_only(tokens, vocab_size, rng):
    """A model that knows how often each character comes, and nothing of what came before."""
    weights = right.initial_weights(vocab_size, 16, 1, 8, rng)
    weights = {name: 0 * array for name, array in weights.items()}
    counts = np.bincount(tokens, minlength=vocab_size) + 0.1
    weights["norm.bias"] = np.eye(8, dtype=np.float32)[0]
    weights["emb.tok.weight"][:, 0] = np.log(counts / counts.sum())
    return weights, 2


def write(weights, n_head, ids, count, temperature, rng, how):
    ids, start = list(ids), len(ids)
    for _ in range(count):
        scores = model.forward(weights, n_head, np.array([ids[-len(weights["emb.pos.weight"]) :]]))[0][0]
        z = scores[0 if how == "first-place" else -1]
        if temperature == 0 or how == "always-greedy":
            ids.append(int(z.argmin() if how == "least-likely" else z.argmax()))
            continue
        z = {"multiplied": z * temperature, "no-temperature": z, "uniform": 0 * z}.get(how, z / temperature)
        chance = np.random.default_rng() if how == "unseeded" else rng
        ids.append(int(chance.choice(len(z), p=F.softmax(z)[0])))
    return ids[start:] if how == "new-only" else ids


def kinds(function, *names):
    """One function for several mistakes: the name of the mistake is its last argument."""
    return {name: lambda *args, how=name: function(*args, how) for name in names}


WRONG = {
    "vocabulary": {
        "unsorted": lambda document: "".join(dict.fromkeys(document)),
        "repeated": lambda document: "".join(sorted(document)),
        "by-frequency": lambda document: "".join(char for char, _ in Counter(document).most_common()),
        "type": lambda document: sorted(set(document)),
    },
    "encode": {
        "code-points": lambda document, known: np.array([ord(char) for char in document]),
        "from-one": lambda document, known: np.array([known.index(char) + 1 for char in document]),
        "own-vocabulary": lambda document, known: own.encode(document, own.vocabulary(document)),
        "type": lambda document, known: [known.index(char) for char in document],
    },
    "decode": {
        "from-one": lambda ids, known: "".join(known[i - 1] for i in ids),
        "spaced": lambda ids, known: " ".join(known[i] for i in ids),
        "code-points": lambda ids, known: "".join(map(chr, ids)),
        "type": lambda ids, known: [known[i] for i in ids],
    },
    "batch": {
        "same": lambda *args: (own.batch(*args)[0],) * 2,
        "rolled": rolled,
        "two-ahead": lambda *args: moved(*args, by=2),
        "not-random": first_windows,
        "last-window": never_last,
        "no-window": scattered,
    },
    "cross_entropy": {
        "sum": changed("cross_entropy", 0, lambda loss, logits, targets: loss * targets.size),
        "bits": changed("cross_entropy", 0, lambda loss, *args: loss / math.log(2)),
        "no-log-sum": changed(
            "cross_entropy", 0, lambda _, logits, y: -np.take_along_axis(logits, y[..., None], -1).mean()
        ),
        "not-averaged": changed("cross_entropy", 1, lambda d, logits, targets: d * targets.size),
        "target-forgotten": changed("cross_entropy", 1, lambda d, logits, y: layers.softmax(logits) / y.size),
        "sign": changed("cross_entropy", 1, lambda d, *args: -d),
        "sequences-only": changed("cross_entropy", 1, lambda d, logits, targets: d * targets.shape[1]),
        "nan": lambda logits, targets: (
            np.log(np.exp(logits).sum(-1)).mean() - np.take_along_axis(logits, targets[..., None], -1).mean(),
            right.cross_entropy(logits, targets)[1],
        ),
    },
    "linear": {
        "no-bias": changed("linear", 0, lambda y, x, w, b, dy: y - b),
        "dw-mean": changed("linear", 2, lambda dw, x, w, b, dy: dw / (x.shape[0] * x.shape[1])),
        "dw-last": changed("linear", 2, lambda dw, x, w, b, dy: dy[-1].T @ x[-1]),
        "dw-first": changed("linear", 2, lambda dw, x, w, b, dy: dy[0].T @ x[0]),
        "db-mean": changed("linear", 3, lambda db, x, w, b, dy: dy.mean(axis=(0, 1))),
        "db-one": changed("linear", 3, lambda db, x, w, b, dy: dy[0, 0]),
        "shape": changed("linear", 2, lambda dw, *args: dw.T),
    },
    "layer_norm": {
        **kinds(normalised, "eps-outside", "no-eps", "unbiased", "over-batch", "not-centred"),
        **kinds(norm_backward, "constants", "no-variance-path", "no-mean-path", "weight-forgotten"),
    },
    "gelu": {
        "exact": changed("gelu", 0, lambda y, x, dy: F.gelu(x)[0]),
        "sigmoid": changed("gelu", 0, lambda y, x, dy: x / (1 + np.exp(-1.702 * x))),
        "relu": relu,
        "square": changed("gelu", 0, lambda y, x, dy: 0.5 * x * (1 + np.tanh(layers.CURVE * (x + 0.044715 * x * x)))),
        "dy-forgotten": changed("gelu", 1, lambda dx, x, dy: dx / dy),
        **kinds(gelu_by, "no-product-rule", "no-inner"),
    },
    "attention": kinds(
        attend,
        *("no-scale", "no-mask", "mask-after", "no-scale-back", "no-softmax-back", "no-sum-back", "untransposed"),
    ),
    "block": {
        **kinds(block, "post-norm", "no-residual", "first-residual", "second-residual", "one-head", "mixed-heads"),
        "residual-back": changed("block", 1, residual_forgotten),
        "branch-back": changed("block", 1, lambda dx, x, weights, n_head, dy: dy),
        "missing": changed("block", 2, lambda grads, *args: without(grads, "norm1.bias")),
    },
    "initial_weights": {
        "norms": started(lambda name, array: 0 * array if "norm" in name else array),
        "constant": started(lambda name, array: 0 * array if "in_proj" in name else array),
        "rng-unused": lambda *args: right.initial_weights(*args[:-1], np.random.default_rng(0)),
        "too-large": started(lambda name, array: 50 * array if array.ndim == 2 else array),
        "missing": lambda *args: without(right.initial_weights(*args), "norm.bias"),
        "extra": lambda *args: right.initial_weights(*args) | {"lm_head.weight": np.zeros((2, 2))},
    },
    "loss_and_gradients": {
        **kinds(gpt_loss, "no-positions", "no-last-norm", "one-block"),
        **kinds(table_gradient, "output-only", "input-only", "assigned"),
        "missing": changed("loss_and_gradients", 1, lambda grads, *args: without(grads, "emb.pos.weight")),
    },
    "clip": kinds(clip_by, "each", "by-value", "always", "norm-after", "squared", "sum-of-norms"),
    "adamw": kinds(adam, "uncorrected", "l2", "no-decay", "all-decay", "eps-inside"),
    "train": {
        "not-learnt": untrained,
        "too-high": frequencies_only,
        "missing": spoilt(lambda weights: without(weights, "norm.bias")),
        "sizes": lambda *args: (untrained(*args)[0], 3),
        "nan": spoilt(lambda weights: {name: array * np.nan for name, array in weights.items()}),
    },
    "generate": kinds(
        write,
        *("new-only", "least-likely", "first-place", "always-greedy", "multiplied", "no-temperature", "uniform"),
        "unseeded",
    ),
}
