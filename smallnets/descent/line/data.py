"""What gradient descent sees of points and neurons on a line, by side of the origin; how a training may end."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

import numpy as np

from ...arguments import array, checked, whole

CACHED = 2**15  # weights that are looked at together: few enough to stay in the processor's cache


class Outcome(IntEnum):
    """How a training of networks on a line has ended; 0 to 5 are the published code's numbers."""

    # Not ends, but questions: has a kink that left its side stopped at a point or jumped to the other; does the
    # certificate hold that cheap bounds do not exclude?
    LEFT = -1
    UNDECIDED = -2
    UNFINISHED = 0
    X_DEGENERATE = 1  # a side has at most one point
    A_DEGENERATE = 2  # a side has no neurons
    CROSSED = 3
    CONVERGED = 4
    STOPPED = 5
    DIVERGED = 6
    UNKNOWN = 7  # it depends on neurons that are not listed


class Criterion(NamedTuple):
    """When the training of a network ends.

    ``interval`` steps lie between two checks, ``limit`` is the last step; ``sufficient`` asks for the certificate of
    `certificate.certified`, with its ``sharp`` constant; ``patience`` > 0 stops that many checks after the validation
    loss was last lower than its best by 1e-8.
    """

    interval: int
    limit: int
    sufficient: bool
    sharp: bool
    patience: int


class Sample(NamedTuple):
    """Weighted points, by side (first x > 0, then x < 0).

    ``sums (B, 6, 2)`` holds the sums of nu times x^2, x, 1, x y, y, y^2; ``reach (B,)`` the smallest \\|x\\|,
    whatever its share; ``points (B, 2)`` how many different points have a share.
    """

    sums: np.ndarray
    reach: np.ndarray
    points: np.ndarray

    @property
    def rows(self) -> np.ndarray:
        """What a step reads, (B, 10): all sums but the last, each on the right and on the left."""
        return self.sums[:, :5].reshape(-1, 10)


@checked(x=array("points", "B n"), y=array("labels", "B n"), weights=array("shares of the points", "B n"))
def split(x: np.ndarray, y: np.ndarray, weights: np.ndarray) -> Sample:
    """The moments of the points on each side.

    Parameters
    ----------
    x, y, weights : (B, n) arrays; no x is 0
    """
    nu = weights[:, None] * np.stack([x > 0, x < 0], axis=1)  # (B, 2, n)
    x_, y_ = x[:, None], y[:, None]
    sums = np.stack([part.sum(2) for part in (nu * x_**2, nu * x_, nu, nu * x_ * y_, nu * y_, nu * y_**2)], axis=1)
    here = np.sort(np.where(nu > 0, x_, np.inf), axis=2)
    points = ((here[..., 1:] > here[..., :-1]) & np.isfinite(here[..., 1:])).sum(2) + np.isfinite(here[..., 0])
    return Sample(sums, np.abs(x).min(1), points)


class HiddenLayer(NamedTuple):
    """Neurons that start without biases, by side (first a > 0, then a < 0).

    ``T (B, 2, 2, 2)`` are the sums over a side of (a, w)^T (a, w). ``ends (B, 2, K, 2)`` are neurons (a, w) in order
    of w/a: all of a side where it has at most K, else K/2 from either end. ``known`` and ``size (B, 2)`` say how many
    are listed and how many there are.
    """

    T: np.ndarray
    ends: np.ndarray
    known: np.ndarray
    size: np.ndarray


@checked(a=array("slopes", "B m"), w=array("output weights", "B m"), keep=whole("neurons listed", "[2, inf)"))
def gather(a: np.ndarray, w: np.ndarray, keep: int = 16) -> HiddenLayer:
    """Moments and extreme neurons of each side.

    Parameters
    ----------
    a, w : (B, m) arrays; a neuron with a = 0 is active nowhere or everywhere and belongs to no side
    keep : how many neurons of a side to list, even
    """
    rows = max(1, CACHED // a.shape[1])
    parts = [_gathered(a[i : i + rows], w[i : i + rows], keep // 2) for i in range(0, len(a), rows)]
    return HiddenLayer(*map(np.concatenate, zip(*parts, strict=True)))


def _gathered(a: np.ndarray, w: np.ndarray, half: int) -> HiddenLayer:
    T, ends = np.empty((len(a), 2, 2, 2)), np.zeros((len(a), 2, 2 * half, 2))
    size = np.stack([(a > 0).sum(axis=1), (a < 0).sum(axis=1)], axis=1)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        ratio = w / a
    for s, on in enumerate((a > 0, a < 0)):
        for i, j, products in ((0, 0, a * a), (0, 1, a * w), (1, 1, w * w)):
            # One term after the other: the same whatever stands beside a network.
            T[:, s, i, j] = T[:, s, j, i] = np.cumsum(on * products, axis=1)[:, -1]
        last = np.minimum(size[:, [s]], 2 * half) - 1
        # From above, only what the list from below has not.
        for below, first in ((True, 0), (False, half)):
            few = _smallest(np.where(on, ratio if below else -ratio, np.inf), half)
            rank = np.arange(few.shape[1])[None]
            place = rank if below else last - rank
            net, k = np.nonzero((rank < size[:, [s]]) & (place >= first))
            neuron, place = few[net, k], np.broadcast_to(place, few.shape)[net, k]
            ends[net, s, place] = np.stack([a[net, neuron], w[net, neuron]], axis=1)
    return HiddenLayer(T, ends, np.minimum(size, 2 * half), size)


def _smallest(keys: np.ndarray, number: int) -> np.ndarray:
    """Places of the smallest so many keys of each row (B, m), in order."""
    few = np.argpartition(keys, number, axis=1)[:, :number] if number < keys.shape[1] else np.argsort(keys, axis=1)
    return np.take_along_axis(few, np.argsort(np.take_along_axis(keys, few, axis=1), axis=1), axis=1)
