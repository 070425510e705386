"""What several experiments declare in the same words."""

from __future__ import annotations

from typing import Any

from neurec_core.params import param

CITATION = (
    "Tian, Jiang, Gong and Morcos, Luck Matters: Understanding Training Dynamics of Deep ReLU Networks, 2019 (arXiv "
    "1905.13405); Tian, Student Specialization in Deep Rectified Networks With Finite Width and Input Dimension, ICML "
    "2020 (arXiv 1909.13458)"
)
README = "the authors' README"
BIASES = param(True, "biases of teacher and student")
FRESH = param(False, "new training points in every epoch")
NORMALIZE = param(False, "student's neurons brought to norm 1 after each step")
WIDTHS = param("10-15-20-25", "neurons of the teacher's hidden layers")


def node_multi(default: int) -> Any:
    """The declaration of the student's width; experiments differ in the default."""
    return param(default, "student neurons per teacher neuron", ge=1, le=100, slider=(1, 10, 1))
