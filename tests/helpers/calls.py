"""Functions to call in another process; importing them costs nothing.

They wait for files, never for a while: whoever calls them decides what happens when, on any machine.
"""

import os
import signal
import time
from pathlib import Path

LONG = 1200  # seconds after which something has hung: nothing takes so long, however busy the machine


def until(reached, what="this"):
    """Return as soon as a condition holds."""
    end = time.monotonic() + LONG
    while not reached():
        if time.monotonic() > end:
            raise TimeoutError(f"{what} did not come about within twenty minutes")
        time.sleep(0.01)


def wait_for(path):
    """Return as soon as there is such a file."""
    until(Path(path).exists, f"a file {path}")


def echo(value, begun=None, gate=None):
    """`value`; where files are named, after one was made and as soon as there is the other."""
    if begun is not None:
        Path(begun).touch()
    if gate is not None:
        wait_for(gate)
    return value


def fail(*_):
    raise ValueError("as asked")


def threads():
    from threadpoolctl import threadpool_info

    return {pool["num_threads"] for pool in threadpool_info()}


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def count(stop, raises=None, log=None, gates=None):
    """0, 1, ... and the process that counts.

    Each number is written to the file `log`, and "end" when nobody wants more. Number k > 0 waits for a file k in the
    folder `gates`.
    """
    for number in range(stop):
        if number == raises:
            raise ValueError("as asked")
        if gates is not None and number:
            wait_for(Path(gates, str(number)))
        note(log, number)
        yield number, os.getpid()
    note(log, "end")


def note(log, word):
    """Add a line to a file."""
    if log is not None:
        with Path(log).open("a", encoding="utf-8") as file:
            file.write(f"{word}\n")


class Unreadable:
    """Something that travels well and cannot be unpacked."""

    def __reduce__(self):
        return fail, ()


def unreadable():
    yield Unreadable()
    yield 1
