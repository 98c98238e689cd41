"""Lets a workspace that was moved or copied find its own artifacts: MLflow's database holds their absolute paths.

Main calls: `bring_home`, which corrects the paths, and `at_home`, for those who only read.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from urllib.request import url2pathname

from regsweep.paths import Workspace

_PLACES = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)


def former_homes(database: sqlite3.Connection, artifacts: Path) -> set[str]:
    """Where artifacts lay that lie in `artifacts` now, each with `/` at its end: as experiments say whose folders are here."""
    if not database.execute("SELECT 1 FROM sqlite_master WHERE name = 'experiments'").fetchone():
        # Empty as yet: MLflow makes its tables.
        return set()
    experiments = database.execute("SELECT name, artifact_location FROM experiments WHERE artifact_location IS NOT NULL")
    known = ((name, place.removesuffix(name)) for name, place in experiments if place.endswith(f"/{artifacts.name}/{name}"))
    return {home for name, home in known if home != f"{artifacts}/" and (artifacts / name).is_dir()}


def at_home(place: str, homes: Iterable[str], artifacts: Path) -> str:
    """A path as it is now."""
    former = next((home for home in homes if place.startswith(home)), None)
    return place if former is None else f"{artifacts}/{place.removeprefix(former)}"


def local_path(uri: str) -> Path:
    """The path that MLflow wrote down as one or as a file's URI."""
    return Path(url2pathname(uri.removeprefix("file://")) if uri.startswith("file://") else uri)


def bring_home(workspace: Workspace) -> None:
    """Let experiments, runs and models point to where their artifacts lie now, in one transaction. Raises sqlite3.Error."""
    with closing(sqlite3.connect(workspace.mlflow_db, timeout=10)) as database, database:
        for home in former_homes(database, workspace.artifacts):
            for table, column in _PLACES:
                database.execute(
                    f"UPDATE {table} SET {column} = ? || substr({column}, ?) WHERE substr({column}, 1, ?) = ?",
                    (f"{workspace.artifacts}/", len(home) + 1, len(home), home),
                )
