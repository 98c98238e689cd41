"""The search loop under `search.order=free`: no worker waits for another one's trial.

`parallel_trials` are under way at a time, or one more than there are workers if that is more. A stack is submitted when a worker
is idle; whichever ends first lands first: its records are written, the sampler is told, the next are asked from what it knows by
then. A study ends without gaps among its numbers: what has a lower number than a trial that landed is waited for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, wait
from dataclasses import dataclass

from regsweep.book import RecordBook
from regsweep.budget import Budget
from regsweep.flight import Pace, Training, spec_for, tell, told_by, write_down
from regsweep.record import StudyFacts, TrialRecord
from regsweep.runner import Executor
from regsweep.search import FreeSearch, Proposal
from regsweep.train.plan import Load
from regsweep.trial import TrialSpec


@dataclass(frozen=True)
class _Stack:
    """Proposals that are trained together, with their specs, by number; those that have landed are taken out."""

    left: dict[int, tuple[Proposal, TrialSpec]]
    load: Load


class FreeLoop:
    """Asks, trains and tells until a budget ends the study and its numbers have no gap."""

    def __init__(
        self,
        search: FreeSearch,
        book: RecordBook,
        facts: StudyFacts,
        executor: Executor,
        budget: Budget,
        clock: Callable[[], int],
    ) -> None:
        self._search, self._book, self._facts = search, book, facts
        self._executor, self._budget, self._clock = executor, budget, clock
        self._pace = Pace(facts.config.parallel_trials)
        self._asked, self._landed = clock(), 0
        self._ready: list[_Stack] = []
        self._training: list[tuple[_Stack, Training]] = []

    def trials(self) -> Iterator[TrialRecord]:
        """Yield each trial when it was told; first those that a former call wrote down and could not tell."""
        told = len(self._search.told())
        records = (self._book.whole(number) for number in self._book.numbers() if number >= told)
        former = [record for record in records if record is not None]
        self._search.take_over([told_by(record) for record in former])
        for record in former:
            self._budget.told(record.number, record.objective)
            yield record
        while True:
            self._begin()
            ended = [(stack, training) for stack, training in self._wanted() if training.future.done()]
            if ended:
                yield from self._land(*ended[0])
            elif not self._ask():
                waited = self._wanted()
                if not waited and any(map(self._wants, self._ready)):
                    # Every worker has what nobody wants any more, and a gap is to be filled: whoever ends first takes it.
                    waited = [(stack, training) for stack, training in self._training if not training.future.done()]
                    if not waited:
                        continue
                if not waited:
                    return
                wait([training.future for _, training in waited], return_when=FIRST_COMPLETED)

    def _begin(self) -> None:
        """Give every idle worker a stack."""
        idle = self._executor.workers - sum(not training.future.done() for _, training in self._training)
        for stack in [stack for stack in self._ready if self._wants(stack)][: max(0, idle)]:
            specs = {number: spec for number, (_, spec) in stack.left.items()}
            rule = self._search.rule(specs)
            self._ready.remove(stack)
            self._training.append((stack, Training(self._executor, list(specs.values()), stack.load, rule, self._clock)))

    def _land(self, stack: _Stack, training: Training) -> Iterator[TrialRecord]:
        for number in list(stack.left):
            if not self._wants_trial(number):
                continue
            proposal, spec = stack.left.pop(number)
            record = write_down(self._book, self._facts, proposal, *training.result(spec))
            tell(self._search, record)
            self._budget.told(number, record.objective)
            self._landed += 1
            yield record
        if not stack.left:
            self._training.remove((stack, training))

    def _ask(self) -> bool:
        """Ask for more where no stack is left to begin; tell whether there are some now."""
        if any(map(self._wants, self._ready)):
            return False
        now = self._clock()
        if self._landed:
            self._pace.landed(self._landed, self._asked, now)
        config, workers = self._facts.config, self._executor.workers
        n_trials = 0 if self._over() else config.n_trials
        proposals = self._search.next_batch(n_trials, self._pace.size, under_way=workers + 1)
        self._asked, self._landed = now, 0
        self._ready += self._planned(proposals)
        return bool(proposals)

    def _planned(self, proposals: Sequence[Proposal]) -> Iterator[_Stack]:
        specs = [spec_for(one, self._facts.config) for one in proposals]
        for load in self._executor.plan(specs):
            positions = sorted(load.positions)
            yield _Stack({proposals[position].number: (proposals[position], specs[position]) for position in positions}, load)

    def _over(self) -> bool:
        return self._budget.spent() is not None or self._search.failures() >= self._facts.config.max_failures

    def _wants_trial(self, number: int) -> bool:
        """Whether a trial has to land: of a study that is over, those that others have gone beyond."""
        return number < self._search.top or not self._over()

    def _wants(self, stack: _Stack) -> bool:
        return self._wants_trial(min(stack.left))

    def _wanted(self) -> list[tuple[_Stack, Training]]:
        return [(stack, training) for stack, training in self._training if self._wants(stack)]
