"""When a study ends. In: the trials as they are told. Out: the budget that has ended it, if any.

`budget.target` and `budget.no_improvement` look at told trials and their numbers alone, whatever the order in which they were
told: where trials are told in the order of their numbers, where these end a study does not depend on workers, interruptions or
time. `budget.seconds` depends on time by nature: two runs of one study may end at different trials, of the same table.
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
        self._best_number = self._mine = 0
        self._numbers: list[int] = []
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
        if asked.no_improvement is not None and self._best is not None and (since := self._since_best()) >= asked.no_improvement:
            best = f"{self._best:.6g} of trial {self._best_number}"
            return f"budget.no_improvement={asked.no_improvement}: {since} trials without a better {name} than {best}"
        if len(self._numbers) >= self._config.n_trials:
            return f"n_trials={self._config.n_trials}"
        if asked.seconds is not None and self._mine and self._clock() - self._began >= 1000 * asked.seconds:
            return f"budget.seconds={asked.seconds:g}: the same command goes on for as long again"
        return None

    def _take(self, number: int, value: float | None) -> None:
        self._numbers.append(number)
        # Of equals the one with the lowest number is the best.
        if value is not None and (self._best is None or self._beats(value, number, self._best)):
            self._best, self._best_number = value, number

    def _beats(self, value: float, number: int, best: float) -> bool:
        return number < self._best_number if value == best else self._better(value, best) == value

    def _since_best(self) -> int:
        return sum(number > self._best_number for number in self._numbers)
