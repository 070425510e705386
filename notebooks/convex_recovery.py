# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Convex recovery
#
# *When does the smallest ReLU network that fits the data turn out to be the one that made the data?*
# {cite:t}`wang2025overparameterized` plant a single linear neuron, let a two-layer network with more hidden units
# than data points fit it, and ask for the fit of least norm. That fit is the solution of a convex program.
#
# ## Claim
#
# A label is $y_i = x_i^\top w^\star$ (plus noise). The network has a skip connection $w_0$ and, for each activation
# pattern $D_j = \mathrm{diag}(1[X h_j \ge 0])$, a gated linear unit $w_j$. Its minimal-norm fit solves their eq. (15),
#
# $$\min_{w_0, w_j}\ \|w_0\|_2 + \sum_j \|w_j\|_2 \quad\text{subject to}\quad X w_0 + \sum_j D_j X w_j = y .$$
#
# The plant is *recovered* if $w_0 = w^\star$ and every $w_j = 0$. What we expect to see:
#
# 1. If some direction is active on **every** point, $D_j = I$ is a pattern, $w_0$ and $w_j$ are interchangeable, and
#    nothing can be recovered. For inputs in general position, symmetric about the origin, that happens with
#    probability exactly $1/2$ at $n = 2d$ {cite:p}`wendel1962problem`.
# 2. If $\|X^\top D_j X (X^\top X)^{-1} w^\star\|_2 < \|w^\star\|_2$ for every pattern (the *isometry condition*,
#    their Definition 2), recovery is certain.
# 3. For whitened inputs, $X^\top X = I$, the first obstacle is the only one: recovery happens exactly when no
#    direction is active on every point.
#
# So the probability of recovery jumps from 0 to 1 near $n = 2d$.

# %% tags=["parameters"]
preset: str = "quick"  # of the small sweep: tiny, quick or paper
seed: int = 0  # of every draw
jobs: int = 1  # processes for the small sweep
scheduler: str = None  # tcp://HOST:PORT of a Dask scheduler, or slurm
out: str = None  # folder that keeps the small sweep, to stop and go on
table: str = None  # file of the paper-scale table; else the published one

# %%
import numpy as np
import pandas as pd
from neurec_core import data, patterns, plots, theory
from neurec_core.convex import certify
from neurec_core.draws import Draws
from neurec_core.experiment import Grid
from neurec_core.explore import explore, static
from neurec_core.papers.convex_recovery import SKIP_RECOVERY
from neurec_core.sweep import sweep
from neurec_core.tables import load, published, rate, threshold, usable

# %% [markdown]
# ## One instance
#
# Sample a problem, solve it, look. With three times as many points as dimensions the plant should come back.

# %%
params = SKIP_RECOVERY.params(n=60, d=20)
problem, solution, scores = SKIP_RECOVERY.run(params, Draws(seed, trials=[0]))
plots.recovery(problem, solution, scores)

# %% [markdown]
# Left: every dot (found) sits in its ring (planted). Right: each pattern's norm in the isometry condition. Where all
# of them are below the dashed line, recovery was certain before anything was solved.
#
# With fewer than two points a dimension, the same program finds something else.

# %%
fewer = SKIP_RECOVERY.run(params.with_(n=30), Draws(seed, trials=[0]))
plots.recovery(*fewer)

# %% [markdown]
# A direction is active on every point. Its pattern has the norm 1 exactly, so the condition cannot hold, and its gate
# can carry any share of the plant at no extra cost: the solver returns the middle of all these solutions.

# %% [markdown]
# ## Small sweep
#
# The same experiment over a grid of $n$ and $d$. Set `preset`, `jobs` or `scheduler` above to go further; give a
# folder `out` to be able to stop and go on.

# %%
small = sweep(
    SKIP_RECOVERY,
    SKIP_RECOVERY.preset(preset),
    seed=seed,
    jobs=jobs,
    scheduler=scheduler,
    out=out,
    progress=not static(),
)
plots.phase_diagram(small, SKIP_RECOVERY, "n", "d")

# %% [markdown]
# Colour is the rate of recovery; a dot is where it crosses one half for that $d$, with the interval in which the data
# cannot tell it from one half; the dashed line is $n = 2d$.
#
# First the two one-way statements, which must hold in every single trial: a direction active on every point excludes
# recovery, and the isometry condition implies it.

