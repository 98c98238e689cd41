"""`kill -9` before and after every durable step, and at random moments: a resumed study is as if nothing had happened."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from regsweep.book import RecordBook
from regsweep.failpoints import NAMES
from regsweep.fsck import check
from regsweep.paths import Workspace
from tests.conftest import TINY
from tests.helpers import group_ends

# Pruned of what takes time: what is killed here is the study around the training.
STUDY = (*TINY, "n_trials=4", "study=four", "baselines.names=[mean]", "executor=processes", "executor.workers=1")


def command(*overrides: str) -> list[str]:
    return [sys.executable, "-m", "regsweep.cli", "run", *STUDY, *overrides]


def start(folder: Path, failpoints: str = "", *overrides: str) -> subprocess.Popen[bytes]:
    """Start the study as the leader of a process group of its own."""
    env = {**os.environ, "REGSWEEP_FAILPOINTS": failpoints}
    with (folder / "printed.txt").open("ab") as printed:
        return subprocess.Popen(command(*overrides), cwd=folder, stdout=printed, stderr=printed, env=env, start_new_session=True)


@dataclass(frozen=True)
class Undisturbed:
    folder: Path
    seconds: float
    table: list[tuple[int, dict[str, object], float | None]]


def table(folder: Path) -> list[tuple[int, dict[str, object], float | None]]:
    book = RecordBook(folder / "mlruns" / "records" / "four")
    return [(record.number, dict(record.params), record.objective) for record in book.trials()]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    folder = tmp_path_factory.mktemp("undisturbed")
    begun = time.monotonic()
    assert start(folder).wait() == 0
    return Undisturbed(folder, time.monotonic() - begun, table(folder))


def assert_as_if_nothing_had_happened(folder: Path, undisturbed: Undisturbed, *overrides: str) -> None:
    printed = (folder / "printed.txt").read_text()
    assert start(folder, "", *overrides).wait() == 0, (folder / "printed.txt").read_text()
    workspace = Workspace(folder / "mlruns")
    checked = check(workspace, RecordBook(workspace.records / "four"))
    assert [finding.text for finding in checked.findings] == [], printed
    assert (checked.told, checked.judged) == (4, True)
    assert table(folder) == undisturbed.table
    assert "Traceback" not in (folder / "printed.txt").read_text()


# The first time there is nothing that a record could replace.
@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in NAMES if name != "record/replacing"])
def test_a_study_killed_at_a_durable_step_ends_like_an_undisturbed_one(
    name: str, tmp_path: Path, undisturbed: Undisturbed
) -> None:
    # Trials are numbered from 0: of those the second one is hit.
    times = "#2" if name.startswith(("record", "search", "mlflow/record", "mlflow/artifacts")) else ""
    overrides = ("tracking.models=top:1",) if name == "mlflow/model" else ()
    running = start(tmp_path, f"{name}{times}=kill-group", *overrides)
    assert running.wait(timeout=120) == -signal.SIGKILL, (tmp_path / "printed.txt").read_text()
    assert group_ends(running.pid, 10)
    assert_as_if_nothing_had_happened(tmp_path, undisturbed, *overrides)


@pytest.mark.slow
def test_a_study_killed_while_it_replaces_a_record_ends_like_an_undisturbed_one(tmp_path: Path, undisturbed: Undisturbed) -> None:
    assert start(tmp_path).wait() == 0
    place = tmp_path / "mlruns" / "records" / "four" / "champion" / "record.json"
    place.write_text(place.read_text()[:-9])
    running = start(tmp_path, "record/replacing=kill-group")
    assert running.wait(timeout=120) == -signal.SIGKILL
    assert_as_if_nothing_had_happened(tmp_path, undisturbed)


def killed_at_random(seed: int, folder: Path, undisturbed: Undisturbed) -> None:
    """Kill the study, and then its resume, each at a moment drawn from the seed; every other time the driver alone."""
    draw = random.Random(seed)
    for _ in range(2):
        running = start(folder)
        time.sleep(draw.uniform(0, undisturbed.seconds))
        if draw.random() < 0.5:
            os.killpg(running.pid, signal.SIGKILL) if running.poll() is None else None
        else:
            running.kill()
        running.wait()
        # Workers and recorder follow their driver by themselves.
        assert group_ends(running.pid, 30)
    assert_as_if_nothing_had_happened(folder, undisturbed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_a_study_killed_twice_at_random_ends_like_an_undisturbed_one(seed: int, tmp_path: Path, undisturbed: Undisturbed) -> None:
    killed_at_random(seed, tmp_path, undisturbed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3, 43))
def test_the_same_at_forty_more_moments(seed: int, tmp_path: Path, undisturbed: Undisturbed) -> None:
    killed_at_random(seed, tmp_path, undisturbed)
    shutil.rmtree(tmp_path)
