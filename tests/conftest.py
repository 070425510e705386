"""What every test shares."""

from __future__ import annotations

import os
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
