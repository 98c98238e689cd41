"""Fits the baselines on the rows a study's networks are trained on, and scores them on the same validation and test rows.

Main calls: `run_baselines`, and `fit_on_folds` for one of them before the test rows are open.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from regsweep.baselines import FittedBaseline, fit_baseline
from regsweep.config.schema import BaselinesConfig
from regsweep.data.features import Array64, Prepared
from regsweep.metrics import ClassScores, Scores, score
from regsweep.predictor import Model, encode

ONE_THREAD_ROWS = 50_000


@dataclass(frozen=True)
class BaselineResult:
    """`val` is the mean over folds; `test_prediction`, shape (test rows,), of as many rows as the networks were trained on."""

    name: str
    parameters: Mapping[str, str | int | float]
    val: Scores | ClassScores
    test_prediction: Array64
    seconds: float


@dataclass(frozen=True)
class FoldFits:
    """A baseline fitted on each fold's training rows, in `seconds`; `val` is the mean over folds."""

    name: str
    fits: tuple[FittedBaseline, ...]
    val: Scores | ClassScores
    seconds: float

    @property
    def parameters(self) -> Mapping[str, str | int | float]:
        """What is worth logging, of the first fold's fit."""
        return self.fits[0].parameters

    def predict(self, encoded: Sequence[Array64]) -> Array64:
        """The mean of the folds' predictions, shape (m,), for rows as each fold encodes them: (m, inputs) each."""
        prediction: Array64 = np.mean([fit.predict(x) for fit, x in zip(self.fits, encoded, strict=True)], axis=0)
        return prediction

    def model(self, data: Prepared) -> Model:
        """The model that answers with that mean for raw rows."""
        members = tuple(fit.member(fold.columns) for fit, fold in zip(self.fits, data.folds, strict=True))
        return Model(data.target, data.unit, members)


def fit_on_folds(name: str, config: BaselinesConfig, data: Prepared) -> FoldFits:
    """Fit one baseline on each fold's training rows, in target units, and score it on its validation rows."""
    started = time.perf_counter()
    with _threads(data):
        fits = tuple(fit_baseline(name, fold.x_train, fold.y_train, seed=config.seed, task=data.task) for fold in data.folds)
        vals = [score(fold.y_val, fit.predict(fold.x_val), data.task) for fold, fit in zip(data.folds, fits, strict=True)]
    means = {metric: float(np.mean([getattr(val, metric) for val in vals])) for metric in data.task.scores}
    if "rmse" in means:
        # As of networks: the root of the mean, not the mean of roots.
        means["rmse"] = means["mse"] ** 0.5
    return FoldFits(name, fits, type(vals[0])(**means), time.perf_counter() - started)


def run_baselines(
    config: BaselinesConfig,
    data: Prepared,
    test_x: pd.DataFrame,
    known: Mapping[str, FoldFits] | None = None,
    refit: Prepared | None = None,
) -> Iterator[BaselineResult]:
    """Fit every configured baseline that is not `known`, and have each predict the test rows.

    The mean of the folds' fits predicts, as that of the networks does; beside a champion that is fitted once more, on the rows of
    `refit`, a fit on these.
    """
    rows = refit or data
    encoded = [encode(test_x, fold.columns) for fold in rows.folds]
    for name in config.names:
        fitted = (known or {}).get(name) or fit_on_folds(name, config, data)
        started = time.perf_counter()
        predicts = fitted if refit is None else fit_on_folds(name, config, refit)
        with _threads(rows):
            prediction = predicts.predict(encoded)
        seconds = fitted.seconds + time.perf_counter() - started
        yield BaselineResult(name, predicts.parameters, fitted.val, prediction, seconds)


def _threads(data: Prepared) -> threadpool_limits:
    # OpenMP's threads spin where they wait for each other: on a busy machine a small fit took 60 times as long with two.
    return threadpool_limits(None if len(data.folds[0].y_train) > ONE_THREAD_ROWS else 1, user_api="openmp")
