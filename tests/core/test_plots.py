"""Figures draw what the table says, with labels, units and bands."""

from __future__ import annotations

import dataclasses

import numpy as np
import plotly.graph_objects as go
import pytest
from toys import FLIP, TOY

from neurec_core import drawing, plots, tables
from neurec_core.experiment import Column, Experiment, Grid, Guide
from neurec_core.figures import Curves, Drawing
from neurec_core.params import BadInput
from neurec_core.sweep import sweep
from neurec_papers.convex_recovery import SKIP_RECOVERY


def table(grid):
    return sweep(TOY, grid, progress=False)


def titles(fig):
    return [axis.title.text for axis in (*fig.select_xaxes(), *fig.select_yaxes()) if axis.title.text]


def test_two_numbers_make_a_phase_diagram():
    data = table(Grid({"x": range(0, 11, 2), "y": [1, 2, 3]}, trials=6))
    guided = Experiment(**{**vars(TOY), "guides": (Guide("x", "y", np.sqrt, "root"),)})
    fig = plots.plot(data, guided)
    heat, guide, measured = fig.data
    assert heat.z.shape == (3, 6)
    cells = tables.rate(data, "heads", ["y", "x"])
    assert np.allclose(heat.z.ravel(), cells["rate"])
    assert np.allclose(heat.customdata[..., 1].ravel(), cells["low"]), "the band is in the hover text"
    assert guide.name == "predicted: root"
    assert np.allclose(guide.x, np.sqrt(guide.y))
    points = tables.threshold(data, "heads", "x", ["y"])
    assert np.allclose(measured.x, points["threshold"])
    assert np.allclose(measured.error_x.array, points["high"] - points["threshold"], equal_nan=True)
    assert titles(fig) == ["tenths x", "another number y"]


def test_two_values_of_a_number_make_two_lines():
    data = table(Grid({"x": range(0, 11, 2), "y": [1, 2]}, trials=6))
    fig = plots.plot(data, TOY)
    lines = [trace for trace in fig.data if trace.showlegend]
    assert [trace.name for trace in lines] == ["y = 1", "y = 2"]
    cells = tables.rate(data, "heads", ["y", "x"])
    assert np.allclose([trace.y for trace in lines], cells["rate"].to_numpy().reshape(2, 6))
    assert titles(fig)[0] == "tenths x"


def test_what_is_true_or_false_makes_lines_panels_and_bars():
    data = sweep(FLIP, Grid({"x": [3, 5], "y": [1, 2], "tails": [True, False]}, trials=4), progress=False)
    names = ["tails = false", "tails = true"]
    assert [title.text for title in plots.plot(data, FLIP).layout.annotations] == names
    lines = plots.plot(data[data["y"] == 1], FLIP)
    assert [trace.name for trace in lines.data if trace.showlegend] == names
    fig = plots.plot(data[(data["y"] == 1) & (data["x"] == 3)], FLIP)
    assert list(fig.data[0].x) == ["false", "true"]
    assert sum(fig.data[0].y) == 1, "heads and tails"
    assert titles(fig)[0] == "whether tails count tails"


def test_rows_of_a_figure_are_named_as_the_command_line_writes_them():
    flipped = dataclasses.replace(FLIP, figures={"tails": Curves("x", where={"tails": True})})
    data = sweep(FLIP, Grid({"x": [3, 5], "tails": [True, False]}, trials=4), progress=False)
    assert drawing.draw(data, flipped).layout.title.text == "heads<br><sup>8 trials</sup>"
    with pytest.raises(BadInput, match="shows rows with tails = true, of which there are none"):
        drawing.draw(data[~data["tails"]], flipped)


def test_panels_stand_one_above_the_other_on_a_phone():
    data = table(Grid({"x": [0, 5], "y": [1, 2], "z": [0.0, 0.001, 0.002]}, trials=2))
    narrow = plots.phase_diagram(data, TOY, "x", "y", panels="z").layout.meta["narrow"]
    spans = [narrow[axis]["domain"] for axis in ("yaxis3", "yaxis2", "yaxis")]
    edges = np.ravel(spans)
    assert edges[0] == pytest.approx(0, abs=1e-9)
    assert edges[-1] == 1
    assert (np.diff(edges) > 0).all(), "from the bottom to the top, apart"
    assert all(narrow[axis]["domain"] == [0, 1] for axis in ("xaxis", "xaxis2", "xaxis3"))
    assert [title["y"] for title in narrow["annotations"]] == [high for _, high in spans[::-1]]
    assert "narrow" not in plots.phase_diagram(data, TOY, "x", "y").layout.meta


def test_a_guide_is_drawn_only_where_it_holds():
    data = table(Grid({"x": [0, 5], "y": [1, 2]}, trials=2))
    for values, drawn in (([0.0], 1), ([1.0], 0)):
        guided = Experiment(**{**vars(TOY), "guides": (Guide("x", "y", np.sqrt, "root", {"z": values}),)})
        names = [trace.name for trace in plots.plot(data, guided).data]
        assert names.count("predicted: root") == drawn


