"""Designs X and planted teachers, drawn by address."""

from __future__ import annotations

import numpy as np

from neurec_core.draws import Draws
from smallnets.arguments import array, checked, choice, whole
from smallnets.nets.two_layer import Net, NormalizedNet

# E[g^6] = 15 for a standard normal g, so that a cubed entry is brought back to unit variance by its root.
CUBE_SCALE = 15**-0.5


@checked(G=array("normal entries", "n d|B n d"))
def gaussian(G: np.ndarray) -> np.ndarray:
    """Entries N(0, 1/n)."""
    return G / G.shape[-2] ** 0.5


@checked(G=array("normal entries", "n d|B n d"))
def cubic(G: np.ndarray) -> np.ndarray:
    """Cubed normal entries, rescaled to variance 1/n (heavy tails)."""
    return gaussian(CUBE_SCALE * G**3)


@checked(X=array("points", "n d|B n d"))
def whiten(X: np.ndarray) -> np.ndarray:
    """Orthonormal columns (n >= d) or rows (n < d) with the range of X: U, or V^T, of its economy SVD."""
    n, d = X.shape[-2:]
    U, _, Vt = np.linalg.svd(X, full_matrices=False)
    return U if n >= d else Vt


DESIGNS = {
    "gaussian": gaussian,
    "cubic": cubic,
    "whitened": lambda G: whiten(gaussian(G)),
    "whitened_cubic": lambda G: whiten(cubic(G)),
}


@checked(kind=choice("design", tuple(DESIGNS)), n=whole("points", "[1, inf)"), d=whole("dimension", "[1, inf)"))
def design(kind: str, draws: Draws, n: int, d: int, name: str = "X") -> np.ndarray:
    """Data matrices with about unit-norm columns.

    Parameters
    ----------
    kind : a key of `DESIGNS`
    draws : the randomness
    n, d : points and dimension
    name : the address; another name is an independent draw of the same design

    Returns
    -------
    X : (B, n, d) array

    **Source**: wang2025overparameterized, its code; differs: cubed entries are
    rescaled to variance 1/n, so that sigma means the same in every design (the noiseless program's
    solution does not depend on the scale of X).
    """
    return DESIGNS[kind](draws.normal(name, n, d))


@checked(X=array("points", "B n d"))
def random_direction(X: np.ndarray, draws: Draws) -> np.ndarray:
    """Uniform on the unit sphere, ``(B, d)``; independent of X."""
    g = draws.normal("w", X.shape[-1])
    return g / np.linalg.norm(g, axis=-1, keepdims=True)


@checked(X=array("points", "B n d"))
def smallest_singular_direction(X: np.ndarray, draws: Draws) -> np.ndarray:
    """The last right singular vector of the economy SVD of X, ``(B, d)``: the direction X shrinks most.

    For n < d it belongs to the smallest *non-zero* singular value and lies in the row space of X.
    """
    return np.linalg.svd(X, full_matrices=False)[2][:, -1, :]


PLANTS = {"random": random_direction, "smallest_singular": smallest_singular_direction}


@checked(kind=choice("plant", tuple(PLANTS)), X=array("points", "B n d"))
def linear_teacher(kind: str, X: np.ndarray, draws: Draws) -> Net:
    """A planted linear neuron of unit norm: a net with no hidden units.

    Parameters
    ----------
    kind : a key of `PLANTS`
    X : (B, n, d) array
    draws : the randomness, used by "random" only
    """
    return Net.linear(PLANTS[kind](X, draws))


@checked(k=whole("neurons", "[1, inf)"), d=whole("dimension", "[1, inf)"))
def random_neurons(k: int, d: int, draws: Draws) -> np.ndarray:
    """k independent directions, uniform on the sphere."""
    g = draws.normal("w", d, k)
    return g / np.linalg.norm(g, axis=1, keepdims=True)


@checked(k=whole("neurons", "[1, inf)"), d=whole("dimension", "[1, inf)"))
def axis_neurons(k: int, d: int, draws: Draws) -> np.ndarray:
    """The first k coordinate axes, k <= d."""
    return np.broadcast_to(np.eye(d)[:, :k], (len(draws), d, k))


@checked(k=whole("neurons", "[2, 2]"), d=whole("dimension", "[1, inf)"))
def opposite_neurons(k: int, d: int, draws: Draws) -> np.ndarray:
    """A random direction and its opposite, k = 2."""
    w = random_neurons(1, d, draws)
    return np.concatenate([w, -w], axis=2)


NEURONS = {"random": random_neurons, "axis": axis_neurons, "opposite": opposite_neurons}


@checked(kind=choice("neurons", tuple(NEURONS)), k=whole("neurons", "[1, inf)"), d=whole("inputs", "[1, inf)"))
def normalized_teacher(kind: str, k: int, d: int, draws: Draws) -> NormalizedNet:
    """k planted ReLU neurons of unit norm, each normalised over the points it is given.

    Parameters
    ----------
    kind : a key of `NEURONS`
    k : neurons; at most d for "axis", 2 for "opposite"
    d : input dimension
    draws : the randomness; not used by "axis"

    **Source**: wang2025overparameterized, its code; differs: there data are drawn
    again when a neuron is active on no point; here the labels are NaN and the trial ends with that status.
    """
    W = NEURONS[kind](k, d, draws)
    return NormalizedNet(W, np.ones((len(W), k)))
