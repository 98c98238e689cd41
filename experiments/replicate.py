"""A system as somebody else described it, trained under several seeds and scored.

In: a config (for data, split and preprocessing) and hyperparameters. Out: `Replicates`. Main call: `replicate`. The test rows are
scored for each seed, since that is what is replicated: nothing is chosen by them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from regsweep.baselines import fit_baseline
from regsweep.champion.training import whole
from regsweep.config import compose
from regsweep.data import Dataset, Split
from regsweep.data.features import Prepared, prepare
from regsweep.data.split import Fold
from regsweep.material import Material, gather
from regsweep.metrics import ClassScores, Scores, score
from regsweep.predictor import Model, encode
from regsweep.runner import make_executor
from regsweep.trial import Scalar, State, TrialResult, spec_from_values

SEEDS = range(5)


@dataclass(frozen=True)
class System:
    """`overrides` compose the config; `hyperparameters` are what a trial draws, see `trial.spec_from_values`.

    `rows` that it trains on: those of `train`, `train and val`, or `all`, test rows among them, where the source has no split; it
    is scored on the test rows, or on all.
    """

    name: str
    overrides: tuple[str, ...]
    hyperparameters: Mapping[str, Scalar]
    rows: Literal["train", "train and val", "all"] = "train"


@dataclass(frozen=True)
class Replicates:
    """What a system came to, one entry per seed: scores on the rows it trained on and on the rows it is scored on.

    `lines` are the scores of the task's reference baseline, least squares or logistic regression, with the same preprocessing on
    the rows that are scored, one for each split. `material`, `data` and `rows` are the first split's.
    """

    system: System
    material: Material
    data: Prepared
    results: tuple[TrialResult, ...]
    models: tuple[Model, ...]
    trained: tuple[Scores | ClassScores, ...]
    scored: tuple[Scores | ClassScores, ...]
    rows: npt.NDArray[np.int64]
    lines: tuple[Scores | ClassScores, ...]

    def values(self, metric: str) -> list[float]:
        """A metric of the scored rows, by seed."""
        return [float(getattr(one, metric)) for one in self.scored]


def replicate(system: System, seeds: Sequence[int] = SEEDS) -> Replicates:
    """Train and score a system under each seed. Raises RuntimeError where a training fails."""
    config = compose(system.overrides)[0]
    material = gather(config)
    dataset, split, fold = material.dataset, material.split, material.split.folds[0]
    everything = np.arange(dataset.rows)
    if system.rows == "all":
        data = prepare(dataset, Split((Fold(everything, everything),), split.test), config.features)
        trained_on = scored_on = everything
    elif system.rows == "train and val":
        data = whole(config, dataset, split, "plain")
        trained_on, scored_on = np.sort(np.concatenate([fold.train, fold.val])), split.test
    else:
        data = prepare(dataset, Split((fold,), split.test), config.features)
        trained_on, scored_on = fold.train, split.test
    with make_executor(config, data) as executor:
        results = executor.train([spec_from_values(system.hyperparameters, seed=seed) for seed in seeds])
    for result in results:
        if result.state is not State.COMPLETE:
            raise RuntimeError(f"{system.name}, seed {result.spec.seed}: {result.cause}")
    models = tuple(data.encoding.model(result) for result in results)
    trained, scored = (
        tuple(score(dataset.y[rows], model.predict(dataset.x.iloc[rows]), data.task) for model in models)
        for rows in (trained_on, scored_on)
    )
    line = reference_line(dataset, data, scored_on)
    return Replicates(system, material, data, results, models, trained, scored, scored_on, (line,))


def reference_line(dataset: Dataset, data: Prepared, rows: npt.NDArray[np.int64]) -> Scores | ClassScores:
    """What the task's reference baseline, fitted on the training rows of the first fold, scores on other rows."""
    known = data.folds[0]
    fit = fit_baseline(data.task.reference, known.x_train, known.y_train, seed=0, task=data.task)
    return score(dataset.y[rows], fit.predict(encode(dataset.x.iloc[rows], known.columns)), data.task)


def replicate_on_splits(system: System, seeds: Sequence[int] = SEEDS) -> Replicates:
    """The same where the source does not say which rows are for test: each seed is that of a split, too."""
    # One network at a time: starting workers for each would take longer than it.
    found = [
        replicate(replace(system, overrides=(*system.overrides, f"split.seed={seed}", "executor=inline")), [seed])
        for seed in seeds
    ]
    joined = {
        name: tuple(value for one in found for value in getattr(one, name))
        for name in ("results", "models", "trained", "scored", "lines")
    }
    return replace(found[0], system=system, **joined)
