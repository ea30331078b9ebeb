"""Mistakes that people really make when they write a language model by hand, each with the test that notices it.

test_mutants.py puts them into a copy of the package, one at a time. Where a forward and its backward can be
wrong together, they are: such a pair agrees with central differences, and takes another oracle to be found.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Mutant:
    """One mistake. `changes`: right text -> wrong text, each right text standing once in `file`, below minillm/."""

    name: str
    file: str
    changes: dict[str, str]
    caught_by: str  # node id below tests/: the cheapest test that is enough
    error: str = "AssertionError"  # what that test ends with


def operation(name: str) -> str:
    """Central differences."""
    return f"test_gradcheck.py::test_operation[{name}]"


def module(name: str) -> str:
    """Central differences."""
    return f"test_gradcheck.py::test_module[{name}]"


def tape(name: str) -> str:
    """The same formula written a second time."""
    return f"test_tape.py::test_agrees_with_the_tape[{name}]"


def adam(name: str) -> str:
    """torch.optim."""
    return f"test_optim.py::test_twenty_steps_agree_with_torch[{name}]"


def prop(name: str) -> str:
    return f"test_properties.py::{name}"


def parallel(name: str) -> str:
    return f"test_speed.py::{name}"


FUNCTIONAL = [
    Mutant(
        "linear: bias gradient summed over the features",
        "np/functional.py",
        {"dy2.T @ x2, dy2.sum(axis=0)": "dy2.T @ x2, dy2.sum(axis=1)"},
        operation("linear"),
        "ValueError",
    ),
    Mutant(
        "linear: bias gradient averaged over the positions",
        "np/functional.py",
        {"dy2.T @ x2, dy2.sum(axis=0)": "dy2.T @ x2, dy2.mean(axis=0)"},
        operation("linear"),
    ),
    Mutant(
        "linear: dw transposed",
        "np/functional.py",
        {"dy2.T @ x2,": "x2.T @ dy2,"},
        operation("linear"),
        "ValueError",
    ),
    Mutant(
        "embedding: of a repeated id only the last gradient is kept",
        "np/functional.py",
        {
            "dw[unique] = np.add.reduceat(dout.reshape(-1, shape[1])[order], starts, axis=0)": (
                "dw[flat] = dout.reshape(-1, shape[1])"
            )
        },
        operation("embedding"),
    ),
    Mutant(
        "softmax over the wrong axis",
        "np/functional.py",
        {
            "np.maximum(x.max(axis=-1, keepdims=True)": "np.maximum(x.max(axis=-2, keepdims=True)",
            "row_sum(p)": "p.sum(axis=-2, keepdims=True)",
            "row_dot(p, dp)": "(p * dp).sum(axis=-2, keepdims=True)",
        },
        tape("softmax"),
    ),
    Mutant(
        "softmax without subtracting the maximum",
        "np/functional.py",
        {"p = x - top\n": "p = x.copy()\n", "p /= np.maximum(row_sum(p), 1)": "p /= row_sum(p)"},
        prop("test_nothing_overflows"),
        "FloatingPointError",
    ),
    Mutant(
        "softmax of a fully masked row: -inf minus -inf",
        "np/functional.py",
        {"np.maximum(x.max(axis=-1, keepdims=True), LOWEST)": "x.max(axis=-1, keepdims=True)"},
        operation("scaled_dot_product_attention: only padding"),
    ),
    Mutant(
        "softmax of a fully masked row: 0 divided by 0",
        "np/functional.py",
        {"p /= np.maximum(row_sum(p), 1)": "p /= row_sum(p)"},
        operation("scaled_dot_product_attention: only padding"),
    ),
    Mutant(
        "softmax backward without the sum",
        "np/functional.py",
        {"dp - row_dot(p, dp)": "dp.copy()"},
        operation("softmax"),
    ),
    Mutant(
        "cross-entropy divided by all positions, not by those that count",
        "np/functional.py",
        {"count = max(len(rows), 1)": "count = targets.size"},
        tape("cross_entropy"),
    ),
    Mutant(
        "cross-entropy backward without dividing by the count",
        "np/functional.py",
        {"e.dtype.type(dloss / count)": "e.dtype.type(dloss)"},
        operation("cross_entropy"),
    ),
    Mutant(
        "cross-entropy gives ignored positions a gradient",
        "np/functional.py",
        {"share[rows] = scale / total[rows]": "share[:] = scale / total"},
        operation("cross_entropy: ignored targets"),
    ),
    Mutant(
        "GELU: derivative without the inner one",
        "np/functional.py",
        {"dxi *= 6 * 0.044715 * SQRT_2_OVER_PI": "dxi *= 0", "dxi += 2 * SQRT_2_OVER_PI": "dxi += 2"},
        operation("gelu: tanh"),
    ),
    Mutant(
        "GELU: exact derivative of the tanh form",
        "np/functional.py",
        {'if approximate == "tanh":\n            dxi *= 6': "if False:\n            dxi *= 6"},
        operation("gelu: tanh"),
    ),
    Mutant(
        "GELU: exact and tanh mixed up",
        "np/block.py",
        {'if self.activation == "gelu_tanh" else': 'if self.activation != "gelu_tanh" else'},
        "test_tape.py::test_a_whole_gpt_agrees_with_the_tape",
    ),
    Mutant(
        "SiLU: half of the product rule",
        "np/functional.py",
        {"dx *= x\n    dx += 1\n": "dx *= x\n"},
        operation("silu"),
    ),
    Mutant(
        "SwiGLU: gate's gradient not multiplied by up",
        "np/functional.py",
        {"silu_backward(dy * up, act_cache)": "silu_backward(dy, act_cache)"},
        operation("swiglu"),
    ),
    Mutant(
        "SiLU: a float64 array of no axes promotes float32",
        "np/functional.py",
        {"np.tanh(x * 0.5)": "np.tanh(x * np.array(0.5))"},
        prop("test_operations_promote_nothing_silently[silu]"),
    ),
    Mutant(
        "LayerNorm: backward without the mean of g",
        "np/functional.py",
        {"dx -= row_sum(dx) * (1 / len(w))": "dx -= 0"},
        operation("layer_norm"),
    ),
    Mutant(
        "LayerNorm: backward without the mean of g times x-hat",
        "np/functional.py",
        {
            "dx -= row_sum(dx) * (1 / len(w))\n    dx -= xhat * along\n": "dx -= row_sum(dx) * (1 / len(w))\n",
        },
        operation("layer_norm"),
    ),
    Mutant(
        "LayerNorm: eps outside the root",
        "np/functional.py",
        {
            "np.sqrt(row_dot(xhat, xhat) * (1 / x.shape[-1]) + eps)": (
                "(np.sqrt(row_dot(xhat, xhat) * (1 / x.shape[-1])) + eps)"
            )
        },
        tape("layer_norm"),
    ),
    Mutant(
        "RMSNorm subtracts the mean",
        "np/functional.py",
        {
            "    rstd = 1 / np.sqrt(row_dot(x, x)": (
                "    x = x - x.mean(axis=-1, keepdims=True)\n    rstd = 1 / np.sqrt(row_dot(x, x)"
            ),
            "    dx -= xhat * along\n    dx *= rstd\n    return dx, dw\n": (
                "    dx -= dx.mean(axis=-1, keepdims=True)\n    dx -= xhat * along\n    dx *= rstd\n    return dx, dw\n"
            ),
        },
        tape("rms_norm"),
    ),
    Mutant(
        "dropout without scaling what is left",
        "np/functional.py",
        {"keep *= 1 / (1 - p)": "keep *= 1"},
        prop("test_dropout_keeps_the_mean"),
    ),
    Mutant(
        "dropout: another mask in backward",
        "np/functional.py",
        {"return x * keep, (keep,)": "return x * keep, ((rng.random(x.shape) >= p) / (1 - p),)"},
        operation("dropout"),
    ),
    Mutant(
        "mean over a sequence: padding counted",
        "np/functional.py",
        {"weight = (mask / ": "weight = (np.ones_like(mask) / "},
        tape("mean_pool"),
    ),
]

ATTENTION = [
    Mutant(
        "attention without 1/sqrt(d)",
        "np/attention.py",
        {
            "q.dtype.type(1 / math.sqrt(q.shape[-1]))": "q.dtype.type(1)",
            "dq.dtype.type(1 / math.sqrt(dq.shape[-1]))": "dq.dtype.type(1)",
        },
        tape("attention"),
    ),
    Mutant(
        "attention scaled twice",
        "np/attention.py",
        {
            "q.dtype.type(1 / math.sqrt(q.shape[-1]))": "q.dtype.type(1 / q.shape[-1])",
            "dq.dtype.type(1 / math.sqrt(dq.shape[-1]))": "dq.dtype.type(1 / dq.shape[-1])",
        },
        tape("attention"),
    ),
    Mutant(
        "attention backward without 1/sqrt(d)",
        "np/attention.py",
        {"dq.dtype.type(1 / math.sqrt(dq.shape[-1]))": "dq.dtype.type(1)"},
        operation("scaled_dot_product_attention"),
    ),
    Mutant(
        "attention: np.sqrt gives a float64 scalar, which promotes float32",
        "np/attention.py",
        {"q * q.dtype.type(1 / math.sqrt(q.shape[-1]))": "q / np.sqrt(q.shape[-1])"},
        prop("test_operations_promote_nothing_silently[scaled_dot_product_attention]"),
    ),
    Mutant(
        "mask after the softmax",
        "np/attention.py",
        {
            "scores = np.where(mask[:, :, start:stop, :seen], scores, scores.dtype.type(-np.inf))": "pass",
            "F.softmax(scores)\n": (
                "F.softmax(scores)\n        if mask is not None:\n            p *= mask[:, :, start:stop, :seen]\n"
            ),
        },
        tape("masked attention"),
    ),
    Mutant(
        "mask inverted",
        "np/attention.py",
        {"np.where(mask[:, :, start:stop, :seen]": "np.where(~mask[:, :, start:stop, :seen]"},
        tape("masked attention"),
    ),
    Mutant(
        "causal mask off by one: the next token is in sight",
        "np/attention.py",
        {"np.tri(n, dtype=bool)": "np.tri(n, k=1, dtype=bool)"},
        "test_tape.py::test_a_whole_gpt_agrees_with_the_tape",
    ),
    Mutant(
        "causal mask off by one: a position does not see itself",
        "np/attention.py",
        {"np.tri(n, dtype=bool)": "np.tri(n, k=-1, dtype=bool)"},
        "test_tape.py::test_a_whole_gpt_agrees_with_the_tape",
    ),
    Mutant(
        "causal mask in the wrong corner when keys came before",
        "np/attention.py",
        {"s - t + min(i + BLOCK, t)": "min(i + BLOCK, t)"},
        tape("masked attention"),
    ),
    Mutant(
        "attention: dv from the weights before dropout",
        "np/attention.py",
        {"kept.swapaxes(-1, -2) @ dout_block": "p_cache[0].swapaxes(-1, -2) @ dout_block"},
        operation("scaled_dot_product_attention: dropout"),
    ),
    Mutant(
        "heads: reshaped without a transpose",
        "np/attention.py",
        {"x.reshape(b, t, -1, self.d_head).swapaxes(1, 2)": "x.reshape(b, -1, t, self.d_head)"},
        "test_tape.py::test_a_whole_gpt_agrees_with_the_tape",
    ),
    Mutant(
        "groups: heads repeated in turns",
        "np/attention.py",
        {"np.repeat(x, times, axis=1)": "np.tile(x, (1, times, 1, 1))"},
        operation("repeat_heads"),
    ),
    Mutant(
        "groups: the mean of the gradients, not the sum",
        "np/attention.py",
        {"times, s, k).sum(axis=2)": "times, s, k).mean(axis=2)"},
        operation("repeat_heads"),
    ),
    Mutant(
        "heads normalised, the keys' gradient not",
        "np/attention.py",
        {"dk[...] = self.k_norm.backward(dk, norms[1])": "self.k_norm.backward(dk, norms[1])"},
        module("MultiHeadAttention: groups, normalised, cross"),
    ),
    Mutant(
        "rotary: position ignored when there is a cache",
        "np/attention.py",
        {"start = kv.length if kv else 0": "start = 0"},
        prop("test_kv_cache_equals_the_full_forward"),
    ),
    Mutant(
        "rotary: backward turns forward again",
        "np/position.py",
        {"turn(dy, cos, -sin)": "turn(dy, cos, sin)"},
        operation("rotary"),
    ),
    Mutant(
        "KV cache: new keys overwrite position 0",
        "np/attention.py",
        {"self.k[:, :, self.length : end] = k": "self.k[:, :, : k.shape[2]] = k"},
        prop("test_kv_cache_equals_the_full_forward"),
    ),
]

MODELS = [
    Mutant(
        "gradient of a weight used twice assigned, not added",
        "np/param.py",
        {"self.grad += grad": "self.grad = grad"},
        "test_gradcheck.py::test_repeated_weight",
    ),
    Mutant(
        "tied weight: no gradient from the output layer",
        "np/gpt.py",
        {
            "(self.lm_head.weight if self.lm_head else self.emb.tok.weight).accumulate(dw)": (
                "self.lm_head and self.lm_head.weight.accumulate(dw)"
            )
        },
        module("GPT"),
    ),
    Mutant(
        "learned positions: gradient of the first sequence alone",
        "np/embeddings.py",
        {"dx.sum(axis=0)": "dx[0]"},
        module("Embeddings"),
    ),
    Mutant(
        "learned positions: always from 0",
        "np/embeddings.py",
        {"np.arange(start, end)": "np.arange(ids.shape[1])"},
        prop("test_kv_cache_equals_the_full_forward"),
    ),
    Mutant(
        "residual path: gradient of the branch alone",
        "np/block.py",
        {"dx = dx + self.norm2.backward(df, n2_cache)": "dx = self.norm2.backward(df, n2_cache)"},
        module("Block"),
    ),
    Mutant(
        "SwiGLU network: gradient of one of its two inputs lost",
        "np/block.py",
        {
            "return self.linear1.backward(dh, cache1) + self.linear3.backward(dup, cache3)": (
                "self.linear3.backward(dup, cache3)\n            return self.linear1.backward(dh, cache1)"
            )
        },
        module("FeedForward: swiglu"),
    ),
    Mutant(
        "BERT: padding mask over the queries, not the keys",
        "np/bert.py",
        {"mask[:, None, None]": "mask[:, None, :, None]"},
        prop("test_padding_does_not_matter"),
    ),
    Mutant(
        "BERT: 10% masked and 80% random",
        "data/masking.py",
        {"fate < 0.8": "fate < 0.1", "fate >= 0.9": "fate >= 0.2"},
        prop("test_masked_tokens_follow_the_rule"),
    ),
    Mutant(
        "encoder-decoder: the encoder is causal",
        "np/seq2seq.py",
        {"Block(config, causal=False,": "Block(config, causal=True,"},
        prop("test_an_encoder_looks_both_ways"),
    ),
    Mutant(
        "cross-attention: of all blocks only one gives the memory a gradient",
        "np/seq2seq.py",
        {"dmemory = dmemory + dm": "dmemory = dm"},
        module("Seq2Seq"),
    ),
    Mutant(
        "cross-attention: nothing flows back into the encoder",
        "np/seq2seq.py",
        {
            "self.encode_backward(self.decode_backward(dlogits, decode_cache), encode_cache)": (
                "self.decode_backward(dlogits, decode_cache)"
            )
        },
        module("Seq2Seq"),
    ),
]

LSTM = [
    Mutant(
        "LSTM: gates in the order i f o g",
        "np/rnn.py",
        {
            "zi, zf, zg, zo = np.split": "zi, zf, zo, zg = np.split",
            "np.concatenate([dzi, dzf, dzg, dzo]": "np.concatenate([dzi, dzf, dzo, dzg]",
        },
        tape("lstm"),
    ),
    Mutant(
        "LSTM: forget gate's gradient from the new memory",
        "np/rnn.py",
        {"(i, f, g, o, c, shown)\n": "(i, f, g, o, c_next, shown)\n"},
        operation("lstm_cell"),
    ),
    Mutant(
        "LSTM: the memory's gradient is not carried back in time",
        "np/rnn.py",
        {"dz[:, t], dc = lstm_cell_backward": "dz[:, t], _ = lstm_cell_backward"},
        operation("lstm"),
    ),
    Mutant(
        "LSTM: the hidden state's gradient is not carried back in time",
        "np/rnn.py",
        {"lstm_cell_backward(dy[:, t] + dh, dc,": "lstm_cell_backward(dy[:, t], dc,"},
        operation("lstm"),
    ),
    Mutant(
        "LSTM: dw_hh with the hidden state after the step",
        "np/rnn.py",
        {"np.concatenate([h0[:, None], y], axis=1)[:, :-1]": "y"},
        operation("lstm"),
    ),
]

TRAINING = [
    Mutant(
        "Adam without bias correction",
        "np/optim.py",
        {
            "step *= 1 / math.sqrt(1 - beta2**self.steps)": "step *= 1",
            "step *= lr / (1 - beta1**self.steps)": "step *= lr",
        },
        adam("Adam"),
    ),
    Mutant(
        "Adam: eps inside the root",
        "np/optim.py",
        {"np.sqrt(v, out=square)": 'np.sqrt(v + group["eps"], out=square)', 'step += group["eps"]': "step += 0"},
        adam("AdamW, other settings"),
    ),
    Mutant(
        "AdamW: decay through the gradient",
        "np/optim.py",
        {"    decoupled = True": "    decoupled = False"},
        adam("AdamW"),
    ),
    Mutant(
        "weight decay on biases and norms",
        "np/optim.py",
        {'"weight_decay": 0.0}': '"weight_decay": weight_decay}'},
        "test_optim.py::test_only_matrices_decay",
    ),
    Mutant(
        "momentum with the wrong sign",
        "np/optim.py",
        {"v += g\n": "v -= g\n"},
        adam("SGD with momentum"),
    ),
    Mutant(
        "clipping: each parameter by itself",
        "np/optim.py",
        {"g *= factor": "g *= max_norm / math.sqrt(np.vdot(g, g))"},
        "test_optim.py::test_clipping_agrees_with_torch[0.5]",
    ),
    Mutant(
        "clipping: small gradients made larger",
        "np/optim.py",
        {"if norm > max_norm:": "if norm > 0:"},
        "test_optim.py::test_clipping_agrees_with_torch[1000000.0]",
    ),
    Mutant(
        "clipping after the update",
        "np/train.py",
        {
            "norm = clip_grad_norm(": "self.optimizer.step()\n            norm = clip_grad_norm(",
            "                self.optimizer.step()\n        return": "                pass\n        return",
        },
        "test_parity.py::test_the_same_training[gpt2]",
    ),
    Mutant(
        "schedule: the warm-up ends a step early",
        "schedule.py",
        {"(step + 1) / (warmup + 1)": "(step + 1) / warmup"},
        "test_optim.py::test_schedule_at_its_key_points[cosine-0.55]",
    ),
    Mutant(
        "schedule: the last step stays above the end rate",
        "schedule.py",
        {"max(1, steps - 1 - warmup)": "max(1, steps - warmup)"},
        "test_optim.py::test_schedule_at_its_key_points[cosine-0.55]",
    ),
    Mutant(
        "gradients not cleared before a step",
        "np/speed.py",
        {"self.model.zero_grad()": "pass"},
        parallel("test_uneven_batch_with_ignored_targets[threads-GPT-1]"),
    ),
    Mutant(
        "data parallel: uneven shards weigh the same",
        "np/speed.py",
        {"share = int((y >= 0).sum()) / count": "share = 1 / count", "[count] * n": "[n] * n"},
        parallel("test_uneven_batch_with_ignored_targets[threads-GPT-2]"),
    ),
    Mutant(
        "data parallel: the replicas' gradients are not added",
        "np/speed.py",
        {"p.accumulate(grad)": "pass"},
        parallel("test_uneven_batch_with_ignored_targets[threads-GPT-2]"),
    ),
    Mutant(
        "data parallel: all copies toss the same coins",
        "np/speed.py",
        {"[int(seed) for seed in rng.integers(2**63, size=n)]": "[int(rng.integers(2**63))] * n"},
        parallel("test_dropout_differs_between_copies_and_steps[threads]"),
    ),
    Mutant(
        "data parallel: a replica without work adds what it had from an earlier batch",
        "np/speed.py",
        {"for helper in helpers:\n": "for helper in self.replicas:\n"},
        parallel("test_a_smaller_batch_after_a_larger_one[threads]"),
    ),
    Mutant(
        "helper process: gradients of all its jobs so far",
        "np/replicas.py",
        {"                model.zero_grad()\n": ""},
        parallel("test_uneven_batch_with_ignored_targets[processes-GPT-2]"),
    ),
    Mutant(
        "helper process: old gradients of a parameter that has none this time",
        "np/replicas.py",
        {"grad if there else None for grad, there": "grad for grad, _"},
        parallel("test_a_parameter_without_gradient_has_none[processes]"),
    ),
    Mutant(
        "helper process: weights of its own",
        "np/replicas.py",
        {"p.data = in_shared_memory(p.data)": "in_shared_memory(p.data)"},
        parallel("test_replicas_share_the_weights[processes]"),
    ),
    Mutant(
        "helper process: a second set takes the weights from the first",
        "np/replicas.py",
        {"if not is_shared(p.data):": "if True:"},
        parallel("test_two_of_one_model[processes]"),
    ),
    Mutant(
        "helper process: the answer to a job given up is taken for the next one's",
        "np/replicas.py",
        {"            self.pipe.recv()\n": "            pass\n"},
        parallel("test_an_interrupt_does_not_mix_up_answers[processes]"),
    ),
]

MUON = [
    Mutant(
        "Muon: a tall matrix is not turned back",
        "np/muon.py",
        {"return x.swapaxes(-1, -2) if tall else x": "return x"},
        "test_muon.py::test_the_polynomial_acts_on_singular_values[tall]",
    ),
    Mutant(
        "Muon: not brought to size first",
        "np/muon.py",
        {"    x /= np.maximum(np.linalg.norm(x, axis=(-2, -1), keepdims=True), 1)\n": ""},
        "test_muon.py::test_the_polynomial_acts_on_singular_values[wide]",
    ),
    Mutant(
        "Muon: squares that overflow",
        "np/muon.py",
        {"x = x / np.maximum(np.abs(x).max(axis=(-2, -1), keepdims=True), EPS)": "x = x / EPS"},
        "test_muon.py::test_any_scale[1e+25]",
    ),
    Mutant(
        "Muon: momentum without Nesterov's step ahead",
        "np/muon.py",
        {"orthogonal_step(momentum * m + (1 - momentum) * g, group": "orthogonal_step(m, group"},
        "test_muon.py::test_steps_agree_with_torch[wide]",
    ),
    Mutant(
        "Muon: the step's size of the original, without the root mean square of AdamW",
        "np/muon.py",
        {"0.2 * math.sqrt(max(stacked.shape[1:]))": "math.sqrt(max(1, stacked.shape[1] / stacked.shape[2]))"},
        "test_muon.py::test_steps_agree_with_torch[wide]",
    ),
    Mutant(
        "Muon: decay scaled like the step",
        "np/muon.py",
        {'w *= 1 - lr * group["weight_decay"]': 'w *= 1 - lr * 0.2 * math.sqrt(max(w.shape)) * group["weight_decay"]'},
        "test_muon.py::test_steps_agree_with_torch[tall]",
    ),
    Mutant(
        "Muon: queries, keys and values as one matrix",
        "np/muon.py",
        {'"parts": h}': '"parts": (1,)}'},
        "test_muon.py::test_three_matrices_in_one_parameter",
    ),
    Mutant(
        "Muon: the embedding, too",
        "np/muon.py",
        {"if isinstance(m, Block) for p": "for p"},
        "test_muon.py::test_groups[tied]",
    ),
]

MUTANTS = [*FUNCTIONAL, *ATTENTION, *MODELS, *LSTM, *TRAINING, *MUON]
