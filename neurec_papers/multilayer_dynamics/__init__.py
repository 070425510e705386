"""Deep students of deep teachers: which student neurons come to match which teacher neurons, and when?

Tian, Jiang, Gong and Morcos, "Luck Matters: Understanding Training Dynamics of Deep ReLU Networks", 2019 (arXiv
1905.13405), and Tian, "Student Specialization in Deep Rectified Networks With Finite Width and Input Dimension", ICML
2020 (arXiv 1909.13458).

The texts of both papers were not at hand: what is stated of them comes from their abstracts and their code.

==============================================  ======================================================================
equation                                        function
==============================================  ======================================================================
matrix rule, all its variants                   `neurec_papers.multilayer_dynamics.engine.matrix_ascent.ascend`
its expectation over normal inputs              `neurec_papers.multilayer_dynamics.theory.population`
L, L*, H, H*, beta, beta* of a batch            `neurec_papers.multilayer_dynamics.engine.measures.products`
beta(x) sample by sample                        `neurec_papers.multilayer_dynamics.engine.measures.per_sample_beta`
over-parameterisation, fan-out                  `neurec_papers.multilayer_dynamics.engine.measures.fan_out`
correlation of neurons                          `neurec_papers.multilayer_dynamics.engine.specialization.correlations`
ranks of the winners                            `neurec_papers.multilayer_dynamics.engine.specialization.winner_ranks`
deep students by SGD                            `smallnets.descent.deep_training.train`
tian2020student, diagonal of beta               `neurec_papers.multilayer_dynamics.engine.measures.beta_diagonal`
tian2020student, MatchCnt                       `neurec_papers.multilayer_dynamics.engine.specialization.matches`
tian2020student, weaker and weaker neurons      `neurec_papers.multilayer_dynamics.experiments.two_layer.teacher`
==============================================  ======================================================================
"""

from __future__ import annotations

from .experiments.luck import LUCK
from .experiments.matrix_rule import MATRIX_RULE
from .experiments.reconstruction import DEEP_SPECIALIZATION, KNOBS, RECONSTRUCTION
from .experiments.two_layer import TWO_LAYER_SPECIALIZATION

EXPERIMENTS = (MATRIX_RULE, LUCK, RECONSTRUCTION, KNOBS, TWO_LAYER_SPECIALIZATION, DEEP_SPECIALIZATION)
CITED = ("tian2019luck", "tian2020student")
