"""Networks in d > 1 dimensions, recovered from generic lines on each of which every piece is seen; derived here.

A hyperplane meets each line in one kink. One through d kinks of d lines is a candidate; the true ones meet every other
line in a kink as well. A competitor with m neurons meets each of m(d - 1) + 1 lines in one of m known points, so it
shares d of them with one true hyperplane and equals it: that many lines, with 2(m + 1) points each, leave nothing open.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from neurec_core.experiment import Status
from neurec_core.params import BadInput
from smallnets.arguments import array, checked, parts, whole

from .frames import Bends
from .irreducibility import Reduction, bends, smallest
from .line import REDUCED, Broken, recover
from .networks import ShallowNet

MATCH = 1e-6  # how near to a kink a candidate must meet a line, in units of 1 + the spread of its kinks
JUMPS = 1e-4  # relative: how well the jumps along lines must agree with one kink
MOST = 500_000  # candidates tried
DRAWN = 16  # lines of which the one that is best conditioned is taken


class Lines(NamedTuple):
    """Lines p + t v, ``p (L, d)`` and ``v (L, d)`` with |v| = 1."""

    p: np.ndarray
    v: np.ndarray

    def at(self, t: np.ndarray) -> np.ndarray:
        """Points ``(L, q, d)`` at places ``t (L, q)``."""
        return self.p[:, None] + t[:, :, None] * self.v[:, None]


class Recovery(NamedTuple):
    """What a recovery found: the network, or None and why.

    `seen` counts lines on which every piece is seen, `candidates` hyperplanes that were tried, `consistent` those that
    all lines agree with, `match` is the farthest miss of a line among these, in units of 1 + the spread of its kinks.

    The status is UNDECIDED where a smaller network could not be excluded, UNSEEN where fewer than d lines see every
    piece, or more hyperplanes agree with all lines than there are kinks; FAILED where fewer do.
    """

    reduction: Reduction | None
    status: Status
    seen: int
    candidates: int = 0
    consistent: int = 0
    match: float = np.nan


def chosen_lines(net: ShallowNet, p: np.ndarray, v: np.ndarray, number: int) -> Lines:
    """Of draws ``p, v (DRAWN, number, d)`` for each line the one whose kinks are best apart."""
    v = v / np.linalg.norm(v, axis=-1, keepdims=True)
    z = bends(net).z
    slope = v @ z[:, :-1].T
    t = np.sort(-(p @ z[:, :-1].T + z[:, -1]) / slope, axis=-1)
    if t.shape[-1] > 1:
        good = np.diff(t, axis=-1).min(axis=-1) / np.ptp(t, axis=-1) / (1 + np.abs(t).max(axis=-1))
    else:
        good = 1 / (1 + np.abs(t[..., 0]))
    best, each = good.argmax(axis=0), np.arange(number)
    return Lines(p[best, each], v[best, each])


def kinks_on(net: ShallowNet, lines: Lines) -> np.ndarray:
    """Where the network's hyperplanes meet each line, sorted, ``(L, n)``."""
    z = bends(net).z
    return np.sort(-(lines.p @ z[:, :-1].T + z[:, -1]) / (lines.v @ z[:, :-1].T), axis=1)


