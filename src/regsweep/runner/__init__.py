"""Executors: where stacks of specs are trained. Workers only train; they see no database and no test rows."""

from __future__ import annotations

from regsweep.config import StudyConfig
from regsweep.data.features import Prepared
from regsweep.environment import usable_cores
from regsweep.runner import process
from regsweep.runner.executor import Executor, Inline
from regsweep.runner.processes import Processes
from regsweep.train.runtime import choose_backend

__all__ = ["Executor", "Inline", "Processes", "make_executor", "warm_up", "workers_of"]


def warm_up(config: StudyConfig) -> None:
    """Have what workers need loaded now, in another process, beside whatever comes before they start.

    Inline, where this process is the worker, Keras is only told its backend. Raises ConfigError where it runs on another one.
    """
    if config.executor.kind == "processes":
        process.warm_up(config.trainer.backend)
    else:
        choose_backend(config.trainer.backend)


def make_executor(config: StudyConfig, data: Prepared) -> Executor:
    """Return the configured executor; use it as a context manager."""
    asked = config.executor
    if asked.kind == "inline":
        return Inline(config.trainer, data)
    return Processes(
        config.trainer,
        data,
        workers=asked.workers,
        trial_seconds=asked.trial_seconds,
        memory_gb=asked.memory_gb,
        eager=config.search.order == "free",
    )


def workers_of(config: StudyConfig) -> int:
    """How many stacks are trained at a time."""
    return 1 if config.executor.kind == "inline" else config.executor.workers or usable_cores()
