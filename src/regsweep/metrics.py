"""The numbers by which predictions are judged: MSE, RMSE, MAE and R²; of classes log loss, accuracy and AUC.

In: the target and its prediction, both of shape (n,) and in target units; of classes 0 or 1, and the probability of 1.
Out: floats, computed in float64 whatever came in. Main calls: `score` for all of a task, or one by its name; `fenced` tames
outliers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from regsweep.tasks import BINARY, REGRESSION, Task

# A value is out if it lies so many interquartile ranges beyond the quartiles (Tukey, Exploratory Data Analysis, 1977).
FENCE: Final = 1.5

# Probabilities are taken for at least so far from 0 and 1, as scikit-learn does: one certain mistake must not make all infinite.
SMALLEST: Final = float(np.finfo(np.float64).eps)

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Scores:
    """How far predictions lie from the target on n rows.

    `mse` in target units squared, `rmse` and `mae` in target units, `r2` without unit: at most 1, 0 for the mean of these rows,
    nan where the target is constant.
    """

    mse: float
    rmse: float
    mae: float
    r2: float


@dataclass(frozen=True)
class ClassScores:
    """How good probabilities of class 1 are on n rows.

    `log_loss` is the mean of minus the natural logarithm of the true class's probability, `accuracy` the share of rows whose
    class is right, `auc` the area under the ROC curve: the chance that a row of class 1 gets a higher probability than one
    of class 0; nan where one class is all there is.
    """

    log_loss: float
    accuracy: float
    auc: float


def checked_pair(y: npt.ArrayLike, prediction: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Both as float64 arrays of shape (n,), n >= 1. ValueError otherwise: (n, 1) against (n,) would broadcast to (n, n)."""
    target, predicted = np.asarray(y, dtype=np.float64), np.asarray(prediction, dtype=np.float64)
    if target.ndim != 1 or target.shape != predicted.shape or target.size == 0:
        raise ValueError(
            f"target and prediction must have the same shape (n,) with n >= 1, but got {target.shape} and {predicted.shape}"
        )
    return target, predicted


def mse(y: npt.ArrayLike, prediction: npt.ArrayLike) -> float:
    """Mean squared error in target units squared; `y` and `prediction` of shape (n,), else ValueError."""
    target, predicted = checked_pair(y, prediction)
    # A log target may extrapolate to infinity: that is a bad score, not a warning.
    with np.errstate(over="ignore", invalid="ignore"):
        return float(np.mean((target - predicted) ** 2))


def rmse(y: npt.ArrayLike, prediction: npt.ArrayLike) -> float:
    """Square root of `mse`, in target units; `y` and `prediction` of shape (n,), else ValueError."""
    return float(np.sqrt(mse(y, prediction)))


def mae(y: npt.ArrayLike, prediction: npt.ArrayLike) -> float:
    """Mean absolute error in target units; `y` and `prediction` of shape (n,), else ValueError."""
    target, predicted = checked_pair(y, prediction)
    with np.errstate(over="ignore", invalid="ignore"):
        return float(np.mean(np.abs(target - predicted)))


def r2(y: npt.ArrayLike, prediction: npt.ArrayLike) -> float:
    """Coefficient of determination 1 - SSE / SST, without unit, where SST is taken about the mean of these `y`.

    `y` and `prediction` of shape (n,), else ValueError. nan where `y` is constant (also for n = 1): SST is 0 then.
    """
    target, predicted = checked_pair(y, prediction)
    # Asked of the values, not of SST: rounding in the mean leaves a constant target with a tiny SST.
    if np.all(target == target[0]):
        return float("nan")
    with np.errstate(over="ignore", invalid="ignore"):
        sse = np.sum((target - predicted) ** 2)
        return float(1 - sse / np.sum((target - target.mean()) ** 2))


def row_log_losses(y: npt.ArrayLike, probability: npt.ArrayLike) -> FloatArray:
    """The log loss of each row; `y` of 0 and 1 and the probability of 1, both of shape (n,), else ValueError."""
    target, predicted = checked_pair(y, probability)
    held = np.clip(predicted, SMALLEST, 1 - SMALLEST)
    losses: FloatArray = -np.log(np.where(target > 0.5, held, 1 - held))
    return losses


def row_errors(y: npt.ArrayLike, probability: npt.ArrayLike) -> FloatArray:
    """1 where the class is wrong, else 0; a probability of 0.5 says class 0. Shapes as for `row_log_losses`."""
    target, predicted = checked_pair(y, probability)
    return np.asarray((predicted > 0.5) != (target > 0.5), dtype=np.float64)


def log_loss(y: npt.ArrayLike, probability: npt.ArrayLike) -> float:
    """Mean log loss, in natural units; shapes as for `row_log_losses`."""
    return float(row_log_losses(y, probability).mean())


def accuracy(y: npt.ArrayLike, probability: npt.ArrayLike) -> float:
    """Share of rows whose class is right; shapes as for `row_log_losses`."""
    return 1.0 - float(row_errors(y, probability).mean())


def auc(y: npt.ArrayLike, probability: npt.ArrayLike) -> float:
    """Area under the ROC curve by ranks (Mann and Whitney 1947), ties counted half; nan where `y` has one class only."""
    target, predicted = checked_pair(y, probability)
    ones, zeros = np.sort(predicted[target > 0.5]), np.sort(predicted[target <= 0.5])
    if not len(ones) or not len(zeros):
        return float("nan")
    below = np.searchsorted(zeros, ones, side="left") + np.searchsorted(zeros, ones, side="right")
    return float(below.sum()) / (2.0 * len(ones) * len(zeros))


def score(y: npt.ArrayLike, prediction: npt.ArrayLike, task: Task = REGRESSION) -> Scores | ClassScores:
    """All metrics of a task of `prediction` against `y`, both of shape (n,) in target units; ValueError for other shapes."""
    if task == BINARY:
        return ClassScores(log_loss(y, prediction), accuracy(y, prediction), auc(y, prediction))
    return score_numbers(y, prediction)


def score_numbers(y: npt.ArrayLike, prediction: npt.ArrayLike) -> Scores:
    """All four metrics of `prediction` against `y`, both of shape (n,) in target units; ValueError for other shapes."""
    return Scores(mse=mse(y, prediction), rmse=rmse(y, prediction), mae=mae(y, prediction), r2=r2(y, prediction))


def evenly_chosen(count: int, most: int) -> npt.NDArray[np.int64]:
    """Positions of at most so many of `count` things, evenly spaced, the first and the last among them."""
    return np.unique(np.linspace(0, count - 1, min(most, count)).round().astype(np.int64))


def unit_factor(values: FloatArray) -> float:
    """The power of two by which values (n,) come to a standard deviation of about 1; 1 where they have none.

    scikit-learn's trees stop at absolute constants, which small values would fall below. Powers of two change nothing else.
    """
    deviation = float(values.std())
    return 2.0 ** -round(math.log2(deviation)) if math.isfinite(deviation) and deviation > 0 else 1.0


def fenced(values: FloatArray, *, upward: bool) -> FloatArray:
    """Values (n,) with those beyond Tukey's fence on the worse side at the fence; `upward` says that higher is better."""
    first, third = np.quantile(values, [0.25, 0.75])
    reach = FENCE * (third - first)
    if reach <= 0:
        return values
    tamed: FloatArray = np.maximum(values, first - reach) if upward else np.minimum(values, third + reach)
    return tamed
