"""A sitting: works through the cells that are missing, one job after the other, as long as there is time.

In: a store, cells, minutes. Out: lines in the store. A job that is not expected to end in time is not begun; how long one takes
is told by those that have ended. Where peers ran on another machine than the default beside them, the default is searched again.
Main call: `sit`.
"""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from statistics import mean
from typing import Any, Final

from benchmarks.search.cells import AT_ONCE, Cell, jobs
from benchmarks.search.numbers import final_r2
from benchmarks.search.store import Line, Machine, Store, line_on, machine, machines
from regsweep.environment import Environment, usable_cores
from regsweep.report.style import number

# Seconds of a study before one has ended: 40 trials in five folds on two cores.
_FIRST: Final = {"diabetes": 12.0, "insurance": 35.0, "economics": 20.0}
# What a search in seconds takes besides: its start, its judgement, training anew.
_BESIDES: Final = 60.0

Run = Callable[[Sequence[Cell]], Sequence[Mapping[str, Any]]]


def sit(store: Store, cells: Sequence[Cell], minutes: float | None = None, run: Run | None = None) -> int:
    """Collect what is missing; returns how many cells it came to. `run` searches the cells of a job, by default `search`."""
    started, finished, run = time.monotonic(), 0, run or search
    # Of the code that is running: what is committed meanwhile is other code.
    here = circumstances()
    known = store.read()
    took, lacking = Expected(known), missing(cells, known, machine(here))
    print(
        f"{len(cells) - len(lacking):,} of {len(cells):,} cells are in; the rest takes about {hours(took.all(lacking))}",
        flush=True,
    )
    while True:
        left = math.inf if minutes is None else 60 * minutes - (time.monotonic() - started)
        # Anew each time: another sitting may have been faster, and where peers ran here their default may be missing.
        planned = jobs(missing(cells, store.read(), machine(here)), _slots())
        job = next((job for job in planned if took.job(job) <= left), None)
        if job is None:
            return finished
        began, load = time.monotonic(), os.getloadavg()[0]
        contents = run(job)
        seconds = round(time.monotonic() - began, 1)
        for cell, content in zip(job, contents, strict=True):
            took.note(cell, seconds)
            today = {"date": datetime.now(UTC).date().isoformat()}
            store.append(cell, {**content, "whole_seconds": seconds, "load_before": round(load, 2), **here, **today})
            print(f"{cell.name}: {said(content)}, {seconds:.0f} s", flush=True)
            finished += 1


def missing(cells: Sequence[Cell], known: Mapping[Cell, Line], here: Machine) -> list[Cell]:
    """The cells that are not in; of the default's also those that have not run here though peers have."""
    race = machines(known)
    return [
        cell
        for cell in cells
        if cell not in known
        or (cell.part == "default" and here in race.get((cell.table, cell.seed), ()) and line_on(here, known[cell]) is None)
    ]


def search(job: Sequence[Cell]) -> list[dict[str, Any]]:
    """Search the cells of a job at the same time; what their lines keep."""
    from benchmarks.search import ours, peers
    from benchmarks.search.scoring import content

    if job[0].part == "peers":
        found = peers.search(job)
        return [content(one, peers.material(cell), cell.seed, every=True) for cell, one in zip(job, found, strict=True)]
    (cell,) = job
    searched, material = ours.search(cell)
    return [content(searched, material, cell.seed, every=cell.part == "default")]


def circumstances() -> dict[str, Any]:
    """The command, where, by which commit and with which packages."""
    here = Environment.here()
    packages = {name: here.packages[name] for name in ("regsweep", "optuna", "keras", "tensorflow")}
    return {
        "command": " ".join(["python -m benchmarks.search", *sys.argv[1:]]),
        "machine": {"cpu": here.cpu, "cores": here.cores, "system": here.system},
        "python": here.python,
        "packages": {**packages, "keras-tuner": version("keras-tuner")},
        "commit": here.commit,
    }


class Expected:
    """How many seconds cells take, by those of their kind that have ended."""

    def __init__(self, known: Mapping[Cell, Line]) -> None:
        self._took: dict[tuple[str, ...], list[float]] = {}
        for cell, line in known.items():
            self.note(cell, line["whole_seconds"])

    def note(self, cell: Cell, seconds: float) -> None:
        """Take in how long a cell took."""
        if cell.part == "ours":
            for kind in ((cell.table, cell.system, cell.pruner), (cell.table, cell.system), (cell.table,)):
                self._took.setdefault(kind, []).append(seconds)

    def job(self, job: Sequence[Cell]) -> float:
        """Seconds until the last of a job's cells has ended."""
        return max(map(self.cell, job))

    def cell(self, cell: Cell) -> float:
        """Seconds of a cell."""
        if cell.part != "ours":
            return cell.limit + _BESIDES
        for kind in ((cell.table, cell.system, cell.pruner), (cell.table, cell.system), (cell.table,)):
            if kind in self._took:
                return mean(self._took[kind])
        return _FIRST[cell.table]

    def all(self, cells: Sequence[Cell]) -> float:
        """Seconds of all these cells, as they run."""
        return sum(map(self.job, jobs(cells, _slots())))


def hours(seconds: float) -> str:
    """`3.4 hours`, `12 minutes`."""
    return f"{seconds / 3600:.1f} hours" if seconds >= 3600 else f"{seconds / 60:.0f} minutes"


def said(content: Mapping[str, Any]) -> str:
    """One line for who looks on."""
    if content["problem"] is not None or not content["best"]:
        return f"no result ({content['problem'] or 'no trial ended well'})"
    own, anew = (number(final_r2(content, anew=again)) for again in (False, True))
    return f"{len(content['seconds'])} trials, test R² {own}, trained anew {anew}"


def _slots() -> int:
    return max(1, min(AT_ONCE, usable_cores()))
