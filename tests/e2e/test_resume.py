"""Interrupted, resumed, spread over workers: the table of trials is the same. Test rows stay sealed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from regsweep.book import RecordBook, read_champion
from regsweep.config import compose
from regsweep.data import make_split
from regsweep.data.features import prepare
from regsweep.errors import StorageError, TooManyFailuresError
from regsweep.folder import read_folder
from regsweep.material import Material, gather
from regsweep.paths import Workspace
from regsweep.show.studies import print_study
from regsweep.space import choices
from regsweep.study import run_study
from tests.conftest import TINY
from tests.e2e.conftest import table_of
from tests.helpers import Silent, group_ends, of_group

SIX = ("n_trials=6", "parallel_trials=3", "baselines=none")


def numbers(folder: Path) -> list[tuple[int, dict[str, object], float | None]]:
    """(number, hyperparameters, objective) of every trial on record."""
    (place,) = (folder / "records").iterdir()
    return [(record.number, dict(record.params), record.objective) for record in RecordBook(place).trials()]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study of six trials that nothing disturbed."""
    folder = tmp_path_factory.mktemp("whole")
    run_study(gather(compose([*TINY, *SIX])[0]), Workspace(folder), Silent(), bare=True)
    return folder


def test_a_study_stopped_between_trials_ends_like_an_undisturbed_one(workspace: Path, whole: Path) -> None:
    material = gather(compose([*TINY, *SIX])[0])
    with pytest.raises(KeyboardInterrupt):
        run_study(material, Workspace(workspace), Silent(stop_after=2), bare=True)
    watcher = Silent()
    run_study(material, Workspace(workspace), watcher, bare=True)
    assert watcher.told == 2
    assert watcher.seen == [2, 3, 4, 5]
    assert numbers(workspace) == numbers(whole)


@pytest.mark.usefixtures("workspace")
def test_a_killed_study_ends_like_an_undisturbed_one(tmp_path: Path, whole: Path) -> None:
    command = [sys.executable, "-m", "regsweep.cli", "run", *TINY, *SIX]
    running = subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob("mlruns/records/*/trial-00001")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.killpg(running.pid, signal.SIGKILL)
    running.wait()
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "of 6 trials are there already" in done.stdout
    assert numbers(tmp_path / "mlruns") == numbers(whole)
    assert sum(name.startswith("trial") for name in table_of(tmp_path / "mlruns")["name"]) == 6


def test_a_study_whose_records_were_taken_away_begins_anew(workspace: Path) -> None:
    def ran(*overrides: str) -> list[tuple[dict[str, object], float | None]]:
        study = gather(compose([*TINY, "study=mine", "baselines=none", *overrides])[0])
        outcome = run_study(study, Workspace(workspace), Silent(), bare=True)
        found = [(dict(record.params), record.objective) for record in outcome.book.trials()]
        shutil.rmtree(outcome.book.folder)
        return found

    first = ran("seed=1")
    # Another space, in which what Optuna kept could not be drawn again.
    other = ran("space.parameters.depth=1", "space.parameters.dropout=0.1")
    assert [params["dropout"] for params, _ in other] == [0.1] * 3
    assert ran("seed=1") == first


@pytest.mark.parametrize("workers", [pytest.param(1, marks=pytest.mark.slow), 2])
def test_worker_processes_give_the_same_table(workspace: Path, whole: Path, workers: int) -> None:
    config = compose([*TINY, *SIX, "executor=processes", f"executor.workers={workers}"])[0]
    run_study(gather(config), Workspace(workspace), Silent(), bare=True)
    assert numbers(workspace) == numbers(whole)


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code", "word"), [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")])
def test_signals_end_it_with_a_line_and_leave_no_worker(tmp_path: Path, number: int, code: int, word: str) -> None:
    command = [sys.executable, "-m", "regsweep.cli", "run", *TINY, "executor=processes", "space.parameters.epochs=2000"]
    running = subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob("mlruns/records/*/study.json")) and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(4)
    running.send_signal(number)
    _, printed = running.communicate(timeout=60)
    assert running.returncode == code
    assert printed.strip().splitlines()[-1] == f"regsweep: {word}; what was told is kept: the same command goes on from there"
    assert "Traceback" not in printed
    # A worker that is still importing TensorFlow follows its driver late.
    assert group_ends(running.pid, 60)


def test_a_killed_driver_leaves_no_process(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "regsweep.cli", "run", *TINY, "executor=processes", "space.parameters.epochs=2000"]
    running = subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob("mlruns/records/*/study.json")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    time.sleep(4)
    assert running.poll() is None
    assert len(of_group(running.pid)) > 1, "otherwise nobody is there to be left"
    os.kill(running.pid, signal.SIGKILL)
    running.wait()
    # A worker that is still importing TensorFlow follows its driver late.
    assert group_ends(running.pid, 60)


def poisoned(material: Material) -> Material:
    """The material made anew from a table whose test rows hold nonsense: had they a part in it, trials would differ."""
    config = material.config
    table = material.dataset.table.copy().astype("float64")
    table.iloc[material.split.test] = -1e9
    dataset = replace(material.dataset, table=table)
    assert dataset.sha256 != material.dataset.sha256
    split = make_split(config.split, dataset)
    prepared = prepare(dataset, split, config.features, choices(config.space, "encoding"))
    return replace(material, dataset=dataset, split=split, prepared=prepared)


