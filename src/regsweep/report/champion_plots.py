"""Figures of one trained model: its learning curves, and its predictions against the truth.

In: a trial's record, or a target and its prediction of shape (n,), with the target's unit. Out: a `Figure`. Main calls:
`learning_curves`, `predicted_against_true`, `residuals`.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from regsweep import metrics
from regsweep.record import TrialRecord
from regsweep.report.scale import FloatArray, Scale, fit_scale
from regsweep.report.style import (
    BLUE,
    GREY,
    INK,
    ORANGE,
    SMALL,
    STEPS,
    count_ticks,
    label_right,
    literal,
    metric_name,
    metric_unit,
    new_figure,
    number,
    sentence_figure,
    style_axes,
    with_unit,
)
from regsweep.trial import CURVES, FoldResult, higher_is_better

RUNNING_MEANS: Final = (
    "Training values are running means over the epoch, taken while the weights change and dropout acts; validation values are "
    "taken after the epoch."
)

# Predictions and residuals farther than this many interquartile ranges beyond the quartiles are drawn at the edge.
WILD: Final = 10.0

_LOWEST_R2: Final = -1.0
_STYLES: Final = {"train": (BLUE, "--"), "val": (ORANGE, "-")}


def learning_curves(record: TrialRecord, unit: str) -> Figure:
    """MSE, MAE and R² by epoch (the first is 1) on training and validation rows, and the epoch whose weights were kept.

    `unit` is the target's. Of several folds the mean is thick and each fold thin, with its own kept epoch.
    """
    folds = [fold for fold in record.result.folds if np.isfinite(fold.curves).any()]
    title = f"Trial {record.number}: errors and R² by epoch"
    if not folds:
        cause = f" ({record.result.cause})" if record.result.cause else ""
        return sentence_figure(title, f"There is no finite value to draw: the trial is {record.result.state}{cause}.")
    kept = sorted({fold.kept_epoch + 1 for fold in folds})
    span = str(kept[0]) if len(kept) == 1 else f"{kept[0]} to {kept[-1]}"
    marked = f"; circle: the kept epoch, {span}" if len(folds) == 1 else f", {len(folds)} folds; circles: the kept epochs, {span}"
    note = RUNNING_MEANS if len(folds) == 1 else f"{RUNNING_MEANS} Thick: the mean over folds, thin: each fold."
    figure = new_figure(title + marked, height=3.6, note=note)
    for axes, metric in zip(figure.subplots(1, 3), ("mse", "mae", "r2"), strict=True):
        _draw_metric(axes, folds, record.result.curves, metric, unit)
    return figure
