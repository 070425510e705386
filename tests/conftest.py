"""What every test shares."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import psutil
import pytest

HERE = Path(__file__).parent
ROOT = HERE.parent

# Worker processes and sub-processes must find the tests' toy experiments, too.
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(HERE / "helpers"), os.environ.get("PYTHONPATH")]))


@pytest.fixture
def root() -> Path:
    """The repository."""
    return ROOT


# This machine's own addresses: a scheduler for other machines listens on all of them.
OWN = {"localhost", "0.0.0.0", *(a.address for interface in psutil.net_if_addrs().values() for a in interface)}


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse every connection to another machine."""
    connect = socket.socket.connect

    def guarded(self, address):
        inet = self.family in (socket.AF_INET, socket.AF_INET6) and self.type == socket.SOCK_STREAM
        assert not inet or address[0] in OWN, f"tests use no network: {address}"
        return connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)
