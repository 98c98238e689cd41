"""Pruning: Optuna's own pruners, asked in the workers about trials in training.

In: the trials that a trial is compared with, fixed before it is trained, and its curves so far. Out: whether it stops. What a
trial reports to Optuna are values of the objective, mean over folds, at every `interval` epochs, under the number of epochs
trained; with the Wilcoxon pruner, values of its ended folds, under the fold's number.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import optuna
from optuna.pruners import BasePruner
from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial, TrialState, create_trial

from regsweep.config import StudyConfig
from regsweep.config.pruner import (
    HyperbandPruner,
    MedianPruner,
    NoPruner,
    PatiencePruner,
    PercentilePruner,
    PrunerConfig,
    SuccessiveHalvingPruner,
    WilcoxonPruner,
)
from regsweep.search.optuna_source import OPTUNAS, directions, values_in_optuna
from regsweep.search.source import Told
from regsweep.space import greatest
from regsweep.train.contract import kept_epoch
from regsweep.trial import Array64, State, TrialResult, TrialSpec, mean_curves

Reports = Mapping[int, float]
"""Values that a trial has reported, by epochs trained (or by fold)."""

# Hyperband draws a trial's bracket from the study's name and the trial's number: the name is not to depend on the user.
NAME = "regsweep"
# Optuna's pruners keep their marks with trials of the storage; a trial in training is in none.
OUTSIDE = -1


@dataclass(frozen=True)
class Asked:
    """A trial in training: it is compared with the trials below `bound`."""

    number: int
    bound: int


def reports_of(config: StudyConfig, result: TrialResult) -> dict[int, float]:
    """What a trial that ended well reports; {} for a failed one and without a pruner."""
    if result.state is State.FAILED:
        return {}
    return _reports(config, [fold.curves for fold in result.folds])


def compared_with(config: StudyConfig, start: int, *, ahead: bool) -> int:
    """How many trials, the first ones, a batch that begins at `start` is compared with; one proposed ahead lags behind."""
    if config.pruner.kind == "none":
        return 0
    return max(0, start - config.pruner.lag * config.parallel_trials) if ahead else start


def make_pruner(config: PrunerConfig, epochs: int) -> BasePruner:
    """Optuna's pruner; `epochs` are the most a trial can train."""
    with warnings.catch_warnings():
        # Some are experimental.
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        match config:
            case MedianPruner():
                return optuna.pruners.MedianPruner(config.startup_trials, config.warmup_epochs)
            case PercentilePruner():
                return optuna.pruners.PercentilePruner(config.percentile, config.startup_trials, config.warmup_epochs)
            case SuccessiveHalvingPruner():
                return optuna.pruners.SuccessiveHalvingPruner(config.min_epochs, config.reduction_factor)
            case HyperbandPruner():
                return optuna.pruners.HyperbandPruner(config.min_epochs, epochs, config.reduction_factor)
            case WilcoxonPruner():
                return optuna.pruners.WilcoxonPruner(p_threshold=config.p_threshold, n_startup_steps=2)
            case PatiencePruner():
                wrapped = None if config.wraps is None else make_pruner(config.wraps, epochs)
                return optuna.pruners.PatientPruner(wrapped, config.patience // config.interval, config.min_delta)
            case _:
                return optuna.pruners.NopPruner()


@dataclass
class PruneRule:
    """A trainer's stop rule: `seen` are told trials by number, `asked` the trials in training by their specs."""

    config: StudyConfig
    seen: Sequence[Told]
    asked: Mapping[TrialSpec, Asked]
    _judges: dict[int, _Judge] = field(default_factory=dict, init=False)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_judges": {}}

    @property
    def name(self) -> str:
        """How the pruner is called in a trial's cause."""
        return f"pruner={self.config.pruner.kind}"

    @property
    def every(self) -> int | None:
        """Epochs between two questions."""
        return None if isinstance(self.config.pruner, NoPruner | WilcoxonPruner) else self.config.pruner.interval

    def waves(self, folds: int) -> tuple[range, ...]:
        """The Wilcoxon pruner looks at ended folds: as many as can be significant are trained together, the others one by one."""
        pruner = self.config.pruner
        first = min(folds, pruner.first_wave) if isinstance(pruner, WilcoxonPruner) else folds
        return (range(first), *(range(fold, fold + 1) for fold in range(first, folds)))

    def __call__(self, spec: TrialSpec, curves: Sequence[Array64]) -> bool:
        """Whether a trial stops."""
        asked = self.asked[spec]
        reports = _reports(self.config, curves)
        return bool(reports) and self._judge(asked.bound).stops(asked.number, reports)

    def marks(self, asked: Asked, reports: Reports) -> dict[str, Any]:
        """The marks that the pruner left on a trial that has ended, had it been one of Optuna's own loop."""
        return self._judge(asked.bound).marks(asked.number, reports) if reports else {}

    def _judge(self, bound: int) -> _Judge:
        if bound not in self._judges:
            self._judges[bound] = _Judge(self.config, self.seen[:bound])
        return self._judges[bound]


@dataclass
class AsBefore(PruneRule):
    """Stops trials where they were stopped before: for those that are trained again because their records are gone."""

    told: Mapping[TrialSpec, Told] = field(default_factory=dict)

    def __call__(self, spec: TrialSpec, curves: Sequence[Array64]) -> bool:
        told = self.told[spec]
        return told.state is State.PRUNED and _reports(self.config, curves).keys() == told.reports.keys()


class _Judge:
    """A pruner and the trials it compares with."""

    def __init__(self, config: StudyConfig, seen: Sequence[Told]) -> None:
        self._pruner = make_pruner(config.pruner, int(greatest(config.space, "epochs")))
        self._storage = _Storage()
        self._study = optuna.create_study(storage=self._storage, study_name=NAME, directions=directions([config.objective]))
        self._study.add_trials(_slots(seen))
        self._asked: dict[int, tuple[Reports, dict[str, Any]]] = {}

    def stops(self, number: int, reports: Reports) -> bool:
        """Whether the pruner stops a trial after its last report, having been asked at each of them."""
        before = dict(list(reports.items())[:-1])
        known, marks = self._asked.get(number, ({}, {}))
        if known != before:
            # A stack that is trained again begins anew.
            marks = self.marks(number, before) if before else {}
        stops = self._ask(number, reports, marks)
        self._asked[number] = (dict(reports), marks)
        return stops

    def marks(self, number: int, reports: Reports) -> dict[str, Any]:
        """The pruner's marks on a trial that it was asked about at each of these reports."""
        marks: dict[str, Any] = {}
        steps = list(reports)
        for end in range(1, len(steps) + 1):
            self._ask(number, {step: reports[step] for step in steps[:end]}, marks)
        return marks

    def _ask(self, number: int, reports: Reports, marks: dict[str, Any]) -> bool:
        trial = create_trial(state=TrialState.RUNNING, intermediate_values=dict(reports), system_attrs=dict(marks))
        trial.number, trial._trial_id = number, OUTSIDE
        self._storage.written = marks
        return bool(self._pruner.prune(self._study, trial))


class _Storage(InMemoryStorage):
    """Holds told trials; what a pruner notes down about the trial in training goes into `written`."""

    def __init__(self) -> None:
        super().__init__()
        self.written: dict[str, Any] = {}

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        assert trial_id == OUTSIDE
        self.written[key] = value


def _slots(seen: Sequence[Told]) -> Iterator[FrozenTrial]:
    """Trials under their own numbers, by which Hyperband knows their brackets: those that lack are in training."""
    number = 0
    for told in seen:
        for _ in range(number, told.number):
            yield create_trial(state=TrialState.RUNNING)
        yield _frozen(told)
        number = told.number + 1


def _frozen(told: Told) -> FrozenTrial:
    reports, marks = dict(told.reports), dict(told.marks)
    values = values_in_optuna(told)
    return create_trial(state=OPTUNAS[told.state], values=values, intermediate_values=reports, system_attrs=marks)


def _reports(config: StudyConfig, curves: Sequence[Array64]) -> dict[int, float]:
    column, pruner = config.predicts.curves.index(config.objective), config.pruner
    if isinstance(pruner, NoPruner):
        return {}
    if isinstance(pruner, WilcoxonPruner):
        return {fold: float(values[kept_epoch(values, config.trainer), column]) for fold, values in enumerate(curves)}
    values = mean_curves(curves)[:, column]
    return {epochs: float(values[epochs - 1]) for epochs in range(pruner.interval, len(values) + 1, pruner.interval)}
