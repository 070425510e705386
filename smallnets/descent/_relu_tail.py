"""Many iterations of gradient descent at once, for neurons that all have the same pattern.

Let X = U S V^T be the points where the neurons are active, (w, a) a neuron in the coordinates V, and z = U^T y - S v
what v = sum a w leaves of the labels. With g = c S z an iteration is (w, a) <- (I + Q)(w, a), Q = [[0, g], [g^T, 0]],
and

    z <- (I - B) z,    B = c S (sum a^2 + sum w w^T + <v, g>) S.

While B hardly changes, z after N iterations is (I - B)^N z, and the product of the N maps of a neuron is, to third
order in their sum, the exponential of sum Q_k - 1/2 sum Q_k^2 + 1/2 sum_{k>l} [Q_k, Q_l]: geometric sums in the
eigenbasis of B, whatever N. B is taken half-way. The z that follows from the neurons and the one that follows from B
must agree; what their difference is in v, over the way gone, sets N. Thus slow directions cost no more iterations than
fast ones.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.linalg import expm

# Shares of a neuron's size below which its distance to a boundary is not trusted to rounding.
TRUSTED = 1e-9
# What rounding may add to the error of v, over |S^-1 U^T y|.
ROUNDING = 1e-14
# Fewer iterations at a time are taken one by one.
FEWEST = 500
# An eigenvalue of B above this is not the slow end that this is made for.
FASTEST = 0.5


class Bundle(NamedTuple):
    """Combinations of neurons R (r, rank + 1), and the data they see.

    S : (rank,), singular values of the points where they are active
    t : (rank,), the labels there in the basis U
    rest : sum of squared labels that no change of the weights reaches
    c : 2 step / n
    """

    R: np.ndarray
    S: np.ndarray
    t: np.ndarray
    rest: float
    c: float

    @property
    def z(self) -> np.ndarray:
        """What the labels are short of."""
        return self.t - self.S * (self.R[:, -1] @ self.R[:, :-1])


class Modes(NamedTuple):
    """z = basis zeta; mode i shrinks by exp(rates_i) an iteration, and moves the weights by pushes_i zeta_i."""

    basis: np.ndarray
    rates: np.ndarray
    zeta: np.ndarray
    pushes: np.ndarray


def decomposed(X: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """U (n, rank), S (rank,) and V^T (rank, d) of X = U S V^T, without what is zero but for rounding."""
    U, S, Vt = np.linalg.svd(X, full_matrices=False)
    rank = np.sum(S[0] * max(X.shape) * np.finfo(float).eps < S)
    return U[:, :rank], S[:rank], Vt[:rank]


def gathered(
    X: np.ndarray, y: np.ndarray, seen: np.ndarray, W: np.ndarray, a: np.ndarray, c: float
) -> tuple[Bundle, np.ndarray, np.ndarray]:
    """Neurons W (m, d), a (m,) that see (n,) some of the points, as a bundle; how they follow: `of` R V^T, and V^T."""
    U, S, Vt = decomposed(X[seen])
    neurons, t = np.column_stack([W @ Vt.T, a]), U.T @ y[seen]
    of, R = np.linalg.qr(neurons) if len(a) > len(S) + 1 else (np.eye(len(a)), neurons)
    return Bundle(R, S, t, float(y @ y - t @ t), c), of, Vt


def allowed(H: np.ndarray, W: np.ndarray, a: np.ndarray, norms: np.ndarray) -> np.ndarray:
    """Sums of drives that cannot change the patterns of neurons with preactivations H (m, n) on points of some norms.

    Over steps whose drives |c g| sum to S, w moves by at most (cosh S - 1) |w| + sinh S |a|.
    """
    size, a = np.linalg.norm(W, axis=1), np.abs(a)
    reach = np.divide(np.abs(H), norms, out=np.full_like(H, np.inf), where=norms > 0)
    margin = np.maximum(reach.min(axis=1, initial=np.inf) - TRUSTED * (size + a), 0)
    move = margin * (margin + 2 * size)
    return np.log1p((margin + move / (np.sqrt(move + a * a) + a)) / (size + a))


def modes(at: Bundle, z: np.ndarray) -> Modes | None:
    """Those of the z, with the B of these neurons; None if an iteration is too long for them."""
    w, a, S, c = at.R[:, :-1], at.R[:, -1], at.S, at.c
    v = a @ w
    inner = w.T @ w + (a @ a + c * (v * S) @ at.z) * np.eye(len(S))
    beta, basis = np.linalg.eigh(c * S[:, None] * inner * S)
    if not (beta[-1] < FASTEST and beta[0] > -1e-12):
        return None
    return Modes(basis, np.log1p(-np.maximum(beta, 0)), basis.T @ z, c * S[:, None] * basis)


def left(modes: Modes, N: float) -> np.ndarray:
    """z after N iterations, in the modes' basis."""
    return np.exp(N * modes.rates) * modes.zeta


