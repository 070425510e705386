"""What the published tables of recovery, distances and conditions show, measured in their rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from neurec_core.columns import exceptions
from neurec_core.figures import matching

SHRUNK = {"program": "relaxed", "plant": "smallest_singular"}


def edges(table: Any, event: str, by: Sequence[str] = ()) -> Any:
    """Where an event becomes more likely than not, as n/d: the mean over d >= 20 for each value of `by`.

    Returns
    -------
    DataFrame with ``threshold``, ``low`` and ``high`` as of `neurec_core.tables.threshold`, indexed by `by`
    """
    from neurec_core import tables

    half = tables.threshold(table[table["d"] >= 20], event, "n", [*by, "d"])
    points = half[["threshold", "low", "high"]].div(half["d"], axis=0)
    return points.groupby([half[name] for name in by]).mean() if by else points.mean().to_frame().T


def raw_edges(table: Any, event: str) -> Any:
    """Edges of an event with gates and the plant that is shrunk most, for designs that are not whitened."""
    return edges(matching(table, SHRUNK), event, ["design"])["threshold"][["gaussian", "cubic"]]


def furthest(found: Any, expected: float) -> float:
    """The value that is furthest from what is expected."""
    return float(max(found, key=lambda value: abs(value - expected)))


def all_ones_recovered(table: Any) -> float:
    """With gates alone no trial is recovered in which a direction is active on every point (exceptions)."""
    return exceptions(table.loc[(table["program"] == "relaxed") & table["all_ones"], "recovered"])


def held_in_vain(table: Any) -> float:
    """Every trial in which the isometry condition holds is recovered (exceptions)."""
    return exceptions(~table.loc[table["isometry_held"], "recovered"])


def furthest_edge(table: Any) -> float:
    """A random plant is recovered with gates from n/d = 2 on, whatever the design (edge furthest from 2)."""
    found = edges(matching(table, {"program": "relaxed", "plant": "random"}), "recovered", ["design"])["threshold"]
    return furthest(found, 2)


def whitened_exceptions(table: Any) -> float:
    """With whitened inputs and gates, recovery fails exactly where a direction is active on all points (exceptions)."""
    rows = table[table["design"].str.startswith("whitened") & (table["n"] >= table["d"])]
    rows = rows[rows["program"] == "relaxed"]
    return exceptions(rows["recovered"] == rows["all_ones"])


def shrunk_edge(table: Any) -> float:
    """The direction that inputs shrink most is recovered from n/d = 2.3 to 3 on unless they are whitened (edge)."""
    return furthest(raw_edges(table, "recovered"), 2.65)


def shrunk_condition(table: Any) -> float:
    """Of the direction that Gaussian inputs shrink most the isometry condition holds from n/d = 2.7 to 3.6 (edge)."""
    return float(raw_edges(table, "isometry_held")["gaussian"])


def sufficient_only(table: Any) -> float:
    """The isometry condition holds later than recovery begins unless inputs are whitened (least distance of edges)."""
    return float((raw_edges(table, "isometry_held") - raw_edges(table, "recovered")).min())


def exact_edge(table: Any) -> float:
    """With ReLU neurons the direction that Gaussian inputs shrink most is recovered from n/d = 1.4 to 2.05 (edge)."""
    rows = table[(table["program"] == "exact") & (table["n"] >= table["d"])]
    return float(edges(rows, "recovered")["threshold"].iloc[0])


def lost_by_relu(table: Any) -> float:
    """Every trial that is recovered with gates is recovered with ReLU neurons (exceptions)."""
    exact = table[table["program"] == "exact"]
    keys = ["plant", "design", "n", "d", "trial"]
    both = exact.merge(table[table["program"] == "relaxed"], on=keys, suffixes=("_exact", "_relaxed"))
    return exceptions(~both.loc[both["recovered_relaxed"], "recovered_exact"])


def one_neuron(table: Any) -> float:
    """Over sampled patterns one normalised neuron is recovered from n = d on (edge, within a step of the grid)."""
    return random_edge(table, 1)


def two_neurons(table: Any) -> float:
    """Two random normalised neurons are recovered from n/d = 3.3 to 4.7 on (edge; 8/3 is necessary)."""
    return random_edge(table, 2)


def three_neurons(table: Any) -> float:
    """Three random normalised neurons are recovered from about n/d = 6 on (edge; 24/7 is necessary)."""
    return random_edge(table, 3)


def random_edge(table: Any, k: int) -> float:
    """The n/d from which k random normalised neurons are recovered."""
    return float(edges(matching(table, {"plant": "random", "k": k}), "recovered")["threshold"].iloc[0])


def noiseless(table: Any) -> float:
    """Without noise the weights at n = 400, d = 60 are those of the plant to 1e-6 (median distance)."""
    return float(far_right(table)[0.0])


def proportional(table: Any) -> float:
    """Four times the noise moves the weights about four times as far at n = 400, d = 60 (ratio of median distances)."""
    right = far_right(table)
    return float(right[0.2] / right[0.05])


def far_right(table: Any) -> Any:
    """Median distances of the weights for each noise level, far to the right of the edge."""
    return matching(table, {"program": "relaxed", "n": 400, "d": 60}).groupby("sigma")["weight_distance"].median()


def inconsistent(table: Any) -> float:
    """The isometry condition never holds without a dual vector that meets its equations (exceptions)."""
    return exceptions(~table.loc[table["held"], "consistent"])


def condition_edge(table: Any) -> float:
    """For two random normalised neurons the isometry condition holds from n/d = 4 to 6 on (edge)."""
    return float(edges(table, "held")["threshold"].iloc[0])
