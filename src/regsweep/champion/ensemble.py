"""Greedy ensemble selection with replacement (Caruana et al. 2004, section 2) over trials, on their validation predictions.

Main calls: `greedy_weights`, and `validation_scores` of the ensemble that it makes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from regsweep.data.features import Array64, Prepared
from regsweep.metrics import row_errors, row_log_losses, score
from regsweep.record import TrialRecord
from regsweep.trial import TrialResult

Loss = Callable[[Array64, Array64], Array64]


def greedy_weights(results: Sequence[TrialResult], data: Prepared, objective: str, rounds: int) -> tuple[float, ...]:
    """Each trial's share among the picks of `rounds` rounds, sum 1: every round adds the trial that helps the mean most.

    A row of validation is predicted by the networks that were not trained on it.
    """
    predictions = np.stack([validation_predictions(result, data) for result in results])
    truth = np.concatenate([fold.y_val for fold in data.folds])
    weights = np.concatenate([_row_weights(fold.y_val, objective, len(data.folds)) for fold in data.folds])
    counts = _greedy(predictions, truth, weights, _LOSSES.get(objective, _squares), rounds)
    return tuple((counts / counts.sum()).tolist())


def validation_predictions(result: TrialResult, data: Prepared) -> Array64:
    """What each fold's network predicts for its own validation rows, folds one after the other, in target units."""
    model = data.encoding.model(result)
    folds = (fold.encoded(result.spec.encoding) for fold in data.folds)
    return np.concatenate([member.predict_encoded(fold.x_val) for member, fold in zip(model.members, folds, strict=True)])


def validation_scores(
    members: Sequence[tuple[int, float]], leader: int, records: Mapping[int, TrialRecord], data: Prepared
) -> dict[str, float]:
    """Scores on the validation rows of weighted trials, mean over folds.

    Those of a single trial, the `leader`, are its own, as a refitted champion has seen all these rows; but AUC is exact, and R²
    undefined (nan) where a fold's targets are all the same, as baselines' are: Keras has AUC by thresholds, and then an R² of 0.
    """
    if len(members) == 1:
        final = records[leader].result.final
        own = {name.removeprefix("val/"): value for name, value in final.items() if name.startswith("val/")}
        if "auc" in own:
            own["auc"] = _scores(validation_predictions(records[leader].result, data), data)["auc"]
        if "r2" in own and any(np.ptp(fold.y_val) == 0 for fold in data.folds):
            own["r2"] = math.nan
        return own
    parts = [weight * validation_predictions(records[number].result, data) for number, weight in members]
    return _scores(np.sum(parts, axis=0), data)


def _scores(predictions: Array64, data: Prepared) -> dict[str, float]:
    """Scores of predictions for all validation rows, mean over folds."""
    ends = np.cumsum([len(fold.y_val) for fold in data.folds])[:-1]
    scores = [score(fold.y_val, part, data.task) for fold, part in zip(data.folds, np.split(predictions, ends), strict=True)]
    return {name: float(np.mean([getattr(one, name) for one in scores])) for name in data.task.metrics}


def _row_weights(y: Array64, objective: str, folds: int) -> Array64:
    """What a row's loss counts, so that the weighted sum is the mean over folds of a loss, or 1 less that of R², accuracy."""
    whole = float(len(y)) if objective != "val/r2" else float(np.sum((y - y.mean()) ** 2)) or 1.0
    return np.full(len(y), 1 / (folds * whole))


def _squares(truth: Array64, predictions: Array64) -> Array64:
    """Losses of each row, as of `predictions` (members, rows)."""
    losses: Array64 = (truth - predictions) ** 2
    return losses


def _distances(truth: Array64, predictions: Array64) -> Array64:
    return np.abs(truth - predictions)


def _log_losses(truth: Array64, predictions: Array64) -> Array64:
    return np.stack([row_log_losses(truth, each) for each in predictions])


def _errors(truth: Array64, predictions: Array64) -> Array64:
    return np.stack([row_errors(truth, each) for each in predictions])


# AUC is no sum over rows: log loss stands in for it.
_LOSSES: Final = {"val/mae": _distances, "val/log_loss": _log_losses, "val/auc": _log_losses, "val/accuracy": _errors}


def _greedy(predictions: Array64, truth: Array64, weights: Array64, loss: Loss, rounds: int) -> npt.NDArray[np.int64]:
    counts = np.zeros(len(predictions), np.int64)
    total = np.zeros_like(truth)
    best, kept = np.inf, counts
    for round_ in range(1, rounds + 1):
        losses = loss(truth, (total + predictions) / round_) @ weights
        pick = int(np.argmin(losses))
        total = total + predictions[pick]
        counts = counts.copy()
        counts[pick] += 1
        if losses[pick] < best:
            best, kept = float(losses[pick]), counts
    return kept
