"""The seam between the study and the machines: `plan` divides specs into stacks, `submit` gives a future of a stack's results."""

from __future__ import annotations

import math
import multiprocessing
import os
import signal
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from threading import Thread
from types import TracebackType
from typing import Any, Self, TypeVar

from regsweep.config.schema import TrainerConfig
from regsweep.data.features import Prepared
from regsweep.errors import RegsweepError
from regsweep.train import Trainer, make_trainer
from regsweep.train.plan import GIB, Load, Speed, one_each, plan
from regsweep.trial import State, TrialResult, TrialSpec

Results = tuple[TrialResult, ...]
T = TypeVar("T")


class Executor(ABC):
    """Trains stacks on one prepared data set."""

    def __init__(self, config: TrainerConfig, data: Prepared, workers: int) -> None:
        self._config, self._data, self._workers = config, data, workers
        self._speed: Speed | None = None

    def plan(self, specs: Sequence[TrialSpec]) -> tuple[Load, ...]:
        """Divide specs into stacks for the workers, the most costly first; the first call measures the machine."""
        if self._config.kind == "keras_fit" or not specs:
            return one_each(specs)
        self._speed = self._speed or self._measure()
        folds = self._data.folds
        # On a GPU its own memory counts; the trainer sees to it.
        rows, memory = len(folds[0].z_train), math.inf if self._speed.gpu else self._config.memory_gb * GIB
        return plan(specs, folds[0].inputs, rows, len(folds), self._speed, self._workers, memory)

    @abstractmethod
    def submit(self, stack: Sequence[TrialSpec], load: Load | None = None) -> Future[Results]:
        """Begin to train a stack; the future's results are in its order. The load says what it is going to cost."""

    @abstractmethod
    def collect(self, future: Future[Results], stack: Sequence[TrialSpec]) -> Results:
        """Wait for a stack. A training that takes its process down comes back as failed, its mates unharmed."""

    @abstractmethod
    def call(self, function: Callable[..., T], *arguments: Any) -> T:
        """Run a function where TensorFlow is loaded."""

    @abstractmethod
    def close(self) -> None:
        """Stop; what is still training is given up."""

    @abstractmethod
    def _measure(self) -> Speed: ...

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


class Inline(Executor):
    """Trains in this process, when asked."""

    def __init__(self, config: TrainerConfig, data: Prepared) -> None:
        super().__init__(config, data, workers=1)
        self._trainer: Trainer | None = None

    def submit(self, stack: Sequence[TrialSpec], _load: Load | None = None) -> Future[Results]:
        future: Future[Results] = Future()
        future.set_result(self._made().fit(stack, self._data))
        return future

    def collect(self, future: Future[Results], _stack: Sequence[TrialSpec]) -> Results:
        return future.result()

    def call(self, function: Callable[..., T], *arguments: Any) -> T:
        return function(*arguments)

    def close(self) -> None:
        """Nothing runs between calls."""

    def _measure(self) -> Speed:
        return self._made().speed()

    def _made(self) -> Trainer:
        self._trainer = self._trainer or make_trainer(self._config)
        return self._trainer


