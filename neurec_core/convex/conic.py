"""Group-sparse programs by an interior-point method, for where Newton steps on proximal points stall.

The dual program, maximise y^T l - ridge/2 ||l||^2 subject to a second-order cone for each block, has n variables
besides the multipliers of the rows that confine weights; CLARABEL returns the weights as its multipliers.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

from .blocks import Blocks
from .cones import Cones
from .newton import Iterate

FAINT = 1e-12  # weights of a smaller share are rounding
# Asked of the optimum and of every linear system; what comes is the best that rounding allows.
PRECISION, REFINED = 1e-12, 1e-16
# Whether equations are rescaled, what is added to their diagonal, and the share of a step to the boundary. Where
# weights differ by eight powers of ten, one of these gets nearer than another.
ATTEMPTS = ((False, 1e-8, 0.99), (True, 1e-14, 0.99), (False, 1e-14, 0.9), (True, 1e-8, 0.9))


def optima(blocks: Blocks, y: np.ndarray, cost: np.ndarray, ridge: float = 0.0) -> Iterator[Iterate]:
    """Weights and dual vectors at the optimum, as near as rounding allows; the caller measures their gap.

    Parameters
    ----------
    blocks : the maps A_j, columns of X of norm about 1
    y : (n,) labels, of norm about 1
    cost : (p,) the weights c_j > 0
    ridge : >= 0, as in `newton.proximal_points`

    **Source**: goulart2024clarabel (the method).
    """
    program = _dual(blocks, y, cost, ridge)
    for attempt in ATTEMPTS:
        yield _solved(blocks, program, *attempt)


class _Program(NamedTuple):
    """Minimise x^T P x / 2 + q^T x subject to A x + s = b with s in the cones; the weights' multipliers in A x."""

    P: sparse.csc_matrix
    q: np.ndarray
    A: sparse.csc_matrix
    b: np.ndarray
    cones: list[Any]
    weights: slice


def _dual(blocks: Blocks, y: np.ndarray, cost: np.ndarray, ridge: float) -> _Program:
    import clarabel

    (n, d), p = blocks.X.shape, blocks.D.shape[1]
    # Cone j: (c_j, A_j^T l + R_j^T m_j) with multipliers m_j >= 0 of the rows R_j that confine its weights.
    heads = np.zeros((p, 1, n))
    gradients = np.concatenate([heads, blocks.rows(np.arange(p)).reshape(p, d, n)], axis=1).reshape(-1, n)
    confining, balanced = _limits(blocks)
    k = confining.shape[1]
    limits = sparse.vstack(
        [
            sparse.hstack([sparse.csc_matrix((balanced.shape[0], n)), balanced]),
            -sparse.hstack([sparse.csc_matrix(gradients), confining]),
            -sparse.hstack([sparse.csc_matrix((k, n)), sparse.identity(k)]),
        ],
        format="csc",
    )
    bounds = np.concatenate([np.zeros(balanced.shape[0]), np.outer(cost, np.eye(d + 1)[0]).ravel(), np.zeros(k)])
    kinds = [
        clarabel.ZeroConeT(balanced.shape[0]),
        *[clarabel.SecondOrderConeT(d + 1)] * p,
        clarabel.NonnegativeConeT(k),
    ]
    quadratic, goal = sparse.diags(np.repeat([ridge, 0.0], [n, k]), format="csc"), np.append(-y, np.zeros(k))
    first = balanced.shape[0]
    return _Program(quadratic, goal, limits, bounds, kinds, slice(first, first + p * (d + 1)))


def _solved(blocks: Blocks, program: _Program, rescaled: bool, added: float, share: float) -> Iterate:
    import clarabel

    (n, d), p = blocks.X.shape, blocks.D.shape[1]
    settings = clarabel.DefaultSettings()
    settings.verbose, settings.max_threads = False, 1
    settings.tol_gap_abs = settings.tol_gap_rel = settings.tol_feas = PRECISION
    settings.iterative_refinement_reltol = settings.iterative_refinement_abstol = REFINED
    settings.iterative_refinement_max_iter, settings.iterative_refinement_stop_ratio = 50, 1.01
    settings.equilibrate_enable, settings.static_regularization_constant = rescaled, added
    settings.max_step_fraction = share
    found = clarabel.DefaultSolver(*program[:-1], settings).solve()
    dual, W = np.array(found.x)[:n], -np.array(found.z)[program.weights].reshape(p, d + 1)[:, 1:].T
    if not (np.isfinite(dual).all() and np.isfinite(W).all()):
        dual, W = np.zeros(n), np.zeros((d, p))
    # What rounding left outside of the cones moves inside, and what it left of blocks that are not used goes.
    faint = max(FAINT * float(np.linalg.norm(W)), np.finfo(float).tiny)
    norms, W, _ = blocks.project(W, np.full(p, faint))
    return Iterate(np.where(norms > faint, W, 0), dual, blocks.adjoint(dual), int(found.iterations))


def _limits(blocks: Blocks) -> tuple[sparse.csc_matrix, sparse.csc_matrix]:
    """All R_j^T of the gradients, and the equations of the multipliers, one block below the other."""
    (_, d), p = blocks.X.shape, blocks.D.shape[1]
    confining, balanced = [sparse.csc_matrix((d + 1, 0))] * p, [sparse.csc_matrix((0, 0))] * p
    if isinstance(blocks, Cones):
        for j in range(blocks.free, p):
            rows, lifts = blocks.limits(j)
            confining[j] = sparse.csc_matrix(np.vstack([np.zeros((1, len(rows))), rows.T]))
            balanced[j] = sparse.csc_matrix(lifts.T)
    return sparse.block_diag(confining, format="csc"), sparse.block_diag(balanced, format="csc")
