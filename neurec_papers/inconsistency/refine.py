"""Second stage of the comparison of setups: finer step sizes around the best of each. FOLDER JOBS"""

import sys

from neurec_core.sweep import sweep
from neurec_papers.inconsistency.comparison import COMPARISON
from neurec_papers.inconsistency.rates import best_rates, refined

if __name__ == "__main__":
    folder, jobs = sys.argv[1], int(sys.argv[2])
    (coarse,) = COMPARISON.published.values()
    table = sweep(COMPARISON, coarse, out=folder, jobs=jobs)
    best = best_rates({str(name): row[name] for name in row} for row in table.to_dict("records"))
    for grid in refined(best, coarse.trials):
        sweep(COMPARISON, grid, out=folder, jobs=jobs)
