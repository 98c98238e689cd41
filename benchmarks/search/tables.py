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
from benchmarks.search.numbers import ANEW_VALIDATION, by_kind, epochs_share, final_r2, mean_interval, paired, racers, ratio
from benchmarks.search.scoring import AGAIN
from benchmarks.search.sitting import hours
from benchmarks.search.store import Line
from experiments.page import markdown
from regsweep.bootstrap import Interval

STAGES: Final = ("samplers without a pruner", "pruners with TPE and random search", "pruners with the other samplers")
NAMES: Final = {
    "default": "regsweep's default",
    "optuna": "Optuna's `optimize` (TPE)",
    "keras_tuner_random": "Keras Tuner's `search` (RandomSearch)",
    "keras_tuner_bayesian": "Keras Tuner's `search` (BayesianOptimization)",
    "keras_tuner_hyperband": "Keras Tuner's `search` (Hyperband)",
}
NOTHING: Final = "Nothing is in yet."
# So much R² on test rows worse is still as good. Chosen when four of the thirty pairs of table and seed were in.
MARGIN: Final = 0.01
Lines = dict[tuple[str, int], Line]


def blocks(found: dict[Cell, Line]) -> dict[str, str]:
    """All blocks."""
    return {
        "state": state(found),
        "race": race(found),
        "verdict": verdict(found),
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
        parts.append("`sampler=gp` is not among them: it needs torch, which was not installed.")
    if failed := [cell.name for cell in cells if cell in found and found[cell]["problem"] is not None]:
        parts.append(f"Without a result: {'; '.join(failed)}.")
    for label, key in (("Machine", "machine"), ("Packages", "packages"), ("Commit", "commit"), ("Command", "command")):
        if values := Counter(_shown(line[key]) for line in inside):
            listed = "; ".join(
                f"{value} ({count:,} cells)" if len(values) > 1 else value for value, count in values.most_common()
            )
            parts.append(f"{label}: {listed}.")
    return "\n\n".join(parts)


def race(found: dict[Cell, Line]) -> str:
    """The default study beside the libraries' own loops, table by table."""
    raced, rows = racers(found), []
    for table in TABLES:
        for system, lines in raced.items():
            mine = {key: line for key, line in lines.items() if key[0] == table}
            if not mine:
                continue
            own, anew = (_scores(mine, anew=again) for again in (False, True))
            trials = median(len(line["seconds"]) for line in mine.values())
            rows.append(
                [table, NAMES[system], str(len(mine)), f"{trials:,.0f}", _spread(mean_interval(own)),
                 _spread(mean_interval(anew)), *(_lead(raced["default"], mine) if system != "default" else ("", ""))]
            )  # fmt: skip
    if not rows:
        return NOTHING
    heads = [
        "",
        "",
        "seeds",
        "trials, median",
        "test R² of the best trial's own model (of ours five networks, of a peer one)",
        "test R² of its configuration, trained anew",
    ]
    return markdown([*heads, "default's configuration better by (test R²)", "on"], rows)


def verdict(found: dict[Cell, Line]) -> str:
    """What can be said of the default against each peer, in a sentence each."""
    raced, sentences = racers(found), []
    for table in TABLES:
        for system, lines in raced.items():
            pairs = _differences(raced["default"], {key: line for key, line in lines.items() if key[0] == table})
            if system == "default" or not pairs:
                continue
            sentences.append(f"- On {table}, against {NAMES[system]}: {_concluded(paired(pairs), len(pairs))}")
    return "\n".join(sentences) or NOTHING


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
        seconds = mean_interval([line["seconds"][-1] for line in lines.values()]).value
        mark = " (small space)" if sampler in FINITE else ""
        rows.append([f"`{sampler}`{mark}", *cells, f"{seconds:.0f}"])
    if not rows:
        return NOTHING
    return markdown(["", *TABLES, "all three", "seconds, mean"], rows)


def pruners(found: dict[Cell, Line]) -> str:
    """Pruners, over the samplers that are in: against the same sampler without one, all training at most equally long."""
    kinds = by_kind(found, "ours")
    rows = []
    for pruner in PRUNERS[2:]:
        for sampler in SAMPLERS[:2]:
            lines, free = kinds.get((sampler, pruner), {}), kinds.get((sampler, BUDGET), {})
            if shared := lines.keys() & free.keys():
                share = mean_interval([epochs_share(lines[key], free[key]) for key in shared]).value
                rows.append([f"`{sampler}` × `{pruner}`", *(_relative(lines, free, table) for table in TABLES),
                             _relative(lines, free), f"{100 * share:.0f} %"])  # fmt: skip
    return markdown(["", *TABLES, "all three", "epochs"], rows) if rows else NOTHING


def matrix(found: dict[Cell, Line]) -> str:
    """Every sampler × pruner over all tables: worse than the same sampler without a pruner by, at this share of its epochs."""
    kinds = by_kind(found, "ours")
    rows = []
    for sampler in SAMPLERS:
        free, cells = kinds.get((sampler, BUDGET), {}), []
        for pruner in PRUNERS[2:]:
            lines = kinds.get((sampler, pruner), {})
            shared = sorted(lines.keys() & free.keys())
            if not shared:
                cells.append("")
                continue
            worse = mean_interval(_ratios(lines, free, shared)).value
            share = mean_interval([epochs_share(lines[key], free[key]) for key in shared]).value
            cells.append(f"{_percent(worse)} at {100 * share:.0f} % ({len(shared)})")
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
        enough = {kind: paired(values) for kind, values in compared.items() if len(values) == len(SEEDS)}
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
        f"A study has {limits.trials} trials (`kt_hyperband` as many as its brackets take once), the default study "
        f"{limits.default_seconds:g} s, a peer {hours(limits.peer_seconds)}. Trained anew: {AGAIN} seeds of five folds. "
        f"At least as good: at most {MARGIN:g} of R² on test rows worse, with 95 % confidence."
    )


