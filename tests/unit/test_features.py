from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from regsweep.config import compose
from regsweep.data import Dataset, Fold, Split
from regsweep.data.features import fit_columns, fit_target, prepare
from regsweep.errors import DataError
from regsweep.predictor import CategoryColumn, NumberColumn, encode

FEATURES = compose([])[0].features


def table(rows: int = 40) -> Dataset:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "number": rng.normal(5, 3, rows),
            "gaps": np.where(np.arange(rows) % 4 == 0, np.nan, rng.normal(size=rows)),
            "kind": np.array(["a", "b", "c"])[np.arange(rows) % 3],
            "day": pd.date_range("2020-01-01", periods=rows),
            "price": rng.uniform(10, 20, rows),
        }
    )
    return Dataset("t", frame, "price", ("number", "gaps", "kind", "day"), "euros", "", "")


def split(rows: int = 40) -> Split:
    order = np.arange(rows, dtype=np.int64)
    return Split((Fold(order[:24], order[24:32]),), order[32:])


def test_training_rows_are_standardised_and_others_by_the_same_numbers() -> None:
    dataset = table()
    fold = prepare(dataset, split(), FEATURES).folds[0]
    numbers = dataset.table["number"].to_numpy()
    np.testing.assert_allclose(fold.x_train[:, 0].mean(), 0, atol=1e-12)
    np.testing.assert_allclose(fold.x_train[:, 0].std(), 1)
    np.testing.assert_allclose(fold.x_val[:, 0], (numbers[24:32] - numbers[:24].mean()) / numbers[:24].std())
    np.testing.assert_allclose([fold.z_train.mean(), fold.z_train.std()], [0, 1], atol=1e-6)
    np.testing.assert_allclose(fold.target.to_units(fold.z_val), fold.y_val, rtol=1e-6)


def test_no_test_row_reaches_what_trials_are_trained_on() -> None:
    clean, rows = table(), split()
    poisoned = clean.table.copy()
    poisoned.loc[rows.test, ["number", "gaps", "price"]] = np.nan
    poisoned.loc[rows.test, "kind"] = "unheard of"
    for mine, theirs in zip(
        prepare(clean, rows, FEATURES).folds, prepare(replace(clean, table=poisoned), rows, FEATURES).folds, strict=True
    ):
        assert mine.columns == theirs.columns
        assert mine.target == theirs.target
        for name in ("x_train", "z_train", "y_train", "x_val", "z_val", "y_val"):
            np.testing.assert_array_equal(getattr(mine, name), getattr(theirs, name))
            assert np.isfinite(getattr(mine, name)).all()


def test_preprocessing_does_not_see_validation_rows() -> None:
    clean, rows = table(), split()
    changed = clean.table.copy()
    changed.loc[rows.folds[0].val, "number"] = 1e6
    assert (
        prepare(replace(clean, table=changed), rows, FEATURES).folds[0].columns == prepare(clean, rows, FEATURES).folds[0].columns
    )


@pytest.mark.parametrize(
    ("numeric", "expected"),
    [("standard", [-1.0, 1.0]), ("minmax", [0.0, 1.0]), ("max", [0.5, 1.0]), ("none", [2.0, 4.0])],
)
def test_numeric_scalings(numeric: str, expected: list[float]) -> None:
    frame = pd.DataFrame({"x": [2.0, 4.0]})
    columns = fit_columns(frame, compose([f"features={numeric}"])[0].features)
    np.testing.assert_allclose(encode(frame, columns)[:, 0], expected)


def test_missing_numbers_get_the_mean_or_median_and_an_indicator() -> None:
    frame = pd.DataFrame({"x": [1.0, 2.0, 9.0, np.nan]})
    for impute, fill in (("mean", 4.0), ("median", 2.0)):
        (column,) = fit_columns(frame, compose([f"features.impute={impute}", "features.numeric=none"])[0].features)
        assert isinstance(column, NumberColumn)
        np.testing.assert_array_equal(column.encode(frame["x"])[3], [fill, 1.0])


def test_the_bucket_of_a_category_is_the_mean_code_of_the_training_rows() -> None:
    (column,) = fit_columns(pd.DataFrame({"c": ["a", "a", "b", None]}), FEATURES)
    assert isinstance(column, CategoryColumn)
    assert (column.levels, column.missing_level, column.unknown) == (("a", "b"), True, (0.5, 0.25, 0.25))


def test_a_constant_column_or_target_does_not_divide_by_zero() -> None:
    (column,) = fit_columns(pd.DataFrame({"x": [3.0, 3.0]}), FEATURES)
    np.testing.assert_array_equal(column.encode(pd.Series([3.0, 4.0]))[:, 0], [0.0, 1.0])
    assert fit_target(np.array([5.0, 5.0]), FEATURES).scale == 1.0


def test_a_log_target_needs_positive_targets() -> None:
    dataset = table()
    frame = dataset.table.copy()
    frame.loc[3, "price"] = -2.0
    with pytest.raises(DataError, match="needs targets above 0, but 'price' goes down to -2"):
        prepare(replace(dataset, table=frame), split(), compose(["features.target_log=true"])[0].features)
