"""What the experiments share: the citation, whether networks have an output bias, and columns of differences."""

from __future__ import annotations

from neurec_core.experiment import Column, Replay
from neurec_core.params import param

CITATION = "Xia and Xu, Finite Samples for Shallow Neural Networks, 2025 (arXiv 2503.12744)"
BIAS = param(True, "output bias")


def difference(label: str, replay: Replay) -> Column:
    """A column of relative differences of functions, which may not apply."""
    return Column(label, "measure", "of max |f|", logarithmic=True, optional=True, replay=replay)
