"""The data of the paper's experiments, and the networks at the start."""

from __future__ import annotations

import numpy as np

from ...draws import Draws

CITATION = (
    "Chistikov, Englert and Lazic, Learning a Neuron by a Shallow ReLU Network: Dynamics and Implicit Bias for "
    "Correlated Inputs, NeurIPS 2023 (arXiv 2306.06479)"
)
ATTEMPTS = 1000  # draws of points until all labels are positive; one in two succeeds where n is small


def random_points(centred: bool, n: int, d: int, draws: Draws) -> tuple[np.ndarray, np.ndarray]:
    """Points around a random unit vector mu, drawn again until the teacher meets all of them at acute angles.

    x_i = mu + sqrt(rho/d) N(0, I). Centred: rho = 1 and the teacher is mu. Otherwise rho = sqrt(2) - 1 and the teacher
    is one more such point, normalised.

    Returns
    -------
    X (B, n, d) and v (B, d), unit vectors

    **Source**: chistikov2023learning, section on experiments, and its code.
    """
    mu = _unit(draws.normal("mu", d))
    rho = 1.0 if centred else 2**0.5 - 1
    X, v, left = np.zeros((len(draws), n, d)), mu.copy(), np.arange(len(draws))
    for attempt in range(ATTEMPTS):
        now = Draws(draws.seed, [draws.trials[b] for b in left])
        P = mu[left, None] + (rho / d) ** 0.5 * now.normal(f"points {attempt}", n + 1, d)
        X[left] = P[:, 1:]
        if not centred:
            v[left] = _unit(P[:, 0])
        left = left[(np.einsum("bnd,bd->bn", X[left], v[left]) <= 0).any(axis=1)]
        if not len(left):
            break
    return X, v


def start(m: int, d: int, scale: float, draws: Draws) -> tuple[np.ndarray, np.ndarray]:
    """Balanced networks: rows w_j ~ scale N(0, I/(m d)) and a_j = +-|w_j| with fair signs, (B, m, d) and (B, m)."""
    W = scale * draws.normal("z", m, d) / (m * d) ** 0.5
    return W, np.where(draws.uniform("s", m) < 0.5, -1.0, 1.0) * np.linalg.norm(W, axis=2)


def _unit(v: np.ndarray) -> np.ndarray:
    return v / np.linalg.norm(v, axis=-1, keepdims=True)
