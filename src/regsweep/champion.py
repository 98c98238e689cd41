"""Names the champion by validation, opens the test rows once, and judges it beside the baselines.

In: the records of a finished study. Out: records `baseline-NAME` and `champion`, from which tracking and leaderboard read.
Every opening of the test rows is on disk before a row of them is read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from regsweep.baselines.run import BaselineResult, run_baselines
from regsweep.book import RecordBook, read_champion
from regsweep.config import StudyConfig
from regsweep.data.features import Array64, Prepared
from regsweep.data.sealed import TestRows
from regsweep.errors import StorageError, UnreadableError
from regsweep.failpoints import reach
from regsweep.folder import read_content
from regsweep.judgement import paired_difference, score_with_intervals, verdict
from regsweep.record import StudyFacts, TrialRecord
from regsweep.trial import State, higher_is_better

REFERENCE = "least_squares_qr"
METRICS: tuple[Literal["mae", "mse"], ...] = ("mae", "mse")


@dataclass(frozen=True)
class Judgement:
    """The champion's record as JSON values, its trial, and a note where a better trial waits for the test rows to be reopened."""

    trial: TrialRecord
    content: dict[str, Any]
    note: str | None


def best_trial(records: Iterable[TrialRecord], objective: str) -> TrialRecord | None:
    """The complete trial with the best objective; of equal ones the first."""
    complete = [record for record in records if record.result.state is State.COMPLETE]
    sign = -1 if higher_is_better(objective) else 1
    return min(complete, key=lambda record: (sign * record.result.final[objective], record.number), default=None)


def judge(
    book: RecordBook, facts: StudyFacts, data: Prepared, unseal: Callable[[], TestRows], clock: Callable[[], int]
) -> Judgement | None:
    """Name and score the champion. Returns None where no trial is complete.

    `unseal` gives the test rows; it is called once, after the opening is on record. Rows that were opened for a trial stay
    closed to a later champion and to other baselines unless `reopen_test` is set; the note says so. Raises StorageError if
    the trial they were opened for has no record.
    """
    best = best_trial(book.trials(), facts.config.objective)
    if best is None:
        return None
    openings = read_openings(book)
    opened = openings[-1] if openings else None
    wanted = list(facts.config.baselines.names)
    same_baselines = opened is None or set(opened["baselines"]) == set(wanted)
    changed = opened is not None and not (opened["trial"] == best.number and same_baselines)
    if opened is None or (changed and facts.config.reopen_test):
        scored, same_baselines = best, True
        openings = [*openings, {"trial": best.number, "baselines": wanted, "at": clock()}]
        reach("judge/opening")
        book.write("test-openings", {"kind": "test-openings", "openings": openings}, {})
        reach("judge/opened")
    else:
        found = book.trial(opened["trial"])
        if found is None:
            problem = (
                f"trial {opened['trial']}, for which the test rows were opened, has no record; `regsweep repair` restores it"
            )
            raise StorageError(f"{book.folder}: {problem}")
        scored = found
    # Scored again on rows that are open already, a champion comes out the same.
    content = _scored_before(book, openings) or _score(book, facts, data, scored, openings, unseal, clock)
    return Judgement(scored, content, _note(best, scored, same_baselines=same_baselines))


def read_openings(book: RecordBook) -> list[dict[str, Any]]:
    """Every opening of the test rows, first to last: for which trial and which baselines, when.

    They stand in two records, of which one is restored from the other. Raises UnreadableError where both are gone.
    """
    kept, scored = (_openings_in(book.folder / name) for name in ("test-openings", "champion"))
    known = max(kept, scored, key=len)
    if not known and (scores := book.scored()):
        raise UnreadableError(
            f"{scores[0]}: the test rows have been opened, but the record of when and for what is lost; "
            f"restore {book.folder / 'test-openings'}, or begin another study with study=NAME"
        )
    if known != kept:
        book.write("test-openings", {"kind": "test-openings", "openings": known}, {})
    return known


def _openings_in(place: Path) -> list[dict[str, Any]]:
    try:
        return list(read_content(place)["openings"])
    except UnreadableError:
        return []


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


def _note(best: TrialRecord, scored: TrialRecord, *, same_baselines: bool) -> str | None:
    if best.number != scored.number:
        changed = f"trial {best.number} is now best by validation, but the test rows were opened for trial {scored.number}"
    elif not same_baselines:
        changed = "other baselines are asked for, but the test rows were opened for those that are shown"
    else:
        return None
    return f"{changed}; reopen_test=true scores on them again, and leaves a trace"


def _score(
    book: RecordBook,
    facts: StudyFacts,
    data: Prepared,
    scored: TrialRecord,
    openings: list[dict[str, Any]],
    unseal: Callable[[], TestRows],
    clock: Callable[[], int],
) -> dict[str, Any]:
    """Score champion and baselines on the test rows and write their records; returns the champion's."""
    config = facts.config
    book.remove("baseline")
    started = clock()
    test = unseal()
    predictions: dict[str, Array64] = {}
    validation: dict[str, float] = {}
    # Which baselines are scored was said when the rows were opened.
    compared = config.baselines.model_copy(update={"names": tuple(openings[-1]["baselines"])})
    for result in run_baselines(compared, data, test.x):
        finished = clock()
        predictions[result.name] = result.test_prediction
        validation[result.name] = asdict(result.val)[config.objective.removeprefix("val/")]
        content = _baseline_json(facts, result, test.y, (started, finished))
        book.write(f"baseline-{result.name}", content, {"y": test.y, "prediction": result.test_prediction})
        started = finished
    prediction = data.encoding.model(scored.result).predict(test.x)
    differences = [
        paired_difference(
            test.y, prediction, other, baseline=name, metric=metric, resamples=config.bootstrap_resamples, seed=config.seed
        )
        for name, other in predictions.items()
        for metric in METRICS
    ]
    best_baseline = (max if higher_is_better(config.objective) else min)(validation, key=validation.__getitem__, default=None)
    label = "the network" if scored.result.spec.depth else "the linear network (depth 0)"
    sentence = verdict(facts.dataset.unit, label, differences, best_baseline=best_baseline, reference=REFERENCE)
    content = {
        "kind": "champion",
        "trial": scored.number,
        "val": {name.removeprefix("val/"): value for name, value in scored.result.final.items() if name.startswith("val/")},
        "test": _intervals(config, test.y, prediction),
        "differences": [asdict(difference) for difference in differences],
        "verdict": sentence,
        "openings": openings,
        "started": started,
        "finished": clock(),
        **facts.to_json(),
    }
    book.write("champion", content, {"y": test.y, "prediction": prediction})
    reach("judge/judged")
    return content


def _intervals(config: StudyConfig, y: Array64, prediction: Array64) -> dict[str, Any]:
    return asdict(score_with_intervals(y, prediction, resamples=config.bootstrap_resamples, seed=config.seed))


def _baseline_json(facts: StudyFacts, result: BaselineResult, y: Array64, times: tuple[int, int]) -> dict[str, Any]:
    return {
        "kind": "baseline",
        "name": result.name,
        "parameters": dict(result.parameters),
        "val": asdict(result.val),
        "test": _intervals(facts.config, y, result.test_prediction),
        "seconds": result.seconds,
        "started": times[0],
        "finished": times[1],
        **facts.to_json(),
    }
