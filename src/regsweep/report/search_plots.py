"""How the objective went, trial by trial.

In: the records of a study, the objective's name (`val/mse`) and the target's unit. Out: a `Figure`. Main call:
`optimization_history`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from regsweep.baselines import describe
from regsweep.record import TrialRecord
from regsweep.report.scale import FloatArray, Scale, fit_scale
from regsweep.report.style import (
    BLUE,
    GREEN,
    GREY,
    INK,
    ORANGE,
    PURPLE,
    SMALL,
    count_ticks,
    label_right,
    metric_name,
    metric_unit,
    new_figure,
    number,
    sentence_figure,
    style_axes,
    with_unit,
)
from regsweep.tasks import TASKS
from regsweep.trial import State, higher_is_better

REFERENCES: Final = tuple(task.reference for task in TASKS.values())

MANY: Final = 300

# Of the best baseline, and of least squares beside it.
BASELINE_STYLES: Final = ((GREEN, "-."), (PURPLE, "--"))


def objective_of(record: TrialRecord, objective: str) -> float | None:
    """The objective at the kept epoch, in its own unit; None for a trial that is not complete or has no finite value."""
    return record.result.score(objective)


def nothing_complete(records: Sequence[TrialRecord]) -> str:
    """The sentence in place of a figure that needs a complete trial."""
    if not records:
        return "The study has no trial yet."
    pruned = sum(record.result.state is State.PRUNED for record in records)
    counts = {"failed": len(records) - pruned, "stopped early": pruned}
    return f"No trial is complete: {', '.join(f'{count:,} {end}' for end, count in counts.items() if count)}."


def optimization_history(records: Sequence[TrialRecord], objective: str, unit: str, baselines: Mapping[str, float]) -> Figure:
    """The objective by trial number, the best so far as a step line, the best baseline and closed-form least squares.

    `unit` is the target's; `baselines` are values of the objective on the validation rows by registered name. Trials that
    failed or were stopped early, and values far off the scale, are marked at the worse edge. ValueError for unknown baselines.
    """
    ordered = sorted(records, key=lambda record: record.number)
    values = {record.number: value for record in ordered if (value := objective_of(record, objective)) is not None}
    name = metric_name(objective)
    if not values:
        return sentence_figure(f"{name[:1].upper()}{name[1:]} by trial", nothing_complete(records))
    upward = higher_is_better(objective)
    shown = compared(baselines, upward=upward)
    found = np.array(list(values.values()))
    scale = fit_scale(found, higher_is_better=upward, also=shown.values())
    frame = scale.widened(0.15, 0.05) if upward else scale.widened(0.05, 0.15)
    plural = "complete trial" if len(values) == 1 else f"{len(values):,} complete trials"
    title = f"{name[:1].upper()}{name[1:]} of {'the one ' if len(values) == 1 else ''}{plural}, and the best so far"
    figure = new_figure(title, height=4.2)
    axes = figure.add_subplot()
    goal = "higher is better" if upward else "lower is better"
    style_axes(axes, x="trial number", y=f"{with_unit(name, metric_unit(objective, unit))}, {goal}")
    frame.apply(axes)
    count_ticks(axes.xaxis)
    last = ordered[-1].number
    margin = max(0.5, 0.02 * (last - ordered[0].number))
    axes.set_xlim(ordered[0].number - margin, last + margin)

    numbers = np.array(list(values))
    best = np.maximum.accumulate(found) if upward else np.minimum.accumulate(found)
    _draw_trials(axes, numbers, found, scale, many=len(ordered) > MANY)
    steps = ([*numbers, last + margin], [*best, best[-1]])
    axes.plot(*steps, drawstyle="steps-post", color=BLUE, linewidth=2.2, label="best so far", zorder=4)
    _mark_edge(axes, ordered, values, scale, upward=upward)
    winner = int(numbers[found == best[-1]][0])
    labels = [(float(frame.position(best[-1])), f"trial {winner}, best:\n{number(best[-1])}", BLUE)]
    label_right(axes, [*labels, *_draw_baselines(axes, shown, frame)], lines=2)
    handles, names = axes.get_legend_handles_labels()
    figure.legend(
        handles,
        names,
        loc="outside lower left",
        ncols=5,
        frameon=False,
        fontsize=SMALL,
        labelcolor=INK,
        handletextpad=0.4,
        columnspacing=1.4,
    )
    return figure


def _draw_trials(axes: Axes, numbers: FloatArray, found: FloatArray, scale: Scale, *, many: bool) -> None:
    held = scale.holds(found)
    axes.plot(
        numbers[held],
        found[held],
        linestyle="none",
        marker="o",
        markersize=3 if many else 5,
        markerfacecolor="none",
        markeredgecolor=GREY,
        alpha=0.5 if many else 0.9,
        label="complete trial",
        zorder=2,
    )


def _mark_edge(axes: Axes, ordered: Sequence[TrialRecord], values: Mapping[int, float], scale: Scale, *, upward: bool) -> None:
    """Mark what has no place on the scale at the worse edge, and count it in the legend."""
    missing = [record for record in ordered if record.number not in values]
    pruned = [record.number for record in missing if record.result.state is State.PRUNED]
    groups = {
        "off the scale": ([number for number, value in values.items() if not scale.holds(value)], "v" if upward else "^", INK),
        "failed": ([record.number for record in missing if record.result.state is not State.PRUNED], "x", ORANGE),
        "stopped early": (pruned, "|", PURPLE),
    }
    lane = 0
    for label, (numbers, marker, colour) in groups.items():
        if numbers:
            lane += 1
            height = 0.04 * lane - 0.01
            axes.plot(
                numbers,
                [height if upward else 1 - height] * len(numbers),
                transform=axes.get_xaxis_transform(),
                linestyle="none",
                marker=marker,
                markersize=4 if len(ordered) > MANY else 6,
                markerfacecolor="none",
                color=colour,
                label=f"{label} ({len(numbers):,})",
                zorder=3,
            )


def compared(baselines: Mapping[str, float], *, upward: bool) -> dict[str, float]:
    """The best baseline, and the reference if it is another one."""
    finite = {name: value for name, value in baselines.items() if math.isfinite(value)}
    if not finite:
        return {}
    best = (max if upward else min)(finite, key=lambda name: finite[name])
    return {name: finite[name] for name in (best, *REFERENCES) if name in finite}


def _draw_baselines(axes: Axes, baselines: Mapping[str, float], frame: Scale) -> list[tuple[float, str, str]]:
    """Draw a line for each, the best first; return their labels."""
    labels = []
    for index, (name, value) in enumerate(baselines.items()):
        colour, dashes = BASELINE_STYLES[index]
        held = bool(frame.holds(value))
        if held:
            axes.axhline(value, color=colour, linestyle=dashes, linewidth=1.5, label=f"_{name}", zorder=3)
        called = describe(name) if index else f"{describe(name)}, best baseline"
        place = float(frame.position(value))
        beyond = "" if held else "↑ " if place > 0.5 else "↓ "
        labels.append((place, f"{beyond}{_broken(called)}: {number(value)}", colour))
    return labels


def _broken(text: str) -> str:
    """Break a text into two lines where they come out most even."""
    words = text.split(" ")
    cuts = range(1, len(words))
    cut = min(cuts, key=lambda index: max(len(" ".join(words[:index])), len(" ".join(words[index:])) + 8), default=len(words))
    return " ".join(words[:cut]) + "\n" + " ".join(words[cut:])
