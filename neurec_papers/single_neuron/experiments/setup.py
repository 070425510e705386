"""Correlated points, one or two teacher neurons, balanced weights: what every experiment of the paper starts from."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np

from neurec_core.draws import Draws
from neurec_core.experiment import Problem
from neurec_core.params import Params, param
from smallnets.arguments import checked, number, whole
from smallnets.nets.two_layer import Net

from ..published import LARGEST

CITATION = (
    "Chistikov, Englert and Lazic, Learning a Neuron by a Shallow ReLU Network: Dynamics and Implicit Bias for "
    "Correlated Inputs, NeurIPS 2023 (arXiv 2306.06479)"
)
LOG = "neurec_papers.single_neuron.log:log"  # of all experiments with these parameters
# Variance rho of the points around their centre, in all directions together: both put their angles with the teacher
# near 45 degrees where d is large.
VARIANCES = {"centred": 1.0, "uncentred": 2**0.5 - 1}
SECOND = 3.0  # the norm of the second teacher
TRIES = 10_000
SMALLEST = 1e-100  # scale of weights: squares of much smaller ones are rounded to 0
Teachers = Literal["one", "two"]
TEACHERS = param("one", "teacher neurons; the second is opposite, of norm 3")


class SingleNeuron(Params):
    """One network, one training set; gradient descent on the mean squared error."""

    d: int = param(10, "inputs", ge=1, le=2048, slider=(2, 16, 1))
    n: int | None = param(None, "training points around each teacher; none: as many as inputs", ge=1, le=100_000)
    m: int = param(25, "hidden neurons", ge=1, le=100_000, slider=(5, 200, 5))
    scale: float = param(
        1.0, "scale of the initial weights", symbol="λ", ge=SMALLEST, le=1e4, slider=(4.0**-8, 16, 4), geometric=True
    )
    data: Literal["centred", "uncentred"] = param("centred", "whether the points' centre is the teacher")
    teachers: Teachers = TEACHERS
    spread: float = param(1.0, "points' variance over the paper's", symbol="ρ/ρ₀", ge=0, le=100, slider=(0.1, 2, 0.1))
    step: float = param(0.01, "step size", symbol="h", gt=0, le=10, slider=(0.01, 0.05, 0.01))
    steps: int = param(LARGEST, "iterations at most", ge=1, le=10**10)
    target: float = param(1e-9, "mean squared error to end below", ge=0, le=1)
    angles: Literal["chord", "arccos"] = param("chord", "how angles are measured; arccos is the published way")
    tail: float = param(
        0.0, "error for which the slow end is taken many iterations at a time; 0 takes each", ge=0, le=0.01
    )

    @property
    def points(self) -> int:
        """n, as many as inputs where it is not given."""
        return self.d if self.n is None else self.n

    @property
    def deviation(self) -> float:
        """Standard deviation of a point's coordinate around its centre."""
        return (self.spread * VARIANCES[self.data] / self.d) ** 0.5


class Sets(NamedTuple):
    """Points to test with: like the training points ``(B, n, d)``, and standard normal ones."""

    inside: np.ndarray
    small: np.ndarray
    middle: np.ndarray
    large: np.ndarray


class Teacher(NamedTuple):
    """The net that makes the labels, and points to test with."""

    net: Net
    sets: Sets


def sample(params: SingleNeuron, draws: Draws) -> Problem:
    """Points around a random direction, and its opposite for two teachers; labels of the teachers, none of them 0.

    **Source**: chistikov2023learning, its experiments; appendix I for two teachers.
    """
    n, d, B = params.points, params.d, len(draws)
    X, mu, W = points(params, draws)
    signs = [1.0, -1.0][: W.shape[1]]
    net = Net(np.swapaxes(W, 1, 2), np.tile(signs, (B, 1)), np.zeros((B, d)))
    noise = params.deviation * draws.normal("inside", len(signs), n, d)
    inside = np.concatenate([s * mu[:, None] + noise[:, i] for i, s in enumerate(signs)], axis=1)
    outside = [draws.normal(f"outside {name}", k, d) for name, k in zip("abc", (-(-n // 4), n, 4 * n), strict=True)]
    return Problem(X, net(X), Teacher(net, Sets(inside, *outside)))


def points(params: SingleNeuron, draws: Draws) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points (B, n or 2n, d), the direction mu (B, d), teachers (B, 1 or 2, d).

    x_i = +-mu + deviation N(0, I), drawn again until a teacher is active on each. The teachers are +-mu, or further
    such points, brought to their norms.
    """
    n, d, count = params.points, params.d, 1 + (params.teachers == "two")
    mu = _unit(draws.normal("mu", d))
    signs, names = [1.0, -1.0][:count], ["points", "opposite"][:count]
    X, W, left = np.zeros((len(draws), n * count, d)), np.zeros((len(draws), count, d)), np.arange(len(draws))
    for attempt in range(TRIES):
        now = Draws(draws.seed, [draws.trials[b] for b in left])
        P = np.stack([now.normal(f"{name} {attempt}", n + 1, d) for name in names], axis=1)
        P = np.multiply.outer(signs, mu[left]).swapaxes(0, 1)[:, :, None] + params.deviation * P
        X[left] = P[:, :, 1:].reshape(len(left), -1, d)
        centred = params.data == "centred"
        W[left] = np.multiply.outer(mu[left], signs).swapaxes(1, 2) if centred else _unit(P[:, :, 0])
        W[left] *= np.array([1.0, SECOND])[:count, None]
        active = (np.einsum("bnd,bkd->bnk", X[left], W[left]) > 0).any(axis=2)
        left = left[~active.all(axis=1)]
        if not len(left):
            return X, mu, W
    raise ValueError(f"{TRIES} draws of the points all left some label 0: a smaller spread or fewer points will do")


def _unit(v: np.ndarray) -> np.ndarray:
    return v / np.linalg.norm(v, axis=-1, keepdims=True)


@checked(
    m=whole("neurons", "[1, inf)"), d=whole("dimension", "[1, inf)"), scale=number("scale of the start", "[0, inf)")
)
def start(m: int, d: int, scale: float, draws: Draws) -> tuple[np.ndarray, np.ndarray]:
    """Balanced weights W (B, m, d) and a (B, m): |a_j| = |w_j|, signs by coin, w_j normal of variance scale^2 / (m d).

    The same up to their scale, whatever it is.
    """
    W = scale * draws.normal("z", m, d) / (m * d) ** 0.5
    return W, np.where(draws.uniform("s", m) < 0.5, -1.0, 1.0) * np.linalg.norm(W, axis=2)
