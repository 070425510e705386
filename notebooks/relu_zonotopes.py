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
# # ReLU networks and zonotopes
#
# *Which data points each hidden neuron is active on: that is all that is hard about training a ReLU network. With these patterns fixed, the rest is a convex problem.*
# {cite:t}`matena2022combinatorial` take this literally. They look at training as a walk over patterns, and the patterns are the vertices of a polytope.
#
# ## Claim
#
# Points $x_1, \dots, x_n \in \mathbb R^d$ (the last input may be the constant 1 of a bias), a network $f(x) = \sum_{j \le m} s_j \max(0, \langle w_j, x\rangle)$ with $s_j = \pm 1$, and the mean squared error.
# The patterns of one neuron are the vertices of the **zonotope**
#
# $$Z = \sum_{i=1}^n\, [0, x_i], \qquad v = \sum_{\langle w, x_i\rangle > 0} x_i = \operatorname*{arg\,max}_{z \in Z}\ \langle w, z\rangle,$$
#
# two of them joined by an edge where a single point changes sides. A network of $m$ neurons corresponds to a vertex of $Z^m$. Only the abstract of the paper was at hand. So the claims below are in our words,
# everything marked *derived here* is ours, and no figure or number on this page is the paper's.
#
# | claim | from |
# |---|---|
# | patterns of a neuron are vertices of a zonotope, those of a network vertices of a product of zonotopes | abstract; details derived here |
# | in general position there are $2\sum_{k<d}\binom{n-1}{k}$ of them, and at each vertex at least $d$ edges | derived here (Cover's count) |
# | the least loss is a continuous function of points in general position; elsewhere it need not be | a summary; the abstract says that sensitivity is studied |
# | in a wide network, a random vertex probably holds a good solution | abstract |
# | a vertex chosen in polynomial time holds a global optimum, with twice the least number of parameters | abstract; the choice of $2\lceil n/d\rceil$ neurons is derived here. It needs an input that is 1 (the bias), blocks of $d$ independent points, and both output signs on every pattern |
# | greedy local search over vertices beats gradient descent where a network has few parameters | abstract; the search here is our reconstruction |
# | a trained network is never better than the convex optimum of its own patterns | derived here |

# %% tags=["parameters"]
preset: str = "quick"  # of the small sweep: tiny, quick or paper
seed: int = 0  # of every draw
jobs: int = 1  # processes for the small sweep
scheduler: str = None  # tcp://HOST:PORT of a Dask scheduler, or slurm
out: str = None  # folder that keeps the small sweep, to stop and go on
table: str = None  # file of another table of random_vertex

# %%
import numpy as np
import pandas as pd
from neurec_core import drawing, plots
from neurec_core.claims import decided
from neurec_core.draws import Draws
from neurec_core.explore import explore, static
from neurec_core.figures import matching
from neurec_core.sweep import sweep
from neurec_core.tables import load, mean, published, rate, threshold
from neurec_papers import relu_zonotopes as paper
from neurec_papers.relu_zonotopes import view
from neurec_papers.relu_zonotopes.engine import selection
from smallnets.geometry import arrangements, zonotopes

# %% [markdown]
# ## One instance
#
# Eight points of the plane, with a bias, and three neurons in training. On the left their zonotope; on the right the directions of all weights as a map that keeps areas, with a circle for each point.
# Crossing a circle there is walking along an edge on the left. Press play, or move the slider.

# %%
trained = view.INSTANCE.params(n=8, m=3, longitude=60.0, latitude=40.0)
problem, solution, scores = view.INSTANCE.run(trained, Draws(seed, [0]))
view.training(trained, problem, solution)

# %% [markdown]
# The inner dotted circle bounds the directions on the reader's side, the outer one is the opposite direction. A region's area is the probability that a random neuron starts there.
# Every region has its vertex, and every vertex its region:

