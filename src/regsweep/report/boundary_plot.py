"""What a classifier of two numbers answers over the plane, and the rows it was trained on.

In: a model and the rows that are not test rows. Out: a `Figure`. Main calls: `decision_boundary`, `has_plane`.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from regsweep.data import Dataset
from regsweep.predictor import Model, NumberColumn, SegmentsColumn
from regsweep.report.scale import padded
from regsweep.report.style import BODY, INK, ORANGE, SMALL, literal, new_figure, sentence_figure, style_axes

GRID: Final = 160

MOST_POINTS: Final = 1500

_LEVELS: Final = tuple(step / 10 for step in range(11))


def has_plane(model: Model) -> bool:
    """Whether the model reads two numbers and answers with a probability."""
    columns = {column.name for member in model.members for column in member.columns}
    numbers = all(isinstance(c, NumberColumn | SegmentsColumn) and not c.date for member in model.members for c in member.columns)
    return len(columns) == 2 and numbers and all(member.classes for member in model.members)


def decision_boundary(model: Model, seen: Dataset, title: str) -> Figure:
    """The probability of class 1 over both features, darker where it is higher, its line of 0.5, and rows by class.

    `seen` has the rows of training and validation; rows that miss a feature are left out, of very many every k-th is drawn.
    """
    first, second = seen.features
    x = seen.x.to_numpy(dtype=np.float64)
    whole = np.flatnonzero(~np.isnan(x).any(axis=1))
    if not len(whole):
        return sentence_figure(title, "No row has both features.")
    rows = whole[:: -(-len(whole) // MOST_POINTS)]
    classes = [str(name) for name in seen.classes or (0, 1)]
    across, along = (padded(x[whole, column], room=0.06) for column in (0, 1))
    u, v = np.meshgrid(np.linspace(*across, GRID), np.linspace(*along, GRID))
    probability = model.predict(pd.DataFrame({first: u.ravel(), second: v.ravel()})).reshape(u.shape)
    note = f"Rows of training and validation: {len(rows):,} of {seen.rows:,}."
    figure = new_figure(title, height=5.8, note=note)
    axes = figure.add_subplot()
    style_axes(axes, x=first, y=second)
    axes.grid(visible=False)
    # One hue from light to dark, which grey shows as well.
    filled = axes.contourf(u, v, probability, levels=_LEVELS, cmap="Blues", vmin=-0.1, vmax=1.4)
    if probability.min() < 0.5 < probability.max():
        axes.contour(u, v, probability, levels=[0.5], colors=[ORANGE], linewidths=2.2)
    markers = (("o", "white", INK), ("^", INK, "white"))
    handles = [Line2D([], [], color=ORANGE, linewidth=2.2, label="probability 0.5")]
    for number, (marker, inside, edge) in enumerate(markers):
        part = rows[seen.y[rows] == number]
        label = literal(f"{seen.target} = {classes[number]} ({len(part):,})")
        (drawn,) = axes.plot(
            x[part, 0],
            x[part, 1],
            marker,
            markersize=5,
            markerfacecolor=inside,
            markeredgecolor=edge,
            markeredgewidth=0.7,
            label=label,
            zorder=3,
        )
        handles.append(drawn)
    axes.set_xlim(*across)
    axes.set_ylim(*along)
    bar = figure.colorbar(filled, ax=axes, ticks=_LEVELS[::2])
    bar.set_label(literal(f"probability that {seen.target} is {classes[1]}"), fontsize=BODY, color=INK)
    bar.ax.tick_params(labelsize=SMALL)
    axes.legend(
        handles=handles,
        loc="lower left",
        bbox_to_anchor=(0, 1.0),
        ncols=3,
        frameon=False,
        fontsize=SMALL,
        labelcolor=INK,
        borderaxespad=0.2,
    )
    return figure
