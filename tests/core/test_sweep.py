"""Sweeps: the same table however it was run, whatever happened on the way."""

from __future__ import annotations

import contextlib
import logging
import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import dask
import distributed
import pandas as pd
import psutil
import pyarrow.parquet as pq
import pytest
import threadpoolctl
from calls import LONG, until
from distributed import Client, LocalCluster
from toys import TOGETHER, TOY, solve

from neurec_core import shards, store, tables, threads
from neurec_core.cluster import connect
from neurec_core.experiment import Experiment, Grid, Status
from neurec_core.params import BadInput
from neurec_core.provenance import machine
from neurec_core.sweep import Shard, SweepFailed, missing, sweep
from neurec_core.sweep import _on_cluster as on_cluster

GRID = Grid({"x": [0, 4, 8], "y": [1, 2]}, trials=3)


def same(a: pd.DataFrame, b: pd.DataFrame) -> None:
    """Equal to the bit but for how long a trial took."""
    pd.testing.assert_frame_equal(a.drop(columns="seconds"), b.drop(columns="seconds"), check_exact=True)


def run(grid=GRID, experiment=TOY, **options):
    return sweep(experiment, grid, **{"progress": False, **options})


# ------------------------------------------------------------------------------------------- what is asked for


def test_rows_come_in_the_order_of_the_grid():
    table = run()
    assert table[["x", "y", "trial"]].to_numpy().tolist() == [
        [x, y, t] for x in (0, 4, 8) for y in (1, 2) for t in range(3)
    ]


def test_one_and_two_workers_give_identical_tables_whatever_raises(tmp_path):
    grid = Grid(GRID.axes, trials=3, fixed={"raises": 2})
    here = run(grid)
    same(run(grid, jobs=2, out=tmp_path / "two"), here)
    same(run(grid, out=tmp_path / "one"), here)
    raised = [False, False, True] * 6
    assert here["status"].eq(Status.RAISED).tolist() == here["heads"].isna().tolist() == raised
    assert set(here.loc[raised, "detail"]) == {"ZeroDivisionError: as asked"}


def slurm_is_missing() -> bool:
    return not shutil.which("sinfo") or subprocess.run(["sinfo"], capture_output=True, check=False).returncode != 0


