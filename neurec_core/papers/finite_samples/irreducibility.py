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

from ...experiment import Status
from ...params import BadInput
from .common import Network, checked
from .subsets import LIMIT, subset_sum

TOLERANCE = 1e-10  # relative: of normals, of the sum of |kinks|, of the sum of the affine parts that may be turned


class Bends(NamedTuple):
    """f = sum_k alpha_k max(0, z_k) + affine + c.

    ``z (n, d+1)`` holds hyperplanes (u, t) with |u| = 1, ``alpha (n,)`` net kinks, ``affine (d+1,)`` a slope and a
    constant.
    """

    z: np.ndarray
    alpha: np.ndarray
    affine: np.ndarray
    c: float


class Reduction(NamedTuple):
    """The smallest network found, and a lower bound on the width of any network that is the same function.

    `status` is SOLVED where the two agree, UNDECIDED where the search was given up; `hyperplanes` is n.
    """

    network: Network
    least: int
    hyperplanes: int
    status: Status


def bends(net: Network, tolerance: float = TOLERANCE) -> Bends:
    """Distinct hyperplanes with their net kinks, and the affine rest; parallel neurons are merged, zero kinks dropped.

    Parameters
    ----------
    tolerance : two hyperplanes are one if (u, t) differ by less, in units of 1 + |t|; a net kink is zero below it, in
        units of the sum of all |a_j| |w_j|

    Raises
    ------
    BadInput : see `common.checked`
    """
    net = checked(net)
    size = np.linalg.norm(net.W, axis=1)
    rows = np.column_stack([net.W, net.b]) / size[:, None]
    r = net.a * size
    z: list[np.ndarray] = []
    alpha: list[float] = []
    affine = np.zeros(rows.shape[1])
    for row, kink in zip(rows[r != 0], r[r != 0], strict=True):
        known = np.array(z).reshape(-1, len(row))
        side = np.where(known[:, :-1] @ row[:-1] < 0, -1.0, 1.0)
        same = np.linalg.norm(known - side[:, None] * row, axis=1) <= tolerance * (1 + abs(row[-1]))
        if not same.any():
            z.append(row)
            alpha.append(kink)
            continue
        k = int(same.argmax())
        alpha[k] += kink
        if side[k] < 0:  # a max(0, -z) = a max(0, z) - a z
            affine -= kink * z[k]
    kinks = np.array(alpha)
    kept = np.abs(kinks) > tolerance * np.abs(r).sum()
    return Bends(np.array(z).reshape(-1, rows.shape[1])[kept], kinks[kept], affine, net.c)


def reduce(net: Network, *, bias: bool = True, limit: int = LIMIT, tolerance: float = TOLERANCE) -> Reduction:
    """The smallest network that is the same function.

    Parameters
    ----------
    bias : whether networks have an output bias c
    limit : hyperplanes up to which orientations are searched; above it only the orientation at hand is looked at
    tolerance : relative; an affine part counts as nothing below it, in units of all that may be turned. Sums of n
        numbers are 2^n: on a line with an output bias, thirty neurons nearly always have a relation to ten digits

    Raises
    ------
    BadInput : see `common.checked`, or an output bias where there is none
    """
    if not bias and net.c:
        raise BadInput(f"c (output bias) must be 0 where networks have none, got {net.c!r}")
    return smallest(bends(net, tolerance), bias=bias, limit=limit, tolerance=tolerance)


def smallest(found: Bends, *, bias: bool = True, limit: int = LIMIT, tolerance: float = TOLERANCE) -> Reduction:
    """The smallest network for a function that is told by its kinks; see `reduce`."""
    n, searched = len(found.alpha), len(found.alpha) <= limit
    small = tolerance * (np.linalg.norm(found.affine) + np.abs(found.alpha) @ np.linalg.norm(found.z, axis=1))
    for extra in (0, 1):
        network = (_turned, _doubled)[extra](found, bias, searched, small)
        if network is not None:
            decided = searched or not extra
            return Reduction(network, n + extra if decided else n, n, Status.SOLVED if decided else Status.UNDECIDED)
    network = _with_affine_pair(found, small)
    least, status = (network.m, Status.SOLVED) if searched else (n, Status.UNDECIDED)
    return Reduction(network, least, n, status)


