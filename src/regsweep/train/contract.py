"""The contract every trainer keeps, and what all of them derive from a trial's seed in the same way.

In: trial specs and one prepared data set. Out: one result per spec, in order. A result depends on its spec and the data
alone. Curves follow Keras's `History`: training values are the running mean over the epoch, validation values are taken at
its end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from regsweep.config.schema import TrainerConfig
from regsweep.data.features import FoldData, Prepared
from regsweep.trial import CURVES, Array64, FoldResult, State, TrialResult, TrialSpec


class Trainer(Protocol):
    """Trains a stack of specs."""

    def fit(self, specs: Sequence[TrialSpec], data: Prepared) -> tuple[TrialResult, ...]:
        """Train every spec on every fold of the data."""
        ...


@dataclass(frozen=True)
class Seeds:
    """The three sources of randomness of one training: initial kernels (one seed per layer), batch order, dropout masks."""

    kernels: tuple[int, ...]
    order: int
    dropout: tuple[int, ...]


def seeds(spec: TrialSpec, fold: int) -> Seeds:
    """Derive the seeds of one fold of a trial."""
    layers = spec.depth + 1
    state = (np.random.SeedSequence([spec.seed, fold]).generate_state(2 * layers + 1) >> 1).tolist()
    return Seeds(tuple(state[1 : layers + 1]), state[0], tuple(state[layers + 1 :]))


def in_target_units(metrics: Array64, fold: FoldData) -> Array64:
    """Turn metrics of shape (epochs, 6) on standardised targets into target units; R² has none."""
    scaled: Array64 = metrics * np.array([fold.std**2, fold.std, 1.0] * 2)
    return scaled


def outcome(spec: TrialSpec, folds: Sequence[FoldResult], *, seconds: float, trainer: str) -> TrialResult:
    """Classify a training: failed where a metric is not finite, else complete."""
    for fold in folds:
        bad = np.argwhere(~np.isfinite(fold.curves))
        if len(bad):
            epoch, column = bad[0]
            cause = f"diverged: {CURVES[column]} is {fold.curves[epoch, column]} in epoch {epoch + 1}"
            return TrialResult(spec, State.FAILED, tuple(folds), seconds, trainer, cause)
    return TrialResult(spec, State.COMPLETE, tuple(folds), seconds, trainer)


def kept_epoch(curves: Array64, config: TrainerConfig) -> int:
    """Row of the curves whose weights are kept; the last where no epoch has a finite validation MSE."""
    errors = curves[:, CURVES.index("val/mse")]
    if config.keep == "last" or np.isnan(errors).all():
        return len(curves) - 1
    return int(np.nanargmin(errors))
