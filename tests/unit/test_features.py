from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from regsweep.baselines import fit_baseline
from regsweep.baselines.closed_form import least_squares_svd
from regsweep.config import compose
from regsweep.data import Dataset, Fold, Split
from regsweep.data.encoders import fit_columns, fit_target, segments
from regsweep.data.features import Encoding, prepare, too_many_levels
from regsweep.errors import DataError
from regsweep.predictor import CategoryColumn, NumberColumn, OrdinalColumn, SegmentsColumn, encode

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
    both = ("plain", "piecewise")
    (here,), (there,) = (prepare(data, rows, FEATURES, both).folds for data in (clean, replace(clean, table=poisoned)))
    for encoding in both:
        mine, theirs = here.encoded(encoding), there.encoded(encoding)
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


@pytest.mark.parametrize(
    ("numeric", "codes"),
    [
        # Of the positions 0, 0, 1, 2 of the training rows: mean 0.75, variance 11/16.
        ("none", [0, 1, 2, 0.75, 0.75]),
        ("standard", [(code - 0.75) / np.sqrt(11 / 16) for code in (0, 1, 2, 0.75, 0.75)]),
        ("minmax", [0, 0.5, 1, 0.375, 0.375]),
        ("max", [0, 0.5, 1, 0.375, 0.375]),
    ],
)
def test_an_ordinal_category_is_the_position_in_sorted_order_scaled_like_a_number(numeric: str, codes: list[float]) -> None:
    config = FEATURES.model_copy(update={"category": "ordinal", "numeric": numeric})
    columns = fit_columns(pd.DataFrame({"kind": ["a", "c", "b", "a"]}), config)
    found = encode(pd.DataFrame({"kind": ["a", "b", "c", "unseen", None]}), columns)
    np.testing.assert_allclose(found[:, 0], codes, rtol=1e-12, atol=1e-15)
    assert (found.shape, columns[0].outputs) == ((5, 1), ("kind",))


def test_ordinal_codes_are_those_of_pandas() -> None:
    values = table().table["kind"]
    config = FEATURES.model_copy(update={"category": "ordinal", "numeric": "none"})
    found = encode(values.to_frame(), fit_columns(values.to_frame(), config))
    np.testing.assert_array_equal(found[:, 0], values.astype("category").cat.codes)


def test_a_missing_ordinal_has_a_position_of_its_own_where_training_rows_missed_some() -> None:
    config = FEATURES.model_copy(update={"category": "ordinal", "numeric": "none"})
    columns = fit_columns(pd.DataFrame({"kind": ["b", None, "a", "a"]}), config)
    # Positions 1, 2, 0, 0.
    assert encode(pd.DataFrame({"kind": ["a", "b", None, "unseen"]}), columns)[:, 0].tolist() == [0, 1, 2, 0.75]


def test_ordinal_categories_have_no_segments_and_survive_json() -> None:
    config = FEATURES.model_copy(update={"category": "ordinal"})
    prepared = prepare(table(), split(), config, ("plain", "piecewise"))
    fold = prepared.folds[0]
    assert [type(column) for column in fold.columns if column.name == "kind"] == [OrdinalColumn]
    assert "kind" not in {column.name for column in fold.others["piecewise"].columns[len(fold.columns) :]}
    assert Encoding.from_json(json.loads(json.dumps(prepared.encoding.to_json()))) == prepared.encoding


def test_the_bucket_of_a_category_is_the_mean_code_of_the_training_rows() -> None:
    (column,) = fit_columns(pd.DataFrame({"c": ["a", "a", "b", None]}), FEATURES)
    assert isinstance(column, CategoryColumn)
    assert (column.levels, column.missing_level, column.unknown) == (("a", "b"), True, (0.5, 0.25, 0.25))


