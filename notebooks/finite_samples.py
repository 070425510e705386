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
# # Finite samples
#
# *A linear function is known from a few of its values. Is a small network?* The abstract of {cite:t}`xia2025finite` gives two answers. No finite set of points identifies every ReLU network of a given
# width, although every single irreducible network can be identified from some finite set. For tanh and logistic networks one finite set identifies them all.
#
# ## Claim
#
# A network with $m$ neurons is $f(x) = \sum_{j \le m} a_j\, \sigma(w_j \cdot x + b_j) + c$. It is **irreducible** if no network with fewer neurons is the same function. Neither the paper's text
# nor its abstract was at hand, only a summary of the abstract. What the summary says is marked [A], in our words; what is marked [D] is derived here, and may differ from the paper.
# We claim none of its figures.
#
# | | statement |
# |---|---|
# | [A] | There are necessary and sufficient conditions for a ReLU network to be irreducible. |
# | [D] | A function with $n$ kinks and an affine rest needs $n$, $n+1$ or $n+2$ neurons: $n$ if some neurons can be turned round so that nothing is left of the affine part, $n+1$ if a multiple of one neuron's $w_k \cdot x + b_k$ is left, $n+2$ otherwise. The counts are those of {cite:t}`dereich2022minimal`. |
# | [A] | No finite set of points identifies all irreducible ReLU networks of a width. |
# | [D] | A neuron whose kink lies beyond all points is seen by none. |
# | [A] | For a *given* irreducible ReLU network there is a finite set that separates it from all others with as many neurons. |
# | [D] | If no two neurons are opposite: on a line, two points in each of its linear pieces, $2(m+1)$ in all; in $d$ dimensions as many on each of $m(d-1)+1$ generic lines. With an opposite pair and an output bias there is none, whatever the signs of its output weights. |
# | [A] | For tanh and the logistic function one explicit finite set recovers all irreducible networks of a width, up to trivial symmetries, with an explicit bound on its size. |
# | [D] | Networks that are equal as functions are equal up to these symmetries {cite}`sussmann1992uniqueness`. On a line any $4^m$ distinct points are enough, since a difference of two networks has at most $4^m - 1$ zeros (derived here); in $d$ dimensions as many on each of $(4m-1)(d-1)+1$ directions, any $d$ of them independent. |

# %% tags=["parameters"]
preset: str = "quick"  # of the small sweep: tiny, quick or paper
seed: int = 0  # of every draw
jobs: int = 1  # processes for the small sweep
scheduler: str = None  # tcp://HOST:PORT of a Dask scheduler, or slurm
out: str = None  # folder that keeps the small sweep, to stop and go on
table: str = None  # file of another table of relu_recovery

# %%
from fractions import Fraction

import numpy as np
import pandas as pd
from neurec_core import drawing, plots
from neurec_core.claims import decided
from neurec_core.draws import Draws
from neurec_core.explore import explore, static
from neurec_core.figures import matching
from neurec_core.sweep import sweep
from neurec_core.tables import load, published, rate

# %%
from neurec_papers import finite_samples as paper
from neurec_papers.finite_samples import theory, view
from neurec_papers.finite_samples.engine import analytic, competitors
from neurec_papers.finite_samples.engine.irreducibility import irreducible, reduce
from neurec_papers.finite_samples.engine.line import in_fractions
from neurec_papers.finite_samples.engine.networks import ShallowNet
from neurec_papers.finite_samples.experiments import teachers

# %% [markdown]
# ## One instance
#
# Four neurons on a line, and two samples in each of the five pieces between their kinks. Nothing else with four neurons takes these ten values.

# %%
given = view.INSTANCE.params()
run = view.INSTANCE.run(given, Draws(seed, [0]))
view.samples(given, *run)

# %% [markdown]
# The dotted line is what the samples give back: lines through the points of a piece, which meet at the kinks. Now the second kink moves to the left, and the samples stay where they are:

# %%
moved = view.INSTANCE.params(shift=-0.9)
after = view.INSTANCE.run(moved, Draws(seed, [0]))
view.samples(moved, *after)

# %%
kinks = {"before": run[1].trace["kinks"][0], "after": after[1].trace["kinks"][0]}
place = float(after[1].stats["place"][0])
start = place - moved.shift
neighbours = ((kinks["before"] > place) & (kinks["before"] < start - 1e-9)).sum()
samples = run[0].X[0, :, 0]
passed = ((samples > place) & (samples < start)).sum()
held = after[1].trace["held"][0].astype(int)
print(f"the kink moves from {start:.2f} to {place:.2f}")
print(f"it passes {neighbours} other kink(s) and {passed} sample(s)")
print(f"samples in the pieces, from the left: {held.tolist()}")

