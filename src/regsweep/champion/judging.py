"""Opens the test rows once for the champion that validation has named, and judges it beside the baselines.

In: the records of a finished study. Out: records `baseline-NAME` and `champion`, from which tracking and leaderboard read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from regsweep.baselines.run import BaselineResult, run_baselines
from regsweep.book import RecordBook, read_champion
from regsweep.champion.choice import Choice, choose
from regsweep.champion.ensemble import validation_predictions
from regsweep.champion.openings import read_openings, write_openings
from regsweep.champion.training import Trainings
from regsweep.config import StudyConfig
from regsweep.data.features import Array64, Prepared
from regsweep.data.sealed import TestRows
from regsweep.errors import StorageError, UnreadableError
from regsweep.failpoints import reach
from regsweep.judgement import class_scores_with_intervals, paired_difference, score_with_intervals, verdict
from regsweep.metrics import score
from regsweep.predictor import Model, blend
from regsweep.record import StudyFacts, TrialRecord
from regsweep.tasks import BINARY
from regsweep.trial import TrialResult, higher_is_better


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
        content = _score(book, facts, data, chosen, records, model, openings, unseal, clock)
    return Judgement(records[chosen.trial], content, _note(best, chosen, same_baselines=same_baselines))


def champion_model(chosen: Choice, results: Mapping[int, TrialResult], data: Prepared, trainings: Trainings) -> Model:
    """Make the champion's model of what its trials came to."""
    if chosen.kind == "refit":
        return trainings.refitted(results[chosen.trial])
    return blend([(data.encoding.model(results[number]), weight) for number, weight in chosen.members])


def _validation(chosen: Choice, records: dict[int, TrialRecord], data: Prepared) -> dict[str, float]:
    """Scores on the validation rows, mean over folds. A refitted champion has seen them all: its trial's count."""
    if len(chosen.members) == 1:
        final = records[chosen.trial].result.final
        return {name.removeprefix("val/"): value for name, value in final.items() if name.startswith("val/")}
    parts = [weight * validation_predictions(records[number].result, data) for number, weight in chosen.members]
    ends = np.cumsum([len(fold.y_val) for fold in data.folds])[:-1]
    split = zip(data.folds, np.split(np.sum(parts, axis=0), ends), strict=True)
    scores = [score(fold.y_val, prediction, data.task) for fold, prediction in split]
    return {name: float(np.mean([getattr(one, name) for one in scores])) for name in data.task.metrics}


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


def _score(
    book: RecordBook,
    facts: StudyFacts,
    data: Prepared,
    chosen: Choice,
    records: dict[int, TrialRecord],
    model: Model,
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
    prediction = model.predict(test.x)
    differences = [
        paired_difference(
            test.y, prediction, other, baseline=name, metric=metric, resamples=config.bootstrap_resamples, seed=config.seed
        )
        for name, other in predictions.items()
        for metric in data.task.compared
    ]
    best_baseline = (max if higher_is_better(config.objective) else min)(validation, key=validation.__getitem__, default=None)
    reached = _validation(chosen, records, data)
    intervals = _intervals(config, test.y, prediction)
    label = _label(chosen, model)
    sentence = verdict(
        facts.dataset.unit,
        label,
        differences,
        best_baseline=best_baseline,
        reference=data.task.reference,
        metric=data.task.verdict,
    )
    content = {
        "kind": "champion",
        **chosen.to_json(),
        "name": chosen.name,
        "label": label,
        "val": reached,
        "test": intervals,
        "optimism": _optimism(reached, intervals),
        "differences": [asdict(difference) for difference in differences],
        "verdict": sentence,
        "openings": openings,
        "started": started,
        "finished": clock(),
        "model": model.describe(),
        **facts.to_json(),
    }
    book.write("champion", content, {"y": test.y, "prediction": prediction, **model.arrays})
    reach("judge/judged")
    return content


def _label(chosen: Choice, model: Model) -> str:
    linear = all(len(member.kernels) == 1 for member in model.networks)
    if len(chosen.members) > 1:
        return "the ensemble of linear networks (depth 0)" if linear else "the ensemble of networks"
    return "the linear network (depth 0)" if linear else "the network"


def _optimism(reached: dict[str, float], test: dict[str, Any]) -> dict[str, float | None]:
    """By how much the champion does worse on test than on the validation rows by which it was chosen; negative: better."""
    found = {}
    for name, value in reached.items():
        there = test[name]["value"]
        found[name] = None if there is None else (value - there if higher_is_better(name) else there - value)
    return found


def _intervals(config: StudyConfig, y: Array64, prediction: Array64) -> dict[str, Any]:
    scored = class_scores_with_intervals if config.predicts == BINARY else score_with_intervals
    return asdict(scored(y, prediction, resamples=config.bootstrap_resamples, seed=config.seed))


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
