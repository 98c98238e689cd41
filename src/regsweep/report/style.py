"""How every figure looks, and how its texts are written.

In: words, units and numbers. Out: a `Figure` with title and note, styled axes, labels with units. Main calls: `new_figure`,
`sentence_figure`, `style_axes`, `with_unit`, `number`.

Figures are made without pyplot and without touching matplotlib's settings, so they need no display and no thread waits for
another. They are 900 px wide at 120 dots per inch, and no letter is smaller than 9 points.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from typing import Final

from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, ScalarFormatter
from matplotlib.transforms import ScaledTranslation

from regsweep.tasks import METRICS

WIDTH: Final = 7.5
DPI: Final = 120
SMALL: Final = 9.0
BODY: Final = 10.0
TITLE: Final = 11.5

# Okabe and Ito, Color Universal Design (2008). BLUE, ORANGE and GREEN also differ in line style wherever they meet.
BLUE: Final = "#0072B2"
ORANGE: Final = "#D55E00"
GREEN: Final = "#007A5A"
PURPLE: Final = "#8F3F71"
INK: Final = "#222222"
GREY: Final = "#595959"
PALE: Final = "#D9D9D9"

STEPS: Final = (1, 2, 5, 10)

# Of BODY size.
_LETTERS_PER_INCH: Final = 13.5
_SUPERSCRIPT: Final = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_METRICS: Final = {name: metric.label for name, metric in METRICS.items()} | {
    "parameters": "trained weights",
    "epochs": "trained epochs",
}
_SPLITS: Final = {"train": "training", "val": "validation", "test": "test"}


def new_figure(title: str, *, height: float, width: float = WIDTH, note: str = "") -> Figure:
    """An empty figure of `width` × `height` inches with its title above and a note in small letters below."""
    figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained", facecolor="white")
    figure.suptitle(literal(title), x=0.012, ha="left", fontsize=TITLE, color=INK, wrap=True)
    if note:
        figure.supxlabel(literal(note), x=0.012, ha="left", fontsize=SMALL, color=GREY, wrap=True)
    return figure


def sentence_figure(title: str, sentence: str) -> Figure:
    """A figure that says in words why there is nothing to draw."""
    figure = new_figure(title, height=1.8)
    axes = figure.add_subplot()
    axes.set_axis_off()
    written = axes.text(0.5, 0.5, literal(sentence), ha="center", va="center", fontsize=BODY, color=INK, wrap=True)
    written.set_transform(axes.transAxes)
    return figure


def style_axes(axes: Axes, *, x: str, y: str) -> None:
    """Label the axes, draw a pale grid behind the data and only the two spines that carry ticks."""
    axes.set_xlabel(literal(_folded(x, int(0.8 * _width(axes) * _LETTERS_PER_INCH))), fontsize=BODY, color=INK)
    axes.set_ylabel(literal(_folded(y, int(0.75 * _height(axes) * _LETTERS_PER_INCH))), fontsize=BODY, color=INK)
    axes.tick_params(which="both", labelsize=SMALL, color=GREY, labelcolor=INK)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(GREY)
    axes.grid(color=PALE, linewidth=0.6)
    axes.set_axisbelow(True)
    for axis in (axes.xaxis, axes.yaxis):
        axis.get_offset_text().set_fontsize(SMALL)
        formatter = axis.get_major_formatter()
        if isinstance(formatter, ScalarFormatter):
            formatter.set_useMathText(True)
            formatter.set_powerlimits((-4, 6))


def count_ticks(axis: Axis, bins: int = 9) -> None:
    """Ticks at whole numbers only."""
    axis.set_major_locator(MaxNLocator(bins, integer=True, min_n_ticks=1, steps=STEPS))


def log_ticks(axis: Axis, low: float, high: float) -> None:
    """Ticks of a logarithmic axis from `low` to `high`, written out: powers of ten, with 2 and 5 between where few fit."""
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if high < 1000 * low else (1.0,)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))
    axis.set_minor_formatter(NullFormatter())


def spread(positions: Sequence[float], gap: float) -> list[float]:
    """Move labels at `positions` (fractions of an axis) apart until neighbours differ by `gap`, below 1 where they fit."""
    order = sorted(range(len(positions)), key=lambda index: positions[index])
    moved = [0.0] * len(positions)
    least = -math.inf
    for index in order:
        moved[index] = least = max(positions[index], least)
        least += gap
    greatest = 1.0
    for index in reversed(order):
        moved[index] = greatest = min(moved[index], greatest)
        greatest -= gap
    return moved


def label_right(axes: Axes, labels: Sequence[tuple[float, str, str]], *, lines: int = 1) -> None:
    """Write labels of `lines` lines in the right margin, each (height as a fraction of the axis, text, colour) at its height."""
    figure = axes.get_figure(root=True)
    assert figure is not None
    beside = axes.transAxes + ScaledTranslation(10 / 72, 0, figure.dpi_scale_trans)
    moved = spread([height for height, _, _ in labels], 1.35 * lines * SMALL / 72 / (0.72 * _height(axes)))
    for (height, text, colour), place in zip(labels, moved, strict=True):
        axes.annotate(
            literal(text),
            xy=(1.0, height),
            xytext=(1.0, place),
            xycoords="axes fraction",
            textcoords=beside,
            va="center",
            fontsize=SMALL,
            color=colour,
            arrowprops={"arrowstyle": "-", "color": colour, "linewidth": 0.8, "shrinkA": 0, "shrinkB": 0, "relpos": (0, 0.5)},
        )


def literal(text: str) -> str:
    """The text as it stands: a unit of `$` must not begin a formula."""
    return text.replace("$", r"\$")


def with_unit(quantity: str, unit: str) -> str:
    """`MAE [dollars]`; the quantity alone where there is no unit."""
    return f"{quantity} [{unit}]" if unit else quantity


def metric_unit(metric: str, unit: str) -> str:
    """The unit of a metric such as `val/mse`, given the target's: squared for MSE, none for R² and metrics of classes."""
    name = metric.rpartition("/")[2]
    known = METRICS.get(name)
    if known is None or known.unit == "none" or not unit:
        return ""
    if known.unit == "target":
        return unit
    return f"({unit})²" if " " in unit else f"{unit}²"


