from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from regsweep.record import TrialRecord
from regsweep.report import plots
from regsweep.trial import State
from tests.unit.plot_parts import BASELINES, LINEAR, PARAMS, facts, is_sentence, line, record, segments, texts, trials, xs, ys


def test_history_has_a_point_per_complete_trial_and_a_best_that_never_gets_worse() -> None:
    records = [*trials([40.0, 60.0, 20.0, 30.0, 10.0]), record(5, [], state=State.FAILED), record(6, [9.0], state=State.PRUNED)]
    (axes,) = plots.optimization_history(records[::-1], "val/mse", "dollars", {}).axes
    points, best = line(axes, "complete trial"), line(axes, "best so far")
    assert (xs(points), ys(points)) == ([0, 1, 2, 3, 4], [40, 60, 20, 30, 10])
    assert best.get_drawstyle() == "steps-post"
    assert ys(best) == [40, 40, 20, 20, 10, 10]
    assert xs(line(axes, "failed (1)")) == [5]
    assert xs(line(axes, "stopped early (1)")) == [6]
    assert axes.get_ylabel() == "validation MSE [dollars²], lower is better"


def test_history_of_r2_climbs_and_marks_failures_below() -> None:
    records = [*trials([50.0, 60.0, 20.0]), record(3, [], state=State.FAILED)]
    (axes,) = plots.optimization_history(records, "val/r2", "dollars", {"random_forest": 0.9, "mean": 0.0}).axes
    assert np.allclose(ys(line(axes, "best so far")), [0.5, 0.5, 0.8, 0.8])
    assert ys(line(axes, "failed (1)"))[0] < 0.1
    assert np.allclose(ys(line(axes, "_random_forest")), 0.9)
    assert axes.get_ylabel() == "validation R², higher is better"


def test_history_draws_the_best_baseline_and_least_squares_and_no_other() -> None:
    figure = plots.optimization_history(trials([40.0, 30.0]), "val/mse", "dollars", {**BASELINES, "svr": float("nan")})
    (axes,) = figure.axes
    assert {str(found.get_label()) for found in axes.lines if str(found.get_label()).startswith("_")} == {
        "_random_forest",
        "_least_squares_qr",
    }
    assert "random forest, best\nbaseline: 24" in texts(figure)
    assert "closed-form least\nsquares: 36" in texts(figure)


def test_least_squares_that_is_the_best_baseline_is_drawn_once() -> None:
    figure = plots.optimization_history(trials([40.0]), "val/mse", "", {"least_squares_qr": 30.0, "mean": 90.0})
    assert texts(figure).count("squares") == 1
    assert figure.axes[0].get_ylabel() == "validation MSE, lower is better"


def test_a_baseline_far_off_the_scale_is_named_and_leaves_the_scale_alone() -> None:
    figure = plots.optimization_history(trials([40.0, 30.0]), "val/mse", "", {"least_squares_qr": 1e-28})
    assert figure.axes[0].get_ylim()[0] > 1
    assert "↓ closed-form least squares,\nbest baseline: 10⁻²⁸" in texts(figure)


def test_history_is_logarithmic_where_errors_differ_by_more_than_tenfold() -> None:
    assert plots.optimization_history(trials([1e8, 3e6]), "val/mse", "", {}).axes[0].get_yscale() == "log"
    assert plots.optimization_history(trials([4.0, 3.0]), "val/mse", "", {}).axes[0].get_yscale() == "linear"


def test_history_marks_wild_values_at_the_edge() -> None:
    values = [*np.linspace(20, 30, 20), 1e12, 1e30]
    (axes,) = plots.optimization_history(trials(values), "val/mse", "", {}).axes
    assert axes.get_ylim()[1] < 100
    assert len(xs(line(axes, "complete trial"))) == 20
    assert xs(line(axes, "off the scale (2)")) == [20, 21]


def test_two_thousand_trials_are_all_drawn() -> None:
    records = trials(np.random.default_rng(1).uniform(2, 3, 2000).tolist())
    (history,) = plots.optimization_history(records, "val/mse", "", BASELINES).axes
    assert len(xs(line(history, "complete trial"))) == 2000
    assert np.all(np.diff(ys(line(history, "best so far"))) <= 0)
    (parallel,) = plots.parallel_coordinates(records, "val/mse", "").axes
    assert len(segments(parallel)) == 2000


