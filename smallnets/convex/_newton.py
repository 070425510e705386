"""Group-sparse programs by the proximal point method, each step by semismooth Newton on the n-dimensional dual.

minimise  sum_j c_j ||w_j||  subject to  sum_j A_j w_j + ridge * l = y,  with l the dual vector: ridge = 0 is the
minimal-norm program, ridge = beta/2 the training program beta * sum_j c_j ||w_j|| + ||sum_j A_j w_j - y||^2.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import scipy

from ._cholesky import positive_factor
from .blocks import Blocks, Faces

# Chosen by counting Newton steps on instances of both models, recovered and not, with noise and without:
# larger steps save proximal points and cost Newton steps within each.
FIRST_STEP, GROWTH, LAST_STEP = 30.0, 3.0, 1e6
FIRST_TOLERANCE, NEXT_TOLERANCE, LAST_TOLERANCE = 1e-3, 1e-6, 1e-11  # the second one from a point near the solution
NEWTON_LIMIT, HALVINGS = 60, 30
ARMIJO = 1e-4  # the share of the slope that a step must bring


class Iterate(NamedTuple):
    """Where the method stands: weights (d, p), dual vector (n,), all A_j^T l (d, p), Newton steps so far."""

    W: np.ndarray
    dual: np.ndarray
    back: np.ndarray
    steps: int


def proximal_points(
    blocks: Blocks, y: np.ndarray, cost: np.ndarray, ridge: float = 0.0, *, start_at: Iterate | None = None
) -> Iterator[Iterate]:
    """The iterates, without end; the caller decides when one is good enough.

    Parameters
    ----------
    blocks : the maps A_j, columns of X of norm about 1
    y : (n,) labels, of norm about 1
    cost : (p,) the weights c_j > 0
    ridge : >= 0
    start_at : a point near the solution, if one is known

    **Source**: rockafellar1976monotone (the method), li2018highly (Newton steps on its dual subproblems).
    """
    now = start_at or start(blocks, y, cost, ridge)
    step, tolerance = FIRST_STEP, NEXT_TOLERANCE if start_at else FIRST_TOLERANCE
    while True:
        now = _Subproblem(blocks, y, cost, ridge, step=step, anchor=now).solve(tolerance)
        yield now
        step, tolerance = min(step * GROWTH, LAST_STEP), max(tolerance / 10, LAST_TOLERANCE)


def start(blocks: Blocks, y: np.ndarray, cost: np.ndarray, ridge: float) -> Iterate:
    """No weights, and the dual vector of the least-squares weights, scaled into the feasible set.

    With ridge the labels themselves: those that no block reaches would make the other one as large as rounding
    allows.
    """
    dual = y if ridge else blocks.least_squares_dual(y)
    back = blocks.adjoint(dual)
    size = (blocks.support(back) / cost).max() or 1.0  # 0 where no block puts out anything
    return Iterate(np.zeros_like(back), dual / size, back / size, 0)


class _Shrunk(NamedTuple):
    """The dual function; norms (p,) and the factors (p,) by which the points (d, p) are shrunk; their faces."""

    value: float
    norms: np.ndarray
    factors: np.ndarray
    points: np.ndarray
    faces: Faces


class _Subproblem:
    """Minimise the objective plus ||w - W||^2 / (2 step); its dual is smooth, with a piecewise smooth gradient."""

    def __init__(
        self, blocks: Blocks, y: np.ndarray, cost: np.ndarray, ridge: float, *, step: float, anchor: Iterate
    ) -> None:
        self.blocks, self.y, self.cost, self.ridge, self.step, self.anchor = blocks, y, cost, ridge, step, anchor

    def value(self, G: np.ndarray, dual: np.ndarray) -> _Shrunk:
        """The dual function (up to a constant), and what is left of the g_j."""
        norms, points, faces = self.blocks.project(G, self.step * self.cost)
        excess = np.maximum(norms - self.step * self.cost, 0)
        factors = np.divide(excess, norms, out=np.zeros_like(norms), where=excess > 0)
        value = self.y @ dual - (excess @ excess) / (2 * self.step) - self.ridge * self._squared(dual) / 2
        return _Shrunk(float(value), norms, factors, points, faces)

    def most(self, G: np.ndarray, dual: np.ndarray) -> float:
        """An upper bound of the dual function, where that is cheaper than its value."""
        least = self.blocks.least_support(G)
        if least is None:
            return np.inf
        excess = np.maximum(least - self.step * self.cost, 0)
        return float(self.y @ dual - (excess @ excess) / (2 * self.step) - self.ridge * self._squared(dual) / 2)

    def _squared(self, dual: np.ndarray) -> float:
        return float(dual @ self.blocks.decay(dual))

    def solve(self, tolerance: float) -> Iterate:
        """Newton steps with backtracking until the labels are met to `tolerance`, or no step helps any more."""
        W, dual, back, steps = self.anchor
        G = W + self.step * back
        now = self.value(G, dual)
        for _ in range(NEWTON_LIMIT):
            active = np.flatnonzero(now.factors)
            points, factors = now.points[:, active], now.factors[active]
            gradient = self.y - self.blocks.forward(points * factors, active) - self.ridge * self.blocks.decay(dual)
            size = float(np.linalg.norm(gradient))
            if size <= tolerance:
                break
            H = self.blocks.curvature(active, factors, 1 - factors, points / now.norms[active], faces=now.faces)
            H *= self.step
            # Flat directions get a little curvature, never less than what rounding needs.
            little = max(1e-3 * min(1.0, size), 1e-14 * np.trace(H))
            factor = positive_factor(H, self.blocks.decayed(H, self.ridge) + little)
            direction = scipy.linalg.cho_solve(factor, gradient, check_finite=False)
            toward = self.blocks.adjoint(direction)
            steps, t = steps + 1, 1.0
            for _ in range(HALVINGS):
                ahead = G + t * self.step * toward
                wanted = now.value + ARMIJO * t * (gradient @ direction)
                if self.most(ahead, dual + t * direction) >= wanted:
                    best = self.value(ahead, dual + t * direction)
                    if best.value >= wanted:
                        break
                t /= 2
            else:
                break  # what is left is rounding
            G, dual, back, now = ahead, dual + t * direction, back + t * toward, best
        return Iterate(now.points * now.factors, dual, back, steps)
