"""Bands around measured rates."""

from __future__ import annotations

from statistics import NormalDist
from typing import Any

import numpy as np

CONFIDENCE = 0.95


def wilson(hits: Any, trials: Any) -> tuple[Any, Any]:
    """The ends of the 95 % bands of rates; NaN without trials.

    The centre is (k + z^2/2) / (n + z^2) and the half-width z / (n + z^2) sqrt(k (n - k) / n + z^2/4) for k hits of n.

    **Source**: wilson1927probable.
    """
    k, n, z = np.asarray(hits, float), np.asarray(trials, float), NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    with np.errstate(invalid="ignore"):
        half = z / (n + z**2) * np.sqrt(k * (n - k) / n + z**2 / 4)
    centre = (k + z**2 / 2) / (n + z**2)
    # Without rounding the band of no hits begins at 0, and that of nothing but hits ends at 1.
    return np.where(k > 0, centre - half, 0 * half), np.where(k < n, centre + half, 1 + 0 * half)