class Processes(Executor):
    """Trains in worker processes on this machine, started afresh (not forked: TensorFlow does not survive a fork).

    A stack goes to the worker that will have ended it first, counting the programs that each has traced already.
    """

    def __init__(self, config: TrainerConfig, data: Prepared, *, workers: int | None = None) -> None:
        super().__init__(config, data, workers or len(os.sched_getaffinity(0)))
        self._pool = [_Worker(config, data) for _ in range(self._workers)]

    def submit(self, stack: Sequence[TrialSpec], load: Load | None = None) -> Future[Results]:
        speed = self._speed or Speed()
        return min(self._pool, key=lambda worker: worker.ends(load, speed)).submit(stack, load, speed)

    def collect(self, future: Future[Results], stack: Sequence[TrialSpec]) -> Results:
        try:
            return future.result()
        except BrokenProcessPool:
            # Any of the trainings in flight there may be the culprit, so each is tried once more in a process of its own.
            for worker in self._pool:
                worker.repair()
            return tuple(self._alone(spec) for spec in stack)

    def call(self, function: Callable[..., T], *arguments: Any) -> T:
        return min(self._pool, key=lambda worker: worker.busy).call(function, *arguments)

    def close(self) -> None:
        for worker in self._pool:
            worker.stop()
        for worker in self._pool:
            worker.join()

    def _measure(self) -> Speed:
        return self._pool[0].call(_speed)

    def _alone(self, spec: TrialSpec) -> TrialResult:
        worker = _Worker(self._config, self._data)
        try:
            return worker.submit((spec,), None, Speed()).result()[0]
        except BrokenProcessPool:
            return TrialResult(spec, State.FAILED, (), 0.0, self._config.kind, "its training took the process down, twice")
        finally:
            worker.stop()
            worker.join()


class _Worker:
    """One process, the seconds of training that wait for it, and the programs that it has traced."""

    def __init__(self, config: TrainerConfig, data: Prepared) -> None:
        self._arguments = (config, data)
        self._waiting: dict[Future[Results], float] = {}
        self._start()

    def submit(self, stack: Sequence[TrialSpec], load: Load | None, speed: Speed) -> Future[Results]:
        seconds = self.ends(load, speed) - self.busy
        future = self._submit(_train, tuple(stack))
        if load is not None:
            self._traced.add(load.program)
        self._waiting[future] = seconds
        future.add_done_callback(lambda done: self._waiting.pop(done, None))
        return future

    def ends(self, load: Load | None, speed: Speed) -> float:
        """Seconds until a load would have ended here."""
        if load is None:
            return self.busy
        return self.busy + load.seconds + (0.0 if load.program in self._traced else speed.trace)

    @property
    def busy(self) -> float:
        """Seconds of training that wait here."""
        return sum(list(self._waiting.values()))

    def call(self, function: Callable[..., T], *arguments: Any) -> T:
        """Run a function there. Raises RegsweepError if the process ends over it twice."""
        for _ in range(2):
            with suppress(BrokenProcessPool):
                return self._submit(function, *arguments).result()
        raise RegsweepError("a worker process was ended twice; it may lack memory: try executor.workers=1")

    def repair(self) -> None:
        """Start anew if the process has died."""
        try:
            self._process.submit(_ready)
        except BrokenProcessPool:
            self._process.shutdown(wait=False)
            self._start()

    def stop(self) -> None:
        self._processes = list((self._process._processes or {}).values())
        self._process.shutdown(wait=False, cancel_futures=True)
        for process in self._processes:
            process.terminate()

    def join(self) -> None:
        for process in self._processes:
            process.join()

    def _start(self) -> None:
        self._traced = set[tuple[int, str, bool]]()
        self._process = ProcessPoolExecutor(
            1, mp_context=multiprocessing.get_context("spawn"), initializer=_start_worker, initargs=self._arguments
        )
        # The pool starts its process with the first task.
        self._process.submit(_ready)

    def _submit(self, function: Callable[..., T], *arguments: Any) -> Future[T]:
        self.repair()
        return self._process.submit(function, *arguments)


_trainer: Trainer
_data: Prepared


def _start_worker(config: TrainerConfig, data: Prepared) -> None:
    global _trainer, _data
    # Ctrl-C reaches the whole process group; the driver decides what becomes of the workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=_follow_driver, daemon=True).start()
    _trainer, _data = make_trainer(config), data


def _train(stack: tuple[TrialSpec, ...]) -> Results:
    return _trainer.fit(stack, _data)


def _follow_driver() -> None:
    # A killed driver can't stop its workers, and their queue does not tell them.
    driver = multiprocessing.parent_process()
    if driver is not None:
        driver.join()
        os._exit(1)


def _speed() -> Speed:
    return _trainer.speed()


def _ready() -> None: ...
