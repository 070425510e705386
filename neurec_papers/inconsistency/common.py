"""What the paper's experiments share: the citation and the six points."""

from __future__ import annotations

import numpy as np

CITATION = (
    "Holzmüller and Steinwart, Training Two-Layer ReLU Networks with Gradient Descent is Inconsistent, "
    "JMLR 23(181), 1-82, 2022 (arXiv 2002.04861)"
)

# Example 1: on either side the best line is y = 0, and the best function that is affine on each side has risk 1.
X_SIX = np.array([-1.0, -2.0, -3.0, 1.0, 2.0, 3.0])
Y_SIX = np.array([-1.0, 2.0, -1.0, 1.0, -2.0, 1.0])
