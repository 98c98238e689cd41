"""Samplers with real training: the table depends neither on workers nor on a kill."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from regsweep.book import RecordBook
from regsweep.config import compose
from regsweep.fsck import check
from regsweep.insight import look_into
from regsweep.material import gather
from regsweep.paths import Workspace
from regsweep.reproduce import reproduce
from regsweep.runner import Inline
from regsweep.study import run_study
from regsweep.tracking.content import trial_run
from regsweep.trial import spec_from_values
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
EARLY = {
    "tpe": ["sampler.startup_trials=3"],
    "cmaes": ["sampler.population=5"],
    "kt_random": [],
    "kt_hyperband": ["sampler.iterations=2"],
}


def table(folder: Path) -> list[tuple[int, str, dict[str, object], float | None]]:
    (place,) = (folder / "records").iterdir()
    return [(record.number, record.origin, dict(record.params), record.objective) for record in RecordBook(place).trials()]


@pytest.fixture(scope="module")
def inline(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Studies trained in one process, which nothing disturbed."""
    folder = tmp_path_factory.mktemp("inline")
    for sampler, early in EARLY.items():
        run_study(gather(compose([*EIGHT, f"sampler={sampler}", *early])[0]), Workspace(folder / sampler), Silent(), bare=True)
    return folder


@pytest.mark.parametrize(
    ("sampler", "workers"),
    [
        ("tpe", 4),
        ("kt_hyperband", 2),
        *(pytest.param(sampler, 1, marks=pytest.mark.slow) for sampler in ("tpe", "kt_random", "kt_hyperband")),
        *(pytest.param(sampler, 4, marks=pytest.mark.slow) for sampler in ("kt_random", "kt_hyperband")),
        *(pytest.param(sampler, 2, marks=pytest.mark.slow) for sampler in ("tpe", "kt_random")),
    ],
)
def test_the_number_of_workers_changes_nothing(workspace: Path, inline: Path, sampler: str, workers: int) -> None:
    overrides = [*EIGHT, f"sampler={sampler}", *EARLY[sampler], "executor=processes", f"executor.workers={workers}"]
    run_study(gather(compose(overrides)[0]), Workspace(workspace), Silent(), bare=True)
    assert table(workspace) == table(inline / sampler)
    assert [origin for _, origin, _, _ in table(workspace)] == ["enqueued"] + [sampler] * 7


@pytest.mark.slow
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


def test_lost_rounds_of_hyperband_are_trained_again_and_come_out_the_same(workspace: Path, inline: Path) -> None:
    shutil.copytree(inline / "kt_hyperband", workspace, dirs_exist_ok=True)
    (place,) = (workspace / "records").iterdir()
    book = RecordBook(place)
    before = {record.number: record for record in book.trials()}
    child = next(record for record in before.values() if record.result.spec.rounds)
    assert child.rung is not None
    assert child.rung.parent is not None
    lost = [child.rung.parent, child.number]
    # First both, then the child alone, from its parent's record.
    for numbers in (lost, lost[1:]):
        for number in numbers:
            shutil.rmtree(book.place(number))
        silent = Silent()
        run_study(gather(child.facts.config), Workspace(workspace), silent, bare=True)
        assert silent.redone == numbers
        for number in numbers:
            again = book.trial(number)
            assert again is not None
            assert (again.rung, again.result.spec) == (before[number].rung, before[number].result.spec)
            assert np.array_equal(again.result.curves, before[number].result.curves)
    assert table(workspace) == table(inline / "kt_hyperband")


def test_a_trial_that_went_on_is_reproduced_from_its_record_alone(inline: Path, tmp_path: Path) -> None:
    (place,) = (inline / "kt_hyperband" / "records").iterdir()
    child = next(record for record in RecordBook(place).trials() if record.result.spec.rounds)
    shutil.copytree(RecordBook(place).place(child.number), tmp_path / "record")
    assert reproduce(tmp_path, tolerance=0.0, announce=lambda _: None).sentence == "identical"


def test_the_path_to_a_champion_that_went_on_ends_at_its_configuration_trained_in_one_go(inline: Path, tmp_path: Path) -> None:
    (place,) = (inline / "kt_hyperband" / "records").iterdir()
    records, facts = list(RecordBook(place).trials()), RecordBook(place).facts()
    child = next(record for record in records if record.result.spec.rounds)
    insight = facts.config.insight.model_copy(update={"ablation": True})
    facts = replace(facts, config=facts.config.model_copy(update={"insight": insight}))
    executor = Inline(facts.config.trainer, gather(facts.config).prepared)
    path = look_into(RecordBook(tmp_path), facts, records, child, executor)["ablation"]
    (whole,) = executor.train([spec_from_values(child.params, seed=child.result.spec.seed)])
    assert path["steps"][-1]["value"] == whole.score("val/mse") != child.objective


def test_mlflow_counts_the_epochs_of_a_trial_that_went_on_from_its_parents(inline: Path) -> None:
    (place,) = (inline / "kt_hyperband" / "records").iterdir()
    child = next(record for record in RecordBook(place).trials() if record.result.spec.rounds)
    assert child.rung is not None
    run = trial_run(RecordBook(place), child, None)
    assert [step for name, _, _, step in run.points if name == "val/mse"] == [1, 2]
    place_of = {key: value for key, value in run.params.items() if key.startswith("hyperband/")}
    bracket, parent = child.rung.bracket, child.rung.parent
    assert place_of == {
        f"hyperband/{k}": v for k, v in {"bracket": bracket, "round": 1, "initial_epoch": 1, "parent": parent}.items()
    }


@pytest.mark.slow
@pytest.mark.usefixtures("workspace")
@pytest.mark.parametrize("cut", [12, 37])
def test_a_study_killed_inside_a_bracket_of_hyperband_goes_on_as_if_nothing_had_happened(tmp_path: Path, cut: int) -> None:
    # Rounds of 12, 4 and 2 trials, then of others.
    sixty = ["n_trials=60", "sampler=kt_hyperband", "sampler.max_epochs=9", "sampler.iterations=3", "parallel_trials=4"]
    study = [*EIGHT, *sixty, "executor=processes", "executor.workers=2"]
    whole = tmp_path / "whole"
    run_study(gather(compose(study)[0]), Workspace(whole), Silent(), bare=True)
    command = [sys.executable, "-m", "regsweep.cli", "run", *study]
    silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    running = subprocess.Popen(command, cwd=tmp_path, start_new_session=True, **silent)
    deadline = time.monotonic() + 240
    while not list(tmp_path.glob(f"mlruns/records/*/trial-{cut:05d}")) and time.monotonic() < deadline:
        time.sleep(0.01)
    os.killpg(running.pid, signal.SIGKILL)
    running.wait()
    subprocess.run(command, cwd=tmp_path, check=True, **silent)
    assert table(tmp_path / "mlruns") == table(whole)
    assert len(table(whole)) == 60
    (place,) = (tmp_path / "mlruns" / "records").iterdir()
    assert not check(Workspace(tmp_path / "mlruns"), RecordBook(place)).findings
