"""Inconsistency of gradient descent: wide two-layer ReLU networks keep their kinks away from the data.

Holzmüller and Steinwart, "Training Two-Layer ReLU Networks with Gradient Descent is Inconsistent", JMLR 23(181), 1-82,
2022 (arXiv 2002.04861).

================================================  ==============================================================
equation                                          function
================================================  ==============================================================
Prop. C.2 and C.5, the closed system of a side    `neurec_core.dynamics.sides.step`
the same, many networks side by side              `neurec_core.dynamics.lanes.run`
H and the step size 1/lambda_max(H)               `neurec_core.dynamics.certificate.largest_step`
the sufficient condition                          `neurec_core.dynamics.certificate.converged`
a training from start to end, with all criteria   `neurec_core.dynamics.lives.live`
the same, neuron by neuron                        `neurec_core.dynamics.neurons.advance`
App. E, the event                                 `neurec_core.papers.inconsistency.law.event_probabilities`
the law of crossing, derived here                 `neurec_core.papers.inconsistency.law.crossing_probability`
star data set                                     `neurec_core.dynamics.grouped.descend`
Section 10, comparison of training setups         `neurec_core.papers.inconsistency.comparison.solve`
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
