"""The explorer: alive with a kernel, a cube without one."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import os
import threading
import time
import types

import numpy as np
import plotly.graph_objects as go
import pytest
from calls import count, die, echo, fail, threads, unreadable, wait_for
from plotly.basedatatypes import BasePlotlyType
from toys import FLIP, TOY, WALK

from neurec_core import background, explore
from neurec_core.background import Cancelled, Latest, Worker
from neurec_core.draws import Draws
from neurec_core.params import BadInput
from neurec_papers.convex_recovery import view
from neurec_papers.convex_recovery.view import INSTANCE


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
    assert worker.call(os.getpid) != first, "though the first may not have ended yet"


def test_a_call_that_is_killed_says_so(worker, tmp_path):
    def kill():
        wait_for(tmp_path / "begun")
        worker.kill()

    killer = threading.Thread(target=kill)
    killer.start()
    with pytest.raises(Cancelled):
        worker.call(echo, 0, tmp_path / "begun", tmp_path / "never")
    killer.join()
    assert worker.call(echo, 1) == 1


def test_a_worker_keeps_to_one_thread(worker):
    assert worker.call(threads) <= {1}


def test_a_worker_sends_every_part_in_order(worker):
    assert [number for number, _ in worker.stream(count, 20)] == list(range(20))
    assert worker.call(count, 5)[0] == 4, "a call returns the last"
    assert list(worker.stream(echo, 3)) == [3], "what is no generator has one part"


def test_a_stream_that_is_closed_ends_there_and_leaves_its_process(worker, tmp_path):
    stream = worker.stream(count, 1000, None, tmp_path / "log")
    _, process = next(stream)
    next(stream)
    stream.close()
    assert worker.call(os.getpid) == process
    assert (tmp_path / "log").read_text() == "0\n1\n"


def test_an_error_in_a_stream_comes_after_its_parts(worker):
    stream = worker.stream(count, 9, 3)
    assert [next(stream)[0] for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="as asked"):
        next(stream)
    assert worker.call(echo, 1) == 1


def test_a_part_that_cannot_be_read_does_not_mix_with_the_next_call(worker):
    worker.call(echo, 0)
    with pytest.raises(ValueError, match="as asked"):
        worker.call(unreadable)
    assert worker.call(echo, 3) == 3


def test_of_a_stream_only_the_first_part_is_computed_beforehand(worker, tmp_path):
    worker.prepare_with(count, 1000, None, tmp_path / "log")
    worker.ready()
    assert (tmp_path / "log").read_text() == "0\n"


async def until(condition) -> None:
    for _ in range(60_000):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("not within ten minutes")


async def frames() -> None:
    """Give what should not happen many a chance to happen."""
    for _ in range(30):
        await asyncio.sleep(2 * background.FRAME_SECONDS)


class Stage:
    """A `Latest`, what it has shown and reported, a clock that stands until it is moved, and a folder of files.

    Requests wait for files and not for a while, so that it is known what runs when another one comes.
    """

    def __init__(self, compute, folder, show=lambda part: None, patience=10.0):
        self.shown, self.reports, self.folder, self.now = [], [], folder, 0.0

        def keep(request, part):
            self.shown.append(part)
            show(part)

        self.latest = Latest(compute, keep, self.reports.append, patience)
        self.latest.worker.call(echo, 0)

    @property
    def numbers(self):
        """What was shown of a stream."""
        return [number for number, _ in self.shown]

    @property
    def processes(self):
        """Where it was computed."""
        return {process for _, process in self.shown}

    def file(self, name):
        """The path of a file."""
        return str(self.folder / str(name))

    def open(self, name):
        """Let what waits for a file go on."""
        (self.folder / str(name)).touch()

    async def begin(self, value):
        """Have a request begin that ends when the file "gate" is there."""
        (self.folder / "begun").unlink(missing_ok=True)
        self.latest.submit(value, self.file("begun"), self.file("gate"))
        await until((self.folder / "begun").exists)

    async def stream(self, *request):
        """Have a stream show its first part."""
        self.latest.submit(*request)
        await until(lambda: self.shown)


@pytest.fixture
def play(tmp_path, monkeypatch):
    """Act ``scene(stage)`` to its end."""

    def played(compute, scene, **options):
        stage = Stage(compute, tmp_path, **options)
        monkeypatch.setattr(background, "time", types.SimpleNamespace(monotonic=lambda: stage.now))
        monkeypatch.setattr(background, "FRAME_SECONDS", 0.001)

        async def act():
            await scene(stage)
            await stage.latest.settled()

        try:
            asyncio.run(asyncio.wait_for(act(), 600))
        finally:
            stage.latest.close()
        return stage

    return played


def test_the_newest_request_wins_and_those_between_are_skipped(play):
    async def scene(stage):
        await stage.begin(0)
        for k in range(1, 20):
            stage.latest.submit(k)
        await frames()
        stage.open("gate")

    stage = play(echo, scene)
    assert stage.shown == [0, 19], "short runs are let finish, so that the figure moves under the hand"
    assert stage.latest.counts == {"started": 2, "shown": 2, "cancelled": 0, "failed": 0}
    assert stage.reports[0] == "computing"
    assert stage.reports[-1] == "ready"


def test_a_long_run_that_was_overtaken_is_killed(play):
    async def scene(stage):
        await stage.begin(0)
        stage.latest.submit(1)
        await frames()
        assert stage.latest.counts["cancelled"] == 0, "not before the patience is at its end"
        stage.now = 11.0

    stage = play(echo, scene)
    assert stage.shown == [1]
    assert stage.latest.counts["cancelled"] == 1


def test_a_kill_that_comes_too_late_loses_no_request(play):
    async def scene(stage):
        await stage.begin(7)
        stage.latest.give_up()  # nothing newer waits
        stage.open("gate")

    assert play(echo, scene).shown == [7]


def test_a_cold_start_is_not_counted_against_a_run(play):
    async def scene(stage):
        stage.latest.worker.kill()
        stage.latest.warm(0, stage.file("begun"), stage.file("gate"))
        for k in range(40):
            stage.latest.submit(k)
            await asyncio.sleep(0)
        await until((stage.folder / "begun").exists)
        stage.now = 100.0  # a process that takes longer to start than anyone would wait for a run
        stage.latest.submit(40)
        await frames()
        stage.open("gate")

    stage = play(echo, scene)
    assert stage.shown == [40]
    assert stage.latest.counts == {"started": 1, "shown": 1, "cancelled": 0, "failed": 0}


def test_no_run_is_given_up_for_less_than_a_process_costs(play):
    async def scene(stage):
        stage.latest.worker.start_seconds = 100.0
        await stage.begin(0)
        stage.latest.submit(1)
        stage.now = 99.0
        await frames()
        stage.open("gate")

    stage = play(echo, scene)
    assert stage.shown == [0, 1]
    assert stage.latest.counts["cancelled"] == 0


def test_a_process_that_dies_by_itself_is_reported_once(play):
    async def scene(stage):
        stage.latest.submit()

    stage = play(die, scene)
    assert not stage.shown
    assert "process died" in stage.reports[-1]
    assert stage.latest.counts["started"] == stage.latest.counts["failed"] == 1


def test_a_long_run_that_nothing_overtakes_is_finished(play):
    async def scene(stage):
        await stage.begin(0)
        stage.now = 1e6
        await frames()
        stage.open("gate")

    stage = play(echo, scene)
    assert stage.shown == [0]
    assert stage.latest.counts["cancelled"] == 0


def test_an_error_is_reported_in_words_and_the_next_run_works(play):
    async def scene(stage):
        stage.latest.submit(1, 0)
        await stage.latest.settled()
        assert stage.reports[-1] == "as asked"
        stage.latest.submit(1)

    stage = play(count, scene)
    assert stage.numbers == [0]
    assert stage.latest.counts["failed"] == 1


def test_parts_are_shown_as_they_come_and_the_last_one_always(play):
    async def scene(stage):
        stage.latest.submit(4, None, None, stage.file(""))
        for k in range(4):
            await until(lambda k=k: len(stage.shown) > k)
            assert len(stage.shown) == k + 1
            stage.open(k + 1)

    stage = play(count, scene)
    assert stage.numbers == [0, 1, 2, 3]
    assert stage.reports == ["computing", "ready"]
    assert stage.latest.counts == {"started": 1, "shown": 4, "cancelled": 0, "failed": 0}


def test_parts_that_pile_up_are_dropped_but_for_the_newest(play, tmp_path):
    def show(part):
        for k in range(1, 200):
            (tmp_path / str(k)).touch()
        while "end" not in (tmp_path / "log").read_text():  # the page draws while the others come
            time.sleep(0.01)

    async def scene(stage):
        stage.latest.submit(200, None, stage.file("log"), stage.file(""))

    assert play(count, scene, show=show).numbers == [0, 199]


ENDLESS = 10**9


def test_a_stop_keeps_what_was_shown_and_the_process(play):
    async def scene(stage):
        await stage.stream(ENDLESS)
        stage.latest.stop()
        await stage.latest.settled()
        assert stage.reports == ["computing", "stopped"]
        assert stage.numbers[0] < ENDLESS - 1
        stage.latest.submit(1)

    stage = play(count, scene)
    assert stage.reports == ["computing", "stopped", "computing", "ready"]
    assert stage.numbers[-1] == 0, "the request after the stop"
    assert len(stage.processes) == 1
    assert stage.latest.counts["cancelled"] == stage.latest.counts["failed"] == 0


def test_a_newer_request_overtakes_a_stream_without_a_new_process(play):
    async def scene(stage):
        await stage.stream(ENDLESS)
        stage.latest.submit(3)

    stage = play(count, scene)
    assert stage.numbers[-1] == 2
    assert len(stage.processes) == 1
    assert stage.latest.counts["started"] == 2
    assert stage.latest.counts["cancelled"] == 0
    assert stage.reports[-1] == "ready"
    assert "stopped" not in stage.reports


@pytest.mark.parametrize("last", ["ready", "stopped"])
def test_a_stream_whose_part_takes_too_long_is_killed(play, last):
    async def scene(stage):
        await stage.stream(2, None, None, stage.file(""))
        stage.latest.submit(1) if last == "ready" else stage.latest.stop()
        stage.now = 11.0

    stage = play(count, scene)
    assert stage.latest.counts["cancelled"] == 1
    assert set(stage.numbers) == {0}, "what was shown stays"
    assert stage.reports[-1] == last


def test_a_stream_that_is_older_than_the_patience_but_alive_is_not_killed(play):
    async def scene(stage):
        await stage.stream(9, None, None, stage.file(""))
        stage.now = 100.0
        stage.open(1)
        await until(lambda: len(stage.shown) == 2)
        stage.latest.submit(1)
        await frames()
        stage.open(2)

    stage = play(count, scene)
    assert stage.latest.counts["cancelled"] == 0
    assert stage.numbers == [0, 1, 2, 0]
    assert len(stage.processes) == 1


def test_a_stop_before_the_start_computes_nothing(play):
    async def scene(stage):
        stage.latest.stop()  # of nothing
        stage.latest.worker.kill()
        stage.latest.worker.prepare_with(echo, 0, stage.file("begun"), stage.file("gate"))
        stage.latest.submit(ENDLESS)
        await until((stage.folder / "begun").exists)  # its process stands up
        stage.latest.stop()
        stage.open("gate")

    stage = play(count, scene)
    assert stage.latest.counts["started"] == 0
    assert stage.reports == ["computing", "stopped"]


def test_an_error_in_a_stream_is_reported_and_what_was_shown_stays(play):
    async def scene(stage):
        stage.latest.submit(9, 3)

    stage = play(count, scene)
    assert stage.numbers[-1] == 2, "the last before it is shown, too"
    assert stage.reports[-1] == "as asked"
    assert stage.latest.counts["failed"] == 1


def test_a_stream_that_cannot_be_shown_ends_and_says_why(play):
    async def scene(stage):
        stage.latest.submit(ENDLESS)

    stage = play(count, scene, show=fail)
    assert len(stage.shown) == 1
    assert stage.reports[-1] == "as asked"
    assert stage.latest.counts["failed"] == 1


CUBE = {"n": [6, 12], "d": [2, 3], "model": ["skip", "normalized"], "plant": ["random"]}


def explorer(**options):
    return explore.explore(INSTANCE, view.recovery, CUBE, **options)


def test_moving_a_slider_changes_the_figure_in_place(monkeypatch):
    monkeypatch.delenv("NEUREC_STATIC", raising=False)

    async def go():
        live = explorer(fixed={"sigma": 0.1})
        figure, before = live.figure, np.array(live.figure.data[0].y)
        live.controls["n"].value = 10
        live.controls["d"].value = 5
        await live.latest.settled()
        params = INSTANCE.params(n=10, d=5, sigma=0.1)
        expected = view.recovery(params, *INSTANCE.run(params, Draws(0, [0])))
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


def test_a_followed_computation_is_seen_and_can_be_stopped(monkeypatch, tmp_path):
    monkeypatch.delenv("NEUREC_STATIC", raising=False)
    gate = tmp_path / "gate"

    async def go():
        live = explore.explore(WALK, map_and_line, {"steps": [3]}, fixed={"gate": str(gate)})
        live.latest.patience = 600.0
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
        await until(lambda: len(line.y) == 4)  # and waits at the gate
        live.stop.click()
        gate.touch()
        await live.latest.settled()
        assert len(line.y) == 5, "it ends at the next step, and what was drawn stays"
        assert live.stop.disabled
        assert "stopped" in live.mark.value

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


def test_heat_maps_are_updated_in_place_and_nothing_else_is_set(monkeypatch):
    def figure(seed):
        maps = np.random.default_rng(seed).random((4, 25, 250))
        return go.Figure([go.Heatmap(z=z) for z in maps], {"title": {"text": "correlations"}})

    changed = []
    update = BasePlotlyType.update

    def noted(part, values, **options):
        changed.append(set(values))
        return update(part, values, **options)

    # Each value that is set is checked down to each default of a template: all of them take ten times as long.
    live = go.FigureWidget(figure(0))
    monkeypatch.setattr(BasePlotlyType, "update", noted)
    for seed in (1, 2, 3):
        new = figure(seed)
        explore.update(live, new)
        assert all(np.array_equal(a.z, b.z) for a, b in zip(live.data, new.data, strict=True))
    assert changed == [{"z"}, {"z"}, {"z"}, {"z"}, set()] * 3


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
        explore.explore(INSTANCE, view.recovery, {"m": [1]})


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
        wanted = json.loads(explore._light(view.recovery(params, *INSTANCE.run(params, Draws(0, [0])))).to_json())
        shown = [{**start, **change} for start, change in zip(cube["figure"]["data"], frame["data"], strict=True)]
        assert shown == wanted["data"]
        assert {**cube["figure"]["layout"], **frame["layout"]} == wanted["layout"]


def test_a_cube_falls_back_to_its_first_figure(monkeypatch):
    monkeypatch.setenv("NEUREC_STATIC", "1")
    bundle = explorer()._repr_mimebundle_()
    assert bundle[explore.PLOTLY]["data"] == bundle[explore.CUBE]["figure"]["data"]
    assert bundle[explore.PLOTLY]["config"]["showSendToCloud"] is False
    json.dumps(bundle)


def test_what_is_true_or_false_is_a_box_to_check():
    box = explore.control(FLIP.params.declared()["tails"], True)
    assert (type(box).__name__, box.value, box.description) == ("Checkbox", True, "whether tails count tails")


def test_a_slider_may_multiply():
    from neurec_papers.inconsistency.experiments.shared import CrossingProbability

    slider = explore.control(CrossingProbability.declared()["m"], 48)
    assert slider.value == 48
    assert slider.options[0] == 16
    assert slider.options[-1] == 2**20
    assert set(np.log2(np.array([v for v in slider.options if v != 48])) % 1) == {0}
    assert all(isinstance(v, int) for v in slider.options)
