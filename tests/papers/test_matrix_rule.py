"""The matrix rule and its relatives beside the published formulas, written as plain loops, and a tape."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from neurec_core.draws import Draws
from neurec_core.params import BadInput
from neurec_papers.multilayer_dynamics.engine import _fused, matrix_ascent
from neurec_papers.multilayer_dynamics.engine._fused import FusedPair
from neurec_papers.multilayer_dynamics.engine.batches import batches
from neurec_papers.multilayer_dynamics.engine.matrix_ascent import Method, ascend
from neurec_papers.multilayer_dynamics.experiments import matrix_nets
from neurec_papers.multilayer_dynamics.experiments.matrix_rule import MATRIX_RULE
from smallnets.errors import InvalidInput

RULES = ["matrix", "exact", "gradient"]
SHAPES = {"two": ((5, 12, 6), (5, 7, 6)), "four": ((5, 8, 12, 9, 4), (5, 4, 6, 7, 4))}
each_rule = pytest.mark.parametrize("rule", RULES)
each_shape = pytest.mark.parametrize("shape", SHAPES)


def unit(W):
    return W / np.linalg.norm(W, axis=-2, keepdims=True)


def nets(B, sizes, seed):
    rng = np.random.default_rng(seed)
    return [unit(rng.standard_normal((B, n + 1, m))) for n, m in itertools.pairwise(sizes)]


def pairs(shape="two", B=3):
    student, teacher = SHAPES[shape]
    return nets(B, teacher, 1), nets(B, student, 0)


def inputs(B=3, N=16, d=5, seed=2):
    return np.random.default_rng(seed).standard_normal((B, N, d))


def one(layers, b):
    return [W[b : b + 1] for W in layers]


def states(W, X):
    """Inputs of every layer with the constant, of one network, and the outputs."""
    f = [np.column_stack([X, np.ones(len(X))])]
    for w in W[:-1]:
        f.append(np.column_stack([np.maximum(f[-1] @ w, 0), np.ones(len(X))]))
    return f, f[-1] @ W[-1]


def published(W, V, X):
    """dW of every layer by the published recursion of batch means, one network."""
    (f, y), (g, _), N = states(W, X), states(V, X), len(X)
    H, H_star, change = np.eye(y.shape[1]), np.eye(y.shape[1]), [None] * len(W)
    for k in range(len(W) - 1, -1, -1):
        L, L_star = f[k].T @ f[k] / N, f[k].T @ g[k] / N
        change[k] = L_star @ V[k] @ H_star.T - L @ W[k] @ H.T
        D, D_star = ((part[k][:, :-1] > 0).astype(float) for part in (f, g))
        H = (W[k] @ H @ W[k].T)[:-1, :-1] * (D.T @ D / N)
        H_star = (W[k] @ H_star @ V[k].T)[:-1, :-1] * (D.T @ D_star / N)
    return change


def sample_by_sample(W, V, X):
    """The same, one input at a time, averaged."""
    changes = [published(W, V, X[i : i + 1]) for i in range(len(X))]
    return [np.mean(parts, axis=0) for parts in zip(*changes, strict=True)]


def on_tape(W, V, X):
    """Minus the gradient of 1/2 mean |y* - y|^2."""
    weights = [torch.tensor(w, requires_grad=True) for w in W]

    def outputs(layers):
        f = torch.tensor(X)
        for k, w in enumerate(layers):
            f = torch.cat([f if k == 0 else torch.relu(f), torch.ones(len(X), 1, dtype=f.dtype)], dim=1) @ w
        return f

    loss = 0.5 * ((outputs([torch.tensor(v) for v in V]) - outputs(weights)) ** 2).sum(1).mean()
    loss.backward()
    return [-w.grad.numpy() for w in weights]


LOOPS = {"matrix": published, "exact": sample_by_sample, "gradient": on_tape}


def changes(rule, teacher, start, X):
    """dW of the engine, (B, n + 1, m) a layer."""
    pair = FusedPair(teacher, start, torch.float64, torch.device("cpu"))
    (points,) = next(matrix_ascent._points(iter([X[:, None]]), pair.V[0]))
    pulls = _fused.RULES[rule](pair, points)
    return [-p[:, : W.shape[1], : W.shape[2]].numpy() / X.shape[1] for p, W in zip(pulls, start, strict=True)]


@each_shape
@each_rule
def test_a_step_is_that_of_the_plain_loop(rule, shape):
    (teacher, start), X = pairs(shape), inputs()
    found = changes(rule, teacher, start, X)
    for b in range(3):
        wanted = LOOPS[rule]([W[b] for W in start], [V[b] for V in teacher], X[b])
        for ours, theirs in zip(found, wanted, strict=True):
            # Sums of at most 16 x 13 x 12 numbers of size 1, in another order.
            assert np.allclose(ours[b], theirs, rtol=0, atol=1e-14)
            assert np.abs(theirs).max() > 1e-2


@each_rule
def test_many_steps_are_those_of_the_plain_loop(rule):
    teacher, start = pairs()
    end = ascend(teacher, start, batches(Draws(4, [7, 1, 3]), 5, 8), Method(rule, 0.1), steps=60)
    X = next(batches(Draws(4, [7, 1, 3]), 5, 8))
    for b in range(3):
        W, V = [w[b] for w in start], [v[b] for v in teacher]
        for t in range(60):
            W = [unit(w + 0.1 * change) for w, change in zip(W, LOOPS[rule](W, V, X[b, t]), strict=True)]
        for ours, theirs in zip(end.weights, W, strict=True):
            # 60 steps, each of which rounds at 1e-16; neighbouring paths hardly part.
            assert np.allclose(ours[b], theirs, rtol=0, atol=1e-12)
    assert not end.diverged.any()


@each_rule
@pytest.mark.parametrize("batch", [1, 8, 64, 100])
def test_the_kernel_for_batches_takes_the_steps_of_torch(rule, batch):
    teacher, start, draws = nets(2, (5, 7, 6), 1), nets(2, (5, 12, 6), 0), Draws(0, [0, 5])
    compiled = ascend(teacher, start, batches(draws, 5, batch), Method(rule, 0.1), steps=70, log=[0, 33])
    pair = FusedPair(teacher, start, torch.float64, torch.device("cpu"))
    stops = [0, 33, 70]
    slow = matrix_ascent._in_torch(pair, batches(draws, 5, batch), Method(rule, 0.1), stops)
    layers = [np.stack(parts, axis=1) for parts in zip(*slow, strict=True)]
    slow = [*(W[:, -1] for W in layers), *(W[:, :2] for W in layers)]
    for ours, theirs in zip([*compiled.weights, *compiled.noted], slow, strict=True):
        # 70 steps, each of which rounds at 1e-16.
        assert np.allclose(ours, theirs, rtol=0, atol=1e-12)


# ------------------------------------------------------------------------------------------------- what is exact


def test_a_batch_of_64_makes_the_matrix_rule_no_gradient():
    rng, B = np.random.default_rng(0), 30
    teacher = [unit(rng.choice([-0.5, -0.25, 0, 0.25, 0.5], (B, *shape))) for shape in ((11, 20), (21, 30))]
    for V in teacher:
        V[:, -1] = 0
    start = [0.1 * rng.standard_normal((B, *shape)) for shape in ((11, 40), (41, 30))]
    start[0][:, :, :20] += teacher[0]
    start[1][:, :20] += teacher[1][:, :20]
    start, X = [unit(W) for W in start], inputs(B, 64, 10)
    ours, gradient = (changes(rule, [unit(V) for V in teacher], start, X)[0] for rule in ("matrix", "gradient"))
    cosine = (ours * gradient).sum((1, 2)) / np.linalg.norm(ours, axis=(1, 2)) / np.linalg.norm(gradient, axis=(1, 2))
    # 0.74 was measured on the published program; a pair of networks and a batch spread by 0.03.
    assert cosine.mean() == pytest.approx(0.74, abs=0.03)


# ------------------------------------------------------------------------------------------------------ sampling


def test_batches_are_what_they_say():
    d, N = 5, 16
    X = {name: next(batches(Draws(0, range(8)), d, N, name)) for name in ("iid", "antithetic", "whitened")}
    covariance = {name: np.einsum("bkni,bknj->bkij", part, part) / N for name, part in X.items()}
    assert X["iid"].shape == (8, 256, N, d)
    for name in ("antithetic", "whitened"):
        assert np.array_equal(X[name][:, :, : N // 2], -X[name][:, :, N // 2 :])
    assert np.allclose(covariance["whitened"], np.eye(d), rtol=0, atol=1e-12)
    assert np.abs(covariance["iid"] - np.eye(d)).max() > 0.5
    for name, part in X.items():
        # 2048 batches of 16 inputs: means and covariances within five standard errors.
        assert np.abs(part.mean((0, 1, 2))).max() < 5 / 32768**0.5, name
        assert np.abs(covariance[name].mean((0, 1)) - np.eye(d)).max() < 5 * (2 / 16384) ** 0.5, name


# ------------------------------------------------------------------------------------------------------- the engine


@each_rule
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("student", "teacher", "batch"),
    [((10, 40, 30), (10, 20, 30), 64), ((5, 13, 7, 3), (5, 6, 4, 3), 10), ((3, 5, 2), (3, 2, 2), 1)],
)
def test_a_network_does_not_depend_on_those_beside_it(rule, dtype, student, teacher, batch):
    V, W = nets(9, teacher, 1), nets(9, student, 0)
    method, options = Method(rule, 0.1), {"steps": 12, "dtype": dtype}
    together = ascend(V, W, batches(Draws(0, range(9)), student[0], batch), method, **options)
    for some in ([0], [8], [3, 4], [7, 0, 2]):
        inputs = batches(Draws(0, some), student[0], batch)
        alone = ascend([v[some] for v in V], [w[some] for w in W], inputs, method, **options)
        # To the bit, on one machine.
        assert all(np.array_equal(a, b[some]) for a, b in zip(alone.weights, together.weights, strict=True))


def test_single_precision_is_near_double():
    ends = [
        ascend(*pairs("four"), batches(Draws(0, range(3)), 5, 8), Method("matrix", 0.1), steps=40, dtype=dtype).weights
        for dtype in ("float32", "float64")
    ]
    for single, double in zip(*ends, strict=True):
        # 40 steps with rounding errors of 2^-24.
        assert np.allclose(single, double, rtol=0, atol=1e-4)
        assert not np.array_equal(single, double)


def test_more_steps_and_a_log_change_no_earlier_step():
    teacher, start = pairs()
    short, long = (
        # Two batches are drawn at a time.
        ascend(teacher, start, batches(Draws(0, range(3)), 5, 2048), Method("matrix", 0.1), steps=steps, log=log)
        for steps, log in ((5, ()), (9, [5, 0, 9, 77]))
    )
    assert long.at.tolist() == [0, 5, 9]
    for first, W, noted, last in zip(start, short.weights, long.noted, long.weights, strict=True):
        assert np.array_equal(noted[:, 0], first)
        assert np.array_equal(noted[:, 1], W)
        assert np.array_equal(noted[:, 2], last)
    assert [part.shape[1] for part in short.noted] == [0, 0]


def test_one_batch_for_ever_is_the_first():
    teacher, start = pairs()
    X = next(batches(Draws(0, range(3)), 5, 8))[:, 0]
    W = start
    for _ in range(4):
        W = [unit(w + 0.1 * change) for w, change in zip(W, changes("matrix", teacher, W, X), strict=True)]
    same = batches(Draws(0, range(3)), 5, 8, fresh=False)
    end = ascend(teacher, start, same, Method("matrix", 0.1), steps=4)
    # A few steps, rounding as above.
    assert all(np.allclose(a, b, rtol=0, atol=1e-14) for a, b in zip(end.weights, W, strict=True))


def test_the_published_sums_are_means_with_a_larger_step():
    ends = []
    for rule, rate in (("exact", 0.1), ("exact_summed", 0.1 / 8)):
        params = MATRIX_RULE.params(rule=rule, rate=rate, d=5, outputs=6, widths="4", batch=8, iterations=9)
        ends.append(matrix_nets.advance(params, *pairs(), Draws(0, range(3))).weights)
    # 0.1 / 8 is rounded, and so are nine steps.
    assert all(np.allclose(a, b, rtol=0, atol=1e-13) for a, b in zip(*ends, strict=True))
    assert np.abs(ends[0][0] - pairs()[1][0]).max() > 1e-2


def test_a_network_that_is_lost_harms_no_other():
    teacher, start = pairs()
    wild = [V.copy() for V in teacher]
    wild[1][1] *= 1e300
    calm, mixed = (
        ascend(V, start, batches(Draws(0, range(3)), 5, 64), Method("matrix", 0.1), steps=20) for V in (teacher, wild)
    )
    assert mixed.diverged.tolist() == [False, True, False]
    assert not all(np.isfinite(W[1]).all() for W in mixed.weights)
    assert all(np.array_equal(a[[0, 2]], b[[0, 2]]) for a, b in zip(calm.weights, mixed.weights, strict=True))


def test_what_is_given_stays_as_it_is():
    teacher, start = pairs()
    before = [W.copy() for W in (*teacher, *start)]
    ascend(teacher, start, batches(Draws(0, range(3)), 5, 64), Method("matrix", 0.1), steps=3)
    assert all(np.array_equal(a, b) for a, b in zip(before, (*teacher, *start), strict=True))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"method": Method("matrx")}, "unknown rule 'matrx': did you mean matrix"),
        ({"dtype": "float16"}, "unknown dtype 'float16'"),
        ({"method": Method(rate=0.0)}, r"method.rate \(step size\) must be a number in \(0, inf\), got 0.0"),
        ({"method": Method(rate=np.nan)}, r"method.rate \(step size\) must be a number in \(0, inf\), got nan"),
        ({"steps": -1}, r"steps \(iterations\) must be a whole number in \[0, inf\), got -1"),
        (
            {"batches": [np.ones((3, 1, 8, 4))]},
            r"batches \(inputs of the steps\) must be an array of shape .* = \(3, any, any, 5\), got \(3, 1, 8, 4\)",
        ),
        ({"batches": []}, r"batches \(inputs of the steps\) must go on for 1 steps, and ended before"),
        ({"start": pairs()[1][:1]}, r"start \(weights of the layers\) must have as many layers as the teacher"),
        ({"start": pairs("four")[1]}, r"must have as many layers as the teacher, at least 2, got 4 beside 2"),
        (
            {"start": nets(3, (5, 12, 4), 0)},
            r"teacher \(weights of layer 1\) must be an array of shape \(B, n \+ 1, m\)",
        ),
        (
            {"start": nets(2, (5, 12, 6), 0)},
            r"start\[0\] \(weights of a layer\) must be an array of shape .* = \(3, any, any\)",
        ),
        ({"start": [pairs()[1][0], pairs()[1][1][:, :-1]]}, r"start \(weights of layer 1\) must be an array of shape"),
        (
            {"teacher": [np.full_like(V, np.nan) for V in pairs()[0]]},
            r"teacher\[0\] \(weights of a layer\) must be fin",
        ),
        (
            {"method": Method(biases=False)},
            r"start \(weights of layer 0\) must have biases 0 where they are not trained",
        ),
    ],
)
def test_bad_input_is_refused(change, message):
    teacher, start = pairs()
    given = {"teacher": teacher, "start": start, "batches": batches(Draws(0, range(3)), 5, 10), "method": Method()}
    with pytest.raises((BadInput, InvalidInput), match=message):
        ascend(**{**given, "steps": 1, **change})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sampling": "sobol"}, "unknown sampling 'sobol'"),
        ({"batch": 0}, r"batch \(inputs per step\) must be a whole number in \[1, inf\), got 0"),
        ({"batch": 11, "sampling": "antithetic"}, r"batch \(inputs per step\) must be even for antithetic"),
        (
            {"batch": 8, "sampling": "whitened"},
            r"batch \(inputs per step\) must be at least 2 d = 10 to be whitened, got 8",
        ),
    ],
)
def test_batches_that_cannot_be_sampled_are_refused(change, message):
    with pytest.raises((BadInput, InvalidInput), match=message):
        batches(Draws(0, range(3)), **{"d": 5, "batch": 10, **change})


def test_what_is_for_two_layers_says_so():
    with pytest.raises(BadInput, match=r"rule \(of the steps\) must be one of matrix, exact, gradient for 4 layers"):
        ascend(*pairs("four"), (), Method("population"), steps=1)
