"""Where a sweep runs when it does not run in its own process: Dask, locally, by address or on Slurm."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import threading
import warnings
from collections.abc import Iterator
from typing import Any

from .params import BadInput

PATIENCE_SECONDS = 20  # for a scheduler to answer, and for its first worker to be there
GRACE_SECONDS = 60  # that trials wait on this machine while no worker is alive; one starts in a few


class NoWorkers(RuntimeError):
    """Workers that do not start, or died and did not come back."""


@contextlib.contextmanager
def connect(jobs: int, scheduler: str | None) -> Iterator[Any]:
    """A Dask client: of a local cluster, of a running scheduler, or of Slurm.

    Raises
    ------
    BadInput : the packages are not installed, or nothing answers at that address
    NoWorkers : the workers of this machine do not start
    """
    try:
        import distributed
    except ImportError:
        raise BadInput("jobs and scheduler need Dask: pip install 'neurec-core[scale]'") from None
    with contextlib.ExitStack() as stack:
        if scheduler is None:
            with _deaf_to_ctrl_c():
                address = stack.enter_context(_local(jobs))
        elif scheduler == "slurm":
            address = stack.enter_context(_slurm(jobs))
        else:
            address = scheduler
        try:
            client = distributed.Client(address, timeout=PATIENCE_SECONDS, set_as_default=False)
        except (OSError, ValueError) as error:
            what = "scheduler (tcp://HOST:PORT of a running Dask scheduler, or slurm)"
            raise BadInput(f"{what} does not answer, got {scheduler!r}: {error}") from None
        yield _with_workers(stack.enter_context(client), scheduler)


def _with_workers(client: Any, scheduler: str | None) -> Any:
    try:
        client.wait_for_workers(1, timeout=PATIENCE_SECONDS)
    except TimeoutError:
        # It may be one that grows on demand, or a queue that is long; saying nothing would look like a hang.
        warnings.warn(f"no worker at {scheduler} yet; waiting (Ctrl-C stops)", stacklevel=2)
    return client


@contextlib.contextmanager
def _deaf_to_ctrl_c() -> Iterator[None]:
    # A terminal sends Ctrl-C to the workers, too, who would die with a traceback each. Processes started while
    # the signal is ignored ignore it for good, and end when this process closes their cluster.
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may change a signal, and only there does Ctrl-C arrive
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _local(jobs: int) -> Any:
    """One single-thread process a core; spawned, since a forked one would inherit a solver's locks."""
    import dask
    from distributed import LocalCluster

    # Dask does not always start a worker again that died while it started, and trials would wait for ever. So they
    # would for one that is paused for want of memory, which counts as dead, too: it is to go on, a trial at a time.
    alive = {"distributed.scheduler.no-workers-timeout": GRACE_SECONDS, "distributed.worker.memory.pause": False}
    # Port 0: any free one. The usual port may be taken by another sweep.
    quiet = {"dashboard_address": "127.0.0.1:0", "silence_logs": logging.CRITICAL}
    try:
        with dask.config.set(alive):
            return LocalCluster(n_workers=jobs, threads_per_worker=1, processes=True, **quiet)
    except RuntimeError as error:
        raise NoWorkers(f"the workers do not start: {error}") from error


def _slurm(jobs: int) -> Any:
    """One single-thread worker a Slurm job; queue, memory and walltime as dask-jobqueue is configured."""
    import dask
    from dask_jobqueue import SLURMCluster

    site = dask.config.get("jobqueue.slurm", {})
    cluster = SLURMCluster(
        cores=1,
        processes=1,
        memory=site.get("memory") or "4GB",
        walltime=site.get("walltime") or "12:00:00",
        scheduler_options={"dashboard_address": ":0"},
    )
    _check_submission(cluster.job_script())
    cluster.scale(jobs=jobs)
    return cluster


def _check_submission(script: str) -> None:
    # Asked before: dask-jobqueue would wait for ever for workers whose job was refused.
    try:
        asked = subprocess.run(["sbatch", "--test-only"], input=script, capture_output=True, text=True, check=False)
    except OSError as error:
        raise BadInput(f"scheduler (slurm) needs sbatch on this machine: {error.strerror}") from None
    if asked.returncode:
        raise BadInput(f"scheduler (slurm) refuses the job: {' '.join(asked.stderr.split())}")


def cores() -> int:
    """Processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
