"""Fits the baselines on the rows a study's networks are trained on, and scores them on the same validation and test rows."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from regsweep.baselines import fit_baseline
from regsweep.config.schema import BaselinesConfig
from regsweep.data.features import Array64, Prepared
from regsweep.metrics import ClassScores, Scores, score
from regsweep.predictor import encode

ONE_THREAD_ROWS = 50_000


@dataclass(frozen=True)
class BaselineResult:
    """`val` is the mean over folds, `test_prediction` of shape (test rows,) the mean of the folds' fits, as for the networks."""

    name: str
    parameters: Mapping[str, str | int | float]
    val: Scores | ClassScores
    test_prediction: Array64
    seconds: float


def run_baselines(config: BaselinesConfig, data: Prepared, test_x: pd.DataFrame) -> Iterator[BaselineResult]:
    """Fit every configured baseline on each fold's training rows, in target units."""
    encoded = [encode(test_x, fold.columns) for fold in data.folds]
    for name in config.names:
        started = time.perf_counter()
        # OpenMP's threads spin where they wait for each other: on a busy machine a small fit took 60 times as long with two.
        with threadpool_limits(None if len(data.folds[0].y_train) > ONE_THREAD_ROWS else 1, user_api="openmp"):
            fits = [fit_baseline(name, fold.x_train, fold.y_train, seed=config.seed, task=data.task) for fold in data.folds]
            vals = [score(fold.y_val, fit.predict(fold.x_val), data.task) for fold, fit in zip(data.folds, fits, strict=True)]
            prediction: Array64 = np.mean([fit.predict(x) for fit, x in zip(fits, encoded, strict=True)], axis=0)
        mean = type(vals[0])(*(float(np.mean([getattr(val, metric) for val in vals])) for metric in data.task.scores))
        yield BaselineResult(name, fits[0].parameters, mean, prediction, time.perf_counter() - started)
