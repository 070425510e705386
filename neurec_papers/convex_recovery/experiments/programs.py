"""Convex programs: is the plant the fit of least norm, and how far is it from a noisy fit, or one with weight decay?"""

from __future__ import annotations

from functools import partial
from typing import Any

from neurec_core.experiment import Claim, Column, Experiment, Grid, Replay
from neurec_core.figures import PhaseDiagram

from ..engine import data
from . import claims, isometry, planted, shared
from .shared import NOISE_LEVELS, PUBLISHED


def distance(label: str, optional: bool = False) -> Column:
    """A column that holds a Euclidean norm, found again to four digits."""
    return Column(label, "measure", "2-norm", optional=optional, replay=Replay(1e-4, floor=1e-4))


RECOVERY = {
    "recovered": Column("recovered: the plant is the only solution", "event"),
    "unique": Column("no other net found that fits at the same cost", "event"),
    "margin": Column(
        "margin of the proof: 1 - largest norm, or the share of the cost saved",
        "measure",
        optional=True,  # a cone solver proves nothing
        replay=Replay(0.01, chaotic=0.3),
    ),
    "all_ones": Column("some direction is active on every point", "event"),
    "isometry": Column(
        "largest norm of the isometry condition; NaN without a consistent dual vector",
        "measure",
        optional=True,
        replay=Replay(1e-4, chaotic=0.2),
    ),
    "isometry_held": Column("isometry condition holds (all norms < 1)", "event"),
}
NORMALIZED_RECOVERY_COLUMNS = {name: column for name, column in RECOVERY.items() if name != "all_ones"}
DISTANCE = {
    "weight_distance": distance("distance of the planted blocks' weights from the plant"),
    "stray": distance("norm of the weights of all other blocks"),
    "unique": Column("the solution is the only one; else that of least Euclidean norm is measured", "event"),
    "gap": Column("relative duality gap of the solution", "measure", replay=Replay(1e-4, floor=1e-8)),
}
SKIP_DISTANCE_COLUMNS = {
    "weight_distance": DISTANCE["weight_distance"],
    "test_distance": distance("distance from the plant on n fresh points, gated as fitted"),
    "test_distance_relu": distance("the same with ReLU in place of the gates, as published"),
    **DISTANCE,
    "all_ones": RECOVERY["all_ones"],
}
TRAINING = {
    "weight_distance": DISTANCE["weight_distance"],
    "test_distance": distance("distance from the plant on n fresh points", optional=True),
    "stray": DISTANCE["stray"],
    "residual": Column("distance of the outputs from the labels", "measure", "2-norm", replay=Replay(1e-4, floor=1e-8)),
    **DISTANCE,
}


SHRUNK, AXIS, OPPOSITE = ({"plant": plant} for plant in ("smallest_singular", "axis", "opposite"))
NOISY, TWO = {"sigma": NOISE_LEVELS, **PUBLISHED}, {"model": "normalized", "k": 2}
MEASURED = "measured by an independent program"
EVERYWHERE: dict[str, Any] = {"sample": data.sample, "citation": shared.CITATION, "batch": 5}

SKIP_RECOVERY = Experiment(
    name="convex_recovery.skip_recovery",
    question="Does the minimal-norm ReLU network with a skip connection recover a planted linear neuron?",
    params=planted.SkipRecovery,
    solve=planted.decide,
    score=partial(planted.score, tuple(RECOVERY)),
    columns=RECOVERY,
    presets={
        "tiny": Grid({"n": [6, 16], "d": [4]}, 2),
        "quick": Grid({"n": range(10, 101, 10), "d": range(5, 31, 5)}, 10),
        "paper": Grid(
            {"design": list(data.DESIGNS), "plant": ["random", "smallest_singular"], **PUBLISHED}, 5, published=5
        ),
        "paper_exact": Grid(PUBLISHED, 5, {**SHRUNK, "program": "exact"}, published=5),
    },
    guides=shared.SKIP_GUIDES,
    figures={
        "random": PhaseDiagram("n", "d", None, "design", {"program": "relaxed", "plant": "random"}),
        "smallest_singular": PhaseDiagram("n", "d", None, "design", {**SHRUNK, "program": "relaxed"}),
        "program": PhaseDiagram("n", "d", None, "program", {"plant": "smallest_singular", "design": "gaussian"}),
    },
    claims=(
        Claim(claims.all_ones_recovered, 0, 0, "derived here"),
        Claim(claims.held_in_vain, 0, 0, "derived here"),
        Claim(claims.furthest_edge, 2, 0.1, "wendel1962problem"),
        Claim(claims.whitened_exceptions, 0, 0, "derived here"),
        Claim(claims.shrunk_edge, 2.65, 0.35, MEASURED),
        Claim(claims.shrunk_condition, 3.15, 0.45, MEASURED),
        Claim(claims.sufficient_only, 0.75, 0.74, MEASURED),
        Claim(claims.exact_edge, 1.725, 0.325, MEASURED),
        Claim(claims.lost_by_relu, 0, 0, "derived here"),
    ),
    **EVERYWHERE,
)

