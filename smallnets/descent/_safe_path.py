"""How far gradient descent may go before a neuron can change its activation pattern.

A step of gradient descent maps the hidden weights and the output weight (theta, w) of a neuron to
(theta + w v, w + <v, theta>), where v is the step's gradient, the same for all neurons with one pattern, times the step
size. The length of the step is |v|, and the path length of several steps is the sum S of their lengths. The norms
|theta| and |w| grow no faster than under I + |v| [[0, 1], [1, 0]], and in a product of such matrices the terms of even
and of odd order add up to at most cosh S and sinh S. Hence theta moves by at most (cosh S - 1) |theta| + sinh S |w|.
Until that reaches the distance of theta to the nearest hyperplane of a training point, the pattern cannot change.
"""

from __future__ import annotations

from typing import Any

import numpy as np

# Distances to hyperplanes below this share of a neuron's norm are not trusted to rounding.
TRUSTED = 1e-9


def safe_path(margin: Any, theta: Any, w: Any) -> Any:
    """Path length S at which theta may first have moved by the margin; arrays or, once compiled, numbers.

    Parameters
    ----------
    margin : distance that theta may move, >= 0
    theta, w : norm of the hidden weights and absolute value of the output weight, not both zero
    """
    # (cosh S - 1) theta + sinh S w = margin, solved for S without cancellation.
    move = margin * (margin + 2 * theta)
    return np.log1p((margin + move / (np.sqrt(move + w * w) + w)) / (theta + w))
