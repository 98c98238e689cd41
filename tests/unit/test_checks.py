"""What makes a table unfit for regression, and what is only noted."""

from __future__ import annotations

import shlex
from functools import cache

import numpy as np
import pandas as pd
import pytest

from regsweep.config import compose
from regsweep.config.dataset import DatasetConfig
from regsweep.data.checks import OUT, check_table
from regsweep.data.dataset import Dataset
from regsweep.data.table import parse_table, table_from_frame
from regsweep.errors import ConfigError, DataError
from regsweep.tasks import BINARY


@cache
def config(*overrides: str) -> DatasetConfig:
    return compose(["dataset=csv", "dataset.path=data.csv", "dataset.target=y", *overrides])[0].dataset


def check(text: str, *overrides: str) -> Dataset:
    return check_table(parse_table(text.encode(), "data.csv"), config(*overrides))


def check_frame(columns: dict[str, object], *overrides: str) -> Dataset:
    return check_table(table_from_frame(pd.DataFrame(columns), "frame"), config(*overrides))


REFUSED = {
    "text": ("x,y\n1,2\n2,\n3,oops\n4,5\n", r"data\.csv:4: target 'y' is 'oops', but a number is needed \(1 of 4 rows\)"),
    "decimal comma in the target": (
        'x,y\n1,"2,5"\n2,"3,5"\n',
        r"data\.csv:2: target 'y' is '2,5', but a number is needed \(2 of 2",
    ),
    "date": ("x,y\n1,2020-01-01\n2,2020-01-02\n", r"data\.csv:2: target 'y' is the date 2020-01-01"),
    "missing": ("x,y\n1,2\n2,\n3,NA\n", r"data\.csv:3: target 'y' is missing, but it must be known in every row \(2 of 3 rows\)"),
    "infinite": ("x,y\n1,2\n2,-inf\n", r"data\.csv:3: target 'y' is -inf, but a finite number is needed"),
    "missing after a quoted line end": ('x,y\n"a\nb",2\n"c",\n', r"data\.csv:4: target 'y' is missing"),
    "infinite feature": (
        "x,y\n1,2\n1e400,3\n",
        r"data\.csv:3: feature 'x' is inf, but a finite number .*'dataset\.drop=\[\"x\"\]'",
    ),
    "decimal comma": ('x,y\n"1,5",2\n2,3\n', r"data\.csv:2: feature 'x' is '1,5', but a number is written with a decimal point"),
    "thousands": ('x,y\n999,2\n"1,234.5",3\n', r"data\.csv:3: feature 'x' is '1,234\.5', but .*without thousands separators"),
    "no such date": ("x,y\n2020-01-01,2\n2020-02-30,3\n", r"data\.csv:3: feature 'x' is '2020-02-30', but there is no such date"),
    "no such date among texts with times": (
        "x,y\n2020-02-12 10:00,2\n2020-02-30,3\n2020-02-13,4\n",
        r"data\.csv:3: feature 'x' is '2020-02-30', but there is no such date \(1 of 3",
    ),
    "a mark that stands for missing": (
        "x,y\n1,2\n1.7976931348623157e308,3\n",
        r"data\.csv:3: feature 'x' is 1\.797.*at most 1e150",
    ),
    "a huge target": ("x,y\n1,2\n2,-1e200\n", r"data\.csv:3: target 'y' is -1e\+200, but a finite number is needed, of at most"),
    "constant": ("x,y\n1,2\n1,3\n", r"data\.csv: no feature is left beside target 'y' in 2 row\(s\): 'x' constant or missing"),
    "target alone": ("y\n1\n2\n", r"data\.csv: no feature is left .*: the others are dropped"),
}


