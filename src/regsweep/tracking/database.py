"""Writes child runs straight into the workspace's own sqlite database: artifacts first, then the whole run in one transaction.

MLflow's client takes some forty statements and ten transactions of its object mapper for a run that is known as a whole
beforehand. The tables are those of MLflow's schema revisions in `REVISIONS`; a database of another one is written by `Server`,
through the client. A run's id follows from its parent, kind and key, so a replay replaces what an earlier attempt left.
"""

from __future__ import annotations

import hashlib
import math
import shutil
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from regsweep.failpoints import reach
from regsweep.paths import read_only
from regsweep.sums import write_sums
from regsweep.tracking.artifacts import write_artifacts
from regsweep.tracking.content import RunContent
from regsweep.tracking.ledger import Child, Ended, Family, tags_of
from regsweep.tracking.models import ModelWriter
from regsweep.tracking.names import KEY, KIND, PARENT, RECORD, SUMS

REVISIONS = frozenset({"dc11669786a5"})
# MLflow's own limits.
_LONGEST_PARAM, _LONGEST_TAG = 6000, 8000
_RUN = """
    INSERT INTO runs (run_uuid, name, user_id, status, start_time, end_time, artifact_uri, experiment_id,
                      source_type, source_name, entry_point_name, source_version, lifecycle_stage)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'UNKNOWN', '', '', '', 'active')
"""
_METRIC = "(key, value, is_nan, timestamp, step, run_uuid) VALUES (?, ?, ?, ?, ?, ?)"
_INPUT = """
    INSERT INTO inputs (input_uuid, source_type, source_id, destination_type, destination_id) VALUES (?, 'DATASET', ?, 'RUN', ?)
"""


def known_schema(database: Path) -> bool:
    """Whether this module knows the tables of a database."""
    with closing(sqlite3.connect(read_only(database), uri=True)) as connection:
        return {row[0] for row in connection.execute("SELECT version_num FROM alembic_version")} <= REVISIONS


