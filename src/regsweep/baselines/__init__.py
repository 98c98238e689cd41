"""Baselines: what the network has to beat, fitted to the same encoded training rows.

In: a name from `regsweep.config.names`, features (n, p), target (n,), a seed. Out: a `FittedBaseline`.
Main calls: `fit_baseline`, `describe`.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from regsweep.baselines import classifiers, closed_form, estimators
from regsweep.baselines.closed_form import LinearFit
from regsweep.config.names import baselines_of, check_names
from regsweep.predictor import Column, EstimatorMember, LinearMember, answers
from regsweep.tasks import BINARY, REGRESSION, Task

__all__ = ["CLOSED_FORM", "FittedBaseline", "LinearFit", "describe", "fit_baseline"]

FloatArray = npt.NDArray[np.float64]

CLOSED_FORM: Final[Mapping[str, Callable[[FloatArray, FloatArray], LinearFit]]] = {
    "least_squares_qr": closed_form.least_squares_qr,
    "least_squares_svd": closed_form.least_squares_svd,
    "least_squares_pinv": closed_form.least_squares_pinv,
    "ridge_closed_form": closed_form.ridge_closed_form,
}

_LABELS: Final[Mapping[str, str]] = {
    "least_squares_qr": "closed-form least squares",
    "least_squares_svd": "closed-form least squares by SVD",
    "least_squares_pinv": "closed-form least squares by the pseudo-inverse",
    "ridge_closed_form": "closed-form ridge regression",
    "mean": "the mean",
    "logistic_regression": "logistic regression",
    "linear_regression": "scikit-learn's linear regression",
    "ridge_cv": "cross-validated ridge regression",
    "lasso_cv": "cross-validated lasso",
    "svr": "support vector regression",
    "k_nearest_neighbours": "k-nearest neighbours",
    "decision_tree": "a decision tree",
    "random_forest": "random forest",
    "gradient_boosting": "gradient boosting",
    "hist_gradient_boosting": "histogram gradient boosting",
}


@dataclass(frozen=True)
class FittedBaseline:
    """A baseline after fitting; `parameters` is what is worth logging of it: settings, what was chosen, the intercept.

    `fit` is a `LinearFit`, or scikit-learn's estimator, of `classes` a classifier.
    """

    name: str
    parameters: Mapping[str, str | int | float]
    fit: Any
    classes: bool = False

    def predict(self, x: FloatArray) -> FloatArray:
        """Predictions of shape (m,) in the units of the fitted target, for features of shape (m, p)."""
        return answers(self.fit, x, classes=self.classes)

    def member(self, columns: tuple[Column, ...]) -> LinearMember | EstimatorMember:
        """What a model can be made of: the fit beside the `columns` that encode its features. It predicts the same numbers."""
        if isinstance(self.fit, LinearFit):
            return LinearMember(columns, self.fit.intercept, self.fit.coefficients)
        import skops.io

        packed = skops.io.dumps(self.fit, compression=zipfile.ZIP_DEFLATED)
        return EstimatorMember(columns, self.classes, np.frombuffer(packed, np.uint8))


def fit_baseline(name: str, x: FloatArray, y: FloatArray, *, seed: int, task: Task = REGRESSION) -> FittedBaseline:
    """Fit the baseline `name` to features `x` (n, p) and target `y` (n,); the same arguments give the same predictions.

    Of classes, 0 or 1, it predicts the probability of 1. ValueError for a name that the task does not have (with the nearest one)
    and for shapes that do not fit each other.
    """
    check_names("baseline", [name], baselines_of(task.name))
    if x.ndim != 2 or y.shape != x.shape[:1] or not y.size:
        raise ValueError(f"x must be (n, p) and y (n,) with n >= 1, but got {x.shape} and {y.shape}")
    if task == BINARY:
        classifier, found = classifiers.fit(name, x, y, seed=seed)
        return FittedBaseline(name, found, classifier, classes=True)
    if name in CLOSED_FORM:
        fit = CLOSED_FORM[name](x, y)
        settings = {"penalty": closed_form.RIDGE_PENALTY} if name == "ridge_closed_form" else {"rcond": closed_form.RCOND}
        return FittedBaseline(name, {"intercept": fit.intercept, **settings}, fit)
    estimator, parameters = estimators.fit(name, x, y, seed=seed)
    return FittedBaseline(name, parameters, estimator)


def describe(name: str) -> str:
    """How a sentence calls the baseline `name`: `closed-form least squares`, `random forest`, `the mean`. Else ValueError."""
    check_names("baseline", [name], tuple(_LABELS))
    return _LABELS[name]
