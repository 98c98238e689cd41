"""The seam between the study and the machines: `submit` takes a stack of specs and gives a future of their results."""

from __future__ import annotations

import multiprocessing
import os
import signal
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from types import TracebackType
from typing import Any, Self, TypeVar

from regsweep.config.schema import TrainerConfig
from regsweep.data.features import Prepared
from regsweep.train import Trainer, make_trainer
from regsweep.trial import State, TrialResult, TrialSpec

Results = tuple[TrialResult, ...]
T = TypeVar("T")


class Executor(ABC):
    """Trains stacks on one prepared data set."""

    @abstractmethod
    def submit(self, stack: Sequence[TrialSpec]) -> Future[Results]:
        """Begin to train a stack; the future's results are in its order."""

    @abstractmethod
    def collect(self, future: Future[Results], stack: Sequence[TrialSpec]) -> Results:
        """Wait for a stack. A training that takes its process down comes back as failed, its mates unharmed."""

    @abstractmethod
    def call(self, function: Callable[..., T], *arguments: Any) -> T:
        """Run a function where TensorFlow is loaded."""

    @abstractmethod
    def close(self) -> None:
        """Stop; what is still training is given up."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


class Inline(Executor):
    """Trains in this process, when asked."""

    def __init__(self, config: TrainerConfig, data: Prepared) -> None:
        self._trainer: Trainer | None = None
        self._config, self._data = config, data

    def submit(self, stack: Sequence[TrialSpec]) -> Future[Results]:
        self._trainer = self._trainer or make_trainer(self._config)
        future: Future[Results] = Future()
        future.set_result(self._trainer.fit(stack, self._data))
        return future

    def collect(self, future: Future[Results], _stack: Sequence[TrialSpec]) -> Results:
        return future.result()

    def call(self, function: Callable[..., T], *arguments: Any) -> T:
        return function(*arguments)

    def close(self) -> None:
        """Nothing runs between calls."""


class Processes(Executor):
    """Trains in worker processes on this machine, started afresh (not forked: TensorFlow does not survive a fork)."""

    def __init__(self, config: TrainerConfig, data: Prepared, *, workers: int | None = None) -> None:
        self._config, self._data = config, data
        self._workers = workers or len(os.sched_getaffinity(0))
        self._pool = self._new_pool(self._workers)

    def submit(self, stack: Sequence[TrialSpec]) -> Future[Results]:
        return self._pool.submit(_train, tuple(stack))

    def collect(self, future: Future[Results], stack: Sequence[TrialSpec]) -> Results:
        try:
            return future.result()
        except BrokenProcessPool:
            # Any of the trainings in flight may be the culprit, so each is tried once more in a process of its own.
            self._pool.shutdown(wait=False)
            self._pool = self._new_pool(self._workers)
            return tuple(self._alone(spec) for spec in stack)

    def call(self, function: Callable[..., T], *arguments: Any) -> T:
        return self._pool.submit(function, *arguments).result()

    def close(self) -> None:
        processes = list((self._pool._processes or {}).values())
        self._pool.shutdown(wait=False, cancel_futures=True)
        for process in processes:
            process.terminate()
        for process in processes:
            process.join()

    def _alone(self, spec: TrialSpec) -> TrialResult:
        with self._new_pool(1) as pool:
            try:
                return pool.submit(_train, (spec,)).result()[0]
            except BrokenProcessPool:
                return TrialResult(spec, State.FAILED, (), 0.0, self._config.kind, "its training took the process down, twice")

    def _new_pool(self, workers: int) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(
            workers,
            mp_context=multiprocessing.get_context("spawn"),
            initializer=_start_worker,
            initargs=(self._config, self._data),
        )


_trainer: Trainer
_data: Prepared


def _start_worker(config: TrainerConfig, data: Prepared) -> None:
    global _trainer, _data
    # Ctrl-C reaches the whole process group; the driver decides what becomes of the workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _trainer, _data = make_trainer(config), data


def _train(stack: tuple[TrialSpec, ...]) -> Results:
    return _trainer.fit(stack, _data)
