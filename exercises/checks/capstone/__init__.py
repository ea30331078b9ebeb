"""Checkers of the capstone, exercises/capstone: the whole GPT, held against minillm's. A learner goes in this order."""

# ruff: noqa: I001, RUF022  the order of the steps

from exercises.checks.capstone.text import vocabulary, encode, decode, batch
from exercises.checks.capstone.layers import cross_entropy, linear, layer_norm, gelu, attention
from exercises.checks.capstone.model import block, initial_weights, loss_and_gradients
from exercises.checks.capstone.training import clip, adamw, train, generate

__all__ = [
    "vocabulary",
    "encode",
    "decode",
    "batch",
    "cross_entropy",
    "linear",
    "layer_norm",
    "gelu",
    "attention",
    "block",
    "initial_weights",
    "loss_and_gradients",
    "clip",
    "adamw",
    "train",
    "generate",
]
