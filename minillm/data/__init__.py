"""Corpora by name or from a file, and the batches cut from them."""
