"""A stack that took its process down is trained again in parts, until the culprit is alone."""

from __future__ import annotations

from collections.abc import Callable

from regsweep.runner.process import Died
from regsweep.runner.work import Results
from regsweep.trial import State, TrialResult, TrialSpec

# A training is given up when so many processes have died over it, at least two of them over it alone.
ATTEMPTS = 3
Stack = tuple[TrialSpec, ...]


def train_apart(stack: Stack, attempt: Callable[[Stack], Results], trainer: str, seconds: Callable[[], float]) -> Results:
    """Results of a stack, in its order: `attempt` it; if the process dies, its halves; a single one again, or it has failed.

    `seconds` tells how long it has been going on, for the record of one that failed.
    """

    def results(part: Stack, deaths: int, alone: int = 0) -> Results:
        try:
            return attempt(part)
        except Died as death:
            deaths += 1
            if len(part) > 1:
                middle = len(part) // 2
                return results(part[:middle], deaths) + results(part[middle:], deaths)
            alone += 1
            if (deaths < ATTEMPTS or alone < 2) and not death.judged:
                return results(part, deaths, alone)
            cause = death.cause or f"its training took the process down, alone too ({death.how})"
            return (TrialResult(part[0], State.FAILED, (), seconds(), trainer, cause),)

    return results(stack, 0)
