"""`search.order=free`: a trial that takes long holds nobody up, and whatever happens, the study ends whole."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from regsweep.book import RecordBook
from regsweep.config import StudyConfig, compose
from regsweep.data.features import Prepared
from regsweep.errors import TooManyFailuresError
from regsweep.fsck import check
from regsweep.material import gather
from regsweep.paths import Workspace
from regsweep.record import TrialRecord
from regsweep.repair import repair
from regsweep.reproduce import reproduce
from regsweep.search import kept_trials
from regsweep.study import Executors, run_study
from regsweep.trial import State, trial_seed
from tests.conftest import TINY
from tests.helpers import Gated, Silent

FREE = (
    *TINY, "dataset=line", "baselines=none", "study=free", "search.order=free", "n_trials=8", "sampler.startup_trials=2",
)  # fmt: skip


def config(*overrides: str) -> StudyConfig:
    return compose([*FREE, *overrides])[0]


def book_of(folder: Path) -> RecordBook:
    return RecordBook(Workspace(folder).records / "free")


class Opens(Silent):
    """Opens the gate after so many trials."""

    def __init__(self, executors: list[Gated], after: int, stop_after: int | None = None) -> None:
        super().__init__(stop_after)
        self._executors, self._after = executors, after

    def trial(self, record: TrialRecord) -> None:
        super().trial(record)
        if len(self.seen) == self._after:
            self._executors[0].gate.set()


def gated(*numbers: int, workers: int = 2) -> tuple[list[Gated], Executors]:
    """Where studies train in threads, and the trials of these numbers wait at a gate; the list of those in use."""
    made: list[Gated] = []

    def make(study: StudyConfig, data: Prepared) -> Gated:
        made.append(Gated(study.trainer, data, [trial_seed(study.seed, number) for number in numbers], workers))
        return made[-1]

    return made, make


def ran(folder: Path, *overrides: str, waits: tuple[int, ...] = (0,), after: int = 4, stop_after: int | None = None) -> list[int]:
    """Run the study while these trials wait until `after` others were told; returns the order in which trials were told."""
    made, executors = gated(*waits)
    watcher = Opens(made, after, stop_after)
    run_study(gather(config(*overrides)), Workspace(folder), watcher, bare=True, executors=executors)
    return watcher.seen


def went_on(folder: Path, *overrides: str) -> Silent:
    """Run the study again, where nothing waits."""
    watcher = Silent()
    run_study(gather(config(*overrides)), Workspace(folder), watcher, bare=True)
    return watcher


def findings(folder: Path) -> list[str]:
    """What fsck has to say, but for MLflow, which is written by another process and of bare studies not at all."""
    found = [finding.text for finding in check(Workspace(folder), book_of(folder)).findings]
    return [text for text in found if "MLflow" not in text]


def assert_whole(folder: Path, trials: int) -> list[TrialRecord]:
    """Every number once, each trained with the seed of its number, nothing for fsck to say."""
    checked = check(Workspace(folder), book_of(folder))
    assert (findings(folder), checked.told, checked.judged) == ([], trials, True)
    records = list(book_of(folder).trials())
    assert [record.number for record in records] == list(range(trials))
    assert [record.result.spec.seed for record in records] == [trial_seed(0, number) for number in range(trials)]
    return records


def test_nobody_waits_for_a_slow_trial(workspace: Path) -> None:
    seen = ran(workspace, after=7)
    # All others are asked, trained and told before it.
    assert seen[-1] == 0
    assert sorted(seen) == list(range(8))
    assert_whole(workspace, 8)


def test_a_study_that_was_stopped_takes_over_what_ended_beyond_a_gap(workspace: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        ran(workspace, after=4, stop_after=4)
    before = {record.number: record for record in book_of(workspace).trials()}
    assert len(before) == 4
    assert 0 not in before
    assert kept_trials(Workspace(workspace), "free") == ()
    assert findings(workspace) == []
    watcher = went_on(workspace)
    assert watcher.seen[:4] == sorted(before)
    assert sorted(watcher.seen) == list(range(8))
    after = {record.number: record for record in assert_whole(workspace, 8)}
    for number, record in before.items():
        assert (record.params, record.started, record.objective) == (
            after[number].params,
            after[number].started,
            after[number].objective,
        )


def test_a_damaged_record_beyond_a_gap_is_a_gap(workspace: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        ran(workspace, after=4, stop_after=4)
    damaged = book_of(workspace).numbers()[1]
    (book_of(workspace).place(damaged) / "arrays.npz").write_bytes(b"")
    watcher = went_on(workspace)
    assert damaged not in watcher.seen[:3]
    assert_whole(workspace, 8)


def test_gaps_are_filled_though_the_budget_is_spent(workspace: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        ran(workspace, after=4, stop_after=4)
    trials = book_of(workspace).numbers()[-1] + 1
    went_on(workspace, "n_trials=2")
    assert_whole(workspace, trials)


def test_a_study_that_meets_its_target_waits_for_lower_numbers_alone(workspace: Path) -> None:
    # Any trial meets it: the study is over with the first that is told, and has then as many trials as leave no gap below.
    seen = ran(workspace, "budget.target=1e9", after=1)
    assert seen[0] != 0
    assert_whole(workspace, max(seen) + 1)
    assert max(seen) < 4
    assert str(book_of(workspace).ended()).startswith("budget.target=1e+09: val/mse is ")
    assert went_on(workspace, "budget.target=1e9").seen == []


def test_a_gap_that_waits_behind_what_nobody_wants_is_filled(workspace: Path) -> None:
    # One worker, who takes the costly ones first: 1, then 2, and with 1 the study is over while 0 has not begun.
    costs = ((0, 1), (100, 64), (40, 64))
    tried = ",".join(f"{{depth: {min(1, width - 1)}, epochs: {epochs or 2}}}" for epochs, width in costs)
    overrides = (f"enqueue=[{tried}]", "space.parameters.epochs={type: int, low: 1, high: 200}", "parallel_trials=3")
    watcher, material = Silent(), gather(config("budget.target=1e9", *overrides))
    run_study(material, Workspace(workspace), watcher, bare=True, executors=gated(workers=1)[1])
    assert watcher.seen[0] == 1, "otherwise this tests nothing"
    assert 0 in watcher.seen
    assert_whole(workspace, max(watcher.seen) + 1)
    assert went_on(workspace, "budget.target=1e9", *overrides).seen == []


def test_trials_without_improvement_end_a_study_for_good(workspace: Path) -> None:
    seen = ran(workspace, "budget.no_improvement=3", "n_trials=40", after=6)
    assert str(book_of(workspace).ended()).startswith("budget.no_improvement=3: ")
    records = assert_whole(workspace, len(seen))
    values = [record.objective for record in records if record.objective is not None]
    assert values.index(min(values)) <= len(values) - 4
    # The same by number as by the order in which they ended: the same command has nothing left to do.
    assert went_on(workspace, "budget.no_improvement=3", "n_trials=40").seen == []


def test_too_many_failures_end_a_study_without_gaps(workspace: Path) -> None:
    diverging = ("space.parameters.learning_rate=1e8", "space.parameters.optimizer=sgd", "space.parameters.epochs=20")
    with pytest.raises(TooManyFailuresError, match=r"trials failed \(max_failures=3\)"):
        ran(workspace, "max_failures=3", *diverging, after=3)
    numbers = book_of(workspace).numbers()
    assert numbers == list(range(len(numbers)))
    assert len(numbers) in (4, 5)
    assert len(kept_trials(Workspace(workspace), "free")) == len(numbers)


@pytest.mark.parametrize("pruner", ["median", pytest.param("hyperband", marks=pytest.mark.slow)])
def test_a_pruned_trial_whose_record_is_lost_comes_out_the_same(workspace: Path, tmp_path: Path, pruner: str) -> None:
    looks = "pruner.min_epochs=2" if pruner == "hyperband" else "pruner.interval=2"
    start = ("pruner.warmup_epochs=2", "pruner.startup_trials=2") if pruner == "median" else ()
    overrides = (f"pruner={pruner}", looks, *start, "n_trials=16", "space.parameters.epochs=12")
    ran(workspace, *overrides, waits=(1,), after=8)
    records = assert_whole(workspace, 16)
    pruned = next(record for record in reversed(records) if record.result.state is State.PRUNED)
    shutil.rmtree(book_of(workspace).place(pruned.number))
    watcher = went_on(workspace, *overrides)
    assert watcher.seen == watcher.redone == [pruned.number]
    again = assert_whole(workspace, 16)[pruned.number]
    assert again.result.cause == pruned.result.cause
    assert again.result.curves.tobytes() == pruned.result.curves.tobytes()
    (tmp_path / "record").symlink_to(book_of(workspace).place(pruned.number))
    assert reproduce(tmp_path, tolerance=0.0, announce=lambda _: None).sentence == "identical"


@pytest.mark.slow
def test_repair_leaves_what_is_held_back_and_tells_what_is_not(workspace: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        ran(workspace, waits=(1,), after=4, stop_after=4)
    held = [number for number in book_of(workspace).numbers() if number > 0]
    assert len(held) == 3
    Workspace(workspace).optuna_db.unlink()
    assert findings(workspace) == ["trial 0: has a record that Optuna was not told"]
    assert repair(Workspace(workspace), book_of(workspace), lambda _: None).findings == ()
    assert book_of(workspace).numbers() == [0, *held]
    run_study(gather(config()), Workspace(workspace), Silent())
    assert_whole(workspace, 8)


@pytest.mark.parametrize(("trainer", "epochs"), [("stacked", 3000), pytest.param("keras_fit", 600, marks=pytest.mark.slow)])
def test_an_idle_worker_takes_what_is_asked_while_another_one_is_at_work(workspace: Path, trainer: str, epochs: int) -> None:
    # All but the first are as short as can be: some are told before it, though nobody knows what `keras_fit` takes.
    trials = [f"{{epochs: {epochs}, depth: 1, width: 8}}", *(f"{{epochs: {short}, depth: 0}}" for short in range(1, 6))]
    lengths = f"space.parameters.epochs={{type: int, low: 1, high: {epochs}}}"
    overrides = ("executor=processes", "executor.workers=2", f"trainer={trainer}", "n_trials=6", "parallel_trials=1", lengths)
    watcher = went_on(workspace, *overrides, f"enqueue=[{','.join(trials)}]")
    # With one trial under way beside it, the third is asked after the second has landed.
    assert watcher.seen.index(0) >= 2
    assert sorted(watcher.seen) == list(range(6))
    assert_whole(workspace, 6)


@pytest.mark.slow
def test_a_killed_study_loses_what_was_in_training_alone(tmp_path: Path, workspace: Path) -> None:
    command = [sys.executable, "-m", "regsweep.cli", "run", *FREE, "executor=processes", "executor.workers=2"]
    env = {**os.environ, "REGSWEEP_FAILPOINTS": "search/telling#3=kill-group"}
    running = subprocess.Popen(
        command, cwd=tmp_path, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    assert running.wait(timeout=120) == -signal.SIGKILL
    before = book_of(workspace).numbers()
    assert len(before) >= 3
    run_study(gather(config()), Workspace(workspace), Silent())
    assert_whole(workspace, 8)
