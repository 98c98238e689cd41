"""Opens the workspace's MLflow store and finds runs in it."""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager

from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.exceptions import MlflowException
from sqlalchemy.exc import SQLAlchemyError

from regsweep.errors import StorageError
from regsweep.paths import Workspace

# What a run is: a study, trial, baseline or champion; of which study; which of them (number or name).
KIND, STUDY, KEY = "regsweep.kind", "regsweep.study", "regsweep.key"


def open_store(workspace: Workspace) -> MlflowClient:
    """Open the store, creating it where there is none. Raises StorageError with what MLflow or sqlite says."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.WARNING)
    with storage_errors(workspace):
        workspace.root.mkdir(parents=True, exist_ok=True)
        # MLflow would try for minutes to open what can't be opened.
        with closing(sqlite3.connect(workspace.mlflow_db, timeout=10)) as database:
            database.execute("PRAGMA schema_version")
        client = MlflowClient(tracking_uri=workspace.tracking_uri, registry_uri=workspace.tracking_uri)
        client.search_experiments(max_results=1)
        # The study writes while a user's UI reads: with WAL they don't wait for each other.
        with sqlite3.connect(workspace.mlflow_db) as database:
            database.execute("PRAGMA journal_mode=WAL")
        return client


@contextmanager
def storage_errors(workspace: Workspace) -> Iterator[None]:
    """Turn what MLflow, sqlite and the file system raise into a StorageError that names the place."""
    try:
        yield
    except (MlflowException, SQLAlchemyError, sqlite3.Error, OSError) as error:
        line = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise StorageError(
            f"{workspace.root}: MLflow's store can't be used ({line}); free space, check permissions or set tracking.dir"
        ) from error


def find_run(client: MlflowClient, experiment: str, tags: dict[str, str]) -> Run | None:
    """The run of an experiment that has all the tags, if there is one."""
    wanted = " and ".join(f"tags.`{key}` = '{value}'" for key, value in tags.items())
    found = client.search_runs([experiment], wanted, max_results=1)
    return found[0] if found else None


def child_runs(client: MlflowClient, experiment: str, parent: str) -> Iterator[Run]:
    """Every child run of a study's run."""
    token = None
    while True:
        page = client.search_runs([experiment], f"tags.`mlflow.parentRunId` = '{parent}'", max_results=1000, page_token=token)
        yield from page
        token = page.token
        if not token:
            return
