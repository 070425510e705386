"""Networks of tanh or logistic neurons: fits from many starts, symmetries, zeros of differences; derived here.

The difference of two networks with m neurons on a line, times all of its at most 2m denominators 1 + e^{2 z_j}, is a
sum of at most 4^m real exponentials, which has at most 4^m - 1 real zeros or vanishes. So 4^m distinct points of a line
identify every network of the width that is irreducible on it, and as many on each of (4m - 1)(d - 1) + 1 lines through
the origin are enough in d dimensions. That these networks are determined by their functions is sussmann1992uniqueness'.
"""

from __future__ import annotations

from itertools import permutations, product
from typing import NamedTuple

import numpy as np
import scipy

from neurec_core.params import BadInput, unknown
from smallnets import arguments

from .networks import ShallowNet, checked, distinct_points

PARALLEL = 1e-9  # two neurons are the same up to a sign if (w, b) differ by less
LARGEST = 1e8  # hidden weight that a fit may reach
MOST_MATCHED = 7  # neurons of which all permutations are tried


def tanh_and_slope(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """tanh and its derivative."""
    s = np.tanh(z)
    return s, 1 - s * s


def logistic_and_slope(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """1 / (1 + e^-z) and its derivative."""
    s = scipy.special.expit(z)
    return s, s * (1 - s)


ACTIVATIONS = {"tanh": tanh_and_slope, "sigmoid": logistic_and_slope}


@arguments.checked(X=arguments.array("inputs", "n d"))
def outputs(activation: str, net: ShallowNet, X: np.ndarray) -> np.ndarray:
    """Outputs ``(n,)`` at inputs ``X (n, d)``.

    Raises
    ------
    BadInput : "unknown activation 'tan': did you mean tanh? (one of tanh, sigmoid)", or inputs of another dimension
    """
    _needs_known(activation)
    arguments.shaped("X", "inputs", "(n, d)", X, shape=(None, net.W.shape[1]))
    return ACTIVATIONS[activation](X @ net.W.T + net.b)[0] @ net.a + net.c


def _needs_known(activation: str) -> None:
    if activation not in ACTIVATIONS:
        raise BadInput(unknown("activation", activation, ACTIVATIONS))


def needs_irreducible(activation: str, net: ShallowNet, *, bias: bool = True) -> ShallowNet:
    """The network, if no output weight is zero and no two neurons are equal up to a sign.

    Without an output bias logistic neurons z and -z are different, as s(-z) = 1 - s(z) moves a constant.

    Raises
    ------
    BadInput : "net (tanh network) must be irreducible, got neurons 0 and 2 that are one", an unknown activation, and
        see `networks.checked`
    """
    _needs_known(activation)
    net, signed = checked(net), bias or activation == "tanh"
    if not net.a.all():
        raise BadInput(f"net ({activation} network) must be irreducible, got a neuron with output weight 0")
    rows = np.column_stack([net.W, net.b])
    apart = np.linalg.norm(rows[:, None] - rows, axis=2)
    if signed:
        apart = np.minimum(apart, np.linalg.norm(rows[:, None] + rows, axis=2))
    apart[np.tril_indices(net.m)] = np.inf
    if (apart < PARALLEL).any():
        i, j = np.argwhere(apart < PARALLEL)[0]
        raise BadInput(f"net ({activation} network) must be irreducible, got neurons {i} and {j} that are one")
    return net


def directions(number: int, d: int) -> np.ndarray:
    """Unit vectors ``(number, d)`` along the moment curve (1, s, ..., s^(d-1)), any d of them independent."""
    s = np.linspace(-1.0, 1.0, number) if number > 1 else np.zeros(1)
    curve = s[:, None] ** np.arange(d)
    return curve / np.linalg.norm(curve, axis=1, keepdims=True)


# ---------------------------------------------------------------------------------------------------------- fits


class LeastSquares(NamedTuple):
    """Networks fitted from several starts, and the sums of squares at which they ended, ``cost (S,)``."""

    networks: list[ShallowNet]
    cost: np.ndarray


@arguments.checked(
    X=arguments.array("sample points", "n d"),
    y=arguments.array("values", "n"),
    starts=arguments.array("hidden weights", "S m _"),
    evaluations=arguments.whole("evaluations of the residual", "[1, inf)"),
)
def fit(
    activation: str, X: np.ndarray, y: np.ndarray, starts: np.ndarray, *, bias: bool = True, evaluations: int = 400
) -> LeastSquares:
    """Least squares from many starts, over hidden weights only: output weights are always the best ones for these.

    With P the projection away from the neurons' outputs Phi, the residual is P y and its derivative -P dPhi a, as far
    as the gradient needs it. Levenberg and Marquardt's method then converges fast wherever the data can be fitted.

    Parameters
    ----------
    X, y : (n, d) distinct points and (n,) values
    starts : (S, m, d+1) hidden weights and biases to start from
    bias : whether networks have an output bias
    evaluations : of the residual, at most, for each start

    Raises
    ------
    BadInput : an unknown activation, points that repeat others, arrays of other shapes or with numbers that are not
        finite

    **Source**: golub1973differentiation, kaufman1975variable.
    """
    _needs_known(activation)
    X = distinct_points(X)
    arguments.shaped("starts", "hidden weights", "(S, m, d + 1)", starts, shape=(None, None, X.shape[1] + 1))
    ends = [_fit_one(activation, X, y, start, bias=bias, evaluations=evaluations) for start in starts]
    return LeastSquares([net for net, _ in ends], np.array([cost for _, cost in ends]))


def _fit_one(
    activation: str, X: np.ndarray, y: np.ndarray, start: np.ndarray, *, bias: bool, evaluations: int
) -> tuple[ShallowNet, float]:
    from scipy.optimize import least_squares

    shape, inputs = start.shape, np.column_stack([X, np.ones(len(X))])
    missing = max(start.size - len(y), 0)  # the method asks for as many residuals as parameters

    def parts(hidden: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        s, slope = ACTIVATIONS[activation](inputs @ hidden.reshape(shape).T)
        phi = np.column_stack([s, np.ones(len(y))]) if bias else s
        U, sizes, Vt = np.linalg.svd(phi, full_matrices=False)
        kept = sizes > 1e-14 * max(sizes[0], 1e-300)
        U = U[:, kept]
        outer = Vt[kept].T @ ((U.T @ y) / sizes[kept])
        return outer, slope, U, phi

    def residual(hidden: np.ndarray) -> np.ndarray:
        if not (np.abs(hidden) < LARGEST).all():
            return np.full(len(y) + missing, LARGEST)  # a step that is not taken
        outer, _, _, phi = parts(hidden)
        return np.append(y - phi @ outer, np.zeros(missing))

    def derivative(hidden: np.ndarray) -> np.ndarray:
        outer, slope, U, _ = parts(hidden)
        J = ((slope * outer[: shape[0]])[:, :, None] * inputs[:, None]).reshape(len(y), -1)
        return np.vstack([U @ (U.T @ J) - J, np.zeros((missing, start.size))])

    found = least_squares(
        residual, start.ravel(), derivative, method="lm", ftol=1e-15, xtol=1e-15, gtol=1e-15, max_nfev=evaluations
    )
    outer, hidden = parts(found.x)[0], found.x.reshape(shape)
    net = ShallowNet(hidden[:, :-1], hidden[:, -1], outer[: shape[0]], float(outer[-1]) if bias else 0.0)
    return net, float(2 * found.cost)


# ---------------------------------------------------------------------------------------- symmetries and zeros


def flipped(activation: str, net: ShallowNet, signs: np.ndarray) -> ShallowNet:
    """The same function with (w_j, b_j) multiplied by `signs (m,)`, each 1 or -1."""
    constant = net.a[signs < 0].sum() if activation == "sigmoid" else 0.0
    return ShallowNet(net.W * signs[:, None], net.b * signs, net.a * signs, float(net.c + constant))


def distance(activation: str, net: ShallowNet, other: ShallowNet, *, bias: bool = True) -> float:
    """The largest difference of any parameter, at the best permutation and the best signs of neurons.

    Of tanh neurons each has its own sign; flips of logistic ones share the constant, so that all 2^m are tried.

    Raises
    ------
    BadInput : networks of different width, or of more neurons than can be matched; an unknown activation
    """
    _needs_known(activation)
    if net.m != other.m or net.m > MOST_MATCHED:
        raise BadInput(f"other (network) must have {min(net.m, MOST_MATCHED)} neurons, got {other.m}")
    free = bias or activation == "tanh"
    rows, theirs = (np.column_stack([n.W, n.b, n.a]) for n in (net, other))
    # Of neuron i from neuron j as it is, and flipped.
    apart = [np.abs(rows[:, None] - sign * theirs).max(axis=2) for sign in (1, -1)]
    orders = np.array(list(permutations(range(net.m))))
    best = np.inf
    for turned in product([False, True], repeat=net.m if free and activation == "sigmoid" else 0):
        # A flip moves the constant of a logistic neuron, whichever neuron it is matched with.
        flips = np.array(turned) if turned else np.zeros(net.m, bool)
        costs = np.minimum(*apart) if activation == "tanh" else np.where(flips, apart[1], apart[0])
        worst = costs[np.arange(net.m), orders].max(axis=1, initial=0).min()
        best = min(best, max(float(worst), abs(net.c - other.c - float(flips @ other.a))))
    return best


def sign_changes(values: np.ndarray) -> int:
    """How often the sign changes along a row of values, zeros left out: as many zeros a function has at least."""
    signs = np.sign(values[values != 0])
    return int(np.sum(signs[1:] != signs[:-1]))


@arguments.checked(
    m=arguments.whole("neurons", "[1, inf)"), pairs=arguments.whole("pairs", "[1, inf)"), seed=arguments.count("seed")
)
def most_sign_changes(activation: str, m: int, pairs: int, seed: int = 0) -> int:
    """The most zeros seen of the difference of two random networks of one input, over many pairs of them.

    Parameters
    ----------
    m : neurons of each network; all weights and biases are normal, with deviation 2, on [-5, 5]
    pairs : how many pairs
    """
    from neurec_core.draws import Draws

    x = np.linspace(-5, 5, 1001)
    weights = 2 * Draws(seed, [0]).normal("weights", pairs, 4, 2 * m)[0]
    most = 0
    for w, b, a, c in weights:
        values = ACTIVATIONS[activation](np.multiply.outer(x, w) + b)[0] @ a + c[0]
        most = max(most, sign_changes(values))
    return most
