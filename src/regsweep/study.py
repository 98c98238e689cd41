"""A study from config to verdict.

    data -> split -> features -> ask -> train -> record on disk -> tell -> champion -> sealed test -> report
                                                        `-> MLflow, by the recorder's process

One driver asks, tells and writes; executors only train. A study that was interrupted goes on where it stood.
"""

from __future__ import annotations

import shutil
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from regsweep.book import RecordBook, judged_model
from regsweep.budget import Budget
from regsweep.champion import Judgement, Trainings, judge
from regsweep.config import StudyConfig
from regsweep.config.schema import TrainerConfig
from regsweep.data.features import Prepared
from regsweep.data.sealed import unseal
from regsweep.errors import StorageError, TooManyFailuresError
from regsweep.flight import Flight, Pace, tell
from regsweep.folder import put
from regsweep.free import FreeLoop
from regsweep.insight import kept_insight, look_into
from regsweep.material import Material
from regsweep.paths import Workspace
from regsweep.record import Features, StudyFacts, TrialRecord
from regsweep.report.champion_parts import ReportRows
from regsweep.report.write import write_report
from regsweep.runner import Executor, make_executor
from regsweep.search import FreeSearch, Search, Told, open_search
from regsweep.sums import is_whole, write_sums
from regsweep.tracking import Drain, NoDrain
from regsweep.train import save_networks
from regsweep.trial import State

Clock = Callable[[], int]
Executors = Callable[[StudyConfig, Prepared], AbstractContextManager[Executor]]


def wall_clock() -> int:
    """Milliseconds since 1970-01-01."""
    return time.time_ns() // 1_000_000


class Watcher(Protocol):
    """What a study tells whoever looks on."""

    def begin(self, facts: StudyFacts, told: Sequence[Told]) -> None: ...

    def redoing(self, numbers: Sequence[int]) -> None: ...

    def trial(self, record: TrialRecord) -> None: ...

    def judging(self) -> None: ...

    def recording(self, done: int, of: int) -> None: ...


class Unwatched:
    """A watcher that looks away."""

    def begin(self, facts: StudyFacts, told: Sequence[Told]) -> None: ...

    def redoing(self, numbers: Sequence[int]) -> None: ...

    def trial(self, record: TrialRecord) -> None: ...

    def judging(self) -> None: ...

    def recording(self, done: int, of: int) -> None: ...


@dataclass(frozen=True)
class Outcome:
    """A finished study and its judgement; the id of its experiment in MLflow, or what kept MLflow from being written."""

    facts: StudyFacts
    book: RecordBook
    judgement: Judgement
    experiment_id: str | None
    problem: str | None


def run_study(
    material: Material,
    workspace: Workspace,
    watcher: Watcher,
    clock: Clock = wall_clock,
    *,
    bare: bool = False,
    executors: Executors = make_executor,
) -> Outcome:
    """Run a study until a budget ends it, judge its champion and report.

    `bare`: without insight, figures and MLflow, which a later call adds, and `sync` for MLflow alone. Figures that an earlier
    call drew of the same trials are drawn again. `executors`: where it trains.

    Raises TooManyFailuresError with the causes when `max_failures` trials have failed or none was completed, StorageError
    when records can't be written or another run holds the study; what was told stays in place. MLflow is written beside the
    study; where it can't be, the outcome says so and nothing is lost.
    """
    config, facts = material.config, material.facts
    book = RecordBook(workspace.records / facts.study)
    with book.locked():
        search = _begun(material, workspace, book)
        drain = NoDrain() if bare else Drain(workspace, book)
        try:
            budget = Budget(config, search.told(), clock)
            watcher.begin(facts, search.told())
            with ExitStack() as open_executors:
                executor = open_executors.enter_context(executors(config, material.prepared))
                if lost := _lost(search, book, strict=True):
                    watcher.redoing([proposal.number for proposal in lost])
                for told, record in zip(lost, Flight(lost, book, facts, executor, clock, search).land(), strict=True):
                    watcher.trial(record)
                    if record.ended_as != told.ended_as:
                        raise StorageError(_otherwise(book, told, record, "trained again, it came out as"))
                _stop_at_failures(search, book, config.max_failures)
                for record in _search(search, book, facts, executor, budget, clock):
                    watcher.trial(record)
                    drain.hold_back(record.number)
                _stop_at_failures(search, book, config.max_failures)
                book.end(budget.spent() or search.ended or "the space has no other trial")
                if search.waiting():
                    # What is still in training is not wanted.
                    executor.close()
                    executor = open_executors.enter_context(executors(config, material.prepared))
                watcher.judging()
                trainings = Trainings(config, material.dataset, material.split, executor)
                rows = partial(unseal, material.dataset, material.split)
                drawn = ReportRows(material.dataset, material.split, material.prepared, rows)
                records = tuple(book.trials())
                judgement = judge(book, facts, records, material.prepared, trainings, rows, clock)
                _write_networks(book, judgement, executor, config.trainer)
                # What led to a baseline is no path through the space.
                leader = judgement.trial if judgement is not None and judgement.baseline is None else None
                about = book, facts, records, leader
                insight = kept_insight(*about) if bare else look_into(*about, executor)
                write_report(book, facts, records, judgement, insight, drawn)
                if judgement is not None:
                    book.ending.settle(judgement.note)
            total = len(book.numbers())
            drain.finish(lambda done: watcher.recording(done, total))
        except OSError as error:
            drain.interrupt()
            place = error.filename or book.folder
            raise StorageError(f"{place}: can't be written ({error.strerror}); free space, then run the command again") from error
        except BaseException:
            drain.interrupt()
            raise
        book.touch()
    if judgement is None:
        raise TooManyFailuresError(["no trial was completed; narrow the space", *_causes(book)])
    return Outcome(facts, book, judgement, drain.experiment_id, drain.problem)


