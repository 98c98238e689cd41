from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest

from regsweep.champion import Judgement
from regsweep.config import compose
from regsweep.data import Dataset, make_split
from regsweep.data.features import prepare
from regsweep.data.sealed import unseal
from regsweep.predictor import Member, Model, NumberColumn, TargetScale
from regsweep.report import plots
from regsweep.report.champion_parts import ReportRows, champion_diagram, champion_line
from tests.unit.plot_parts import facts, is_sentence, line, record, texts, xs, ys

LABELS = {"feature": "age", "target": "charges", "unit": "dollars", "title": "T"}


def table(**columns: object) -> Dataset:
    frame = pd.DataFrame(columns)
    names = tuple(name for name in frame if name != "y")
    return Dataset("made", frame, "y", names, "dollars", "free", "a test")


def rows_of(dataset: Dataset, *overrides: str) -> ReportRows:
    config = compose(list(overrides))[0]
    split = make_split(config.split, dataset)
    return ReportRows(dataset, split, prepare(dataset, split, config.features), lambda: unseal(dataset, split))


def test_curves_and_points_stand_in_raw_units_with_their_names() -> None:
    figure = plots.fitted_line(
        [("champion", [3.0, 1.0], [30.0, 10.0]), ("least squares", [1.0, 3.0], [9.0, 33.0])],
        [("training", [1.0, 2.0], [11.0, 19.0]), ("validation", [3.0], [28.0])],
        test=([2.5], [24.0]),
        **LABELS,
    )
    (axes,) = figure.axes
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("age", "charges [dollars]")
    champion, squares = line(axes, "champion"), line(axes, "least squares")
    assert (xs(champion), ys(champion)) == ([1, 3], [10, 30])
    assert champion.get_linestyle() != squares.get_linestyle()
    assert (xs(line(axes, "test rows")), ys(line(axes, "test rows"))) == ([2.5], [24])
    assert line(axes, "training rows").get_marker() != line(axes, "validation rows").get_marker()
    assert {"champion", "least squares", "test rows", "training rows"} <= {*texts(figure).split("\n")}


def test_a_curve_that_runs_away_leaves_the_points_their_axis() -> None:
    x = np.linspace(0, 1, 50)
    curves = [("wild", x, np.exp(700 * x)), ("undefined", x, np.full(50, np.nan))]
    figure = plots.fitted_line(curves, [("training", x, x)], **LABELS)
    figure.savefig(io.BytesIO(), format="png")
    assert figure.axes[0].get_ylim()[1] < 3


def test_long_tables_and_far_points_are_told() -> None:
    x = np.append(np.linspace(0, 1, 20_000), 1e9)
    figure = plots.fitted_line([], [("training", x, x)], **LABELS)
    assert len(xs(line(figure.axes[0], "training rows"))) == 5_000
    assert "Beyond the axes: 1 of 20,001 rows." in figure.get_supxlabel()
    assert "no more than 5,000" in figure.get_supxlabel()


def test_a_single_point_and_none_at_all() -> None:
    plots.fitted_line([("one", [1.0], [2.0])], [("training", [1.0], [2.0])], **LABELS).savefig(io.BytesIO(), format="png")
    assert is_sentence(plots.fitted_line([], [("training", [np.nan], [1.0])], **LABELS), "no rows")
    with pytest.raises(ValueError, match="same shape"):
        plots.fitted_line([("one", [1.0], [2.0, 3.0])], [], **LABELS)


@pytest.mark.parametrize("by_time", [False, True])
def test_rows_stand_in_the_order_of_their_truth_or_of_time(by_time: bool) -> None:
    figure = plots.predicted_by_index([3.0, 1.0, 2.0], [3.5, 0.5, 2.5], "charges", "dollars", "T", by_time=by_time)
    (axes,) = figure.axes
    assert xs(line(axes, "true")) == [1, 2, 3]
    assert ys(line(axes, "true")) == ([3, 1, 2] if by_time else [1, 2, 3])
    assert ys(line(axes, "predicted")) == ([3.5, 0.5, 2.5] if by_time else [0.5, 2.5, 3.5])
    assert line(axes, "true").get_marker() != line(axes, "predicted").get_marker()
    assert axes.get_xlabel() == ("test row, by time" if by_time else "test row, sorted by true charges")
    assert "MAE of all rows): 0.5 dollars." in figure.get_supxlabel()


