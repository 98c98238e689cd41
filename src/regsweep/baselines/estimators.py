"""The scikit-learn baselines: what each name builds, and what of it is worth logging.

In: features of shape (n, p), encoded, scaled and finite, a target of shape (n,), a seed. Out: a fitted estimator and its
parameters. Main calls: `fit`, `BUILDERS`.

Settings are scikit-learn's defaults but for what is written here: a baseline is what one gets without tuning. Every estimator
runs in one thread of ours (`n_jobs` unset) and is seeded where it draws. Importing scikit-learn takes a second, so it waits.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Protocol

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
Parameter = str | int | float

ALPHAS = tuple(float(alpha) for alpha in np.logspace(-3, 3, 13))

FOLDS = 5

NEIGHBOURS = 5

# Trees split no node whose impurity is below 2e-16, and histogram boosting stops once its loss gains less than 1e-7: both in
# squared target units. A target that deviates less than this is standardised for them.
TREES = ("decision_tree", "random_forest", "gradient_boosting", "hist_gradient_boosting")
SMALL = 0.1

# A kernel machine takes time with the square of the rows and more: 10,000 rows are seconds, 200,000 would be hours.
SVR_ROWS = 10_000


class Estimator(Protocol):
    """What is used of a scikit-learn regressor; x (n, p), y (n,) or predictions (n,)."""

    def fit(self, x: FloatArray, y: FloatArray) -> object: ...

    def predict(self, x: FloatArray) -> FloatArray: ...


def fit(name: str, x: FloatArray, y: FloatArray, *, seed: int) -> tuple[Estimator, dict[str, Parameter]]:
    """Fit the baseline `name` (a key of `BUILDERS`) to x (n, p) and y (n,); the estimator and what is worth logging of it.

    `converged` = `no` is among the parameters where the solver ran out of iterations; other warnings pass.
    """
    from sklearn.exceptions import ConvergenceWarning

    if name == "svr":
        x, y = _sampled(x, y, seed)
    estimator = BUILDERS[name](len(y), random_state(seed))
    if name in TREES and 0 < float(y.std()) < SMALL:
        estimator = _standardised(estimator)
    with warnings.catch_warnings(record=True) as caught:
        warnings.filterwarnings("always", category=ConvergenceWarning)
        estimator.fit(x, y)
    parameters = _settings(name, estimator)
    if name == "svr":
        parameters["rows"] = len(y)
    for warning in caught:
        if issubclass(warning.category, ConvergenceWarning):
            parameters["converged"] = "no"
        else:
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
    return estimator, parameters


def random_state(seed: int) -> int:
    """A study's seed (0 to 2⁶³ - 1) as scikit-learn takes it (0 to 2³² - 1); small seeds stay what they are."""
    return seed if seed < 2**32 else int(np.random.SeedSequence(seed).generate_state(1)[0])


def _sampled(x: FloatArray, y: FloatArray, seed: int) -> tuple[FloatArray, FloatArray]:
    """At most `SVR_ROWS` rows, drawn without replacement, in their order."""
    if len(y) <= SVR_ROWS:
        return x, y
    rows = np.sort(np.random.default_rng(seed).choice(len(y), SVR_ROWS, replace=False))
    return x[rows], y[rows]


def _standardised(estimator: Estimator) -> Estimator:
    """The same on a target that is standardised for it; it predicts in target units."""
    from sklearn.compose import TransformedTargetRegressor
    from sklearn.preprocessing import StandardScaler

    wrapped: Estimator = TransformedTargetRegressor(estimator, transformer=StandardScaler(), check_inverse=False)
    return wrapped


def _mean(_rows: int, _state: int) -> Estimator:
    from sklearn.dummy import DummyRegressor

    estimator: Estimator = DummyRegressor(strategy="mean")
    return estimator


def _linear_regression(_rows: int, _state: int) -> Estimator:
    from sklearn.linear_model import LinearRegression

    estimator: Estimator = LinearRegression()
    return estimator


def _ridge_cv(rows: int, _state: int) -> Estimator:
    """The penalty with the best leave-one-out error, which has a closed form; one row leaves nothing to compare."""
    from sklearn.linear_model import Ridge, RidgeCV

    estimator: Estimator = RidgeCV(alphas=ALPHAS) if rows > 1 else Ridge()
    return estimator


