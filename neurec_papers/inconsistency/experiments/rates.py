"""Second stage of the comparison of setups: finer step sizes around the best of each."""

from __future__ import annotations

import dataclasses
import sys
from typing import TYPE_CHECKING

from neurec_core.experiment import Grid

from .comparison import COMPARISON, SETTING, best_rates

if TYPE_CHECKING:
    import pandas as pd


def refined(best: pd.DataFrame, trials: int) -> list[Grid]:
    """For every setting of `best_rates` a grid of the step sizes best 2^{j/8}, j = -3, ..., 3."""
    return [
        Grid({"k": [row["k"] + j / 8 for j in range(-3, 4)]}, trials, fixed={name: row[name] for name in SETTING})
        for row in best.to_dict("records")
    ]


if __name__ == "__main__":  # FOLDER JOBS [PRESET TRIALS]
    from neurec_core.sweep import sweep

    folder, jobs = sys.argv[1], int(sys.argv[2])
    coarse = COMPARISON.published["paper_line"]
    if len(sys.argv) > 3:
        coarse = dataclasses.replace(COMPARISON.preset(sys.argv[3]), trials=int(sys.argv[4]))
    for grid in refined(best_rates(sweep(COMPARISON, coarse, out=folder, jobs=jobs)), coarse.trials):
        sweep(COMPARISON, grid, out=folder, jobs=jobs)
