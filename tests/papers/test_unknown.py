"""What is not known is neither true nor false."""

from __future__ import annotations

import numpy as np

from neurec_core import tables
from neurec_core.experiment import Solution, Status
from neurec_papers import convex_recovery as paper
from neurec_papers.convex_recovery.engine import solutions
from smallnets.convex import solving
from smallnets.convex.blocks import Blocks


def test_an_open_gap_says_nothing_about_other_solutions():
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((12, 3)), rng.standard_normal(12)
    blocks = Blocks(X, rng.random((12, 8)) < 0.5)
    assert solving.solve(blocks, y).unique is True
    coarse = solving.solve(blocks, y, gap=-1.0)  # which nothing can close
    assert (coarse.converged, coarse.unique) == (False, None)
    beyond = solving.solve(Blocks(X, np.zeros((12, 1), bool)), y)
    assert (beyond.converged, beyond.unique) == (False, None)


def test_what_a_stopped_solver_leaves_open_is_missing_in_its_row(monkeypatch):
    solve = solving.solve
    monkeypatch.setattr(solutions.solving, "solve", lambda *args, **more: solve(*args, **more, gap=-1.0))
    (row,) = paper.SKIP_DISTANCE.rows(paper.SKIP_DISTANCE.params(n=16, d=4, sigma=0.1), 0, [0])
    assert row["status"] == Status.INACCURATE
    assert row["unique"] is None
    assert tables.arrow([row], paper.SKIP_DISTANCE)["unique"].to_pylist() == [None]


def test_scores_are_masked_where_they_are_not_known():
    values = {"unique": np.array([1.0, np.nan, np.nan]), "margin": np.array([0.5, np.nan, np.nan])}
    picked = solutions.scores(
        Solution(None, [Status.SOLVED, Status.INACCURATE, Status.EMPTY], values), "unique", "margin"
    )
    assert [picked["unique"][b].tolist() for b in range(3)] == [True, None, False]
    assert picked["margin"] is values["margin"]
