"""Local linear recovery: from how few samples is a narrow network recoverable by a wide one?

Zhang, Zhang, Zhang and Bai, "Local Linear Recovery Guarantee of Deep Neural Networks at Overparameterization",
JMLR 26(69), 1-30, 2025 (arXiv 2406.18035).

========================================  ===========================================================================
equation                                  function
========================================  ===========================================================================
model rank and empirical rank             `smallnets.nets.ranks.tangent_rank`
Lemma 1, the LLR condition                `smallnets.nets.ranks.leakage`
Thm. 3, null embedding of deep networks   `smallnets.nets.deep_nets.embedded`
Thms. 5 and 6, optimistic sample sizes    `neurec_papers.local_linear_recovery.theory.optimistic_sample_size`
separation from other minima              `neurec_papers.local_linear_recovery.theory.separation_sample_size`
training from small weights               `smallnets.descent.tanh.train`
Figure 4, Adam with dropout               `neurec_papers.local_linear_recovery.engine.dropout.train`
condensation of hidden weights            `neurec_papers.local_linear_recovery.engine.dropout.condensation`
2 r d - r^2 for a matrix of rank r        `neurec_papers.local_linear_recovery.theory.matrix_rank_size`
Lemma 1 for entries of a matrix           `neurec_papers.local_linear_recovery.experiments.matrix_and_toy.determined`
matrix factorisation by gradient descent  `neurec_papers.local_linear_recovery.engine.factors.descend`
========================================  ===========================================================================
"""

from __future__ import annotations

from .experiments.dropout import DROPOUT
from .experiments.linearized_recovery import LINEARIZED_RECOVERY
from .experiments.matrix_and_toy import MATRIX_AND_TOY
from .experiments.ranks import DEEP_RANKS, RANKS
from .experiments.training import HMKT_SWEEP, SAMPLE_SWEEP

EXPERIMENTS = (RANKS, DEEP_RANKS, LINEARIZED_RECOVERY, SAMPLE_SWEEP, HMKT_SWEEP, DROPOUT, MATRIX_AND_TOY)
CITED = ("zhang2025local",)