def _lasso_cv(rows: int, state: int) -> Estimator:
    """Shuffled folds: rows that lie sorted by something would give folds that differ from each other."""
    from sklearn.linear_model import Lasso, LassoCV
    from sklearn.model_selection import KFold

    if rows < 2:
        single: Estimator = Lasso()
        return single
    folds = KFold(min(FOLDS, rows), shuffle=True, random_state=state)
    estimator: Estimator = LassoCV(cv=folds, max_iter=10_000)
    return estimator


def _svr(_rows: int, _state: int) -> Estimator:
    """`C` and `epsilon` are in target units, so their defaults mean something on a standardised target only."""
    from sklearn.svm import SVR

    return _standardised(SVR())


def _k_nearest_neighbours(rows: int, _state: int) -> Estimator:
    from sklearn.neighbors import KNeighborsRegressor

    estimator: Estimator = KNeighborsRegressor(n_neighbors=min(NEIGHBOURS, rows))
    return estimator


def _decision_tree(_rows: int, state: int) -> Estimator:
    from sklearn.tree import DecisionTreeRegressor

    estimator: Estimator = DecisionTreeRegressor(random_state=state)
    return estimator


def _random_forest(_rows: int, state: int) -> Estimator:
    from sklearn.ensemble import RandomForestRegressor

    estimator: Estimator = RandomForestRegressor(random_state=state)
    return estimator


def _gradient_boosting(_rows: int, state: int) -> Estimator:
    from sklearn.ensemble import GradientBoostingRegressor

    estimator: Estimator = GradientBoostingRegressor(random_state=state)
    return estimator


def _hist_gradient_boosting(_rows: int, state: int) -> Estimator:
    from sklearn.ensemble import HistGradientBoostingRegressor

    estimator: Estimator = HistGradientBoostingRegressor(random_state=state)
    return estimator


# Each takes the number of training rows and a random state.
BUILDERS: Mapping[str, Callable[[int, int], Estimator]] = {
    "mean": _mean,
    "linear_regression": _linear_regression,
    "ridge_cv": _ridge_cv,
    "lasso_cv": _lasso_cv,
    "svr": _svr,
    "k_nearest_neighbours": _k_nearest_neighbours,
    "decision_tree": _decision_tree,
    "random_forest": _random_forest,
    "gradient_boosting": _gradient_boosting,
    "hist_gradient_boosting": _hist_gradient_boosting,
}

# Dotted paths into the fitted estimator and the name each is logged under; a path that an estimator lacks is left out.
_LOGGED: Mapping[str, Mapping[str, str]] = {
    "mean": {"constant_": "intercept"},
    "linear_regression": {"intercept_": "intercept"},
    "ridge_cv": {"alpha_": "alpha", "intercept_": "intercept"},
    "lasso_cv": {"alpha_": "alpha", "intercept_": "intercept"},
    "svr": {"kernel": "kernel", "C": "C", "epsilon": "epsilon"},
    "k_nearest_neighbours": {"n_neighbors": "n_neighbors"},
    "decision_tree": {"tree_.max_depth": "tree_depth", "tree_.n_leaves": "leaves", "random_state": "random_state"},
    "random_forest": {"n_estimators": "n_estimators", "random_state": "random_state"},
    "gradient_boosting": {
        "n_estimators": "n_estimators",
        "learning_rate": "learning_rate",
        "max_depth": "tree_depth",
        "random_state": "random_state",
    },
    "hist_gradient_boosting": {"n_iter_": "n_estimators", "learning_rate": "learning_rate", "random_state": "random_state"},
}


def _settings(name: str, estimator: Estimator) -> dict[str, Parameter]:
    found: dict[str, Parameter] = {}
    fitted = getattr(estimator, "regressor_", estimator)
    for path, label in _LOGGED[name].items():
        value: object = fitted
        for part in path.split("."):
            value = getattr(value, part, None)
        if isinstance(value, (np.ndarray, np.generic)):
            value = value.item()
        if isinstance(value, (str, int, float)):
            found[label] = value
    return found
