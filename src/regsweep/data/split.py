"""Row indices of train, val and test. Test rows are drawn first and belong to no fold.

In: a data set and the split's config. Out: `Split`. Main calls: `make_split`; `duplicates_across`, `groups_across` and
`times_across` for what a split does not prevent, and `undefined_objective` for what a split may leave undefined.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from regsweep.config.split import AutoSplit, GroupSplit, HoldoutSplit, KFoldSplit, SplitConfig, TimeOrderedSplit
from regsweep.data.dataset import Dataset
from regsweep.data.table import iso_dates
from regsweep.errors import ConfigError, DataError

Rows = npt.NDArray[np.int64]

# Fewer training rows leave least squares nothing to fit; R² needs two rows.
LEAST = {"train": 3, "val": 2, "test": 2}


@dataclass(frozen=True)
class Fold:
    """One pair of training and validation rows, each of shape (rows,)."""

    train: Rows
    val: Rows


@dataclass(frozen=True)
class Split:
    """One fold (hold-out) or several (k-fold), and the sealed test rows of shape (rows,)."""

    folds: tuple[Fold, ...]
    test: Rows


def make_split(config: SplitConfig, dataset: Dataset) -> Split:
    """Split the rows of a data set, in the order that scikit-learn draws them; the same config and rows give the same split.

    Raises DataError if a part would have fewer rows than it needs (`LEAST`) or the time or group column can't serve, ConfigError
    if groups are asked for and `dataset.group` is not set.
    """
    match config:
        case AutoSplit():
            return _auto(config, dataset)
        case HoldoutSplit():
            return _holdout(config, dataset)
        case KFoldSplit():
            return _kfold(config, dataset)
        case TimeOrderedSplit():
            return _time_ordered(config, dataset)
        case GroupSplit():
            return _group(config, dataset)


def rows_used(config: SplitConfig, rows: int) -> int:
    """How many of a table's rows a split has at all."""
    return round(rows * config.until) if isinstance(config, TimeOrderedSplit) else rows


def duplicates_across(split: Split, dataset: Dataset) -> str | None:
    """Say how many test rows stand in train or val too, with equal features and target; None if none does."""
    keys = pd.util.hash_pandas_object(dataset.table[[*dataset.features, dataset.target]], index=False).to_numpy()
    others = np.concatenate([rows for fold in split.folds for rows in (fold.train, fold.val)])
    count = int(np.isin(keys[split.test], keys[others]).sum())
    if not count:
        return None
    return (
        f"{count} of {len(split.test)} test rows stand in train or val too (equal features and target): the test score flatters"
    )


def groups_across(split: Split, dataset: Dataset) -> str | None:
    """Say how many groups of `dataset.group` have rows both in test and in train or val; None if none has."""
    if dataset.group is None:
        return None
    groups = dataset.table[dataset.group]
    others = {group for fold in split.folds for rows in (fold.train, fold.val) for group in groups.iloc[rows].dropna()}
    count = len(others & {*groups.iloc[split.test].dropna()})
    if not count:
        return None
    return (
        f"{count} groups of {dataset.group!r} have rows in test and in train or val: the test score flatters; split=group keeps "
        "them together"
    )


def times_across(config: SplitConfig, dataset: Dataset) -> str | None:
    """Say that rows which `dataset.time` orders are split at random; None without such a column, and in time or by groups."""
    if dataset.time is None or not isinstance(config, AutoSplit | HoldoutSplit | KFoldSplit):
        return None
    return (
        f"{dataset.time!r} orders the rows in time, but they are split at random: validation and test scores flatter; "
        "split=time_ordered trains on earlier rows alone"
    )


def undefined_objective(objectives: Sequence[str], split: Split, dataset: Dataset) -> str | None:
    """Say which objective has no value on some fold's validation rows, as R² and AUC where their target is constant."""
    for objective in objectives:
        instead = {"val/r2": "val/mse", "val/auc": "val/log_loss"}.get(objective)
        for number, fold in enumerate(split.folds if instead is not None else ()):
            y = dataset.y[fold.val]
            if y.min() == y.max():
                return (
                    f"{dataset.name}: objective {objective} has no value in fold {number}: the target of its {len(y)} validation "
                    f"rows is {y[0]:g} throughout; choose {instead}, or a split with larger validation parts"
                )
    return None