# %% [markdown]
# A single sample does not fix the line of its piece. Where two neighbouring pieces hold one each, their lines can turn about these samples, and another network with four neurons fits all ten values (dashed).
#
# ### Turning neurons round
#
# Why "a network of four neurons", and not "a function with four kinks"? Since $a\max(0,z) = a\max(0,-z) + a z$, a set of neurons with $\sum_j a_j (w_j, b_j) = 0$ can be turned round
# together and the function stays. Conversely the affine part of a function may cost up to two neurons more.

# %%
planted = {"m": 5, "pairs": 1, "relation": "planted", "bias": False}
params = paper.IRREDUCIBILITY.params(**planted)
five = paper.IRREDUCIBILITY.sample(params, Draws(seed, [0])).trials[0].teacher
side = np.array([-1, 1, -1, -1, 1])  # one of the pair, and two more, are turned
turned = ShallowNet(five.W * side[:, None], five.b * side, five.a)
X = Draws(seed, [0]).normal("places", 1000, 3)[0]
flip_error = np.abs(five(X) - turned(X)).max()
four = reduce(five, bias=False).network
print(f"turned: {flip_error:.0e} off; {five.m} neurons become {four.m}")
assert flip_error < 1e-13
assert four.m == 4

# %% [markdown]
# After the turn, two neurons are active on the same side of one hyperplane and are merged. Three opposite pairs, without any relation, are always one neuron too many:

# %%
pairs = {"m": 6, "pairs": 3, "bias": False}
params = paper.IRREDUCIBILITY.params(**pairs)
six = paper.IRREDUCIBILITY.sample(params, Draws(seed, [0])).trials[0].teacher
fewer = reduce(six, bias=False).network
pair_error = np.abs(six(X) - fewer(X)).max()
print(f"three pairs: {fewer.m} neurons, {pair_error:.0e} off")
assert fewer.m == 5
assert pair_error < 1e-12

# %% [markdown]
# ### A kink beyond all points
#
# Fifty points on a line; two networks of three neurons, both irreducible.

# %%
points = Draws(seed, [0]).normal("points", 50, 1)[0]
(core,) = teachers.relu_on_line(Draws(seed, [0]), 2, 0, True)
unseen = {"direction": np.ones(1), "margin": 0.2, "changed": "weight"}
net, other = competitors.hidden_pair(points, core, **unseen)
assert irreducible(net)
assert irreducible(other)
on_points = np.abs(net(points) - other(points)).max()
x = np.linspace(-4, 4, 401)[:, None]
elsewhere = np.abs(net(x) - other(x)).max()
print(f"they differ by {on_points} on the points, {elsewhere:.2f} elsewhere")
assert on_points == 0
curves = {"one": net(x), "other": other(x)}
view.compared(points[:, 0], x[:, 0], curves, "Equal on 50 points")

# %% [markdown]
# More points move the unseen kink outwards and never help for good.
#
# ### Sixteen values of a tanh network
#
# Two neurons, hence $4^2 = 16$ points, and least squares from 60 starts. Output weights are solved for at each step.

# %%
smooth = paper.ANALYTIC_RECOVERY.params(m=2, points=16, starts=60)
problem, solution, scores = paper.ANALYTIC_RECOVERY.run(smooth, Draws(seed, [0]))
cost, met = scores["cost"][0], solution.stats["met"][0] / smooth.starts
print(
    f"least sum of squares {cost:.0e} of that of y; {met:.0%} of the starts meet the data"
)
print(f"largest difference of their parameters: {scores['apart'][0]:.0e}")
assert scores["recovered"][0]
assert cost < 1e-30

# %% [markdown]
# Every network that fits the data is the teacher, up to the order of neurons and the sign $\tanh(-z) = -\tanh(z)$. The same sixteen points do not distinguish two ReLU networks:

