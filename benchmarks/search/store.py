"""What has been collected: a file per part, a line of JSON per finished cell.

A line is appended as a whole and synced, so a sitting that is cut, or another one beside it, costs no finished cell. A line that
was torn is no line. Of a cell that is there twice the first line counts. A race in seconds is one machine's: of the default's,
the first that was made where a peer of its rows ran counts, and comes with the first of every other machine, `elsewhere`.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from benchmarks.search.cells import PARTS, Cell

Line = Mapping[str, Any]
Machine = tuple[str, int]


def machine(line: Line) -> Machine:
    """Where a line was made: processor and cores."""
    return line["machine"]["cpu"], line["machine"]["cores"]


def machines(found: Mapping[Cell, Line]) -> dict[tuple[str, int], list[Machine]]:
    """Where the peers of each (table, seed) ran, in the order of their lines."""
    places: dict[tuple[str, int], list[Machine]] = {}
    for cell, line in found.items():
        if cell.part == "peers":
            places.setdefault((cell.table, cell.seed), []).append(machine(line))
    return places


def line_on(place: Machine, line: Line | None) -> Line | None:
    """The default's line of a machine, of the line that counts and those of elsewhere; None where it has not run there."""
    lines = (line, *line.get("elsewhere", ())) if line is not None else ()
    return next((one for one in lines if machine(one) == place), None)


class Store:
    """The lines in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def append(self, cell: Cell, content: Line) -> None:
        """Add a finished cell; it is on disk when this returns."""
        self.folder.mkdir(parents=True, exist_ok=True)
        line = json.dumps({**asdict(cell), **content}, allow_nan=False, separators=(",", ":"))
        with open(self.folder / f"{cell.part}.jsonl", "a+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            end = file.seek(0, os.SEEK_END)
            if end:
                file.seek(end - 1)
                # What was torn keeps a line to itself.
                line = line if file.read(1) == b"\n" else f"\n{line}"
            file.write(f"{line}\n".encode())
            file.flush()
            os.fsync(file.fileno())

    def read(self) -> dict[Cell, Line]:
        """Every finished cell with its line."""
        found: dict[Cell, list[Line]] = {}
        names = [field.name for field in fields(Cell)]
        for line in self._lines():
            found.setdefault(Cell(**{name: line[name] for name in names}), []).append(line)
        first = {cell: lines[0] for cell, lines in found.items()}
        race = machines(first)
        for cell, lines in found.items():
            if cell.part == "default":
                by_machine: dict[Machine, Line] = {}
                for line in lines:
                    by_machine.setdefault(machine(line), line)
                places = race.get((cell.table, cell.seed), [])
                counts = next((by_machine[place] for place in places if place in by_machine), lines[0])
                others = [line for line in by_machine.values() if line is not counts]
                first[cell] = {**counts, "elsewhere": others} if others else counts
        return first

    def _lines(self) -> Iterator[Line]:
        for part in PARTS:
            place = self.folder / f"{part}.jsonl"
            for text in place.read_bytes().splitlines() if place.is_file() else ():
                try:
                    yield json.loads(text)
                except ValueError:
                    continue
