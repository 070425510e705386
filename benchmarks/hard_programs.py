"""Programs of every model, size, noise level and weight decay: our solver beside CLARABEL on the network's own listing.

Draw i is the same whatever the others. `smallnets.convex.solving.solve` must close the gap wherever CLARABEL has an
answer, with the same value; the decoded network's own cost, evaluated plainly, is the third number.

    python -m benchmarks hard_programs            the first 40
    NEUREC_DRAWS=1000 python -m benchmarks hard_programs
"""

from __future__ import annotations

import os
import time
import warnings
from math import isclose
from typing import Any

import cvxpy as cp
import numpy as np
import pandas as pd

from neurec_core.draws import Draws
from neurec_papers.convex_recovery import CONVEX_TRAINING
from neurec_papers.convex_recovery.engine import instance, solutions
from neurec_papers.convex_recovery.engine.instance import Posed
from smallnets.convex import solving

SIGMA = (0.0, *(10.0**k for k in range(-8, 1)))
BETA = (0.0, *(10.0**k for k in range(-9, 2)))
RATIOS = (0.5, 1, 1.5, 2, 2.5, 3, 4, 6, 10, 20)
LARGEST = 60  # points, so that the reference takes a second and not a minute
# How near values must be: CLARABEL is asked for 1e-11, and ends between that and 1e-7 where it says "inaccurate".
AGREES = {"optimal": 1e-8, "optimal_inaccurate": 1e-6}
TIGHT = {"tol_gap_abs": 1e-11, "tol_gap_rel": 1e-11, "tol_feas": 1e-11}


def draw(number: int) -> tuple[Posed | None, float, dict[str, Any]]:
    """A planted trial, its weight decay (0: minimal norm), and what was drawn."""
    rng = np.random.default_rng([17, number])
    d = int(rng.integers(1, 9))
    model = str(rng.choice(["skip", "plain", "normalized"]))
    beta = float(rng.choice(BETA))
    values = {
        "model": model, "d": d, "n": min(max(round(d * rng.choice(RATIOS)), 1), LARGEST),
        "k": 1 if model == "skip" else int(rng.integers(1, 4)), "sigma": float(rng.choice(SIGMA)),
        "program": str(rng.choice(["relaxed", "exact"])), "patterns": int(rng.integers(5, 31)),
    }  # fmt: skip
    params, draws = CONVEX_TRAINING.params(**values), Draws(17, [number])
    return instance.pose(params, CONVEX_TRAINING.sample(params, draws), draws)[0], beta, {**values, "beta": beta}


def listing(one: Posed, beta: float) -> cp.Problem:
    """The network's program in its own weights, pattern by pattern, over the square root of beta where that is small.

    minimise sum_j c(u_j) + c(v_j) + beta ||s||^2 subject to sum_j D_j X (u_j - v_j) + beta s = y, where c is the norm
    of the weights or, behind a normalised layer, of the outputs; u_j, v_j in the cone of pattern j if exact.
    """
    (n, d), sides = one.X.shape, 2 * one.D.astype(float) - 1
    fit, cost, limits = 0, 0, []
    for j in range(one.D.shape[1]):
        gated = one.D[:, [j]] * one.X
        signs = (1.0, -1.0) if one.exact and j >= one.free else (1.0,)
        for sign in signs:
            w = cp.Variable(d)
            fit, cost = fit + sign * gated @ w, cost + cp.norm(gated @ w if one.model == "normalized" else w)
            if one.exact and j >= one.free:
                limits.append(cp.multiply(sides[:, j], one.X @ w) >= 0)
    if beta:
        s = cp.Variable(n, name="s")
        fit, cost = fit + beta * s, cost + beta * cp.sum_squares(s)
    return cp.Problem(cp.Minimize(cost), [fit == one.y, *limits])


def reference(one: Posed, beta: float) -> tuple[str, float]:
    """How CLARABEL ends on the listing, and what the weights that it finds cost."""
    program = listing(one, beta)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            program.solve(solver="CLARABEL", **TIGHT)
        except cp.SolverError:
            return "failed", np.nan
    if beta and program.status in AGREES:  # what its s misses of the residual counts over beta
        s = program.var_dict["s"]
        s.value = s.value + (one.y - program.constraints[0].args[0].value) / beta
        return program.status, float(program.objective.value)
    return program.status, float(program.value)