# %%
trials = usable(small)
assert len(trials) >= 0.98 * len(small), "more than 2 % of the solves failed"
# Exact theorems: not one exception. Solved to 1e-6 or better, judged at 1e-4.
excludes = not (trials["all_ones"] & trials["recovered"]).any()
implies = not (trials["isometry_held"] & ~trials["recovered"]).any()
assert excludes
assert implies
pd.crosstab(trials["all_ones"], trials["recovered"])

# %% [markdown]
# How often does a direction active on every point exist? Counted over all cells and compared with the exact
# probability; $z$ is the difference in standard deviations.

# %%
probability = theory.all_ones_probability(
    trials["n"].to_numpy(), trials["d"].to_numpy()
)
spread = np.sqrt(np.sum(probability * (1 - probability)))
z_all_ones = (trials["all_ones"].sum() - probability.sum()) / spread
assert abs(z_all_ones) < 4  # a correct program fails this once in 16,000 seeds
print(
    f"counted {trials['all_ones'].sum()}, expected {probability.sum():.1f} of {len(trials)}, z = {z_all_ones:.2f}"
)

# %% [markdown]
# Whitened inputs: recovery happens exactly where no direction is active on every point, for either plant and for heavy
# tails alike.

# %%
designs = {
    "design": ["whitened", "whitened_cubic"],
    "plant": ["random", "smallest_singular"],
}
white = Grid({"n": range(10, 41, 5), **designs}, trials=5, fixed={"d": 10})
whitened = usable(sweep(SKIP_RECOVERY, white, seed=seed, progress=False))
# Exact theorem: not one exception. n >= d throughout, as whitening needs.
exact = bool((whitened["recovered"] == ~whitened["all_ones"]).all())
assert exact
rate(whitened, "recovered", ["n"])

# %% [markdown]
# Inputs that are not whitened have a second obstacle: the isometry norms spread around a typical size that grows as
# $n/d$ falls, and it grows faster when the plant is the direction that $X$ shrinks most. Theory gives their mean
# square for large $n$ and $d$.


# %%
def mean_square(plant, n=400, d=100):
    draws = Draws(seed, trials=range(3))
    X = data.design("gaussian", draws, n, d)
    found = patterns.sample(X, draws.normal("h", d, n))
    w = data.linear_teacher(plant, X, draws).skip
    norms, _ = certify.isometry(X, found.D, w)
    return np.mean(norms[found.real] ** 2)


# %%
isometry = pd.DataFrame({"plant": ["random", "smallest_singular"]})
isometry["measured"] = isometry["plant"].map(mean_square)
predicted = [theory.isometry_mean_square(400 / 100, w) for w in isometry["plant"]]
isometry["predicted"] = np.array(predicted)
# 6 %: a limit; at d = 100 the smallest singular value is d^(-2/3) = 5 % off.
assert np.allclose(isometry["measured"], isometry["predicted"], rtol=0.06)
isometry.round(3)

# %% [markdown]
# ## The paper's figure
#
# Recovery probability of the relaxed program for a random plant and Gaussian inputs, the first panel of the paper's
# figure 6, with an edge at $n = 2d$. The committed table holds a part of the published grid ($n = 10, 20, \dots, 400$ and $d = 10, 20, \dots, 100$, five
# trials a cell): the part for which the published program can be solved in half an hour of one core. `make tables` computes it;
# `neurec sweep convex_recovery.skip_recovery --preset paper --out DIR` computes the rest.

# %%
paper = load(table or published(SKIP_RECOVERY))
n, d = paper["n"].max(), paper["d"].max()
print(f"{len(paper)} trials, n up to {n}, d up to {d}")
print(paper["status"].value_counts().to_string())
plots.phase_diagram(paper, SKIP_RECOVERY, "n", "d")

# %% [markdown]
# Reduced accuracy is the solver's own word for stopping short of its tolerance; the weights are then still within
# $10^{-5}$ of the plant where it is recovered, ten times closer than the test asks. The measured 50 % points follow
# the dashed line. The isometry condition is sufficient, not necessary. For a random
# plant little is lost: its transition stands almost at the same place.

