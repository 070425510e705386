"""The paper's convex programs as CVXPY listings: the reference. Only this module imports cvxpy.

Construct the problem, then `solve` it. Every listing takes the arrays of one trial,

X : (n, d) array
D : (n, p) bool array, one pattern per column
y : (n,) array

and returns a `cp.Problem`, with its variables by name in `var_dict`. K_j = {u : (2 D_j - I) X u >= 0} is the
cone of the weights whose ReLU unit has pattern j. `decode` turns a solution into a net.
"""

from __future__ import annotations

import warnings

import cvxpy as cp
import numpy as np
import scipy
from cvxpy.reductions.solvers.defines import SOLVER_MAP_CONIC

from ..arguments import array, checked, number, pattern
from .decode import Factors, factors

SOLVED = (cp.OPTIMAL, cp.OPTIMAL_INACCURATE)  # what `solve` says where there is a solution

# What every listing takes: the arrays of one trial.
DATA = {"X": array("points", "n d"), "D": pattern("patterns", "n p"), "y": array("labels", "n")}


def solvers() -> list[str]:
    """Names of the installed solvers that take second-order cones."""
    cone = cp.constraints.SOC
    able = {name for name, solver in SOLVER_MAP_CONIC.items() if cone in solver.SUPPORTED_CONSTRAINTS}
    return [name for name in cp.installed_solvers() if name in able]


@checked(**DATA)
def min_norm_skip(X: np.ndarray, D: np.ndarray, y: np.ndarray) -> cp.Problem:
    """Minimal-norm gated ReLU network with a skip connection that fits every label.

    minimise ||w_0|| + sum_j ||w_j||  subject to  X w_0 + sum_j D_j X w_j = y.

    Parameters
    ----------
    X : (n, d) array
    D : (n, p) bool array, one pattern per column
    y : (n,) array

    Returns
    -------
    cp.Problem with variables named "w0" (d,) and "W" (d, p)

    **Source**: wang2025overparameterized, eq. (15).
    """
    w0 = cp.Variable(X.shape[1], name="w0")
    W = _blocks(X, D, "W")
    return cp.Problem(cp.Minimize(cp.norm(w0) + _norms(W)), [X @ w0 + _gated(X, D, W) == y])


@checked(**DATA)
def min_norm_plain(X: np.ndarray, D: np.ndarray, y: np.ndarray) -> cp.Problem:
    """Minimal-norm gated ReLU network that fits every label.

    minimise sum_j ||w_j||  subject to  sum_j D_j X w_j = y.

    Returns
    -------
    cp.Problem with a variable named "W" (d, p)

    **Source**: wang2025overparameterized, eq. (15) without w_0.
    """
    W = _blocks(X, D, "W")
    return cp.Problem(cp.Minimize(_norms(W)), [_gated(X, D, W) == y])


@checked(**DATA)
def min_norm_normalized(X: np.ndarray, D: np.ndarray, y: np.ndarray) -> cp.Problem:
    """Minimal-norm gated network with a normalised layer that fits every label.

    minimise sum_j ||w_j||  subject to  sum_j U_j w_j = y, where D_j X = U_j S_j V_j^T.

    Returns
    -------
    cp.Problem with a variable named "W" (d, p); its entries past the rank of D_j X are zero at the optimum

    **Source**: wang2025overparameterized, eq. (17); differs: U_j ends at the rank of D_j X.
    """
    W = _blocks(X, D, "W")
    return cp.Problem(cp.Minimize(_norms(W)), [_whitened(factors(X, D), W) == y])


@checked(**DATA)
def min_norm_skip_exact(X: np.ndarray, D: np.ndarray, y: np.ndarray) -> cp.Problem:
    """Minimal-norm ReLU network with a skip connection that fits every label.

    minimise ||w_0|| + sum_j ||u_j|| + ||v_j||  subject to  X w_0 + sum_j D_j X (u_j - v_j) = y, u_j, v_j in K_j.

    Returns
    -------
    cp.Problem with variables named "w0" (d,), "U" and "V" (d, p)

    **Source**: wang2025overparameterized, eq. (6); differs: there the objective lacks ||w_0||, which must be meant.
    """
    w0 = cp.Variable(X.shape[1], name="w0")
    U, V = _blocks(X, D, "U"), _blocks(X, D, "V")
    fit = X @ w0 + _gated(X, D, U - V)
    return cp.Problem(cp.Minimize(cp.norm(w0) + _norms(U, V)), [fit == y, *_cones(X, D, U, V)])


