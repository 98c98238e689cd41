"""A tracking server on loopback, killed and restarted while a study runs: nothing is lost and nothing doubled."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from threading import Event, Thread

import pytest
from mlflow import MlflowClient

from regsweep.book import RecordBook
from regsweep.config import compose
from regsweep.errors import StorageError
from regsweep.fsck import check
from regsweep.material import gather
from regsweep.paths import Workspace
from regsweep.repeats import record_verdict, repeat_splits, write_verdict
from regsweep.study import Outcome, run_study
from regsweep.sums import SUMS_FILE, differences, read_sums
from regsweep.tracking.drain import sync
from tests.conftest import TINY, run_cli
from tests.e2e.browser import end, status, wait
from tests.helpers import Silent


class Server:
    """`mlflow server` with sqlite and an artifact folder of its own."""

    def __init__(self, folder: Path, database: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._folder = folder
        folder.mkdir()
        shutil.copy(database, folder / "server.db")

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def database(self) -> Path:
        return self._folder / "server.db"

    @property
    def artifacts(self) -> Path:
        return self._folder / "artifacts"

    def start(self) -> None:
        program = [sys.executable, "-m", "mlflow", "server", "--workers", "1", "--port", str(self.port), "--host", "127.0.0.1"]
        program += ["--backend-store-uri", f"sqlite:///{self.database}", "--artifacts-destination", str(self.artifacts)]
        env = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
        with (self._folder / "log.txt").open("ab") as log:
            self._process = subprocess.Popen(program, stdout=log, stderr=log, env=env, start_new_session=True)
        wait(lambda: status(self.port, "127.0.0.1", "/health") == 200, (self._folder / "log.txt").read_text)

    def kill(self) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def stop(self) -> None:
        end(self._process)


@pytest.fixture
def server(tmp_path: Path, empty_store: Path) -> Iterator[Server]:
    server = Server(tmp_path / "server", empty_store)
    try:
        server.start()
        yield server
    finally:
        server.stop()


def study_of(server: Server, trials: int, *overrides: str) -> tuple[str, ...]:
    return (*TINY, f"n_trials={trials}", "study=served", "tracking=server", f"tracking.uri={server.uri}", *overrides)


def assert_nothing_lost_or_doubled(root: Path, server: Server, outcome: Outcome, trials: int) -> None:
    checked = check(Workspace(root), outcome.book)
    assert ([finding.text for finding in checked.findings], checked.told) == ([], trials)
    client = MlflowClient(server.uri, server.uri)
    version = client.get_model_version_by_alias("diabetes", "champion")
    (experiment,) = (e.experiment_id for e in client.search_experiments() if e.name == "diabetes")
    runs = client.search_runs([experiment], max_results=1000)
    assert version.run_id in {run.info.run_id for run in runs if run.data.tags["regsweep.kind"] == "champion"}
    for run in runs:
        if run.data.tags["regsweep.kind"] == "study":
            continue
        folder = server.artifacts / experiment / run.info.run_id / "artifacts"
        # What a killed server was receiving stays on its disk, beside what was sent again.
        assert [name for name in differences(folder, read_sums(folder)) if ".artifact.uploading." not in name] == []
        listed = hashlib.sha256((folder / SUMS_FILE).read_bytes()).hexdigest()
        assert listed == run.data.tags["regsweep.artifacts.sha256"]


def recorded(server: Server) -> int:
    """How many trials the server holds to their end, by its database: asked for it, a busy server answers too late."""
    with closing(sqlite3.connect(server.database)) as database:
        (count,) = database.execute(
            "SELECT count(*) FROM runs r JOIN tags t ON t.run_uuid = r.run_uuid AND t.key = 'regsweep.kind' "
            "WHERE t.value = 'trial' AND r.status != 'RUNNING'"
        ).fetchone()
    return int(count)


def disturbed(root: Path, server: Server, trials: int, kills: int) -> None:
    """Run a study, and sync where the server was away at its end, while the server is killed and restarted so many times."""
    killed_at = []
    over = Event()

    def torment() -> None:
        for kill in range(kills):
            while (count := recorded(server)) < (kill + 1) * trials // (kills + 2):
                if over.wait(0.02):
                    return
            server.kill()
            killed_at.append(count)
            time.sleep(0.5)
            server.start()

    tormentor = Thread(target=torment)
    tormentor.start()
    try:
        outcome = run_study(gather(compose(study_of(server, trials))[0]), Workspace(root), Silent())
    except BaseException:
        over.set()
        tormentor.join()
        raise
    problem = outcome.problem
    while problem is not None or tormentor.is_alive():
        try:
            sync(Workspace(root), outcome.book, lambda _: None)
            problem = None
        except StorageError as error:
            problem = error.problems[0]
            time.sleep(0.5)
    assert len(killed_at) == kills
    assert max(killed_at) < trials
    assert_nothing_lost_or_doubled(root, server, outcome, trials)


def test_a_server_that_is_killed_and_restarted_loses_and_doubles_nothing(tmp_path: Path, server: Server) -> None:
    disturbed(tmp_path / "mlruns", server, trials=16, kills=1)


@pytest.mark.slow
def test_a_server_killed_three_times_over_sixty_trials_loses_and_doubles_nothing(tmp_path: Path, server: Server) -> None:
    disturbed(tmp_path / "mlruns", server, trials=60, kills=3)


@pytest.mark.slow
def test_a_verdict_on_a_server_is_no_run_of_its_studies(tmp_path: Path, server: Server) -> None:
    workspace = Workspace(tmp_path / "mlruns")
    overrides = [one for one in study_of(server, 1, "baselines.names=[mean]") if not one.startswith("study=")]
    repeats = repeat_splits(overrides, splits=2, workspace=workspace)
    write_verdict(repeats, workspace)
    assert record_verdict(repeats, workspace) == record_verdict(repeats, workspace)
    for name in repeats.studies:
        assert check(workspace, RecordBook(workspace.records / name)).findings == ()


@pytest.mark.slow
def test_a_study_without_its_server_ends_well_and_is_synced_and_reproduced_later(tmp_path: Path, server: Server) -> None:
    overrides = study_of(server, 2, "baselines=none")
    server.kill()
    shown = run_cli("run", *overrides, cwd=tmp_path).stdout
    assert f"{server.uri}: the tracking server can't be used" in shown
    assert "nothing is lost; `regsweep sync`" in shown
    server.start()
    assert "2 trials were missing in MLflow" in run_cli("sync", cwd=tmp_path).stdout
    assert "judged: whole" in run_cli("fsck", cwd=tmp_path).stdout
    assert "identical" in run_cli("reproduce", "champion", cwd=tmp_path).stdout
    assert not (tmp_path / "mlruns" / "mlflow.db").exists()
