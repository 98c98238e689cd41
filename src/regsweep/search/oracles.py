"""Proposals of Keras Tuner's oracles: random search, Bayesian optimisation, grid and Hyperband. The only module that imports it.

An oracle is kept in memory, asked and told by one thread, and never saved: a study that goes on asks and tells a new one.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
from threadpoolctl import ThreadpoolController

from regsweep.config import StudyConfig
from regsweep.config.parameters import Choice, FloatRange, IntRange, Parameter, SteppedRange
from regsweep.config.space import parents
from regsweep.search.gaussian_process import unchecked
from regsweep.search.source import Params, Proposal, Told
from regsweep.space import Middle, calling_for, draw, every_key, greatest
from regsweep.train.runtime import import_keras
from regsweep.trial import Rung, Scalar, State, higher_is_better

import_keras()

import keras_tuner as kt  # noqa: E402

# Where an oracle raises, it leaves its lock held: this limit, which counts failures in a row, is never reached.
UNLIMITED = 2**62


class OracleSource:
    """One oracle. Trials that somebody else proposed are unknown to it."""

    recalls = False

    def __init__(self, config: StudyConfig) -> None:
        self._config = config
        with _quiet():
            self._oracle = _make(config)
        # Its matrices are so small that threads which share them mostly wait.
        self._blas = ThreadpoolController()
        self._asked: dict[int, tuple[Any, Params]] = {}
        # By Keras Tuner's name of a trial its number and place in Hyperband.
        self._rungs: dict[str, tuple[int, Rung]] = {}

    def independent(self, number: int) -> bool:
        return False

    def ask(self, number: int, attempt: int) -> Params | None:
        with _quiet(), self._blas.limit(limits=1, user_api="blas"):
            trial = self._oracle.create_trial(f"{number} {attempt}")
        if trial.status != "RUNNING":
            return None
        params = self._decoded(trial.hyperparameters.values)
        self._correct(trial.hyperparameters.values, params)
        self._asked[number] = trial, params
        if self._config.sampler.kind == "kt_hyperband":
            self._rungs[trial.trial_id] = number, self._rung_of(number, trial.hyperparameters.values)
        return params

    def rung(self, number: int) -> Rung | None:
        found = self._rungs.get(self._asked[number][0].trial_id)
        return found[1] if found is not None else None

    def drop(self, number: int) -> None:
        self._end(self._asked.pop(number)[0], "FAILED")

    def impose(self, proposal: Proposal) -> None: ...

    def tell(self, told: Told) -> None:
        if told.number not in self._asked:
            return
        trial, params = self._asked.pop(told.number)
        # Another version proposed what was trained, or it was stopped early: no result of this proposal.
        if told.state is not State.COMPLETE or dict(params) != dict(told.params):
            self._end(trial, "FAILED")
            return
        with _quiet():
            self._oracle.update_trial(trial.trial_id, {"objective": told.value})
        self._end(trial, "COMPLETED")

    def recall(self, told: Sequence[Told]) -> None: ...

    def _end(self, trial: Any, status: str) -> None:
        trial.status = status
        with _quiet():
            self._oracle.end_trial(trial)

    def _rung_of(self, number: int, values: dict[str, Any]) -> Rung:
        if "tuner/trial_id" not in values:
            return Rung(values["tuner/bracket"], 0, number)
        # Keras Tuner calls the bracket that it began last the trial's; it is the parent's.
        parent, before = self._rungs[values["tuner/trial_id"]]
        rounds = (*before.rounds, values["tuner/initial_epoch"])
        return Rung(before.bracket, values["tuner/round"], before.root, parent, rounds)

    def _correct(self, values: dict[str, Any], params: Params) -> None:
        """Have the oracle learn what is trained, where a function's range is narrower beside other draws than it knows."""
        if self._config.space.function is not None:
            for key, parameter in every_key(self._config.space).items():
                if key in values and key in params and not isinstance(parameter, Choice):
                    values[key] = _encoded(params[key], parameter, self._config)

    def _decoded(self, values: dict[str, Any]) -> Params:
        return draw(self._config.space, _Decoder(self._config, values))


def _make(config: StudyConfig) -> Any:
    sampler = config.sampler
    shared = {
        "objective": kt.Objective("objective", "max" if higher_is_better(config.objective) else "min"),
        "hyperparameters": _hyperparameters(config),
        # 0 is no seed for Keras Tuner.
        "seed": 1 + int(np.random.SeedSequence(config.seed).generate_state(1)[0] >> 1),
        "max_consecutive_failed_trials": UNLIMITED,
    }
    match sampler.kind:
        case "kt_random":
            oracle = _unsaved(kt.oracles.RandomSearchOracle)(**shared, max_trials=None)
        case "kt_bayesian":
            oracle = _unsaved(kt.oracles.BayesianOptimizationOracle)(
                **shared, max_trials=None, num_initial_points=sampler.startup_trials
            )
            oracle.gpr = unchecked(oracle.gpr)
        case "kt_grid":
            oracle = _unsaved(kt.oracles.GridSearchOracle)(**shared, max_trials=None)
        case "kt_hyperband":
            oracle = _unsaved(kt.oracles.HyperbandOracle)(
                **shared,
                max_epochs=int(greatest(config.space, "epochs")),
                factor=sampler.factor,
                hyperband_iterations=sampler.iterations,
            )
        case _:
            raise ValueError(f"{sampler.kind!r} is no oracle")
    oracle.verbose = 0
    return oracle


def _unsaved(base: Any) -> Callable[..., Any]:
    """An oracle that writes no files: the study keeps what is needed."""

    def nothing(*_: object) -> None: ...

    made: Callable[..., Any] = type(base.__name__, (base,), {"save": nothing, "_save_trial": nothing})
    return made


