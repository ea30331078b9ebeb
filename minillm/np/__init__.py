"""The NumPy reference: models whose every gradient is written by hand. Never imports torch.

Read in this order: functional, param, layers, position, embeddings, attention, block, gpt, optim, train;
then the other models: rnn, bert, seq2seq.
Not mathematics: chunks, cores, replicas and speed (how it is made fast). To check: gradcheck, tape.
"""