# %%
X = problem.X[0]
fan = zonotopes.fan(X)
vertices = zonotopes.vertices(X, fan.D)
w = np.random.default_rng(seed).standard_normal((3, 1000))
farthest = (vertices @ w).argmax(axis=0)
assert (fan.find(X @ w > 0) == farthest).all()
assert len(vertices) == arrangements.count(*X.shape)
shares = zonotopes.solid_angles(X, fan)
print(f"{len(vertices)} vertices, {(fan.beyond >= 0).sum() // 2} edges")
print(f"areas from {shares.min():.1e} to {shares.max():.3f}")

# %% [markdown]
# The smallest regions are slivers, which random directions hardly ever meet. That matters below.
#
# At a vertex, training is convex. What gradient descent reached above, and the least loss at the vertex where it ended; beside it, a walk that solves the convex problem at each vertex and takes the best edge
# as long as one improves:

# %%
losses = pd.Series({name: float(values[0]) for name, values in scores.items()})
assert losses["polished"] <= losses["trained"] + 1e-12
assert losses["end"] <= losses["start"]
losses.round(4)

# %% [markdown]
# ## Small sweep
#
# How wide must a network be for its patterns at the start, never changed, to hold a network that fits? Twelve points, three inputs, random labels.

# %%
random_vertex = paper.RANDOM_VERTEX
small = sweep(
    random_vertex,
    random_vertex.preset(preset),
    seed=seed,
    jobs=jobs,
    scheduler=scheduler,
    out=out,
    progress=not static(),
)

# %%
plots.curves(small, random_vertex, "m", "zero_loss")

# %% [markdown]
# Twelve labels need at least twelve hidden weights, four neurons, and mostly more, since weights must stay in their cells. A random vertex needs several times as many.

# %%
narrow = small[small["overparameterized"] < 1 - 1e-9]
assert not narrow["zero_loss"].any()
small.groupby("m")[["overparameterized", "loss"]].median().round(4)

# %% [markdown]
# ## The paper's figure
#
# We know none of the paper's figures. The following tables are our own experiments on its claims; `make tables` computes them again.
#
# ### How many vertices, and how many of them sampling finds

# %%
counts = load(published(paper.VERTEX_COUNTS))
every = counts[counts["directions"] == 200_000]
picked = ["cells", "missed", "degree", "thinnest"]
medians = every.groupby(["inputs", "n", "d"])[picked].median()
medians.map(lambda value: f"{value:.5g}" if value > 0.1 else f"{value:.0e}")

# %% [markdown]
# All counts are those of the formula. How many vertices 200,000 random directions miss grows with the number of points and of inputs: none in the plane, and a large share where there are many points in
# four dimensions.

# %%
missed = (every["missed"] / every["cells"]).groupby([every["d"], every["n"]])
missed = missed.median().unstack("n")
assert (missed.loc[2] == 0).all()
assert missed.loc[4, 40] > 0.4
print("share of the vertices that 200,000 directions miss, median:")
missed.map("{:.1%}".format)

# %% [markdown]
# For ten points in three dimensions, the expected number of missed ones follows from the areas of the regions:

# %%
drawing.draw(counts, paper.VERTEX_COUNTS)

# %%
sampled = matching(counts, {"n": 10, "d": 3})
picked = sampled[["missed", "missed_expected"]]
off = (picked["missed"] - picked["missed_expected"]).abs().median()
print(f"median |missed - expected|: {off:.2f}")
assert off < 2
left = sampled[sampled["directions"] == 1_000_000]["missed"]
print(f"missed by a million directions: {left.mean():.1f} of 92")

# %% [markdown]
# The counts beside the formula, for normal points:

# %%
drawing.draw(counts, paper.VERTEX_COUNTS, "cells")

# %% [markdown]
# So a search over sampled patterns is not exhaustive, and `zonotopes.sampled` says so in a warning. The exact enumeration takes every ray on which $d - 1$ hyperplanes meet, with all signs around it.
#
# ### Random vertices

# %%
rows = load(table or published(random_vertex))
drawing.draw(rows, random_vertex, "twelve")

# %% [markdown]
# Two neurons of opposite signs on the same pattern (*paired*) together are a linear map on its points: they fit as soon as their maps span all labels. Otherwise weights must stay in their cells. The same for twenty points:

# %%
drawing.draw(rows, random_vertex, "twenty")

