"""Computing beside a live figure: one run at a time, the newest request wins, a stale long run is killed."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from typing import Any

from threadpoolctl import threadpool_limits

# A run older than this is given up as soon as something newer is asked for. Shorter runs are let finish:
# giving up every run that is overtaken would draw nothing until the hand rests.
PATIENCE_SECONDS = 1.0


class Cancelled(Exception):
    """The run was killed because a newer one was asked for."""


class Worker:
    """A process that runs one call at a time and can be killed; the next call starts a fresh one.

    A process, not a thread: a solver cannot be interrupted, and the page must stay alive beside it.
    """

    def __init__(self) -> None:
        self.start_seconds = 0.0
        self._one_call = threading.Lock()
        self._prepare: tuple[Any, ...] | None = None
        self._start()

    def _start(self) -> None:
        # Spawned: a forked child inherits locks that a solver's threads held in the parent.
        context = multiprocessing.get_context("spawn")
        self._connection, child = context.Pipe()
        self._process = context.Process(target=_serve, args=(child,), daemon=True)
        self._process.start()
        child.close()
        self._prepared = False

    def prepare_with(self, function: Callable[..., Any], *args: Any) -> None:
        """Have every new process run ``function(*args)`` first, for the imports that it brings."""
        self._prepare = (function, args)

    def ready(self) -> None:
        """Return when a process stands by, its imports done; measures ``start_seconds``."""
        with self._one_call:
            if not self._process.is_alive():
                self._start()
            if not self._prepared:
                begin = time.monotonic()
                self._ask(*(self._prepare or (len, ((),))))
                self.start_seconds, self._prepared = time.monotonic() - begin, True

    def call(self, function: Callable[..., Any], *args: Any) -> Any:
        """Run ``function(*args)`` there; its exceptions are raised here.

        Raises
        ------
        Cancelled : the process was killed meanwhile
        """
        self.ready()
        with self._one_call:
            ok, value = self._ask(function, args)
        if ok:
            return value
        raise value

    def _ask(self, function: Callable[..., Any], args: tuple[Any, ...]) -> tuple[bool, Any]:
        try:
            self._connection.send((function, args))
            answer: tuple[bool, Any] = self._connection.recv()
        except (EOFError, OSError):
            self._process.join()  # here only: of two threads that wait for a process, one is never told
            raise Cancelled from None
        return answer

    def kill(self) -> None:
        """End the process, and with it the call that is under way."""
        self._process.kill()


def _serve(connection: Connection) -> None:
    # Small problems: more threads cost more than they bring. The variables are for libraries not loaded yet.
    os.environ.update({"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"})
    while True:
        try:
            function, args = connection.recv()
        except (EOFError, KeyboardInterrupt):  # the kernel has ended, or its run was interrupted
            return
        try:
            with threadpool_limits(1):
                answer = (True, function(*args))
        except Exception as error:
            answer = (False, error)
        connection.send(answer)


class Latest:
    """Runs requests on a `Worker`, keeping only the newest that waits.

    Parameters
    ----------
    compute : module-level function, called as ``compute(*request)`` in the worker
    show : called with ``(request, result)`` on the event loop
    tell : called with a line of state: "computing", "ready", or an error's message
    patience : seconds after which a run that has been overtaken is killed
    """

    def __init__(
        self,
        compute: Callable[..., Any],
        show: Callable[[tuple[Any, ...], Any], None],
        tell: Callable[[str], None],
        patience: float = PATIENCE_SECONDS,
    ) -> None:
        self.compute, self.show, self.tell, self.patience = compute, show, tell, patience
        self.worker = Worker()
        self.counts = {"started": 0, "shown": 0, "cancelled": 0, "failed": 0}
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="neurec-explore")
        self._waiting: tuple[Any, ...] | None = None
        self._task: asyncio.Task[None] | None = None
        self._since = float("inf")
        self._gave_up = False

    def submit(self, *request: Any) -> None:
        """Ask for a result; call it on the event loop."""
        self._waiting = request
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._drain())
        elif time.monotonic() - self._since > self._patience():
            self.give_up()

    def _patience(self) -> float:
        # A kill costs a new process; no run is given up for less than that.
        return max(self.patience, self.worker.start_seconds)

    def give_up(self) -> None:
        """Kill what runs."""
        self._gave_up = True
        self.worker.kill()

    def warm(self, *request: Any) -> None:
        """Have every process compute this once and show nothing, so that imports are paid for beforehand."""
        self.worker.prepare_with(self.compute, *request)
        self._thread.submit(self.worker.ready)

    async def settled(self) -> None:
        """Return when nothing runs and nothing waits."""
        while self._task is not None and not self._task.done():
            await asyncio.shield(self._task)

    def close(self) -> None:
        """End the worker process."""
        self.worker.kill()
        self._thread.shutdown(wait=False)

    async def _drain(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting is not None:
            self.tell("computing")
            with contextlib.suppress(Cancelled):  # killed a moment too late: the call starts a fresh process
                await loop.run_in_executor(self._thread, self.worker.ready)
            request, self._waiting = self._waiting, None
            self._since = time.monotonic()
            self.counts["started"] += 1
            overdue = loop.call_later(self._patience(), self._give_up_if_overtaken)
            try:
                result = await loop.run_in_executor(self._thread, self.worker.call, self.compute, *request)
                self.show(request, result)
                self.counts["shown"] += 1
                self.tell("ready")
            except Cancelled:
                self._cancelled(request)
            except Exception as error:
                self.counts["failed"] += 1
                self.tell(str(error) or type(error).__name__)
            finally:
                overdue.cancel()
                self._since = float("inf")

    def _cancelled(self, request: tuple[Any, ...]) -> None:
        if not self._gave_up:
            self.counts["failed"] += 1
            self.tell("the computation's process died; was there enough memory?")
            return
        self._gave_up = False
        self.counts["cancelled"] += 1
        if self._waiting is None:  # the kill was meant for the run before, which had just ended
            self._waiting = request

    def _give_up_if_overtaken(self) -> None:
        if self._waiting is not None:
            self.give_up()
