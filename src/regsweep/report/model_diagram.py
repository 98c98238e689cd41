"""A network as a diagram, from the raw columns at the top to the target at the bottom.

In: columns with what encodes them, hidden layers, the target. Out: a `Figure`. Main calls: `model_diagram`, and
`encoded_columns`, which puts a model's columns into words.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, assert_never

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyBboxPatch, Polygon

from regsweep.predictor import CategoryColumn, Column, NumberColumn, OrdinalColumn, SegmentsColumn
from regsweep.report.style import (
    BLUE,
    BODY,
    GREEN,
    GREY,
    INK,
    ORANGE,
    PALE,
    PURPLE,
    SMALL,
    WIDTH,
    literal,
    new_figure,
    number,
    with_unit,
)

# Layers of no more units show each of them.
CIRCLES: Final = 8

# Inches.
_MIDDLE: Final = 1.6
_TEXT: Final = 3.35
_RADIUS: Final = 0.11
_STEP: Final = 0.31
_BOX: Final = 0.3
_GAP: Final = 0.26
_LINE: Final = 0.165
_LETTERS: Final = 52
_LINES: Final = 4


@dataclass(frozen=True)
class _Row:
    """A part of the network: `units` of it are drawn (0: none, the caption alone), in `colour`, beside its texts."""

    units: int
    inside: str
    head: str
    text: tuple[str, ...]
    colour: str

    @property
    def circles(self) -> bool:
        return 0 < self.units <= CIRCLES and not self.inside

    @property
    def half(self) -> float:
        """Half the width in inches: eight circles and more; boxes grow with the logarithm of their units up to 1,024."""
        if self.circles:
            return (self.units - 1) * _STEP / 2 + _RADIUS
        return 1.25 + 0.3 * min(1.0, max(0.0, math.log2(max(self.units, 1) / CIRCLES) / 7))

    @property
    def height(self) -> float:
        return max(_BOX, _LINE * (len(self.text) + 1) + 0.04)


def model_diagram(
    columns: Sequence[tuple[str, str, int]],
    layers: Sequence[tuple[int, str, float]],
    *,
    target: str,
    unit: str,
    title: str,
    note: str = "",
    then: str = "",
) -> Figure:
    """Draw a network of `columns` (raw name, what encodes it, how many inputs that gives) and hidden `layers`.

    A layer is (units, activation, dropout). Layers of up to `CIRCLES` units show each unit and its connections, larger ones
    are boxes with their count; a band between two says that all are connected with all. The output is one linear unit; `then`
    says what is made of it before it is a prediction.
    """
    names = list(dict.fromkeys(name for name, _, _ in columns))
    inputs = sum(count for _, _, count in columns)
    rows = [
        _Row(len(names), _counted(len(names), "raw column"), "Table", _shortened(", ".join(names)), GREY),
        _Row(inputs, "encoding", "Encoding", _encodings(columns), PURPLE),
        _Row(inputs, "", f"Inputs: {_counted(inputs, 'number')}", (), GREEN),
    ]
    for index, (units, activation, dropout) in enumerate(layers, 1):
        drop = f", then dropout {number(dropout)}" if dropout > 0 else ""
        rows.append(_Row(units, "", f"Hidden layer {index}: {_counted(units, 'unit')}", (f"{activation}{drop}",), BLUE))
    output = f"Output: 1 unit, linear, then {then}" if then else "Output: 1 unit, linear"
    rows.append(_Row(1, "", output, _shortened(f"predicted {with_unit(target, unit)}"), ORANGE))
    sizes = [inputs, *(units for units, _, _ in layers), 1]
    weights = sum((fan_in + 1) * fan_out for fan_in, fan_out in pairwise(sizes))
    said = f"{_counted(weights, 'trained weight')}, biases included."
    tall = sum(row.height for row in rows) + _GAP * (len(rows) - 1) + 0.1
    figure = new_figure(title, height=tall + 0.75 + 0.18 * (1 + len(note) // 110), note=f"{said} {note}".rstrip())
    axes = figure.add_subplot()
    axes.set_axis_off()
    axes.set_xlim(0, WIDTH)
    axes.set_ylim(tall, 0)
    axes.set_aspect("equal")
    top, before = 0.05, None
    for row in rows:
        centre = top + row.height / 2
        if before is not None:
            _connect(axes, before[0], row, before[1], centre)
        _draw(axes, row, centre)
        before = (row, centre)
        top += row.height + _GAP
    return figure


def encoded_columns(columns: Iterable[Column]) -> list[tuple[str, str, int]]:
    """Raw name, encoding in words and number of inputs of each of a model's columns."""
    found = []
    for column in columns:
        match column:
            case NumberColumn():
                words = ("date as scaled days" if column.date else "scaled number") + (" and missing or not" * column.indicator)
            case SegmentsColumn():
                words = "piecewise-linear segments"
            case CategoryColumn():
                words = "one input per category"
            case OrdinalColumn():
                words = "position among the categories"
            case _:
                assert_never(column)
        found.append((column.name, words, len(column.outputs)))
    return found


