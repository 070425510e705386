"""Is the plant recovered? Our certificates beside a cone solver and the published tolerance, on random instances.

Published: solve the program with CVXPY (here with CLARABEL) and compare every weight with the plant, to within
1e-4. Ours: `smallnets.convex.recovery.decide`, which proves one answer or the other; a tie is no recovery.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from neurec_core.draws import Draws
from neurec_papers.convex_recovery.engine import data, instance
from neurec_papers.convex_recovery.engine.instance import Posed
from neurec_papers.convex_recovery.engine.solutions import RECOVERY_TOLERANCE, listed_weights, listing
from neurec_papers.convex_recovery.experiments.planted import NormalizedRecovery, SkipRecovery
from smallnets.convex import programs
from smallnets.convex.recovery import Decision, Outcome, decide

REFERENCE = "CLARABEL"
SKIP = {
    "n": (20, 40, 60, 80, 100),
    "d": (10, 20, 40),
    "plant": ("random", "smallest_singular"),
    "design": ("gaussian", "cubic", "whitened_cubic"),
}
NORMALIZED = {"n": (20, 40, 60, 80), "d": (5, 10, 20), "k": (1, 2, 3)}
EXACT = {"n": (12, 20, 30, 40), "d": (8, 16), "plant": ("random", "smallest_singular"), "program": ("exact",)}
TRIALS = {"skip": 2, "normalized": 3}


def draw(model: str, trials: int, seed: int = 0, **values: Any) -> list[Posed]:
    """Planted noiseless trials with their sampled patterns."""
    draws = Draws(seed, range(trials))
    params = (SkipRecovery if model == "skip" else NormalizedRecovery)(**values)
    return [one for one in instance.pose(params, data.sample(params, draws), draws) if one]


def furthest(one: Posed, program: Any) -> float:
    """The largest difference of a solved listing's weights from the plant, which is published to be <= 1e-4."""
    planted = one.plant.weights(one.blocks.D.shape[1])
    if one.exact or not one.blocks.whitened:
        return float(np.abs(one.blocks.coordinates(listed_weights(one, program)) - planted).max())
    W = program.var_dict["W"].value
    outputs = one.D * (one.X @ one.blocks.inputs(planted))
    bases = np.linalg.svd(one.D.T[:, :, None] * one.X, full_matrices=False)[0]
    short = W[: bases.shape[2]] - np.einsum("pnr,np->rp", bases, outputs)  # for n < d there are n coordinates
    return float(np.abs(short).max())


def compare(one: Posed) -> dict[str, Any]:
    """Both answers, with what each says for itself."""
    proof: Decision = decide(one.blocks, one.y, one.plant)
    program = listing(one)
    status = programs.solve(program, REFERENCE)
    solved = status in programs.SOLVED
    apart = furthest(one, program) if solved else np.nan
    ours, published = proof.outcome is Outcome.UNIQUE, apart <= RECOVERY_TOLERANCE
    return {
        "recovered": ours,
        "published": published,
        "equal": ours == published,
        "proof": proof.outcome.value,
        "margin": proof.margin,
        "status": status,
        "furthest": apart,
        "saved": 1 - program.value / one.plant.cost if solved else np.nan,
    }


def instances() -> Iterator[tuple[dict[str, Any], Posed]]:
    """What is compared, with its parameters."""
    for model, grid in (("skip", SKIP), ("normalized", NORMALIZED), ("skip", EXACT)):
        for values in product(*grid.values()):
            point = dict(zip(grid, values, strict=True))
            for trial, one in enumerate(draw(model, TRIALS[model], **point)):
                yield {"model": model, **point, "trial": trial}, one


def main() -> None:
    """Print the counts, and every instance on which the two differ."""
    table = pd.DataFrame([{**point, **compare(one)} for point, one in instances()])
    print(f"Recovered? Our certificate / CVXPY with {REFERENCE} and the published tolerance of 1e-4")
    filled = table.fillna({"design": "gaussian", "plant": "random", "k": 1, "program": "relaxed"})
    groups = filled.groupby(["model", "program", "k", "design", "plant"])
    counts = groups.agg(instances=("equal", "size"), recovered=("recovered", "sum"), equal=("equal", "sum"))
    print(counts.reset_index().astype({"k": int}).to_string(index=False))
    undecided = int((table.proof == Outcome.UNDECIDED.value).sum())
    print(f"equal decisions: {table.equal.sum()} of {len(table)}; without a certificate: {undecided}")
    if not table.equal.all():
        print(table[~table.equal].drop(columns="equal").to_string(index=False))
