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
import numpy.typing as npt

from regsweep.config.schema import TrainerConfig
from regsweep.data.features import FoldData, Prepared
from regsweep.redact import redact
from regsweep.train.plan import Speed
from regsweep.trial import CURVES, Array64, FoldResult, State, TrialResult, TrialSpec


class StopRule(Protocol):
    """Decides, every `every` epochs, which trainings are stopped."""

    @property
    def every(self) -> int: ...

    def __call__(self, position: int, fold: int, curves: Array64) -> bool:
        """Whether a fold of the spec at this position stops; `curves` (epochs, 6) are what it has come to."""
        ...


class Trainer(Protocol):
    """Trains specs."""

    def fit(self, specs: Sequence[TrialSpec], data: Prepared, stop: StopRule | None = None) -> tuple[TrialResult, ...]:
        """Train every spec on every fold of the data.

        A spec of which the rule stops a fold comes back as pruned, with that fold's curves so far; its other folds train on.
        """
        ...

    def speed(self) -> Speed:
        """What trainings cost on this machine, measured by the first call."""
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


def outcome(spec: TrialSpec, folds: Sequence[FoldResult], *, seconds: float, trainer: str, stopped: bool = False) -> TrialResult:
    """Classify a training: failed where a metric is not finite, pruned where a rule stopped it, else complete."""
    for fold in folds:
        bad = np.argwhere(~np.isfinite(fold.curves))
        if len(bad):
            epoch, column = bad[0]
            cause = f"diverged: {CURVES[column]} is {fold.curves[epoch, column]} in epoch {epoch + 1}"
            return TrialResult(spec, State.FAILED, tuple(folds), seconds, trainer, cause)
    return TrialResult(spec, State.PRUNED if stopped else State.COMPLETE, tuple(folds), seconds, trainer)


def failure(spec: TrialSpec, error: Exception, folds: Sequence[FoldResult], *, seconds: float, trainer: str) -> TrialResult:
    """What a training comes to that raised an error."""
    # Causes go into records and MLflow.
    cause = redact(f"{type(error).__name__}: {(str(error) or 'no message').splitlines()[0]}")
    return TrialResult(spec, State.FAILED, tuple(folds), seconds, trainer, cause)


def epoch_order(seed: int, epoch: int, rows: int) -> npt.NDArray[np.int32]:
    """The order in which an epoch visits the training rows, shape (rows,)."""
    return np.random.default_rng([seed, epoch]).permutation(rows).astype(np.int32)


def kept_epoch(curves: Array64, config: TrainerConfig) -> int:
    """Row of the curves whose weights are kept; the last where no epoch has a finite validation MSE."""
    errors = curves[:, CURVES.index("val/mse")]
    if config.keep == "last" or np.isnan(errors).all():
        return len(curves) - 1
    return int(np.nanargmin(errors))
