"""What tests share: where real data lie, small configs, and one study that was run from the command line."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from regsweep.config import StudyConfig, compose

ROOT = Path(__file__).resolve().parents[1]
TINY = (
    "n_trials=3",
    "split=holdout",
    "parallel_trials=2",
    "space.parameters.epochs=3",
    "bootstrap_resamples=200",
    "executor=inline",
    "insight.ablation=false",
)


def shared_data() -> Path | None:
    """The folder with the tables that the package may not carry, if it is on this machine."""
    for place in (os.environ.get("REGSWEEP_DATA"), ROOT.parent / "shared" / "data"):
        if place and (Path(place) / "insurance.csv").is_file():
            return Path(place).resolve()
    return None


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The offline folder with insurance.csv and economics.csv."""
    folder = shared_data()
    if folder is None:
        pytest.skip("insurance.csv and economics.csv are not here: set REGSWEEP_DATA to a folder that holds them")
    return folder


def run_cli(*arguments: str, cwd: Path, code: int = 0, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run `regsweep` in a process of its own and assert its exit code."""
    others = ("PYTEST", "MLFLOW", "REGSWEEP", "FORCE_COLOR", "TTY_COMPATIBLE", "COLUMNS")
    clean = {key: value for key, value in os.environ.items() if not key.startswith(others)}
    done = subprocess.run(
        [sys.executable, "-m", "regsweep.cli", *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        env={**clean, **(env or {})},
    )
    assert done.returncode == code, f"exit {done.returncode}, expected {code}\n{done.stdout}\n{done.stderr}"
    return done


@pytest.fixture(scope="session")
def cli() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs the command line, see `run_cli`."""
    return run_cli


@pytest.fixture
def tiny() -> Callable[..., StudyConfig]:
    """Composes a config with three short trials, trained inline."""

    def make(*overrides: str) -> StudyConfig:
        return compose([*TINY, *overrides])[0]

    return make


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An MLflow database without runs; making one takes seconds, copying it does not."""
    from regsweep.paths import Workspace
    from regsweep.tracking.store import open_store

    workspace = Workspace(tmp_path_factory.mktemp("store"))
    open_store(workspace)
    return workspace.mlflow_db


@pytest.fixture
def workspace(tmp_path: Path, empty_store: Path) -> Path:
    """An empty workspace `mlruns` in the test's own folder."""
    folder = tmp_path / "mlruns"
    folder.mkdir()
    shutil.copy(empty_store, folder)
    return folder
