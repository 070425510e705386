"""Minimal-norm programs: CVXPY with a cone solver, as published, beside our certificates and our solver.

Published: a listing is built, compiled and solved on every trial, and the weights are compared with the plant.
Ours: `recovery.decide` stops at the first proof of either answer; `solving.solve` closes the duality gap to
1e-9. Dual: the program that one would hand to the same solver today, of n variables and one cone per block; the time of
the solver, without what CVXPY takes to build it. All are handed the same X, patterns and labels, with nothing
factorised. CPU time of this process.
"""

from __future__ import annotations

import time
import warnings
from typing import Any

import numpy as np
import pandas as pd

from neurec_papers.convex_recovery.engine.instance import Posed
from neurec_papers.convex_recovery.engine.solutions import RECOVERY_TOLERANCE, listing
from smallnets.convex import recovery, solving
from smallnets.convex.blocks import Blocks
from smallnets.convex.cones import Cones

from . import peers
from .decisions import REFERENCE, draw, furthest

# The last takes the cone solver a minute per trial.
CASES: list[tuple[str, int, int, int, dict[str, Any]]] = [
    ("skip", 100, 40, 3, {}),
    ("skip", 200, 50, 3, {}),
    ("skip", 130, 50, 3, {"plant": "smallest_singular"}),
    ("normalized", 200, 50, 3, {"k": 1}),
    ("normalized", 200, 50, 3, {"k": 2}),
    ("skip", 60, 30, 3, {"plant": "smallest_singular", "program": "exact"}),
    ("skip", 100, 40, 1, {"plant": "smallest_singular", "program": "exact"}),
    ("skip", 400, 100, 1, {}),
]


def fresh(one: Posed) -> Posed:
    """The same trial with nothing factorised."""
    blocks = Blocks(one.X, one.D, one.blocks.whitened)
    return one._replace(blocks=Cones(blocks, one.H, one.free) if one.exact else blocks)


def ours(one: Posed) -> dict[str, Any]:
    """Both of our answers and what they cost."""
    begin = time.process_time()
    proof_of = fresh(one)
    proof = recovery.decide(proof_of.blocks, one.y, proof_of.plant)
    middle = time.process_time()
    answer = solving.solve(fresh(one).blocks, one.y)
    end = time.process_time()
    return {
        "decide": middle - begin,
        "solve": end - middle,
        "recovered": proof.outcome is recovery.Outcome.UNIQUE,
        "objective": float(np.linalg.norm(answer.W, axis=0).sum()),
        "gap": answer.gap,
    }


def published(one: Posed) -> dict[str, Any]:
    """The listing built, compiled, solved and judged; the solver's own share is timed apart."""
    begin = time.process_time()
    program = listing(one)
    data, chain, inverse = program.get_problem_data(REFERENCE, solver_opts={})
    middle = time.process_time()
    solved = chain.solve_via_data(program, data)
    end = time.process_time()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Solution may be inaccurate")
        program.unpack_results(solved, chain, inverse)
    recovered = furthest(one, program) <= RECOVERY_TOLERANCE
    return {"total": end - begin, "solver": end - middle, "recovered": recovered, "objective": program.value}


def dual(one: Posed) -> dict[str, Any]:
    """The dual program, solved: the time of the cone solver alone."""
    blocks = one.D.T[:, :, None] * one.X
    if one.blocks.whitened:
        bases, sizes, _ = np.linalg.svd(blocks, full_matrices=False)
        blocks = bases * (sizes > 1e-12 * sizes.max())[:, None]
    sides = (2 * one.D.T - 1.0) * (np.arange(len(blocks)) >= one.free)[:, None]
    cones = (one.X, sides) if one.exact else ()
    program = peers.dual(blocks, one.y, *cones)
    data, chain, inverse = program.get_problem_data(REFERENCE, solver_opts={})
    begin = time.process_time()
    solved = chain.solve_via_data(program, data)
    seconds = time.process_time() - begin
    program.unpack_results(solved, chain, inverse)
    return {"seconds": seconds, "objective": program.value}


def compare(model: str, n: int, d: int, trials: int, values: dict[str, Any]) -> dict[str, object]:
    """One row: medians over trials of identical instances."""
    triples = [(ours(one), published(one), dual(one)) for one in draw(model, trials, n=n, d=d, **values)]
    own, other, peer = (pd.DataFrame(part) for part in zip(*triples, strict=True))
    difference = (other.objective / own.objective - 1).abs().max()
    return {
        "program": " ".join([model, *(f"{name} {value}" for name, value in values.items())]),
        "n": n,
        "d": d,
        "recovered": f"{own.recovered.sum()} of {trials}",
        "same": f"{(own.recovered == other.recovered).sum()} of {trials}",
        "objectives apart": f"{difference:.0e}",
        "decide (ms)": round(1e3 * own.decide.median(), 1),
        "solve (ms)": round(1e3 * own.solve.median(), 1),
        f"{REFERENCE} (s)": round(other.total.median(), 2),
        "total / decide": round((other.total / own.decide).median()),
        "total / solve": round((other.total / own.solve).median()),
        "its solver / solve": round((other.solver / own.solve).median()),
        "dual / decide": round((peer.seconds / own.decide).median()),
        "dual / solve": round((peer.seconds / own.solve).median()),
        "apart": f"{(peer.objective / own.objective - 1).abs().max():.0e}",
    }


def main() -> None:
    """Print the table."""
    for model in ("skip", "normalized"):  # what is loaded on first use is loaded before time counts
        for one in draw(model, 1, n=20, d=4):
            ours(one), published(one)
    print(f"Minimal norm: CVXPY with {REFERENCE} / ours, CPU time, one thread")
    print("total: the listing built, compiled and solved, as the published scripts do on every trial")
    print(pd.DataFrame([compare(*case) for case in CASES]).to_string(index=False))
