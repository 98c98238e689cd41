"""Training in worker processes on this machine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Any

from regsweep.config.schema import TrainerConfig
from regsweep.data.features import Prepared
from regsweep.environment import usable_cores
from regsweep.runner.executor import Executor, T
from regsweep.runner.limits import Limits, memory_share
from regsweep.runner.process import WorkerProcess
from regsweep.runner.work import Results, elsewhere
from regsweep.runner.worker import Job, Worker
from regsweep.train.contract import StopRule
from regsweep.train.plan import Load, Speed
from regsweep.trial import TrialResult, TrialSpec


class Processes(Executor):
    """Trains in worker processes. A training that takes its process down, or too much, comes back as failed, its mates unharmed.

    A stack goes to the worker that will have ended it first, counting the programs that each has traced already; with `eager`
    workers to one that has nothing to do, if there is one.
    """

    def __init__(
        self,
        config: TrainerConfig,
        data: Prepared,
        *,
        workers: int | None = None,
        trial_seconds: float | None = None,
        memory_gb: float | None = None,
        eager: bool = False,
    ) -> None:
        super().__init__(config, data, workers or usable_cores())
        self._eager = eager
        limits = Limits(trial_seconds, memory_gb or memory_share(self._workers, config.memory_gb))
        start = partial(WorkerProcess, config, data, limits)
        self._pool = [Worker(start, self._place, config.kind) for _ in range(self._workers)]

    def submit(self, stack: Sequence[TrialSpec], load: Load | None = None, rule: StopRule | None = None) -> Future[Results]:
        job = Job(tuple(stack), load, rule)
        self._place(job)
        return job.future

    def train_elsewhere(
        self, config: TrainerConfig, spec: TrialSpec, data: Prepared, rule: StopRule | None = None
    ) -> TrialResult:
        job = Job((spec,), None, rule, elsewhere, (config, data))
        self._place(job)
        results: Results = job.future.result()
        return results[0]

    def call(self, function: Callable[..., T], *arguments: Any) -> T:
        result: T = min(self._pool, key=lambda worker: worker.busy).call(function, *arguments)
        return result

    def close(self) -> None:
        for worker in self._pool:
            worker.stop()
        for worker in self._pool:
            worker.join()

    def _measure(self, timed: bool) -> Speed:
        return self._pool[0].measure(timed=timed)

    def _place(self, job: Job) -> None:
        speed = self._speed or Speed()
        idle = [worker for worker in self._pool if worker.idle] if self._eager else []
        min(idle or self._pool, key=lambda worker: worker.ends(job.load, speed)).take(job, speed)
