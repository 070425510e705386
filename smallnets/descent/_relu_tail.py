"""Many iterations of gradient descent at once, for neurons that all have the same activation pattern.

Let X = U S V^T be the training points on which the neurons are active, (w, a) a neuron in the coordinates V, v the sum
of all a w, and z = U^T y - S v the residual. With g = c S z, an iteration is (w, a) <- (I + Q)(w, a),
Q = [[0, g], [g^T, 0]], and

    z <- (I - B) z,    B = c S (sum a^2 + sum w w^T + <v, g>) S.

While B hardly changes, z after N iterations is (I - B)^N z. The product of the N maps of a neuron is, to third order in
their sum, the exponential of sum Q_k - 1/2 sum Q_k^2 + 1/2 sum_{k>l} [Q_k, Q_l]. In the eigenbasis of B these are
geometric sums, whatever N is. B is taken half-way. The z that follows from the neurons and the z that follows from B
must agree. What their difference is in v, relative to the path length, decides how large N may be. Thus slow directions
cost no more iterations than fast ones.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import scipy

from ._safe_path import TRUSTED, safe_path

# What rounding may add to the error of v, relative to |S^-1 U^T y|.
ROUNDING = 1e-14
# Fewer iterations than this are taken one by one.
FEWEST = 500
# This method is for slow directions: it is not used where an eigenvalue of B is larger.
FASTEST = 0.5


class Bundle(NamedTuple):
    """Combinations of neurons R (r, rank + 1), and the training points on which they are active.

    S : (rank,), singular values of these points
    t : (rank,), their labels in the basis U
    unreachable : sum of squared labels that no change of the weights can fit
    c : 2 step / n
    """

    R: np.ndarray
    S: np.ndarray
    t: np.ndarray
    unreachable: float
    c: float

    @property
    def z(self) -> np.ndarray:
        """The residual in the basis U."""
        return self.t - self.S * (self.R[:, -1] @ self.R[:, :-1])


class Modes(NamedTuple):
    """z = basis zeta; an iteration scales mode i by exp(rates_i), and its gradient is c S z = gradients zeta."""

    basis: np.ndarray
    rates: np.ndarray
    zeta: np.ndarray
    gradients: np.ndarray


def compact_svd(X: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """U (n, rank), S (rank,) and V^T (rank, d) of X = U S V^T, without singular values that are zero up to rounding."""
    U, S, Vt = np.linalg.svd(X, full_matrices=False)
    rank = np.sum(S[0] * max(X.shape) * np.finfo(float).eps < S)
    return U[:, :rank], S[:rank], Vt[:rank]


def bundle(
    X: np.ndarray, y: np.ndarray, pattern: np.ndarray, W: np.ndarray, *, a: np.ndarray, c: float
) -> tuple[Bundle, np.ndarray, np.ndarray]:
    """The neurons W (m, d), a (m,) of one pattern (n,) as a bundle; their coefficients in R; and V^T."""
    U, S, Vt = compact_svd(X[pattern])
    neurons, t = np.column_stack([W @ Vt.T, a]), U.T @ y[pattern]
    coefficients, R = np.linalg.qr(neurons) if len(a) > len(S) + 1 else (np.eye(len(a)), neurons)
    return Bundle(R, S, t, float(y @ y - t @ t), c), coefficients, Vt


def safe_paths(H: np.ndarray, W: np.ndarray, a: np.ndarray, norms: np.ndarray) -> np.ndarray:
    """Path lengths that cannot change the patterns of neurons with preactivations H (m, n) on points of these norms."""
    size, a = np.linalg.norm(W, axis=1), np.abs(a)
    distance = np.divide(np.abs(H), norms, out=np.full_like(H, np.inf), where=norms > 0)
    return safe_path(np.maximum(distance.min(axis=1, initial=np.inf) - TRUSTED * (size + a), 0), size, a)


def modes(at: Bundle, z: np.ndarray) -> Modes | None:
    """The modes of z with the B of these neurons; None if an eigenvalue of B is too large."""
    w, a, S, c = at.R[:, :-1], at.R[:, -1], at.S, at.c
    v = a @ w
    inner = w.T @ w + (a @ a + c * (v * S) @ at.z) * np.eye(len(S))
    beta, basis = np.linalg.eigh(c * S[:, None] * inner * S)
    if not (beta[-1] < FASTEST and beta[0] > -1e-12):
        return None
    return Modes(basis, np.log1p(-np.maximum(beta, 0)), basis.T @ z, c * S[:, None] * basis)


def zeta_after(modes: Modes, N: float) -> np.ndarray:
    """z after N iterations, in the basis of the modes."""
    return np.exp(N * modes.rates) * modes.zeta


def path_length(modes: Modes, N: float) -> float:
    """An upper bound of the sum of |g_k| over N iterations."""
    return float(np.abs(_sums(modes.rates, N) * modes.zeta) @ np.linalg.norm(modes.gradients, axis=0))


def neurons_after(R: np.ndarray, modes: Modes, N: float) -> np.ndarray:
    """The neurons R (r, rank + 1) after N iterations."""
    zeta, gradients, rates = modes.zeta, modes.gradients, modes.rates
    single = _sums(rates, N)
    pair = _sums(rates[:, None] + rates, N)
    # Twice the sum over l < k of exp(k rate_i + l rate_j), minus the other products: for the faster of the two modes.
    with np.errstate(divide="ignore", invalid="ignore"):
        ordered = (np.exp(rates)[:, None] * pair - np.exp(N * rates)[:, None] * single) / -np.expm1(rates)[:, None]
    ordered = np.where(rates[:, None] * N > -1e-8, N * (N - 1) / 2, ordered)
    below = np.tril(2 * ordered + pair - np.outer(single, single), -1)
    outer = np.outer(zeta, zeta)
    q = gradients @ (single * zeta)
    commutators = gradients @ (outer * (below - below.T)) @ gradients.T
    squares = gradients @ (outer * pair) @ gradients.T
    E = np.zeros((len(q) + 1, len(q) + 1))
    E[:-1, :-1] = (commutators - squares) / 2
    E[-1, -1] = -np.trace(squares) / 2
    E[:-1, -1] = E[-1, :-1] = q
    return R @ scipy.linalg.expm(E).T


def _sums(rates: np.ndarray, N: float) -> np.ndarray:
    """sum over k < N of exp(k rate)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        sums = np.expm1(N * rates) / np.expm1(rates)
    return np.where(rates == 0, N, sums)


