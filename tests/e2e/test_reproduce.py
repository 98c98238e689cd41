"""Reproducing: identical here, refused on other data, and noticed where a record does not match."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient

from regsweep.errors import ConfigError, DataError, UnreadableError
from regsweep.paths import Workspace
from regsweep.reproduce import _compare
from regsweep.show.reproduce import reproduce_and_show
from regsweep.sums import write_sums
from regsweep.trial import Array64
from tests.conftest import run_cli
from tests.helpers import trained


def client_of(folder: Path) -> MlflowClient:
    return MlflowClient(f"sqlite:///{folder}/mlruns/mlflow.db")


def trial_run(folder: Path, number: int) -> str:
    client = client_of(folder)
    (run,) = client.search_runs(["1"], f"tags.`regsweep.kind` = 'trial' and tags.`regsweep.key` = '{number}'")
    return str(run.info.run_id)


Reproduced = Callable[[str], str]


@pytest.fixture
def reproduced(study: Path, capsys: pytest.CaptureFixture[str]) -> Reproduced:
    """Does what `regsweep reproduce TARGET` does, in this process, and returns what it printed."""

    def run(target: str) -> str:
        reproduce_and_show(Workspace(study / "mlruns"), target, experiment=None, tolerance=1e-4)
        return capsys.readouterr().out

    return run


def test_the_command_reproduces_the_champion_identically(study: Path) -> None:
    assert run_cli("reproduce", "champion", cwd=study).stdout.strip().endswith("identical")


@pytest.mark.parametrize("target", ["champion", pytest.param("best", marks=pytest.mark.slow), "run id"])
def test_a_model_is_reproduced_identically_and_the_answer_is_kept(study: Path, reproduced: Reproduced, target: str) -> None:
    printed = reproduced(trial_run(study, 1) if target == "run id" else target)
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


def test_a_missing_table_is_named(study: Path, reproduced: Reproduced) -> None:
    (study / "houses.csv").rename(study / "away.csv")
    try:
        with pytest.raises(DataError, match=r"houses\.csv"):
            reproduced("champion")
    finally:
        (study / "away.csv").rename(study / "houses.csv")


def test_a_moved_project_finds_its_table_and_needs_no_records(
    study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    there = shutil.copytree(study, tmp_path / "moved")
    workspace = Workspace(there / "mlruns")
    (study / "houses.csv").rename(study / "away.csv")
    try:
        reproduce_and_show(workspace, "champion", experiment=None, tolerance=1e-4)
        printed = capsys.readouterr().out
        for place in workspace.records.iterdir():
            shutil.rmtree(place)
        reproduce_and_show(workspace, trial_run(there, 1), experiment=None, tolerance=1e-4)
    finally:
        (study / "away.csv").rename(study / "houses.csv")
    assert f"the table is taken from {there / 'houses.csv'}" in printed.replace("\n", "")
    assert printed.strip().endswith("identical")
    assert capsys.readouterr().out.strip().endswith("identical")
    with pytest.raises(ConfigError, match="there are no studies here"):
        reproduce_and_show(workspace, "best", experiment=None, tolerance=1e-4)


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


def test_a_damaged_record_is_not_reproduced(study: Path, reproduced: Reproduced) -> None:
    run_id = trial_run(study, 1)
    (place,) = (study / "mlruns" / "artifacts").glob(f"*/{run_id}/artifacts/record/record.json")
    before = place.read_text()
    place.write_text(before.replace("0", "1", 1))
    try:
        with pytest.raises(UnreadableError, match="its bytes differ from what was recorded"):
            reproduced(run_id)
    finally:
        place.write_text(before)


def test_a_damaged_champion_is_not_reproduced(study: Path, reproduced: Reproduced) -> None:
    (place,) = (study / "mlruns" / "artifacts").glob("*/*/artifacts/champion/record.json")
    before = place.read_text()
    place.write_text(before.replace('"value": ', '"value": 1', 1))
    try:
        with pytest.raises(UnreadableError, match="its bytes differ from what was recorded"):
            reproduced("champion")
    finally:
        place.write_text(before)


@pytest.mark.slow
def test_another_training_differs_from_the_first_epoch_on(study: Path, edited) -> None:  # type: ignore[no-untyped-def]
    refused = run_cli("reproduce", edited("seed"), cwd=study, code=6).stderr
    assert "differs from epoch 1 (largest relative difference" in refused


def test_a_small_difference_is_within_tolerance(study: Path, reproduced: Reproduced, edited) -> None:  # type: ignore[no-untyped-def]
    run_id = edited("curve")
    assert "within tolerance 0.0001 (largest relative difference 1e-06, in val/mae)" in reproduced(run_id)
    assert "differs from epoch 2" in run_cli("reproduce", run_id, "--tolerance", "1e-9", cwd=study, code=6).stderr


def test_a_changed_package_is_named_first(reproduced: Reproduced, edited) -> None:  # type: ignore[no-untyped-def]
    lines = reproduced(edited("version")).splitlines()
    assert any(line.startswith("changed since: keras: 2.0.0 in the record, 3.") for line in lines[:-1])
    assert lines[-1] == "identical"


def test_what_cannot_be_reproduced_is_said(study: Path, reproduced: Reproduced) -> None:
    (baseline,) = client_of(study).search_runs(["1"], "tags.`regsweep.kind` = 'baseline' and tags.`regsweep.key` = 'mean'")
    with pytest.raises(ConfigError, match="is a baseline; only trials and champions"):
        reproduced(baseline.info.run_id)
    with pytest.raises(ConfigError, match="'nonsense' is no run here"):
        reproduced("nonsense")


def test_epochs_of_a_training_that_went_on_are_counted_from_where_it_began() -> None:
    result = trained()
    result = replace(result, spec=replace(result.spec, rounds=(3,), epochs=3 + len(result.curves)))
    curves = result.folds[0].curves.copy()
    curves[1:] *= 1.5
    # Its second epoch is the fifth of all.
    assert _compare(result, replace(result, folds=(replace(result.folds[0], curves=curves),)))[2] == 5


def test_where_the_number_of_epochs_differs_the_first_epoch_that_does_is_named() -> None:
    result = trained()
    count = len(result.curves)

    def compared(curves: Array64) -> tuple[float, str, int]:
        return _compare(result, replace(result, folds=(replace(result.folds[0], curves=curves),)))

    shorter, other = result.folds[0].curves[:-1].copy(), result.folds[0].curves[:-1].copy()
    other[1] *= 1.5
    assert compared(shorter) == (np.inf, "the number of epochs", count)
    assert compared(other) == (np.inf, "the number of epochs", 2)


def test_what_is_not_finite_is_the_same_when_it_is_so_again() -> None:
    result = trained()
    curves = result.folds[0].curves.copy()
    curves[-1, 3] = np.inf
    # Records have null for it, which is read as NaN.
    read = np.where(np.isinf(curves), np.nan, curves)
    then, now = (replace(result, folds=(replace(result.folds[0], curves=one),)) for one in (read, curves))
    deviation, _, epoch = _compare(then, now)
    assert (deviation, epoch) == (0.0, 0)
