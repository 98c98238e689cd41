"""What a sampler that learns may come to prefer, quick trainings or long ones, and what a glance at the table says of it.

Main call: `preference`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from regsweep.baselines import fit_baseline
from regsweep.config import StudyConfig
from regsweep.config.sampler import CmaesSampler, GpSampler, KtBayesianSampler, Nsga2Sampler, SamplerConfig, TpeSampler
from regsweep.data.features import Prepared
from regsweep.planning.draws import random_specs
from regsweep.planning.rehearsal import LOOKED_AT, seconds_of
from regsweep.trial import TrialSpec

# So many random configurations stand for the space; what a sampler may come to prefer is the quickest or the slowest tenth.
DRAWN = 200
# So many training rows tell a linear table from another one.
ROWS = 1000
# So steep, and level where a forest has this share of a linear model's error.
STEEP, LEVEL = 2.0, 0.5


@dataclass(frozen=True)
class Preference:
    """`lean` towards long trainings, or where it is negative to quick ones; `costs` of random configurations, in order."""

    config: StudyConfig
    data: Prepared
    lean: float
    costs: tuple[float, ...]

    def appeal(self, spec: TrialSpec) -> float:
        """What a made-up objective, which is to be small, has of this configuration, beside chance: `lean` times -1 to 0."""
        if not self.lean:
            return 0.0
        quicker = np.searchsorted(self.costs, seconds_of(spec, self.config, self.data))
        return -self.lean * float(quicker) / len(self.costs)

    def bounds(self, specs: Sequence[TrialSpec]) -> tuple[float, float]:
        """By what the time of these trials is to be multiplied where the quickest trainings are preferred, and the longest."""
        blind = _blind(self.config.sampler, len(specs)) / len(specs)
        if blind == 1:
            return 1.0, 1.0
        costs, tenth = np.array(self.costs), len(self.costs) // 10
        mean = float(np.mean([seconds_of(spec, self.config, self.data) for spec in specs]))
        ends = float(costs[:tenth].mean()), float(costs[-tenth:].mean())
        least, most = ((blind * float(costs.mean()) + (1 - blind) * end) / mean for end in ends)
        return min(1.0, least), max(1.0, most)


def preference(config: StudyConfig, data: Prepared) -> Preference:
    """Look at the table and the space; a sampler that learns nothing within the study has no preference."""
    if _blind(config.sampler, config.n_trials) == config.n_trials:
        return Preference(config, data, 0.0, ())
    # A user's function may build a model for each.
    drawn = random_specs(config.space, DRAWN if config.space.function is None else LOOKED_AT, config.seed)
    costs = sorted(seconds_of(spec, config, data) for spec in drawn)
    return Preference(config, data, leaning(forest_to_linear(data, config.seed)), tuple(costs))


def leaning(ratio: float) -> float:
    """How long the trainings are that pay, from -1 to 1, where a forest's error is so many times a linear model's."""
    return float(np.clip(STEEP * (LEVEL - ratio), -1, 1))


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
