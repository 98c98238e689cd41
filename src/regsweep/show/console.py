"""What all commands have in common: a console, the studies that are there, how a budget's end is called."""

from __future__ import annotations

import shlex
from pathlib import Path

from rich.console import Console

from regsweep.book import RecordBook, books_in
from regsweep.config import StudyConfig
from regsweep.errors import ConfigError
from regsweep.paths import Workspace

# Columns from which the leaderboard shows hyperparameters.
WIDE = 160


def plain_console() -> Console:
    """A console that takes what it prints as it is."""
    # Names of columns and files are data: no markup or emoji in them. Piped output has no width; rich would cut it to 80.
    console = Console(markup=False, emoji=False, highlight=False)
    return console if console.is_terminal else Console(markup=False, emoji=False, highlight=False, width=WIDE)


def find_books(workspace: Workspace, experiment: str | None) -> list[RecordBook]:
    """The record books of an experiment (or all), the one written last first. Raises ConfigError where there are none."""
    books = books_in(workspace)
    if not books:
        raise ConfigError(f"{workspace.records}: there are no studies here; run one first, or name the folder with --dir")
    if experiment is not None:
        known = {book.folder: facts.config.experiment for book in books if (facts := book.known_facts()) is not None}
        books = [book for book in books if known.get(book.folder) == experiment]
        if not books:
            raise ConfigError(f"there is no experiment {experiment!r} here; known: {', '.join(sorted(set(known.values())))}")
    return sorted(books, key=lambda book: book.folder.stat().st_mtime_ns, reverse=True)


def where(config: StudyConfig) -> str:
    """What a command has to be told where the workspace is not the usual one."""
    return _option(config.tracking.dir)


def where_in(workspace: Workspace) -> str:
    """The same for a workspace that is open."""
    root, here = workspace.root, Path.cwd()
    return _option(str(root.relative_to(here) if root.is_relative_to(here) else root))


def _option(folder: str) -> str:
    return "" if folder == "mlruns" else f" --dir {shlex.quote(folder)}"


def by_budget(ended: str | None) -> str:
    """The name of the budget that ended a study before its last trial."""
    return f", ended by {ended.partition('=')[0]}" if ended is not None and ended.startswith("budget.") else ""
