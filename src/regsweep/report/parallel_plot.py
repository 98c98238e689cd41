"""Every complete trial as a line through its hyperparameters to its objective.

In: the records of a study, the objective's name, the target's unit. Out: a `Figure`. Main call: `parallel_coordinates`.
"""

from __future__ import annotations

import math
import re
import textwrap
from collections.abc import Sequence
from typing import Final, Literal

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import Colormap, ListedColormap
from matplotlib.figure import Figure

from regsweep.record import TrialRecord
from regsweep.report.parameters import ABSENT, ParameterAxis, parameter_axes, tick_marks
from regsweep.report.scale import FloatArray, Scale, fit_scale
from regsweep.report.search_plots import nothing_complete, objective_of
from regsweep.report.style import (
    GREY,
    INK,
    ORANGE,
    SMALL,
    WIDTH,
    literal,
    metric_name,
    metric_unit,
    new_figure,
    number,
    sentence_figure,
    with_unit,
)
from regsweep.trial import higher_is_better

_STRIP: Final = 0.1
# So long is a line of a name between two axes.
_LETTERS: Final = 18

CROWDED: Final = 10


def parallel_coordinates(records: Sequence[TrialRecord], objective: str, unit: str) -> Figure:
    """One axis per searched hyperparameter, the objective (`unit` is the target's) last, a line per complete trial.

    An axis covers the range of the search space and is logarithmic where that is. Lines have the colour of their objective;
    the best trial is thick and orange. An objective far off the scale is drawn at its end, and the axis says for how many.
    """
    values = {record.number: value for record in records if (value := objective_of(record, objective)) is not None}
    complete = [record for record in records if record.number in values]
    name = metric_name(objective)
    title = f"Hyperparameters and {name} of "
    if not complete:
        return sentence_figure(f"{title}complete trials", nothing_complete(records))
    found = np.array([values[record.number] for record in complete])
    upward = higher_is_better(objective)
    scale = fit_scale(found, higher_is_better=upward)
    axes_of_parameters = parameter_axes(complete)
    if not axes_of_parameters:
        return sentence_figure(f"{title}complete trials", "The search space leaves no hyperparameter to vary.")
    lines = [*axes_of_parameters, _objective_axis(found, scale, objective, unit)]

    best = int(found.argmax() if upward else found.argmin())
    plural = "the one complete trial" if len(found) == 1 else f"{len(found):,} complete trials"
    title += f"{plural}; thick: the best, trial {complete[best].number}"
    figure = new_figure(title, height=5.0, width=max(WIDTH, 0.6 * len(lines)))
    axes = figure.add_subplot()
    colours = value_colours(upward=upward)
    _draw_lines(axes, np.column_stack([line.places for line in lines]), colours, best, upward=upward)
    end = len(lines) - 1
    for x, line in enumerate(lines):
        _draw_axis(axes, x, line, last=x == end, raised=end >= CROWDED and x % 2 == 1)
    _write_remarks(axes, end, found, scale, upward=upward)
    if any(text == ABSENT for line in lines for _, text in line.ticks):
        _write(axes, f"{ABSENT}: these trials have no such hyperparameter, its condition does not hold", -0.3, 0, -10, ha="left")
    strip = np.linspace(0, 1, 256)[:, None]
    axes.imshow(strip, cmap=colours, aspect="auto", origin="lower", extent=(end, end + _STRIP, 0, 1), zorder=5)
    axes.set_xlim(-0.45, end + 0.75)
    axes.set_ylim(-0.03, 1.02)
    axes.set_axis_off()
    return figure


def _objective_axis(found: FloatArray, scale: Scale, objective: str, unit: str) -> ParameterAxis:
    heading = textwrap.fill(with_unit(metric_name(objective), metric_unit(objective, unit)), 14)
    marks = [(float(scale.position(mark)), text) for mark, text in tick_marks(scale, whole=False, ends=False)]
    return ParameterAxis(heading, scale.position(found), tuple(marks))