def irreducible(net: Network, *, bias: bool = True, limit: int = LIMIT, tolerance: float = TOLERANCE) -> bool | None:
    """Whether no network with fewer neurons is the same function; None where the search was given up.

    Raises
    ------
    BadInput : see `reduce`
    """
    found = reduce(net, bias=bias, limit=limit, tolerance=tolerance)
    if found.network.m < net.m:
        return False
    return True if found.least == net.m else None


def needs_irreducible(net: Network, *, bias: bool = True) -> Network:
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
    return checked(net)


# -------------------------------------------------------------------------------------------- the three widths


def _search(vectors: np.ndarray, affine: np.ndarray, searched: bool, small: float) -> np.ndarray | None:
    if searched:
        return subset_sum(vectors, -affine, small)
    return np.zeros(len(vectors), bool) if np.linalg.norm(affine) <= small else None


def _turned(found: Bends, bias: bool, searched: bool, small: float) -> Network | None:
    """n neurons, some of them turned round, if nothing is left."""
    compared = slice(-1) if bias else slice(None)
    vectors = found.alpha[:, None] * found.z
    turned = _search(vectors[:, compared], found.affine[compared], searched, small)
    if turned is None:
        return None
    left = found.affine + turned @ vectors
    side = np.where(turned, -1.0, 1.0)[:, None]
    z = side * found.z
    return Network(z[:, :-1], z[:, -1], found.alpha, found.c + (float(left[-1]) if bias else 0.0))


def _doubled(found: Bends, bias: bool, searched: bool, small: float) -> Network | None:
    """n + 1 neurons, if a multiple q z_k is left: alpha max(0, z) + q z = (alpha + q) max(0, z) - q max(0, -z)."""
    compared = slice(-1) if bias else slice(None)
    vectors = found.alpha[:, None] * found.z
    for k, z in enumerate(found.z[:, compared]):
        across = np.eye(len(z)) - np.outer(z, z) / (z @ z)
        others = np.delete(vectors, k, axis=0)
        turned = _search(others[:, compared] @ across, across @ found.affine[compared], searched, small)
        if turned is None:
            continue
        left = found.affine + turned @ others
        times = float(left[compared] @ z / (z @ z))
        side = np.insert(np.where(turned, -1.0, 1.0), k, 1.0)[:, None]
        rows = np.concatenate([side * found.z, -found.z[k : k + 1]])
        a = np.append(found.alpha, -times)
        a[k] += times
        constant = float(left[-1] - times * found.z[k, -1]) if bias else 0.0
        return Network(rows[:, :-1], rows[:, -1], a, found.c + constant)
    return None


def _with_affine_pair(found: Bends, small: float) -> Network:
    """n + 2 neurons; n + 4 = 4 for a constant function without an output bias."""
    rows, affine = found.z.copy(), found.affine
    if np.linalg.norm(affine[:-1]) <= small and len(rows):  # a constant is no max(0, l) - max(0, -l): turn one round
        affine = affine + found.alpha[0] * rows[0]
        rows[0] = -rows[0]
    if np.linalg.norm(affine[:-1]) > small:
        rows, a = np.concatenate([rows, [affine, -affine]]), np.append(found.alpha, [1.0, -1.0])
    else:  # (x_1 + l) - x_1
        step = np.eye(len(affine))[0]
        rows, a = np.array([affine + step, -affine - step, step, -step]), np.array([1.0, -1.0, -1.0, 1.0])
    return Network(rows[:, :-1], rows[:, -1], a, found.c)
