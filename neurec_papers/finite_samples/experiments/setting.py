"""What the experiments share: the citation, and the parameter that says whether networks have an output bias."""

from __future__ import annotations

from neurec_core.params import param

CITATION = "Xia and Xu, Finite Samples for Shallow Neural Networks, 2025 (arXiv 2503.12744)"
BIAS = param(True, "output bias")
