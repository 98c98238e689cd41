"""How long baselines take on a table on which fitting them would not be a matter of seconds."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from functools import partial

import numpy as np
import numpy.typing as npt

from regsweep.baselines import FittedBaseline, estimators, fit_baseline
from regsweep.config.schema import BaselinesConfig
from regsweep.data.features import Prepared

# Up to so many training rows, over all folds, a rehearsal fits the baselines themselves.
FITTED_ROWS = 4000
# Else they are fitted on two parts, and time is taken to grow with a power of the rows, at most the cube.
PARTS = (500, 1000)
STEEPEST = 3.0
# Of so many fits on a part the quickest counts: the power makes much of what a busy machine adds to one.
TIMES = 3


def fitted_in_rehearsal(data: Prepared) -> bool:
    """Whether the table is small enough for a rehearsal to fit the baselines as they are."""
    return sum(len(fold.y_train) for fold in data.folds) <= FITTED_ROWS


def baseline_seconds(
    config: BaselinesConfig, data: Prepared, clock: Callable[[], float] = time.perf_counter, *, refit: bool = False
) -> float:
    """Seconds to fit all baselines on every fold and to predict its validation rows, from fits on parts of the first one.

    `refit`: once more, as beside a refitted champion.
    """
    fold, total = data.folds[0], 0.0
    order = np.random.default_rng(config.seed).permutation(len(fold.y_train))
    parts = [order[:rows] for rows in PARTS]
    few, many = map(len, parts)
    for name in config.names:
        # What it imports is imported once.
        fitted = _fitted(name, config, data, parts[1])
        seconds = [min(_timed(partial(_fitted, name, config, data, part), clock) for _ in range(TIMES)) for part in parts]
        steepness = math.log(seconds[1] / seconds[0]) / math.log(many / few) if min(seconds) > 0 and many > few else 0.0
        rows = min(len(order), estimators.SVR_ROWS) if name == "svr" else len(order)
        fitting = seconds[1] * max(1.0, rows / many) ** min(STEEPEST, max(0.0, steepness))
        some = fold.x_val[: PARTS[1]]
        predicting = _timed(partial(fitted.predict, some), clock) * len(fold.x_val) / max(1, len(some))
        # A kernel machine's predictions take longer with every row that it was fitted to.
        total += fitting + predicting * (rows / many if name == "svr" else 1.0)
    return total * (len(data.folds) + refit)


def _fitted(name: str, config: BaselinesConfig, data: Prepared, part: npt.NDArray[np.int64]) -> FittedBaseline:
    fold = data.folds[0]
    return fit_baseline(name, fold.x_train[part], fold.y_train[part], seed=config.seed, task=data.task)


def _timed(action: Callable[[], object], clock: Callable[[], float]) -> float:
    began = clock()
    action()
    return clock() - began
