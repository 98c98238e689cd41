"""What a study is in MLflow's types: its experiment, its input, its parameters."""

from __future__ import annotations

import getpass
import math
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import mlflow.data
import pandas as pd
from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Run
from mlflow.exceptions import MlflowException

from regsweep.paths import Workspace
from regsweep.record import DatasetFacts, StudyFacts


def next_steps(client: MlflowClient, run: Run, values: Mapping[str, float], at: int) -> list[Metric]:
    """Values of a run as metrics at that time in milliseconds: those that have changed, each at its metric's next step."""
    known = run.data.metrics
    changed = {name: value for name, value in values.items() if name not in known or not _equal(known[name], value)}
    steps = {name: len(client.get_metric_history(run.info.run_id, name)) if name in known else 0 for name in changed}
    return [Metric(name, value, at, steps[name]) for name, value in changed.items()]


def _equal(one: float, other: float) -> bool:
    return one == other or (math.isnan(one) and math.isnan(other))


def make_experiment(client: MlflowClient, workspace: Workspace, facts: StudyFacts) -> str:
    """The id of the study's experiment, made or restored where needed; its artifacts lie in the workspace."""
    name = facts.config.experiment
    known = client.get_experiment_by_name(name)
    if known is not None:
        if known.lifecycle_stage == "deleted":
            client.restore_experiment(known.experiment_id)
        return str(known.experiment_id)
    tags = {
        "mlflow.note.content": facts.config.question,
        "mlflow.experimentKind": "custom_model_development",
        "mlflow.experiment.primaryMetric.name": facts.config.objective,
    }
    # A server knows where its artifacts go.
    place = str(workspace.artifacts / name) if facts.config.tracking.uri is None else None
    try:
        return str(client.create_experiment(name, artifact_location=place, tags=tags))
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
        # Another study of the experiment has just made it.
        return str(client.get_experiment_by_name(name).experiment_id)


def as_input(facts: DatasetFacts, columns: Sequence[tuple[str, str]]) -> DatasetInput:
    """The table as MLflow's input, with our digest, its columns as (name, pandas type) and its full size."""
    row = pd.DataFrame({name: [_example(kind)] for name, kind in columns}).astype(dict(columns))
    with warnings.catch_warnings():
        # MLflow warns that whole numbers can't be missing at prediction; the logged models take them either way.
        warnings.simplefilter("ignore", UserWarning)
        made = mlflow.data.from_pandas(row, targets=facts.target, name=facts.name, digest=facts.sha256[:32]).to_dict()
    profile = f'{{"num_rows": {facts.rows}, "num_columns": {len(columns)}}}'
    entity = Dataset(made["name"], made["digest"], made["source_type"], made["source"], made["schema"], profile)
    return DatasetInput(entity, [InputTag("mlflow.data.context", "search")])


def _example(kind: str) -> str | int:
    # A value of the column's kind: MLflow reads a column's type from its values.
    return 0 if kind.lower().startswith(("int", "uint", "float", "bool", "datetime")) else "text"


def study_params(facts: StudyFacts) -> dict[str, Any]:
    """What the UI shows as parameters of a study's run."""
    config = facts.config
    return {
        "dataset": facts.dataset.name,
        "split": config.split.kind,
        "features": config.features.numeric,
        "sampler": config.sampler.kind,
        "trainer": config.trainer.kind,
        "objective": ", ".join(config.objectives),
        "seed": config.seed,
    }


def user() -> str:
    """Who runs this."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"
