"""Run every benchmark and print one table each."""

from __future__ import annotations

import os

# Before numpy is loaded: two busy cores would compare threads, not methods.
os.environ.update({"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"})

from . import all_ones

if __name__ == "__main__":
    all_ones.main()
