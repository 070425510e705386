"""What every test shares."""

from __future__ import annotations

import contextlib
import os
import socket
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parent

# Worker processes and sub-processes must find the tests' toy experiments, too.
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(HERE), os.environ.get("PYTHONPATH")]))


@pytest.fixture
def root() -> Path:
    """The repository."""
    return ROOT


OWN = {"localhost", "127.0.0.1", "::1", "0.0.0.0"}
with contextlib.suppress(OSError):  # a machine need not know its own name
    OWN |= {str(info[4][0]) for info in socket.getaddrinfo(socket.gethostname(), None)}


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse every connection to another machine."""
    connect = socket.socket.connect

    def guarded(self, address):
        inet = self.family in (socket.AF_INET, socket.AF_INET6) and self.type == socket.SOCK_STREAM
        assert not inet or address[0] in OWN, f"tests use no network: {address}"
        return connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)
