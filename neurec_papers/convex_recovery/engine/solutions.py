"""Posed programs solved or decided, trial by trial, and what is measured of the solutions."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from neurec_core.draws import Draws
from neurec_core.experiment import Problem, Solution, Status
from smallnets.arguments import array, checked, number
from smallnets.convex import certify, decode, recovery, solving
from smallnets.convex.blocks import Blocks
from smallnets.convex.cones import Cones
from smallnets.convex.recovery import Decision, Outcome
from smallnets.geometry import arrangements
from smallnets.nets.two_layer import GatedNet, Net, NormalizedNet

from .instance import Posed, model_of, pose, wider

OWN = "newton"  # the solver made for these programs
# The published test: every weight within 1e-4 of the plant.
RECOVERY_TOLERANCE = 1e-4
SEARCHES, KICKS, ROUNDS = 8, 20, 20  # of the search for adversarial patterns
ACCEPTABLE_GAP = 1e-6  # what cone solvers call solved
# CVXPY's statuses of a solve, as statuses of a trial.
STATUSES = {
    "optimal": Status.SOLVED,
    "optimal_inaccurate": Status.INACCURATE,
    "infeasible": Status.INFEASIBLE,
    "infeasible_inaccurate": Status.INFEASIBLE,
    "infeasible_or_unbounded": Status.INFEASIBLE,
    "unbounded": Status.UNBOUNDED,
    "unbounded_inaccurate": Status.UNBOUNDED,
    "user_limit": Status.LIMIT,
    "solver_error": Status.FAILED,
}


class TrialSolution(NamedTuple):
    """What was found for one trial.

    W : (d, q) weights on the inputs, one column per block
    dual : (n,) dual vector; NaN where the proof needs none
    gap : relative duality gap
    unique : whether the solution is the only one; None where that is not known
    status : how it ended
    decision : the proof, where one was asked for
    """

    W: np.ndarray
    dual: np.ndarray
    gap: float
    unique: bool | None
    status: Status
    decision: Decision | None = None


Method = Callable[[Posed, str], TrialSolution]
Trials = Sequence[tuple[Posed, TrialSolution] | None]  # None where a planted neuron is active on no point


@checked(beta=number("weight decay", "[0, inf)"))
def solve(posed: Posed, solver: str, beta: float = 0.0) -> TrialSolution:
    """Solve the minimal-norm program, or for beta > 0 the training program, by our own solver or as a listing."""
    if solver != OWN:
        return _solve_listing(posed, solver, beta)
    found = solving.solve(posed.blocks, posed.y, ridge=beta / 2)
    if found.converged:
        status = Status.SOLVED
    elif np.isfinite(found.gap):
        status = Status.INACCURATE if found.gap < ACCEPTABLE_GAP else Status.LIMIT
    else:
        status = Status.INFEASIBLE
    return TrialSolution(inputs(posed, found.W), found.dual, found.gap, found.unique, status)


@checked(own=array("weights", "d q"))
def inputs(posed: Posed, own: np.ndarray) -> np.ndarray:
    """A program's weights as weights on the inputs, with the moves that neurons behind a normalised layer need.

    Parameters
    ----------
    posed : the trial
    own : (d, q) weights of its blocks, which are left as they are

    Returns
    -------
    (d, q); neurons of an exact program behind a normalised layer have been moved in the null spaces of D_j X to where
    they have their patterns
    """
    W, p = posed.blocks.inputs(own), posed.D.shape[1]
    if posed.exact and posed.blocks.whitened:
        W[:, :p] = decode.into_cones(posed.X, posed.D, W[:, :p])
        W[:, p:] = -decode.into_cones(posed.X, posed.D, -W[:, p:])
    return W


def decide(posed: Posed, solver: str) -> TrialSolution:
    """Prove that the plant is, or is not, the only solution; the weights are those of the proof."""
    if solver != OWN:
        return _solve_listing(posed, solver)
    proof = recovery.decide(posed.blocks, posed.y, posed.plant)
    status = Status.UNDECIDED if proof.outcome is Outcome.UNDECIDED else Status.SOLVED
    W = inputs(posed, posed.plant.weights(posed.blocks.D.shape[1]) if proof.W is None else proof.W)
    dual = np.full(len(posed.y), np.nan) if proof.dual is None else proof.dual
    unique = None if status is Status.UNDECIDED else proof.outcome is not Outcome.TIED
    return TrialSolution(W, dual, np.nan, unique, status, proof)


@checked(beta=number("weight decay", "[0, inf)"))
def listing(posed: Posed, beta: float = 0.0) -> Any:
    """The program as a CVXPY listing: relaxed or exact minimal norm, or with beta the training program."""
    from smallnets.convex import programs

    name = f"{'train' if beta else 'min_norm'}_{posed.model}{'_exact' if posed.exact and not beta else ''}"
    return getattr(programs, name)(posed.X, posed.D[:, posed.free :], posed.y, *[beta][: beta > 0])


def listed_weights(posed: Posed, program: Any) -> np.ndarray:
    """A solved listing's weights on the inputs, in the order of the blocks, (d, q)."""
    found = {name: variable.value for name, variable in program.var_dict.items()}
    signed = [found[name] for name in ("W", "U", "V", "W_plus", "W_minus") if name in found]
    if posed.blocks.whitened:
        U = decode.factors(posed.X, posed.D)
        signed = [U.weights(W) for W in signed]
    signed[1:] = [-W for W in signed[1:]]
    return np.column_stack([found["w0"], *signed] if posed.free else signed)


