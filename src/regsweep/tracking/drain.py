"""The recorder's process: copies records into MLflow beside the study, which never waits for it but at its end.

It reads the study's folder of records, so whatever it did not get to, for whatever reason, the next run or `regsweep sync` does.
"""

from __future__ import annotations

import multiprocessing
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from regsweep.book import RecordBook
from regsweep.errors import StorageError, UnreadableError
from regsweep.paths import Workspace
from regsweep.redact import redact
from regsweep.signals import shielded

if TYPE_CHECKING:
    from regsweep.tracking.recorder import Recorder

# When MLflow can't be written, it is tried again after so many seconds, then after twice as many, up to the longest.
FIRST_RETRY, LONGEST_RETRY = 0.5, 30.0
POLL = 0.1
# The study holds back when so many records wait.
BACKLOG = 512
PATIENCE_AT_INTERRUPT = 10.0
# Without a word for so many seconds the study goes on, or ends, without the recorder.
STUCK = 60.0

Order = Literal["judged", "stop"]


class Drain:
    """The driver's end: starts the process, hears how far it is, tells it when the study has ended."""

    def __init__(self, workspace: Workspace, book: RecordBook) -> None:
        self.recorded = 0
        self.problem: str | None = None
        self.experiment_id: str | None = None
        self._news = self._silent = False
        context = multiprocessing.get_context("spawn")
        self._link, far = context.Pipe()
        self._process = context.Process(target=_work, args=(workspace.root, book.folder, far), name="regsweep recorder")
        with shielded():
            self._process.start()
        far.close()

    def hold_back(self, written: int) -> None:
        """Wait while too many of the `written` records are not recorded and recording goes on.

        A recorder that was waited for in vain is waited for again when it has said something.
        """
        self._hear(0.0)
        self._silent = self._silent and not self._news
        while not self._silent and written - self.recorded > BACKLOG and self.problem is None and self._process.is_alive():
            before = self.recorded
            self._hear(STUCK)
            self._silent = self.recorded == before

    def finish(self, progress: Callable[[int], None]) -> None:
        """Have everything recorded; `progress` is given the number of trials that are. Afterwards `problem` says what kept it."""
        self._tell("judged")
        heard = time.monotonic()
        while self._hear(0.2):
            if self._news:
                heard = time.monotonic()
                progress(self.recorded)
            elif time.monotonic() - heard > STUCK:
                self.interrupt()
                self.problem = f"MLflow took no record for {STUCK:.0f} seconds"
                return
        self._process.join()
        if self.experiment_id is None and self.problem is None:
            self.problem = f"the recorder's process ended with exit code {self._process.exitcode}"

    def interrupt(self) -> None:
        """Let it end the record that it is at, and stop."""
        self._tell("stop")
        deadline = time.monotonic() + PATIENCE_AT_INTERRUPT
        while time.monotonic() < deadline and self._hear(0.1):
            pass
        if self._process.is_alive():
            self._process.join(1.0)
            self._process.kill()
            self._process.join()

    def _tell(self, order: Order) -> None:
        try:
            self._link.send(order)
        except OSError:
            # It has ended already, and says why by its exit code.
            return

    def _hear(self, seconds: float) -> bool:
        """Take in all that the process says, waiting for the first of it; False when it has ended."""
        self._news = False
        try:
            while self._link.poll(0.0 if self._news else seconds):
                kind, value = self._link.recv()
                self._news = True
                if kind == "problem":
                    self.problem = value
                    continue
                self.problem = None
                if kind == "recorded":
                    self.recorded = value
                else:
                    self.experiment_id = value
        except (EOFError, OSError):
            return False
        return True


class NoDrain:
    """A driver's end without a process: nothing is recorded until `sync`."""

    problem: str | None = None
    experiment_id: str | None = None

    def hold_back(self, written: int) -> None: ...

    def finish(self, progress: Callable[[int], None]) -> None: ...

    def interrupt(self) -> None: ...


