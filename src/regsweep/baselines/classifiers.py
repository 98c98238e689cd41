"""The scikit-learn baselines of binary classification: what each name builds, by scikit-learn's defaults.

In: features of shape (n, p), encoded and finite, classes 0 or 1 of shape (n,), a seed. Out: a fitted classifier and its
parameters. Main call: `fit`; `regsweep.predictor.probability` asks what it fitted.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Protocol

import numpy as np
import numpy.typing as npt

from regsweep.baselines.estimators import NEIGHBOURS, Parameter, random_state

FloatArray = npt.NDArray[np.float64]


class Classifier(Protocol):
    """What is used of a scikit-learn classifier: x (n, p), classes (n,), probabilities (n, classes seen)."""

    classes_: FloatArray

    def fit(self, x: FloatArray, y: FloatArray) -> object: ...

    def predict_proba(self, x: FloatArray) -> FloatArray: ...


def fit(name: str, x: FloatArray, y: FloatArray, *, seed: int) -> tuple[Classifier, dict[str, Parameter]]:
    """Fit the baseline `name` (a key of `BUILDERS`) to x (n, p) and y (n,); the classifier and what is worth logging of it.

    Where all rows are of one class there is nothing to tell apart: the share of class 1 stands in. `converged` = `no` is among
    the parameters where the solver ran out of iterations; other warnings pass.
    """
    from sklearn.exceptions import ConvergenceWarning

    single = bool(np.all(y == y[0]))
    classifier = BUILDERS["mean" if single else name](y, random_state(seed))
    with warnings.catch_warnings(record=True) as caught:
        warnings.filterwarnings("always", category=ConvergenceWarning)
        classifier.fit(x, y)
    parameters: dict[str, Parameter] = {"share_of_class_1": float(y.mean())} if single or name == "mean" else {}
    for label in _LOGGED[name]:
        value = getattr(classifier, label, None)
        if isinstance(value, str | int | float):
            parameters[label.removesuffix("_")] = value
    for warning in caught:
        if issubclass(warning.category, ConvergenceWarning):
            parameters["converged"] = "no"
        else:
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
    return classifier, parameters


def _mean(_y: FloatArray, _state: int) -> Classifier:
    from sklearn.dummy import DummyClassifier

    classifier: Classifier = DummyClassifier(strategy="prior")
    return classifier


def _logistic_regression(_y: FloatArray, _state: int) -> Classifier:
    from sklearn.linear_model import LogisticRegression

    classifier: Classifier = LogisticRegression()
    return classifier


def _k_nearest_neighbours(y: FloatArray, _state: int) -> Classifier:
    from sklearn.neighbors import KNeighborsClassifier

    classifier: Classifier = KNeighborsClassifier(n_neighbors=min(NEIGHBOURS, len(y)))
    return classifier


def _random_forest(_y: FloatArray, state: int) -> Classifier:
    from sklearn.ensemble import RandomForestClassifier

    classifier: Classifier = RandomForestClassifier(random_state=state)
    return classifier


def _hist_gradient_boosting(y: FloatArray, state: int) -> Classifier:
    from sklearn.ensemble import HistGradientBoostingClassifier

    # It stops early on many rows, by a part of them that needs both classes, too.
    stops = "auto" if min(y.sum(), len(y) - y.sum()) >= 2 else False
    classifier: Classifier = HistGradientBoostingClassifier(early_stopping=stops, random_state=state)
    return classifier


# Each takes the training rows' classes and a random state.
BUILDERS: Mapping[str, Callable[[FloatArray, int], Classifier]] = {
    "mean": _mean,
    "logistic_regression": _logistic_regression,
    "k_nearest_neighbours": _k_nearest_neighbours,
    "random_forest": _random_forest,
    "hist_gradient_boosting": _hist_gradient_boosting,
}

_LOGGED: Mapping[str, tuple[str, ...]] = {
    "mean": (),
    "logistic_regression": ("C",),
    "k_nearest_neighbours": ("n_neighbors",),
    "random_forest": ("n_estimators", "random_state"),
    "hist_gradient_boosting": ("learning_rate", "n_iter_", "random_state"),
}
