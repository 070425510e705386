"""One planted instance, whatever the model: the program posed, solved or decided, trial by trial."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ... import arrangements, data, patterns
from ...convex import certify, decode, recovery
from ...convex.blocks import Blocks
from ...convex.recovery import Decision, Outcome
from ...draws import Draws
from ...experiment import Problem, Solution, Status
from ...nets import GatedNet, NormalizedNet

CITATION = (
    "Wang, Hua, Candes, Pilanci: Overparameterized ReLU Neural Networks Learn the Simplest Models: "
    "Neural Isometry and Exact Recovery. IEEE Trans. Inf. Theory 71(3), 2025. arXiv 2209.15265"
)
# The published test: every weight within 1e-4 of the plant.
RECOVERY_TOLERANCE = 1e-4
SEARCHES, KICKS, ROUNDS = 8, 20, 20  # of the search for adversarial patterns
ACCEPTABLE_GAP = 1e-6  # what cone solvers call solved
OWN = "newton"  # the name of the solver made for these programs


def solver_name(name: str) -> str:
    """The solver meant, in the spelling of CVXPY unless it is our own.

    Raises
    ------
    ValueError : "must be newton or one of CLARABEL, SCS (those installed here), got 'MOSEK'"
    """
    if name.lower() == OWN:
        return OWN
    from ...convex.programs import solvers

    if name.upper() not in solvers():
        raise ValueError(f"must be {OWN} or one of {', '.join(solvers())} (those installed here), got {name!r}")
    return name.upper()


# ------------------------------------------------------------------------------------------- sample


def check_plant(plant: str, k: int, d: int) -> None:
    """Whether k neurons can be planted so.

    Raises
    ------
    ValueError : "plant (planted neurons) opposite needs k = 2, got k = 1"
    """
    if plant == "opposite" and k != 2:
        raise ValueError(f"plant (planted neurons) opposite needs k = 2, got k = {k}")
    if plant == "axis" and k > d:
        raise ValueError(f"plant (planted neurons) axis needs k <= d, got k = {k}, d = {d}")


def sample_linear(params: Any, draws: Draws, sigma: float) -> Problem:
    """y = X w + z for a linear neuron; X and w do not depend on sigma."""
    X = data.design(params.design, draws, params.n, params.d)
    teacher = data.linear_teacher(params.plant, X, draws)
    return Problem(X, teacher(X) + noise(sigma, params.n, draws), teacher)


def sample_neurons(params: Any, draws: Draws, sigma: float) -> Problem:
    """y = sum_i (X w_i)_+ / ||(X w_i)_+|| + z for k neurons; X and w do not depend on sigma."""
    X = data.design(params.design, draws, params.n, params.d)
    teacher = data.normalized_teacher(params.plant, params.k, params.d, draws)
    return Problem(X, teacher(X) + noise(sigma, params.n, draws), teacher)


def noise(sigma: float, n: int, draws: Draws) -> np.ndarray:
    """z ~ N(0, sigma^2/n), of norm about sigma, (B, n)."""
    return sigma * data.gaussian(draws.normal("z", n, 1))[..., 0]


# --------------------------------------------------------------------------------------------- pose


class Posed(NamedTuple):
    """One trial's program: X (n, d), labels, patterns D (n, p) with the directions H (d, p) that make them.

    For the skip model the first pattern is all ones, made by the direction 0: the skip connection.
    """

    X: np.ndarray
    y: np.ndarray
    D: np.ndarray
    H: np.ndarray
    blocks: Blocks
    plant: certify.Plant
    all_ones: bool


def pose(params: Any, problem: Problem, draws: Draws) -> list[Posed | None]:
    """The programs of all trials; None where a planted neuron is active on no point."""
    normalized = isinstance(problem.teacher, NormalizedNet)
    neurons = problem.teacher.W  # none for a linear teacher
    found = offered(params, problem.X, neurons, draws)
    make = _pose_neurons if normalized else _pose_linear
    posed: list[Posed | None] = []
    for b, p in enumerate(found.sizes):
        if not np.isfinite(problem.y[b]).all():
            posed.append(None)
            continue
        D, H = found.D[b, :, :p], found.H[b, :, :p]
        net = [part[b] for part in problem.teacher]
        posed.append(make(problem.X[b], problem.y[b], D, H, net, bool(found.all_ones[b])))
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


def _pose_linear(X: np.ndarray, y: np.ndarray, D: np.ndarray, H: np.ndarray, net: list[Any], all_ones: bool) -> Posed:
    D = np.column_stack([np.ones(len(X), bool), D])
    H = np.column_stack([np.zeros(len(H)), H])
    plant = certify.Plant.of(np.array([0]), net[2][:, None])
    return Posed(X, y, D, H, Blocks(X, D), plant, all_ones)


def _pose_neurons(X: np.ndarray, y: np.ndarray, D: np.ndarray, H: np.ndarray, net: list[Any], all_ones: bool) -> Posed:
    blocks, plant = planted_blocks(X, D, net[0], whitened=True)
    return Posed(X, y, D, H, blocks, plant, all_ones)


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


def harden(
    posed: Posed, method: Callable[[Posed, str], Fit], solver: str, starts: np.ndarray, kicks: np.ndarray
) -> tuple[Posed, Fit]:
    """Add patterns that a local search finds to break the dual vector, until it finds none.

    What is not recovered over some patterns is not recovered over more; what is may be, up to the search.
    """
    found = method(posed, solver)
    for _ in range(ROUNDS):
        if not np.isfinite(found.dual).all():
            break

        norms = functools.partial(_norms, posed.X, posed.blocks.whitened, found.dual)
        D, H = arrangements.adversarial(posed.X, norms, starts, kicks)
        tight = norms(D) >= 1 - certify.STRICT
        wider = _with(posed, D[:, tight], H[:, tight])
        if wider.D.shape == posed.D.shape:
            break
        posed = wider
        found = method(posed, solver)
    return posed, found


def _norms(X: np.ndarray, whitened: bool, dual: np.ndarray, D: np.ndarray) -> np.ndarray:
    return Blocks(X, D, whitened).norms(dual)


def _with(posed: Posed, D: np.ndarray, H: np.ndarray) -> Posed:
    """The same trial, offered those of the patterns D that it lacks besides."""
    D, H = np.column_stack([posed.D, D]), np.column_stack([posed.H, H])
    first = np.unique(patterns.distinct(D)[0])
    old = np.arange(posed.D.shape[1])  # the skip connection may share its pattern, and stays
    kept = np.union1d(old, first)
    D, H = D[:, kept], H[:, kept]
    return posed._replace(D=D, H=H, blocks=Blocks(posed.X, D, posed.blocks.whitened))


# ------------------------------------------------------------------------------------ solve, decide


class Fit(NamedTuple):
    """What was found for one trial.

    W : (d, p) weights on the inputs
    dual : (n,) dual vector; NaN where the proof needs none
    gap : relative duality gap
    unique : whether the solution is the only one
    status : how it ended
    decision : the proof, where one was asked for
    """

    W: np.ndarray
    dual: np.ndarray
    gap: float
    unique: bool
    status: Status
    decision: Decision | None = None


def solve(posed: Posed, solver: str) -> Fit:
    """Solve the relaxed program, eq. (15) or (17), by our own solver or as a CVXPY listing."""
    if solver != OWN:
        return _solve_listing(posed, solver)
    found = recovery.solve(posed.blocks, posed.y)
    if found.converged:
        status = Status.SOLVED
    elif np.isfinite(found.gap):
        status = Status.INACCURATE if found.gap < ACCEPTABLE_GAP else Status.LIMIT
    else:
        status = Status.INFEASIBLE
    return Fit(posed.blocks.inputs(found.W), found.dual, found.gap, found.unique, status)


def decide(posed: Posed, solver: str) -> Fit:
    """Prove that the plant is, or is not, the only solution; the weights are those of the proof."""
    if solver != OWN:
        return _solve_listing(posed, solver)
    proof = recovery.decide(posed.blocks, posed.y, posed.plant)
    status = Status.UNDECIDED if proof.outcome is Outcome.UNDECIDED else Status.SOLVED
    if proof.W is None:
        W = np.zeros(posed.H.shape)
        W[:, posed.plant.where] = posed.blocks.part(posed.plant.where).inputs(posed.plant.units * posed.plant.sizes)
    else:
        W = posed.blocks.inputs(proof.W)
    dual = np.full(len(posed.y), np.nan) if proof.dual is None else proof.dual
    return Fit(W, dual, np.nan, proof.outcome is not Outcome.TIED, status, proof)


def _solve_listing(posed: Posed, solver: str) -> Fit:
    from ...convex import programs

    blocks, y, (d, p) = posed.blocks, posed.y, posed.H.shape
    if blocks.whitened:
        program = programs.min_norm_normalized(posed.X, posed.D, y)
    else:
        program = programs.min_norm_skip(posed.X, posed.D[:, 1:], y)
    status = programs.solve(program, solver)
    if not status.usable:
        return Fit(np.full((d, p), np.nan), np.full(len(y), np.nan), np.nan, False, status)
    W = program.var_dict["W"].value
    if blocks.whitened:
        W = decode.factors(posed.X, posed.D).weights(W)
    else:
        W = np.column_stack([program.var_dict["w0"].value, W])
    dual = program.constraints[0].dual_value
    dual = dual if y @ dual > 0 else -dual  # the sign of an equality's multiplier is the solver's choice
    own = blocks.coordinates(W)
    unique = recovery.evenly(blocks, own, dual, blocks.norms(dual))[1]
    cost = float(np.linalg.norm(own, axis=0).sum())
    return Fit(W, dual, (cost - float(y @ dual)) / cost, unique, status)


def treat(params: Any, problem: Problem, draws: Draws, method: Callable[[Posed, str], Fit]) -> Solution:
    """Pose and treat every trial; the value is a gated net, the stats are what scores and figures read.

    Stats of a pattern are (B, p) arrays, NaN where a trial has fewer patterns; all others are (B,).
    """
    posed = pose(params, problem, draws)
    fits = [method(one, params.solver) if one else None for one in posed]
    if params.gates == "adversarial":
        starts, kicks = draws.normal("starts", params.d, SEARCHES), draws.normal("kicks", KICKS, params.d, SEARCHES)
        for b, one in enumerate(posed):
            if one:
                posed[b], fits[b] = harden(one, method, params.solver, starts[b], kicks[b])
    looks = [_look(one, found) if one and found else {} for one, found in zip(posed, fits, strict=True)]
    B, (d, p) = len(posed), (params.d, max((one.D.shape[1] for one in posed if one), default=1))
    W, H = np.zeros((B, d, p)), np.zeros((B, d, p))
    stats = {name: np.full((B, p) if name in OF_PATTERNS else B, np.nan) for name in LOOKS}
    for b, (one, found, look) in enumerate(zip(posed, fits, looks, strict=True)):
        if one and found:
            W[b, :, : found.W.shape[1]], H[b, :, : one.H.shape[1]] = found.W, one.H
        for name, value in look.items():
            stats[name][(b, slice(np.size(value))) if name in OF_PATTERNS else b] = value
    first = 0 if isinstance(problem.teacher, NormalizedNet) else 1  # after the skip connection
    skip = np.zeros((B, d)) if first == 0 else W[:, :, 0]
    status = [found.status if found else Status.EMPTY for found in fits]
    return Solution(GatedNet(W[:, :, first:], H[:, :, first:], skip), status, stats)


def _look(posed: Posed, found: Fit) -> dict[str, Any]:
    """What is read off one trial."""
    proof = found.decision
    condition = proof.isometry if proof else certify.isometry(posed.blocks, posed.plant)
    look = {
        "unique": found.unique,
        "all_ones": posed.all_ones,
        "isometry": condition.largest(posed.plant),
        "isometry_held": condition.held(posed.plant),
        "isometry_norms": condition.norms,
    }
    if proof:
        return look | {"recovered": proof.outcome is Outcome.UNIQUE, "margin": proof.margin}
    own = posed.blocks.coordinates(found.W)
    apart = own - posed.plant.weights(own.shape[1])
    planted = np.isin(np.arange(own.shape[1]), posed.plant.where)
    return look | {
        "recovered": (np.abs(apart) <= RECOVERY_TOLERANCE).all(),
        "gap": found.gap,
        "distance": np.linalg.norm(apart[:, planted]),
        "stray": np.linalg.norm(apart[:, ~planted]),
        "norms": posed.blocks.norms(found.dual),
        "planted": planted,
    }


OF_PATTERNS = ("isometry_norms", "norms", "planted")
LOOKS = (
    "recovered", "unique", "margin", "gap", "distance", "stray", "all_ones", "isometry", "isometry_held", *OF_PATTERNS
)  # fmt: skip


def pick(solution: Solution, *names: str) -> dict[str, np.ndarray]:
    """Stats as scores; those that are true or false as booleans."""
    events = {"recovered", "unique", "all_ones", "isometry_held"}
    return {name: solution.stats[name] == 1 if name in events else solution.stats[name] for name in names}
