"""Local linear recovery: from how few samples is a narrow network recoverable by a wide one?

Zhang, Zhang, Zhang and Bai, "Local Linear Recovery Guarantee of Deep Neural Networks at Overparameterization",
JMLR 26(69), 1-30, 2025 (arXiv 2406.18035).
"""

from __future__ import annotations

from .sweeps import HMKT_SWEEP, SAMPLE_SWEEP

EXPERIMENTS = (SAMPLE_SWEEP, HMKT_SWEEP)
