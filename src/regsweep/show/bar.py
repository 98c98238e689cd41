"""A study's progress bar."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from regsweep.config import StudyConfig
from regsweep.record import StudyFacts, TrialRecord
from regsweep.trial import higher_is_better

if TYPE_CHECKING:
    from regsweep.search.source import Told


class Bar:
    """Shows a study's progress: trials done, best objective, time."""

    def __init__(self, console: Console, config: StudyConfig) -> None:
        self._config, self._best, self.told = config, math.nan, 0
        self._redone: set[int] = set()
        self._progress = Progress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn(),
            console=console,
        )  # fmt: skip
        self._task = self._progress.add_task("trials", total=config.n_trials)
        self._recording: TaskID | None = None

    def begin(self, facts: StudyFacts, told: Sequence[Told]) -> None:
        self.told = len(told)
        for note in facts.dataset.notes:
            self._progress.console.print(f"note: {note}", style="yellow")
        rows = f"{facts.dataset.rows} rows, {len(facts.dataset.features)} features"
        self._progress.console.print(f"{facts.study}: {rows}")
        if told:
            self._progress.console.print(f"{len(told)} of {self._config.n_trials} trials are there already")
        for one in told:
            self._take(one.value)
        self._progress.update(self._task, completed=min(len(told), self._config.n_trials), description=self._words())
        self._progress.start()

    def redoing(self, numbers: Sequence[int]) -> None:
        self._redone = {*numbers}
        listed = ", ".join(map(str, numbers))
        self._progress.console.print(f"note: records that are missing or damaged are made again: trial {listed}", style="yellow")

    def trial(self, record: TrialRecord) -> None:
        self._take(record.objective)
        advance = 0 if record.number in self._redone else 1
        self._progress.update(self._task, advance=advance, description=self._words())

    def _words(self) -> str:
        return "trials" if math.isnan(self._best) else f"best {self._config.objective} {self._best:,.4g}"

    def _take(self, value: float | None) -> None:
        if value is not None:
            better = max if higher_is_better(self._config.objective) else min
            self._best = value if math.isnan(self._best) else better(self._best, value)

    def judging(self) -> None:
        self.close()

    def recording(self, done: int, of: int) -> None:
        if self._recording is None:
            self._progress.update(self._task, visible=False)
            self._recording = self._progress.add_task("copying records into MLflow", total=of)
            self._progress.start()
        self._progress.update(self._recording, completed=done)

    def close(self) -> None:
        """Stop drawing; a bar that never started has nothing to erase."""
        if self._progress.live.is_started:
            self._progress.stop()
