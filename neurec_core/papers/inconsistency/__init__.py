"""Inconsistency of gradient descent: two-layer ReLU networks keep their kinks away from the data."""

from __future__ import annotations

from .crossing import CROSSING_PROBABILITY
from .events import EVENT_ESTIMATION
from .examples import TRAINING_EXAMPLES
from .movement import MOVEMENT_EXPONENTS

EXPERIMENTS = (CROSSING_PROBABILITY, EVENT_ESTIMATION, TRAINING_EXAMPLES, MOVEMENT_EXPONENTS)
