"""The default study beside the libraries' own loops, in a table and in sentences.

In: finished cells. Out: blocks of Markdown. Main calls: `race`, `verdict`. Nothing is concluded without all seeds.
"""

from __future__ import annotations

import math
from statistics import median
from typing import Final

from benchmarks.search.cells import SEEDS, TABLES, Cell
from benchmarks.search.numbers import Lines, final_r2, mean_interval, paired, racers
from benchmarks.search.store import Line
from experiments.page import markdown
from regsweep.bootstrap import Interval

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


def _spread(found: Interval) -> str:
    if math.isnan(found.value):
        return ""
    ends = "" if math.isnan(found.low) else f" ({_signed(found.low, plus='')} to {_signed(found.high, plus='')})"
    return f"{_signed(found.value, plus='')}{ends}"


def _signed(value: float, plus: str = "+") -> str:
    return f"{'−' if value < 0 else plus}{abs(value):.4f}"