# %%
plots.phase_diagram(paper, SKIP_RECOVERY, "n", "d", "isometry_held")

# %% [markdown]
# The points, as multiples of $d$. The bands are as wide as five trials a cell leave them.

# %%
half = threshold(paper, "recovered", "n", ["d"])
half[["ratio", "low", "high"]] = half[["threshold", "low", "high"]].div(
    half["d"], axis=0
)
step = 10 / half["d"]
# 2 lies in every band, give or take one step of the grid (10 points).
assert (half["low"] - step <= 2).all()
assert (half["high"] + step >= 2).all()
half.round(2)

# %% [markdown]
# The published scripts plant the direction that $X$ shrinks most, unless told otherwise (the paper's figures 4a and
# 18). Then the isometry norms are larger, and the edge lies to the right of $2d$.

# %%
hard = Grid(
    {"n": range(30, 91, 10)},
    trials=8,
    fixed={"d": 20, "plant": "smallest_singular"},
)
hardest = sweep(SKIP_RECOVERY, hard, seed=seed, progress=False)
edge = threshold(hardest, "recovered", "n")["threshold"].item() / 20
# Measured before at 2.5 to 2.75 for d >= 20; with 8 trials a point it moves by about 0.3.
assert 2.1 < edge < 3.2
plots.curves(hardest, SKIP_RECOVERY, "n")

# %% [markdown]
# The line crosses one half clearly later than at $n = 40 = 2d$, where a random plant does.

# %% [markdown]
# ## Explore
#
# Move a slider: another instance is drawn and solved. In JupyterLab anything in the declared ranges is computed on
# the spot; the page on the web walks through instances computed when it was built.

# %%
explore(
    SKIP_RECOVERY,
    plots.recovery,
    {
        "n": range(10, 81, 10),
        "d": [5, 10, 20],
        "sigma": [0.0, 0.2],
        "design": ["gaussian", "whitened"],
        "plant": ["random", "smallest_singular"],
    },
    seed=seed,
)

# %% [markdown]
# Things to try: lower $n$ until it meets $2d$ and watch one norm reach 1; add noise and see every weight move a
# little, because a minimal-norm fit reproduces the noise as well; choose the smallest singular direction and see the
# whole curve of norms rise.

# %% [markdown]
# ## What we checked, and where we differ

# %%
ratio = half.loc[half["d"] >= 20, "ratio"].mean()
yes = {True: "always", False: "not always"}
claims = {
    "all-ones pattern excludes recovery": ("always", yes[excludes], excludes),
    "isometry condition implies recovery": ("always", yes[implies], implies),
    "whitened: recovered = no all-ones": ("always", yes[exact], exact),
    "all-ones pattern: z": ("0", f"{z_all_ones:.2f}", abs(z_all_ones) < 4),
    "50 % point, mean n/d, d >= 20": ("2", f"{ratio:.2f}", abs(ratio - 2) < 0.3),
    "the same, smallest singular": ("2.5-2.75", f"{edge:.2f}", 2.1 < edge < 3.2),
}
columns = ["theory", "ours", "agrees"]
checked = pd.DataFrame.from_dict(claims, orient="index", columns=columns)
assert checked["agrees"].all()
checked

# %% [markdown]
# Where this differs from the published code, and why:
#
# | published | here | effect |
# |---|---|---|
# | gated solution evaluated with ReLU on test points | gated as it was fitted; the published way is the column `test_distance_relu` | where recovery fails, the published number is the error of no network that fits the data |
# | the all-ones pattern appended even if it was sampled | appended once | no forced tie between two copies |
# | a local search for the all-ones pattern | non-negative least squares, with the direction or the weights as certificate | never missed |
# | one seed for the whole grid | an address (seed, trial, name, shape) for every array | a cell does not depend on the rest of the grid |
# | cubed inputs left at their size | rescaled to variance $1/n$ | none without noise; with noise, $\sigma$ means the same in each design |
# | test inputs of whitened designs whitened on their own | the same: read as a fresh draw of the design | none |
# | a commercial solver | CLARABEL, or any installed cone solver by name | none seen at the tolerance of $10^{-4}$ |