def test_a_constant_column_or_target_does_not_divide_by_zero() -> None:
    (column,) = fit_columns(pd.DataFrame({"x": [3.0, 3.0]}), FEATURES)
    np.testing.assert_allclose(column.encode(pd.Series([3.0, 4.0]))[:, 0], [0.0, 0.0], atol=1e-100)
    assert fit_target(np.array([5.0, 5.0]), FEATURES).scale == 1.0


@pytest.mark.parametrize("numeric", ["standard", "minmax", "max", "none"])
def test_a_number_that_all_training_rows_miss_is_nothing_to_a_network(numeric: str) -> None:
    config = compose([f"features={numeric}"])[0].features
    columns = fit_columns(pd.DataFrame({"x": [np.nan, np.nan, np.nan]}), config)
    # Neither the value nor that it is there: no training row has set a weight by it.
    np.testing.assert_allclose(encode(pd.DataFrame({"x": [np.nan, 5.0, -3e9]}), columns), [[0.0]] * 3, atol=1e-200)


def test_a_value_that_stands_for_missing_stays_within_what_trees_and_networks_take() -> None:
    frame = pd.DataFrame({"x": np.linspace(-1, 1, 40)})
    later = pd.DataFrame({"x": [0.5, -3.4028235e38, 1e150]})
    dataset = Dataset("t", frame.assign(y=frame["x"]), "y", ("x",), "", "", "")
    rows = Split((Fold(np.arange(30), np.arange(30, 35)),), np.arange(35, 40))
    fold = prepare(dataset, rows, FEATURES, ("plain", "piecewise")).folds[0]
    for columns in (fold.columns, fold.others["piecewise"].columns):
        codes = encode(later, columns).astype(np.float32)
        assert np.isfinite(codes).all()
        assert np.isfinite(np.square(codes)).all()
        assert (codes[1] < -1e14).any()
    tree = fit_baseline("decision_tree", fold.x_train, fold.y_train, seed=0)
    np.testing.assert_allclose(tree.predict(encode(later, fold.columns))[1:], [fold.y_train.min(), fold.y_train.max()], atol=0.1)


def test_a_log_target_needs_positive_targets() -> None:
    dataset = table()
    frame = dataset.table.copy()
    frame.loc[3, "price"] = -2.0
    with pytest.raises(DataError, match="needs targets above 0, but 'price' goes down to -2"):
        prepare(replace(dataset, table=frame), split(), compose(["features.target_log=true"])[0].features)


def test_segments_follow_a_number_piece_by_piece_and_go_on_beyond_the_ends() -> None:
    column = SegmentsColumn("x", (0.0, 1.0, 3.0), (0.25, 0.5), fill=2.0, date=False)
    found = column.encode(pd.Series([0.5, 2.0, 5.0, -1.0, np.nan]))
    expected = np.array([[0.5, 0.0], [1.0, 0.5], [1.0, 2.0], [-1.0, 0.0], [1.0, 0.5]]) - [0.25, 0.5]
    np.testing.assert_allclose(found, expected)


def test_a_linear_model_of_segments_is_any_line_that_bends_at_the_edges() -> None:
    x = np.linspace(0, 4, 81)
    frame = pd.DataFrame({"x": x})
    bent = np.where(x < 2, 3 * x, 6 - 5 * (x - 2))
    columns = segments([fit_columns(frame, FEATURES)], [frame], 2)[0]
    inputs = np.column_stack([encode(frame, columns), np.ones(len(x))])
    np.testing.assert_allclose(inputs @ np.linalg.lstsq(inputs, bent, rcond=None)[0], bent, atol=1e-9)


def test_a_decimal_that_is_constant_in_a_fold_is_not_scaled_by_rounding() -> None:
    # The mean of these is not 0.1: their standard deviation comes out as 1e-17.
    flat = np.full(100, 0.1)
    assert 0 < flat.std() < 1e-15
    (column,) = fit_columns(pd.DataFrame({"x": flat}), FEATURES)
    assert (column.shift, np.float32(encode(pd.DataFrame({"x": [0.5]}), (column,)))) == (0.1, 0.0)
    assert fit_target(flat, FEATURES).scale == 1.0


