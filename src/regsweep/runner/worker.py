"""One worker: a process that is replaced when it dies, the thread that feeds it, and the jobs that wait for it."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from threading import Event, Thread
from typing import Any

from regsweep.errors import RegsweepError
from regsweep.runner.process import Died, WorkerProcess
from regsweep.runner.retry import ATTEMPTS, train_apart
from regsweep.runner.work import Results, call, measure, ready, train
from regsweep.signals import shielded
from regsweep.train.contract import StopRule
from regsweep.train.plan import Load, ProgramKey, Speed
from regsweep.trial import TrialSpec


@dataclass(frozen=True, eq=False)
class Job:
    """A stack to train, by what function and with which arguments besides; without a stack, a function to call."""

    stack: tuple[TrialSpec, ...] = ()
    load: Load | None = None
    rule: StopRule | None = None
    function: Callable[..., Any] = train
    arguments: tuple[Any, ...] = ()
    future: Future[Any] = field(default_factory=Future)


class _Stopped(Exception):
    """The worker has been told to stop."""


class Worker:
    """Trains one stack after the other. `start` gives a process; `hand_on` finds a place for a job that would wait too long."""

    def __init__(self, start: Callable[[], WorkerProcess], hand_on: Callable[[Job], None], trainer: str) -> None:
        self._start, self._hand_on, self._trainer = start, hand_on, trainer
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._waiting: dict[Job, float] = {}
        self._traced = set[ProgramKey]()
        self._process: WorkerProcess | None = None
        self._stopped = Event()
        self._thread = Thread(target=shielded()(self._run), name="regsweep worker", daemon=True)
        self._thread.start()

    def take(self, job: Job, speed: Speed) -> None:
        """Put a job last in line."""
        self._waiting[job] = self.ends(job.load, speed) - self.busy
        if job.load is not None:
            self._traced.add(job.load.program)
        job.future.add_done_callback(lambda _: self._waiting.pop(job, None))
        self._jobs.put(job)

    def ends(self, load: Load | None, speed: Speed) -> float:
        """Seconds until a load would have ended here, counting the program if it has yet to be traced."""
        if load is None:
            return self.busy
        return self.busy + load.seconds + (0.0 if load.program in self._traced else speed.trace)

    @property
    def busy(self) -> float:
        """Seconds of training that wait here."""
        return sum(list(self._waiting.values()))

    @property
    def idle(self) -> bool:
        """Whether no stack is trained or waits here."""
        # A job whose future is done may be in the list for a moment yet.
        return all(job.future.done() for job in list(self._waiting))

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Run a function there. Raises RegsweepError if processes keep ending over it."""
        job = Job(function=call, arguments=(function, arguments))
        self._jobs.put(job)
        return job.future.result()

    def measure(self, *, timed: bool) -> Speed:
        """What trainings cost there."""
        job = Job(function=measure, arguments=(timed,))
        self._jobs.put(job)
        speed: Speed = job.future.result()
        return speed

    def stop(self) -> None:
        """Give up what it is at and what waits."""
        self._stopped.set()
        self._jobs.put(None)
        # Either this sees the process, or the thread sees the event.
        if (process := self._process) is not None:
            process.kill()

    def join(self) -> None:
        """Wait until its process is gone."""
        self._thread.join()

    def _run(self) -> None:
        try:
            with suppress(Exception):
                # What keeps it from starting is said by the first job.
                self._ready()
            while (job := self._jobs.get()) is not None:
                self._do(job)
        except _Stopped:
            pass
        finally:
            if self._process is not None:
                self._process.end()
            for job in (*self._waiting, *self._left()):
                job.future.cancel()

    def _do(self, job: Job) -> None:
        try:
            result = self._train(job) if job.stack else self._call(job)
        except _Stopped:
            job.future.cancel()
            raise
        except Exception as error:
            job.future.set_exception(error)
        else:
            job.future.set_result(result)

    def _train(self, job: Job) -> Results:
        started = time.perf_counter()

        def attempt(stack: tuple[TrialSpec, ...]) -> Results:
            results: Results = self._ask(job.function, stack, job.rule, *job.arguments, trainings=len(stack))
            return results

        return train_apart(job.stack, attempt, self._trainer, lambda: time.perf_counter() - started)

    def _call(self, job: Job) -> Any:
        for _ in range(ATTEMPTS):
            try:
                return self._ask(job.function, *job.arguments)
            except Died as death:
                last = death
        raise RegsweepError(f"a worker process was ended {ATTEMPTS} times ({last.cause or last.how}); {_ADVICE}")

    def _ask(self, function: Callable[..., Any], *arguments: Any, trainings: int = 0) -> Any:
        """Ask a process that is there. If it dies over it, it is replaced at once, and what waits goes where it waits least."""
        try:
            return self._ready().ask(function, *arguments, trainings=trainings)
        except Died:
            self._drop()
            if self._stopped.is_set():
                raise _Stopped from None
            for job in self._left():
                self._waiting.pop(job, None)
                self._hand_on(job)
            self._ready()
            raise

    def _ready(self) -> WorkerProcess:
        """The process, started if there is none."""
        if self._process is not None and not self._process.lives():
            self._drop()
        how = ""
        for _ in range(ATTEMPTS):
            if self._stopped.is_set():
                raise _Stopped
            if self._process is not None:
                return self._process
            try:
                self._process = self._start()
                if not self._stopped.is_set():
                    self._process.ask(ready)
            except Died as death:
                how = death.cause or death.how
                self._drop()
        if self._process is None:
            raise RegsweepError(f"a worker process ended {ATTEMPTS} times while it started ({how}); {_ADVICE}")
        return self._process

    def _drop(self) -> None:
        process, self._process = self._process, None
        self._traced = set()
        if process is not None:
            process.end()

    def _left(self) -> list[Job]:
        """Take out the jobs that wait."""
        jobs = []
        with suppress(Empty):
            while True:
                if (job := self._jobs.get_nowait()) is not None:
                    jobs.append(job)
        return jobs


_ADVICE = "it may lack memory: try executor.workers=1"
