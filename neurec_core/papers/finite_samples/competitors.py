"""Other irreducible networks of the same width with the same outputs on samples; derived here.

`hidden_pair` makes two for any finite set of points, in any dimension: a kink beyond all points is seen by none.
`split_pair` makes one for a given network that has an opposite pair: that pair's kink is parted where no point is.
`competitor` asks about one network on a line: where a piece holds one sample or none, its line can be turned or moved,
and a competitor is what still is a network of the same width.
"""

from __future__ import annotations

from itertools import product
from typing import NamedTuple

import numpy as np

from ...params import BadInput, unknown
from .common import Network, checked, points_for, relative_error
from .irreducibility import needs_irreducible
from .line import Broken, outputs, seen

ON = 1e-12  # a point that near to a hyperplane lies on it
SAME = 1e-9  # relative: outputs on samples that count as equal
APART = 1e-6  # relative: functions that count as different
STEPS = 2.0 ** np.arange(4, -30, -1)  # how far a line is turned, the farthest first
CHANGES = ("kink", "weight")  # what may differ in the neuron that no point sees
MOST_TURNED = 10  # kinks up to which all orientations are looked at


def hidden_pair(
    X: np.ndarray, core: Network, direction: np.ndarray, *, margin: float, changed: str = "kink"
) -> tuple[Network, Network]:
    """Two networks of one more neuron than the core that agree on all points, and nowhere beyond them.

    The neuron is max(0, u.x - tau) with tau above u.x at all points. The other network has tau moved out by as much
    again as its distance to the points, or twice the output weight.

    Parameters
    ----------
    X : (n, d) array of distinct points
    core : an irreducible network of m - 1 neurons
    direction : (d,) array, not zero; u is its unit vector
    margin : distance of the kink from the farthest point, > 0, in units of the inputs
    changed : "kink" or "weight"

    Raises
    ------
    BadInput : points that repeat others, a reducible core, a direction that is zero or not finite, a margin that is
        not positive, or too small beside the points to move a float; another change

    **Source**: derived here, for the negative result of xia2025finite.
    """
    core = needs_irreducible(core)
    X, direction = points_for(core, X), np.asarray(direction, float)
    if changed not in CHANGES:
        raise BadInput(unknown("change", changed, CHANGES))
    if direction.shape != X.shape[1:] or not np.isfinite(direction).all() or not direction.any():
        raise BadInput(f"direction (of the hidden kink) must be a vector of {X.shape[1]} finite numbers, not all 0")
    if not 0 < margin < np.inf:
        raise BadInput(f"margin (distance of the hidden kink) must be a number in (0, inf), got {margin!r}")
    u = direction / np.abs(direction).max()
    u /= np.linalg.norm(u)
    tau = float((X @ u).max()) + margin
    further, weight = {"kink": (margin, 1.0), "weight": (0.0, 2.0)}[changed]

    def net(tau: float, weight: float) -> Network:
        return Network(np.vstack([core.W, u]), np.append(core.b, -tau), np.append(core.a, weight), core.c)

    if np.max(X @ u[:, None] - tau) > 0 or (changed == "kink" and tau + further == tau) or tau - margin == tau:
        raise BadInput(
            f"margin (distance of the hidden kink) must show beside the points' size {tau:.1e}, got {margin!r}"
        )
    return net(tau, 1.0), net(tau + further, weight)


def split_pair(X: np.ndarray, net: Network, first: int, second: int) -> Network | None:
    """Another network of the same width that agrees on all points, if two neurons of a network are an opposite pair.

    With q e' = p e, p max(0, z + e) + q max(0, -z + e') - p e is p max(0, z) + q max(0, -z) but for a strip along z = 0
    that is as thin as e. It holds the hyperplane itself if p and q have one sign; if not, the strip is on one side of
    it, and no finite set of points can see it. The two networks need an output bias.

    Parameters
    ----------
    X : (n, d) array of distinct points
    first, second : numbers of the two neurons

    Returns
    -------
    None if p and q have one sign and a point lies on the hyperplane

    Raises
    ------
    BadInput : "second (neuron) must be opposite to the first, got 0 and 2", a number that is no neuron's, an output
        weight of the two that is 0, or points that repeat others

    **Source**: derived here.
    """
    net = checked(net)
    X = points_for(net, X)
    for name, number in (("first", first), ("second", second)):
        if not 0 <= number < net.m:
            raise BadInput(f"{name} (neuron) must be a whole number in [0, {net.m - 1}], got {number}")
    if not net.a[[first, second]].all():
        raise BadInput("a (output weights) of the first and second neuron must not be 0, got one that is")
    size = np.linalg.norm(net.W[[first, second]], axis=1)
    z, other = np.column_stack([net.W, net.b])[[first, second]] / size[:, None]
    if np.linalg.norm(z + other) > SAME * (1 + abs(z[-1])):
        raise BadInput(f"second (neuron) must be opposite to the first, got {first} and {second}")
    p, q = net.a[[first, second]] * size
    height = X @ z[:-1] + z[-1]
    height[np.abs(height) < ON * (1 + np.abs(z[-1]))] = 0.0
    near = np.abs(height if p * q > 0 else height[height < 0]).min(initial=1.0)
    if not near:
        return None
    e = 0.5 * near / max(1.0, abs(p / q))
    W, b, a = net.W.copy(), net.b.copy(), net.a.copy()
    W[[first, second]], b[[first, second]] = [z[:-1], -z[:-1]], [z[-1] + e, -z[-1] + p / q * e]
    a[[first, second]] = p, q
    return Network(W, b, a, net.c - float(p * e))


