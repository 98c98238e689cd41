"""Figures of the objective over the search space: by each hyperparameter, and by two at once.

In: the records of a study, or a surface as in `insight.json`. Out: a `Figure`. Main calls: `slices`, `contour`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import ScalarFormatter

from regsweep.record import TrialRecord
from regsweep.report.parallel_plot import value_colours
from regsweep.report.parameters import ABSENT, FLOOR, ParameterAxis, axis_of, parameter_axes
from regsweep.report.scale import FloatArray, fit_scale
from regsweep.report.search_plots import nothing_complete, objective_of
from regsweep.report.style import (
    BLUE,
    BODY,
    GREY,
    INK,
    ORANGE,
    SMALL,
    literal,
    metric_name,
    metric_unit,
    new_figure,
    number,
    sentence_figure,
    style_axes,
    with_unit,
)
from regsweep.space import as_seen
from regsweep.trial import higher_is_better

ACROSS: Final = 3
# Medians are taken over so many equal parts of an axis with more places than that, each of so many trials at least.
PARTS: Final = 6
# Labels below a panel keep this distance, in parts of its width.
APART: Final = 0.2
FEWEST: Final = 3
MANY: Final = 300


def slices(records: Sequence[TrialRecord], objective: str, unit: str) -> Figure:
    """The objective against each searched hyperparameter, one panel each; bars are medians, the star is the best trial.

    An axis covers the range of the space and is logarithmic where that is. What is far off the scale is drawn at its worse end.
    """
    complete = [record for record in records if objective_of(record, objective) is not None]
    name = metric_name(objective)
    title = f"{name[:1].upper()}{name[1:]} by each hyperparameter"
    if not complete:
        return sentence_figure(title, nothing_complete(records))
    axes_of_parameters = parameter_axes(complete, gap=APART)
    if not axes_of_parameters:
        return sentence_figure(title, "The search space leaves no hyperparameter to vary.")
    found = np.array([objective_of(record, objective) for record in complete], dtype=np.float64)
    upward = higher_is_better(objective)
    scale = fit_scale(found, higher_is_better=upward)
    frame = scale.widened(0.06, 0.06)
    held = scale.holds(found)
    shown = np.clip(found, scale.low, scale.high)
    best = int(found.argmax() if upward else found.argmin())
    rows = -(-len(axes_of_parameters) // ACROSS)
    note = f"Bars: medians of at least {FEWEST} trials. Star: the best, trial {complete[best].number}. "
    note += "Higher is better." if upward else "Lower is better."
    if off := int((~held).sum()):
        note += f" Triangles: {off:,} trial{'s' * (off > 1)} off the scale."
    if any(text == ABSENT for axis in axes_of_parameters for _, text in axis.ticks):
        note += f" {ABSENT.capitalize()}: the hyperparameter's condition does not hold."
    figure = new_figure(f"{title}, {len(found):,} complete trials", height=1.2 + 2.1 * rows, note=note)
    panels = np.atleast_2d(figure.subplots(rows, min(ACROSS, len(axes_of_parameters)), sharey=True, squeeze=False)).ravel()
    for panel, axis in zip(panels, axes_of_parameters, strict=False):
        style_axes(panel, x=axis.name, y="")
        frame.apply(panel)
        _name_ticks(panel, axis)
        panel.set_xlim(-0.08, 1.08)
        crowd = _spread(axis, [record.number for record in complete])
        alpha = 0.35 if len(found) > MANY else 0.8
        beyond = "v" if upward else "^"
        for marker, mine, colour, label in (("o", held, GREY, "complete trial"), (beyond, ~held, INK, "off the scale")):
            panel.plot(crowd[mine], shown[mine], marker, markersize=4, color=colour, fillstyle="none", alpha=alpha, label=label)
        for start, end, middle in _medians(axis, shown):
            panel.plot([start, end], [middle, middle], color=BLUE, linewidth=2.6, solid_capstyle="butt", label="median", zorder=3)
        panel.plot(
            [crowd[best]], [shown[best]], "*", markersize=13, color=ORANGE, markeredgecolor="white", label="best trial", zorder=4
        )
    for panel in panels[len(axes_of_parameters) :]:
        panel.set_axis_off()
    figure.align_xlabels()
    figure.supylabel(literal(with_unit(name, metric_unit(objective, unit))), fontsize=BODY, color=INK)
    return figure


def _name_ticks(panel: Axes, axis: ParameterAxis) -> None:
    places = [place for place, _ in axis.ticks]
    named = [place for place, text in axis.ticks if text != ABSENT]
    if any(after - before < APART * (1 - FLOOR) - 1e-9 for before, after in pairwise(named)):
        # So many choices stand upright beside each other.
        panel.set_xticks(places, [literal(text.replace("\n", "")) for _, text in axis.ticks], rotation=90)
        return
    # The absent are named a line lower: there is little room beside the first value.
    panel.set_xticks(places, [literal(_lowered(text)) for _, text in axis.ticks])


def contour(records: Sequence[TrialRecord], surface: Mapping[str, Any] | None, objective: str, unit: str) -> Figure:
    """The surface over two hyperparameters in shades, dark is good, with the trials that have both; the star is their best."""
    name = metric_name(objective)
    title = f"{name[:1].upper()}{name[1:]} over two hyperparameters"
    if surface is None:
        needed = "two hyperparameters that matter, and ten complete trials that have both"
        return sentence_figure(title, f"No surface can be told: that takes {needed}.")
    across, along = surface["names"]
    complete = [record for record in records if objective_of(record, objective) is not None]
    both = [record for record in complete if across in record.params and along in record.params]
    space = as_seen(both[0].facts.config.space, [record.params for record in both])
    x = axis_of(space, across, [*surface["x"], *(record.params[across] for record in both)], gap=0.1)
    y = axis_of(space, along, [*surface["y"], *(record.params[along] for record in both)], gap=0.06)
    mean = np.array(surface["mean"], dtype=np.float64)
    upward = higher_is_better(objective)
    numbers = [record.number for record in both]
    note = (
        f"Shades: what a random forest expects after {surface['trials']:,} trials, averaged over their other hyperparameters. "
        "Circles: the trials."
    )
    if left := len(complete) - len(both):
        first = (max if upward else min)(complete, key=lambda record: objective_of(record, objective) or 0.0)
        better = "" if first in both else f", among them the best of all, trial {first.number}"
        note += f" {left:,} trials lack one of the two{better}."
    figure = new_figure(f"{title}: the two that matter most by fANOVA", height=5.4, note=note)
    axes = figure.add_subplot()
    style_axes(axes, x=across, y=along)
    axes.grid(visible=False)
    columns, rows = _edges(x.places[: len(surface["x"])]), _edges(y.places[: len(surface["y"])])
    mesh = axes.pcolormesh(columns, rows, mean, cmap=value_colours(upward=upward))
    formatter = ScalarFormatter(useMathText=True)
    formatter.set_powerlimits((-4, 6))
    bar = figure.colorbar(mesh, ax=axes, pad=0.02, format=formatter)
    goal = "higher is better" if upward else "lower is better"
    bar.set_label(literal(f"expected {with_unit(name, metric_unit(objective, unit))}, {goal}"), fontsize=BODY, color=INK)
    bar.ax.tick_params(labelsize=SMALL, color=GREY, labelcolor=INK)
    bar.ax.yaxis.get_offset_text().set_fontsize(SMALL)
    for one, axis in ((axes.xaxis, x), (axes.yaxis, y)):
        one.set_ticks([place for place, _ in axis.ticks], [literal(text) for _, text in axis.ticks])
    axes.set_xlim(columns[0], columns[-1])
    axes.set_ylim(rows[0], rows[-1])
    crowd = _spread(x, numbers, skip=len(surface["x"])), _spread(y, [3 * n + 1 for n in numbers], skip=len(surface["y"]))
    axes.plot(*crowd, "o", markersize=5.5, color="white", markeredgecolor=INK, markeredgewidth=0.9, label="trial", zorder=3)
    found = np.array([objective_of(record, objective) for record in both], dtype=np.float64)
    best = int(found.argmax() if upward else found.argmin())
    place = (crowd[0][best], crowd[1][best])
    axes.plot(*place, "*", markersize=18, color=ORANGE, markeredgecolor="white", linestyle="none", label="best trial", zorder=4)
    axes.annotate(
        f"trial {both[best].number}: {number(float(found[best]))}",
        place,
        xytext=(0, 13 if place[1] < 0.85 else -19),
        textcoords="offset points",
        ha="left" if place[0] < 0.2 else "right" if place[0] > 0.8 else "center",
        fontsize=SMALL,
        color=INK,
        bbox={"facecolor": "white", "alpha": 0.85, "edgecolor": "none", "pad": 1.5},
        zorder=5,
    )
    return figure


def _lowered(text: str) -> str:
    return f"\n{text}" if text == ABSENT else text


def _spread(axis: ParameterAxis, numbers: Sequence[int], skip: int = 0) -> FloatArray:
    """Places with those that coincide moved apart a little, each trial always the same way."""
    places = axis.places[skip:]
    distinct = np.unique(places)
    if len(distinct) > 2 * PARTS:
        return places
    room = 0.5 * float(np.diff(distinct).min()) if len(distinct) > 1 else 0.2
    golden = (np.asarray(numbers) * 0.6180339887) % 1 - 0.5
    return np.asarray(places + golden * min(room, 0.09))


def _medians(axis: ParameterAxis, values: FloatArray) -> list[tuple[float, float, float]]:
    """(start, end, median) per place, or per part of the axis where there are many places."""
    distinct = np.unique(axis.places)
    bars = []
    if len(distinct) <= 2 * PARTS:
        half = 0.4 * min(0.12, float(np.diff(distinct).min()) if len(distinct) > 1 else 0.16)
        groups = [(place - half, place + half, axis.places == place) for place in distinct]
    else:
        lowest = min(place for place, text in axis.ticks if text != ABSENT)
        edges = np.linspace(lowest, 1, PARTS)
        parts = np.clip(np.searchsorted(edges, axis.places, side="right") - 1, -1, PARTS - 2)
        groups = [(edges[part], edges[part + 1], (parts == part) & (axis.places >= lowest)) for part in range(PARTS - 1)]
        if lowest > 0:
            groups.append((-0.04, 0.04, axis.places == 0))
    for start, end, mine in groups:
        if mine.sum() >= FEWEST:
            bars.append((float(start), float(end), float(np.median(values[mine]))))
    return bars


def _edges(centres: FloatArray) -> FloatArray:
    """The edges of cells around their centres, the outer ones as far from them as the inner ones; shape (n + 1,)."""
    if len(centres) == 1:
        # The one value of a hyperparameter at which the other one exists.
        return np.array([centres[0] - 0.1, centres[0] + 0.1])
    middles = (centres[1:] + centres[:-1]) / 2
    return np.concatenate([[2 * centres[0] - middles[0]], middles, [2 * centres[-1] - middles[-1]]])
