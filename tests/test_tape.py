"""The operations rebuilt from the tape's few primitives: values and gradients agree with those written by hand."""

import math

import numpy as np
import pytest
from np_cases import ANY_MASK, IDS, PADDING, TARGETS, B, K, S, T, V, config, generator

from minillm.np import attention, position, rnn
from minillm.np import functional as F
from minillm.np.gpt import GPT
from minillm.np.gradcheck import gradcheck, leaves
from minillm.np.tape import Var

TOLERANCE = 1e-10


def linear(x, w, b=None):
    y = x @ w.transpose(1, 0)
    return y if b is None else y + b


def softmax(x, mask=1.0):
    e = (x - x.max(-1)).exp() * mask
    return e / (e.sum(-1) + (e.data.sum(-1, keepdims=True) == 0))


def log_softmax(x):
    shifted = x - x.max(-1)
    return shifted - shifted.exp().sum(-1).log()


def cross_entropy(logits, targets):
    rows = np.flatnonzero(targets.ravel() != -100)
    log_p = log_softmax(logits).reshape(targets.size, -1)
    return -log_p[rows, targets.ravel()[rows]].sum() / len(rows)


def sigmoid(x):
    return 1 / (1 + (-x).exp())


def gelu_tanh(x):
    return 0.5 * x * (1 + (math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)).tanh())


def gelu(x):
    erf = np.vectorize(math.erf, otypes=[float])
    density = np.exp(-0.5 * x.data**2) / math.sqrt(2 * math.pi)
    return x * x.elementwise((1 + erf(x.data / math.sqrt(2))) / 2, density)


def relu(x):
    return (x + (x**2) ** 0.5) * 0.5


def mean(x):
    return x.sum(-1) / x.shape[-1]


def layer_norm(x, w, b, eps=1e-5):
    centred = x - mean(x)
    return centred / (mean(centred**2) + eps) ** 0.5 * w + b


def rms_norm(x, w, eps=1e-5):
    return x / (mean(x**2) + eps) ** 0.5 * w


