"""One way to write the whole GPT with NumPy alone. Others are as good, as long as the checks pass.

text        characters and their numbers, batches
layers      linear, layer_norm, gelu, attention, cross_entropy: forward and backward
model       the block, the model: loss and gradients, logits
training    clipping, AdamW, the loop
generation  one character after the other
"""
