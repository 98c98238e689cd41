"""The seam between the study and the machines: `plan` divides specs into stacks, `submit` gives a future of a stack's results."""

from __future__ import annotations

import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import replace
from types import TracebackType
from typing import Any, Self, TypeVar

from regsweep.config.schema import TrainerConfig
from regsweep.data.features import Prepared
from regsweep.runner.work import Results, Site, elsewhere, train
from regsweep.train import make_trainer
from regsweep.train.contract import StopRule
from regsweep.train.plan import GIB, Load, Speed, one_each, plan, shares_stacks
from regsweep.trial import State, TrialResult, TrialSpec

T = TypeVar("T")


class Executor(ABC):
    """Trains stacks on one prepared data set."""

    def __init__(self, config: TrainerConfig, data: Prepared, workers: int) -> None:
        self._config, self._data, self._workers = config, data, workers
        self._speed: Speed | None = None

    @property
    def workers(self) -> int:
        """How many stacks are trained at a time."""
        return self._workers

    def now(self) -> float:
        """Seconds by a clock that trainings take their time of, and that is never set back."""
        return time.monotonic()

    def plan(self, specs: Sequence[TrialSpec]) -> tuple[Load, ...]:
        """Divide specs into stacks for the workers, the most costly first; the first call measures the machine.

        A single worker gets the same stacks however long they take, so nothing is timed for it.
        """
        if not specs or not shares_stacks(self._config.kind, self._data.task):
            return one_each(specs)
        self._speed = self._speed or self._measure(self._workers > 1)
        folds = self._data.folds
        # On a GPU its own memory counts; the trainer sees to it.
        inputs = {spec.encoding: folds[0].encoded(spec.encoding).inputs for spec in specs}
        rows, memory = len(folds[0].z_train), sys.float_info.max if self._speed.gpu else self._config.memory_gb * GIB
        return plan(specs, inputs, rows, len(folds), self._speed, self._workers, memory)

    def measure(self) -> None:
        """Have the machine measured if it was not: loads of a plan then say what they cost here, of a single worker's, too."""
        self._speed = self._measure(True)

    @abstractmethod
    def submit(self, stack: Sequence[TrialSpec], load: Load | None = None, rule: StopRule | None = None) -> Future[Results]:
        """Begin to train a stack; the future's results are in its order. The load says what it is going to cost."""

    def train(self, specs: Sequence[TrialSpec], rule: StopRule | None = None) -> Results:
        """Train specs in stacks as planned and wait for all; results in their order."""
        specs = self.begin(specs)
        loads = [([specs[position] for position in load.positions], load) for load in self.plan(specs)]
        futures = [(load, self.submit(stack, load, rule)) for stack, load in loads]
        results: dict[int, TrialResult] = {}
        for load, future in futures:
            results |= zip(load.positions, future.result(), strict=True)
        return tuple(results[position] for position in range(len(specs)))

    @abstractmethod
    def train_elsewhere(
        self, config: TrainerConfig, spec: TrialSpec, data: Prepared, rule: StopRule | None = None
    ) -> TrialResult:
        """Train a spec on other data than the study's folds; wait for it."""

    def begin(self, specs: Sequence[TrialSpec]) -> tuple[TrialSpec, ...]:
        """The specs with the weights to go on from; where these are missing, the earlier rounds are trained."""
        begun = list(specs)
        lacking = [position for position, spec in enumerate(begun) if spec.rounds and not spec.start]
        earlier = self.train([begun[position].before for position in lacking]) if lacking else ()
        for position, result in zip(lacking, earlier, strict=True):
            if result.state is State.COMPLETE:
                begun[position] = replace(begun[position], start=tuple(fold.network for fold in result.folds))
        return tuple(begun)

    @abstractmethod
    def call(self, function: Callable[..., T], *arguments: Any) -> T:
        """Run a function where TensorFlow is loaded."""

    @abstractmethod
    def close(self) -> None:
        """Stop; what is still training is given up."""

    @abstractmethod
    def _measure(self, timed: bool) -> Speed: ...

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


class Inline(Executor):
    """Trains in this process, when asked. Nobody watches: what hangs or takes the process down does so to the study."""

    def __init__(self, config: TrainerConfig, data: Prepared) -> None:
        super().__init__(config, data, workers=1)
        self._made: Site | None = None

    def submit(self, stack: Sequence[TrialSpec], _load: Load | None = None, rule: StopRule | None = None) -> Future[Results]:
        future: Future[Results] = Future()
        future.set_result(train(self._site(), tuple(stack), rule))
        return future

    def train_elsewhere(
        self, config: TrainerConfig, spec: TrialSpec, data: Prepared, rule: StopRule | None = None
    ) -> TrialResult:
        return elsewhere(self._site(), (spec,), rule, config, data)[0]

    def call(self, function: Callable[..., T], *arguments: Any) -> T:
        return function(*arguments)

    def close(self) -> None:
        """Nothing runs between calls."""

    def _measure(self, timed: bool) -> Speed:
        return self._site().trainer.speed(timed=timed)

    def _site(self) -> Site:
        self._made = self._made or Site(self._config, make_trainer(self._config), self._data)
        return self._made
