"""The benchmark: python -m minillm.bench. Ratios between programs that take turns on one machine in one run.

tasks        what is computed: shapes, families, batches, the count of arithmetic
contenders   who computes it, each in a process of its own; theirs: the models of transformers
turns        letting them take turns, and the median of ratios
models, share, scaling, processes, gpu, bpe   the parts that are measured; fit: laws behind measured times
table, chart   a part's result for people
"""
