"""Trials in training: a flight of proposals is planned and submitted as a whole, and lands trial by trial, each on disk."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from regsweep.book import RecordBook
from regsweep.config import StudyConfig
from regsweep.record import StudyFacts, TrialRecord
from regsweep.runner import Executor
from regsweep.search import Proposal, Search, Told, reports_of
from regsweep.space import values_of
from regsweep.train.contract import StopRule
from regsweep.train.plan import Load
from regsweep.trial import TrialResult, TrialSpec, spec_of

# A flight is as large as lands in so many seconds, and at most so many trials.
SECONDS, LARGEST = 4.0, 96


class Flight:
    """Proposals in training. The trials that have a record already are not trained again."""

    def __init__(
        self,
        proposals: Sequence[Proposal | Told],
        book: RecordBook,
        facts: StudyFacts,
        executor: Executor,
        clock: Callable[[], int],
        search: Search,
    ) -> None:
        self._proposals, self._book, self._facts, self._clock = proposals, book, facts, clock
        self.submitted, self.trials = clock(), len(proposals)
        self._known = {proposal.number: _known(book, proposal) for proposal in proposals}
        new = [proposal for proposal in proposals if self._known[proposal.number] is None]
        self._specs = {one.number: spec_for(one, facts.config) for one in new}
        specs = executor.begin([_going_on(book, proposal, self._specs[proposal.number]) for proposal in new])
        rule = search.rule(self._specs)
        self._stacks: dict[int, Training] = {}
        for load in executor.plan(specs):
            training = Training(executor, [specs[position] for position in load.positions], load, rule, clock)
            self._stacks |= {new[position].number: training for position in load.positions}

    def land(self) -> Iterator[TrialRecord]:
        """Yield the records in the order of their numbers, each durable on disk."""
        for proposal in self._proposals:
            yield self._known[proposal.number] or self._landed(proposal)

    def _landed(self, proposal: Proposal | Told) -> TrialRecord:
        result, finished = self._stacks[proposal.number].result(self._specs[proposal.number])
        return write_down(self._book, self._facts, proposal, result, finished)


def spec_for(proposal: Proposal | Told, config: StudyConfig) -> TrialSpec:
    """What a proposal's training depends on. Raises ConfigError where the user's function that drew it can't be had."""
    return spec_of(proposal.number, values_of(config.space, proposal.params), proposal.rung, config.seed)


def write_down(book: RecordBook, facts: StudyFacts, proposal: Proposal | Told, result: TrialResult, finished: int) -> TrialRecord:
    """Make the record of a trial that ended at a time, in milliseconds; it is durable when this returns."""
    started = finished - round(result.seconds * 1000)
    record = TrialRecord(facts, proposal.number, proposal.params, result, started, finished, proposal.rung)
    book.write_trial(record)
    return record


def told_by(record: TrialRecord) -> Told:
    """What a search is told of a trial on record."""
    result, reports = record.result, reports_of(record.facts.config, record.result)
    return Told(record.number, result.state, record.objective, record.params, record.others, reports, rung=record.rung)


def tell(search: Search, record: TrialRecord) -> None:
    """Tell a search how a trial that it asked for ended."""
    told = told_by(record)
    search.tell(told.number, told.state, told.value, told.others, told.reports)


class Pace:
    """How many trials to have in a flight: what lands in some seconds, so that a stop never costs much of what was trained."""

    def __init__(self, first: int) -> None:
        self.size = first
        self._last = 0

    def landed(self, trials: int, submitted: int, now: int) -> None:
        """Take in how long a flight took since it was submitted, or since the one before it had landed; times in milliseconds."""
        milliseconds = max(1, now - max(submitted, self._last))
        self._last = now
        self.size = max(1, min(LARGEST, 4 * self.size, int(trials * SECONDS * 1000 / milliseconds)))


class Training:
    """A stack in training, and when it ended; `future` is done by then."""

    def __init__(
        self, executor: Executor, stack: Sequence[TrialSpec], load: Load, rule: StopRule | None, clock: Callable[[], int]
    ) -> None:
        self._stack, self._clock = stack, clock
        self._ended: int | None = None
        self.future = executor.submit(stack, load, rule)
        self.future.add_done_callback(self._note_end)

    def result(self, spec: TrialSpec) -> tuple[TrialResult, int]:
        """Wait for a spec's result; it comes with the time at which the stack ended."""
        return self.future.result()[self._stack.index(spec)], self._ended or self._clock()

    def _note_end(self, _: object) -> None:
        self._ended = self._clock()


def _going_on(book: RecordBook, proposal: Proposal | Told, spec: TrialSpec) -> TrialSpec:
    """With its parent's weights, where it has one whose record is there."""
    parent = proposal.rung.parent if proposal.rung is not None else None
    record = book.whole(parent) if parent is not None else None
    if record is None or record.result.spec != spec.before:
        return spec
    return replace(spec, start=tuple(fold.network for fold in record.result.folds))


def _known(book: RecordBook, proposal: Proposal | Told) -> TrialRecord | None:
    """The record of a trial that was trained before, if it is of this proposal: another Optuna may propose otherwise."""
    record = book.whole(proposal.number)
    if record is None or (dict(record.params), record.rung) != (dict(proposal.params), proposal.rung):
        return None
    return record
