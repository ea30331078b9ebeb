"""The NumPy reference: models whose every gradient is written by hand. Never imports torch.

Read in this order: functional, param, layers, position, attention, block, gpt, optim, train.
Not mathematics: chunks, workers and speed (how it is made fast). To check: gradcheck, tape.
"""
