"""Checks that what a study has on disk, in Optuna's database and in MLflow is whole and says the same. Changes nothing.

In: a study's records. Out: what is wrong, one line each; `repair` acts on them.
"""

from __future__ import annotations

import gc
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from regsweep.book import RecordBook
from regsweep.errors import RegsweepError, StorageError, UnreadableError
from regsweep.folder import leftovers, read_folder, read_json
from regsweep.pareto import front_of
from regsweep.paths import Workspace
from regsweep.record import TrialRecord
from regsweep.search import Told, kept_trials, reports_of
from regsweep.sums import SUMS_FILE, differences, digest, is_whole, read_sums
from regsweep.tracking.content import Point, RunContent, baseline_run, champion_run, trial_run
from regsweep.tracking.inspection import Inspection, Recorded, inspect
from regsweep.tracking.names import PARETO, RECORD, SUMS

# What is left in a model's own folder when that is loaded: by MLflow, for its registered name, and by Python.
LOADED: Final = "model/registered_model_meta"
COMPILED: Final = "model/__pycache__/"


@dataclass(frozen=True)
class Finding:
    """Something that is wrong; `run` is the id of a run in MLflow that has to be written anew, or to go."""

    text: str
    run: str | None = None


@dataclass(frozen=True)
class Checked:
    """A study as it was found: Optuna holds `told` of `n_trials` trials; it is `judged` once a champion was scored.

    `ended`: the budget that has ended the search at these trials, in words.
    """

    study: str
    told: int
    n_trials: int
    judged: bool
    findings: tuple[Finding, ...]
    ended: str | None = None


def check(workspace: Workspace, book: RecordBook) -> Checked:
    """Compare a study's records with what Optuna and MLflow hold of it."""
    with _no_collection():
        return _check(workspace, book)


@contextmanager
def _no_collection() -> Iterator[None]:
    # Half a million metric points are held at once; the collector would look at them again and again.
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _check(workspace: Workspace, book: RecordBook) -> Checked:
    findings = [Finding(f"{place}: was left by a crash") for place in leftovers(book.folder)]
    try:
        facts = book.facts()
        book.features()
    except (RegsweepError, KeyError, TypeError) as error:
        return Checked(book.folder.name, 0, 0, False, (*findings, Finding(str(error).splitlines()[0])))
    records, damaged = _records(book)
    findings += damaged
    findings += _note(book)
    contents = [trial_run(book, record, None) for record in records.values()]
    findings += _insight(book)
    findings += [Finding(f"{place}: is not what was written; {remedy}") for place, remedy in damaged_folders(book)]
    judged, scores, problems = _scores(book, records)
    findings += problems
    kept: tuple[Told | None, ...] = ()
    try:
        kept = kept_trials(workspace, facts.study)
        findings += _slots(records, kept)
        found = inspect(workspace, book, facts)
        ended = judged and not book.ending.cut_short() and (book.complete() or len(kept) >= facts.config.n_trials)
        findings += _study_runs(found.studies, bool(contents), ended=ended)
        findings += _child_runs(found, (*contents, *scores))
        if ended and not damaged:
            findings += _front(found, front_of(book.contents("trial"), facts.config.objectives))
    except StorageError as error:
        findings += [Finding(problem) for problem in error.problems]
    return Checked(facts.study, len(kept), facts.config.n_trials, judged, tuple(findings), book.ended())


def _records(book: RecordBook) -> tuple[dict[int, TrialRecord], list[Finding]]:
    records, damaged = {}, []
    for number in book.numbers():
        try:
            record = book.trial(number)
        except UnreadableError as error:
            damaged += [Finding(problem) for problem in error.problems]
            continue
        assert record is not None
        records[number] = record
    return records, damaged


def _note(book: RecordBook) -> Iterator[Finding]:
    """The note of what ended the search may be missing, but not damaged."""
    try:
        if (place := book.ending.place).is_file():
            read_json(place)
    except UnreadableError as error:
        yield Finding(error.problems[0])


def _slots(records: Mapping[int, TrialRecord], kept: Sequence[Told | None]) -> Iterator[Finding]:
    """Every trial has one slot, ended, with the record's hyperparameters, state and value, to the last bit."""
    for number, told in enumerate(kept):
        record = records.get(number)
        if told is None:
            yield Finding(f"trial {number}: Optuna holds it as running")
        elif told.number != number:
            yield Finding(f"trial {told.number}: Optuna holds it in slot {number}")
        elif record is None:
            yield Finding(f"trial {number}: Optuna holds it, but it has no whole record")
        elif record.ended_as != told.ended_as:
            mine = " ".join(map(repr, (record.objective, *record.others)))
            theirs = " ".join(map(repr, (told.value, *told.others)))
            mine, theirs = f"{record.result.state} {mine}", f"{told.state} {theirs}"
            yield Finding(f"trial {number}: its record says {mine}, Optuna {theirs}")
        elif told.reports != reports_of(record.facts.config, record.result):
            yield Finding(f"trial {number}: Optuna holds other reports of its curve than its record")
        elif not told.params.items() <= dict(record.params).items():
            yield Finding(f"trial {number}: Optuna holds other hyperparameters than its record")
    for number in _untold(records, len(kept)):
        yield Finding(f"trial {number}: has a record that Optuna was not told")


def _untold(records: Mapping[int, TrialRecord], told: int) -> Iterator[int]:
    """The trials on record that should have been told; under `search.order=free` one waits for all with lower numbers."""
    following = told
    for number in sorted(number for number in records if number >= told):
        if number == following or records[number].facts.config.search.order == "fixed":
            yield number
        following += number == following


