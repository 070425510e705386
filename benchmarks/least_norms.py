"""Least norms of ReLU networks that fit, over all patterns: CVXPY with a cone solver beside `interpolation.least_norm`.

Both are handed the same points and labels, and both look for the patterns. Dual: the program of n variables and one
cone per pattern, the cone solver's own time. CPU time of this process.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from smallnets.convex import interpolation, programs
from smallnets.geometry import arrangements

from . import peers

REFERENCE = "CLARABEL"
CASES = [(7, 2), (9, 2), (12, 2), (20, 2), (6, 3), (8, 3), (4, 4), (6, 6)]
TRIALS = 5


def listed(X: np.ndarray, y: np.ndarray) -> float:
    """The listing built, compiled and solved."""
    program = programs.min_norm_plain_exact(X, arrangements.enumerate(X[None]).D[0], y)
    programs.solve(program, REFERENCE)
    return float(program.value)


def ours(X: np.ndarray, y: np.ndarray) -> interpolation.Interpolant:
    """The least norm with its proof."""
    return interpolation.least_norm(X, y)


def dual(X: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """The least norm by the dual program, and the cone solver's seconds."""
    D = arrangements.enumerate(X[None]).D[0]
    program = peers.dual(D.T[:, :, None] * X, y, X, 2 * D.T - 1.0)
    data, chain, inverse = program.get_problem_data(REFERENCE, solver_opts={})
    solved, seconds = timed(lambda *_: chain.solve_via_data(program, data), X, y)
    program.unpack_results(solved, chain, inverse)
    return float(program.value), seconds


def timed(method: Callable[[np.ndarray, np.ndarray], Any], X: np.ndarray, y: np.ndarray) -> tuple[Any, float]:
    """An answer and what it costs."""
    begin = time.process_time()
    return method(X, y), time.process_time() - begin


def compare(n: int, d: int) -> dict[str, object]:
    """One row: medians over trials of identical instances."""
    rng, rows = np.random.default_rng([n, d]), []
    for _ in range(TRIALS):
        X, y = rng.standard_normal((n, d)), rng.standard_normal(n)
        (best, own), (value, other) = timed(ours, X, y), timed(listed, X, y)
        least, peer = dual(X, y)
        apart = [abs(found / best.value - 1) for found in (value, least)]
        rows.append((own, other, peer, best.gap, *apart, best.converged))
    own, other, peer, gap, apart, far, closed = np.array(rows).T
    return {
        "n": n,
        "d": d,
        "closed": f"{int(closed.sum())} of {TRIALS}",
        "largest gap": f"{gap.max():.0e}",
        "values apart": f"{apart.max():.0e}",
        "ours (ms)": round(1e3 * float(np.median(own)), 1),
        f"{REFERENCE} (ms)": round(1e3 * float(np.median(other)), 1),
        "ratio": round(float(np.median(other / own)), 2),
        "dual / ours": round(float(np.median(peer / own)), 2),
        "dual's values apart": f"{far.max():.0e}",
    }


def main() -> None:
    """Print the table."""
    compare(3, 2)  # what is loaded on first use is loaded before time counts
    print(f"Least norm: CVXPY with {REFERENCE} / ours, CPU time, one thread")
    print(pd.DataFrame([compare(*case) for case in CASES]).to_string(index=False))
