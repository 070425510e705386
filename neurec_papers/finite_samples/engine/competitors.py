"""Other irreducible networks of the same width with the same outputs on samples; derived here.

`hidden_pair` makes two for any finite set of points, in any dimension: a kink beyond all points is seen by none.
`split_pair` makes one for a given network that has an opposite pair: the linear part of it is bent beyond all points.
`competitor` asks about one network on a line: where a piece holds one sample or none, its line can be turned or moved,
and a competitor is what still is a network of the same width.
"""

from __future__ import annotations

from itertools import product
from typing import NamedTuple

import numpy as np

from neurec_core.params import BadInput
from smallnets import arguments

from .frames import ROUNDING
from .irreducibility import irreducible, needs_irreducible
from .line import Broken, outputs, seen
from .networks import LARGEST, ShallowNet, checked, points_for, relative_error

NEURON = arguments.whole("neuron")
SAME = 1e-9  # relative: outputs on samples that count as equal
APART = 1e-6  # relative: functions that count as different
STEPS = 2.0 ** np.arange(4, -30, -1)  # how far a line is turned, the farthest first
CHANGES = ("kink", "weight")  # what may differ in the neuron that no point sees
MOST_TURNED = 10  # kinks up to which all orientations are tried


@arguments.checked(
    X=arguments.array("sample points", "n d"),
    direction=arguments.array("of the hidden kink", "d"),
    margin=arguments.number("distance of the hidden kink", "(0, inf)"),
    changed=arguments.choice("change", CHANGES),
)
def hidden_pair(
    X: np.ndarray, core: ShallowNet, direction: np.ndarray, *, margin: float, changed: str = "kink"
) -> tuple[ShallowNet, ShallowNet]:
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
    X = points_for(core, X)
    if not direction.any():
        raise BadInput("direction (of the hidden kink) must not be all 0")
    u = direction / np.abs(direction).max()
    u /= np.linalg.norm(u)
    tau = float((X @ u).max()) + margin
    further, weight = {"kink": (margin, 1.0), "weight": (0.0, 2.0)}[changed]

    def net(tau: float, weight: float) -> ShallowNet:
        return ShallowNet(np.vstack([core.W, u]), np.append(core.b, -tau), np.append(core.a, weight), core.c)

    if np.max(X @ u[:, None] - tau) > 0 or (changed == "kink" and tau + further == tau) or tau - margin == tau:
        raise BadInput(
            f"margin (distance of the hidden kink) must show beside the points' size {tau:.1e}, got {margin!r}"
        )
    return net(tau, 1.0), net(tau + further, weight)


@arguments.checked(X=arguments.array("sample points", "n d"), first=NEURON, second=NEURON)
def split_pair(X: np.ndarray, net: ShallowNet, first: int, second: int) -> ShallowNet:
    """Another irreducible network of the same width that agrees on all points, if two neurons are an opposite pair.

    With z = w.x + b of the first neuron, the pair p max(0, z) + q max(0, -z) is (p + q) max(0, z) - q z. If z >= -T at
    all points, -q z is q T - q max(0, z + T) there, whatever the signs of p and q. So the two neurons become parallel
    ones, the output bias takes q T, and the networks differ wherever z < -T. If p + q = 0, one neuron is to spare, and
    becomes q max(0, -z - 2T), which is 0 at all points. The other network is irreducible, too: an orientation that
    made it smaller would leave nothing, or a multiple of z, of the given one's affine part, and make that one smaller.

    Parameters
    ----------
    X : (n, d) array of distinct points
    net : an irreducible network with an output bias, which may be 0
    first, second : numbers of the two neurons; the first one's side is where the networks agree everywhere

    Raises
    ------
    BadInput : "second (neuron) must be opposite to the first, got 0 and 2", a number that is no neuron's, an output
        weight of the two that is 0, a network that is reducible, points that repeat others, or that are so far away
        that the other hyperplanes cannot be distinguished beside T

    **Source**: derived here.
    """
    net = checked(net)
    X = points_for(net, X)
    for name, number in (("first", first), ("second", second)):
        if number >= net.m:
            raise BadInput(f"{name} (neuron) must be a whole number in [0, {net.m - 1}], got {number}")
    if not net.a[[first, second]].all():
        raise BadInput("a (output weights) of the first and second neuron must not be 0, got one that is")
    size = np.linalg.norm(net.W[[first, second]], axis=1)
    unit, other = np.column_stack([net.W, net.b])[[first, second]] / size[:, None]
    if np.linalg.norm(unit + other) > SAME * (1 + abs(unit[-1])):
        raise BadInput(f"second (neuron) must be opposite to the first, got {first} and {second}")
    needs_irreducible(net)
    # Powers of two, and a ratio without lengths, leave short binary fractions exact.
    depth = max(float(-(X @ net.W[first] + net.b[first]).min()), float(size[0]))
    if depth * 4.0**net.m < LARGEST:
        for T in 2.0 ** (np.ceil(np.log2(depth)) + np.arange(2 * net.m)):
            rival = _parted(net, first, second, float(T))
            if irreducible(rival):  # unless a hyperplane happens to be another neuron's
                return rival
    raise BadInput(f"X (sample points) must be near enough to tell neurons beyond them, got {np.abs(X).max():.1e}")


def _parted(net: ShallowNet, first: int, second: int, T: float) -> ShallowNet:
    """The network with a pair replaced by two neurons that are the same where z >= -T; see `split_pair`."""
    W, b, a = net.W.copy(), net.b.copy(), net.a.copy()
    k = int(np.abs(W[first]).argmax())
    p, q = a[first], -a[second] * W[second, k] / W[first, k]
    if abs(p + q) > ROUNDING * (abs(p) + abs(q)):
        W[second], b[second] = W[first], b[first] + T
        a[[first, second]] = p + q, -q
    else:
        W[second], b[second] = -W[first], -b[first] - 2 * T
        b[first] += T
        a[[first, second]] = -q, q
    return ShallowNet(W, b, a, net.c + float(q * T))


class Competitor(NamedTuple):
    """Another function that fits: `free` if a whole family of them starts at the true one, else it stands alone."""

    function: Broken
    free: bool


@arguments.checked(x=arguments.array("samples", "_"))
def competitor(truth: Broken, x: np.ndarray, *, bias: bool = True) -> Competitor | None:
    """Another network with one neuron per kink that equals `truth` on all samples, its kinks between the same samples.

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
    The competitor that is farthest off among those that were found; None if there was none, which proves something only
    where every piece holds two samples

    Raises
    ------
    BadInput : "truth (kinks) must be at most 10, got 12", a function without a kink, or no samples
    """
    t, x = np.array(truth.kinks), np.sort(x)
    lines: np.ndarray = np.array(truth.lines)
    m = len(t)
    if not m:
        raise BadInput("truth (kinks) must be at least 1, got 0")
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
