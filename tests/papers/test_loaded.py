"""A run loads what it uses, and compiles nothing twice."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from neurec_core import papers


def test_a_run_loads_what_it_uses_and_compiles_nothing_twice(root):
    names = [*papers.experiments()]
    words = [sys.executable, root / "tests/helpers/loaded.py", *names]
    done = subprocess.run(words, env=os.environ, capture_output=True, text=True, check=True)
    found = {name: report for line in done.stdout.splitlines() for name, report in json.loads(line).items()}
    assert [*found] == names, done.stderr
    assert {name: report for name, report in found.items() if any(report.values())} == {}
