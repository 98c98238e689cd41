"""Finds runs by the names users give them, fetches their artifacts, and leaves answers on them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TypeVar

from mlflow.entities import Run
from mlflow.exceptions import MlflowException

from regsweep.errors import ConfigError, StorageError
from regsweep.paths import Workspace
from regsweep.tracking.names import BOOK, KEY, KIND, STUDY
from regsweep.tracking.store import find_runs, open_store, storage_errors

# What MLflow answers where a run, a model, an alias or a version is not there.
_ABSENT = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")

T = TypeVar("T")


class Runs:
    """The recorded runs of a workspace, or of the tracking server at `uri`. Raises ConfigError where there are none."""

    def __init__(self, workspace: Workspace, uri: str | None = None) -> None:
        if uri is None and not workspace.mlflow_db.is_file():
            raise ConfigError(f"{workspace.mlflow_db}: there are no runs here; run a study first, or name its folder with --dir")
        self._client, self._guard = open_store(workspace, uri), partial(storage_errors, workspace, uri)

    def champion(self, experiment: str) -> Run:
        """The run behind `models:/EXPERIMENT@champion`."""
        version = self._present(partial(self._client.get_model_version_by_alias, experiment, "champion"))
        if version is None:
            raise ConfigError(f"experiment {experiment!r} has no champion; run one of its studies to its end first")
        return self.by_id(str(version.run_id))

    def trial(self, experiment: str, study: str, number: int, book: str | None = None) -> Run:
        """The run of a study's trial; `book` is the id of its folder, where several share a server."""
        known = self._client.get_experiment_by_name(experiment)
        tags = {KIND: "trial", STUDY: study, KEY: str(number)} | ({BOOK: book} if book is not None else {})
        found = find_runs(self._client, known.experiment_id, tags) if known is not None else []
        if not found:
            raise ConfigError(f"trial {number} of study {study!r} has no run in MLflow yet; run the study again to record it")
        return found[0]

    def find(self, run_id: str) -> Run | None:
        """The run with an id, if there is one."""
        return self._present(partial(self._client.get_run, run_id))

    def by_id(self, run_id: str) -> Run:
        """The run with an id; only trials and champions can be rebuilt."""
        run = self.find(run_id)
        if run is None:
            raise ConfigError(f"{run_id!r} is no run here; give champion, best or a run id from the MLflow UI")
        kind = run.data.tags.get(KIND)
        if kind not in ("trial", "champion"):
            raise ConfigError(
                f"run {run_id} is a {kind or 'run of another program'}; only trials and champions can be reproduced"
            )
        return run

    def fetch(self, run: Run, folder: Path) -> Path:
        """Copy a run's record (and, of a champion, its test scores) into a folder."""
        with self._guard():
            present = {entry.path for entry in self._client.list_artifacts(run.info.run_id)}
            for name in sorted(present & {"record", "champion", "members"}):
                self._client.download_artifacts(run.info.run_id, name, str(folder))
        return folder

    def tag(self, run: Run, values: dict[str, str]) -> None:
        """Set tags on a run."""
        with self._guard():
            for key, value in values.items():
                self._client.set_tag(run.info.run_id, key, value)

    def _present(self, get: Callable[[], T]) -> T | None:
        """What MLflow has, or None where it says that there is none."""
        with self._guard():
            try:
                return get()
            except MlflowException as error:
                if error.error_code not in _ABSENT:
                    raise
                return None


def with_run(workspace: Workspace, uris: Sequence[str | None], run_id: str) -> tuple[Runs, Run]:
    """A run by its id, and the store that has it, of a workspace's own (None) and servers. Raises ConfigError where none has."""
    *others, last = uris
    for uri in others:
        with suppress(ConfigError, StorageError):
            runs = Runs(workspace, uri)
            if runs.find(run_id) is not None:
                break
    else:
        runs = Runs(workspace, last)
    return runs, runs.by_id(run_id)
