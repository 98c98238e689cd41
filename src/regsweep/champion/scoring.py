"""Scores a champion that has been named, and the baselines, on the test rows.

In: the champion's model, the opening of the test rows. Out: records `baseline-NAME` and `champion`. Main call: `score_all`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from regsweep.baselines.run import BaselineResult, FoldFits, run_baselines
from regsweep.book import RecordBook
from regsweep.champion.candidates import Candidate
from regsweep.champion.choice import Choice
from regsweep.config import StudyConfig
from regsweep.data.features import Array64, Prepared
from regsweep.data.sealed import TestRows
from regsweep.failpoints import reach
from regsweep.judgement import NETWORK, class_scores_with_intervals, paired_difference, score_with_intervals, verdict
from regsweep.record import StudyFacts
from regsweep.tasks import BINARY
from regsweep.trial import best_of, higher_is_better


def score_all(
    book: RecordBook,
    facts: StudyFacts,
    data: Prepared,
    chosen: Choice,
    champion: Candidate,
    networks: Candidate | None,
    fits: Mapping[str, FoldFits],
    refit: Prepared | None,
    openings: list[dict[str, Any]],
    unseal: Callable[[], TestRows],
    clock: Callable[[], int],
) -> dict[str, Any]:
    """Score champion and baselines on the test rows and write their records; returns the champion's.

    A champion that is a baseline is compared with the best `networks`, too. `fits` are the baselines that were fitted before,
    `refit` the rows on which those beside a refitted champion are fitted once more; `unseal` gives the test rows, and the last of
    the `openings` is on record.
    """
    config = facts.config
    book.remove("baseline")
    started = clock()
    test = unseal()
    predictions: dict[str, Array64] = {}
    validation: dict[str, float | None] = {}
    # Which baselines are scored was said when the rows were opened.
    compared = config.baselines.model_copy(update={"names": tuple(openings[-1]["baselines"])})
    for result in run_baselines(compared, data, test.x, fits, refit):
        finished = clock()
        predictions[result.name] = result.test_prediction
        validation[result.name] = asdict(result.val)[config.objective.removeprefix("val/")]
        content = _baseline_json(facts, result, test.y, (started, finished))
        book.write(f"baseline-{result.name}", content, {"y": test.y, "prediction": result.test_prediction})
        started = finished
    prediction = champion.model.predict(test.x)
    arrays = {"y": test.y, "prediction": prediction, **champion.model.arrays}
    beside: dict[str, Any] = {}
    if networks is not None:
        arrays["network_prediction"] = networks.model.predict(test.x)
        predictions = {NETWORK: arrays["network_prediction"], **predictions}
        predictions.pop(str(chosen.baseline), None)
        beside = {
            "parameters": dict(champion.parameters),
            "network": {
                "name": networks.name,
                "label": networks.label,
                "val": dict(networks.val),
                "test": _intervals(config, test.y, arrays["network_prediction"]),
            },
        }
    differences = [
        paired_difference(
            test.y, prediction, other, baseline=name, metric=metric, resamples=config.bootstrap_resamples, seed=config.seed
        )
        for name, other in predictions.items()
        for metric in data.task.compared
    ]
    # Least squares by another way than the champion's is no rival of it.
    twins = {name for name, other in predictions.items() if networks is not None and _same(prediction, other, test.y)}
    rivals = {name: value for name, value in validation.items() if name in predictions and name not in twins}
    best_baseline = best_of(rivals, config.objective)
    intervals = _intervals(config, test.y, prediction)
    sentence = verdict(
        facts.dataset.unit,
        champion.label,
        [difference for difference in differences if difference.baseline not in twins - {NETWORK}],
        best_baseline=best_baseline,
        reference=data.task.reference,
        metric=data.task.verdict,
        network=networks.label if networks is not None else None,
    )
    content = {
        "kind": "champion",
        **chosen.to_json(),
        "name": champion.name,
        "label": champion.label,
        "val": dict(champion.val),
        "test": intervals,
        "optimism": _optimism(champion.val, intervals),
        "differences": [asdict(difference) for difference in differences],
        "verdict": sentence,
        "openings": openings,
        "started": started,
        "finished": clock(),
        "model": champion.model.describe(),
        # Without it a refit went through its learning rate's course in the epochs that were kept.
        **({"course": "trial"} if chosen.kind == "refit" else {}),
        **beside,
        **facts.to_json(),
    }
    book.write("champion", content, arrays)
    reach("judge/judged")
    return content


def _optimism(reached: Mapping[str, float], test: dict[str, Any]) -> dict[str, float | None]:
    """By how much the champion does worse on test than on the validation rows by which it was chosen; negative: better."""
    found = {}
    for name, value in reached.items():
        there = test[name]["value"]
        found[name] = None if there is None else (value - there if higher_is_better(name) else there - value)
    return found


def _same(one: Array64, other: Array64, y: Array64) -> bool:
    """Whether predictions are the same but for rounding, by how much targets differ, which may be far from zero."""
    differing = one != other
    with np.errstate(invalid="ignore", over="ignore"):
        gap = np.abs(one - other)[differing].max(initial=0.0)
        least = 1e-6 * np.std(y) + 100 * np.finfo(np.float64).eps * np.abs(one).max(initial=0.0)
    return not differing.any() or bool(gap <= least < np.inf)


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
