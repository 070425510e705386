"""What gradient descent sees of points and neurons on a line, by side of the origin; how a training may end."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

import numpy as np

from ...arguments import array, checked, whole
from ...errors import InvalidInput

BLOCK = 32  # weights of which the smallest is looked at first
LARGEST = np.finfo(float).max
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

    ``interval`` steps lie between two checks, the last of which is the first at or after step ``limit``; ``sufficient``
    asks for the certificate of `certificate.certified`, with its ``sharp`` constant; ``patience`` > 0 stops that many
    checks after the validation loss was last lower than its best by 1e-8.
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
    if not x.all():
        raise InvalidInput(f"x (points) must not be 0, got {np.sum(x == 0)} of {x.size} that are")
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
    if keep % 2:
        raise InvalidInput(f"keep (neurons listed) must be even, got {keep}")
    rows = max(1, CACHED // a.shape[1])
    parts = [_gathered(a[i : i + rows], w[i : i + rows], keep // 2) for i in range(0, len(a), rows)]
    return HiddenLayer(*map(np.concatenate, zip(*parts, strict=True)))


def _gathered(a: np.ndarray, w: np.ndarray, half: int) -> HiddenLayer:
    B = len(a)
    T, ends, size = np.empty((B, 2, 2, 2)), np.zeros((B, 2, 2 * half, 2)), np.empty((B, 2), np.int64)
    group = (3 * np.arange(B)[:, None] + ((a < 0).view(np.int8) + 2 * (a == 0).view(np.int8))).ravel()
    for i, j, products in ((0, 0, a * a), (0, 1, a * w), (1, 1, w * w)):
        # One term after the other: the same whatever stands beside a network.
        sums = np.bincount(group, products.ravel(), 3 * B).reshape(B, 3)
        T[:, :, i, j] = T[:, :, j, i] = sums[:, :2]
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        ratio = np.fmin(np.fmax(w / a, -LARGEST), LARGEST)  # what belongs to no side may be nan
    for s, side in enumerate((a > 0, a < 0)):
        beyond, done = np.where(side, 0.0, np.inf), np.zeros((B, 1), np.int64)
        size[:, s] = side.sum(axis=1)
        for sign in (1, -1):  # the list from below, then of the others that from above
            few = _smallest(beyond + sign * ratio, half)
            np.put_along_axis(beyond, few, np.inf, axis=1)
            number, rank = np.minimum(size[:, [s]] - done, half), np.arange(few.shape[1])[None]
            net, k = np.nonzero(rank < number)
            neuron, place = few[net, k], k if sign > 0 else (done + number)[net, 0] - 1 - k
            ends[net, s, place] = np.stack([a[net, neuron], w[net, neuron]], axis=1)
            done = number
    return HiddenLayer(T, ends, np.minimum(size, 2 * half), size)


def _smallest(keys: np.ndarray, number: int) -> np.ndarray:
    """Places of the smallest so many keys of each row (B, m), in order."""
    B, m = keys.shape
    places, count = np.arange(m)[None].repeat(B, 0), m // BLOCK
    if count > number:  # they lie in the blocks with the smallest minima, and those are found without a branch
        least = keys[:, : count * BLOCK].reshape(B, BLOCK, count).min(axis=1)
        blocks = np.argpartition(least, number, axis=1)[:, None, :number] + count * np.arange(BLOCK)[:, None]
        places = np.concatenate([blocks.reshape(B, -1), places[:, count * BLOCK :]], axis=1)
    return np.take_along_axis(places, np.argsort(np.take_along_axis(keys, places, 1), axis=1)[:, :number], axis=1)
