"""Group-sparse programs by an interior-point method, for where Newton steps on proximal points stall.

minimise  sum_j c_j t_j + ridge/2 |l|^2  subject to  sum_j A_j w_j + ridge l = y,  R_j w_j + C_j z_j >= 0,  |w_j| <= t_j

with the rows R_j, C_j that confine the weights of exact programs. CLARABEL returns the dual vector and the rows'
multipliers as well.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import scipy

from ._newton import Iterate
from ._points import EPS, RANK_TOLERANCE, nearest_power
from .blocks import Blocks, Faces
from .cones import Cones

FAINT = 1e-12  # weights of a smaller share are rounding
PRECISION = 1e-12  # asked of the optimum; what comes is the best that rounding allows
# Whether equations are rescaled, what is added to their diagonal, the share of a step to the boundary, and how far
# linear systems are refined. First CLARABEL's own; where weights differ by eight powers of ten, others get nearer.
ATTEMPTS = ((True, 1e-8, 0.99, 1e-13), (True, 1e-14, 0.99, 1e-16), (False, 1e-14, 0.9, 1e-16))
REFITS, SPAN = 2, 1e-14  # how often outputs are fitted again, and by what is more than rounding
# Linear programs: how many, from which share of their limits on units have planes, how near those are that set the
# length of a step, how many lengths it may go, what is asked of the solver, and how far sums may be rounded.
PLANES, NEAR, AT, FARTHEST, ROUNDING = 12, 0.5, 0.01, (-1e4, 1e4), 4 * EPS
EXACT = {"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10}


def optima(
    blocks: Blocks, y: np.ndarray, cost: np.ndarray, ridge: float = 0.0, *, walls: np.ndarray | bool = True
) -> Iterator[Iterate]:
    """Weights and dual vectors at the optimum, as near as rounding allows; the caller measures their gap.

    Parameters
    ----------
    blocks : the maps A_j, rows of X of norm about 1
    y : (n,) labels, of norm about 1
    cost : (p,) the weights c_j > 0
    ridge : >= 0, as in `_newton.proximal_points`
    walls : (n, p) which rows confine the weights of a block, where the others are known to follow

    **Source**: goulart2024clarabel (the method).
    """
    if blocks.even is not blocks:  # some of these programs are exact enough in the units of the inputs, others are not
        size = np.linalg.norm(blocks.gated.correction(y), axis=0).sum()
        yield from _attempted(blocks, blocks, _Stated(y, cost, ridge, walls), float(nearest_power(size)))
    yield from _attempted(blocks, blocks.even, _Stated(y, cost, ridge, walls), 1.0)


class _Stated(NamedTuple):
    """What `optima` takes besides blocks."""

    y: np.ndarray
    cost: np.ndarray
    ridge: float
    walls: np.ndarray | bool


def _attempted(blocks: Blocks, own: Blocks, stated: _Stated, size: float) -> Iterator[Iterate]:
    """As `optima`, in the units of the blocks `own`, for weights and dual vectors that cost about `size` in these."""
    even, units = blocks.units[:, None], blocks.units / own.units
    for attempt in ATTEMPTS:
        program = _program(own, units, stated, size)
        W, dual, multipliers, steps = _solved(blocks, program, *attempt)
        # The next attempt takes weights and dual vectors in units in which these cost about 1.
        size = float(nearest_power(np.linalg.norm(units.min() * W / units[:, None], axis=0).sum()))
        W, back = even / units[:, None] * W, blocks.adjoint(dual)
        if own is not blocks.even and isinstance(blocks, Cones):
            multipliers = blocks.of_even(multipliers)
        for _ in range(REFITS + 1):
            W, faces = _inside(blocks.even, W)
            if isinstance(blocks, Cones):
                blocks.remember(multipliers)
            yield Iterate(W / even, dual, back, steps)
            W = _refitted(blocks.even, W, stated.y - stated.ridge * dual, multipliers, faces=faces)
        if own is not blocks and not stated.ridge:
            yield from _by_planes(blocks, stated.y, stated.cost, dual, steps=steps)


class _Program(NamedTuple):
    """Minimise x^T P x / 2 + q^T x subject to A x + s = b with s in the cones.

    confined : points and blocks of the rows that confine weights
    units : of the weights, the dual vector and the multipliers
    """

    P: scipy.sparse.csc_matrix
    q: np.ndarray
    A: scipy.sparse.csc_matrix
    b: np.ndarray
    cones: list[Any]
    confined: tuple[np.ndarray, np.ndarray]
    units: tuple[float, float, float]


def _program(own: Blocks, units: np.ndarray, stated: _Stated, size: float) -> _Program:
    """Variables: t_j and w_j, units * w_j, of each block; moves z_j; l where there is ridge; all of about size 1."""
    import clarabel

    (n, d), p, (y, cost, ridge, walls) = own.X.shape, own.D.shape[1], stated
    rows, each, points, owners = _limits(own, walls)
    lifts = scipy.sparse.block_diag(each, format="coo") if each else scipy.sparse.coo_matrix((len(rows), 0))
    (k, moves), m, least = lifts.shape, p * (d + 1), float(units.min())
    weights, dual = np.arange(m).reshape(p, d + 1)[:, 1:], np.arange(n if ridge else 0)
    last, ridge = m + moves + dual, ridge * size / least
    A = _sparse(
        (n + k + m, m + moves + len(dual)),
        (np.arange(n), weights.reshape(-1, 1), size * own.rows(np.arange(p))),
        (dual, last, np.full(len(dual), ridge)),
        (n + np.arange(k)[:, None], weights[owners], -rows),
        (n + lifts.row, m + lifts.col, -lifts.data),
        (n + k + np.arange(m), np.arange(m), -np.tile(np.append(1.0, least / units), p)),
    )
    goal = np.append(np.outer(cost, np.eye(d + 1)[0]).ravel(), np.zeros(moves + len(dual)))
    flat = _sparse((len(goal), len(goal)), (last, last, np.full(len(dual), ridge)))
    kinds = [clarabel.ZeroConeT(n), clarabel.NonnegativeConeT(k), *[clarabel.SecondOrderConeT(d + 1)] * p]
    return _Program(
        flat, goal, A, np.append(y, np.zeros(k + m)), kinds, (points, owners), (size, size / least, 1 / least)
    )


def _limits(
    blocks: Blocks, walls: np.ndarray | bool = True
) -> tuple[np.ndarray, list[np.ndarray], np.ndarray, np.ndarray]:
    """As `Cones.limits`; nothing where weights are not confined."""
    if isinstance(blocks, Cones):
        return blocks.limits(walls)
    return blocks.X[:0], [], np.zeros(0, int), np.zeros(0, int)


def _sparse(shape: tuple[int, int], *parts: tuple[np.ndarray, np.ndarray, np.ndarray]) -> scipy.sparse.csc_matrix:
    """A matrix of parts: rows, columns and entries."""
    flat = [[np.ravel(each) for each in np.broadcast_arrays(*part)] for part in parts]
    i, j, entries = (np.concatenate(each) for each in zip(*flat, strict=True))
    kept = entries != 0
    return scipy.sparse.csc_matrix((entries[kept], (i[kept], j[kept])), shape=shape)


def _solved(blocks: Blocks, program: _Program, *attempt: float) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """Weights (d, p) of a program, a dual vector (n,), multipliers (n, p) of its rows, and the steps taken."""
    import clarabel

    (n, d), p = blocks.X.shape, blocks.D.shape[1]
    settings = clarabel.DefaultSettings()
    settings.verbose, settings.max_threads = False, 1
    settings.tol_gap_abs = settings.tol_gap_rel = settings.tol_feas = PRECISION
    settings.equilibrate_enable, settings.static_regularization_constant, settings.max_step_fraction, refined = attempt
    settings.iterative_refinement_reltol = settings.iterative_refinement_abstol = refined
    if refined < PRECISION / 100:  # as long as it helps at all
        settings.iterative_refinement_max_iter, settings.iterative_refinement_stop_ratio = 50, 1.01
    found = clarabel.DefaultSolver(*program[:5], settings).solve()
    x, z, (points, _) = np.nan_to_num(found.x), np.nan_to_num(found.z), program.confined
    W, dual, multipliers = x[: p * (d + 1)].reshape(p, d + 1)[:, 1:].T, -z[:n], np.zeros((n, p))
    multipliers[program.confined] = np.maximum(z[n : n + len(points)], 0)
    of_weights, of_dual, of_multipliers = program.units
    return of_weights * W, of_dual * dual, of_multipliers * multipliers, int(found.iterations)


def _inside(blocks: Blocks, W: np.ndarray) -> tuple[np.ndarray, Faces]:
    """The nearest weights (d, p) in the cones, without those that rounding left in blocks that are not used."""
    faint = max(FAINT * float(np.linalg.norm(W)), np.finfo(float).tiny)
    norms, W, faces = blocks.project(W, np.full(W.shape[1], faint))
    return np.where(norms > faint, W, 0), faces


def _by_planes(blocks: Blocks, y: np.ndarray, cost: np.ndarray, dual: np.ndarray, *, steps: int) -> Iterator[Iterate]:
    """Points around a dual vector (n,) that is nearly optimal, by linear programs over units near their limits.

    The unit of block j at which a dual vector l reaches its support has a plane, a_j^T l <= c_j. Each program moves l
    under all planes met so far, and by more than rounding; its multipliers are the sizes of the units. It
    is stated in steps of l, which are smaller than l by nearly as many digits as a float has.

    **Source**: kelley1960cutting (the method).
    """
    owners, units = np.zeros(0, int), np.zeros((len(blocks.units), 0))
    for _ in range(PLANES):
        level = NEAR * cost
        norms, points, _ = blocks.project(blocks.adjoint(dual), level)
        near = np.flatnonzero(norms > level)
        owners, units = np.append(owners, near), np.hstack([units, points[:, near] / norms[near]])
        D = blocks.D[:, owners]
        planes, rounding = D * (blocks.X @ units), ROUNDING * np.abs(dual) @ (D * (np.abs(blocks.X) @ np.abs(units)))
        sizes = np.linalg.norm(planes, axis=0)
        room = (cost[owners] - dual @ planes - rounding) / sizes
        step = float(np.abs(room[np.abs(room * sizes) < AT]).max(initial=0.0)) or 1.0
        limits = {"A_ub": (planes / sizes).T, "b_ub": room / step, "bounds": FARTHEST}
        found = scipy.optimize.linprog(-y, **limits, method="highs-ds", options=EXACT)
        if found.status:
            return
        W, used = np.zeros((len(units), len(cost))), np.flatnonzero(found.ineqlin.marginals)
        if not len(used):  # no plane is in the way; nor does `nnls` survive a matrix without columns
            return
        shares = scipy.optimize.nnls(planes[:, used] / sizes[used], y)[0] / sizes[used]
        np.add.at(W.T, owners[used], (units[:, used] * shares).T)
        yield Iterate(W, dual, blocks.adjoint(dual), steps)
        dual = dual + step * found.x


def _refitted(blocks: Blocks, W: np.ndarray, y: np.ndarray, multipliers: np.ndarray, *, faces: Faces) -> np.ndarray:
    """Weights (d, p) moved on their faces, each in proportion to its size, until they put out y (n,) again.

    At the optimum that costs no more than what they missed is worth.
    """
    W, turns, bases = W.copy(), [], []
    rows, lifts, points, owners = _limits(blocks)
    for j in map(int, np.flatnonzero(W.any(axis=0))):
        own = np.flatnonzero(owners == j)
        # The rows whose multipliers are larger than their slacks; moves in null spaces are known to projections alone.
        face = rows[own[multipliers[points[own], j] * np.linalg.norm(W[:, j]) > rows[own] @ W[:, j]]]
        if lifts and lifts[j].size and faces:
            face = face[:0] if faces[j] is None else faces[j]
        _, values, V = np.linalg.svd(face)
        basis = V[np.count_nonzero(values > RANK_TOLERANCE) :].T
        W[:, j] = basis @ (basis.T @ W[:, j])
        turns += [j] * basis.shape[1]
        bases.append(basis * np.linalg.norm(W[:, j]))
    if turns:
        steps = np.hstack(bases)
        outputs = blocks.D[:, turns] * (blocks.X @ blocks.inputs(steps, np.array(turns)))
        np.add.at(W.T, turns, (steps * np.linalg.lstsq(outputs, y - blocks.forward(W), rcond=SPAN)[0]).T)
    return W
