"""What public functions accept: every array they declare, put through a campaign of malformed values."""

from __future__ import annotations

import ast
import dataclasses
import datetime
import importlib
import inspect
import re
import warnings
from fractions import Fraction
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
import torch
from layout import MODULES, ROOT

from neurec_core import papers
from neurec_core.draws import Draws
from neurec_core.params import BadInput
from neurec_papers.convex_recovery import theory as convex_theory
from neurec_papers.finite_samples.engine.competitors import split_pair
from neurec_papers.finite_samples.engine.networks import ShallowNet
from neurec_papers.local_linear_recovery import theory
from neurec_papers.multilayer_dynamics.engine import measures
from smallnets.arguments import (
    array,
    ascending,
    checked,
    choice,
    integers,
    number,
    parts,
    pattern,
    record,
    sizes_of,
    whole,
    wholes,
)
from smallnets.convex.blocks import Blocks
from smallnets.convex.certify import Plant, isometry
from smallnets.convex.cones import Cones
from smallnets.convex.decode import gated
from smallnets.convex.recovery import decide
from smallnets.convex.solving import solve
from smallnets.errors import InvalidInput
from smallnets.geometry.patterns import sample
from smallnets.geometry.zonotopes import fan
from smallnets.nets.deep_nets import deep
from smallnets.nets.two_layer import Net

# Methods of these are applied in innermost loops, to arrays that solvers and trainings made; they are made of what is
# checked.
INNER = {"Blocks", "Cones", "Planted", "Follower"}


def callables(module):
    """Public functions of a module, and constructors and public methods of its public classes, by their names."""
    for name, item in inspect.getmembers(importlib.import_module(module)):
        if name.startswith("_") or getattr(item, "__module__", None) != module:
            continue
        if inspect.isfunction(item):
            yield name, item
        elif inspect.isclass(item):
            for attribute, member in vars(item).items():
                function = getattr(member, "__func__", member)  # of a class method
                made = attribute == "__init__" and not dataclasses.is_dataclass(item)
                called = made or isinstance(member, classmethod) or name not in INNER
                shown = made or attribute == "__call__" or not attribute.startswith("_")
                if called and shown and inspect.isfunction(function) and function.__module__ == module:
                    yield f"{name}.{attribute}", function


# Modules whose names begin with an underscore are called by other modules of the core only.
PUBLIC = {
    f"{module}.{name}": function for module in MODULES if "._" not in module for name, function in callables(module)
}
FUNCTIONS = {name: function for name, function in PUBLIC.items() if hasattr(function, "checks")}

MALFORMED_ARRAYS = {
    "complex": np.ones((4, 3)) + 0j,
    "complex without imaginary part in a list": [[1 + 0j, 2], [3, 4]],
    "dates": np.array(["2026-11-30"] * 4, "M8[D]"),
    "durations": np.ones(4, "m8[s]"),
    "a date": datetime.date(2026, 11, 30),
    "words": np.array([["a", "b"]]),
    "numbers as words": [["1", "2"]],
    "one word": "neurec",
    "bytes": b"neurec",
    "rows of different lengths": [[1.0, 2.0], [3.0]],
    "objects": np.array([[object()]]),
    "fractions": [[Fraction(1, 2)]],
    "nothing": None,
    "a mapping": {"X": [1.0]},
    "a set": {1.0, 2.0},
    "an iterator": iter([1.0, 2.0]),
    "a function": len,
    "a number beyond floats": [[10**400]],
    "a frame of words": pd.DataFrame({"a": ["x", "y"]}),
    "a frame with a missing number": pd.DataFrame({"a": pd.array([1, None], dtype="Int64")}),
    "a series of dates": pd.Series(pd.date_range("2026-11-30", periods=3)),
    "a categorical series": pd.Series(["a", "b"], dtype="category"),
    "masked entries": np.ma.masked_array(np.ones((4, 3)), np.eye(4, 3, dtype=bool)),
    "a record array": np.zeros(3, dtype=[("x", float), ("y", float)]),
    "a tensor that wants gradients": torch.ones(4, 3, requires_grad=True),
    "too many axes": np.ones((2,) * 9),
    "no entries": np.ones((0, 0, 0, 0, 0)),
}
MALFORMED_NUMBERS = {
    "nan": np.nan,
    "complex": 1j,
    "a word": "0.1",
    "an ellipsis": ...,
    "a list": [0.1],
    "a date": datetime.date(2026, 11, 30),
    "yes": True,
    "beyond floats": -(10**400),
    "a long word": "x" * 20_000,
}


MISSING = {"a frame with a missing number"}


