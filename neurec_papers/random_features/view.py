"""One fit as a figure."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from neurec_core.experiment import Problem, Solution
from neurec_core.params import Params
from neurec_core.style import COLORS, style


def fit(params: Params, problem: Problem, solution: Solution, scores: dict[str, np.ndarray]) -> go.Figure:
    """The first trial's outputs on test points against the teacher's: on the diagonal it has recovered it."""
    given = (problem.trials or [])[0]
    wanted, outputs = given.y_test, given.X_test @ solution.value[0]
    span = [float(wanted.min()), float(wanted.max())]
    fig = go.Figure()
    fig.add_scatter(x=wanted, y=outputs, mode="markers", marker={"color": COLORS[0], "size": 4}, name="test points")
    fig.add_scatter(x=span, y=span, mode="lines", line={"color": COLORS[1]}, name="teacher")
    fig.update_xaxes(title="output of the teacher")
    fig.update_yaxes(title="output of the network")
    words = f"test error {scores['test'][0]:.3g}, training error {scores['train'][0]:.1e}, norm {scores['norm'][0]:.3g}"
    return style(
        fig, f"What the network has learnt<br><sup>{words}</sup>", alt=f"outputs against the teacher's; {words}"
    )