def metric_name(metric: str) -> str:
    """`validation MSE` for `val/mse`."""
    split, _, name = metric.rpartition("/")
    return f"{_SPLITS.get(split, split)} {_METRICS.get(name, name)}".strip()


def number(value: float) -> str:
    """Four digits for readers: `3,021`, `0.0312`, `1.5×10⁸`, `10⁻⁶`, `undefined`, `infinite`."""
    if not math.isfinite(value):
        return "undefined" if math.isnan(value) else "infinite"
    if value == 0:
        return "0"
    if 1e-3 <= abs(value) < 1e6:
        digits = max(0, 3 - math.floor(math.log10(abs(value))))
        text = f"{value:,.{digits}f}"
        text = text.rstrip("0").rstrip(".") if digits else text
        return text.replace("-", "−")
    mantissa, _, exponent = f"{value:.3e}".partition("e")
    mantissa = mantissa.rstrip("0").rstrip(".").replace("-", "−")
    power = "10" + str(int(exponent)).translate(_SUPERSCRIPT)
    return power if mantissa == "1" else f"{mantissa}×{power}"


def _height(axes: Axes) -> float:
    """Height in inches of the figure that the axes belong to."""
    figure = axes.get_figure(root=True)
    return figure.get_figheight() if figure is not None else WIDTH


def _width(axes: Axes) -> float:
    """Width in inches of the axes' column of the figure."""
    figure, place = axes.get_figure(root=True), axes.get_subplotspec()
    whole = figure.get_figwidth() if figure is not None else WIDTH
    return whole / (place.get_gridspec().ncols if place is not None else 1)


def _folded(label: str, letters: int) -> str:
    """Put the unit of a label that is too long on a line of its own, and cut what takes more than two."""
    if len(label) <= letters:
        return label
    quantity, bracket, unit = label.partition(" [")
    parts = [part for part in (quantity, bracket[1:] + unit) if part]
    lines = 3 - len(parts)
    return "\n".join(textwrap.fill(part, max(letters, 12), max_lines=lines, placeholder=" …") for part in parts)
