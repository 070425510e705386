"""Dask: what a wrong address, another version, a lost scheduler, Ctrl-C or a careless script come to."""

from __future__ import annotations

import contextlib
import gc
import http.server
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import dask
import distributed
import psutil
import pytest
from calls import LONG, echo, until, wait_for
from distributed import LocalCluster
from toys import TOY

from neurec_core import cluster, store
from neurec_core.experiment import Grid
from neurec_core.params import BadInput
from neurec_core.sweep import Shard, SweepFailed, sweep
from neurec_core.sweep import _on_cluster as on_cluster

GRID = Grid({"x": [5, 6]}, trials=2)


def run(**options):
    return sweep(TOY, GRID, progress=False, **options)


@pytest.fixture
def running() -> Iterator[LocalCluster]:
    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address="127.0.0.1:0") as here:
        yield here


@pytest.fixture
def mute() -> Iterator[str]:
    """An address that accepts and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield "tcp://{}:{}".format(*server.getsockname())


@pytest.fixture
def web() -> Iterator[str]:
    """The address of something that speaks HTTP."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler) as server:
        server.RequestHandlerClass.log_message = lambda *args: None
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield "tcp://{}:{}".format(*server.server_address)
        server.shutdown()


@pytest.mark.parametrize(
    "address",
    [
        "",
        "foo",
        "foo:1",
        "http://127.0.0.1:80",
        "tcp://",
        "tcp://h",
        "tcp://[::1",
        "inproc://1",
        "tcp://h:1/x",
        "Slurm",
    ],
)
def test_what_is_no_address_is_refused_before_anything_starts(address):
    with pytest.raises(BadInput, match=f"must be one of these, got {re.escape(repr(address))}"):
        run(scheduler=address)


@pytest.mark.parametrize("who", ["nobody", "mute", "web", "secured"])
def test_who_does_not_speak_dask_is_one_line(who, monkeypatch, capfd, request, tmp_path):
    monkeypatch.setattr(cluster, "PATIENCE_SECONDS", 2)
    sweep(TOY, Grid({"x": [5]}, trials=1), progress=False, out=tmp_path)
    named = {"nobody": "tcp://127.0.0.1:1", "secured": "tls://127.0.0.1:1"}
    address = named.get(who) or request.getfixturevalue(who)
    with pytest.raises(BadInput, match=f"^scheduler .* does not answer, got '{address}'") as refused:
        run(scheduler=address, out=tmp_path)
    assert "\n" not in str(refused.value)
    assert str(refused.value).endswith("; 1 of 4 trials are kept")
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("part", "older", "words"),
    [
        ("packages", {"distributed": "2020.1.0"}, rf"Dask 2020\.1\.0 there, {distributed.__version__} here"),
        ("host", {"python": "3.9.1.final.0"}, rf"Python 3\.9 there, {sys.version_info[0]}\.{sys.version_info[1]} here"),
    ],
)
def test_another_version_is_one_line(running, part, older, words):
    versions = running.scheduler.versions
    running.scheduler.handlers["versions"] = lambda: versions() | {part: versions()[part] | older}
    with pytest.raises(BadInput, match=rf"same version, got .*: {words}"):
        run(scheduler=running.scheduler_address)


BARE = "import sys; sys.modules['neurec_core'] = None"  # a worker on which neurec is not installed


def test_a_worker_without_neurec_that_joins_later_is_one_line(running, tmp_path):
    shard = Shard(((TOY.params(gate=str(tmp_path / "gate")), 3),), 0)
    with cluster.connect(1, running.scheduler_address) as client, ThreadPoolExecutor(1) as thread:
        first = thread.submit(next, on_cluster(client, TOY, [shard]))
        until(lambda: any(worker.processing for worker in running.scheduler.workers.values()))
        # The only trial is on the other worker, so that nothing is sent to this one.
        with dask.config.set({"distributed.worker.preload": [BARE]}):
            running.scale(2)
            until(lambda: len(running.scheduler.workers) == 2)
        with pytest.raises(BadInput, match=r"^scheduler 'tcp://\S+': tcp://\S+ cannot import neurec_core; install"):
            first.result(LONG)
        (tmp_path / "gate").touch()