@pytest.mark.skipif(slurm_is_missing(), reason="no Slurm controller answers here")
def test_slurm_gives_the_same_table(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # where Slurm leaves its logs
    monkeypatch.setenv("DASK_JOBQUEUE__SLURM__MEMORY", "2GB")
    same(run(scheduler="slurm"), run())


def test_a_sweep_does_only_what_is_missing(tmp_path):
    run(Grid({"x": [0, 4]}, trials=2), out=tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*.parquet")}
    wide = Grid({"x": [0, 4, 8]}, trials=3)
    same(run(wide, out=tmp_path), run(wide))
    after = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*.parquet")}
    assert before.items() <= after.items()
    assert sum(pq.read_metadata(path).num_rows for path in after) == 9, "no row was computed twice"
    same(run(Grid({"x": [4]}, trials=1), out=tmp_path), run(Grid({"x": [4]}, trials=1)))
    assert {path: path.stat().st_mtime_ns for path in tmp_path.glob("*.parquet")} == after


def test_a_shard_says_where_it_comes_from(tmp_path):
    run(Grid({"x": [3]}, trials=1), out=tmp_path, seed=5)
    _, about = shards.read(next(tmp_path.glob("*.parquet")))
    assert about["params"]["x"] == 3
    assert (about["seed"], about["trials"], about["experiment"]) == (5, [0], TOY.name)
    assert {"versions", "git", "code", "wall_seconds", "cpu_seconds", "created"} <= about.keys()


def test_points_solved_together_give_the_same_table(tmp_path):
    here = run()
    same(run(experiment=TOGETHER, out=tmp_path), here)
    assert store.read_table(tmp_path, pytest.fail).attrs["shards"] == 4, "18 trials, 5 at a time"


def test_points_are_solved_together_where_solve_cannot_distinguish_them():
    points = Grid({"z": [0.0, 0.1], "x": [0, 4]}, trials=1).points(TOGETHER.params)
    empty = store.Store(TOGETHER, None, pytest.fail)
    shards = [shard.places for shard in missing(empty, points, seed=0, trials=3)]
    assert [[(p.z, p.x, t) for p, t in places] for places in shards] == [
        [(0.0, 0, 0), (0.0, 0, 1), (0.0, 0, 2), (0.0, 4, 0), (0.0, 4, 1)],
        [(0.0, 4, 2)],
        [(0.1, 0, 0), (0.1, 0, 1), (0.1, 0, 2), (0.1, 4, 0), (0.1, 4, 1)],
        [(0.1, 4, 2)],
    ]


def test_a_shard_of_several_points_names_them_and_resumes(tmp_path):
    run(Grid({"x": [3], "y": [1]}, trials=1), TOGETHER, out=tmp_path)
    wide = Grid({"x": [3, 4], "y": [1]}, trials=2)
    same(run(wide, TOGETHER, out=tmp_path), run(wide))
    abouts = [shards.read(path)[1] for path in tmp_path.glob("*.parquet")]
    named = [(about["params"]["x"], about["params"]["y"], about["trials"]) for about in abouts]
    assert sorted(named, key=str) == [(3, 1, [0]), ([3, 4], 1, [0, 1])]
    whole = store.read_table(tmp_path, pytest.fail).attrs
    assert (whole["params"]["x"], whole["trials"]) == ([3, 4], [0, 1])


def test_a_trial_that_raises_beside_other_points_is_a_row_alone():
    grid = Grid({"x": [2, 8]}, trials=4, fixed={"raises": 2})
    table = run(grid, TOGETHER)
    same(table, run(grid))
    assert table["status"].eq(Status.RAISED).tolist() == [False, False, True, False] * 2


@pytest.mark.parametrize(("files", "levels"), [(3, ["level-3"]), (64, ["level-0"] * 17 + ["level-1"])])
def test_small_shards_are_compacted_level_by_level(tmp_path, monkeypatch, files, levels):
    assert shards.FILES_A_LEVEL == 64
    monkeypatch.setattr(shards, "FILES_A_LEVEL", files)
    grid = Grid({"x": list(range(9))}, trials=9 if files > 9 else 3)
    same(run(grid, out=tmp_path), run(grid))
    assert sorted(path.name[:7] for path in tmp_path.glob("*.parquet")) == levels
    assert store.read_table(tmp_path, pytest.fail).attrs["shards"] == grid.cells * grid.trials


def test_a_running_sweep_is_read_by_duckdb_and_pyarrow(tmp_path):
    import duckdb
    import pyarrow.dataset as ds

    run(out=tmp_path)
    (tmp_path / ".level-0-x.parquet.1234.tmp").write_bytes(b"half a file")
    (count,) = duckdb.sql(f"select count(*) from '{tmp_path}/*.parquet' where status = 'solved'").fetchall()
    assert count == (18,)
    assert ds.dataset(tmp_path, format="parquet").count_rows() == 18


# --------------------------------------------------------------------------------------------------- what goes wrong


def test_a_killed_worker_loses_nothing(tmp_path):
    marker = tmp_path / "killed"
    grid = Grid({"x": [5, 6]}, trials=3, fixed={"kills": str(marker)})
    table = run(grid, jobs=2, out=tmp_path / "out")
    assert marker.exists(), "a worker was killed"
    assert table["status"].eq("solved").all()
    same(table, run(grid))


def test_a_shard_that_always_kills_its_worker_is_given_up_and_the_rest_is_kept(tmp_path):
    once = dask.config.set({"distributed.scheduler.allowed-failures": 1})  # by default three workers may die
    with once, pytest.raises(SweepFailed, match=r"^1 of 3 shards killed their workers; 2 of 3 trials are kept; run"):
        run(Grid({"x": [5]}, trials=3, fixed={"kills": "always"}), jobs=2, out=tmp_path)
    assert len(store.read_table(tmp_path, pytest.fail)) == 2


def test_results_that_went_down_with_their_worker_are_computed_again():
    params = TOY.params(x=5, y=1)
    shards = [Shard(((params, trial),), 0) for trial in range(4)]
    quiet = {"dashboard_address": "127.0.0.1:0", "silence_logs": logging.CRITICAL}
    with LocalCluster(n_workers=1, threads_per_worker=1, **quiet) as cluster, Client(cluster) as client:
        results = on_cluster(client, TOY, shards)
        rows = next(results).rows
        until(lambda: all(future.status == "finished" for future in client.futures.values()))
        for worker in cluster.workers.values():
            os.kill(worker.pid, signal.SIGKILL)
        until(lambda: all(future.status != "finished" for future in client.futures.values()))
        cluster.scale(2)  # on a busy machine a nanny may give its own worker up
        rows += [row for done in results for row in done.rows]
    assert sorted(row["trial"] for row in rows) == [0, 1, 2, 3]


@contextlib.contextmanager
def starting(folder: Path, workers: int) -> Iterator[None]:
    """Only so many worker processes start; all after them die before the scheduler hears of them."""
    folder.mkdir()
    first = f"""
import os, signal
open(os.path.join({str(folder)!r}, str(os.getpid())), "w").close()
if len(os.listdir({str(folder)!r})) > {workers}:
    os.kill(os.getpid(), signal.SIGKILL)
"""
    with dask.config.set({"distributed.worker.preload": [first]}):
        yield


def test_a_sweep_whose_workers_do_not_come_back_ends_and_keeps_what_is_finished(tmp_path, monkeypatch):
    """The only worker dies, a second one is started and dies: not before that may the sweep give up."""

    def patient(**options):
        here = start(**options)
        thread.submit(lose_patience, here.scheduler)
        return here

    def lose_patience(scheduler):
        until(lambda: len(list(started.iterdir())) >= 2 and not any(map(alive, started.iterdir())))
        scheduler.no_workers_timeout = 1.5

    started, start = tmp_path / "started", distributed.LocalCluster
    monkeypatch.setattr(distributed, "LocalCluster", patient)
    monkeypatch.setattr("neurec_core.cluster.GRACE_SECONDS", LONG)
    run(Grid({"x": [5], "kills": [""]}, trials=2), TOGETHER, out=tmp_path / "out")
    whole = Grid({"x": [5], "kills": ["", "always"]}, trials=2)  # one shard is left, for one worker
    with ThreadPoolExecutor(1) as thread, starting(started, 1), pytest.raises(SweepFailed) as failed:
        run(whole, TOGETHER, jobs=2, out=tmp_path / "out")
    assert str(failed.value) == (
        "no worker has been alive for 1.5 s; 2 of 4 trials are kept; run the same command again to go on"
    )
    assert len(store.read_table(tmp_path / "out", pytest.fail)) == 2
    # Dask goes on starting workers until the sweep gives up: how many is a matter of time.
    assert len(list(started.iterdir())) >= 2, "another worker was started, and died"


def alive(named: Path) -> bool:
    """Whether the process that a file is named after runs."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return psutil.Process(int(named.name)).status() != psutil.STATUS_ZOMBIE
    return False


def test_workers_that_do_not_start_are_one_error(tmp_path):
    with starting(tmp_path / "started", 0), pytest.raises(SweepFailed, match=r"^the workers do not start") as failed:
        run(Grid({"x": [5]}, trials=1), jobs=2)  # one shard, for one worker
    assert "kept" not in str(failed.value), "there is no folder to keep anything in"


async def look_at_memory(dask_worker):
    """Have a worker find out how short of memory it is; Dask wants the argument named like this."""
    await dask_worker.memory_manager.memory_monitor(dask_worker)


def test_a_worker_short_of_memory_is_not_taken_for_a_dead_one(monkeypatch):
    monkeypatch.setattr("neurec_core.cluster.GRACE_SECONDS", 0.5)
    shards = [Shard(((TOY.params(), trial),), 0) for trial in range(2)]
    with dask.config.set({"distributed.worker.memory.pause": 1e-9}), connect(1, None) as client:
        client.run(look_at_memory)
        assert len(list(on_cluster(client, TOY, shards))) == 2


def test_a_running_scheduler_without_workers_is_waited_for(monkeypatch):
    def none_came(client, n_workers, timeout):
        raise TimeoutError

    monkeypatch.setattr(Client, "wait_for_workers", none_came)
    with LocalCluster(n_workers=0, threads_per_worker=1, dashboard_address="127.0.0.1:0") as cluster:
        assert cluster.scheduler.no_workers_timeout is None, "no trial is given up for want of workers"

        def come_late() -> None:
            until(lambda: len(cluster.scheduler.tasks) == 18)
            cluster.scale(1)

        late = threading.Thread(target=come_late)
        late.start()
        with pytest.warns(UserWarning, match=r"no worker at tcp://.* yet; waiting \(Ctrl-C stops\)"):
            same(run(scheduler=cluster.scheduler_address), run())
        late.join()


def test_compaction_keeps_provenance_and_drops_repeats(tmp_path, monkeypatch):
    monkeypatch.setattr(shards, "FILES_A_LEVEL", 100)
    run(out=tmp_path)
    (first, *_) = sorted(tmp_path.glob("level-0-*"))
    again = shards.read(first)  # as by another process, which took another time
    shards.write(tmp_path, 0, shards.Part(again.table, again.about | {"wall_seconds": 1.0}))
    monkeypatch.setattr(shards, "FILES_A_LEVEL", 19)
    shards.compact(tmp_path, store.summary)
    (merged,) = tmp_path.glob("*.parquet")
    table, about = shards.read(merged)
    assert table.num_rows == 18
    assert (about["params"]["x"], about["seed"], about["trials"]) == ([0, 4, 8], [0], [0, 1, 2])


def test_shards_without_a_machine_are_still_read(tmp_path):
    run(out=tmp_path)
    (first, *_) = sorted(tmp_path.glob("level-0-*"))
    part = shards.read(first)
    del part.about["machine"]  # as before processors were noted
    first.unlink()
    shards.write(tmp_path, 0, part)
    assert store.read_table(tmp_path, pytest.fail).attrs["machine"] == {
        k: v if k == "blas" else [v] for k, v in machine().items()
    }


@pytest.mark.parametrize("name", ["all.parquet", "level-0-mine.parquet"])
def test_a_foreign_table_is_reported_and_never_taken_for_a_shard(tmp_path, name):
    whole = run(out=tmp_path)
    tables.export(whole.assign(heads=True), tmp_path / name)
    said: list[str] = []
    same(run(out=tmp_path, warn=said.append), whole)
    assert f"{name} is not a shard of a sweep: not read" in said[0]
    assert len(store.read_table(tmp_path, said.append)) == 18


def test_slurm_that_refuses_or_is_not_there_is_bad_input(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BadInput, match=r"scheduler \(slurm\) needs sbatch on this machine"):
        run(scheduler="slurm")
    (tmp_path / "sbatch").write_text("#!/bin/sh\necho 'invalid partition' >&2; exit 1\n")
    (tmp_path / "sbatch").chmod(0o755)
    with pytest.raises(BadInput, match=r"scheduler \(slurm\) refuses the job: invalid partition"):
        run(scheduler="slurm")


def test_merging_passes_over_files_that_cannot_be_read(tmp_path, monkeypatch):
    monkeypatch.setattr(shards, "FILES_A_LEVEL", 4)
    cut = f"level-0-{'0c' * 16}.parquet"
    (tmp_path / cut).write_bytes(b"PAR1")
    pd.DataFrame({"x": [1]}).to_parquet(tmp_path / "level-0-mine.parquet")
    shards.compact(tmp_path, store.summary)
    same(run(out=tmp_path, warn=lambda line: None), run())
    assert {path.name for path in tmp_path.glob("level-0-*.*")} >= {
        "level-0-mine.parquet",
        f"{cut}.damaged",
    }
    assert len(store.read_table(tmp_path, lambda line: None)) == 18


def test_rows_of_other_code_are_refused(tmp_path, monkeypatch):
    run(out=tmp_path)
    monkeypatch.setattr(store, "fingerprint", lambda experiment: "0123456789ab")
    with pytest.raises(BadInput, match=r"belongs to a sweep with other code .* choose another folder"):
        run(out=tmp_path)


def test_a_crash_while_merging_leaves_no_row_twice(tmp_path, monkeypatch):
    monkeypatch.setattr(shards, "FILES_A_LEVEL", 100)
    whole = run(out=tmp_path)
    copy = tmp_path / "copy"
    shutil.copytree(tmp_path, copy)
    monkeypatch.setattr(shards, "FILES_A_LEVEL", 18)
    shards.compact(tmp_path, store.summary)
    for path in copy.glob("*.parquet"):  # as if the sources had not been removed yet
        shutil.copy(path, tmp_path)
    assert len(store.read_table(tmp_path, pytest.fail)) == 18
    same(run(out=tmp_path), whole)


def test_a_full_disk_is_one_error_and_keeps_what_was_finished(tmp_path, monkeypatch):
    written = shards.write

    def fill_up(*args):
        if len(list(tmp_path.glob("*.parquet"))) == 4:
            # A real refusal of the system, as a full disk gives: files of this process may not grow any more.
            monkeypatch.setattr(shards, "write", written)
            limit = resource.getrlimit(resource.RLIMIT_FSIZE)
            resource.setrlimit(resource.RLIMIT_FSIZE, (100, limit[1]))
            try:
                return written(*args)
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        return written(*args)

    monkeypatch.setattr(shards, "write", fill_up)
    with pytest.raises(SweepFailed, match=r"cannot write to .*: File too large; 4 of 18 trials are kept"):
        run(out=tmp_path)
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".tmp"] == []
    same(run(out=tmp_path), run())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"jobs": 0}, r"jobs \(processes\) must be a whole number in \[1, 9223372036854775807\], got 0"),
        ({"seed": -1}, r"seed \(seed of every draw\) must be"),
        ({"seed": 2**63}, r"seed \(seed of every draw\) must be"),
        ({"seed": 1.5}, r"seed \(seed of every draw\) must be a whole number in .*, got 1\.5"),
        ({"seed": "x"}, r"seed \(seed of every draw\) must be a whole number in .*, got 'x'"),
        ({"jobs": 1.5}, r"jobs \(processes\) must be a whole number in .*, got 1\.5"),
        ({"jobs": True}, r"jobs \(processes\) must be a whole number in .*, got True"),
        ({"scheduler": 5}, r"scheduler .* must be one of these, got 5"),
        ({"out": 5}, r"out \(folder of the sweep\) must be a path, got 5"),
        ({"scheduler": "tcp://127.0.0.1:1"}, r"scheduler .* does not answer, got 'tcp://127.0.0.1:1'"),
    ],
)
def test_bad_options_are_refused(options, message, monkeypatch):
    monkeypatch.setattr("neurec_core.cluster.PATIENCE_SECONDS", 1)
    with pytest.raises(BadInput, match=message):
        run(**options)


@pytest.mark.parametrize(
    ("axes", "rest", "message"),
    [
        ({"x": 10}, {"trials": 1}, r"x \(axis of the grid\) must be a list of values, got 10"),
        ({"x": "10"}, {"trials": 1}, r"x \(axis of the grid\) must be a list of values, got '10'"),
        ({"x": iter([1])}, {"trials": 1}, r"x \(axis of the grid\) must be a list of values"),
        ([1, 2], {"trials": 1}, r"axes must be a dictionary of parameters, got \[1, 2\]"),
        ({}, {"trials": 1, "fixed": 3}, r"fixed must be a dictionary of parameters, got 3"),
        ({}, {"trials": 0}, r"trials \(independent draws per cell\) must be a whole number in \[1, .*, got 0"),
        ({}, {"trials": 1.5}, r"trials \(independent draws per cell\) must be a whole number in .*, got 1\.5"),
    ],
)
def test_bad_grids_are_refused(axes, rest, message):
    with pytest.raises(BadInput, match=message):
        Grid(axes, **rest)


def test_nothing_is_said_to_be_kept_without_a_folder():
    def refuses(params, problem, draws):
        if params.x == 6:
            raise BadInput("not this one")
        return solve(params, problem, draws)

    refusing = Experiment(**{**vars(TOY), "solve": refuses})
    with pytest.raises(BadInput, match=r"^not this one$"):
        run(Grid({"x": [5, 6]}, trials=2), refusing)


def test_the_libraries_are_looked_for_once(monkeypatch):
    run(Grid({"x": [5]}, trials=1))  # whatever it imports is imported
    threads._libraries.cache_clear()
    searches = []
    begin = threadpoolctl.ThreadpoolController.__init__

    def counted(self):
        searches.append(self)
        begin(self)

    monkeypatch.setattr(threadpoolctl.ThreadpoolController, "__init__", counted)
    run(Grid({"x": [5]}, trials=8))
    assert len(searches) == 1


LOADED = """
import os
from neurec_core.threads import one_thread
from threadpoolctl import threadpool_info

with one_thread():
    import scipy.linalg

    print({pool["num_threads"] for pool in threadpool_info()}, os.environ["OPENBLAS_NUM_THREADS"])
"""


def test_a_library_that_a_trial_loads_takes_one_thread_too():
    environment = os.environ | {"OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "2"}
    words = [sys.executable, "-c", f"{LOADED}print(os.environ['OPENBLAS_NUM_THREADS'])"]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "{1} 1\n2\n"


# -------------------------------------------------------------------------------------------- whole processes


# The command `neurec`, but that the only experiment is the toy one.
NEUREC = """
import sys
from neurec_core import papers
from toys import TOY
papers.experiment = lambda name: TOY
from neurec_core.__main__ import main
sys.exit(main(sys.argv[1:]))
"""
WORDS = [sys.executable, "-c", NEUREC, "sweep", "toys.coin", "--over", "x=5", "--trials", "8"]


@contextlib.contextmanager
def held(tmp_path: Path, jobs: str) -> Iterator[subprocess.Popen[str]]:
    """The process of a sweep of eight trials that can store three of them, once it has."""
    words = [*WORDS, "--gate", str(tmp_path / "gate"), "--jobs", jobs, "--out", str(tmp_path / "out")]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = subprocess.Popen(words, text=True, start_new_session=True, **pipes)
    try:
        until(lambda: len(list((tmp_path / "out").glob("*.parquet"))) == 3 or process.poll() is not None)
        assert process.poll() is None, process.communicate()
        yield process
    finally:
        (tmp_path / "gate").touch()
        process.kill()
        process.communicate()


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_killed_sweep_goes_on_to_the_same_table(tmp_path, jobs):
    with held(tmp_path, jobs) as process:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        kept = set((tmp_path / "out").glob("*.parquet"))
        assert len(store.read_table(tmp_path / "out", pytest.fail)) == 3
    whole = Grid({"x": [5]}, trials=8, fixed={"gate": str(tmp_path / "gate")})
    same(run(whole, out=tmp_path / "out"), run(whole))
    files = set((tmp_path / "out").glob("*.parquet"))
    assert kept < files
    assert sum(pq.read_metadata(path).num_rows for path in files) == 8, "no row was computed twice"


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_ctrl_c_keeps_what_is_finished(tmp_path, jobs):
    with held(tmp_path, jobs) as process:
        os.killpg(process.pid, signal.SIGINT)  # a terminal interrupts the whole group, workers too
        _, err = process.communicate(timeout=LONG)
        assert process.returncode == 130, err
        assert "stopped; finished trials are kept in" in err
        assert "Traceback" not in err
        assert len(store.read_table(tmp_path / "out", pytest.fail)) == 3


def test_two_processes_on_one_folder_do_not_corrupt_it(tmp_path):
    code = (
        "from calls import wait_for; from toys import TOY; from neurec_core.sweep import sweep;"
        "from neurec_core.experiment import Grid; grid = Grid({'x': range(10)}, trials=10);"
        f"print(flush=True); wait_for({str(tmp_path / 'gate')!r});"
        f"sweep(TOY, grid, out={str(tmp_path / 'out')!r}, progress=False)"
    )
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    both = [subprocess.Popen([sys.executable, "-c", code], text=True, **pipes) for _ in range(2)]
    for process in both:
        process.stdout.readline()
    (tmp_path / "gate").touch()  # both begin now
    for process in both:
        _, err = process.communicate(timeout=LONG)
        assert process.returncode == 0, err
    grid = Grid({"x": range(10)}, trials=10)  # more than one merged file holds
    same(run(grid, out=tmp_path / "out", warn=pytest.fail), run(grid))
