"""One Optuna study in the workspace's sqlite file, asked and told by one driver.

Proposals depend on (study seed, trial number) and on the trials told before, and batches begin at multiples of
`parallel_trials`, so an interrupted study that goes on proposes what an uninterrupted one would have.
"""

from __future__ import annotations

import sqlite3
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import FixedTrial, FrozenTrial, Trial, TrialState

from regsweep.config import StudyConfig
from regsweep.config.schema import SamplerConfig
from regsweep.errors import StorageError
from regsweep.paths import Workspace
from regsweep.space import draw
from regsweep.trial import Scalar, State, higher_is_better

_STATES = {TrialState.COMPLETE: State.COMPLETE, TrialState.PRUNED: State.PRUNED, TrialState.FAIL: State.FAILED}


@dataclass(frozen=True)
class Proposal:
    """A trial that waits for its result."""

    number: int
    params: Mapping[str, Scalar]


@dataclass(frozen=True)
class Told:
    """A trial that was told, with the hyperparameters it was proposed with."""

    number: int
    state: State
    value: float | None
    params: Mapping[str, Scalar]


class Search:
    """Asks and tells. Raises StorageError where the study's database can't be used."""

    def __init__(self, workspace: Workspace, name: str, config: StudyConfig) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._config = config
        self._database = workspace.optuna_db
        with self._storage_errors():
            workspace.root.mkdir(parents=True, exist_ok=True)
            self._study = optuna.create_study(
                storage=optuna.storages.RDBStorage(
                    f"sqlite:///{workspace.optuna_db}", engine_kwargs={"creator": partial(_connect, workspace.optuna_db)}
                ),
                study_name=name,
                direction="maximize" if higher_is_better(config.objective) else "minimize",
                sampler=PerTrialSampler(config.sampler, config.seed),
                pruner=optuna.pruners.NopPruner(),
                load_if_exists=True,
            )

    def told(self) -> tuple[Told, ...]:
        """All trials that were told, by number."""
        with self._storage_errors():
            return tuple(
                Told(trial.number, _STATES[trial.state], trial.value, draw(self._config.space, FixedTrial(trial.params)))
                for trial in self._trials()
                if trial.state in _STATES
            )

    def failures(self) -> int:
        """How many trials have failed."""
        with self._storage_errors():
            return sum(trial.state is TrialState.FAIL for trial in self._trials())

    def next_batch(self, n_trials: int) -> tuple[Proposal, ...]:
        """The trials to train next: those that were left running, completed to a whole batch; () when `n_trials` are told."""
        with self._storage_errors():
            trials, size = self._trials(), self._config.parallel_trials
            running = [trial for trial in trials if trial.state not in _STATES]
            end = (len(trials) // size + 1) * size
            if running:
                start = running[0].number // size * size
                # A batch of which one was told had been asked as a whole; else a crash between two asks may have left it short.
                end = len(trials) if any(trial.state in _STATES for trial in trials[start:]) else start + size
            waiting = [self._propose(Trial(self._study, trial._trial_id)) for trial in running]
            waiting += [self._propose(self._study.ask()) for _ in range(len(trials), min(end, n_trials))]
            return tuple(waiting)

    def tell(self, number: int, state: State, value: float | None) -> None:
        """Report how a trial ended; only a complete one has a value."""
        with self._storage_errors():
            trial = Trial(self._study, self._trials()[number]._trial_id)
            if state is State.COMPLETE:
                self._study.tell(trial, value)
            else:
                self._study.tell(trial, state=TrialState.PRUNED if state is State.PRUNED else TrialState.FAIL)

    def importance(self) -> dict[str, float]:
        """PED-ANOVA importance of each hyperparameter (Watanabe et al. 2023), in parts of 1; {} where trials are too few."""
        with self._storage_errors(), warnings.catch_warnings():
            complete = [trial for trial in self._trials() if trial.state is TrialState.COMPLETE]
            if len({trial.value for trial in complete}) < 4:
                return {}
            # Optuna warns of hyperparameters that few trials have; the plot says how many trials there are.
            warnings.simplefilter("ignore", UserWarning)
            return dict(optuna.importance.get_param_importances(self._study))

    def _trials(self) -> list[FrozenTrial]:
        return self._study.get_trials(deepcopy=False)

    def _propose(self, trial: Trial) -> Proposal:
        # Values are drawn at the first suggestion, not at the ask: draw all now, in this order and thread.
        return Proposal(trial.number, draw(self._config.space, trial))

    @contextmanager
    def _storage_errors(self) -> Iterator[None]:
        try:
            yield
        except (optuna.exceptions.StorageInternalError, OSError) as error:
            cause = error.__cause__ or error
            line = str(cause).splitlines()[0] if str(cause) else type(cause).__name__
            raise StorageError(f"{self._database}: the study can't be used ({line}); run the command again") from None


def _connect(place: Path) -> sqlite3.Connection:
    """A connection that does not sync at every commit: a lost one is asked or told again, from the records."""
    connection = sqlite3.connect(place, check_same_thread=False, timeout=60)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")
    return connection


class PerTrialSampler(optuna.samplers.BaseSampler):
    """Makes the configured sampler anew for every decision, seeded from study seed, trial number and hyperparameter.

    Without a state of its own, it draws for a trial whose process died between two hyperparameters what it would have drawn.
    """

    def __init__(self, config: SamplerConfig, study_seed: int) -> None:
        self._config, self._seed = config, study_seed

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return self._made(trial).infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        return self._made(trial).sample_relative(study, trial, search_space)

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        return self._made(trial, param_name).sample_independent(study, trial, param_name, param_distribution)

    def _made(self, trial: FrozenTrial, name: str = "") -> optuna.samplers.BaseSampler:
        seed = int(np.random.SeedSequence([self._seed, trial.number, *name.encode()]).generate_state(1)[0])
        if self._config.kind == "random":
            return optuna.samplers.RandomSampler(seed=seed)
        return optuna.samplers.TPESampler(seed=seed, n_startup_trials=self._config.startup_trials)
