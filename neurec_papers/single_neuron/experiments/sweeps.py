"""Does small initialisation align the neurons? Angles against scale, width and spread, for one and two teachers."""

from __future__ import annotations

from typing import Any

import numpy as np

from neurec_core.experiment import Claim, Column, Experiment, Grid, Problem, Replay, Solution
from neurec_core.figures import Computed, Curves, matching

from .. import engine, published
from .setup import CITATION, LOG, SingleNeuron, sample
from .training import ENERGY, ITERATIONS, LOSS, MIDDLE, NUCLEAR, data_sets, degrees, solve

LEVELS = {"grouped": "groups", "at_once": "tail"}
# Of hundreds of neurons that slide, rounding decides at times which one leaves a boundary first.
SLID = Replay(1e-3, floor=1e-4, chaotic=0.05)
# Whether weights are at rest is checked from time to time, and rounding decides at which check they are.
REST = Replay(1e-5, chaotic=0.02)
COLUMNS = {
    "max_angle": degrees("largest angle between active positive neurons"),
    "mean_angle": degrees("mean angle between active positive neurons"),
    "negative_angle": degrees("largest angle between negative neurons", SLID),
    "nuclear": NUCLEAR,
    "energy": ENERGY,
    "distance": Column(
        "distance of the bundle from the teacher", "measure", logarithmic=True, replay=Replay(1e-5, floor=1e-10)
    ),
    "target_angle": degrees("angle between bundle and teacher; NaN without a bundle"),
    "loss": LOSS,
    "inside": Column("mean squared error on points like the training points", "measure", logarithmic=True),
    "middle": MIDDLE,
    "gathered": Column("all active positive neurons, at least one, are active on all points", "event"),
    "interpolated": Column("loss below its target", "event"),
    "slid": Column("a neuron slid along a point's boundary", "event"),
    "bundle": Column("active positive neurons", "measure"),
    "iterations": ITERATIONS._replace(replay=REST),
    "grouped": Column("share of iterations taken by groups of neurons", "measure", replay=REST),
    "at_once": Column("share of iterations taken many at a time", "measure"),
}


@np.errstate(all="ignore")  # weights that diverged
def score(params: SingleNeuron, problem: Problem, solution: Solution) -> dict[str, np.ndarray]:
    """Measures of the networks at the end; groups are those of the start."""
    stats = solution.stats
    found = {
        "interpolated": stats["loss"] < params.target, "slid": stats["slid"], "iterations": stats["steps"],
        **{name: stats[level] / np.maximum(stats["steps"], 1) for name, level in LEVELS.items()},
    }  # fmt: skip
    rows = []
    for data, W, a, loss in zip(data_sets(problem), *solution.value, stats["loss"], strict=True):
        end = engine.logged(data, engine.Snapshots(W, a, np.full(2, loss)), params.angles)
        live = engine.bundled(data.X, W[0], a[0], W[1])
        row = {name: end[name][-1] for name in end if name in COLUMNS}
        row["max_angle"], row["mean_angle"] = (part[0] for part in engine.angles(W[1:, live], params.angles))
        row["negative_angle"] = end["negative_max_angle"][-1]
        row["gathered"] = bool(len(live) and (W[1, live] @ data.X.T > 0).all())
        row["bundle"] = float(len(live))
        rows.append(row)
    return found | {name: np.array([row[name] for row in rows]) for name in rows[0]}


WIDE = {"angles": "chord", "m": 200, "steps": published.LARGEST}
SMALLEST = 4.0**-13


def angle_growth(table: Any) -> Any:
    """For λ up to 4^-10 the largest angle is proportional to λ: its median falls by 4 where λ does."""
    cells = matching(table, WIDE).pivot_table("max_angle", "scale", ["data", "d"], aggfunc="median")
    growth = (cells / cells.shift()).dropna().loc[: 4.0**-10].to_numpy().ravel()
    return growth[np.abs(growth - 4).argmax()]


def angle_factor(table: Any) -> Any:
    """The median angles of figure 7 are found up to a factor of five: they depend on the draw."""
    found = matching(table, {**WIDE, "data": "centred"}).pivot_table("max_angle", "scale", "d", aggfunc="median")
    factors = found.loc[[*published.ANGLES], [4, 16, 64]].to_numpy() / [*published.ANGLES.values()]
    return np.maximum(factors, 1 / factors).max()


