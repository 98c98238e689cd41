"""Both ways into MLflow leave the same runs behind: straight into the database's tables, and through MLflow's client."""

from __future__ import annotations

import hashlib
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow
import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from regsweep.book import RecordBook
from regsweep.config import StudyConfig
from regsweep.fsck import check
from regsweep.material import gather
from regsweep.paths import Workspace
from regsweep.study import run_study
from regsweep.tracking import database
from regsweep.tracking.drain import sync
from regsweep.tracking.recorder import Recorder
from tests.helpers import Silent

# The learning rate makes trials diverge: NaN is among their metrics.
WILD = "space.parameters.learning_rate.high=1e30"


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A judged study with complete and failed trials; MLflow was away."""
    from regsweep.config import compose
    from tests.conftest import TINY

    root = tmp_path_factory.mktemp("records")
    (root / "mlflow.db").mkdir()
    config = compose([*TINY, "n_trials=6", "sampler=random", "max_failures=6", WILD, "baselines.names=[mean]"])[0]
    outcome = run_study(gather(config), Workspace(root), Silent())
    states = {content["state"] for content in outcome.book.contents("trial")}
    assert states == {"complete", "failed"}
    return root / "records"


@pytest.fixture
def recorded(records: Path, tmp_path: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Workspace]:
    """Records the study by one of the two ways into a workspace of its own."""

    def record(way: str) -> Workspace:
        root = tmp_path / way
        root.mkdir()
        shutil.copy(empty_store, root)
        shutil.copytree(records, root / "records")
        monkeypatch.setattr(database, "REVISIONS", frozenset[str]() if way == "client" else database.REVISIONS)
        book = book_of(Workspace(root))
        assert type(Recorder(Workspace(root), book)._ledger).__name__ == ("Server" if way == "client" else "Database")
        sync(Workspace(root), book, lambda _: None)
        return Workspace(root)

    return record


def book_of(workspace: Workspace) -> RecordBook:
    (place,) = workspace.records.iterdir()
    return RecordBook(place)


def children(workspace: Workspace) -> list[Run]:
    client = MlflowClient(workspace.tracking_uri)
    (experiment,) = (e.experiment_id for e in client.search_experiments() if e.name != "Default")
    return client.search_runs([experiment], "tags.`regsweep.kind` != 'study'", max_results=1000)


def seen(workspace: Workspace, run: Run) -> dict[str, Any]:
    """All that MLflow's client tells about a run but ids and places."""
    client = MlflowClient(workspace.tracking_uri)
    hidden = ("mlflow.parentRunId", "regsweep.artifacts.sha256")
    folder = Path(run.info.artifact_uri)
    files = {place.relative_to(folder).as_posix(): place.read_bytes() for place in folder.rglob("*") if place.is_file()}
    return {
        "info": (run.info.run_name, run.info.user_id, run.info.status, run.info.start_time, run.info.end_time),
        "stage": run.info.lifecycle_stage,
        "params": run.data.params,
        "tags": {key: value for key, value in run.data.tags.items() if key not in hidden},
        "latest": {key: str(value) for key, value in run.data.metrics.items()},
        "metrics": {
            key: sorted((m.step, m.timestamp, str(m.value)) for m in client.get_metric_history(run.info.run_id, key))
            for key in run.data.metrics
        },
        "inputs": [(part.dataset.to_dictionary(), [dict(tag) for tag in part.tags]) for part in run.inputs.dataset_inputs],
        "files": {
            name: hashlib.sha256(content).hexdigest()
            for name, content in files.items()
            if not name.endswith(("MLmodel", "SHA256SUMS"))
        },
    }


def by_child(workspace: Workspace) -> dict[tuple[str, str], dict[str, Any]]:
    return {(run.data.tags["regsweep.kind"], run.data.tags["regsweep.key"]): seen(workspace, run) for run in children(workspace)}


def test_both_ways_leave_the_same_runs(recorded: Callable[[str], Workspace]) -> None:
    straight, client = by_child(recorded("database")), by_child(recorded("client"))
    assert sorted(straight) == sorted(client)
    assert len(straight) == 6 + 1 + 1
    for child, run in straight.items():
        for part, value in run.items():
            assert value == client[child][part], (child, part)
    # Otherwise the test would not cover what is hard to store.
    values = {value for run in straight.values() for rows in run["metrics"].values() for *_, value in rows}
    assert "nan" in values


def test_the_database_knows_the_schema_of_the_mlflow_that_is_installed(empty_store: Path) -> None:
    assert database.known_schema(empty_store)


@pytest.mark.parametrize("way", ["database", "client"])
def test_what_is_recorded_twice_is_there_once(recorded: Callable[[str], Workspace], way: str) -> None:
    workspace = recorded(way)
    before = by_child(workspace)
    assert sync(workspace, book_of(workspace), lambda _: None) == 0
    assert len(children(workspace)) == 8
    assert by_child(workspace) == before


