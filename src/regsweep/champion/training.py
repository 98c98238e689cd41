"""What naming a champion trains: finalists under further seeds, a refitted champion on all rows but sealed ones, baselines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from regsweep.baselines.run import FoldFits, fit_on_folds
from regsweep.config import StudyConfig
from regsweep.data import Dataset, Split
from regsweep.data.features import PLAIN, Prepared, prepare
from regsweep.data.split import Fold
from regsweep.errors import RegsweepError
from regsweep.predictor import Model
from regsweep.runner import Executor
from regsweep.train.contract import StopAfter
from regsweep.trial import State, TrialResult, TrialSpec


class Trainings:
    """Trains in the study's executor."""

    def __init__(self, config: StudyConfig, dataset: Dataset, split: Split, executor: Executor) -> None:
        self._config, self._dataset, self._split, self._executor = config, dataset, split, executor

    def of(self, config: StudyConfig) -> Trainings:
        """Those of the same study and rows, by another config."""
        return Trainings(config, self._dataset, self._split, self._executor)

    def on_folds(self, specs: Sequence[TrialSpec]) -> tuple[TrialResult, ...]:
        """Train specs on the study's folds, in order."""
        return self._executor.train(specs)

    def refitted(self, result: TrialResult) -> Model:
        """Train a trial's spec on training and validation rows together, for as many epochs as its folds kept on average.

        Its learning rate takes the course that it took in the trial. Raises RegsweepError if that diverges.
        """
        kept = [result.spec.initial_epoch + fold.kept_epoch + 1 for fold in result.folds]
        epochs = max(1, round(float(np.mean(kept))))
        # In one go, also where the trial went on with another one.
        spec = replace(result.spec, rounds=())
        rule = StopAfter(epochs, folds=1) if epochs < spec.epochs else None
        data = whole(self._config, self._dataset, self._split, spec.encoding)
        # There are no validation rows left to stop or choose an epoch by.
        trainer = self._config.trainer.model_copy(update={"patience": None, "keep": "last"})
        again = self._executor.train_elsewhere(trainer, spec, data, rule)
        if again.state is State.FAILED:
            raise RegsweepError(f"the champion could not be refitted ({again.cause}); try champion=bag")
        return data.encoding.model(again)

    def fitted_baseline(self, name: str, data: Prepared) -> FoldFits:
        """Fit a baseline on the folds of a study, or on the one of all rows but the sealed ones."""
        return fit_on_folds(name, self._config.baselines, data)

    def refit_rows(self, champion: str) -> Prepared | None:
        """What the baselines beside a champion of this kind are fitted on to predict test rows; None: on the folds."""
        return refit_rows(champion, self._config, self._dataset, self._split)


def refit_rows(champion: str, config: StudyConfig, dataset: Dataset, split: Split) -> Prepared | None:
    """All rows but the sealed ones, as baselines see them, where a champion of this kind is fitted on these; else None."""
    return whole(config, dataset, split, PLAIN) if champion == "refit" else None


def whole(config: StudyConfig, dataset: Dataset, split: Split, encoding: str) -> Prepared:
    """One fold that trains on all rows but the sealed ones; its validation rows are training rows too, and say nothing."""
    first = split.folds[0]
    rows = np.sort(np.concatenate([first.train, first.val]))
    return prepare(dataset, Split((Fold(rows, first.val),), split.test), config.features, (encoding,))