def test_long_tables_are_thinned_from_first_to_last_and_wild_predictions_stand_at_the_edge() -> None:
    y = np.linspace(0, 10, 5001)
    prediction = y.copy()
    # Of 25 that are wild one or two are drawn; all are counted.
    prediction[:25], prediction[25] = 1e300, np.nan
    figure = plots.predicted_by_index(y, prediction, "y", "", "T", by_time=True)
    figure.savefig(io.BytesIO(), format="png")
    (axes,) = figure.axes
    places = xs(line(axes, "true"))
    assert (len(places), places[0], places[-1]) == (300, 1, 5000)
    assert {*ys(line(axes, "predicted, beyond"))} == {axes.get_ylim()[1]}
    for part in ("Drawn: 300 of 5,000 rows", "where they are diamonds: 25 of 5,001", "Left out: 1 of 5,001"):
        assert part in figure.get_supxlabel()


def test_no_row_is_a_sentence_and_one_row_a_figure() -> None:
    assert is_sentence(plots.predicted_by_index([], [], "y", "", "T"), "no rows")
    assert is_sentence(plots.predicted_by_index([1.0], [np.nan], "y", "", "T"), "No row has a finite prediction")
    plots.predicted_by_index([1.0], [1.0], "y", "", "T").savefig(io.BytesIO(), format="png")


def test_only_a_single_number_has_a_line() -> None:
    y, number = np.arange(40.0), np.arange(40)
    assert rows_of(table(x=number, y=y)).only_number == "x"
    assert rows_of(table(x=number, z=number[::-1], y=y)).only_number is None
    assert rows_of(table(x=number % 2 == 0, y=y)).only_number is None
    assert rows_of(table(x=["a", "b"] * 20, y=y)).only_number is None
    assert rows_of(table(x=pd.date_range("2020-01-01", periods=40), y=y)).only_number is None


@pytest.mark.parametrize(
    ("split", "names"), [("holdout", {"training rows", "validation rows"}), ("kfold", {"training and validation rows"})]
)
@pytest.mark.parametrize("kind", ["bag", "refit"])
def test_the_champion_curve_is_the_model_beside_the_least_squares_line(split: str, names: set[str], kind: str) -> None:
    rng = np.random.default_rng(0)
    x = rng.uniform(5, 9, 60)
    dataset = table(x=x, y=3 * x + rng.normal(size=60))
    rows = rows_of(dataset, f"split={split}")
    # Twice the raw feature and one more.
    weights = (np.array([[2]], np.float32),), (np.ones(1, np.float32),)
    member = Member((NumberColumn("x", 0, 1, 0, False, False),), (), *weights, TargetScale(False, 0, 1))
    judgement = Judgement(record(3), {"name": "trial 3", "champion": kind, "members": [[3, 1.0]]}, None)
    (axes,) = champion_line("x", rows, facts(), judgement, Model("y", "dollars", (member,))).axes
    champion, squares = line(axes, "champion (trial 3)"), line(axes, "least squares")
    assert np.allclose(ys(champion), 2 * np.array(xs(champion)) + 1, rtol=1e-6)
    assert [min(xs(champion)), max(xs(champion))] == [x.min(), x.max()]
    fitted = [fold.train for fold in rows.split.folds]
    if kind == "refit":
        fitted = [np.setdiff1d(np.arange(60), rows.split.test)]
    lines = [np.polyfit(x[part], dataset.y[part], 1) for part in fitted]
    assert np.allclose(ys(squares), np.polyval(np.mean(lines, axis=0), xs(squares)))
    assert names < {str(found.get_label()) for found in axes.lines}
    drawn = [len(xs(line(axes, name))) for name in (*names, "test rows")]
    assert sum(drawn) == 60
    assert drawn[-1] == len(rows.split.test)


def test_the_diagram_shows_the_leading_trial_and_says_how_many_predict() -> None:
    columns = (NumberColumn("age", 0, 1, 0, True, False),)
    kernels = tuple(np.zeros(shape, np.float32) for shape in ((2, 32), (32, 32), (32, 1)))
    biases = tuple(np.zeros(size, np.float32) for size in (32, 32, 1))
    light, heavy = (
        Member(columns, ("relu", "relu"), kernels, biases, TargetScale(False, 0, 1), weight) for weight in (0.25, 0.75)
    )
    judgement = Judgement(record(5), {"name": "ensemble of 2 trials", "members": [[2, 0.25], [5, 0.75]]}, None)
    figure = champion_diagram(facts(), judgement, Model("charges", "dollars", (light, heavy)))
    weights = sum(array.size for array in (*kernels, *biases))
    note = figure.get_supxlabel()
    assert f"{weights:,} trained weights" in note
    assert "mean of 2 networks of 2 trials; shown: one of trial 5's, which have the greatest weight (0.75 each)" in note
    assert texts(figure).count("relu, then dropout 0.2") == 2
