"""MLflow beside the study: it may be away, slow or killed, and nothing is lost or doubled."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from regsweep.book import RecordBook
from regsweep.config import StudyConfig
from regsweep.errors import StorageError
from regsweep.fsck import check
from regsweep.material import gather
from regsweep.paths import Workspace
from regsweep.show.console import find_books
from regsweep.show.studies import show_studies
from regsweep.show.upkeep import sync_and_show
from regsweep.study import run_study
from regsweep.tracking.drain import BACKLOG, Drain, sync
from tests.conftest import TINY
from tests.helpers import Silent

Cli = Callable[..., CompletedProcess[str]]


def runs_of(root: Path) -> list[Run]:
    client = MlflowClient(f"sqlite:///{root}/mlflow.db")
    return client.search_runs([e.experiment_id for e in client.search_experiments()], max_results=1000)


def keys(runs: list[Run]) -> list[tuple[str, str | None]]:
    return sorted((run.data.tags["regsweep.kind"], run.data.tags.get("regsweep.key", "")) for run in runs)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> list[tuple[str, str | None]]:
    from regsweep.config import compose

    root = tmp_path_factory.mktemp("undisturbed")
    shutil.copy(empty_store, root)
    run_study(gather(compose(TINY)[0]), Workspace(root), Silent())
    return keys(runs_of(root))


def test_mlflow_away_for_the_whole_study_costs_a_line_and_sync_catches_up(
    tmp_path: Path, empty_store: Path, cli: Cli, undisturbed: list[tuple[str, str | None]]
) -> None:
    (tmp_path / "mlruns" / "mlflow.db").mkdir(parents=True)
    shown = cli("run", *TINY, cwd=tmp_path).stdout
    assert "MLflow's store can't be used" in shown
    assert "nothing is lost; `regsweep sync`" in shown
    assert "the study in the UI" not in shown
    (tmp_path / "mlruns" / "mlflow.db").rmdir()
    shutil.copy(empty_store, tmp_path / "mlruns")
    assert "3 trials were missing in MLflow" in cli("sync", cwd=tmp_path).stdout
    runs = runs_of(tmp_path / "mlruns")
    assert keys(runs) == undisturbed
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert "0 trials were missing in MLflow" in cli("sync", cwd=tmp_path).stdout
    assert keys(runs_of(tmp_path / "mlruns")) == undisturbed
    assert "3 of 3" in cli("studies", cwd=tmp_path).stdout


def test_a_killed_recorder_is_named_and_the_next_call_records_the_rest(
    tiny: Callable[..., StudyConfig], workspace: Path, undisturbed: list[tuple[str, str | None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[Drain] = []

    class Killing(Silent):
        def trial(self, record: object) -> None:
            process = started[0]._process
            if process.is_alive():
                os.kill(process.pid or 0, signal.SIGKILL)
                process.join()

    monkeypatch.setattr("regsweep.study.Drain", lambda *of: started.append(Drain(*of)) or started[-1])
    material = gather(tiny())
    outcome = run_study(material, Workspace(workspace), Killing())
    assert outcome.problem == "the recorder's process ended with exit code -9"
    assert outcome.experiment_id is None
    again = run_study(material, Workspace(workspace), Silent())
    assert again.problem is None
    assert keys(runs_of(workspace)) == undisturbed


def test_a_recorder_without_a_word_is_waited_for_once_until_it_says_something(
    tiny: Callable[..., StudyConfig], workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    book = run_study(gather(tiny("n_trials=1", "baselines=none")), Workspace(workspace), Silent(), bare=True).book
    monkeypatch.setattr("regsweep.tracking.drain.STUCK", 0.2)
    drain = Drain(Workspace(workspace), book)
    hear, waits = drain._hear, list[float]()

    def heard(seconds: float) -> bool:
        waits.append(seconds)
        return hear(seconds)

    monkeypatch.setattr(drain, "_hear", heard)
    pid = drain._process.pid or 0
    os.kill(pid, signal.SIGSTOP)
    try:
        drain.hold_back(BACKLOG)
        assert waits == [0.0]
        for _ in range(2):
            drain.hold_back(BACKLOG + 1)
        assert waits == [0.0, 0.0, 0.2, 0.0]
    finally:
        os.kill(pid, signal.SIGCONT)
    assert drain._link.poll(60)
    drain.hold_back(BACKLOG + 2)
    assert waits[4:6] == [0.0, 0.2]
    drain.interrupt()


def test_a_recorder_whose_driver_is_gone_leaves_a_killed_run(tiny: Callable[..., StudyConfig], workspace: Path) -> None:
    book = run_study(gather(tiny("n_trials=1", "baselines=none")), Workspace(workspace), Silent(), bare=True).book
    drain = Drain(Workspace(workspace), book)
    assert drain._link.poll(60)
    drain._link.close()
    drain._process.join()
    statuses = {run.data.tags["regsweep.kind"]: run.info.status for run in runs_of(workspace)}
    assert statuses["study"] == "KILLED"
    assert drain._process.exitcode == 0


@pytest.mark.slow
def test_two_recorders_of_one_study_do_not_double_a_run(
    tiny: Callable[..., StudyConfig], tmp_path: Path, empty_store: Path, undisturbed: list[tuple[str, str | None]]
) -> None:
    away = tmp_path / "away"
    (away / "mlflow.db").mkdir(parents=True)
    outcome = run_study(gather(tiny()), Workspace(away), Silent())
    (away / "mlflow.db").rmdir()
    shutil.copy(empty_store, away)
    # The first one's driver dies at once: it ends the record that it is at, while the second waits for its turn.
    orphan, drain = (Drain(Workspace(away), outcome.book) for _ in range(2))
    orphan._link.close()
    drain.finish(lambda _: None)
    orphan._process.join()
    assert drain.problem is None
    assert keys(runs_of(away)) == undisturbed


@pytest.mark.slow
def test_a_study_whose_table_was_renamed_is_recorded_on(tiny: Callable[..., StudyConfig], workspace: Path) -> None:
    study = tiny("dataset=line", "experiment=lines", "study=s", "baselines=none", "n_trials=1")
    renamed = study.model_copy(update={"n_trials": 2, "dataset": study.dataset.model_copy(update={"name": "renamed"})})
    for config in (study, renamed):
        assert run_study(gather(config), Workspace(workspace), Silent()).problem is None
    runs = runs_of(workspace)
    assert keys(runs)[-2:] == [("trial", "0"), ("trial", "1")]
    assert {run.info.status for run in runs} == {"FINISHED"}


def test_a_study_that_was_stopped_is_synced_as_killed(tiny: Callable[..., StudyConfig], workspace: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run_study(gather(tiny()), Workspace(workspace), Silent(stop_after=1))
    book = RecordBook(next(place for place in (workspace / "records").iterdir()))
    sync(Workspace(workspace), book, lambda _: None)
    statuses = {run.data.tags["regsweep.kind"]: run.info.status for run in runs_of(workspace)}
    assert statuses == {"study": "KILLED", "trial": "FINISHED"}


def test_a_judged_study_whose_extension_was_stopped_is_synced_as_killed(
    tiny: Callable[..., StudyConfig], workspace: Path
) -> None:
    run_study(gather(tiny("study=s", "n_trials=1", "baselines=none")), Workspace(workspace), Silent(), bare=True)
    with pytest.raises(KeyboardInterrupt):
        run_study(gather(tiny("study=s", "n_trials=4", "baselines=none")), Workspace(workspace), Silent(stop_after=1), bare=True)
    book = RecordBook(workspace / "records" / "s")
    assert 1 < len(book.numbers()) < 4
    sync(Workspace(workspace), book, lambda _: None)
    statuses = {run.data.tags["regsweep.kind"]: run.info.status for run in runs_of(workspace)}
    assert statuses == {"study": "KILLED", "trial": "FINISHED", "champion": "FINISHED"}


def test_an_extension_that_was_killed_before_its_first_trial_is_not_complete(
    tiny: Callable[..., StudyConfig], workspace: Path, cli: Cli
) -> None:
    asked = (*TINY, "study=s", "baselines=none")
    book = run_study(gather(tiny("study=s", "n_trials=1", "baselines=none")), Workspace(workspace), Silent(), bare=True).book
    assert book.complete()
    cli("run", *asked, "n_trials=2", cwd=workspace.parent, code=-9, env={"REGSWEEP_FAILPOINTS": "study/opened=kill"})
    assert (book.numbers(), book.facts().config.n_trials, book.complete()) == ([0], 2, False)
    sync(Workspace(workspace), book, lambda _: None)
    (study,) = [run for run in runs_of(workspace) if run.data.tags["regsweep.kind"] == "study"]
    assert study.info.status == "KILLED"


@pytest.mark.parametrize("networks", [False, True], ids=["before the networks", "before the report"])
def test_a_study_that_was_stopped_before_its_report_is_synced_as_far_as_it_came(
    tiny: Callable[..., StudyConfig], workspace: Path, networks: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    study = gather(tiny("study=s", "baselines=none"))
    book = run_study(study, Workspace(workspace), Silent(), bare=True).book
    # As a stop leaves it: the search's end is written down, no report, and maybe no networks.
    book.end("n_trials=3")
    shutil.rmtree(book.folder / "report")
    if not networks:
        shutil.rmtree(book.networks(1))
    sync(Workspace(workspace), book, lambda _: None)
    expected = {"study": "KILLED", "trial": "FINISHED"} | ({"champion": "FINISHED"} if networks else {})
    assert {run.data.tags["regsweep.kind"]: run.info.status for run in runs_of(workspace)} == expected
    show_studies(Workspace(workspace))
    assert "unfinished" in capsys.readouterr().out
    texts = [finding.text for finding in check(Workspace(workspace), book).findings]
    assert [text.partition(":")[0] for text in texts] == (
        [] if networks else ["a stop came before its champion's networks were written"]
    )

    run_study(study, Workspace(workspace), Silent())
    assert {run.info.status for run in runs_of(workspace)} == {"FINISHED"}
    (champion,) = [run for run in runs_of(workspace) if run.data.tags["regsweep.kind"] == "champion"]
    files = Path(champion.info.artifact_uri).rglob("*.keras")
    assert {file.stem for file in files} == {file.stem for file in book.networks(1).glob("*.keras")} != set()
    assert check(Workspace(workspace), book).findings == ()


def test_a_sync_that_fails_leaves_no_run_that_looks_as_if_it_went_on(tiny: Callable[..., StudyConfig], workspace: Path) -> None:
    outcome = run_study(gather(tiny("baselines=none")), Workspace(workspace), Silent(), bare=True)
    model = outcome.book.folder / "champion" / "arrays.npz"
    model.write_bytes(model.read_bytes()[:-1])
    with pytest.raises(StorageError, match="champion"):
        sync(Workspace(workspace), outcome.book, lambda _: None)
    statuses = {run.data.tags["regsweep.kind"]: run.info.status for run in runs_of(workspace)}
    assert statuses == {"study": "KILLED", "trial": "FINISHED"}


def test_sync_does_not_make_a_study_the_one_that_ran_last(tiny: Callable[..., StudyConfig], workspace: Path) -> None:
    for name in ("first", "second"):
        study = tiny(f"study={name}", f"experiment={name}", "baselines=none", "n_trials=1")
        run_study(gather(study), Workspace(workspace), Silent(), bare=True)
    sync_and_show(Workspace(workspace), "first")
    assert keys(runs_of(workspace))[-1] == ("trial", "0")
    assert [book.folder.name for book in find_books(Workspace(workspace), None)] == ["second", "first"]
