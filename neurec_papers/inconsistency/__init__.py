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
the same, neuron by neuron                        `neurec_papers.inconsistency.neurons.advance`
App. E, the event                                 `neurec_papers.inconsistency.law.event_probabilities`
the law of crossing, derived here                 `neurec_papers.inconsistency.law.crossing_probability`
star data set                                     `smallnets.descent.grouped.descend`
Section 10, comparison of training setups         `neurec_papers.inconsistency.comparison.solve`
================================================  ==============================================================
"""

from __future__ import annotations

from .comparison import COMPARISON
from .crossing import CROSSING_PROBABILITY
from .events import EVENT_ESTIMATION
from .examples import TRAINING_EXAMPLES
from .movement import MOVEMENT_EXPONENTS
from .star import STAR

EXPERIMENTS = (CROSSING_PROBABILITY, TRAINING_EXAMPLES, EVENT_ESTIMATION, STAR, COMPARISON, MOVEMENT_EXPONENTS)
CITED = ("holzmuller2022training",)
