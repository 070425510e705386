"""Which of some vectors add up to a given one: a meeting in the middle, 2^(n/2) sums instead of 2^n."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from smallnets.arguments import array, checked, number

LIMIT = 32  # vectors; 2^16 sums in each half
Vector = tuple[Fraction, ...]


def sums(vectors: np.ndarray) -> np.ndarray:
    """Sums of all subsets of ``vectors (n, D)``, ``(2^n, D)``; bit q of a row's number says whether vector q is in."""
    found = np.zeros((1, vectors.shape[1]))
    for vector in vectors:
        found = np.concatenate([found, found + vector])
    return found


@checked(
    vectors=array("vectors", "n D", empty=True),
    target=array("sum", "D", empty=True),
    tolerance=number("largest distance", "[0, inf)"),
)
def subset_sum(vectors: np.ndarray, target: np.ndarray, tolerance: float) -> np.ndarray | None:
    """Which vectors ``(n, D)`` add up to the target ``(D,)``, as booleans ``(n,)``; None if none do.

    Sums of the second half are sorted along a fixed direction, on which two vectors are never farther apart than they
    are; what lies within the tolerance there is compared in full.

    Parameters
    ----------
    tolerance : the largest distance that counts as none, in the vectors' own unit
    """
    n, D = vectors.shape
    half = n // 2
    left, right = sums(vectors[:half]), sums(vectors[half:])
    along = np.sqrt(np.arange(2.0, D + 2))  # no two of its entries are in a simple ratio
    along /= max(float(np.linalg.norm(along)), 1.0)
    order = np.argsort(right @ along, kind="stable")
    keys, wanted = (right @ along)[order], (target - left) @ along
    low, high = np.searchsorted(keys, wanted - tolerance), np.searchsorted(keys, wanted + tolerance, side="right")
    for i in np.flatnonzero(high > low):
        near = order[low[i] : high[i]]
        apart = np.linalg.norm(left[i] + right[near] - target, axis=1)
        if apart.min() <= tolerance:
            j = near[apart.argmin()]
            return np.concatenate([(i >> np.arange(half)) & 1, (j >> np.arange(n - half)) & 1]) == 1
    return None


def exact_subset_sum(vectors: Sequence[Vector], target: Vector) -> list[bool] | None:
    """The same for rational numbers, without a tolerance."""
    half = len(vectors) // 2
    left, right = _exact_sums(vectors[:half], len(target)), _exact_sums(vectors[half:], len(target))
    places = {total: j for j, total in reversed(list(enumerate(right)))}
    for i, total in enumerate(left):
        j = places.get(tuple(t - s for t, s in zip(target, total, strict=True)))
        if j is not None:
            number = i | j << half
            return [bool(number >> q & 1) for q in range(len(vectors))]
    return None


def _exact_sums(vectors: Sequence[Vector], D: int) -> list[Vector]:
    found: list[Vector] = [(Fraction(0),) * D]
    for vector in vectors:
        found += [tuple(s + v for s, v in zip(total, vector, strict=True)) for total in found]
    return found