def _hyperparameters(config: StudyConfig) -> Any:
    """The space in Keras Tuner's words, without constants. What has a condition it has no words for is drawn always."""
    hp, known = kt.HyperParameters(), every_key(config.space)
    scopes: dict[str, list[tuple[str, list[Any]]]] = {}
    if config.sampler.kind == "kt_hyperband":
        # The oracle decides how long a trial is trained.
        known.pop("epochs", None)
    for key, parameter in known.items():
        # A function asks for what it needs.
        conditions = [] if config.space.function is not None else _conditions(config, key, parameter, known, scopes)
        if conditions is None:
            continue
        scopes[key] = conditions
        with ExitStack() as stack:
            for parent, values in conditions:
                stack.enter_context(hp.conditional_scope(parent, values))
            _register(hp, key, parameter, config)
    return hp


def _conditions(
    config: StudyConfig,
    key: str,
    parameter: Parameter,
    known: dict[str, Parameter],
    scopes: dict[str, list[tuple[str, list[Any]]]],
) -> list[tuple[str, list[Any]]] | None:
    """Under which values of which hyperparameters, those of their own conditions first, this one exists; None: under none."""
    found: list[tuple[str, list[Any]]] = []
    for parent in parents(key, parameter):
        conditions = _conditions_by(parent, config, key, parameter, known, scopes)
        if conditions is None:
            return None
        # Keras Tuner knows a parent only under the very conditions that the parent has: two unrelated ones can't be said.
        if conditions[: len(found)] == found:
            found = conditions
    return found


def _conditions_by(
    parent: str,
    config: StudyConfig,
    key: str,
    parameter: Parameter,
    known: dict[str, Parameter],
    scopes: dict[str, list[tuple[str, list[Any]]]],
) -> list[tuple[str, list[Any]]] | None:
    """Those of one parent, and of the parent's own."""
    owner = config.space.parameters[parent]
    if isinstance(owner, FloatRange) and owner.low < owner.high:
        return scopes.get(parent, [])
    allowed = calling_for(key, parameter, parent, config.space)
    if not allowed:
        return None
    if parent not in known:
        # A constant.
        return []
    if parent not in scopes:
        return None
    return [*scopes[parent], (parent, [_encoded(value, owner, config) for value in allowed])]


def _register(hp: Any, key: str, parameter: Parameter, config: StudyConfig) -> None:
    if _is_listed(parameter, config):
        count = len(parameter.grid(getattr(config.sampler, "points", None)))
        hp.Choice(key, list(range(count)), ordered=not isinstance(parameter, Choice))
    elif isinstance(parameter, IntRange):
        scale = {"sampling": "log"} if parameter.log else {"step": parameter.step}
        hp.Int(key, parameter.low, parameter.high, **scale)
    elif isinstance(parameter, SteppedRange):
        # By position: its own steps give the ends half of their share.
        hp.Int(key, 0, len(parameter.grid()) - 1)
    elif isinstance(parameter, FloatRange):
        hp.Float(key, parameter.low, parameter.high, sampling="log" if parameter.log else "linear")


def _is_listed(parameter: Parameter, config: StudyConfig) -> bool:
    """Whether Keras Tuner is given the positions of the values: it can't mix types, and has other grids than we do."""
    return isinstance(parameter, Choice) or config.sampler.kind == "kt_grid"


def _encoded(value: Scalar, parameter: Parameter, config: StudyConfig) -> Any:
    if isinstance(parameter, SteppedRange):
        return round((float(value) - parameter.low) / parameter.step)
    return list(parameter.grid(None)).index(value) if _is_listed(parameter, config) else value


class _Decoder:
    """Suggests what an oracle proposed."""

    def __init__(self, config: StudyConfig, values: dict[str, Any]) -> None:
        self._points, self._values = getattr(config.sampler, "points", None), values
        self._listed = config.sampler.kind == "kt_grid"
        self._steps = {key: kind for key, kind in every_key(config.space).items() if isinstance(kind, SteppedRange)}
        # What a function draws now and did not when it was tried, the oracle knows nothing of.
        self._unknown = Middle()
        if config.sampler.kind == "kt_hyperband":
            self._values = {**values, "epochs": values["tuner/epochs"]}

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        if low == high:
            return low
        if name not in self._values:
            return self._unknown.suggest_int(name, low, high, step=step, log=log)
        value = int(self._values[name])
        if not self._listed and step > 1:
            # A range that depends on another draw is not the one that the oracle knows.
            value = low + round((value - low) / step) * step
        return range(low, high + 1, step)[value] if self._listed else min(high, max(low, value))

    def suggest_float(self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False) -> float:
        if low == high:
            return low
        if name not in self._values:
            return self._unknown.suggest_float(name, low, high, step=step, log=log)
        value = float(self._values[name])
        if (steps := self._steps.get(name)) is not None:
            value = float(steps.grid()[int(value)])
        if step is not None:
            return min(high, low + step * max(0, round((value - low) / step)))
        if self._listed:
            grid = FloatRange(type="float", low=low, high=high, log=log).grid(self._points)
            return float(grid[int(self._values[name])])
        return min(high, max(low, value))

    def suggest_categorical(self, name: str, choices: Sequence[Scalar]) -> Any:
        if len(choices) == 1 or name not in self._values:
            return choices[0]
        return choices[int(self._values[name])]


@contextmanager
def _quiet() -> Iterator[None]:
    # It calls threading's old names at every turn, and scikit-learn's fits may say that they could be better.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