@checked(**DATA)
def min_norm_plain_exact(X: np.ndarray, D: np.ndarray, y: np.ndarray) -> cp.Problem:
    """Minimal-norm ReLU network that fits every label.

    minimise sum_j ||u_j|| + ||v_j||  subject to  sum_j D_j X (u_j - v_j) = y, u_j, v_j in K_j.

    Returns
    -------
    cp.Problem with variables named "U" and "V" (d, p)

    **Source**: wang2025overparameterized, eq. (11).
    """
    U, V = _blocks(X, D, "U"), _blocks(X, D, "V")
    return cp.Problem(cp.Minimize(_norms(U, V)), [_gated(X, D, U - V) == y, *_cones(X, D, U, V)])


@checked(**DATA)
def min_norm_normalized_exact(X: np.ndarray, D: np.ndarray, y: np.ndarray) -> cp.Problem:
    """Minimal-norm ReLU network with a normalised layer that fits every label.

    minimise sum_j ||w_j|| + ||w'_j||  subject to  sum_j U_j (w_j - w'_j) = y and u_j, u'_j in K_j, where
    D_j X = U_j S_j V_j^T and u_j = V_j S_j^-1 w_j + N_j z_j, with N_j a basis of the null space of D_j X.

    Returns
    -------
    cp.Problem with variables named "W_plus" and "W_minus" (d, p); the first r_j entries of a column are w_j,
    those past the rank r_j of D_j X are z_j

    **Source**: wang2025overparameterized, eq. (16); differs: there z_j = 0, which is the same where D_j X has
    rank d; elsewhere it shuts out units of the network, as u_j costs nothing along N_j but moves in K_j.
    """
    found = factors(X, D)
    W, V = _blocks(X, D, "W_plus"), _blocks(X, D, "W_minus")
    limits = [_whitened(found, W - V) == y, *_whitened_cones(X, D, found, W, V)]
    return cp.Problem(cp.Minimize(_kept_norms(found, W, V)), limits)


@checked(**DATA, beta=number("weight decay", "(0, inf)"))
def train_skip(X: np.ndarray, D: np.ndarray, y: np.ndarray, beta: float) -> cp.Problem:
    """Weight decay beta on the ReLU network with a skip connection.

    minimise ||r||^2 + beta (||w_0|| + sum_j ||u_j|| + ||v_j||)  subject to
    r = y - X w_0 - sum_j D_j X (u_j - v_j), u_j, v_j in K_j.

    It is written with r = beta s and divided by beta: s, half the dual vector, stays of order one as beta falls,
    and the norms do not drown in the solver's tolerance. The problem's value times beta is the objective above.

    Parameters
    ----------
    X, D, y : as in every listing
    beta : decay, > 0; no factor 1/2 before the squares, so twice the paper's (published: 1e-6)

    Returns
    -------
    cp.Problem with variables named "w0" (d,), "U" and "V" (d, p) and "s" (n,)

    **Source**: wang2025overparameterized, eq. (211); differs: divided by beta.
    """
    w0, s = cp.Variable(X.shape[1], name="w0"), cp.Variable(len(y), name="s")
    U, V = _blocks(X, D, "U"), _blocks(X, D, "V")
    fit = X @ w0 + _gated(X, D, U - V)
    objective = beta * cp.sum_squares(s) + cp.norm(w0) + _norms(U, V)
    return cp.Problem(cp.Minimize(objective), [fit + beta * s == y, *_cones(X, D, U, V)])