def test_one_number_makes_curves_with_their_band():
    data = table(Grid({"x": range(0, 11, 2)}, trials=6))
    band, line = plots.plot(data, TOY).data
    cells = tables.rate(data, "heads", ["x"])
    assert np.allclose(line.y, cells["rate"])
    assert np.allclose(band.y, [*cells["high"], *cells["low"][::-1]])
    assert "95 % band" in plots.plot(data, TOY).layout.yaxis.title.text


def test_a_measure_is_drawn_with_its_unit():
    data = table(Grid({"x": [1, 2]}, trials=3))
    assert plots.plot(data, TOY, "size").layout.yaxis.title.text == "median, middle 80 % (m)"


def test_words_make_bars_and_lines():
    designs = Grid({"design": ["gaussian", "whitened"]}, trials=2, fixed={"n": 8, "d": 3})
    (bars,) = plots.plot(sweep(SKIP_RECOVERY, designs, progress=False), SKIP_RECOVERY).data
    assert list(bars.x) == ["gaussian", "whitened"]
    lines = Grid({"n": [4, 8], "design": ["gaussian", "whitened"]}, trials=2, fixed={"d": 3})
    fig = plots.plot(sweep(SKIP_RECOVERY, lines, progress=False), SKIP_RECOVERY)
    assert [trace.name for trace in fig.data if trace.showlegend] == ["design = gaussian", "design = whitened"]


def test_a_third_parameter_makes_panels_and_a_fourth_is_refused():
    data = table(Grid({"x": [0, 5], "y": [1, 2], "raises": [-1, 7]}, trials=2))
    assert len(list(plots.plot(data, TOY).select_xaxes())) == 2
    with pytest.raises(BadInput, match="at most three parameters"):
        plots.plot(table(Grid({"x": [0, 5], "y": [1, 2], "raises": [-1, 7], "fails": [-1, 8]}, trials=1)), TOY)


def test_failed_trials_are_counted():
    data = table(Grid({"x": [0, 5]}, trials=3, fixed={"raises": 1}))
    assert "6 trials, 2 failed" in plots.plot(data, TOY).layout.title.text


def counted(rows):
    return go.Figure(layout={"meta": {"alt": f"{len(rows)} rows, x = {sorted(set(rows['x'].tolist()))}"}})


def test_a_figure_of_its_own_is_drawn_by_the_function_that_is_named():
    data = sweep(FLIP, Grid({"x": [3, 5], "y": [1, 2], "tails": [True, False]}, trials=4), progress=False)
    drawn = {
        "own": Drawing(f"{__name__}:counted", ("x", "y"), {"tails": True}),
        "one": Drawing(f"{__name__}:counted", ("x",), {"tails": True}),
    }
    flipped = dataclasses.replace(FLIP, figures=drawn)
    assert drawing.draw(data, flipped).layout.meta["alt"] == "16 rows, x = [3, 5]"
    with pytest.raises(BadInput, match=r"figure one of toys.flip would take rows together that differ in y; keep one"):
        drawing.draw(data, flipped, "one")
    with pytest.raises(BadInput, match=r"figure own of toys.flip shows rows with tails = true, of which there are"):
        drawing.draw(data[~data["tails"]], flipped, "own")


def test_every_figure_has_words_for_those_who_do_not_see_it():
    data = table(Grid({"x": [0, 5]}, trials=2))
    figures = [plots.plot(data, TOY), plots.plot(data, TOY, "size"), plots.bars(data, TOY, "x")]
    assert all(len(fig.layout.meta["alt"]) > 20 for fig in figures)


def test_no_figure_offers_an_upload():
    import plotly.io as pio

    assert pio.renderers["plotly_mimetype"].config["showSendToCloud"] is False


def test_several_measures_share_one_figure():
    other = {**TOY.columns, "double": Column("twice the size", "measure", "m")}
    toy = Experiment(**{**vars(TOY), "columns": other})
    data = table(Grid({"x": [0, 5, 9]}, trials=5)).assign(double=lambda rows: 2 * rows["size"])
    fig = plots.measures(data, toy, "x", ["size", "double"], title="two sizes")
    lines = [trace for trace in fig.data if trace.mode == "lines+markers"]
    assert [trace.name for trace in lines] == ["size", "twice the size"]
    medians = tables.spread(data, "size", ["x"])["median"]
    assert np.allclose(lines[0].y, medians)
    assert np.allclose(lines[1].y, 2 * medians)
    assert titles(fig) == ["tenths x", "median, middle 80 % (m)"]


@pytest.mark.parametrize(
    ("values", "every"), [([1, 50], "D2"), ([1, 1e3], 1), ([1e-9, 1, 0, np.nan], 1), ([1e-17, 1e5], 3), ([0.0], 1)]
)
def test_marks_of_logarithmic_axes_do_not_crowd(values, every):
    fig = plots.logarithmic(go.Figure(go.Scatter(x=values, y=values)), "y")
    assert (fig.layout.yaxis.type, fig.layout.yaxis.dtick) == ("log", every)
