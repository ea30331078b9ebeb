"""MiniLLM: a large language model built by hand, first in NumPy, then in PyTorch, on Chinese text.

    minillm.np     the reference: every forward and backward written out, NumPy only
    minillm.pt     its PyTorch twin: same names, same weights, autograd backward
    minillm.text   cleaning and tokenizers          minillm.data   corpora and batches
    minillm.train, generate, evaluate, checkpoint   tools that work with either twin
    python -m minillm --help                        the command line

Importing this package loads none of them.
"""

__version__ = "0.1.0"
