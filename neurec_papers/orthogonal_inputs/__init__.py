"""Orthogonal inputs: why does the loss stand still, fall, and stand still again?

Boursier, Pillaud-Vivien and Flammarion, "Gradient flow dynamics of shallow ReLU networks for square loss and orthogonal
inputs", NeurIPS 2022 (arXiv 2206.00939). Only its abstract and its code were at hand: its
claims are stated in our words, and the formulas are derived here.

==========================================  ==========================================================================
equation                                    function
==========================================  ==========================================================================
D_A, what a neuron active on A grows along  `neurec_papers.orthogonal_inputs.theory.direction`
S+ and S-, extremal neurons                 `neurec_papers.orthogonal_inputs.theory.extremal`
P(S+ empty) = (1 - 2^-(n_+ + 1))^m          `neurec_papers.orthogonal_inputs.theory.none_extremal_probability`
alignment, event by event                   `neurec_papers.orthogonal_inputs.engine.aligned`
step of an escape                           `neurec_papers.orthogonal_inputs.engine.escape`
logistic growth on one point                `neurec_papers.orthogonal_inputs.theory.logistic`
losses at the saddles                       `neurec_papers.orthogonal_inputs.theory.plateaus`
minimum variation norm                      `neurec_papers.orthogonal_inputs.theory.minimum_norm`
its network, w+ and w-                      `neurec_papers.orthogonal_inputs.theory.ends`
excess at finite scale                      `neurec_papers.orthogonal_inputs.theory.excess_exponent`
gradient descent                            `smallnets.descent.relu.descend`
the published random numbers                `neurec_papers.orthogonal_inputs.published.high_dimension`
==========================================  ==========================================================================
"""

from __future__ import annotations

from .experiments.high_dimension import HIGH_DIMENSION
from .experiments.line import NON_ORTHOGONAL_TOY
from .experiments.saddles import SADDLE_TO_SADDLE

EXPERIMENTS = (SADDLE_TO_SADDLE, NON_ORTHOGONAL_TOY, HIGH_DIMENSION)
CITED = ("boursier2022gradient",)
