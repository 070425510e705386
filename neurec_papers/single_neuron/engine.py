"""All that the published code logs, of many snapshots at once, in double precision.

Neurons that are active on no point at the start are left out; the others are grouped by the sign of their output
weight, which never changes. W is (L, m, d), a is (L, m), and every measure (L,).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

import numpy as np

from smallnets.nets.two_layer import Net

CHUNK = 1 << 22  # numbers held at a time for all pairs of neurons
OFTEN = 20  # crossings of one boundary by a neuron that slides along it


class DataSet(NamedTuple):
    """Training points (n, d) and labels (n,), the net of one trial that made them, points (1, k, d) to test with."""

    X: np.ndarray
    y: np.ndarray
    net: Net
    sets: Mapping[str, np.ndarray]


class Snapshots(NamedTuple):
    """Weights (L, m, d) and (L, m) on the way, the first at the start, and the losses (L,) there."""

    W: np.ndarray
    a: np.ndarray
    loss: np.ndarray


class Groups(NamedTuple):
    """Numbers of the neurons that are active somewhere at the start, by the sign of their output weight."""

    positive: np.ndarray
    negative: np.ndarray


def groups(X: np.ndarray, W: np.ndarray, a: np.ndarray) -> Groups:
    """From X (n, d) and the initial W (m, d) and a (m,)."""
    active = (W @ X.T > 0).any(axis=1)
    return Groups(np.flatnonzero(active & (a > 0)), np.flatnonzero(active & (a <= 0)))


def angles(W: np.ndarray, how: Literal["chord", "arccos"] = "chord") -> tuple[np.ndarray, np.ndarray]:
    """Largest and mean angle between the rows of W (L, m, d), in degrees, NaN for fewer than two.

    By chords |u_i - u_j| of the unit vectors, measured from their mean: exact to 10^-8 of the largest. The published
    way, "arccos" of clamped products, resolves no angle below 10^-6 degrees, and its mean includes those to themselves.

    **Source**: chistikov2023learning, figures 1, 7 and 8.
    """
    L, m, _ = W.shape
    if m < 2:
        return np.full(L, np.nan), np.full(L, np.nan)
    U = W / np.linalg.norm(W, axis=2, keepdims=True)
    largest, mean = np.empty(L), np.empty(L)
    for first in range(0, L, step := max(CHUNK // m**2, 1)):
        part = slice(first, first + step)
        largest[part], mean[part] = _arccos(U[part]) if how == "arccos" else _chords(U[part])
    return np.degrees(largest), np.degrees(mean)


def _chords(U: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    U = U - U.mean(axis=1, keepdims=True)
    squares = np.einsum("lmd,lmd->lm", U, U) / 4
    i, j = np.triu_indices(U.shape[1], 1)
    halves = (U @ (-U.swapaxes(1, 2) / 2))[:, i, j]  # in place from here on: fresh memory costs more than arithmetic
    halves += squares[:, i]
    halves += squares[:, j]
    between = np.arcsin(np.sqrt(np.clip(halves, 0, 1, out=halves), out=halves), out=halves)
    return 2 * between.max(axis=1), 2 * between.mean(axis=1)


def _arccos(U: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    m = U.shape[1]
    between = np.arccos(np.clip(U @ U.swapaxes(1, 2), -1, 1))
    return between.max(axis=(1, 2)), between.sum(axis=(1, 2)) / (m * (m - 1))


def angle(V: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Angle between rows of V (L, d) and v (d,), in degrees, exact however small; NaN for a row of zeros."""
    length = np.linalg.norm(V, axis=1, keepdims=True)
    unit = np.divide(V, length, out=np.full_like(V, np.nan), where=length > 0)
    v = v / np.linalg.norm(v)
    return np.degrees(2 * np.arctan2(np.linalg.norm(unit - v, axis=1), np.linalg.norm(unit + v, axis=1)))


