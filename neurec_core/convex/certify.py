"""Conditions under which a convex program must return the planted net."""

from __future__ import annotations

import numpy as np


def isometry(X: np.ndarray, D: np.ndarray, w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The neural isometry condition's norms for a planted linear neuron.

    norm_j = ||X^T D_j l||, with l = X (X^T X)^+ w / ||w|| the least-norm dual vector. Where X^T l = w/||w||
    and every norm is below 1, l certifies that the planted neuron is the unique minimal-norm solution.

    Parameters
    ----------
    X : (B, n, d) array
    D : (B, n, p) bool array of patterns; an empty column has norm 0
    w : (B, d) array, not zero

    Returns
    -------
    norms : (B, p) array
    consistent : (B,) bool, whether X^T l = w/||w|| to 1e-9; never where w leaves the row space of X

    **Source**: wang2025overparameterized, Definition 2 (NIC for a linear neuron); differs: the published
    check of the normalised model takes a pseudo-inverse and never asks for consistency.
    """
    planted = w / np.linalg.norm(w, axis=-1, keepdims=True)
    dual = np.einsum("bdn,bd->bn", np.linalg.pinv(X), planted)
    back = np.einsum("bnd,bn->bd", X, dual)
    norms = np.linalg.norm(np.swapaxes(X, 1, 2) @ (D * dual[..., None]), axis=1)
    return norms, np.linalg.norm(back - planted, axis=-1) < 1e-9