# %%
exact = matching(rows, {"stabilized": "no"})
alternating = exact[exact["outputs"] == "alternating"]
found = rate(alternating, "zero_loss", ["n", "d", "m"]).set_index(["n", "m"])
found["loss, median"] = alternating.groupby(["n", "m"])["loss"].median()
paired = exact[exact["outputs"] == "paired"]
assert (paired["zero_loss"] == paired["spanning"]).all()
found[["rate", "low", "high", "loss, median"]].round(3)

# %% [markdown]
# The rows at a fixed number of hidden weights per label $md / n$, beside the number of trials:

# %%
per_label = alternating.assign(
    weights=alternating["m"] * alternating["d"] / alternating["n"]
)
at = per_label[per_label["weights"].isin([2, 4, 5, 8, 10])]
at = rate(at, "zero_loss", ["weights", "n"])
fits = at.pivot(index="weights", columns="n", values="rate")
assert fits.loc[4, 100] == 0
assert (fits.loc[4, [12, 20]] > 0.75).all()
assert fits.loc[8].min() > 0.95
assert fits.loc[10].min() == 1
at.pivot(index="weights", columns="n", values=["rate", "trials"])

# %% [markdown]
# At four weights per label most vertices fit for 12 and 20 points, and none for 100. At eight nearly all fit, and at ten all of them, where that was tried. Pairs fit more often in between:

# %%
by_outputs = rate(exact, "zero_loss", ["n", "m", "outputs"])
by_outputs = by_outputs.pivot(index=["n", "m"], columns="outputs", values="rate")
by_outputs = by_outputs.dropna()
gain = (by_outputs["paired"] - by_outputs["alternating"]).groupby("n").max()
assert (gain > 0.1).all()
by_outputs.round(2)

# %% [markdown]
# Where half of the vertices fit, for a hundred points in five dimensions as well:

# %%
half = threshold(alternating, "zero_loss", "m", ["n", "d"])
scale = half["d"] / half["n"]
at_half = half[["threshold", "low", "high"]].mul(scale, axis=0)
at_half.index = "n = " + half["n"].astype(str) + ", d = " + half["d"].astype(str)
assert at_half["threshold"].between(2.5, 5).all()
assert at_half["low"].iloc[-1] > at_half["high"].iloc[:-1].max()
at_half.round(2)

# %% [markdown]
# That is in hidden weights per label, with the range that the 95 % bands leave open. It is larger for the hundred points.
#
# A fit may take large weights. Least squares is often kept stable by a little ridge, here $10^{-8} \sum_j \lVert w_j\rVert^2$, and that changes the answer:

# %%
both = matching(alternating, {"n": 12})
both = pd.concat([both, rows[rows["stabilized"] == "ridge"]])
held = rate(both, "zero_loss", ["m", "stabilized"])
held = held.pivot(index="m", columns="stabilized", values="rate").dropna()
assert (held["ridge"] <= held["no"]).all()
assert held.loc[16, "ridge"] < held.loc[16, "no"] - 0.1
assert held.loc[12, "ridge"] < held.loc[12, "no"] / 2
held.round(2)

# %% [markdown]
# Of the fits of twelve neurons, fewer than half are found with it.
#
# ### A vertex chosen without the labels
#
# Cut the points into blocks of $d$ along a direction, and give each block and all behind it a pair of neurons of opposite signs. That takes twice as many weights as labels, and block after block can be
# fitted. Each of three conditions is needed: a bias input, without which there may be no half-space to cut (on a line $f(2x) = 2f(x)$ for $x > 0$); independent points in each block; and a free choice of
# output signs, one of either kind for every block. Without any one of them there are labels that no network of that width fits; `tests/papers/test_relu_zonotopes.py` has an example for each.

# %%
selected = load(published(paper.VERTEX_SELECTION))
drawing.draw(selected, paper.VERTEX_SELECTION)

# %% [markdown]
# How many hidden weights the vertex needs for each label, for five values of $d$. More than two are needed only where $n$ is no multiple of $d$, since the last block is then not full:

# %%
drawing.draw(selected, paper.VERTEX_SELECTION, "weights")