def _scores(lines: Lines, *, anew: bool) -> list[float]:
    """Test R² of the best trials, where there is one."""
    return [value for line in lines.values() if math.isfinite(value := final_r2(line, anew=anew))]


def _differences(ours: Lines, theirs: Lines) -> list[float]:
    """Test R² of our configuration less theirs, both trained anew, on the seeds that both have."""
    found = [final_r2(ours[key], anew=True) - final_r2(theirs[key], anew=True) for key in sorted(ours.keys() & theirs.keys())]
    return [difference for difference in found if math.isfinite(difference)]


def _lead(ours: Lines, theirs: Lines) -> tuple[str, str]:
    pairs = _differences(ours, theirs)
    return _spread(paired(pairs)), f"{sum(pair > 0 for pair in pairs)} of {len(pairs)}" if pairs else ""


def _concluded(found: Interval, seeds: int) -> str:
    """What an interval says; nothing before all seeds are in: a look after each of them would find something in the end."""
    if seeds < len(SEEDS):
        so_far = f"{_signed(found.value)} in test R² so far"
        return f"{seeds} of {len(SEEDS)} seeds {'is' if seeds == 1 else 'are'} in, which decides nothing ({so_far})."
    ends = f"{_signed(found.value)} in test R² ({_signed(found.low)} to {_signed(found.high)})"
    if found.low > 0:
        return f"regsweep's configurations are better, {ends}."
    if found.high < 0:
        return f"regsweep's configurations are worse, {ends}."
    if found.low > -MARGIN:
        return f"regsweep's configurations are at least as good, {ends}: at most {MARGIN:g} worse."
    return f"undecided, {ends}: they may be worse by as much as {-found.low:.4f}."


def _overall(lines: Lines, reference: Lines) -> list[float]:
    """By seed, the mean over the three tables of how much worse it is; seeds that lack a table are left out."""
    means = []
    for seed in sorted({seed for _, seed in lines}):
        keys = [(table, seed) for table in TABLES]
        if all(key in lines and key in reference for key in keys):
            values = _ratios(lines, reference, keys)
            means += [sum(values) / len(keys)] if len(values) == len(keys) else []
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
    found = paired(values)
    ends = f" ({_percent(found.low)} to {_percent(found.high)})" if len(values) > 1 else ""
    return f"{_percent(found.value)}{ends}, {len(values)} {'seeds' if len(values) > 1 else 'seed'}"


def _whole_seeds(cells: Sequence[Cell], found: dict[Cell, Line]) -> int:
    return sum(all(cell in found for cell in cells if cell.seed == seed) for seed in {cell.seed for cell in cells})


def _spread(found: Interval) -> str:
    if math.isnan(found.value):
        return ""
    ends = "" if math.isnan(found.low) else f" ({_signed(found.low, plus='')} to {_signed(found.high, plus='')})"
    return f"{_signed(found.value, plus='')}{ends}"


def _signed(value: float, plus: str = "+") -> str:
    return f"{'−' if value < 0 else plus}{abs(value):.4f}"


def _percent(value: float) -> str:
    return f"{'−' if value < 0 else '+'}{abs(100 * value):.2f} %"


def _shown(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {one}" for key, one in value.items())
    return f"`{value}`"
