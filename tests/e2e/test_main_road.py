"""The main job as its user sees it: one command, then MLflow, leaderboard, report."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from regsweep.book import RecordBook
from regsweep.trial import CURVES
from tests.conftest import TINY, run_cli


@pytest.fixture(scope="module")
def client(study: Path) -> MlflowClient:
    return MlflowClient(f"sqlite:///{study}/mlruns/mlflow.db")


@pytest.fixture(scope="module")
def runs(client: MlflowClient) -> list[Run]:
    experiment = client.get_experiment_by_name("houses")
    assert experiment is not None
    return list(client.search_runs([experiment.experiment_id], max_results=100))


@pytest.fixture(scope="module")
def book(study: Path) -> RecordBook:
    (folder,) = (study / "mlruns" / "records").iterdir()
    return RecordBook(folder)


def of_kind(runs: list[Run], kind: str) -> list[Run]:
    return [run for run in runs if run.data.tags["regsweep.kind"] == kind]


def test_it_prints_leaderboard_verdict_and_where_everything_lies(study: Path) -> None:
    printed = (study / "printed.txt").read_text()
    for text in ("3 trials", "(champion)", "closed-form least squares", "random forest", "network", "Optimism", "regsweep ui",
                 "mlflow.db", "regsweep reproduce champion", "RMSE and MAE in euros"):  # fmt: skip
        assert text in printed
    errors = (study / "errors.txt").read_text()
    assert "Traceback" not in errors
    assert "Warning" not in errors


def test_one_parent_and_one_child_per_trial_baseline_and_champion(runs: list[Run]) -> None:
    (parent,) = of_kind(runs, "study")
    assert {kind: len(of_kind(runs, kind)) for kind in ("trial", "baseline", "champion")} == {
        "trial": 3,
        "baseline": 14,
        "champion": 1,
    }
    children = [run for run in runs if run.info.run_id != parent.info.run_id]
    assert {run.data.tags["mlflow.parentRunId"] for run in children} == {parent.info.run_id}
    assert {run.info.status for run in runs} == {"FINISHED"}


def test_every_trial_has_six_curves_of_one_value_per_epoch(client: MlflowClient, runs: list[Run], book: RecordBook) -> None:
    for run in of_kind(runs, "trial"):
        record = book.trial(int(run.data.tags["regsweep.key"]))
        assert record is not None
        for column, name in enumerate(CURVES):
            history = sorted(client.get_metric_history(run.info.run_id, name), key=lambda metric: metric.step)
            assert [metric.step for metric in history] == [0, 1, 2]
            assert [metric.value for metric in history] == record.result.curves[:, column].tolist()
        assert run.data.metrics["final/val/mse"] == record.objective == run.data.metrics["val/mse"]
        assert run.data.metrics["best/val/mse"] == record.result.curves[:, 3].min()
        assert run.data.params == {key: str(value) for key, value in record.params.items()}


def test_the_objective_is_the_same_double_in_record_optuna_and_mlflow(study: Path, runs: list[Run], book: RecordBook) -> None:
    import optuna

    (name,) = optuna.get_all_study_names(f"sqlite:///{study}/mlruns/optuna.db")
    told = {
        trial.number: trial.value
        for trial in optuna.load_study(study_name=name, storage=f"sqlite:///{study}/mlruns/optuna.db").trials
    }
    logged = {int(run.data.tags["regsweep.key"]): run.data.metrics["final/val/mse"] for run in of_kind(runs, "trial")}
    assert told == logged == {record.number: record.objective for record in book.trials()}


def test_test_values_stand_on_champion_and_baselines_only(runs: list[Run]) -> None:
    for run in runs:
        scored = {name for name in run.data.metrics if name.startswith("test/")}
        if run.data.tags["regsweep.kind"] in ("champion", "baseline"):
            assert {"test/mse", "test/rmse", "test/mae", "test/r2", "test/mae/low", "test/mae/high"} <= scored
            assert run.data.metrics["test/mae/low"] < run.data.metrics["test/mae"] < run.data.metrics["test/mae/high"]
        else:
            assert not scored


def test_runs_carry_data_set_config_and_environment(client: MlflowClient, runs: list[Run], book: RecordBook) -> None:
    facts = book.facts()
    for run in runs:
        (used,) = run.inputs.dataset_inputs
        assert (used.dataset.name, used.dataset.digest) == ("houses", facts.dataset.sha256[:32])
    (parent,) = of_kind(runs, "study")
    present = {entry.path for entry in client.list_artifacts(parent.info.run_id)}
    assert present >= {"config.yaml", "environment.json", "dataset.json", "leaderboard.csv", "leaderboard.json", "verdict.md",
                       "optimization_history.png", "parameter_importance.png", "parallel_coordinates.png", "learning_curves.png",
                       "empirical_distribution.png", "slices.png", "contour.png", "insight.json",
                       "predicted_against_true.png", "residuals.png", "predicted_by_index.png", "model_diagram.png"}  # fmt: skip
    assert parent.data.tags["regsweep.verdict"].startswith("The ensemble of networks is")
    assert facts.environment.packages.keys() >= {"tensorflow", "keras", "mlflow", "optuna", "pandas", "scikit-learn"}


def test_leaderboard_file_and_ui_table_agree(runs: list[Run], book: RecordBook) -> None:
    (parent,) = of_kind(runs, "study")
    frame = pd.read_csv(book.folder / "report" / "leaderboard.csv")
    shown = pd.read_json(book.folder / "report" / "leaderboard.json", orient="split")
    assert list(shown["name"]) == list(frame["name"])
    assert frame["val_mse"].dropna().is_monotonic_increasing
    assert "leaderboard.json" in parent.data.tags["mlflow.loggedArtifacts"]


def test_a_second_call_trains_and_records_nothing_anew(study: Path, client: MlflowClient, runs: list[Run]) -> None:
    done = run_cli(
        "run", "dataset=csv", "dataset.path=houses.csv", "dataset.target=price", "dataset.unit=euros", *TINY, cwd=study
    )
    assert "3 of 3 trials are there already" in done.stdout
    experiment = client.get_experiment_by_name("houses")
    assert experiment is not None
    after = client.search_runs([experiment.experiment_id], max_results=100)
    assert {run.info.run_id for run in after} == {run.info.run_id for run in runs}
    assert len(client.search_model_versions("name = 'houses'")) == 1


def test_compare_prints_the_leaderboard_again(study: Path) -> None:
    printed = run_cli("compare", cwd=study).stdout
    assert "closed-form least squares" in printed
    assert "The ensemble of networks is" in printed
    without = run_cli("compare", "houses", "--trials", "0", cwd=study).stdout
    assert "(champion)" in without
    assert not re.search(r"\d +trial \d", without)


@pytest.mark.slow
@pytest.mark.parametrize("split", ["split=time_ordered", "split=kfold split.folds=3", "split=group dataset.group=kind"])
def test_every_split_goes_the_whole_road(run_own, split: str) -> None:  # type: ignore[no-untyped-def]
    assert "network is" in run_own("baselines=closed_form", "n_trials=1", "space.parameters.batch_size=16", *split.split())


@pytest.mark.slow
def test_the_mean_of_fold_models_is_reproduced_too(run_own, own: Path) -> None:  # type: ignore[no-untyped-def]
    run_own("baselines=none", "n_trials=1", "split=kfold", "split.folds=2", "space.parameters.batch_size=16")
    assert run_cli("reproduce", "champion", cwd=own).stdout.strip().endswith("identical")


def test_multirun_runs_a_study_for_each_combination(own: Path) -> None:
    done = run_cli("run", "-m", "dataset=line,diabetes", "seed=0", *TINY, "n_trials=1", "baselines=none", cwd=own)
    assert done.stdout.count("regsweep reproduce champion") == 2
    assert len(list((own / "mlruns" / "records").iterdir())) == 2
