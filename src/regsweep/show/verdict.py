"""What `regsweep verdict` shows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from regsweep.config import StudyConfig
from regsweep.errors import StorageError
from regsweep.paths import Workspace
from regsweep.record import StudyFacts, TrialRecord
from regsweep.repeats import record_verdict, repeat, write_verdict
from regsweep.runner import warm_up
from regsweep.show.console import plain_console, where

if TYPE_CHECKING:
    from regsweep.search.source import Told


class SplitsBar:
    """Shows which split is at work and how many of its trials are done."""

    def __init__(self, console: Console, splits: int, n_trials: int) -> None:
        self._splits, self._n_trials = splits, n_trials
        self._noted: set[str] = set()
        self.problems = 0
        self._progress = Progress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), console=console
        )
        self._task = self._progress.add_task("", total=n_trials)

    def split(self, position: int, study: str, *, done: bool) -> None:
        self._progress.start()
        there = " is there already" if done else ""
        self._progress.console.print(f"split {position + 1} of {self._splits}: {study}{there}", soft_wrap=True)
        self._progress.update(self._task, description=f"split {position + 1}", completed=self._n_trials if done else 0)

    def begin(self, facts: StudyFacts, told: Sequence[Told]) -> None:
        for note in facts.dataset.notes:
            if note not in self._noted:
                self._noted.add(note)
                self.note(note)
        self._progress.update(self._task, completed=min(len(told), self._n_trials))

    def redoing(self, numbers: Sequence[int]) -> None:
        self.note(f"records that are missing or damaged are made again: trial {', '.join(map(str, numbers))}")

    def trial(self, record: TrialRecord) -> None:
        self._progress.update(self._task, completed=record.number + 1)

    def judging(self) -> None: ...

    def recording(self, done: int, of: int) -> None:
        self._progress.update(self._task, description="copying records into MLflow", total=of, completed=done)

    def note(self, text: str) -> None:
        self._progress.console.print(f"note: {text}", style="yellow", soft_wrap=True)

    def problem(self, text: str) -> None:
        self.problems += 1
        note = "nothing is lost; the same command copies the records into MLflow when it works again"
        self.note(text)
        self.note(note)

    def close(self) -> None:
        if self._progress.live.is_started:
            self._progress.stop()


def verdict_and_show(configs: Sequence[StudyConfig]) -> None:
    """Run a study on several splits, print table and verdict, and write them into the workspace."""
    config = configs[0]
    console, workspace = plain_console(), Workspace(Path(config.tracking.dir))
    warm_up(config)
    bar = SplitsBar(console, len(configs), config.n_trials)
    try:
        repeats = repeat(configs, workspace, bar)
    finally:
        bar.close()
    folder = write_verdict(repeats, workspace)
    if not bar.problems:
        try:
            record_verdict(repeats, workspace)
        except StorageError as error:
            bar.problem(error.problems[0])
    console.print(repeats.table())
    console.print(repeats.sentence, style="bold")
    console.print(f"{'table, splits, figure:':<23}{folder}", soft_wrap=True)
    console.print(f"{'the splits:':<23}regsweep studies{where(config)}", soft_wrap=True)
