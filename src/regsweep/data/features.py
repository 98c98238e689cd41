"""Fits the preprocessing on training rows and hands each fold to the trainers as arrays.

In: a data set, a split, the features config. Out: `Prepared`, which holds training and validation rows only: the sealed
test rows never enter it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from regsweep.config.schema import FeaturesConfig
from regsweep.data.dataset import Dataset
from regsweep.data.split import Fold, Split
from regsweep.errors import DataError
from regsweep.predictor import (
    CategoryColumn,
    Column,
    Member,
    Model,
    NumberColumn,
    OrdinalColumn,
    SegmentsColumn,
    TargetScale,
    column_from,
    days,
    describe_column,
    describe_target,
    encode,
)
from regsweep.tasks import BINARY, REGRESSION, Task
from regsweep.trial import TrialResult

Array32 = npt.NDArray[np.float32]
Array64 = npt.NDArray[np.float64]

PLAIN = "plain"

# A class is 0 or 1 to the network; it is neither standardised nor logged.
LOGIT = TargetScale(log=False, shift=0.0, scale=1.0, logistic=True)


@dataclass(frozen=True)
class Inputs:
    """Rows in one encoding: x of shape (rows, inputs)."""

    columns: tuple[Column, ...]
    x_train: Array64
    x_val: Array64


@dataclass(frozen=True)
class FoldData:
    """One fold, ready to train on: x of shape (rows, inputs), z (the network's target) and y (in target units) of shape (rows,).

    `mean` and `std` of the training targets, in target units, put metrics on a scale on which float32 loses nothing. `others`
    are the same rows in encodings other than `plain`.
    """

    columns: tuple[Column, ...]
    target: TargetScale
    mean: float
    std: float
    x_train: Array64
    y_train: Array64
    z_train: Array32
    x_val: Array64
    y_val: Array64
    z_val: Array32
    others: Mapping[str, Inputs] = field(default_factory=dict)

    def encoded(self, encoding: str) -> FoldData:
        """The fold as a training sees it that asks for this encoding."""
        if encoding == PLAIN:
            return self
        inputs = self.others[encoding]
        return replace(self, columns=inputs.columns, x_train=inputs.x_train, x_val=inputs.x_val, others={})

    @property
    def task(self) -> Task:
        """What a network of it predicts: its output is a number, or a logit."""
        return BINARY if self.target.logistic else REGRESSION

    @property
    def inputs(self) -> int:
        """How many numbers encode a row."""
        return int(self.x_train.shape[1])


@dataclass(frozen=True)
class FoldEncoding:
    """What a fold's model needs besides its weights: the columns of every encoding, and the target's scale."""

    columns: Mapping[str, tuple[Column, ...]]
    target: TargetScale


@dataclass(frozen=True)
class Encoding:
    """The fitted preprocessing of a study's folds, without a row of data."""

    target: str
    unit: str
    folds: tuple[FoldEncoding, ...]

    def model(self, result: TrialResult) -> Model:
        """Join a trial's networks with the preprocessing of their folds."""
        members = tuple(
            Member(
                fold.columns[result.spec.encoding],
                result.spec.activations,
                trained.network.kernels,
                trained.network.biases,
                fold.target,
            )
            for fold, trained in zip(self.folds, result.folds, strict=True)
        )
        return Model(self.target, self.unit, members)

    def to_json(self) -> dict[str, Any]:
        folds = [
            {
                "columns": {name: [describe_column(column) for column in columns] for name, columns in fold.columns.items()},
                "target": describe_target(fold.target),
            }
            for fold in self.folds
        ]
        return {"target": self.target, "unit": self.unit, "folds": folds}

    @staticmethod
    def from_json(values: Mapping[str, Any]) -> Encoding:
        folds = tuple(
            FoldEncoding(
                {name: tuple(map(column_from, columns)) for name, columns in fold["columns"].items()},
                TargetScale(**fold["target"]),
            )
            for fold in values["folds"]
        )
        return Encoding(values["target"], values["unit"], folds)


@dataclass(frozen=True)
class Prepared:
    """The folds of a study and the name and unit of its target."""

    target: str
    unit: str
    folds: tuple[FoldData, ...]

    @property
    def task(self) -> Task:
        """What the networks predict."""
        return self.folds[0].task

    @property
    def encoding(self) -> Encoding:
        """What was fitted, without the data."""
        folds = (
            FoldEncoding({PLAIN: fold.columns} | {name: inputs.columns for name, inputs in fold.others.items()}, fold.target)
            for fold in self.folds
        )
        return Encoding(self.target, self.unit, tuple(folds))


def prepare(dataset: Dataset, split: Split, config: FeaturesConfig, encodings: Sequence[str] = (PLAIN,)) -> Prepared:
    """Encode every fold, in every encoding that is asked for, with preprocessing fitted on its own training rows.

    Raises DataError if a log target is asked for and a training or validation target is not positive.
    """
    folds = tuple(_prepare_fold(dataset, fold, config) for fold in split.folds)
    if "piecewise" in encodings:
        trains = [dataset.x.iloc[fold.train] for fold in split.folds]
        pieces = segments([fold.columns for fold in folds], trains, config.bins)
        folds = tuple(
            replace(fold, others={"piecewise": _inputs((*fold.columns, *more), train, dataset.x.iloc[rows.val])})
            for fold, more, train, rows in zip(folds, pieces, trains, split.folds, strict=True)
        )
    return Prepared(dataset.target, dataset.unit, folds)


def fit_columns(frame: pd.DataFrame, config: FeaturesConfig) -> tuple[Column, ...]:
    """Fit one column encoder per raw column of the training rows."""
    return tuple(_fit_column(name, frame[name], config) for name in frame.columns)


def segments(
    columns: Sequence[Sequence[Column]], frames: Sequence[pd.DataFrame], bins: int
) -> tuple[tuple[SegmentsColumn, ...], ...]:
    """For every fold the segments of its numbers, between quantiles of its training rows.

    Ties make for fewer than `bins`. Folds get equally many of a column, so that their networks have one shape and share a stack:
    where there are fewer, the widest are halved.
    """
    found: list[list[SegmentsColumn]] = [[] for _ in frames]
    names = [column.name for column in columns[0] if isinstance(column, NumberColumn)] if columns else []
    for name in names:
        edges = [_edges(_present(frame[name]), bins) for frame in frames]
        most = max(map(len, edges))
        if most < 3:
            continue
        for fold, frame in enumerate(frames):
            plain = next(column for column in columns[fold] if isinstance(column, NumberColumn) and column.name == name)
            cuts = tuple(_halved(edges[fold], most))
            column = SegmentsColumn(name, cuts, (0.0,) * (most - 1), plain.fill, plain.date)
            found[fold].append(replace(column, centre=tuple(column.encode(frame[name]).mean(axis=0).tolist())))
    return tuple(map(tuple, found))


def fit_target(y: Array64, config: FeaturesConfig) -> TargetScale:
    """Fit the target's transformation on training targets of shape (rows,)."""
    values = np.log(y) if config.target_log else y
    if not config.target_standardise:
        return TargetScale(config.target_log, 0.0, 1.0)
    return TargetScale(config.target_log, float(values.mean()), _deviation(values))


def _prepare_fold(dataset: Dataset, fold: Fold, config: FeaturesConfig) -> FoldData:
    y_train, y_val = dataset.y[fold.train], dataset.y[fold.val]
    if config.target_log and (lowest := min(y_train.min(), y_val.min())) <= 0:
        raise DataError(
            f"features.target_log needs targets above 0, but {dataset.target!r} goes down to {lowest:g}; "
            "set features.target_log=false"
        )
    train, val = dataset.x.iloc[fold.train], dataset.x.iloc[fold.val]
    columns, target = fit_columns(train, config), LOGIT if dataset.classes else fit_target(y_train, config)
    mean, std = (0.0, 1.0) if dataset.classes else (float(y_train.mean()), _deviation(y_train))
    return FoldData(
        columns=columns,
        target=target,
        mean=mean,
        std=std,
        x_train=encode(train, columns),
        y_train=y_train,
        z_train=target.to_network(y_train).astype(np.float32),
        x_val=encode(val, columns),
        y_val=y_val,
        z_val=target.to_network(y_val).astype(np.float32),
    )


def _inputs(columns: tuple[Column, ...], train: pd.DataFrame, val: pd.DataFrame) -> Inputs:
    return Inputs(columns, encode(train, columns), encode(val, columns))


def _present(values: pd.Series) -> Array64:
    """The values of a number's column that are not missing."""
    dates = pd.api.types.is_datetime64_any_dtype(values)
    numbers = days(values) if dates else values.to_numpy(dtype=np.float64, na_value=np.nan)
    return numbers[~np.isnan(numbers)]


def _edges(numbers: Array64, bins: int) -> list[float]:
    if not len(numbers):
        return [0.0, 1.0]
    edges: list[float] = np.unique(np.quantile(numbers, np.linspace(0, 1, bins + 1))).tolist()
    return edges if len(edges) > 1 else [edges[0], edges[0] + 1.0]


def _halved(edges: list[float], count: int) -> list[float]:
    """Edges with the widest segments halved until there are so many."""
    while len(edges) < count:
        widest = int(np.argmax(np.diff(edges)))
        edges = [*edges[: widest + 1], (edges[widest] + edges[widest + 1]) / 2, *edges[widest + 1 :]]
    return edges


def _fit_column(name: str, values: pd.Series, config: FeaturesConfig) -> Column:
    is_date = pd.api.types.is_datetime64_any_dtype(values)
    if not is_date and not pd.api.types.is_numeric_dtype(values):
        one_hot = _fit_category(name, values)
        return one_hot if config.category == "one_hot" else _fit_ordinal(one_hot, values, config)
    present = _present(values)
    missing = len(values) - len(present)
    present = present if len(present) else np.zeros(1)
    fill = float(present.mean() if config.impute == "mean" else np.median(present))
    return NumberColumn(name, *_shift_and_scale(present, config), fill, missing > 0, is_date)


def _shift_and_scale(numbers: Array64, config: FeaturesConfig) -> tuple[float, float]:
    match config.numeric:
        case "standard":
            return float(numbers.mean()), _deviation(numbers)
        case "minmax":
            return float(numbers.min()), _positive(float(numbers.max() - numbers.min()))
        case "max":
            return 0.0, _positive(float(np.abs(numbers).max()))
        case "none":
            return 0.0, 1.0


def _fit_category(name: str, values: pd.Series) -> CategoryColumn:
    missing = values.isna()
    levels = tuple(sorted(set(values[~missing].astype(str))))
    plain = CategoryColumn(name, levels, bool(missing.any()), (0.0,) * (len(levels) + bool(missing.any())))
    return CategoryColumn(name, levels, plain.missing_level, tuple(plain.encode(values).mean(axis=0).tolist()))


def _fit_ordinal(fitted: CategoryColumn, values: pd.Series, config: FeaturesConfig) -> OrdinalColumn:
    plain = OrdinalColumn(fitted.name, fitted.levels, fitted.missing_level, 0.0, 1.0, 0.0)
    positions = plain.encode(values)[:, 0]
    shift, scale = _shift_and_scale(positions, config)
    return replace(plain, shift=shift, scale=scale, unknown=float(positions.mean()))


def _deviation(values: Array64) -> float:
    """The standard deviation; 1 where all are equal, of which rounding in the mean may leave some."""
    return _positive(float(values.std())) if values.min() < values.max() else 1.0


def _positive(scale: float) -> float:
    return scale if scale > 0 else 1.0
