"""Spread over seeds or splits: a row of dots for each model, a dot for each of its values.

In: names and their values, the label of the axis, reference values with names. Out: a `Figure`. Main call: `strip`.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from itertools import cycle
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from regsweep.report.scale import FloatArray, Scale, fit_scale, tamed
from regsweep.report.style import (
    BLUE,
    GREEN,
    GREY,
    INK,
    ORANGE,
    PURPLE,
    SMALL,
    WIDTH,
    literal,
    log_ticks,
    new_figure,
    number,
    sentence_figure,
    style_axes,
)

# No axis reaches there.
_HUGE: Final = 1e100
_MARKS: Final = (("o", BLUE), ("s", ORANGE), ("^", GREEN), ("v", PURPLE))
_DASHES: Final = ("--", ":", "-.", (0, (6, 2, 1, 2, 1, 2)))
_LETTERS: Final = 26
# Of SMALL size, in inches.
_LETTER: Final = 0.068
_LINE: Final = 0.17


def strip(
    rows: Sequence[tuple[str, Sequence[float]]],
    *,
    axis_label: str,
    title: str,
    note: str = "",
    references: Sequence[tuple[float, str]] = (),
    higher_is_better: bool = False,
) -> Figure:
    """Draw each name's values as dots in a row, from the top down, with their mean as a bar, and vertical lines at references.

    `axis_label` has the unit. Errors that differ tenfold are on a logarithmic axis, values that are better when higher never
    are. What is far off the axis is drawn at its edge, what is not finite left out; references far from all values are not
    drawn; the note tells of each.
    """
    arrays = [np.asarray(values, dtype=np.float64).ravel() for _, values in rows]
    finite = [array[np.isfinite(array)] for array in arrays]
    pool = np.concatenate([*finite, np.empty(0)])
    if not (np.abs(pool) < _HUGE).any():
        return sentence_figure(title, "There is no finite value to draw.")
    scale = _scale(pool, [value for value, _ in references], higher_is_better=higher_is_better)
    near = [(value, text) for value, text in references if np.isfinite(value) and scale.holds(value)]
    frame = scale.widened(0.04, 0.04)
    names = [textwrap.fill(name, _LETTERS) for name, _ in rows]
    levels = _levels([(float(frame.position(value)), text) for value, text in near], names)
    lines = max(name.count("\n") + 1 for name in names)
    far = len(pool) - int(scale.holds(pool).sum())
    notes = [note, *_left_out(far, sum(map(len, arrays)) - len(pool), sum(map(len, arrays)), references, near)]
    height = 1.5 + max(0.36, _LINE * lines + 0.08) * len(rows) + _LINE * (max(levels, default=-1) + 1)
    figure = new_figure(title, height=height, note=" ".join(filter(None, notes)))
    axes = figure.add_subplot()
    style_axes(axes, x=axis_label, y="")
    _frame(axes, frame, names)
    for (value, text), level, dashes in zip(near, levels, cycle(_DASHES), strict=False):
        axes.axvline(value, color=INK, linestyle=dashes, linewidth=1.2, label=text, zorder=2)
        _name_reference(axes, value, text, level, float(frame.position(value)))
    for index, (values, (name, _), (marker, colour)) in enumerate(zip(finite, rows, cycle(_MARKS), strict=False)):
        if len(values):
            _draw_row(axes, values, index, name, marker, colour, scale)
        axes.annotate(
            _facts(values),
            xy=(1, index),
            xycoords=("axes fraction", "data"),
            xytext=(8, 0),
            textcoords="offset points",
            va="center",
            fontsize=SMALL,
            color=INK,
        )
    return figure


def _scale(pool: FloatArray, references: Sequence[float], *, higher_is_better: bool) -> Scale:
    pool = pool[np.abs(pool) < _HUGE]
    if pool.min() <= 0 or higher_is_better:
        pool = tamed(pool)
    return fit_scale(pool, higher_is_better=higher_is_better, cut=False, also=references)


def _frame(axes: Axes, frame: Scale, names: Sequence[str]) -> None:
    if frame.log:
        axes.set_xscale("log")
        log_ticks(axes.xaxis, frame.low, frame.high)
    axes.set_xlim(frame.low, frame.high)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_yticks(range(len(names)), [literal(name) for name in names])
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")
    axes.spines["left"].set_visible(False)


def _draw_row(axes: Axes, values: FloatArray, row: int, name: str, marker: str, colour: str, scale: Scale) -> None:
    """Draw values, shape (n,), around the height `row`."""
    held, inside = np.clip(values, scale.low, scale.high), scale.holds(values)
    heights = row + _offsets(scale.position(values))
    axes.plot([scale.low, scale.high], [row, row], color=GREY, linewidth=0.5, alpha=0.5, zorder=1)
    axes.plot(held[inside], heights[inside], marker, linestyle="none", color=colour, markersize=5, markeredgewidth=0, alpha=0.75,
              label=name, zorder=3)  # fmt: skip
    if not inside.all():
        axes.plot(held[~inside], heights[~inside], "D", linestyle="none", color=colour, markersize=6, fillstyle="none",
                  clip_on=False, label=f"{name}, beyond", zorder=3)  # fmt: skip
    mean = _mean(values)
    if len(values) > 1 and np.isfinite(mean) and scale.holds(mean):
        axes.plot([mean, mean], [row - 0.36, row + 0.36], color=INK, linewidth=2.2, label=f"mean, {name}", zorder=4)


def _offsets(places: FloatArray) -> FloatArray:
    """Heights, −0.24 to 0.24, that keep dots at `places`, fractions of the axis, of shape (n,), off each other."""
    offsets = np.zeros(len(places))
    last, turn = -1.0, 0
    for index in np.argsort(places, kind="stable"):
        turn = turn + 1 if places[index] - last < 0.012 else 0
        offsets[index] = (0.0, -0.12, 0.12, -0.24, 0.24)[turn % 5]
        last = places[index]
    return offsets


def _facts(values: FloatArray) -> str:
    if len(values) > 1:
        return f"mean {number(_mean(values))}, n = {len(values):,}"
    return number(float(values[0])) if len(values) else "no finite value"


def _mean(values: FloatArray) -> float:
    with np.errstate(over="ignore"):
        return float(values.mean())


def _levels(labels: Sequence[tuple[float, str]], names: Sequence[str]) -> list[int]:
    """On which line above the axes each label of a reference, (fraction, text), stands so that none covers another."""
    longest = max(len(line) for name in names for line in name.split("\n"))
    room = WIDTH - _LETTER * (longest + len("mean 0.1234, n = 10")) - 0.4
    levels = [0] * len(labels)
    ends: list[float] = []
    for index in sorted(range(len(labels)), key=lambda index: labels[index][0]):
        place, text = labels[index]
        width = _LETTER * (len(text) + 2) / room
        start = place - width * _anchor(place)
        level = next((level for level, end in enumerate(ends) if end <= start), len(ends))
        ends[level : level + 1] = [start + width]
        levels[index] = level
    return levels


def _anchor(place: float) -> float:
    """Which part of a label stands left of its line: all of it at the right edge, none at the left one."""
    return 0.0 if place < 0.25 else 1.0 if place > 0.75 else 0.5


def _name_reference(axes: Axes, value: float, text: str, level: int, place: float) -> None:
    anchor = _anchor(place)
    leader = {"arrowstyle": "-", "color": INK, "linewidth": 0.6, "shrinkA": 0, "shrinkB": 0, "relpos": (anchor, 0.0)}
    axes.annotate(
        literal(text),
        xy=(value, 1),
        xycoords=("data", "axes fraction"),
        xytext=(0, 3 + 72 * _LINE * level),
        textcoords="offset points",
        ha={0.0: "left", 0.5: "center", 1.0: "right"}[anchor],
        va="bottom",
        fontsize=SMALL,
        color=INK,
        # A label covers the lines of those above it.
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5},
        zorder=20 - level,
        arrowprops=leader if level else None,
    )


def _left_out(
    far: int, missing: int, total: int, references: Sequence[tuple[float, str]], near: Sequence[tuple[float, str]]
) -> list[str]:
    parts = []
    if far:
        parts.append(f"Diamonds at the edge: {far:,} of {total:,} values, which lie far beyond it.")
    if missing:
        parts.append(f"Left out: {missing:,} of {total:,} values, which are not finite.")
    if off := [f"{text} ({number(value)})" for value, text in references if (value, text) not in near]:
        parts.append(f"Off the axis: {', '.join(off)}.")
    return parts
