"""What the two papers measure of a student beside its teacher: fan-out, and what is behind the pull on a layer.

Weights stand in ``(B, n_in + 1, n_out)`` arrays, the biases in the last row; states are ``(B, N, n + 1)``, the constant
1 last; lists run over the layers, the first hidden one first.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from smallnets.arguments import array, checked, integers, parts, record
from smallnets.nets.deep_nets import Layer

Weights = Sequence[np.ndarray]
WEIGHTS = parts(array("weights of a layer", "_ _ _", finite=False))
LAYERS = parts(record(W=array("weights", "_ _ _", finite=False), b=array("biases", "_ _", finite=False)))
POINTS, OUTPUTS = array("points", "B N d"), array("outputs", "B N o", finite=False)
AT_ONCE = 1 << 22  # numbers of V(x) held at a time


@checked(layers=LAYERS)
def joined(layers: Sequence[Layer]) -> list[np.ndarray]:
    """Weights with their biases in the last row."""
    return [np.concatenate([layer.W, layer.b[:, None]], axis=1) for layer in layers]


@checked(weights=WEIGHTS, X=POINTS)
def states(weights: Weights, X: np.ndarray) -> tuple[list[np.ndarray], np.ndarray]:
    """Inputs of every layer, the constant 1 behind them, at ``X (B, N, d)``; and the outputs ``(B, N, o)``."""
    one = np.ones((*X.shape[:2], 1))
    found = [np.concatenate([X, one], axis=2)]
    for W in weights[:-1]:
        found.append(np.concatenate([np.maximum(found[-1] @ W, 0), one], axis=2))
    return found, found[-1] @ weights[-1]


@checked(weights=WEIGHTS)
def fan_out(weights: Weights) -> list[np.ndarray]:
    """Norms of the rows of every layer, ``(B, n_in + 1)``: how strongly a neuron acts on what is above it.

    Where columns have norm 1, the squares sum to the number of columns.

    **Source**: tian2019luck, its code (W_row_norm).
    """
    return [np.linalg.norm(W, axis=2) for W in weights]


@checked(y=OUTPUTS, y_star=OUTPUTS)
def mean_square(y: np.ndarray, y_star: np.ndarray) -> np.ndarray:
    """Mean over points and outputs of (y - y*)^2, ``(B,)``."""
    return ((y - y_star) ** 2).mean(axis=(1, 2))


@checked(y=OUTPUTS, y_star=OUTPUTS)
def published_loss(y: np.ndarray, y_star: np.ndarray) -> np.ndarray:
    """|relu(y) - relu(y*)|_F / N, ``(B,)``, which the published program prints; it is not what is made small.

    **Source**: tian2019luck, its code.
    """
    return np.linalg.norm(np.maximum(y, 0) - np.maximum(y_star, 0), axis=(1, 2)) / y.shape[1]


# -------------------------------------------------------------------------------------- products of separate means


class Products(NamedTuple):
    """L, L*, of the inputs of each layer; H, H*, beta, beta* of its outputs, each from a mean over a batch by itself.

    H and beta of layers below the top have no constants.
    """

    L: list[np.ndarray]
    L_star: list[np.ndarray]
    H: list[np.ndarray]
    H_star: list[np.ndarray]
    beta: list[np.ndarray]
    beta_star: list[np.ndarray]


@checked(teacher=WEIGHTS, student=WEIGHTS, X=POINTS)
def products(teacher: Weights, student: Weights, X: np.ndarray) -> Products:
    """The factors of dW_l = L*_l W*_l (H*_l)^T - L_l W_l H_l^T.

    From H = H* = I at the outputs down: beta_{l-1} = W_l H_l W_l^T, beta*_{l-1} = W_l H*_l W*_l^T, H = beta o <D D^T>
    and H* = beta* o <D D*^T>, where D = 1{f > 0}.

    **Source**: tian2019luck, its code.
    """
    (f, y), (f_star, _) = states(student, X), states(teacher, X)
    N, top = X.shape[1], np.broadcast_to(np.eye(y.shape[2]), (len(X), *(y.shape[2],) * 2))
    H, H_star, beta, beta_star = [top], [top], [top], [top]
    for layer in range(len(student) - 1, 0, -1):
        W, V = student[layer][:, :-1], teacher[layer][:, :-1]
        beta.append(W @ H[-1] @ W.swapaxes(1, 2))
        beta_star.append(W @ H_star[-1] @ V.swapaxes(1, 2))
        D, D_star = ((part[layer][:, :, :-1] > 0).astype(float) for part in (f, f_star))
        H.append(beta[-1] * (D.swapaxes(1, 2) @ D) / N)
        H_star.append(beta_star[-1] * (D.swapaxes(1, 2) @ D_star) / N)
    L = [part.swapaxes(1, 2) @ part / N for part in f]
    L_star = [part.swapaxes(1, 2) @ other / N for part, other in zip(f, f_star, strict=True)]
    return Products(L, L_star, *(part[::-1] for part in (H, H_star, beta, beta_star)))


@checked(H_star=array("H*", "B k m", finite=False), winner=integers("winners", "B m"))
def alignment(H_star: np.ndarray, winner: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean size of H*'s entries of teacher neurons with their winners, and with the others' winners, ``(B,)`` each.

    Parameters
    ----------
    H_star : (B, k, m) array, students by teachers
    winner : (B, m) array, the student that matches each teacher neuron

    **Source**: tian2019luck, its code; differs: entries off the diagonal are m (m - 1), there they count as m^2.
    """
    aligned = np.abs(np.take_along_axis(H_star, winner[:, :, None], axis=1))
    m = aligned.shape[1]
    own = np.trace(aligned, axis1=1, axis2=2)
    return own / m, (aligned.sum(axis=(1, 2)) - own) / max(m * (m - 1), 1)


