"""What a sampler that learns may come to prefer, quick trainings or long ones: how much that may do to a search's time.

Main call: `preferences`.
"""

from __future__ import annotations

import numpy as np

from regsweep.config import StudyConfig
from regsweep.config.sampler import CmaesSampler, GpSampler, KtBayesianSampler, Nsga2Sampler, SamplerConfig, TpeSampler
from regsweep.data.features import Prepared
from regsweep.planning.draws import random_specs
from regsweep.planning.rehearsal import LOOKED_AT, seconds_of

# So many random configurations stand for the space; what a sampler may come to prefer is the quickest or the slowest tenth.
DRAWN = 200


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
