"""The explorer: alive with a kernel, a cube without one."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import os
import threading
import time

import numpy as np
import plotly.graph_objects as go
import pytest
from calls import count, die, echo, fail, threads, unreadable
from toys import TOY, WALK

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


def test_a_worker_sends_every_part_in_order(worker):
    assert [number for number, _ in worker.stream(count, 20)] == list(range(20))
    assert worker.call(count, 5)[0] == 4, "a call returns the last"
    assert list(worker.stream(echo, 3)) == [3], "what is no generator has one part"


def test_a_stream_that_is_closed_ends_there_and_leaves_its_process(worker):
    start = time.monotonic()
    stream = worker.stream(count, 1000, 0.1)
    _, process = next(stream)
    next(stream)
    stream.close()
    assert worker.call(os.getpid) == process
    assert time.monotonic() - start < 50, "the whole stream takes 100 s"


def test_an_error_in_a_stream_comes_after_its_parts(worker):
    stream = worker.stream(count, 9, 0.0, 3)
    assert [next(stream)[0] for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="as asked"):
        next(stream)
    assert worker.call(echo, 1) == 1


def test_a_part_that_cannot_be_read_does_not_mix_with_the_next_call(worker):
    worker.call(echo, 0)
    with pytest.raises(ValueError, match="as asked"):
        worker.call(unreadable)
    assert worker.call(echo, 3) == 3


def test_of_a_stream_only_the_first_part_is_computed_beforehand(worker):
    worker.prepare_with(count, 1000, 0.1)
    worker.ready()
    assert worker.start_seconds < 50, "the whole stream takes 100 s"


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


async def until(condition) -> None:
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("not within 10 s")


def run_stream(*steps, show=lambda number: None, patience=5.0):
    """Do each step, a request or a word to `Latest`, as soon as the run before has shown something new."""
    shown, told = [], []

    async def go() -> Latest:
        def keep(request, part):
            shown.append(part)
            show(part)

        latest = Latest(count, keep, told.append, patience)
        latest.worker.call(echo, 0)
        for step in steps:
            before = len(shown)
            latest.submit(*step) if isinstance(step, tuple) else getattr(latest, step)()
            while len(shown) == before and latest._task is not None and not latest._task.done():
                await asyncio.sleep(0.01)
        await latest.settled()
        latest.close()
        return latest

    latest = asyncio.run(go())
    return shown, told, latest.counts


def test_parts_are_shown_as_they_come_and_the_last_one_always():
    shown, told, counts = run_stream((4, 0.3))
    numbers = [number for number, _ in shown]
    assert numbers == sorted(set(numbers))
    assert len(numbers) >= 2
    assert numbers[-1] == 3
    assert told == ["computing", "ready"]
    assert counts == {"started": 1, "shown": len(shown), "cancelled": 0, "failed": 0}


def test_parts_that_pile_up_are_dropped_but_for_the_newest():
    shown, _, _ = run_stream((200, 0.001), show=lambda part: time.sleep(0.05))
    numbers = [number for number, _ in shown]
    assert numbers == sorted(set(numbers))
    assert len(numbers) < 100
    assert numbers[-1] == 199


def test_a_stop_keeps_what_was_shown_and_the_process():
    start = time.monotonic()
    shown, told, counts = run_stream((1000, 0.1), "stop", (1,))
    numbers = [number for number, _ in shown]
    assert told == ["computing", "stopped", "computing", "ready"]
    assert numbers[0] == 0
    assert numbers[-1] == 0, "the request after the stop"
    assert max(numbers) < 100
    assert len({process for _, process in shown}) == 1
    assert counts["cancelled"] == counts["failed"] == 0
    assert time.monotonic() - start < 50, "the whole stream takes 100 s"


def test_a_newer_request_overtakes_a_stream_without_a_new_process():
    start = time.monotonic()
    shown, told, counts = run_stream((1000, 0.1), (3,))
    assert shown[-1][0] == 2
    assert len({process for _, process in shown}) == 1
    assert counts["started"] == 2
    assert counts["cancelled"] == 0
    assert told[-1] == "ready"
    assert "stopped" not in told
    assert time.monotonic() - start < 50, "the first takes 100 s"


@pytest.mark.parametrize(("last", "told_last"), [((1,), "ready"), ("stop", "stopped")])
def test_a_stream_whose_part_takes_too_long_is_killed(last, told_last):
    start = time.monotonic()
    shown, told, counts = run_stream((2, 60.0), last, patience=0.2)
    assert counts["cancelled"] == 1
    assert {number for number, _ in shown} == {0}, "what was shown stays"
    assert told[-1] == told_last
    assert time.monotonic() - start < 30


def test_a_stream_that_is_older_than_the_patience_but_alive_is_not_killed():
    shown = []

    async def go():
        latest = Latest(count, lambda request, part: shown.append(part), lambda state: None, patience=1.0)
        latest.worker.call(echo, 0)
        latest.submit(1000, 0.3)
        await until(lambda: len(shown) > 4)
        latest.submit(1)
        await latest.settled()
        latest.close()
        return latest.counts

    assert asyncio.run(go())["cancelled"] == 0
    assert shown[-1][0] == 0
    assert len({process for _, process in shown}) == 1


def test_a_stop_before_the_start_computes_nothing():
    told = []

    async def go():
        latest = Latest(count, lambda request, part: None, told.append)
        latest.stop()  # of nothing
        latest.submit(1000, 0.1)
        await until(lambda: told)  # its process stands up
        latest.stop()
        await latest.settled()
        latest.close()
        return latest.counts

    assert asyncio.run(go())["started"] == 0
    assert told == ["computing", "stopped"]


def test_an_error_in_a_stream_is_told_and_what_was_shown_stays():
    shown, told, counts = run_stream((9, 0.0, 3))
    assert shown[-1][0] == 2, "the last before it is shown, too"
    assert told[-1] == "as asked"
    assert counts["failed"] == 1


def test_a_stream_that_cannot_be_shown_ends_and_says_why():
    start = time.monotonic()
    shown, told, counts = run_stream((1000, 0.1), show=fail)
    assert len(shown) < 100
    assert told[-1] == "as asked"
    assert counts["failed"] == 1
    assert time.monotonic() - start < 50, "the whole stream takes 100 s"


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


def map_and_line(params, problem, solution, scores):
    """The places of a walk, as a heat map and as a line."""
    seen = solution.trace["seen"]
    data = [go.Heatmap(z=seen), go.Scatter(y=seen[0])]
    return go.Figure(data, {"title": {"text": f"{seen.shape[1]} steps"}, "meta": {"alt": "a walk"}})


def test_a_followed_computation_is_seen_and_can_be_stopped(monkeypatch):
    monkeypatch.delenv("NEUREC_STATIC", raising=False)

    async def go():
        live = explore.explore(WALK, map_and_line, {"steps": [3]}, fixed={"pause": 0.05})
        line = live.figure.data[1]
        assert len(line.y) == 1, "the first state stands at once"
        await live.latest.settled()
        _, solution, _ = WALK.run(WALK.params(), Draws(0, [0]))
        assert np.array_equal(line.y, solution.trace["seen"][0])
        assert np.array_equal(live.figure.data[0].z, solution.trace["seen"])
        assert live.stop.disabled
        assert "ready" in live.mark.value

        live.controls["steps"].value = 100
        await until(lambda: live.figure.layout.title.text not in ("1 steps", "3 steps"))
        assert not live.stop.disabled
        live.controls["steps"].min, live.controls["steps"].value = -5, -5
        assert "must be" in live.mark.value
        assert not live.stop.disabled, "what runs can still be stopped"
        live.stop.click()
        await live.latest.settled()
        kept = len(line.y)
        assert 1 <= kept < 100
        assert live.stop.disabled
        assert "stopped" in live.mark.value
        await asyncio.sleep(0.3)
        assert len(line.y) == kept

        live.controls["steps"].value = 4
        await live.latest.settled()
        assert len(line.y) == 4
        assert "ready" in live.mark.value
        assert live.latest.counts["cancelled"] == 0
        live.close()

    asyncio.run(go())


def test_only_what_can_be_followed_shows_a_stop_button(monkeypatch):
    monkeypatch.delenv("NEUREC_STATIC", raising=False)

    def shown(live):
        live.close()
        return [child for part in live.children for child in (part, *getattr(part, "children", ()))]

    live = explorer()
    assert live.stop not in shown(live)
    live = explore.explore(WALK, map_and_line, {"steps": [3]})  # without an event loop
    assert live.stop in shown(live)


def test_heat_maps_are_updated_in_place_and_quickly():
    def figure(seed):
        maps = np.random.default_rng(seed).random((4, 25, 250))
        return go.Figure([go.Heatmap(z=z) for z in maps], {"title": {"text": "correlations"}})

    live, times = go.FigureWidget(figure(0)), []
    for seed in (1, 2, 3):
        new = figure(seed)
        begin = time.process_time()
        explore.update(live, new)
        times.append(time.process_time() - begin)
        assert all(np.array_equal(a.z, b.z) for a, b in zip(live.data, new.data, strict=True))
    assert min(times) < 0.1, "several can be seen in a second"


def test_a_cube_of_heat_maps_holds_what_changes_in_single_precision(monkeypatch):
    monkeypatch.setenv("NEUREC_STATIC", "1")
    cube = explore.explore(WALK, map_and_line, {"steps": [2, 3]})
    for frame, steps in zip(cube.frames, (2, 3), strict=True):
        z = {**cube.figure["data"][0], **frame["data"][0]}["z"]
        _, solution, _ = WALK.run(WALK.params(steps=steps), Draws(0, [0]))
        assert z["shape"] == f"1, {steps}"
        values = np.frombuffer(base64.b64decode(z["bdata"]), dtype=z["dtype"])
        assert values.dtype == np.float32
        assert np.allclose(values, solution.trace["seen"][0], rtol=1e-6)
    assert "z" in cube.frames[0]["data"][0]
    assert not cube.frames[1]["data"][0], "the frame that the figure starts with"


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
