"""What the bake-off says, in tables and sentences made of its lines.

In: finished cells. Out: blocks of Markdown by name. Main call: `blocks`. What is not in yet is said; nothing is concluded without
the seeds to conclude it from.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from statistics import median
from typing import Final

from benchmarks.search.cells import (
    BUDGET,
    FINITE,
    NONE,
    PRUNERS,
    SAMPLERS,
    SEEDS,
    TABLES,
    Cell,
    Limits,
    all_cells,
    stage,
)
from benchmarks.search.numbers import ANEW_VALIDATION, Lines, by_kind, epochs_share, mean_interval, ratio, whole_seeds
from benchmarks.search.race import NAMES, NOTHING, percent, race, spread, verdict, waits
from benchmarks.search.scoring import AGAIN
from benchmarks.search.sitting import hours
from benchmarks.search.store import Line
from experiments.page import markdown

STAGES: Final = ("samplers without a pruner", "pruners with TPE and random search", "pruners with the other samplers")
# Of many values of what cells were made with, so many are listed.
LISTED: Final = 4


def blocks(found: dict[Cell, Line]) -> dict[str, str]:
    """All blocks."""
    return {
        "state": state(found),
        "race": race(found),
        "verdict": verdict(found),
        "waits": waits(found),
        "samplers": samplers(found),
        "pruners": pruners(found),
        "matrix": matrix(found),
        "defaults": defaults(found),
    }


def state(found: dict[Cell, Line]) -> str:
    """How many cells of how many are in, by what and where they were made."""
    cells = all_cells(Limits(), gp=any(cell.system == "gp" for cell in found))
    kinds: dict[str, list[Cell]] = {}
    for cell in cells:
        kinds.setdefault(NAMES.get(cell.system) or STAGES[stage(cell.system, cell.pruner)], []).append(cell)
    rows = [
        [kind, f"{sum(cell in found for cell in mine):,}", f"{len(mine):,}", f"{_whole_seeds(mine, found)}"]
        for kind, mine in kinds.items()
    ]
    inside = [found[cell] for cell in cells if cell in found]
    parts = [f"**{len(inside):,} of {len(cells):,} cells are in.**", markdown(["", "in", "of", "seeds that are whole"], rows)]
    if not any(cell.system == "gp" for cell in cells):
        parts.append("`sampler=gp` is not among them: it needs torch and greenlet, which were not installed.")
    if failed := [
        cell.name for cell in cells if cell in found and (found[cell]["problem"] is not None or not found[cell]["best"])
    ]:
        parts.append(f"Without a result: {'; '.join(failed)}.")
    if changed := sum(str(line["commit"]).endswith("+") for line in inside):
        parts.append(f"{changed:,} cells are of code that was not committed as it ran: their commit has a `+`.")
    for label, key in (("Machine", "machine"), ("Packages", "packages"), ("Commit", "commit"), ("Command", "command")):
        if values := Counter(_shown(line[key]) for line in inside):
            parts.append(f"{label}: {_counted(values)}.")
    return "\n\n".join(parts)


def samplers(found: dict[Cell, Line]) -> str:
    """Samplers without a pruner: their best trial's configuration, relative to random search's on the same rows and seed."""
    kinds = by_kind(found, "ours")
    random = kinds.get(("random", NONE), {})
    rows = []
    for sampler in SAMPLERS:
        lines = kinds.get((sampler, NONE), {})
        if not lines:
            continue
        cells = [_relative(lines, random, table) for table in (*TABLES, None)]
        if sampler == "random":
            cells = ["what the others are relative to", *[""] * len(TABLES)]
        shared = lines.keys() & random.keys()
        times = [lines[key]["seconds"][-1] / random[key]["seconds"][-1] for key in shared]
        mark = " (small space)" if sampler in FINITE else ""
        rows.append([f"`{sampler}`{mark}", *cells, f"{median(times):.2f}" if times else ""])
    if not rows:
        return NOTHING
    return markdown(["", *TABLES, "all three", "its seconds, median"], rows)


def pruners(found: dict[Cell, Line]) -> str:
    """Pruners, over the samplers that are in: against the same sampler without one, all training at most equally long."""
    kinds = by_kind(found, "ours")
    rows = []
    for pruner in PRUNERS[2:]:
        for sampler in SAMPLERS[:2]:
            lines, free = kinds.get((sampler, pruner), {}), kinds.get((sampler, BUDGET), {})
            if shared := lines.keys() & free.keys():
                share = mean_interval([epochs_share(lines[key], free[key]) for key in shared]).value
                time = median(lines[key]["seconds"][-1] / free[key]["seconds"][-1] for key in shared)
                rows.append([f"`{sampler}` × `{pruner}`", *(_relative(lines, free, table) for table in TABLES),
                             _relative(lines, free), f"{100 * share:.0f} %", f"{100 * time:.0f} %"])  # fmt: skip
    return markdown(["", *TABLES, "all three", "epochs, mean", "seconds, median"], rows) if rows else NOTHING


def matrix(found: dict[Cell, Line]) -> str:
    """Every sampler × pruner over the whole seeds: worse than the same sampler without a pruner by, at what share of its epochs.

    In bold where the 95 % interval leaves out 0.
    """
    kinds = by_kind(found, "ours")
    rows = []
    for sampler in SAMPLERS:
        free, cells = kinds.get((sampler, BUDGET), {}), []
        for pruner in PRUNERS[2:]:
            lines = kinds.get((sampler, pruner), {})
            keys = [(table, seed) for seed in whole_seeds(lines, free) for table in TABLES]
            if not keys:
                cells.append("")
                continue
            worse = mean_interval(_overall(lines, free))
            share = mean_interval([epochs_share(lines[key], free[key]) for key in keys]).value
            mark = "**" if worse.low > 0 or worse.high < 0 else ""
            cells.append(f"{mark}{_percent(worse.value)}{mark} at {100 * share:.0f} % ({len(keys) // len(TABLES)})")
        if any(cells):
            rows.append([f"`{sampler}`", *cells])
    return markdown(["", *(f"`{pruner}`" for pruner in PRUNERS[2:])], rows) if rows else NOTHING


def defaults(found: dict[Cell, Line]) -> str:
    """What follows for the defaults of `conf/`: who is shown to be better than what they are now, once all seeds are in."""
    kinds = by_kind(found, "ours")
    default = kinds.get((SAMPLERS[0], NONE), {})
    sentences = []
    for label, others in (
        ("sampler", [(name, NONE) for name in SAMPLERS if name != SAMPLERS[0] and name not in FINITE]),
        ("pruner", [(SAMPLERS[0], pruner) for pruner in PRUNERS[1:]]),
    ):
        compared = {kind: _overall(kinds.get(kind, {}), default) for kind in others}
        enough = {kind: mean_interval(values) for kind, values in compared.items() if len(values) == len(SEEDS)}
        if not enough:
            sentences.append(
                f"- No {label} can be compared with the default yet: that takes all {len(SEEDS)} seeds of all three tables."
            )
            continue
        position = 0 if label == "sampler" else 1
        better = [kind[position] for kind, interval in enough.items() if interval.high < 0]
        worse = [kind[position] for kind, interval in enough.items() if interval.low > 0]
        rest = [kind[position] for kind in enough if kind[position] not in (*better, *worse)]
        now = SAMPLERS[0] if label == "sampler" else f"{SAMPLERS[0]} without a pruner"
        parts = [f"{word}: {', '.join(f'`{name}`' for name in names)}" for word, names in
                 (("better", better), ("worse", worse), ("no difference shown", rest)) if names]  # fmt: skip
        sentences.append(f"- {label.capitalize()}s against the default, {now}: {'; '.join(parts)}.")
    return "\n".join(sentences)


def rules() -> str:
    """How it was collected: the numbers that the cells are made of."""
    limits = Limits()
    return (
        f"A study has {limits.trials} trials (`kt_hyperband` as many as its brackets take once, of a small space all that there "
        f"are), the default study {limits.default_seconds:g} s, a peer {hours(limits.peer_seconds)}. Trained anew: {AGAIN} seeds "
        "of five folds."
    )


def _overall(lines: Lines, reference: Lines) -> list[float]:
    """By seed, the mean over the three tables of how much worse it is; seeds that lack a table are left out."""
    means = []
    for seed in whole_seeds(lines, reference):
        values = _ratios(lines, reference, [(table, seed) for table in TABLES])
        means += [sum(values) / len(TABLES)] if len(values) == len(TABLES) else []
    return means


def _ratios(lines: Lines, reference: Lines, keys: Sequence[tuple[str, int]]) -> list[float]:
    """How much worse the configurations are, trained anew; those that could not be trained are left out."""
    values = (ratio(lines[key], reference[key], ANEW_VALIDATION) for key in keys)
    return [value for value in values if math.isfinite(value)]


def _relative(lines: Lines, reference: Lines, table: str | None = None) -> str:
    """`+1.2 % (0.3 to 2.1), 10 seeds`: of a table, or over all three."""
    if table is None:
        values: Sequence[float] = _overall(lines, reference)
    else:
        keys = sorted(key for key in lines.keys() & reference.keys() if key[0] == table)
        values = _ratios(lines, reference, keys)
    if not values:
        return ""
    return f"{spread(mean_interval(values), _percent)}, {len(values)} {'seeds' if len(values) > 1 else 'seed'}"


def _whole_seeds(cells: Sequence[Cell], found: dict[Cell, Line]) -> int:
    return sum(all(cell in found for cell in cells if cell.seed == seed) for seed in {cell.seed for cell in cells})


def _percent(value: float) -> str:
    return percent(value, 2)


def _counted(values: Counter[str]) -> str:
    """The most frequent values with their numbers of cells, and how many others there are."""
    if len(values) == 1:
        return next(iter(values))
    shown = [f"{value} ({count:,} cells)" for value, count in values.most_common(LISTED)]
    if rest := values.total() - sum(count for _, count in values.most_common(LISTED)):
        shown.append(f"{len(values) - LISTED:,} others ({rest:,} cells), as their lines say")
    return "; ".join(shown)


def _shown(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {one}" for key, one in value.items())
    return f"`{value}`"
