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
# # Random features and double descent
#
# *A network with as many neurons as training points is the worst of all. With fewer it is better, and with more it is better again.*
# {cite:t}`belkin2019reconciling` call this double descent. To see it, one layer is enough: the first stays random, and the second is
# fitted by least squares.
#
# ## Claim
#
# Inputs $x \in \mathbb R^d$ are Gaussian, labels are $y = \langle\beta, x\rangle + \sigma\varepsilon$ with $\lVert\beta\rVert = 1$. Of all second layers that fit $n$
# points best through $m$ features $\varphi(x)$, take the one of least norm. Then the test error is largest at
#
# $$m = n.$$
#
# There the labels can just be fitted, in one way only, however large the weights that this takes. For features that are the first $m$ of the
# input's coordinates the expected test error is known exactly, for every $n$ and $m$ {cite}`belkin2020two`.

# %% tags=["parameters"]
preset: str = "quick"  # of the small sweep: tiny, quick or paper
seed: int = 0  # of every draw
jobs: int = 1  # processes for the small sweep
scheduler: str = None  # tcp://HOST:PORT of a Dask scheduler, or slurm
out: str = None  # folder that keeps the small sweep, to stop and go on
table: str = None  # file of another table of double_descent

# %%
from neurec_core import drawing
from neurec_core.claims import decided
from neurec_core.draws import Draws
from neurec_core.explore import explore, static
from neurec_core.sweep import sweep
from neurec_core.tables import load, published
from neurec_papers.random_features import RANDOM_FEATURES as STUDY
from neurec_papers.random_features import view

# %% [markdown]
# ## One instance
#
# Fifty features for fifty points. A network that had recovered its teacher would lie on the diagonal.

# %%
params = STUDY.params(m=50, n=50)
problem, solution, scores = STUDY.run(params, Draws(seed, [0]))
assert scores["train"][0] < 1e-12
view.fit(params, problem, solution, scores)

# %% [markdown]
# It fits its training points to the last digit and has learnt nothing. Six times as many features make it a much better one, although
# it fits the same points as well:

# %%
wider = STUDY.params(m=300, n=50)
more, found, better = STUDY.run(wider, Draws(seed, [0]))
assert better["train"][0] < 1e-12
assert better["test"][0] < scores["test"][0]
view.fit(wider, more, found, better)

# %% [markdown]
# ## Small sweep
#
# Widths on both sides of the fifty points, without noise and with some.

# %%
small = sweep(
    STUDY,
    STUDY.preset(preset),
    seed=seed,
    jobs=jobs,
    scheduler=scheduler,
    out=out,
    progress=not static(),
)
small.groupby(["sigma", "m"])["test"].median().unstack("sigma")

# %% [markdown]
# ## The paper's figure
#
# The error falls, rises up to $m = n$, and falls again. It does so without noise, too: a linear teacher is no function of random ReLU
# features, and what they leave of it acts like noise.

# %%
every = load(table or published(STUDY))
drawing.draw(every, STUDY, "peak")

# %% [markdown]
# A small weight of the squared norm forbids the large weights that the last few labels cost. The peak is gone:

# %%
drawing.draw(every, STUDY, "ridge")

# %% [markdown]
# For Gaussian features the dashed curve is the expectation; the band of a mean is its standard error.

# %%
drawing.draw(every, STUDY, "exact")

# %% [markdown]
# ## Explore

# %%
sliders = {"m": [10, 30, 50, 70, 150, 300], "sigma": [0.0, 0.3, 1.0]}
explore(STUDY, view.fit, {**sliders, "ridge": [0.0], "n": [50]}, seed=seed)

# %% [markdown]
# ## What we checked, and where we differ

# %%
claims = decided(every, STUDY)
assert claims["holds"].all()
claims.style.format(precision=3).hide(axis="index")
