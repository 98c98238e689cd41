"""Anytime curves: the best trial so far against trials and against seconds, mean over seeds with 95 % intervals.

In: finished cells. Out: figures by file name. Main call: `figures`. Values are RMSE relative to what a reference ends with on the
same rows and seed: 1 is as good, less is better. So seeds and splits that are hard for all don't hide what differs. A search that
has ended keeps what it has found.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from benchmarks.search.cells import BUDGET, NONE, PRUNERS, SAMPLERS, TABLES, Cell
from benchmarks.search.numbers import (
    ANEW_TEST,
    TEST,
    VALIDATION,
    Array,
    Lines,
    Racer,
    by_kind,
    curve,
    mean_interval,
    paired,
    racers,
    reached,
)
from benchmarks.search.store import Line
from regsweep.bootstrap import Interval
from regsweep.report.style import (
    BLUE,
    GREEN,
    GREY,
    INK,
    ORANGE,
    PURPLE,
    SMALL,
    count_ticks,
    literal,
    log_ticks,
    new_figure,
    style_axes,
)

# Colour, line and marker of each of several curves.
_STYLES: Final = ((BLUE, "-", "o"), (ORANGE, "--", "s"), (GREEN, "-.", "^"), (PURPLE, ":", "D"), (INK, (0, (5, 1, 1, 1)), "v"))
_RACERS: Final = ("regsweep's default", "Optuna", "KT random", "KT Bayesian", "KT Hyperband")
_POINTS: Final = 12
# Seconds stand on a log scale where there are so many times more at the end.
_WIDE: Final = 4
# Of fewer seeds intervals are so wide that nothing else is seen.
_ENOUGH: Final = 5
SEED_NOTE: Final = (
    f"Mean over n seeds; of {_ENOUGH} or more with 95 % intervals. The upright bar: where its searches end in the mean; one that "
    "has ended keeps what it has found."
)


def figures(found: dict[Cell, Line]) -> dict[str, Figure]:
    """Every figure that there are cells for, by its file's name without `.png`."""
    made: dict[str, Figure] = {}
    if (drawn := race(found)) is not None:
        made["bakeoff_race"] = drawn
    kinds = by_kind(found, "ours")
    groups = {
        "samplers": ([(name, NONE) for name in SAMPLERS], ("random", NONE)),
        "pruners": ([(SAMPLERS[0], pruner) for pruner in PRUNERS[1:]], (SAMPLERS[0], BUDGET)),
    }
    for group, (rows, reference) in groups.items():
        present = [kind for kind in rows if kind in kinds and kind != reference]
        if reference not in kinds or not present:
            continue
        for value in (VALIDATION, TEST):
            for axis in ("trials", "seconds"):
                made[f"bakeoff_{group}_{value}_{axis}"] = grid(kinds, present, reference, value, axis)
    return made


def race(found: dict[Cell, Line]) -> Figure | None:
    """The default study and the libraries' own loops against seconds: configurations, trained anew; None where nothing is in."""
    raced = [
        Racer({key: line for key, line in racer.lines.items() if key in racer.beside and _is_anew(line)}, racer.beside)
        for racer in racers(found).values()
    ]
    ours = raced[0].lines
    tables = [table for table in TABLES if any(key[0] == table for key in ours)]
    if not tables:
        return None
    note = (
        f"{SEED_NOTE} What was best so far by each system's own validation, its configuration trained anew on five folds: "
        "RMSE on the test rows, relative to what regsweep's default ends with. regsweep has two cores, each peer has one. "
        "Intervals are those of the corrected resampled t-test."
    )
    figure = new_figure("Best configuration so far against seconds", height=2.2 * len(tables) + 1.6, note=note)
    panels = np.atleast_1d(figure.subplots(len(tables), 1, sharex=True))
    for table, axes in zip(tables, panels, strict=True):
        style_axes(axes, x="seconds" if table == tables[-1] else "", y=f"{table}\nrelative RMSE")
        counts = []
        for index, racer in enumerate(raced):
            mine = {key: line for key, line in racer.lines.items() if key[0] == table}
            counts += [str(len(mine))] if racer.lines else []
            if mine:
                draw(axes, mine, racer.beside, ANEW_TEST, "seconds", index, paired)
        n = ", ".join(counts if len({*counts}) > 1 else counts[:1])
        axes.set_title(f"n = {n}", fontsize=SMALL, color=GREY, loc="left", pad=2)
        _frame(axes, "seconds")
    handles = [
        Line2D([], [], color=colour, linestyle=style, marker=marker, markersize=4, label=name)
        for name, (colour, style, marker), racer in zip(_RACERS, _STYLES, raced, strict=True)
        if racer.lines
    ]
    # Where curves have come down.
    panels[-1].legend(handles=handles, loc="upper right", fontsize=SMALL, framealpha=0.9, edgecolor="none")
    return figure


