"""Designs X, planted teachers and the labels that they give."""

from __future__ import annotations

from typing import Any

import numpy as np

from neurec_core.draws import Draws
from neurec_core.experiment import Problem
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
def design(kind: str, draws: Draws, n: int, d: int, *, name: str = "X") -> np.ndarray:
    """Data matrices with about unit-norm columns.

    Parameters
    ----------
    kind : a key of `DESIGNS`
    draws : the randomness
    n, d : points and dimension
    name : of the draw; another name is an independent draw of the same design

    Returns
    -------
    X : (B, n, d) array

    **Source**: wang2025overparameterized, its code; differs: cubed entries are
    rescaled to variance 1/n, so that sigma means the same in every design (the noiseless program's
    solution does not depend on the scale of X).
    """
    return DESIGNS[kind](draws.normal(name, n, d))


PLANTS = ("random", "smallest_singular")
NEURONS = ("random", "axis", "opposite")
PLANTED = {"skip": PLANTS, "plain": NEURONS, "normalized": NEURONS}


@checked(kind=choice("plant", PLANTS), X=array("points", "B n d"))
def linear_teacher(kind: str, X: np.ndarray, draws: Draws) -> Net:
    """A planted linear neuron of unit norm: a net with no hidden neurons.

    Parameters
    ----------
    kind : "random": uniform on the sphere and independent of X; "smallest_singular": the last right singular vector of
        the economy SVD of X, which X shrinks most (for n < d that of the smallest *non-zero* singular value)
    X : (B, n, d) array
    draws : the randomness
    """
    if kind == "smallest_singular":
        return Net.linear(np.linalg.svd(X, full_matrices=False)[2][:, -1, :])
    g = draws.normal("w", X.shape[-1])
    return Net.linear(g / np.linalg.norm(g, axis=-1, keepdims=True))


@checked(kind=choice("neurons", NEURONS), k=whole("neurons", "[1, inf)"), d=whole("dimension", "[1, inf)"))
def neurons(kind: str, k: int, d: int, draws: Draws) -> np.ndarray:
    """Directions of k planted neurons, (B, d, k).

    Parameters
    ----------
    kind : "random": independent, uniform on the sphere; "axis": the first k coordinate axes, k <= d, without any draw;
        "opposite": a random direction and its opposite, k = 2
    k, d : neurons and dimension
    draws : the randomness
    """
    if kind == "axis":
        return np.broadcast_to(np.eye(d)[:, :k], (len(draws), d, k))
    g = draws.normal("w", d, 1 if kind == "opposite" else k)
    w = g / np.linalg.norm(g, axis=1, keepdims=True)
    return np.concatenate([w, -w], axis=2) if kind == "opposite" else w


def plain_teacher(kind: str, k: int, d: int, draws: Draws) -> Net:
    """k planted ReLU neurons of unit norm, without a skip connection; parameters as of `neurons`."""
    W = neurons(kind, k, d, draws)
    return Net(W, np.ones((len(W), k)), np.zeros((len(W), d)))


def normalized_teacher(kind: str, k: int, d: int, draws: Draws) -> NormalizedNet:
    """k planted ReLU neurons of unit norm, each normalised over the points; parameters as of `neurons`.

    **Source**: wang2025overparameterized, its code; differs: there data are drawn
    again when a neuron is active on no point; here the labels are NaN and the trial ends with that status.
    """
    W = neurons(kind, k, d, draws)
    return NormalizedNet(W, np.ones((len(W), k)))


def sample(params: Any, draws: Draws) -> Problem:
    """Labels y = f(X) + z of a planted net f, with noise z of norm about sigma where there is any.

    Neither X nor f depends on sigma, and X does not depend on the model.

    Parameters
    ----------
    params : with ``model``, one of `PLANTED`, ``design``, ``plant``, ``n``, ``d``, but for a skip connection ``k``, and
        ``sigma`` if labels may be noisy
    draws : the randomness
    """
    X = design(params.design, draws, params.n, params.d)
    teacher: Net | NormalizedNet
    if params.model == "skip":
        teacher = linear_teacher(params.plant, X, draws)
    else:
        planted = plain_teacher if params.model == "plain" else normalized_teacher
        teacher = planted(params.plant, params.k, params.d, draws)
    noise = gaussian(draws.normal("z", params.n, 1))[..., 0]
    return Problem(X, teacher(X) + getattr(params, "sigma", 0.0) * noise, teacher)
