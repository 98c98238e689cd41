from __future__ import annotations

import io

import numpy as np
import pytest

from regsweep.report import plots
from tests.unit.plot_parts import curves, is_sentence, line, texts, xs, ys


def test_trainings_stand_in_one_figure_with_own_styles_names_and_ends() -> None:
    figure = plots.metric_by_epoch(
        [("stacked", curves([9.0, 4.0, 3.0])), ("keras fit", [8.0, 5.0])], metric="val/mse", unit="dollars", title="T"
    )
    (axes,) = figure.axes
    assert axes.get_ylabel() == "validation MSE [dollars²]"
    first, second = line(axes, "stacked"), line(axes, "keras fit")
    assert (xs(first), ys(first)) == ([1, 2, 3], [9, 4, 3])
    assert first.get_linestyle() != second.get_linestyle()
    assert (xs(line(axes, "end, keras fit")), ys(line(axes, "end, keras fit"))) == ([2], [5])
    assert {"stacked", "keras fit"} <= {*texts(figure).split("\n")}
    assert (axes.get_xscale(), axes.get_yscale()) == ("linear", "linear")


def test_the_column_of_the_metric_is_drawn() -> None:
    figure = plots.metric_by_epoch([("one", curves([9.0, 4.0]))], metric="train/mae", unit="", title="T")
    assert np.allclose(ys(line(figure.axes[0], "one")), np.sqrt([4.5, 2.0]))


def test_wide_ranges_of_errors_and_of_epochs_are_logarithmic_and_hopeless_r2_is_cut() -> None:
    long = np.geomspace(1e6, 1.0, 100)
    (axes,) = plots.metric_by_epoch([("one", long), ("two", [5.0, 4.0])], metric="val/mse", unit="", title="T").axes
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    (axes,) = plots.metric_by_epoch([("one", [-1e9, 0.5, 0.6])], metric="val/r2", unit="", title="T").axes
    assert axes.get_yscale() == "linear"
    assert axes.get_ylim()[0] > -1.2
    assert axes.get_ylabel() == "validation R² (below −1 cut off)"


def test_many_trainings_keep_their_names_apart_and_broken_ones_are_named() -> None:
    trainings = [(f"a training with the number {index}", [9.0, 5.0]) for index in range(20)]
    broken = [("nothing", []), ("diverged", [np.nan, np.inf, 1e300])]
    figure = plots.metric_by_epoch([*trainings, *broken], metric="val/mae", unit="$", title="T")
    figure.savefig(io.BytesIO(), format="png")
    places = sorted(text.get_position()[1] for text in figure.axes[0].texts)
    assert len(places) == 22
    assert min(np.diff(places)) > 0.02
    assert "diverged: no value" in texts(figure)
    ends = [line(figure.axes[0], f"end, {name}") for name, _ in trainings]
    assert len({(found.get_color(), found.get_marker()) for found in ends}) == 20


def test_nothing_finite_is_a_sentence_and_other_shapes_are_refused() -> None:
    assert is_sentence(plots.metric_by_epoch([("one", [np.nan])], metric="val/mse", unit="", title="T"), "no finite value")
    with pytest.raises(ValueError, match=r"'one' must have shape \(epochs,\) or \(epochs, 6\), but have \(2, 3\)"):
        plots.metric_by_epoch([("one", np.zeros((2, 3)))], metric="val/mse", unit="", title="T")
    with pytest.raises(ValueError, match="metric must be one of train/mse"):
        plots.metric_by_epoch([("one", np.zeros((2, 6)))], metric="val/rmse", unit="", title="T")
