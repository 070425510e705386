"""What theory predicts about the Monte-Carlo experiment: the asymptotic law of crossing, and the events of App. E."""

from __future__ import annotations

import numpy as np
import scipy

from smallnets.arguments import array, checked, number, whole

POINTS, SCRAMBLES = 2**13, 8
# By rounding, quasi-random numbers can be 0 or 1, whose normal quantiles are infinite.
INSIDE = 1e-12


def largest_drift(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """max over t of the absolute value of S(t), for S' = -(1/14) A (S - end), A = [[2, 1], [1, 2]]; (..., 2) arrays.

    With u = exp(-t/14) both components are end + beta u + alpha u^3 on [0, 1]: the ends and the turning point decide.
    """
    gap = start - end
    total = gap.sum(-1, keepdims=True) / 2
    alpha, beta = np.broadcast_to(total, gap.shape), gap - total  # the eigenvectors (1, 1) and (1, -1)
    with np.errstate(divide="ignore", invalid="ignore"):
        turn = np.sqrt(-beta / (3 * alpha))
    turn = np.where((turn > 0) & (turn < 1), turn, 1.0)
    turned = end + beta * turn + alpha * turn**3
    return np.max(np.abs([end, start, turned]), axis=0)


@checked(m=number("width", "(0, inf)"), shift=number("shift of all labels"), seed=whole("seed"))
def crossing_probability(m: float, shift: float = 0.0, continuous: bool = False, seed: int = 0) -> tuple[float, float]:
    """Probability that some kink reaches a point, for large m and n = m^2, and its standard error.

    P = E[1 - exp(-(u_+ + u_-) / (2 pi sqrt(m)))]: the number of neurons whose m a/w lies where kinks sweep is
    Poisson. After the fast phase, slope p(0) ~ N(0, 2) to 0, the intercepts drift from -(3/7) s p(0) towards m q^opt
    = m shift + 4 Z; D is the largest drift of a side and u = 2 D for h = 1/lambda_max(H), whose fast phase is one jump,
    or max(\\|p(0)\\| + D, 2 D) for h m -> 0. For large m, P sqrt(m) tends to 1.5570 or 1.6191. Neurons that the jump
    carries to the other side, where they may still reach a point, are left out: with them 1.5570 becomes 1.5607.

    Parameters
    ----------
    m : width
    shift : of all labels
    continuous : whether the step is small
    seed : of the quasi-random integration over the four normals

    **Source**: derived here, to first order; not a theorem of the paper.
    """
    sides = np.array([1.0, -1.0])
    found = []
    for scramble in range(SCRAMBLES):
        uniform = scipy.stats.qmc.Sobol(4, rng=np.random.default_rng((seed, scramble))).random(POINTS)
        g = scipy.stats.norm.ppf(np.clip(uniform, INSIDE, 1 - INSIDE))
        slope, target = 2**0.5 * g[:, :2], m * shift + 4 * g[:, 2:]
        end = np.linalg.solve(np.array([[2.0, 1.0], [1.0, 2.0]]), target.T).T
        drift = largest_drift(-3 / 7 * sides * slope, end)
        swept = np.maximum(np.abs(slope) + drift, 2 * drift) if continuous else 2 * drift
        found.append(-np.expm1(-swept.sum(1) / (2 * np.pi * m**0.5)).mean())
    return float(np.mean(found)), float(np.std(found, ddof=1) / SCRAMBLES**0.5)


@checked(
    m=number("width", "(0, inf)"),
    gamma=number("exponent"),
    epsilon=number("exponent"),
    factor=number("factor of the right-hand sides", "(0, inf)"),
)
def event_probabilities(m: float, gamma: float, epsilon: float, factor: float = 1.0) -> dict[str, float]:
    """Probability of each of the conditions W2, W3, W4, W7 and D1 of the event, in closed form.

    With c = Var Z = 2 and f the factor on the right-hand sides: P(W2) = P(W3) = erf(f m^eps / 2)^m, P(W4) = (1 -
    erf(m^(-1-gamma) / (2 f)))^m; for large m, P(W7) = erf(f m^eps / 2)^2 and P(D1) is the probability that normals with
    covariance [[3, -6 s], [-6 s, 16]] stay within f m^eps, on both sides.

    **Source**: derived here from holzmuller2022training, App. E.
    """
    bound = factor * m**epsilon
    inside = scipy.special.erf(bound / 2)
    line = scipy.stats.multivariate_normal([0, 0], [[3, -6], [-6, 16]])
    one_side = line.cdf([bound, bound], lower_limit=[-bound, -bound])
    small = scipy.special.erf(m ** (-1 - gamma) / (2 * factor))
    return {
        "W2": inside**m,
        "W3": inside**m,
        "W4": float(np.exp(m * np.log1p(-small))),
        "W7": inside**2,
        "D1": float(one_side) ** 2,
    }


@checked(t=array("distances", "_", interval="[0, inf)"), d=whole("input dimension", "[1, inf)"))
def kink_distance_cdf(t: np.ndarray, d: int) -> np.ndarray:
    """The probability that a kink lies within t of the origin, with biases from U- and He et al.'s weights.

    The distance is U/R, U uniform on [0, sqrt(6)] and R the length of a neuron's weights, R^2 equal to 2/d times a
    chi-square with d degrees of freedom. Given R the probability is min(t R/sqrt(6), 1); its mean is a pair of
    incomplete gamma functions.
    As d grows it tends to min(t/sqrt(3), 1), the law of U_k-.

    Parameters
    ----------
    t : (k,) array, >= 0
    d : input dimension, >= 1

    **Source**: derived here for holzmuller2022training, Figure 12.
    """
    with np.errstate(divide="ignore"):
        square = d * 3 / (2 * t**2)  # half the chi-square from which on the kink is certain to lie within t
    ratio = np.exp(scipy.special.gammaln((d + 1) / 2) - scipy.special.gammaln(d / 2))
    inside = t * ratio * 2 / (6 * d) ** 0.5 * scipy.special.gammainc((d + 1) / 2, square)
    return np.asarray(inside + scipy.special.gammaincc(d / 2, square))
