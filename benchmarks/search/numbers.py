"""Curves and means: what tables and figures draw on.

In: lines of a store. Out: the value of the best trial so far at any number of trials or seconds, and means over seeds with their
95 % intervals. Main calls: `Curve`, `mean_interval`, `paired`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from benchmarks.search.cells import NONE, PEERS, TABLES, Cell
from benchmarks.search.store import Line, line_on, machine
from regsweep.bootstrap import Interval
from regsweep.repeats import corrected_interval

Array = npt.NDArray[np.float64]

Lines = dict[tuple[str, int], Line]

# A value of a best trial: its name in a table or figure.
VALIDATION: Final = "validation"
TEST: Final = "test"
ANEW_VALIDATION: Final = "validation, trained anew"
ANEW_TEST: Final = "test, trained anew"
# Of all rows, a fifth is sealed.
TEST_SHARE: Final = 0.2


@dataclass(frozen=True)
class Curve:
    """A value of the best trial so far: `values[i]` from trial `trials[i]` (counted from 1) on, which ended at `seconds[i]`, when
    `epochs[i]` had been trained of all trials up to it; until the next.
    """

    trials: Array
    seconds: Array
    epochs: Array
    values: Array

    @property
    def last(self) -> float:
        """At the end; nan where there was no trial."""
        return float(self.values[-1]) if len(self.values) else math.nan

    def at_trials(self, places: Array) -> Array:
        """At so many trials; nan before the first that ended well."""
        return _at(self.trials, self.values, places)

    def at_seconds(self, places: Array) -> Array:
        """At so many seconds; nan before the first that ended well."""
        return _at(self.seconds, self.values, places)

    def at_epochs(self, places: Array) -> Array:
        """At so many epochs; nan before the first that ended well."""
        return _at(self.epochs, self.values, places)


def curve(line: Line, value: str) -> Curve:
    """The curve of a line. Validation and test are RMSE in target units; what was not trained anew is left out of those two."""
    best = [entry for entry in line["best"] if value in (VALIDATION, TEST) or "anew" in entry]
    numbers = [entry["trial"] for entry in best]
    return Curve(
        *(reached(line, axis)[numbers] for axis in ("trials", "seconds", "epochs")),
        np.array([_value(entry, value) for entry in best], dtype=np.float64),
    )


def reached(line: Line, axis: str) -> Array:
    """Where each trial of a line ends: after so many `trials`, `seconds`, or `epochs` of all trials up to it."""
    if axis == "trials":
        return np.arange(1.0, len(line["seconds"]) + 1)
    return np.cumsum(line["epochs"], dtype=np.float64) if axis == "epochs" else np.array(line["seconds"], dtype=np.float64)


def whole_seeds(lines: Lines, reference: Lines) -> list[int]:
    """The seeds of which all tables are in, of both."""
    seeds = sorted({seed for _, seed in lines})
    return [seed for seed in seeds if all((table, seed) in lines and (table, seed) in reference for table in TABLES)]


def final_r2(line: Line, *, anew: bool) -> float:
    """Test R² of the best trial's own model, or of its configuration trained anew; nan where there is none."""
    if not line["best"]:
        return math.nan
    entry = line["best"][-1]
    found = (entry.get("anew", {}) if anew else entry).get("test_r2")
    return math.nan if found is None else float(found)


def until(line: Line, seconds: float) -> Line | None:
    """What a search had come to after so many seconds; None where that is nothing."""
    ended = [second for second in line["seconds"] if second <= seconds]
    best = [entry for entry in line["best"] if entry["trial"] < len(ended)]
    return {**line, "seconds": ended, "best": best} if best else None


def mean_interval(values: Sequence[float]) -> Interval:
    """Mean over seeds with Student's 95 % interval; one seed has no interval (nan).

    Of a table's rows, seeds draw splits and searches independently: it is about the luck of these.
    """
    if len(values) < 2:
        return Interval(float(values[0]) if len(values) else math.nan, math.nan, math.nan)
    return corrected_interval(values, test_rows=0, train_rows=1)


