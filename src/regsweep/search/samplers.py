"""Optuna's samplers, made anew for every decision and seeded by what the decision is about."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial

from regsweep.config import StudyConfig
from regsweep.config.parameters import Choice, FloatRange, IntRange, Parameter
from regsweep.space import always, every_key


class PerTrialSampler(optuna.samplers.BaseSampler):
    """Makes the configured sampler anew for every decision, seeded from study seed, trial number, attempt and hyperparameter.

    Without a state of its own, it draws for a trial that is asked again what it drew before.
    """

    def __init__(self, config: StudyConfig) -> None:
        self._config = config
        self._number, self._attempt = 0, 0
        self._distributions = {key: distribution_of(parameter) for key, parameter in every_key(config.space).items()}
        self._always = always(config.space)

    def turn_to(self, number: int, attempt: int) -> None:
        """Say which trial is asked for next, and how often it was before."""
        self._number, self._attempt = number, attempt

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        if self._config.sampler.kind == "qmc":
            # Optuna would take the first trial's, which lacks what its conditions left out.
            return self._distributions if self._attempt == 0 else {}
        found = self._made().infer_relative_search_space(study, trial)
        if self._config.sampler.kind == "cmaes":
            # Optuna's gives up for good when one goes that no trial had lacked before.
            return {key: distribution for key, distribution in found.items() if key in self._always}
        return found

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        return self._made().sample_relative(study, trial, search_space)

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        return self._made(param_name).sample_independent(study, trial, param_name, param_distribution)

    def _made(self, name: str = "") -> optuna.samplers.BaseSampler:
        spawned = (self._attempt,) if self._attempt else ()
        sequence = np.random.SeedSequence([self._config.seed, self._number, *name.encode()], spawn_key=spawned)
        seed, sampler = int(sequence.generate_state(1)[0]), self._config.sampler
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            match sampler.kind:
                case "tpe":
                    return optuna.samplers.TPESampler(seed=seed, n_startup_trials=sampler.startup_trials)
                case "cmaes":
                    return optuna.samplers.CmaEsSampler(
                        seed=seed,
                        n_startup_trials=sampler.startup_trials,
                        popsize=sampler.population,
                        warn_independent_sampling=False,
                    )
                case "gp":
                    return _GaussianProcess(seed=seed, n_startup_trials=sampler.startup_trials, warn_independent_sampling=False)
                case "nsga2":
                    return optuna.samplers.NSGAIISampler(seed=seed, population_size=sampler.population)
                case "brute_force":
                    return optuna.samplers.BruteForceSampler(seed=seed)
                case "qmc" if not name:
                    return _SobolPoint(self._number, seed=self._config.seed)
        return optuna.samplers.RandomSampler(seed=seed)


class _GaussianProcess(optuna.samplers.GPSampler):
    """Computes with one thread: several take more processor time, and give last bits that depend on how many there are."""

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        import torch

        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            return super().sample_relative(study, trial, search_space)
        finally:
            torch.set_num_threads(threads)


class _SobolPoint(optuna.samplers.QMCSampler):
    """One point of the scrambled sequence, by the trial's number; Optuna would count its asks in the study."""

    def __init__(self, number: int, *, seed: int) -> None:
        super().__init__(qmc_type="sobol", scramble=True, seed=seed)
        self._number = number

    def _find_sample_id(self, study: optuna.Study, search_space: dict[str, BaseDistribution]) -> int:
        return self._number


def distribution_of(parameter: Parameter) -> BaseDistribution:
    """What a parameter is drawn from, in Optuna's words."""
    match parameter:
        case IntRange():
            return IntDistribution(parameter.low, parameter.high, log=parameter.log, step=parameter.step)
        case FloatRange():
            return FloatDistribution(parameter.low, parameter.high, log=parameter.log, step=getattr(parameter, "step", None))
        case Choice():
            return CategoricalDistribution(parameter.choices)
        case _:
            return CategoricalDistribution((parameter.value,))
