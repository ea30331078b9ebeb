"""从检查到你的代码：一个函数一步。 From the checks to your code: a function for each step.

把 raise 那一行换成对 my_gpt 的调用，就像这样。 Put a call into my_gpt in place of each raise, as in

    from .my_gpt import text

    def vocabulary(document):
        return text.vocabulary(document)

B 批 batch, T 位置 positions, D 宽 width, O 输出宽 width of the output, H 头 heads, K 头宽 width of a head,
V 词表大小 size of the vocabulary.
"""


def vocabulary(document):
    """The different characters of a text, sorted.  str -> str"""
    raise NotImplementedError


def encode(document, vocabulary):
    """Each character's place in the vocabulary, from 0.  -> (T,) int64"""
    raise NotImplementedError


def decode(ids, vocabulary):
    """The text of these numbers.  (T,) int64 -> str"""
    raise NotImplementedError


def batch(tokens, context, batch_size, rng):
    """Windows at random places of a row of tokens, and the same windows moved on by one token.

    tokens (N,) int64, rng a NumPy Generator -> (x, y), each (batch_size, context); every window that fits may come.
    """
    raise NotImplementedError


def cross_entropy(logits, targets):
    """Mean of -ln softmax(logits)[target] over all positions, and its gradient.

    (B, T, V), (B, T) int64 -> (number, (B, T, V)). Logits may be as large as 1e4.
    """
    raise NotImplementedError


def linear(x, w, b, dy):
    """y = x Wᵀ + b, and the gradients, dy being that of y.

    x (B, T, D), w (O, D), b (O,), dy (B, T, O) -> (y, dx, dw, db)
    """
    raise NotImplementedError


def layer_norm(x, w, b, dy):
    """Each position to mean 0 and variance 1 (over D, plus 1e-5 under the root), times w, plus b; and the gradients.

    x, dy (B, T, D), w, b (D,) -> (y, dx, dw, db)
    """
    raise NotImplementedError


def gelu(x, dy):
    """GELU in its tanh form, 0.5 x (1 + tanh(√(2/π) (x + 0.044715 x³))), and the gradient.  (...) -> (y, dx)"""
    raise NotImplementedError


def attention(q, k, v, dout):
    """Causal scaled dot-product attention, and the gradients.

    each (B, H, T, K) -> (out, dq, dk, dv)
    """
    raise NotImplementedError


def block(x, weights, n_head, dy):
    """x + attention(norm1(x)), then x + ffn(norm2(x)); and the gradients.

    x, dy (B, T, D); weights: the names of one block in README.md, without "blocks.0." -> (y, dx, grads), grads a
    dictionary with the names and shapes of weights. The rows of attn.in_proj give all queries first, then all keys,
    then all values; each third is cut into heads one after the other.
    """
    raise NotImplementedError


def initial_weights(vocab_size, context, n_layer, d_model, rng):
    """Weights to begin with, drawn with rng; names and shapes as in README.md.  -> dictionary of float32

    Nothing is known yet, and nothing is preferred: the first loss must be near ln(vocab_size).
    """
    raise NotImplementedError


def loss_and_gradients(weights, n_head, ids, targets):
    """Embedding + position, the blocks, the last norm, logits with the embedding's own table; the loss.

    ids, targets (B, T) int64, T at most context -> (loss, grads), grads with the names and shapes of weights.
    """
    raise NotImplementedError


def clip(grads, max_norm):
    """All gradients together as one vector: no longer than max_norm.  -> (grads, the length before)"""
    raise NotImplementedError


def adamw(weights, gradients, lr, betas, eps, weight_decay):
    """The weights after as many AdamW steps as there are dictionaries in the list gradients, one a step.

    Matrices decay, arrays of one dimension do not. The arrays passed in stay as they are. -> weights
    """
    raise NotImplementedError


def train(tokens, vocab_size, rng):
    """Train a GPT of your own size on a row of tokens.  -> (weights, n_head)

    The check measures it on text that was not in tokens: below 4.7 nats a character, within ten minutes.
    """
    raise NotImplementedError


def generate(weights, n_head, ids, count, temperature, rng):
    """The list ids, followed by count more; the model sees the last `context` of them.

    Temperature 0 takes the likeliest each time.

    -> list of len(ids) + count ints
    """
    raise NotImplementedError
