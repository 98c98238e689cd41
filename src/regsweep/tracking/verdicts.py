"""Writes a verdict over splits into MLflow: one run of kind `verdict` in the experiment of its studies."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

from mlflow.entities import Metric, RunTag

from regsweep.paths import Workspace
from regsweep.record import StudyFacts
from regsweep.tracking.entities import make_experiment, user
from regsweep.tracking.names import KEY, KIND
from regsweep.tracking.store import find_runs, open_store, storage_errors


def record_verdict(
    workspace: Workspace, facts: StudyFacts, name: str, folder: Path, tags: Mapping[str, str], values: Mapping[str, float]
) -> str:
    """Make the run of a verdict, or bring it up to date, with the files of its folder; returns its id. Raises StorageError."""
    uri = facts.config.tracking.uri
    client = open_store(workspace, uri)
    with storage_errors(workspace, uri):
        experiment = make_experiment(client, workspace, facts)
        found = find_runs(client, experiment, {KIND: "verdict", KEY: name})
        mine = {KIND: "verdict", KEY: name, "mlflow.user": user(), "mlflow.source.name": "regsweep", **tags}
        run = found[0] if found else client.create_run(experiment, run_name=name, tags=mine)
        now = time.time_ns() // 1_000_000
        client.log_artifacts(run.info.run_id, str(folder))
        client.log_batch(
            run.info.run_id,
            metrics=[Metric(key, value, now, 0) for key, value in values.items()],
            tags=[RunTag(key, value) for key, value in mine.items()],
        )
        client.set_terminated(run.info.run_id, "FINISHED")
        return str(run.info.run_id)
