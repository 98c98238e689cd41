"""One batch of the real thing, in a temporary folder: what starting, ending and writing cost, and how fast trainings are here.

A rehearsal is a study of one batch. Validation rows stand in for the test rows, which stay sealed, and nothing of it stays.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import wait
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

from regsweep.book import RecordBook
from regsweep.config import StudyConfig, load_saved
from regsweep.config.parameters import Choice, Fixed, FloatRange, IntRange, Parameter
from regsweep.config.sampler import RandomSampler
from regsweep.config.schema import BudgetConfig
from regsweep.data.features import Prepared
from regsweep.errors import ConfigError
from regsweep.paths import Workspace
from regsweep.planning.baselines import fitted_in_rehearsal
from regsweep.planning.draws import random_specs
from regsweep.planning.simulate import Machine, makespan
from regsweep.runner import Executor, make_executor
from regsweep.study import Material, Unwatched, run_study
from regsweep.tasks import REGRESSION
from regsweep.train.plan import Load, Speed, form_of
from regsweep.trial import TrialSpec

# A batch of trainings of a rehearsal is to take so many seconds at most.
SHORT = 2.0
# A function's greatest networks are looked for among so many.
LOOKED_AT = 32
# Keras's own loop takes about so long for a training, and for a step beyond what the cost model says.
FIT, FIT_STEP = 0.5, 5e-4


@dataclass(frozen=True)
class Rehearsed:
    """A batch of `trials` as they were trained; `reading` seconds to read one."""

    book: RecordBook
    trials: int
    reading: float


def rehearse(material: Material, folder: Path) -> Rehearsed:
    """Run one batch of the study to its verdict in a folder."""
    config = material.config
    trials = min(config.n_trials, config.parallel_trials)
    baselines = config.baselines if fitted_in_rehearsal(material.prepared) else config.baselines.model_copy(update={"names": ()})
    short = config.model_copy(
        update={
            "study": "rehearsal",
            "n_trials": trials,
            "max_failures": trials + 1,
            # They may be more than a batch, and lie outside of shorter epochs.
            "enqueue": (),
            "budget": BudgetConfig(),
            "space": config.space.model_copy(update={"parameters": _shorter(config, material.prepared)}),
            "baselines": baselines,
            # It fits the same baselines, or none, and none can't stand.
            "champion": config.champion.model_copy(update={"candidates": "networks"}),
            "tracking": config.tracking.model_copy(update={"kind": "local", "dir": str(folder), "uri": None}),
        }
    )
    if short.sampler.kind == "kt_hyperband" or not _is_valid(short):
        # A grid, say, has more configurations than one batch of trials; Hyperband's first batch is its shortest trials.
        short = short.model_copy(update={"sampler": RandomSampler(kind="random")})
    stand_in = replace(
        material,
        config=short,
        facts=replace(material.facts, study="rehearsal", config=short),
        split=replace(material.split, test=material.split.folds[0].val),
    )
    book = run_study(stand_in, Workspace(folder), Unwatched()).book
    began = time.perf_counter()
    for _ in book.trials():
        pass
    return Rehearsed(book, trials, (time.perf_counter() - began) / trials)


def _is_valid(config: StudyConfig) -> bool:
    try:
        load_saved(config.model_dump(mode="json"))
    except ConfigError:
        return False
    return True


class Trainer:
    """The configured executor, and what it makes of specs: stacks with their cost by the model."""

    def __init__(self, config: StudyConfig, data: Prepared) -> None:
        self._config, self._data = config, data
        self._executor: Executor | None = None

    def __enter__(self) -> Trainer:
        self._entered: AbstractContextManager[Executor] = make_executor(self._config, self._data)
        self._executor = self._entered.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._entered.__exit__(None, None, None)

    def plan(self, specs: Sequence[TrialSpec]) -> tuple[Load, ...]:
        """Divide specs among stacks; the seconds of each are the cost model's."""
        assert self._executor is not None
        loads = self._executor.plan(specs)
        if _stacks(self._config):
            return loads
        return tuple(replace(load, seconds=seconds_of(specs[load.positions[0]], self._config, self._data)) for load in loads)

    def measure(self, specs: Sequence[TrialSpec], machine: Machine) -> Machine:
        """Train specs for few epochs, twice: tracing is what the first time takes longer; the second says how slow it is here."""
        assert self._executor is not None
        loads = self.plan(specs)
        share = min(1.0, SHORT / max(1e-9, makespan(loads, machine, traced=False)[0]))
        short = [replace(spec, epochs=max(1, round(spec.epochs * share)), rounds=()) for spec in specs]
        loads = self.plan(short)
        seconds = []
        for _ in range(2):
            began = time.perf_counter()
            wait([self._executor.submit([short[position] for position in load.positions], load) for load in loads])
            seconds.append(time.perf_counter() - began)
        expected, programs = makespan(loads, machine, traced=True)
        traced, again = seconds
        return replace(machine, slowness=again / max(1e-9, expected), trace=max(0.0, traced - again) / max(1, programs))


