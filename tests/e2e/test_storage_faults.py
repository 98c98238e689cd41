"""Disks that are full, folders that can't be written, stores that are locked or shared: a line, and the study goes on later."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from regsweep.book import RecordBook
from regsweep.config import compose
from regsweep.errors import StorageError
from regsweep.fsck import check
from regsweep.material import gather
from regsweep.paths import Workspace
from regsweep.study import run_study
from regsweep.tracking.runs import Runs
from tests.conftest import TINY, run_cli
from tests.helpers import Silent, group_ends

# Ten times the sqlite files of an empty workspace would be too much for a test; half of what the study needs is not.
TIGHT = "2m"


def study(*overrides: str) -> tuple[str, ...]:
    return ("run", *TINY, "baselines=none", *overrides)


def table(root: Path, name: str) -> list[tuple[int, dict[str, object], float | None]]:
    return [(record.number, dict(record.params), record.objective) for record in RecordBook(root / "records" / name).trials()]


def findings(root: Path, name: str) -> list[str]:
    return [finding.text for finding in check(Workspace(root), RecordBook(root / "records" / name)).findings]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> list[tuple[int, dict[str, object], float | None]]:
    folder = tmp_path_factory.mktemp("undisturbed")
    (folder / "mlruns").mkdir()
    shutil.copy(empty_store, folder / "mlruns")
    run_cli(*study("study=s"), cwd=folder)
    return table(folder / "mlruns", "s")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of two megabytes."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={TIGHT}", "tmpfs", place], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("only root may mount a small disk")
    yield place
    subprocess.run(["umount", place], check=True)


def test_a_disk_that_runs_full_is_named_and_the_study_goes_on_when_there_is_room(small_disk: Path) -> None:
    overrides = study("study=s", f"tracking.dir={small_disk}/mlruns", "space.parameters.width=1024", "space.parameters.depth=2")
    printed = run_cli(*overrides, cwd=small_disk.parent, code=4).stderr
    assert str(small_disk) in printed
    assert "free space" in printed or "No space left" in printed
    assert "Traceback" not in printed
    subprocess.run(["mount", "-o", "remount,size=200m", small_disk], check=True)
    run_cli(*overrides, cwd=small_disk.parent)
    assert findings(small_disk / "mlruns", "s") == []


@pytest.mark.slow
@pytest.mark.parametrize("step", ["record/drafted#2", "record/writing#2", "search/telling#2", "study/opening"])
def test_every_step_that_meets_a_full_disk_says_so_and_loses_nothing(
    step: str, tmp_path: Path, workspace: Path, undisturbed: list[object]
) -> None:
    done = run_cli(*study("study=s"), cwd=tmp_path, code=4, env={"REGSWEEP_FAILPOINTS": f"{step}=disk-full"})
    (line,) = done.stderr.strip().splitlines()
    assert str(workspace) in line
    assert "free space" in line or "run the command again" in line
    run_cli(*study("study=s"), cwd=tmp_path)
    assert table(workspace, "s") == undisturbed
    assert findings(workspace, "s") == []


@pytest.mark.slow
def test_mlflow_on_a_full_disk_costs_a_line_and_the_next_run_records_the_rest(
    tmp_path: Path, workspace: Path, undisturbed: list[object]
) -> None:
    failpoints = {"REGSWEEP_FAILPOINTS": "mlflow/artifacts#*=disk-full"}
    done = run_cli(*study("study=s"), cwd=tmp_path, env=failpoints)
    assert "No space left on device" in done.stdout
    assert "nothing is lost; `regsweep sync`" in done.stdout
    run_cli("sync", cwd=tmp_path)
    assert findings(workspace, "s") == []
    assert table(workspace, "s") == undisturbed


def test_a_folder_that_can_not_be_written_is_named_before_anything_runs(tmp_path: Path) -> None:
    printed = run_cli(*study("tracking.dir=/proc/mlruns"), cwd=tmp_path, code=4).stderr
    (line,) = printed.strip().splitlines()
    assert "/proc/mlruns" in line
    assert "tracking.dir" in line


def test_a_read_only_workspace_is_named(small_disk: Path) -> None:
    (small_disk / "mlruns").mkdir()
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    printed = run_cli(*study(f"tracking.dir={small_disk}/mlruns"), cwd=small_disk.parent, code=4).stderr
    (line,) = printed.strip().splitlines()
    assert str(small_disk) in line
    assert "Read-only file system" in line


@pytest.mark.slow
def test_a_database_locked_by_another_program_is_named(tmp_path: Path, workspace: Path, undisturbed: list[object]) -> None:
    run_cli(*study("study=s", "n_trials=1"), cwd=tmp_path)
    with closing(sqlite3.connect(workspace / "optuna.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        printed = run_cli(*study("study=s"), cwd=tmp_path, code=4).stderr
    (line,) = printed.strip().splitlines()
    assert f"{workspace}/optuna.db" in line
    assert "database is locked" in line
    run_cli(*study("study=s"), cwd=tmp_path)
    assert table(workspace, "s") == undisturbed
    assert findings(workspace, "s") == []


@pytest.mark.slow
def test_a_locked_mlflow_database_costs_a_line(tmp_path: Path, workspace: Path) -> None:
    with closing(sqlite3.connect(workspace / "mlflow.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        done = run_cli(*study("study=s"), cwd=tmp_path)
    assert "database is locked" in done.stdout
    run_cli("sync", cwd=tmp_path)
    assert findings(workspace, "s") == []


def start_together(folder: Path, *studies: tuple[str, ...]) -> list[tuple[int, str]]:
    env = {key: value for key, value in os.environ.items() if not key.startswith(("PYTEST", "MLFLOW", "REGSWEEP"))}
    running = [
        subprocess.Popen(
            [sys.executable, "-m", "regsweep.cli", *one], cwd=folder, env=env,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
        )
        for one in studies
    ]  # fmt: skip
    done = [(process.communicate()[0], process.returncode) for process in running]
    assert all(group_ends(process.pid, 10) for process in running)
    return [(code, printed) for printed, code in done]


@pytest.mark.slow
def test_two_studies_at_once_share_a_new_store(tmp_path: Path) -> None:
    done = start_together(tmp_path, study("study=a", "seed=1"), study("study=b", "seed=2"))
    assert [code for code, _ in done] == [0, 0], done
    for name, (_, printed) in zip("ab", done, strict=True):
        assert "note:" not in printed
        assert findings(tmp_path / "mlruns", name) == []


def start_a_store(count: int, folder: Path) -> None:
    """Processes that all open the same new store at the same moment, as the start of a study does."""
    program = """
