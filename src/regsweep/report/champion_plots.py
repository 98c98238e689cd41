"""Figures of one trained model: its learning curves, and its predictions against the truth.

In: a trial's record, or a target and its prediction of shape (n,), with the target's unit. Out: a `Figure`. Main calls:
`learning_curves`, `predicted_against_true`, `residuals`.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from regsweep import metrics
from regsweep.record import TrialRecord
from regsweep.report.scale import FloatArray, Scale, fit_scale, padded, tamed
from regsweep.report.style import (
    BLUE,
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
from regsweep.tasks import REGRESSION
from regsweep.trial import FoldResult, State, TrialResult, higher_is_better

RUNNING_MEANS: Final = (
    "Training values are running means over the epoch, taken while the weights change and dropout acts; validation values are "
    "taken after the epoch."
)

NO_ROWS: Final = "There are no rows to draw."
NO_PREDICTION: Final = "No row has a finite prediction and a finite truth."

_LOWEST_R2: Final = -1.0
_STYLES: Final = {"train": (BLUE, "--"), "val": (ORANGE, "-")}


def learning_curves(record: TrialRecord, unit: str) -> Figure:
    """MSE, MAE and R² by epoch (the first is 1) on training and validation rows, and the epoch whose weights were kept.

    Of classes it is log loss, accuracy and AUC. `unit` is the target's. Of several folds the mean is thick and each fold thin,
    with its own kept epoch. Of a trial that went on with another one, epochs begin where that one ended.
    """
    folds = [_until_last_value(fold) for fold in record.result.folds if np.isfinite(fold.curves).any()]
    task = record.result.task
    title = f"Trial {record.number}: {'errors and R²' if task == REGRESSION else 'log loss, accuracy and AUC'} by epoch"
    if not folds:
        cause = f": {record.result.cause}" if record.result.cause else ""
        return sentence_figure(title, f"No finite value was recorded{cause}.")
    note = RUNNING_MEANS if len(folds) == 1 else f"{RUNNING_MEANS} Thick: the mean over folds, thin: each fold."
    figure = new_figure(title + _kept(record, folds), height=3.7, note=note)
    for axes, metric in zip(figure.subplots(1, 3), task.metrics, strict=True):
        _draw_metric(axes, record.result, folds, metric, unit)
    return figure


def predicted_against_true(y: npt.ArrayLike, prediction: npt.ArrayLike, target: str, unit: str, title: str) -> Figure:
    """Predictions of `target` in `unit` against the truth, both (n,), with the diagonal, R² and MAE of all rows.

    Predictions farther from the true values than those are from each other are drawn at the edge; ones that are not finite are
    left out; both are counted below. ValueError where the shapes differ.
    """
    if not np.size(y) and not np.size(prediction):
        return sentence_figure(title, NO_ROWS)
    true, predicted = metrics.checked_pair(y, prediction)
    finite = np.isfinite(true) & np.isfinite(predicted)
    if not finite.any():
        return sentence_figure(title, NO_PREDICTION)
    x, z = true[finite], predicted[finite]
    reach = np.ptp(x) or 10 * abs(x[0]) or 1.0
    near = z[(z >= x.min() - reach) & (z <= x.max() + reach)]
    low, high = padded(np.concatenate([x, near]))
    wild = (z < low) | (z > high)
    figure = new_figure(title, height=6.2, note=left_out(wild, finite))
    axes = figure.add_subplot()
    style_axes(axes, x=with_unit(f"true {target}", unit), y=with_unit(f"predicted {target}", unit))
    axes.plot([low, high], [low, high], color=INK, linestyle="--", linewidth=1.2, label="predicted = true", zorder=2)
    _draw_points(axes, x, z, (low, high), (low, high))
    axes.set_aspect("equal")
    ticks = [tick for tick in MaxNLocator(6, steps=STEPS).tick_values(low, high) if low <= tick <= high]
    axes.set_xticks(ticks)
    axes.set_yticks(ticks)
    error = textwrap.fill(f"MAE {_amount(metrics.mae(true, predicted), unit)}", 18)
    facts = f"R² {number(metrics.r2(true, predicted))}\n{error}\n{len(true):,} row{'s' * (len(true) > 1)}"
    label_right(axes, [(1.0, "predicted = true", INK)])
    axes.annotate(
        literal(facts),
        xy=(1, 0.9),
        xycoords="axes fraction",
        xytext=(10, 0),
        textcoords="offset points",
        va="top",
        fontsize=SMALL,
        color=INK,
    )
    return figure


def residuals(y: npt.ArrayLike, prediction: npt.ArrayLike, target: str, unit: str, title: str) -> Figure:
    """True minus predicted `target`, in `unit`, against the prediction, and how many rows have which; both inputs (n,).

    Residuals and predictions beyond `scale.WILD` are drawn at the edge; ones that are not finite are left out; both are counted
    below. ValueError where the shapes differ.
    """
    if not np.size(y) and not np.size(prediction):
        return sentence_figure(title, NO_ROWS)
    true, predicted = metrics.checked_pair(y, prediction)
    finite = np.isfinite(true) & np.isfinite(predicted)
    if not finite.any():
        return sentence_figure(title, NO_PREDICTION)
    x, z = predicted[finite], true[finite] - predicted[finite]
    across, along = padded(tamed(x)), padded(np.append(tamed(z), 0.0))
    wild = (x < across[0]) | (x > across[1]) | (z < along[0]) | (z > along[1])
    # A log target may extrapolate to numbers whose squares are infinite.
    with np.errstate(over="ignore"):
        spread = z.std()
    moments = f"Mean residual {_amount(z.mean(), unit)}, standard deviation {_amount(spread, unit)}."
    figure = new_figure(title, height=4.0, note=f"{moments} {left_out(wild, finite)}".rstrip())
    axes, beside = figure.subplots(1, 2, sharey=True, width_ratios=(3, 1))
    style_axes(axes, x=with_unit(f"predicted {target}", unit), y=with_unit("residual: true − predicted", unit))
    axes.axhline(0, color=INK, linestyle="--", linewidth=1.2, label="no error", zorder=2)
    _draw_points(axes, x, z, across, along)
    style_axes(beside, x="rows", y="")
    bins = int(np.clip(math.sqrt(len(z)), 5, 40))
    beside.hist(
        np.clip(z, *along), bins=bins, range=along, orientation="horizontal", color=BLUE, edgecolor="white", linewidth=0.5
    )
    beside.axhline(0, color=INK, linestyle="--", linewidth=1.2)
    beside.tick_params(axis="y", length=0)
    count_ticks(beside.xaxis, 3)
    return figure


def _until_last_value(fold: FoldResult) -> FoldResult:
    rows = np.flatnonzero(np.isfinite(fold.curves).any(axis=1))
    return FoldResult(fold.curves[: rows[-1] + 1], fold.network, fold.kept_epoch)


def _kept(record: TrialRecord, folds: Sequence[FoldResult]) -> str:
    """The part of the title that says what the circles mean."""
    if record.result.state is State.FAILED:
        return f" until it failed{f' ({record.result.cause})' if record.result.cause else ''}"
    kept = sorted({record.result.spec.initial_epoch + fold.kept_epoch + 1 for fold in folds})
    span = str(kept[0]) if len(kept) == 1 else f"{kept[0]} to {kept[-1]}"
    return (
        f"; circle: epoch {span}, which was kept" if len(folds) == 1 else f"; circles: kept epochs of {len(folds)} folds, {span}"
    )


def _draw_metric(axes: Axes, result: TrialResult, folds: Sequence[FoldResult], metric: str, unit: str) -> None:
    task, mark, first = result.task, result.state is not State.FAILED, result.spec.initial_epoch + 1
    curves = {split: [fold.curves[:, task.curves.index(f"{split}/{metric}")] for fold in folds] for split in _STYLES}
    values = np.concatenate([curve for split in curves.values() for curve in split])
    label = with_unit(metric_name(metric), metric_unit(metric, unit))
    if not np.isfinite(values).any():
        style_axes(axes, x="epoch", y=label)
        axes.text(0.5, 0.5, "no finite value", transform=axes.transAxes, ha="center", fontsize=SMALL, color=INK)
        return
    scale = fit_scale(values, higher_is_better=higher_is_better(metric), cut=False)
    if higher_is_better(metric) and scale.low < _LOWEST_R2 < 0 < scale.high:
        scale = Scale(False, _LOWEST_R2, scale.high)
        label += " (below −1 cut off)"
    frame = scale.widened(0.05, 0.05)
    style_axes(axes, x="epoch", y=label)
    frame.apply(axes)
    longest = max(len(fold.curves) for fold in folds)
    axes.set_xlim(first - 0.5, first - 1 + longest + max(0.5, 0.02 * longest))
    count_ticks(axes.xaxis, 5)
    labels = []
    for split, (colour, dashes) in _STYLES.items():
        several = len(folds) > 1
        for index, curve in enumerate(curves[split]):
            name = f"{split}, fold {index + 1}"
            if several:
                _draw_curve(axes, curve, first, colour, dashes, name, width=0.7)
            kept = folds[index].kept_epoch
            if mark and split == "val" and kept < len(curve) and math.isfinite(curve[kept]):
                size = 5 if several else 8
                axes.plot(
                    [first + kept],
                    [curve[kept]],
                    "o",
                    markersize=size,
                    color=INK,
                    fillstyle="none",
                    label=f"kept, {name}",
                    zorder=5,
                )
        mean = np.mean([np.pad(curve, (0, longest - len(curve)), mode="edge") for curve in curves[split]], axis=0)
        _draw_curve(axes, mean, first, colour, dashes, split, width=1.8)
        if np.isfinite(mean).any():
            labels.append((float(frame.position(mean[np.isfinite(mean)][-1])), split, colour))
    label_right(axes, labels)


def _draw_curve(axes: Axes, curve: FloatArray, first: int, colour: str, dashes: str, label: str, *, width: float) -> None:
    finite = np.where(np.isfinite(curve), curve, np.nan)
    # A line through a single point is invisible.
    marker = "o" if np.isfinite(finite).sum() == 1 else ""
    epochs = np.arange(first, first + len(curve))
    axes.plot(epochs, finite, color=colour, linestyle=dashes, linewidth=width, marker=marker, markersize=3, label=label, zorder=3)


def _draw_points(axes: Axes, x: FloatArray, y: FloatArray, across: tuple[float, float], along: tuple[float, float]) -> None:
    inside = (x >= across[0]) & (x <= across[1]) & (y >= along[0]) & (y <= along[1])
    alpha = float(np.clip(12 / math.sqrt(len(x)), 0.04, 0.8))
    size = 4.5 if len(x) <= 1000 else 3
    axes.plot(x[inside], y[inside], "o", color=BLUE, markersize=size, markeredgewidth=0, alpha=alpha, label="rows", zorder=3)
    if not inside.all():
        edge = (np.clip(x[~inside], *across), np.clip(y[~inside], *along))
        axes.plot(*edge, "D", color=ORANGE, fillstyle="none", markersize=5, label="rows beyond", clip_on=False, zorder=4)
    axes.set_xlim(*across)
    axes.set_ylim(*along)


def left_out(wild: npt.NDArray[np.bool_], finite: npt.NDArray[np.bool_]) -> str:
    """Say which rows of (n,) are drawn at the edge and which not at all."""
    far, missing = int(wild.sum()), int((~finite).sum())
    parts = []
    if far:
        parts.append(f"Far beyond the edge, where they are diamonds: {far:,} of {len(finite):,} rows.")
    if missing:
        parts.append(f"Left out: {missing:,} of {len(finite):,} rows, whose prediction or truth is not finite.")
    return " ".join(parts)


def _amount(value: float, unit: str) -> str:
    return f"{number(value)} {unit}".rstrip()
