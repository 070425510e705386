"""Convex recovery: when does the minimal-norm ReLU network find the planted model?

Wang, Hua, Candes and Pilanci, "Overparameterized ReLU Neural Networks Learn the Simplest Models: Neural
Isometry and Exact Recovery", IEEE Trans. Inf. Theory 71(3), 1926-1977, 2025 (arXiv 2209.15265).

=====================================  ==============================================
equation                               function
=====================================  ==============================================
eq. (15), relaxed minimal norm, skip   `neurec_core.convex.programs.min_norm_skip`
Definition 2, isometry condition       `neurec_core.convex.certify.isometry`
existence of the all-ones pattern      `neurec_core.patterns.all_ones`
=====================================  ==============================================
"""

from __future__ import annotations

from .clusters import CLUSTER_PATTERNS
from .isometry import ISOMETRY
from .normalized import NORMALIZED_DISTANCE, NORMALIZED_RECOVERY
from .skip import SKIP_DISTANCE, SKIP_RECOVERY

EXPERIMENTS = (SKIP_RECOVERY, SKIP_DISTANCE, NORMALIZED_RECOVERY, NORMALIZED_DISTANCE, ISOMETRY, CLUSTER_PATTERNS)