# ------------------------------------------------------------------------------------------------ sample by sample


class Coupling(NamedTuple):
    """Means over the points of beta*, beta (student's rows), H*, H of a hidden layer, the constant last."""

    beta_star: np.ndarray
    beta: np.ndarray
    H_star: np.ndarray
    H: np.ndarray


@checked(teacher=LAYERS, student=LAYERS, X=POINTS)
def per_sample_beta(teacher: Sequence[Layer], student: Sequence[Layer], X: np.ndarray) -> list[Coupling]:
    """Means of beta(x) and H(x), which are taken point by point, of every hidden layer.

    With biases as a last row and the constant handed on by A = [W 0; b 1], beta_l(x) = V_l(x) V*_l(x)^T has rank o + 1
    at most:

        V_{L-1} = A_L,   V_{l-1} = A_l D_l V_l,   H_l = D_l beta_l D*_l

    and -dLoss/dz_l = D_l (beta*_l f*_l - beta_l f_l) for the loss 1/2 |y* - y|^2, constants in f, their row left out.

    Parameters
    ----------
    teacher, student : layers, the outputs' last
    X : (B, N, d) array

    **Source**: tian2019luck; tian2020student, its code (stats_H).
    """
    weights, others = joined(student), joined(teacher)
    sums: list[list[np.ndarray]] = [[] for _ in weights[1:]]
    for part in _parts(weights, X):
        own, stars = _factors(weights, part), _factors(others, part)
        for layer, ((V, DV), (V_star, DV_star)) in enumerate(zip(own, stars, strict=True)):
            pairs = ((V, V_star), (V, V), (DV, DV_star), (DV, DV))
            terms = [a @ b.swapaxes(1, 2) for a, b in pairs]
            sums[layer] = [a + b for a, b in zip(sums[layer], terms, strict=True)] if sums[layer] else terms
    return [Coupling(*(part / X.shape[1] for part in layer)) for layer in sums]


@checked(student=LAYERS, X=POINTS)
def beta_diagonal(student: Sequence[Layer], X: np.ndarray) -> list[np.ndarray]:
    """Means of beta_kk(x) = |V_k(x)|^2 of every hidden layer's neurons, the constant last, ``(B, n + 1)``.

    **Source**: tian2020student, its figures of beta_kk against correlation.
    """
    weights = joined(student)
    sums = [[(V * V).sum(axis=2) for V, _ in _factors(weights, part)] for part in _parts(weights, X)]
    return [sum(layer[1:], start=layer[0]) / X.shape[1] for layer in zip(*sums, strict=True)]


def _parts(weights: Weights, X: np.ndarray) -> Iterator[np.ndarray]:
    widest = max(W.shape[1] for W in weights[1:]) * (weights[-1].shape[2] + 1)
    some = max(AT_ONCE // (len(X) * widest), 1)
    return (X[:, first : first + some] for first in range(0, X.shape[1], some))


def _factors(weights: Weights, X: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """V and D V of every hidden layer, ``(B, n + 1, N (o + 1))``: points one after another along the columns."""
    found, _ = states(weights, X)
    B, N = X.shape[:2]
    A = [_handed(W) for W in weights]
    V = np.repeat(A[-1][:, :, None], N, axis=2)
    factors = []
    for layer in range(len(weights) - 1, 0, -1):
        DV = V * (found[layer] > 0).swapaxes(1, 2)[..., None]
        factors.append((V.reshape(B, V.shape[1], -1), DV.reshape(B, V.shape[1], -1)))
        if layer > 1:
            V = (A[layer - 1] @ factors[-1][1]).reshape(B, -1, N, V.shape[3])
    return factors[::-1]


def _handed(W: np.ndarray) -> np.ndarray:
    """Weights and biases with one more output, the constant."""
    constant = np.zeros_like(W[:, :, :1])
    constant[:, -1] = 1
    return np.concatenate([W, constant], axis=2)
