"""Programs of every model, size, noise level and weight decay: our solver beside CLARABEL on the network's own listing.

Draw i is the same whatever the others. `neurec_core.convex.solving.solve` must close the gap wherever CLARABEL has an
answer, with the same value; the decoded network's own cost, evaluated plainly, is the third number.

    python -m benchmarks hard_programs            the first 40
    NEUREC_DRAWS=1000 python -m benchmarks hard_programs
"""

from __future__ import annotations

import os
import time
import warnings
from typing import Any

import cvxpy as cp
import numpy as np
import pandas as pd

from neurec_core.convex import solving
from neurec_core.draws import Draws
from neurec_core.papers.convex_recovery import CONVEX_TRAINING, instance, treat
from neurec_core.papers.convex_recovery.instance import Posed

SIGMA = (0.0, *(10.0**k for k in range(-8, 1)))
BETA = (0.0, *(10.0**k for k in range(-9, 2)))
RATIOS = (0.5, 1, 1.5, 2, 2.5, 3, 4, 6, 10, 20)
LARGEST = 60  # points, so that the reference takes a second and not a minute
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
        s = cp.Variable(n)
        fit, cost = fit + beta * s, cost + beta * cp.sum_squares(s)
    return cp.Problem(cp.Minimize(cost), [fit == one.y, *limits])


def reference(one: Posed, beta: float) -> tuple[str, float]:
    """How CLARABEL ends on the listing, and its value."""
    program = listing(one, beta)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            program.solve(solver="CLARABEL", **TIGHT)
        except cp.SolverError:
            return "failed", np.nan
    return program.status, float(program.value)


def network_cost(one: Posed, beta: float) -> float:
    """What the weights on the inputs cost and miss, from X, D and y alone; inf if some lie outside of their cones."""
    p, cost, outputs = one.D.shape[1], 0.0, np.zeros(len(one.y))
    W = treat.solve(one, instance.OWN, beta).W
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
        "network": network_cost(one, beta), "seconds": middle - begin,
        "reference seconds": time.process_time() - middle,
    }  # fmt: skip


def main() -> None:
    """Print the draws that differ, and how many do not."""
    numbers = range(int(os.environ.get("NEUREC_DRAWS", "40")))
    rows = pd.DataFrame([row for row in map(check, numbers) if row])
    answered = rows["ended"].isin(["optimal", "optimal_inaccurate"])
    print(f"{len(rows)} draws, CLARABEL answers {answered.sum()}, ours converge {rows['converged'].sum()}")
    print(f"without our answer where it has one: {(answered & ~rows['converged']).sum()}")
    both = rows[answered & rows["converged"]]
    print(f"values apart: median {both['apart'].median():.1e}, largest {both['apart'].max():.1e}")
    print(f"seconds: ours {rows['seconds'].sum():.0f}, CLARABEL's {rows['reference seconds'].sum():.0f}")
    strange = rows[(answered & ~rows["converged"]) | (rows["apart"] > 1e-6) | ~answered]
    print(strange.to_string(index=False))