def network_cost(one: Posed, beta: float, W: np.ndarray) -> float:
    """What weights W on the inputs cost and miss, from X, D and y alone; inf if some lie outside of their cones."""
    p, cost, outputs = one.D.shape[1], 0.0, np.zeros(len(one.y))
    for j in range(W.shape[1]):
        column = j if j < p else j - p + one.free
        gated = one.D[:, column] * (one.X @ W[:, j])
        outputs += gated
        cost += float(np.linalg.norm(gated if one.model == "normalized" else W[:, j]))
        if one.exact and column >= one.free:
            sign = 1 if j < p else -1
            slack = sign * (2 * one.D[:, column] - 1.0) * (one.X @ W[:, j])
            if slack.min() < -1e-7 * np.linalg.norm(one.X, axis=1).max() * np.linalg.norm(W):
                return np.inf
    missed = float(np.linalg.norm(one.y - outputs))
    if beta:
        return cost + missed**2 / beta
    return cost if missed <= 1e-8 * np.linalg.norm(one.y) else np.inf


def check(number: int) -> dict[str, Any] | None:
    """One row, or nothing where a planted neuron is active on no point."""
    one, beta, values = draw(number)
    if one is None:
        return None
    begin = time.process_time()
    found = solving.solve(one.blocks, one.y, ridge=beta / 2)
    middle = time.process_time()
    ended, value = reference(one, beta)
    residual = one.y - one.blocks.forward(found.W)
    ours = float(np.linalg.norm(found.W, axis=0).sum()) + (float(residual @ residual) / beta if beta else 0.0)
    return {
        "draw": number, **values, "converged": found.converged, "gap": found.gap, "ended": ended, "ours": ours,
        "reference": value, "apart": abs(ours - value) / max(abs(value), 1e-300),
        "network": network_cost(one, beta, solutions.inputs(one, found.W)), "seconds": middle - begin,
        "reference seconds": time.process_time() - middle,
    }  # fmt: skip


def fault(row: dict[str, Any]) -> str:
    """What is wrong with a row; empty where nothing is."""
    if row["ended"] not in AGREES:
        found_none = row["ended"] != "failed" and row["converged"]
        return f"converged where CLARABEL ends {row['ended']}" if found_none else ""
    if not (row["converged"] and row["gap"] <= solving.GAP):
        return f"a gap of {row['gap']:.1e} where CLARABEL has an answer"
    if not isclose(row["ours"], row["reference"], rel_tol=AGREES[row["ended"]], abs_tol=1e-12):
        return f"{row['ours']:.9g} where CLARABEL finds {row['reference']:.9g}"
    if not isclose(row["network"], row["ours"], rel_tol=1e-7, abs_tol=1e-12):
        return f"{row['ours']:.9g} where the network costs {row['network']:.9g}"
    return ""


def main() -> None:
    """Print what is wrong as soon as it is known, and at last the draws it is wrong with and how many are right."""
    count, rows, wrong = int(os.environ.get("NEUREC_DRAWS", "40")), [], []
    for number in range(count):
        if row := check(number):
            rows.append(row)
            if what := fault(row):
                wrong.append(row)
                print(f"draw {number}: {what}", flush=True)
        if (number + 1) % 100 == 0:
            print(f"{number + 1} of {count} draws, {len(wrong)} wrong", flush=True)
    table = pd.DataFrame(rows)
    answered = table["ended"].isin(list(AGREES))
    print(f"{len(table)} draws, CLARABEL answers {answered.sum()}, ours converge {table['converged'].sum()}")
    apart = table[answered & table["converged"]]["apart"]
    print(f"values apart: median {apart.median():.1e}, largest {apart.max():.1e}")
    print(f"seconds: ours {table['seconds'].sum():.0f}, CLARABEL's {table['reference seconds'].sum():.0f}")
    print(pd.DataFrame(wrong).to_string(index=False) if wrong else "nothing is wrong")
