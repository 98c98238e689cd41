"""Writes a verdict over splits into MLflow: one run of kind `verdict` in the experiment of its studies."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

from mlflow.entities import RunTag

from regsweep.book import RecordBook
from regsweep.paths import Workspace
from regsweep.tracking.entities import make_experiment, next_steps, user
from regsweep.tracking.names import FIRST_BOOK, KEY, KIND
from regsweep.tracking.store import find_runs, open_store, storage_errors


def record_verdict(
    workspace: Workspace, book: RecordBook, name: str, folder: Path, tags: Mapping[str, str], values: Mapping[str, float]
) -> str:
    """Make the run of a verdict, or bring it up to date, with the files of its folder; returns its id. Raises StorageError.

    `book`: of its first split's study. A value that has changed since is a metric's next step.
    """
    facts = book.facts()
    uri = facts.config.tracking.uri
    client = open_store(workspace, uri)
    with storage_errors(workspace, uri):
        experiment = make_experiment(client, workspace, facts)
        # Several folders may hold studies of these names; on a server they are told apart.
        key = {KIND: "verdict", KEY: name} | ({FIRST_BOOK: book.id} if uri is not None else {})
        found = find_runs(client, experiment, key)
        mine = {**key, "mlflow.user": user(), "mlflow.source.name": "regsweep", **tags}
        run = found[0] if found else client.create_run(experiment, run_name=name, tags=mine)
        client.log_artifacts(run.info.run_id, str(folder))
        client.log_batch(
            run.info.run_id,
            metrics=next_steps(client, run, values, time.time_ns() // 1_000_000),
            tags=[RunTag(tag, value) for tag, value in mine.items()],
        )
        client.set_terminated(run.info.run_id, "FINISHED")
        return str(run.info.run_id)