import sys, time
from pathlib import Path
from regsweep.config import compose
from regsweep.errors import StorageError
from regsweep.paths import Workspace
from regsweep.search import Search
from regsweep.tracking.store import open_store
workspace, config = Workspace(Path(sys.argv[1])), compose([])[0]
open(sys.argv[2], "w").close()
while time.time() < float(Path(sys.argv[3]).read_text() or "inf") if Path(sys.argv[3]).exists() else True:
    time.sleep(0.005)
Search(workspace, sys.argv[2], config)
open_store(workspace)
"""
    gate, ready = folder / "gate", [folder / f"ready{number}" for number in range(count)]
    running = [subprocess.Popen([sys.executable, "-c", program, folder / "mlruns", place, gate]) for place in ready]
    try:
        while not all(place.exists() for place in ready):
            assert all(process.poll() is None for process in running)
            time.sleep(0.05)
        gate.write_text("0")
        assert [process.wait() for process in running] == [0] * count
    finally:
        for process in running:
            process.kill()
            process.wait()


def test_four_processes_start_one_new_store_together(tmp_path: Path) -> None:
    start_a_store(4, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("attempt", range(3))
def test_eight_processes_start_one_new_store_together(attempt: int, tmp_path: Path) -> None:
    start_a_store(8, tmp_path)


def test_a_second_run_of_a_study_is_refused_with_a_line(
    tmp_path: Path, workspace: Path, cli: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    material = gather(compose([*TINY, "baselines=none", "study=s", "n_trials=1"])[0])
    run_study(material, Workspace(workspace), Silent(), bare=True)
    with RecordBook(workspace / "records" / "s").locked():
        printed = cli(*study("study=s"), cwd=tmp_path, code=4).stderr
    assert "another run of this study is at work; wait for its end, or stop it" in printed


def test_a_store_that_cannot_be_read_is_not_taken_for_a_missing_run(workspace: Path) -> None:
    runs, nowhere = Runs(Workspace(workspace)), "0" * 32
    assert runs.find(nowhere) is None
    with closing(sqlite3.connect(workspace / "mlflow.db")) as database:
        database.execute("DROP TABLE runs")
    for ask in (runs.find, runs.by_id):
        with pytest.raises(StorageError, match=f"{workspace}: MLflow's store can't be used"):
            ask(nowhere)
