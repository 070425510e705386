"""Standard streams that are closed, full, or of an encoding in which not every name can be written."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import sys
from typing import Any


class Unwritten(Exception):
    """A result that standard output did not take; the message is the reason."""

    def __init__(self, error: OSError) -> None:
        super().__init__(error.strerror)
        self.closed_pipe = error.errno == errno.EPIPE


class _Results(io.FileIO):
    """Standard output: the first write that fails raises `Unwritten`, no later one is tried."""

    lost = False

    def write(self, content: Any, /) -> int:
        if self.lost:  # what a buffer still holds when the program ends
            return memoryview(content).nbytes
        try:
            return super().write(content)
        except OSError as error:
            self.lost = True
            raise Unwritten(error) from None


class _Messages(io.FileIO):
    """Standard error: what cannot be written is lost, and the run goes on."""

    def write(self, content: Any, /) -> int:
        with contextlib.suppress(OSError):
            return super().write(content)
        return memoryview(content).nbytes


def prepare() -> None:
    """Make standard streams safe to write to; called once, when the program starts.

    A closed descriptor is opened on the null device, lest the next file be opened in its place and receive what
    is meant for the stream; results for a closed standard output still fail as `Unwritten`. What the encoding of
    a stream lacks is written as a backslash escape.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:  # the lowest free descriptor is this one
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    sys.stdout = _text(sys.stdout, _Results)
    sys.stderr = _text(sys.stderr, _Messages)


def _text(stream: Any, kind: type[io.FileIO]) -> io.TextIOWrapper:
    if stream is None:  # closed from the start; a null device opened for reading refuses what is written
        raw = kind(os.open(os.devnull, os.O_RDONLY), "wb")
        return io.TextIOWrapper(io.BufferedWriter(raw), encoding="utf-8", errors="backslashreplace")
    raw = kind(stream.fileno(), "wb", closefd=False)
    settings = {"line_buffering": stream.line_buffering, "write_through": stream.write_through}
    return io.TextIOWrapper(io.BufferedWriter(raw), stream.encoding, "backslashreplace", **settings)
