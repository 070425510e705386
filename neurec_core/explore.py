"""One call: sliders and a live figure where a kernel runs, precomputed figures where none will."""

from __future__ import annotations

import contextlib
import html
import itertools
import json
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ipywidgets as widgets
import numpy as np
import plotly.graph_objects as go

from .background import Latest
from .draws import Draws
from .experiment import Experiment, Problem, Solution
from .params import BadInput, Declaration, Params
from .style import CONFIG

CUBE = "application/vnd.neurec.cube+json"
PLOTLY = "application/vnd.plotly.v1+json"
TRIALS = 20  # other draws to look at

LOOK: dict[str, Any] = {"style": {"description_width": "13em"}, "layout": {"width": "26em"}}

Scores = dict[str, np.ndarray]
View = Callable[[Params, Problem, Solution, Scores], go.Figure]


def static() -> bool:
    """Whether nobody will be there to move a slider: ``NEUREC_STATIC=1``, as in the book's build."""
    return os.environ.get("NEUREC_STATIC") == "1"


def explore(
    experiment: Experiment,
    view: View,
    cube: Mapping[str, Sequence[Any]],
    *,
    fixed: Mapping[str, Any] | None = None,
    seed: int = 0,
) -> Any:
    """Look at one instance of an experiment while its parameters move.

    Parameters
    ----------
    experiment : whose parameters get sliders, with the ranges they declare
    view : ``(params, problem, solution, scores) -> Figure``, always with the same number of traces, also of what
        `follow` yields on the way
    cube : the parameters to explore and, for the static page, the values to compute beforehand; with one
        value only, a parameter moves where a kernel runs and stands still on the page
    fixed : values of other parameters
    seed : of the draws; a further slider chooses the trial

    Returns
    -------
    A widget, or under ``NEUREC_STATIC=1`` a `Cube`

    Raises
    ------
    BadInput : a parameter or a value that the experiment does not have
    """
    names = [experiment.params.name_of(name) for name in cube]
    if both := sorted(set(names) & set(fixed or {})):
        raise BadInput(f"{both[0]} is both fixed and explored; leave it out of one of them")
    if static():
        axes = dict(zip(names, cube.values(), strict=True))
        alone = {name: values[0] for name, values in axes.items() if len(values) == 1}
        moving = {name: values for name, values in axes.items() if name not in alone}
        return Cube(experiment, view, axes=moving, fixed={**(fixed or {}), **alone}, seed=seed)
    return Explorer(experiment, view, names=names, fixed=dict(fixed or {}), seed=seed)


# ------------------------------------------------------------------------------------------- the page