def _auto(config: AutoSplit, dataset: Dataset) -> Split:
    left = dataset.rows - math.ceil(dataset.rows * config.test)
    if left < config.below:
        folds = min(config.folds, max(2, left // 2))
        return _kfold(KFoldSplit(kind="kfold", folds=folds, repeats=config.repeats, **_common(config)), dataset)
    train = 1 - config.val - config.test
    return _holdout(HoldoutSplit(kind="holdout", train=train, val=config.val, **_common(config)), dataset)


def _common(config: AutoSplit) -> dict[str, Any]:
    return {"test": config.test, "seed": config.seed, "stratify": config.stratify}


def _holdout(config: HoldoutSplit, dataset: Dataset) -> Split:
    test, val = _shares(config)
    _check_rows(dataset, **_sizes(dataset.rows, test, val))
    rest, test_rows = _taken(np.arange(dataset.rows), test, config, dataset)
    train_rows, val_rows = _taken(rest, val, config, dataset)
    return _split([(train_rows, val_rows)], test_rows)


def _taken(rows: Rows, share: float, config: HoldoutSplit | KFoldSplit, dataset: Dataset) -> tuple[Rows, Rows]:
    """Rows that stay, and a share of them that is taken, as scikit-learn draws it."""
    from sklearn.model_selection import train_test_split

    if config.stratify:
        _check_classes(dataset, rows, 2)
    kinds = dataset.y[rows] if config.stratify else None
    kept, taken = train_test_split(rows, test_size=share, random_state=config.seed, stratify=kinds)
    # A share of less than half a row is none.
    if config.stratify and (lacking := [part for part in (kept, taken) if len(np.unique(dataset.y[part])) < 2]):
        raise DataError(
            f"{dataset.name}: of {len(rows)} rows to be divided so few are of one class that a part of {len(lacking[0])} would "
            "have none; add rows of it, make that part larger, or set split.stratify=false"
        )
    return kept, taken


def _kfold(config: KFoldSplit, dataset: Dataset) -> Split:
    from sklearn.model_selection import KFold, StratifiedKFold

    sealed = math.ceil(dataset.rows * config.test)
    rest = dataset.rows - sealed
    if config.folds > rest:
        raise DataError(
            f"{dataset.name}: split.folds is {config.folds}, above the {rest} rows that are left when {sealed} of "
            f"{dataset.rows} are sealed for test; set split.folds to {max(2, rest // 2)} or less, or add rows"
        )
    _check_rows(dataset, train=rest - math.ceil(rest / config.folds), val=rest // config.folds, test=sealed)
    rest_rows, test_rows = _taken(np.arange(dataset.rows), config.test, config, dataset)
    kind = StratifiedKFold if config.stratify else KFold
    # The first round is that of plain k-fold: scikit-learn's RepeatedKFold draws other folds for it.
    rounds = (kind(config.folds, shuffle=True, random_state=seed) for seed in _round_seeds(config))
    if config.stratify:
        _check_classes(dataset, rest_rows, config.folds)
    folds = [pair for each in rounds for pair in each.split(rest_rows, dataset.y[rest_rows])]
    return _split([(rest_rows[train], rest_rows[val]) for train, val in folds], test_rows)


def _round_seeds(config: KFoldSplit) -> list[int]:
    drawn = np.random.SeedSequence(config.seed).generate_state(config.repeats - 1).tolist() if config.repeats > 1 else []
    return [config.seed, *drawn]


def _time_ordered(config: TimeOrderedSplit, dataset: Dataset) -> Split:
    rows = rows_used(config, dataset.rows)
    sizes = _sizes(rows, *_shares(config))
    _check_rows(dataset, rows, **sizes)
    order = np.arange(dataset.rows)
    if dataset.time is not None:
        times = dataset.table[dataset.time]
        if not (pd.api.types.is_numeric_dtype(times) or pd.api.types.is_datetime64_any_dtype(times)):
            row = int((iso_dates(times).isna() & times.notna()).to_numpy().argmax())
            raise DataError(
                f"{dataset.name} row {row}: time column {dataset.time!r} is text because of {times.iloc[row]!r} (rows count "
                "from 0), and the order of texts is not that of time; write dates as 2020-12-31 or numbers"
            )
        _check_present(dataset, dataset.time, "time")
        order = np.argsort(times.to_numpy(), kind="stable")
    ends = np.cumsum([sizes["train"], sizes["val"]])
    train, val, test = np.split(order[:rows], ends)
    return _split([(train, val)], test)


def _group(config: GroupSplit, dataset: Dataset) -> Split:
    from sklearn.model_selection import GroupShuffleSplit

    if dataset.group is None:
        raise ConfigError("split=group needs the column that must not stand in two parts; set dataset.group")
    _check_present(dataset, dataset.group, "group")
    groups = pd.factorize(dataset.table[dataset.group], sort=True)[0]
    test, val = _shares(config)
    count = len(set(groups))
    parts = _sizes(count, test, val)
    if min(parts.values()) < 1:
        raise DataError(
            f"{dataset.name}: group column {dataset.group!r} has {count} group(s): train, val and test would get "
            f"{parts['train']}, {parts['val']} and {parts['test']}, and each needs one; change the fractions or the split"
        )

    def halves(rows: Rows, share: float) -> tuple[Rows, Rows]:
        kept, taken = next(GroupShuffleSplit(1, test_size=share, random_state=config.seed).split(rows, groups=groups[rows]))
        return rows[kept], rows[taken]

    rest_rows, test_rows = halves(np.arange(dataset.rows), test)
    train_rows, val_rows = halves(rest_rows, val)
    _check_rows(dataset, train=len(train_rows), val=len(val_rows), test=len(test_rows))
    return _split([(train_rows, val_rows)], test_rows)


def _shares(config: HoldoutSplit | TimeOrderedSplit | GroupSplit) -> tuple[float, float]:
    """Return the share of test among all rows, and the share of val among the rest."""
    return config.test, config.val / (config.train + config.val)


def _sizes(count: int, test: float, val: float) -> dict[str, int]:
    """Size the parts as scikit-learn does: the part that is taken is rounded up."""
    sealed = math.ceil(count * test)
    taken = math.ceil((count - sealed) * val)
    return {"train": count - sealed - taken, "val": taken, "test": sealed}


def _check_rows(dataset: Dataset, rows: int | None = None, **sizes: int) -> None:
    short = [f"{part} would have {size} and needs {LEAST[part]}" for part, size in sizes.items() if size < LEAST[part]]
    if short:
        count, listed = dataset.rows if rows is None else rows, ", ".join(short)
        raise DataError(f"{dataset.name}: {count} rows are too few for this split: {listed}; add rows, or change the split")


def _check_classes(dataset: Dataset, rows: Rows, parts: int) -> None:
    """Raise DataError where a class has fewer of these rows than there are parts, so that one would be without it."""
    fewest = min(int((dataset.y[rows] == kind).sum()) for kind in (0, 1))
    if fewest < parts:
        fewer = f"set split.folds={fewest}, " if fewest >= 2 else ""
        raise DataError(
            f"{dataset.name}: {fewest} of {len(rows)} rows to be divided are of one class, and each of {parts} parts needs one; "
            f"{fewer}add rows of it, or set split.stratify=false"
        )


def _check_present(dataset: Dataset, column: str, role: str) -> None:
    missing = dataset.table[column].isna().to_numpy()
    if missing.any():
        raise DataError(
            f"{dataset.name} row {int(missing.argmax())}: {role} column {column!r} is missing "
            f"({int(missing.sum())} of {dataset.rows} rows, counted from 0); fill in or remove them, or choose another split"
        )


def _split(folds: Iterable[tuple[Rows, Rows]], test: Rows) -> Split:
    pairs = tuple(Fold(np.asarray(train, np.int64), np.asarray(val, np.int64)) for train, val in folds)
    return Split(pairs, np.asarray(test, np.int64))
