"""What papers and their programs show, the command that makes it here, and how well the two agree (exhibits.yml)."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import yaml

from neurec_core import claims, papers, tables
from neurec_core.experiment import Experiment, Grid

HERE = Path(__file__).parent


class Exhibit(NamedTuple):
    """One figure, table, theorem or command of a source.

    ``claims`` are names of functions that the paper's experiments declare as claims.
    """

    shows: str
    commands: list[str]
    section: str
    agreement: str
    claims: list[str]


@cache
def declared() -> dict[str, list[Exhibit]]:
    """The exhibits of each paper."""
    found = yaml.safe_load((HERE / "exhibits.yml").read_text(encoding="utf-8"))
    return {paper: [_exhibit(**entry) for entry in entries] for paper, entries in found.items()}


def _exhibit(
    *, shows: str, command: str | list[str], section: str, agreement: str = "", claims: list[str] | None = None
) -> Exhibit:
    return Exhibit(shows, [command] if isinstance(command, str) else command, section, agreement, claims or [])


def headings(paper: str) -> list[str]:
    """The headings of a paper's chapter, without their marks."""
    lines = (HERE.parent / f"notebooks/{paper}.py").read_text(encoding="utf-8").splitlines()
    return [line.lstrip("# ") for line in lines if line.startswith("# #")]


def decided(paper: str) -> dict[str, str]:
    """What each claim of a paper says and comes to, in a sentence, by the name of its function."""
    found = {}
    for experiment in papers.paper(paper).EXPERIMENTS:
        if experiment.claims:
            rows = claims.decided(tables.load(tables.published(experiment)), experiment)
            for claim, row in zip(experiment.claims, rows.itertuples(), strict=True):
                if claim.measured.__name__ in found:
                    raise ValueError(f"two claims of {paper} are called {claim.measured.__name__}: rename one")
                near = f" ± {row.tolerance:.3g}" if row.tolerance else ""
                numbers = f"{row.measured:.4g}, expected {row.expected:.4g}{near}"
                found[claim.measured.__name__] = f"{row.claim.rstrip('.')}: {numbers}"
    return found


def lines(paper: str) -> list[str]:
    """The exhibits of a paper as a list of definitions, in Markdown."""
    numbers, found = decided(paper), []
    titles = headings(paper)
    for exhibit in declared()[paper]:
        section = next(title for title in titles if title.startswith(exhibit.section))
        words = [exhibit.agreement] * bool(exhibit.agreement) + [f"{numbers[name]}." for name in exhibit.claims]
        chapter = f"Section “{section}” of {{doc}}`the chapter <../notebooks/{paper}>`."
        found += [exhibit.shows, "", ": ```bash", *(f"  {command}" for command in exhibit.commands), "  ```", ""]
        found += [f"  {chapter}", "", *(f"  - {_plain(line)}" for line in words), ""]
    return found


def _plain(words: str) -> str:
    """Words as they are: nothing in them is mathematics or emphasis."""
    return words.replace("*", r"\*").replace("|", r"\|").replace("^", r"\^").replace("<", r"\<")


def smaller() -> pd.DataFrame:
    """The grids of the papers that the published tables hold in part, and what the rest would take.

    Returns
    -------
    One row per preset: ``trials`` per cell and ``cells`` that are there and asked for; ``core hours`` of what is not,
    by the seconds of the cell's own rows or else the mean over the cells that are there; and ``cells beyond`` the
    range of these, whose cost is not known
    """
    rows = []
    for name in declared():
        for experiment in papers.paper(name).EXPERIMENTS:
            table = tables.load(tables.published(experiment))
            for preset, grid in experiment.presets.items():
                if preset.startswith("paper") and (row := _missing(table, experiment, grid)):
                    rows.append({"experiment": experiment.name, "preset": preset, **row})
    return pd.DataFrame(rows)


def _missing(table: pd.DataFrame, experiment: Experiment, grid: Grid) -> dict[str, object] | None:
    """What of a grid is not in a table; None where all of it is there."""
    points = pd.DataFrame([point.model_dump() for point in grid.points(experiment.params)])
    fields = list(points)
    there = table.groupby(fields, dropna=False)["seconds"].agg(["size", "mean"])
    there = there.set_axis(["rows there", "seconds each"], axis=1).reset_index()
    for part in (points, there):
        part[fields] = part[fields].astype(object).where(part[fields].notna(), "none").astype(str)
    cells = points.merge(there, how="left", on=fields)
    have = cells["rows there"].fillna(0).clip(upper=grid.trials)
    if (have == grid.trials).all():
        return None
    beyond = pd.Series(False, cells.index)
    for axis in grid.axes:
        values, reached = cells[axis], cells.loc[have > 0, axis]
        numbers, span = (pd.to_numeric(part, errors="coerce") for part in (values, reached))
        beyond |= ~(values.isin(reached) | numbers.between(span.min(), span.max()))
    seconds = cells["seconds each"].fillna(cells["seconds each"].mean())
    hours = float(((grid.trials - have) * seconds)[~beyond].sum()) / 3600 if (~beyond).any() else float("nan")
    few, many = int(have[have > 0].min()) if (have > 0).any() else 0, int(have.max())
    return {
        "trials": f"{few if few == many else f'{few} to {many}'}/{grid.trials}",
        "cells": f"{int((have > 0).sum())}/{len(cells)}",
        "core hours": hours,
        "cells beyond": int(beyond.sum()),
    }
