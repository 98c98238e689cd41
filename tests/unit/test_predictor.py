from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from regsweep.config.names import ACTIVATIONS as NAMES
from regsweep.predictor import ACTIVATIONS, CategoryColumn, Member, Model, NumberColumn, OrdinalColumn, TargetScale, encode


def test_activations_are_kerass() -> None:
    import keras

    x = np.linspace(-8, 8, 2001, dtype=np.float32)
    assert set(ACTIVATIONS) == set(NAMES)
    for name, function in ACTIVATIONS.items():
        expected = np.asarray(keras.activations.get(name)(x))
        # 5e-7 is four units in the last place at 1: both sides round every step to float32.
        np.testing.assert_allclose(function(x), expected, rtol=2e-6, atol=5e-7, err_msg=name)
        assert function(x).dtype == np.float32, name


def test_numbers_are_imputed_scaled_and_flagged() -> None:
    column = NumberColumn("bmi", shift=10.0, scale=2.0, fill=12.0, indicator=True, date=False)
    np.testing.assert_array_equal(column.encode(pd.Series([14.0, None])), [[2.0, 0.0], [1.0, 1.0]])
    assert column.outputs == ("bmi", "bmi is missing")


def test_integers_booleans_and_numbers_as_text_are_numbers() -> None:
    column = NumberColumn("n", 0.0, 1.0, 0.0, indicator=False, date=False)
    texts = ["True", "False"], ["TRUE", "0"], ["true", " false"]
    for values in ([1, 0], [True, False], ["1", "0"], [1.0, 0.0], *texts):
        np.testing.assert_array_equal(column.encode(pd.Series(values)), [[1.0], [0.0]])


def test_text_that_is_no_number_is_refused() -> None:
    with pytest.raises(ValueError, match=r"column 'n': .*abc"):
        NumberColumn("n", 0.0, 1.0, 0.0, indicator=False, date=False).encode(pd.Series(["1", "abc"]))


def test_dates_are_no_numbers_and_numbers_no_dates() -> None:
    number, day = (NumberColumn("n", 0.0, 1.0, 7.0, indicator=False, date=date) for date in (False, True))
    dates = pd.to_datetime(pd.Series(["1970-01-02", None]))
    with pytest.raises(ValueError, match="column 'n': a number is needed, but got the date 1970-01-02"):
        number.encode(dates)
    with pytest.raises(ValueError, match=r"column 'n': a date is needed, but got .*3"):
        day.encode(pd.Series([None, 3.0]))
    for kind in (dates.dt.to_period("D"), dates.astype(object), dates.dt.to_period("D").astype(object), dates.dt.date):
        # To pandas they are numbers: of nanoseconds, or of periods.
        with pytest.raises(ValueError, match="column 'n': a number is needed, but got the date 1970-01-02"):
            number.encode(kind)
    with pytest.raises(ValueError, match=r"column 'n': a date is needed, but got .*20200101"):
        day.encode(pd.Series([20200101, None], dtype=object))
    with pytest.raises(ValueError, match=r"column 'n': .*someday"):
        day.encode(pd.Series(["1970-01-02", "someday"]))
    for column, missing in ((number, dates[1:]), (day, pd.Series([np.nan]))):
        np.testing.assert_array_equal(column.encode(missing), [[7.0]])


def test_a_column_that_a_table_has_twice_is_named() -> None:
    frame = pd.DataFrame([[1.0, 2.0, 3.0]], columns=["a", "b", "a"])
    columns = [NumberColumn(name, 0.0, 1.0, 0.0, indicator=False, date=False) for name in ("a", "b")]
    with pytest.raises(ValueError, match="the table has 'a' more than once"):
        encode(frame, columns)


def test_an_infinite_value_is_refused_with_column_and_row() -> None:
    with pytest.raises(ValueError, match="column 'n' has an infinite value in row 1"):
        NumberColumn("n", 0.0, 1.0, 0.0, indicator=False, date=False).encode(pd.Series([0.0, np.inf]))


def test_dates_count_days_from_1970() -> None:
    column = NumberColumn("d", 0.0, 1.0, 0.0, indicator=False, date=True)
    for values in (pd.Series(["1970-01-02", "1971-01-01"]), pd.to_datetime(pd.Series(["1970-01-02", "1971-01-01"]))):
        np.testing.assert_array_equal(column.encode(values), [[1.0], [365.0]])


@pytest.mark.parametrize(
    "values",
    [
        ["1970-01-02", "1971-01-01 12:00"],
        ["1970-01-02T00:00:00", "1971-01-01T12:00:00.0"],
        ["1970-01-02T01:00+01:00", "1971-01-01T14:00+02:00"],
        [date(1970, 1, 2), datetime(1971, 1, 1, 12)],
        pd.to_datetime(pd.Series(["1970-01-02T01:00+01:00", "1971-01-01T13:00+01:00"])),
    ],
)
def test_a_date_may_be_written_in_any_way_that_training_takes(values: Any) -> None:
    column = NumberColumn("d", 0.0, 1.0, 0.0, indicator=False, date=True)
    np.testing.assert_array_equal(column.encode(pd.Series(values)), [[1.0], [365.5]])