def test_a_constant_with_gaps_is_zero_to_the_last_bit() -> None:
    # The mean of a hundred of these is not 0.1, and least squares would make a direction of the difference.
    frame = pd.DataFrame({"x": [0.1] * 100 + [np.nan] * 10, "z": np.arange(110.0)})
    assert frame["x"].dropna().to_numpy().mean() != 0.1
    coded = encode(frame, fit_columns(frame, FEATURES))
    assert set(coded[:, 0]) == {0.0}
    fit = least_squares_svd(coded, np.where(frame["x"].isna(), 5.0, 1.0) + np.arange(110) % 7)
    assert np.isfinite(fit.coefficients).all()


@pytest.mark.parametrize(("numeric", "largest"), [("standard", 0.0), ("minmax", 0.0), ("max", 2.5e4), ("none", 5e4)])
@pytest.mark.parametrize("known", [2.0, np.nan])
def test_what_one_fold_does_not_vary_in_reaches_no_weight_of_it(numeric: str, largest: float, known: float) -> None:
    config = FEATURES.model_copy(update={"numeric": numeric})
    frames = [pd.DataFrame({"x": [known] * 4}), pd.DataFrame({"x": [1.0, 2, 3, 4]})]
    columns = [fit_columns(frame, config) for frame in frames]
    flat, _ = segments(columns, frames, 3)
    unseen = pd.DataFrame({"x": [5e4]})
    if np.isnan(known):
        largest = 0.0
    assert encode(unseen, columns[0])[0, 0] == pytest.approx(largest, abs=1e-100)
    parts = encode(unseen, flat) - encode(frames[0].fillna(0), flat)[:1]
    np.testing.assert_allclose(parts, np.zeros((1, 3)), atol=1e-100)


def test_folds_have_equally_many_segments_and_a_constant_has_none() -> None:
    frames = [pd.DataFrame({"x": [0.0, 0, 0, 4], "c": 1.0}), pd.DataFrame({"x": [0.0, 1, 2, 3], "c": 1.0})]
    few, many = segments([fit_columns(frame, FEATURES) for frame in frames], frames, 3)
    # Quantiles 0, 0, 0 and 4: one segment, halved, and its first half once more.
    assert [column.edges for column in few] == [(0.0, 1.0, 2.0, 4.0)]
    assert [column.edges for column in many] == [(0.0, 1.0, 2.0, 3.0)]


def test_segments_are_fitted_on_training_rows_and_stand_beside_the_plain_numbers() -> None:
    prepared = prepare(table(), split(), FEATURES, ("plain", "piecewise"))
    fold, seen = prepared.folds[0], prepared.folds[0].encoded("piecewise")
    assert fold.encoded("plain") is fold
    np.testing.assert_array_equal(seen.x_train[:, : fold.inputs], fold.x_train)
    np.testing.assert_allclose(seen.x_train[:, fold.inputs :].mean(axis=0), 0, atol=1e-9)
    assert Encoding.from_json(json.loads(json.dumps(prepared.encoding.to_json()))) == prepared.encoding


def test_ids_are_refused_before_they_fill_the_memory() -> None:
    ids = pd.DataFrame({"x": np.arange(60_000) % 7, "id": [f"C-{number}" for number in range(60_000)], "y": np.arange(60_000)})
    dataset = Dataset("table", ids, "y", ("x", "id"), "", "", "")
    rows = Split((Fold(np.arange(50_000), np.arange(50_000, 55_000)),), np.arange(55_000, 60_000))
    found = too_many_levels(dataset, rows, FEATURES, 16e9)
    assert found is not None
    assert "a column for each of 60,000 levels, 60,000 of them of 'id', takes 29 GB; name 'id' in dataset.drop" in found
    assert too_many_levels(dataset, rows, FEATURES, 64e9) is None
    assert too_many_levels(dataset, rows, FEATURES.model_copy(update={"category": "ordinal"}), 16e9) is None
