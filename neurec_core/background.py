"""Computing beside a live figure: one run at a time, the newest request wins, a stale long run is killed."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from typing import Any

from threadpoolctl import threadpool_limits

# A run that has been silent for longer than this is given up as soon as something newer is asked for. Shorter
# runs are let finish: giving up every run that is overtaken would draw nothing until the hand rests.
PATIENCE_SECONDS = 1.0
# Between two parts that are shown: the page needs time to draw, and to hear of a slider.
FRAME_SECONDS = 0.1


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
        self._killed: Any = None  # the process that was killed last
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
            if self._killed is self._process or not self._process.is_alive():
                self._process.join()  # a process that is killed is alive for a while
                self._start()
            if not self._prepared:
                begin = time.monotonic()
                kind, _ = self._ask(self._prepare or (len, ((),)))
                if kind == "part":  # of a stream the first part brings every import
                    self._ask(False)
                self.start_seconds, self._prepared = time.monotonic() - begin, True

    def call(self, function: Callable[..., Any], *args: Any) -> Any:
        """Run ``function(*args)`` there; its exceptions are raised here.

        Raises
        ------
        Cancelled : the process was killed meanwhile
        """
        value = None
        for part in self.stream(function, *args):
            value = part
        return value

    def stream(self, function: Callable[..., Any], *args: Any) -> Generator[Any, None, None]:
        """Run ``function(*args)`` there, and yield what it yields as it comes, or the one thing it returns.

        The process waits with its next part until it is asked for it. Closing the stream ends the call at the
        part that came last, and keeps the process.

        Raises
        ------
        Cancelled : the process was killed meanwhile
        """
        self.ready()
        with self._one_call:
            kind, value = self._ask((function, args))
            while kind == "part":
                try:
                    yield value
                except GeneratorExit:
                    self._ask(False)
                    raise
                kind, value = self._ask(True)
        if kind == "error":
            raise value

    def _ask(self, message: Any) -> tuple[str, Any]:
        """Send a call, or whether to go on with it; get ("part", value), ("end", None) or ("error", exception)."""
        try:
            self._connection.send(message)
            answer: tuple[str, Any] = self._connection.recv()
        except (EOFError, OSError):
            self._process.join()  # under the lock only: of two threads that wait for a process, one never hears of it
            raise Cancelled from None
        except BaseException:  # interrupted, or what came cannot be read: the process would wait for another word
            self._process.kill()
            self._process.join()
            raise
        return answer

    def kill(self) -> None:
        """End the process, and with it the call that is under way."""
        self._killed = process = self._process
        process.kill()


def _serve(connection: Connection) -> None:
    # Small problems: more threads cost more than they bring. The variables are for libraries not loaded yet.
    os.environ.update({"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"})
    # Until the kernel has ended, or its run was interrupted.
    with contextlib.suppress(EOFError, OSError, KeyboardInterrupt):
        while True:
            function, args = connection.recv()
            answer: tuple[str, Any] = ("end", None)
            try:
                with threadpool_limits(1), contextlib.closing(_parts(function, args)) as parts:
                    for part in parts:
                        connection.send(("part", part))
                        if not connection.recv():
                            break
            except Exception as error:
                answer = ("error", error)
            connection.send(answer)


def _parts(function: Callable[..., Any], args: tuple[Any, ...]) -> Generator[Any, None, None]:
    result = function(*args)
    if isinstance(result, Generator):
        yield from result
    else:
        yield result


class Latest:
    """Runs requests on a `Worker`, keeping only the newest that waits.

    Where `compute` is a generator, its parts are shown as they come; of parts that come faster than they can be
    shown, only the newest. The last part is always shown. A newer request, or `stop`, ends a run at its next part.

    Parameters
    ----------
    compute : module-level function or generator, called as ``compute(*request)`` in the worker
    show : called with ``(request, result)``, or ``(request, part)``, on the event loop
    report : called with a line of state: "computing", "ready", "stopped", or an error's message
    patience : seconds without a part after which a run that nobody wants any more is killed
    """

    def __init__(
        self,
        compute: Callable[..., Any],
        show: Callable[[tuple[Any, ...], Any], None],
        report: Callable[[str], None],
        patience: float = PATIENCE_SECONDS,
    ) -> None:
        self.compute, self.show, self.report, self.patience = compute, show, report, patience
        self.worker = Worker()
        self.counts = {"started": 0, "shown": 0, "cancelled": 0, "failed": 0}
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="neurec-explore")
        self._waiting: tuple[Any, ...] | None = None
        self._task: asyncio.Task[None] | None = None
        self._part: list[Any] = []  # the newest that is not yet shown, if any
        self._since = float("inf")  # the last sign of life of what runs
        self._stopped = False
        self._gave_up = False

    def submit(self, *request: Any) -> None:
        """Ask for a result; call it on the event loop."""
        self._waiting = request
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._drain())

    def stop(self) -> None:
        """Want nothing any more: what runs ends at its next part, or is killed if none comes; what was shown stays."""
        self._waiting, self._stopped = None, True

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
            self._stopped = False
            self.report("computing")
            with contextlib.suppress(Exception):  # the call tries again: an error is shown then
                await loop.run_in_executor(self._thread, self.worker.ready)
            request, self._waiting = self._waiting, None
            try:
                if request is not None:  # else it was stopped before it began
                    await self._run(request)
                self.report("stopped" if self._stopped else "ready")
            except Cancelled:
                self._cancelled(request)
            except Exception as error:
                self.counts["failed"] += 1
                self.report(str(error) or type(error).__name__)

    async def _run(self, request: tuple[Any, ...]) -> None:
        self.counts["started"] += 1
        self._part, self._since = [], time.monotonic()
        run = asyncio.get_running_loop().run_in_executor(self._thread, self._compute, request)
        broken: BaseException | None = None
        while not run.done():
            await asyncio.wait([run], timeout=FRAME_SECONDS)
            if self._part and broken is None:
                try:
                    self.show(request, self._part.pop())
                    self.counts["shown"] += 1
                except Exception as error:
                    broken, self._stopped = error, True
            elif self._unwanted() and time.monotonic() - self._since > self._patience():
                self.give_up()
        if failure := broken or run.exception():
            raise failure

    def _compute(self, request: tuple[Any, ...]) -> None:  # in the thread
        with contextlib.closing(self.worker.stream(self.compute, *request)) as parts:
            for part in parts:
                self._part, self._since = [part], time.monotonic()
                if self._unwanted():
                    break

    def _unwanted(self) -> bool:
        return self._stopped or self._waiting is not None

    def _patience(self) -> float:
        # A kill costs a new process; no run is given up for less than that.
        return max(self.patience, self.worker.start_seconds)

    def _cancelled(self, request: tuple[Any, ...]) -> None:
        if not self._gave_up:
            self.counts["failed"] += 1
            self.report("the computation's process died; was there enough memory?")
            return
        self._gave_up = False
        self.counts["cancelled"] += 1
        if self._stopped:
            self.report("stopped")
        elif self._waiting is None:  # the kill was meant for the run before, which had just ended
            self._waiting = request