@checked(t=parts(array("places on a line", "_")), y=parts(array("values on a line", "_")), m=whole("neurons"))
def recover_in_space(
    lines: Lines, t: list[np.ndarray], y: list[np.ndarray], m: int, *, bias: bool = True, jumps: bool = True
) -> Recovery:
    """The network of width m from its values at places t on lines; where a piece is not seen, the line is left out.

    Parameters
    ----------
    t, y : for each line its places and values, in increasing order of t
    jumps : whether a hyperplane must also explain by how much f bends along each line

    Raises
    ------
    BadInput : more candidates than are tried, "m (neurons) ..."

    **Source**: derived here, for the positive result of xia2025finite.
    """
    middle = lines.p.mean(axis=0)
    lines = Lines(lines.p - middle, lines.v)
    d, read = lines.p.shape[1], [recover(a.tolist(), b.tolist(), m) for a, b in zip(t, y, strict=True)]
    most = max((len(one.kinks) for one in read if one), default=0)
    use = [i for i, one in enumerate(read) if one and len(one.kinks) == most]
    if len(use) < d:
        return Recovery(None, Status.UNSEEN, len(use))
    kinks = _kinks(Lines(lines.p[use], lines.v[use]), [one for one in read if one and len(one.kinks) == most])
    z = _candidates(kinks)
    kept, met, match = _confirmed(kinks, z, jumps)
    counts = len(use), len(z), len(kept), match
    if len(kept) != most or any(len(set(on_line)) != most for on_line in met.T):
        return Recovery(None, Status.FAILED if len(kept) < most else Status.UNSEEN, *counts)
    rows, alpha = _refined(kinks, met)
    X = np.concatenate([lines.p[i] + np.multiply.outer(t[i], lines.v[i]) for i in use])
    rest = np.concatenate([y[i] for i in use]) - np.maximum(X @ rows[:, :-1].T + rows[:, -1], 0) @ alpha
    affine, *_ = np.linalg.lstsq(np.column_stack([X, np.ones(len(X))]), rest)
    c = float(affine[-1]) if bias else 0.0
    whole = Bends(rows, alpha, np.append(affine[:-1], 0.0 if bias else affine[-1]), c)
    least = smallest(whole, bias=bias, tolerance=REDUCED)
    back = least.network._replace(b=least.network.b - least.network.W @ middle)
    return Recovery(least._replace(network=back), least.status, *counts)


class _Kinks(NamedTuple):
    """Where and by how much f bends on lines: ``places (L, n)``, ``jumps (L, n)``."""

    lines: Lines
    places: np.ndarray
    jumps: np.ndarray


def _kinks(lines: Lines, functions: list[Broken]) -> _Kinks:
    slopes = np.array([[line[0] for line in one.lines] for one in functions])
    return _Kinks(lines, np.array([one.kinks for one in functions]).reshape(len(functions), -1), np.diff(slopes))


def _candidates(kinks: _Kinks) -> np.ndarray:
    """Hyperplanes (u, t) through one kink of each of d lines that bend f the same way, ``(K, d+1)``."""
    n, d = kinks.places.shape[1], kinks.lines.p.shape[1]
    if n**d > MOST:
        raise BadInput(f"m (neurons) must leave at most {MOST} hyperplanes to try in d = {d} dimensions, got {n**d}")
    chosen = np.indices((n,) * d).reshape(d, -1).T
    up = kinks.jumps[np.arange(d), chosen] > 0
    chosen = chosen[(up == up[:, :1]).all(axis=1)]
    points = kinks.lines.at(kinks.places)[np.arange(d), chosen]
    rows = np.concatenate([points, np.ones((*points.shape[:2], 1))], axis=2)
    z = np.linalg.svd(rows)[2][:, -1]
    return z / np.linalg.norm(z[:, :-1], axis=1, keepdims=True)


def _confirmed(kinks: _Kinks, z: np.ndarray, jumps: bool) -> tuple[np.ndarray, np.ndarray, float]:
    """Candidates that meet every line in a kink; which kink, ``(K, L)``; the farthest miss among them."""
    slope = z[:, :-1] @ kinks.lines.v.T
    t = -(z[:, :-1] @ kinks.lines.p.T + z[:, -1:]) / slope
    apart = np.abs(t[:, :, None] - kinks.places)
    met, spread = apart.argmin(axis=2), 1 + np.ptp(kinks.places, axis=1)
    missed = (apart.min(axis=2) / spread).max(axis=1, initial=0)
    kept = missed <= MATCH
    if jumps:
        alpha = kinks.jumps[np.arange(len(spread)), met] / np.abs(slope)
        kept &= np.ptp(alpha, axis=1) <= JUMPS * np.abs(alpha).max(axis=1)
    return z[kept], met[kept], float(missed[kept].max(initial=0))


def _refined(kinks: _Kinks, met: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Hyperplanes through all of their kinks in the least-squares sense, ``(n, d+1)``, and net kinks ``(n,)``."""
    each = np.arange(len(kinks.places))
    rows, alpha = [], []
    for own in met:
        points = kinks.lines.at(kinks.places[each, own][:, None])[:, 0]
        middle = points.mean(axis=0)
        u = np.linalg.svd(points - middle)[2][-1]
        slope = np.abs(kinks.lines.v @ u)
        rows.append(np.append(u, -u @ middle))
        alpha.append(slope @ kinks.jumps[each, own] / (slope @ slope))
    return np.array(rows), np.array(alpha)
