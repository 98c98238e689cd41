"""An executor that trains nothing: it answers at once with made-up results, and adds up what the trainings would have taken.

So a study can go from its first trial to its verdict in the seconds that everything but training takes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np

from regsweep.config.schema import TrainerConfig
from regsweep.data.features import Prepared
from regsweep.planning.costs import Costs
from regsweep.planning.preference import Lean
from regsweep.runner import Executor
from regsweep.runner.executor import T
from regsweep.runner.work import Results
from regsweep.tasks import REGRESSION, Task
from regsweep.train.contract import StopRule, kept_epoch
from regsweep.train.plan import Load, Speed
from regsweep.trial import Array64, FoldResult, Network, State, TrialResult, TrialSpec


class Pretended(Executor):
    """`seconds` adds up what is trained beside the search's own trials. What is no training is done by the workers of `costs`."""

    def __init__(self, costs: Costs, lean: Lean) -> None:
        super().__init__(costs.config.trainer, costs.data, costs.executor.workers)
        self.seconds = 0.0
        self._costs, self._lean, self._rng = costs, lean, np.random.default_rng(costs.config.seed)

    def now(self) -> float:
        """As if trainings had taken their time."""
        return super().now() + self.seconds

    def submit(self, stack: Sequence[TrialSpec], _load: Load | None = None, _rule: StopRule | None = None) -> Future[Results]:
        future: Future[Results] = Future()
        future.set_result(self._results(stack, self._data))
        return future

    def train(self, specs: Sequence[TrialSpec], _rule: StopRule | None = None) -> Results:
        if specs:
            self.seconds += self._costs.seconds(specs)
        return self._results(specs, self._data)

    def train_elsewhere(
        self, _config: TrainerConfig, spec: TrialSpec, data: Prepared, rule: StopRule | None = None
    ) -> TrialResult:
        epochs = spec.epochs if rule is None or rule.every is None else min(spec.epochs, rule.every)
        self.seconds += self._costs.alone(replace(spec, epochs=epochs), data)
        return self._results([spec], data)[0]

    def call(self, function: Callable[..., T], *arguments: Any) -> T:
        return self._costs.executor.call(function, *arguments)

    def close(self) -> None:
        """Nothing runs."""

    def _measure(self, _timed: bool) -> Speed:
        return Speed()

    def _results(self, specs: Sequence[TrialSpec], data: Prepared) -> Results:
        errors = self._lean(specs, self._rng)
        return tuple(self._made_up(spec, float(np.exp(error)), data) for spec, error in zip(specs, errors, strict=True))

    def _made_up(self, spec: TrialSpec, error: float, data: Prepared) -> TrialResult:
        folds = []
        for fold in data.folds:
            encoded = fold.encoded(spec.encoding)
            curves = _curves(spec.epochs - spec.initial_epoch, error, fold.std, data.task, self._rng)
            network = _network((encoded.inputs, *spec.widths, 1), self._rng)
            folds.append(FoldResult(curves, network, kept_epoch(curves, self._config)))
        seconds = self._costs.alone(spec, data)
        return TrialResult(spec.bare, State.COMPLETE, tuple(folds), seconds, self._config.kind, task=data.task)


def _network(dims: Sequence[int], rng: np.random.Generator) -> Network:
    """Weights of the scale that trained ones have."""
    kernels = [(rng.normal(size=shape) / np.sqrt(shape[0])).astype(np.float32) for shape in pairwise(dims)]
    return Network(tuple(kernels), tuple((rng.normal(size=size) / 10).astype(np.float32) for size in dims[1:]))


def _curves(epochs: int, error: float, std: float, task: Task, rng: np.random.Generator) -> Array64:
    """Curves (epochs, 6) in target units around an error, relative to that of the mean: less is better by every metric."""
    good = 1 / (1 + error)
    metrics = (error * std**2, np.sqrt(error) * std, 1 - error) if task == REGRESSION else (error, good, good)
    curves: Array64 = np.array(metrics * 2) * rng.uniform(0.99, 1.01, (epochs, 6))
    return curves
