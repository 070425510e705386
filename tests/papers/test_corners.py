"""Every experiment at the corners of what its parameters allow: each trial has a status, or one line refuses the point.

A corner is one parameter at its least, its greatest, next to these, at each choice, at tiny and at no value. Each is
met once with all others as in the cheapest preset, and at least once with every corner of every other parameter, many
pairs in one point. Sizes are kept small: larger ones take longer. A part of all points, drawn by a fixed seed, is
computed here; with NEUREC_CORNERS=all, every one.
"""

from __future__ import annotations

import json
import os
import random
import re
from functools import cache
from itertools import combinations, product

import numpy as np
import pytest
from toys import TOY

from neurec_core import papers
from neurec_core.__main__ import main
from neurec_core.experiment import Column, Experiment, Status
from neurec_core.params import BadInput, Declaration, Params
from smallnets.geometry import arrangements

PART = 12  # corners of each experiment that are computed
# The most of each size that is computed; where nothing stands here, the greatest that is allowed.
MOST = {
    "n": 12, "d": 6, "m": 12, "k": 4, "s": 6, "r": 4, "width": 16, "outputs": 8, "node_multi": 3, "arms": 12,
    "depth": 4, "first": 4, "extra": 6, "factor": 6, "pairs": 4, "flat": 4, "copies": 4, "nulled": 4, "lines": 4,
    "directions": 40, "points": 200, "held_out": 50, "test_size": 50, "eval_points": 100, "batch": 70, "patterns": 60,
    "repeats": 100, "size": 60, "starts": 4, "tries": 5, "steps": 300, "limit": 300, "epochs": 3, "iterations": 64,
    "reference_steps": 50, "published_steps": 300, "every": 64, "interval": 100,
}  # fmt: skip
# Numbers of points of which only shares are drawn.
SHARED = {"inconsistency.crossing_probability": "n", "inconsistency.event_estimation": "n"}
CHEAP = {
    "steps": 300, "limit": 300, "epochs": 2, "iterations": 64, "interval": 100, "published_steps": 200,
    "eval_points": 100, "reference_steps": 20, "every": 8,
}  # fmt: skip
TEXTS = {
    "solver": ("newton", "CLARABEL", "SCS"),
    "widths": ("1", "3-3", "2-2-2"),
    "device": ("", "cpu"),
    "rate": ("1e-12", "1000", "0:0.1,1:0.001"),
}
STORED = {"mnist", "cifar10"}  # images that have to be fetched first


def corners(experiment: Experiment, d: Declaration) -> list[object]:
    """The corners of one parameter's range."""
    if d.kind == "choice":
        return [choice for choice in d.choices if choice not in STORED]
    if d.kind == "bool":
        return [False, True]
    if d.kind == "text":
        return list(TEXTS[d.name])
    low, high, none = d.low, d.high, [None] * d.optional
    if d.kind == "int":
        most = high if d.name == SHARED.get(experiment.name) else min(high, MOST.get(d.name, high))
        return [int(low), int(low) + 1, int(low) + 2, int(most), *none]
    inside = [value for value in (0.0, 1e-300, 1e-12, 1e-5, 1.0) if low < value < high]
    return [*[low] * (not d.open_low), *inside, high, *none]


def points(experiment: Experiment) -> list[Params | str]:
    """All corners once, and all pairs of them; of those that are refused, the message."""
    starts = bases(experiment)
    declared = experiment.params.declared().items()
    single = [
        pointed(base, {name: value}) for base in starts for name, d in declared for value in corners(experiment, d)
    ]
    return list({str(point): point for point in [*single, *paired(experiment.name)]}.values())


def bases(experiment: Experiment) -> list[Params]:
    """The points of the cheapest preset, with fewer steps where these go with the others."""
    found = []
    for tiny in experiment.presets["tiny"].points(experiment.params):
        least = {name: min(value, getattr(tiny, name)) for name, value in CHEAP.items() if hasattr(tiny, name)}
        cheap = pointed(tiny, least)
        found.append(tiny if isinstance(cheap, str) else cheap)
    return found


@cache
def paired(name: str) -> list[Params | str]:
    """Points in which every two corners of two parameters meet at least once, unless they are refused by themselves."""
    experiment, draw = papers.experiment(name), random.Random(name)
    base = bases(experiment)[0]
    each = {name: corners(experiment, d) for name, d in experiment.params.declared().items()}
    left = {
        (a, i, b, j) for a, b in combinations(each, 2) for i, _ in enumerate(each[a]) for j, _ in enumerate(each[b])
    }
    found: list[Params | str] = []
    while left:
        taken: dict[str, int] = {}
        for a, i, b, j in draw.sample(sorted(left), len(left)):
            if taken.get(a, i) != i or taken.get(b, j) != j:
                continue
            point = pointed(base, {name: each[name][k] for name, k in {**taken, a: i, b: j}.items()})
            if isinstance(point, Params):
                taken |= {a: i, b: j}
            elif not taken:
                left.discard((a, i, b, j))
                found.append(point)
        left -= {(a, taken[a], b, taken[b]) for a, b in combinations(each, 2) if a in taken and b in taken}
        found += [pointed(base, {name: each[name][k] for name, k in taken.items()})] if taken else []
    return found


