"""Is the plant recovered? Our certificates beside a cone solver and the published tolerance, on random instances.

Published: solve the program with CVXPY (here with CLARABEL) and compare every weight with the plant, to within
1e-4. Ours: `neurec_core.convex.recovery.decide`, which proves one answer or the other; a tie is no recovery.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from neurec_core.convex import programs
from neurec_core.convex.recovery import Decision, Outcome, decide
from neurec_core.draws import Draws
from neurec_core.papers.convex_recovery import instance
from neurec_core.papers.convex_recovery.instance import RECOVERY_TOLERANCE, Posed
from neurec_core.papers.convex_recovery.normalized import NormalizedRecovery
from neurec_core.papers.convex_recovery.skip import SkipRecovery

REFERENCE = "CLARABEL"
SKIP = {
    "n": (20, 40, 60, 80, 100),
    "d": (10, 20, 40),
    "plant": ("random", "smallest_singular"),
    "design": ("gaussian", "cubic", "whitened_cubic"),
}
NORMALIZED = {"n": (20, 40, 60, 80), "d": (5, 10, 20), "k": (1, 2, 3)}
TRIALS = {"skip": 2, "normalized": 3}


def draw(model: str, trials: int, seed: int = 0, **values: Any) -> list[Posed]:
    """Planted noiseless trials with their sampled patterns."""
    draws = Draws(seed, range(trials))
    if model == "skip":
        params, sample = SkipRecovery(**values), instance.sample_linear
    else:
        params, sample = NormalizedRecovery(**values), instance.sample_neurons
    return [one for one in instance.pose(params, sample(params, draws, 0.0), draws) if one]


def listing(one: Posed) -> Any:
    """The published program."""
    if one.blocks.whitened:
        return programs.min_norm_normalized(one.X, one.D, one.y)
    return programs.min_norm_skip(one.X, one.D[:, 1:], one.y)  # the first pattern is the skip connection


def furthest(one: Posed, program: Any) -> float:
    """The largest difference of a solved listing's weights from the plant, which is published to be <= 1e-4."""
    values, planted = program.var_dict, one.plant.weights(one.D.shape[1])
    W = values["W"].value
    if not one.blocks.whitened:
        return float(np.abs(np.column_stack([values["w0"].value, W]) - planted).max())
    outputs = one.D * (one.X @ one.blocks.inputs(planted))
    bases = np.linalg.svd(one.D.T[:, :, None] * one.X, full_matrices=False)[0]
    short = W[: bases.shape[2]] - np.einsum("pnr,np->rp", bases, outputs)  # for n < d there are n coordinates
    return float(np.abs(short).max())


def compare(one: Posed) -> dict[str, Any]:
    """Both answers, with what each says for itself."""
    proof: Decision = decide(one.blocks, one.y, one.plant)
    program = listing(one)
    status = programs.solve(program, REFERENCE)
    apart = furthest(one, program) if status.usable else np.nan
    ours, published = proof.outcome is Outcome.UNIQUE, apart <= RECOVERY_TOLERANCE
    return {
        "recovered": ours,
        "published": published,
        "equal": ours == published,
        "proof": proof.outcome.value,
        "margin": proof.margin,
        "status": status.value,
        "furthest": apart,
        "saved": 1 - program.value / one.plant.cost if status.usable else np.nan,
    }


def instances() -> Iterator[tuple[dict[str, Any], Posed]]:
    """What is compared, with its parameters."""
    for model, grid in (("skip", SKIP), ("normalized", NORMALIZED)):
        for values in product(*grid.values()):
            point = dict(zip(grid, values, strict=True))
            for trial, one in enumerate(draw(model, TRIALS[model], **point)):
                yield {"model": model, **point, "trial": trial}, one


def main() -> None:
    """Print the counts, and every instance on which the two differ."""
    table = pd.DataFrame([{**point, **compare(one)} for point, one in instances()])
    print(f"Recovered? Our certificate / CVXPY with {REFERENCE} and the published tolerance of 1e-4")
    groups = table.fillna({"design": "gaussian", "plant": "random", "k": 1}).groupby(["model", "k", "design", "plant"])
    counts = groups.agg(instances=("equal", "size"), recovered=("recovered", "sum"), equal=("equal", "sum"))
    print(counts.reset_index().astype({"k": int}).to_string(index=False))
    undecided = int((table.proof == Outcome.UNDECIDED.value).sum())
    print(f"equal decisions: {table.equal.sum()} of {len(table)}; without a certificate: {undecided}")
    if not table.equal.all():
        print(table[~table.equal].drop(columns="equal").to_string(index=False))
