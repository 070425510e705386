"""What the tests of the frame share."""

from __future__ import annotations

import pytest
from calls import LONG

from neurec_core import cluster


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for Dask as long as a busy machine needs; a test of what is mute sets its own patience."""
    monkeypatch.setattr(cluster, "PATIENCE_SECONDS", LONG)