def test_no_test_row_reaches_a_trial_or_the_choice_of_the_champion(workspace: Path, whole: Path) -> None:
    material = poisoned(gather(compose([*TINY, *SIX])[0]))
    outcome = run_study(material, Workspace(workspace), Silent(), bare=True)
    assert numbers(workspace) == numbers(whole)
    (clean,) = (whole / "records").iterdir()
    assert outcome.judgement.trial.number == read_champion(RecordBook(clean))["trial"]
    assert outcome.judgement.content["test"]["mae"]["value"] > 1e6


def test_test_rows_are_opened_again_only_when_asked_and_that_leaves_a_trace(workspace: Path) -> None:
    def run(*overrides: str) -> tuple[int, str | None, int]:
        material = gather(compose([*TINY, "baselines=none", *overrides])[0])
        outcome = run_study(material, Workspace(workspace), Silent(), bare=True)
        return outcome.judgement.trial.number, outcome.judgement.note, len(outcome.judgement.content["openings"])

    assert run("n_trials=1") == (0, None, 1)
    kept, note, openings = run("n_trials=8")
    assert (kept, openings) == (0, 1)
    assert note is not None
    assert "is now best by validation, but the test rows were opened for trial 0; reopen_test=true" in note
    number, note, openings = run("n_trials=8", "reopen_test=true")
    assert number != 0
    assert (note, openings) == (None, 2)
    assert run("n_trials=8", "reopen_test=true") == (number, None, 2)
    _, note, openings = run("n_trials=8", "baselines.names=[mean]")
    assert openings == 2
    assert note is not None
    assert "other baselines are asked for" in note


def test_baselines_of_another_seed_open_the_test_rows_again_or_wait(workspace: Path) -> None:
    def run(seed: int, *overrides: str) -> tuple[list[float], str | None, int]:
        asked = ("study=s", "n_trials=1", "baselines.names=[random_forest]", f"baselines.seed={seed}")
        outcome = run_study(gather(compose([*TINY, *asked, *overrides])[0]), Workspace(workspace), Silent(), bare=True)
        _, arrays = read_folder(outcome.book.folder / "baseline-random_forest")
        return arrays["prediction"].tolist(), outcome.judgement.note, len(outcome.judgement.content["openings"])

    first = run(0)
    assert first[1:] == (None, 1)
    waiting = run(1)
    assert (waiting[0], waiting[2]) == (first[0], 1)
    assert waiting[1] is not None
    assert "other baselines are asked for" in waiting[1]
    # Scored anew for other intervals, they are still those that the rows were opened for.
    assert run(1, "bootstrap_resamples=500")[0] == first[0]
    again = run(1, "reopen_test=true")
    assert again[0] != first[0]
    assert again[1:] == (None, 2)


def test_a_study_killed_while_it_scores_keeps_to_the_trial_the_test_rows_were_opened_for(workspace: Path) -> None:
    material = gather(compose([*TINY, "baselines=none", "n_trials=1"])[0])
    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("regsweep.champion.scoring.score_with_intervals", _interrupted)
        run_study(material, Workspace(workspace), Silent(), bare=True)
    material = gather(compose([*TINY, "baselines=none", "n_trials=8"])[0])
    outcome = run_study(material, Workspace(workspace), Silent(), bare=True)
    assert outcome.judgement.trial.number == 0
    assert [opening["trial"] for opening in outcome.judgement.content["openings"]] == [0]
    note = outcome.judgement.note
    assert note is not None
    console = Console(width=400)
    with console.capture() as capture:
        print_study(console, outcome.book, trials=1)
    assert capture.get().splitlines()[-1] == f"note: {note}"
    assert f"\nNote: {note}\n" in (outcome.book.folder / "report" / "verdict.md").read_text(encoding="utf-8")


def _interrupted(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def test_a_lost_record_is_trained_again_and_comes_out_the_same(workspace: Path) -> None:
    material = gather(compose([*TINY, "baselines=none"])[0])
    outcome = run_study(material, Workspace(workspace), Silent(), bare=True)
    before = numbers(workspace)
    shutil.rmtree(outcome.book.place(1))
    watcher = Silent()
    run_study(material, Workspace(workspace), watcher, bare=True)
    assert watcher.seen == [1]
    assert numbers(workspace) == before


def test_a_second_driver_of_the_same_study_is_refused(workspace: Path) -> None:
    material = gather(compose([*TINY, "baselines=none", "n_trials=1"])[0])
    book = run_study(material, Workspace(workspace), Silent(), bare=True).book
    with book.locked(), pytest.raises(StorageError, match="another run of this study is at work"):
        run_study(material, Workspace(workspace), Silent())


@pytest.mark.slow
def test_the_alias_belongs_to_the_study_that_ended_last(workspace: Path) -> None:
    from regsweep.tracking.runs import Runs

    names = []
    for seed in (0, 1, 0):
        outcome = run_study(
            gather(compose([*TINY, "baselines=none", "n_trials=1", f"seed={seed}"])[0]), Workspace(workspace), Silent()
        )
        names.append(outcome.facts.study)
        assert Runs(Workspace(workspace)).champion("diabetes").data.tags["regsweep.study"] == outcome.facts.study
    assert names[0] == names[2] != names[1]


def test_a_study_in_which_every_trial_fails_ends_with_the_causes(workspace: Path) -> None:
    diverging = ["space.parameters.learning_rate=1e8", "space.parameters.optimizer=sgd", "space.parameters.epochs=20"]
    material = gather(compose([*TINY, "n_trials=2", "baselines=none", *diverging])[0])
    for _ in range(2):
        with pytest.raises(TooManyFailuresError, match=r"no trial was completed(.|\n)* x diverged: "):
            run_study(material, Workspace(workspace), Silent(), bare=True)
