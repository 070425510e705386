"""Search over the vertices of Z^m: greedy walks along its edges, and the best vertex of all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import combinations_with_replacement, product
from typing import NamedTuple

import numpy as np

from neurec_core.draws import Draws
from neurec_core.params import BadInput, unknown
from smallnets.arguments import checked, integers, whole
from smallnets.convex import cell

from ..theory import signed_sets, written
from .landscape import Landscape, cells_of, signs_of

BETTER = 1e-10  # a step must improve the loss by this share of the mean square of the labels
BINDING = 1e-9  # multipliers above this, over the size of points times labels, hold a neuron back
MOST = 20_000_000  # sets of signed cells that `exhaustive` searches
NARROW = 1e-9  # of a unit vector, what is left of it is taken for nothing
WALKS = 6  # greedy walks before the best of all is searched, times (m - 1)^2
CHUNK = 4096  # sets compared together
KEPT = 2000  # solved sets that rule out others later on: those that rule out most


class Walk(NamedTuple):
    """A greedy walk.

    units : (k, m) signed cells on the way, the start first
    losses : (k,) decreasing
    solves : convex problems solved
    """

    units: np.ndarray
    losses: np.ndarray
    solves: int


class Best(NamedTuple):
    """The best vertex of all.

    units : (m,) signed cells
    loss : its mean squared error
    sets : sets of signed cells whose lower bound is below the loss that walks found first
    solves : convex problems solved for it
    """

    units: np.ndarray
    loss: float
    sets: int
    solves: int


# ---------------------------------------------------------------------------------------------------- greedy search


@checked(units=integers("signed cells", "m"))
def greedy(land: Landscape, units: np.ndarray, rule: str = "greedy") -> Walk:
    """Walk along edges as long as that lowers the loss.

    Parameters
    ----------
    land : all cells
    units : (m,) signed cells at the start
    rule : "greedy" takes the best of all edges, "first" the first that improves, "binding" the best of those that leave
        through a wall that holds a neuron back; "flipping" takes the best of all edges and changes of an output sign
    """
    path, losses, before = [units], [land.loss(units)], land.solves
    enough = BETTER * float(np.mean(land.y**2))
    if rule not in MOVES:
        raise BadInput(unknown("rule", rule, MOVES))
    moves = MOVES[rule]
    while True:
        best, target = None, losses[-1] - enough
        for near in moves(land, path[-1]):
            loss = land._loss(near)
            if loss < target:
                best, target = near, loss
                if rule == "first":
                    break
        if best is None:
            return Walk(np.array(path), np.array(losses), land.solves - before)
        path.append(best)
        losses.append(target)


def _edges(land: Landscape, units: np.ndarray) -> Iterator[np.ndarray]:
    """All vertices that differ in one point of one neuron."""
    for j, unit in enumerate(units):
        for beyond in land.fan.beyond[cells_of(unit)]:
            if beyond >= 0:
                yield _moved(units, j, beyond)


def _edges_and_signs(land: Landscape, units: np.ndarray) -> Iterator[np.ndarray]:
    """Those and the vertices at which one neuron has the other output sign, as descent can reach them."""
    yield from _edges(land, units)
    for j in range(len(units)):
        flipped = units.copy()
        flipped[j] = ~units[j]
        yield flipped


def _binding_edges(land: Landscape, units: np.ndarray) -> Iterator[np.ndarray]:
    """Those in which the point had a positive multiplier: a little further, the loss would fall."""
    D = land.fan.D[:, cells_of(units)]
    multipliers, _ = cell.multipliers(land.X, D, signs_of(units), land.vertex(units).residual)
    size = np.linalg.norm(land.X, 2) * np.linalg.norm(land.y)
    for i, j in zip(*np.nonzero(multipliers > BINDING * size), strict=True):
        beyond = land.fan.beyond[cells_of(units[j]), i]
        if beyond >= 0:
            yield _moved(units, j, beyond)


MOVES: dict[str, Callable[[Landscape, np.ndarray], Iterator[np.ndarray]]] = {
    "greedy": _edges, "first": _edges, "binding": _binding_edges, "flipping": _edges_and_signs,
}  # fmt: skip


def _moved(units: np.ndarray, j: int, to: int) -> np.ndarray:
    moved = units.copy()
    moved[j] = ~to if units[j] < 0 else to
    return moved


# ------------------------------------------------------------------------------------------------ exhaustive search


@checked(m=whole("neurons", "[1, inf)"))
def exhaustive(land: Landscape, m: int) -> Best:
    """The least loss of all networks with m neurons, with every choice of output signs.

    Sets of cells come in the order of a lower bound, the least squares error without the cells' walls. A set that was
    solved rules out others: if its residual r has r . g <= 0 for all outputs g of some signed cells, then no network
    in these is nearer to y than |r|.

    Parameters
    ----------
    land : all cells
    m : neurons

    Raises
    ------
    BadInput : "m (neurons) must leave at most 20000000 sets of signed cells, got 1e+09 for m = 6 and 92 cells"
    """
    if (sets := signed_sets(land.cells, m)) > MOST:
        received = f"{written(sets)} for m = {m} and {land.cells} cells"
        raise BadInput(f"m (neurons) must leave at most {MOST} sets of signed cells, got {received}")
    before = land.solves
    # A low loss at the start leaves fewer sets; where these walks begin changes the time alone.
    shares = Draws(0, [0]).uniform("walks", 1 + WALKS * (m - 1) ** 2, m)[0]
    starts = np.floor(2 * land.cells * shares).astype(int) - land.cells
    walks = [greedy(land, units, "flipping") for units in starts]
    best = min(walks, key=lambda walk: walk.losses[-1])
    units, loss = best.units[-1], best.losses[-1]
    candidates, bounds = _bounded(land, m, loss)
    enough = BETTER * float(np.mean(land.y**2))
    widest: list[np.ndarray] = []
    for first in range(0, len(candidates), CHUNK):
        chunk = candidates[first : first + CHUNK]
        if widest:
            # A bit for each solved set: whether it rules out a cell, and then, whether it rules out all of a set.
            bits = np.packbits(np.array(widest).T, axis=1)
            chunk = chunk[~np.bitwise_and.reduce(bits[chunk], axis=1).any(axis=1)]
        own = []
        while len(chunk) and bounds[first] < loss - enough:
            residual, found = land._residual(np.unique(chunk[0]))
            if found < loss:
                units, loss = chunk[0], found
            own.append(_polar(land, residual))
            chunk = chunk[1:][~own[-1][chunk[1:]].all(axis=1)]
        widest = sorted([*widest, *own], key=np.count_nonzero, reverse=True)[:KEPT]
    return Best(units, float(loss), len(candidates), land.solves - before)


def _polar(land: Landscape, residual: np.ndarray) -> np.ndarray:
    """Which signed cells put out nothing that meets the residual at a positive angle; indexed by signed cell."""
    along, slack = residual @ land.G, 1e-12 * np.linalg.norm(residual) * land.sizes
    spans, firsts = land.fan.spans, land.fan.starts[:-1]
    positive = np.logical_and.reduceat((along <= slack)[spans], firsts)
    negative = np.logical_and.reduceat((-along <= slack)[spans], firsts)
    return np.concatenate([positive, negative[::-1]])  # places -1, -2, ... are cells 0, 1, ... with a negative sign


def _bounded(land: Landscape, m: int, loss: float) -> tuple[np.ndarray, np.ndarray]:
    """All sets of signed cells (k, m) whose lower bound is below a loss, in its order, and the bounds."""
    bases = np.stack([_basis(land.X * land.fan.D[:, [j]]) for j in range(land.cells)])
    sets, bounds = [], []
    for prefix in combinations_with_replacement(range(land.cells), m - 1):
        Q = np.hstack([np.zeros((len(land.y), 0)), *(bases[j] for j in prefix)])
        Q = _basis(Q) if Q.shape[1] else Q
        last = np.arange(prefix[-1] if prefix else 0, land.cells)
        bound = _errors(Q, bases[last], land.y)
        good = np.flatnonzero(bound < loss)
        sets.append(np.column_stack([np.tile(np.array(prefix, int), (len(good), 1)), last[good]]))
        bounds.append(bound[good])
    cells, bound = np.concatenate(sets), np.concatenate(bounds)
    order = np.argsort(bound, kind="stable")
    choices = np.array(list(product([False, True], repeat=m)))
    cells = cells[order, None, :].astype(np.int32)
    every = np.where(choices, ~cells, cells).reshape(-1, m)
    return every, np.repeat(bound[order], len(choices))


def _basis(A: np.ndarray) -> np.ndarray:
    """An orthonormal basis of the columns, with columns of zeros where the rank is short."""
    U, sizes, _ = np.linalg.svd(A, full_matrices=False)
    return U * (sizes > NARROW * max(sizes[0], np.finfo(float).tiny))


def _errors(Q: np.ndarray, bases: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Mean squared distances (k,) of y from the spans of Q and each of the bases (k, n, d)."""
    y = y - Q @ (Q.T @ y)
    across = bases - Q @ (Q.T @ bases)
    U, S, _ = np.linalg.svd(across, full_matrices=False)
    U = U * (S > NARROW)[:, None, :]  # too many directions would only lower the bound
    return (y @ y - np.sum((np.swapaxes(U, 1, 2) @ y) ** 2, axis=1)) / len(y)
