"""The driver's end of one worker process: starts it, asks it, sees that it keeps the limits, says how it ended."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext, SpawnContext
from multiprocessing.process import BaseProcess
from multiprocessing.util import Finalize
from pathlib import Path
from threading import Lock
from typing import Any

from regsweep.config.backend import Backend
from regsweep.config.schema import TrainerConfig
from regsweep.data.features import Prepared
from regsweep.runner.limits import Limits, resident
from regsweep.runner.work import work
from regsweep.signals import shielded

# Seconds between two looks at the limits.
LOOK = 0.1
# A process that has closed its link, or was killed, is given so many seconds to be gone.
PATIENCE = 5.0
# A fork server with TensorFlow loaded serves all workers; those of another backend start by themselves. So does each where there
# is a GPU: whether the driver's libraries stand a fork has not been tried.
METHOD = "forkserver" if sys.platform == "linux" and not Path("/dev/nvidiactl").exists() else "spawn"
# multiprocessing reaps a child wherever it starts another one, so threads take turns at both.
_CHILDREN = Lock()


class Died(Exception):
    """A worker's process has ended. `cause` is that of the training which it was at; one that was `judged` is not tried again."""

    def __init__(self, how: str, cause: str = "", *, judged: bool = False) -> None:
        super().__init__(how)
        self.how, self.cause, self.judged = how, cause, judged


class WorkerProcess:
    """One process. Starting it takes seconds for the first and some hundredths of a second from then on."""

    def __init__(self, config: TrainerConfig, data: Prepared, limits: Limits) -> None:
        self._limits = limits
        self._how: str | None = None
        context = _context(config.backend)
        self._link, far = context.Pipe()
        self._process: BaseProcess = context.Process(target=work, args=(far, config, data), name="regsweep worker", daemon=True)
        try:
            with _CHILDREN:
                self._process.start()
        except (EOFError, OSError) as error:
            raise Died(f"{type(error).__name__}: {error}") from error
        finally:
            far.close()

    def ask(self, function: Callable[..., Any], *arguments: Any, trainings: int = 0) -> Any:
        """Have a function called there, with the site before the arguments, and return what it returns or raise what it raises.

        `trainings` is how many are allowed their time together. Raises Died if the process ends over it, also by a limit.
        """
        started = time.monotonic()
        try:
            self._link.send((function, arguments))
            while not self._link.poll(LOOK):
                self._look(time.monotonic() - started, trainings)
            worked, answer = self._link.recv()
        except (EOFError, OSError):
            raise Died(self._ended()) from None
        if not worked:
            raise answer
        return answer

    def lives(self) -> bool:
        """Tell, between two questions, whether it is there: a link with something to read has been closed."""
        return not self._link.poll(0)

    def kill(self) -> None:
        """End it at once; it has nothing to put in order."""
        if self._how is None:
            self._process.kill()
            if sys.platform != "win32" and self._process.pid is not None:
                # multiprocessing takes the workers of a dead fork server for dead, too.
                with suppress(ProcessLookupError):
                    os.kill(self._process.pid, signal.SIGKILL)

    def end(self) -> None:
        """Kill it and wait until it is gone."""
        self.kill()
        self._ended()
        self._link.close()

    def _look(self, seconds: float, trainings: int) -> None:
        limits = self._limits
        if limits.seconds is not None and trainings and seconds > limits.seconds * trainings:
            self.kill()
            cause = f"took longer than executor.trial_seconds={limits.seconds:g}"
            raise Died(self._ended(), cause, judged=True)
        if limits.memory_gb is not None and (held := resident(self._process.pid or 0)) > limits.memory_gb:
            self.kill()
            raise Died(self._ended(), f"took more than executor.memory_gb={limits.memory_gb:.3g}, {held:.1f} GB")

    def _ended(self) -> str:
        """Wait for the end; the name of the signal, or the exit code."""
        if self._how is None:
            # Nobody else holds the far end of the link: as long as that is open, the process is there.
            with suppress(EOFError, OSError):
                while self._link.poll(PATIENCE):
                    self._link.recv_bytes()
                self.kill()
            with _CHILDREN:
                self._process.join(PATIENCE)
            code = self._process.exitcode or 0
            number = -code
            self._how = signal.Signals(number).name if number in set(signal.Signals) else f"exit code {code}"
        return self._how


def warm_up(backend: Backend) -> None:
    """Have the fork server load the libraries now, beside whatever comes before the first worker."""
    context = _context(backend)
    if isinstance(context, ForkServerContext):
        with shielded():
            forkserver.ensure_running()


@cache
def _server_ends_with_us() -> None:
    # Below 0: after the workers, which count as dead as soon as it is.
    Finalize(None, _end_server, exitpriority=-1)


def _end_server() -> None:
    """End the fork server. Left alone after a message, it would go on to import, and hold what is piped, for some seconds."""
    pid = getattr(forkserver._forkserver, "_forkserver_pid", None)
    if pid is not None:
        with suppress(ProcessLookupError, ChildProcessError):
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def _context(backend: Backend) -> ForkServerContext | SpawnContext:
    if METHOD == "spawn" or backend != "tensorflow":
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["regsweep.runner.preload"])
    _server_ends_with_us()
    return context