def test_a_worker_without_neurec_that_is_the_only_one_and_joins_late_is_one_line(monkeypatch, tmp_path):
    """It is sent a trial before anybody can ask it what it can import."""

    def none_came(client, n_workers, timeout):
        raise TimeoutError

    def come_late():
        until(lambda: len(here.scheduler.tasks) == 3)
        here.scale(1)

    sweep(TOY, Grid({"x": [5]}, trials=1), progress=False, out=tmp_path)
    monkeypatch.setattr(distributed.Client, "wait_for_workers", none_came)
    with (
        dask.config.set({"distributed.worker.preload": [BARE]}),
        LocalCluster(n_workers=0, threads_per_worker=1, dashboard_address="127.0.0.1:0") as here,
        ThreadPoolExecutor(1) as thread,
    ):
        late = thread.submit(come_late)
        with (
            pytest.warns(UserWarning, match="no worker at"),
            pytest.raises(
                BadInput, match=r"^scheduler 'tcp://\S+': tcp://\S+ cannot import neurec_core; install"
            ) as refused,
        ):
            run(scheduler=here.scheduler_address, out=tmp_path)
        late.result(LONG)
    assert str(refused.value).endswith("; install the same version there; 1 of 4 trials are kept")


def test_a_worker_without_neurec_is_one_line():
    with (
        dask.config.set({"distributed.worker.preload": [BARE]}),
        LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address="127.0.0.1:0") as here,
        pytest.raises(BadInput, match=r"tcp://\S+ cannot import neurec_core; install the same version there"),
    ):
        run(scheduler=here.scheduler_address)


SCHEDULER = """
import asyncio, sys
from distributed import Nanny, Scheduler

async def main():
    async with Scheduler(host="127.0.0.1", port=0, dashboard_address="127.0.0.1:0") as scheduler:
        async with Nanny(scheduler.address, nthreads=1):
            print(scheduler.address, flush=True)
            await scheduler.finished()

asyncio.run(main())
"""