NORMALIZED_RECOVERY = Experiment(
    name="convex_recovery.normalized_recovery",
    question="Does the minimal-norm network with a normalised layer recover k planted neurons?",
    params=planted.NormalizedRecovery,
    solve=planted.decide,
    score=partial(planted.score, tuple(NORMALIZED_RECOVERY_COLUMNS)),
    columns=NORMALIZED_RECOVERY_COLUMNS,
    presets={
        "tiny": Grid({"n": [6, 16], "d": [4]}, 2, {"k": 2}),
        "quick": Grid({"n": range(10, 101, 10), "d": [5, 10, 15, 20]}, 10),
        "paper": Grid({"k": [1, 2, 3], **PUBLISHED}, 5, published=5),
        "paper_axis": Grid({"k": [2, 3], **PUBLISHED}, 5, AXIS, published=5),
        "paper_opposite": Grid({"k": [2], **PUBLISHED}, 5, OPPOSITE, published=5),
    },
    guides=shared.NORMALIZED_GUIDES,
    figures={plant: PhaseDiagram("n", "d", None, "k", {"plant": plant}) for plant in ("random", "axis", "opposite")},
    claims=(
        Claim(claims.one_neuron, 1.25, 0.25, "derived here"),
        Claim(claims.two_neurons, 4, 0.7, MEASURED),
        Claim(claims.three_neurons, 5.75, 0.75, MEASURED),
    ),
    **EVERYWHERE,
)

SKIP_DISTANCE = Experiment(
    name="convex_recovery.skip_distance",
    question="How far from a planted linear neuron is the minimal-norm fit of noisy labels?",
    params=planted.SkipDistance,
    solve=planted.solve,
    score=partial(planted.score, tuple(SKIP_DISTANCE_COLUMNS)),
    columns=SKIP_DISTANCE_COLUMNS,
    presets={
        "tiny": Grid({"n": [6, 16], "d": [4]}, 2, {"sigma": 0.1}),
        "quick": Grid({"n": range(10, 101, 10), "d": [20], "sigma": NOISE_LEVELS}, 10),
        "paper": Grid(NOISY, 5, published=5),
        "paper_exact": Grid(PUBLISHED, 5, {"program": "exact"}, published=1),
    },
    guides=shared.SKIP_GUIDES,
    figures={
        "weights": PhaseDiagram("n", "d", None, "sigma", {"program": "relaxed"}),
        "test": PhaseDiagram("n", "d", "test_distance", "sigma", {"program": "relaxed"}),
        "exact": PhaseDiagram("n", "d", "test_distance", None, {"program": "exact"}),
    },
    claims=(Claim(claims.noiseless, 0, 1e-6, "derived here"), Claim(claims.proportional, 4, 1, "derived here")),
    **EVERYWHERE,
)

NORMALIZED_DISTANCE = Experiment(
    name="convex_recovery.normalized_distance",
    question="How far from k planted neurons is the minimal-norm fit of noisy labels behind a normalised layer?",
    params=planted.NormalizedDistance,
    solve=planted.solve,
    score=partial(planted.score, tuple(DISTANCE)),
    columns=DISTANCE,
    presets={
        "tiny": Grid({"n": [6, 16], "d": [4]}, 2, {"sigma": 0.1}),
        "quick": Grid({"n": range(10, 101, 10), "d": [10], "sigma": NOISE_LEVELS}, 5),
        "part_axis": Grid({"k": [2, 3], "sigma": NOISE_LEVELS, **shared.EVERY_FOURTH}, 1, AXIS, published=1),
        "paper": Grid({"k": [1, 2], **NOISY}, 5, published=1),
        "paper_axis": Grid({"k": [2, 3], **NOISY}, 5, AXIS),
        "paper_opposite": Grid({"k": [2], **NOISY}, 5, OPPOSITE, published=1),
    },
    guides=shared.NORMALIZED_GUIDES,
    figures={
        f"{plant}_{k}": PhaseDiagram("n", "d", None, "sigma", {"plant": plant, "k": k})
        for plant, k in (("random", 1), ("opposite", 2), ("random", 2), ("axis", 2), ("axis", 3))
    },
    **EVERYWHERE,
)

CONVEX_TRAINING = Experiment(
    name="convex_recovery.convex_training",
    question="How far from the planted neurons is a network that is trained to global optimality?",
    params=planted.ConvexTraining,
    solve=planted.solve,
    score=partial(planted.score, tuple(TRAINING)),
    columns=TRAINING,
    presets={
        "tiny": Grid({"model": ["skip", "plain", "normalized"], "n": [6, 14]}, 2, {"d": 3}),
        "quick": Grid({"n": range(10, 51, 10), "d": [5, 10], "sigma": [0.0, 0.1]}, 5, SHRUNK),
        "part": Grid({"sigma": NOISE_LEVELS, "n": range(10, 161, 10), "d": range(10, 41, 10)}, 1, SHRUNK, published=1),
        "part_normalized": Grid(
            {"sigma": [0.0, 0.1], "n": range(10, 121, 10), "d": range(10, 31, 10)}, 1, TWO, published=1
        ),
        "paper": Grid(NOISY, 5, SHRUNK),
        "paper_normalized": Grid(NOISY, 5, TWO),
    },
    figures={
        "skip": PhaseDiagram("n", "d", None, "sigma", {"model": "skip"}),
        "skip_test": PhaseDiagram("n", "d", "test_distance", "sigma", {"model": "skip"}),
        "normalized": PhaseDiagram("n", "d", None, "sigma", {"model": "normalized"}),
    },
    **EVERYWHERE,
)

ISOMETRY = Experiment(
    name="convex_recovery.isometry",
    question="How often do the isometry conditions hold, which predict recovery without solving anything?",
    params=isometry.IsometryCheck,
    sample=data.sample,
    solve=isometry.check,
    score=isometry.score,
    columns=isometry.COLUMNS,
    presets={
        "tiny": Grid({"n": [6, 16], "d": [4]}, 2),
        "quick": Grid({"n": range(10, 121, 10), "d": [5, 10, 15, 20]}, 10),
        "paper": Grid(PUBLISHED, 50, published=10),
    },
    citation=shared.CITATION,
    guides=shared.NECESSARY,
    batch=10,
    figures={"held": PhaseDiagram("n", "d")},
    claims=(
        Claim(claims.inconsistent, 0, 0, "derived here"),
        Claim(claims.condition_edge, 5, 1, MEASURED),
    ),
)
