"""`regsweep verdict` from the command line: three tiny studies on a user's table."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient
from sklearn.model_selection import train_test_split

from regsweep.book import RecordBook
from regsweep.config import StudyConfig
from regsweep.config.repeats import splits_of
from regsweep.errors import DataError
from regsweep.folder import read_folder
from regsweep.paths import Workspace
from regsweep.repeats import Unattended, read_repeats, record_verdict, repeat, repeat_splits, verdict_folder
from regsweep.tracking import verdicts
from tests.conftest import TINY, run_cli

ASKED = (
    "dataset=csv", "dataset.path=houses.csv", "dataset.target=price", "dataset.unit=euros", *TINY, "n_trials=2",
    "baselines.names=[least_squares_qr,linear_regression,k_nearest_neighbours]", "space.parameters.depth=1",
    "space.parameters.activation=relu", "space.parameters.dropout=0",
)  # fmt: skip


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory, houses: Path, empty_store: Path) -> Path:
    """A folder after a verdict over three splits. Read it, do not change it."""
    folder = tmp_path_factory.mktemp("verdict")
    shutil.copy(houses / "houses.csv", folder)
    (folder / "mlruns").mkdir()
    shutil.copy(empty_store, folder / "mlruns")
    (folder / "printed.txt").write_text(run_cli("verdict", *ASKED, "split.seed=4", "--splits", "3", cwd=folder).stdout)
    return folder


def _books(folder: Path) -> list[RecordBook]:
    books = [RecordBook(place) for place in (folder / "mlruns" / "records").iterdir()]
    return sorted(books, key=lambda book: book.facts().config.split.model_dump()["seed"])


def test_table_and_files_say_what_the_studies_records_say(judged: Path) -> None:
    books, printed = _books(judged), (judged / "printed.txt").read_text()
    assert [book.facts().config.split.model_dump()["seed"] for book in books] == [4, 5, 6]
    (folder,) = (judged / "mlruns" / "verdicts").iterdir()
    assert {place.name for place in folder.iterdir()} == {"verdict.md", "splits.csv", "repeated_splits.png"}
    frame = pd.read_csv(folder / "splits.csv").set_index(["split", "model"])
    for seed, book in zip((4, 5, 6), books, strict=True):
        champion, arrays = read_folder(book.folder / "champion")
        mae = np.abs(arrays["y"] - arrays["prediction"]).mean()
        assert frame.loc[(f"seed {seed}", "champion"), "test_mae"] == pytest.approx(mae)
        assert frame.loc[(f"seed {seed}", "champion"), "test_r2"] == champion["test"]["r2"]["value"]
        for content in book.contents("baseline"):
            assert frame.loc[(f"seed {seed}", content["name"]), "test_mae"] == content["test"]["mae"]["value"]
    repeats = read_repeats(books)
    said = " ".join(printed.split())
    assert repeats.sentence in said
    assert "(MAE, 95 % interval over 3 splits)" in repeats.sentence or "(95 % interval over 3 splits)" in repeats.sentence
    champion_row = next(row for row in printed.splitlines() if "(champion)" in row)
    assert f"{np.mean(repeats.champion.test['r2']):.3f} ± {np.std(repeats.champion.test['r2'], ddof=1):.3f}" in champion_row


def test_every_split_is_the_one_that_scikit_learn_draws(judged: Path) -> None:
    table = pd.read_csv(judged / "houses.csv")
    assert max(_books(judged), key=lambda book: book.folder.stat().st_mtime_ns).facts().config.split.model_dump()["seed"] == 4
    for seed, book in zip((4, 5, 6), _books(judged), strict=True):
        test = train_test_split(np.arange(len(table)), test_size=0.2, random_state=seed)[1]
        np.testing.assert_array_equal(read_folder(book.folder / "champion")[1]["y"], table["price"].to_numpy()[test])


def test_studies_and_verdict_are_in_mlflow_and_the_configured_split_has_the_alias(judged: Path) -> None:
    client = MlflowClient(Workspace(judged / "mlruns").tracking_uri)
    experiment = client.get_experiment_by_name("houses")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id], max_results=1000)
    kinds = [run.data.tags["regsweep.kind"] for run in runs]
    assert {kind: kinds.count(kind) for kind in set(kinds)} == {
        "study": 3, "trial": 6, "baseline": 9, "champion": 3, "verdict": 1
    }  # fmt: skip
    (run,) = [run for run in runs if run.data.tags["regsweep.kind"] == "verdict"]
    repeats = read_repeats(_books(judged))
    assert run.data.tags["regsweep.verdict"] == repeats.sentence
    assert run.data.metrics["mean/test/mae"] == pytest.approx(np.mean(repeats.champion.test["mae"]))
    assert {item.path for item in client.list_artifacts(run.info.run_id)} >= {"repeated_splits.png", "splits.csv"}
    version = client.get_model_version_by_alias("houses", "champion")
    assert client.get_run(version.run_id).data.tags["regsweep.study"] == repeats.studies[0]
    assert run_cli("fsck", cwd=judged).stdout.count("2 of 2 trials, judged: whole") == 3


@pytest.mark.parametrize("damaged", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_the_same_command_goes_on_and_runs_nothing_that_is_there(
    judged: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damaged: bool
) -> None:
    folder = tmp_path / "again"
    shutil.copytree(judged, folder)
    first, second, last = _books(folder)
    # As if it had been killed before the last champion was on record.
    shutil.rmtree(last.folder / "champion")
    if damaged:
        # One had been stopped before its report, and of the other a baseline's record is damaged.
        first.end("n_trials=2")
        (second.folder / "baseline-linear_regression" / "arrays.npz").write_bytes(b"")
    # Beside a damaged baseline the champion is scored anew, with another date.
    alike = [first] if damaged else [first, second]
    kept = {book.folder.name: (book.folder / "champion" / "SHA256SUMS").read_bytes() for book in alike}
    configs = splits_of(_books(folder)[0].facts().config, 3)
    seen: list[tuple[int, bool]] = []

    class Noting(Unattended):
        def split(self, position: int, study: str, *, done: bool) -> None:
            seen.append((position, done))

    monkeypatch.chdir(folder)
    repeats = repeat(configs, Workspace(folder / "mlruns"), Noting())
    assert seen == [(0, not damaged), (1, not damaged), (2, False)]
    assert all(book.ending.settled() for book in (first, second, last))
    assert {name: (folder / "mlruns/records" / name / "champion" / "SHA256SUMS").read_bytes() for name in kept} == kept
    assert repeats.as_frame().equals(read_repeats(_books(judged)).as_frame())


def test_a_verdict_that_says_the_same_again_adds_no_metric(judged: Path) -> None:
    workspace, books = Workspace(judged / "mlruns"), _books(judged)
    repeats, client = read_repeats(books), MlflowClient(workspace.tracking_uri)
    run = record_verdict(repeats, workspace)
    assert [point.step for point in client.get_metric_history(run, "mean/test/mae")] == [0]
    name, folder = verdict_folder(repeats, workspace).name, verdict_folder(repeats, workspace)
    assert verdicts.record_verdict(workspace, books[0], name, folder, {}, {"mean/test/mae": 1.0}) == run
    assert [point.step for point in client.get_metric_history(run, "mean/test/mae")] == [0, 1]
    assert client.get_run(run).data.metrics["mean/test/mae"] == 1.0
    record_verdict(repeats, workspace)


@pytest.mark.slow
def test_texts_are_classes_for_a_verdict_as_for_a_run(tmp_path: Path, workspace: Path) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=60)
    table = pd.DataFrame({"x": x, "label": np.where(x + rng.normal(size=60) > 0, "yes", "no")})
    table.to_csv(tmp_path / "answers.csv", index=False)
    asked = ["dataset=csv", f"dataset.path={tmp_path}/answers.csv", "dataset.target=label", "task=binary_classification"]
    small = ["n_trials=1", "space.parameters.batch_size=16", "baselines.names=[logistic_regression]", "objective=val/auc"]
    repeats = repeat_splits([*asked, *TINY, *small], splits=2, workspace=workspace)
    # As the verdict on one split says it, whatever is searched by.
    assert repeats.metric == "log_loss"


def test_a_split_without_rows_is_found_before_any_study_runs(
    houses: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(houses)
    asked = [one for one in ASKED if one != "split=holdout"]
    # The earliest origin has 7 of 120 rows: too few for its parts.
    with pytest.raises(DataError, match="houses: 7 rows are too few for this split: val would have 1"):
        repeat_splits([*asked, "split=time_ordered", "split.until=0.1"], splits=2, workspace=tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_splits_that_are_judged_otherwise_than_asked_are_noted(tiny: Callable[..., StudyConfig], workspace: Path) -> None:
    class Noting(Unattended):
        def __init__(self) -> None:
            self.notes: list[str] = []

        def note(self, text: str) -> None:
            self.notes.append(text)

    def noted(*overrides: str) -> list[str]:
        watcher = Noting()
        repeat(splits_of(tiny("study=one", "baselines=closed_form", *overrides), 2), Workspace(workspace), watcher)
        return watcher.notes

    assert noted("champion=ensemble") == []
    for _ in range(2):
        notes = noted("champion=bag")
        assert [note.partition(":")[0] for note in notes] == ["seed 0", "seed 1"]
        assert all("the test rows were opened for" in note for note in notes)
    assert noted("champion=bag", "reopen_test=true") == []
    assert noted("champion=bag", "reopen_test=true", "n_trials=2") == [
        f"seed {seed}: its study has 3 trials, more than n_trials=2" for seed in (0, 1)
    ]
