"""Run experiments anew and write what they print into their pages: `python -m experiments [NAME ...]`.

Without names: all that have a page.
"""

from __future__ import annotations

import time
from importlib import import_module
from pathlib import Path

import click

from experiments.page import FOLDER, as_text, write
from regsweep.errors import RegsweepError
from regsweep.paths import Workspace

NAMES = tuple(sorted(place.parent.name for place in FOLDER.glob("*/page.py")))


@click.command()
@click.argument("names", nargs=-1, type=click.Choice(NAMES))
@click.option("--splits", type=click.IntRange(2), default=10, show_default=True, help="Over how many splits a verdict is.")
@click.option("--dir", "folder", default="mlruns", show_default=True, help="The workspace that the runs go to.")
def main(names: tuple[str, ...], splits: int, folder: str) -> None:
    """Run the experiments NAMES, by default all, print their tables and write their pages."""
    began = time.perf_counter()
    for name in names or NAMES:
        started = time.perf_counter()
        try:
            page = import_module(f"experiments.{name}.page").page(Workspace(Path(folder)), splits)
        except RegsweepError as error:
            raise click.ClickException("\n".join([f"{name}: it could not be run", *error.problems])) from None
        write(name, page)
        click.echo(f"== {name}: {time.perf_counter() - started:.0f} s\n\n{as_text(page)}")
    click.echo(f"all: {time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
