"""A sweep's folder: whole Parquet files only, added to by any number of processes, read at any time.

``level-0-*.parquet`` is a finished shard. As soon as a level holds `FILES_A_LEVEL` files they become one
file of the next level, so that 100,000 rows are some dozens of files. A crash between writing the
merged file and removing its sources leaves rows twice, which reading undoes.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
from filelock import FileLock, Timeout

from . import tables
from .experiment import Experiment
from .fingerprint import fingerprint
from .params import BadInput, Params

FILES_A_LEVEL = 64
STALE_SECONDS = 3600  # a temporary file this old belongs to a process that was killed

Address = tuple[Params, int, int]  # (point, seed, trial): what a row is the result of
Part = tuple[pa.Table, dict[str, Any]]  # rows and their provenance


class StoreFailed(RuntimeError):
    """The folder cannot be written to any more."""


class Store:
    """The rows of one experiment, in a folder or (``folder=None``) in memory.

    Parameters
    ----------
    experiment : whose rows these are
    folder : made if it is not there
    warn : called with a line for each file that is there but not read

    Raises
    ------
    BadInput : a folder that cannot be written to, or that holds another experiment's rows or other code's
    StoreFailed : a disk that is full
    """

    def __init__(self, experiment: Experiment, folder: str | Path | None, warn: Callable[[str], None]) -> None:
        self.experiment = experiment
        self.folder = None if folder is None else Path(folder)
        self.names = [*experiment.params.model_fields, "seed", "trial"]
        self.schema = tables.schema(experiment)
        self.added = 0
        self.parts: list[Part] = []
        self.addresses: set[tuple[Any, ...]] = set()
        if self.folder is not None:
            _check_writable(self.folder)
            for part in read_folder(self.folder, warn, set_aside=True):
                self._check(part[1])
                self._take(part)
            with _writing(self.folder):
                compact(self.folder)

    def __contains__(self, address: Address) -> bool:
        params, seed, trial = address
        return (*params.model_dump().values(), seed, trial) in self.addresses

    def add(self, rows: Sequence[dict[str, Any]], about: dict[str, Any]) -> None:
        """Keep a finished shard; in a folder, under its final name as soon as it is whole.

        Raises
        ------
        StoreFailed : "cannot write to DIR: No space left on device"
        """
        part = (tables.arrow(rows, self.experiment), about)
        if self.folder is not None:
            address = json.dumps([[row[name] for name in self.names] for row in rows])
            with _writing(self.folder):
                tables.write(part[0], _path(self.folder, 0, address), about)
                self.added += 1
                if self.added % FILES_A_LEVEL == 0:
                    compact(self.folder)
        self._take(part)

    def table(self, addresses: Iterable[Address]) -> pd.DataFrame:
        """The rows at `addresses`, in that order."""
        stored = tables.frame(pa.concat_tables([self.schema.empty_table(), *(t for t, _ in self.parts)]))
        wanted = pd.DataFrame([(*p.model_dump().values(), s, t) for p, s, t in addresses], columns=self.names)
        wanted = wanted.astype(stored.dtypes[self.names].to_dict())
        data = wanted.merge(stored.drop_duplicates(self.names), how="inner", on=self.names)
        data.attrs.update(summary([about for _, about in self.parts]))
        return data

    def _take(self, part: Part) -> None:
        self.parts.append(part)
        self.addresses.update(zip(*(part[0][name].to_pylist() for name in self.names), strict=True))

    def _check(self, about: dict[str, Any]) -> None:
        here = f"out (folder of the sweep) {str(self.folder)!r} holds rows"
        if about["experiment"] != self.experiment.name:
            raise BadInput(f"{here} of {about['experiment']}, not of {self.experiment.name}; choose another folder")
        if about["code"] != (now := fingerprint(self.experiment)):
            versions = f"neurec_core {about['code']}, now {now}"
            raise BadInput(f"{here} computed by other code ({versions}); choose another folder")


def read_folder(folder: Path, warn: Callable[[str], None], *, set_aside: bool = False) -> list[Part]:
    """Every whole file of a sweep that may be running.

    Parameters
    ----------
    folder : the sweep's
    warn : called with a line for each file that is not read
    set_aside : rename damaged files to ``*.damaged``, so that other readers of ``*.parquet`` do not trip
    """
    parts, seen = [], set()
    # Another process may merge files while they are read: list again until nothing new has come.
    while new := [path for path in sorted(folder.glob("*.parquet")) if path not in seen]:
        for path in new:
            seen.add(path)
            if not path.name.startswith("level-"):
                warn(f"{path} is not a shard of a sweep: not read")
                continue
            try:
                parts.append(tables.read(path))
            except FileNotFoundError:
                continue  # merged just now; its rows are in a file that the next listing shows
            except (OSError, pa.ArrowInvalid):
                warn(f"{path} is cut short or damaged: not read, its trials are computed again")
                if set_aside:
                    path.rename(path.with_name(path.name + ".damaged"))
            except (KeyError, ValueError):
                warn(f"{path} was not written by neurec: not read")
    return parts


def read_table(folder: str | Path, warn: Callable[[str], None]) -> pd.DataFrame:
    """All rows of a sweep's folder, each once, with their provenance in ``.attrs``.

    Raises
    ------
    BadInput : no such folder, no rows, or rows of more than one experiment
    """
    parts = read_folder(Path(folder), warn)
    names = {about["experiment"] for _, about in parts}
    if len(names) != 1:
        holds = "no finished shard" if not names else f"rows of {' and '.join(sorted(names))}"
        raise BadInput(f"DIR (folder of a sweep) must hold rows of one experiment, {str(folder)!r} holds {holds}")
    data = tables.frame(pa.concat_tables([table for table, _ in parts]))
    columns = list(data.columns)
    address = columns[: columns.index("trial") + 1]
    data = data.drop_duplicates(address).sort_values(address, ignore_index=True)
    data.attrs.update(summary([about for _, about in parts]))
    return data


def compact(folder: Path) -> None:
    """Merge every full level into one file of the next; left to another process if one is at it."""
    try:
        with FileLock(folder / ".compact.lock", timeout=0):
            level = 0
            while len(files := _files(folder, level)) >= FILES_A_LEVEL:
                parts = {path: part for path in files if (part := _whole(path))}
                if len(parts) < 2:
                    break
                path = _path(folder, level + 1, json.dumps([path.name for path in parts]))
                merged = _without_repeats(pa.concat_tables([table for table, _ in parts.values()]))
                tables.write(merged, path, summary([about for _, about in parts.values()]))
                for source in parts:
                    source.unlink(missing_ok=True)
                level += 1
    except Timeout:
        pass


def _without_repeats(table: pa.Table) -> pa.Table:
    """Each row once: two processes on one folder may both have computed it."""
    names = table.column_names[: table.column_names.index("trial") + 1]
    first: dict[tuple[Any, ...], int] = {}
    for i, address in enumerate(zip(*(table[name].to_pylist() for name in names), strict=True)):
        first.setdefault(address, i)
    return table.take(list(first.values()))


def _whole(path: Path) -> Part | None:
    """A file's content, or None for one that is not a table of ours; reading the folder reports it."""
    try:
        return tables.read(path)
    except (OSError, pa.ArrowInvalid, KeyError, ValueError):
        return None


