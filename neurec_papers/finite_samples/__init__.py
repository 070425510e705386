"""Finite samples: which points distinguish a small network from all others of its width?

Xia and Xu, "Finite Samples for Shallow Neural Networks", 2025 (arXiv 2503.12744). Only a summary of its abstract was at
hand, and nothing of its text: claims are in our words, and all criteria, sampling sets, counts and proofs are derived
here; they may differ from the paper's.

==============================================  =======================================================================
equation                                        function
==============================================  =======================================================================
f = sum_k alpha_k max(0, z_k) + l               `neurec_papers.finite_samples.engine.irreducibility.bends`
least width n, n + 1 or n + 2                   `neurec_papers.finite_samples.engine.irreducibility.reduce`
sum_{j in I} a_j (w_j, b_j) = 0, by halves      `neurec_papers.finite_samples.engine.subsets.subset_sum`
the same, exactly                               `neurec_papers.finite_samples.engine.subsets.exact_subset_sum`
all orientations, one by one                    `neurec_papers.finite_samples.engine.irreducibility.enumerated`
no finite set serves all ReLU networks          `neurec_papers.finite_samples.engine.competitors.hidden_pair`
an opposite pair, parted beyond all points      `neurec_papers.finite_samples.engine.competitors.split_pair`
what else fits samples of one network           `neurec_papers.finite_samples.engine.competitors.competitor`
2(m + 1) points on a line                       `neurec_papers.finite_samples.engine.line.sample_points`
the function back from them                     `neurec_papers.finite_samples.engine.line.recover`
m(d - 1) + 1 lines                              `neurec_papers.finite_samples.theory.least_lines`
hyperplanes back from kinks on lines            `neurec_papers.finite_samples.engine.space.recover_in_space`
4^m points for tanh and logistic networks       `neurec_papers.finite_samples.theory.points_on_line`
(4m - 1)(d - 1) + 1 directions                  `neurec_papers.finite_samples.theory.directions_needed`
least squares over hidden weights               `neurec_papers.finite_samples.engine.analytic.fit`
permutations and signs                          `neurec_papers.finite_samples.engine.analytic.distance`
zeros of a difference, at most 4^m - 1          `neurec_papers.finite_samples.engine.analytic.most_sign_changes`
==============================================  =======================================================================
"""

from __future__ import annotations

from .experiments.analytic_recovery import ANALYTIC_RECOVERY
from .experiments.irreducibility import IRREDUCIBILITY
from .experiments.non_identifiability import NON_IDENTIFIABILITY
from .experiments.relu_recovery import RELU_RECOVERY

EXPERIMENTS = (IRREDUCIBILITY, NON_IDENTIFIABILITY, RELU_RECOVERY, ANALYTIC_RECOVERY)
CITED = ("xia2025finite",)