@pytest.mark.parametrize("kind", ["timedelta64[ns]", "timedelta64[s]", "duration[ns][pyarrow]", "object"])
def test_durations_are_days(kind: str) -> None:
    column = NumberColumn("t", 0.0, 1.0, 7.0, indicator=False, date=False)
    values = pd.Series(pd.to_timedelta(["36h", None, "1D"])).astype(kind)  # type: ignore[call-overload]
    np.testing.assert_array_equal(column.encode(values), [[1.5], [7.0], [1.0]])


def test_what_is_missing_in_training_is_missing_in_prediction() -> None:
    number = NumberColumn("n", 0.0, 1.0, 7.0, indicator=False, date=False)
    np.testing.assert_array_equal(number.encode(pd.Series(["1", " ", " NA"])), [[1.0], [7.0], [7.0]])
    day = NumberColumn("d", 0.0, 1.0, 7.0, indicator=False, date=True)
    np.testing.assert_array_equal(day.encode(pd.Series(["1970-01-02", " ", "NA"])), [[1.0], [7.0], [7.0]])
    category = CategoryColumn("c", ("a", "b"), missing_level=True, unknown=(0.5, 0.3, 0.2))
    np.testing.assert_array_equal(category.encode(pd.Series([" ", "NA"])), [[0, 0, 1], [0, 0, 1]])


def test_codes_are_found_that_another_reading_made_numbers() -> None:
    # Of a table with 2A among them, pandas reads texts; of one without it, numbers, and with gaps, 1.0.
    levels = ("01", "02", "2A")
    category = CategoryColumn("c", levels, missing_level=False, unknown=(0.5, 0.3, 0.2))
    for values in ([1, 2], [1.0, 2.0], ["01", "02"]):
        np.testing.assert_array_equal(category.encode(pd.Series(values)), [[1, 0, 0], [0, 1, 0]])
    np.testing.assert_array_equal(category.encode(pd.Series(["1", "x"])), [[0.5, 0.3, 0.2]] * 2)
    answers = CategoryColumn("c", ("FALSE", "TRUE", "1"), missing_level=False, unknown=(0.5, 0.3, 0.2))
    np.testing.assert_array_equal(answers.encode(pd.Series([True, False])), [[0, 1, 0], [1, 0, 0]])
    ordinal = OrdinalColumn("c", levels, False, 0.0, 1.0, 0.7)
    np.testing.assert_array_equal(ordinal.encode(pd.Series([2.0, np.nan, 9.0])), [[1.0], [0.7], [0.7]])


def test_an_unseen_category_goes_to_the_bucket_and_a_missing_one_to_its_level() -> None:
    column = CategoryColumn("c", ("a", "b"), missing_level=True, unknown=(0.5, 0.3, 0.2))
    codes = column.encode(pd.Series(["b", "z", None, "a"]))
    np.testing.assert_array_equal(codes, [[0, 1, 0], [0.5, 0.3, 0.2], [0, 0, 1], [1, 0, 0]])
    assert column.outputs == ("c = a", "c = b", "c is missing")


def test_without_a_missing_level_missing_goes_to_the_bucket() -> None:
    column = CategoryColumn("c", ("a", "b"), missing_level=False, unknown=(0.75, 0.25))
    np.testing.assert_array_equal(column.encode(pd.Series([None, "b"])), [[0.75, 0.25], [0, 1]])


def test_a_missing_column_is_named() -> None:
    with pytest.raises(ValueError, match="the table lacks 'age'; it has 'bmi'"):
        encode(pd.DataFrame({"bmi": [1.0]}), [NumberColumn("age", 0.0, 1.0, 0.0, indicator=False, date=False)])


def test_a_log_target_comes_back_in_units() -> None:
    scale = TargetScale(log=True, shift=1.0, scale=2.0)
    np.testing.assert_allclose(scale.to_units(scale.to_network(np.array([1.0, 10.0]))), [1.0, 10.0])
    assert scale.to_network(np.array([np.e])) == 0.0


def member(shift: float) -> Member:
    columns = (NumberColumn("x", 0.0, 1.0, 0.0, False, False), CategoryColumn("c", ("a", "b"), False, (0.5, 0.5)))
    kernels = (np.array([[1.0], [10.0], [20.0]], np.float32),)
    return Member(columns, (), kernels, (np.array([0.5], np.float32),), TargetScale(False, shift, 2.0))


def test_a_model_answers_with_the_mean_of_its_members() -> None:
    model = Model("y", "points", (member(0.0), member(4.0)))
    # (x + 10 or 20 + 0.5) * 2 + shift, shift 0 and 4
    np.testing.assert_allclose(model.predict(pd.DataFrame({"x": [1, 2], "c": ["a", "b"]})), [25.0, 47.0])


def test_a_model_survives_saving(tmp_path: Path) -> None:
    model = Model("y", "points", (member(0.0), member(4.0)))
    model.save(tmp_path)
    loaded = Model.load(tmp_path / "model.json", tmp_path / "weights.npz")
    frame = pd.DataFrame({"x": [1.5, None], "c": ["a", "new"]})
    np.testing.assert_array_equal(loaded.predict(frame), model.predict(frame))
    assert (loaded.target, loaded.unit, loaded.members[0].columns) == ("y", "points", model.members[0].columns)


def test_another_format_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.json").write_text('{"format": "other/9"}')
    with pytest.raises(ValueError, match="format regsweep-model/2 is needed, but got 'other/9'"):
        Model.load(tmp_path / "model.json", tmp_path / "weights.npz")
