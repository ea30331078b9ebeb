"""Arithmetic of a Transformer, counted: 6 operations a token for each weight that multiplies, and attention's scores.

Chowdhery et al. 2022 (PaLM, arXiv 2204.02311, appendix B): a weight is multiplied and added once forward and twice
backward; scores and their mean of the values cost 12 L H K T, counted as if none were masked.
"""

from minillm.config import ModelConfig


def matrix_weights(config: ModelConfig) -> int:
    """Weights that a token is multiplied with: all matrices but the tables that rows are looked up in."""
    c = config
    attention = c.d_model * c.d_head * (2 * c.n_head + 2 * c.n_kv_head)
    ffn = c.d_model * c.d_ff * (3 if c.activation == "swiglu" else 2)
    return c.n_layer * (attention + ffn) + c.vocab_size * c.d_model


def flops_per_token(config: ModelConfig, length: int = 0) -> int:
    """Of a training step, in sequences of `length` tokens (0: of the model's context)."""
    c = config
    return 6 * matrix_weights(c) + 12 * c.n_layer * c.n_head * c.d_head * (length or c.context)
