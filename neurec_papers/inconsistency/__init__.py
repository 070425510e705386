"""Inconsistency of gradient descent: when do the kinks stay where the initialisation put them?

Holzmüller and Steinwart, "Training Two-Layer ReLU Networks with Gradient Descent is Inconsistent", JMLR 23(181), 1-82,
2022 (arXiv 2002.04861).

================================================  ==============================================================
equation                                          function
================================================  ==============================================================
Prop. C.2 and C.5, the closed system of a side    `smallnets.descent.line.kernels.step_one`
the same, many networks side by side              `smallnets.descent.line.kernels.train`
H and the step size 1/lambda_max(H)               `smallnets.descent.line.certificate.largest_step`
the sufficient condition                          `smallnets.descent.line.certificate.certified`
a training from start to end, with all criteria   `smallnets.descent.line.training.train`
the same, neuron by neuron                        `neurec_papers.inconsistency.engine.neurons.advance`
App. E, the event                                 `neurec_papers.inconsistency.theory.event_probabilities`
the law of crossing, derived here                 `neurec_papers.inconsistency.theory.crossing_probability`
star data set                                     `smallnets.descent.grouped.descend`
Section 10, comparison of training setups         `neurec_papers.inconsistency.experiments.comparison.solve`
================================================  ==============================================================
"""

from __future__ import annotations

from .experiments.comparison import COMPARISON
from .experiments.crossing import CROSSING_PROBABILITY
from .experiments.events import EVENT_ESTIMATION
from .experiments.examples import TRAINING_EXAMPLES
from .experiments.movement import MOVEMENT_EXPONENTS
from .experiments.star import STAR

EXPERIMENTS = (CROSSING_PROBABILITY, TRAINING_EXAMPLES, EVENT_ESTIMATION, STAR, COMPARISON, MOVEMENT_EXPONENTS)
CITED = ("holzmuller2022training",)
