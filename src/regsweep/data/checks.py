"""Judges a raw table as a data set for a task: refuses what can't be trained on, notes what should be known.

In: a `Table` and the data set's config. Out: a `Dataset`, with its features chosen and its notes written. Main call:
`check_table`.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from regsweep.config.dataset import DatasetConfig
from regsweep.data.columns import is_constant
from regsweep.data.dataset import Dataset
from regsweep.data.leaks import leaks_of
from regsweep.data.notes import notes_on
from regsweep.data.strict_csv import NUMBER
from regsweep.data.table import ISO_DATE, Table, iso_dates
from regsweep.errors import ConfigError, DataError, nearest
from regsweep.tasks import BINARY, REGRESSION, Task

# Squares, and sums of them, must stay below the end of float64, which is 1.8e308.
MOST = 1e150
OUT = "a finite number is needed, of at most 1e150"

_SHOWN = 30  # names that are listed before "and N more"
_COMMA_NUMBER = r"\s*[+-]?[\d.']*\d,\d[\d,]*(?:\.\d+)?(?:[eE][+-]?\d+)?\s*"


def check_table(table: Table, config: DatasetConfig, task: Task = REGRESSION) -> Dataset:
    """Return the data set that the table and the config describe, for a task.

    Raises ConfigError if a column is given two roles that exclude each other, and DataError, with every problem found, if named
    columns don't exist, the target is not numeric or not finite (for classification: not of two classes), a feature is infinite
    or no feature is left.
    """
    named = [
        ("dataset.time", config.time),
        ("dataset.group", config.group),
        *(("dataset.drop", column) for column in config.drop),
    ]
    if twice := [role for role, column in named if column == config.target]:
        raise ConfigError([f"{role} names {config.target!r}, which is dataset.target; a column can't be both" for role in twice])
    named.insert(0, ("dataset.target", config.target))
    if problems := _absent(table, [(key, column) for key, column in named if column is not None]):
        raise DataError(problems)
    used = [column for column in table.columns if column not in {config.target, config.time, config.group, *config.drop}]
    problems = (_class_problems if task == BINARY else _target_problems)(table, config.target)
    problems += [problem for column in used for problem in _feature_problems(table, column, config.drop)]
    if problems:
        raise DataError(problems)
    constant = [column for column in used if is_constant(table.frame[column])]
    features = [column for column in used if column not in constant]
    if not features:
        why = f"{_names(constant)} constant or missing" if constant else "the others are dropped, or are the time or group column"
        raise DataError(f"{table.name}: no feature is left beside target {config.target!r} in {len(table.frame)} row(s): {why}")
    classes = _classes(table.frame[config.target]) if task == BINARY else None
    seen = table.frame
    if classes is not None:
        seen = seen.copy()
        seen[config.target] = (seen[config.target] == classes[1]).astype(np.int64)
    leaks = leaks_of(seen, features, config.target)
    if leaks and config.strict:
        raise DataError(
            [f"{table.name}: {leak}; {_drop([*config.drop, *leaks])}, or set dataset.strict=false" for leak in leaks.values()]
        )
    notes = [f"not used as features, because constant or all missing: {_names(constant)}"] if constant else []
    if levels := [level for level in table.levels if level in features]:
        notes.append(f"taken from the table's index: {_names(levels)}; a frame to predict for needs reset_index() first")
    notes += [f"{leak}; if it is not known when predicting, {_drop([*config.drop, column])}" for column, leak in leaks.items()]
    return Dataset(
        name=config.name,
        table=table.frame,
        target=config.target,
        features=tuple(features),
        unit=config.unit,
        licence=config.licence,
        source=config.source,
        time=config.time,
        group=config.group,
        notes=(*notes, *notes_on(seen, features, config.target), *_said(config.target, classes)),
        classes=classes,
    )


def _absent(table: Table, named: Sequence[tuple[str, str]]) -> list[str]:
    columns = table.columns
    absent = [(key, column) for key, column in named if column not in columns]
    problems = [f"{table.name}: has no column {column!r}, which {key} names{nearest(column, columns)}" for key, column in absent]
    if any(column.isdigit() for _, column in absent):
        problems.append("a name that looks like a number is read as one, without its underscores: quote it, as in '\"2020_01\"'")
    return [*problems, f"{table.name}: its columns are {_names(columns)}"] if problems else []


def _target_problems(table: Table, target: str) -> list[str]:
    values = table.frame[target]
    if pd.api.types.is_datetime64_any_dtype(values):
        return [f"{table.place(0)}: target {target!r} is the date {values.iloc[0]}; a number is needed, choose another target"]
    numeric = pd.api.types.is_numeric_dtype(values)
    numbers = values if numeric else pd.to_numeric(values, errors="coerce")
    advice = "correct these rows or choose another target"
    if not numeric and not (numbers.isna() & values.notna()).any():
        return [f"{table.place(0)}: target {target!r} is the text {values.iloc[0]!r}; store the column as numbers"]
    return [
        *_found(table, values, numbers.isna() & values.notna(), f"target {target!r}", "a number is needed", advice),
        *_found(
            table, values, values.isna(), f"target {target!r}", "it must be known in every row", "fill in or remove these rows"
        ),
        *_found(table, values, _is_out(numbers), f"target {target!r}", OUT, advice),
    ]


def _class_problems(table: Table, target: str) -> list[str]:
    """A class is 0 or 1 (a boolean is read as these) or one of two texts; both must occur."""
    values = table.frame[target]
    missing = _found(
        table, values, values.isna(), f"target {target!r}", "it must be known in every row", "fill in or remove these rows"
    )
    if missing:
        return missing
    rule = "binary classification needs the numbers 0 and 1, booleans or two texts"
    if pd.api.types.is_numeric_dtype(values):
        wrong = _found(table, values, ~values.isin([0, 1]), f"target {target!r}", rule, "set task=regression or choose another")
        if wrong:
            return wrong
    elif pd.api.types.is_datetime64_any_dtype(values):
        return [f"{table.place(0)}: target {target!r} is the date {values.iloc[0]}, but {rule}; choose another target"]
    if (count := values.nunique()) != 2:
        shown = ", ".join(f"{value!r}" if isinstance(value, str) else f"{value}" for value in sorted(values.unique())[:5])
        more = f" and {count - 5:,} more" if count > 5 else ""
        return [f"{table.name}: target {target!r} has {count:,} value(s), {shown}{more}, but {rule}; choose another target"]
    return []


def _classes(values: pd.Series) -> tuple[str, str] | tuple[int, int]:
    """The two values of a target that was found to be one; of texts the later one in the alphabet is class 1."""
    if pd.api.types.is_numeric_dtype(values):
        return 0, 1
    first, second = sorted(str(value) for value in values.unique())
    return first, second


def _said(target: str, classes: tuple[str, str] | tuple[int, int] | None) -> list[str]:
    """Which of two texts is class 1."""
    if classes is None or not isinstance(classes[1], str):
        return []
    return [f"predictions are the probability that {target!r} is {classes[1]!r}, not {classes[0]!r}"]


def _feature_problems(table: Table, column: str, dropped: Sequence[str]) -> list[str]:
    values, what, drop = table.frame[column], f"feature {column!r}", _drop([*dropped, column])
    advice = f"correct these rows, or {drop}"
    if pd.api.types.is_numeric_dtype(values):
        return _found(table, values, _is_out(values), what, OUT, f"leave the field empty if it is unknown, or {drop}")
    if pd.api.types.is_datetime64_any_dtype(values):
        return []
    comma = values.str.fullmatch(_COMMA_NUMBER, na=False)
    if comma.any() and (comma | values.str.fullmatch(NUMBER, na=True)).all():
        rule = "a number is written with a decimal point and without thousands separators, not with a comma"
        return _found(table, values, comma, what, rule, advice)
    if values.str.fullmatch(ISO_DATE, na=True).all():
        return _found(table, values, iso_dates(values).isna() & values.notna(), what, "there is no such date", advice)
    return []


def _is_out(values: pd.Series) -> pd.Series:
    # As float64, because MOST is infinite as float32, and nothing is above infinity.
    return pd.Series(np.abs(values.to_numpy(dtype=np.float64)) > MOST, index=values.index)


def _found(table: Table, values: pd.Series, bad: pd.Series, what: str, rule: str, advice: str) -> list[str]:
    """Report the first bad row, if there is one, and how many there are."""
    if not bad.any():
        return []
    row = int(bad.to_numpy().argmax())
    value = values.iloc[row]
    shown = "missing" if pd.isna(value) else repr(value) if isinstance(value, str) else f"{value}"
    return [f"{table.place(row)}: {what} is {shown}, but {rule} ({int(bad.sum())} of {len(bad)} rows); {advice}"]


def _names(columns: Iterable[str]) -> str:
    listed = [repr(column) for column in columns]
    return ", ".join(listed[:_SHOWN]) + (f" and {len(listed) - _SHOWN} more" if len(listed) > _SHOWN else "")


def _drop(columns: Sequence[str]) -> str:
    """What to set: all that is to be left out, as one setting replaces another."""
    return f"set {shlex.quote(f'dataset.drop={json.dumps(list(dict.fromkeys(columns)), ensure_ascii=False)}')}"
