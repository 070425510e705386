"""Where a sweep runs when it does not run in its own process: Dask, locally, by address or on Slurm."""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import logging
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

from .params import BadInput

PACKAGE = __name__.partition(".")[0]
PATIENCE_SECONDS = 15  # for a scheduler to answer, and for its first worker to be there
GRACE_SECONDS = 60  # that trials wait on this machine while no worker is alive; one starts in a few
ADDRESS = re.compile(r"(tcp|tls)://(\[[0-9A-Fa-f:.%]+\]|[\w.-]+):\d{1,5}")
WHERE = "tcp://HOST:PORT of a running Dask scheduler, or slurm"
WHAT = f"scheduler ({WHERE})"


class ClusterFailed(RuntimeError):
    """A cluster that cannot go on: its workers do not start or do not come back, or its scheduler went away."""


@contextlib.contextmanager
def connect(jobs: int, scheduler: str | None) -> Iterator[Any]:
    """A Dask client: of a local cluster, of a running scheduler, or of Slurm.

    Raises
    ------
    BadInput : the packages are not installed, nothing that can be used answers at that address, or other versions do
    ClusterFailed : the workers of this machine do not start, or a cluster started here does not answer
    """
    try:
        import distributed
        from distributed.utils import silence_logging_cmgr
    except ImportError:
        raise BadInput("jobs and scheduler need Dask: pip install 'neurec[scale]'") from None
    with contextlib.ExitStack() as stack:
        # What goes wrong is said here, in one line; Dask would add pages.
        stack.enter_context(silence_logging_cmgr(logging.CRITICAL))
        if scheduler is None:
            with _ctrl_c_held_back():
                address = stack.enter_context(_local(jobs))
        elif scheduler == "slurm":
            address = stack.enter_context(_slurm(jobs))
        else:
            _check_scheduler(scheduler)
            address = scheduler
        try:
            client = stack.enter_context(distributed.Client(address, timeout=PATIENCE_SECONDS, set_as_default=False))
            if scheduler is not None:
                _check_workers(client, scheduler)
        except BadInput:
            raise
        except Exception as error:
            if scheduler in (None, "slurm"):  # one that was started here
                raise ClusterFailed(f"the cluster does not answer: {_line(error)}") from error
            raise BadInput(f"{WHAT} does not answer, got {scheduler!r}: {_line(error)}") from None
        yield client


def default_jobs() -> int:
    """Processes to use where nobody says: one for each processor, or this one where Dask is not installed."""
    return cores() if importlib.util.find_spec("distributed") else 1


def _check_scheduler(address: str) -> None:
    """Ask who answers: a `Client` would wait for minutes if nobody does, or if it is not Dask that does."""
    if not isinstance(address, str) or not ADDRESS.fullmatch(address):
        raise BadInput(f"{WHAT} must be one of these, got {address!r}")
    import asyncio

    from distributed import Security, rpc

    answers: list[Any] = []

    async def ask() -> Any:
        secured = Security().get_connection_args("client")
        async with rpc(address, timeout=PATIENCE_SECONDS, connection_args=secured) as scheduler:
            return await asyncio.wait_for(scheduler.versions(), PATIENCE_SECONDS)

    def listen() -> None:
        try:
            versions = asyncio.run(ask())
            answers.append((versions["packages"]["distributed"], ".".join(versions["host"]["python"].split(".")[:2])))
        except Exception as error:  # whatever somebody else's program, or another Dask, makes of it
            answers.append(error)

    # In a thread of its own: a notebook's thread has a loop already, and nothing can stop one that waits for ever.
    asking = threading.Thread(target=listen, daemon=True)
    asking.start()
    asking.join(PATIENCE_SECONDS)
    if not answers or isinstance(answers[0], Exception):
        reason = _line(answers[0]) if answers else f"nothing was said for {PATIENCE_SECONDS:g} s"
        raise BadInput(f"{WHAT} does not answer, got {address!r}: {reason}")
    # What travels as bytecode is read by the same minor version of Python only.
    here = importlib.metadata.version("distributed"), f"{sys.version_info.major}.{sys.version_info.minor}"
    for name, theirs, ours in zip(("Dask", "Python"), answers[0], here, strict=True):
        if theirs != ours:
            versions = f"{name} {theirs} there, {ours} here"
            raise BadInput(f"{WHAT} must run the same version, got {address!r}: {versions}")


def _check_workers(client: Any, scheduler: str) -> None:
    try:
        client.wait_for_workers(1, timeout=PATIENCE_SECONDS)
    except TimeoutError:
        # It may be one that grows on demand, or a queue that is long; saying nothing would look like a hang.
        warnings.warn(f"no worker at {scheduler} yet; waiting (Ctrl-C stops)", stacklevel=2)
    _check_imports(scheduler, {"the scheduler": client.run_on_scheduler(importlib.util.find_spec, PACKAGE)})
    check_newcomers(client, set())


def check_newcomers(client: Any, checked: set[str]) -> None:
    """Ask every worker that is not yet among those `checked` whether it can import this package.

    Where it cannot, it is better known before a shard is sent there.

    Raises
    ------
    BadInput : "scheduler 'tcp://...': tcp://... cannot import neurec_core; install the same version there"
    """
    with contextlib.suppress(OSError, TimeoutError):  # the scheduler is gone, as whoever waits for it will hear
        there = set(client.scheduler_info()["workers"]) - checked
        if there:
            found = client.run(importlib.util.find_spec, PACKAGE, workers=list(there), on_error="return")
            answers = {where: spec for where, spec in found.items() if not isinstance(spec, OSError)}  # who is left
            _check_imports(client.scheduler.address, answers)
            checked |= answers.keys()


