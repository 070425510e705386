"""What would take more memory than the machine has is refused before it is computed, in one line."""

from __future__ import annotations

import math
import os
import resource
import sys

import numpy as np
import pytest
import torch
from toys import TOGETHER, TOY

from neurec_core import memory
from neurec_core.draws import Draws
from neurec_core.experiment import Experiment, Grid, Status
from neurec_core.params import BadInput
from neurec_core.sweep import sweep

GIB = 2**30
# A trial takes as many GiB as its first parameter says; this machine has 24.
HEAVY = Experiment(**{**vars(TOY), "name": "toys.heavy", "bytes": lambda params: params.y * GIB, "batch": 4})


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(memory, "total", lambda: 24.0 * GIB)


def put(root, path, text):
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text)


@pytest.fixture
def system(tmp_path, monkeypatch):
    monkeypatch.undo()  # the real `total`
    monkeypatch.setattr(memory, "SYSTEM", tmp_path)
    return tmp_path


def test_the_machines_memory_is_known(system):
    assert memory.total() == os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def test_a_control_group_of_version_2_limits_it_and_so_do_those_around_it(system):
    put(system, "proc/self/cgroup", "0::/user.slice/job\n")
    put(system, "sys/fs/cgroup/user.slice/job/memory.max", "max\n")
    put(system, "sys/fs/cgroup/user.slice/memory.max", "1048576\n")
    assert memory.total() == 1048576
    put(system, "sys/fs/cgroup/user.slice/job/memory.max", "4096\n")
    assert memory.total() == 4096


def test_a_container_sees_its_group_at_the_root(system):
    put(system, "proc/self/cgroup", "0::/../../elsewhere\n")
    put(system, "sys/fs/cgroup/memory.max", "8192\n")
    assert memory.total() == 8192


def test_a_control_group_of_version_1_limits_it(system):
    put(system, "proc/self/cgroup", "9:name=systemd:/\n5:cpu,cpuacct:/a\n4:memory:/a:b\n0::/\n")
    put(system, "sys/fs/cgroup/memory/memory.limit_in_bytes", f"{2**63 - 4096}\n")
    put(system, "sys/fs/cgroup/memory/a:b/memory.limit_in_bytes", "12288\n")
    assert memory.total() == 12288


def test_where_nothing_is_known_nothing_is_refused(system, monkeypatch):
    def no_name(_):
        raise ValueError("unrecognized configuration name")

    monkeypatch.setattr(memory.os, "sysconf", no_name)
    assert memory.total() == math.inf
    memory.require("everything", 1e30)


@pytest.mark.parametrize(
    ("size", "words"),
    [(74 * GIB, "74 GiB"), (math.inf, "inf TiB"), (1e40, "9.1e+27 TiB"), (25e12, "23 TiB"), (30.4 * GIB, "30 GiB")],
)
def test_the_estimate_is_one_line(size, words):
    with pytest.raises(BadInput) as error:
        memory.require("m = 100000", size)
    assert str(error.value) == f"m = 100000 would take about {words} of memory, this machine has 24 GiB"


def test_what_fits_is_not_refused():
    memory.require("all of it", 24.0 * GIB)
    HEAVY.require_memory(HEAVY.params(y=24))
    TOY.require_memory(TOY.params(y=100), 10**9)


def test_a_point_names_the_parameters_that_ask_for_so_much():
    message = "a trial of toys.heavy with y = 74 would take about 74 GiB of memory, this machine has 24 GiB"
    params = HEAVY.params(y=74)
    for ask in (
        lambda: HEAVY.run(params, Draws(0, [0])),
        lambda: next(HEAVY.states(params, Draws(0, [0]))),
        lambda: HEAVY.rows(params, 0, [0]),
        lambda: sweep(HEAVY, Grid({"y": [1, 74]}, 1), progress=False),
    ):
        with pytest.raises(BadInput) as error:
            ask()
        assert str(error.value) == message


def test_trials_solved_together_count_together():
    assert len(HEAVY.rows(HEAVY.params(y=8), 0, range(3))) == 3
    with pytest.raises(BadInput, match=r"4 trials at once of toys\.heavy with y = 8 would take about 32 GiB"):
        HEAVY.rows(HEAVY.params(y=8), 0, range(4))
    with pytest.raises(BadInput, match=r"8 trials at once of toys\.heavy with y = 4 would take"):
        sweep(HEAVY, Grid({"y": [4]}, 100), jobs=2, progress=False)


@pytest.mark.parametrize("grid", [Grid({}, 10**8), Grid({"x": range(11), "z": [0] * 10**7}, 10)])
@pytest.mark.parametrize("experiment", [TOY, TOGETHER], ids=lambda e: e.name)
def test_more_rows_than_fit_are_refused_before_a_folder_is_made(experiment, grid, tmp_path):
    with pytest.raises(BadInput, match=r"00 trials would take about .* [GT]iB of memory, this machine has 24 GiB"):
        sweep(experiment, grid, out=tmp_path / "out", progress=False)
    assert not (tmp_path / "out").exists()


def of(solve):
    return Experiment(**{**vars(TOY), "name": "toys.greedy", "solve": solve, "batch": 4})


def test_an_array_that_the_machine_cannot_hold_is_refused_wherever_it_is_asked_for():
    for allocate, size in {np.empty: 728, torch.empty: 364}.items():  # in double and in single precision
        with pytest.raises(BadInput) as error:
            of(lambda *_, make=allocate: make((10**7, 10**7))).rows(TOY.params(x=3), 0, [0, 1])
        assert str(error.value) == (
            f"a trial of toys.greedy with x = 3 would take about {size} TiB of memory, this machine has 24 GiB"
        )


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not tell how much a process has asked for")
@pytest.mark.parametrize("allocate", [np.empty, torch.empty])
def test_arrays_that_fit_one_by_one_but_not_together_are_refused(allocate, monkeypatch):
    """Nothing is written to the arrays, so that they cost no memory here; the limit counts what is asked for."""
    monkeypatch.setattr(memory, "total", lambda: 8.0 * GIB)  # more than this process has by now
    before = resource.getrlimit(resource.RLIMIT_DATA)
    with pytest.raises(BadInput) as error:
        of(lambda *_: [allocate(2**25) for _ in range(64)]).rows(TOY.params(x=3), 0, [0, 1])
    assert str(error.value) == (
        "a trial of toys.greedy with x = 3 would take more than the 8 GiB of memory that this machine has"
    )
    assert resource.getrlimit(resource.RLIMIT_DATA) == before


@pytest.mark.parametrize("error", [MemoryError("no room now"), RuntimeError("as asked")])
def test_another_lack_of_memory_is_a_row(error):
    def solve(*_):
        raise error

    (row,) = Experiment(**{**vars(TOY), "solve": solve}).rows(TOY.params(), 0, [0])
    assert row["status"] == Status.RAISED
