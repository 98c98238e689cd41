"""Proposals of Optuna's samplers, from a study in memory.

Most samplers see nothing but earlier trials. CMA-ES and NSGA-II leave notes in the study in memory (a generation, a state),
which come again when the trials are asked and told again: nothing is unpickled that was on disk.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Literal

import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import FixedTrial, Trial, TrialState, create_trial

from regsweep.config import StudyConfig
from regsweep.search.samplers import PerTrialSampler, distribution_of
from regsweep.search.source import Params, Proposal, Told
from regsweep.space import again, draw
from regsweep.trial import State, higher_is_better, rung_from

STATES = {TrialState.COMPLETE: State.COMPLETE, TrialState.PRUNED: State.PRUNED, TrialState.FAIL: State.FAILED}
# Of what Optuna's pruners note down on trials.
MARK = "completed_rung_"
# Under this key Optuna keeps where a trial stands in Hyperband.
RUNG = "hyperband"
OPTUNAS = {ours: state for state, ours in STATES.items()}


class OptunaSource:
    """A study in memory with the configured sampler; its own trial numbers count what was dropped, too."""

    def __init__(self, config: StudyConfig) -> None:
        self._config = config
        self._sampler = PerTrialSampler(config)
        self._study = memory_study(config.objectives, self._sampler)
        self._asked: dict[int, tuple[Trial, Params]] = {}
        self.recalls = config.sampler.kind not in ("cmaes", "nsga2")

    def independent(self, number: int) -> bool:
        sampler = self._config.sampler
        return sampler.kind in ("random", "qmc") or (sampler.kind in ("tpe", "gp") and number < sampler.startup_trials)

    def ask(self, number: int, attempt: int) -> Params | None:
        self._sampler.turn_to(number, attempt)
        trial = self._study.ask()
        # Values are drawn at the first suggestion, not at the ask: draw all now, in this order and thread.
        params = draw(self._config.space, trial)
        self._asked[number] = trial, params
        return params

    def rung(self, _number: int) -> None:
        return None

    def drop(self, number: int) -> None:
        self._study.tell(self._asked.pop(number)[0], state=TrialState.FAIL)

    def impose(self, proposal: Proposal) -> None:
        kinds = _distributions(self._config, proposal.params)
        params = {name: proposal.params[name] for name in kinds}
        self._study.add_trial(create_trial(state=TrialState.RUNNING, params=params, distributions=kinds))
        latest = self._study.get_trials(deepcopy=False)[-1]
        self._asked[proposal.number] = Trial(self._study, latest._trial_id), proposal.params

    def tell(self, told: Told) -> None:
        trial, params = self._asked.pop(told.number)
        if dict(params) != dict(told.params):
            # Another version of Optuna proposed it: what was trained is what counts.
            self._study.tell(trial, state=TrialState.FAIL)
            self._study.add_trial(frozen(self._config, told))
            return
        for step, value in told.reports.items():
            self._study._storage.set_trial_intermediate_value(trial._trial_id, step, value)
        if told.state is State.COMPLETE:
            self._study.tell(trial, told.values)
        else:
            self._study.tell(trial, state=OPTUNAS[told.state])

    def recall(self, told: Sequence[Told]) -> None:
        self._study.add_trials([frozen(self._config, one) for one in told])


def memory_study(objectives: Sequence[str], sampler: optuna.samplers.BaseSampler | None = None) -> optuna.Study:
    """A study in memory."""
    storage = optuna.storages.InMemoryStorage()
    return optuna.create_study(
        storage=storage, directions=directions(objectives), sampler=sampler, pruner=optuna.pruners.NopPruner()
    )


def directions(objectives: Sequence[str]) -> list[Literal["maximize", "minimize"]]:
    """Optuna's words for which values of the objectives are better."""
    return ["maximize" if higher_is_better(objective) else "minimize" for objective in objectives]


def values_in_optuna(told: Told) -> list[float] | None:
    """Optuna gives a pruned trial its last report for a value; to us only a complete one has values."""
    return [told.reports[max(told.reports)]] if told.state is State.PRUNED and told.reports else told.values


def _distributions(config: StudyConfig, params: Params) -> dict[str, BaseDistribution]:
    if config.space.function is not None:
        return {name: distribution_of(kind) for name, kind in again(config.space, params).kinds.items()}
    # Constants have none.
    suggester = FixedTrial(dict(params))
    draw(config.space, suggester)
    return suggester.distributions


def told_from(trial: optuna.trial.FrozenTrial, params: Params) -> Told:
    """A told trial from what Optuna keeps of it."""
    value, *others = (trial.values if trial.state is TrialState.COMPLETE else None) or [None]
    marks = {key: mark for key, mark in trial.system_attrs.items() if key.startswith(MARK)}
    rung = rung_from(trial.user_attrs.get(RUNG))
    return Told(trial.number, STATES[trial.state], value, params, tuple(others), trial.intermediate_values, marks, rung)


def frozen(config: StudyConfig, told: Told) -> optuna.trial.FrozenTrial:
    """A told trial as Optuna keeps it."""
    kinds = _distributions(config, told.params)
    trial = create_trial(
        state=OPTUNAS[told.state],
        values=values_in_optuna(told),
        intermediate_values=dict(told.reports),
        system_attrs=dict(told.marks),
        user_attrs={RUNG: asdict(told.rung)} if told.rung is not None else {},
        params={name: told.params[name] for name in kinds},
        distributions=kinds,
    )
    trial.number = told.number
    return trial
