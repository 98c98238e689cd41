"""Writes child runs through MLflow's client: a tracking server, or a database whose tables `Database` does not know."""

from __future__ import annotations

import tempfile
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import DatasetInput, Metric, Param, Run

from regsweep.failpoints import reach
from regsweep.tracking.artifacts import write_artifacts
from regsweep.tracking.content import RunContent
from regsweep.tracking.ledger import Child, Ended, Family, tags_of
from regsweep.tracking.models import ModelWriter
from regsweep.tracking.names import KEY, KIND, RECORD, SUMS
from regsweep.tracking.store import child_runs

# MLflow takes so many metrics in a call.
_BATCH = 1000


class Server:
    """The child runs of a study behind MLflow's client. Raises what it raises.

    A run is made as running and ended last. What a lost connection left half made is taken up again, and what it doubled (the
    client repeats a request whose answer was lost) is deleted.
    """

    def __init__(self, client: MlflowClient, family: Family, inputs: list[DatasetInput]) -> None:
        self._client, self._family, self._inputs = client, family, inputs
        self._models = ModelWriter()
        self._begun: dict[Child, Run] = {}

    def ended(self) -> dict[Child, Ended]:
        """Find the children again."""
        ended: dict[Child, Ended] = {}
        self._begun = {}
        # Ended ones first, so that of two the one that stays is whole.
        found = sorted(child_runs(self._client, self._family.experiment, self._family.parent), key=_is_running)
        for run in found:
            if KIND not in run.data.tags or KEY not in run.data.tags:
                # Somebody else's, logged below the study.
                continue
            child = (run.data.tags[KIND], run.data.tags[KEY])
            if child in ended or child in self._begun:
                self._client.delete_run(run.info.run_id)
            elif _is_running(run):
                self._begun[child] = run
            else:
                ended[child] = Ended(run.info.run_id, run.data.tags.get(RECORD))
        return ended

    def write(self, content: RunContent) -> str:
        """Make the run or take up what is there of it, fill and end it."""
        tags = tags_of(content, self._family)
        run = self._begun.pop((content.kind, content.key), None) or self._client.create_run(
            self._family.experiment, start_time=content.times[0], run_name=content.name, tags=tags
        )
        run_id = str(run.info.run_id)
        reach("mlflow/artifacts", content.key)
        metrics = [Metric(*point) for point in content.points]
        params = [Param(key, str(value)) for key, value in content.params.items()]
        self._client.log_batch(run_id, metrics=metrics[: _BATCH // 2], params=params)
        for start in range(_BATCH // 2, len(metrics), _BATCH):
            self._client.log_batch(run_id, metrics=metrics[start : start + _BATCH])
        self._client.log_inputs(run_id, datasets=self._inputs)
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary) / "artifacts"
            digest = write_artifacts(content, folder, self._models, run_id)
            self._client.log_artifacts(run_id, str(folder))
        self._client.set_tag(run_id, SUMS, digest)
        self._client.set_terminated(run_id, content.status, end_time=content.times[1])
        return run_id

    def put_model(self, run: str, content: RunContent) -> None:
        """Add a model, and list the artifacts anew."""
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary) / "artifacts"
            digest = write_artifacts(content, folder, self._models, run)
            self._client.log_artifacts(run, str(folder))
            self._client.set_tag(run, SUMS, digest)

    def drop_model(self, run: str) -> None:
        """MLflow's client can't delete artifacts: the model stays."""

    def remove(self, run: str) -> None:
        """Delete a run: MLflow keeps it in its bin."""
        self._client.delete_run(run)


def _is_running(run: Run) -> bool:
    return bool(run.info.status == "RUNNING")
