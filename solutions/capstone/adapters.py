"""From the checks to the package, a function for each step."""

from .my_gpt import generation, layers, model, text, training


def vocabulary(document):
    """The different characters of a text, sorted.  str -> str"""
    return text.vocabulary(document)


def encode(document, vocabulary):
    """Each character's place in the vocabulary, from 0.  -> (T,) int64"""
    return text.encode(document, vocabulary)


def decode(ids, vocabulary):
    """The text of these numbers.  (T,) int64 -> str"""
    return text.decode(ids, vocabulary)


def batch(tokens, context, batch_size, rng):
    """Windows at random places of a row of tokens, and the same windows moved on by one token.

    tokens (N,) int64, rng a NumPy Generator -> (x, y), each (batch_size, context); every window that fits may come.
    """
    return text.batch(tokens, context, batch_size, rng)


def cross_entropy(logits, targets):
    """Mean of -ln softmax(logits)[target] over all positions, and its gradient.

    (B, T, V), (B, T) int64 -> (number, (B, T, V)). Logits may be as large as 1e4.
    """
    return layers.cross_entropy(logits, targets)


def linear(x, w, b, dy):
    """y = x Wᵀ + b, and the gradients, dy being that of y.

    x (B, T, D), w (O, D), b (O,), dy (B, T, O) -> (y, dx, dw, db)
    """
    y, cache = layers.linear(x, w, b)
    return y, *layers.linear_backward(dy, cache)


def layer_norm(x, w, b, dy):
    """Each position to mean 0 and variance 1 (over D, plus 1e-5 under the root), times w, plus b; and the gradients.

    x, dy (B, T, D), w, b (D,) -> (y, dx, dw, db)
    """
    y, cache = layers.layer_norm(x, w, b)
    return y, *layers.layer_norm_backward(dy, cache)


def gelu(x, dy):
    """GELU in its tanh form, 0.5 x (1 + tanh(√(2/π) (x + 0.044715 x³))), and the gradient.  (...) -> (y, dx)"""
    y, cache = layers.gelu(x)
    return y, layers.gelu_backward(dy, cache)


def attention(q, k, v, dout):
    """Causal scaled dot-product attention, and the gradients.

    each (B, H, T, K) -> (out, dq, dk, dv)
    """
    out, cache = layers.attention(q, k, v)
    return out, *layers.attention_backward(dout, cache)


def block(x, weights, n_head, dy):
    """x + attention(norm1(x)), then x + ffn(norm2(x)); and the gradients.

    x, dy (B, T, D); weights: the names of one block in README.md, without "blocks.0." -> (y, dx, grads), grads a
    dictionary with the names and shapes of weights. The rows of attn.in_proj give all queries first, then all keys,
    then all values; each third is cut into heads one after the other.
    """
    y, cache = model.block(x, weights, n_head)
    return y, *model.block_backward(dy, cache)


def initial_weights(vocab_size, context, n_layer, d_model, rng):
    """Weights to begin with, drawn with rng; names and shapes as in README.md.  -> dictionary of float32

    Nothing is known yet, and nothing is preferred: the first loss must be near ln(vocab_size).
    """
    return model.initial_weights(vocab_size, context, n_layer, d_model, rng)


def loss_and_gradients(weights, n_head, ids, targets):
    """Embedding + position, the blocks, the last norm, logits with the embedding's own table; the loss.

    ids, targets (B, T) int64, T at most context -> (loss, grads), grads with the names and shapes of weights.
    """
    return model.loss_and_gradients(weights, n_head, ids, targets)


def clip(grads, max_norm):
    """All gradients together as one vector: no longer than max_norm.  -> (grads, the length before)"""
    return training.clip(grads, max_norm)


def adamw(weights, gradients, lr, betas, eps, weight_decay):
    """The weights after as many AdamW steps as there are dictionaries in the list gradients, one a step.

    Matrices decay, arrays of one dimension do not. The arrays passed in stay as they are. -> weights
    """
    optimizer = training.AdamW(betas, eps, weight_decay)
    for grads in gradients:
        weights = optimizer.step(weights, grads, lr)
    return weights


def train(tokens, vocab_size, rng):
    """Train a GPT of your own size on a row of tokens.  -> (weights, n_head)

    The check measures it on text that was not in tokens: below 4.7 nats a character, within ten minutes.
    """
    return training.train(tokens, vocab_size, rng)


def generate(weights, n_head, ids, count, temperature, rng):
    """The list ids, followed by count more; the model sees the last `context` of them.

    Temperature 0 takes the likeliest each time.

    -> list of len(ids) + count ints
    """
    return generation.generate(weights, n_head, ids, count, temperature, rng)
