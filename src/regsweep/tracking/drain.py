"""The recorder's process: copies records into MLflow beside the study, which never waits for it but at its end.

It reads the study's folder of records, so whatever it did not get to, for whatever reason, the next run or `regsweep sync` does.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from regsweep.book import RecordBook
from regsweep.errors import StorageError
from regsweep.paths import Workspace

if TYPE_CHECKING:
    from regsweep.tracking.recorder import Recorder

# When MLflow can't be written, it is tried again after so many seconds, then after twice as many, up to the longest.
FIRST_RETRY, LONGEST_RETRY = 0.5, 30.0
POLL = 0.1
# The study holds back when so many records wait.
BACKLOG = 512
PATIENCE_AT_INTERRUPT = 10.0

Order = Literal["judged", "stop"]


class Drain:
    """The driver's end: starts the process, hears how far it is, tells it when the study has ended."""

    def __init__(self, workspace: Workspace, book: RecordBook) -> None:
        self.recorded = 0
        self.problem: str | None = None
        self.experiment_id: str | None = None
        context = multiprocessing.get_context("spawn")
        self._link, far = context.Pipe()
        self._process = context.Process(target=_work, args=(workspace.root, book.folder, far), name="regsweep recorder")
        self._process.start()
        far.close()

    def hold_back(self, written: int) -> None:
        """Wait while too many of the `written` records are not recorded and recording works."""
        self._hear(0.0)
        while written - self.recorded > BACKLOG and self.problem is None and self._process.is_alive():
            self._hear(1.0)

    def finish(self, progress: Callable[[int], None]) -> None:
        """Have everything recorded; `progress` is given the number of trials that are. Afterwards `problem` says what kept it."""
        self._tell("judged")
        while self._process.is_alive() or self._link.poll():
            if not self._hear(0.2):
                break
            progress(self.recorded)
        self._process.join()
        if self.experiment_id is None and self.problem is None:
            self.problem = f"the recorder's process ended with exit code {self._process.exitcode}"

    def interrupt(self) -> None:
        """Let it end the record that it is at, and stop."""
        self._tell("stop")
        self._process.join(PATIENCE_AT_INTERRUPT)
        if self._process.is_alive():
            self._process.terminate()
            self._process.join()

    def _tell(self, order: Order) -> None:
        try:
            self._link.send(order)
        except OSError:
            # It has ended already, and says why by its exit code.
            return

    def _hear(self, seconds: float) -> bool:
        """Take in what the process says; False when it has ended."""
        try:
            if self._link.poll(seconds):
                kind, value = self._link.recv()
                if kind == "recorded":
                    self.recorded, self.problem = value, None
                elif kind == "problem":
                    self.problem = value
                else:
                    self.experiment_id = value
        except (EOFError, OSError):
            return False
        return True


def _work(root: Path, folder: Path, link: Connection) -> None:
    # Ctrl-C reaches the whole process group; the driver says when to stop.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    book = RecordBook(folder)
    with book.recording():
        try:
            _Loop(Workspace(root), book, link).run()
        except (EOFError, BrokenPipeError):
            # The driver is gone. What is left is recorded by the next run, or by `regsweep sync`.
            return


class _Loop:
    """Records what is there, waits for more or for an order, and tries again later what failed."""

    def __init__(self, workspace: Workspace, book: RecordBook, link: Connection) -> None:
        self._workspace, self._book, self._link = workspace, book, link
        self._order: Order | None = None
        self._retry = FIRST_RETRY

    def run(self) -> None:
        from regsweep.tracking.recorder import Recorder

        recorder: Recorder | None = None
        while True:
            try:
                recorder = recorder or Recorder(self._workspace, self._book)
                self._record(recorder)
                if self._order == "stop":
                    recorder.interrupt()
                    return
                if self._order == "judged":
                    recorder.judged()
                    self._link.send(("done", recorder.experiment_id))
                    return
                self._retry, wait = FIRST_RETRY, POLL
            except StorageError as error:
                recorder, wait = None, self._retry
                self._retry = min(2 * self._retry, LONGEST_RETRY)
                self._link.send(("problem", error.problems[0]))
                if self._order is not None:
                    return
            self._listen(wait)

    def _record(self, recorder: Recorder) -> None:
        for number in recorder.missing():
            recorder.trial(number)
            self._link.send(("recorded", recorder.trials))
            self._listen(0.0)
            if self._order == "stop":
                return

    def _listen(self, seconds: float) -> None:
        if self._order is None and self._link.poll(seconds):
            self._order = self._link.recv()


def sync(workspace: Workspace, book: RecordBook, progress: Callable[[int], None]) -> int:
    """Record in this process what a study's runs in MLflow lack; returns how many trials were missing. Raises StorageError."""
    from regsweep.tracking.recorder import Recorder

    with book.recording():
        recorder, count = Recorder(workspace, book), 0
        for number in recorder.missing():
            recorder.trial(number)
            count += 1
            progress(count)
        if (book.folder / "champion").is_dir():
            recorder.judged()
        else:
            recorder.interrupt()
        return count