def submit(client: Any, function: Callable[..., Any], *args: Any) -> Any:
    """A future of ``function(*args)``, which `result` reads.

    It travels as bytes beside a function that is sent by value: a worker that cannot import this package could not
    unpack the message, would close its connection, and be sent the next one when it is back.
    """
    import cloudpickle

    def unpacked(content: bytes) -> Any:
        import pickle

        from distributed import get_worker

        try:
            function, args = pickle.loads(content)
        except ImportError as error:
            return get_worker().address, (error.name or "").partition(".")[0] or str(error)
        return (function(*args),)

    return client.submit(unpacked, cloudpickle.dumps((function, args)), pure=False)


def result(client: Any, future: Any) -> Any:
    """What was computed; an error is raised as it was there.

    Raises
    ------
    BadInput : "scheduler 'tcp://...': tcp://... cannot import neurec_core; install the same version there"
    """
    first, *missing = future.result()
    if missing:
        _refuse_worker(client.scheduler.address, first, *missing)
    return first


def _refuse_worker(scheduler: str, where: str, missing: str = PACKAGE) -> NoReturn:
    raise BadInput(f"scheduler {scheduler!r}: {where} cannot import {missing}; install the same version there")


def _check_imports(scheduler: str, found: dict[str, Any]) -> None:
    for where, spec in found.items():
        if spec is None or isinstance(spec, BaseException):
            _refuse_worker(scheduler, where)


def _line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__


@contextlib.contextmanager
def _ctrl_c_held_back() -> Iterator[None]:
    # A terminal sends Ctrl-C to the workers, too, who would die with a traceback each. Processes started while the
    # signal is blocked never get it, and end when this process closes their cluster; this one gets it afterwards.
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "pthread_sigmask"):
        yield  # only in the main thread does Ctrl-C arrive
        return
    from multiprocessing import resource_tracker

    resource_tracker.ensure_running()  # which unblocks the signal when it starts
    # A thread that does not block it may be handed the signal all the same: it is noted, and raised again afterwards.
    heard: list[int] = []
    handler = signal.signal(signal.SIGINT, lambda number, _: heard.append(number))
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        signal.signal(signal.SIGINT, handler or signal.SIG_DFL)
        if heard:
            signal.raise_signal(signal.SIGINT)


@contextlib.contextmanager
def _local(jobs: int) -> Iterator[Any]:
    """One single-thread process per core; spawned, since a forked one would inherit a solver's locks."""
    with _started(jobs) as here:
        try:
            yield here
        except BaseException:  # nobody waits for what is still computed; Dask would, for half a minute
            for nanny in here.workers.values():
                if nanny.pid:
                    os.kill(nanny.pid, signal.SIGTERM)
            raise


def _started(jobs: int) -> Any:
    import dask
    from distributed import LocalCluster

    if getattr(multiprocessing.current_process(), "_inheriting", False):
        sys.exit(1)  # a worker that imports a script without a guard; the process that started it says so
    # Dask does not always start a worker again that died while it started, and trials would wait for ever. So they
    # would for one that is paused for want of memory, which counts as dead, too: it is to go on, a trial at a time.
    alive = {"distributed.scheduler.no-workers-timeout": GRACE_SECONDS, "distributed.worker.memory.pause": False}
    # Port 0: any free one. The usual port may be taken by another sweep. Connections never leave this machine, and do
    # without certificates where the package that makes them is missing.
    here = {"host": "127.0.0.1", "dashboard_address": "127.0.0.1:0", "security": _security()}
    try:
        with dask.config.set(alive):
            return LocalCluster(
                n_workers=jobs, threads_per_worker=1, processes=True, silence_logs=logging.CRITICAL, **here
            )
    except RuntimeError as error:
        main = sys.modules["__main__"]
        script = getattr(main, "__spec__", None) is None and hasattr(main, "__file__")
        guard = " (a script must call sweep behind: if __name__ == '__main__')" if script else ""
        raise ClusterFailed(f"the workers do not start{guard}: {_line(error)}") from error


def _security() -> Any:
    """Certificates for one cluster, so that nobody else can send it code to run; None where nothing makes them."""
    from distributed import Security

    try:
        return Security.temporary()
    except ImportError:
        return None


def _slurm(jobs: int) -> Any:
    """One single-thread worker per Slurm job; queue, memory and walltime as dask-jobqueue is configured."""
    import dask
    from dask_jobqueue import SLURMCluster

    site, security = dask.config.get("jobqueue.slurm", {}), _security()
    if security is None:  # the scheduler listens to the whole network
        raise BadInput("scheduler (slurm) needs certificates: pip install cryptography")
    cluster = SLURMCluster(
        security=security,
        shared_temp_directory=site.get("shared-temp-directory") or "~",  # where the workers read their keys
        cores=1,
        processes=1,
        memory=site.get("memory") or "4GB",
        walltime=site.get("walltime") or "12:00:00",
        scheduler_options={"dashboard_address": "127.0.0.1:0"},
    )
    _check_submission(cluster.job_script())
    cluster.scale(jobs=jobs)
    return cluster


def _check_submission(script: str) -> None:
    # Asked before: dask-jobqueue would wait for ever for workers whose job was refused.
    try:
        words = ["sbatch", "--test-only"]
        asked = subprocess.run(
            words, input=script, capture_output=True, encoding="utf-8", errors="replace", check=False
        )
    except OSError as error:
        raise BadInput(f"scheduler (slurm) needs sbatch on this machine: {error.strerror}") from None
    if asked.returncode:
        raise BadInput(f"scheduler (slurm) refuses the job: {' '.join(asked.stderr.split())}")


def cores() -> int:
    """Processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
