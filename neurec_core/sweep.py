"""Experiment x Grid -> table: in this process, on a local cluster, a running scheduler or Slurm.

Resume = cache = publication: every finished shard is a whole file in the folder; a sweep reads what is
there, computes what is missing and returns the rows it was asked for.
"""

from __future__ import annotations

import contextlib
import itertools
import time
import warnings
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import CancelledError
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from . import provenance
from .cluster import ClusterFailed, check_newcomers, connect, result, submit
from .experiment import Experiment, Grid, Status
from .fingerprint import fingerprint
from .params import BadInput, Params
from .store import Store, StoreFailed
from .threads import one_thread
from .values import whole

# Shards handed to a cluster at a time: enough to keep a big one busy, few enough to let go of at once.
IN_FLIGHT = 1000
LOOK_SECONDS = 2  # between two looks for workers that have joined


class SweepFailed(RuntimeError):
    """A sweep that could not finish; what it had finished is kept if it has a folder."""


class Shard(NamedTuple):
    """Trials computed and stored together: (point, trial) pairs, the points such as are solved together."""

    places: tuple[tuple[Params, int], ...]
    seed: int
    detailed: bool = False  # whether data and solution of each trial are kept, too


class Done(NamedTuple):
    """A shard's rows, what computed them (which may be a remote worker) and what they cost."""

    shard: Shard
    rows: list[dict[str, Any]]
    provenance: dict[str, Any]
    wall_seconds: float
    cpu_seconds: float


def sweep(
    experiment: Experiment,
    grid: Grid,
    *,
    seed: int = 0,
    out: str | Path | None = None,
    detailed: bool = False,
    jobs: int = 1,
    scheduler: str | None = None,
    progress: bool = True,
    warn: Callable[[str], None] = warnings.warn,
) -> pd.DataFrame:
    """Every trial of every point of a grid; what `out` holds already is not computed again.

    Parameters
    ----------
    experiment, grid : what to run
    seed : the seed of every draw, >= 0
    out : folder of the shards; None keeps the rows in memory only
    detailed : whether to keep, in `out`, data and solution of each trial (`store.read_details`)
    jobs : processes; 1 runs in this one. With ``scheduler="slurm"``, Slurm jobs
    scheduler : None, "tcp://host:port" of a running Dask scheduler, or "slurm"
    progress : whether to show a bar with rate and time left
    warn : what to call with a line about a file that was not read

    Returns
    -------
    table : one row per trial, in the order of the grid, however the sweep was run

    Raises
    ------
    BadInput : a point, a folder or a scheduler that cannot be used, or more than this machine's memory holds
    SweepFailed : a disk that filled up, a worker that died again and again, or no worker left on this machine;
        in a folder, finished shards are kept
    """
    seed, jobs = whole("seed", "seed of every draw", seed), whole("jobs", "processes", jobs, 1)
    experiment.require_rows(grid.cells * grid.trials)
    points = list(dict.fromkeys(grid.points(experiment.params)))
    if scheduler is None:  # elsewhere the workers know what they have
        together = min(experiment.batch, grid.trials * (len(points) if experiment.sampled else 1))
        at_once = min(jobs * together, len(points) * grid.trials)
        for params in points:
            experiment.require_memory(params, at_once)
    try:
        store = Store(experiment, out, warn, detailed=detailed)
    except StoreFailed as error:
        raise SweepFailed(str(error)) from None
    shards = list(missing(store, points, seed, grid.trials))
    with contextlib.closing(run_all(experiment, shards, jobs, scheduler)) as results:
        collect(store, results, shards, len(points) * grid.trials, progress=progress)
    return store.table([(p, seed, t) for p in points for t in range(grid.trials)])


def missing(store: Store, points: Sequence[Params], seed: int, trials: int) -> Iterator[Shard]:
    """The shards of the rows that are not stored yet, each of trials that are solved together."""
    together: dict[tuple[Any, ...], list[tuple[Params, int]]] = {}
    for params in points:
        left = [(params, t) for t in range(trials) if (params, seed, t) not in store]
        together.setdefault(store.experiment.solved_as(params), []).extend(left)
    batch = store.experiment.batch
    for places in together.values():
        for first in range(0, len(places), batch):
            yield Shard(tuple(places[first : first + batch]), seed, store.detailed)


