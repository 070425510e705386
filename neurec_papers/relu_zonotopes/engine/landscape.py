"""The optimal loss at every vertex of Z^m: a network is m signed cells, and its loss a convex problem.

A signed cell is a number: c for a positive neuron in cell c of the fan, ~c = -1 - c for a negative one. The order of
the neurons and repeated signed cells change nothing, so that a set of signed cells says it all.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import scipy

from neurec_core.params import BadInput
from smallnets.arguments import array, checked, indices, integers, sizes_of
from smallnets.convex import cell
from smallnets.geometry import zonotopes

SURE = 1e-10  # largest gradient along a ray that a quick solution may leave, over the sizes of output and labels
UNITS = integers("signed cells", "|m|_ m")
FAN, CELLS = sizes_of(p="cells"), indices("signed cells", "m", "p", signed=True)
HUGE = 1e7  # coefficients above this, for outputs and labels of size 1, are computed again


class Vertex(NamedTuple):
    """The convex optimum of one vertex.

    loss : mean squared error
    W : (m, d) weights, one row per neuron
    residual : (n,) labels less outputs
    """

    loss: float
    W: np.ndarray
    residual: np.ndarray


@checked(cells=integers("cells", "|m|_ m"), signs=array("signs", "|m|_ m"))
def signed(cells: np.ndarray, signs: np.ndarray) -> np.ndarray:
    """Cells and output signs 1 or -1 as one number per neuron."""
    return np.where(signs > 0, cells, ~cells)


@checked(units=UNITS)
def cells_of(units: np.ndarray) -> np.ndarray:
    """The cells of signed neurons."""
    return np.where(units < 0, ~units, units)


@checked(units=UNITS)
def signs_of(units: np.ndarray) -> np.ndarray:
    """The output signs, 1 or -1, of signed neurons."""
    return np.where(units < 0, -1, 1)


def union(parts: Sequence[np.ndarray]) -> np.ndarray:
    """All indices that stand in some of the parts, once each, increasing."""
    return np.unique(np.concatenate([np.zeros(0, int), *parts]))


class Landscape:
    """All cells of one data set, and the optimal loss of any set of signed ones, each computed once.

    Parameters
    ----------
    X : (n, d) points in general position, n >= d
    y : (n,) labels
    fan : of X, if it is at hand

    Attributes
    ----------
    fan : `zonotopes.Fan` of X
    G : (n, r) outputs max(0, X r) of neurons on the rays
    sizes : (r,) their norms
    solves : convex problems solved so far
    """

    @checked(X=array("points", "n d"), y=array("labels", "n"))
    def __init__(self, X: np.ndarray, y: np.ndarray, fan: zonotopes.Fan | None = None) -> None:
        self.X, self.y = X, y
        self.fan = zonotopes.fan(X) if fan is None else fan
        outputs = np.maximum(X @ self.fan.rays.T, 0)
        # Rays that vanish on points leave rounding errors there, which must not count as outputs.
        rounding = 1e-14 * np.abs(X).max()
        self.G = np.where(outputs < rounding, 0, outputs)
        self.sizes = np.linalg.norm(self.G, axis=0)
        self.solves = 0
        size, length = np.abs(X).max() * X.shape[1] ** 0.5, float(np.linalg.norm(y))
        self._huge, self._sure = HUGE * length / size, SURE * size * length
        self._blocks = [self.G[:, self.fan.corners(j)] for j in range(self.fan.D.shape[1])]
        self._known: dict[tuple[int, ...], float] = {}

    def fresh(self) -> Landscape:
        """The same cells, and nothing solved yet."""
        other = copy.copy(self)
        other.solves, other._known = 0, {}
        return other

    @property
    def cells(self) -> int:
        """How many cells there are."""
        return self.fan.D.shape[1]

    @checked(self=FAN, units=CELLS)
    def loss(self, units: np.ndarray) -> float:
        """The least mean squared error with neurons (m,) in these signed cells."""
        if not len(units):
            raise BadInput("units (signed cells) must be at least one")
        return self._loss(units)

    def _loss(self, units: np.ndarray) -> float:
        """As `loss`, in searches, whose neurons are signed cells by construction."""
        key = tuple(sorted(set(units.tolist())))
        if key not in self._known:
            self._known[key] = self._residual(np.array(key))[1]
        return self._known[key]

    @checked(self=FAN, units=CELLS)
    def residual(self, units: np.ndarray) -> tuple[np.ndarray, float]:
        """Labels less the outputs of the best neurons in distinct signed cells, and their mean square."""
        return self._residual(units)

    def _residual(self, units: np.ndarray) -> tuple[np.ndarray, float]:
        """As `residual`, in searches."""
        self.solves += 1
        A = np.hstack([self._blocks[u] if u >= 0 else -self._blocks[~u] for u in units.tolist()])
        found = scipy.optimize.nnls(A, self.y)[0]
        residual = self.y - A @ found
        if found.max() > self._huge or (residual @ A).max() > self._sure:
            residual = self._combined(units)[1]
        return residual, float(residual @ residual / len(residual))

    @checked(self=FAN, units=CELLS)
    def vertex(self, units: np.ndarray) -> Vertex:
        """Weights and residual of the optimum; of neurons in one signed cell the first does the work of all."""
        coefficients, residual = self._combined(units)
        owned = [self.fan.corners(int(c)) for c in cells_of(units)]
        W = cell.weights(coefficients, self.fan.rays, owned, signs_of(units))
        return Vertex(float(np.mean(residual**2)), W, residual)

    def _combined(self, units: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        plus, minus = (self._rays(units[units >= 0]), self._rays(~units[units < 0]))
        return cell.combine(self.G, self.y, plus, minus)

    def _rays(self, cells: np.ndarray) -> np.ndarray:
        return union([self.fan.corners(int(c)) for c in cells])

    @checked(directions=array("directions", "d k", finite=False))
    def at(self, directions: np.ndarray) -> np.ndarray:
        """The cells (k,) that directions (d, k) lie in.

        Raises
        ------
        BadInput : "directions (of the neurons) must lie inside cells, got 1 of 3 that do not"
        """
        cells = self.fan.find(self.X @ directions >= 0)
        if outside := int((cells < 0).sum()):
            raise BadInput(
                f"directions (of the neurons) must lie inside cells, got {outside} of {len(cells)} that do not"
            )
        return cells


@checked(X=array("points", "n d"))
def skeleton(X: np.ndarray, fan: zonotopes.Fan) -> dict[str, np.ndarray]:
    """Vertices, edges and faces of a zonotope with three inputs.

    ``V (p, 3)`` vertices, ``H (p, 3)`` directions in the cells, ``D (p, n)`` patterns, ``rays (r, 3)``, normals of
    the faces, ``faces (r, 4)`` vertices around each, ``edges (e, 2)`` between vertices, ``beside (e, 2)`` their faces.
    """
    touching = [np.flatnonzero(fan.spans == ray) for ray in range(len(fan.rays))]
    owner = np.repeat(np.arange(fan.D.shape[1]), np.diff(fan.starts))
    around = [owner[places] for places in touching]  # the four cells at each ray
    # Each cell at a ray is beside the next: the first, one of its neighbours, the one that is not, the other neighbour.
    near = [cells[np.isin(cells, fan.beyond[cells[0]])] for cells in around]
    far = [np.setdiff1d(cells, [cells[0], *own])[0] for cells, own in zip(around, near, strict=True)]
    faces = np.array([[c[0], n[0], f, n[1]] for c, n, f in zip(around, near, far, strict=True)])
    cells, rows = np.nonzero(fan.beyond >= 0)
    ends = np.column_stack([cells, fan.beyond[cells, rows]])
    ends = ends[ends[:, 0] < ends[:, 1]]
    beside = np.array([np.intersect1d(fan.corners(a), fan.corners(b)) for a, b in ends])
    V = zonotopes.vertices(X, fan.D)
    return {"V": V, "H": fan.H.T, "D": fan.D.T, "rays": fan.rays, "faces": faces, "edges": ends, "beside": beside}
