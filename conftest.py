"""For all tests and notebooks that pytest runs: one thread each, for they run side by side already.

Two processes of two threads each on two cores are several times slower: a thread that waits does so awake.
"""

import os

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")  # read when NumPy is imported