def test_a_scheduler_that_dies_is_one_line_and_what_is_finished_is_kept(tmp_path, monkeypatch):
    process = subprocess.Popen([sys.executable, "-c", SCHEDULER], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        address = process.stdout.readline().decode().strip()
        kept = store.Store.add

        def add(self, rows, about):
            kept(self, rows, about)
            process.kill()

        monkeypatch.setattr(store.Store, "add", add)
        grid = Grid({"x": [5]}, trials=10, fixed={"gate": str(tmp_path / "gate")})
        with pytest.raises(SweepFailed) as failed:
            sweep(TOY, grid, progress=False, scheduler=address, out=tmp_path / "out")
    finally:
        (tmp_path / "gate").touch()
        process.kill()
        process.communicate()
    rows = len(store.read_table(tmp_path / "out", pytest.fail))
    assert 1 <= rows <= 3
    assert str(failed.value) == (
        f"the scheduler went away; {rows} of 10 trials are kept; run the same command again to go on"
    )


# Slurm as far as a sweep sees it: a job is a process, and its number that of the process.
SBATCH = """#!/bin/sh
[ "$1" = --test-only ] && exit 0
sed 's/^.*dask_worker/exec &/' "$1" >{folder}/job.sh
sh {folder}/job.sh >/dev/null 2>&1 &
echo $! >>{folder}/jobs
echo "Submitted batch job $!"
"""


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """A folder in which commands stand that are called like Slurm's; home is there, too."""
    for name, text in {"sbatch": SBATCH.format(folder=tmp_path), "scancel": "#!/bin/sh\nkill $1\n"}.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "jobs").touch()
    yield tmp_path
    for job in (tmp_path / "jobs").read_text().split():
        until(lambda job=job: not psutil.pid_exists(int(job)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # dask-jobqueue leaves its open files to the garbage collector
        gc.collect()


def test_workers_of_slurm_show_certificates_that_nobody_else_can_read(slurm, monkeypatch):
    with cluster.connect(1, "slurm") as client:
        assert client.scheduler.address.startswith("tls://")
        client.wait_for_workers(1, timeout=LONG)
        assert client.submit(abs, -2).result(LONG) == 2
        words = (slurm / "job.sh").read_text()
        assert "--protocol tls://" in words
        keys = sorted(slurm.glob(".dask-jobqueue.worker.*"))
        assert len(keys) == 3
        assert all(f" ~/{key.name}" in words and key.stat().st_mode & 0o077 == 0 for key in keys)
        monkeypatch.setattr(cluster, "PATIENCE_SECONDS", 2)  # for those who get no answer
        with pytest.raises(BadInput, match="does not answer"):
            run(scheduler=client.scheduler.address)
        with pytest.raises(BadInput, match="does not answer"):
            run(scheduler=client.scheduler.address.replace("tls", "tcp"))


def test_slurm_without_certificates_is_refused(slurm, monkeypatch):
    monkeypatch.setattr(cluster, "_security", lambda: None)
    with pytest.raises(BadInput, match=r"scheduler \(slurm\) needs certificates: pip install cryptography"):
        run(scheduler="slurm")


def listening():
    """Addresses and ports at which this process and its children listen."""
    processes = [psutil.Process(), *psutil.Process().children(recursive=True)]
    return {
        connection.laddr
        for process in processes
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }


def test_a_local_cluster_is_reached_from_this_machine_only():
    before = listening()  # Servers and browsers of other tests may still run in this process.
    with cluster.connect(1, None) as client:
        ours = listening() - before
        try:
            import cryptography  # noqa: F401
        except ImportError:
            assert client.scheduler.address.startswith("tcp://127.0.0.1:")
        else:
            assert client.scheduler.address.startswith("tls://127.0.0.1:")
    assert len(ours) > 1
    assert {address.ip for address in ours} == {"127.0.0.1"}


def test_workers_are_not_waited_for_when_a_sweep_is_stopped(tmp_path, monkeypatch):
    """They end before Dask closes the cluster, which would ask them to and wait."""
    leave = LocalCluster.__exit__

    def after_the_worker(here, *error):
        worker.wait(LONG)
        ended.append(worker)
        return leave(here, *error)

    ended: list[psutil.Process] = []
    monkeypatch.setattr(LocalCluster, "__exit__", after_the_worker)
    with contextlib.suppress(KeyboardInterrupt), cluster.connect(1, None) as client:
        waiting = client.submit(echo, 1, tmp_path / "begun", tmp_path / "gate")
        wait_for(tmp_path / "begun")
        worker = psutil.Process(next(iter(client.run(os.getpid).values())))
        raise KeyboardInterrupt
    assert ended == [worker]
    assert waiting.status != "finished"


def test_ctrl_c_while_a_local_cluster_starts_is_heard(monkeypatch):
    """The signal comes in the middle of the start, where it must neither be lost nor reach the workers."""
    start = distributed.LocalCluster

    def interrupted(**options):
        os.kill(os.getpid(), signal.SIGINT)
        here = start(**options)
        started.append(here)
        return here

    started: list[LocalCluster] = []
    monkeypatch.setattr(distributed, "LocalCluster", interrupted)
    # A shell starts what runs in its background deaf to the signal.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            run(jobs=2)
    finally:
        signal.signal(signal.SIGINT, before)
    assert all(here.status.name == "closed" for here in started)
    assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == set()


def test_workers_do_not_get_ctrl_c():
    with cluster.connect(1, None) as client:
        (masks,) = client.run(signal.pthread_sigmask, signal.SIG_BLOCK, []).values()
        assert signal.SIGINT in masks


@pytest.mark.parametrize("scheduler", [None, "slurm"])
def test_a_cluster_started_here_that_does_not_answer_is_no_bad_input(monkeypatch, scheduler):
    class Refusing:
        def __init__(self, *args, **options):
            raise OSError("Timed out trying to connect")

    monkeypatch.setattr(distributed, "Client", Refusing)
    monkeypatch.setattr(cluster, "_slurm", cluster._local)
    with (
        pytest.raises(cluster.ClusterFailed, match=r"^the cluster does not answer: Timed out"),
        cluster.connect(1, scheduler),
    ):
        pass


UNGUARDED = """
from toys import TOY
from neurec_core.experiment import Grid
from neurec_core.sweep import sweep

sweep(TOY, Grid({"x": [5]}, trials=4), jobs=2, progress=False)
"""


def test_a_script_without_a_guard_gets_one_line(tmp_path):
    (tmp_path / "script.py").write_text(UNGUARDED, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "script.py"], cwd=tmp_path, capture_output=True, encoding="utf-8", timeout=LONG, check=False
    )
    last = done.stderr.strip().splitlines()[-1]
    assert "a script must call sweep behind: if __name__ == '__main__'" in last
    assert "bootstrapping" not in done.stderr, "no traceback of a worker that imported the script"


def test_without_dask_one_process_is_the_default(monkeypatch):
    assert cluster.default_jobs() == cluster.cores()
    monkeypatch.setitem(sys.modules, "distributed", None)
    assert cluster.default_jobs() == 1
    with pytest.raises(BadInput, match=r"jobs and scheduler need Dask: pip install 'neurec\[scale\]'"):
        run(jobs=2)
