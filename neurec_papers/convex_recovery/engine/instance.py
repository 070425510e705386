"""A planted instance posed as a convex program, trial by trial."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from neurec_core.draws import Draws
from neurec_core.experiment import Problem
from smallnets.arguments import array, checked
from smallnets.convex import certify
from smallnets.convex.blocks import Blocks
from smallnets.convex.cones import Cones
from smallnets.geometry import arrangements, patterns
from smallnets.nets.two_layer import NormalizedNet


class Posed(NamedTuple):
    """One trial's program: X (n, d), labels, patterns D (n, p) with the directions H (d, p) that make them.

    For the skip model the first pattern is all ones, made by the direction 0: the skip connection. The blocks
    are the patterns', or for an exact program one of each sign.
    """

    X: np.ndarray
    y: np.ndarray
    D: np.ndarray
    H: np.ndarray
    blocks: Blocks
    plant: certify.Plant
    all_ones: bool
    model: str

    @property
    def free(self) -> int:
        """How many blocks have no pattern: 1 for the skip connection."""
        return int(self.model == "skip")

    @property
    def exact(self) -> bool:
        """Whether weights are confined to the cones in which a ReLU neuron has its pattern."""
        return isinstance(self.blocks, Cones)

    @checked(values=array("values of the blocks", "_", finite=False))
    def of_patterns(self, values: np.ndarray) -> np.ndarray:
        """Values of the blocks as values of the patterns, (p,): of an exact program the larger of both signs."""
        p = self.D.shape[1]
        whole = values[:p].copy()
        if self.exact:
            whole[self.free :] = np.maximum(whole[self.free :], values[p:])
        return whole


def model_of(teacher: Any) -> str:
    """The network that a planted net belongs to: skip, plain or normalized."""
    if isinstance(teacher, NormalizedNet):
        return "normalized"
    return "plain" if teacher.W.shape[-1] else "skip"


def pose(params: Any, problem: Problem, draws: Draws) -> list[Posed | None]:
    """The programs of all trials; None where a planted neuron is active on no point.

    Raises
    ------
    InvalidInput : "X (points) must be finite, got 1 of 60 entries that are not"
    """
    model, exact = model_of(problem.teacher), params.program == "exact"
    found = offered(params, problem.X, problem.teacher.W, draws)
    posed: list[Posed | None] = []
    for b, p in enumerate(found.sizes):
        net = [part[b] for part in problem.teacher]
        if idle(problem.X[b], net[0]):
            posed.append(None)
            continue
        D, H = found.D[b, :, :p], found.H[b, :, :p]
        D, blocks, plant = blocks_of(model, problem.X[b], D, net)
        if model == "skip":
            H = np.column_stack([np.zeros(len(H)), H])
        if exact:
            blocks = Cones(blocks, H, free=int(model == "skip"))
        posed.append(Posed(problem.X[b], problem.y[b], D, H, blocks, plant, bool(found.all_ones[b]), model))
    return posed


def offered(params: Any, X: np.ndarray, neurons: np.ndarray, draws: Draws) -> patterns.Patterns:
    """The patterns that the program is offered; those of the planted neurons (B, d, k) are among them."""
    if params.gates == "all":
        return arrangements.enumerate(X)
    directions = draws.normal("h", params.d, params.patterns or max(params.n, 50))
    if params.gates == "adjacent":
        near = [
            np.column_stack([arrangements.neighbours(x, w)[1] for w in W.T]) for x, W in zip(X, neurons, strict=True)
        ]
        # Trials have different numbers of neighbours; a direction again adds no pattern.
        width = max(some.shape[1] for some in near)
        near = [np.pad(some, ((0, 0), (0, width - some.shape[1])), mode="edge") for some in near]
        neurons = np.concatenate([neurons, np.stack(near)], axis=2)
    return patterns.sample(X, np.concatenate([neurons, directions], axis=2))


def idle(X: np.ndarray, W: np.ndarray) -> bool:
    """Whether some neuron, a column of W (d, k), is active on no point."""
    return not (X @ W > 0).any(axis=0).all()


def blocks_of(
    model: str, X: np.ndarray, D: np.ndarray, net: list[np.ndarray]
) -> tuple[np.ndarray, Blocks, certify.Plant]:
    """The patterns of a model's blocks, these blocks, and where among them the planted net is.

    The skip connection comes first, as the pattern that is all ones.
    """
    if model == "skip":
        D = np.column_stack([np.ones(len(D), bool), D])
        return D, Blocks(X, D), certify.Plant.of(np.array([0]), net[2][:, None])
    return D, *planted_blocks(X, D, net[0], whitened=model == "normalized")


def planted_blocks(X: np.ndarray, D: np.ndarray, W: np.ndarray, whitened: bool) -> tuple[Blocks, certify.Plant]:
    """The blocks of patterns D (n, p), and where among them the neurons W (d, k) are planted.

    Plain neurons have the weights W; normalised ones put out (X w)_+ / ||(X w)_+||, with the weights that
    do so in their own blocks.
    """
    blocks, gates = Blocks(X, D, whitened), X @ W >= 0
    index = (D[:, :, None] == gates[:, None, :]).all(axis=0).argmax(axis=0)
    if whitened:
        outputs = X @ W * gates
        back = X.T @ (outputs / np.linalg.norm(outputs, axis=0))
        W = np.einsum("kde,ek->dk", blocks.part(index).Pt, back)
    return blocks, certify.Plant.of(index, W)


def wider(posed: Posed, D: np.ndarray, H: np.ndarray) -> Posed:
    """The same trial, offered in addition those of the patterns D that it lacks."""
    D, H = np.column_stack([posed.D, D]), np.column_stack([posed.H, H])
    first = np.unique(patterns.distinct(D)[0])
    old = np.arange(posed.D.shape[1])  # the skip connection may share its pattern, and stays
    distinct = np.union1d(old, first)
    D, H = D[:, distinct], H[:, distinct]
    blocks = Blocks(posed.X, D, posed.blocks.whitened)
    if posed.exact:
        blocks = Cones(blocks, H, posed.free)
    return posed._replace(D=D, H=H, blocks=blocks)
