"""Every sampler × pruner in one figure: the best trial so far against the epochs that were trained, mean over the three tables.

In: lines by (sampler, pruner). Out: a figure. Main call: `overview`. Epochs are what a pruner saves, and the same on any machine.
"""

from __future__ import annotations

from typing import Final

from matplotlib.figure import Figure

from benchmarks.search.cells import BUDGET, PRUNERS, SAMPLERS, TABLES
from benchmarks.search.numbers import Lines, whole_seeds
from benchmarks.search.plots import SEED_NOTE, draw
from regsweep.report.style import GREY, INK, SMALL, count_ticks, new_figure, style_axes

# Inches.
_WIDTH: Final = 12.0
_ROW: Final = 1.15
_HIGHEST: Final = 1.15


def overview(kinds: dict[tuple[str, str], Lines], value: str) -> Figure | None:
    """A row per sampler, a column per pruner, beside the same sampler without one; None where no seed has all three tables."""
    pruners = PRUNERS[2:]
    whole = {kind: _whole(lines, kinds.get((kind[0], BUDGET), {})) for kind, lines in kinds.items() if kind[1] in pruners}
    samplers = [sampler for sampler in SAMPLERS if any(whole.get((sampler, pruner)) for pruner in pruners)]
    if not samplers:
        return None
    note = (
        f"{SEED_NOTE} Solid, dots: with the pruner; dashed, squares: the same sampler without one, on the same seeds. RMSE "
        "relative to what it ends with, mean over the three tables. Epochs of all networks of all folds."
    )
    title = f"{value.capitalize()} RMSE of the best trial so far against epochs trained"
    figure = new_figure(title, height=_ROW * len(samplers) + 1.4, width=_WIDTH, note=note)
    panels = figure.subplots(len(samplers), len(pruners), sharex=True, sharey=True, squeeze=False)
    for sampler, row in zip(samplers, panels, strict=True):
        for pruner, axes in zip(pruners, row, strict=True):
            lines = whole.get((sampler, pruner), {})
            style_axes(axes, x="epochs" if sampler == samplers[-1] else "", y="")
            if pruner == pruners[0]:
                axes.set_ylabel(sampler, fontsize=SMALL, color=INK)
            seeds = len({seed for _, seed in lines})
            axes.set_title(pruner if sampler == samplers[0] else "", fontsize=SMALL, color=INK, pad=2)
            axes.text(0.97, 0.95, f"n = {seeds}", transform=axes.transAxes, ha="right", va="top", fontsize=SMALL, color=GREY)
            if not lines:
                axes.set_axis_off()
                continue
            free = kinds[sampler, BUDGET]
            draw(axes, {key: free[key] for key in lines}, free, value, "epochs", 1)
            draw(axes, lines, free, value, "epochs", 0)
            axes.axhline(1.0, color=GREY, linewidth=0.8, zorder=0)
    # What curves are before they have found anything says nothing.
    panels[0, 0].set_ylim(0.98, _HIGHEST)
    count_ticks(panels[0, 0].xaxis, 3)
    return figure


def _whole(lines: Lines, free: Lines) -> Lines:
    """The lines of seeds of which all tables are in, with a pruner and without."""
    return {(table, seed): lines[table, seed] for seed in whole_seeds(lines, free) for table in TABLES}