# %% [markdown]
# What is left is rounding. Where points lie close at a cut, the two neurons of a pair are large and cancel, which costs digits again where neurons are added one after another. It takes hundreds of
# directions to find one whose cuts have wider gaps:

# %%
many = matching(selected, {"n": 1000, "d": 10})
by_tries = many.groupby("tries")[["largest", "error", "rounded"]].median()
gaps = by_tries["largest"] / by_tries["largest"].iloc[0]
assert gaps[256] < 0.6 < 0.9 < gaps.loc[:64].min()
by_tries.map(lambda value: f"{value:.1e}")

# %%
most = selected["overparameterized"][selected["n"] >= 10 * selected["d"]].max()
largest = selected[(selected["n"] == 2000) & (selected["d"] == 20)]
print(f"hidden weights for each label, n ≥ 10 d: at most {most:.2f}")
print(f"n = 2000, d = 20: error at most {largest['error'].max():.0e}")
draws = Draws(seed, [0])
line = np.column_stack([draws.normal("X", 9)[0], np.ones(9)])
chosen = selection.select(line, np.ones(1))
assert (zonotopes.fan(line).find(chosen.D) >= 0).all()

# %% [markdown]
# ### Greedy walks against gradient descent
#
# Fifty data sets, twelve starts each. All methods begin at the same directions and signs, 1 and -1 in turns. Means of the loss at the end, with standard errors:

# %%
local = load(published(paper.LOCAL_SEARCH))
turns = local["outputs"] == "alternating"
small_sets = local[turns & (local["optimum"] == "searched") & (local["m"] == 2)]
ends = mean(small_sets, "end", ["n", "method"]).set_index(["n", "method"])
names = ["best", "least", "hit_rate", "solves"]
ends[names] = small_sets.groupby(["n", "method"])[names].mean()
ends[["mean", "low", "high", *names]].round(3)

# %% [markdown]
# With two neurons the order is that of the claim: *greedy* ends below *descent*. The cheaper variant *binding* only tries to flip points whose constraint is tight at the optimum. How many convex problems
# it solves, as a share of those of *greedy*:

# %%
solves = ends["solves"].unstack()
losses_of = ends["mean"].unstack()
assert (losses_of["binding"] > losses_of[["greedy", "descent"]].max(axis=1)).all()
(solves["binding"] / solves["greedy"]).map("{:.0%}".format)

# %% [markdown]
# It ends at a higher loss than both *greedy* and gradient descent. *Flipping* may change output signs as well. Next to it, the same with signs by chance: there *greedy* ends above *descent*, whose output weights can pass 0. *Flipping*, which can do the same, ends below.

# %%
drawing.draw(local, paper.LOCAL_SEARCH, "signs")

# %%
eight = matching(local, {"n": 8, "m": 2, "optimum": "searched"})
by_signs = mean(eight, "end", ["outputs", "method"])
by_signs = by_signs.pivot(index="method", columns="outputs", values="mean")
assert (
    by_signs.loc["greedy", "alternating"] < by_signs.loc["descent", "alternating"]
)
assert by_signs.loc["flipping", "random"] < by_signs.loc["descent", "random"]
by_signs.round(3)

# %% [markdown]
# Other widths: twelve points, three inputs, where four neurons have as many weights as there are labels.

# %%
drawing.draw(local, paper.LOCAL_SEARCH)

# %%
width = matching(local, {"optimum": "unknown", "n": 12})
each = width.pivot(index=["m", "trial"], columns="method", values="end")
gains = pd.DataFrame(
    {name: each["descent"] - each[name] for name in ["greedy", "flipping"]}
)
gains = gains.groupby("m").agg(["mean", "sem"])
size = gains["greedy"]["mean"] / gains["greedy"]["sem"]
assert (gains["flipping"]["mean"] > 0).all()
assert gains["greedy"]["mean"].idxmax() == 4
assert size.loc[[1, 3]].between(-2, 0).all()
gains[("greedy", "mean / sem")] = size
gains.round(3)

