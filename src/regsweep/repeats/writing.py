"""Writes a verdict over splits: `verdicts/NAME/` of the workspace with `verdict.md`, `splits.csv`, `repeated_splits.png`; MLflow.

In: `Repeats`. Main calls: `write_verdict`, and `record_verdict` for the run of kind `verdict` in the experiment.
"""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import numpy as np
from rich.console import Console

from regsweep.book import RecordBook
from regsweep.errors import StorageError
from regsweep.paths import Workspace
from regsweep.repeats.comparison import Repeats
from regsweep.report.write import save

FIGURE, SPLITS, SENTENCE = "repeated_splits.png", "splits.csv", "verdict.md"


def verdict_name(repeats: Repeats) -> str:
    """The name of the first split's study, and how many splits there are."""
    return f"{repeats.studies[0]}-{len(repeats.splits)}-splits"


def verdict_folder(repeats: Repeats, workspace: Workspace) -> Path:
    """Where a verdict lies."""
    return workspace.root / "verdicts" / verdict_name(repeats)


def record_verdict(repeats: Repeats, workspace: Workspace) -> str:
    """Copy a verdict that has been written into MLflow and return its run's id. Raises StorageError."""
    from regsweep.tracking import verdicts

    name, book = verdict_name(repeats), RecordBook(workspace.records / repeats.studies[0])
    tags = {
        "regsweep.verdict": repeats.sentence,
        "regsweep.splits": ", ".join(repeats.splits),
        "regsweep.studies": ", ".join(repeats.studies),
        "mlflow.note.content": f"**{repeats.sentence}**\n\n{repeats.configs[0].question}",
    }
    # Means over splits are no value of one test part: they have names of their own.
    values = {f"mean/test/{metric}": float(np.mean(found)) for metric, found in repeats.champion.test.items()}
    values |= {f"better_by/{one.key}": repeats.difference(one.key).value for one in repeats.rivals}
    return verdicts.record_verdict(workspace, book, name, verdict_folder(repeats, workspace), tags, values)


def write_verdict(repeats: Repeats, workspace: Workspace) -> Path:
    """Write sentence and table, every split's values, and the figure; returns their folder. Raises StorageError."""
    folder = verdict_folder(repeats, workspace)
    printed = StringIO()
    Console(file=printed, width=160, markup=False, emoji=False, highlight=False, color_system=None).print(repeats.table())
    table = "\n".join(line.rstrip() for line in printed.getvalue().splitlines())
    text = f"{repeats.configs[0].question}\n\n{repeats.sentence}\n\n```\n{table.strip()}\n```\n"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / SENTENCE).write_text(text, encoding="utf-8")
        repeats.as_frame().to_csv(folder / SPLITS, index=False)
        save(repeats.figure(), folder / FIGURE)
    except OSError as error:
        raise StorageError(
            f"{error.filename or folder}: can't be written ({error.strerror}); free space or set tracking.dir"
        ) from None
    return folder