def collect(store: Store, results: Iterator[Done], shards: Sequence[Shard], total: int, *, progress: bool) -> None:
    """Store each finished shard and move the bar."""
    from tqdm.auto import tqdm

    done = total - sum(len(shard.places) for shard in shards)
    failed = 0
    with tqdm(total=total, initial=done, unit="trial", disable=not progress, smoothing=0.1) as bar:
        try:
            for shard in results:
                if (code := shard.provenance["code"]) != (here := fingerprint(store.experiment)):
                    raise SweepFailed(f"a worker runs other code (neurec_core {code}, here {here}); install the same")
                store.add(shard.rows, about(store.experiment, shard))
                done += len(shard.rows)
                failed += sum(not Status(row["status"]).usable for row in shard.rows)
                bar.set_postfix({"failed": failed} if failed else {}, refresh=False)
                bar.update(len(shard.rows))
        except BadInput as error:
            kept = f"; {done} of {total} trials are kept" if done and store.folder else ""
            raise BadInput(f"{error}{kept}") from None
        except (StoreFailed, ClusterFailed) as error:
            again = f"; {done} of {total} trials are kept; run the same command again to go on"
            raise SweepFailed(f"{error}{again if store.folder else ''}") from error


def about(experiment: Experiment, done: Done) -> dict[str, Any]:
    """A shard's provenance; of a parameter that its points differ in, all values."""
    points = [params.model_dump() for params in dict.fromkeys(params for params, _ in done.shard.places)]
    values = {name: list(dict.fromkeys(point[name] for point in points)) for name in points[0]}
    return {
        "experiment": experiment.name,
        "params": {name: some if len(some) > 1 else some[0] for name, some in values.items()},
        "seed": done.shard.seed,
        "trials": sorted({trial for _, trial in done.shard.places}),
        "wall_seconds": done.wall_seconds,
        "cpu_seconds": done.cpu_seconds,
        "created": datetime.now(UTC).isoformat(timespec="milliseconds"),
        **done.provenance,
    }


# --------------------------------------------------------------------------------------------- running


def run_shard(experiment: Experiment, shard: Shard) -> Done:
    """Compute one shard on one thread, here or on a worker."""
    wall, cpu = time.perf_counter(), time.process_time()
    with one_thread():
        rows = experiment.rows_together(shard.places, shard.seed, detailed=shard.detailed)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return Done(shard, rows, provenance.provenance(experiment), wall, cpu)


def run_all(experiment: Experiment, shards: Sequence[Shard], jobs: int, scheduler: str | None) -> Generator[Done]:
    """Finished shards as they come, in whatever order, from this process or from a cluster."""
    if not shards:
        return
    if scheduler is None and jobs == 1:
        for shard in shards:
            yield run_shard(experiment, shard)
        return
    with connect(min(jobs, len(shards)), scheduler) as client:
        yield from _on_cluster(client, experiment, shards)


def _watched(client: Any, futures: Any) -> Iterator[Any]:
    """Futures as they are finished; while none is, workers that have joined are checked from time to time."""
    checked: set[str] = set()
    look = time.monotonic()
    while not futures.is_empty():
        if futures.has_ready():
            yield next(futures)
            continue
        with futures.thread_condition:
            futures.thread_condition.wait(0.1)
        if time.monotonic() > look:
            check_newcomers(client, checked)
            look = time.monotonic() + LOOK_SECONDS


def _on_cluster(client: Any, experiment: Experiment, shards: Sequence[Shard]) -> Iterator[Done]:
    from distributed import KilledWorker, as_completed
    from distributed.comm.core import CommClosedError
    from distributed.scheduler import NoValidWorkerError, NoWorkerError

    waiting = iter(shards)

    first = [submit(client, run_shard, experiment, shard) for shard in itertools.islice(waiting, IN_FLIGHT)]
    futures = as_completed(first, loop=client.loop)
    lost = []
    for future in _watched(client, futures):
        try:
            done = result(client, future)  # computed again where it went down with its worker after it was finished
        except KilledWorker as error:
            lost.append(error)  # its workers died again and again: it is likely to be what kills them
        except (NoWorkerError, NoValidWorkerError) as error:  # the one where there was a worker before, or the other
            raise ClusterFailed(f"no worker has been alive for {error.timeout:g} s") from None
        except (CancelledError, CommClosedError):  # the latter where a result was just on its way
            raise ClusterFailed("the scheduler went away") from None
        except BadInput:
            raise
        except Exception as error:
            raise ClusterFailed(f"{type(error).__name__}: {' '.join(str(error).split())}") from error
        else:
            yield done
        future.release()
        futures.update([submit(client, run_shard, experiment, shard) for shard in itertools.islice(waiting, 1)])
    if lost:
        raise ClusterFailed(f"{len(lost)} of {len(shards)} shards killed their workers")
