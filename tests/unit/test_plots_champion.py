from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from regsweep.report import plots
from regsweep.trial import State
from tests.unit.plot_parts import is_sentence, line, record, texts, xs, ys


def test_learning_curves_have_units_epochs_from_one_and_the_kept_epoch() -> None:
    figure = plots.learning_curves(record(3, [50.0, 20.0, 40.0], kept=1), "thousand persons")
    assert [axes.get_ylabel() for axes in figure.axes] == ["MSE [(thousand persons)²]", "MAE [thousand persons]", "R²"]
    for axes, kept in zip(figure.axes, (20.0, np.sqrt(20.0), 0.8), strict=True):
        train, val = line(axes, "train"), line(axes, "val")
        assert xs(val) == [1, 2, 3]
        assert train.get_linestyle() != val.get_linestyle()
        assert {text.get_text() for text in axes.texts} == {"train", "val"}
        marker = line(axes, "kept, val, fold 1")
        assert xs(marker) == [2]
        assert ys(marker) == [pytest.approx(kept)]
    assert "running means over the epoch" in figure.get_supxlabel()
    assert "epoch 2, which was kept" in figure.get_suptitle()


def test_learning_curves_of_a_trial_that_went_on_begin_where_its_parent_ended() -> None:
    trial = record(3, [50.0, 20.0, 40.0], kept=1)
    went_on = replace(trial, result=replace(trial.result, spec=replace(trial.result.spec, epochs=12, rounds=(3, 9))))
    figure = plots.learning_curves(went_on, "")
    for axes in figure.axes:
        assert xs(line(axes, "val")) == [10, 11, 12]
        assert xs(line(axes, "kept, val, fold 1")) == [11]
        assert axes.get_xlim() == (9.5, 12.5)
    assert "epoch 11, which was kept" in figure.get_suptitle()


def test_learning_curves_of_folds_are_thin_beside_their_mean() -> None:
    figure = plots.learning_curves(record(3, [[50.0, 30.0], [30.0, 50.0], [10.0, 10.0]], kept=[1, 0, 1]), "")
    axes = figure.axes[0]
    assert np.allclose(ys(line(axes, "val")), [30, 30])
    thin = [line(axes, f"val, fold {fold}") for fold in (1, 2, 3)]
    assert all(each.get_linewidth() < line(axes, "val").get_linewidth() for each in thin)
    assert [xs(line(axes, f"kept, val, fold {fold}"))[0] for fold in (1, 2, 3)] == [2, 1, 2]
    assert axes.get_ylabel() == "MSE"


def test_learning_curves_are_logarithmic_where_errors_fall_tenfold_and_cut_hopeless_r2() -> None:
    mse, mae, r2 = plots.learning_curves(record(0, [1e8, 1e4, 20.0, 19.0]), "").axes
    assert (mse.get_yscale(), mae.get_yscale(), r2.get_yscale()) == ("log", "log", "linear")
    assert r2.get_ylim()[0] > -1.2
    assert r2.get_ylabel() == "R² (below −1 cut off)"


def test_learning_curves_of_a_failed_trial_end_where_its_values_do() -> None:
    figure = plots.learning_curves(record(0, [9.0, 5.0, np.nan, np.inf, np.nan], state=State.FAILED), "$")
    assert xs(line(figure.axes[0], "val"))[:2] == [1, 2]
    assert figure.axes[0].get_ylabel() == r"MSE [\$²]"
    assert "until it failed (ValueError: not finite)" in figure.get_suptitle()
    assert not [found for found in figure.axes[0].lines if str(found.get_label()).startswith("kept")]
    figure.savefig(io.BytesIO(), format="png")


@pytest.mark.parametrize("mse", [[], [np.nan, np.nan]])
def test_learning_curves_without_values_are_a_sentence(mse: list[float]) -> None:
    assert is_sentence(plots.learning_curves(record(0, mse, state=State.FAILED), ""), "No finite value was recorded: ValueError")


def test_predictions_share_one_scale_with_the_truth() -> None:
    figure = plots.predicted_against_true([1.0, 2.0, 4.0], [1.0, 3.0, 3.0], "charges", "dollars", "A title")
    (axes,) = figure.axes
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("true charges [dollars]", "predicted charges [dollars]")
    assert axes.get_aspect() == 1
    assert axes.get_xlim() == axes.get_ylim()
    assert [*axes.get_xticks()] == [*axes.get_yticks()]
    diagonal = line(axes, "predicted = true")
    assert xs(diagonal) == ys(diagonal)
    assert len(xs(line(axes, "rows"))) == 3
    assert "R² 0.5714\nMAE 0.6667 dollars\n3 rows" in texts(figure)
    assert figure.get_suptitle() == "A title"


def test_a_wild_prediction_stands_at_the_edge_and_is_counted() -> None:
    y = np.linspace(0, 10, 20)
    prediction = y.copy()
    prediction[3], prediction[4] = 1e9, np.nan
    figure = plots.predicted_against_true(y, prediction, "y", "", "T")
    assert figure.axes[0].get_ylim()[1] < 12
    assert ys(line(figure.axes[0], "rows beyond"))[0] == figure.axes[0].get_ylim()[1]
    assert len(xs(line(figure.axes[0], "rows"))) == 18
    note = figure.get_supxlabel()
    assert "where they are diamonds: 1 of 20" in note
    assert "Left out: 1 of 20" in note
    assert figure.axes[0].get_xlabel() == "true y"


def test_residuals_are_true_minus_predicted_and_counted_beside() -> None:
    figure = plots.residuals([1.0, 2.0, 4.0], [1.0, 3.0, 3.0], "charges", "dollars", "A title")
    axes, beside = figure.axes
    assert ys(line(axes, "rows")) == [0, -1, 1]
    assert axes.get_xlabel() == "predicted charges [dollars]"
    assert axes.get_ylabel().replace("\n", " ") == "residual: true − predicted [dollars]"
    assert sum(patch.get_width() for patch in beside.patches if isinstance(patch, Rectangle)) == 3
    assert beside.get_ylim() == axes.get_ylim()
    assert "Mean residual 0 dollars, standard deviation 0.8165 dollars." in figure.get_supxlabel()


@pytest.mark.parametrize("draw", [plots.predicted_against_true, plots.residuals])
def test_plots_of_rows_bear_one_row_none_and_nothing_finite(draw: Callable[..., Figure]) -> None:
    assert is_sentence(draw([], [], "y", "", "T"), "no rows")
    assert is_sentence(draw([1.0], [np.nan], "y", "", "T"), "No row has a finite prediction")
    draw([1.0], [1.0], "y", "", "T").savefig(io.BytesIO(), format="png")
    with pytest.raises(ValueError, match=r"same shape"):
        draw([1.0, 2.0], [1.0], "y", "", "T")


@pytest.mark.parametrize("draw", [plots.predicted_against_true, plots.residuals])
def test_a_prediction_whose_square_is_infinite_is_no_warning(draw: Callable[..., Figure]) -> None:
    draw(np.arange(20.0), [*np.arange(19.0), 1e300], "y", "", "T").savefig(io.BytesIO(), format="png")
