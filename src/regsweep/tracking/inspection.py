"""Reads back everything that MLflow holds of a study, to be compared with the study's records."""

from __future__ import annotations

import math
import sqlite3
import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from regsweep.book import RecordBook
from regsweep.errors import StorageError, UnreadableError
from regsweep.folder import RECORD_FILE, read_json
from regsweep.paths import Workspace, read_only
from regsweep.record import StudyFacts
from regsweep.tracking.content import Point
from regsweep.tracking.moved import at_home, former_homes, local_path
from regsweep.tracking.names import BOOK, KEY, KIND, PARENT, STUDY

# Artifacts are written before their run: a folder without one is a leftover after so many seconds.
YOUNG = 60.0


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
    """Of one study: its own runs (one, if all is well), their children, and the experiment's artifacts that belong to no run."""

    studies: list[Recorded]
    children: list[Recorded]
    orphans: list[Path]


def inspect(workspace: Workspace, book: RecordBook, facts: StudyFacts) -> Inspection:
    """Read a study's runs, from the workspace's database or the study's tracking server. Raises StorageError."""
    if facts.config.tracking.uri is not None:
        return _from_server(workspace, book, facts)
    # Listed before the database is read: a recorder at work writes artifacts first.
    home = workspace.artifacts / facts.config.experiment
    listed = list(home.glob("?" * 32))
    if not workspace.mlflow_db.is_file():
        return Inspection([], [], _leftovers(listed, facts.study))
    try:
        with closing(sqlite3.connect(read_only(workspace.mlflow_db), uri=True, timeout=15)) as database:
            # One moment of the database, whatever is being written meanwhile.
            database.execute("BEGIN")
            recorded = _from_database(database, facts.study, workspace.artifacts)
            known = {row[0] for row in database.execute("SELECT run_uuid FROM runs")}
    except sqlite3.Error as error:
        raise StorageError(f"{workspace.mlflow_db}: can't be read ({error}); `regsweep repair` makes it anew") from None
    return _sorted(recorded, _leftovers([place for place in listed if place.name not in known], facts.study))


def _leftovers(places: Sequence[Path], study: str) -> list[Path]:
    # Other studies' and the user's are none: a database that was made anew does not know of their runs either.
    return [place for place in places if _is_leftover(place, study)]


def _is_leftover(place: Path, study: str) -> bool:
    """Whether a run's folder is this study's, by the record in it, or has been empty for a while."""
    artifacts = place / "artifacts"
    records = [record for name in ("record", "champion") if (record := artifacts / name / RECORD_FILE).is_file()]
    try:
        if any(read_json(record)["study"] == study for record in records):
            return True
    except (UnreadableError, KeyError):
        return False
    return not any(artifacts.glob("*")) and time.time() - place.stat().st_mtime > YOUNG


def _from_database(database: sqlite3.Connection, study: str, artifacts: Path) -> list[Recorded]:
    homes = former_homes(database, artifacts)
    mine = "SELECT run_uuid FROM tags WHERE key = ? AND value = ?"
    columns = "SELECT run_uuid, status, artifact_uri FROM runs"
    runs = f"{columns} WHERE lifecycle_stage = 'active' AND run_uuid IN ({mine}) ORDER BY start_time"
    rows = database.execute(runs, (STUDY, study))
    found = {run: (status, local_path(at_home(uri, homes, artifacts))) for run, status, uri in rows}

    def texts(table: str) -> dict[str, dict[str, str]]:
        grouped: dict[str, dict[str, str]] = defaultdict(dict)
        for run, key, value in database.execute(
            f"SELECT run_uuid, key, value FROM {table} WHERE run_uuid IN ({mine})", (STUDY, study)
        ):
            grouped[run][key] = value
        return grouped

    points: dict[str, list[Point]] = defaultdict(list)
    metrics = f"SELECT run_uuid, key, value, is_nan, timestamp, step FROM metrics WHERE run_uuid IN ({mine})"
    for run, key, value, is_nan, stamp, step in database.execute(metrics, (STUDY, study)):
        points[run].append((key, math.nan if is_nan else value, stamp, step))
    tags, params = texts("tags"), texts("params")
    return [Recorded(run, status, tags[run], params[run], points[run], folder) for run, (status, folder) in found.items()]


def _from_server(workspace: Workspace, book: RecordBook, facts: StudyFacts) -> Inspection:
    from regsweep.tracking.store import open_store, storage_errors

    client = open_store(workspace, facts.config.tracking.uri)
    with storage_errors(workspace, facts.config.tracking.uri):
        experiment = client.get_experiment_by_name(facts.config.experiment)
        if experiment is None:
            return Inspection([], [], [])
        recorded, token = [], None
        while True:
            query = f"tags.`{BOOK}` = '{book.id}'"
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