@pytest.mark.parametrize(
    "draw", [lambda r: plots.optimization_history(r, "val/mse", "", {}), lambda r: plots.parallel_coordinates(r, "val/mse", "")]
)
def test_without_a_complete_trial_a_sentence_says_so(draw: Callable[[list[TrialRecord]], Figure]) -> None:
    failed = [record(0, [], state=State.FAILED), record(1, [np.nan]), record(2, [1.0], state=State.PRUNED)]
    assert is_sentence(draw(failed), "No trial is complete: 2 failed, 1 stopped early.")
    assert is_sentence(draw([]), "no trial yet")


def test_parallel_axes_follow_the_search_space_and_its_logarithms() -> None:
    records = [record(0, [30.0]), record(1, [10.0], params={**PARAMS, "learning_rate": 1e-4, "optimizer": "sgd_momentum"})]
    figure = plots.parallel_coordinates(records, "val/mse", "dollars")
    (axes,) = figure.axes
    written = [text.get_text() for text in axes.texts]
    headings = ["depth", "width", "activation", "learning_\nrate", "epochs", "batch_\nsize", "optimizer", "dropout", "l2"]
    assert [text for text in written if text in headings] == headings
    assert "validation MSE\n[dollars²]" in written
    worse, best = segments(axes)
    rate = headings.index("learning_\nrate")
    assert worse[rate] == pytest.approx(np.log(1e-3 / 1e-4) / np.log(3e-2 / 1e-4))
    assert best[rate] == 0
    assert (worse[0], worse[headings.index("dropout")]) == (0.5, 0.5)
    assert (worse[headings.index("optimizer")], best[headings.index("optimizer")]) == (0, 1)
    thick = line(axes, "best trial")
    assert ys(thick) == [*best]
    assert "trial 1" in figure.get_suptitle()


def test_parallel_puts_missing_values_at_absent_below_the_range() -> None:
    records = [record(0, [30.0], params={**PARAMS, "width": 8}), record(1, [10.0], params=LINEAR)]
    (axes,) = plots.parallel_coordinates(records, "val/mse", "").axes
    worse, best = segments(axes)
    assert best[1] == 0
    assert worse[1] > 0.1
    assert [text.get_text() for text in axes.texts].count("absent") == 3


def test_parallel_orders_the_widths_of_layers() -> None:
    widths = {f"width_{layer}": 16 for layer in range(1, 11)}
    params = {key: value for key, value in PARAMS.items() if key != "width"} | {"depth": 10} | widths
    study = facts("space.per_layer_width=true", "space.parameters.depth.high=10")
    (axes,) = plots.parallel_coordinates([record(0, params=params, study=study)], "val/r2", "").axes
    written = [text.get_text() for text in axes.texts]
    assert [text for text in written if text.startswith("width_")] == [f"width_\n{layer}" for layer in range(1, 11)]


def test_parallel_is_not_flattened_by_outliers_and_says_so() -> None:
    values = [*np.geomspace(20, 300, 40), 1e20]
    (axes,) = plots.parallel_coordinates(trials(values), "val/mse", "").axes
    heights = segments(axes)[:, -1]
    assert heights[0] == 1
    assert np.ptp(heights[1:]) > 0.9
    remark = next(text.get_text() for text in axes.texts if "better" in text.get_text())
    assert remark == "lower is better\nlog scale\n1 above 300:\ndrawn at the end"


def test_parallel_gives_the_best_the_dark_end_of_the_colours() -> None:
    def darkness_of_best(objective: str) -> float:
        (axes,) = plots.parallel_coordinates(trials([30.0, 20.0, 10.0]), objective, "").axes
        (lines,) = [found for found in axes.collections if isinstance(found, LineCollection)]
        (strip,) = [found for found in axes.get_children() if isinstance(found, AxesImage)]
        assert tuple(strip.get_extent())[2:] == (0, 1)
        shades = np.asarray(lines.get_colors())[:, :3].sum(axis=1)
        assert [*shades] == sorted(shades, reverse=True)
        return float(shades[-1])

    assert darkness_of_best("val/mse") == pytest.approx(darkness_of_best("val/r2"))


def test_parallel_without_freedom_is_a_sentence() -> None:
    fixed = facts(*(f"space.parameters.{name}={value}" for name, value in LINEAR.items()), "~space.parameters.width",
                  "~space.parameters.activation", "~space.parameters.dropout")  # fmt: skip
    assert is_sentence(
        plots.parallel_coordinates([record(0, params=LINEAR, study=fixed)], "val/mse", ""), "no hyperparameter to vary"
    )