def summary(abouts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The provenance of many shards as one: costs added up, whatever differs listed."""
    if not abouts:
        return {}
    whole: dict[str, Any] = {"experiment": abouts[0]["experiment"], "code": abouts[0]["code"]}
    whole["git"] = sorted({commit for about in abouts for commit in _listed(about["git"])})
    packages = sorted({name for about in abouts for name in about["versions"]})
    whole["versions"] = {
        name: sorted({v for about in abouts for v in _listed(about["versions"].get(name))}) for name in packages
    }
    machines = [about.get("machine", {}) for about in abouts]  # early tables do not say
    whole["machine"] = {
        name: sorted({v for m in machines for v in _listed(m.get(name))}) for name in ("processor", "blas")
    }
    whole["created"] = [min(_listed(a["created"])[0] for a in abouts), max(_listed(a["created"])[-1] for a in abouts)]
    fields = abouts[0]["params"]
    whole["params"] = {name: sorted({v for a in abouts for v in _listed(a["params"][name])}) for name in fields}
    for key in ("seed", "trials"):
        whole[key] = sorted({v for about in abouts for v in _listed(about[key])})
    whole["shards"] = sum(about.get("shards", 1) for about in abouts)
    return whole | {key: sum(about[key] for about in abouts) for key in ("wall_seconds", "cpu_seconds")}


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


@contextlib.contextmanager
def _writing(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else error  # pyarrow wraps the system's words
        raise StoreFailed(f"cannot write to {folder}: {reason}") from None


def _check_writable(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tables.replacing(folder / ".writable") as probe:
            probe.touch()
        (folder / ".writable").unlink(missing_ok=True)
    except OSError as error:
        reason = error.strerror or error
        raise BadInput(f"out (folder of the sweep) cannot be written to, got {str(folder)!r}: {reason}") from None
    for old in folder.glob(".*.tmp"):
        if time.time() - old.stat().st_mtime > STALE_SECONDS:
            old.unlink(missing_ok=True)


def _files(folder: Path, level: int) -> list[Path]:
    return sorted(folder.glob(f"level-{level}-*.parquet"))


def _path(folder: Path, level: int, content: str) -> Path:
    return folder / f"level-{level}-{hashlib.sha256(content.encode()).hexdigest()[:16]}.parquet"