@pytest.mark.parametrize("way", ["database", "client"])
def test_runs_that_somebody_else_logged_below_a_study_stay(recorded: Callable[[str], Workspace], way: str) -> None:
    workspace = recorded(way)
    client, book = MlflowClient(workspace.tracking_uri), book_of(workspace)
    mine = children(workspace)[0]
    parent = {"mlflow.parentRunId": mine.data.tags["mlflow.parentRunId"]}
    theirs = [client.create_run(mine.info.experiment_id, tags=parent).info.run_id for _ in range(2)]
    assert sync(workspace, book, lambda _: None) == 0
    assert [client.get_run(run).info.lifecycle_stage for run in theirs] == ["active", "active"]


@pytest.mark.parametrize("way", ["database", "client"])
def test_models_load_and_predict(recorded: Callable[[str], Workspace], way: str) -> None:
    from sklearn.datasets import load_diabetes

    workspace = recorded(way)
    table = load_diabetes(as_frame=True, scaled=False).frame.head(5)
    run = next(run for run in children(workspace) if run.info.status == "FINISHED" and run.data.tags["regsweep.kind"] == "trial")
    model = mlflow.pyfunc.load_model(f"{run.info.artifact_uri}/model")
    assert all(math.isfinite(value) for value in model.predict(table))
    assert model.metadata.model_size_bytes > 10_000


def test_a_replay_gives_the_same_bytes(recorded: Callable[[str], Workspace]) -> None:
    workspace = recorded("database")
    recorder = Recorder(workspace, book_of(workspace))
    run = next(run for run in children(workspace) if run.data.tags["regsweep.key"] == "0")
    folder = Path(run.info.artifact_uri)
    before = {place: place.read_bytes() for place in folder.rglob("*") if place.is_file()}
    recorder.trial(0)
    assert {place: place.read_bytes() for place in folder.rglob("*") if place.is_file()} == before
    assert len(children(workspace)) == 8


@pytest.mark.parametrize(
    "models,stored", [pytest.param("all", "complete", marks=pytest.mark.slow), ("none", ""), ("top:1", "best")]
)
def test_models_are_stored_as_asked(models: str, stored: str, tiny: Callable[..., StudyConfig], workspace: Path) -> None:
    outcome = run_study(gather(tiny(f"tracking.models={models}", "baselines=none")), Workspace(workspace), Silent(), bare=True)
    sync(Workspace(workspace), outcome.book, lambda _: None)
    expected = {"complete": {0, 1, 2}, "": set(), "best": {outcome.judgement.trial.number}}[stored]
    runs = children(Workspace(workspace))
    trials = {
        int(run.data.tags["regsweep.key"]) for run in runs
        if run.data.tags["regsweep.kind"] == "trial" and (Path(run.info.artifact_uri) / "model").is_dir()
    }  # fmt: skip
    assert trials == expected
    (champion,) = (run for run in runs if run.data.tags["regsweep.kind"] == "champion")
    assert (Path(champion.info.artifact_uri) / "model").is_dir()


def test_models_follow_a_setting_that_has_changed(tiny: Callable[..., StudyConfig], workspace: Path) -> None:
    def stored(models: str, n_trials: int) -> tuple[set[int], int]:
        config = tiny(f"tracking.models={models}", "baselines=none", "study=one", "sampler=random", "reopen_test=true")
        study = gather(config.model_copy(update={"n_trials": n_trials}))
        outcome = run_study(study, Workspace(workspace), Silent(), bare=True)
        sync(Workspace(workspace), outcome.book, lambda _: None)
        assert check(Workspace(workspace), outcome.book).findings == ()
        runs = {int(run.data.tags["regsweep.key"]): run for run in children(Workspace(workspace)) if of_trial(run)}
        found = {number for number, run in runs.items() if (Path(run.info.artifact_uri) / "model" / "MLmodel").is_file()}
        return found, outcome.judgement.trial.number

    assert stored("all", 2)[0] == {0, 1}
    found, best = stored("top:1", 3)
    assert found == {best}
    assert stored("all", 3)[0] == {0, 1, 2}
    assert stored("none", 3)[0] == set()


def of_trial(run: Run) -> bool:
    return bool(run.data.tags["regsweep.kind"] == "trial")


@pytest.mark.slow
def test_a_trial_that_is_no_longer_among_the_best_loses_its_model(tiny: Callable[..., StudyConfig], workspace: Path) -> None:
    config = tiny("tracking.models=top:1", "baselines=none", "study=one", "sampler=random", "champion=bag", "reopen_test=true")
    seen_best = set()
    for n_trials in (1, 2, 4, 8):
        outcome = run_study(gather(config.model_copy(update={"n_trials": n_trials})), Workspace(workspace), Silent())
        assert outcome.judgement is not None
        seen_best.add(outcome.judgement.trial.number)
        stored = {
            int(run.data.tags["regsweep.key"])
            for run in children(Workspace(workspace))
            if run.data.tags["regsweep.kind"] == "trial" and (Path(run.info.artifact_uri) / "model").is_dir()
        }
        assert stored == {outcome.judgement.trial.number}
    assert len(seen_best) > 1