def _stacks(config: StudyConfig) -> bool:
    """Whether trainings share stacks; those of classes do not."""
    return config.trainer.kind == "stacked" and config.predicts == REGRESSION


def seconds_of(spec: TrialSpec, config: StudyConfig, data: Prepared, inputs: int | None = None) -> float:
    """What a training takes by the cost model, on the columns of its encoding or on so many."""
    folds, rows = len(data.folds), len(data.folds[0].z_train)
    form = form_of(spec, inputs or data.folds[0].encoded(spec.encoding).inputs, rows)
    steps = spec.epochs * -(-rows // form.batch_size)
    if _stacks(config):
        return Speed().stack(form, folds, steps)
    return folds * (FIT + FIT_STEP * steps + Speed().stack(form, 1, steps))


def _shorter(config: StudyConfig, data: Prepared) -> dict[str, Parameter]:
    """The space with so few epochs that a batch of its greatest networks takes some two seconds by the cost model."""
    parameters = config.space.parameters
    if config.space.function is not None:
        # What it returns can't be changed; where it leaves the epochs open, they are short.
        specs = random_specs(config.space, LOOKED_AT, config.seed)
        return _shortened(config, max(seconds_of(spec, config, data) for spec in specs))
    numbers = {name: [v for v in p.values() if not isinstance(v, str)] for name, p in parameters.items()}
    depth = int(max(numbers["depth"]))
    width = int(max(numbers.get("width", [1])))
    epochs, batch = int(max(numbers["epochs"])), int(min(numbers["batch_size"]))
    spec = TrialSpec((width,) * depth, ("relu",) * depth, 0.001, epochs, batch, "adam", (0.0,) * depth, 0.0, 0)
    fold = data.folds[0]
    widest = max([fold.inputs, *(other.x_train.shape[1] for other in fold.others.values())])
    return _shortened(config, seconds_of(spec, config, data, widest))


def _shortened(config: StudyConfig, each: float) -> dict[str, Parameter]:
    """The parameters with as many epochs as fit, where a training takes `each` seconds."""
    parameters = config.space.parameters
    share = 2 * SHORT / (each * config.parallel_trials)
    return {**parameters, "epochs": _scaled(parameters["epochs"], share)} if share < 1 else parameters


def _scaled(parameter: Parameter, share: float) -> Parameter:
    def scaled(value: float) -> int:
        return max(1, round(value * share))

    match parameter:
        case IntRange(low=low, high=high):
            return parameter.model_copy(update={"low": scaled(low), "high": scaled(high), "step": 1})
        case Choice(choices=choices):
            return parameter.model_copy(update={"choices": tuple(dict.fromkeys(scaled(float(c)) for c in choices))})
        case Fixed(value=value):
            return parameter.model_copy(update={"value": scaled(float(value))})
        case FloatRange():
            return parameter
