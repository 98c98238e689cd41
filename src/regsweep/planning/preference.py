"""What a sampler that learns may come to prefer, quick trainings or long ones: how much that may do to a search's time.

Main call: `preferences`.
"""

from __future__ import annotations

import math

import numpy as np

from regsweep.baselines import fit_baseline
from regsweep.config import StudyConfig
from regsweep.config.sampler import CmaesSampler, GpSampler, KtBayesianSampler, Nsga2Sampler, SamplerConfig, TpeSampler
from regsweep.data.features import Prepared
from regsweep.planning.draws import random_specs
from regsweep.planning.rehearsal import LOOKED_AT, seconds_of

# So many random configurations stand for the space; what a sampler may come to prefer is the quickest or the slowest tenth.
DRAWN = 200
# So many training rows tell a linear table from another one.
ROWS = 1000


def preferences(config: StudyConfig, data: Prepared, trials: int) -> tuple[float, float]:
    """By what a search of so many trials may be multiplied, at least and at most; (1, 1) where its sampler learns nothing."""
    learnt = 1 - _blind(config.sampler, trials) / trials
    if not learnt:
        return 1.0, 1.0
    # A user's function may build a model for each.
    drawn = random_specs(config.space, DRAWN if config.space.function is None else LOOKED_AT, config.seed)
    costs = np.sort([seconds_of(spec, config, data) for spec in drawn])
    tenth = len(costs) // 10
    least, most = float(costs[:tenth].mean() / costs.mean()), float(costs[-tenth:].mean() / costs.mean())
    return 1 - learnt * (1 - least), 1 + learnt * (most - 1)


def forest_to_linear(data: Prepared, seed: int) -> float:
    """Squared validation error of a random forest relative to a linear model's, on one fold; of classes that of probabilities."""
    fold = data.folds[0]
    part = np.random.default_rng(seed).permutation(len(fold.y_train))[:ROWS]
    forest, linear = (
        float(np.mean((fitted.predict(fold.x_val) - fold.y_val) ** 2))
        for fitted in (
            fit_baseline(name, fold.x_train[part], fold.y_train[part], seed=seed, task=data.task)
            for name in ("random_forest", data.task.reference)
        )
    )
    return forest / linear if linear else math.inf


def _blind(sampler: SamplerConfig, trials: int) -> int:
    """How many of the trials are drawn whatever the results. Hyperband's are, all; results say which go on."""
    match sampler:
        case TpeSampler() | GpSampler() | KtBayesianSampler():
            return min(trials, sampler.startup_trials)
        case Nsga2Sampler():
            return min(trials, sampler.population)
        case CmaesSampler():
            return min(trials, sampler.population or sampler.startup_trials)
        case _:
            return trials
