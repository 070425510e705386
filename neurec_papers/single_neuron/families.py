"""Two families of points in closed form, for which the sign of M is known."""

from __future__ import annotations

import numpy as np

from smallnets.arguments import array, checked, number, whole


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
    b : > 0; M > 0 for b > 91/9, see `margin_above`

    Returns
    -------
    X (d, d) and v (d,), a unit vector

    **Source**: chistikov2023learning, its family with M > 0 beside Theorem 8.
    """
    X = np.eye(d)
    X[:, 0] = b
    X[0, 0], X[1:3, 1], X[1:3, 2] = b, [-(b**0.5), b**0.5], 1.0
    return X, np.concatenate([[0.8, 0.0, 0.6], np.zeros(d - 3)])


@checked(b=array("common coordinate", "|_|_ _", interval="(0, inf)"))
def margin_above(b: np.ndarray | float) -> np.ndarray:
    """cos(chi_2, chi_3) - sin(chi_2, v) of `points_above`, which is M from b = 8 on.

    (b - 1)/(b + 1) - sqrt(1 - (9/25) b/(b + 1)).

    Parameters
    ----------
    b : > 0; the sign changes at 91/9

    **Source**: chistikov2023learning, its family with M > 0 beside Theorem 8.
    """
    b = np.asarray(b, float)
    return (b - 1) / (b + 1) - np.sqrt(1 - 0.36 * b / (b + 1))