def refusal(function, **given):
    """The line with which a call is refused; whatever else is required is a value nobody looks at."""
    parameters = inspect.signature(function).parameters
    named = {n: p.default if p.default is not p.empty else None for n, p in parameters.items()}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(InvalidInput) as refused:
            function(**{**named, **given})
    return str(refused.value)


def own_check(function, name):
    """The function with the checks before this argument left out: each argument is tried by itself."""
    return checked(**{name: function.checks[name]})(inspect.unwrap(function))


def declaring(*kinds):
    """Functions and their arguments of some kinds, as each check says of itself."""
    return [(f, name) for f, function in FUNCTIONS.items() for name, c in function.checks.items() if c.kind in kinds]


ARRAYS = declaring(array("", "").kind, array("", "", finite=False).kind, pattern("", "").kind)
NUMBERS = declaring(number("").kind, whole("").kind)
WHOLES = [(f, name) for f, name in declaring(wholes("").kind, integers("", "").kind) if name != "shape"]


def test_the_campaign_meets_many_functions():
    assert len(FUNCTIONS) > 200
    assert len(ARRAYS) > 200
    assert len(NUMBERS) > 100
    assert len(WHOLES) > 10


@pytest.mark.parametrize(("function", "name"), ARRAYS)
def test_malformed_arrays_are_refused_in_one_line(function, name):
    tried = own_check(FUNCTIONS[function], name)
    optional = inspect.signature(tried).parameters[name].default is None
    for kind, value in MALFORMED_ARRAYS.items():
        if (value is None and optional) or (
            kind in MISSING and FUNCTIONS[function].checks[name].kind == "array with NaN"
        ):
            continue
        line = refusal(tried, **{name: value})
        assert line.startswith(f"{name} ("), kind
        assert "\n" not in line, kind
        assert len(line) < 300, kind


@pytest.mark.parametrize(("function", "name"), NUMBERS)
def test_malformed_numbers_are_refused_in_one_line(function, name):
    tried = own_check(FUNCTIONS[function], name)
    for kind, value in MALFORMED_NUMBERS.items():
        line = refusal(tried, **{name: value})
        assert line.startswith(f"{name} ("), kind
        assert "\n" not in line, kind
        assert len(line) < 300, kind


@pytest.mark.parametrize(("function", "name"), WHOLES)
@pytest.mark.parametrize(
    "value", [*MALFORMED_NUMBERS.values(), [True], [[0.5]], "12", np.array([0.5]), {0: 1.0}, [None]]
)
def test_malformed_whole_numbers_are_refused_in_one_line(function, name, value):
    line = refusal(own_check(FUNCTIONS[function], name), **{name: value})
    assert line.startswith(f"{name} (")
    assert len(line) < 300


# ------------------------------------------------------------------------------------------------ what is accepted


@checked(
    X=array("points", "n d"),
    y=array("labels", "n"),
    D=pattern("patterns", "n p"),
    step=number("step size", "(0, inf)"),
    steps=whole("iterations"),
    at=ascending("steps to note"),
    rate=array("rates", "|n"),
    weights=parts(array("hidden weights", "d m"), array("output weights", "m")),
    kind=choice("kind", ("plain", "skip")),
)
def probe(X, y, D=None, *, step=0.1, steps=3, at=(), rate=1.0, weights=None, kind="plain"):
    return X, y, D, step, steps, at, rate, weights, kind


POINTS = np.arange(12.0).reshape(4, 3)
LABELS = np.arange(4.0)

SAME = {
    "a list": (POINTS.tolist(), LABELS.tolist()),
    "a tuple": (tuple(map(tuple, POINTS)), tuple(LABELS)),
    "a frame and a series": (pd.DataFrame(POINTS), pd.Series(LABELS)),
    "an index of its own": (
        pd.DataFrame(POINTS, index=[9, 7, 5, 3]),
        pd.Series(LABELS, index=[9, 7, 5, 3]),
    ),
    "columns of several kinds": (
        pd.DataFrame({"a": pd.array([0, 3, 6, 9], dtype="Int64"), "b": [1, 4, 7, 10], "c": [2.0, 5, 8, 11]}),
        pd.Series([0, 1, 2, 3], dtype="Float64"),
    ),
    "other precision": (POINTS.astype(np.float32), LABELS.astype(np.int8)),
    "the other order of memory": (np.asfortranarray(POINTS), LABELS[::-1][::-1]),
    "a tensor": (torch.from_numpy(POINTS), torch.arange(4)),
    "a masked array with nothing masked": (np.ma.masked_array(POINTS), np.ma.masked_array(LABELS)),
}


