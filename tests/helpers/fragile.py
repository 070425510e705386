"""Mark the published rows whose outcome hangs on the last bit: ``make fragile`` runs this with other kernels, in turn.

In every table that has a chaotic column, the rows that ``make test`` computes again are tried. Those that come out
otherwise than is declared are named in the table's provenance: ``.attrs["fragile"]`` of `tables.load`, with those that
were tried and the kernels. `neurec export` writes a table without marks. Arguments: the kernels, and experiments if not
all are meant.
"""

from __future__ import annotations

import sys

import replays

from neurec_core import files, papers, tables
from neurec_core.experiment import Experiment


def mark(experiment: Experiment, kernels: str) -> str:
    """Try rows and add what comes out to the marks of the table; says how many there are now."""
    path = tables.published(experiment)
    table = tables.load(path)
    rows = replays.part(experiment, table, replays.SECONDS)
    found = replays.again(experiment, rows)
    otherwise = (rows["status"] != found["status"]).to_numpy(bool, copy=True)
    for name, column in replays.fragile_columns(experiment).items():
        values = replays.numbers(rows[name]), replays.numbers(found[name])
        otherwise |= replays.differ(column, replays.typical(column, table, name), *values)
    whole, about = files.unpacked(path.read_bytes())
    marks = about.setdefault("fragile", {"kernels": [], "tried": [], "rows": []})
    marks["kernels"] = sorted({*marks["kernels"], kernels})
    for key, index in {"tried": rows.index, "rows": rows.index[otherwise]}.items():
        marks[key] = sorted({*marks[key], *map(int, index)})
    with files.replacing(path) as new:
        new.write_bytes(files.packed(whole, about))
    return f"{experiment.name}: {len(marks['rows'])} of {len(marks['tried'])} rows are fragile"


if __name__ == "__main__":
    for stem in papers.names():
        for one in papers.paper(stem).EXPERIMENTS:
            if replays.fragile_columns(one) and (one.name in sys.argv[2:] or not sys.argv[2:]):
                print(mark(one, sys.argv[1]), flush=True)
