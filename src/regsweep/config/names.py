"""The short names that configs may use, in one place, so that a typo can be answered with the list."""

from __future__ import annotations

from collections.abc import Sequence

from regsweep.errors import nearest
from regsweep.tasks import BINARY

ACTIVATIONS = ("linear", "relu", "leaky_relu", "elu", "selu", "gelu", "silu", "softplus", "tanh", "sigmoid")

OPTIMIZERS = ("adam", "adamw", "rmsprop", "sgd", "sgd_momentum")

SCHEDULES = ("constant", "cosine")

ENCODINGS = ("plain", "piecewise")

CLOSED_FORM = ("least_squares_qr", "least_squares_svd", "least_squares_pinv", "ridge_closed_form")

SCIKIT_LEARN = (
    "mean",
    "linear_regression",
    "ridge_cv",
    "lasso_cv",
    "svr",
    "k_nearest_neighbours",
    "decision_tree",
    "random_forest",
    "gradient_boosting",
    "hist_gradient_boosting",
)

BASELINES = CLOSED_FORM + SCIKIT_LEARN

CLASSIFIERS = ("mean", "logistic_regression", "k_nearest_neighbours", "random_forest", "hist_gradient_boosting")


def baselines_of(task: str) -> tuple[str, ...]:
    """The baselines that fit a task, by its name."""
    return CLASSIFIERS if task == BINARY.name else BASELINES


def check_names(what: str, names: Sequence[object], known: Sequence[str]) -> None:
    """Raise ValueError for an unknown or repeated name, with the nearest known one and the list."""
    for name in names:
        if name not in known:
            raise ValueError(f"unknown {what} {name!r}{nearest(str(name), known)}; known: {', '.join(known)}")
    repeated = sorted({str(name) for name in names if list(names).count(name) > 1})
    if repeated:
        raise ValueError(f"each {what} may be named once, but {', '.join(repeated)} stands more often")
