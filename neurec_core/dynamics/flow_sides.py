"""On which side of the points' boundaries neurons are, in the flow, and what happens where they meet one.

A neuron is active on a point (share 1 of the point in its pull), inactive (share 0), or slides along its boundary
<w, x_i> = 0: driven there from both sides, it stays, with the shares between 0 and 1 for which no pull leads away,

    sum_k share_k r_k <x_k, x_i> = 0    for all points i along which it slides.

That needs a r_i < 0, and shares within [0, 1]; where that ends, the neuron leaves. Which points it slides along after
it met one is a convex program: the shares in [0, 1] of least |g|.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.optimize import brentq, lsq_linear, minimize_scalar

# A share that the convex program leaves so close to 0 or 1 is there.
CLOSE = 1e-9

Dense = Callable[[float], np.ndarray]


class Sides:
    """m neurons and n points.

    X : (n, r), points in coordinates of their span
    on : (m, n), where neurons are active
    slides : (m, n), where they slide
    """

    def __init__(self, X: np.ndarray, y: np.ndarray, share: np.ndarray) -> None:
        self.X, self.y, self.K, self.norms = X, y, X @ X.T, np.linalg.norm(X, axis=1)
        self.norms[self.norms == 0] = 1  # such a point has no boundary
        self.on, self.slides = share == 1, (share > 0) & (share < 1)
        self._maps: dict[bytes, np.ndarray] = {}

    @property
    def live(self) -> np.ndarray:
        """(m,) which neurons move."""
        return (self.on | self.slides).any(axis=1)

    def same(self, live: np.ndarray) -> np.ndarray | None:
        """The points (n,) on which these neurons are active, if it is the same for all of them and none slides."""
        on = self.on[live]
        return on[0] if not self.slides[live].any() and (on == on[0]).all() else None

    def map(self, on: np.ndarray, slides: np.ndarray) -> np.ndarray:
        """share_i r_i of the points along which a neuron slides, (s, n) times the residuals."""
        key, at = on.tobytes() + slides.tobytes(), np.flatnonzero(slides)
        if key not in self._maps:
            self._maps[key] = -np.linalg.solve(self.K[np.ix_(at, at)], self.K[at] * on)
        return self._maps[key]


def kinds(on: np.ndarray, slides: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which (k,) of the distinct pairs of rows each is, and where each of those is met first."""
    found: dict[bytes, int] = {}
    kind = [found.setdefault(one.tobytes() + two.tobytes(), len(found)) for one, two in zip(on, slides, strict=True)]
    return np.array(kind, np.intp), np.array([kind.index(q) for q in range(len(found))], np.intp)


def fallen(gap: Callable[[float], float], before: float, after: float) -> float:
    """When a gap falls to 0, where it did; never before."""
    if gap(before) <= 0:
        return before
    if gap(after) > 0:
        return after
    at, by = float(brentq(gap, before, after, xtol=1e-300, rtol=1e-14)), np.spacing(after)
    while gap(at) > 0 and at < after:  # a root may be a little early, or on the upper side of a jump
        at, by = min(at + by, after), 2 * by
    return at