@checked(**DATA, beta=number("weight decay", "(0, inf)"))
def train_plain(X: np.ndarray, D: np.ndarray, y: np.ndarray, beta: float) -> cp.Problem:
    """Weight decay beta on the ReLU network: `train_skip` without w_0.

    Returns
    -------
    cp.Problem with variables named "U" and "V" (d, p) and "s" (n,)

    **Source**: wang2025overparameterized, eq. (211) without w_0; differs: divided by beta.
    """
    s = cp.Variable(len(y), name="s")
    U, V = _blocks(X, D, "U"), _blocks(X, D, "V")
    fit = _gated(X, D, U - V)
    return cp.Problem(cp.Minimize(beta * cp.sum_squares(s) + _norms(U, V)), [fit + beta * s == y, *_cones(X, D, U, V)])


@checked(**DATA, beta=number("weight decay", "(0, inf)"))
def train_normalized(X: np.ndarray, D: np.ndarray, y: np.ndarray, beta: float) -> cp.Problem:
    """Weight decay beta on the ReLU network with a normalised layer.

    minimise ||r||^2 + beta (sum_j ||w_j|| + ||w'_j||), r = y - sum_j U_j (w_j - w'_j), u_j, u'_j in K_j as in
    `min_norm_normalized_exact`; written as in `train_skip`, so that the value times beta is this objective.

    Returns
    -------
    cp.Problem with variables named "W_plus" and "W_minus" (d, p), past the rank as there, and "s" (n,)

    **Source**: wang2025overparameterized, eq. (212); differs: divided by beta; z_j is free where there it is 0.
    """
    found, s = factors(X, D), cp.Variable(len(y), name="s")
    W, V = _blocks(X, D, "W_plus"), _blocks(X, D, "W_minus")
    limits = [_whitened(found, W - V) + beta * s == y, *_whitened_cones(X, D, found, W, V)]
    return cp.Problem(cp.Minimize(beta * cp.sum_squares(s) + _kept_norms(found, W, V)), limits)


def solve(problem: cp.Problem, solver: str) -> str:
    """Solve in place and say how it ended, in CVXPY's words; a solver that gives up is a status, not an exception."""
    with warnings.catch_warnings():
        # Its status says that a solution is inaccurate, row by row.
        warnings.filterwarnings("ignore", "Solution may be inaccurate")
        try:
            problem.solve(solver=solver)
        except cp.SolverError:
            return str(cp.SOLVER_ERROR)
    return str(problem.status)


def _blocks(X: np.ndarray, D: np.ndarray, name: str) -> cp.Variable:
    return cp.Variable((X.shape[1], D.shape[1]), name=name)


def _norms(*blocks: cp.Expression) -> cp.Expression:
    return sum(cp.sum(cp.norm(W, axis=0)) for W in blocks)


def _gated(X: np.ndarray, D: np.ndarray, W: cp.Expression) -> cp.Expression:
    """sum_j D_j X w_j."""
    return cp.sum(cp.multiply(D, X @ W), axis=1)


def _cones(X: np.ndarray, D: np.ndarray, *blocks: cp.Expression) -> list[cp.Constraint]:
    """w_j in K_j for all j."""
    return [cp.multiply(2.0 * D - 1, X @ W) >= 0 for W in blocks]


def _whitened(found: Factors, W: cp.Expression) -> cp.Expression:
    """sum_j U_j w_j."""
    return np.hstack(list(found.U)) @ cp.vec(W, order="F")


def _kept_norms(found: Factors, *blocks: cp.Expression) -> cp.Expression:
    """sum_j ||w_j|| without the null-space coordinates, which cost nothing."""
    return _norms(*(cp.multiply(found.kept.T, W) for W in blocks))


def _whitened_cones(X: np.ndarray, D: np.ndarray, found: Factors, *blocks: cp.Expression) -> list[cp.Constraint]:
    """V_j S_j^-1 w_j in K_j for all j, null-space coordinates included."""
    sides = (2.0 * D - 1).T[:, :, None] * (X @ (found.V / found.S[:, None, :]))
    limits = scipy.sparse.block_diag(sides, format="csr")
    return [limits @ cp.vec(W, order="F") >= 0 for W in blocks]
