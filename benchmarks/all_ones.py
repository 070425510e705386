"""Is some direction active on every point? The published local search beside non-negative least squares.

Published: maximise ||h|| subject to X h >= 0 and ||h|| <= 1 by SLSQP from one random unit vector; "yes" if
the value exceeds 1e-6. Ours: `smallnets.geometry.patterns.all_ones`, which returns the direction or nothing. HiGHS: the
linear program of a direction with all products >= 1, as one would write it today.
"""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
from scipy.optimize import linprog, minimize

from neurec_core.draws import Draws
from neurec_papers.convex_recovery.engine import data
from smallnets.geometry import patterns

TRIALS = 12
CASES = [(20, 10), (40, 20), (80, 40), (100, 50), (120, 40), (200, 50)]


def local_search(X: np.ndarray, start: np.ndarray) -> bool:
    """The published test, for one data matrix and one starting direction."""
    constraints = [
        {"type": "ineq", "fun": lambda h: X @ h, "jac": lambda h: X},
        {"type": "ineq", "fun": lambda h: 1 - h @ h, "jac": lambda h: -2 * h},
    ]
    found = minimize(lambda h: -(h @ h), start / np.linalg.norm(start), jac=lambda h: -2 * h, constraints=constraints)
    feasible = (X @ found.x >= -1e-9).all()
    return bool(feasible and np.linalg.norm(found.x) > 1e-6)


def program(X: np.ndarray) -> bool:
    """Whether some h has X h >= 1, by HiGHS."""
    n, d = X.shape
    return bool(linprog(np.zeros(d), A_ub=-X, b_ub=-np.ones(n), bounds=(None, None), method="highs").status == 0)


def compare(n: int, d: int) -> dict[str, object]:
    """Both tests on the same instances; process time, so that other programs do not count."""
    draws = Draws(0, range(TRIALS))
    X, starts = data.design("gaussian", draws, n, d), draws.normal("start", d)
    begin = time.process_time()
    _, ours = patterns.all_ones(X)
    middle = time.process_time()
    published = [local_search(x, start) for x, start in zip(X, starts, strict=True)]
    end = time.process_time()
    programs = [program(x) for x in X]
    last = time.process_time()
    agree = int(np.sum(ours == published))
    ratio = (end - middle) / (middle - begin)
    return {
        "n": n,
        "d": d,
        "yes": int(ours.sum()),
        "agree": f"{agree} of {TRIALS}",
        "published / ours": round(ratio, 1),
        "HiGHS agrees": f"{int(np.sum(ours == programs))} of {TRIALS}",
        "HiGHS / ours": round((last - end) / (middle - begin), 1),
    }


def main() -> None:
    """Print the table."""
    patterns.all_ones(np.ones((1, 2, 2)))  # what is loaded on first use is loaded before time counts
    print("Direction active on every point: published local search / ours, CPU time, one thread")
    print(pd.DataFrame([compare(n, d) for n, d in CASES]).to_string(index=False))
