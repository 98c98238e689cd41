"""How models did on the test rows of several splits.

In: names with a value per split, the metric, the target's unit. Out: a `Figure`. Main call: `repeated_splits`.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from matplotlib.figure import Figure

from regsweep.report.scale import fit_scale
from regsweep.report.style import (
    BLUE,
    GREY,
    INK,
    SMALL,
    literal,
    log_ticks,
    metric_name,
    metric_unit,
    new_figure,
    sentence_figure,
    style_axes,
    with_unit,
)
from regsweep.trial import higher_is_better

_LETTERS: Final = 30
# Inches that a model takes, and title, axis and note together.
_EACH, _REST = 0.34, 2.0


def repeated_splits(rows: Sequence[tuple[str, Sequence[float]]], metric: str, unit: str, sentence: str) -> Figure:
    """A row per model with a dot per split and a bar at their mean; the first one, the champion, on top, filled.

    `rows` are names with values of `metric` (`test/r2`), one per split; `sentence` goes below. What is far off the scale is a
    triangle at its worse end, and so is a mean, in the ink of bars; the note counts splits that are, and such without a value.
    """
    name = metric_name(metric)
    title = f"{name[:1].upper()}{name[1:]} on {len(rows[0][1])} splits"
    values = np.array([found for _, found in rows], dtype=np.float64)
    if not np.isfinite(values).any():
        return sentence_figure(title, "No model has a finite value on any split.")
    upward = higher_is_better(metric)
    scale = fit_scale(values.ravel(), higher_is_better=upward).widened(0.04, 0.04)
    note = "A dot is a split, the bar their mean, the dashed line the champion's."
    figure = new_figure(title, height=_REST + _EACH * len(rows), note="")
    axes = figure.add_subplot()
    goal = "higher is better" if upward else "lower is better"
    style_axes(axes, x=f"{with_unit(metric_name(metric), metric_unit(metric, unit))}, {goal}", y="")
    worse, off_marker = (scale.low, "<") if upward else (scale.high, ">")
    far = absent = 0
    with np.errstate(invalid="ignore"):
        means = values.mean(axis=1)
    for place, ((name, _), found, mean) in enumerate(zip(rows, values, means, strict=True)):
        champion = place == 0
        finite = np.isfinite(found)
        held = finite & scale.holds(np.where(finite, found, scale.low))
        far, absent = far + int((finite & ~held).sum()), absent + int((~finite).sum())
        style: dict[str, Any] = {"color": BLUE if champion else GREY, "markersize": 6, "linestyle": "none", "clip_on": False}
        fill = "full" if champion else "none"
        # An empty line that isn't clipped takes room at the figure's corner.
        if held.any():
            axes.plot(found[held], np.full(held.sum(), place), "o", fillstyle=fill, label=name, zorder=3, **style)
        if (finite & ~held).any():
            axes.plot([worse], [place], off_marker, label=f"{name}, off the scale", zorder=3, **style)
        if np.isfinite(mean):
            on = bool(scale.holds([mean])[0])
            marker, width = ("|", 17.0) if on else (off_marker, 3.0)
            axes.plot([mean if on else worse], [place], marker, markersize=width, markeredgewidth=2.6, color=INK, clip_on=False,
                      label=f"{name}, mean", zorder=4)  # fmt: skip
    if np.isfinite(means[0]) and bool(scale.holds([means[0]])[0]):
        axes.axvline(means[0], color=BLUE, linewidth=1.0, linestyle="--", zorder=1)
    if scale.log:
        axes.set_xscale("log")
        log_ticks(axes.xaxis, scale.low, scale.high)
    axes.set_xlim(scale.low, scale.high)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_yticks(range(len(rows)), [literal(textwrap.fill(name, _LETTERS)) for name, _ in rows], fontsize=SMALL)
    axes.yaxis.grid(visible=False)
    count = values.size
    if far:
        note += f" {'◁' if upward else '▷'}: {far} of {count} values are far off the scale; a dark one: so is a mean."
    if absent:
        note += f" {absent} of {count} are not finite, and left out."
    figure.supxlabel(literal(f"{sentence} {note}"), x=0.012, ha="left", fontsize=SMALL, color=GREY, wrap=True)
    return figure
