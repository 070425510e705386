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
