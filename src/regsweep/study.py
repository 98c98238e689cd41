"""A study from config to verdict.

    data -> split -> features -> ask -> train -> record on disk -> tell -> MLflow -> champion -> sealed test -> report

One driver asks, tells and writes; executors only train. A study that was interrupted goes on where it stood.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

from regsweep.book import RecordBook
from regsweep.champion import Judgement, judge, model_of
from regsweep.config import StudyConfig
from regsweep.data import Dataset, Split, duplicates_across, load_dataset, make_split
from regsweep.data.features import Prepared, prepare
from regsweep.data.sealed import unseal
from regsweep.environment import Environment
from regsweep.errors import ConfigError, TooManyFailuresError
from regsweep.paths import Workspace
from regsweep.predictor import Model
from regsweep.record import DatasetFacts, StudyFacts, TrialRecord, study_name
from regsweep.report.write import write_report
from regsweep.runner import Executor, make_executor
from regsweep.search import Proposal, Search
from regsweep.space import greatest
from regsweep.tracking import Recorder
from regsweep.train import save_networks
from regsweep.train.plan import Load
from regsweep.trial import State, TrialResult, TrialSpec, spec_from_values, trial_seed

Clock = Callable[[], int]


def wall_clock() -> int:
    """Milliseconds since 1970-01-01."""
    return time.time_ns() // 1_000_000


class Watcher(Protocol):
    """What a study tells whoever looks on."""

    def begin(self, facts: StudyFacts, told: int) -> None: ...

    def trial(self, record: TrialRecord) -> None: ...

    def judging(self) -> None: ...


@dataclass(frozen=True)
class Material:
    """What a config says about the data, worked out: nothing has been written yet."""

    config: StudyConfig
    facts: StudyFacts
    dataset: Dataset
    split: Split
    prepared: Prepared


@dataclass(frozen=True)
class Outcome:
    """A finished study, its judgement, and the id of its experiment in MLflow."""

    facts: StudyFacts
    book: RecordBook
    judgement: Judgement
    experiment_id: str


def gather(config: StudyConfig, environment: Environment | None = None) -> Material:
    """Load and check the data, split them, fit the features. Raises DataError or ConfigError before anything is written."""
    dataset = load_dataset(config.dataset)
    split = make_split(config.split, dataset)
    smallest = min(len(fold.train) for fold in split.folds)
    if (largest := greatest(config.space, "batch_size")) > smallest:
        raise ConfigError(
            f"space.parameters.batch_size: goes up to {largest:g}, but there are {smallest} training rows; "
            f"set smaller ones, for example space.parameters.batch_size={max(1, smallest // 4)}"
        )
    facts = StudyFacts(
        study=study_name(config, dataset.sha256),
        config=config,
        dataset=_dataset_facts(dataset, split),
        environment=environment or Environment.here(),
    )
    return Material(config, facts, dataset, split, prepare(dataset, split, config.features))


def run_study(material: Material, workspace: Workspace, watcher: Watcher, clock: Clock = wall_clock) -> Outcome:
    """Run a study to `n_trials` in total, judge its champion and report.

    Raises TooManyFailuresError with the causes when `max_failures` trials have failed or none was completed, StorageError
    when records or MLflow can't be written or another run holds the study; what was told stays in place.
    """
    config, facts = material.config, material.facts
    book = RecordBook(workspace.records / facts.study)
    book.open(facts)
    with book.locked():
        search = Search(workspace, facts.study, config)
        recorder = Recorder(workspace, facts, material.dataset)
        try:
            watcher.begin(facts, told=len(search.told()))
            with make_executor(config, material.prepared) as executor:
                _stop_at_failures(search, book, config.max_failures)
                for record, _ in _train(_lost(search, book), book, facts, executor, clock):
                    watcher.trial(record)
                while batch := search.next_batch(config.n_trials):
                    for record, place in _train(batch, book, facts, executor, clock):
                        search.tell(record.number, record.result.state, record.objective)
                        recorder.trial(record, place, _model(record, material.prepared))
                        watcher.trial(record)
                    _stop_at_failures(search, book, config.max_failures)
                _catch_up(book, recorder, material.prepared)
                watcher.judging()
                judgement = judge(book, facts, material.prepared, partial(unseal, material.dataset, material.split), clock)
                write_report(book, facts, judgement, search.importance())
                _record_judgement(book, recorder, material.prepared, judgement, executor)
        except BaseException:
            recorder.interrupt()
            raise
        book.touch()
    if judgement is None:
        raise TooManyFailuresError(["no trial was completed; narrow the space", *_causes(book)])
    return Outcome(facts, book, judgement, recorder.experiment_id)


def _dataset_facts(dataset: Dataset, split: Split) -> DatasetFacts:
    shared = {field.name: getattr(dataset, field.name) for field in fields(DatasetFacts) if field.name != "notes"}
    return DatasetFacts(**shared, notes=(*dataset.notes, *filter(None, [duplicates_across(split, dataset)])))


def _lost(search: Search, book: RecordBook) -> tuple[Proposal, ...]:
    """Trials that were told but whose record is gone: trained again, they come out the same."""
    return tuple(Proposal(told.number, told.params) for told in search.told() if not book.place(told.number).is_dir())


def _train(
    batch: tuple[Proposal, ...], book: RecordBook, facts: StudyFacts, executor: Executor, clock: Clock
) -> Iterator[tuple[TrialRecord, Path]]:
    """Train a batch and yield its records in the order of their numbers, each durable on disk."""
    known = {proposal.number: book.trial(proposal.number) for proposal in batch}
    new = [proposal for proposal in batch if known[proposal.number] is None]
    specs = [spec_from_values(proposal.params, seed=trial_seed(facts.config.seed, proposal.number)) for proposal in new]
    stacks: dict[int, _Training] = {}
    for load in executor.plan(specs):
        training = _Training(executor, [specs[position] for position in load.positions], load, clock)
        stacks |= {new[position].number: training for position in load.positions}
    for proposal in batch:
        record = known[proposal.number]
        if record is None:
            spec = specs[new.index(proposal)]
            result, finished = stacks[proposal.number].result(spec)
            started = finished - round(result.seconds * 1000)
            record = TrialRecord(facts, proposal.number, proposal.params, result, started, finished)
            book.write_trial(record)
        yield record, book.place(proposal.number)


class _Training:
    """A stack in training, and when it ended."""

    def __init__(self, executor: Executor, stack: Sequence[TrialSpec], load: Load, clock: Clock) -> None:
        self._executor, self._stack, self._clock = executor, stack, clock
        self._results: tuple[TrialResult, ...] | None = None
        self._ended: int | None = None
        self._future = executor.submit(stack, load)
        self._future.add_done_callback(self._note_end)

    def result(self, spec: TrialSpec) -> tuple[TrialResult, int]:
        """Wait for a spec's result; it comes with the time at which the stack ended."""
        if self._results is None:
            self._results = self._executor.collect(self._future, self._stack)
        return self._results[self._stack.index(spec)], self._ended or self._clock()

    def _note_end(self, _: object) -> None:
        self._ended = self._clock()


