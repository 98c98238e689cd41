"""Reproducing: identical here, refused on other data, and noticed where a record does not match."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from mlflow import MlflowClient

from regsweep.sums import write_sums
from tests.conftest import run_cli


def client_of(folder: Path) -> MlflowClient:
    return MlflowClient(f"sqlite:///{folder}/mlruns/mlflow.db")


def trial_run(folder: Path, number: int) -> str:
    client = client_of(folder)
    (run,) = client.search_runs(["1"], f"tags.`regsweep.kind` = 'trial' and tags.`regsweep.key` = '{number}'")
    return str(run.info.run_id)


@pytest.mark.parametrize("target", ["champion", "best", "run id"])
def test_a_model_is_reproduced_identically_and_the_answer_is_kept(study: Path, target: str) -> None:
    named = trial_run(study, 1) if target == "run id" else target
    printed = run_cli("reproduce", named, cwd=study).stdout
    assert printed.strip().endswith("identical")
    run_id = printed.split("(run ")[1].split(")")[0]
    assert client_of(study).get_run(run_id).data.tags["regsweep.reproduced"] == "identical"


def test_a_changed_row_is_refused(study: Path) -> None:
    table = (study / "houses.csv").read_text()
    changed = pd.read_csv(study / "houses.csv")
    changed.loc[5, "price"] += 1
    try:
        changed.to_csv(study / "houses.csv", index=False)
        refused = run_cli("reproduce", "champion", cwd=study, code=3).stderr
    finally:
        (study / "houses.csv").write_text(table)
    assert "houses: the table is not the recorded one: sha256" in refused
    assert "restore the recorded table, or run a new study on this one" in refused


def test_a_missing_table_is_named(study: Path) -> None:
    (study / "houses.csv").rename(study / "away.csv")
    try:
        refused = run_cli("reproduce", "champion", cwd=study, code=3).stderr
    finally:
        (study / "away.csv").rename(study / "houses.csv")
    assert "houses.csv" in refused


def edit(folder: Path, run_id: str, change: str) -> None:
    """Change a record in MLflow's artifacts, as a record of another seed, machine or version would differ."""
    (place,) = (folder / "mlruns" / "artifacts").glob(f"*/{run_id}/artifacts/record/record.json")
    content = json.loads(place.read_text())
    if change == "seed":
        content["spec"]["seed"] += 1
    elif change == "curve":
        content["folds"][0]["val/mae"][1] *= 1 + 1e-6
    elif change == "version":
        content["environment"]["packages"]["keras"] = "2.0.0"
    place.write_text(json.dumps(content))
    write_sums(place.parent)


@pytest.fixture
def edited(study: Path):  # type: ignore[no-untyped-def]
    """Edits the record of trial 2 and puts it back afterwards."""
    run_id = trial_run(study, 2)
    (place,) = (study / "mlruns" / "artifacts").glob(f"*/{run_id}/artifacts/record/record.json")
    before = place.read_text()
    yield lambda change: edit(study, run_id, change) or run_id
    place.write_text(before)
    write_sums(place.parent)


def test_a_damaged_record_is_not_reproduced(study: Path) -> None:
    run_id = trial_run(study, 1)
    (place,) = (study / "mlruns" / "artifacts").glob(f"*/{run_id}/artifacts/record/record.json")
    before = place.read_text()
    place.write_text(before.replace("0", "1", 1))
    try:
        assert "its bytes differ from what was recorded" in run_cli("reproduce", run_id, cwd=study, code=4).stderr
    finally:
        place.write_text(before)


def test_another_training_differs_from_the_first_epoch_on(study: Path, edited) -> None:  # type: ignore[no-untyped-def]
    refused = run_cli("reproduce", edited("seed"), cwd=study, code=6).stderr
    assert "differs from epoch 1 (largest relative difference" in refused


def test_a_small_difference_is_within_tolerance(study: Path, edited) -> None:  # type: ignore[no-untyped-def]
    run_id = edited("curve")
    assert (
        "within tolerance 0.0001 (largest relative difference 1e-06, in val/mae)"
        in run_cli("reproduce", run_id, cwd=study).stdout
    )
    refused = run_cli("reproduce", run_id, "--tolerance", "1e-9", cwd=study, code=6).stderr
    assert "differs from epoch 2" in refused


def test_a_changed_package_is_named_first(study: Path, edited) -> None:  # type: ignore[no-untyped-def]
    lines = run_cli("reproduce", edited("version"), cwd=study).stdout.splitlines()
    assert any(line.startswith("changed since: keras: 2.0.0 in the record, 3.") for line in lines[:-1])
    assert lines[-1] == "identical"


def test_what_cannot_be_reproduced_is_said(study: Path, tmp_path: Path) -> None:
    (baseline,) = client_of(study).search_runs(["1"], "tags.`regsweep.kind` = 'baseline' and tags.`regsweep.key` = 'mean'")
    assert "is a baseline; only trials and champions" in run_cli("reproduce", baseline.info.run_id, cwd=study, code=2).stderr
    assert "'nonsense' is no run here" in run_cli("reproduce", "nonsense", cwd=study, code=2).stderr
    assert "there are no runs here; run a study first" in run_cli("reproduce", "champion", cwd=tmp_path, code=2).stderr
