"""Opens the test rows once for the champion that validation has named, and judges it beside the baselines.

In: the records of a finished study. Out: records `baseline-NAME` and `champion`, from which tracking and leaderboard read.
Main call: `judge`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from regsweep.book import RecordBook
from regsweep.champion.candidates import first_of_all, fitted_candidates, reached_by, stand
from regsweep.champion.choice import Choice, choose
from regsweep.champion.openings import read_openings, write_openings
from regsweep.champion.scoring import score_all
from regsweep.champion.training import Trainings
from regsweep.config import StudyConfig, load_saved
from regsweep.config.schema import BaselinesConfig
from regsweep.data.features import Prepared
from regsweep.data.sealed import TestRows
from regsweep.errors import StorageError, UnreadableError
from regsweep.folder import read_folder
from regsweep.record import StudyFacts, TrialRecord


@dataclass(frozen=True)
class Judgement:
    """The champion's record as JSON values, the trial that leads its networks, and a note where a better one waits to be scored.

    Where the champion is a baseline, `trial` leads the networks that it is compared with.
    """

    trial: TrialRecord
    content: dict[str, Any]
    note: str | None

    @property
    def baseline(self) -> str | None:
        """The name of the baseline that is champion; None if networks are."""
        name: str | None = self.content.get("baseline")
        return name


def judge(
    book: RecordBook,
    facts: StudyFacts,
    trials: Sequence[TrialRecord],
    data: Prepared,
    trainings: Trainings,
    unseal: Callable[[], TestRows],
    clock: Callable[[], int],
) -> Judgement | None:
    """Name and score the champion among a study's trials, and its baselines if they stand. None where no trial is complete.

    `unseal` gives the test rows; it is called once, after the opening is on record. Rows that were opened for a champion stay
    closed to a later one and to other baselines unless `reopen_test` is set; the note says so. Raises StorageError if a trial
    they were opened for has no record.
    """
    best = choose(book, trials, facts.config, data, trainings.on_folds)
    if best is None:
        return None
    known = {record.number: record for record in trials}
    fits, said = fitted_candidates(facts.config, data), {}
    if fits:
        reached = reached_by(best, known, fits, data, facts.config.objective)
        best = first_of_all(best, reached, facts.config.objective)
        said = {"validation": {name: value if math.isfinite(value) else None for name, value in reached.items()}}
    openings = read_openings(book)
    opened = openings[-1] if openings else None
    wanted = facts.config.baselines
    chosen = best if opened is None else Choice.from_json(opened)
    same_baselines = opened is None or (set(opened["baselines"]), _seed_of(opened, wanted)) == (set(wanted.names), wanted.seed)
    made = None
    if opened is None or (facts.config.reopen_test and not (chosen == best and same_baselines)):
        # A champion that can't be made opens nothing.
        made = stand(best, known, fits, data, trainings)
        chosen, same_baselines = best, True
        compared = {"baselines": list(wanted.names), "baselines_seed": wanted.seed}
        openings = [*openings, {**best.to_json(), **compared, **said, "at": clock()}]
        write_openings(book, openings)
    if gone := [number for number, _ in chosen.members if number not in known]:
        problem = f"trial {gone[0]}, for which the test rows were opened, has no record; `regsweep repair` restores it"
        raise StorageError(f"{book.folder}: {problem}")
    records = {number: known[number] for number, _ in chosen.members}
    content = scored_before(book, facts.config, openings)
    if content is None:
        # Scored again on rows that are open already, a champion comes out the same, and so do the baselines.
        if (seed := _seed_of(openings[-1], wanted)) != wanted.seed:
            opened_for = facts.config.model_copy(update={"baselines": wanted.model_copy(update={"seed": seed})})
            facts, trainings, fits = replace(facts, config=opened_for), trainings.of(opened_for), {}
        champion, networks = made or stand(chosen, records, fits, data, trainings)
        refit = trainings.refit_rows(chosen.kind)
        content = score_all(book, facts, data, chosen, champion, networks, fits, refit, openings, unseal, clock)
    return Judgement(records[chosen.trial], content, _note(best, chosen, same_baselines=same_baselines))


def _seed_of(opening: Mapping[str, Any], wanted: BaselinesConfig) -> int:
    """The seed of the baselines that rows were opened for; early openings don't say."""
    seed: int = opening.get("baselines_seed", wanted.seed)
    return seed


def scored_before(book: RecordBook, config: StudyConfig, openings: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The champion's record, if it and the baselines it was compared with are there, whole and of the last opening.

    Not if its intervals or its unit are others than are asked for now.
    """
    try:
        champion, _ = read_folder(book.folder / "champion")
        baselines = {read_folder(place)[0]["name"] for place in book.folder.glob("baseline-*")}
    except UnreadableError:
        return None
    if champion["openings"] != openings or baselines != set(openings[-1]["baselines"]):
        return None
    return champion if _scored_as(champion, config) else None


def _scored_as(champion: Mapping[str, Any], config: StudyConfig) -> bool:
    """Whether a champion's intervals are of the resamples, and its sentences in the unit, that are asked for now."""
    then = load_saved(champion["config"])
    return (then.bootstrap_resamples, then.dataset.unit) == (config.bootstrap_resamples, config.dataset.unit)


def _note(best: Choice, scored: Choice, *, same_baselines: bool) -> str | None:
    if best != scored:
        names = (best.name, scored.name)
        if best.baseline is not None and best.baseline == scored.baseline:
            names = (f"{best.name} beside {best.networks.name}", f"{scored.name} beside {scored.networks.name}")
        if names[0] == names[1]:
            names = (f"another {best.name}", "the one that is shown")
        changed = f"{names[0]} is now best by validation, but the test rows were opened for {names[1]}"
    elif not same_baselines:
        changed = "other baselines are asked for, but the test rows were opened for those that are shown"
    else:
        return None
    return f"{changed}; reopen_test=true scores on them again, and leaves a trace"
