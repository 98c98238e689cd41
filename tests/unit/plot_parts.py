"""Made-up records to draw, and what a figure is asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text

from regsweep.config import compose
from regsweep.environment import Environment
from regsweep.record import DatasetFacts, StudyFacts, TrialRecord
from regsweep.trial import FoldResult, Network, Scalar, State, TrialResult, spec_from_values

BASELINES = {"least_squares_qr": 36.0, "random_forest": 24.0, "mean": 150.0}
PARAMS: dict[str, Scalar] = {
    "depth": 2, "width": 32, "activation": "relu", "learning_rate": 1e-3, "epochs": 20, "batch_size": 32,
    "optimizer": "adam", "dropout": 0.2, "l2": 1e-4,
}  # fmt: skip
LINEAR: dict[str, Scalar] = {key: PARAMS[key] for key in ("learning_rate", "epochs", "batch_size", "optimizer", "l2")} | {
    "depth": 0
}


@cache
def facts(*overrides: str) -> StudyFacts:
    dataset = DatasetFacts("insurance", "charges", "dollars", 1338, ("age",), "free", "a test", "0" * 64, ())
    return StudyFacts("study", compose(["space=broad", *overrides])[0], dataset, Environment("3", "Linux", "cpu", 2, {}, None))


def curves(mse: Sequence[float]) -> np.ndarray:
    """Columns as in CURVES; training is twice as good as validation, R² belongs to a variance of 100."""
    val = np.array(mse, dtype=np.float64)
    return np.column_stack([column for each in (val / 2, val) for column in (each, np.sqrt(each), 1 - each / 100)])


def record(
    number: int,
    mse: Sequence[float] | Sequence[Sequence[float]] = (50.0, 40.0, 30.0),
    *,
    kept: int | Sequence[int] = -1,
    state: State = State.COMPLETE,
    params: Mapping[str, Scalar] = PARAMS,
    study: StudyFacts | None = None,
) -> TrialRecord:
    rows = np.atleast_2d(np.asarray(mse, dtype=np.float64))
    keeps = [kept] * len(rows) if isinstance(kept, int) else kept
    folds = tuple(
        FoldResult(curves(row), Network((), ()), keep % len(row)) for row, keep in zip(rows, keeps, strict=True) if len(row)
    )
    cause = "ValueError: not finite" if state is State.FAILED else None
    result = TrialResult(spec_from_values(params, seed=0), state, folds, 1.0, "keras_fit", cause)
    return TrialRecord(study or facts(), number, params, result, 0, 1)


def trials(values: Sequence[float]) -> list[TrialRecord]:
    return [record(number, [value]) for number, value in enumerate(values)]


def line(axes: Axes, label: str) -> Line2D:
    return next(found for found in axes.lines if found.get_label() == label)


def xs(found: Line2D) -> list[float]:
    return [float(value) for value in np.asarray(found.get_xdata(), dtype=np.float64)]


def ys(found: Line2D) -> list[float]:
    return [float(value) for value in np.asarray(found.get_ydata(), dtype=np.float64)]


def texts(figure: Figure) -> str:
    return "\n".join(text.get_text() for text in figure.findobj(Text))


def is_sentence(figure: Figure, part: str) -> bool:
    (axes,) = figure.axes
    return not axes.axison and not axes.lines and part in texts(figure)


def segments(axes: Axes) -> np.ndarray:
    """Heights of the lines of all trials, shape (trials, axes), the best last."""
    (lines,) = [found for found in axes.collections if isinstance(found, LineCollection)]
    return np.array(lines.get_segments())[:, :, 1]