def trial_leap(at: Bundle, N: int) -> tuple[np.ndarray, Modes, float] | None:
    """The neurons after N iterations, the modes half-way, and the error of v relative to the path length."""
    z = at.z
    before = modes(at, z)
    if before is None:
        return None
    half = modes(at._replace(R=neurons_after(at.R, before, N / 2)), z)
    if half is None:
        return None
    R = neurons_after(at.R, half, N)
    difference = half.basis.T @ at._replace(R=R).z - zeta_after(half, N)
    error = np.linalg.norm(half.basis @ difference / at.S) - ROUNDING * np.linalg.norm(at.t / at.S)
    path = path_length(half, N)
    return R, half, max(float(error), 0.0) / path if path > 0 else 0.0


class Leap(NamedTuple):
    """The iterations taken, those to try next, the neurons after them, and a bound of the path length."""

    N: int
    next_try: int
    R: np.ndarray
    path: float


def leap(at: Bundle, N: int, most: int, enough: float, *, tolerance: float) -> Leap | None:
    """Take about N iterations, `most` at most, within the tolerance; None where too few would be taken.

    Parameters
    ----------
    N, most : iterations to try first, and at most
    enough : stop at the first iteration at which |z|^2 is smaller than this
    tolerance : of the error of v relative to the path length
    """
    N = min(N, most)
    while True:
        trial = trial_leap(at, N)
        if trial is None:
            return None
        R, half, error = trial
        factor = 0.9 * (tolerance / max(error, 1e-300)) ** 0.5
        if error <= tolerance:
            break
        N = int(N * min(max(factor, 0.1), 0.5))
        if N < FEWEST:
            return None
    if (zeta_after(half, N) ** 2).sum() < enough:
        N = _first_below(half, N, enough)
        R = neurons_after(at.R, half, N)
    return Leap(N, max(int(N * min(max(factor, 1.0), 5.0)), FEWEST), R, path_length(half, N))


def _first_below(modes: Modes, N: int, enough: float) -> int:
    """The first iteration with |z|^2 below `enough`, N at the latest, by bisection: |z| only falls."""
    low, high = 0, N
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if (zeta_after(modes, middle) ** 2).sum() < enough else (middle, high)
    return high
