"""The paper's statements about the flow, as functions of data and weights.

eta_1 >= ... >= eta_d and u_k are eigenvalues and eigenvectors of X^T X / n, v = sum nu_k u_k is the bundle, nu*_k the
teacher's coordinates; gamma = 1/n sum y_i x_i; time passes by 2 step in an iteration.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from smallnets.arguments import array, checked, number, whole

FINE = 1e-3  # of a step times the growth rate: what is smaller follows the flow


def pull(X: np.ndarray, y: np.ndarray) -> float:
    """|gamma|, the rate at which aligned neurons grow.

    **Source**: chistikov2023learning, first phase.
    """
    return float(np.linalg.norm(y @ X) / len(y))


def half_time(share: np.ndarray, at: np.ndarray) -> float:
    """When a share (L,) noted at iterations `at` (L,), that grows like a logistic, first is a half; NaN if never.

    Between two notes, its logit is taken for a straight line: notes that lie far apart do no harm.
    """
    reached = np.flatnonzero(share >= 0.5)
    if not len(reached):
        return np.nan
    k = int(reached[0])
    if k == 0:
        return float(at[0])
    low, high = np.clip(share[k - 1 : k + 1], 1e-12, 1 - 1e-12)
    before, after = np.log(low / (1 - low)), np.log(high / (1 - high))
    return float(at[k - 1] - (at[k] - at[k - 1]) * before / (after - before))


@checked(coordinates=array("coordinates of what is missing", "L d", finite=False))
def crossed_in_order(coordinates: np.ndarray) -> tuple[bool, int]:
    """Whether the coordinates (L, d) of v* - v first change sign in the order of falling eigenvalues, and how many do.

    Those that never do come last.

    **Source**: chistikov2023learning, second phase (sets S_1, S_2, ...).
    """
    crossed = coordinates < 0
    first = np.where(crossed.any(axis=0), crossed.argmax(axis=0), len(coordinates))
    return bool((np.diff(first) >= 0).all()), int(crossed.any(axis=0).sum())


@checked(
    X=array("points", "n d"),
    y=array("labels", "n"),
    W=array("hidden weights at snapshots", "L m d", finite=False, empty=True),
    a=array("output weights at snapshots", "L m", finite=False, empty=True),
)
def gradient_share(
    X: np.ndarray, y: np.ndarray, W: np.ndarray, a: np.ndarray, *, logged: Mapping[str, np.ndarray]
) -> float:
    """The least |grad L|^2 / L after half-time over 2 eta_d |gamma| / (5 eta_1), which the theorem says is more than 1.

    L = 1/(2n) sum (h - y)^2, at snapshots W (L, m, d) and a (L, m); NaN if there is none after half-time, or where the
    points do not span the space.

    **Source**: chistikov2023learning, Theorem 6 (a Polyak-Lojasiewicz inequality).
    """
    eta = np.linalg.svd(X, compute_uv=False) ** 2 / len(X)
    H = W @ X.T
    r = y - np.einsum("lmn,lm->ln", np.maximum(H, 0), a)
    g = ((H > 0) * r[:, None]) @ X / len(y)
    squares = ((a[..., None] * g) ** 2).sum(axis=(1, 2)) + (np.einsum("lmd,lmd->lm", W, g) ** 2).sum(axis=1)
    after = logged["halved"] & (logged["loss"] > 0)
    if not after.any() or not eta[-1] > np.finfo(float).eps * eta[0]:
        return np.nan
    return float((squares[after] / (logged["loss"][after] / 2)).min() / (2 * eta[-1] * pull(X, y) / (5 * eta[0])))


@checked(
    W=array("hidden weights at snapshots", "L m d", finite=False, empty=True),
    a=array("output weights at snapshots", "L m", finite=False, empty=True),
)
def imbalance(W: np.ndarray, a: np.ndarray) -> np.ndarray:
    """The largest |a_j^2 - |w_j|^2| over the sum of squares, (L,); the flow keeps each, descent nearly.

    **Source**: chistikov2023learning.
    """
    squares = (W**2).sum(axis=2)
    return np.abs(a**2 - squares).max(axis=1) / (a**2 + squares).sum(axis=1)


@checked(
    X=array("points", "n d"),
    y=array("labels", "n"),
    W=array("hidden weights", "m d", empty=True),
    a=array("output weights", "m", empty=True),
    step=number("step size", "(0, inf)"),
)
def limiting_sizes(X: np.ndarray, y: np.ndarray, W: np.ndarray, a: np.ndarray, *, step: float) -> np.ndarray:
    """|w_j| in the limit of small scale, up to a common factor: (m,) sizes of yardsticks long after the last crossing.

    A yardstick is the neuron if the net's outputs are left out. Zero for a neuron that dies.

    **Source**: chistikov2023learning, Lemma 34.
    """
    # Steps much smaller than the time of growth follow the flow, whose limit has no step.
    c = max(2 * step / len(y), FINE / float(np.linalg.norm(y @ X)))
    rate = np.log1p(c * np.linalg.norm(y @ X))
    for _ in range(int(40 / rate)):
        H = W @ X.T
        G = c * (H > 0) * y
        W, a = W + a[:, None] * (G @ X), a + (G * H).sum(axis=1)
    sizes = np.linalg.norm(W, axis=1)
    sizes[~(W @ X.T > 0).any(axis=1)] = 0.0
    return sizes / sizes.max(initial=1e-300)


@checked(d=whole("points and dimensions", "[2, inf)"), xi=number("spread", "(0, 1]"))
def points_below(d: int, xi: float) -> tuple[np.ndarray, np.ndarray]:
    """Points with M < 0: x_i = (1 - (d - 1) (1 - xi)/d) e_i + (1 - xi)/d sum_{k != i} e_k, teacher along (1, .., 1).

    Parameters
    ----------
    d : points and dimensions, >= 2
    xi : in (0, 1]: from points that are nearly one to orthogonal ones. All angles between points and teacher are below
        45 degrees for xi < sqrt(2 (sqrt(2) - 1) / (d - 1))

    Returns
    -------
    X (d, d) and v (d,), a unit vector

    **Source**: chistikov2023learning, its family with M < 0 beside Theorem 8.
    """
    near = (1 - xi) / d
    return np.full((d, d), near) + (1 - d * near) * np.eye(d), np.full(d, d**-0.5)


@checked(d=whole("points and dimensions", "[3, inf)"), b=number("common coordinate", "(0, inf)"))
def points_above(d: int, b: float) -> tuple[np.ndarray, np.ndarray]:
    """Points with M > 0: b e_1, b e_1 -+ sqrt(b) e_2 + e_3, b e_1 + e_i for i > 3; teacher .8 e_1 + .6 e_3.

    Parameters
    ----------
    d : points and dimensions, >= 3
    b : > 0; M > 0 for b > 91/9

    Returns
    -------
    X (d, d) and v (d,), a unit vector

    **Source**: chistikov2023learning, its family with M > 0 beside Theorem 8.
    """
    X = np.eye(d)
    X[:, 0] = b
    X[0, 0], X[1:3, 1], X[1:3, 2] = b, [-(b**0.5), b**0.5], 1.0
    return X, np.concatenate([[0.8, 0.0, 0.6], np.zeros(d - 3)])
