"""Local linear recovery: from how few samples is a narrow network recoverable by a wide one?

Zhang, Zhang, Zhang and Bai, "Local Linear Recovery Guarantee of Deep Neural Networks at Overparameterization",
JMLR 26(69), 1-30, 2025 (arXiv 2406.18035).

============================================  ======================================================================
equation                                      function
============================================  ======================================================================
model rank and empirical rank                 `neurec_core.ranks.tangent_rank`
Lemma 1, the LLR condition                    `neurec_core.ranks.leakage`
Thm. 3, null embedding of deep networks       `neurec_core.deep_nets.embedded`
Thms. 5 and 6, optimistic sample sizes        `neurec_core.papers.local_linear_recovery.theory.optimistic_sample_size`
rank at a point                               `neurec_core.papers.local_linear_recovery.theory.point_rank`
separation from other minima                  `neurec_core.papers.local_linear_recovery.theory.separation_sample_size`
training from small weights                   `neurec_core.dynamics.tanh.train`
Figure 4, Adam with dropout                   `neurec_core.dynamics.dropout.train`
condensation of hidden weights                `neurec_core.papers.local_linear_recovery.dropout.condensation`
2 r d - r^2 for a matrix of rank r            `neurec_core.papers.local_linear_recovery.factors.optimistic`
Lemma 1 for entries of a matrix               `neurec_core.papers.local_linear_recovery.factors.determined`
matrix factorisation by gradient descent      `neurec_core.dynamics.factors.descend`
============================================  ======================================================================
"""

from __future__ import annotations

from .deep import DEEP_RANKS
from .dropout import DROPOUT
from .factors import MATRIX_AND_TOY
from .linearized import LINEARIZED_RECOVERY
from .ranks import RANKS
from .sweeps import HMKT_SWEEP, SAMPLE_SWEEP

EXPERIMENTS = (RANKS, DEEP_RANKS, LINEARIZED_RECOVERY, SAMPLE_SWEEP, HMKT_SWEEP, DROPOUT, MATRIX_AND_TOY)
