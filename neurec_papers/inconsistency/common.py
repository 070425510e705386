"""What the paper's experiments share: the citation and the six points."""

from __future__ import annotations

import numpy as np

from neurec_core.params import param

CITATION = (
    "Holzmüller and Steinwart, Training Two-Layer ReLU Networks with Gradient Descent is Inconsistent, "
    "JMLR 23(181), 1-82, 2022 (arXiv 2002.04861)"
)
POINTS = param(None, "training points (none: m²)", ge=1, le=4_000_000_000_000_000_000)

# Example 1: on either side the best line is y = 0, and the best function that is affine on each side has risk 1.
X_SIX = np.array([-1.0, -2.0, -3.0, 1.0, 2.0, 3.0])
Y_SIX = np.array([-1.0, 2.0, -1.0, 1.0, -2.0, 1.0])