def _solve_listing(posed: Posed, solver: str, beta: float = 0.0) -> TrialSolution:
    from smallnets.convex import programs

    program, blocks, y = listing(posed, beta), posed.blocks, posed.y
    status = STATUSES[programs.solve(program, solver)]
    if not status.usable:
        weights = np.full((len(posed.H), blocks.D.shape[1]), np.nan)
        return TrialSolution(weights, np.full(len(y), np.nan), np.nan, None, status)
    W = listed_weights(posed, program)
    dual = program.constraints[0].dual_value
    dual = dual if y @ dual > 0 else -dual  # the sign of an equality's multiplier is the solver's choice
    own = blocks.coordinates(W)
    unique = None
    if status is Status.SOLVED:
        unique = solving.evenly(blocks, own, dual, blocks.support(blocks.adjoint(dual)))[1]
    primal = float(np.linalg.norm(own, axis=0).sum())
    value = float(y @ dual)
    if beta:
        residual = y - blocks.forward(own)
        primal, value = primal + float(residual @ residual) / beta, value - beta * float(dual @ dual) / 4
    return TrialSolution(W, dual, (primal - value) / primal, unique, status)


def _against_adversarial_patterns(
    posed: Posed, method: Callable[[Posed], TrialSolution], starts: np.ndarray, kicks: np.ndarray
) -> tuple[Posed, TrialSolution]:
    """Add patterns that a local search finds to break the dual vector, until it finds none.

    What is not recovered over some patterns is not recovered over more; what is may be, up to the search.
    """
    found = method(posed)
    for _ in range(ROUNDS):
        if not np.isfinite(found.dual).all():
            break
        norms = functools.partial(_norms, posed.X, posed.blocks.whitened, found.dual)
        D, H = arrangements.adversarial(posed.X, norms, starts, kicks)
        sizes = Cones(Blocks(posed.X, D, posed.blocks.whitened), H).norms(found.dual) if posed.exact else norms(D)
        tight = (sizes.reshape(-1, D.shape[1]) >= 1 - certify.STRICT).any(axis=0)
        more = wider(posed, D[:, tight], H[:, tight])
        if more.D.shape == posed.D.shape:
            break
        posed, found = more, method(more)
    return posed, found


def _norms(X: np.ndarray, whitened: bool, dual: np.ndarray, D: np.ndarray) -> np.ndarray:
    return Blocks(X, D, whitened).norms(dual)


