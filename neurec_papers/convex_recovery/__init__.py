"""Convex recovery: when does the network of least norm equal the planted one?

Wang, Hua, Candes and Pilanci, "Overparameterized ReLU Neural Networks Learn the Simplest Models: Neural
Isometry and Exact Recovery", IEEE Trans. Inf. Theory 71(3), 1926-1977, 2025 (arXiv 2209.15265).

The text of the paper was not at hand: numbers of its equations, definitions and figures are those that a public
re-implementation, adzcai/neural-recovery, gives.

=========================================  =====================================================
equation                                   function
=========================================  =====================================================
eq. (15), minimal norm, gated, skip        `smallnets.convex.programs.min_norm_skip`
eq. (15) without w_0                       `smallnets.convex.programs.min_norm_plain`
eq. (17), minimal norm, gated, normalised  `smallnets.convex.programs.min_norm_normalized`
eq. (6), minimal norm, ReLU, skip          `smallnets.convex.programs.min_norm_skip_exact`
eq. (11), minimal norm, ReLU               `smallnets.convex.programs.min_norm_plain_exact`
eq. (16), minimal norm, ReLU, normalised   `smallnets.convex.programs.min_norm_normalized_exact`
eq. (211), weight decay, skip              `smallnets.convex.programs.train_skip`
eq. (212), weight decay, normalised        `smallnets.convex.programs.train_normalized`
the same, solved to a duality gap          `smallnets.convex.solving.solve`
is the plant the only solution?            `smallnets.convex.recovery.decide`
Definitions 2 to 6, isometry conditions    `smallnets.convex.certify.isometry`
existence of the all-ones pattern          `smallnets.geometry.patterns.all_ones`
the networks themselves, trained           `neurec_papers.convex_recovery.engine.descent.descend`
=========================================  =====================================================
"""

from __future__ import annotations

from .experiments.clusters import CLUSTER_PATTERNS
from .experiments.network_training import NETWORK_TRAINING
from .experiments.programs import (
    CONVEX_TRAINING,
    ISOMETRY,
    NORMALIZED_DISTANCE,
    NORMALIZED_RECOVERY,
    SKIP_DISTANCE,
    SKIP_RECOVERY,
)

EXPERIMENTS = (
    SKIP_RECOVERY,
    SKIP_DISTANCE,
    NORMALIZED_RECOVERY,
    NORMALIZED_DISTANCE,
    ISOMETRY,
    CONVEX_TRAINING,
    NETWORK_TRAINING,
    CLUSTER_PATTERNS,
)
CITED = ("wang2025overparameterized",)
