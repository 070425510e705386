"""Does small initialisation align the neurons? Angles against scale, width and spread, for one and two teachers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from neurec_core.experiment import Experiment, Grid

from .setup import CITATION, sample
from .training import COLUMNS, Training, score, solve

SCALES = [4.0**e for e in range(2, -14, -1)]  # as published
SPREADS = [i / 10 for i in range(1, 21)]
BOTH = {"data": ["centred", "uncentred"]}
TWO: dict[str, Any] = {"teachers": "two", "d": 16, "m": 25, "scale": 4.0**-7}


def _experiment(name: str, question: str, presets: dict[str, Grid], first: Sequence[str]) -> Experiment:
    """One of those that differ in what is varied, with some columns first."""
    columns = {name: COLUMNS[name] for name in [*first, *(name for name in COLUMNS if name not in first)]}
    return Experiment(
        name=f"single_neuron.{name}", question=question, params=Training, sample=sample, solve=solve, score=score,
        columns=columns, presets=presets, citation=CITATION,
    )  # fmt: skip


ALIGNMENT_VS_SCALE = _experiment(
    "alignment_vs_scale",
    "Is the largest angle between neurons proportional to the scale of initialisation?",
    {
        "tiny": Grid({**BOTH, "scale": [1.0, 4.0**-3]}, trials=2, fixed={"d": 3, "m": 8, "steps": 20_000}),
        "quick": Grid({**BOTH, "scale": SCALES[::3]}, trials=3, fixed={"d": 4, "m": 50}),
        "paper": Grid({"d": [4, 16, 64, 256, 1024], **BOTH, "scale": SCALES}, trials=5, fixed={"m": 200}),
        "part": Grid({"d": [4, 16], **BOTH, "scale": SCALES}, trials=5, fixed={"m": 200}, published=5),
        "part_64": Grid({**BOTH, "scale": SCALES}, trials=5, fixed={"d": 64, "m": 200, "tail": 1e-6}, published=3),
        "part_64_large": Grid({"scale": SCALES[:4]}, trials=5, fixed={"d": 64, "m": 200, "tail": 1e-6}, published=4),
        "stopped": Grid(
            {"steps": [10_000, 100_000]},
            trials=3,
            fixed={"d": 64, "m": 200, "data": "uncentred", "scale": 4.0**-3, "tail": 1e-6},
            published=3,
        ),
        "part_256": Grid({**BOTH, "scale": SCALES[2::3]}, trials=1, fixed={"d": 256, "m": 200, "tail": 1e-6}),
        "published_angles": Grid(
            {"d": [4], **BOTH, "scale": SCALES[-6:]}, trials=5, fixed={"m": 200, "angles": "arccos"}, published=5
        ),
    },
    ["max_angle", "mean_angle", "nuclear"],
)
WIDTH_STUDY = _experiment(
    "width_study",
    "Does the width of the network change how its neurons align?",
    {
        "tiny": Grid({"m": [4, 8]}, trials=2, fixed={"d": 3, "scale": 4.0**-3, "steps": 20_000}),
        "quick": Grid({"m": [25, 50, 200], "scale": [1.0, 4.0**-3, 4.0**-6]}, trials=3, fixed={"d": 4}),
        "paper": Grid({"m": [25, 50, 200], **BOTH, "scale": SCALES}, trials=5, fixed={"d": 1024}),
        "part": Grid({"m": [25, 50, 200, 800], **BOTH, "scale": SCALES}, trials=5, fixed={"d": 16}, published=2),
    },
    ["max_angle", "mean_angle", "nuclear"],
)
TWO_TEACHERS = _experiment(
    "two_teachers",
    "With two opposite teachers, do the neurons of either sign still end in one bundle?",
    {
        "tiny": Grid(
            {"spread": [0.5, 1.0]}, trials=2,
            fixed={"teachers": "two", "d": 3, "m": 12, "scale": 4.0**-3, "steps": 20_000, "step": 0.03},
        ),
        "quick": Grid({"spread": [0.1, 0.5, 1.0]}, trials=3, fixed={**TWO, "d": 4, "target": 1e-6}),
        "paper": Grid({**BOTH, "spread": SPREADS}, trials=15, fixed=TWO),
        "part": Grid(
            {**BOTH, "spread": [*SPREADS[1::2], 3.0, 4.0, 5.0, 6.0]}, trials=15,
            fixed={**TWO, "steps": 1_000_000}, published=5,
        ),
    },
    ["max_angle", "negative_angle"],
)  # fmt: skip
