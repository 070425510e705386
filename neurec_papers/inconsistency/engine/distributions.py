"""The points: the six of Example 1, and the distributions of the comparison of setups, drawn by address.

**Source**: holzmuller2022training, Section 10 and its code: "ex" is P_ex (ex-distr), "radial" P_d (rad-distr-d),
"rbf" rbf-distr-d. Inputs of the radial one are sqrt(3) times those of the paper's text, as in its code; training
normalises them.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from neurec_core.draws import Draws

# Example 1: on either side the best line is y = 0, and the best function that is affine on each side has risk 1.
X_SIX = np.array([-1.0, -2.0, -3.0, 1.0, 2.0, 3.0])
Y_SIX = np.array([-1.0, 2.0, -1.0, 1.0, -2.0, 1.0])

# Var x = 1 for x = sign * Beta(5, 2) / this, since E beta^2 = 5 * 6 / (7 * 8).
EX_ROOT = (30 / 56) ** 0.5
EX_NOISE = 0.1 / 0.727


def ex_noise(draws: Draws, n: int, name: str) -> np.ndarray:
    """The noise in the labels that `ex` draws under the same name, N(0, (0.1/0.727)^2), (B, n)."""
    return EX_NOISE * draws.normal(f"{name}_noise", n)


def ex(draws: Draws, n: int, name: str) -> tuple[np.ndarray, np.ndarray]:
    """P_ex: +-Beta(5, 2), scaled to variance 1, and a function of about unit size and no intercept on either side.

        y = (cos(7 pi (x - x / sqrt(1 + x^2))) + 0.2 x^2 + 0.074 + 0.1 e) / 0.727,   e ~ N(0, 1)

    Parameters
    ----------
    draws : the randomness
    n : points
    name : the address; another name is an independent draw

    Returns
    -------
    x, y : (B, n) arrays
    """
    u = draws.uniform(name, n, 7)
    beta = np.sort(u[..., :6], axis=-1)[..., 4]  # the fifth of six uniforms is Beta(5, 2)
    x = np.where(u[..., 6] < 0.5, -1.0, 1.0) * beta / EX_ROOT
    smooth = np.cos(7 * np.pi * (x - x / np.sqrt(1 + x**2))) + 0.2 * x**2
    return x, (smooth + 0.074) / 0.727 + ex_noise(draws, n, name)


def _along(draws: Draws, radii: np.ndarray, d: int, name: str) -> np.ndarray:
    g = draws.normal(f"{name}_direction", radii.shape[1], d)
    return radii[..., None] * g / np.linalg.norm(g, axis=-1, keepdims=True)


def radial(draws: Draws, n: int, d: int, name: str) -> tuple[np.ndarray, np.ndarray]:
    """P_d: X = sqrt(3) u z and y = cos(2 pi u), with u ~ U(0, 1) and z uniform on the sphere; no noise.

    Returns X (B, n, d) and y (B, n).
    """
    u = draws.uniform(name, n)
    return _along(draws, 3**0.5 * u, d, name), np.cos(2 * np.pi * u)


def rbf(draws: Draws, n: int, d: int, name: str) -> tuple[np.ndarray, np.ndarray]:
    """X = r z and y = exp(-r^2), with r ~ U(-sqrt(3), sqrt(3)) and z uniform on the sphere; no noise.

    Returns X (B, n, d) and y (B, n).
    """
    r = 3**0.5 * (2 * draws.uniform(name, n) - 1)
    return _along(draws, r, d, name), np.exp(-(r**2))


def _ex(draws: Draws, n: int, d: int, name: str) -> tuple[np.ndarray, np.ndarray]:
    x, y = ex(draws, n, name)
    return x[..., None], y


DISTRIBUTIONS: dict[str, Callable[[Draws, int, int, str], tuple[np.ndarray, np.ndarray]]] = {
    "ex": _ex,
    "radial": radial,
    "rbf": rbf,
}