@pytest.mark.parametrize(("X", "y"), SAME.values(), ids=SAME)
def test_whatever_is_an_array_of_numbers_is_accepted(X, y):
    got = probe(X, y)
    for values, wanted in zip(got, (POINTS, LABELS), strict=False):
        assert type(values) is np.ndarray
        assert values.dtype == float
        assert values.flags.c_contiguous
        assert np.array_equal(values, wanted)


def test_an_array_that_fits_is_not_copied():
    assert probe(POINTS, LABELS)[0] is POINTS


def test_a_function_of_the_core_takes_frames():
    X = np.random.default_rng(0).standard_normal((1, 6, 2))
    directions = np.random.default_rng(1).standard_normal((1, 2, 40))
    assert np.array_equal(sample(X.tolist(), directions.tolist()).D, sample(X, directions).D)


def test_numbers_of_every_kind_are_accepted():
    got = probe(POINTS, LABELS, step=Fraction(1, 4), steps=np.int8(7), at=range(0, 9, 3), rate=[1, 2, 3, 4])
    assert got[3] == 0.25
    assert type(got[4]) is int
    assert got[5].tolist() == [0, 3, 6]
    assert got[6].shape == (4,)
    assert probe(POINTS, LABELS, rate=2)[6].shape == ()


def test_an_array_of_no_axes_is_a_number():
    got = probe(POINTS, LABELS, step=np.array(0.5), steps=np.array(7))
    assert (got[3], got[4]) == (0.5, 7)
    assert type(got[3]) is float
    for wrong in (np.array(True), np.array([0.5]), np.array("0.5"), np.array(0.5j)):
        with pytest.raises(InvalidInput, match=r"step \(step size\) must be a number in"):
            probe(POINTS, LABELS, step=wrong)


def test_patterns_come_out_as_plain_arrays():
    D = np.ma.masked_array(np.ones((4, 2), bool))
    assert type(probe(POINTS, LABELS, D)[2]) is np.ndarray


@pytest.mark.parametrize("at", [[False, True], [False], np.array([False, True]), [[0, 1]], 3, None, [2**63], ["0"]])
def test_what_does_not_ascend_in_whole_numbers_is_refused(at):
    with pytest.raises(InvalidInput, match=r"at \(steps to note\) must be whole numbers that ascend from 0 on"):
        probe(POINTS, LABELS, at=at)


@pytest.mark.parametrize("at", [[], (), np.array([]), range(0), np.array([0, 3], np.uint8), [np.int64(2)], [2**63 - 1]])
def test_whole_numbers_that_ascend_are_accepted(at):
    got = probe(POINTS, LABELS, at=at)[5]
    assert got.dtype == np.int64
    assert got.tolist() == list(at)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"y": LABELS[:3]}, "y (labels) must be an array of shape (n,) = (4,), got (3,)"),
        ({"X": POINTS[0]}, "X (points) must be an array of shape (n, d) = (any, any), got (3,)"),
        ({"X": np.where(POINTS > 2, np.nan, 1)}, "X (points) must be finite, got 9 of 12 entries that are not"),
        (
            {"X": POINTS * 1j},
            "X (points) must be an array of real numbers of shape (n, d), got entries of type comp",
        ),
        ({"D": np.full((4, 1), 2)}, "D (patterns) must hold 0 and 1 only, got entries from 2 to 2"),
        ({"D": np.ones((3, 1), bool)}, "D (patterns) must be an array of shape (n, p) = (4, any), got (3, 1)"),
        ({"step": 0}, "step (step size) must be a number in (0, inf), got 0"),
        ({"steps": 2.5}, "steps (iterations) must be a whole number in [0, inf), got 2.5"),
        ({"at": [3, 3]}, "at (steps to note) must be whole numbers that ascend from 0 on, got [3, 3]"),
        ({"rate": np.ones(3)}, "rate (rates) must be an array of shape () or (n,) = (4,), got (3,)"),
        ({"weights": POINTS}, "weights must be a tuple of at least 2 entries, got array([["),
        (
            {"weights": (POINTS[:3], [1])},
            "weights[1] (output weights) must be an array of shape (m,) = (3,), got (1,)",
        ),
        ({"kind": "skp"}, "unknown kind 'skp': did you mean skip? (one of plain, skip)"),
    ],
)
def test_the_line_says_name_meaning_allowed_and_received(change, message):
    given = {"X": POINTS, "y": LABELS, **change}
    with pytest.raises(InvalidInput) as refused:
        probe(**given)
    assert str(refused.value).startswith(message)