class Database:
    """The child runs of a study in the workspace's database. Raises sqlite3.Error and OSError."""

    def __init__(self, database: Path, family: Family) -> None:
        self._family, self._models = family, ModelWriter()
        self._connection = sqlite3.connect(database, timeout=15, isolation_level=None)
        # A lost commit is made again from the record.
        self._connection.execute("PRAGMA synchronous=NORMAL")
        self._input: tuple[str, dict[str, str]] | None = None

    def ended(self) -> dict[Child, Ended]:
        """The child runs; one is there whole or not at all."""
        query = """
            SELECT kind.value, key.value, runs.run_uuid, record.value FROM runs
            JOIN tags parent ON parent.run_uuid = runs.run_uuid AND parent.key = ? AND parent.value = ?
            JOIN tags kind ON kind.run_uuid = runs.run_uuid AND kind.key = ?
            JOIN tags key ON key.run_uuid = runs.run_uuid AND key.key = ?
            LEFT JOIN tags record ON record.run_uuid = runs.run_uuid AND record.key = ?
            WHERE runs.lifecycle_stage = 'active' AND runs.status != 'RUNNING'
        """
        rows = self._connection.execute(query, (PARENT, self._family.parent, KIND, KEY, RECORD))
        return {(kind, key): Ended(run, record) for kind, key, run, record in rows}

    def write(self, content: RunContent) -> str:
        """Write artifacts, then the run in one transaction."""
        run = self._id(content)
        folder = self._folder(run)
        reach("mlflow/artifacts", content.key)
        digest = write_artifacts(content, folder, self._models, run)
        tags = {**tags_of(content, self._family), "mlflow.runName": content.name, SUMS: digest}
        family, db = self._family, self._connection
        rows = [(key, *_stored(value), time, step, run) for key, value, time, step in content.points]
        # Points come in the order of their steps.
        latest = {row[0]: row for row in rows}
        params = [(key, str(value)[:_LONGEST_PARAM], run) for key, value in content.params.items()]
        with self._transaction():
            self._forget(run)
            ids = str(folder), int(family.experiment)
            db.execute(_RUN, (run, content.name, family.user, content.status, *content.times, *ids))
            texts = [(key, value[:_LONGEST_TAG], run) for key, value in tags.items()]
            db.executemany("INSERT INTO tags (key, value, run_uuid) VALUES (?, ?, ?)", texts)
            db.executemany("INSERT INTO params (key, value, run_uuid) VALUES (?, ?, ?)", params)
            db.executemany(f"INSERT INTO metrics {_METRIC}", rows)
            db.executemany(f"INSERT INTO latest_metrics {_METRIC}", latest.values())
            self._put_input(run)
        return run

    def put_model(self, run: str, content: RunContent) -> None:
        """Add a model to a run's artifacts."""
        assert content.model is not None
        folder = self._folder(run)
        shutil.rmtree(folder / "model", ignore_errors=True)
        self._models.write(content.model, folder / "model", run=run, made=content.times[1], networks=content.networks)
        reach("mlflow/model", run)
        self._sign(run)

    def drop_model(self, run: str) -> None:
        """Remove a model from a run's artifacts."""
        shutil.rmtree(self._folder(run) / "model", ignore_errors=True)
        reach("mlflow/model", run)
        self._sign(run)

    def remove(self, run: str) -> None:
        """Remove a run and its artifacts."""
        folder = self._folder(run).parent
        with self._transaction():
            self._forget(run)
        shutil.rmtree(folder, ignore_errors=True)

    def _id(self, content: RunContent) -> str:
        return hashlib.sha256(f"{self._family.parent}/{content.kind}/{content.key}".encode()).hexdigest()[:32]

    def _folder(self, run: str) -> Path:
        # Not what the database says: a workspace may have been copied or moved.
        return Path(self._family.artifacts) / run / "artifacts"

    def _sign(self, run: str) -> None:
        digest = write_sums(self._folder(run))
        with self._transaction():
            self._connection.execute("UPDATE tags SET value = ? WHERE run_uuid = ? AND key = ?", (digest, run, SUMS))

    def _forget(self, run: str) -> None:
        for table in ("metrics", "latest_metrics", "params", "tags", "runs"):
            self._connection.execute(f"DELETE FROM {table} WHERE run_uuid = ?", (run,))
        inputs = "SELECT input_uuid FROM inputs WHERE destination_type = 'RUN' AND destination_id = ?"
        self._connection.execute(f"DELETE FROM input_tags WHERE input_uuid IN ({inputs})", (run,))
        self._connection.execute("DELETE FROM inputs WHERE destination_type = 'RUN' AND destination_id = ?", (run,))

    def _put_input(self, run: str) -> None:
        # The child's data set is its parent's.
        query = "SELECT input_uuid, source_id FROM inputs WHERE destination_type = 'RUN' AND destination_id = ?"
        if self._input is None:
            uuid, source = self._connection.execute(query, (self._family.parent,)).fetchone()
            tags = self._connection.execute("SELECT name, value FROM input_tags WHERE input_uuid = ?", (uuid,))
            self._input = source, dict(tags.fetchall())
        source, values = self._input
        own = hashlib.sha256(f"input of {run}".encode()).hexdigest()[:32]
        self._connection.execute(_INPUT, (own, source, run))
        rows = [(own, name, value) for name, value in values.items()]
        self._connection.executemany("INSERT INTO input_tags (input_uuid, name, value) VALUES (?, ?, ?)", rows)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")


def _stored(value: float) -> tuple[float, bool]:
    """A metric's value and whether it is NaN, as MLflow stores them: infinities are the greatest doubles."""
    if math.isnan(value):
        return 0.0, True
    return max(-sys.float_info.max, min(sys.float_info.max, float(value))), False