def nuclear_end(table: Any) -> Any:
    """At the smallest scale the nuclear norm is 1, up to a thousandth: a network of rank one."""
    found = matching(table, {**WIDE, "scale": SMALLEST}).groupby(["d", "data"])["nuclear"].median()
    return (found - 1).abs().max()


def nuclear_error(table: Any) -> Any:
    """The median nuclear norms of the first row of the paper's table are found up to 2 %."""
    found = matching(table, {**WIDE, "d": 4, "data": "centred"}).groupby("scale")["nuclear"].median()
    return np.abs(found[[*published.NUCLEAR]] / [*published.NUCLEAR.values()] - 1).max()


def wide_spreads(table: Any) -> Any:
    """With two teachers an angle above 0.1° is left at least twice as often at spreads above 2 as below."""
    left, wide = table[["max_angle", "negative_angle"]].max(axis=1) > 0.1, table["spread"] > 2
    return left[~wide].mean() / left[wide].mean()


SCALES = [4.0**e for e in range(2, -14, -1)]  # as published
SPREADS = [i / 10 for i in range(1, 21)]
BOTH = {"data": ["centred", "uncentred"]}
TWO: dict[str, Any] = {"teachers": "two", "d": 16, "m": 25, "scale": 4.0**-7}


def _rows_of(lines: str, columns: list[str], where: dict[str, Any]) -> dict[str, Curves]:
    """Rows of figures 7 and 8: columns over the scale for centred and for uncentred points."""
    return {
        f"{column}_{data}": Curves("scale", column, lines, {**where, "data": data}, "xy")
        for column in columns
        for data in BOTH["data"]
    }


def _experiment(name: str, question: str, first: list[str], **declared: Any) -> Experiment:
    """One of those that differ in what is varied, with some columns first."""
    return Experiment(
        name=f"single_neuron.{name}", question=question, params=SingleNeuron, sample=sample, solve=solve, score=score,
        columns={name: COLUMNS[name] for name in dict.fromkeys([*first, *COLUMNS])}, citation=CITATION, log=LOG,
        **declared,
    )  # fmt: skip


ALIGNMENT_VS_SCALE = _experiment(
    "alignment_vs_scale",
    "Is the largest angle between neurons proportional to the scale of initialisation?",
    ["max_angle", "mean_angle", "nuclear"],
    presets={
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
    figures={
        "centred": Curves("scale", "max_angle", "d", {**WIDE, "data": "centred"}, "xy"),
        "uncentred": Curves("scale", "max_angle", "d", {**WIDE, "data": "uncentred"}, "xy"),
        **_rows_of("d", ["mean_angle", "nuclear"], WIDE),
        "losses": Computed("neurec_papers.single_neuron.view:losses_centred"),
        "losses_uncentred": Computed("neurec_papers.single_neuron.view:losses_uncentred"),
    },
    claims=(
        Claim(angle_growth, 4, 0.1, "derived here"),
        Claim(angle_factor, 1, 4, "chistikov2023learning, figure 7"),
        Claim(nuclear_end, 0, 1e-3, "chistikov2023learning, Theorem 7"),
        Claim(nuclear_error, 0, 0.02, "chistikov2023learning"),
    ),
)
WIDTH_STUDY = _experiment(
    "width_study",
    "Does the width of the network change how its neurons align?",
    ["max_angle", "mean_angle", "nuclear"],
    presets={
        "tiny": Grid({"m": [4, 8]}, trials=2, fixed={"d": 3, "scale": 4.0**-3, "steps": 20_000}),
        "quick": Grid({"m": [25, 50, 200], "scale": [1.0, 4.0**-3, 4.0**-6]}, trials=3, fixed={"d": 4}),
        "paper": Grid({"m": [25, 50, 200], **BOTH, "scale": SCALES}, trials=5, fixed={"d": 1024}),
        "part": Grid({"m": [25, 50, 200, 800], **BOTH, "scale": SCALES}, trials=5, fixed={"d": 16}, published=2),
    },
    figures=_rows_of("m", ["mean_angle", "max_angle", "nuclear"], {}),
)
TWO_TEACHERS = _experiment(
    "two_teachers",
    "With two opposite teachers, do the neurons of either sign still end in one bundle?",
    ["max_angle", "negative_angle"],
    presets={
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
    figures={
        "spread": Curves("spread", "max_angle", "data", {}, "y"),
        "training": Computed("neurec_papers.single_neuron.view:two_saddles"),
    },
    claims=(Claim(wide_spreads, 0, 0.5, "chistikov2023learning, figure 10"),),
)  # fmt: skip
