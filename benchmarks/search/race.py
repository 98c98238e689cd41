"""The default study beside the libraries' own loops, in tables and in sentences.

In: finished cells. Out: blocks of Markdown. Main calls: `race`, `verdict`, `waits`. Nothing is concluded without all seeds.
"""

from __future__ import annotations

import math
from statistics import mean, median
from typing import Final

from benchmarks.search.cells import SEEDS, TABLES, Cell
from benchmarks.search.numbers import Lines, Racer, final_r2, lead, paired, racers, until
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
    for table in TABLES:
        for system, racer in racers(found).items():
            mine = _of(table, racer)
            if not mine.lines:
                continue
            own, anew = (_scores(mine.lines, anew=again) for again in (False, True))
            trials = median(len(line["seconds"]) for line in mine.lines.values())
            rows.append(
                [table, NAMES[system], str(len(mine.lines)), f"{trials:,.0f}", _spread(paired(own)),
                 _spread(paired(anew)), *(_lead(mine) if system != "default" else ("", ""))]
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
    for table in TABLES:
        for system, racer in racers(found).items():
            leads = _leads(_of(table, racer))
            if system != "default" and leads:
                sentences.append(f"- On {table}, against {NAMES[system]}: {_concluded(paired(leads), len(leads))}")
    return "\n".join(sentences) or NOTHING


def waits(found: dict[Cell, Line]) -> str:
    """The race had the peers' cores not stood idle: the default after as much less time, which keeps the ratio of their times."""
    rows = []
    for table in TABLES:
        for system, racer in racers(found).items():
            mine = _of(table, racer)
            known = {key: share for key, line in mine.lines.items() if (share := _busy(line)) is not None}
            if system == "default" or not known or not mine.beside:
                continue
            usual = mean(known.values())
            shares = {key: known.get(key, usual) for key in mine.beside}
            sooner = {key: until(line, shares[key] * line["limit"]) for key, line in mine.beside.items()}
            leads = _leads(Racer(mine.lines, {key: line for key, line in sooner.items() if line is not None}))
            at = f"{mean(shares[key] * mine.beside[key]['limit'] for key in shares):.0f} s"
            rows.append([table, NAMES[system], f"{100 * usual:.0f} %", at, _percents(paired(leads)) if leads else ""])
    if not rows:
        return NOTHING
    return markdown(["", "", "its core was at work", "the default's seconds then", "its RMSE on test rows, relative"], rows)


def _of(table: str, racer: Racer) -> Racer:
    return Racer(*({key: line for key, line in lines.items() if key[0] == table} for lines in (racer.lines, racer.beside)))


def _scores(lines: Lines, *, anew: bool) -> list[float]:
    """Test R² of the best trials, where there is one."""
    return [value for line in lines.values() if math.isfinite(value := final_r2(line, anew=anew))]


def _leads(racer: Racer) -> list[float]:
    """RMSE on test rows of the default's configuration, relative to the other's: both trained anew, by seed, in logarithms."""
    found = [lead(racer.beside[key], racer.lines[key]) for key in sorted(racer.lines.keys() & racer.beside.keys())]
    return [one for one in found if math.isfinite(one)]


def _lead(racer: Racer) -> tuple[str, str]:
    """By how much R² on test rows is higher, and how often."""
    shared = sorted(racer.lines.keys() & racer.beside.keys())
    both = [final_r2(racer.beside[key], anew=True) - final_r2(racer.lines[key], anew=True) for key in shared]
    pairs = [pair for pair in both if math.isfinite(pair)]
    return _spread(paired(pairs)), f"{sum(pair > 0 for pair in pairs)} of {len(pairs)}" if pairs else ""


def _busy(line: Line) -> float | None:
    """The share of its time in which a peer's core was at work; the first lines don't know."""
    return min(1.0, line["cpu_seconds"] / line["limit"]) if line.get("cpu_seconds") is not None else None


def _concluded(found: Interval, seeds: int) -> str:
    """What an interval says; nothing before all seeds are in: a look after each of them would find something in the end."""
    if seeds < len(SEEDS):
        so_far = f"RMSE on test rows {_percent(found.value)} so far"
        return f"{seeds} of {len(SEEDS)} seeds {'is' if seeds == 1 else 'are'} in, which decides nothing ({so_far})."
    ends = f"RMSE on test rows {_percents(found)}"
    if found.high < 0:
        return f"regsweep's configurations are better, {ends}."
    if found.low > 0:
        return f"regsweep's configurations are worse, {ends}."
    return f"no difference is shown, {ends}."


def _percents(found: Interval) -> str:
    ends = "" if math.isnan(found.low) else f" ({_percent(found.low)} to {_percent(found.high)})"
    return f"{_percent(found.value)}{ends}"


def _percent(logarithm: float) -> str:
    shown = round(100 * math.expm1(logarithm), 1)
    return f"{'−' if shown < 0 else '+'}{abs(shown):.1f} %"


def _spread(found: Interval) -> str:
    if math.isnan(found.value):
        return ""
    ends = "" if math.isnan(found.low) else f" ({_signed(found.low)} to {_signed(found.high)})"
    return f"{_signed(found.value)}{ends}"


def _signed(value: float) -> str:
    return f"{'−' if value < 0 else ''}{abs(value):.4f}"