# %%
tanh_points = problem.X[0]
pair = competitors.hidden_pair(tanh_points, core, **unseen)
fooled = np.array_equal(pair[0](tanh_points), pair[1](tanh_points))
assert fooled
assert all(map(irreducible, pair))
tanh_net, best = problem.teacher[0], solution.value[0]
grid = np.linspace(-5, 5, 401)[:, None]
fits = {
    "tanh teacher": analytic.outputs("tanh", tanh_net, grid),
    "best fit": analytic.outputs("tanh", best, grid),
    "ReLU network": pair[0](grid),
    "another one": pair[1](grid),
}
view.compared(tanh_points[:, 0], grid[:, 0], fits, "Sixteen points")

# %% [markdown]
# The two tanh curves lie on each other, outside of the points, too. The two ReLU networks part where the points end.
#
# ## Small sweep
#
# Random ReLU networks on a line, and samples that are spread over the linear pieces of each as evenly as possible; any remainder goes to randomly chosen pieces.

# %%
relu = paper.RELU_RECOVERY
small = sweep(
    relu,
    relu.preset(preset),
    seed=seed,
    jobs=jobs,
    scheduler=scheduler,
    out=out,
    progress=not static(),
)

# %%
enough = small["points"] >= 2 * (small["m"] + 1)
assert (small["recovered"] == enough).all()
assert (small["identified"] == enough).all()
plots.phase_diagram(small, relu, "points", "m", column="recovered")

# %% [markdown]
# With $2(m+1)$ samples the network is recovered in every trial. With fewer, a method that certifies its answers returns none.
#
# ## The paper's figure
#
# No figure of the paper is known to us. These are ours, one for each claim. `make tables` computes the tables again.
#
# ### Which networks are irreducible
#
# Twelve neurons with opposite pairs among them. Their least width, with an output bias:

# %%
irr = load(published(paper.IRREDUCIBILITY))
solved = irr[irr["width"].notna()]
generic = solved[(solved["relation"] == "generic") & (solved["flat"] == 0)]
generic = generic[(generic["m"] == 12) & (generic["copies"] == 0)]
with_bias = generic[generic["bias"]]
least = with_bias.pivot_table(index="d", columns="pairs", values="width")
assert (least[[0, 1]] == 12).all(axis=None)
assert least[2].tolist() == [11, 12, 12, 12]
assert (least.loc[2:, 3:] == 12 + 2 - least.columns[3:]).all(axis=None)
least.astype(int)

# %% [markdown]
# The same in three dimensions, beside the least width that all orientations one by one give:

# %%
drawing.draw(irr, paper.IRREDUCIBILITY, "widths")

# %% [markdown]
# None or one pair: irreducible. Two pairs: irreducible unless $d = 1$, where up to a constant every affine function is a multiple of every other. From three pairs on, only two neurons are needed for
# all of the affine part.

# %%
without = generic[~generic["bias"]]
widths = without.pivot_table(index="d", columns="pairs", values="width")
assert (widths.loc[1] == widths.loc[3]).all()
both = solved[solved["enumerated"].notna()]
worst = solved["error"].max()
given_up = irr["width"].isna().sum()
left = irr[irr["width"].isna()]
assert (left["m"] - left["pairs"]).min() > 32
print(f"{len(both)} networks were decided by all orientations, too")
print(f"{len(solved)} were decided; {given_up} were given up")
print(f"largest error of a reduced network: {worst:.0e}")
assert worst < 1e-12

# %% [markdown]
# The networks that were given up have more than 32 hyperplanes and a planted relation. The search meets in the middle: 32 hyperplanes are split into two halves of 16, which needs $2 \cdot 2^{16}$ sums instead of
# $2^{32}$.
#
# ### How little gives two networks away
#
# The unseen kink just beyond the farthest of $n$ normal points, in a random direction. The share of fresh points on which the two networks differ:

# %%
hidden = load(published(paper.NON_IDENTIFIABILITY))
drawing.draw(hidden, paper.NON_IDENTIFIABILITY, "share")

# %%
far = matching(hidden, {"margin": 1e-6})
shares = far.groupby("n")["share"].agg(["mean", "sem"])
shares["1/(n+1)"] = 1 / (shares.index + 1)
off = (shares["mean"] - shares["1/(n+1)"]).abs() / shares["sem"]
assert off.max() < 4
shares.round(5)

# %% [markdown]
# Of $n + 1$ points each is equally likely to be the farthest, so the share is $1/(n+1)$ on average, in any dimension. On the points themselves the difference was exactly zero in every trial.
#
# ### What fewer samples leave open
#
# On a line, samples spread over the pieces; a *rival* is another irreducible network of the same width that takes the same values. How often one was found:

# %%
table_of_relu = load(table or published(relu))
line = table_of_relu[(table_of_relu["d"] == 1) & (table_of_relu["pairs"] == 0)]
spread_out = line[(line["placement"] == "pieces") & (line["arithmetic"] == "float")]
spread_out = spread_out.assign(
    missing=2 * (spread_out["m"] + 1) - spread_out["points"]
)
spread_out = spread_out.assign(rival=spread_out["rival"].notna())
few = spread_out[spread_out["missing"].between(0, 4)]
open_share = few.pivot_table(
    index=["bias", "m"], columns="missing", values="rival", aggfunc="mean"
)
open_share.round(2)

# %% [markdown]
# With no sample missing there is none. With one missing, the line of one piece can turn. The network must stay one of $m$ neurons, which is one condition more (two without an output bias): so a rival
# is not always there. There is one where the neurons at both ends of that piece are active on the same side (at an outer piece, where its one neuron is active outwards), and there may be one elsewhere.
#
# The error of the network that is recovered from the samples, or that of the rival where none is recovered. Below $2(m+1)$ samples (dotted) the median is over the trials in which a rival was found; the others are left out.

# %%
shown = line[(line["placement"] == "pieces") & (line["arithmetic"] == "float")]
shown = shown[shown["bias"] & shown["m"].isin([1, 2, 4, 6])]
off = shown["error"].fillna(shown["rival"]).clip(lower=1e-17)
fig = plots.curves(shown.assign(error=off), relu, "points", "error", lines="m")
fig.update_layout(title_text="Error of the networks found that fit the samples")
plots.logarithmic(fig, "y")
view.marked(fig, {"2(m + 1)": [4, 6, 10, 14]}, span=(1e-17, 10))

# %%
enough = shown["points"] >= 2 * (shown["m"] + 1)
print(f"with 2(m + 1) samples or more: {off[enough].max():.0e} at most")
print(f"with fewer, where a rival was met: {off[~enough].min():.0e} at least")
assert off[enough].max() < 1e-12

# %% [markdown]
# ### A network that has no set of its own
#
# All of this was about networks without an opposite pair. Since $\max(0, -x) = \max(0, x) - x$, a pair is $p \max(0, x) + q \max(0, -x) = (p + q) \max(0, x) - q x$. On finitely many points
# $x \ge -T$, and there $-q x = q T - q \max(0, x + T)$: two neurons that are active on the same side, and an output bias. The signs of $p$ and $q$ do not matter. Forty-one points, the kink itself among them:

# %%
weights = {
    "equal signs": (2.0, 1.0),
    "different signs": (2.0, -1.0),
    "no net kink": (1.0, -1.0),
}
sides = np.array([[1.0], [-1.0]])
pair_nets = {
    k: ShallowNet(sides, np.zeros(2), np.array(a)) for k, a in weights.items()
}
everywhere = np.arange(-20, 21)[:, None] / 10
rivals = {
    k: competitors.split_pair(everywhere, net, 0, 1) for k, net in pair_nets.items()
}
assert all(map(irreducible, [*pair_nets.values(), *rivals.values()]))


# %%
def apart(net, rival, x):
    exact = [in_fractions(one)(list(map(Fraction, x))) for one in (net, rival)]
    return float(max(abs(p - q) for p, q in zip(*exact, strict=True)))


# %%
def compared(kind):
    net, rival = pair_nets[kind], rivals[kind]
    return {
        "rival": f"a = {rival.a}, b = {rival.b}, c = {rival.c}",
        "on the points": apart(net, rival, everywhere[:, 0]),
        "at x = -10": apart(net, rival, [-10.0]),
    }


split = pd.DataFrame({kind: compared(kind) for kind in pair_nets}).T
assert (split["on the points"] == 0).all()
assert (split["at x = -10"] > 1).all()
split

# %%
wide = np.linspace(-6, 3, 301)[:, None]
chosen = "equal signs"
curves = {"network": pair_nets[chosen](wide), "rival": rivals[chosen](wide)}
view.compared(everywhere, wide[:, 0], curves, "Equal on all points")