def test_entries_of_a_named_tuple_are_checked():
    @checked(net=record(W=array("hidden weights", "B d m"), a=array("output weights", "B m")))
    def of(net):
        return net

    net = Net(np.ones((1, 2, 3)), np.ones((1, 3)), np.ones((1, 2)))
    assert type(of(net._replace(a=[[1, 2, 3]])).a) is np.ndarray
    with pytest.raises(InvalidInput, match=r"net\.a \(output weights\) must be an array of shape \(B, m\) = \(1, 3\)"):
        of(net._replace(a=np.ones((1, 4))))
    with pytest.raises(InvalidInput, match="net must be a named tuple with entries W, a, got 3"):
        of(3)

    class Sample(NamedTuple):
        y: np.ndarray
        shares: np.ndarray | None = None

    @checked(sample=record(y=array("labels", "n"), shares=array("shares", "n")))
    def on(sample):
        return sample.shares

    assert on(Sample(np.ones(2))) is None
    with pytest.raises(InvalidInput, match=r"sample\.shares \(shares\) must be an array of shape \(n,\) = \(2,\)"):
        on(Sample(np.ones(2), np.ones(3)))
    with pytest.raises(InvalidInput, match=r"sample\.y \(labels\) must be an array"):
        on(Sample(None))


def test_sizes_come_from_an_argument():
    @checked(net=sizes_of(M="size"), theta=array("parameters", "B M"))
    def of(net, theta):
        return theta

    class Model:
        size = 5

    assert of(Model, np.ones((2, 5))).shape == (2, 5)
    with pytest.raises(InvalidInput, match=r"theta \(parameters\) must be an array of shape \(B, M\) = \(any, 5\)"):
        of(Model, np.ones((2, 4)))
    with pytest.raises(InvalidInput, match="net must have the attributes size, got 3"):
        of(3, np.ones((2, 5)))


# ---------------------------------------------------------------------------------------------- what is not forgotten

READERS = [*ROOT.glob("notebooks/*.py"), *ROOT.glob("benchmarks/*.py")]
# What parts of experiments are handed is checked when it is made: parameters, draws, what was sampled and solved.
CHECKED = {"params", "draws", "problem", "solution"}


def undeclared(name, function):
    """Arguments of arrays or numbers, as their annotations say, that nothing is declared of."""
    parameters = inspect.signature(function).parameters
    if name.startswith("neurec_papers.") and CHECKED & parameters.keys():
        return set()
    return {
        parameter
        for parameter, about in parameters.items()
        if re.search(r"\b(ndarray|int|float)\b", str(about.annotation))
        and not re.search(r"Callable|Mapping|Iterable\[np.ndarray\]", str(about.annotation))  # nor what is yet to come
    } - getattr(function, "checks", {}).keys()


def names_used(path):
    """The full names of whatever a file imports, and of the attributes that it reads of that."""
    package, names, tree = path.relative_to(ROOT).parts[:-1], {}, ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            base = ".".join([*above, *filter(None, [node.module])])
            names |= {alias.asname or alias.name: f"{base}.{alias.name}" for alias in node.names}
    yield from names.values()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in names:
            yield f"{names[node.value.id]}.{node.attr}"


def library(name):
    """Whether a function is one of `smallnets`, and none of those that declare or check."""
    return name.startswith("smallnets.") and not name.startswith(("smallnets.arguments.", "smallnets.errors."))


def test_what_is_public_declares_what_it_accepts():
    functions = {name: function for name, function in PUBLIC.items() if library(name)}
    assert len(functions) > 100
    found = {name: undeclared(name, function) for name, function in functions.items()}
    assert not {name: sorted(arguments) for name, arguments in found.items() if arguments}


def test_what_is_empty_unsigned_or_a_mask_is_taken():
    assert Plant.of([], np.zeros((3, 0))).where.size == 0
    X, D = np.random.default_rng(0).standard_normal((6, 2)), np.ones((6, 3))
    for blocks in (Blocks(X, D), Blocks(X, D, whitened=True)):
        assert np.array_equal(blocks.part(np.array([True, False, True])).D, D[:, [0, 2]])
    assert integers("units", "m")("units", np.array([1, 2], np.uint8), {}).tolist() == [1, 2]


def documented():
    """The functions that papers name beside their equations."""
    for stem in papers.names():
        yield from re.findall(r"`(neurec_papers\.[\w.]+)`", papers.paper(stem).__doc__)


def test_what_readers_of_a_paper_call_declares_what_it_accepts():
    read = {name for path in READERS for name in names_used(path)} | set(documented())
    classes = read - {*MODULES}
    called = {
        n
        for n in PUBLIC
        if n.startswith("neurec_papers.") and ".view." not in n and (n in read or n.rpartition(".")[0] in classes)
    }
    assert len(called) > 60
    found = {name: undeclared(name, PUBLIC[name]) for name in called}
    assert not {name: sorted(arguments) for name, arguments in found.items() if arguments}