def rotary(x, start=0):
    """As a product with one rotation matrix for each position."""
    length, size = x.shape[-2:]
    turn = np.zeros((length, size, size))
    for t in range(length):
        for i, speed in enumerate(position.frequencies(size)):
            a, (one, two) = (start + t) * speed, (i, i + size // 2)
            turn[t, [one, one, two, two], [one, two, one, two]] = np.cos(a), np.sin(a), -np.sin(a), np.cos(a)
    return (x.reshape(*x.shape[:-1], 1, size) @ turn).reshape(*x.shape)


def attend(q, k, v, mask=1.0, causal=False):
    (t, size), s = q.shape[-2:], k.shape[-2]
    scores = q @ k.transpose(0, 1, 3, 2) / math.sqrt(size)
    return softmax(scores, mask * (np.tri(t, s, s - t) if causal else 1.0)) @ v


def lstm(x, h, c, w_ih, w_hh, b_ih, b_hh):
    ys = []
    for t in range(x.shape[1]):
        z = linear(x[:, t], w_ih, b_ih) + linear(h, w_hh, b_hh)
        i, f, g, o = (z[:, n * h.shape[1] : (n + 1) * h.shape[1]] for n in range(4))
        c = sigmoid(f) * c + sigmoid(i) * g.tanh()
        h = sigmoid(o) * c.tanh()
        ys.append(h)
    places = np.eye(len(ys))[:, :, None]  # y of each step, put in its place
    y = sum(ys[t].reshape(len(h.data), 1, -1) * places[t] for t in range(len(ys)))
    return y, (h, c)


def lstm_backward(*arguments):
    *grads, db = rnn.lstm_backward(*arguments)
    return (*grads, db, db)


SDPA, SDPA_BACKWARD = attention.scaled_dot_product_attention, attention.scaled_dot_product_attention_backward
QKV = [(B, 3, T, K), (B, 3, S, K), (B, 3, S, K)]
# name: by hand, its backward, on the tape, shapes
PAIRS = {
    "linear": (F.linear, F.linear_backward, linear, [(B, T, 6), (7, 6), (7,)]),
    "embedding": (lambda w: F.embedding(IDS, w), F.embedding_backward, lambda w: w[IDS], [(V, 6)]),
    "softmax": (F.softmax, F.softmax_backward, softmax, [(B, T, S)]),
    "log_softmax": (F.log_softmax, F.log_softmax_backward, log_softmax, [(B, T, S)]),
    "cross_entropy": (
        lambda x: F.cross_entropy(x, TARGETS),
        F.cross_entropy_backward,
        lambda x: cross_entropy(x, TARGETS),
        [(B, T, V)],
    ),
    "relu": (F.relu, F.relu_backward, relu, [(B, T, 6)]),
    "gelu": (F.gelu, F.gelu_backward, gelu, [(B, T, 6)]),
    "gelu_tanh": (lambda x: F.gelu(x, "tanh"), F.gelu_backward, gelu_tanh, [(B, T, 6)]),
    "silu": (F.silu, F.silu_backward, lambda x: x * sigmoid(x), [(B, T, 6)]),
    "swiglu": (F.swiglu, F.swiglu_backward, lambda x, y: x * sigmoid(x) * y, [(B, T, 6), (B, T, 6)]),
    "layer_norm": (F.layer_norm, F.layer_norm_backward, layer_norm, [(B, T, 6), (6,), (6,)]),
    "rms_norm": (F.rms_norm, F.rms_norm_backward, rms_norm, [(B, T, 6), (6,)]),
    "mean_pool": (
        lambda x: F.mean_pool(x, PADDING),
        F.mean_pool_backward,
        lambda x: (x * (PADDING / PADDING.sum(1, keepdims=True))[:, :, None]).sum(1).reshape(B, 6),
        [(B, S, 6)],
    ),
    "rotary": (lambda x: position.rotary(x, 3), position.rotary_backward, lambda x: rotary(x, 3), [(B, 3, T, K)]),
    "attention": (SDPA, SDPA_BACKWARD, attend, QKV),
    "masked attention": (
        lambda q, k, v: SDPA(q, k, v, ANY_MASK, causal=True),
        SDPA_BACKWARD,
        lambda q, k, v: attend(q, k, v, ANY_MASK, causal=True),
        QKV,
    ),
    "lstm": (rnn.lstm, lstm_backward, lstm, [(B, T, 6), (B, 7), (B, 7), (28, 6), (28, 7), (28,), (28,)]),
}


def difference(a, b):
    return np.abs(a - b).max() / max(np.abs(b).max(), 1e-300)


@pytest.mark.parametrize("name", PAIRS)
def test_agrees_with_the_tape(name):
    forward, backward, on_tape, shapes = PAIRS[name]
    rng = generator(5)
    arrays = [rng.standard_normal(shape) for shape in shapes]
    out, cache = forward(*arrays)
    douts = [rng.standard_normal(np.shape(part)) for part in leaves(out)]
    grads = backward(*douts, cache)
    variables = [Var(array) for array in arrays]
    tape_out = list(leaves(on_tape(*variables)))
    for part, var in zip(leaves(out), tape_out, strict=True):
        assert difference(part, var.data.reshape(np.shape(part))) < TOLERANCE
    sum((var * dout).sum().reshape() for var, dout in zip(tape_out, douts, strict=True)).backward()
    for grad, var in zip(leaves(grads), variables, strict=True):
        assert difference(grad, var.grad) < TOLERANCE


def test_a_whole_gpt_agrees_with_the_tape():
    c = config()
    model = GPT(c, rng=generator(), dtype=np.float64)
    for p in model.parameters():
        p.data += 0.3 * generator(p.data.size).standard_normal(p.data.shape)
    logits, cache = model(IDS)
    loss, loss_cache = F.cross_entropy(logits, TARGETS)
    model.backward(F.cross_entropy_backward(1.0, loss_cache), cache)

    w = {name: Var(p.data) for name, p in model.named_parameters()}
    heads = (B, T, 3, c.n_head, c.d_model // c.n_head)
    x = w["emb.tok.weight"][IDS] + w["emb.pos.weight"][:T]
    for i in range(c.n_layer):
        weight = {name.removeprefix(f"blocks.{i}."): v for name, v in w.items() if name.startswith(f"blocks.{i}.")}
        n = layer_norm(x, weight["norm1.weight"], weight["norm1.bias"])
        qkv = linear(n, weight["attn.in_proj.weight"], weight["attn.in_proj.bias"]).reshape(*heads)
        q, k, v = (qkv.transpose(2, 0, 3, 1, 4)[part] for part in range(3))
        a = attend(q, k, v, causal=True).transpose(0, 2, 1, 3).reshape(B, T, c.d_model)
        x = x + linear(a, weight["attn.out_proj.weight"], weight["attn.out_proj.bias"])
        n = layer_norm(x, weight["norm2.weight"], weight["norm2.bias"])
        f = gelu_tanh(linear(n, weight["ffn.linear1.weight"], weight["ffn.linear1.bias"]))
        x = x + linear(f, weight["ffn.linear2.weight"], weight["ffn.linear2.bias"])
    x = layer_norm(x, w["norm.weight"], w["norm.bias"])
    tape_loss = cross_entropy(linear(x, w["emb.tok.weight"]), TARGETS)
    tape_loss.backward()

    assert abs(loss - tape_loss.data.item()) < TOLERANCE
    for name, p in model.named_parameters():
        assert difference(p.grad, w[name].grad) < TOLERANCE, name


def test_the_tape_itself():
    """Its primitives against central differences, a value used twice and broadcasting among them."""
    rng = generator()
    a, b = rng.uniform(0.5, 2, (3, 1, 4)), rng.uniform(0.5, 2, (2, 1))

    def formula(x, y):
        z = (x * y + y / x - 2.0) ** 2 + (3.0 - x).tanh() * y.log()
        return ((z.max(2) + z.sum((0, 1))) * x.exp() + (1 / y)).sum()

    x, y = Var(a), Var(b)
    formula(x, y).backward()
    worst = gradcheck(lambda: formula(Var(a), Var(b)).data.item(), {"a": a, "b": b}, {"a": x.grad, "b": y.grad})
    assert worst.error < 1e-8, worst


def test_an_entry_taken_twice():
    x = Var(np.arange(3.0))
    (x[np.array([1, 1, 2])] * np.array([1.0, 10.0, 100.0])).sum().backward()
    assert x.grad.tolist() == [0, 11, 100]


def test_a_deep_graph_needs_no_recursion():
    x = Var(np.array(1.0))
    y = x
    for _ in range(20000):
        y = y + x * 1e-3
    y.backward()
    assert x.grad == pytest.approx(21.0)