def pointed(point: Params, changes: dict[str, object]) -> Params | str:
    """A point with some parameters changed, or the message that refuses it."""
    try:
        return point.with_(**changes)
    except BadInput as refused:
        return str(refused)


def faults(experiment: Experiment, point: Params, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """What is wrong with what a user is shown of two trials of a point."""
    values = {name: "none" if value is None else str(value) for name, value in point}
    flags = [word for name, value in values.items() for word in (f"--{name.replace('_', '-')}", value)]
    status = main(["run", experiment.name, "--trials", "2", "--json", *flags])
    out, err = capsys.readouterr()
    rows = [json.loads(line, parse_constant=lambda word: word) for line in out.splitlines()]
    wrong = [row["detail"] for row in rows if row["status"] == Status.RAISED]
    wrong += [f"{name} is {value}" for row in rows for name, value in row.items() if value in ("NaN", "Infinity")]
    if len(rows) != 2 or status not in (0, 1) or len(err.splitlines()) > status:
        wrong.append(f"{len(rows)} rows, status {status}, {err}")
    return [f"{point}: {line}" for line in wrong]


@pytest.mark.parametrize("experiment", papers.experiments().values(), ids=lambda e: e.name)
def test_corners_are_answered_or_refused_at_the_entrance(experiment, capsys):
    found = points(experiment)
    assert all("\n" not in point and len(point) < 300 for point in found if isinstance(point, str))
    allowed = [point for point in found if isinstance(point, Params)]
    if os.environ.get("NEUREC_CORNERS") != "all":
        allowed = random.Random(experiment.name).sample(allowed, PART)
    assert [fault for point in allowed for fault in faults(experiment, point, capsys)] == []


@pytest.mark.parametrize("experiment", papers.experiments().values(), ids=lambda e: e.name)
def test_all_pairs_of_corners_meet_unless_they_are_refused(experiment):
    base = bases(experiment)[0]
    met = [point.model_dump() for point in paired(experiment.name) if isinstance(point, Params)]
    each = {name: corners(experiment, d) for name, d in experiment.params.declared().items()}
    values = {name: np.array([str(point[name]) for point in met]) for name in each}
    for a, b in combinations(each, 2):
        for v, w in product(each[a], each[b]):
            point = pointed(base, {a: v, b: w})
            if isinstance(point, Params):
                at = values[a] == str(getattr(point, a))
                assert (at & (values[b] == str(getattr(point, b)))).any(), f"{a} = {v}, {b} = {w}"


def shout(params, problem, solution):
    with np.errstate(divide="warn"):
        return {"heads": solution.value < 0, "size": np.divide(problem.y[:, 0], 0)}


def test_what_is_wrong_at_a_corner_is_seen(capsys, monkeypatch):
    optional = {"heads": TOY.columns["heads"], "size": Column("size", "measure", optional=True)}
    loud = Experiment(**{**vars(TOY), "score": shout, "columns": optional})
    monkeypatch.setattr(papers, "experiment", lambda name: {"toys.coin": TOY, "toys.loud": loud}[name])
    assert faults(TOY, TOY.params(x=0), capsys) == []
    assert "ZeroDivisionError" in faults(TOY, TOY.params(raises=1), capsys)[0]
    (first, *_) = faults(Experiment(**{**vars(loud), "name": "toys.loud"}), TOY.params(), capsys)
    assert "RuntimeWarning: divide by zero" in first


@pytest.mark.parametrize(("n", "d"), [(400, 100), (40, 10), (26, 25)])
@pytest.mark.parametrize(
    "name", ["skip_recovery", "skip_distance", "normalized_recovery", "normalized_distance", "convex_training"]
)
def test_more_patterns_than_are_tried_are_refused_at_the_entrance(name, n, d):
    params = papers.experiment(f"convex_recovery.{name}").params
    assert params(n=n, d=d, gates="sampled")
    count = arrangements.tried(n, d) / n
    with pytest.raises(BadInput, match=re.escape(f"n = {n} points in d = {d} dimensions: {count:.2g} ")):
        params(n=n, d=d, gates="all")
