"""Local linear recovery: from how few samples is a narrow network recoverable by a wide one?

Zhang, Zhang, Zhang and Bai, "Local Linear Recovery Guarantee of Deep Neural Networks at Overparameterization",
JMLR 26(69), 1-30, 2025 (arXiv 2406.18035).

| equation | function |
|---|---|
| optimistic sample size 2 r d - r^2 of a matrix | `neurec_core.papers.local_linear_recovery.factors.optimistic` |
| Lemma 1 for these very entries | `neurec_core.papers.local_linear_recovery.factors.determined` |
| matrix factorisation A B, gradient descent | `neurec_core.dynamics.factors.descend` |
| Adam with dropout | `neurec_core.dynamics.dropout.train` |
| condensation of (w, b) | `neurec_core.papers.local_linear_recovery.dropout.condensation` |
"""

from __future__ import annotations

from ...experiment import Experiment
from .dropout import DROPOUT
from .factors import MATRIX_AND_TOY

EXPERIMENTS: tuple[Experiment, ...] = (MATRIX_AND_TOY, DROPOUT)
