"""Opens the store that a study is recorded in, the workspace's own or a tracking server's, and finds runs in it."""

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
from regsweep.locks import lock
from regsweep.paths import Workspace
from regsweep.tracking.moved import bring_home

# MLflow would block a call for minutes where a server is away; the recorder's own retries are patient.
_CLIENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
}


def open_store(workspace: Workspace, uri: str | None = None) -> MlflowClient:
    """Open a server's store, or the workspace's, which is created where there is none.

    Raises StorageError with what MLflow or sqlite says.
    """
    for name, value in _CLIENT.items():
        os.environ.setdefault(name, value)
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.WARNING)
    with storage_errors(workspace, uri):
        if uri is not None:
            return _client(uri)
        # Two processes would both create the tables of a new database.
        with lock(workspace.root / ".mlflow.lock"):
            return _open_own(workspace)


def _open_own(workspace: Workspace) -> MlflowClient:
    if not workspace.mlflow_db.exists():
        # MLflow can't go on with a database whose tables it was killed over: make it beside its place.
        for left in workspace.root.glob(".mlflow.db.*"):
            left.unlink()
        draft = workspace.root / f".mlflow.db.{os.getpid()}"
        _client(f"sqlite:///{draft}")
        draft.rename(workspace.mlflow_db)
    # MLflow would try for minutes to open what can't be opened.
    with closing(sqlite3.connect(workspace.mlflow_db, timeout=10)) as database:
        # The study writes while a user's UI reads: with a write-ahead log they don't wait for each other.
        database.execute("PRAGMA journal_mode=WAL")
    bring_home(workspace)
    return _client(workspace.tracking_uri)


def _client(uri: str) -> MlflowClient:
    client = MlflowClient(tracking_uri=uri, registry_uri=uri)
    # MLflow opens its store at the first use.
    client.search_experiments(max_results=1)
    return client


@contextmanager
def storage_errors(workspace: Workspace, uri: str | None = None) -> Iterator[None]:
    """Turn what MLflow, sqlite and the file system raise into a StorageError that names the place."""
    try:
        yield
    except (MlflowException, SQLAlchemyError, sqlite3.Error, OSError) as error:
        line = str(error).splitlines()[0] if str(error) else type(error).__name__
        if uri is not None:
            raise StorageError(f"{uri}: the tracking server can't be used ({line}); start it, or set tracking=local") from error
        raise StorageError(
            f"{workspace.root}: MLflow's store can't be used ({line}); free space, check permissions or set tracking.dir"
        ) from error


def find_runs(client: MlflowClient, experiment: str, tags: dict[str, str]) -> list[Run]:
    """The runs of an experiment that have all the tags, the oldest first."""
    wanted = " and ".join(f"tags.`{key}` = '{value}'" for key, value in tags.items())
    return list(client.search_runs([experiment], wanted, order_by=["attributes.start_time ASC"]))


def child_runs(client: MlflowClient, experiment: str, parent: str) -> Iterator[Run]:
    """Every child run of a study's run."""
    token = None
    while True:
        page = client.search_runs([experiment], f"tags.`mlflow.parentRunId` = '{parent}'", max_results=1000, page_token=token)
        yield from page
        token = page.token
        if not token:
            return
