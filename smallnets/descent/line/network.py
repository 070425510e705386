"""One network on a line with its listed neurons, followed also after some of them have changed side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ...arguments import array, checked, integers, number, parts, whole
from .data import HiddenLayer, Outcome
from .kernels import step_one

PART = array("weights", "m")
NONE = np.empty((0, 3)), np.empty(0, np.int64)
STEP_SIZE, REACH = number("step size", "(0, inf)"), number("smallest distance of a point from 0", "(0, inf)")
TRACKED = parts(array("coordinates", "K 3", empty=True), integers("sides of the neurons", "K"))


class State(NamedTuple):
    """What a step reads and changes of one network.

    ``basis (2, 3, 3)`` holds in its columns what has become of the unit vectors (a, b, w) of either side, ``T (2, 3,
    3)`` the second moments of the neurons' coordinates in it, ``c (1,)`` the output bias; ``watched (V, 3)`` are the
    coordinates of the neurons that decide, on sides ``side (V,)``. ``largest (5,)`` are the largest movements since the
    start of a, b, w, among neurons that are tracked, and of c, and the largest kink \\|b/a\\|.
    """

    basis: np.ndarray
    T: np.ndarray
    c: np.ndarray
    watched: np.ndarray
    side: np.ndarray
    largest: np.ndarray


@dataclass
class LineNetwork:
    """A network, some of its neurons listed: those of which the one that decides is one.

    ``coordinates (N, 3)`` are those of the listed neurons in the basis of their side, ``side (N,)`` is 0 for a > 0 and
    1 for a < 0, ``verge (N,)`` says which of them end a list beside neurons that are not listed. ``earlier (2, 3, 3)``
    is what had become of the unit vectors when the basis was last set to them: whenever neurons change side, which
    ``changed (N,)`` notes. ``ordered`` says whether the neurons of either side were listed in the order of w/a, without
    biases: then those that have not changed side still lie in order on one line.
    """

    state: State
    coordinates: np.ndarray
    side: np.ndarray
    verge: np.ndarray
    earlier: np.ndarray
    changed: np.ndarray
    ordered: bool

    @classmethod
    @checked(b=whole("network"))
    def start(cls, layer: HiddenLayer, b: int) -> LineNetwork:
        """Network b of a hidden layer, before its first step."""
        T, half = np.zeros((2, 3, 3)), layer.ends.shape[2] // 2
        T[:, 0::2, 0::2] = layer.T[b]
        known = [int(k) for k in layer.known[b]]
        ends = np.concatenate([layer.ends[b, s, : known[s]] for s in (0, 1)])
        place, side = np.concatenate([np.arange(k) for k in known]), np.repeat([0, 1], known)
        hidden = (layer.size[b] > layer.known[b])[side]
        verge = hidden & ((place == half - 1) | (place == half))
        theta = np.stack([ends[:, 0], np.zeros(len(ends)), ends[:, 1]], axis=1)
        return cls._with(T, np.zeros(1), theta, side, verge=verge, ordered=True)

    @classmethod
    @checked(a=PART, b=PART, w=PART, c=number("output bias"))
    def of(cls, a: np.ndarray, b: np.ndarray, w: np.ndarray, c: float = 0.0) -> LineNetwork:
        """A network with any weights ``a, b, w (m,)``; its kinks must not reach a point yet."""
        theta = np.stack([a, b, w], axis=1)[a != 0]
        side = (theta[:, 0] < 0).astype(int)
        T = np.stack([theta[side == s].T @ theta[side == s] for s in (0, 1)])
        return cls._with(T, np.array([float(c)]), theta, side, verge=np.zeros(len(theta), bool), ordered=False)

    @classmethod
    def _with(
        cls, T: np.ndarray, c: np.ndarray, theta: np.ndarray, side: np.ndarray, *, verge: np.ndarray, ordered: bool
    ) -> LineNetwork:
        unit = np.stack([np.eye(3)] * 2)
        one = cls(State(unit, T, c, *NONE, np.zeros(5)), theta, side, verge, unit.copy(), verge & False, ordered)
        one._watch()
        return one

    def neurons(self) -> np.ndarray:
        """The listed neurons (a, b, w) now, (N, 3)."""
        return np.einsum("nij,nj->ni", self.state.basis[self.side], self.coordinates)

    def decisive(self) -> np.ndarray:
        """The neurons (a, b, w) that decide whether a kink leaves, (V, 3)."""
        return np.einsum("vij,vj->vi", self.state.basis[self.state.side], self.state.watched)

    def map(self) -> np.ndarray:
        """What has become of the unit vectors (a, b, w) of either side since the start, in columns, (2, 3, 3)."""
        return self.state.basis @ self.earlier

    def second_moments(self) -> np.ndarray:
        """The sums of (a, b, w)^T (a, b, w) over the neurons of each side, (2, 3, 3)."""
        return self.state.basis @ self.state.T @ self.state.basis.mT

    def lines(self) -> np.ndarray:
        """Slope and intercept of the network on either side, (2, 2)."""
        return self.second_moments()[:, 2, :2] + [0.0, self.state.c[0]]

    @checked(
        points=array("moments of the points", "R 10"), h=STEP_SIZE, reach=REACH, steps=whole("steps"), tracked=TRACKED
    )
    def advance(
        self, points: np.ndarray, h: float, reach: float, steps: int, *, tracked: tuple[np.ndarray, np.ndarray] = NONE
    ) -> tuple[Outcome | None, int]:
        """Take some steps; how that ended the training if it did, and after how many of them.

        Parameters
        ----------
        points : (R, 10) array, `data.Sample.rows`, once for all steps or for each
        h, reach : step size and smallest \\|x\\|
        steps : how many
        tracked : coordinates (K, 3) and sides (K,) of neurons whose largest movements are to be kept; each is linear
            in the coordinates, so that the vertices of their convex hull decide
        """
        done = 0
        while done < steps:
            rest = points if len(points) == 1 else points[done:]
            more, left = step_one(self.state, rest, h, reach, steps - done, *tracked)
            done += more
            if left and (why := self.reassign(reach)) is not None:
                return why, done
        return None, done

    @checked(reach=REACH)
    @np.errstate(over="ignore", invalid="ignore")  # of weights that diverge
    def reassign(self, reach: float) -> Outcome | None:
        """Where neurons have left their side: has one stopped at a point, or are all on the other side by now?"""
        if not np.isfinite(self.state.c[0] + self.state.basis.sum()):
            return Outcome.DIVERGED
        theta = self.neurons()
        a, b = np.where(self.side == 0, 1, -1) * theta[:, 0], np.abs(theta[:, 1])
        jumped = b < -reach * a
        if not ((b < reach * a) | jumped).all():
            return Outcome.CROSSED
        if (jumped & self.verge).any():
            return Outcome.UNKNOWN
        if not jumped.any():
            return None
        # From here on, neurons are their own coordinates.
        T, side = self.second_moments(), np.where(jumped, 1 - self.side, self.side)
        for s in (0, 1):
            now, come, gone = (theta[which] for which in (side == s, jumped & (side == s), jumped & (side != s)))
            # Where all are listed, no difference may leave rounding: a side that is left empty would keep it.
            hidden = (self.verge & (side == s)).any()
            T[s] = T[s] + come.T @ come - gone.T @ gone if hidden else now.T @ now
        if not np.isfinite(T).all():
            return Outcome.DIVERGED
        self.earlier, self.coordinates, self.side, self.changed = self.map(), theta, side, self.changed | jumped
        self.state = self.state._replace(basis=np.stack([np.eye(3)] * 2), T=T)
        self._watch()
        return None

    def _watch(self) -> None:
        """Watch the neurons of either side that decide: the vertices of the convex hull of (b/a, w/a)."""
        found = [np.flatnonzero(self.changed)]
        for s in (0, 1):
            here = np.flatnonzero((self.side == s) & ~self.changed)
            if self.ordered:
                found.append(here if len(here) < 2 else here[[0, -1]])
            else:
                found.append(here[vertices(self.coordinates[here, 1:] / self.coordinates[here, :1])])
        watched = np.concatenate(found).astype(int)
        self.state = self.state._replace(watched=self.coordinates[watched], side=self.side[watched])


@checked(points=array("points", "N _", empty=True))
def vertices(points: np.ndarray) -> np.ndarray:
    """Indices of the vertices of the convex hull of points (N, 2); of all points where they lie on one line."""
    from scipy.spatial import ConvexHull, QhullError

    try:
        return ConvexHull(points).vertices if len(points) > 2 else np.arange(len(points))
    except QhullError:
        return np.arange(len(points))
