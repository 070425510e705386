"""Second stage of the comparison of setups: finer step sizes around the best of each. FOLDER TRIALS"""

import sys

from neurec_core.experiment import Grid
from neurec_core.sweep import sweep
from neurec_papers.inconsistency.comparison import COMPARISON
from neurec_papers.inconsistency.rates import best_rates, refined

if __name__ == "__main__":
    folder, trials = sys.argv[1], int(sys.argv[2])
    line = COMPARISON.preset("paper_line")
    coarse = sweep(COMPARISON, Grid(line.axes, trials, line.fixed), out=folder)  # computed already: only read
    for grid in refined(
        best_rates({str(name): row[name] for name in row} for row in coarse.to_dict("records")), trials
    ):
        sweep(COMPARISON, grid, out=folder)
