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
from regsweep.tasks import REGRESSION, VAL_LOSS, Task
from regsweep.train.plan import Speed
from regsweep.trial import Array64, FoldResult, Network, State, TrialResult, TrialSpec


class StopRule(Protocol):
    """Decides which trials stop before their end, all their folds together. Answers depend on spec and curves alone."""

    @property
    def name(self) -> str: ...

    @property
    def every(self) -> int | None:
        """Epochs between two questions; None: asked after waves of folds only."""
        ...

    def waves(self, folds: int) -> tuple[range, ...]:
        """Which folds are trained side by side, one wave after the other."""
        ...

    def __call__(self, spec: TrialSpec, curves: Sequence[Array64]) -> bool:
        """Whether a trial stops; `curves` (epochs, 6) are what each fold, in order, has come to, those of later waves left out.

        Asked while a fold has epochs left, and between two waves; never where a value is not finite: that trial has failed.
        """
        ...


@dataclass(frozen=True)
class StopAfter:
    """Stops every trial after so many epochs (`every`) or, where that is None, folds: to train a pruned one again."""

    every: int | None
    folds: int
    name: str = "what had stopped it"

    def waves(self, folds: int) -> tuple[range, ...]:
        """The folds that were trained, then those that were not."""
        return (range(folds),) if self.every is not None else (range(self.folds), range(self.folds, folds))

    def __call__(self, spec: TrialSpec, curves: Sequence[Array64]) -> bool:
        return True


def stops(rule: StopRule, spec: TrialSpec, curves: Sequence[Array64], task: Task = REGRESSION) -> bool:
    """Ask a rule."""
    return not any(len(diverged(fold, task)) for fold in curves) and rule(spec, curves)


def diverged(curves: Array64, task: Task) -> npt.NDArray[np.int64]:
    """Where curves are not finite, as (epoch, column); AUC, which may be undefined, does not count."""
    return np.argwhere(~(np.isfinite(curves) | task.aucs))


def waves_of(rule: StopRule | None, folds: int) -> tuple[range, ...]:
    """Which folds are trained side by side; without a rule all."""
    return (range(folds),) if rule is None else rule.waves(folds)


class Trainer(Protocol):
    """Trains specs."""

    def fit(self, specs: Sequence[TrialSpec], data: Prepared, stop: StopRule | None = None) -> tuple[TrialResult, ...]:
        """Train every spec on every fold of the data.

        A spec that the rule stops comes back as pruned, with the curves so far; folds of later waves are not trained.
        """
        ...

    def speed(self, *, timed: bool = True) -> Speed:
        """What trainings cost on this machine, timed once; or, not `timed`, on a machine of its kind."""
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
    """Turn metrics of shape (epochs, 6) on standardised targets into target units; R² has none, nor have those of classes."""
    scaled: Array64 = metrics * np.array([fold.std**2, fold.std, 1.0] * 2)
    return scaled


def outcome(
    spec: TrialSpec,
    folds: Sequence[FoldResult],
    *,
    seconds: float,
    trainer: str,
    stopped: StopRule | None = None,
    task: Task = REGRESSION,
) -> TrialResult:
    """Classify a training: failed where a metric is not finite, pruned where a rule stopped it, else complete."""
    for fold in folds:
        bad = diverged(fold.curves, task)
        if len(bad):
            epoch, column = bad[0]
            reached = spec.initial_epoch + epoch + 1
            cause = f"diverged: {task.curves[column]} is {fold.curves[epoch, column]} in epoch {reached}"
            return TrialResult(spec.bare, State.FAILED, tuple(folds), seconds, trainer, cause, task)
    if stopped is None:
        return TrialResult(spec.bare, State.COMPLETE, tuple(folds), seconds, trainer, task=task)
    epochs = spec.initial_epoch + max(len(fold.curves) for fold in folds)
    reached = f"{len(folds)} folds" if stopped.every is None else f"{epochs} of {spec.epochs} epochs"
    cause = f"stopped by {stopped.name} after {reached}"
    return TrialResult(spec.bare, State.PRUNED, tuple(folds), seconds, trainer, cause, task)


def failure(
    spec: TrialSpec,
    error: Exception,
    folds: Sequence[FoldResult],
    *,
    seconds: float,
    trainer: str,
    task: Task = REGRESSION,
) -> TrialResult:
    """What a training comes to that raised an error."""
    # Causes go into records and MLflow.
    cause = redact(f"{type(error).__name__}: {(str(error) or 'no message').splitlines()[0]}")
    return TrialResult(spec.bare, State.FAILED, tuple(folds), seconds, trainer, cause, task)


def first_weights(spec: TrialSpec, fold: int) -> Network | None:
    """What a fold's training starts from; None: from its own initial weights. Raises ValueError where that is not known."""
    if not spec.rounds:
        return None
    if fold >= len(spec.start):
        raise ValueError(f"the {spec.initial_epoch} epochs that it goes on from could not be trained")
    return spec.start[fold]


def epoch_order(seed: int, epoch: int, rows: int) -> npt.NDArray[np.int32]:
    """The order in which an epoch visits the training rows, shape (rows,)."""
    return np.random.default_rng([seed, epoch]).permutation(rows).astype(np.int32)


def kept_epoch(curves: Array64, config: TrainerConfig) -> int:
    """Row of the curves whose weights are kept; the last where no epoch has a finite validation loss."""
    errors = curves[:, VAL_LOSS]
    if config.keep == "last" or np.isnan(errors).all():
        return len(curves) - 1
    return int(np.nanargmin(errors))