def solve_trials(params: Any, problem: Problem, draws: Draws, method: Method) -> Solution:
    """Pose and solve every trial; the value is a net, the stats are what scores and figures read.

    Stats of a pattern are (B, p) arrays, NaN where a trial has fewer patterns; ``patterns`` are those offered to the
    neurons, (B, n, p) booleans; all others are (B,).
    """

    def solved(posed: Posed) -> TrialSolution:
        return method(posed, params.solver)

    trials: list[tuple[Posed, TrialSolution] | None]
    if params.gates == "adversarial":
        starts, kicks = draws.normal("starts", params.d, SEARCHES), draws.normal("kicks", KICKS, params.d, SEARCHES)
        each = zip(pose(params, problem, draws), starts, kicks, strict=True)
        trials = [one and _against_adversarial_patterns(one, solved, *search) for one, *search in each]
    else:
        trials = [one and (one, solved(one)) for one in pose(params, problem, draws)]
    B, p = len(trials), _patterns(trials)
    stats = {name: np.full((B, p) if name in OF_PATTERNS else B, np.nan) for name in (*MEASURED, *OF_PATTERNS)}
    for b, trial in enumerate(trials):
        for name, value in _measured(*trial).items() if trial else ():
            stats[name][(b, slice(np.size(value))) if name in OF_PATTERNS else b] = value
    status = [trial[1].status if trial else Status.EMPTY for trial in trials]
    net, stats["patterns"] = _net(problem, params.program == "exact", trials)
    return Solution(net, status, stats)


def _patterns(trials: Trials) -> int:
    """The most patterns that a trial has."""
    return max((trial[0].D.shape[1] for trial in trials if trial), default=1)


def _net(problem: Problem, exact: bool, trials: Trials) -> tuple[GatedNet | Net | NormalizedNet, np.ndarray]:
    """The nets that were fitted, gated ones for a relaxed program and ReLU nets for an exact one, and the patterns."""
    X, model, p = problem.X, model_of(problem.teacher), _patterns(trials)
    (B, n, d), free = X.shape, int(model == "skip")
    D, (H, plus, minus) = np.zeros((B, n, p), bool), np.zeros((3, B, d, p))
    for b, trial in enumerate(trials):
        if trial:
            one, found = trial
            q = one.D.shape[1]
            D[b, :, :q], H[b, :, :q], plus[b, :, :q] = one.D, one.H, found.W[:, :q]
            if exact:
                minus[b, :, free:q] = -found.W[:, q:]
    skip = plus[:, :, 0] if free else np.zeros((B, d))
    if not exact:
        return GatedNet(plus[:, :, free:], H[:, :, free:], skip), D[:, :, free:]
    if model != "normalized":
        return decode.balanced(plus[:, :, free:], minus[:, :, free:], skip), D[:, :, free:]
    back = decode.factors(X, D)
    return decode.normalized(X, D, back.coordinates(plus), back.coordinates(minus)), D


def _measured(posed: Posed, found: TrialSolution) -> dict[str, Any]:
    """The stats of one trial."""
    proof = found.decision
    condition = proof.isometry if proof else certify.isometry(posed.blocks.gated, posed.plant)
    stats = {
        "unique": np.nan if found.unique is None else found.unique,
        "all_ones": posed.all_ones,
        "isometry": condition.largest(posed.plant),
        "isometry_held": condition.held(posed.plant),
        "isometry_norms": condition.norms,
    }
    if proof:
        known = found.status is not Status.UNDECIDED
        return stats | {"recovered": proof.outcome is Outcome.UNIQUE if known else np.nan, "margin": proof.margin}
    own = posed.blocks.coordinates(found.W)
    apart = own - posed.plant.weights(own.shape[1])
    planted = np.isin(np.arange(own.shape[1]), posed.plant.where)
    return stats | {
        "recovered": (np.abs(apart) <= RECOVERY_TOLERANCE).all(),
        "gap": found.gap,
        "weight_distance": np.linalg.norm(apart[:, planted]),
        "stray": np.linalg.norm(apart[:, ~planted]),
        "residual": np.linalg.norm(posed.y - posed.blocks.forward(own)),
        "norms": posed.of_patterns(posed.blocks.support(posed.blocks.adjoint(found.dual))),
        "planted": planted[: posed.D.shape[1]],
    }


EVENTS = ("recovered", "unique", "all_ones", "isometry_held")
MEASURED = (*EVENTS, "margin", "gap", "weight_distance", "stray", "residual", "isometry")
OF_PATTERNS = ("isometry_norms", "norms", "planted")


def scores(solution: Solution, *names: str) -> dict[str, np.ndarray]:
    """Stats as scores; events are booleans, and masked in trials of which they are not known."""
    found = {}
    for name in names:
        values = solution.stats[name]
        unknown = np.isnan(values) & [status.usable for status in solution.status]
        true = np.ma.array(values == 1, mask=unknown) if unknown.any() else values == 1
        found[name] = true if name in EVENTS else values
    return found