# %% [markdown]
# How far the walks end below descent on the same data, with its standard error, and the gain of *greedy* in these. *Greedy* gains most where weights are as many as labels. With one and with three neurons
# it is not ahead: the mean gain is negative, and within two standard errors of zero. *Flipping* gains at every width, so output signs matter: *greedy* cannot change them, and descent can. The gains end
# as all methods fit.
#
# ### Points that coincide
#
# Two of four points of a line have the same place and labels -1 and 1. Three neurons cannot fit both. Moved apart by any distance, they can. Random points in general position beside them:

# %%
moves = load(published(paper.SENSITIVITY))
moves["points"] = moves["case"] + moves["d"].map(
    {2: ", on a line", 3: ", in a plane"}
)
fig = plots.curves(
    moves, paper.SENSITIVITY, "moved", "change", lines="points", average=True
)
plots.logarithmic(fig)

# %%
apart = matching(moves, {"case": "general"})
largest = apart.groupby("moved")["change"].max()
largest.map(lambda value: f"{value:.1e}")

# %% [markdown]
# In general position the change is of the order of the move, as long as that is small. A move past other points changes which patterns there are, and is no small one for them. At coincident points the
# change does not depend on the move at all.
#
# ### Where gradient descent ends
#
# Thirty points, three inputs. The loss after training beside the convex optimum with the patterns that it ended with:

# %%
polish = load(published(paper.POLISH))
drawing.draw(polish, paper.POLISH)

# %%
thirty = polish[polish["n"] == 30]
long_runs = thirty[thirty["steps"] == thirty["steps"].max()]
at_rest = long_runs.groupby("m")[["at_optimum", "on_walls", "crossings"]].mean()
assert at_rest["at_optimum"].iloc[0] == 1
assert at_rest["at_optimum"].iloc[-1] < 0.5 < at_rest["on_walls"].min()
at_rest.map("{:.2g}".format)

# %% [markdown]
# After a million steps: the share of trainings within 1 % of the optimum of their last vertex, the share of neurons whose kink ends at a point, and changes of patterns, counted up to a million. Most
# kinks end at points, and cross them back and forth. With two neurons descent arrives all the same. With ten it often does not, though its loss has come to rest: the convex problem of the last of the
# cells that it visits goes further down.
#
# ## Explore
#
# Colours are the least loss with the first neuron at that vertex and the others where the walk ends. Turn the view, or point the first neuron's weights elsewhere.

# %%
still = {
    "n": [5, 7],
    "m": [1, 2],
    "longitude": [-120, -60, 0, 60, 120, 180],
    "turn": [0, 30, 60],
}
explore(
    view.INSTANCE,
    view.walk,
    {**still, "latitude": [20.0]},
    fixed={"steps": 10},
    seed=seed,
)

# %% [markdown]
# Things to try: one neuron, where the walk goes down to a vertex darker than all its neighbours, which need not be the darkest; other starts until it is.
#
# ## What we checked, and where we differ
#
# Claims about the published tables. The abstract's claim about greedy walks holds with two neurons and alternating signs; with one or three
# neurons, and with signs by chance, it does not.

# %%
tables = [counts, rows, selected, local, moves, polish]
claims = pd.concat(map(decided, tables, paper.EXPERIMENTS))
assert claims["holds"].all()
claims.style.format(precision=3).hide(axis="index")

# %% [markdown]
# | what | abstract | here |
# |---|---|---|
# | convex problem | a constrained convex problem | mean squared error; solved by the rays of the cells, proven by multipliers |
# | vertex selection | in polynomial time | sorting and one linear solve of $d$ equations per block; $d$ counts the bias, without which there are no half-spaces to cut |
# | weights of the chosen vertex | | two neurons per block: $2\lceil n/d\rceil$; their size grows as gaps between points shrink |
# | vertex selection, conditions | unknown to us | a bias input, independent blocks, both signs for every block: each is needed |
# | greedy local search | unspecified | best of all edges; also the first that improves, walls that bind, output signs |
# | greedy walks against descent | ahead where a network has few parameters | with alternating signs ahead at two neurons, and on twelve points from four neurons on, but not at one or three; with signs by chance, behind at two |
# | data and widths | unknown to us | normal points and labels |
