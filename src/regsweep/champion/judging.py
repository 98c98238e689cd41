"""Opens the test rows once for the champion that validation has named, and judges it beside the baselines.

In: the records of a finished study. Out: records `baseline-NAME` and `champion`, from which tracking and leaderboard read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from regsweep.book import RecordBook, read_champion
from regsweep.champion.choice import Choice, choose
from regsweep.champion.openings import read_openings, write_openings
from regsweep.champion.scoring import score_all
from regsweep.champion.training import Trainings
from regsweep.data.features import Prepared
from regsweep.data.sealed import TestRows
from regsweep.errors import StorageError, UnreadableError
from regsweep.predictor import Model, blend
from regsweep.record import StudyFacts, TrialRecord
from regsweep.trial import TrialResult


@dataclass(frozen=True)
class Judgement:
    """The champion's record as JSON values, the trial that leads it, and a note where a better one waits to be scored."""

    trial: TrialRecord
    content: dict[str, Any]
    note: str | None


def judge(
    book: RecordBook,
    facts: StudyFacts,
    trials: Sequence[TrialRecord],
    data: Prepared,
    trainings: Trainings,
    unseal: Callable[[], TestRows],
    clock: Callable[[], int],
) -> Judgement | None:
    """Name and score the champion among a study's trials. Returns None where none is complete.

    `unseal` gives the test rows; it is called once, after the opening is on record. Rows that were opened for a champion stay
    closed to a later one and to other baselines unless `reopen_test` is set; the note says so. Raises StorageError if a trial
    they were opened for has no record.
    """
    best = choose(book, trials, facts.config, data, trainings.on_folds)
    if best is None:
        return None
    openings = read_openings(book)
    opened = openings[-1] if openings else None
    wanted = list(facts.config.baselines.names)
    chosen = best if opened is None else Choice.from_json(opened)
    same_baselines = opened is None or set(opened["baselines"]) == set(wanted)
    if opened is None or (facts.config.reopen_test and not (chosen == best and same_baselines)):
        chosen, same_baselines = best, True
        openings = [*openings, {**best.to_json(), "baselines": wanted, "at": clock()}]
        write_openings(book, openings)
    known = {record.number: record for record in trials}
    if gone := [number for number, _ in chosen.members if number not in known]:
        problem = f"trial {gone[0]}, for which the test rows were opened, has no record; `regsweep repair` restores it"
        raise StorageError(f"{book.folder}: {problem}")
    records = {number: known[number] for number, _ in chosen.members}
    # Scored again on rows that are open already, a champion comes out the same.
    content = _scored_before(book, openings)
    if content is None:
        model = champion_model(chosen, {number: record.result for number, record in records.items()}, data, trainings)
        content = score_all(book, facts, data, chosen, records, model, openings, unseal, clock)
    return Judgement(records[chosen.trial], content, _note(best, chosen, same_baselines=same_baselines))


def champion_model(chosen: Choice, results: Mapping[int, TrialResult], data: Prepared, trainings: Trainings) -> Model:
    """Make the champion's model of what its trials came to."""
    if chosen.kind == "refit":
        return trainings.refitted(results[chosen.trial])
    return blend([(data.encoding.model(results[number]), weight) for number, weight in chosen.members])


def _scored_before(book: RecordBook, openings: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The champion's record, if it and the baselines it was compared with are there and of the last opening."""
    try:
        champion = read_champion(book)
        baselines = {content["name"] for content in book.contents("baseline")}
    except UnreadableError:
        return None
    if champion is None or champion["openings"] != openings or baselines != set(openings[-1]["baselines"]):
        return None
    return champion


def _note(best: Choice, scored: Choice, *, same_baselines: bool) -> str | None:
    if best != scored:
        names = (best.name, scored.name) if best.name != scored.name else (f"another {best.name}", "the one that is shown")
        changed = f"{names[0]} is now best by validation, but the test rows were opened for {names[1]}"
    elif not same_baselines:
        changed = "other baselines are asked for, but the test rows were opened for those that are shown"
    else:
        return None
    return f"{changed}; reopen_test=true scores on them again, and leaves a trace"
