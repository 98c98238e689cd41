"""Reads back everything that MLflow holds of a study, to be compared with the study's records."""

from __future__ import annotations

import math
import sqlite3
from collections import defaultdict
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.request import url2pathname

from regsweep.paths import Workspace
from regsweep.record import StudyFacts
from regsweep.tracking.content import Point
from regsweep.tracking.names import KEY, KIND, PARENT, STUDY


@dataclass(frozen=True)
class Recorded:
    """A run as MLflow holds it, `points` sorted; `folder` is where its artifacts lie, None where that is a server's business."""

    id: str
    status: str
    tags: dict[str, str]
    params: dict[str, str]
    points: list[Point]
    folder: Path | None

    @property
    def child(self) -> tuple[str, str]:
        """Kind and key."""
        return self.tags.get(KIND, ""), self.tags.get(KEY, "")


@dataclass(frozen=True)
class Inspection:
    """Of one study: its own runs (one, if all is well), their children, and artifact folders that belong to no run."""

    studies: list[Recorded]
    children: list[Recorded]
    orphans: list[Path]


def inspect(workspace: Workspace, facts: StudyFacts) -> Inspection:
    """Read a study's runs, from the workspace's database or the study's tracking server. Raises StorageError."""
    if facts.config.tracking.uri is not None:
        return _from_server(workspace, facts)
    if not workspace.mlflow_db.is_file():
        return Inspection([], [], [])
    with closing(sqlite3.connect(f"{workspace.mlflow_db.as_uri()}?mode=ro", uri=True, timeout=60)) as database:
        # One moment of the database, whatever is being written meanwhile.
        database.execute("BEGIN")
        return _from_database(database, facts.study)


def _from_database(database: sqlite3.Connection, study: str) -> Inspection:
    mine = "SELECT run_uuid FROM tags WHERE key = ? AND value = ?"
    columns = "SELECT run_uuid, status, artifact_uri FROM runs"
    runs = f"{columns} WHERE lifecycle_stage = 'active' AND run_uuid IN ({mine}) ORDER BY start_time"
    found = {run: (status, _path(uri)) for run, status, uri in database.execute(runs, (STUDY, study))}

    def texts(table: str) -> dict[str, dict[str, str]]:
        grouped: dict[str, dict[str, str]] = defaultdict(dict)
        for run, key, value in database.execute(
            f"SELECT run_uuid, key, value FROM {table} WHERE run_uuid IN ({mine})", (STUDY, study)
        ):
            grouped[run][key] = value
        return grouped

    points: dict[str, list[Point]] = defaultdict(list)
    metrics = f"SELECT run_uuid, key, value, is_nan, timestamp, step FROM metrics WHERE run_uuid IN ({mine})"
    for run, key, value, is_nan, time, step in database.execute(metrics, (STUDY, study)):
        points[run].append((key, math.nan if is_nan else value, time, step))
    tags, params = texts("tags"), texts("params")
    recorded = [Recorded(run, status, tags[run], params[run], points[run], folder) for run, (status, folder) in found.items()]
    known = {row[0] for row in database.execute("SELECT run_uuid FROM runs")}
    return _sorted(recorded, _orphans(recorded, known))


def _from_server(workspace: Workspace, facts: StudyFacts) -> Inspection:
    from regsweep.tracking.store import open_store, storage_errors

    client = open_store(workspace, facts.config.tracking.uri)
    with storage_errors(workspace, facts.config.tracking.uri):
        experiment = client.get_experiment_by_name(facts.config.experiment)
        if experiment is None:
            return Inspection([], [], [])
        recorded, token = [], None
        while True:
            query = f"tags.`{STUDY}` = '{facts.study}'"
            order = ["attributes.start_time ASC"]
            page = client.search_runs([experiment.experiment_id], query, max_results=1000, order_by=order, page_token=token)
            for run in page:
                history = [m for key in run.data.metrics for m in client.get_metric_history(run.info.run_id, key)]
                points = [(m.key, m.value, m.timestamp, m.step) for m in history]
                recorded.append(Recorded(run.info.run_id, run.info.status, run.data.tags, run.data.params, points, folder=None))
            if not (token := page.token):
                return _sorted(recorded, [])


def _sorted(recorded: Sequence[Recorded], orphans: list[Path]) -> Inspection:
    studies = [run for run in recorded if PARENT not in run.tags]
    return Inspection(studies, [run for run in recorded if PARENT in run.tags], orphans)


def _orphans(recorded: Sequence[Recorded], known: set[str]) -> list[Path]:
    """Folders of runs that the database does not know, beside those of a study's runs."""
    homes = {run.folder.parents[1] for run in recorded if run.folder is not None}
    return sorted(
        place for home in homes if home.is_dir() for place in home.iterdir() if place.name not in known and len(place.name) == 32
    )


def _path(uri: str) -> Path:
    return Path(url2pathname(uri.removeprefix("file://")))
