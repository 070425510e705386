"""What is measured of student and teacher, against plain loops and a tape."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from test_matrix_rule import nets, published

from neurec_core.draws import Draws
from neurec_core.experiment import Status
from neurec_core.params import BadInput
from neurec_papers.multilayer_dynamics import LUCK, MATRIX_RULE
from neurec_papers.multilayer_dynamics.engine import measures
from neurec_papers.multilayer_dynamics.experiments.matrix_nets import sample, students, teachers
from neurec_papers.multilayer_dynamics.experiments.matrix_rule import losers
from smallnets.nets.deep_nets import Layer

TEACHER, STUDENT = (4, 3, 5, 4, 2), (4, 7, 6, 8, 2)
SMALL = {"d": 4, "widths": "5", "outputs": 6, "points": 200}


def layers(sizes, seed, B=2):
    rng = np.random.default_rng(seed)
    return [Layer(rng.standard_normal((B, n, m)), rng.standard_normal((B, m))) for n, m in itertools.pairwise(sizes)]


def inputs(N=20, B=2, d=4):
    return np.random.default_rng(9).standard_normal((B, N, d))


def by_loop(teacher, student, X, b):
    """Sums over points of the recursion in beta(x) itself, with constants, layer by layer."""
    sums = {}
    nets = {"own": student, "star": teacher}
    A = {}
    for name, net in nets.items():
        A[name] = []
        for W, bias in net:
            grown = np.zeros((W.shape[1] + 1, W.shape[2] + 1))
            grown[:-1, :-1], grown[-1, :-1], grown[-1, -1] = W[b], bias[b], 1
            A[name].append(grown)
    for x in X[b]:
        gates = {}
        for name in nets:
            f, gates[name] = np.append(x, 1.0), [None]
            for grown in A[name][:-1]:
                f = np.maximum(f @ grown, 0)
                gates[name].append(np.diag((f > 0).astype(float)))
        for what, other in (("star", "star"), ("own", "own")):
            H = np.eye(A["own"][-1].shape[1])
            for k in range(len(student) - 1, 0, -1):
                beta = A["own"][k] @ H @ A[other][k].T
                H = gates["own"][k] @ beta @ gates[other][k]
                for name, part in (("beta", beta), ("H", H)):
                    key = (k - 1, name + ("_star" if what == "star" else ""))
                    sums[key] = sums.get(key, 0) + part / len(X[b])
    return sums


@pytest.mark.parametrize("at_once", [1, 700, 1 << 22])
def test_couplings_point_by_point_are_those_of_the_recursion(at_once, monkeypatch):
    monkeypatch.setattr(measures, "AT_ONCE", at_once)
    teacher, student, X = layers(TEACHER, 1), layers(STUDENT, 0), inputs()
    found, diagonal = measures.per_sample_beta(teacher, student, X), measures.beta_diagonal(student, X)
    for b in range(2):
        wanted = by_loop(teacher, student, X, b)
        assert len(wanted) == 4 * len(found) == 12
        for (layer, name), part in wanted.items():
            # Products of up to three matrices of 9 numbers of size 1.
            assert np.allclose(getattr(found[layer], name)[b], part, rtol=1e-12, atol=1e-12)
        for layer, part in enumerate(diagonal):
            assert np.allclose(part[b], np.diag(wanted[layer, "beta"]), rtol=1e-12)


def test_theorem_1_couplings_give_the_gradient():
    teacher, student = layers(TEACHER, 1, 1), layers(STUDENT, 0, 1)
    for x in inputs(5)[0]:
        coupled = measures.per_sample_beta(teacher, student, x[None, None])
        f, f_star = (measures.states(measures.joined(net), x[None, None])[0] for net in (student, teacher))
        z, h, h_star = [], torch.tensor(x), torch.tensor(x)
        for k, (own, star) in enumerate(zip(student, teacher, strict=True)):
            h = h @ torch.tensor(own.W[0]) + torch.tensor(own.b[0])
            h_star = h_star @ torch.tensor(star.W[0]) + torch.tensor(star.b[0])
            if k < len(student) - 1:
                h.requires_grad_()
                z.append(h)
                h, h_star = torch.relu(h), torch.relu(h_star)
        gradients = torch.autograd.grad(0.5 * ((h_star - h) ** 2).sum(), z)
        for k, gradient in enumerate(gradients):
            c = coupled[k]
            pull = c.H_star[0] @ f_star[k + 1][0, 0] - c.H[0] @ f[k + 1][0, 0]
            gated = (f[k + 1][0, 0] > 0) * (c.beta_star[0] @ f_star[k + 1][0, 0] - c.beta[0] @ f[k + 1][0, 0])
            # Gradients of size 100 in double precision.
            assert np.allclose(pull[:-1], -gradient.numpy(), rtol=1e-11, atol=1e-11)
            assert np.allclose(gated[:-1], -gradient.numpy(), rtol=1e-11, atol=1e-11)


def test_products_are_the_factors_of_the_matrix_rule():
    teacher, student, X = nets(2, TEACHER, 1), nets(2, STUDENT, 0), inputs()
    p = measures.products(teacher, student, X)
    for b in range(2):
        wanted = published([W[b] for W in student], [V[b] for V in teacher], X[b])
        for k, change in enumerate(wanted):
            found = p.L_star[k][b] @ teacher[k][b] @ p.H_star[k][b].T - p.L[k][b] @ student[k][b] @ p.H[k][b].T
            assert np.allclose(found, change, rtol=0, atol=1e-14)
    f, _ = measures.states(student, X)
    D = f[3][..., :-1] > 0
    both = (D[..., None] & D[..., None, :]).mean(axis=1)
    assert np.allclose(p.H[2], p.beta[2] * both, rtol=0, atol=1e-15)


def test_fan_out_and_losses_by_hand():
    W = [np.array([[[3.0, 4.0], [0.0, 0.0], [5.0, 12.0]]])]
    assert measures.fan_out(W)[0].tolist() == [[5.0, 0.0, 13.0]]
    y, y_star = np.array([[[1.0, -2.0], [0.0, 3.0]]]), np.array([[[0.0, -7.0], [0.0, 1.0]]])
    assert measures.published_loss(y, y_star) == pytest.approx([5**0.5 / 2])
    assert measures.mean_square(y, y_star) == pytest.approx([(1 + 25 + 4) / 4])


def test_alignment_by_hand():
    H = np.array([[[1.0, -4.0], [9.0, 9.0], [2.0, -3.0]]])
    own, others = measures.alignment(H, np.array([[0, 2]]))
    assert (own.tolist(), others.tolist()) == ([2.0], [3.0])


def test_starts_are_what_they_say():
    draws = Draws(0, range(3))
    made = {}
    for start in ("random", "perturbed", "opposed"):
        params = MATRIX_RULE.params(start=start, node_multi=3, bias=0.3, **SMALL)
        teacher = teachers(params, draws)
        made[start] = students(params, teacher, draws)
        assert [W.shape for W in made[start]] == [(3, 5, 15), (3, 16, 6)]
        assert all(np.allclose((W**2).sum(axis=1), 1) for W in (*teacher, *made[start]))
        assert (teacher[0][:, -1] < 0).all()
    angle = np.einsum("bij,bij->bj", teacher[0], made["perturbed"][0][:, :, :5])
    assert angle.min() > 0.9, "noise of 0.1 in 5 coordinates beside a neuron of norm 1"
    assert np.array_equal(made["perturbed"][0][:, :, 5:], made["random"][0][:, :, 5:])
    against = np.einsum("bij,bik->bjk", teacher[0], made["opposed"][0][:, :, 5:]).min(axis=1)
    assert against.max() < -0.9
    assert np.array_equal(made["opposed"][1], made["perturbed"][1])


def test_looking_changes_nothing():
    params = MATRIX_RULE.params(iterations=20, batch=8, **SMALL)
    ends = [MATRIX_RULE.run(params.with_(points=n), Draws(0, [0]))[1].value[1] for n in (10, 500)]
    assert all(np.array_equal(a, b) for a, b in zip(*ends, strict=True))


def test_a_winner_by_correlation_and_by_place_are_distinguished():
    params = MATRIX_RULE.params(iterations=400, rate=0.2, rule="gradient", **SMALL)
    rows = MATRIX_RULE.rows(params, 0, range(2))
    assert all(row["recovered"] and row["losers"] < 0.3 < 0.99 < row["correlation"] for row in rows)
    nothing = MATRIX_RULE.rows(params.with_(node_multi=1), 0, [0])[0]
    assert np.isnan(nothing["losers"])
    assert np.isnan(nothing["losers_max"])


def test_losers_by_hand():
    found = losers(np.array([[np.nan, 0.5, 5e-3, 5e-4, np.nan, 1.0]]))
    found = {name: values.tolist() for name, values in found.items()}
    assert found["losers"] == pytest.approx([1.5055 / 4])
    assert found["losers_median"] == pytest.approx([0.2525])
    assert (found["losers_max"], found["below_1e_2"], found["below_1e_3"]) == ([1.0], [0.5], [0.25])


def test_a_student_that_is_lost_is_a_row_that_diverged():
    params = MATRIX_RULE.params(iterations=2, batch=8, start="random", **SMALL)
    draws = Draws(0, [0, 1])
    problem = sample(params, draws)
    for V in problem.teacher:
        V[1] *= 1e155
    solution = MATRIX_RULE.solve(params, problem, draws)
    assert list(solution.status) == [Status.SOLVED, Status.DIVERGED]
    scores = MATRIX_RULE.score(params, problem._replace(teacher=teachers(params, draws)), solution)
    assert np.isfinite(scores["losers"]).all(), "measures of the start, which no row shows"


def test_luck_by_its_parts():
    rows = LUCK.rows(LUCK.params(iterations=0, **SMALL), 0, range(3))
    for row in rows:
        assert (row["rank"], row["lucky"], row["rank_below_3"]) == (0.0, 1.0, 1.0), "nobody has moved"
        assert row["initial"] == row["correlation"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rule": "population", "widths": "5-6"}, r"rule \(how the student steps\) must not be population for hidden"),
        (
            {"sampling": "antithetic", "batch": 9},
            r"batch \(inputs per step\) must be even for antithetic",
        ),
        ({"sampling": "whitened", "batch": 18}, r"batch \(inputs per step\) must be at least 2 d = 20 to be whitened"),
        ({"widths": "20-x"}, r"widths \(neurons of the hidden layers\) must be whole numbers"),
    ],
)
def test_points_that_cannot_be_are_refused(change, message):
    with pytest.raises(BadInput, match=message):
        MATRIX_RULE.params(**change)


def test_the_expectation_asks_for_no_batch_and_bears_large_biases():
    given = {"rule": "population", "outputs": 6, "iterations": 5, "points": 100}
    odd = MATRIX_RULE.rows(MATRIX_RULE.params(**given, d=3, widths="3", sampling="whitened", batch=3), 0, [0])[0]
    plain = MATRIX_RULE.rows(MATRIX_RULE.params(**given, d=3, widths="3"), 0, [0])[0]
    assert odd["residual"] == plain["residual"], odd["detail"]
    far = MATRIX_RULE.rows(MATRIX_RULE.params(**given, d=1, widths="3", bias=10.0, noise=0.001), 0, [0])[0]
    assert far["status"] == Status.SOLVED


@pytest.mark.parametrize("experiment", [MATRIX_RULE, LUCK], ids=lambda e: e.name)
def test_a_layer_holds_no_more_neurons_than_differ(experiment):
    with pytest.raises(
        BadInput, match=r"neurons \(of a separated layer\) must be at most 4 with 1 inputs and 5 values"
    ):
        experiment.params(widths="1", outputs=5)
