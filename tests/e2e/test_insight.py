"""What a finished study teaches, with real training and real MLflow."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from mlflow import MlflowClient

from regsweep.book import RecordBook
from regsweep.config import compose
from regsweep.fsck import check
from regsweep.insight import read_insight
from regsweep.insight.record import _train
from regsweep.material import gather
from regsweep.paths import Workspace
from regsweep.repair import repair
from regsweep.runner import make_executor
from regsweep.space import central
from regsweep.study import Outcome, run_study
from tests.conftest import TINY
from tests.helpers import Silent

OPTIONS = (*TINY, "dataset=diabetes", "n_trials=6", "insight.ablation=true", "split=kfold", "split.folds=2", "baselines=none")


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Path:
    folder = tmp_path_factory.mktemp("insight") / "mlruns"
    folder.mkdir()
    shutil.copy(empty_store, folder)
    return folder


@pytest.fixture(scope="module")
def outcome(workspace: Path) -> Outcome:
    return run_study(gather(compose(OPTIONS)[0]), Workspace(workspace), Silent())


def test_the_path_is_trained_and_ends_at_the_champion(outcome: Outcome, workspace: Path) -> None:
    content = read_insight(outcome.book)
    assert content is not None
    champion, path = outcome.judgement.trial, content["ablation"]
    assert (content["champion"], path["steps"][-1]["value"]) == (champion.number, champion.objective)
    assert path["start"] == central(champion.facts.config.space)
    here = dict(path["start"])
    for step in path["steps"]:
        assert step["value"] == min(value for value in step["tried"].values() if value is not None)
        here |= {name: after for name, (_, after) in step["changes"].items()}
    assert {name: value for name, value in here.items() if value is not None} == champion.params
    # The champion comes out to the last bit if it is trained as a step; so does the start.
    config = champion.facts.config
    material = gather(config)
    with make_executor(config, material.prepared) as executor:
        again = _train(executor, config.space, "val/mse", champion.result.spec.seed, [champion.params, path["start"]])
    assert again == [champion.objective, path["value"]]
    client = MlflowClient(f"sqlite:///{workspace}/mlflow.db")
    (parent,) = client.search_runs([str(outcome.experiment_id)], "tags.`regsweep.kind` = 'study'")
    present = {entry.path for entry in client.list_artifacts(parent.info.run_id)}
    assert present >= {"insight.json", "ablation_path.png", "slices.png", "contour.png", "empirical_distribution.png"}


def test_mlflow_has_the_figures_and_values_of_the_last_report(workspace: Path) -> None:
    def recorded(*overrides: str) -> tuple[set[str], dict[str, list[tuple[int, float]]]]:
        asked = ("study=figures", "experiment=figures", "n_trials=2", "insight.ablation=true")
        outcome = run_study(gather(compose([*OPTIONS, *asked, *overrides])[0]), Workspace(workspace), Silent())
        client = MlflowClient(f"sqlite:///{workspace}/mlflow.db")
        (run,) = client.search_runs([str(outcome.experiment_id)], "tags.`regsweep.kind` = 'study'")
        history = {name: client.get_metric_history(run.info.run_id, name) for name in run.data.metrics}
        points = {name: [(point.step, point.value) for point in found] for name, found in history.items()}
        return {entry.path for entry in client.list_artifacts(run.info.run_id)}, points

    before, values = recorded()
    assert {"ablation_path.png", "config.yaml"} <= before
    assert {name: len(points) for name, points in values.items()} == dict.fromkeys(values, 1)
    after, same = recorded("insight.ablation=false")
    assert (before - after, same) == ({"ablation_path.png"}, values)
    _, longer = recorded("n_trials=3")
    assert longer["trials"] == [(0, 2.0), (1, 3.0)]


def test_a_finished_study_trains_no_path_again_and_damage_is_found(outcome: Outcome, workspace: Path) -> None:
    place, config = outcome.book.insight, outcome.facts.config
    before = place.read_bytes()
    run_study(gather(config), Workspace(workspace), Silent())
    assert place.read_bytes() == before
    book = RecordBook(outcome.book.folder)
    assert check(Workspace(workspace), book).findings == ()
    place.write_bytes(before.replace(b"steps", b"stops"))
    (finding,) = check(Workspace(workspace), book).findings
    assert "insight.json" in finding.text
    said: list[str] = []
    assert repair(Workspace(workspace), book, said.append).findings == ()
    assert any("insight.json" in line for line in said)
    run_study(gather(config), Workspace(workspace), Silent())
    now = read_insight(book)
    assert now is not None
    assert b"steps" in place.read_bytes()
    assert check(Workspace(workspace), book).findings == ()


def test_a_call_without_insight_keeps_the_figures_of_the_same_trials(outcome: Outcome, workspace: Path) -> None:
    report, config = outcome.book.folder / "report", outcome.facts.config
    drawn = {place.name for place in report.iterdir()}
    assert {"slices.png", "insight.json"} <= drawn
    run_study(gather(config), Workspace(workspace), Silent(), bare=True)
    assert {place.name for place in report.iterdir()} == drawn
    # Of other trials they would say what is not so.
    longer = config.model_copy(update={"n_trials": 7, "reopen_test": True})
    run_study(gather(longer), Workspace(workspace), Silent(), bare=True)
    assert not [place for place in report.iterdir() if place.suffix == ".png" or place.name == "insight.json"]
