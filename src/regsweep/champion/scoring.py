"""Scores a champion that has been named, and the baselines, on the test rows.

In: the champion's model, the opening of the test rows. Out: records `baseline-NAME` and `champion`. Main calls: `score_all`, and
`validation_scores` for what a champion reached on the validation rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from regsweep.baselines.run import BaselineResult, run_baselines
from regsweep.book import RecordBook
from regsweep.champion.choice import Choice
from regsweep.champion.ensemble import validation_predictions
from regsweep.config import StudyConfig
from regsweep.data.features import Array64, Prepared
from regsweep.data.sealed import TestRows
from regsweep.failpoints import reach
from regsweep.judgement import class_scores_with_intervals, paired_difference, score_with_intervals, verdict
from regsweep.metrics import score
from regsweep.predictor import Model
from regsweep.record import StudyFacts, TrialRecord
from regsweep.tasks import BINARY
from regsweep.trial import higher_is_better


def score_all(
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
    """Score champion and baselines on the test rows and write their records; returns the champion's.

    `unseal` gives the test rows; the last of the `openings` is on record.
    """
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
    reached = validation_scores(chosen, records, data)
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


def validation_scores(chosen: Choice, records: Mapping[int, TrialRecord], data: Prepared) -> dict[str, float]:
    """Scores on the validation rows, mean over folds. A refitted champion has seen them all: its trial's count."""
    if len(chosen.members) == 1:
        final = records[chosen.trial].result.final
        return {name.removeprefix("val/"): value for name, value in final.items() if name.startswith("val/")}
    parts = [weight * validation_predictions(records[number].result, data) for number, weight in chosen.members]
    ends = np.cumsum([len(fold.y_val) for fold in data.folds])[:-1]
    split = zip(data.folds, np.split(np.sum(parts, axis=0), ends), strict=True)
    scores = [score(fold.y_val, prediction, data.task) for fold, prediction in split]
    return {name: float(np.mean([getattr(one, name) for one in scores])) for name in data.task.metrics}
