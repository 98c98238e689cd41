"""Collects what is missing of the bake-off, or reports what is in.

    python -m benchmarks.search [minutes=N] [part=default|ours|peers] [only=TABLE,...] [seeds=0,1] [systems=tpe,optuna,...]
    python -m benchmarks.search report

Works through the missing cells in their order, the most telling first, and stops after so many minutes: a cell that is not
expected to end in time is not begun. Without `minutes` it goes on to the end; how long that takes it says at its start, and
better the more cells are in. Nothing else should run on the machine meanwhile. What is in lies under `benchmarks/results/search`,
a line per cell; `folder=` names another place, `trials=`, `default_seconds=` and `peer_seconds=` make other, shorter cells, which
the report leaves out. `report` writes `docs/bakeoff.md` and its figures.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from benchmarks.common import RESULTS
from benchmarks.search.cells import PARTS, PEERS, SAMPLERS, SEEDS, TABLES, Cell, Limits, all_cells
from benchmarks.search.store import Store
from regsweep.errors import ConfigError, RegsweepError, nearest

OPTIONS = ("minutes", "part", "only", "seeds", "systems", "folder", "trials", "default_seconds", "peer_seconds")
FOLDER = RESULTS / "search"


def main(arguments: Sequence[str]) -> None:
    """Sit, or report. Raises ConfigError for an option that is not known or can't be read."""
    if list(arguments) == ["report"]:
        from benchmarks.search.report import write

        write(Store(FOLDER))
        return
    options = dict(_options(arguments))
    wanted = chosen(options)
    from benchmarks.search.sitting import sit

    # TensorFlow's own notices, in this process and in those it starts.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    store = Store(Path(options["folder"]) if "folder" in options else FOLDER)
    finished = sit(store, wanted, _number(options, "minutes", 0) if "minutes" in options else None)
    print(f"{finished:,} cells were added to {store.folder}")


def chosen(options: Mapping[str, str]) -> list[Cell]:
    """The cells that the options leave."""
    plain = Limits()
    limits = Limits(
        int(_number(options, "trials", plain.trials)),
        _number(options, "default_seconds", plain.default_seconds),
        _number(options, "peer_seconds", plain.peer_seconds),
    )
    parts = _names(options, "part", PARTS)
    tables = _names(options, "only", TABLES)
    seeds = _names(options, "seeds", tuple(map(str, SEEDS)))
    systems = _names(options, "systems", ("default", *SAMPLERS, *PEERS))
    return [
        cell
        for cell in all_cells(limits)
        if cell.part in parts and cell.table in tables and str(cell.seed) in seeds and cell.system in systems
    ]


def _options(arguments: Sequence[str]) -> Iterator[tuple[str, str]]:
    for argument in arguments:
        name, equals, value = argument.partition("=")
        if name not in OPTIONS or not equals:
            raise ConfigError(f"{argument!r}: is not known{nearest(name, OPTIONS)}; known: report, {'=, '.join(OPTIONS)}=")
        yield name, value


def _number(options: Mapping[str, str], name: str, default: float) -> float:
    value = options.get(name, str(default))
    try:
        number = float(value)
    except ValueError:
        number = -1.0
    if not 0 < number < 1e9:
        raise ConfigError(f"{name}={value}: must be a number above 0, such as {name}=20")
    return number


def _names(options: Mapping[str, str], option: str, known: Sequence[str]) -> Sequence[str]:
    if option not in options:
        return known
    names = options[option].split(",")
    for name in names:
        if name not in known:
            raise ConfigError(
                f"{option}={options[option]}: {name!r} is not known{nearest(name, known)}; known: {', '.join(known)}"
            )
    return names


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except RegsweepError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
