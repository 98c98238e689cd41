"""When a study ends. In: the trials as they are told, in the order of their numbers. Out: the budget that has ended it, if any.

`budget.target` and `budget.no_improvement` look at told trials alone, one after the other: where they end a study does not
depend on workers, interruptions or time. `budget.seconds` depends on time by nature: two runs of one study may end at different
trials, of the same table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from regsweep.config import StudyConfig
from regsweep.search import Told
from regsweep.trial import higher_is_better


class Budget:
    """Follows a study. `clock` gives milliseconds; the seconds of this call count from when this is made."""

    def __init__(self, config: StudyConfig, told: Iterable[Told], clock: Callable[[], int]) -> None:
        self._config, self._clock, self._began = config, clock, clock()
        self._better = max if higher_is_better(config.objective) else min
        self._best: float | None = None
        self._best_number = self._trials = self._since = 0
        self._mine = 0
        for trial in told:
            self._take(trial.number, trial.value)

    def told(self, number: int, value: float | None) -> None:
        """Take in the next trial of this call; only a complete one has a value."""
        self._mine += 1
        self._take(number, value)

    def spent(self) -> str | None:
        """What has ended the study, in words; None as long as it goes on.

        Seconds end nothing before this call has told a trial: so every call gets on.
        """
        asked, name = self._config.budget, self._config.objective
        if asked.target is not None and self._best is not None and self._better(self._best, asked.target) == self._best:
            return f"budget.target={asked.target:g}: {name} is {self._best:.6g} in trial {self._best_number}"
        if asked.no_improvement is not None and self._best is not None and self._since >= asked.no_improvement:
            best = f"{self._best:.6g} of trial {self._best_number}"
            return f"budget.no_improvement={asked.no_improvement}: {self._since} trials without a better {name} than {best}"
        if self._trials >= self._config.n_trials:
            return f"n_trials={self._config.n_trials}"
        if asked.seconds is not None and self._mine and self._clock() - self._began >= 1000 * asked.seconds:
            return f"budget.seconds={asked.seconds:g}: the same command goes on for as long again"
        return None

    def _take(self, number: int, value: float | None) -> None:
        self._trials += 1
        self._since += 1
        # Equal is not better.
        if value is not None and (self._best is None or (value != self._best and self._better(value, self._best) == value)):
            self._best, self._best_number, self._since = value, number, 0