class Competitor(NamedTuple):
    """Another function that fits: `free` if a whole family of them starts at the true one, else it stands alone."""

    function: Broken
    free: bool


def competitor(truth: Broken, x: np.ndarray, *, bias: bool = True) -> Competitor | None:
    """Another network with one neuron a kink that equals `truth` on all samples, its kinks between the same samples.

    With lines l_0 ... l_m, neurons F looking to the left and all others to the right, a function is a network of m
    neurons exactly if l_0 + sum_{k in F} (l_k - l_{k-1}) vanishes (up to a constant, with an output bias): a linear
    condition on the lines. A piece with one sample leaves its slope free, one with none also its height. All F are
    tried; whatever is found is checked on the samples.

    Parameters
    ----------
    truth : m kinks, of a network with m neurons; at most `MOST_TURNED`
    x : (n,) array of samples

    Returns
    -------
    The competitor that is farthest off among those that were met; None if none was met, which proves something only
    where every piece holds two samples

    Raises
    ------
    BadInput : "truth (kinks) must be at most 10, got 12", a function without a kink, or no samples
    """
    t, x = np.array(truth.kinks), np.sort(np.asarray(x, float))
    lines: np.ndarray = np.array(truth.lines)
    m = len(t)
    if not m:
        raise BadInput("truth (kinks) must be at least 1, got 0")
    if x.ndim != 1 or not len(x) or not np.isfinite(x).all():
        raise BadInput(f"x (samples) must be finite numbers, one or more of them, got an array of shape {x.shape}")
    if m > MOST_TURNED:
        raise BadInput(f"truth (kinks) must be at most {MOST_TURNED}, got {m}")
    moves = _moves(t, x)
    best: tuple[float, Competitor] | None = None
    if not len(moves):
        return None
    where = np.linspace(min(t[0], x[0]) - 1, max(t[-1], x[-1]) + 1, 801)
    f, on_samples = outputs(truth, where), outputs(truth, x)
    counts = seen(x.tolist(), truth.kinks)
    for turned in product([False, True], repeat=m):
        sides = _coefficients(np.array(turned))
        compared = slice(0, 1) if bias else slice(None)
        gap = (sides @ lines)[compared]
        system = np.stack([(sides @ move)[compared] for move in moves], axis=1)
        for parameters, free in _solutions(system, gap):
            other = _function(lines + np.tensordot(parameters, moves, 1), x, counts)
            if other is None or relative_error(on_samples, outputs(other, x)) > SAME:
                continue
            apart = relative_error(f, outputs(other, where))
            if apart > APART and (best is None or apart > best[0]):
                best = apart, Competitor(other, free)
            break  # smaller steps change less
    return best[1] if best else None


def _moves(t: np.ndarray, x: np.ndarray) -> np.ndarray:
    """What lines can do without leaving their samples, ``(q, m+1, 2)``: turn about the only one, or anything."""
    found = []
    for i in range(len(t) + 1):
        own = x[np.searchsorted(t, x) == i]
        turns = {0: [(1.0, 0.0), (0.0, 1.0)], 1: [(1.0, -own[0])] if len(own) else []}.get(len(own), [])
        for turn in turns:
            move = np.zeros((len(t) + 1, 2))
            move[i] = turn
            found.append(move)
    return np.array(found).reshape(-1, len(t) + 1, 2)


def _coefficients(turned: np.ndarray) -> np.ndarray:
    """Of each line in l_0 + sum_{k in F} (l_k - l_{k-1}), ``(m+1,)``."""
    sides = np.zeros(len(turned) + 1)
    sides[0] = 1.0
    sides[1:] += turned
    sides[:-1] -= turned
    return sides


def _solutions(system: np.ndarray, gap: np.ndarray) -> list[tuple[np.ndarray, bool]]:
    """Parameters p with gap + system p = 0: steps along the null space if 0 is one of them, else the least."""
    least, *_ = np.linalg.lstsq(system, -gap, rcond=1e-10)
    scale = 1e-9 * (1 + np.abs(gap).max())
    if np.abs(system @ least + gap).max() > scale:
        return []
    if np.abs(gap).max() > scale:
        return [(least, False)]
    _, s, Vt = np.linalg.svd(system)
    null = Vt[int((s > 1e-10).sum()) :]
    return [(sign * step * direction, True) for direction in null for step in STEPS for sign in (1.0, -1.0)]


def _function(lines: np.ndarray, x: np.ndarray, counts: list[int]) -> Broken | None:
    """The function with these lines, if neighbours meet between the samples of their pieces, one after the other."""
    bend = np.diff(lines[:, 0])
    if np.abs(bend).min() < APART:
        return None
    t = -np.diff(lines[:, 1]) / bend
    ends = np.concatenate([[-np.inf], x, [np.inf]])
    passed = np.cumsum(counts[:-1])
    inside = (t >= ends[passed]) & (t <= ends[passed + 1])
    if not inside.all() or (np.diff(t) < APART).any():
        return None
    return Broken(t.tolist(), [tuple(line) for line in lines])
