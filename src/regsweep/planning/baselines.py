"""How long baselines take on a table on which fitting them would not be a matter of seconds."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import numpy as np

from regsweep.baselines import fit_baseline
from regsweep.config.schema import BaselinesConfig
from regsweep.data.features import Prepared

# Up to so many training rows, over all folds, a rehearsal fits the baselines themselves.
FITTED_ROWS = 4000
# Else they are fitted on two parts, and time is taken to grow with a power of the rows, at most the cube.
PARTS = (500, 1000)
STEEPEST = 3.0


def fitted_in_rehearsal(data: Prepared) -> bool:
    """Whether the table is small enough for a rehearsal to fit the baselines as they are."""
    return sum(len(fold.y_train) for fold in data.folds) <= FITTED_ROWS


def baseline_seconds(config: BaselinesConfig, data: Prepared, clock: Callable[[], float] = time.perf_counter) -> float:
    """Seconds to fit all baselines on every fold, from fits on parts of the first one."""
    fold, total = data.folds[0], 0.0
    order = np.random.default_rng(config.seed).permutation(len(fold.y_train))
    for name in config.names:
        seconds = []
        for rows in PARTS:
            part = order[:rows]
            began = clock()
            fit_baseline(name, fold.x_train[part], fold.y_train[part], seed=config.seed, task=data.task)
            seconds.append(clock() - began)
        steepness = math.log(seconds[1] / seconds[0]) / math.log(PARTS[1] / PARTS[0]) if min(seconds) > 0 else 0.0
        total += seconds[1] * (len(order) / PARTS[1]) ** min(STEEPEST, max(0.0, steepness))
    return total * len(data.folds)