def paired(differences: Sequence[float]) -> Interval:
    """Mean over splits whose test rows stand for other rows, though they overlap: the corrected resampled t-test's interval."""
    if len(differences) < 2:
        return mean_interval(differences)
    return corrected_interval(differences, test_rows=TEST_SHARE, train_rows=1 - TEST_SHARE)


def ratio(line: Line, reference: Line, value: str) -> float:
    """How much larger the last value is than the reference's: 0.01 is a hundredth larger, that is worse."""
    return curve(line, value).last / curve(reference, value).last - 1


def epochs_share(line: Line, reference: Line) -> float:
    """Epochs trained, as a share of the reference's."""
    return sum(line["epochs"]) / sum(reference["epochs"])


def by_kind(found: dict[Cell, Line], part: str) -> dict[tuple[str, str], Lines]:
    """The lines of a part that came to an end: by (system, pruner), then by (table, seed).

    Of a search in seconds, what was best when they were over: the trial under way then is not counted.
    """
    kinds: dict[tuple[str, str], Lines] = {}
    for cell, line in found.items():
        if cell.part == part and (kept := _ended(cell, line)) is not None:
            elsewhere = [other for one in line.get("elsewhere", ()) if (other := _ended(cell, one)) is not None]
            kinds.setdefault((cell.system, cell.pruner), {})[cell.table, cell.seed] = {**kept, "elsewhere": elsewhere}
    return kinds


@dataclass(frozen=True)
class Racer:
    """What a system has found, and what the default has on the same rows, by (table, seed), on the machine of the first."""

    lines: Lines
    beside: Lines


def racers(found: dict[Cell, Line]) -> dict[str, Racer]:
    """The default study and the peers, by system; of a table the default's lines on the seeds that a peer has, if any.

    On other seeds rows and luck are others. Where the default has run, but not on a peer's machine, that peer is left out.
    """
    ours, kinds = by_kind(found, "default").get(("default", NONE), {}), by_kind(found, "peers")
    peers: dict[str, Racer] = {}
    for name in PEERS:
        lines, beside = Lines(), Lines()
        for key, line in kinds.get((name, NONE), {}).items():
            mine = line_on(machine(line), ours.get(key))
            if mine is not None or key not in ours:
                lines[key] = line
            if mine is not None:
                beside[key] = mine
        peers[name] = Racer(lines, beside)
    theirs = {key for racer in peers.values() for key in racer.lines}
    raced = {table for table, _ in theirs}
    default = {key: line for key, line in ours.items() if key in theirs or key[0] not in raced}
    return {"default": Racer(default, default), **peers}


def _ended(cell: Cell, line: Line) -> Line | None:
    """A line as far as its limit; None where it came to nothing until then."""
    if line["problem"] is not None:
        return None
    kept = {**line, "limit": cell.limit, "best": [_as_kept(cell, line, entry) for entry in line["best"]]}
    return until(kept, math.inf if cell.part == "ours" else cell.limit)


def _as_kept(cell: Cell, line: Line, entry: Line) -> Line:
    """Without what a configuration of Keras Tuner came to at its last epoch, which early lines hold: its trials are their best
    epochs.
    """
    if cell.system.startswith("keras_tuner") and line.get("kept") != "best":
        return {key: value for key, value in entry.items() if key != "anew"}
    return entry


def _value(entry: Line, value: str) -> float:
    holder = entry["anew"] if value in (ANEW_VALIDATION, ANEW_TEST) else entry
    if value in (VALIDATION, ANEW_VALIDATION):
        found = holder["val_mse"]
        return math.nan if found is None else math.sqrt(found)
    return math.nan if holder["test_rmse"] is None else float(holder["test_rmse"])


def _at(starts: Array, values: Array, places: Array) -> Array:
    before = np.searchsorted(starts, places, side="right") - 1
    found = np.full(len(places), math.nan)
    there = before >= 0
    found[there] = values[before[there]]
    return found
