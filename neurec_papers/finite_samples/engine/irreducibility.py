"""How few neurons a ReLU network can do with, and the network that does: a complete criterion, derived here.

A neuron a max(0, w.x + b) bends f by a |w| along its hyperplane. Neurons on one hyperplane add up to one net kink and
an affine function, since a max(0, z) = a max(0, -z) + a z. So f = sum_k alpha_k max(0, z_k) + l over the n distinct
hyperplanes whose net kink is not zero, and turning neuron k round adds alpha_k z_k to the affine part l. The least
width is

* n, if some neurons can be turned so that nothing is left of l;
* n + 1, if what is left can be made a multiple of one z_k: that hyperplane then has two neurons, back to back;
* n + 2 otherwise, since l = max(0, l) - max(0, -l).

With an output bias, affine functions are compared up to constants.

**Source**: derived here; the counts n, n + 1, n + 2 are also those of dereich2022minimal.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from neurec_core.experiment import Status
from neurec_core.params import BadInput
from smallnets.arguments import checked, number, whole

from .frames import ROUNDING, Bends, Frame, framed, near_all
from .networks import ShallowNet
from .networks import checked as checked_network
from .subsets import LIMIT, subset_sum, sums

SEARCH = {"limit": whole("hyperplanes"), "tolerance": number("relative tolerance", "[0, inf)")}
TOLERANCE = 1e-10  # relative: of normals, of |kinks| on a hyperplane, of the sum of the affine parts that may be turned
CHANCE = 1e-3  # relations that may be expected by chance where one counts as a proof


class Reduction(NamedTuple):
    """The smallest network found, and a lower bound on the width of any network that is the same function.

    `status` is SOLVED where the two agree, UNDECIDED where the search was given up; `hyperplanes` is n.
    """

    network: ShallowNet
    least: int
    hyperplanes: int
    status: Status


@checked(tolerance=SEARCH["tolerance"])
def bends(net: ShallowNet, tolerance: float = TOLERANCE) -> Bends:
    """Distinct hyperplanes with their net kinks, and the affine rest; parallel neurons are merged, zero kinks dropped.

    Parameters
    ----------
    tolerance : two hyperplanes are one if normals u, and distances t from a point near all of them in units of the
        largest of these, differ by less, or t by the rounding of b; a net kink is zero below it, in units of the sum
        of |a_j| |w_j| over its neurons

    Raises
    ------
    BadInput : see `networks.checked`
    """
    net = checked_network(net)
    size = np.linalg.norm(net.W, axis=1)
    rows, r = np.column_stack([net.W, net.b])[net.a != 0] / size[net.a != 0, None], (net.a * size)[net.a != 0]
    place = near_all(rows)
    local = rows[:, -1] + rows[:, :-1] @ place
    near = tolerance * np.abs(local).max(initial=0) + ROUNDING * (np.abs(rows[:, -1]) + np.linalg.norm(place))
    first: list[int] = []  # neurons that stand for their hyperplanes
    alpha: list[float] = []
    total: list[float] = []
    affine = np.zeros(rows.shape[1])
    for j, (row, kink) in enumerate(zip(rows, r, strict=True)):
        known = rows[first]
        side = np.where(known[:, :-1] @ row[:-1] < 0, -1.0, 1.0)
        same = np.linalg.norm(known[:, :-1] - side[:, None] * row[:-1], axis=1) <= tolerance
        same &= np.abs(local[first] - side * local[j]) <= near[j]
        if not same.any():
            first.append(j)
            alpha.append(kink)
            total.append(abs(kink))
            continue
        k = int(same.argmax())
        alpha[k], total[k] = alpha[k] + kink, total[k] + abs(kink)
        if side[k] < 0:  # a max(0, -z) = a max(0, z) - a z
            affine -= kink * known[k]
    if np.linalg.norm(affine[:-1]) <= ROUNDING * np.abs(r).sum():
        affine[:-1] = 0.0
    kinks = np.array(alpha)
    kept = np.abs(kinks) > tolerance * np.array(total)
    return Bends(rows[first][kept], kinks[kept], affine, net.c)


@checked(**SEARCH)
def reduce(net: ShallowNet, *, bias: bool = True, limit: int = LIMIT, tolerance: float = TOLERANCE) -> Reduction:
    """The smallest network that is the same function.

    Parameters
    ----------
    bias : whether networks have an output bias c
    limit : hyperplanes up to which orientations are searched; above it only the given orientation is tried
    tolerance : relative; an affine part counts as nothing below it, in units of all that may be turned. Sums of n
        numbers are 2^n: on a line with an output bias, thirty neurons nearly always have a relation to ten digits.
        Where such a chance is not small, only a relation up to rounding is a proof, and one that is not is UNDECIDED

    Raises
    ------
    BadInput : see `networks.checked`, or an output bias where there is none
    """
    if not bias and net.c:
        raise BadInput(f"c (output bias) must be 0 where networks have none, got {net.c!r}")
    return smallest(bends(net, tolerance), bias=bias, limit=limit, tolerance=tolerance)


@checked(**SEARCH)
def smallest(found: Bends, *, bias: bool = True, limit: int = LIMIT, tolerance: float = TOLERANCE) -> Reduction:
    """The smallest network for a function that is given by its kinks; see `reduce`."""
    n, searched = len(found.alpha), len(found.alpha) <= limit
    frame = framed(found, bias, tolerance)
    least = None if searched else n  # the least width that is not excluded, where one is not
    for extra, attempt in enumerate((_turned, _doubled)):
        network, sure = attempt(frame, bias, searched)
        if network is None:
            continue
        if sure and frame.agrees(network):
            decided = least is None or not extra
            status = Status.SOLVED if decided else Status.UNDECIDED
            return Reduction(frame.back(network), n + extra if least is None else n, n, status)
        least = n + extra if least is None else least
    network = frame.back(_with_affine_pair(frame))
    status = Status.SOLVED if least is None else Status.UNDECIDED
    return Reduction(network, network.m if least is None else least, n, status)


@checked(**SEARCH)
def irreducible(net: ShallowNet, *, bias: bool = True, limit: int = LIMIT, tolerance: float = TOLERANCE) -> bool | None:
    """Whether no network with fewer neurons is the same function; None where the search was given up.

    Raises
    ------
    BadInput : see `reduce`
    """
    found = reduce(net, bias=bias, limit=limit, tolerance=tolerance)
    if found.network.m < net.m:
        return False
    return True if found.least == net.m else None


@checked(tolerance=SEARCH["tolerance"])
def enumerated(found: Bends, *, bias: bool = True, tolerance: float = TOLERANCE) -> int:
    """The least width by trying all 2^n orientations, one by one."""
    frame, compared = framed(found, bias, tolerance), slice(-1) if bias else slice(None)
    n, z = len(frame.alpha), frame.z[:, compared]
    left = (frame.affine + sums(frame.alpha[:, None] * frame.z))[:, compared]
    if np.linalg.norm(left, axis=1).min() <= frame.small:
        return n
    for one in z:
        if np.linalg.norm(left - np.outer(left @ one / (one @ one), one), axis=1).min() <= frame.small:
            return n + 1
    return n + 2 if n or np.linalg.norm(frame.affine[:-1]) > frame.small else n + 4


def needs_irreducible(net: ShallowNet, *, bias: bool = True) -> ShallowNet:
    """The network, if it is irreducible.

    Raises
    ------
    BadInput : "net (ReLU network) must be irreducible, got 6 neurons of which 5 suffice", or one that is not decided
    """
    found = reduce(net, bias=bias)
    if found.network.m < net.m:
        raise BadInput(
            f"net (ReLU network) must be irreducible, got {net.m} neurons of which {found.network.m} suffice"
        )
    if found.least < net.m:
        raise BadInput(f"net (ReLU network) must be irreducible, got {net.m} neurons: {found.status.value}")
    return checked_network(net)


# -------------------------------------------------------------------------------------------- the three widths


def _search(frame: Frame, vectors: np.ndarray, affine: np.ndarray, levels: tuple[float, ...]) -> np.ndarray | None:
    """Which neurons are turned so that nothing is left of an affine part; without levels only the ones at hand."""
    if np.linalg.norm(affine) <= frame.small:
        return np.zeros(len(vectors), bool)
    return next((found for level in levels if (found := subset_sum(vectors, -affine, level)) is not None), None)


def _levels(frame: Frame, searched: bool, numbers: int, choices: int) -> list[tuple[tuple[float, ...], bool]]:
    """Tolerances one after the other, and whether a relation of that many numbers cannot be there by chance.

    Of 2^n sums about 2^n small^numbers are that near to a given one by chance.
    """
    n = len(frame.alpha)
    sums = float(choices) * 2.0**n
    sure = [sums * (level / frame.scale) ** numbers < CHANCE or not numbers for level in (frame.small, frame.rounding)]
    if not searched:
        return [((), True)]
    if sure[0]:
        return [((frame.small,), True)]
    return [((), True), ((frame.rounding,), sure[1]), ((frame.small,), False)]


def _turned(frame: Frame, bias: bool, searched: bool) -> tuple[ShallowNet | None, bool]:
    """n neurons, some of them turned round, if nothing is left; and whether that is no chance."""
    compared = slice(-1) if bias else slice(None)
    vectors, affine = frame.alpha[:, None] * frame.z, frame.affine
    for levels, sure in _levels(frame, searched, len(affine[compared]), 1):
        turned = _search(frame, vectors[:, compared], affine[compared], levels)
        if turned is not None:
            left = affine + turned @ vectors
            z = np.where(turned, -1.0, 1.0)[:, None] * frame.z
            return ShallowNet(z[:, :-1], z[:, -1], frame.alpha, frame.c + (float(left[-1]) if bias else 0.0)), sure
    return None, True


def _doubled(frame: Frame, bias: bool, searched: bool) -> tuple[ShallowNet | None, bool]:
    """n + 1 neurons, if a multiple q z_k is left: alpha max(0, z) + q z = (alpha + q) max(0, z) - q max(0, -z)."""
    compared = slice(-1) if bias else slice(None)
    vectors, affine = frame.alpha[:, None] * frame.z, frame.affine
    for levels, sure in _levels(frame, searched, len(affine[compared]) - 1, len(vectors)):
        for k, z in enumerate(frame.z[:, compared]):
            across = np.eye(len(z)) - np.outer(z, z) / (z @ z)
            others = np.delete(vectors, k, axis=0)
            turned = _search(frame, others[:, compared] @ across, across @ affine[compared], levels)
            if turned is not None:
                return _with_double(frame, k, turned, affine + turned @ others, bias=bias), sure
    return None, True


def _with_double(frame: Frame, k: int, turned: np.ndarray, left: np.ndarray, *, bias: bool) -> ShallowNet:
    """The network with a second neuron on hyperplane k; the others are turned round or not."""
    compared = slice(-1) if bias else slice(None)
    z = frame.z[k, compared]
    times = float(left[compared] @ z / (z @ z))
    side = np.insert(np.where(turned, -1.0, 1.0), k, 1.0)[:, None]
    rows = np.concatenate([side * frame.z, -frame.z[k : k + 1]])
    a = np.append(frame.alpha, -times)
    a[k] += times
    constant = float(left[-1] - times * frame.z[k, -1]) if bias else 0.0
    return ShallowNet(rows[:, :-1], rows[:, -1], a, frame.c + constant)


def _with_affine_pair(frame: Frame) -> ShallowNet:
    """n + 2 neurons; n + 4 = 4 for a constant function without an output bias."""
    rows, affine = frame.z.copy(), frame.affine
    if np.linalg.norm(affine[:-1]) <= frame.small and len(rows):
        # A constant is no max(0, l) - max(0, -l): turn one round.
        affine = affine + frame.alpha[0] * rows[0]
        rows[0] = -rows[0]
    if np.linalg.norm(affine[:-1]) > frame.small:
        rows, a = np.concatenate([rows, [affine, -affine]]), np.append(frame.alpha, [1.0, -1.0])
    else:  # (x_1 + l) - x_1
        step = np.eye(len(affine))[0]
        rows, a = np.array([affine + step, -affine - step, step, -step]), np.array([1.0, -1.0, -1.0, 1.0])
    return ShallowNet(rows[:, :-1], rows[:, -1], a, frame.c)
