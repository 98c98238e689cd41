"""A baseline as champion (`champion.candidates=all`), on tables that it fits and networks of a few epochs do not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from mlflow import MlflowClient
from sklearn.linear_model import Ridge

from regsweep.book import RecordBook, judged_model, read_champion
from regsweep.champion import refit_rows
from regsweep.config import StudyConfig, compose
from regsweep.folder import read_folder
from regsweep.fsck import check
from regsweep.leaderboard import leaderboard
from regsweep.material import gather
from regsweep.paths import Workspace
from regsweep.repair import repair
from regsweep.show.reproduce import reproduce_and_show
from regsweep.study import Outcome, run_study
from tests.conftest import TINY
from tests.e2e.test_models import predict_elsewhere
from tests.helpers import Silent

Steps = Callable[..., StudyConfig]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Path:
    """A workspace `mlruns` beside a table of steps, with texts, missing numbers and a class."""
    folder = tmp_path_factory.mktemp("candidates")
    (folder / "mlruns").mkdir()
    (folder / "mlruns" / "mlflow.db").write_bytes(empty_store.read_bytes())
    rng = np.random.default_rng(0)
    place, kind = rng.uniform(-3, 3, 240), rng.choice(["flat", "house"], 240)
    height = 10.0 * np.floor(place) + np.where(kind == "house", 25.0, 0.0) + rng.normal(0, 0.5, 240)
    sold = np.where(np.floor(place) % 2 == (kind == "house"), "yes", "no")
    table = pd.DataFrame({"place": place, "kind": kind, "width": rng.normal(size=240), "height": height, "sold": sold})
    table.loc[::17, "width"] = np.nan
    table.to_csv(folder / "steps.csv", index=False)
    return folder


@pytest.fixture(scope="module")
def steps(folder: Path) -> Steps:
    def make(*overrides: str) -> StudyConfig:
        asked = ("dataset=csv", f"dataset.path={folder}/steps.csv", f"tracking.dir={folder}/mlruns", "champion=bag")
        own = ("n_trials=2", "split=kfold", "split.folds=2", "champion.candidates=all")
        return compose([*TINY, *asked, *own, *overrides])[0]

    return make


NUMBERS = ("dataset.target=height", "dataset.unit=metres", "dataset.drop=[sold]", "study=numbers", "experiment=numbers")


@pytest.fixture(scope="module")
def outcome(folder: Path, steps: Steps) -> Outcome:
    # A path to a network would take dozens of trainings; to a tree there is none.
    config = steps(*NUMBERS, "baselines.names=[mean,least_squares_qr,decision_tree]", "insight.ablation=true")
    return run_study(gather(config), Workspace(folder / "mlruns"), Silent())


def test_validation_names_the_tree_before_the_test_rows_are_open(outcome: Outcome) -> None:
    (opening,) = outcome.judgement.content["openings"]
    reached = opening["validation"]
    assert opening["baseline"] == outcome.judgement.baseline == min(reached, key=reached.__getitem__) == "decision_tree"
    best = min(record.objective for record in outcome.book.trials() if record.objective is not None)
    assert reached["network"] == best == outcome.judgement.trial.objective
    assert opening["trial"] == outcome.judgement.trial.number


def test_sentence_leaderboard_and_report_say_which_model_it_is(outcome: Outcome) -> None:
    content, report = outcome.judgement.content, outcome.book.folder / "report"
    assert content["verdict"].startswith("The network is not worth it here: a decision tree is better than the network by")
    first, *others = leaderboard(outcome.book)
    assert (first.name, first.kind, first.test_mae) == ("a decision tree (champion)", "champion", content["test"]["mae"]["value"])
    (network,) = [row for row in others if row.kind == "network"]
    assert network.name == f"trial {outcome.judgement.trial.number} (best network)"
    assert network.test_mae == content["network"]["test"]["mae"]["value"] > first.test_mae
    drawn = {place.stem for place in report.glob("*.png")}
    assert drawn >= {"predicted_against_true", "residuals", "slices"}
    assert not drawn & {"learning_curves", "model_diagram", "ablation_path"}
    assert "the champion (a decision tree) is no network" in (report / "verdict.md").read_text()
    assert not outcome.book.networks(1).exists()


def test_the_registered_model_is_the_tree_without_regsweep_and_tensorflow(outcome: Outcome, folder: Path) -> None:
    material = gather(outcome.facts.config)
    rows = material.dataset.table.iloc[material.split.test]
    _, arrays = read_folder(outcome.book.folder / "champion")
    np.testing.assert_allclose(predict_elsewhere(folder, rows, "numbers"), arrays["prediction"], rtol=1e-12)
    (tree,) = outcome.book.folder.glob("baseline-decision_tree")
    np.testing.assert_array_equal(arrays["prediction"], read_folder(tree)[1]["prediction"])


def test_it_is_reproduced_checked_and_repaired(outcome: Outcome, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    workspace, book = Workspace(folder / "mlruns"), RecordBook(outcome.book.folder)
    reproduce_and_show(workspace, "champion", experiment="numbers", tolerance=0.0)
    assert capsys.readouterr().out.strip().endswith("identical")
    assert check(workspace, book).findings == ()
    place = book.folder / "champion" / "record.json"
    before = place.read_bytes()
    place.write_text("{}")
    assert any("champion/record.json" in finding.text for finding in check(workspace, book).findings)
    assert repair(workspace, book, lambda _: None).findings == ()
    assert place.read_bytes() == before


def test_the_test_rows_stay_closed_to_networks_until_they_are_reopened(outcome: Outcome, folder: Path, steps: Steps) -> None:
    workspace = Workspace(folder / "mlruns")
    asked = (*NUMBERS, "baselines.names=[mean,least_squares_qr,decision_tree]")
    again = run_study(gather(steps(*asked)), workspace, Silent(), bare=True)
    assert again.judgement.content == read_champion(outcome.book)
    assert again.judgement.note is None
    asked = (*asked, "champion.candidates=networks")
    closed = run_study(gather(steps(*asked)), workspace, Silent(), bare=True)
    name = f"trial {outcome.judgement.trial.number}"
    assert closed.judgement.baseline == "decision_tree"
    assert closed.judgement.note is not None
    assert closed.judgement.note.startswith(
        f"{name} is now best by validation, but the test rows were opened for a decision tree;"
    )
    opened = run_study(gather(steps(*asked, "reopen_test=true")), workspace, Silent())
    assert (opened.judgement.baseline, len(opened.judgement.content["openings"])) == (None, 2)
    assert (opened.book.folder / "report" / "learning_curves.png").is_file()
    assert list(opened.book.networks(2).glob("*.keras"))
    assert check(workspace, opened.book).findings == ()
    client = MlflowClient(workspace.tracking_uri)
    runs = client.search_runs([str(opened.experiment_id)], "tags.`regsweep.kind` = 'champion'")
    assert {run.data.tags["regsweep.key"] for run in runs} == {"decision_tree/1", f"{outcome.judgement.trial.number}/2"}


@pytest.mark.slow
def test_a_classifier_refitted_on_all_rows_that_are_open(folder: Path, steps: Steps, capsys: pytest.CaptureFixture[str]) -> None:
    target = ("dataset.target=sold", "dataset.drop=[height]", "study=classes", "experiment=classes")
    names = "baselines.names=[mean,logistic_regression,random_forest]"
    config = steps("task=binary_classification", *target, names, "champion=refit", "n_trials=1")
    workspace = Workspace(folder / "mlruns")
    outcome = run_study(gather(config), workspace, Silent())
    content, (member,) = outcome.judgement.content, judged_model(outcome.book).members
    assert (content["baseline"], content["name"], member.classes) == ("random_forest", "random forest, refitted", True)
    assert content["verdict"].startswith("The network is not worth it here: random forest is better than the network")
    assert leaderboard(outcome.book)[0].name == "random forest, refitted (champion)"
    reproduce_and_show(workspace, "champion", experiment="classes", tolerance=0.0)
    assert capsys.readouterr().out.strip().endswith("identical")
    assert check(workspace, outcome.book).findings == ()


def test_what_is_told_of_a_refitted_baseline_is_of_the_refit(folder: Path, steps: Steps) -> None:
    names = "baselines.names=[mean,ridge_closed_form]"
    material = gather(steps(*NUMBERS, "study=refit", "experiment=refit", names, "champion=refit", "n_trials=1"))
    outcome = run_study(material, Workspace(folder / "mlruns"), Silent(), bare=True)
    assert outcome.judgement.content["baseline"] == "ridge_closed_form"
    rows = refit_rows("refit", material.config, material.dataset, material.split)
    assert rows is not None
    intercepts = [Ridge(alpha=1.0).fit(fold.x_train, fold.y_train).intercept_ for fold in (*rows.folds, *material.prepared.folds)]
    assert len(rows.folds[0].y_train) == len(material.dataset.y) - len(material.split.test)
    assert len(set(np.round(intercepts, 6))) == 3
    beside, _ = read_folder(outcome.book.folder / "baseline-ridge_closed_form")
    for content in (outcome.judgement.content, beside):
        assert content["parameters"]["intercept"] == pytest.approx(intercepts[0], rel=1e-9)


def test_a_line_is_a_model_of_numpy_alone(folder: Path, steps: Steps) -> None:
    table = pd.read_csv(folder / "steps.csv")
    noise = np.random.default_rng(1).normal(0, 0.5, len(table))
    table.assign(height=3 * table["place"] + noise).to_csv(folder / "line.csv", index=False)
    names = "baselines.names=[mean,least_squares_svd,least_squares_qr]"
    where = ("study=line", "experiment=line", f"dataset.path={folder}/line.csv")
    outcome = run_study(gather(steps(*NUMBERS, *where, names)), Workspace(folder / "mlruns"), Silent())
    content = outcome.judgement.content
    # Both are one model, and the first is it; the other is no rival.
    assert content["baseline"] == "least_squares_svd"
    assert "closed-form least squares by SVD is better than the network" in content["verdict"]
    assert "better than the mean, the best other baseline by validation, by" in content["verdict"]
    (champion,) = (folder / "mlruns" / "artifacts" / "line").glob("*/artifacts/champion")
    written = champion.with_name("model") / "requirements.txt"
    assert [line.split("==")[0] for line in written.read_text().split()] == ["mlflow", "numpy", "pandas"]
    flavor = yaml.safe_load(written.with_name("MLmodel").read_text())
    assert flavor["metadata"] == {"target": "height", "unit": "metres"}
