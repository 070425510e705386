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
# # Inconsistency of gradient descent
#
# *More data and more neurons should, in the end, give the right function. With gradient descent from the usual
# initialisation they need not.* {cite:t}`holzmuller2022training` train two-layer ReLU networks on points of a line. The
# neurons start with their kinks at the origin. For wide networks the kinks stay there: the network remains affine on
# either side, however many points there are.
#
# ## Claim
#
# The network is $f(x) = c + \sum_{i=1}^m w_i \max(a_i x + b_i, 0)$ with kinks at $-b_i/a_i$, He et al.'s start, $b_i = c = 0$,
# and full gradient steps of size $h \le 1/\lambda_{\max}(H)$ on half the mean squared error. Let $v_\sigma^{\mathrm{opt}}$ be
# the least-squares line of the points on side $\sigma$ of the origin. If its intercepts are small, then (their
# Theorem 10), with probability at least $1 - C m^{-\gamma}$ for each $\gamma < 1/2$, **all kinks stay between the nearest points
# for all times**, and
#
# $$|a_i - a_i(0)|,\ |b_i| \lesssim m^{-3/2+\varepsilon}, \qquad |w_i - w_i(0)|,\ |c| \lesssim m^{-1+\varepsilon}.$$
#
# With $n = m^2$ points the network then tends to the best function that is affine on either side, not to the best
# function (Theorem 22): training is inconsistent. What we expect to see:
#
# 1. As long as no kink reaches a point, all neurons of one side obey the same linear map, so that the network is a system of
#    13 numbers, whatever $m$ and $n$ (Prop. C.2, C.5). That is how everything below is computed.
# 2. The probability that a kink ever reaches a point falls like $m^{-1/2}$. To first order it is
#    $E[1 - e^{-\Lambda}]$ with $\Lambda = (u_+ + u_-)/(2\pi\sqrt m)$, from which $P\sqrt m \to 1.56$ (derived here).
# 3. Labels shifted by $\Delta$ give the best lines an intercept; the law breaks near $m \approx 1/\Delta$.

# %% tags=["parameters"]
preset: str = "quick"  # of the small sweep: tiny, quick or paper
seed: int = 0  # of every draw
jobs: int = 1  # processes for the small sweep
scheduler: str = None  # tcp://HOST:PORT of a Dask scheduler, or slurm
out: str = None  # folder that keeps the small sweep, to stop and go on
table: str = None  # file of another table of crossing_probability

# %%
import functools

import numpy as np
import pandas as pd
from neurec_core import line_portrait, plots
from neurec_core.draws import Draws
from neurec_core.experiment import Grid
from neurec_core.explore import explore, static
from neurec_core.papers import inconsistency as paper
from neurec_core.papers.inconsistency import law
from neurec_core.papers.inconsistency.explorer import INSTANCE
from neurec_core.sweep import sweep
from neurec_core.tables import load, published, rate

# %% [markdown]
# ## One instance
#
# The paper's figures 1 and 2: a network of 16 neurons, 256 points, step size $0.01$, from the authors' own random numbers.
# Press play, or move the slider: blue diamonds are the kinks.

# %%
example = paper.TRAINING_EXAMPLES
params = example.params(rng="published")
problem, solution, scores = example.run(params, Draws(0, [0]))
line_portrait.training(problem, solution)

# %% [markdown]
# The loss falls fast, then slowly, to that of the best function that is affine on either side (middle: the difference).
# The kinks move a little and stop, far from the nearest points (right). A network of the same width fits the data well if
# its kinks are put where they are needed (dotted).

# %%
kinks = -solution.trace["b"][0] / solution.trace["a"][0]
print(f"kinks in [{kinks.min():.3f}, {kinks.max():.3f}], points at |x| >= {scores['reach'][0]:.3f}")
print(f"excess loss {scores['excess'][0]:.1e} after {solution.trace['steps'][0, -1]} steps")
print(f"loss {scores['half_affine'][0]:.3f}; of the network that fits: {scores['reference'][0]:.3f}")
assert scores["stayed"][0]
assert np.isclose(kinks.min(), -0.082, atol=1e-3)  # the paper's figure 2
assert np.isclose(kinks.max(), 0.131, atol=1e-3)

# %% [markdown]
# The paper's caption speaks of 300 samples and $h = 0.002$. Its code, and the curves in it, are those above: 256 samples and
# $h = 0.01$.
#
# ## Small sweep
#
# The Monte-Carlo experiment: six points, $(\pm1, \pm1), (\pm2, \mp2), (\pm3, \pm1)$, on which the best line of either side is $0$.
# Each network sees its own shares of them, as if $m^2$ points had been drawn, and is trained until a kink has reached a
# point or until a certificate says that none ever will.

# %%
crossing = paper.CROSSING_PROBABILITY
small = sweep(
    crossing,
    crossing.preset(preset),
    seed=seed,
    jobs=jobs,
    scheduler=scheduler,
    out=out,
    progress=not static(),
)


# %%
def against_law(table, lines=None, shifts=(0.0,), widths=(16, 2**11)):
    """Measured probabilities over the width, beside the asymptotic law."""
    fig = plots.curves(table, crossing, "m", lines=lines)
    m = np.geomspace(*widths, 25)
    curves = {s: [law.crossing_probability(w, s)[0] for w in m] for s in shifts}
    look = {"color": "gray", "dash": "dash"}
    names = {s: f"law, Δ = {s}" if s else "law" for s in shifts}
    [fig.add_scatter(x=m, y=curves[s], name=names[s], line=look) for s in shifts]
    return plots.logarithmic(fig)


# %%
against_law(small)

# %% [markdown]
# Every network ends in one of the two ways, and the rate is near the law, which is one for large $m$: below $m = 100$ several
# neurons compete to be the first.

# %%
ends = small.groupby("m")[["crossed", "converged"]].mean()
assert ((ends["crossed"] + ends["converged"]) == 1).all()
largest = small[small["m"] == small["m"].max()]
measured = rate(largest, "not_affine", ["m"]).iloc[0]
asymptotic = law.crossing_probability(measured["m"])[0]
# Within the 95 % band, widened by a tenth for the law's own error at this width.
assert 0.9 * measured["low"] < asymptotic < 1.1 * measured["high"]
ends.assign(sqrt_m=ends["crossed"] * np.sqrt(ends.index)).round(3)
