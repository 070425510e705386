"""Golden rows: the `tiny` preset of every experiment, three trials a point, as text with full digits.

``make golden`` writes them again. A row that changes needs a sentence in the commit that says why the new one is right.
"""

from __future__ import annotations

import io
import json
import os
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any
from zlib import crc32

import pandas as pd
import scipy.linalg  # noqa: F401  # its BLAS counts, whether a row has loaded it by now or not
from kernels import KERNELS
from llvmlite import binding

from neurec_core import papers, provenance, tables
from neurec_core.experiment import Experiment

FOLDER = Path(__file__).parents[1] / "golden"
TRIALS = range(3)
# What decides the last bits, beside the code.
LIBRARIES = ("numpy", "scipy", "torch", "numba", "clarabel")
VARIABLES = sorted({"OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", *(name for one in KERNELS.values() for name in one)})


def rows(experiment: Experiment) -> pd.DataFrame:
    """Point, trial, status and scores; the parameters are left out, so that one may be given another name."""
    points = experiment.presets["tiny"].points(experiment.params)
    found = [row for point in points for row in experiment.rows(point, 0, list(TRIALS))]
    table = tables.frame(tables.arrow(found, experiment))
    table.insert(0, "point", [point for point in range(len(points)) for _ in TRIALS])
    return table[["point", "trial", "status", *experiment.columns]]


def machine() -> dict[str, Any]:
    """What must be the same for the rows to be the same to the last bit."""
    return {
        **provenance.machine(),
        "cpu": [binding.get_host_cpu_name(), crc32(binding.get_host_cpu_features().flatten().encode())],
        "versions": {name: version(name) for name in LIBRARIES},
        "variables": {name: os.environ[name] for name in VARIABLES if name in os.environ},
    }


def path(experiment: Experiment) -> Path:
    return FOLDER / f"{experiment.name}.csv"


def write(experiment: Experiment) -> None:
    text = rows(experiment).to_csv(index=False, lineterminator="\n")
    FOLDER.mkdir(exist_ok=True)
    path(experiment).write_text(f"# {json.dumps(machine())}\n{text}", encoding="utf-8")


def read(experiment: Experiment) -> tuple[dict[str, Any], pd.DataFrame]:
    """The machine that wrote them, and the rows."""
    first, _, text = path(experiment).read_text(encoding="utf-8").partition("\n")
    kinds = {"point": "int64", "trial": "int64", "status": "object"}
    kinds |= {name: "boolean" if c.kind == "event" else "float64" for name, c in experiment.columns.items()}
    table = pd.read_csv(io.StringIO(text), dtype=kinds, keep_default_na=False, na_values=[""])
    return json.loads(first.removeprefix("# ")), table


if __name__ == "__main__":
    for name, experiment in papers.experiments().items():
        if len(sys.argv) == 1 or name in sys.argv[1:]:
            write(experiment)
            print(name, len(read(experiment)[1]))