def _insight(book: RecordBook) -> Iterator[Finding]:
    """What the study taught is whole, if it is there."""
    if book.insight.exists():
        try:
            read_json(book.insight)
        except UnreadableError as error:
            yield from (Finding(problem) for problem in error.problems)


def damaged_folders(book: RecordBook) -> Iterator[tuple[Path, str]]:
    """Of what may go, finalists and the champions' networks as Keras files, what is not whole, and where it is to be had."""
    for place, by_run in book.remade():
        if not is_whole(place):
            again, copied = "the same `regsweep run` makes it again", "that champion's run in MLflow has its networks"
            yield place, again if by_run else copied


def _scores(book: RecordBook, records: Mapping[int, TrialRecord]) -> tuple[bool, list[RunContent], list[Finding]]:
    """Whether the study is judged, the runs of what was scored on the test rows, and what is missing of it."""
    if not book.scored():
        return False, [], []
    runs: list[RunContent] = []
    problems: list[Finding] = []
    try:
        openings = read_folder(book.folder / "test-openings")[0]["openings"]
        place = book.folder / "champion"
        champion = read_folder(place)[0] if place.is_dir() else None
        if champion is None or champion["openings"] != openings:
            opened = openings[-1].get("baseline") or f"trial {openings[-1]['trial']}"
            problems.append(
                Finding(f"the test rows are open for {opened}, but its scores are missing: the same `regsweep run` takes them")
            )
        elif not book.judged():
            early = "a stop came before its champion's networks were written: the same `regsweep run` writes them"
            return False, [], [Finding(early)]
        elif champion.get("baseline") is not None:
            runs.append(champion_run(book, None, champion, None))
        elif champion["trial"] in records:
            runs.append(champion_run(book, records[champion["trial"]], champion, None))
        names = openings[-1]["baselines"]
    except UnreadableError as error:
        return True, [], [Finding(problem) for problem in error.problems]
    for name in names:
        try:
            runs.append(baseline_run(book, read_folder(book.folder / f"baseline-{name}")[0]))
        except UnreadableError as error:
            problems += [Finding(problem) for problem in error.problems]
    return champion is not None, runs, problems


def _study_runs(studies: Sequence[Recorded], begun: bool, *, ended: bool) -> Iterator[Finding]:
    if not studies and begun:
        yield Finding("MLflow has no run of the study")
    for run in studies[:1]:
        if run.status == "RUNNING" or (ended and run.status != "FINISHED"):
            yield Finding(f"run {run.id}: the study's is {run.status}")
    yield from (Finding(f"run {run.id}: is the study's a second time", run=run.id) for run in studies[1:])


def _child_runs(found: Inspection, contents: Iterable[RunContent]) -> Iterator[Finding]:
    """One ended run per trial, baseline and champion, with the record's parameters, metrics and artifacts."""
    count = Counter(run.child for run in found.children)
    runs = {run.child: run for run in found.children}
    for content in contents:
        child = (content.kind, content.key)
        if child not in runs:
            yield Finding(f"{content.name}: MLflow has no run of it")
            continue
        run = runs.pop(child)
        if count[child] > 1:
            doubles = [other for other in found.children if other.child == child]
            yield from (Finding(f"run {other.id}: {content.name} has {len(doubles)} runs", run=other.id) for other in doubles)
        else:
            yield from (Finding(f"run {run.id} ({content.name}): {text}", run=run.id) for text in _differences(content, run))
    for (kind, key), run in runs.items():
        # Champions and baselines of earlier openings keep their runs.
        if kind == "trial":
            yield Finding(f"run {run.id}: trial {key} has no whole record")
    yield from (Finding(f"{place}: artifacts of no run", run=place.name) for place in found.orphans)


def _front(found: Inspection, front: set[int]) -> Iterator[Finding]:
    """The runs of the trials on the Pareto front say so, and no others."""
    tagged = {int(run.child[1]) for run in found.children if run.child[0] == "trial" and PARETO in run.tags}
    if tagged != front:
        listed = ", ".join(map(str, sorted(front ^ tagged)))
        yield Finding(f"MLflow's tags of the Pareto front are not the records': trial {listed}")


def _differences(content: RunContent, run: Recorded) -> Iterator[str]:
    if run.status != content.status:
        yield f"is {run.status}, should be {content.status}"
    if run.params != {key: str(value) for key, value in content.params.items()}:
        yield "its parameters are not the record's"
    tags = {key: value for key, value in content.tags.items() if key.startswith("regsweep.")}
    tags[RECORD] = digest(content.record) or ""
    if not tags.items() <= run.tags.items():
        yield "its tags are not the record's"
    # MLflow's database gives points in the order in which they were written.
    if list(content.points) != run.points:
        expected, found = Counter(map(_comparable, content.points)), Counter(map(_comparable, run.points))
        if expected != found:
            lacking, superfluous = (expected - found).total(), (found - expected).total()
            yield f"lacks {lacking} of its {expected.total()} metric points and has {superfluous} others"
    if run.folder is not None:
        yield from _artifacts(run)


def _artifacts(run: Recorded) -> Iterator[str]:
    assert run.folder is not None
    try:
        listed = read_sums(run.folder)
    except (OSError, ValueError):
        yield f"{run.folder / SUMS_FILE}: can't be read"
        return
    if digest(run.folder) != run.tags.get(SUMS):
        yield f"{run.folder / SUMS_FILE}: is not what was recorded"
    found = (name for name in differences(run.folder, listed) if name != LOADED and not name.startswith(COMPILED))
    yield from (f"{run.folder / name}: is not what was recorded" for name in found)


def _comparable(point: Point) -> tuple[Any, ...]:
    # NaN equals itself here.
    key, value, time, step = point
    return key, "nan" if math.isnan(value) else value, time, step