def _begun(material: Material, workspace: Workspace, book: RecordBook) -> Search:
    """Open the book and its search. What Optuna still has of a study whose records were taken away is forgotten."""
    opened = partial(open_search, workspace, material.facts.study, material.config)
    # Before the book begins: a crash in between must not leave the old rows to a study that has begun.
    search = opened(anew=True) if not book.begun and not book.numbers() else None
    book.open(material.facts, Features(material.prepared.encoding, material.dataset.columns))
    return search or opened()


def _lost(search: Search, book: RecordBook, *, strict: bool = False) -> tuple[Told, ...]:
    """Trials that were told but whose record is gone or damaged: trained again, they come out the same.

    If `strict`, raises StorageError for one whose record says otherwise, as one has that came out otherwise in an earlier run.
    """
    lost = []
    for told in search.told():
        record = book.whole(told.number)
        if record is None:
            lost.append(told)
        elif strict and record.ended_as != told.ended_as:
            raise StorageError(_otherwise(book, told, record, "says"))
    return tuple(lost)


def _otherwise(book: RecordBook, told: Told, record: TrialRecord, verb: str) -> str:
    cause = f" ({record.result.cause})" if record.result.cause is not None else ""
    return (
        f"{book.place(told.number)}: {verb} {record.objective!r}{cause}, but the study was told {told.value!r}: packages, "
        "machine or limits have changed since; `regsweep repair` has the study go by the new record"
    )


def train_lost(material: Material, search: Search, book: RecordBook, clock: Clock = wall_clock) -> None:
    """Train trials again that were told but whose record is gone or damaged."""
    with make_executor(material.config, material.prepared) as executor:
        for _ in Flight(_lost(search, book), book, material.facts, executor, clock, search).land():
            pass


def _search(
    search: Search, book: RecordBook, facts: StudyFacts, executor: Executor, budget: Budget, clock: Clock
) -> Iterator[TrialRecord]:
    """Ask, train and tell until a budget ends it, and yield each trial when it is told.

    Where proposals don't depend on each other, a second flight is in training while the first one lands. What is in training
    beyond the trial that ends the study leaves nothing: a trial's record is written just before it is told.
    """
    if isinstance(search, FreeSearch):
        yield from FreeLoop(search, book, facts, executor, budget, clock).trials()
        return
    config, flights, pace = facts.config, deque[Flight](), Pace(facts.config.parallel_trials)
    if untold := book.place(number := len(search.told())).is_dir():
        # A kill came between a trial's record and its telling: it is told now, whatever budget this call has.
        flights.append(Flight(search.next_batch(number + 1), book, facts, executor, clock, search))
    while untold or budget.spent() is None:
        while not untold and len(flights) < 2 and (proposals := search.next_batch(config.n_trials, pace.size)):
            flights.append(Flight(proposals, book, facts, executor, clock, search))
        if not flights:
            return
        flight = flights.popleft()
        for record in flight.land():
            tell(search, record)
            budget.told(record.number, record.objective)
            yield record
            if record.result.state is State.FAILED:
                _stop_at_failures(search, book, config.max_failures)
            if budget.spent() is not None:
                return
        pace.landed(flight.trials, flight.submitted, clock())
        untold = False


def _stop_at_failures(search: Search, book: RecordBook, max_failures: int) -> None:
    if (failed := search.failures()) >= max_failures:
        advice = f"{failed} trials failed (max_failures={max_failures}); narrow the space or raise max_failures"
        raise TooManyFailuresError([advice, *_causes(book)])


def _causes(book: RecordBook) -> list[str]:
    """How often trials failed of what, most frequent first."""
    causes = Counter(content["cause"] for content in book.contents("trial") if content["state"] == State.FAILED)
    return [f"{count} x {cause}" for cause, count in causes.most_common()]


def _write_networks(book: RecordBook, judgement: Judgement | None, executor: Executor, trainer: TrainerConfig) -> None:
    """Put the champion's networks, if it is networks, beside its record, as `.keras` files for Keras users."""
    if judgement is None or judgement.baseline is not None:
        return
    place = book.networks(len(judgement.content["openings"]))
    if not is_whole(place):
        draft = place.with_name(f".{place.name}")
        for former in (draft, place):
            shutil.rmtree(former, ignore_errors=True)
        draft.mkdir()
        executor.call(save_networks, judged_model(book), draft, trainer)
        write_sums(draft)
        put(draft, place)