def _work(root: Path, folder: Path, link: Connection) -> None:
    # Like Ctrl-C it reaches the whole group, and the driver decides.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    book = RecordBook(folder)
    loop = _Loop(Workspace(root), book, link)
    with book.recording():
        try:
            loop.run()
        except (EOFError, ConnectionError):
            # The driver is gone. What is left is recorded by the next run, or by `regsweep sync`.
            loop.interrupt()
        except Exception as error:
            loop.interrupt()
            # multiprocessing would print a traceback that nothing has been masked in.
            with suppress(OSError):
                link.send(("problem", redact(f"the recorder failed: {type(error).__name__}: {error}")))


class _Loop:
    """Records what is there, waits for more or for an order, and tries again later what failed."""

    def __init__(self, workspace: Workspace, book: RecordBook, link: Connection) -> None:
        self._workspace, self._book, self._link = workspace, book, link
        self._order: Order | None = None
        self._retry = FIRST_RETRY
        self._recorder: Recorder | None = None

    def interrupt(self) -> None:
        """End the study's run as killed, as far as MLflow can be written."""
        if self._recorder is not None:
            with suppress(StorageError):
                self._recorder.interrupt()

    def run(self) -> None:
        from regsweep.tracking.recorder import Recorder

        while True:
            # What is written before an order comes is recorded before it is obeyed.
            order = self._order
            try:
                if (recorder := self._recorder) is None:
                    recorder = self._recorder = Recorder(self._workspace, self._book)
                    # The driver may be waiting, though nothing is left to copy.
                    self._link.send(("recorded", recorder.trials))
                if order == "judged":
                    # Damaged records have been made again meanwhile.
                    recorder.refresh()
                self._record(recorder)
                if self._order == "stop":
                    recorder.interrupt()
                    return
                if order == "judged":
                    recorder.judged(alive=partial(self._link.send, ("recorded", recorder.trials)))
                    self._link.send(("done", recorder.experiment_id))
                    return
                self._retry, wait = FIRST_RETRY, POLL
            except StorageError as error:
                if order is not None:
                    self.interrupt()
                self._recorder, wait = None, self._retry
                self._retry = min(2 * self._retry, LONGEST_RETRY)
                self._link.send(("problem", error.problems[0]))
                if order is not None:
                    return
            self._listen(0.0 if self._order else wait)

    def _record(self, recorder: Recorder) -> None:
        def copied() -> bool:
            self._link.send(("recorded", recorder.trials))
            self._listen(0.0)
            return self._order != "stop"

        unread = _copy(recorder, copied)
        if unread and self._order != "stop":
            raise unread[0]

    def _listen(self, seconds: float) -> None:
        if self._order != "stop" and self._link.poll(seconds):
            self._order = self._link.recv()


def sync(
    workspace: Workspace, book: RecordBook, progress: Callable[[int], None], *, remove: Sequence[str] = (), lead: bool = True
) -> int:
    """Record in this process what a study's runs in MLflow lack; returns how many trials were missing. Raises StorageError.

    Runs to `remove` go first; the champion takes the alias if the study is to `lead`. The study's run ends as finished where its
    search has ended, is judged and has its report, else as killed.
    """
    from regsweep.tracking.recorder import Recorder

    with book.recording():
        recorder, count = Recorder(workspace, book), 0

        def copied() -> bool:
            nonlocal count
            count += 1
            progress(count)
            return True

        try:
            judged = book.judged()
            recorder.remove(remove)
            unread = _copy(recorder, copied)
            if judged:
                recorder.judged(lead=lead)
        except BaseException:
            with suppress(StorageError):
                recorder.interrupt()
            raise
        if not (judged and book.finished()):
            recorder.interrupt()
        if unread:
            raise StorageError([problem for error in unread for problem in error.problems])
        return count


def _copy(recorder: Recorder, copied: Callable[[], bool]) -> list[UnreadableError]:
    """Record the trials that MLflow lacks, as long as `copied`, called after each, says so; returns what can't be read."""
    unread = []
    for number in recorder.missing():
        try:
            recorder.trial(number)
        except UnreadableError as error:
            unread.append(error)
            continue
        if not copied():
            break
    return unread
