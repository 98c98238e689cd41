"""Checks that what a study has on disk, in Optuna's database and in MLflow is whole and says the same. Changes nothing.

In: a study's records. Out: what is wrong, one line each; `repair` acts on them.
"""

from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from regsweep.book import RecordBook, read_champion
from regsweep.errors import UnreadableError
from regsweep.folder import leftovers
from regsweep.paths import Workspace
from regsweep.record import TrialRecord
from regsweep.search import Told, kept_trials
from regsweep.sums import SUMS_FILE, differences, digest, read_sums
from regsweep.tracking.content import Point, RunContent, baseline_run, champion_run, trial_run
from regsweep.tracking.inspection import Inspection, Recorded, inspect
from regsweep.tracking.names import RECORD, SUMS


@dataclass(frozen=True)
class Finding:
    """Something that is wrong: a record by its folder's name, a run by its id, or neither."""

    text: str
    record: str | None = None
    run: str | None = None
    optuna: bool = False


@dataclass(frozen=True)
class Checked:
    """A study as it was found. `told` of `n_trials` trials have ended; it is `judged` once its champion was scored."""

    study: str
    told: int
    n_trials: int
    judged: bool
    findings: tuple[Finding, ...]


def check(workspace: Workspace, book: RecordBook) -> Checked:
    """Compare a study's records with what Optuna and MLflow hold of it. Raises StorageError where one can't be read."""
    facts = book.facts()
    findings = [Finding(f"{place}: was left by a crash") for place in leftovers(book.folder)]
    records, damaged = _records(book)
    findings += damaged
    kept = kept_trials(workspace, facts.study)
    findings += _slots(records, kept, {finding.record for finding in damaged})
    contents = [trial_run(book, record, None) for record in records.values()]
    judged, more = False, list[RunContent]()
    try:
        more, judged = _judgement(book, records)
    except UnreadableError as error:
        findings += [Finding(problem, record="champion") for problem in error.problems]
    findings += _mlflow(inspect(workspace, facts), contents, more, judged=judged)
    return Checked(facts.study, len(kept), facts.config.n_trials, judged, tuple(findings))


def _records(book: RecordBook) -> tuple[dict[int, TrialRecord], list[Finding]]:
    records, damaged = {}, []
    for number in book.numbers():
        try:
            record = book.trial(number)
        except UnreadableError as error:
            damaged += [Finding(problem, record=book.place(number).name) for problem in error.problems]
            continue
        assert record is not None
        records[number] = record
    return records, damaged


def _slots(records: Mapping[int, TrialRecord], kept: Sequence[Told | None], damaged: set[str | None]) -> Iterator[Finding]:
    """Every trial has one slot, ended, whose state and value are the record's to the last bit."""
    for number, told in enumerate(kept):
        name = f"trial-{number:05d}"
        record = records.get(number)
        if told is None:
            yield Finding(f"trial {number}: Optuna holds it as running", optuna=True)
        elif told.number != number:
            yield Finding(f"trial {told.number}: Optuna holds it in slot {number}", optuna=True)
        elif record is None:
            if name not in damaged:
                yield Finding(f"trial {number}: Optuna holds it, but it has no record", record=name)
        elif (record.result.state, record.objective) != (told.state, told.value):
            mine, theirs = f"{record.result.state} {record.objective!r}", f"{told.state} {told.value!r}"
            yield Finding(f"trial {number}: its record says {mine}, Optuna {theirs}", optuna=True)
    for number in sorted(records):
        if number >= len(kept):
            yield Finding(f"trial {number}: has a record that Optuna was not told", optuna=True)


def _judgement(book: RecordBook, records: Mapping[int, TrialRecord]) -> tuple[list[RunContent], bool]:
    runs = [baseline_run(book, content) for content in book.contents("baseline")]
    champion = read_champion(book)
    if champion is None:
        return [], False
    if champion["trial"] in records:
        runs.append(champion_run(book, records[champion["trial"]], champion, None))
    return runs, True


def _mlflow(found: Inspection, trials: list[RunContent], more: list[RunContent], *, judged: bool) -> Iterator[Finding]:
    """One ended run per trial, baseline and champion, with the record's parameters, metrics and artifacts."""
    yield from (Finding(f"{place}: artifacts of no run", run=place.name) for place in found.orphans)
    if not found.studies and (trials or more):
        yield Finding("MLflow has no run of the study")
    for number, run in enumerate(found.studies):
        if number:
            yield Finding(f"run {run.id}: is the study's a second time", run=run.id)
        elif run.status == "RUNNING" or (judged and run.status != "FINISHED"):
            yield Finding(f"run {run.id}: the study's is {run.status}")
    count = Counter(run.child for run in found.children)
    runs = {run.child: run for run in found.children}
    for content in (*trials, *more):
        child = (content.kind, content.key)
        if child not in runs:
            yield Finding(f"{content.name}: MLflow has no run of it")
            continue
        run = runs.pop(child)
        if count[child] > 1:
            yield from (
                Finding(f"run {other.id}: {content.name} has {count[child]} runs", run=other.id)
                for other in found.children
                if other.child == child
            )
        else:
            yield from (Finding(f"run {run.id} ({content.name}): {text}", run=run.id) for text in _differences(content, run))
    for child, run in runs.items():
        # Champions of earlier openings keep their runs.
        if child[0] not in ("champion", "baseline"):
            yield Finding(f"run {run.id}: {' '.join(child)} has no record", run=run.id)


def _differences(content: RunContent, run: Recorded) -> Iterator[str]:
    if run.status != content.status:
        yield f"is {run.status}, should be {content.status}"
    if run.params != {key: str(value) for key, value in content.params.items()}:
        yield "its parameters are not the record's"
    tags = {key: value for key, value in content.tags.items() if key.startswith("regsweep.")}
    tags[RECORD] = digest(content.record) or ""
    if not tags.items() <= run.tags.items():
        yield "its tags are not the record's"
    expected, found = Counter(map(_stored, content.points)), Counter(map(_stored, run.points))
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
    yield from (f"{run.folder / name}: is not what was recorded" for name in differences(run.folder, listed))


def _stored(point: Point) -> tuple[Any, ...]:
    # As MLflow stores them: infinities are the greatest doubles; NaN equals itself here.
    key, value, time, step = point
    return key, "nan" if math.isnan(value) else max(-sys.float_info.max, min(sys.float_info.max, value)), time, step