# %% [markdown]
# All are irreducible, have two neurons, and are equal on all points in exact fractions. More points move the place where they part outwards and never help for good. If $p + q = 0$ the pair is the
# linear function $-q x$. Alone on a line, or beside other kinks in more dimensions, it can be irreducible, and then one neuron already does on the points what takes two elsewhere: not even the width
# is seen. So the abstract's third claim, as the summary has it, can only hold as we read it without opposite pairs or without an output bias. Without one, two neurons to spare (two pairs, or a pair without a net
# kink) make up for the constant, and such networks have no set either.
#
# `recover` returns functions with an opposite pair, as those with fewest kinks. Nothing proves that they are the right ones, since others fit: such networks are *recovered*, but not *identified*.

# %%
with_pair = relu.params(m=4, pairs=1, points=40)
pair_problem, _, pair_scores = relu.run(with_pair, Draws(seed, range(20)))
recovered_share = pair_scores["recovered"].mean()
identified = pair_scores["identified"].mean()
print(f"recovered: {recovered_share:.0%}, identified: {identified:.0%}")
assert (recovered_share, identified) == (1, 0)

# %% [markdown]
# A rival of the first of these networks, on its points and beyond them:

# %%
true = pair_problem.teacher[0][0]
pair_rival = competitors.split_pair(pair_problem.X[0], true, 0, 3)
rival_error = np.abs(pair_problem.y[0] - pair_rival(pair_problem.X[0])).max()
fine = np.linspace(-12, 12, 6001)[:, None]
rival_apart = np.abs(true(fine) - pair_rival(fine)).max()
print(f"a rival: {rival_error:.0e} off on 40 points, {rival_apart:.2f} elsewhere")
assert rival_error < 1e-13
assert rival_apart > 1e-3

# %% [markdown]
# ### Samples at random places
#
# Samples are drawn uniformly over a line, without regard to the network; each piece needs two of them by chance:

# %%
drawing.draw(table_of_relu, relu, "blind")

# %% [markdown]
# ### Lines in three dimensions
#
# Fourteen samples on each line. On the left a hyperplane must meet all lines where $f$ bends, and $f$ must bend the same way, up or down, on the first $d$ of them, through which it is drawn. On the right it must also explain by how much
# $f$ bends.

# %%
drawing.draw(table_of_relu, relu, "lines")

# %%
space = matching(table_of_relu, relu.figures["lines"].where)
counts = space.assign(ok=space["recovered"].astype(float))
by_lines = counts.pivot_table(index="evidence", columns="lines", values="ok")
nine = matching(table_of_relu, {"d": 3, "m": 4, "lines": 9, "points": 10})
print(f"d = 3, m = 4: {nine['samples'].iloc[0]:.0f} samples")
print(f"hyperplanes: {set(nine['consistent'])}, error {nine['error'].max():.0e}")
assert (by_lines.loc[:, 4:] == 1).all(axis=None)
assert by_lines.loc["jumps", 3] == 1
assert (by_lines.loc[:, :2] == 0).all(axis=None)
assert (nine["consistent"] == 4).all()
by_lines.round(2)

# %% [markdown]
# $m(d-1)+1$ lines (dashed) leave nothing open, whatever the network. Random lines are kinder: $d + 1$ of them are enough in all trials, and $d$ if jumps are read. With fewer than $d$ no hyperplane is fixed.
#
# ### Values of tanh and logistic networks

# %%
ana = load(published(paper.ANALYTIC_RECOVERY))
analytic_study = paper.ANALYTIC_RECOVERY
fig = drawing.draw(ana, analytic_study, "recovered")
counts = {"parameters, 3m + 1": [4, 7, 10], "4^m": [4, 16, 64]}
view.marked(fig, counts)

# %%
picked = ["recovered", "left_open"]
on_line = matching(ana, {"d": 1, "activation": "tanh"})
by_points = on_line.astype({"recovered": float, "left_open": float})
by_points = by_points.groupby(["m", "points"])[picked].mean()
by_points.unstack("m")["left_open"].round(2)

# %% [markdown]
# The share of networks for which another one fits the data as well, and the largest error of one that was found:

# %%
fig = drawing.draw(ana, analytic_study, "worst")
view.marked(fig, counts, span=(1e-16, 10))

# %% [markdown]
# Below the number of parameters, $3m + 1$ = 4, 7 and 10, another one always fits. With as many points as parameters two and three neurons often still have
# a second solution, to the last digit; four points are $4^1$, so that one neuron has none. With one point more we found none, long before $4^m$ points exclude it. The other failure is that no start fits the data at all:

