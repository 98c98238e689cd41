"""What one objective costs in another: every trial, and the front of those that no other one beats.

In: the records of a study with several objectives, the target's unit. Out: a `Figure`. Main call: `pareto_front`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from regsweep.pareto import on_front
from regsweep.record import TrialRecord
from regsweep.report.scale import FloatArray, Scale, fit_scale
from regsweep.report.search_plots import nothing_complete
from regsweep.report.style import (
    BLUE,
    GREY,
    INK,
    ORANGE,
    SMALL,
    log_ticks,
    metric_name,
    metric_unit,
    new_figure,
    sentence_figure,
    style_axes,
    with_unit,
)
from regsweep.trial import higher_is_better

# Labels of more trials than that would cover each other.
LABELLED: Final = 12


def pareto_front(records: Sequence[TrialRecord], objectives: Sequence[str], unit: str) -> Figure:
    """The first objective against each other one, a panel each; trials on the front of all objectives are filled and numbered.

    The star is the best by the first objective. A line joins the front where there are two objectives. All of the front is on the
    scale; values of others that are far off it are drawn at its worse end, and counted.
    """
    names = [metric_name(objective) for objective in objectives]
    title = f"What {names[0]} costs in {' and '.join(names[1:])}"
    complete, rows = [], []
    for record in sorted(records, key=lambda one: one.number):
        values = [record.result.score(objective) for objective in objectives]
        if all(value is not None for value in values):
            complete.append(record.number)
            rows.append(values)
    if not rows:
        return sentence_figure(title, nothing_complete(records))
    points = np.array(rows, dtype=np.float64)
    front = np.array(on_front(points.tolist(), objectives))
    best = int((points[:, 0] * (-1 if higher_is_better(objectives[0]) else 1)).argmin())
    note = (
        f"Filled: the {front.sum():,} of {len(points):,} complete trials on the Pareto front, which no other trial beats in one "
        f"objective without being worse in another. Star: trial {complete[best]}, the best by {names[0]}."
    )
    scales = [_scale(points[:, index], front, objective) for index, objective in enumerate(objectives)]
    off = int((~np.all([scale.holds(points[:, index]) for index, scale in enumerate(scales)], axis=0)).sum())
    if off:
        note += f" {off:,} other trial{'s are' if off > 1 else ' is'} far off the scale, at its worse end."
    figure = new_figure(title, height=4.6, note=note)
    for column, axes in enumerate(np.atleast_1d(figure.subplots(1, len(objectives) - 1, sharey=True)), start=1):
        style_axes(axes, x=_label(objectives[column], unit), y=_label(objectives[0], unit) if column == 1 else "")
        steps = "" if len(objectives) > 2 else "steps-pre" if higher_is_better(objectives[column]) else "steps-post"
        pair = (scales[column], scales[0])
        _draw(axes, points[:, [column, 0]], front, best, pair, steps)
        if front.sum() <= LABELLED:
            shown = points[:, [column, 0]]
            ranked = np.flatnonzero(front)[np.argsort(shown[front][:, 0], kind="stable")]
            for rank, index in enumerate(ranked):
                # Neighbours may lie close together: numbers go above and below in turn.
                axes.annotate(
                    str(complete[index]),
                    shown[index],
                    xytext=(0, -16 if rank % 2 else 8),
                    textcoords="offset points",
                    ha="center",
                    fontsize=SMALL,
                    color=INK,
                    zorder=5,
                )
    return figure


def _draw(axes: Axes, points: FloatArray, front: npt.NDArray[np.bool_], best: int, scales: Sequence[Scale], steps: str) -> None:
    """Draw points, shape (trials, 2); the front is joined by what it reaches between them, in `steps`, or not at all."""
    x, y = _held(points[:, 0], scales[0]), _held(points[:, 1], scales[1])
    axes.plot(x[~front], y[~front], "o", markersize=5, color=GREY, fillstyle="none", label="other trial", zorder=2)
    order = np.flatnonzero(front)[np.argsort(x[front], kind="stable")]
    axes.plot(
        x[order], y[order], "D", markersize=6, color=BLUE, linestyle="--" if steps else "none", linewidth=1.2,
        drawstyle=steps or "default", label="Pareto front", zorder=3,
    )  # fmt: skip
    axes.plot([x[best]], [y[best]], "*", markersize=15, color=ORANGE, markeredgecolor="white", label="best", zorder=4)
    frames = [scale.widened(0.06, 0.06) for scale in scales]
    frames[1].apply(axes)
    if frames[0].log:
        axes.set_xscale("log")
        log_ticks(axes.xaxis, frames[0].low, frames[0].high)
    axes.set_xlim(frames[0].low, frames[0].high)


def _scale(values: FloatArray, front: npt.NDArray[np.bool_], objective: str) -> Scale:
    """A scale for what is not wild, and for all of the front."""
    upward = higher_is_better(objective)
    plain = fit_scale(values, higher_is_better=upward, cut=objective.startswith("val/"))
    return fit_scale(values[front | plain.holds(values)], higher_is_better=upward, cut=False)


def _held(values: FloatArray, scale: Scale) -> FloatArray:
    held: FloatArray = np.clip(values, scale.low, scale.high)
    return held


def _label(objective: str, unit: str) -> str:
    goal = "higher is better" if higher_is_better(objective) else "lower is better"
    return f"{with_unit(metric_name(objective), metric_unit(objective, unit))}, {goal}"
