from __future__ import annotations

import io

import numpy as np
import pytest
from matplotlib.text import Text

from regsweep.report import plots
from tests.unit.plot_parts import is_sentence, line, texts, xs


def test_a_row_has_a_dot_for_each_value_and_a_bar_at_their_mean() -> None:
    figure = plots.strip([("one", [2.0, 4.0, 3.0]), ("two", [5.0])], axis_label="MAE [mpg]", title="T")
    (axes,) = figure.axes
    assert [text.get_text() for text in axes.get_yticklabels()] == ["one", "two"]
    assert xs(line(axes, "one")) == [2, 4, 3]
    assert xs(line(axes, "mean, one")) == [3, 3]
    assert "mean 3, n = 3" in texts(figure)
    assert line(axes, "one").get_marker() != line(axes, "two").get_marker()
    assert not [found for found in axes.lines if found.get_label() == "mean, two"]
    assert axes.get_ylim()[0] > axes.get_ylim()[1]


def test_equal_values_of_a_row_stand_side_by_side() -> None:
    (axes,) = plots.strip([("one", [2.0, 2.0, 9.0])], axis_label="x", title="T").axes
    heights = np.asarray(line(axes, "one").get_ydata(), dtype=np.float64)
    assert heights[0] != heights[1]
    assert np.abs(heights).max() < 0.5


def test_references_are_lines_with_names_that_do_not_cover_each_other_or_are_told_where_they_are_far() -> None:
    references = [(3.0, "the figure of a tutorial"), (3.02, "what noise allows"), (1e6, "the mean")]
    figure = plots.strip([("one", [2.0, 4.0])], axis_label="x", title="T", references=references)
    figure.savefig(io.BytesIO(), format="png")
    (axes,) = figure.axes
    assert xs(line(axes, "what noise allows")) == [3.02, 3.02]
    first, second = (next(text for text in axes.texts if text.get_text() == name) for _, name in references[:2])
    # Without the lines that lead to them.
    assert not Text.get_window_extent(first).overlaps(Text.get_window_extent(second))
    # The higher one is led to its line.
    low, high = sorted((first, second), key=lambda text: Text.get_window_extent(text).y0)
    assert low.arrow_patch is None
    assert high.arrow_patch is not None
    np.testing.assert_allclose(high.xy, (next(value for value, name in references if name == high.get_text()), 1))
    assert "Off the axis: the mean (10⁶)." in figure.get_supxlabel()


def test_errors_that_differ_tenfold_are_on_a_logarithmic_axis_but_r2_never_is() -> None:
    rows = [("one", [0.01, 0.9])]
    (errors,) = plots.strip(rows, axis_label="MSE", title="T").axes
    (scores,) = plots.strip(rows, axis_label="R²", title="T", higher_is_better=True).axes
    assert (errors.get_xscale(), scores.get_xscale()) == ("log", "linear")


def test_wild_values_stand_at_the_edge_and_missing_ones_are_counted() -> None:
    values = [*np.linspace(0.5, 0.7, 9), -1e6, 1e300, np.nan]
    figure = plots.strip([("one", values)], axis_label="R²", title="T", higher_is_better=True)
    figure.savefig(io.BytesIO(), format="png")
    (axes,) = figure.axes
    assert axes.get_xlim()[0] > 0
    assert xs(line(axes, "one, beyond")) == pytest.approx([0.5, 0.7])
    assert "2 of 12 values, which lie far" in figure.get_supxlabel()
    assert "1 of 12 values, which are not finite" in figure.get_supxlabel()


@pytest.mark.parametrize("rows", [[], [("one", [])], [("one", [np.nan]), ("two", [1e300])]])
def test_nothing_to_draw_is_a_sentence(rows: list[tuple[str, list[float]]]) -> None:
    assert is_sentence(plots.strip(rows, axis_label="x", title="T"), "no finite value")
