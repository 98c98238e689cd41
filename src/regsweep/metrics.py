"""The four numbers by which predictions are judged: MSE, RMSE, MAE and R².

In: the target and its prediction, both of shape (n,) and in target units. Out: floats, computed in float64 whatever came in.
Main calls: `score` for all four, or one by its name; `fenced` tames outliers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

# A value is out if it lies so many interquartile ranges beyond the quartiles (Tukey, Exploratory Data Analysis, 1977).
FENCE: Final = 1.5

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


def score(y: npt.ArrayLike, prediction: npt.ArrayLike) -> Scores:
    """All four metrics of `prediction` against `y`, both of shape (n,) in target units; ValueError for other shapes."""
    return Scores(mse=mse(y, prediction), rmse=rmse(y, prediction), mae=mae(y, prediction), r2=r2(y, prediction))


def fenced(values: FloatArray, *, upward: bool) -> FloatArray:
    """Values (n,) with those beyond Tukey's fence on the worse side at the fence; `upward` says that higher is better."""
    first, third = np.quantile(values, [0.25, 0.75])
    reach = FENCE * (third - first)
    if reach <= 0:
        return values
    tamed: FloatArray = np.maximum(values, first - reach) if upward else np.minimum(values, third + reach)
    return tamed
