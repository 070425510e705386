"""Parameters: checked at the entrance, in one line."""

from __future__ import annotations

import numpy as np
import pytest
from toys import Flip, Toy

from neurec_core.params import BadInput, received, unknown
from neurec_papers.convex_recovery.experiments.planted import SkipDistance
from neurec_papers.inconsistency.experiments.examples import TrainingExamples

CASES = [
    ({"n": 0}, "n (training points) must be a whole number in [1, 100000], got 0"),
    ({"n": "abc"}, "n (training points) must be a whole number in [1, 100000], got 'abc'"),
    ({"n": 2.5}, "n (training points) must be a whole number in [1, 100000], got 2.5"),
    ({"sigma": -1}, "sigma (noise level) must be a number in [0, 1000], got -1"),
    ({"sigma": float("nan")}, "sigma (noise level) must be a number in [0, 1000], got nan"),
    ({"sigm": 1}, "unknown parameter 'sigm': did you mean sigma? (one of n, d,"),
    ({"design": "gausian"}, "one of gaussian, cubic, whitened, whitened_cubic, got 'gausian': did you mean gaussian?"),
    (
        {"solver": "FOO"},
        "solver (newton (ours, with proof) or an installed cone solver) must be newton or one of CLARABEL",
    ),
    ({"patterns": 0}, "must be a whole number in [1, 1000000] or none, got 0"),
]


@pytest.mark.parametrize(("values", "message"), CASES, ids=lambda v: str(v)[:30])
def test_bad_values_are_refused_in_one_line(values, message):
    with pytest.raises(BadInput) as error:
        SkipDistance(**values)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_words_are_read_as_the_command_line_writes_them():
    params = SkipDistance(n="12", sigma="1e-1", patterns="none", solver="scs")
    assert (params.n, params.sigma, params.patterns, params.solver) == (12, 0.1, None, "SCS")


@pytest.mark.parametrize("given", [True, np.True_, "true", "TRUE", "yes", "On"])
def test_what_is_true_or_false_is_read_from_words(given):
    assert Flip(tails=given).tails is True


@pytest.mark.parametrize("given", [False, np.False_, "false", "No", "off"])
def test_what_is_false_is_read_from_words(given):
    assert Flip(tails=given).tails is False


@pytest.mark.parametrize("given", ["maybe", "with", "without", "", "1", 1, 0, 1.0, "t", "n", "none", None, [True], 2])
def test_nothing_else_is_true_or_false(given):
    with pytest.raises(BadInput, match=r"^tails \(whether tails count\) must be true or false, got "):
        Flip(tails=given)
    declared = Flip.declared()["tails"]
    assert (declared.kind, declared.allowed, declared.default) == ("bool", "true or false", False)


def test_names_take_dashes_or_underscores():
    for written in ("reference-steps", "reference_steps"):
        assert TrainingExamples.name_of(written) == "reference_steps"
    with pytest.raises(BadInput, match="did you mean raises"):
        Toy.name_of("raise")


def test_a_changed_copy_is_checked():
    assert SkipDistance(n=10).with_(d=3) == SkipDistance(n=10, d=3)
    with pytest.raises(BadInput):
        SkipDistance().with_(d=0)


def test_declarations_hold_kind_range_and_choices():
    declared = SkipDistance.declared()
    assert declared["n"].kind == "int"
    assert (declared["n"].low, declared["n"].high) == (1, 100_000)
    assert declared["design"].choices == ("gaussian", "cubic", "whitened", "whitened_cubic")
    assert declared["patterns"].optional
    assert declared["sigma"].axis == "noise level σ (‖z‖ ≈ σ)"


def test_unknown_names_no_near_one_where_none_is_near():
    assert unknown("preset", "zzz", ["tiny", "quick"]) == "unknown preset 'zzz' (one of tiny, quick)"


def test_a_message_is_one_line_and_never_a_whole_file():
    assert str(BadInput("X must be finite, got [1\n 2]")) == "X must be finite, got [1 2]"
    assert len(str(BadInput("a word " * 10_000))) <= 3000
    assert received("x" * 20_000) == f"'{'x' * 74}... (20002 characters)"
    assert received(10**5000) == "a number too long to write"
    for value in ("x" * 20_000, "x y\n" * 5000, 10**5000, [1] * 20_000):
        with pytest.raises(BadInput) as error:
            SkipDistance(n=value)
        assert len(str(error.value)) < 300
        assert "\n" not in str(error.value)