def _encodings(columns: Sequence[tuple[str, str, int]]) -> tuple[str, ...]:
    """A line or more for each kind of encoding: how many columns, how many inputs."""
    found: list[str] = []
    for words in dict.fromkeys(words for _, words, _ in columns):
        counts = [count for _, each, count in columns if each == words]
        found += _shortened(f"{words}: {_counted(len(counts), 'column')}, {_counted(sum(counts), 'input')}", 2)
    return tuple(found)


def _shortened(text: str, lines: int = _LINES) -> tuple[str, ...]:
    return tuple(textwrap.wrap(text, _LETTERS, max_lines=lines, placeholder=" …"))


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'s' * (count != 1)}"


def _places(row: _Row) -> list[float]:
    """Where the centres of a row's circles stand."""
    return [_MIDDLE + (index - (row.units - 1) / 2) * _STEP for index in range(row.units)]


def _draw(axes: Axes, row: _Row, centre: float) -> None:
    if row.circles:
        for place in _places(row):
            axes.add_patch(Circle((place, centre), _RADIUS, facecolor=row.colour, edgecolor="white", linewidth=0.8, zorder=3))
    elif row.units or row.inside:
        left, width = _MIDDLE - row.half, 2 * row.half
        axes.add_patch(
            FancyBboxPatch((left, centre - _BOX / 2), width, _BOX, boxstyle="round,pad=0,rounding_size=0.06",
                           facecolor=row.colour, edgecolor="white", linewidth=0.8, zorder=3)
        )  # fmt: skip
        axes.text(
            _MIDDLE, centre, row.inside or f"{row.units:,}", ha="center", va="center", fontsize=BODY, color="white", zorder=4
        )
    line = centre - _LINE * len(row.text) / 2
    axes.text(_TEXT, line, literal(row.head), va="center", fontsize=BODY, fontweight="bold", color=INK)
    for text in row.text:
        line += _LINE
        axes.text(_TEXT, line, literal(text), va="center", fontsize=SMALL, color=INK)


def _connect(axes: Axes, above: _Row, below: _Row, start: float, end: float) -> None:
    """Lines from each circle to each one below, or a band where there are boxes."""
    if above.circles and below.circles:
        for x in _places(above):
            for z in _places(below):
                axes.plot([x, z], [start, end], color=GREY, linewidth=0.6, alpha=0.6, zorder=1)
        return
    corners = [
        (_MIDDLE - above.half, start),
        (_MIDDLE + above.half, start),
        (_MIDDLE + below.half, end),
        (_MIDDLE - below.half, end),
    ]
    axes.add_patch(Polygon(corners, closed=True, facecolor=PALE, edgecolor="none", alpha=0.7, zorder=1))
