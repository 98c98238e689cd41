"""Made-up specs and trainings for tests that do not train."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from threading import Event, Lock
from typing import Any

import numpy as np
import pytest

from regsweep.config import StudyConfig, compose
from regsweep.config.parameters import FloatRange, IntRange, Parameter
from regsweep.config.sampler import lacking_for_gp
from regsweep.config.schema import TrainerConfig
from regsweep.config.space import SpaceConfig
from regsweep.data.features import Encoding, FoldEncoding, Prepared
from regsweep.paths import Workspace
from regsweep.predictor import NumberColumn, TargetScale
from regsweep.record import Features, StudyFacts, TrialRecord
from regsweep.runner import Inline
from regsweep.runner.work import Results
from regsweep.search import Search, Told
from regsweep.train.contract import StopRule
from regsweep.train.plan import Load
from regsweep.trial import FoldResult, Network, Scalar, State, TrialResult, TrialSpec


def spec(**changes: object) -> TrialSpec:
    """A small network; any field can be changed, and `activation` and `dropout` stand for those of every hidden layer."""
    values: dict[str, Any] = {
        "widths": (8,), "learning_rate": 0.01, "epochs": 3, "batch_size": 32, "optimizer": "adam",
        "l2": 0.0, "seed": 7, **changes,
    }  # fmt: skip
    depth = len(values["widths"])
    activation, dropout = values.pop("activation", "tanh"), values.pop("dropout", 0.0)
    return TrialSpec(**{"activations": (activation,) * depth, "dropouts": (dropout,) * depth, **values})


def trained(
    number: int = 0,
    *,
    mse: float = 4.0,
    epochs: int = 3,
    widths: tuple[int, ...] = (3,),
    state: State = State.COMPLETE,
    cause: str | None = None,
) -> TrialResult:
    """A made-up training of hidden layers on two inputs; `mse` is the validation MSE of its last epoch."""
    rng = np.random.default_rng(number)
    curves = rng.uniform(1, 2, (epochs, 6))
    curves[-1, 3] = mse
    kernels = tuple(rng.normal(size=shape).astype(np.float32) for shape in pairwise((2, *widths, 1)))
    network = Network(kernels, tuple(np.zeros(size, np.float32) for size in (*widths, 1)))
    return TrialResult(
        spec(widths=widths, epochs=epochs), state, (FoldResult(curves, network, epochs - 1),), 1.5, "keras_fit", cause
    )


def features() -> Features:
    """Made-up preprocessing of two inputs for the networks of `trained`."""
    columns = tuple(NumberColumn(name, 0.0, 1.0, 0.0, False, False) for name in ("a", "b"))
    encoding = Encoding("y", "points", (FoldEncoding({"plain": columns}, TargetScale(False, 0.0, 1.0)),))
    return Features(encoding, (("a", "float64"), ("b", "float64"), ("y", "float64")))


class Silent:
    """A watcher that looks away; `stop_after` trials it raises, as Ctrl-C would."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.seen: list[int] = []
        self.redone: list[int] = []
        self._stop_after = stop_after

    def begin(self, facts: StudyFacts, told: Sequence[Told]) -> None:
        self.told = len(told)

    def trial(self, record: TrialRecord) -> None:
        self.seen.append(record.number)
        if len(self.seen) == self._stop_after:
            raise KeyboardInterrupt

    def redoing(self, numbers: Sequence[int]) -> None:
        self.redone = list(numbers)

    def recording(self, done: int, of: int) -> None: ...

    def judging(self) -> None: ...


SAMPLERS = (
    "tpe", "random", "qmc", "cmaes", "gp", "nsga2", "grid", "brute_force", "kt_random", "kt_bayesian", "kt_grid",
    "kt_hyperband",
)  # fmt: skip
# What gp needs is not among the dependencies.
HERE = tuple(name for name in SAMPLERS if name != "gp" or not lacking_for_gp())
FINITE = ("grid", "brute_force", "kt_grid")
FINITE_SPACE = (
    "space.parameters.depth.high=2", "space.parameters.width.high=10", "space.parameters.width.log=false",
    "space.parameters.activation.choices=[relu,tanh]", "space.parameters.learning_rate=0.003", "space.parameters.epochs=3",
    "space.parameters.batch_size.choices=[16,32]", "space.parameters.optimizer=adam", "space.parameters.dropout=0",
    "space.parameters.l2=0",
)  # fmt: skip
Table = list[tuple[int, dict[str, Scalar], float | None]]
# How a trial ends, and its value.
Ending = tuple[State, float | None]


def each_of(samplers: Sequence[str]) -> Any:
    """A mark: the test runs with each of these samplers, `sampler`; one that can't be used here is skipped and says so."""
    missing = pytest.mark.skip(reason="torch or greenlet is not installed")
    return pytest.mark.parametrize("sampler", [pytest.param(name, marks=() if name in HERE else missing) for name in samplers])


def search_config(sampler: str, *overrides: str, space: Sequence[str] | None = None) -> StudyConfig:
    """A study in batches of three over a space that the sampler can search."""
    space = space if space is not None else FINITE_SPACE if sampler in FINITE else ()
    start = ["sampler.startup_trials=5"] if sampler == "kt_bayesian" else []
    population = ["sampler.population=6"] if sampler in ("nsga2", "cmaes") else []
    # Brackets of 13, 7 and 3 trials, twice.
    brackets = ["sampler.max_epochs=9", "sampler.iterations=2"] if sampler == "kt_hyperband" else []
    options = [*start, *population, *brackets]
    return compose([f"sampler={sampler}", "space=broad", "parallel_trials=3", *options, *space, *overrides])[0]


