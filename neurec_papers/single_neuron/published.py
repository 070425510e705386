"""What the paper's code notes and what its figures say: iterations of the log, angles and norms to compare with."""

from __future__ import annotations

import numpy as np

from smallnets.arguments import checked, whole

LARGEST = 2 * 10**7  # iterations of the published runs, at most
# Figure 7: the largest angle at these scales for d = 4, 16 and 64, centred points, in degrees.
ANGLES = {
    4.0**-2: (99.43, 111.4, 99.76), 4.0**-4: (31.06, 77.97, 13.91), 4.0**-7: (0.5476, 1.915, 0.2189),
    4.0**-10: (8.570e-3, 2.996e-2, 3.421e-3), 4.0**-13: (1.339e-4, 4.682e-4, 5.343e-5),
}  # fmt: skip
# The nuclear norm at these scales for d = 4, centred points.
NUCLEAR = {16.0: 32.9, 4.0: 7.96, 1.0: 2.51, 4.0**-1: 1.38, 4.0**-2: 1.09, 4.0**-4: 1.01, 4.0**-7: 1.00}


@checked(steps=whole("steps", "[1, inf)"))
def schedule(steps: int) -> np.ndarray:
    """The published iterations to note: 0 and whole parts of powers, the last one `steps`.

    **Source**: the paper's code; 405 rows for 2 10^4 iterations, 637 for 10^6, 815 for 2 10^7, and the start here.
    """
    last = int(np.ceil(999 * np.log(steps) / np.log(LARGEST)))
    powers = np.floor(float(LARGEST) ** (np.arange(last + 1) / 999)).astype(np.int64)
    return np.unique([0, *powers[:-1], steps])
