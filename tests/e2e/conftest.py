"""One small study, run once from the command line in a folder of its own; tests that change it take a copy."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from sklearn.datasets import load_diabetes

from tests.conftest import TINY, run_cli
from tests.helpers import of_group


@pytest.fixture(autouse=True)
def nothing_left(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Whatever a test has started in a session of its own ends with it, also where it fails."""
    started: list[int] = []

    class Noting(subprocess.Popen):  # type: ignore[type-arg]
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            if options.get("start_new_session"):
                started.append(self.pid)

    monkeypatch.setattr(subprocess, "Popen", Noting)
    yield
    for group in started:
        if of_group(group):
            os.killpg(group, signal.SIGKILL)


@pytest.fixture(scope="session")
def houses(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's folder with a table of 120 rows: numbers, a category, missing values."""
    folder = tmp_path_factory.mktemp("houses")
    table = load_diabetes(as_frame=True, scaled=False).frame.head(120)
    table = table.assign(kind=["semi", "flat", "manor"] * 40).rename(columns={"target": "price"})
    table.loc[table.index[::7], "bmi"] = None
    table.to_csv(folder / "houses.csv", index=False)
    return folder


@pytest.fixture(scope="session")
def study(houses: Path) -> Path:
    """The user's folder after `regsweep run` on their table; `mlruns/` lies in it. Read it, do not change it."""
    done = run_cli(
        "run", "dataset=csv", "dataset.path=houses.csv", "dataset.target=price", "dataset.unit=euros", *TINY, cwd=houses
    )
    (houses / "printed.txt").write_text(done.stdout)
    (houses / "errors.txt").write_text(done.stderr)
    return houses


@pytest.fixture
def own(workspace: Path, tmp_path: Path, houses: Path) -> Path:
    """A folder of the test's own with the user's table and no runs."""
    shutil.copy(houses / "houses.csv", tmp_path)
    return tmp_path


@pytest.fixture
def run_own(own: Path) -> Callable[..., str]:
    """Runs a tiny study on the user's table in `own` and returns what it printed."""

    def run(*overrides: str, code: int = 0) -> str:
        done = run_cli(
            "run", "dataset=csv", "dataset.path=houses.csv", "dataset.target=price", *TINY, *overrides, cwd=own, code=code
        )
        return done.stdout + done.stderr

    return run


def table_of(workspace: Path) -> pd.DataFrame:
    """Number, hyperparameters and objective of every trial of the one study of a workspace."""
    (place,) = (workspace / "records").glob("*/report/leaderboard.csv")
    frame = pd.read_csv(place)
    return (
        frame[frame["kind"] != "baseline"]
        .assign(name=lambda f: f["name"].str.replace(" (champion)", ""))[["name", "val_mse", "params", "state"]]
        .reset_index(drop=True)
    )
