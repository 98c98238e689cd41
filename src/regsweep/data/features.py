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
from regsweep.data.encoders import deviation, fit_columns, fit_target, segments
from regsweep.data.split import Fold, Split
from regsweep.errors import DataError
from regsweep.predictor import (
    Column,
    Member,
    Model,
    TargetScale,
    column_from,
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
    """The folds of a study, its target's name, and the unit of what models answer: the target's, or whose probability."""

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


def too_many_levels(dataset: Dataset, split: Split, config: FeaturesConfig, most: float) -> str | None:
    """Say what takes the memory where a column per level, as of ids, would take more than `most` bytes; None if none does."""
    texts = [name for name in dataset.features if pd.api.types.is_string_dtype(dataset.x[name].dtype)]
    levels = {name: dataset.x[name].nunique() for name in texts}
    size = 8 * len(split.folds) * dataset.rows * sum(levels.values())
    if config.category != "one_hot" or size <= most:
        return None
    widest = max(levels, key=lambda name: levels[name])
    return (
        f"{dataset.name}: a column for each of {sum(levels.values()):,} levels, {levels[widest]:,} of them of {widest!r}, takes "
        f"{size / 1e9:,.0f} GB; name {widest!r} in dataset.drop, or set features.category=ordinal"
    )


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
    # Of two texts nothing else would tell those who get the model which one it means.
    unit = dataset.unit if dataset.classes is None else f"probability of {dataset.classes[1]}"
    return Prepared(dataset.target, unit, folds)


def _prepare_fold(dataset: Dataset, fold: Fold, config: FeaturesConfig) -> FoldData:
    y_train, y_val = dataset.y[fold.train], dataset.y[fold.val]
    if config.target_log and (lowest := min(y_train.min(), y_val.min())) <= 0:
        raise DataError(
            f"features.target_log needs targets above 0, but {dataset.target!r} goes down to {lowest:g}; "
            "set features.target_log=false"
        )
    train, val = dataset.x.iloc[fold.train], dataset.x.iloc[fold.val]
    columns, target = fit_columns(train, config), LOGIT if dataset.classes else fit_target(y_train, config)
    mean, std = (0.0, 1.0) if dataset.classes else (float(y_train.mean()), deviation(y_train))
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