def path(modes: Modes, N: float) -> float:
    """No less than the sum of |g_k| over N iterations."""
    return float(np.abs(_sums(modes.rates, N) * modes.zeta) @ np.linalg.norm(modes.pushes, axis=0))


def moved(R: np.ndarray, modes: Modes, N: float) -> np.ndarray:
    """The neurons R (r, rank + 1) after N iterations."""
    zeta, pushes, rates = modes.zeta, modes.pushes, modes.rates
    single = _sums(rates, N)
    pair = _sums(rates[:, None] + rates, N)
    # Twice the sum over l < k of exp(k rate_i + l rate_j), less the other products: for the faster of the two modes.
    with np.errstate(divide="ignore", invalid="ignore"):
        ordered = (np.exp(rates)[:, None] * pair - np.exp(N * rates)[:, None] * single) / -np.expm1(rates)[:, None]
    ordered = np.where(rates[:, None] * N > -1e-8, N * (N - 1) / 2, ordered)
    below = np.tril(2 * ordered + pair - np.outer(single, single), -1)
    outer = np.outer(zeta, zeta)
    q = pushes @ (single * zeta)
    twist = pushes @ (outer * (below - below.T)) @ pushes.T
    squares = pushes @ (outer * pair) @ pushes.T
    E = np.zeros((len(q) + 1, len(q) + 1))
    E[:-1, :-1] = (twist - squares) / 2
    E[-1, -1] = -np.trace(squares) / 2
    E[:-1, -1] = E[-1, :-1] = q
    return R @ expm(E).T


def _sums(rates: np.ndarray, N: float) -> np.ndarray:
    """sum over k < N of exp(k rate)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        sums = np.expm1(N * rates) / np.expm1(rates)
    return np.where(rates == 0, N, sums)


def stride(at: Bundle, N: int) -> tuple[np.ndarray, Modes, float] | None:
    """The neurons N iterations on, the modes on the way, and the error: the two v's difference over the way gone."""
    z = at.z
    before = modes(at, z)
    if before is None:
        return None
    half = modes(at._replace(R=moved(at.R, before, N / 2)), z)
    if half is None:
        return None
    R = moved(at.R, half, N)
    apart = half.basis.T @ at._replace(R=R).z - left(half, N)
    error = np.linalg.norm(half.basis @ apart / at.S) - ROUNDING * np.linalg.norm(at.t / at.S)
    went = path(half, N)
    return R, half, max(float(error), 0.0) / went if went > 0 else 0.0


class Leap(NamedTuple):
    """Iterations taken and to try next, the neurons there, and no less than the sum of |g_k| on the way."""

    N: int
    longer: int
    R: np.ndarray
    path: float


def leap(at: Bundle, N: int, most: int, enough: float, tolerance: float) -> Leap | None:
    """About N iterations, at most so many, within the tolerance; None where that is not worth it.

    Parameters
    ----------
    N, most : iterations to try, and at most
    enough : go no further than to the first iteration at which |z|^2 is smaller
    tolerance : of the error
    """
    N = min(N, most)
    while True:
        found = stride(at, N)
        if found is None:
            return None
        R, half, error = found
        factor = 0.9 * (tolerance / max(error, 1e-300)) ** 0.5
        if error <= tolerance:
            break
        N = int(N * min(max(factor, 0.1), 0.5))
        if N < FEWEST:
            return None
    if (left(half, N) ** 2).sum() < enough:
        N = _first(half, N, enough)
        R = moved(at.R, half, N)
    return Leap(N, max(int(N * min(max(factor, 1.0), 5.0)), FEWEST), R, path(half, N))


def _first(modes: Modes, N: int, enough: float) -> int:
    """The first iteration with |z|^2 below `enough`, which N is: |z| only falls."""
    low, high = 0, N
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if (left(modes, middle) ** 2).sum() < enough else (middle, high)
    return high
