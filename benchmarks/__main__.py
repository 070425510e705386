"""Run every benchmark and print one table each; names on the command line choose some."""

from __future__ import annotations

import os
import sys

# Before numpy is loaded: two busy cores would compare threads, not methods.
os.environ.update({"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"})

from . import (
    all_ones,
    convex_programs,
    crossing,
    decisions,
    deep_students,
    hard_programs,
    least_norms,
    line,
    matrix_rule,
    network_training,
    single_neuron,
    small_nets,
    star,
    sweeps,
    zonotopes,
)

TABLES = {
    "all_ones": all_ones,
    "convex_programs": convex_programs,
    "decisions": decisions,
    "hard_programs": hard_programs,
    "least_norms": least_norms,
    "sweeps": sweeps,
    "network_training": network_training,
    "crossing": crossing,
    "line": line,
    "star": star,
    "small_nets": small_nets,
    "single_neuron": single_neuron,
    "deep_students": deep_students,
    "matrix_rule": matrix_rule,
    "zonotopes": zonotopes,
}

if __name__ == "__main__":
    for name in sys.argv[1:] or TABLES:
        TABLES[name].main()
        print()