class Cube:
    """Figures over a grid of parameters, of which all but the first hold only what changes."""

    def __init__(
        self, experiment: Experiment, view: View, *, axes: dict[str, Sequence[Any]], fixed: dict[str, Any], seed: int
    ) -> None:
        declared = experiment.params.declared()
        self.axes = [
            {"name": name, "label": declared[name].axis, "values": list(values), "start": len(values) // 2}
            for name, values in axes.items()
        ]

        def figure(point: Mapping[str, Any]) -> dict[str, Any]:
            params = experiment.params(**fixed, **point)
            return json.loads(_light(view(params, *experiment.run(params, Draws(seed, [0])))).to_json())

        points = itertools.product(*axes.values())
        figures = [figure(dict(zip(axes, point, strict=True))) for point in points]
        shape = [len(values) for values in axes.values()]
        self.figure = figures[np.ravel_multi_index([size // 2 for size in shape], shape)]
        self.frames = [_changes(self.figure, other) for other in figures]

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        alt = self.figure["layout"]["meta"]["alt"]
        cube = {"figure": self.figure, "axes": self.axes, "frames": self.frames, "alt": alt}
        # Where cubes are unknown (JupyterLab), the start figure is shown.
        return {CUBE: cube, PLOTLY: {**self.figure, "config": CONFIG}, "text/plain": f"<Cube: {alt}>"}


def _light(fig: go.Figure) -> go.Figure:
    """Numbers to 5 digits, of heat maps in single precision: a figure needs no more, and a page carries hundreds."""
    for trace in fig.data:
        for axis in ("x", "y", "z"):
            values = np.asarray(getattr(trace, axis, None))  # of no dimension where there are none
            if values.ndim > 1 and np.issubdtype(values.dtype, np.floating):
                setattr(trace, axis, values.astype(np.float32))
            elif values.ndim == 1 and np.issubdtype(values.dtype, np.number):
                setattr(trace, axis, [float(f"{v:.5g}") for v in values])
    return fig


def _changes(start: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    data = [_differing(a, b) for a, b in zip(start["data"], other["data"], strict=True)]
    return {"data": data, "layout": _differing(start["layout"], other["layout"])}


def _differing(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in after.items() if not _same(before.get(key), value)}


def _same(a: Any, b: Any) -> bool:
    """Whether two parts of a figure are equal; they may be or hold arrays."""
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_same(a[key], b[key]) for key in a)
    return np.array_equal(a, b) if isinstance(a, np.ndarray) or isinstance(b, np.ndarray) else bool(a == b)


# ----------------------------------------------------------------------------------------- the kernel


class Explorer(widgets.VBox):
    """Sliders over a figure that follows them; computation in a process of its own.

    Where the experiment declares `follow`, the figure shows each state of the computation as it comes.

    Attributes
    ----------
    controls : the widget of each parameter, by name
    draw : the slider of the trial
    stop : the button that ends a run where it is; shown where there is something to follow
    figure : the figure, updated in place
    mark : the line that says what runs, or what is wrong
    latest : what runs (`neurec_core.background.Latest`); ``await explorer.latest.settled()`` waits for it
    """

    def __init__(
        self, experiment: Experiment, view: View, *, names: Sequence[str], fixed: dict[str, Any], seed: int
    ) -> None:
        self.experiment, self.view, self.fixed, self.seed = experiment, view, fixed, seed
        first = experiment.params(**fixed)
        declared = experiment.params.declared()
        self.controls = {name: control(declared[name], getattr(first, name)) for name in names}
        self.draw = widgets.IntSlider(min=0, max=TRIALS - 1, description="random draw", **LOOK)
        self.stop = widgets.Button(description="stop", disabled=True)
        self.mark = widgets.HTML(_mark("ready"))
        self.figure = go.FigureWidget(view(first, *next(experiment.states(first, Draws(seed, [0])))))
        self.figure._config = CONFIG
        self.latest = Latest(Experiment.states, self._show, self._report)
        self.latest.warm(experiment, first, Draws(seed, [0]))
        self.stop.on_click(lambda _: self.latest.stop())
        for widget in (*self.controls.values(), self.draw):
            widget.observe(self._request, "value")
        columns = widgets.Layout(grid_template_columns="repeat(auto-fill, minmax(26em, 1fr))")
        controls = widgets.GridBox([*self.controls.values(), self.draw], layout=columns)
        followed = experiment.follow is not None
        super().__init__([controls, widgets.HBox([self.stop, self.mark]) if followed else self.mark, self.figure])
        if followed:
            with contextlib.suppress(RuntimeError):  # no event loop: nobody looks on
                self._request(None)

    def close(self) -> None:
        """Remove the widget and end its process."""
        self.latest.close()
        super().close()

    def _request(self, _: Any) -> None:
        chosen = {name: control.value for name, control in self.controls.items()}
        try:
            params = self.experiment.params(**self.fixed, **chosen)
        except BadInput as error:
            self.mark.value = _mark(str(error))
        else:
            self.latest.submit(self.experiment, params, Draws(self.seed, [self.draw.value]))

    def _show(self, request: tuple[Any, ...], instance: tuple[Problem, Solution, Scores]) -> None:
        _, params, _ = request
        update(self.figure, self.view(params, *instance))

    def _report(self, state: str) -> None:
        self.mark.value = _mark(state)
        self.stop.disabled = state != "computing"


def control(declared: Declaration, value: Any) -> widgets.Widget:
    """The widget that a parameter's declaration asks for."""
    words = {"value": value, "description": f"{declared.label} {declared.symbol}", "tooltip": declared.axis, **LOOK}
    if declared.kind == "choice":
        return widgets.Dropdown(options=declared.choices, **words)
    if declared.kind == "bool":
        return widgets.Checkbox(indent=False, **words)
    if declared.slider is None:
        raise BadInput(f"{declared.name} ({declared.label}) declares no slider")
    low, high, step = declared.slider
    if declared.geometric:
        marks = low * step ** np.arange(int(np.log(high / low) / np.log(step) + 1.5))
        values = sorted(
            {*(round(mark) if declared.kind == "int" else float(f"{mark:.9g}") for mark in marks), value}
        )  # the value at hand may lie between two marks
        return widgets.SelectionSlider(options=values, **words)
    kind = widgets.IntSlider if declared.kind == "int" else widgets.FloatSlider
    return kind(min=low, max=high, step=step, **words)


def update(figure: go.FigureWidget, new: go.Figure) -> None:
    """Redraw in place, in one message to the page that holds what differs.

    plotly checks every value that is set, down to each default of a template: setting all of them again
    takes ten times as long as drawing.
    """
    before, after = figure.to_plotly_json(), new.to_plotly_json()
    old, fresh = [*figure.data, figure.layout], [*new.data, new.layout]
    pairs = zip([*before["data"], before["layout"]], [*after["data"], after["layout"]], strict=True)
    changed = [_differing(a, b) for a, b in pairs]
    with figure.batch_update():
        for part, now, names in zip(old, fresh, changed, strict=True):
            part.update({name: now[name] for name in names}, overwrite=True)


def _mark(state: str) -> str:
    if state == "computing":
        return '<span role="status">⏳ computing …</span>'
    if state == "ready":
        return '<span role="status">✓ ready</span>'
    if state == "stopped":
        return '<span role="status">■ stopped</span>'
    return f'<span role="alert">⚠ {html.escape(state)}</span>'
