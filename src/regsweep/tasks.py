"""What is predicted, a number or one of two classes, and by which metrics each of these tasks is judged.

Main calls: `task_named`, `METRICS`, `higher_is_better`. A task's metrics are three, the loss first: curves have equal shapes and
the loss stands in the same column, whatever the task.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal


@dataclass(frozen=True)
class Metric:
    """How a metric is called in texts, which way is better, and its unit: the target's, that squared, or none."""

    label: str
    higher_is_better: bool = False
    unit: Literal["target", "squared", "none"] = "none"


METRICS: Final = {
    "mse": Metric("MSE", unit="squared"),
    "rmse": Metric("RMSE", unit="target"),
    "mae": Metric("MAE", unit="target"),
    "r2": Metric("R²", higher_is_better=True),
    "log_loss": Metric("log loss"),
    "accuracy": Metric("accuracy", higher_is_better=True),
    "auc": Metric("AUC", higher_is_better=True),
    "error_rate": Metric("error rate"),
}


@dataclass(frozen=True)
class Task:
    """A task's metrics by name.

    `metrics` have curves, the loss first; `scores` are taken of test rows. Of two models the difference in `compared` is given;
    the verdict reads that in `verdict`. `headline` is compared between validation and test. `reference` is the baseline that the
    verdict names in any case.
    """

    name: str
    metrics: tuple[str, str, str]
    scores: tuple[str, ...]
    compared: tuple[str, ...]
    verdict: str
    headline: str
    reference: str

    @property
    def curves(self) -> tuple[str, ...]:
        """The columns of a curve: every metric on training rows, then on validation rows."""
        return tuple(f"{part}/{name}" for part in ("train", "val") for name in self.metrics)

    @property
    def aucs(self) -> tuple[bool, ...]:
        """Which curves are of AUC, which is undefined where all rows are of one class."""
        return tuple(name.endswith("/auc") for name in self.curves)

    @property
    def objectives(self) -> tuple[str, ...]:
        """What a study of it can search by; the first one is the default."""
        return tuple(f"val/{name}" for name in self.metrics)


REGRESSION: Final = Task(
    "regression",
    metrics=("mse", "mae", "r2"),
    scores=("mse", "rmse", "mae", "r2"),
    compared=("mae", "mse"),
    verdict="mae",
    headline="r2",
    reference="least_squares_qr",
)
BINARY: Final = Task(
    "binary_classification",
    metrics=("log_loss", "accuracy", "auc"),
    scores=("log_loss", "accuracy", "auc"),
    compared=("log_loss", "error_rate"),
    verdict="log_loss",
    headline="accuracy",
    reference="logistic_regression",
)
TASKS: Final = {task.name: task for task in (REGRESSION, BINARY)}

# In every task's curves.
VAL_LOSS: Final = 3


def task_named(name: str) -> Task:
    """The task of a name that the schema has let pass."""
    return TASKS[name]


def higher_is_better(metric: str) -> bool:
    """Whether a metric such as `val/r2` is maximised; errors, parameters and epochs are minimised. No metric is ever negated."""
    known = METRICS.get(metric.rpartition("/")[2])
    return known is not None and known.higher_is_better
