"""The explorer: alive with a kernel, a cube without one."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import threading
import time

import numpy as np
import pytest
from calls import die, echo, fail, threads
from toys import TOY

from neurec_core import explore, portrait
from neurec_core.background import Cancelled, Latest, Worker
from neurec_core.draws import Draws
from neurec_core.papers.convex_recovery.explorer import INSTANCE
from neurec_core.params import BadInput


@pytest.fixture
def worker():
    made = Worker()
    yield made
    made.kill()


def test_a_worker_computes_elsewhere(worker):
    assert worker.call(os.getpid) != os.getpid()
    assert worker.call(echo, 3) == 3


def test_a_workers_error_is_raised_here_and_it_goes_on(worker):
    with pytest.raises(ValueError, match="as asked"):
        worker.call(fail)
    assert worker.call(echo, 1) == 1


def test_a_killed_worker_is_replaced(worker):
    first = worker.call(os.getpid)
    worker.kill()
    time.sleep(0.5)
    assert worker.call(os.getpid) != first


def test_a_call_that_is_killed_says_so(worker):
    threading.Timer(0.5, worker.kill).start()
    with pytest.raises(Cancelled):
        worker.call(echo, 0, 60.0)
    assert worker.call(echo, 1) == 1


def test_a_worker_keeps_to_one_thread(worker):
    assert worker.call(threads) <= {1}


async def drag(latest: Latest, requests: list[tuple], pause: float) -> None:
    for request in requests:
        latest.submit(*request)
        await asyncio.sleep(pause)
    await latest.settled()


def run_drag(compute, requests, *, pause=0.01, patience=0.2):
    shown, told = [], []

    async def go() -> Latest:
        latest = Latest(compute, lambda request, result: shown.append(result), told.append, patience)
        latest.worker.call(echo, 0)  # imports are over before time counts
        await drag(latest, requests, pause)
        latest.close()
        return latest

    latest = asyncio.run(go())
    return shown, told, latest.counts


def test_the_newest_request_wins_and_those_between_are_skipped():
    shown, told, counts = run_drag(echo, [(k, 0.05) for k in range(20)])
    assert shown[-1] == 19
    assert counts["started"] < 20
    assert counts["cancelled"] == 0, "short runs are let finish, so that the figure moves under the hand"
    assert len(shown) >= 2
    assert told[0] == "computing"
    assert told[-1] == "ready"


def test_a_long_run_that_was_overtaken_is_killed():
    start = time.monotonic()
    shown, _, counts = run_drag(echo, [(0, 60.0), (1, 0.0)], pause=0.1)
    assert shown == [1]
    assert counts["cancelled"] == 1
    assert time.monotonic() - start < 30


def test_a_kill_that_comes_too_late_loses_no_request():
    shown = []

    async def go():
        latest = Latest(echo, lambda request, result: shown.append(result), lambda state: None)
        latest.worker.call(echo, 0)
        latest.submit(7, 0.3)
        await asyncio.sleep(0.1)
        latest.give_up()  # nothing newer waits
        await latest.settled()
        latest.close()

    asyncio.run(go())
    assert shown == [7]


def test_a_cold_start_is_not_counted_against_a_run():
    shown = []

    async def go():
        latest = Latest(echo, lambda request, result: shown.append(result), lambda state: None, patience=0.2)
        latest.warm(0, 1.5)  # a process that takes longer to start than anyone would wait for a run
        await drag(latest, [(k, 0.01) for k in range(40)], pause=0.1)
        latest.close()
        return latest.counts

    counts = asyncio.run(go())
    assert counts["cancelled"] == 0
    assert len(shown) > 5, "the figure moves under the hand as soon as the process stands"
    assert shown[-1] == 39


def test_a_process_that_dies_by_itself_is_told_once():
    shown, told, counts = run_drag(die, [()])
    assert not shown
    assert "process died" in told[-1]
    assert counts["started"] == counts["failed"] == 1


def test_a_long_run_that_nothing_overtakes_is_finished():
    shown, _, counts = run_drag(echo, [(0, 0.5)])
    assert shown == [0]
    assert counts["cancelled"] == 0


def test_an_error_is_told_in_words_and_the_next_run_works():
    shown, told, counts = run_drag(fail, [(1,)])
    assert not shown
    assert told[-1] == "as asked"
    assert counts["failed"] == 1


CUBE = {"n": [6, 12], "d": [2, 3], "model": ["skip", "normalized"], "plant": ["random"]}


def explorer(**options):
    return explore.explore(INSTANCE, portrait.recovery, CUBE, **options)


def test_moving_a_slider_changes_the_figure_in_place(monkeypatch):
    monkeypatch.delenv("NEUREC_STATIC", raising=False)

    async def go():
        live = explorer(fixed={"sigma": 0.1})
        figure, before = live.figure, np.array(live.figure.data[0].y)
        live.controls["n"].value = 10
        live.controls["d"].value = 5
        await live.latest.settled()
        params = INSTANCE.params(n=10, d=5, sigma=0.1)
        expected = portrait.recovery(params, *INSTANCE.run(params, Draws(0, [0])))
        assert live.figure is figure
        assert len(live.figure.data[0].y) == 5 != len(before)
        for trace, wanted in zip(live.figure.data, expected.data, strict=True):
            assert np.allclose(trace.y, wanted.y)
        assert live.figure.layout.title.text == expected.layout.title.text
        assert "ready" in live.mark.value
        live.draw.value = 3
        await live.latest.settled()
        assert not np.allclose(live.figure.data[0].y, expected.data[0].y), "another draw"
        live.close()

    asyncio.run(go())


def test_controls_come_from_the_declarations(monkeypatch):
    monkeypatch.delenv("NEUREC_STATIC", raising=False)

    live = explorer()
    declared = INSTANCE.params.declared()
    n = live.controls["n"]
    assert (n.min, n.max, n.step) == declared["n"].slider
    assert n.value == declared["n"].default
    assert live.controls["plant"].options == declared["plant"].choices
    assert live.figure._config["showSendToCloud"] is False
    live.close()


def test_bad_input_is_one_line_beside_the_figure(monkeypatch):
    monkeypatch.delenv("NEUREC_STATIC", raising=False)

    live = explorer()
    before = live.latest.counts.copy()
    live.controls["n"].min, live.controls["n"].value = -5, -5
    assert "n (training points) must be a whole number in [1, 100000], got -5" in live.mark.value
    assert live.latest.counts == before
    live.close()


@pytest.mark.parametrize("static", ["0", "1"])
def test_an_unknown_parameter_is_refused(monkeypatch, static):
    monkeypatch.setenv("NEUREC_STATIC", static)
    with pytest.raises(BadInput, match="unknown parameter 'm'"):
        explore.explore(INSTANCE, portrait.recovery, {"m": [1]})


def test_a_parameter_that_is_fixed_cannot_be_explored():
    with pytest.raises(BadInput, match="n is both fixed and explored"):
        explorer(fixed={"n": 8})


def test_a_parameter_without_a_slider_is_refused(monkeypatch):
    monkeypatch.delenv("NEUREC_STATIC", raising=False)
    with pytest.raises(BadInput, match="declares no slider"):
        explore.control(TOY.params.declared()["y"], 1)


def test_the_cube_holds_every_figure_of_its_grid(monkeypatch):
    monkeypatch.setenv("NEUREC_STATIC", "1")
    bundle = explorer()._repr_mimebundle_()
    cube = bundle[explore.CUBE]
    assert [axis["name"] for axis in cube["axes"]] == ["n", "d", "model"], "one value is no slider"
    assert len(cube["frames"]) == 8
    assert cube["alt"]
    for frame, values in zip(cube["frames"], itertools.product(*CUBE.values()), strict=True):
        params = INSTANCE.params(**dict(zip(CUBE, values, strict=True)))
        wanted = json.loads(explore._light(portrait.recovery(params, *INSTANCE.run(params, Draws(0, [0])))).to_json())
        shown = [{**start, **change} for start, change in zip(cube["figure"]["data"], frame["data"], strict=True)]
        assert shown == wanted["data"]
        assert {**cube["figure"]["layout"], **frame["layout"]} == wanted["layout"]


def test_a_cube_falls_back_to_its_first_figure(monkeypatch):
    monkeypatch.setenv("NEUREC_STATIC", "1")
    bundle = explorer()._repr_mimebundle_()
    assert bundle[explore.PLOTLY]["data"] == bundle[explore.CUBE]["figure"]["data"]
    assert bundle[explore.PLOTLY]["config"]["showSendToCloud"] is False
    json.dumps(bundle)


def test_a_slider_may_multiply():
    from neurec_core.papers.inconsistency.crossing import Training

    slider = explore.control(Training.declared()["m"], 48)
    assert slider.value == 48
    assert slider.options[0] == 16
    assert slider.options[-1] == 2**20
    assert set(np.log2(np.array([v for v in slider.options if v != 48])) % 1) == {0}
    assert all(isinstance(v, int) for v in slider.options)
