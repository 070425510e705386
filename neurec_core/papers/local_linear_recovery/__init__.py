"""Local linear recovery: from how few samples is a narrow network recoverable by a wide one?

Zhang, Zhang, Zhang and Bai, "Local Linear Recovery Guarantee of Deep Neural Networks at Overparameterization",
JMLR 26(69), 1-30, 2025 (arXiv 2406.18035).

================================================  ==============================================================
equation                                          function
================================================  ==============================================================
Section 3, model rank and empirical rank          `neurec_core.ranks.tangent_rank`
Lemma 1, the LLR condition                        `neurec_core.ranks.leakage`
Thm. 3, null embedding of deep networks           `neurec_core.deep_nets.embedded`
Thms. 5 and 6, optimistic sample sizes            `neurec_core.theory.optimistic_sample_size`
rank at a point                                   `neurec_core.theory.point_rank`
separation from other minima                      `neurec_core.theory.separation_sample_size`
Section 5, training from small weights            `neurec_core.dynamics.tanh.train`
================================================  ==============================================================
"""

from __future__ import annotations

from .deep import DEEP_RANKS
from .linearized import LINEARIZED_RECOVERY
from .ranks import RANKS
from .sweeps import HMKT_SWEEP, SAMPLE_SWEEP

EXPERIMENTS = (RANKS, DEEP_RANKS, LINEARIZED_RECOVERY, SAMPLE_SWEEP, HMKT_SWEEP)
