"""Signals that stop a command: the first one unwinds it, so that states are saved; the next one ends it at once."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker
from threading import Timer
from types import FrameType
from typing import NoReturn
from weakref import ref

# How a command ends that a signal stops: exit code and word.
SIGNALS = {
    signal.SIGINT: (130, "interrupted"),
    signal.SIGTERM: (143, "terminated"),
    signal.SIGHUP: (129, "hung up"),
}
# After a second signal, seconds until the process ends whatever it is at.
GRACE = 3.0
# Signals so many seconds apart are one: `timeout` sends one to the process and one to its group.
TOGETHER = 0.1
# Seconds between two looks whether a signal's exception is still on its way up.
LOOK = 0.5


class Stopped(BaseException):
    """A signal, made to unwind: states are saved and workers stopped on the way up."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.code, self.word = SIGNALS[signal.Signals(number)]


class Signals:
    """The first signal unwinds; after it, and after the command's own end, nothing is raised any more."""

    def __init__(self) -> None:
        self.code: int | None = None
        self._first = 0.0
        self._hurried = False
        self._raised: Callable[[], Stopped | None] | None = None

    def listen(self) -> None:
        """Raise Stopped at the first signal from now on."""
        for number in SIGNALS:
            # Who started us with a signal ignored (nohup, a shell's background job) wants it so.
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._stop)
        signal.signal(signal.SIGALRM, self._look)

    def arrived(self) -> None:
        """What was raised has come to where it is handled."""
        self._raised = None
        signal.setitimer(signal.ITIMER_REAL, 0)

    def ended(self, code: int) -> int:
        """The command has ended with this code, which a later signal doesn't change."""
        self.code = code
        return code

    def _stop(self, number: int, _frame: FrameType | None) -> None:
        if self.code is None:
            self.code, self._first = SIGNALS[signal.Signals(number)][0], time.monotonic()
            signal.setitimer(signal.ITIMER_REAL, LOOK, LOOK)
            self._raise(number)
        # A closed terminal hangs up twice, by itself and through the shell. Another signal is impatience.
        if number != signal.SIGHUP and time.monotonic() - self._first > TOGETHER:
            self._hurry(self.code)

    def _raise(self, number: int) -> NoReturn:
        stopped = Stopped(number)
        self._raised = ref(stopped)
        try:
            raise stopped
        finally:
            # Its traceback holds this frame: a name here would keep it in existence.
            del stopped

    def _look(self, _number: int, _frame: FrameType | None) -> None:
        # Libraries swallow what comes in the wrong moment, while they are imported for one. Then it has ceased to exist.
        if self._raised is not None and self._raised() is None:
            self._raise(next(number for number, (code, _) in SIGNALS.items() if code == self.code))

    def _hurry(self, code: int) -> None:
        """End our processes, so that nothing waits for them: what they were at is done again by the next run."""
        for process in multiprocessing.active_children():
            process.kill()
        if not self._hurried:
            self._hurried = True
            last = Timer(GRACE, os._exit, [code])
            last.daemon = True
            # At the interpreter's own end some versions start no thread any more; that end is near then.
            with suppress(RuntimeError):
                last.start()


@contextmanager
def shielded() -> Iterator[None]:
    """Keep Ctrl-C and a hang-up from the processes started within: they reach the whole group, and the driver decides."""
    # The tracker, if it were started later, would lift the block.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
