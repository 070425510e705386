"""The rows of one experiment: kept, found by their parameters, and returned as one table with its provenance."""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from . import details, papers, shards, tables
from .experiment import Experiment, Status
from .files import replacing
from .fingerprint import UNKNOWN, fingerprint
from .params import BadInput, Params
from .shards import Part, listed

Address = tuple[Params, int, int]  # (point, seed, trial): what a row is the result of


class StoreFailed(RuntimeError):
    """The folder cannot be written to any more."""


class Store:
    """The rows of one experiment, in a folder or (``folder=None``) in memory.

    A trial that raised an error is no result: its row is kept, but it is not held to be there.

    Parameters
    ----------
    experiment : whose rows these are
    folder : made if it is not there
    warn : called with a line for each file that is there but not read
    detailed : whether data and solution of each trial are kept, too; a trial without them is held not to be there

    Raises
    ------
    BadInput : details without a folder; a folder that cannot be written to, or that is another experiment's or other
        code's; an experiment whose code stands in no file, so that rows of other code could not be distinguished from
        its own
    StoreFailed : a disk that is full
    """

    def __init__(
        self,
        experiment: Experiment,
        folder: str | Path | None,
        warn: Callable[[str], None],
        *,
        detailed: bool = False,
    ) -> None:
        self.experiment, self.detailed = experiment, detailed
        self.names = [*experiment.params.model_fields, "seed", "trial"]
        self.schema = tables.schema(experiment)
        self.added = 0
        self.parts: list[Part] = []
        self.addresses: set[tuple[Any, ...]] = set()
        if detailed and folder is None:
            raise BadInput("detailed (keep data and solutions) needs out (folder of the sweep)")
        if folder is not None and fingerprint(experiment) == UNKNOWN:
            why = "its functions stand in a script that is run, in a notebook or at a prompt; import them from a module"
            raise BadInput(f"out (folder of the sweep) must be left out for {experiment.name}: {why}")
        self.folder = None if folder is None else shards.prepare(folder)
        if self.folder is not None:
            for part in shards.read_folder(self.folder, warn, set_aside=True):
                self._check(part.about)
                self._take(part)
            with _writing(self.folder):
                if not self.parts:  # what is there speaks for itself
                    here = {"experiment": experiment.name, "code": fingerprint(experiment)}
                    self._check(shards.claim(self.folder, here))
                shards.compact(self.folder, summary)

    def __contains__(self, address: Address) -> bool:
        params, seed, trial = address
        there = (*params.model_dump().values(), seed, trial) in self.addresses
        if there and self.detailed and self.folder:
            return details.is_whole(details.path(self.folder, params, seed, trial))
        return there

    def add(self, rows: Sequence[dict[str, Any]], about: dict[str, Any]) -> None:
        """Keep a finished shard; in a folder, under its final name as soon as it is whole.

        Raises
        ------
        StoreFailed : "cannot write to DIR: No space left on device"
        """
        part = Part(tables.arrow(rows, self.experiment), about)
        if self.folder is not None:
            with _writing(self.folder):
                for row in rows if self.detailed else ():  # before the row, so that none is without
                    if (arrays := row.get("details")) is not None:
                        self._keep(row, arrays)
                shards.write(self.folder, 0, part)
                self.added += 1
                if self.added % shards.FILES_A_LEVEL == 0:
                    shards.compact(self.folder, summary)
        self._take(part)

    def table(self, addresses: Iterable[Address]) -> pd.DataFrame:
        """The rows at `addresses`, in that order."""
        stored = tables.frame(shards.distinct(self.parts) if self.parts else self.schema.empty_table())
        wanted = pd.DataFrame([(*p.model_dump().values(), s, t) for p, s, t in addresses], columns=self.names)
        wanted = wanted.astype(stored.dtypes[self.names].to_dict())
        data = wanted.merge(stored, how="inner", on=self.names)
        data.attrs.update(summary([part.about for part in self.parts]))
        return data

    def _take(self, part: Part) -> None:
        self.parts.append(part)
        columns = [part.table[name].to_pylist() for name in [*self.names, "status"]]
        self.addresses.update(row[:-1] for row in zip(*columns, strict=True) if row[-1] != Status.RAISED)

    def _keep(self, row: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
        """Write data and solution of a trial, under the final name only when the file is whole."""
        assert self.folder is not None
        params = self.experiment.params(**{name: row[name] for name in self.experiment.params.model_fields})
        file = details.path(self.folder, params, row["seed"], row["trial"])
        file.parent.mkdir(exist_ok=True)
        with replacing(file) as name, name.open("wb") as stream:
            np.savez_compressed(stream, **arrays)  # type: ignore[arg-type]

    def _check(self, about: dict[str, Any]) -> None:
        here = f"out (folder of the sweep) {str(self.folder)!r} belongs to a sweep"
        if about["experiment"] != self.experiment.name:
            raise BadInput(f"{here} of {about['experiment']}, not of {self.experiment.name}; choose another folder")
        if about["code"] != (now := fingerprint(self.experiment)):
            versions = f"neurec_core {about['code']}, now {now}"
            raise BadInput(f"{here} with other code ({versions}); choose another folder")


def read_table(folder: str | Path, warn: Callable[[str], None]) -> pd.DataFrame:
    """All rows of a sweep's folder, each once, with their provenance in ``.attrs``.

    Raises
    ------
    BadInput : no such folder, no rows, or rows of more than one experiment or version of its code
    """
    parts = shards.read_folder(Path(folder), warn)
    names = {part.about["experiment"] for part in parts}
    versions = {part.about["code"] for part in parts}
    if len(names) != 1 or len(versions) != 1:
        holds = "no finished shard" if not names else f"rows of {' and '.join(sorted(names))}"
        holds += f", computed by {len(versions)} versions of the code" if len(versions) > 1 else ""
        raise BadInput(f"DIR (folder of a sweep) must hold rows of one experiment, {str(folder)!r} holds {holds}")
    data = tables.frame(shards.distinct(parts))
    columns = list(data.columns)
    data = data.sort_values(columns[: columns.index("trial") + 1], ignore_index=True)
    data.attrs.update(summary([part.about for part in parts]))
    return data


def detailed(folder: str | Path, warn: Callable[[str], None] = warnings.warn) -> pd.DataFrame:
    """The rows of a sweep whose data and solutions were kept, with the path of the file as ``details``.

    Parameters
    ----------
    folder : the sweep's, finished or running
    warn : called with a line for each file of rows that is not read

    Raises
    ------
    BadInput : as `read_table`; a sweep without details, or of parameters that are none any more
    """
    table = read_table(folder, warn)
    model = papers.experiment(str(table.attrs["experiment"])).params
    if lacking := [name for name in model.model_fields if name not in table]:
        raise BadInput(f"DIR (folder of a sweep) {str(folder)!r} has no column {', '.join(lacking)}")
    points = [{f: None if pd.isna(row[f]) else row[f] for f in model.model_fields} for row in table.to_dict("records")]
    places = zip(points, table["seed"].tolist(), table["trial"].tolist(), strict=True)
    files = [details.path(Path(folder), model(**point), seed, trial) for point, seed, trial in places]
    kept = table.assign(details=[str(file) for file in files])[[file.is_file() for file in files]]
    if kept.empty:
        raise BadInput(f"DIR (folder of a sweep) must hold details, {str(folder)!r} holds none: sweep with --details")
    return kept.reset_index(drop=True)


def read_details(
    folder: str | Path, warn: Callable[[str], None] = warnings.warn
) -> Iterator[tuple[dict[str, Any], dict[str, np.ndarray]]]:
    """Row by row, data and solution of each trial of a sweep: `details.of_trial` says which arrays there are.

    Parameters
    ----------
    folder, warn : as in `detailed`; a damaged file is warned of, too
    """
    for row in detailed(folder, warn).to_dict("records"):
        try:
            arrays = details.read(Path(row["details"]))
        except details.Damaged:
            warn(f"{row['details']} is cut short or damaged: not read; the same sweep computes it again")
            continue
        yield {str(name): value for name, value in row.items()}, arrays


def summary(abouts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The provenance of many shards as one: costs added up, whatever differs listed."""
    if not abouts:
        return {}
    whole: dict[str, Any] = {"experiment": abouts[0]["experiment"], "code": abouts[0]["code"]}
    whole["git"] = sorted({commit for about in abouts for commit in listed(about["git"])})
    packages = sorted({name for about in abouts for name in about["versions"]})
    whole["versions"] = {
        name: sorted({v for about in abouts for v in listed(about["versions"].get(name))}) for name in packages
    }
    machines = [about.get("machine", {}) for about in abouts]  # early tables do not say
    whole["machine"] = {
        name: sorted({v for m in machines for v in listed(m.get(name))}) for name in ("processor", "blas")
    }
    whole["created"] = [min(listed(a["created"])[0] for a in abouts), max(listed(a["created"])[-1] for a in abouts)]
    fields = abouts[0]["params"]
    whole["params"] = {name: sorted({v for a in abouts for v in listed(a["params"][name])}) for name in fields}
    for key in ("seed", "trials"):
        whole[key] = sorted({v for about in abouts for v in listed(about[key])})
    whole["shards"] = sum(about.get("shards", 1) for about in abouts)
    return whole | {key: sum(about[key] for about in abouts) for key in ("wall_seconds", "cpu_seconds")}


@contextlib.contextmanager
def _writing(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else error
        raise StoreFailed(f"cannot write to {folder}: {reason}") from None
