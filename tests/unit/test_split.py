"""Splits against scikit-learn's own, and what can't be split."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import GroupShuffleSplit, KFold, StratifiedKFold, train_test_split

from regsweep.config import compose
from regsweep.config.split import GroupSplit, HoldoutSplit, KFoldSplit, SplitConfig, TimeOrderedSplit
from regsweep.data import Dataset, Fold, Split, duplicates_across, groups_across, make_split, times_across, undefined_objective
from regsweep.errors import ConfigError, DataError
from regsweep.material import gather


@cache
def config(*overrides: str) -> SplitConfig:
    return compose(overrides)[0].split


def data(rows: int, time: object = None, group: object = None) -> Dataset:
    columns = {"x": np.arange(rows) * 1.5, "time": time, "group": group, "y": np.arange(rows) * 1.0}
    table = pd.DataFrame({name: values for name, values in columns.items() if values is not None})
    return Dataset(
        "table", table, "y", ("x",), "", "", "", time=None if time is None else "time", group=None if group is None else "group"
    )


def classes(rows: int, ones: int) -> Dataset:
    table = pd.DataFrame({"x": np.arange(rows) * 1.5, "y": np.arange(rows) < ones}).astype({"y": np.int64})
    return Dataset("table", table, "y", ("x",), "", "", "", classes=(0, 1))


def assert_whole(split: Split, rows: int) -> None:
    """Every row stands in one part of each fold, and indices are int64."""
    for fold in split.folds:
        parts = (fold.train, fold.val, split.test)
        assert all(part.dtype == np.int64 and part.ndim == 1 for part in parts)
        assert sorted(np.concatenate(parts)) == list(range(rows))


@pytest.mark.parametrize("seed", [0, 42])
def test_holdout_draws_the_rows_that_scikit_learn_draws(seed: int) -> None:
    split = make_split(config("split=holdout", f"split.seed={seed}"), data(574))
    rest, test = train_test_split(np.arange(574), test_size=0.2, random_state=seed)
    train, val = train_test_split(rest, test_size=0.2, random_state=seed)
    assert_whole(split, 574)
    np.testing.assert_array_equal(split.test, test)
    np.testing.assert_array_equal(split.folds[0].train, train)
    np.testing.assert_array_equal(split.folds[0].val, val)
    assert (len(train), len(val), len(test)) == (367, 92, 115)


def test_kfold_seals_the_same_test_rows_and_folds_the_rest() -> None:
    split = make_split(config("split=kfold", "split.seed=3"), data(101))
    rest, test = train_test_split(np.arange(101), test_size=0.2, random_state=3)
    assert_whole(split, 101)
    np.testing.assert_array_equal(split.test, test)
    for fold, (train, val) in zip(split.folds, KFold(5, shuffle=True, random_state=3).split(rest), strict=True):
        np.testing.assert_array_equal(fold.train, rest[train])
        np.testing.assert_array_equal(fold.val, rest[val])
    assert sorted(np.concatenate([fold.val for fold in split.folds])) == sorted(rest)


def test_of_classes_every_part_gets_its_share_as_scikit_learn_draws_it() -> None:
    dataset = classes(100, 20)
    asked = ("task=binary_classification", "split.seed=3")
    kfold, holdout, auto = (make_split(config(*kind, *asked), dataset) for kind in (["split=kfold"], ["split=holdout"], []))
    rest, test = train_test_split(np.arange(100), test_size=0.2, random_state=3, stratify=dataset.y)
    train, val = train_test_split(rest, test_size=0.2, random_state=3, stratify=dataset.y[rest])
    for split in (kfold, holdout):
        assert_whole(split, 100)
        np.testing.assert_array_equal(split.test, test)
        assert dataset.y[split.test].sum() == 4
    np.testing.assert_array_equal(holdout.folds[0].train, train)
    np.testing.assert_array_equal(holdout.folds[0].val, val)
    # 16 rows of the class are left for 5 folds.
    assert sorted(dataset.y[fold.val].sum() for fold in kfold.folds) == [3, 3, 3, 3, 4]
    drawn = StratifiedKFold(5, shuffle=True, random_state=3).split(rest, dataset.y[rest])
    for fold, (_, rows) in zip(kfold.folds, drawn, strict=True):
        np.testing.assert_array_equal(fold.val, rest[rows])
    assert [fold.val.tolist() for fold in auto.folds] == [fold.val.tolist() for fold in kfold.folds]


@pytest.mark.parametrize(
    ("overrides", "ones", "message"),
    [
        (
            (),
            1,
            "1 of 100 rows to be divided are of one class, and each of 2 parts needs one; add rows of it, or set split.strat",
        ),
        # One of the four is sealed.
        ((), 4, "3 of 80 rows to be divided are of one class, and each of 5 parts needs one; set split.folds=3, add rows of it"),
        (("split=kfold", "split.test=0.4"), 2, "1 of 60 rows to be divided are of one class, and each of 5 parts needs one; add"),
        (
            ("split=holdout", "split.train=0.4", "split.val=0.2", "split.test=0.4"),
            2,
            "1 of 60 rows to be divided are of one class",
        ),
        # A fifth of two rows is less than half a one; of three, one is sealed, and a fifth of two is left for validation.
        (("split=holdout",), 2, "of 100 rows to be divided so few are of one class that a part of 20 would have none"),
        (("split=holdout",), 3, "of 80 rows to be divided so few are of one class that a part of 16 would have none"),
        (("split=kfold", "split.test=0.05", "split.folds=2"), 9, "so few are of one class that a part of 5 would have none"),
    ],
)
def test_a_part_without_a_class_is_refused(overrides: tuple[str, ...], ones: int, message: str) -> None:
    asked = ("task=binary_classification", *overrides)
    with pytest.raises(DataError, match=f"table: .*{message}"):
        make_split(config(*asked), classes(100, ones))
    assert_whole(make_split(config(*asked, "split.stratify=false"), classes(100, ones)), 100)


def test_origins_never_train_on_rows_later_than_those_they_test() -> None:
    time = np.random.default_rng(0).permutation(300)
    for until in (0.31, 0.6, 0.87, 1.0):
        split = make_split(config("split=time_ordered", f"split.until={until}"), data(300, time=time))
        (fold,) = split.folds
        assert time[fold.train].max() < time[fold.val].min()
        assert time[fold.val].max() < time[split.test].min()
        # Nothing later is used at all, nothing earlier is left out.
        used = np.concatenate([fold.train, fold.val, split.test])
        assert sorted(time[used]) == list(range(round(300 * until)))


def test_an_origin_too_early_says_how_many_rows_it_has() -> None:
    with pytest.raises(DataError, match="table: 6 rows are too few for this split: val would have 1 and needs 2"):
        make_split(config("split=time_ordered", "split.until=0.1"), data(60))


def test_without_a_time_column_rows_are_in_order() -> None:
    split = make_split(config("split=time_ordered"), data(20))
    assert split.folds[0].train.tolist() == list(range(12))
    assert split.folds[0].val.tolist() == [12, 13, 14, 15]
    assert split.test.tolist() == [16, 17, 18, 19]


@pytest.mark.parametrize("sort", ["dates", "numbers"])
def test_the_last_rows_in_time_are_test_and_ties_keep_their_order(sort: str) -> None:
    years = [2005, 2001, 2009, 2003, 2001, 2007, 2009, 2002, 2008, 2004]
    time = pd.to_datetime([f"{year}-01-01" for year in years]) if sort == "dates" else years
    split = make_split(config("split=time_ordered", "split.train=0.6", "split.val=0.2"), data(10, time=time))
    assert split.folds[0].train.tolist() == [1, 4, 7, 3, 9, 0]
    assert split.folds[0].val.tolist() == [5, 8]
    assert split.test.tolist() == [2, 6]


def test_groups_stand_in_one_part() -> None:
    group = np.repeat([f"g{i}" for i in range(12)], 5)
    split = make_split(config("split=group", "split.seed=1"), data(60, group=group))
    fold = split.folds[0]
    assert_whole(split, 60)
    parts = [set(group[rows]) for rows in (fold.train, fold.val, split.test)]
    assert [len(part) for part in parts] == [7, 2, 3]
    assert len(set.union(*parts)) == 12
    expected = next(GroupShuffleSplit(1, test_size=0.2, random_state=1).split(np.arange(60), groups=group))[1]
    np.testing.assert_array_equal(split.test, expected)


def test_groups_need_a_column_without_gaps_and_enough_of_them() -> None:
    with pytest.raises(ConfigError, match=r"split=group needs the column .*; set dataset\.group"):
        make_split(config("split=group"), data(20))
    with pytest.raises(DataError, match=r"table: group column 'group' has 2 group.*: train, val and test would get 0, 1 and 1"):
        make_split(config("split=group"), data(20, group=["a", "b"] * 10))
    with pytest.raises(DataError, match=r"table row 1: group column 'group' is missing \(2 of 4 rows, counted from 0\)"):
        make_split(config("split=group"), data(4, group=["a", None, "b", None]))
    with pytest.raises(
        DataError, match="table: 5 rows are too few for this split: train would have 2 and needs 3, val would have 1"
    ):
        make_split(config("split=group", "split.seed=1"), data(5, group=list("abcdd")))


def test_time_needs_an_order_without_gaps() -> None:
    for times, row, bad in (
        (["Jan 2020", "Feb 2020"] * 10, 0, "Jan 2020"),
        (["2020-01-01"] * 4 + ["2020-02-30"] + ["2020-01-02"] * 15, 4, "2020-02-30"),
    ):
        with pytest.raises(DataError, match=rf"table row {row}: time column 'time' is text because of '{bad}'"):
            make_split(config("split=time_ordered"), data(20, time=times))
    with pytest.raises(DataError, match="table row 3: time column 'time' is missing \\(1 of 20 rows"):
        make_split(config("split=time_ordered"), data(20, time=pd.to_datetime(["2020-01-01"] * 3 + [None] + ["2021-01-01"] * 16)))


@pytest.mark.parametrize(
    ("overrides", "rows", "message"),
    [
        (
            ("split=holdout",),
            5,
            "table: 5 rows are too few for this split: val would have 1 and needs 2, test would have 1 and needs 2; add rows",
        ),
        (("split=holdout",), 1, "train would have 0 and needs 3, val would have 0 and needs 2, test would have 1 and needs 2"),
        (("split=time_ordered",), 6, "val would have 1 and needs 2"),
        (("split=holdout", "split.train=0.02", "split.val=0.78"), 10, "train would have 0 and needs 3"),
        (
            ("split=kfold", "split.folds=9"),
            10,
            "split.folds is 9, above the 8 rows that are left when 2 of 10 are sealed for test",
        ),
        (("split=kfold", "split.folds=8"), 10, "10 rows are too few for this split: val would have 1 and needs 2"),
        (("split=kfold", "split.folds=2"), 5, "train would have 2 and needs 3, test would have 1 and needs 2"),
    ],
)
def test_too_few_rows_are_refused_with_the_numbers(overrides: tuple[str, ...], rows: int, message: str) -> None:
    with pytest.raises(DataError, match=message):
        make_split(config(*overrides), data(rows))


def test_the_largest_seed_is_taken() -> None:
    assert_whole(make_split(config("split.seed=4294967295"), data(20)), 20)


SHARES = st.floats(0.01, 0.98)


@settings(max_examples=150, deadline=None, derandomize=True, database=None)
@given(st.integers(1, 60), SHARES, SHARES, st.integers(2, 12), st.integers(0, 2**32 - 1))
def test_a_split_is_whole_or_refused(rows: int, test: float, cut: float, folds: int, seed: int) -> None:
    parts = {"train": (1 - test) * (1 - cut), "val": (1 - test) * cut, "test": test}
    plain, two = data(rows, group=np.arange(rows) // 2), classes(rows, rows // 3)
    for split_config, dataset in (
        (HoldoutSplit(kind="holdout", seed=seed, **parts), plain),
        (TimeOrderedSplit(kind="time_ordered", **parts), plain),
        (GroupSplit(kind="group", seed=seed, **parts), plain),
        (KFoldSplit(kind="kfold", folds=folds, repeats=2, test=test, seed=seed), plain),
        (HoldoutSplit(kind="holdout", seed=seed, stratify=True, **parts), two),
        (KFoldSplit(kind="kfold", folds=folds, repeats=2, test=test, seed=seed, stratify=True), two),
    ):
        try:
            split = make_split(split_config, dataset)
        except DataError as error:
            assert "rows" in str(error) or "group" in str(error)
            continue
        assert_whole(split, rows)
        assert len(split.test) >= 2
        assert all(len(fold.train) >= 3 and len(fold.val) >= 2 for fold in split.folds)
        if dataset is two:
            assert all(len(set(two.y[part])) == 2 for fold in split.folds for part in (fold.train, fold.val, split.test))


def test_rows_in_test_and_elsewhere_are_counted() -> None:
    table = pd.DataFrame(
        {"x": [1, 2, 3, 1, 2, 1], "s": ["a", None, "c", "a", None, "b"], "id": range(6), "y": [5, 6, 7, 5, 6, 5]}
    )
    dataset = Dataset("table", table, "y", ("x", "s"), "", "", "")
    split = Split((Fold(np.array([0, 2]), np.array([1])),), np.array([3, 4, 5]))
    assert duplicates_across(split, dataset) == (
        "2 of 3 test rows stand in train or val too (equal features and target): the test score flatters"
    )
    assert duplicates_across(Split((Fold(np.array([0, 3]), np.array([1, 4])),), np.array([2, 5])), dataset) is None


def test_groups_in_test_and_elsewhere_are_counted() -> None:
    table = pd.DataFrame({"x": range(6), "town": ["a", "b", "a", "b", "c", None], "y": range(6)})
    dataset = Dataset("table", table, "y", ("x",), "", "", "", group="town")
    found = groups_across(Split((Fold(np.array([0, 5]), np.array([1])),), np.array([2, 3, 4])), dataset)
    assert found is not None
    assert found.startswith("2 groups of 'town' have rows in test and in train or val")
    assert groups_across(Split((Fold(np.array([0, 2]), np.array([1, 3])),), np.array([4, 5])), dataset) is None


@pytest.mark.parametrize(("kind", "noted"), [("auto", 1), ("holdout", 1), ("kfold", 1), ("time_ordered", 0), ("group", 0)])
def test_rows_that_a_column_orders_in_time_are_said_to_be_split_at_random(kind: str, noted: int, tmp_path: Path) -> None:
    rows = [f"{day},{day % 5},{day * 3 % 7},{day % 4}" for day in range(60)]
    (tmp_path / "days.csv").write_text("\n".join(["day,town,x,y", *rows]))
    table = [f"dataset.path={tmp_path / 'days.csv'}", "dataset.target=y", "dataset.group=town", "space.parameters.batch_size=8"]

    def notes(*overrides: str) -> list[str]:
        facts = gather(compose(["dataset=csv", *table, f"split={kind}", *overrides])[0]).facts
        return [note for note in facts.dataset.notes if "in time" in note]

    assert notes("dataset.time=day") == noted * [
        "'day' orders the rows in time, but they are split at random: validation and test scores flatter; "
        "split=time_ordered trains on earlier rows alone"
    ]
    assert times_across(config(f"split={kind}"), data(60)) is None
    assert notes("dataset.drop=[day]") == []


def test_an_objective_without_a_value_in_a_fold_is_named() -> None:
    rows = np.arange(12, dtype=np.int64)
    frame = pd.DataFrame({"x": rows, "y": [0.0, 1.0] * 3 + [0.0] * 6})
    dataset = Dataset("t", frame, "y", ("x",), "", "", "")
    split = Split((Fold(rows[6:], rows[:6]), Fold(rows[:6], rows[6:10])), rows[10:])
    said = undefined_objective(["val/mse", "val/r2"], split, dataset)
    assert said is not None
    assert said.startswith(
        "t: objective val/r2 has no value in fold 1: the target of its 4 validation rows is 0 throughout; choose"
    )
    assert undefined_objective(["val/mse", "parameters"], split, dataset) is None
    assert undefined_objective(["val/r2"], Split(split.folds[:1], split.test), dataset) is None


def test_rounds_of_kfold_are_shuffled_anew_and_the_first_is_plain_kfold() -> None:
    once, thrice = (make_split(config("split=kfold", f"split.repeats={count}"), data(60)) for count in (1, 3))
    assert len(thrice.folds) == 15
    for a, b in zip(once.folds, thrice.folds[:5], strict=True):
        np.testing.assert_array_equal(a.val, b.val)
    rounds = [thrice.folds[start : start + 5] for start in (0, 5, 10)]
    for each in rounds:
        assert sorted(np.concatenate([fold.val for fold in each])) == sorted(np.concatenate([fold.val for fold in once.folds]))
    assert len({tuple(sorted(each[0].val)) for each in rounds}) == 3
    assert_whole(thrice, 60)


@pytest.mark.parametrize(("rows", "folds"), [(99, 5), (100, 1), (8, 3)])
def test_auto_is_kfold_below_a_number_of_rows_and_seals_the_same_rows(rows: int, folds: int) -> None:
    # 80 of 100 rows are left, 79 of 99; of 8 rows 6 are left, two for each of 3 folds.
    split = make_split(config("split=auto", "split.below=80"), data(rows))
    assert len(split.folds) == folds
    np.testing.assert_array_equal(split.test, make_split(config("split=holdout"), data(rows)).test)
    assert_whole(split, rows)
