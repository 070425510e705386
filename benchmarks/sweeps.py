"""Whole published sweeps: 400 cells of n and d, five trials each, one process, CPU time.

The published scripts solve 2000 programs with a cone solver for each of these. How long that takes is estimated
from the cone solver's own times on a few cells of the grid, with time proportional to n^a d^b; so is the time that the
same solver would take with the dual program.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from neurec_core.experiment import Experiment, Grid
from neurec_core.sweep import sweep
from neurec_papers.convex_recovery import NORMALIZED_RECOVERY, SKIP_RECOVERY
from neurec_papers.convex_recovery.engine.instance import Posed

from .convex_programs import dual, published
from .decisions import draw

GRID = {"n": range(10, 401, 10), "d": range(10, 101, 10)}
CASES: list[tuple[str, Experiment, dict[str, Any]]] = [
    ("skip", SKIP_RECOVERY, {}),
    ("skip", SKIP_RECOVERY, {"plant": "smallest_singular"}),
    ("normalized", NORMALIZED_RECOVERY, {"k": 1}),
    ("normalized", NORMALIZED_RECOVERY, {"k": 2}),
]
SAMPLED = [(n, d) for n in (50, 100, 150, 200) for d in (10, 20, 40) if n > d]


def estimated(model: str, values: dict[str, Any], seconds: Callable[[Posed], float]) -> float:
    """CPU hours of the cone solver over the grid, by a power law through a few cells; n < d as n = d."""
    spent = [seconds(draw(model, 1, n=n, d=d, **values)[0]) for n, d in SAMPLED]
    powers = np.column_stack([np.ones(len(SAMPLED)), np.log(SAMPLED)])
    fitted = np.linalg.lstsq(powers, np.log(spent), rcond=None)[0]
    cells = np.array([(max(n, d), d) for n in GRID["n"] for d in GRID["d"]], float)
    return float(5 * np.exp(fitted[0] + np.log(cells) @ fitted[1:]).sum() / 3600)


def compare(model: str, experiment: Experiment, values: dict[str, Any]) -> dict[str, object]:
    """One row."""
    begin = time.process_time()
    table = sweep(experiment, Grid(GRID, 5, fixed=values), progress=False)
    spent = time.process_time() - begin
    hours = estimated(model, values, lambda one: published(one)["total"])
    peer = estimated(model, values, lambda one: dual(one)["seconds"])
    return {
        "sweep": " ".join([model, *(f"{name} {value}" for name, value in values.items())]),
        "trials": len(table),
        "without a certificate": int((table["status"] != "solved").sum()),
        "CPU seconds": round(spent, 1),
        "cone solver, estimated (h)": round(hours, 1),
        "estimated ratio": round(3600 * hours / spent),
        "dual, estimated (h)": round(peer, 2),
        "ratio of the dual": round(3600 * peer / spent),
    }


def main() -> None:
    """Print the table."""
    print("Whole published sweeps, deciding every trial with a certificate: CPU time, one thread")
    print(pd.DataFrame([compare(*case) for case in CASES]).to_string(index=False))