class Motion:
    """Live neurons with the sides that they have: units (k, r + 1) of (w, a) and logarithms (k,) of their sizes.

    behind : distance behind a boundary, over |w| |x|, at which it counts as met; so much a share may leave [0, 1]
    """

    def __init__(self, sides: Sides, live: np.ndarray, behind: float) -> None:
        self.sides, self.ids, self.X, self.y, self.behind = sides, live, sides.X, sides.y, behind
        self.on, self.slides = sides.on[live], sides.slides[live]
        self.active = self.on.astype(float)
        # Neurons of a kind are on the same sides of all points, and feel the same pull.
        self.kind, self.first = kinds(self.on, self.slides)
        self.K, self.norms = sides.K, sides.norms
        # What a kind feels of the points along which it slides is linear in the residuals: one map a kind.
        sliding = [q for q, j in enumerate(self.first) if self.slides[j].any()]
        maps = [sides.map(self.on[self.first[q]], self.slides[self.first[q]]) for q in sliding]
        self.maps = np.zeros((len(maps), max(map(len, maps), default=0), len(self.y)))
        for part, one in zip(self.maps, maps, strict=True):
            part[: len(one)] = one
        size = np.array([len(one) for one in maps], np.intp)
        self.slots = np.nonzero(np.arange(self.maps.shape[1]) < size[:, None])
        self.places = np.repeat(sliding, size).astype(np.intp), np.nonzero(self.slides[self.first[sliding]])[1]

    def parted(self, state: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Units and logarithms of sizes."""
        k = len(self.ids)
        return state[:-k].reshape(k, -1), state[-k:]

    def _seen(self, state: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Units, their preactivations (k, n), and residuals (n,)."""
        units, sizes = self.parted(state)
        H = units[:, :-1] @ self.X.T
        return units, H, self.y - (np.exp(2 * sizes) * units[:, -1]) @ (self.active * H)

    def loss(self, state: np.ndarray) -> float:
        """The mean squared error."""
        r = self._seen(state)[2]
        return float(r @ r / len(r))

    def _terms(self, r: np.ndarray) -> np.ndarray:
        """share_i r_i of each kind, (q, n)."""
        terms = self.active[self.first] * r
        terms[self.places] = (self.maps @ r)[self.slots]
        return terms

    def speed(self, _time: float, state: np.ndarray) -> np.ndarray:
        """d/dt of the state."""
        units, _, r = self._seen(state)
        g = (self._terms(r) @ self.X / len(r))[self.kind]
        along = np.einsum("kr,kr->k", units[:, :-1], g)
        grows = 2 * units[:, -1] * along
        turns = -grows[:, None] * units
        turns[:, :-1] += units[:, -1:] * g
        turns[:, -1] += along
        return np.concatenate([turns.ravel(), grows])

    def gaps(self, state: np.ndarray) -> np.ndarray:
        """(k, n), below 0 where a neuron is no longer on the side of a point on which it was."""
        units, H, r = self._seen(state)
        gaps = np.where(self.on, H, -H) / self.norms
        if len(self.maps):
            share = (self._terms(r) / np.where(r == 0, np.inf, r))[self.kind]
            stays = self.slides & (units[:, -1:] * r < 0)
            gaps = np.where(stays, np.minimum(share, 1 - share), np.where(self.slides, -1.0, gaps))
        return gaps

    def met(self, dense: Dense, before: float, after: float) -> float | None:
        """When a boundary is met first; None if none is."""
        for end in sorted({before + (after - before) / 2, *self._dips(dense, before, after), after}):
            at = end
            while (found := self.gaps(dense(at))).min(initial=np.inf) <= -self.behind:
                j, i = np.unravel_index(found.argmin(), found.shape)
                where, at = at, fallen(self._gap(dense, int(j), int(i)), before, at)
                if at >= where or at <= before:
                    break
            if at < end or found.min(initial=np.inf) <= -self.behind:
                return at
        return None

    def _dips(self, dense: Dense, before: float, after: float) -> list[float]:
        """When neurons are farthest behind boundaries which they meet, but are not behind in the end."""
        (low, slope), (end, rise) = (self._slopes(dense(t)) for t in (before, after))
        # Where the two tangents meet, if it goes down first and up at last.
        with np.errstate(divide="ignore", invalid="ignore"):
            bottom = (slope * end - rise * low - slope * rise * (after - before)) / (slope - rise)
        found = []
        for j, i in np.argwhere(~self.slides & (slope < 0) & (rise > 0) & (bottom < -self.behind)):
            gap = self._gap(dense, j, i)
            deepest = minimize_scalar(gap, bounds=(before, after), method="bounded")
            found += [float(deepest.x)] if deepest.fun < 0 else []
        return found

    def _slopes(self, state: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The gaps (k, n), and how they change, of points along which neurons do not slide."""
        units, speeds = self.parted(state)[0], self.parted(self.speed(0.0, state))[0]
        sign = np.where(self.on, 1, -1) / self.norms
        return sign * (units[:, :-1] @ self.X.T), sign * (speeds[:, :-1] @ self.X.T)

    def _gap(self, dense: Dense, j: int, i: int) -> Callable[[float], float]:
        """A gap over time, 0 where it counts as met."""
        if self.slides[j, i]:
            return lambda t: self.gaps(dense(t))[j, i] + self.behind
        x = np.where(self.on[j, i], 1, -1) * self.X[i] / self.norms[i]
        return lambda t: self.parted(dense(t))[0][j, :-1] @ x + self.behind

    def crossed(self, state: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Give new sides to neurons that met boundaries; rows neuron, point, side of what changed, and the state."""
        units, H, r = self._seen(state)
        gaps, units = self.gaps(state), units.copy()
        wrong = gaps < 0
        rows, known = [np.zeros((0, 3))], {}
        for j in np.flatnonzero((gaps <= -self.behind / 2).any(axis=1)):
            at = np.flatnonzero(self.slides[j] | wrong[j])
            key = self.kind[j], at.tobytes(), units[j, -1] > 0
            if key not in known:
                known[key] = self._settled(j, at, units[j, -1] * r[at] < 0, r)
            on, slides = known[key]
            stays = at[self.slides[j, at] | slides[at] | (on[at] == self.on[j, at])]
            if len(stays):  # right on the boundaries, from which steps have drifted
                units[j, :-1] -= self.X[stays].T @ np.linalg.solve(self.K[np.ix_(stays, stays)], H[j, stays])
            changed = np.flatnonzero((on != self.on[j]) | (slides != self.slides[j]))
            now = np.where(slides, 0, np.where(on, 1, -1))[changed]
            rows.append(np.column_stack([np.full(len(changed), self.ids[j]), changed, now]))
            self.sides.on[self.ids[j]], self.sides.slides[self.ids[j]] = on, slides
        return np.concatenate(rows), np.concatenate([units.ravel(), state[-len(self.ids) :]])

    def _settled(
        self, j: np.intp, at: np.ndarray, attracts: np.ndarray, r: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Where neuron j is active, and where it slides, from now on: it is on the boundaries of the points `at`."""
        on, slides = self.on[j].copy(), np.zeros(len(r), bool)
        # Where the boundary repels, a neuron goes through; one that slid there leaves.
        on[at] = ~attracts & ~on[at] & ~self.slides[j, at]
        kept = at[attracts]
        if len(kept):
            pulls = self.X[kept] * r[kept, None]
            share = lsq_linear(pulls.T, -(on * r) @ self.X, (0, 1), method="bvls", tol=1e-15).x
            on[kept], slides[kept] = share >= 1 - CLOSE, (share > CLOSE) & (share < 1 - CLOSE)
        return on, slides
