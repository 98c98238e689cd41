"""Predictions beside the data: as lines over the only feature, and row by row.

In: arrays of raw features, targets and predictions of shape (n,), with names and the target's unit. Out: a `Figure`. Main calls:
`fitted_line`, `predicted_by_index`.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle
from typing import Final

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from regsweep import metrics
from regsweep.report.champion_plots import NO_PREDICTION, NO_ROWS, left_out
from regsweep.report.scale import FloatArray, padded, tamed
from regsweep.report.style import (
    BLUE,
    GREEN,
    GREY,
    INK,
    ORANGE,
    PALE,
    PURPLE,
    SMALL,
    count_ticks,
    label_right,
    literal,
    new_figure,
    number,
    sentence_figure,
    style_axes,
    with_unit,
)

Named = tuple[str, npt.ArrayLike, npt.ArrayLike]

# More points than these would hide each other.
POINTS: Final = 5_000
ROWS: Final = 300
STEMS: Final = 100

_LINES: Final = ((BLUE, "-"), (ORANGE, "--"), (GREEN, "-."), (PURPLE, ":"), (INK, (0, (6, 2, 1, 2, 1, 2))), (GREY, (0, (8, 3))))
_FAINT: Final = (("o", GREY), ("^", PURPLE), ("v", GREEN))


def fitted_line(
    curves: Sequence[Named],
    points: Sequence[Named],
    *,
    feature: str,
    target: str,
    unit: str,
    title: str,
    test: tuple[npt.ArrayLike, npt.ArrayLike] | None = None,
    note: str = "",
) -> Figure:
    """Draw named curves (name, x, y) of models over named faint points and the clear ones of `test`.

    x is the feature in its raw unit, y the `target` in `unit`, both (n,). The axes are the points': what of a curve lies far from
    them is not shown. Of more than `POINTS` points some are drawn, evenly chosen. ValueError where shapes differ.
    """
    shown = [(name, *_finite_pairs(x, y)) for name, x, y in points]
    if test is not None:
        shown.append(("test", *_finite_pairs(*test)))
    lines = [(name, *metrics.checked_pair(x, y)) for name, x, y in curves]
    xs = np.concatenate([*(x for _, x, _ in shown), np.empty(0)])
    if not len(xs):
        return sentence_figure(title, NO_ROWS)
    ys = np.concatenate([y for _, _, y in shown])
    across, along = padded(tamed(xs)), _around(tamed(ys), [y for _, _, y in lines])
    far = (xs < across[0]) | (xs > across[1]) | (ys < along[0]) | (ys > along[1])
    notes = [note]
    if far.any():
        notes.append(f"Beyond the axes: {far.sum():,} of {len(xs):,} rows.")
    if any(len(x) > POINTS for _, x, _ in shown):
        notes.append(f"Of each set no more than {POINTS:,} rows are drawn, evenly chosen.")
    figure = new_figure(title, height=4.6, note=" ".join(filter(None, notes)))
    axes = figure.add_subplot()
    style_axes(axes, x=feature, y=with_unit(target, unit))
    styles = cycle(_FAINT)
    for name, x, y in shown:
        # Test points are the last.
        clear = test is not None and name == "test"
        marker, colour = ("s", INK) if clear else next(styles)
        chosen = _evenly(len(x), POINTS)
        alpha = float(np.clip((20 if clear else 10) / np.sqrt(max(len(chosen), 1)), 0.15, 0.8 if clear else 0.45))
        axes.plot(x[chosen], y[chosen], marker, markersize=4 if clear else 3.5, markeredgewidth=0, color=colour, alpha=alpha,
                  linestyle="none", label=f"{name} rows", zorder=3 if clear else 2)  # fmt: skip
    labels = []
    for (name, x, y), (colour, dashes) in zip(lines, cycle(_LINES), strict=False):
        order = np.argsort(x, kind="stable")
        places, heights = x[order], np.clip(np.where(np.isfinite(y), y, np.nan), -1e100, 1e100)[order]
        # A line through a single point is invisible.
        marker = "D" if len(set(places[np.isfinite(heights)])) == 1 else ""
        axes.plot(
            places, heights, color=colour, linestyle=dashes, linewidth=2, marker=marker, fillstyle="none", label=name, zorder=4
        )
        last = heights[np.isfinite(heights) & (places <= across[1])]
        if len(last):
            labels.append((float(np.clip((last[-1] - along[0]) / (along[1] - along[0]), 0, 1)), name, colour))
    axes.set_xlim(*across)
    axes.set_ylim(*along)
    label_right(axes, labels)
    _legend(axes, [f"{name} rows" for name, x, _ in shown if len(x)])
    return figure


def predicted_by_index(
    y: npt.ArrayLike, prediction: npt.ArrayLike, target: str, unit: str, title: str, *, by_time: bool = False
) -> Figure:
    """The true and the predicted `target`, in `unit`, both (n,), row by row: as given if they are `by_time`, else by true value.

    Of more than `ROWS` rows some are drawn, evenly chosen. Predictions far from all true values are drawn at the edge, rows with
    one that is not finite are left out; the note counts both. ValueError where the shapes differ.
    """
    if not np.size(y) and not np.size(prediction):
        return sentence_figure(title, NO_ROWS)
    true, predicted = metrics.checked_pair(y, prediction)
    finite = np.isfinite(true) & np.isfinite(predicted)
    if not finite.any():
        return sentence_figure(title, NO_PREDICTION)
    true, predicted = true[finite], predicted[finite]
    order = np.arange(len(true)) if by_time else np.argsort(true, kind="stable")
    low, high = _around(true, [predicted])
    wild = (predicted < low) | (predicted > high)
    chosen = _evenly(len(order), ROWS)
    rows = order[chosen]
    thinned = f"Drawn: {len(rows):,} of {len(true):,} rows, evenly chosen." if len(rows) < len(true) else ""
    error = f"Mean distance (MAE of all rows): {number(metrics.mae(true, predicted))} {unit}".rstrip() + "."
    figure = new_figure(title, height=4.2, note=" ".join(filter(None, [error, thinned, left_out(wild, finite)])))
    axes = figure.add_subplot()
    style_axes(axes, x="test row, by time" if by_time else f"test row, sorted by true {target}", y=with_unit(target, unit))
    held, place = np.clip(predicted[rows], low, high), chosen + 1
    if len(rows) <= STEMS:
        axes.vlines(place, true[rows], held, color=PALE, linewidth=1.2, zorder=1)
    size = 5.0 if len(rows) <= STEMS else 3.5
    axes.plot(place, true[rows], "o", markersize=size, color=INK, markeredgewidth=0, linestyle="-" if by_time else "none",
              linewidth=0.8, label="true", zorder=2)  # fmt: skip
    inside = ~wild[rows]
    axes.plot(place[inside], held[inside], "^", markersize=size + 0.5, color=ORANGE, fillstyle="none",
              linestyle="--" if by_time else "none", linewidth=0.8, label="predicted", zorder=3)  # fmt: skip
    if not inside.all():
        axes.plot(place[~inside], held[~inside], "D", markersize=5, color=ORANGE, fillstyle="none", clip_on=False,
                  label="predicted, beyond", zorder=4)  # fmt: skip
    axes.set_xlim(0.5 - 0.01 * len(true), len(true) + 0.5 + 0.01 * len(true))
    axes.set_ylim(low, high)
    _whole_rows(axes, len(true))
    _legend(axes, ["true", "predicted"])
    return figure


def _finite_pairs(x: npt.ArrayLike, y: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    first, second = metrics.checked_pair(x, y)
    finite = np.isfinite(first) & np.isfinite(second)
    return first[finite], second[finite]


def _around(values: FloatArray, others: Sequence[FloatArray]) -> tuple[float, float]:
    """Ends of an axis for `values`, widened by those of `others` that lie no farther from them than they do from each other."""
    reach = np.ptp(values) or 10 * abs(values[0]) or 1.0
    near = [each[(each >= values.min() - reach) & (each <= values.max() + reach)] for each in others]
    return padded(np.concatenate([values, *near]))


def _evenly(count: int, most: int) -> npt.NDArray[np.int64]:
    """No more than `most` of the indices 0 to `count` - 1, the first and the last among them."""
    if count <= most:
        return np.arange(count)
    return np.linspace(0, count - 1, most).round().astype(np.int64)


def _legend(axes: Axes, names: Sequence[str]) -> None:
    """Name these marks above the axes."""
    drawn = {str(found.get_label()): found for found in axes.lines}
    marks = [drawn[name] for name in names]
    legend = axes.legend(marks, [literal(name) for name in names], loc="lower left", bbox_to_anchor=(0, 1), ncols=4,
                         frameon=False, fontsize=SMALL, labelcolor=INK, borderaxespad=0.2, handletextpad=0.5)  # fmt: skip
    for mark in legend.legend_handles:
        if mark is not None:
            mark.set_alpha(0.9)


def _whole_rows(axes: Axes, rows: int) -> None:
    count_ticks(axes.xaxis, 6)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}" if 0.5 < value < rows + 0.5 else ""))
