"""One Optuna study in the workspace's sqlite file, asked and told by one driver.

Every proposal is drawn by a sampler seeded from (study seed, trial number), and batches begin at multiples of
`parallel_trials`, so an interrupted study that goes on proposes what an uninterrupted one would have.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import optuna
from optuna.trial import FrozenTrial, Trial, TrialState

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
class Finished:
    """A trial that was told."""

    number: int
    state: State
    value: float | None


class Search:
    """Asks and tells. Raises StorageError where the study's database can't be used."""

    def __init__(self, workspace: Workspace, name: str, config: StudyConfig) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._config = config
        self._database = workspace.optuna_db
        try:
            workspace.root.mkdir(parents=True, exist_ok=True)
            self._study = optuna.create_study(
                storage=f"sqlite:///{workspace.optuna_db}",
                study_name=name,
                direction="maximize" if higher_is_better(config.objective) else "minimize",
                pruner=optuna.pruners.NopPruner(),
                load_if_exists=True,
            )
        except (optuna.exceptions.StorageInternalError, OSError) as error:
            raise StorageError(f"{workspace.optuna_db}: the study can't be opened ({_first_line(error)})") from None

    @property
    def name(self) -> str:
        return self._study.study_name

    def finished(self) -> tuple[Finished, ...]:
        """All trials that were told, by number."""
        return tuple(
            Finished(trial.number, _STATES[trial.state], trial.value) for trial in self._trials() if trial.state in _STATES
        )

    def next_batch(self, n_trials: int) -> tuple[Proposal, ...]:
        """The trials to train next: those that were left running, completed to a whole batch; () when `n_trials` are told."""
        trials, size = self._trials(), self._config.parallel_trials
        running = [trial for trial in trials if trial.state not in _STATES]
        end = (len(trials) // size + 1) * size
        if running:
            start = running[0].number // size * size
            # A batch of which one was told had been asked as a whole; else a crash between two asks may have left it short.
            end = len(trials) if any(trial.state in _STATES for trial in trials[start:]) else start + size
        waiting = [self._propose(Trial(self._study, trial._trial_id)) for trial in running]
        waiting += [self._propose(None, number) for number in range(len(trials), min(end, n_trials))]
        return tuple(waiting)

    def tell(self, number: int, state: State, value: float | None) -> None:
        """Report how a trial ended; only a complete one has a value."""
        trial_id = self._trials()[number]._trial_id
        if state is State.COMPLETE:
            self._study.tell(Trial(self._study, trial_id), value)
        else:
            self._study.tell(Trial(self._study, trial_id), state=TrialState.FAIL)

    def importance(self) -> dict[str, float]:
        """PED-ANOVA importance of each hyperparameter (Watanabe et al. 2023), in parts of 1; {} where trials are too few."""
        complete = [trial for trial in self._trials() if trial.state is TrialState.COMPLETE]
        if len({trial.value for trial in complete}) < 4:
            return {}
        with warnings.catch_warnings():
            # A hyperparameter that few trials have gets a rough estimate; the plot's caption says how many trials there are.
            warnings.simplefilter("ignore", UserWarning)
            return dict(optuna.importance.get_param_importances(self._study))

    def _trials(self) -> list[FrozenTrial]:
        return self._study.get_trials(deepcopy=False)

    def _propose(self, trial: Trial | None, number: int = 0) -> Proposal:
        number = trial.number if trial is not None else number
        self._study.sampler = _sampler(self._config.sampler, self._config.seed, number)
        asked = trial or self._study.ask()
        # Values are drawn at the first suggestion, not at the ask: draw all now, in this order and thread.
        return Proposal(asked.number, draw(self._config.space, asked))


def _sampler(config: SamplerConfig, study_seed: int, number: int) -> optuna.samplers.BaseSampler:
    seed = int(np.random.SeedSequence([study_seed, number, 1]).generate_state(1)[0])
    if config.kind == "random":
        return optuna.samplers.RandomSampler(seed=seed)
    return optuna.samplers.TPESampler(seed=seed, n_startup_trials=config.startup_trials)


def _first_line(error: Exception) -> str:
    cause = error.__cause__ or error
    return str(cause).splitlines()[0] if str(cause) else type(cause).__name__
