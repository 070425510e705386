"""Counts in closed form that the searches rest on; those of cells and edges are in `smallnets.geometry`."""

from __future__ import annotations

from math import comb

import numpy as np

from smallnets.arguments import checked, whole


@checked(cells=whole("cells"), m=whole("neurons"))
def signed_sets(cells: int, m: int) -> int:
    """How many sets of m signed cells there are, repetitions included."""
    return comb(cells + m - 1, m) * 2**m


def written(number: int) -> str:
    """A whole number that may have thousands of digits, in short."""
    return f"{number:.0e}" if number.bit_length() < 1000 else f"1e+{int(number.bit_length() * np.log10(2))}"
