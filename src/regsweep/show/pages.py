"""Addresses of studies in the MLflow UI."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from regsweep.paths import Workspace


def experiment_pages(workspace: Workspace, port: int) -> list[tuple[str, str]]:
    """Name and address in the UI of every experiment that has a view of ours, the youngest first."""
    query = """
        SELECT experiments.name, experiments.experiment_id FROM experiments JOIN experiment_tags USING (experiment_id)
        WHERE experiment_tags.key = 'mlflow.sharedViewState.regsweep' AND experiments.lifecycle_stage = 'active'
        ORDER BY experiments.experiment_id DESC
    """
    try:
        with closing(sqlite3.connect(workspace.mlflow_db)) as database:
            return [(name, page(experiment, f"http://127.0.0.1:{port}")) for name, experiment in database.execute(query)]
    except sqlite3.Error:
        # The server says better what is wrong with its database, or brings an old one up to date.
        return []


def page(experiment: object, server: str) -> str:
    """The address of an experiment, by its id, on a server: its runs, in our view."""
    # Without workflowType the UI opens a page about language models.
    view = "workflowType=machine_learning&viewStateShareKey=regsweep"
    return f"{server}/#/experiments/{experiment}/runs?{view}"
