"""Inconsistency of gradient descent: two-layer ReLU networks keep their kinks away from the data."""

from __future__ import annotations

from .crossing import CROSSING_PROBABILITY

EXPERIMENTS = (CROSSING_PROBABILITY,)
