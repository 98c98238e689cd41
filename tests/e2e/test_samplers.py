"""Samplers with real training: the table depends neither on workers nor on a kill."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from regsweep.book import RecordBook
from regsweep.config import compose
from regsweep.fsck import check
from regsweep.paths import Workspace
from regsweep.study import gather, run_study
from tests.conftest import TINY
from tests.helpers import Silent

EIGHT = (
    *TINY,
    "n_trials=8",
    "baselines=none",
    "insight.ablation=false",
    "split=holdout",
    "space=broad",
    "enqueue=[{depth: 1, width: 8}]",
)
# What it learns from comes soon.
EARLY = {"tpe": ["sampler.startup_trials=3"], "cmaes": ["sampler.population=5"], "kt_random": []}


def table(folder: Path) -> list[tuple[int, str, dict[str, object], float | None]]:
    (place,) = (folder / "records").iterdir()
    return [(record.number, record.origin, dict(record.params), record.objective) for record in RecordBook(place).trials()]


@pytest.fixture(scope="module")
def inline(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Studies trained in one process, which nothing disturbed."""
    folder = tmp_path_factory.mktemp("inline")
    for sampler, early in EARLY.items():
        run_study(gather(compose([*EIGHT, f"sampler={sampler}", *early])[0]), Workspace(folder / sampler), Silent())
    return folder


@pytest.mark.parametrize("workers", [1, 2, 4])
@pytest.mark.parametrize("sampler", ["tpe", "kt_random"])
def test_the_number_of_workers_changes_nothing(workspace: Path, inline: Path, sampler: str, workers: int) -> None:
    overrides = [*EIGHT, f"sampler={sampler}", *EARLY[sampler], "executor=processes", f"executor.workers={workers}"]
    run_study(gather(compose(overrides)[0]), Workspace(workspace), Silent())
    assert table(workspace) == table(inline / sampler)
    assert [origin for _, origin, _, _ in table(workspace)] == ["enqueued"] + [sampler] * 7


@pytest.mark.usefixtures("workspace")
@pytest.mark.parametrize("sampler", ["cmaes"])
def test_a_killed_study_goes_on_with_what_its_sampler_had_learnt(tmp_path: Path, inline: Path, sampler: str) -> None:
    command = [sys.executable, "-m", "regsweep.cli", "run", *EIGHT, f"sampler={sampler}", *EARLY[sampler]]
    silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    running = subprocess.Popen(command, cwd=tmp_path, start_new_session=True, **silent)
    deadline = time.monotonic() + 240
    while not list(tmp_path.glob("mlruns/records/*/trial-00004")) and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(running.pid, signal.SIGKILL)
    running.wait()
    subprocess.run(command, cwd=tmp_path, check=True, **silent)
    assert table(tmp_path / "mlruns") == table(inline / sampler)
    assert [place.name for place in tmp_path.iterdir()] == ["mlruns"]
    (place,) = (tmp_path / "mlruns" / "records").iterdir()
    assert not check(Workspace(tmp_path / "mlruns"), RecordBook(place)).findings
