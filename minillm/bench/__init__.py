"""The benchmark: python -m minillm.bench. Ratios between programs that take turns on one machine in one run."""
