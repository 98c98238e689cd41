"""Figures of what a study teaches: importance, the ablation path, the distribution of the objective.

In: what `insight.json` says, or a study's records. Out: a `Figure`. Main calls: `parameter_importance`, `ablation_path`,
`empirical_distribution`.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from regsweep.baselines import describe
from regsweep.record import TrialRecord
from regsweep.report.scale import FloatArray, fit_scale
from regsweep.report.search_plots import BASELINE_STYLES, compared, nothing_complete, objective_of
from regsweep.report.style import (
    BLUE,
    BODY,
    GREY,
    INK,
    ORANGE,
    PALE,
    SMALL,
    STEPS,
    literal,
    log_ticks,
    metric_name,
    metric_unit,
    new_figure,
    number,
    sentence_figure,
    style_axes,
    with_unit,
)
from regsweep.trial import Scalar, higher_is_better

QUESTIONS: Final = {
    "fANOVA": "its share of what single hyperparameters explain of the objective's variance over the whole space",
    "PED-ANOVA": "how much its values in the best tenth of the trials differ from those in all",
}
# Of a step's name, in a line.
_LETTERS: Final = 34
WHITE: Final = {"facecolor": "white", "alpha": 0.85, "edgecolor": "none", "pad": 1.0}
# Colour and hatching of each method's bars.
_BARS: Final = ((BLUE, ""), ("white", "//////"))


def parameter_importance(importance: Sequence[Mapping[str, Any]], objective: str) -> Figure:
    """Bars of importance by hyperparameter, in parts of 1 and for each method, the first method's greatest on top.

    `importance` has `method`, `trials` and `values` by name; values that are not finite are left out.
    """
    title = f"How much each hyperparameter matters to {metric_name(objective)}, by {_listed(importance)}"
    finite = [{name: value for name, value in one["values"].items() if math.isfinite(value)} for one in importance]
    names = list(dict.fromkeys(name for values in finite for name in values))
    if not names:
        sentence = "No importance can be told: that takes several complete trials with different objectives."
        return sentence_figure("How much each hyperparameter matters", sentence)
    ranked = sorted(names, key=lambda name: [values.get(name, 0.0) for values in finite])
    asked = [f"{one['method']}: {QUESTIONS[one['method']]}; {one['trials']:,} trials." for one in importance]
    labels = [textwrap.fill(name, _LETTERS) for name in ranked]
    lines_each = max(label.count("\n") + 1 for label in labels)
    figure = new_figure(title, height=1.9 + max(0.42, 0.2 * lines_each) * len(ranked), note=" ".join(asked))
    axes = figure.add_subplot()
    style_axes(axes, x="importance, as a share of all hyperparameters together", y="")
    axes.grid(visible=False, axis="y")
    thickness = 0.8 / len(finite)
    for index, (one, values) in enumerate(zip(importance, finite, strict=True)):
        colour, hatch = _BARS[index]
        heights = np.arange(len(ranked)) + 0.4 - thickness * (index + 0.5)
        lengths = [values.get(name, 0.0) for name in ranked]
        bars = axes.barh(
            heights, lengths, height=0.92 * thickness, color=colour, hatch=hatch, edgecolor=BLUE, label=one["method"]
        )
        written = [f"{values[name]:.2f}" if name in values else "not told" for name in ranked]
        axes.bar_label(bars, written, padding=4, fontsize=SMALL, color=INK)
    axes.set_yticks(range(len(ranked)), [literal(label) for label in labels])
    axes.tick_params(axis="y", length=0, labelsize=BODY)
    axes.spines["left"].set_visible(False)
    axes.set_ylim(-0.6, len(ranked) - 0.4)
    axes.set_xlim(0, 1.1 * max(value for values in finite for value in values.values()) or 1.0)
    axes.xaxis.set_major_locator(MaxNLocator(6, steps=STEPS))
    axes.legend(loc="lower right", frameon=False, fontsize=SMALL, labelcolor=INK)
    return figure


def ablation_path(ablation: Mapping[str, Any], champion: int, unit: str, baselines: Mapping[str, float]) -> Figure:
    """From the middle of the space down to trial `champion`, one row per step, the objective across.

    `ablation` is as in `insight.json`; `baselines` are validation values of its objective by registered name. An MSE is drawn as
    its root, the RMSE, in the target's unit.
    """
    objective = ablation["objective"]
    shown = objective.replace("mse", "rmse")
    title = f"From the middle of the space to trial {champion}, one hyperparameter at a time"
    rows = [("middle of the space", _drawn(ablation["value"], objective))]
    rows += [(_said(step["changes"], step["flipped"]), _drawn(step["value"], objective)) for step in ablation["steps"]]
    if len(rows) == 1:
        return sentence_figure(title, "The champion is the middle of the space.")
    upward = higher_is_better(objective)
    places = np.arange(len(rows))
    values = np.array([value if value is not None else np.nan for _, value in rows])
    lines = {name: _drawn(value, objective) for name, value in compared(baselines, upward=upward).items()}
    note = (
        "The middle: of every range, and of choices the first. Each step makes the change that does best of those left, "
        "trained with the champion's seed and measured on the validation rows; what does best there by luck is taken, too."
    )
    names = [textwrap.fill(text, _LETTERS) for text, _ in rows]
    lines_each = max(name.count("\n") + 1 for name in names)
    figure = new_figure(title, height=1.7 + max(0.36, 0.2 * lines_each) * len(rows), note=note)
    axes = figure.add_subplot()
    goal = "higher is better" if upward else "lower is better"
    style_axes(axes, x=f"{with_unit(metric_name(shown), metric_unit(shown, unit))}, {goal}", y="")
    axes.grid(visible=False, axis="y")
    _draw_steps(axes, values, upward=upward)
    near, far = float(np.nanmin(values)), float(np.nanmax(values))
    span = (far - near) or 0.1 * abs(far) or 1.0
    held = {name: value for name, value in lines.items() if value is not None and near - span <= value <= far + span}
    _draw_baselines(axes, lines, held)
    ends = [near, far, *held.values()]
    # Room at the right for the numbers.
    axes.set_xlim(min(ends) - 0.06 * span, max(ends) + 0.28 * (max(ends) - min(ends) or span))
    axes.set_yticks(places, [literal(name) for name in names])
    axes.tick_params(axis="y", length=0, labelsize=BODY)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.spines["left"].set_visible(False)
    axes.xaxis.set_major_locator(MaxNLocator(6, steps=STEPS))
    _legend_above(axes)
    return figure


def empirical_distribution(records: Sequence[TrialRecord], objective: str, unit: str, baselines: Mapping[str, float]) -> Figure:
    """Which share of the complete trials is as good as a value of the objective or better: all, and both halves of the study.

    `baselines` are validation values by registered name. Values far off the scale count, but are beyond its worse end.
    """
    ordered = sorted(records, key=lambda record: record.number)
    found = np.array([value for record in ordered if (value := objective_of(record, objective)) is not None])
    name = metric_name(objective)
    title = f"How many trials are how good: {name} of {len(found):,} complete trials"
    if not len(found):
        return sentence_figure(f"How many trials are how good: {name}", nothing_complete(records))
    upward = higher_is_better(objective)
    lines = compared(baselines, upward=upward)
    scale = fit_scale(found, higher_is_better=upward, also=lines.values())
    off = int((~scale.holds(found)).sum())
    note = f"{off:,} trial{'s' * (off > 1)} beyond the worse end." if off else ""
    figure = new_figure(title, height=4.0, note=note)
    axes = figure.add_subplot()
    goal = "higher is better" if upward else "lower is better"
    style_axes(axes, x=f"{with_unit(name, metric_unit(objective, unit))}, {goal}", y="share of trials as good or better")
    frame = scale.widened(0.02, 0.02)
    if scale.log:
        axes.set_xscale("log")
        log_ticks(axes.xaxis, frame.low, frame.high)
    axes.set_xlim(*((frame.high, frame.low) if upward else (frame.low, frame.high)))
    half = len(found) // 2
    parts = [(found, BLUE, "-", 2.2, "all trials")]
    if half >= 5:
        parts += [(found[:half], GREY, ":", 1.6, "first half"), (found[half:], ORANGE, "--", 1.6, "second half")]
    edge = frame.low if upward else frame.high
    for values, colour, dashes, width, label in parts:
        best_first = np.sort(values)[::-1] if upward else np.sort(values)
        shares = np.arange(1, len(values) + 1) / len(values)
        steps = ([best_first[0], *best_first, edge], [0.0, *shares, 1.0])
        axes.plot(*steps, drawstyle="steps-post", color=colour, linestyle=dashes, linewidth=width, label=label, zorder=3)
    _draw_baselines(axes, lines, {key: value for key, value in lines.items() if scale.holds(value)})
    axes.set_ylim(0, 1.02)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    _legend_above(axes)
    return figure


def _draw_steps(axes: Axes, values: FloatArray, *, upward: bool) -> None:
    """A bar from the value before to the value after each step, the value itself as a mark with its number."""
    before = math.nan
    for row, value in enumerate(values):
        if math.isnan(value):
            axes.annotate("failed", (1, row), xycoords=("axes fraction", "data"), ha="right", va="center", fontsize=SMALL)
            continue
        better = math.isnan(before) or (value >= before if upward else value <= before)
        colour, hatch = (BLUE, "") if better else (ORANGE, "//////")
        text = number(value)
        if not math.isnan(before):
            axes.barh(
                row, value - before, left=before, height=0.5, color=colour if better else "white", hatch=hatch, edgecolor=colour
            )
            text += (
                f"  ({'+' if value > before else '−' if value < before else '±'}{number(float(f'{abs(value - before):.2g}'))})"
            )
        axes.plot([value], [row], marker="o", markersize=6, color=colour, markerfacecolor=colour if better else "white", zorder=4)
        if row + 1 < len(values):
            axes.plot([value, value], [row, row + 1], color=PALE, linewidth=1.2, zorder=1)
        place = value if math.isnan(before) else max(value, before)
        axes.annotate(
            text, (place, row), xytext=(9, 0), textcoords="offset points", va="center", fontsize=SMALL, color=INK, bbox=WHITE
        )
        before = value


def _draw_baselines(axes: Axes, compared_with: Iterable[str], held: Mapping[str, float]) -> None:
    """A line for each baseline that is on the scale, in its style of all figures."""
    for name, (colour, dashes) in zip(compared_with, BASELINE_STYLES, strict=False):
        if name in held:
            axes.axvline(held[name], color=colour, linestyle=dashes, linewidth=1.4, label=describe(name), zorder=1)


def _legend_above(axes: Axes) -> None:
    """A legend between title and axes, where neither data nor the note are."""
    handles, names = axes.get_legend_handles_labels()
    if not handles:
        return
    # Short names share a line.
    columns = 3 if sum(map(len, names)) < 3 * 24 or len(names) > 3 else 2 if sum(map(len, names)) < 60 else 1
    axes.legend(
        handles,
        names,
        loc="lower left",
        bbox_to_anchor=(0, 1.0),
        ncols=columns,
        frameon=False,
        fontsize=SMALL,
        labelcolor=INK,
        borderaxespad=0.2,
        columnspacing=1.4,
    )


def _drawn(value: float | None, objective: str) -> float | None:
    """The objective as it is drawn: the root of an MSE."""
    return math.sqrt(value) if value is not None and objective.endswith("mse") and value >= 0 else value


def _said(changes: Mapping[str, Sequence[Scalar | None]], flipped: Sequence[str]) -> str:
    """What a step changed: the flipped hyperparameter comes first, then what came, moved or went with it."""
    if len(flipped) > 1:
        return f"the rest: {', '.join(flipped)}"
    ((name, (before, after)), *others) = sorted(changes.items(), key=lambda change: change[0] not in flipped)
    there = [name for name, (_, after) in others if after is not None]
    gone = [name for name, (_, after) in others if after is None]
    more = (f", with {', '.join(there)}" if there else "") + (f", without {', '.join(gone)}" if gone else "")
    return f"{name}: {_text(before)} → {_text(after)}{more}"


def _text(value: Scalar | None) -> str:
    if isinstance(value, float):
        return number(float(f"{value:.3g}"))
    return f"{value:,}" if isinstance(value, int) else str(value)


def _listed(importance: Sequence[Mapping[str, Any]]) -> str:
    return " and ".join(one["method"] for one in importance)
