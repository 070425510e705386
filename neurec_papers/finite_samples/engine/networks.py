"""Networks of one hidden layer with hidden and output biases, and samples of them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from neurec_core.params import BadInput
from smallnets import arguments

LARGEST = 1e50  # weight, so that no product or square of lengths overflows


class ShallowNet(NamedTuple):
    """f(x) = sum_j a_j s(w_j.x + b_j) + c of one trial, s the ReLU if nothing else is said.

    ``W (m, d)``, ``b (m,)``, ``a (m,)``; c is 0 where networks have no output bias.
    """

    W: np.ndarray
    b: np.ndarray
    a: np.ndarray
    c: float = 0.0

    @property
    def m(self) -> int:
        """Neurons."""
        return len(self.a)

    @arguments.checked(
        self=arguments.record(W=arguments.array("hidden weights", "m d", finite=False, empty=True)),
        X=arguments.array("inputs", "n d", finite=False, empty=True),
    )
    def __call__(self, X: np.ndarray) -> np.ndarray:
        """Outputs ``(n,)`` of the ReLU network at inputs ``X (n, d)``."""
        return np.maximum(X @ self.W.T + self.b, 0) @ self.a + self.c


# A network without neurons is a constant.
ARRAYS = {
    "W": arguments.array("hidden weights", "m d", empty=True),
    "b": arguments.array("hidden biases", "m", empty=True),
    "a": arguments.array("output weights", "m", empty=True),
    "c": arguments.array("output bias", ""),
}


def checked(net: ShallowNet) -> ShallowNet:
    """The network with arrays of floats.

    Raises
    ------
    BadInput : "b (hidden biases) must be an array of shape (m,) = (3,), got (2,)", numbers that are not finite, or
        "W (hidden weights) must have no row of zeros, got row 2: a constant neuron is an output bias", or weights that
        are beyond 1e50, or hidden ones whose largest is below 1e-50, and would be lost in lengths
    """
    sizes: arguments.Sizes = {}
    W, b, a, c = (ARRAYS[name](name, getattr(net, name), sizes) for name in ("W", "b", "a", "c"))
    _needs_sizes(W, b, a, c)
    return ShallowNet(W, b, a, float(c))


def _needs_sizes(W: np.ndarray, b: np.ndarray, a: np.ndarray, c: np.ndarray) -> None:
    parts = (("W", "hidden weights", W), ("b", "hidden biases", b), ("a", "output weights", a), ("c", "output bias", c))
    for name, meaning, part in parts:
        if (size := np.abs(part).max(initial=0)) > LARGEST:
            raise BadInput(f"{name} ({meaning}) must be in [-{LARGEST:.0e}, {LARGEST:.0e}], got {size:.1e}")
    sizes = np.abs(W).max(axis=1)
    if (zero := np.flatnonzero(sizes == 0)).size:
        raise BadInput(
            f"W (hidden weights) must have no row of zeros, got row {zero[0]}: a constant neuron is an output bias"
        )
    for name, meaning, part in (("W", "hidden weights", sizes), ("a", "output weights", np.abs(a[a != 0]))):
        if (least := part.min(initial=1)) < 1 / LARGEST:
            raise BadInput(f"{name} ({meaning}) of a neuron must be {1 / LARGEST:.0e} or more in size, got {least:.1e}")


@arguments.checked(X=arguments.array("sample points", "n d"))
def distinct_points(X: np.ndarray) -> np.ndarray:
    """Sample points ``(n, d)``, no two of them equal.

    Raises
    ------
    BadInput : "X (sample points) must be distinct, got 2 of 16 that repeat others", numbers that are not finite or
        beyond 1e50
    """
    if (size := np.abs(X).max()) > LARGEST:
        raise BadInput(f"X (sample points) must be in [-{LARGEST:.0e}, {LARGEST:.0e}], got {size:.1e}")
    if repeated := len(X) - len(np.unique(X, axis=0)):
        raise BadInput(f"X (sample points) must be distinct, got {repeated} of {len(X)} that repeat others")
    return X


def points_for(net: ShallowNet, X: np.ndarray) -> np.ndarray:
    """Distinct sample points ``(n, d)`` for a network of d inputs.

    Raises
    ------
    BadInput : "X (sample points) must have d = 2 columns, got 3", and see `distinct_points`
    """
    X, d = distinct_points(X), net.W.shape[1]
    if X.shape[1] != d:
        raise BadInput(f"X (sample points) must have d = {d} columns, got {X.shape[1]}")
    return X


def relative_error(f: np.ndarray, other: np.ndarray) -> float:
    """The largest difference, in units of the largest |f|."""
    return float(np.abs(f - other).max() / max(np.abs(f).max(), np.finfo(float).tiny))
