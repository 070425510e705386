"""The paper's convex programs as CVXPY listings: the reference. Only this module imports cvxpy.

Construct the problem, then `solve` it.
"""

from __future__ import annotations

import warnings

import cvxpy as cp
import numpy as np
from cvxpy.reductions.solvers.defines import SOLVER_MAP_CONIC

from ..experiment import Status

STATUSES = {
    cp.OPTIMAL: Status.SOLVED,
    cp.OPTIMAL_INACCURATE: Status.INACCURATE,
    cp.INFEASIBLE: Status.INFEASIBLE,
    cp.INFEASIBLE_INACCURATE: Status.INFEASIBLE,
    cp.UNBOUNDED: Status.UNBOUNDED,
    cp.UNBOUNDED_INACCURATE: Status.UNBOUNDED,
    cp.settings.INFEASIBLE_OR_UNBOUNDED: Status.INFEASIBLE,
    cp.USER_LIMIT: Status.LIMIT,
    cp.SOLVER_ERROR: Status.FAILED,
}


def solvers() -> list[str]:
    """Names of the installed solvers that take second-order cones."""
    cone = cp.constraints.SOC
    able = {name for name, solver in SOLVER_MAP_CONIC.items() if cone in solver.SUPPORTED_CONSTRAINTS}
    return [name for name in cp.installed_solvers() if name in able]


def min_norm_skip(X: np.ndarray, D: np.ndarray, y: np.ndarray) -> cp.Problem:
    """Minimal-norm gated ReLU network with a skip connection that fits every label.

    minimise ||w_0|| + sum_j ||w_j||  subject to  X w_0 + sum_j D_j X w_j = y.

    Parameters
    ----------
    X : (n, d) array
    D : (n, p) bool array, a pattern a column
    y : (n,) array

    Returns
    -------
    cp.Problem with variables named "w0" (d,) and "W" (d, p)

    **Source**: wang2025overparameterized, eq. (15).
    """
    w0 = cp.Variable(X.shape[1], name="w0")
    W = cp.Variable((X.shape[1], D.shape[1]), name="W")
    fit = X @ w0 + cp.sum(cp.multiply(D, X @ W), axis=1)
    return cp.Problem(cp.Minimize(cp.norm(w0) + cp.sum(cp.norm(W, axis=0))), [fit == y])


def solve(problem: cp.Problem, solver: str) -> Status:
    """Solve in place and say how it ended; a solver that gives up is a status, not an exception."""
    with warnings.catch_warnings():
        # An inaccurate solution is told by its status, row by row.
        warnings.filterwarnings("ignore", "Solution may be inaccurate")
        try:
            problem.solve(solver=solver)
        except cp.SolverError:
            return Status.FAILED
    return STATUSES[problem.status]