def value_colours(*, upward: bool) -> Colormap:
    """Viridis without its palest part, dark where the objective is good."""
    shades = colormaps["viridis"](np.linspace(0.0, 0.9, 256))
    return ListedColormap(shades[::-1] if upward else shades)


def _draw_lines(axes: Axes, places: FloatArray, colours: Colormap, best: int, *, upward: bool) -> None:
    """Draw `places`, shape (trials, axes), the worst first and the best on top."""
    order = np.argsort(places[:, -1] if upward else -places[:, -1], kind="stable")
    x = np.broadcast_to(np.arange(places.shape[1], dtype=np.float64), places.shape)
    segments = np.stack([x, places], axis=2)
    shades = colours(places[order, -1])
    # Of thousands of lines only some forty good ones may cover others.
    faint = min(1.0, 5 / math.sqrt(len(places)))
    shades[:, 3] = 0.8 * (faint + (1 - faint) * np.linspace(0, 1, len(places)) ** max(1.0, len(places) / 40))
    width = 1.2 if len(places) <= 200 else 0.7
    axes.add_collection(LineCollection(list(segments[order]), colors=shades, linewidths=width, zorder=2))
    for colour, thick, label in (("white", 5.5, "_halo"), (ORANGE, 3.2, "best trial")):
        axes.plot(*segments[best].T, color=colour, linewidth=thick, solid_joinstyle="round", label=label, zorder=4)


def _draw_axis(axes: Axes, x: int, line: ParameterAxis, *, last: bool, raised: bool) -> None:
    lowest = min((height for height, text in line.ticks if text != ABSENT), default=0.0)
    bottom = lowest if any(text == ABSENT for _, text in line.ticks) else 0.0
    axes.plot([x, x], [bottom, 1], color=INK, linewidth=1.0, zorder=5)
    axes.plot([x, x], [0, bottom], color=GREY, linewidth=1.0, linestyle=":", zorder=5)
    for height, text in line.ticks:
        axes.annotate(
            literal(text),
            xy=(x + (_STRIP if last else 0), height),
            xytext=(4 if last else -4, 6 if "\n" in text and height == 1 else 0),
            textcoords="offset points",
            ha="left" if last else "right",
            va="top" if "\n" in text and height == 1 else "center",
            fontsize=SMALL,
            color=INK,
            style="italic" if text == ABSENT else "normal",
            bbox={"facecolor": "white", "alpha": 0.75, "edgecolor": "none", "pad": 0.8},
            # The box of a wide label may lie on the next axis to the left, but not on its labels.
            zorder=7 - 0.01 * x,
        )
        if not last:
            axes.plot([x], [height], marker="_", markersize=6, color=INK, zorder=5)
    pieces = [line.name] if last else re.split(r"(?<=_)(?=.)", line.name)
    _write(axes, "\n".join(part for piece in pieces for part in textwrap.wrap(piece, _LETTERS)), x, 1, 33 if raised else 10)


def _write_remarks(axes: Axes, x: int, found: FloatArray, scale: Scale, *, upward: bool) -> None:
    """Say under the objective's axis how it is to be read."""
    remarks = [f"{'higher' if upward else 'lower'} is better"]
    if scale.log:
        remarks.append("log scale")
    off = int((~scale.holds(found)).sum())
    if off:
        end, beyond = (scale.low, "below") if upward else (scale.high, "above")
        remarks.append(f"{off:,} {beyond} {number(float(f'{end:.2g}'))}:\ndrawn at the end")
    _write(axes, "\n".join(remarks), x, 0, -10)


def _write(axes: Axes, text: str, x: float, height: float, points: float, *, ha: Literal["left", "center"] = "center") -> None:
    """Write `points` above (or, if negative, below) a height."""
    axes.annotate(
        literal(text),
        xy=(x, height),
        xytext=(0, points),
        textcoords="offset points",
        ha=ha,
        va="bottom" if points > 0 else "top",
        fontsize=SMALL,
        color=INK,
    )