# ------------------------------------------------------------------------------------- calls that were answered before

X6 = np.random.default_rng(5).standard_normal((6, 2))
D6 = X6 @ np.array([[1.0, 0, -1], [0, 1, 1]]) >= 0
PAIR = ShallowNet(np.array([[1.0, 0.5], [-1.0, -0.5], [0.3, -1.0]]), np.array([0.2, -0.2, 0.1]), np.ones(3))
MALFORMED_CALLS = {
    "patterns of fewer points": (lambda: solve(Blocks(X6, D6[:5]), np.ones(6)), "D (patterns)"),
    "patterns that are NaN": (lambda: Blocks(X6, np.full((6, 3), np.nan)), "D (patterns)"),
    "patterns of twos": (lambda: Blocks(X6, 2.0 * D6), "D (patterns)"),
    "labels of fewer points": (lambda: solve(Blocks(X6, D6), np.ones(5)), "y (labels)"),
    "no blocks": (lambda: solve(X6, np.ones(6)), "blocks must have the attributes"),
    "directions of fewer patterns": (lambda: Cones(Blocks(X6, D6), np.ones((2, 2))), "inside (directions)"),
    "directions of other inputs": (lambda: Cones(Blocks(X6, D6), np.ones((3, 3))), "inside (directions)"),
    "weights that are NaN": (lambda: Plant.of([0], np.full((2, 1), np.nan)), "W (weights)"),
    "more blocks than weights": (lambda: Plant.of([0, 1], np.ones((3, 3))), "index (blocks)"),
    "blocks that are bytes": (lambda: Plant.of(b"12", np.ones((2, 2))), "index (blocks)"),
    "blocks that are halves": (lambda: Plant.of([0.5], np.ones((2, 1))), "index (blocks)"),
    "a block that is not there": (
        lambda: isometry(Blocks(X6, D6), Plant.of([3], np.ones((2, 1)))),
        "plant.where (blocks)",
    ),
    "a block before the first": (
        lambda: decide(Blocks(X6, D6), np.ones(6), Plant(np.array([-1]), np.ones((2, 1)), np.ones(1))),
        "plant.where (blocks)",
    ),
    "units of other inputs": (
        lambda: decide(Blocks(X6, D6), np.ones(6), Plant(np.array([1]), np.ones((3, 1)), np.ones(1))),
        "plant.units (unit weights)",
    ),
    "weights that are words": (lambda: gated("a", "b"), "W (weights)"),
    "a neuron of a float": (lambda: split_pair(X6, PAIR, 0.0, 1), "first (neuron)"),
    "a neuron that is not there": (lambda: split_pair(X6, PAIR, 0, 3), "second (neuron)"),
    "half a neuron": (lambda: deep(2, (2.5,)), "hidden (neurons of the hidden layers)"),
    "a width that is no list": (lambda: deep(2, 3), "hidden (neurons of the hidden layers)"),
    "no hidden layer": (lambda: deep(2, ()), "hidden (neurons of the hidden layers)"),
    "no neurons": (lambda: convex_theory.consistency_ratio(0), "k (neurons)"),
    "a ratio that is NaN": (lambda: convex_theory.isometry_mean_square(np.nan, "random"), "ratio (n/d)"),
    "a kernel larger than its inputs": (lambda: theory.optimistic_sample_size("ws", 3, 5, 1), "s (kernel size)"),
    "weights of a student that are words": (lambda: measures.fan_out(["a"]), "weights[0] (weights of a layer)"),
    "points without networks": (lambda: measures.states([np.ones((1, 3, 1))], X6), "X (points)"),
    "a cell that is not there": (lambda: fan(X6).corners(12), "cell (cell)"),
    "inputs of another dimension": (lambda: Net.linear(np.ones((1, 2)))(np.ones((1, 6, 3))), "X (points)"),
    "a trial that is none": (lambda: Draws(0, [-1]), "trials (numbers of draws)"),
    "a size that is none": (lambda: Draws(0, [0]).normal("X", 2.5), "shape (sizes)"),
    "probabilities of other trials": (lambda: Draws(0, [0]).multinomial("n", 3, np.ones((2, 1))), "p (probabilities)"),
}


@pytest.mark.parametrize(("call", "start"), MALFORMED_CALLS.values(), ids=MALFORMED_CALLS)
def test_malformed_calls_are_refused_in_one_line(call, start):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises((BadInput, InvalidInput), match=f"^{re.escape(start)}") as refused:
            call()
    assert "\n" not in str(refused.value)
