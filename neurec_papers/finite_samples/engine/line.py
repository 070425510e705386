"""Networks on a line: points that see every linear piece twice, and the one network that fits them; derived here.

Everything takes floats, or `fractions.Fraction` for exact arithmetic; then the tolerance is 0.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import pairwise
from math import isfinite
from typing import Any, NamedTuple

import numpy as np

from neurec_core.params import BadInput
from smallnets.arguments import array, checked, number, whole, wholes

from .frames import Bends
from .irreducibility import Reduction, bends, smallest
from .networks import ShallowNet
from .subsets import Vector, exact_subset_sum

Number = Any  # a float or a Fraction: the same lines of code
Line = tuple[Number, Number]  # slope and intercept
OUTSIDE = 1.0  # how far beyond the outermost kinks points are placed, in the kinks' mean distance
CLOSE = 1e-9  # relative: a value that far from a line counts as on it
INSIDE = 1e-8  # relative: how far a kink must be from the samples beside it
EPSILON = float(np.finfo(float).eps)
REDUCED = 1e-8  # relative: tolerance of the search for a recovered network's orientation


class Broken(NamedTuple):
    """A continuous, piecewise linear function: kinks t_1 < ... < t_k, and the k + 1 lines between them.

    `held` are the samples that each piece holds, where it was read from samples.
    """

    kinks: list[Number]
    lines: list[Line]
    held: tuple[int, ...] = ()


def outputs(function: Broken, x: np.ndarray) -> np.ndarray:
    """Values ``(n,)`` of floats at places ``x (n,)``."""
    slope, constant = np.array(function.lines, float)[np.searchsorted(np.array(function.kinks, float), x)].T
    return slope * x + constant


def broken(net: ShallowNet) -> Broken:
    """What a network of one input computes, piece by piece."""
    found = bends(net)
    t, jump = -found.z[:, 1] / found.z[:, 0], found.alpha
    order = np.argsort(t)
    left = found.affine + [0.0, found.c] + ((found.z[:, 0] < 0) * jump) @ found.z
    steps = np.column_stack([jump, -jump * t])[order]  # alpha max(0, ±(x - t)) bends by alpha
    return Broken(t[order].tolist(), [tuple(row) for row in left + np.cumsum(np.vstack([[0, 0], steps]), axis=0)])


@checked(kinks=array("kinks", "k", empty=True), counts=wholes("points of a piece"))
def sample_points(kinks: np.ndarray, counts: Sequence[int]) -> np.ndarray:
    """Sorted places inside the k + 1 pieces between ``kinks (k,)``, `counts` many in each, at equal distances."""
    t = np.sort(np.asarray(kinks, float))
    reach = OUTSIDE * (np.ptp(t) / (len(t) - 1) if len(t) > 1 else 1.0)
    ends = np.concatenate([t[:1] - reach, t, t[-1:] + reach])
    parts = [a + (b - a) * np.arange(1, n + 1) / (n + 1) for a, b, n in zip(ends[:-1], ends[1:], counts, strict=True)]
    return np.concatenate(parts)


def shared_out(points: int, lots: np.ndarray) -> np.ndarray:
    """How many points each piece gets: as many in each as can be, the rest by ``lots (..., k + 1)``."""
    each, rest = divmod(points, lots.shape[-1])
    return each + (np.argsort(np.argsort(lots, axis=-1), axis=-1) < rest)


def least_points(m: int, kinks: int) -> int:
    """How many points a piece must hold for `recover`: 2, and 2 more for each of m neurons that shows no kink.

    With a kink for each neuron that identifies the network. With opposite pairs it only keeps competitors from having
    their further kinks among the samples: one with a kink beyond all of them stays (`competitors.split_pair`).
    """
    return 2 + 2 * (m - kinks)


def seen(x: Sequence[Number], kinks: Sequence[Number]) -> list[int]:
    """How many samples lie in each piece between the kinks."""
    at = [sum(t < place for t in kinks) for place in x]
    return [at.count(i) for i in range(len(kinks) + 1)]


# ------------------------------------------------------------------------------------------------------- recovery


@checked(m=whole("neurons"), tolerance=number("relative tolerance", "[0, inf)"))
def recover(x: Sequence[Number], y: Sequence[Number], m: int, tolerance: float = CLOSE) -> Broken | None:
    """The function with fewest kinks, at most m, that fits samples, if its pieces hold enough of them.

    Samples are cut into pieces, from left to right, each with at least `least_points` on one line, such that
    neighbouring lines meet strictly between the pieces. With m kinks and two points in each piece, nothing else fits.

    Parameters
    ----------
    x, y : n samples, in increasing order of distinct x
    m : the width of the networks that are asked about
    tolerance : in units of the largest difference of y from the first; 0 for exact numbers

    Returns
    -------
    None if no such function holds enough samples in every piece: some piece is not seen, or y are rounded too coarsely
    to tell, as with an output bias that is far larger than all differences

    Raises
    ------
    BadInput : "x (samples) must be distinct and in increasing order, one for each y, got 4 of 4", or numbers that are
        not finite

    **Source**: derived here.
    """
    for name, meaning, numbers in (("x", "samples", x), ("y", "values", y)):
        if wrong := sum(not isfinite(number) for number in numbers):
            raise BadInput(f"{name} ({meaning}) must be finite numbers, got {wrong} of {len(numbers)} that are not")
    if not len(x) or len(x) != len(y) or any(b <= a for a, b in pairwise(x)):
        raise BadInput(
            f"x (samples) must be distinct and in increasing order, one for each y, got {len(x)} of {len(y)}"
        )
    # Differences, which neither a far origin nor a large output bias makes coarser than they were given.
    origin, first, coarse = x[0], y[0], EPSILON * max(map(abs, y)) if tolerance else 0
    x, y = [place - origin for place in x], [value - first for value in y]
    close = tolerance * max(map(abs, y)) if tolerance else 0
    if close < coarse:
        return None
    for kinks in range(m + 1):
        least = least_points(m, kinks)
        if least * (kinks + 1) > len(x):
            continue
        pieces = next(_Cuts(x, y, least, close).into(kinks + 1), None)
        if pieces is not None:
            lines = [_line(x, y, *piece) for piece in pieces]
            meets = [_meet(a, b) for a, b in pairwise(lines)]
            whole = [(slope, constant + first - slope * origin) for slope, constant in lines]
            return Broken([t + origin for t in meets], whole, tuple(j - i for i, j in pieces))
    return None


class _Cuts(NamedTuple):
    """Samples that are to be cut into pieces, each with at least `least` on one line, up to `close`."""

    x: Sequence[Number]
    y: Sequence[Number]
    least: int
    close: Number

    def into(self, pieces: int, start: int = 0, before: Line | None = None) -> Iterator[list[tuple[int, int]]]:
        """All cuts of the samples from `start` on, behind a line, into so many pieces, each (first, last + 1)."""
        x, y, n = self.x, self.y, len(self.x)
        if not pieces:
            if start == n:
                yield []
            return
        for stop in range(start + self.least, n - self.least * (pieces - 1) + 1):
            line = _line(x, y, start, stop)
            if any(abs(line[0] * x[i] + line[1] - y[i]) > self.close for i in range(start + 1, stop - 1)):
                return  # nor do more samples lie on one line
            if before is not None:
                if abs(line[0] - before[0]) * (x[stop - 1] - x[start]) <= self.close:
                    continue
                # Not on a sample: three lines through it would do as well as two.
                room = INSIDE * (x[start] - x[start - 1]) if self.close else 0
                if not x[start - 1] + room < _meet(before, line) < x[start] - room:
                    continue
            for rest in self.into(pieces - 1, stop, line):
                yield [(start, stop), *rest]


def _line(x: Sequence[Number], y: Sequence[Number], start: int, stop: int) -> Line:
    slope = (y[stop - 1] - y[start]) / (x[stop - 1] - x[start])
    return slope, y[start] - slope * x[start]


def _meet(a: Line, b: Line) -> Number:
    return (a[1] - b[1]) / (b[0] - a[0])


# --------------------------------------------------------------------------------------------- back to a network


def as_network(found: Broken, *, bias: bool = True) -> ShallowNet:
    """The smallest ReLU network that is this function, from floats; see `least_network`."""
    return least_network(found, bias=bias).network


def least_network(found: Broken, *, bias: bool = True) -> Reduction:
    """The smallest ReLU network that is this function, and whether it is proved to be."""
    t, lines = np.array(found.kinks, float), np.array(found.lines, float)
    slope, constant = (float(part) for part in lines[0])
    affine = np.array([slope, 0.0 if bias else constant])
    whole = Bends(np.column_stack([np.ones(len(t)), -t]), np.diff(lines[:, 0]), affine, constant if bias else 0.0)
    return smallest(whole, bias=bias, tolerance=REDUCED)


def exact_orientation(found: Broken, *, bias: bool = True) -> list[bool] | None:
    """Which neurons are active to the left of their kinks, one neuron per kink, for exact numbers; None if none can be.

    A neuron k that is active to the left adds -alpha_k (x - t_k) to the first line, so these must add up to it.
    """
    (slope, constant), lines = found.lines[0], found.lines
    steps: list[Vector] = [(b[0] - a[0], b[1] - a[1]) for a, b in pairwise(lines)]
    target: Vector = (-slope, -constant)
    return exact_subset_sum([s[:1] for s in steps], target[:1]) if bias else exact_subset_sum(steps, target)


class Exact(NamedTuple):
    """A ReLU network of one input in fractions: neurons (w, b, a), and c."""

    neurons: list[tuple[Number, Number, Number]]
    c: Number

    def __call__(self, x: Sequence[Number]) -> list[Number]:
        """Outputs at places x."""
        return [sum(a * max(w * place + b, 0) for w, b, a in self.neurons) + self.c for place in x]


def in_fractions(net: ShallowNet) -> Exact:
    """The numbers that a network's floats are."""
    rows = zip(net.W[:, 0].tolist(), net.b.tolist(), net.a.tolist(), strict=True)
    return Exact([(Fraction(w), Fraction(b), Fraction(a)) for w, b, a in rows], Fraction(net.c))


def exact_network(found: Broken, left: Sequence[bool], *, bias: bool = True) -> Exact:
    """The network with w = 1 or, where a neuron is active to the left, w = -1."""
    jumps = [b[0] - a[0] for a, b in pairwise(found.lines)]
    parts = list(zip(found.kinks, jumps, left, strict=True))
    neurons = [(Fraction(-1), t, jump) if turned else (Fraction(1), -t, jump) for t, jump, turned in parts]
    c = found.lines[0][1] - sum(jump * t for t, jump, turned in parts if turned)
    return Exact(neurons, c if bias else Fraction(0))
