"""Networks as they come out of training."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from neurec_core.experiment import Solution, Status
from smallnets.nets.deep_nets import Layer

from . import specialization

if TYPE_CHECKING:
    from smallnets.descent.deep_relu import DeepNet
    from smallnets.descent.deep_training import Epoch

BLOWN_UP = 100.0  # times the loss of a network whose outputs are 0


def settled(finite: np.ndarray, losses: np.ndarray, y: np.ndarray, loss: str) -> np.ndarray:
    """Which students (B,) have neither left the finite numbers nor a loss far above that of outputs 0.

    Parameters
    ----------
    finite : (B,) of bool
    losses : (B,) training losses over the last epoch, NaN before the first
    y : (B, n, c) the teacher's outputs
    loss : "mean", "half", or "cross_entropy", which bounds nothing
    """
    if loss == "cross_entropy":
        return finite
    of_zero = (y.shape[2] / 2 if loss == "half" else 1.0) * (y**2).mean(axis=(1, 2))
    return np.asarray(finite & ~(losses > BLOWN_UP * of_zero))


def statuses(fine: np.ndarray) -> list[Status]:
    """Solved, or diverged where a student is not fine."""
    return [Status.SOLVED if one else Status.DIVERGED for one in fine]


def trained(start: DeepNet, epochs: Iterable[Epoch], y: np.ndarray, loss: str) -> Solution:
    """Let training run to its end; the value holds the students at the start and at the end.

    Of one that diverges the end is its start.

    Parameters
    ----------
    start : the students
    epochs : of their training
    y, loss : as in `settled`
    """
    finite, losses, last = np.ones(len(y), dtype=bool), np.full(len(y), np.nan), None
    for last in epochs:
        finite, losses = last.finite, last.losses
    fine = settled(finite, losses, y, loss)
    end = finite_or_start(last.net.read(), start, fine) if last else start
    return Solution((start, end), statuses(fine), {"loss": losses})


def finite_or_start(end: DeepNet, start: DeepNet, finite: np.ndarray) -> DeepNet:
    """The nets at the end where they are finite, else at the start."""
    fine = finite[:, None, None]
    pairs = zip(end.layers, start.layers, strict=True)
    layers = [Layer(np.where(fine, a.W, z.W), np.where(fine[..., 0], a.b, z.b)) for a, z in pairs]
    norms = [type(norm)(*(np.where(fine[..., 0], part, 1.0) for part in norm)) for norm in end.norms]
    return type(end)(tuple(layers), tuple(norms))


def one(net: DeepNet, b: int) -> DeepNet:
    """The net of one trial."""
    layers = tuple(Layer(layer.W[b : b + 1], layer.b[b : b + 1]) for layer in net.layers)
    return type(net)(layers, tuple(type(norm)(*(part[b : b + 1] for part in norm)) for norm in net.norms))


def order(strengths: np.ndarray, best: np.ndarray) -> float:
    """Rank correlation of the teacher neurons' strengths with how well they are found; NaN for fewer than three."""
    if len(best) < 3 or np.ptp(best) == 0 or np.ptp(strengths) == 0:
        return float("nan")
    from scipy.stats import spearmanr  # the command line need not wait for it

    return float(spearmanr(strengths, best).statistic)


def shares(strengths: np.ndarray, found: np.ndarray, level: float) -> float:
    """Mean strength of the student neurons (k,) without a match over that of those with one, from ``found (m, k)``."""
    matched = specialization.matches(found.T[None], level)[0] > 0
    if matched.all() or not strengths[matched].any():
        return float("nan")
    return float(strengths[~matched].mean() / strengths[matched].mean())
