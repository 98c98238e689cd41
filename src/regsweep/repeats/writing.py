"""Writes a verdict over splits into the workspace: `verdicts/NAME/` with `verdict.md`, `splits.csv`, `repeated_splits.png`."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

from rich.console import Console

from regsweep.errors import StorageError
from regsweep.paths import Workspace
from regsweep.repeats.reading import Repeats
from regsweep.report.style import DPI

FIGURE, SPLITS, SENTENCE = "repeated_splits.png", "splits.csv", "verdict.md"


def verdict_name(repeats: Repeats) -> str:
    """The name of the first split's study, and how many splits there are."""
    return f"{repeats.studies[0]}-{len(repeats.splits)}-splits"


def verdict_folder(repeats: Repeats, workspace: Workspace) -> Path:
    """Where a verdict lies."""
    return workspace.root / "verdicts" / verdict_name(repeats)


def write_verdict(repeats: Repeats, workspace: Workspace) -> Path:
    """Write sentence and table, every split's values, and the figure; returns their folder. Raises StorageError."""
    folder = verdict_folder(repeats, workspace)
    printed = StringIO()
    Console(file=printed, width=160, markup=False, highlight=False, color_system=None).print(repeats.table())
    table = "\n".join(line.rstrip() for line in printed.getvalue().splitlines())
    text = f"{repeats.configs[0].question}\n\n{repeats.sentence}\n\n```\n{table.strip()}\n```\n"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / SENTENCE).write_text(text, encoding="utf-8")
        repeats.as_frame().to_csv(folder / SPLITS, index=False)
        repeats.figure().savefig(folder / FIGURE, dpi=DPI)
    except OSError as error:
        raise StorageError(
            f"{error.filename or folder}: can't be written ({error.strerror}); free space or set tracking.dir"
        ) from None
    return folder