# %%
at_bound = ana[(ana["d"] == 1) & (ana["points"] >= 4.0 ** ana["m"])]
missed = (~at_bound["recovered"].astype(bool)).groupby(at_bound["m"]).mean()
below = ana[(ana["d"] == 1) & (ana["points"] <= 3 * ana["m"])]
above = ana[(ana["d"] == 1) & (ana["points"] >= 3 * ana["m"] + 2)]
assert not above["left_open"].any()
assert below["left_open"].all()
print("no start met the data, with 4^m points or more:")
missed.rename("share").to_frame().round(3)

# %% [markdown]
# On rays in the plane, two neurons, 16 points on each direction:

# %%
plane = ana[(ana["d"] == 2) & (ana["activation"] == "tanh")]
rays = rate(plane, "recovered", ["directions"]).set_index("directions")
assert rays.loc[1, "rate"] == 0
assert (rays.loc[2:, "rate"] == 1).all()
assert rays.loc[theory.directions_needed(2, 2), "rate"] == 1
print(f"enough for all networks: {theory.directions_needed(2, 2)} directions")
rays[["trials", "rate", "low", "high"]].round(2)

# %% [markdown]
# One direction leaves a component of each $w_j$ free. $(4m - 1)(d - 1) + 1$ directions are enough for all networks at once: where the difference of two networks vanishes along a direction, each of its
# neurons is constant there or meets another one, which $4m - 1$ hyperplanes of directions allow. Two were enough for each of the networks drawn here.
#
# ### Zeros of a difference
#
# The most sign changes of the difference of two random networks, over 4000 pairs, beside the bound:

# %%
most = analytic.most_sign_changes
zeros = pd.DataFrame(
    {
        "tanh": [most("tanh", m, 4000) for m in (1, 2, 3)],
        "logistic": [most("sigmoid", m, 4000) for m in (1, 2, 3)],
    },
    index=pd.Index([1, 2, 3], name="m"),
)
zeros["4^m - 1"] = 4**zeros.index - 1
assert zeros["tanh"].tolist() == [3, 4, 5]
assert (zeros["tanh"] <= zeros["4^m - 1"]).all()
assert (2 * zeros.loc[2:, "tanh"] < zeros.loc[2:, "4^m - 1"]).all()
zeros

# %% [markdown]
# Far below the bound, except for one neuron: the bound may be far from sharp, which agrees with what the fits show.
#
# ## Explore
#
# Move a kink past the samples.

# %%
still = {
    "shift": [-1.5, -1.2, -0.9, -0.6, -0.3, 0.0, 0.3, 0.6, 0.9, 1.2, 1.5],
    "moved": [1, 2, 3],
    "bias": [True, False],
}
sliders = {"m": [4], "points": [10], "placement": ["pieces"]}
explore(view.INSTANCE, view.samples, {**still, **sliders}, seed=seed)

# %% [markdown]
# Things to try: a kink that is moved past its neighbour; the same with and without an output bias, where rivals come and go; where a kernel runs, evenly spaced samples, and how many it takes.
#
# ## What we checked, and where we differ
#
# Claims about the published tables. The expected values were worked out here, not by the paper. One of its claims, as we read the summary,
# does not hold: with an output bias, a network with an opposite pair has no finite set of its own (see above).

# %%
claims = pd.concat(
    [
        decided(irr, paper.IRREDUCIBILITY),
        decided(hidden, paper.NON_IDENTIFIABILITY),
        decided(table_of_relu, relu),
        decided(ana, analytic_study),
    ]
)
assert claims["holds"].all()
claims.style.format(precision=3).hide(axis="index")

# %% [markdown]
# | where | the paper | here |
# |---|---|---|
# | criteria, sets, counts | its own; neither text nor abstract was at hand | derived here, marked [D] |
# | analytic networks, size of the set | an explicit bound, according to the summary; not known | $4^m\,((4m-1)(d-1)+1)$ are enough, our own count |
# | neurons with $w_j = 0$ | not known | none: a constant is an output bias. Without one a constant function then takes four neurons |
# | opposite pairs | not known | with an output bias none of these networks has a finite set, whatever the signs; without one, none that has two neurons to spare. `recover` returns the function with fewest kinks, which proves nothing there: `recovered`, but not `identified` |
# | decision | not known | up to 32 hyperplanes; above that a relation that is not found by counting pairs stays undecided. A relation that holds to ten digits but not to fifteen may be a coincidence, and is left undecided as well |
# | numbers | | float64 with relative tolerances $10^{-10}$ for relations and $10^{-9}$ for samples; fractions on a line |