@pytest.mark.parametrize(("text", "message"), REFUSED.values(), ids=REFUSED)
def test_unfit_tables_are_refused_where_they_fail(text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        check(text)


def test_all_problems_of_the_values_are_listed() -> None:
    with pytest.raises(DataError, match=r"data\.csv:3: target") as caught:
        check("x,z,y\n1,1,2\n-inf,2,\n3,inf,x\n")
    assert [problem.split(",")[0] for problem in caught.value.problems] == [
        "data.csv:4: target 'y' is 'x'",
        "data.csv:3: target 'y' is missing",
        "data.csv:3: feature 'x' is -inf",
        "data.csv:4: feature 'z' is inf",
    ]


def test_columns_that_do_not_exist_are_listed_with_the_nearest() -> None:
    roles = ["dataset.target=Price", "dataset.drop=[idd, size]", "dataset.time=when", "dataset.group=town"]
    with pytest.raises(DataError, match=r"data\.csv: has no column 'Price'") as caught:
        check("id,size,price\n1,2,3\n", *roles)
    assert caught.value.problems == (
        "data.csv: has no column 'Price', which dataset.target names (did you mean price?)",
        "data.csv: has no column 'when', which dataset.time names",
        "data.csv: has no column 'town', which dataset.group names",
        "data.csv: has no column 'idd', which dataset.drop names (did you mean id?)",
        "data.csv: its columns are 'id', 'size', 'price'",
    )


def test_a_long_list_of_columns_is_cut() -> None:
    with pytest.raises(DataError, match=r"its columns are 'c0', .*'c29' and 70 more$"):
        check(",".join(f"c{i}" for i in range(100)) + "\n" + ",".join("1" * 100) + "\n")


def test_a_column_has_one_role() -> None:
    with pytest.raises(ConfigError, match=r"dataset\.time names 'y', which is dataset\.target.*\ndataset\.drop names 'y'"):
        check("x,y\n1,2\n", "dataset.time=y", "dataset.drop=[y]")


def test_dropped_time_and_group_columns_are_no_features_and_not_judged() -> None:
    text = 'id,day,town,junk,x,y\n1,2020-01-01,A,inf,5,2\n2,2020-01-02,B,"1,5",7,9\n'
    dataset = check(text, "dataset.drop=[id, junk]", "dataset.time=day", "dataset.group=town")
    assert dataset.features == ("x",)
    assert (dataset.time, dataset.group, dataset.notes) == ("day", "town", ())
    assert list(dataset.table) == ["id", "day", "town", "junk", "x", "y"]


def test_a_plain_table_has_no_notes() -> None:
    dataset = check("x,s,flag,y\n" + "".join(f"{i * i % 7},{'ab'[i % 2]},{i % 3 == 0},{i}\n" for i in range(40)))
    assert (dataset.features, dataset.notes) == (("x", "s", "flag"), ())
    assert dataset.y.tolist() == list(range(40))


def noted(**columns: object) -> tuple[str, ...]:
    rng = np.random.default_rng(0)
    return check_frame({"x": rng.normal(size=40), **columns, "y": columns.get("y", rng.normal(size=40))}).notes


def test_constant_and_missing_features_are_left_out() -> None:
    rng = np.random.default_rng(0)
    columns = {"x": rng.normal(size=5), "one": [3] * 5, "word": ["a"] * 5, "none": [None] * 5, "gap": [1, 1, None, 1, 1]}
    dataset = check_frame({**columns, "y": rng.normal(size=5)})
    assert dataset.features == ("x", "gap")  # that a value is missing says something
    assert dataset.notes == ("not used as features, because constant or all missing: 'one', 'word', 'none'",)


def test_equal_features_are_noted() -> None:
    ints = np.arange(40) % 7
    texts = [None, *"abababababababababababababababababababa"]
    assert noted(a=ints, b=ints.astype(float), s=texts, t=texts) == ("features with the same values: 'b' (as 'a'), 't' (as 's')",)


def test_row_ids_are_noted() -> None:
    ids = np.random.default_rng(1).permutation(40) + 1000
    assert noted(n=ids, s=[f"row {i}" for i in range(40)], even=np.arange(40) * 2) == (
        "features that look like row ids, which a model can only memorise: 'n', 's'",
    )


def test_integers_that_float64_rounds_are_noted() -> None:
    steps = np.arange(40) ** 2
    notes = noted(a=2**53 + steps, b=-(2**53) - steps**2, exact=2**53 - steps, fractions=np.linspace(0, 1e9, 40))
    assert notes == ("columns with integers beyond 2^53, which are rounded: 'a', 'b'",)
    assert noted(y=2**53 + steps) == ("columns with integers beyond 2^53, which are rounded: 'y'",)


def test_wide_categories_are_noted() -> None:
    levels = [f"l{i % 5}" for i in range(40)], [f"l{i % 4}" for i in range(40)]
    assert noted(five=levels[0], four=levels[1]) == ("categories with more than 4 levels, a tenth of the rows: 'five'",)


def test_a_constant_target_is_noted() -> None:
    assert noted(y=[2.5] * 40) == ("the target is constant, so R² is undefined: 'y'",)


def leaky() -> dict[str, object]:
    y = np.random.default_rng(2).normal(size=40)
    tilt = np.random.default_rng(3).normal(size=40)
    return {"copy": y, "cents": -100 * y + 3, "near": y + 0.01 * tilt, "far": y + 0.1 * tilt, "huge": y * 1e140, "y": y}


def test_features_that_give_the_target_away_are_noted() -> None:
    notes = check_frame(leaky()).notes
    assert notes[0] == "feature 'copy' equals target 'y'; if it is not known when predicting, set 'dataset.drop=[\"copy\"]'"
    assert notes[1].startswith("feature 'cents' correlates with target 'y' (r = -1.00000)")
    assert notes[2].startswith("feature 'near' correlates with target 'y' (r = 0.999")
    assert notes[3].startswith("feature 'huge' correlates with target 'y' (r = 1.00000)")
    assert len(notes) == 4


def test_strict_refuses_features_that_give_the_target_away() -> None:
    with pytest.raises(
        DataError, match=r"frame: feature 'copy' equals target 'y'; set 'dataset\.drop=\[\"copy\", \"cents\", .*\]', or set"
    ) as caught:
        check_frame(leaky(), "dataset.strict=true")
    assert len(caught.value.problems) == 4
    assert check_frame(leaky(), "dataset.strict=true", "dataset.drop=[copy, cents, near, huge]").features == ("far",)


def test_a_leak_is_seen_beside_missing_values_and_in_dates() -> None:
    day = pd.Series(pd.date_range("2020-01-01", periods=30))
    y = np.arange(30.0)
    notes = check_frame({"gap": np.where(y % 3 == 0, np.nan, y), "day": day, "y": y}).notes
    assert notes[0].startswith("feature 'gap' equals target 'y'")
    assert notes[1].startswith("feature 'day' correlates with target 'y' (r = 1.00000)")


def test_a_few_values_that_agree_with_the_target_give_nothing_away() -> None:
    y = np.arange(40) % 2
    few, more = (np.where(np.arange(40) < count, y, np.nan) for count in (9, 10))
    (note,) = [one for one in check_frame({"few": few, "more": more, "n": np.arange(40) // 3, "y": y}).notes if "equals" in one]
    assert note.startswith("feature 'more' equals target 'y'")


def test_a_name_that_was_read_as_a_number_is_to_be_quoted() -> None:
    with pytest.raises(
        DataError, match=r"no column '202001', which dataset\.drop names .did you mean 2020_01.*\n.*quote it, as in"
    ):
        check_frame({"2020_01": [1.0, 2.0, 4.0], "y": [1.0, 2.0, 3.0]}, "dataset.drop=[2020_01]")


def test_a_text_that_tells_the_classes_apart_gives_the_target_away() -> None:
    y = np.arange(40) % 2
    words = np.where(y == 1, "ill", "well").astype(object)
    gaps = words.copy()
    gaps[:5] = None
    notes = check_frame({"state": words, "gaps": gaps, "other": np.roll(words, 1)[::-1], "n": np.arange(40) // 3, "y": y}).notes
    assert notes[0].startswith("feature 'state' says which class 'y' is; if it is not known when predicting, set")
    assert notes[1].startswith("feature 'gaps' says which class 'y' is")
    mixed = words.copy()
    mixed[0] = "ill"
    assert not [note for note in check_frame({"state": mixed, "y": y}).notes if "class" in note]


@pytest.mark.parametrize("kind", ["float16", "float32", "float64"])
def test_an_infinity_of_any_precision_is_refused(kind: str) -> None:
    for column in ("x", "y"):
        frame = {"x": np.arange(6, dtype=kind), "y": np.arange(6, dtype=kind) ** 2}
        frame[column][2] = -np.inf
        with pytest.raises(DataError, match=rf"frame row 2: \w+ '{column}' is -inf, but {OUT} \(1 of 6 rows\)"):
            check_frame(frame)


def test_the_advice_to_drop_a_column_can_be_followed() -> None:
    with pytest.raises(DataError, match=r"data\.csv:2: feature 'a, 🏠' is inf") as caught:
        check('"a, 🏠",x,y\ninf,1,2\n2,4,3\n')
    advice = caught.value.problems[0].rpartition("set ")[2].strip("'")
    assert check('"a, 🏠",x,y\ninf,1,2\n2,4,3\n', advice).features == ("x",)


def test_the_advice_to_leave_a_column_out_keeps_what_is_left_out_already() -> None:
    rows = "".join(f"{i * i},{2 * i},{i % 3},{i}\n" for i in range(20))
    (note,) = (note for note in check(f"id,a b's,x,y\n{rows}", "dataset.drop=[id]").notes if "correlates" in note)
    assert shlex.split(note.rpartition("set ")[2]) == ["""dataset.drop=["id", "a b's"]"""]


def test_numbers_that_are_read_as_categories_are_noted() -> None:
    rows = "".join(f"{'?' if i == 7 else i % 3},{'ab'[i % 2]},{i}\n" for i in range(40))
    (note,) = (note for note in check(f"t,s,y\n{rows}").notes if "'t'" in note)
    assert note == "read as categories, though most of their values are numbers: 't' (because of '?')"


def test_a_class_may_have_any_name() -> None:
    table = parse_table(b"x,self\n1,a\n2,b\n3,a\n", "data.csv")
    dataset = check_table(table, config("dataset.target=self"), BINARY)
    assert dataset.y.tolist() == [0, 1, 0]
