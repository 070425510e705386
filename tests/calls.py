"""Functions to call in another process; importing them costs nothing."""

import os
import signal
import time


def echo(value, seconds=0.0):
    time.sleep(seconds)
    return value


def fail(*_):
    raise ValueError("as asked")


def threads():
    from threadpoolctl import threadpool_info

    return {pool["num_threads"] for pool in threadpool_info()}


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def count(stop, seconds=0.0, raises=None):
    """0, 1, ... and the process that counts; a pause before each number but the first."""
    for number in range(stop):
        time.sleep(seconds if number else 0.0)
        if number == raises:
            raise ValueError("as asked")
        yield number, os.getpid()


class Unreadable:
    """Something that travels well and cannot be unpacked."""

    def __reduce__(self):
        return fail, ()


def unreadable():
    yield Unreadable()
    yield 1