def grid(
    kinds: dict[tuple[str, str], Lines], rows: Sequence[tuple[str, str]], reference: tuple[str, str], value: str, axis: str
) -> Figure:
    """A row per system, a column per table: its curve, and the reference's on the same seeds."""
    against = _named(reference)
    note = (
        f"{SEED_NOTE} Solid, dots: the row's; dashed, squares: {against}'s, on the same seeds. "
        f"RMSE relative to what {against} ends with."
    )
    title = f"{value.capitalize()} RMSE of the best trial so far against {axis}"
    figure = new_figure(title, height=1.25 * len(rows) + 1.5, note=note)
    panels = np.atleast_2d(figure.subplots(len(rows), len(TABLES)))
    for kind, row in zip(rows, panels, strict=True):
        for table, axes in zip(TABLES, row, strict=True):
            style_axes(axes, x=axis if kind == rows[-1] else "", y="")
            if table == TABLES[0]:
                axes.set_ylabel(literal(_named(kind).replace(" × ", "\n× ")), fontsize=SMALL, color=INK)
            mine = {key: line for key, line in kinds[kind].items() if key[0] == table and key in kinds[reference]}
            axes.set_title(f"{table}, n = {len(mine)}", fontsize=SMALL, color=GREY, loc="right", pad=2)
            if mine:
                same = {key: kinds[reference][key] for key in mine}
                draw(axes, same, kinds[reference], value, axis, 1)
                draw(axes, mine, kinds[reference], value, axis, 0)
                _frame(axes, axis)
    return figure


def curves_over(lines: Lines, reference: Lines, value: str, axis: str, places: Array) -> Array:
    """Relative values at places, shape (seeds, places): mean over tables, where there are several; nan before a curve begins."""
    rows: dict[int, list[Array]] = {}
    for key, line in sorted(lines.items()):
        one = curve(line, value)
        found = {"trials": one.at_trials, "seconds": one.at_seconds, "epochs": one.at_epochs}[axis](places)
        rows.setdefault(key[1], []).append(found / curve(reference[key], value).last)
    return np.array([np.mean(tables, axis=0) for tables in rows.values()])


def draw(
    axes: Axes,
    lines: Lines,
    reference: Lines,
    value: str,
    axis: str,
    index: int,
    interval: Callable[[Sequence[float]], Interval] = mean_interval,
) -> None:
    """A mean over seeds from where every curve has begun until all have ended, with bars of intervals at some places.

    Curves' bars stand beside each other. An upright bar says where curves end in the mean.
    """
    ends = [reached(line, axis) for line in lines.values()]
    starts = [at[line["best"][0]["trial"]] for at, line in zip(ends, lines.values(), strict=True)]
    first, last = float(max(starts)), float(max(at[-1] for at in ends))
    colour, style, marker = _STYLES[index]

    def means(places: Array) -> Array:
        return curves_over(lines, reference, value, axis, places).mean(axis=0)

    fine = np.arange(first, last + 1) if axis == "trials" else np.geomspace(first, last, 200)
    axes.plot(fine, means(fine), linestyle=style, color=colour, linewidth=1.4)
    middle = np.array([max(first, float(np.mean([at[-1] for at in ends])))])
    axes.plot(middle, means(middle), "|", color=colour, markersize=9, markeredgewidth=1.4)
    at = np.linspace(0.04 + 0.12 * index / len(_STYLES), 1, _POINTS // 2)
    places = first + at * (last - first) if axis == "trials" else first * (last / first) ** at
    found = [interval(column.tolist()) for column in curves_over(lines, reference, value, axis, places).T]
    reach = np.nan_to_num(np.array([[one.value - one.low, one.high - one.value] for one in found]).T)
    reach *= len({seed for _, seed in lines}) >= _ENOUGH
    heights = [one.value for one in found]
    axes.errorbar(places, heights, reach, fmt=marker, color=colour, markersize=3.5, elinewidth=0.9, capsize=2)


def _is_anew(line: Line) -> bool:
    return any("anew" in entry for entry in line["best"])


def _frame(axes: Axes, axis: str) -> None:
    """A line at 1, and no room for what curves are before they have found anything."""
    axes.axhline(1.0, color=GREY, linewidth=0.8, zorder=0)
    drawn = [np.asarray(line.get_ydata(), dtype=np.float64) for line in axes.lines]
    values = np.concatenate([each[np.isfinite(each)] for each in drawn])
    low, high = float(values.min()), float(np.quantile(values, 0.98))
    room = 0.12 * max(high - low, 0.02)
    axes.set_ylim(low - room, high + room)
    first, last = axes.dataLim.intervalx
    if axis == "seconds" and _WIDE * first < last:
        axes.set_xscale("log")
        axes.set_xlim(first / 1.1, last * 1.1)
        log_ticks(axes.xaxis, *axes.get_xlim())
    else:
        count_ticks(axes.xaxis, 5)


def _named(kind: tuple[str, str]) -> str:
    return kind[0] if kind[1] == NONE else f"{kind[0]} × {kind[1]}"