def _model(record: TrialRecord, data: Prepared) -> Model | None:
    return model_of(record.result, data) if record.result.state is State.COMPLETE else None


def _stop_at_failures(search: Search, book: RecordBook, max_failures: int) -> None:
    if (failed := search.failures()) >= max_failures:
        advice = f"{failed} trials failed (max_failures={max_failures}); narrow the space or raise max_failures"
        raise TooManyFailuresError([advice, *_causes(book)])


def _causes(book: RecordBook) -> list[str]:
    """How often trials failed of what, most frequent first."""
    causes = Counter(content["cause"] for content in book.contents("trial") if content["state"] == State.FAILED)
    return [f"{count} x {cause}" for cause, count in causes.most_common()]


def _catch_up(book: RecordBook, recorder: Recorder, data: Prepared) -> None:
    """Record in MLflow what an earlier call told but did not get to record."""
    for content in book.contents("trial"):
        if not recorder.knows("trial", str(content["number"])):
            record = book.trial(content["number"])
            assert record is not None
            recorder.trial(record, book.place(record.number), _model(record, data))


def _record_judgement(
    book: RecordBook, recorder: Recorder, data: Prepared, judgement: Judgement | None, executor: Executor
) -> None:
    report = book.folder / "report"
    last = max((content["finished"] for content in book.contents("trial")), default=0)
    if judgement is None:
        recorder.finish(report, "No trial was completed.", {}, last)
        return
    for content in book.contents("baseline"):
        recorder.baseline(content, book.folder / f"baseline-{content['name']}")
    trial, content = judgement.trial, judgement.content
    if not recorder.knows_champion(content):
        with TemporaryDirectory() as folder:
            networks = executor.call(save_networks, trial.result, data, Path(folder))
            recorder.champion(trial, content, book, model_of(trial.result, data), networks)
    recorder.crown(content)
    values = {f"val/{name}": value for name, value in content["val"].items()}
    values |= {"trials": float(sum(1 for _ in book.contents("trial"))), "test_openings": float(len(content["openings"]))}
    recorder.finish(report, content["verdict"], values, max(last, content["finished"]))
