"""The default study beside the libraries' own loops, in tables and in sentences.

In: finished cells. Out: blocks of Markdown. Main calls: `race`, `verdict`, `waits`. Nothing is concluded without all seeds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from statistics import mean, median
from typing import Final

from benchmarks.search.cells import SEEDS, TABLES, Cell
from benchmarks.search.numbers import ANEW_TEST, Lines, Racer, final_r2, paired, racers, ratio, until
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


def race(found: dict[Cell, Line]) -> str:
    """The default study beside the libraries' own loops, table by table."""
    rows = []
    for table, system, racer in _raced(found):
        own, anew = (paired(_scores(racer.lines, anew=again)) for again in (False, True))
        trials = median(len(line["seconds"]) for line in racer.lines.values())
        rows.append(
            [table, NAMES[system], str(len(racer.lines)), f"{trials:,.0f}", spread(own, _signed), spread(anew, _signed),
             *(_lead(racer) if system != "default" else ("", ""))]
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
    sentences = []
    for table, system, racer in _raced(found):
        leads = _leads(racer)
        if system != "default" and leads:
            sentences.append(f"- On {table}, against {NAMES[system]}: {_concluded(paired(leads), len(leads))}")
    return "\n".join(sentences) or NOTHING


def waits(found: dict[Cell, Line]) -> str:
    """The race had the peers' cores not stood idle: the default after as much less time, which keeps the ratio of their times."""
    rows = []
    for table, system, racer in _raced(found):
        known = {key: share for key, line in racer.lines.items() if (share := _busy(line)) is not None}
        if system == "default" or not known or not racer.beside:
            continue
        usual = mean(known.values())
        seconds = {key: known.get(key, usual) * line["limit"] for key, line in racer.beside.items()}
        sooner = {key: one for key, line in racer.beside.items() if (one := until(line, seconds[key])) is not None}
        lead = spread(paired(_leads(Racer(racer.lines, sooner))), _in_percent)
        rows.append([table, NAMES[system], f"{100 * usual:.0f} %", f"{mean(seconds.values()):.0f} s", lead])
    if not rows:
        return NOTHING
    return markdown(["", "", "its core was at work", "the default's seconds then", "its RMSE on test rows, relative"], rows)


def _raced(found: dict[Cell, Line]) -> Iterator[tuple[str, str, Racer]]:
    """Table by table, every system that has run on it, with its lines of this table."""
    every = racers(found)
    for table in TABLES:
        for system, racer in every.items():
            lines, beside = ({key: line for key, line in some.items() if key[0] == table} for some in (racer.lines, racer.beside))
            if lines:
                yield table, system, Racer(lines, beside)


def _scores(lines: Lines, *, anew: bool) -> list[float]:
    """Test R² of the best trials, where there is one."""
    return [value for line in lines.values() if math.isfinite(value := final_r2(line, anew=anew))]


def _leads(racer: Racer) -> list[float]:
    """RMSE on test rows of the default's configuration, relative to the other's: both trained anew, by seed, in logarithms."""
    shared = sorted(racer.lines.keys() & racer.beside.keys())
    found = [math.log1p(ratio(racer.beside[key], racer.lines[key], ANEW_TEST)) for key in shared]
    return [one for one in found if math.isfinite(one)]


def _lead(racer: Racer) -> tuple[str, str]:
    """By how much R² on test rows is higher, and how often."""
    shared = sorted(racer.lines.keys() & racer.beside.keys())
    both = [final_r2(racer.beside[key], anew=True) - final_r2(racer.lines[key], anew=True) for key in shared]
    pairs = [pair for pair in both if math.isfinite(pair)]
    return spread(paired(pairs), _signed), f"{sum(pair > 0 for pair in pairs)} of {len(pairs)}" if pairs else ""


def _busy(line: Line) -> float | None:
    """The share of its time in which a peer's core was at work; the first lines don't know."""
    return min(1.0, line["cpu_seconds"] / line["limit"]) if line.get("cpu_seconds") is not None else None


def _concluded(found: Interval, seeds: int) -> str:
    """What an interval says; nothing before all seeds are in: a look after each of them would find something in the end."""
    if seeds < len(SEEDS):
        so_far = f"RMSE on test rows {_in_percent(found.value)} so far"
        return f"{seeds} of {len(SEEDS)} seeds {'is' if seeds == 1 else 'are'} in, which decides nothing ({so_far})."
    ends = f"RMSE on test rows {spread(found, _in_percent)}"
    if found.high < 0:
        return f"regsweep's configurations are better, {ends}."
    if found.low > 0:
        return f"regsweep's configurations are worse, {ends}."
    return f"no difference is shown, {ends}."


def spread(found: Interval, shown: Callable[[float], str]) -> str:
    """`0.5 (0.4 to 0.6)`, each of them as it is shown; "" where there is no value."""
    if math.isnan(found.value):
        return ""
    ends = "" if math.isnan(found.low) else f" ({shown(found.low)} to {shown(found.high)})"
    return f"{shown(found.value)}{ends}"


def percent(share: float, digits: int) -> str:
    """`+1.25 %`."""
    shown = round(100 * share, digits)
    return f"{'−' if shown < 0 else '+'}{abs(shown):.{digits}f} %"


def _in_percent(logarithm: float) -> str:
    return percent(math.expm1(logarithm), 1)


def _signed(value: float) -> str:
    return f"{'−' if value < 0 else ''}{abs(value):.4f}"
