"""Two-layer networks with a skip connection, batched over trials.

Shapes: inputs ``X (B, n, d)``, hidden weights ``W (B, d, m)``, output weights ``a (B, m)``, skip
weights ``skip (B, d)``; outputs ``(B, n)``.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..arguments import array, checked, record

POINTS, HIDDEN = array("points", "B n d", finite=False), array("hidden weights", "_ d m", finite=False, empty=True)


class Net(NamedTuple):
    """f(x) = sum_j a_j max(x^T W_j, 0) + x^T skip: teacher, student or decoded solution alike."""

    W: np.ndarray
    a: np.ndarray
    skip: np.ndarray

    @classmethod
    @checked(skip=array("skip weights", "B d"))
    def linear(cls, skip: np.ndarray) -> Net:
        """The net x -> x^T skip, without hidden units; ``skip (B, d)``."""
        batch, d = skip.shape
        return cls(np.zeros((batch, d, 0)), np.zeros((batch, 0)), skip)

    @checked(self=record(W=HIDDEN), X=POINTS)
    def __call__(self, X: np.ndarray) -> np.ndarray:
        """Outputs ``(B, n)`` at inputs ``X (B, n, d)``."""
        hidden = np.einsum("bnm,bm->bn", np.maximum(X @ self.W, 0), self.a)
        return hidden + np.einsum("bnd,bd->bn", X, self.skip)

    def as_relu(self) -> Net:
        """Itself: its units are ReLU units."""
        return self


class GatedNet(NamedTuple):
    """f(x) = sum_j 1[x^T gates_j >= 0] x^T W_j + x^T skip: what a relaxed convex program fits.

    The gates are fixed directions, so that f is linear in its weights; ``gates`` and ``W`` are (B, d, p).
    """

    W: np.ndarray
    gates: np.ndarray
    skip: np.ndarray

    @checked(self=record(W=HIDDEN), X=POINTS)
    def __call__(self, X: np.ndarray) -> np.ndarray:
        """Outputs ``(B, n)`` at inputs ``X (B, n, d)``."""
        gated = np.einsum("bnp,bnp->bn", X @ self.gates >= 0, X @ self.W)
        return gated + np.einsum("bnd,bd->bn", X, self.skip)

    def as_relu(self) -> Net:
        """The same weights read as ReLU units: another function wherever a weight leaves its gate's cone."""
        return Net(self.W, np.ones(self.W[:, 0, :].shape), self.skip)


class NormalizedNet(NamedTuple):
    """f(X) = sum_j a_j (X W_j)_+ / ||(X W_j)_+||, each hidden unit normalised over the n points it is given.

    The output at one point depends on the others: a test set has norms of its own. A unit that is active on
    no point gives NaN. The scale of ``W`` does not matter.
    """

    W: np.ndarray
    a: np.ndarray

    @checked(self=record(W=HIDDEN), X=POINTS)
    def __call__(self, X: np.ndarray) -> np.ndarray:
        """Outputs ``(B, n)`` at inputs ``X (B, n, d)``."""
        return np.einsum("bnm,bm->bn", normalized_units(X, self.W), self.a)


@checked(X=array("points", "B n d"), W=array("hidden weights", "B d m"))
def normalized_units(X: np.ndarray, W: np.ndarray) -> np.ndarray:
    """Columns (X W_j)_+ / ||(X W_j)_+||, ``(B, n, m)``; NaN where a unit is active on no point."""
    active = np.maximum(X @ W, 0)
    norms = np.linalg.norm(active, axis=1, keepdims=True)
    return np.divide(active, norms, out=np.full_like(active, np.nan), where=norms > 0)
