"""One Optuna study, asked and told by one driver: in memory, and trial by trial in the workspace's sqlite file.

Proposals depend on (study seed, trial number) and on the trials told before the batch they belong to, and batches begin at
multiples of `parallel_trials`. So an interrupted study that goes on, and a shorter one that is extended, propose what an
undisturbed one would have; what was asked and not told needs no storage.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import FixedTrial, FrozenTrial, Trial, TrialState, create_trial
from sqlalchemy.exc import SQLAlchemyError

from regsweep.config import StudyConfig
from regsweep.config.schema import SamplerConfig
from regsweep.errors import StorageError
from regsweep.failpoints import reach
from regsweep.locks import lock
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
        self._config, self._name = config, name
        self._database = workspace.optuna_db
        self._direction: Literal["maximize", "minimize"] = "maximize" if higher_is_better(config.objective) else "minimize"
        with self._storage_errors():
            # Two processes would both create the tables of a new database.
            with lock(workspace.root / ".optuna.lock"):
                url, creator = f"sqlite:///{workspace.optuna_db}", partial(_connect, workspace.optuna_db)
                self._storage = optuna.storages.RDBStorage(url, engine_kwargs={"creator": creator})
            self._kept = self._open()
            trials = self._kept.get_trials(deepcopy=False)
        told = [trial for trial in trials if trial.state in _STATES]
        self._study, self._told = self._remembered(told), len(told)
        if len(told) < len(trials):
            # An earlier version kept asked trials too.
            self._restore(told)

    def told(self) -> tuple[Told, ...]:
        """All trials that were told, by number."""
        return tuple(
            Told(trial.number, _STATES[trial.state], trial.value, draw(self._config.space, FixedTrial(trial.params)))
            for trial in self._trials()
            if trial.state in _STATES
        )

    def waiting(self) -> int:
        """How many trials were asked and not told."""
        return len(self._trials()) - self._told

    def failures(self) -> int:
        """How many trials have failed."""
        return sum(trial.state is TrialState.FAIL for trial in self._trials())

    def next_batch(self, n_trials: int, at_most: int = 0) -> tuple[Proposal, ...]:
        """The trials to train next, whole batches and no more than `at_most` trials if that is more than one batch.

        () when `n_trials` are asked, and while trials that were not told yet decide what comes next.
        """
        size, trials = self._config.parallel_trials, self._trials()
        asked = len(trials)
        if asked >= n_trials or (asked > self._told and not self._is_independent(asked)):
            return ()
        start = asked // size * size
        end = start + size
        while end + size - start <= at_most and self._is_independent(end):
            end += size
        # A batch of which some are told is asked anew from what was known when it was asked first.
        study = self._study if start == asked else self._remembered(trials[:start])
        proposals = [self._propose(study.ask()) for _ in range(start, min(end, n_trials))]
        if start < asked:
            self._study = self._remembered([*trials, *study.get_trials(deepcopy=False)[asked:]])
        return tuple(proposals[asked - start :])

    def _is_independent(self, start: int) -> bool:
        """Whether the batch from this number on is proposed without a look at earlier trials."""
        sampler = self._config.sampler
        return sampler.kind == "random" or start < sampler.startup_trials

    def tell(self, number: int, state: State, value: float | None) -> None:
        """Report how a trial ended; only a complete one has a value. Kept when it returns."""
        trial = Trial(self._study, self._trials()[number]._trial_id)
        if state is State.COMPLETE:
            told = self._study.tell(trial, value)
        else:
            told = self._study.tell(trial, state=TrialState.PRUNED if state is State.PRUNED else TrialState.FAIL)
        with self._storage_errors():
            reach("search/telling", number)
            self._keep(told)
        self._told += 1
        reach("search/told", number)

    def restore(self, records: Sequence[Told]) -> None:
        """Keep these trials and no others; their numbers have no gaps."""
        self._restore([self._frozen(told) for told in records])

    def _frozen(self, told: Told) -> FrozenTrial:
        suggester = FixedTrial(dict(told.params))
        draw(self._config.space, suggester)
        params = {name: told.params[name] for name in suggester.distributions}
        state = next(state for state, ours in _STATES.items() if ours is told.state)
        trial = create_trial(state=state, value=told.value, params=params, distributions=suggester.distributions)
        trial.number = told.number
        return trial

    def _restore(self, trials: Sequence[FrozenTrial]) -> None:
        with self._storage_errors():
            optuna.delete_study(study_name=self._name, storage=self._storage)
            self._kept = self._open()
            for trial in trials:
                self._keep(trial)
        self._study, self._told = self._remembered(trials), len(trials)

    def _keep(self, trial: FrozenTrial) -> None:
        # One transaction, where asking, drawing and telling in the database would take a dozen.
        number = self._storage.get_trial_number_from_id(self._storage.create_new_trial(self._kept._study_id, trial))
        if number != trial.number:
            raise StorageError(f"{self._database}: trial {trial.number} of study {self._name!r} was added by another program")

    def _open(self) -> optuna.Study:
        return optuna.create_study(storage=self._storage, study_name=self._name, direction=self._direction, load_if_exists=True)

    def _remembered(self, trials: Sequence[FrozenTrial]) -> optuna.Study:
        """A study in memory that holds these trials."""
        study = optuna.create_study(
            storage=optuna.storages.InMemoryStorage(),
            direction=self._direction,
            sampler=PerTrialSampler(self._config.sampler, self._config.seed),
            pruner=optuna.pruners.NopPruner(),
        )
        study.add_trials(trials)
        return study

    def _trials(self) -> list[FrozenTrial]:
        return self._study.get_trials(deepcopy=False)

    def _propose(self, trial: Trial) -> Proposal:
        # Values are drawn at the first suggestion, not at the ask: draw all now, in this order and thread.
        return Proposal(trial.number, draw(self._config.space, trial))

    @contextmanager
    def _storage_errors(self) -> Iterator[None]:
        try:
            yield
        except (optuna.exceptions.StorageInternalError, SQLAlchemyError, OSError) as error:
            advice = "run the command again, or `regsweep repair`"
            raise StorageError(f"{self._database}: the study can't be used ({_first_line(error)}); {advice}") from None


def kept_trials(workspace: Workspace, name: str) -> tuple[Told | None, ...]:
    """What the workspace's database holds of a study, by number: None is a trial that was not told. Changes nothing."""
    if not workspace.optuna_db.is_file():
        return ()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    # A reader that may write would tidy the write-ahead log.
    creator = partial(sqlite3.connect, f"{workspace.optuna_db.as_uri()}?mode=ro", uri=True, check_same_thread=False)
    url, storage = f"sqlite:///{workspace.optuna_db}", None
    try:
        storage = optuna.storages.RDBStorage(url, engine_kwargs={"creator": creator}, skip_table_creation=True)
        trials = optuna.load_study(study_name=name, storage=storage).get_trials(deepcopy=False)
    except KeyError:
        return ()
    except (optuna.exceptions.StorageInternalError, SQLAlchemyError, sqlite3.Error) as error:
        raise StorageError(f"{workspace.optuna_db}: can't be read ({_first_line(error)})") from None
    finally:
        if storage is not None:
            storage.remove_session()
            storage.engine.dispose()
    return tuple(
        Told(trial.number, _STATES[trial.state], trial.value, trial.params) if trial.state in _STATES else None
        for trial in trials
    )


def _first_line(error: BaseException) -> str:
    cause = error.__cause__ or error
    return str(cause).splitlines()[0] if str(cause) else type(cause).__name__


def _connect(place: Path) -> sqlite3.Connection:
    """A connection that does not sync at every commit: a lost one is asked or told again, from the records."""
    connection = sqlite3.connect(place, check_same_thread=False, timeout=15)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")
    return connection


class PerTrialSampler(optuna.samplers.BaseSampler):
    """Makes the configured sampler anew for every decision, seeded from study seed, trial number and hyperparameter.

    Without a state of its own, it draws for a trial that is asked again what it drew before.
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