def value_of(params: Mapping[str, Scalar]) -> float:
    """A smooth objective with a known best at learning rate 0.003 and depth 2; every batch size differs a little."""
    return (
        (math.log10(float(params["learning_rate"])) + 2.5) ** 2
        + (int(params["depth"]) - 2) ** 2 / 4
        + (float(params["batch_size"]) / 1000)
    )


def go_on(
    folder: Path,
    study: StudyConfig,
    n_trials: int,
    *,
    stop_after: int | None = None,
    at_most: int = 0,
    ends: Mapping[int, Ending] | None = None,
) -> Table:
    """Ask and tell until `n_trials`, or give up after so many tells, as a killed driver would.

    Trials are complete with the value of `value_of`, unless `ends` has another end for their numbers.
    """
    search = Search(Workspace(folder), "s", study)
    table: Table = []
    while batch := search.next_batch(n_trials, at_most):
        # A second one, where there is one already, as the study asks for it.
        for proposal in (*batch, *search.next_batch(n_trials, at_most)):
            if stop_after is not None and len(table) == stop_after:
                return table
            params = dict(proposal.params)
            state, value = (ends or {}).get(proposal.number, (State.COMPLETE, value_of(params)))
            others = tuple(1.0 + int(params["depth"]) * int(params.get("width", 0)) for _ in study.further_objectives)
            search.tell(proposal.number, state, value, others, reports_on_the_way(study, params, state))
            table.append((proposal.number, params, value))
    return table


def reports_on_the_way(study: StudyConfig, params: Mapping[str, Scalar], state: State) -> dict[int, float]:
    """What a made-up trial has told the study's pruner, by epochs: it falls to its value; a pruned one comes half the way."""
    every, epochs = getattr(study.pruner, "interval", 0), int(params["epochs"])
    if not every or state is State.FAILED:
        return {}
    end = epochs // 2 if state is State.PRUNED else epochs
    return {done: value_of(params) + 1 - done / epochs for done in range(every, end + 1, every)}


def outside(space: SpaceConfig, params: Mapping[str, Scalar]) -> list[str]:
    """What of a configuration a declared space does not have: a line for each name that it should not have, lacks, or has a
    value for that could not be drawn.

    Read off the ranges by rules of its own, so that no mistake of the search's is made here, too.
    """
    own = {"width": space.per_layer_width, "activation": space.per_layer_activation, "dropout": space.per_layer_dropout}
    expected: dict[str, Parameter] = {}
    for name, parameter in space.parameters.items():
        when = parameter.when
        if when is not None:
            asked = params.get(when.parameter)
            if asked is None or (when.at_least is not None and float(asked) < when.at_least):
                continue
            if when.one_of is not None and asked not in when.one_of:
                continue
        layers = range(1, int(params.get("depth", 0)) + 1)
        expected |= {f"{name}_{layer}": parameter for layer in layers} if own.get(name) else {name: parameter}
    problems = [f"{name}: lacks" for name in expected.keys() - params.keys()]
    problems += [f"{name}: does not exist here" for name in params.keys() - expected.keys()]
    for name, parameter in expected.items():
        value = params.get(name)
        match parameter:
            case _ if value is None:
                continue
            case IntRange(low=low, high=high, step=step):
                drawn = type(value) is int and low <= value <= high and (value - low) % step == 0
            case FloatRange(low=low, high=high):
                drawn = type(value) is float and low <= value <= high
            case _:
                drawn = any(type(value) is type(one) and value == one for one in parameter.values())
        problems += [] if drawn else [f"{name}: {value!r} is none of {parameter!r}"]
    return sorted(problems)


class Gated(Inline):
    """Trains in threads of this process; the stacks of the trials with these seeds wait until the gate is opened."""

    def __init__(self, config: TrainerConfig, data: Prepared, seeds: Sequence[int], workers: int = 2) -> None:
        super().__init__(config, data)
        self.gate, self._gated, self._workers = Event(), {*seeds}, workers
        # TensorFlow is asked by one thread at a time.
        self._threads, self._one = ThreadPoolExecutor(workers), Lock()

    def submit(self, stack: Sequence[TrialSpec], load: Load | None = None, rule: StopRule | None = None) -> Future[Results]:
        return self._threads.submit(self._train, stack, rule)

    def _train(self, stack: Sequence[TrialSpec], rule: StopRule | None) -> Results:
        if self._gated & {spec.seed for spec in stack}:
            assert self.gate.wait(timeout=60), "nobody opened the gate"
        with self._one:
            return super().submit(stack, None, rule).result()

    def close(self) -> None:
        self.gate.set()
        self._threads.shutdown()


def group_ends(group: int, seconds: float) -> bool:
    """Tell whether a process group is gone within so many seconds."""
    deadline = time.monotonic() + seconds
    while of_group(group):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def of_group(group: int) -> list[int]:
    """The processes of a group. One that has ended and waits to be asked for its exit code, as init may let it, is none."""
    found = []
    for place in (place for place in Path("/proc").iterdir() if place.name.isdigit()):
        try:
            state, _, its = (place / "stat").read_text().rpartition(")")[2].split()[:3]
        except OSError:
            # It has gone meanwhile.
            continue
        if state != "Z" and int(its) == group:
            found.append(int(place.name))
    return found
