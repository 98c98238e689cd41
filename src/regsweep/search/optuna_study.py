"""A study's proposals and their results: from one source, told by one driver, kept trial by trial in the workspace's sqlite file.

Proposals depend on (study seed, trial number) and on the trials told before the batch they belong to. A batch is
`parallel_trials` proposals, or as many as the source has before it needs results, whatever `n_trials` says. So an interrupted
study that goes on, and a shorter one that is extended, propose what an undisturbed one would have; what was asked and not told
needs no storage.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

import optuna
from optuna.trial import FixedTrial, FrozenTrial
from sqlalchemy.exc import SQLAlchemyError

from regsweep.config import StudyConfig
from regsweep.errors import StorageError
from regsweep.failpoints import reach
from regsweep.locks import lock
from regsweep.paths import Workspace, read_only
from regsweep.search.fresh import Fresh
from regsweep.search.optuna_source import STATES, directions, frozen, told_from
from regsweep.search.pruning import Asked, PruneRule, Reports, compared_with
from regsweep.search.source import Proposal, Told
from regsweep.space import draw
from regsweep.trial import State, TrialSpec


class Search:
    """Asks and tells. Raises StorageError where the study's database can't be used.

    `anew`: what the database has of a study of this name is forgotten.
    """

    def __init__(self, workspace: Workspace, name: str, config: StudyConfig, *, anew: bool = False) -> None:
        self._config, self._name = config, name
        self._database = workspace.optuna_db
        with self._storage_errors():
            # Two processes would both create the tables of a new database.
            with lock(workspace.root / ".optuna.lock"):
                url, creator = f"sqlite:///{workspace.optuna_db}", partial(_connect, workspace.optuna_db)
                self._storage = optuna.storages.RDBStorage(url, engine_kwargs={"creator": creator})
            if anew:
                with suppress(KeyError):
                    optuna.delete_study(study_name=name, storage=self._storage)
            self._kept = self._open()
            trials = self._kept.get_trials(deepcopy=False)
        told = [self._as_told(trial) for trial in trials if trial.state in STATES]
        self._told: list[Told] = told
        # Made when a proposal is needed: some import much, or take their time to go on.
        self._fresh: Fresh | None = None
        self._handed_out = len(told)
        if len(told) < len(trials):
            # An earlier version kept asked trials too.
            self.restore(told)

    def told(self) -> tuple[Told, ...]:
        """All trials that were told, by number."""
        return tuple(self._told)

    def waiting(self) -> int:
        """How many trials were asked and not told."""
        return self._handed_out - len(self._so_far)

    def failures(self) -> int:
        """How many trials have failed."""
        return sum(told.state is State.FAILED for told in self._so_far)

    @property
    def ended(self) -> str | None:
        """Why there are no more proposals, if there are none."""
        return self._fresh.ended if self._fresh is not None else None

    def next_batch(self, n_trials: int, at_most: int = 0) -> tuple[Proposal, ...]:
        """The trials to train next, whole batches and no more than `at_most` trials if that is more than one batch.

        () when `n_trials` are asked, while trials that were not told yet decide what comes next or when it is pruned, and where
        `ended` says why.
        """
        size, start = self._config.parallel_trials, self._handed_out
        if start >= n_trials:
            return ()
        fresh = self._proposals()
        if start == fresh.asked and (len(self._told) == start or self._may_run_ahead(start)):
            fresh.ask(size)
        while fresh.asked + size - start <= at_most and self._may_run_ahead(fresh.asked) and fresh.ask(size):
            pass
        batch = tuple(fresh.proposal(number) for number in range(start, min(fresh.asked, n_trials)))
        self._handed_out += len(batch)
        return batch

    def rule(self, specs: Mapping[int, TrialSpec]) -> PruneRule | None:
        """What stops these trials, by number: what they are compared with is told by now. None without a pruner."""
        if self._config.pruner.kind == "none" or not specs:
            return None
        asked = {spec: self._asked(number) for number, spec in specs.items()}
        return PruneRule(self._config, self._told[: max(one.bound for one in asked.values())], asked)

    def tell(
        self, number: int, state: State, value: float | None, others: tuple[float, ...] = (), reports: Reports | None = None
    ) -> None:
        """Report how a trial ended; only a complete one has values, and one without a finite value has failed.

        Trials are told in the order of their numbers. Kept when it returns.
        """
        assert number == len(self._told), "trials are told in order"
        told = self._marked(self._as_ended(number, state, value, others, reports or {}), self._told)
        self._add(told)
        self._proposals().tell(told)
        reach("search/told", number)

    def restore(self, records: Sequence[Told]) -> None:
        """Keep these trials and no others; their numbers have no gaps."""
        self._told, self._handed_out, self._fresh = list(records), len(records), None
        for number, told in enumerate(records):
            # The pruner's marks on a trial follow from the trials before it.
            self._told[number] = self._marked(told, self._told)
        with self._storage_errors():
            optuna.delete_study(study_name=self._name, storage=self._storage)
            self._kept = self._open()
            for told in self._told:
                self._keep(frozen(self._config, told))
        self._fresh = None

    @property
    def _so_far(self) -> Sequence[Told]:
        """All trials that were told."""
        return self._told

    def _as_ended(self, number: int, state: State, value: float | None, others: tuple[float, ...], reports: Reports) -> Told:
        """How a trial ended that was asked; without a finite value it has failed."""
        assert self._fresh is not None and number < self._fresh.asked, "trials are told after they were asked"
        if state is State.COMPLETE and (value is None or not math.isfinite(value)):
            state = State.FAILED
        values = (value, others) if state is State.COMPLETE else (None, ())
        proposal = self._fresh.proposal(number)
        return Told(number, state, values[0], proposal.params, values[1], reports, rung=proposal.rung)

    def _add(self, told: Told) -> None:
        """Keep the trial that comes next by number."""
        with self._storage_errors():
            reach("search/telling", told.number)
            self._keep(frozen(self._config, told))
        self._told.append(told)

    def _proposals(self) -> Fresh:
        self._fresh = self._fresh or self._gone_on()
        return self._fresh

    def _may_run_ahead(self, start: int) -> bool:
        """Whether a batch from this number on can be proposed and trained before all earlier trials are told."""
        return self._proposals().independent(start) and self._bound(start) <= len(self._told)

    def _bound(self, start: int) -> int:
        return compared_with(self._config, start, ahead=self._proposals().independent(start))

    def _asked(self, number: int) -> Asked:
        return Asked(number, self._bound(self._proposals().start(number)))

    def _marked(self, told: Told, earlier: Sequence[Told]) -> Told:
        """With the marks that the pruner would have left on it in Optuna's own loop."""
        if not told.reports:
            return told
        asked = self._asked(told.number)
        rule = PruneRule(self._config, earlier[: asked.bound], {})
        return replace(told, marks=rule.marks(asked, told.reports))

    def _gone_on(self) -> Fresh:
        """A source that was asked and told what this study has been told."""
        fresh = Fresh(self._config)
        fresh.go_on(self._told, self._config.parallel_trials)
        return fresh

    def _as_told(self, trial: FrozenTrial) -> Told:
        if self._config.space.function is not None:
            return told_from(trial, trial.params)
        return told_from(trial, draw(self._config.space, FixedTrial(trial.params)))

    def _keep(self, trial: FrozenTrial) -> None:
        # One transaction, where asking, drawing and telling in the database would take a dozen.
        number = self._storage.get_trial_number_from_id(self._storage.create_new_trial(self._kept._study_id, trial))
        if number != trial.number:
            raise StorageError(f"{self._database}: trial {trial.number} of study {self._name!r} was added by another program")

    def _open(self) -> optuna.Study:
        return optuna.create_study(
            storage=self._storage, study_name=self._name, directions=directions(self._config.objectives), load_if_exists=True
        )

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
    # A reader that may write would tidy the write-ahead log.
    creator = partial(sqlite3.connect, read_only(workspace.optuna_db), uri=True, check_same_thread=False)
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
    return tuple(told_from(trial, trial.params) if trial.state in STATES else None for trial in trials)


def _first_line(error: BaseException) -> str:
    cause = error.__cause__ or error
    return str(cause).splitlines()[0] if str(cause) else type(cause).__name__


def _connect(place: Path) -> sqlite3.Connection:
    """A connection that does not sync at every commit: a lost one is asked or told again, from the records."""
    connection = sqlite3.connect(place, check_same_thread=False, timeout=15)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")
    return connection
