"""Learning curves of several trainings in one figure: one metric by epoch.

In: names and curves. Out: a `Figure`. Main call: `metric_by_epoch`.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from itertools import cycle
from typing import Final

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from regsweep.report.scale import FloatArray, Scale, fit_scale
from regsweep.report.style import (
    BLUE,
    GREEN,
    GREY,
    INK,
    ORANGE,
    PURPLE,
    count_ticks,
    label_right,
    log_ticks,
    metric_name,
    metric_unit,
    new_figure,
    sentence_figure,
    style_axes,
    with_unit,
)
from regsweep.trial import CURVES, higher_is_better

# Trainings that last so many times as long as the shortest are shown on a logarithmic axis of epochs.
LONGER: Final = 20

_LOWEST_R2: Final = -1.0
_LETTERS: Final = 24
# Colours and dashes repeat after 6 and 5 trainings, their pairs after 30.
_COLOURS: Final = (BLUE, ORANGE, GREEN, PURPLE, INK, GREY)
_DASHES: Final = ("-", "--", "-.", ":", (0, (6, 2, 1, 2, 1, 2)))
_MARKS: Final = "os^vDPX"


def metric_by_epoch(
    trainings: Sequence[tuple[str, npt.ArrayLike]], *, metric: str, unit: str, title: str, note: str = ""
) -> Figure:
    """Draw `metric` (`val/mse`, ...; `unit` is the target's) of named trainings by epoch, the first of which is 1.

    Curves have shape (epochs,), or (epochs, 6) with columns as in `CURVES`. A mark stands at a curve's last finite value. Errors
    that differ tenfold are on a logarithmic axis, as are epochs where one training lasts `LONGER` than another. ValueError for
    another shape, or an unknown metric of six columns.
    """
    curves = [(name, _column(name, values, metric)) for name, values in trainings]
    pool = np.concatenate([*(curve for _, curve in curves), np.empty(0)])
    if not np.isfinite(pool).any():
        return sentence_figure(title, "There is no finite value to draw.")
    label = with_unit(metric_name(metric), metric_unit(metric, unit))
    scale = fit_scale(pool, higher_is_better=higher_is_better(metric), cut=False)
    if higher_is_better(metric) and scale.low < _LOWEST_R2 < 0 < scale.high:
        scale = Scale(False, _LOWEST_R2, scale.high)
        label += " (below −1 cut off)"
    frame = scale.widened(0.05, 0.05)
    names = [textwrap.wrap(name, _LETTERS) or [""] for name, _ in curves]
    lines = max(map(len, names))
    figure = new_figure(title, height=max(3.8, 1.4 + 0.24 * lines * len(curves)), note=note)
    axes = figure.add_subplot()
    style_axes(axes, x="epoch", y=label)
    frame.apply(axes)
    lengths = [len(curve) for _, curve in curves if len(curve)]
    longest = max(lengths)
    if longest >= LONGER * min(lengths):
        axes.set_xscale("log")
        axes.set_xlim(0.9, longest * 1.1)
        log_ticks(axes.xaxis, 1, longest)
    else:
        axes.set_xlim(0.5, longest + max(0.5, 0.02 * longest))
        count_ticks(axes.xaxis, 8)
    labels = []
    for (name, curve), wrapped, colour, dashes, mark in zip(
        curves, names, cycle(_COLOURS), cycle(_DASHES), cycle(_MARKS), strict=False
    ):
        finite = np.where(np.isfinite(curve), curve, np.nan)
        axes.plot(np.arange(1, len(curve) + 1), finite, color=colour, linestyle=dashes, linewidth=1.6, label=name, zorder=3)
        known = np.flatnonzero(np.isfinite(curve))
        if not len(known):
            labels.append((0.0, f"{name}: no value", colour))
            continue
        last = float(curve[known[-1]])
        if frame.holds(last):
            axes.plot([known[-1] + 1], [last], mark, color=colour, markersize=6, markeredgecolor="white", clip_on=False,
                      label=f"end, {name}", zorder=4)  # fmt: skip
        labels.append((float(frame.position(last)), "\n".join(wrapped), colour))
    label_right(axes, labels, lines=lines)
    return figure


def _column(name: str, values: npt.ArrayLike, metric: str) -> FloatArray:
    array = np.asarray(values, dtype=np.float64)
    # No axis reaches beyond.
    array = np.where(np.abs(array) < 1e100, array, np.nan)
    if array.ndim == 1:
        return array
    if array.ndim != 2 or array.shape[1] != len(CURVES):
        raise ValueError(f"curves of {name!r} must have shape (epochs,) or (epochs, {len(CURVES)}), but have {array.shape}")
    if metric not in CURVES:
        raise ValueError(f"metric must be one of {', '.join(CURVES)}, but is {metric!r}")
    column: FloatArray = array[:, CURVES.index(metric)]
    return column
