"""What trainings cost on this machine: by the cost model, corrected by what a sample of them takes in the study's own workers.

Main calls: `seconds_of`, by the model alone, and `Costs`, which measures.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import wait
from dataclasses import dataclass, replace
from functools import cached_property

from regsweep.config import StudyConfig
from regsweep.config.schema import TrainerConfig
from regsweep.data.features import Prepared
from regsweep.planning.draws import random_specs
from regsweep.planning.simulate import Machine, Seconds, makespan
from regsweep.runner import Executor
from regsweep.train import make_trainer
from regsweep.train.plan import Load, ProgramKey, Speed, form_of, shares_stacks
from regsweep.trial import TrialSpec

# So many trainings are measured, for so few epochs that they take some second by the cost model. Of those that share no stacks
# fewer: each takes half a second before its first step.
SAMPLE, ALONE, SHORT = 16, 4, 1.0
# One epoch of all of them may take so many times as long.
LONGER = 3
# Keras's own loop takes about so long for a training, and for a step beyond what the cost model says.
FIT, FIT_STEP = 0.5, 5e-4
# No machine is so many times faster; a busy one may look so.
LEAST = 0.1


def seconds_of(spec: TrialSpec, config: StudyConfig, data: Prepared, *, fit: float = 1.0, step: float = 1.0) -> float:
    """What a training takes by the cost model; of Keras's own loop `fit` times what it begins with, `step` times its steps."""
    folds, rows = len(data.folds), len(data.folds[0].z_train)
    form = form_of(spec, data.folds[0].encoded(spec.encoding).inputs, rows)
    steps = (spec.epochs - spec.initial_epoch) * -(-rows // form.batch_size)
    if _stacks(config):
        return Speed().stack(form, folds, steps)
    return folds * (fit * FIT + step * (FIT_STEP * steps + Speed().stack(form, 1, steps)))


def _stacks(config: StudyConfig) -> bool:
    return shares_stacks(config.trainer.kind, config.predicts)


@dataclass
class Costs:
    """What an executor makes of specs, and how long its workers take for them. `machine` and what it knows come by `measure`."""

    config: StudyConfig
    data: Prepared
    executor: Executor
    machine: Machine
    clock: Seconds = time.perf_counter
    _known: frozenset[ProgramKey] = frozenset()
    _fit: float = 1.0
    _step: float = 1.0

    @cached_property
    def _sample(self) -> Sequence[TrialSpec]:
        return random_specs(self.config.space, SAMPLE if _stacks(self.config) else ALONE, self.config.seed)

    def start(self) -> None:
        """Wait until there are workers, and until the executor has measured what it divides specs by."""
        self.executor.call(_ready, self.config.trainer)
        if _stacks(self.config):
            self.executor.measure()

    def plan(self, specs: Sequence[TrialSpec]) -> tuple[Load, ...]:
        """Divide specs among stacks; the seconds of each are the cost model's."""
        loads = self.executor.plan(specs)
        if _stacks(self.config):
            return loads
        return tuple(replace(load, seconds=self.by_model(specs[load.positions[0]])) for load in loads)

    def seconds(self, specs: Sequence[TrialSpec]) -> float:
        """How long the workers take for specs that are trained side by side, after a search."""
        return makespan(self.plan(specs), self.machine, self._known)[0]

    def alone(self, spec: TrialSpec, data: Prepared) -> float:
        """How long a training by itself takes, maybe on other data."""
        (load,) = self.plan([spec])
        return self.machine.begin + self.machine.slowness * load.seconds * self.by_model(spec, data) / self.by_model(spec)

    def by_model(self, spec: TrialSpec, data: Prepared | None = None) -> float:
        """What a training takes by the cost model, maybe on other data; of Keras's own loop as it was measured here."""
        return seconds_of(spec, self.config, data or self.data, fit=self._fit, step=self._step)

    def measure(self) -> None:
        """Train some specs, drawn from the space, for few epochs."""
        once = [replace(spec, epochs=1, rounds=()) for spec in self._sample]
        while len(once) > self.machine.workers and makespan(self.plan(once), self.machine)[0] > LONGER * SHORT:
            once = once[: max(self.machine.workers, len(once) // 2)]
        if _stacks(self.config):
            self._measure_stacks(self._sample[: len(once)])
        else:
            self._measure_alone(once)

    def _measure_stacks(self, specs: Sequence[TrialSpec]) -> None:
        """Twice: tracing is what the first time takes longer. One epoch then tells what trainings begin with from their steps."""
        bare = replace(self.machine, trace=0.0)
        share = min(1.0, SHORT / max(1e-9, makespan(self.plan(specs), bare)[0]))
        short = [replace(spec, epochs=max(1, round(spec.epochs * share)), rounds=()) for spec in specs]
        loads = self.plan(short)
        traced, again = (self._timed(short, loads) for _ in range(2))
        # The same loads, which go to the workers that have traced their programs.
        epochs = [max(short[position].epochs for position in load.positions) for load in loads]
        firsts = [replace(load, seconds=load.seconds / count) for load, count in zip(loads, epochs, strict=True)]
        steps, fewest = (makespan(each, bare)[0] for each in (loads, firsts))
        begin = 0.0
        # Otherwise steps are nearly all of it.
        if steps > 2 * fewest:
            once = [replace(spec, epochs=1) for spec in short]
            first = min(self._timed(once, firsts) for _ in range(2))
            slowness = max(LEAST, (again - first) / (steps - fewest))
            begin = max(0.0, first - slowness * fewest) / makespan(loads, replace(bare, begin=1.0, slowness=0.0))[0]
        else:
            slowness = again / max(1e-9, steps)
        self._known = frozenset(load.program for load in loads)
        trace = max(0.0, traced - again) / max(1, makespan(loads, self.machine)[1])
        self.machine = replace(self.machine, slowness=slowness, begin=begin, trace=trace)

    def _measure_alone(self, once: Sequence[TrialSpec]) -> None:
        """For one epoch and for more: the difference is that of steps. No graph is kept from one to the next."""
        self.machine = replace(self.machine, trace=0.0)
        begin, one = self._made_of(once, fit=1.0, step=0.0), self._made_of(once, fit=0.0, step=1.0)
        epochs = max(2, min(round(1 + SHORT / max(1e-9, one)), max(spec.epochs for spec in self._sample)))
        longer = [replace(spec, epochs=epochs) for spec in once]
        # What Keras does once in a process is no part of any training.
        quickest = [min(once, key=lambda spec: self.alone(spec, self.data))] * self.machine.workers
        self._timed(quickest, self.plan(quickest))
        short, long = self._timed(once, self.plan(once)), self._timed(longer, self.plan(longer))
        self._step = max(LEAST, (long - short) / max(1e-9, self._made_of(longer, fit=0.0, step=1.0) - one))
        self._fit = max(LEAST, (short - self._step * one) / begin)

    def _made_of(self, specs: Sequence[TrialSpec], *, fit: float, step: float) -> float:
        return makespan(replace(self, _fit=fit, _step=step).plan(specs), self.machine)[0]

    def _timed(self, specs: Sequence[TrialSpec], loads: Sequence[Load]) -> float:
        began = self.clock()
        wait([self.executor.submit([specs[position] for position in load.positions], load) for load in loads])
        return self.clock() - began


def _ready(config: TrainerConfig) -> None:
    """Answered where a trainer has been made, so that what it needs is imported."""
    make_trainer(config)
