"""Names the champion by validation, opens the test rows once, and judges it beside the baselines.

In: the records of a finished study. Out: records `baseline-NAME` and `champion`, from which tracking and leaderboard read.
Every opening of the test rows is on disk before a row of them is read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal

from regsweep.baselines import describe
from regsweep.baselines.run import BaselineResult, run_baselines
from regsweep.config import StudyConfig
from regsweep.data.features import Array64, Prepared
from regsweep.data.sealed import TestRows
from regsweep.judgement import paired_difference, score_with_intervals, verdict
from regsweep.predictor import Member, Model
from regsweep.record import RecordBook, StudyFacts, TrialRecord, read_record
from regsweep.trial import State, TrialResult, higher_is_better

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


def model_of(result: TrialResult, data: Prepared) -> Model:
    """Join a trial's networks with the preprocessing of their folds."""
    members = tuple(
        Member(fold.columns, result.spec.activation, trained.network.kernels, trained.network.biases, fold.target)
        for fold, trained in zip(data.folds, result.folds, strict=True)
    )
    return Model(data.target, data.unit, members)


def judge(
    book: RecordBook, facts: StudyFacts, data: Prepared, unseal: Callable[[], TestRows], clock: Callable[[], int]
) -> Judgement | None:
    """Name and score the champion. Returns None where no trial is complete.

    `unseal` gives the test rows; it is called once, after the opening is on record. Test rows that were opened for an
    earlier champion stay closed to a new one unless `reopen_test` is set.
    """
    config = facts.config
    best = best_trial(book.trials(), config.objective)
    if best is None:
        return None
    earlier = read_champion(book)
    if earlier is not None:
        scored = book.trial(earlier["trial"])
        if scored is not None and scored.number == best.number:
            return Judgement(scored, earlier, None)
        if scored is not None and not config.reopen_test:
            note = (
                f"trial {best.number} is now best by validation, but the test rows were opened for trial {scored.number}; "
                "reopen_test=true scores it on them too, and leaves a trace"
            )
            return Judgement(scored, earlier, note)
    openings = [*(earlier["openings"] if earlier else []), {"trial": best.number, "at": clock()}]
    book.write("test-openings", {"kind": "test-openings", "openings": openings}, {})
    started = clock()
    test = unseal()
    predictions: dict[str, Array64] = {}
    validation: dict[str, float] = {}
    for result in run_baselines(config.baselines, data, test.x):
        finished = clock()
        predictions[result.name] = result.test_prediction
        validation[result.name] = asdict(result.val)[config.objective.removeprefix("val/")]
        content = _baseline_json(facts, result, test.y, (started, finished))
        book.write(f"baseline-{result.name}", content, {"y": test.y, "prediction": result.test_prediction})
        started = finished
    prediction = model_of(best.result, data).predict(test.x)
    differences = [
        paired_difference(
            test.y, prediction, other, baseline=name, metric=metric, resamples=config.bootstrap_resamples, seed=config.seed
        )
        for name, other in predictions.items()
        for metric in METRICS
    ]
    best_baseline = (max if higher_is_better(config.objective) else min)(validation, key=validation.__getitem__, default=None)
    sentence = verdict(facts.dataset.unit, "the network", differences, best_baseline=best_baseline, reference=REFERENCE)
    content = {
        "kind": "champion",
        "trial": best.number,
        "val": {name.removeprefix("val/"): value for name, value in best.result.final.items() if name.startswith("val/")},
        "test": _intervals(config, test.y, prediction),
        "differences": [asdict(difference) for difference in differences],
        "verdict": sentence,
        "openings": openings,
        "started": started,
        "finished": clock(),
        **facts.to_json(),
    }
    book.write("champion", content, {"y": test.y, "prediction": prediction})
    return Judgement(best, content, None)


def read_champion(book: RecordBook) -> dict[str, Any] | None:
    """The champion's record, if the study has come so far."""
    return read_record(book.folder / "champion")[0] if (book.folder / "champion").is_dir() else None


def baseline_label(name: str) -> str:
    """How a baseline is called in tables and sentences."""
    return describe(name)


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