def eigenbasis(X: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues, falling, and eigenvectors (columns, <u_k, v> >= 0) of X^T X / n.

    **Source**: chistikov2023learning and its code; differs: the published code does not divide by n.
    """
    _, sizes, rows = np.linalg.svd(X)
    values = np.zeros(X.shape[1])
    values[: len(sizes)] = sizes**2 / len(X)
    return values, rows.T * np.where(rows @ v < 0, -1, 1)


def preactivations(W: np.ndarray, X: np.ndarray) -> np.ndarray:
    """<w_j, x_i>, (L, m, n), as one product for all snapshots."""
    L, m, d = W.shape
    return (W.reshape(L * m, d) @ X.T).reshape(L, m, len(X))


def outputs(W: np.ndarray, a: np.ndarray, X: np.ndarray) -> np.ndarray:
    """h(X), (L, n)."""
    H = preactivations(W, X)
    return (a[:, None] @ np.maximum(H, 0, out=H))[:, 0]


def errors(data: DataSet, W: np.ndarray, a: np.ndarray) -> dict[str, np.ndarray]:
    """Mean squared errors on points like the training points, and on standard normal ones."""
    return {name: ((outputs(W, a, X[0]) - data.net(X)) ** 2).mean(axis=1) for name, X in data.sets.items()}


def gradients(
    X: np.ndarray, r: np.ndarray, W: np.ndarray, a: np.ndarray, *, on: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """How lengths and directions of neurons move under the flow of the mean squared error, (L, m).

    -<grad, w/|w|>, and the norm of what is left of the gradient, over |w|; from the residuals r (L, n), and where the
    neurons are active, on (L, m, n).
    """
    pull = preactivations(on * r[:, None], X.T)
    pull *= 2 / len(X) * a[..., None]
    length = np.linalg.norm(W, axis=2)
    unit = W / length[..., None]
    along = np.einsum("lmd,lmd->lm", pull, unit)
    return along, np.linalg.norm(pull - along[..., None] * unit, axis=2) / length


def logged(data: DataSet, at: Snapshots, how: Literal["chord", "arccos"] = "chord") -> dict[str, np.ndarray]:
    """Every measure of the published log, one number for each snapshot.

    Differs: all of a row is of the same weights, where the published loss and gradients are an iteration older.
    """
    X, y, W, a, v = data.X, data.y, at.W, at.a, data.net.W[0, :, 0]
    both = groups(X, W[0], a[0])
    together, basis = np.einsum("lm,lmd->ld", a[:, both.positive], W[:, both.positive]), eigenbasis(X, v)[1]
    on, predicted = preactivations(W, X) > 0, outputs(W, a, X)
    row = {
        "loss": at.loss,
        "norm": np.linalg.norm(together, axis=1),
        "distance": np.linalg.norm(together - v, axis=1),
        "early_angle": angle(together, y @ X),
        "target_angle": angle(together, v),
        "energy": (W**2).sum(axis=(1, 2)) + (a**2).sum(axis=1),
        "nuclear": np.linalg.svd(W, compute_uv=False).sum(axis=1),
        "predictions": (predicted != 0).sum(axis=1),
        "seen": on[:, both.positive].sum(axis=2).mean(axis=1) if len(both.positive) else np.full(len(W), np.nan),
        "coordinates": (v - together) @ basis,
        **errors(data, W, a),
    }
    for name, group in both._asdict().items():
        row[f"{name}_max_angle"], row[f"{name}_mean_angle"] = angles(W[:, group], how)
        moved = gradients(X, y - predicted, W[:, group], a[:, group], on=on[:, group])
        for what, values in zip(("length", "direction"), moved, strict=True):
            for statistic in ("min", "max", "mean") if len(group) else ():
                row[f"{name}_{what}_{statistic}"] = getattr(values, statistic)(axis=1)
    return row


def bundled(X: np.ndarray, W0: np.ndarray, a0: np.ndarray, W: np.ndarray) -> np.ndarray:
    """Numbers of the positive neurons, of those active at the start W0 (m, d), that are active on a point with W."""
    return np.intersect1d(groups(X, W0, a0).positive, np.flatnonzero((W @ X.T > 0).any(axis=1)))


def slides(crossings: np.ndarray) -> bool:
    """Whether a neuron crosses one point's boundary again and again; crossings (C, 3) as `relu.descend` notes them."""
    pairs = crossings[:, 1] * (crossings[:, 2].max(initial=0) + 1) + crossings[:, 2]
    return bool(np.bincount(pairs).max(initial=0) >= OFTEN)
