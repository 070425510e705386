"""Learning a single neuron: which of all interpolating networks does gradient flow choose?

Chistikov, Englert and Lazic, "Learning a Neuron by a Shallow ReLU Network: Dynamics and Implicit Bias for Correlated
Inputs", NeurIPS 2023 (arXiv 2306.06479).

============================================  ======================================================================
equation                                      function
============================================  ======================================================================
Theorem 8, dual basis of the points           `smallnets.geometry.dual_basis.dual_basis`
Theorem 8, M and its sign                     `smallnets.geometry.dual_basis.margin`
Theorem 8, two neurons of less norm           `smallnets.geometry.dual_basis.cheaper`
Theorem 8, its family with M < 0              `neurec_papers.single_neuron.theory.points_below`
Theorem 8, its family with M > 0              `neurec_papers.single_neuron.theory.points_above`
least norm of all networks that fit           `smallnets.convex.interpolation.least_norm`
gradient descent                              `smallnets.descent.relu.descend`
the limit of shorter steps                    `neurec_papers.single_neuron.experiments.trajectories.shrinking_steps`
order of the coordinates                      `neurec_papers.single_neuron.theory.crossed_in_order`
Theorem 6, gradient against loss              `neurec_papers.single_neuron.theory.gradient_share`
conserved differences                         `neurec_papers.single_neuron.theory.imbalance`
Lemma 34, sizes of yardsticks                 `neurec_papers.single_neuron.theory.limiting_sizes`
all that the published code logs              `neurec_papers.single_neuron.engine.logged`
============================================  ======================================================================
"""

from __future__ import annotations

from .experiments.min_norm import MIN_RANK_VS_MIN_NORM
from .experiments.sweeps import ALIGNMENT_VS_SCALE, TWO_TEACHERS, WIDTH_STUDY
from .experiments.trajectories import TRAJECTORIES, shrinking_steps

__all__ = [
    "ALIGNMENT_VS_SCALE", "EXPERIMENTS", "MIN_RANK_VS_MIN_NORM", "TRAJECTORIES", "TWO_TEACHERS", "WIDTH_STUDY",
    "shrinking_steps",
]  # fmt: skip
EXPERIMENTS = (ALIGNMENT_VS_SCALE, WIDTH_STUDY, TRAJECTORIES, TWO_TEACHERS, MIN_RANK_VS_MIN_NORM)
CITED = ("chistikov2023learning",)
