"""The PyTorch twin of minillm.np: same files, classes, arguments, parameter names, shapes and state-dict keys.

A forward returns only its output; autograd does the backward. Where torch has an operation (fused attention,
LayerNorm, GELU, AdamW), it is used. Every constructor takes `device`: CPU, CUDA or MPS. The initial weights
come from a NumPy generator, so that one seed gives one model, here, there and on every device.
"""
