"""What a sampler that learns may come to prefer, quick trainings or long ones.

Where a forest beats a linear model, long trainings of large networks tend to pay; where it does not, quick ones do as well. That
is all that a plan can know of it, and it is rough: `benchmarks.preference` measures how rough. Main call: `lean_of`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from regsweep.baselines import fit_baseline
from regsweep.config import StudyConfig
from regsweep.config.sampler import CmaesSampler, GpSampler, KtBayesianSampler, Nsga2Sampler, SamplerConfig, TpeSampler
from regsweep.data.features import Array64, Prepared
from regsweep.planning.costs import seconds_of
from regsweep.planning.draws import random_specs
from regsweep.trial import TrialSpec

# So many random configurations stand for the space; what a sampler may come to prefer is the quickest or the slowest tenth.
DRAWN = 200
# A user's function may build a model for each: fewer.
LOOKED_AT = 32
# So many training rows tell a linear table from another one.
ROWS = 1000
# Where a forest has this share of a linear model's squared error, neither quick nor long trainings are expected to pay.
# Quick ones never pay much.
LEVEL, LEAST = 0.9, -0.25

Cost = Callable[[TrialSpec], float]


@dataclass(frozen=True)
class Lean:
    """Made-up objectives, less being better: chance from 0 to 1, less `lean` times the share of the space that is quicker.

    `costs` are the `seconds` that random configurations take by the cost model, in order; none where the sampler learns nothing.
    """

    lean: float
    costs: Array64
    config: StudyConfig
    seconds: Cost

    def __call__(self, specs: Sequence[TrialSpec], rng: np.random.Generator) -> Array64:
        """The objectives of configurations, shape (specs,)."""
        chance: Array64 = rng.uniform(size=len(specs))
        if not self.lean:
            return chance
        return chance - self.lean * np.searchsorted(self.costs, self._seconds(specs)) / len(self.costs)

    def bounds(self, specs: Sequence[TrialSpec], trials: int) -> tuple[float, float]:
        """By what the time of a search is to be multiplied where the quickest trainings are preferred, and the longest.

        `specs` are those of the first of its `trials` or of all: the time is what they take on the mean.
        """
        blind = _blind(self.config.sampler, trials) / trials
        if blind == 1:
            return 1.0, 1.0
        mean, tenth = float(np.mean(self._seconds(specs))), len(self.costs) // 10
        ends = float(self.costs[:tenth].mean()), float(self.costs[-tenth:].mean())
        least, most = ((blind * float(self.costs.mean()) + (1 - blind) * end) / mean for end in ends)
        return min(1.0, least), max(1.0, most)

    def _seconds(self, specs: Sequence[TrialSpec]) -> list[float]:
        return [self.seconds(spec) for spec in specs]


def lean_of(config: StudyConfig, data: Prepared, measured: Cost | None = None) -> Lean:
    """Look at the table: towards long trainings, up to 1, or towards quick ones, where it is negative.

    `measured`: the cost model as it was corrected by measuring.
    """
    seconds = measured or partial(seconds_of, config=config, data=data)
    if not learns(config):
        return Lean(0.0, np.empty(0), config, seconds)
    drawn = random_specs(config.space, DRAWN if config.space.function is None else LOOKED_AT, config.seed)
    lean = float(np.clip(LEVEL - forest_to_linear(data, config.seed), LEAST, 1.0))
    return Lean(lean, np.sort([seconds(spec) for spec in drawn]), config, seconds)


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
    return forest / linear if linear else np.inf


def learns(config: StudyConfig) -> bool:
    """Whether results have a say in what is proposed within the study."""
    return _blind(config.sampler, config.n_trials) < config.n_trials


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
