"""Pruned studies with real training: the same table however they are run, and pruned trials are that everywhere."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest

from benchmarks.pruning import play_back
from regsweep.book import RecordBook
from regsweep.config import StudyConfig, compose
from regsweep.fsck import check
from regsweep.leaderboard import epochs_saved, leaderboard
from regsweep.material import gather
from regsweep.paths import Workspace
from regsweep.record import TrialRecord
from regsweep.repair import repair
from regsweep.reproduce import reproduce
from regsweep.study import run_study
from regsweep.train import make_trainer
from regsweep.trial import State
from tests.helpers import Silent

# Learning rates up to 10,000: some trials diverge.
SETTINGS = (
    "space=broad", "champion=refit", "n_trials=16", "parallel_trials=2", "baselines=none", "bootstrap_resamples=200",
    "executor=inline", "max_failures=16",
    "space.parameters.epochs=12", "space.parameters.optimizer=sgd", "space.parameters.learning_rate.high=1e4",
)  # fmt: skip
MEDIAN = ("pruner=median", "pruner.interval=2", "pruner.warmup_epochs=2", "pruner.startup_trials=2")
KINDS = {
    "median": ("sampler=random", "split=holdout", *MEDIAN),
    "halving of folds": (
        "sampler=tpe", "sampler.startup_trials=4", "split=kfold", "split.folds=3", "pruner=hyperband", "pruner.min_epochs=2",
    ),
    "wilcoxon": ("sampler=random", "split=kfold", "split.folds=6", "pruner=wilcoxon"),
}  # fmt: skip
# Where each takes half a minute, the one with most to go wrong: rungs, folds and a sampler that looks at results.
HARDEST = pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=() if kind == "halving of folds" else pytest.mark.slow) for kind in KINDS]
)


def config(kind: str, *overrides: str) -> StudyConfig:
    return compose([*SETTINGS, *KINDS[kind], *overrides])[0]


def table(folder: Path) -> list[tuple[Any, ...]]:
    """All that a trial's record says of it."""
    (place,) = (folder / "records").iterdir()
    return [
        (record.number, dict(record.params), record.result.state, record.result.cause, record.result.curves.tobytes())
        for record in RecordBook(place).trials()
    ]


def reported(folder: Path) -> list[tuple[Any, ...]]:
    """What Optuna's database says of each trial."""
    (study,) = optuna.get_all_study_summaries(f"sqlite:///{folder}/optuna.db")
    trials = optuna.load_study(study_name=study.study_name, storage=f"sqlite:///{folder}/optuna.db").get_trials()
    return [(trial.state.name, trial.value, trial.intermediate_values, trial.system_attrs) for trial in trials]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A study of a kind that nothing disturbed."""
    made: dict[str, Path] = {}

    def make(kind: str) -> Path:
        if kind not in made:
            made[kind] = tmp_path_factory.mktemp("whole")
            run_study(gather(config(kind)), Workspace(made[kind]), Silent())
        return made[kind]

    return make


@HARDEST
@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2, 4])
def test_workers_prune_the_same_trials_at_the_same_epochs(
    whole: Callable[[str], Path], workspace: Path, kind: str, workers: int
) -> None:
    study = config(kind, "executor=processes", f"executor.workers={workers}")
    run_study(gather(study), Workspace(workspace), Silent(), bare=True)
    assert table(workspace) == table(whole(kind))
    assert reported(workspace) == reported(whole(kind))
    states = {state for _, _, state, *_ in table(workspace)}
    assert states == set(State)


@HARDEST
def test_interruptions_and_lost_records_change_nothing(whole: Callable[[str], Path], workspace: Path, kind: str) -> None:
    study, place = config(kind), Workspace(workspace)
    for stop_after in (3, 4, 4):
        with pytest.raises(KeyboardInterrupt):
            run_study(gather(study), place, Silent(stop_after=stop_after), bare=True)
    (records,) = place.records.iterdir()
    pruned = next(record.number for record in RecordBook(records).trials() if record.result.state is State.PRUNED)
    (RecordBook(records).place(pruned) / "record.json").unlink()
    watcher = Silent()
    run_study(gather(study), place, watcher, bare=True)
    assert watcher.redone == [pruned]
    assert table(workspace) == table(whole(kind))
    assert reported(workspace) == reported(whole(kind))


@HARDEST
def test_a_pruned_trial_is_one_everywhere(whole: Callable[[str], Path], kind: str) -> None:
    folder = whole(kind)
    (place,) = (folder / "records").iterdir()
    book = RecordBook(place)
    records = list(book.trials())
    pruned = [record for record in records if record.result.state is State.PRUNED]
    assert all(record.objective is None and 2 <= len(record.result.curves) <= 12 for record in pruned)
    with closing(sqlite3.connect(folder / "mlflow.db")) as database:
        runs = database.execute(
            "SELECT name, status, t.value, (SELECT count(*) FROM metrics m WHERE m.run_uuid = r.run_uuid AND key = 'val/mse') "
            "FROM runs r JOIN tags t ON t.run_uuid = r.run_uuid AND t.key = 'regsweep.cause' WHERE status = 'KILLED'"
        ).fetchall()
    expected = [(f"trial {one.number}", "KILLED", one.result.cause, len(one.result.curves)) for one in pruned]
    assert sorted(runs) == sorted(expected)
    assert all(cause.startswith(f"stopped by pruner={config(kind).pruner.kind} after ") for _, _, cause, _ in runs)
    for record, (state, value, reports, _) in zip(records, reported(folder), strict=True):
        assert state == {"complete": "COMPLETE", "pruned": "PRUNED", "failed": "FAIL"}[record.result.state]
        assert value == (reports[max(reports)] if record in pruned else record.objective)
        assert reports == reports_by_hand(kind, record)
    rows = leaderboard(book)
    order = [row.state for row in rows]
    assert order == sorted(order, key=["complete", "pruned", "failed"].index)
    assert sum("stopped early" in row.name for row in rows) == len(pruned)
    assert check(Workspace(folder), book).findings == ()


def reports_by_hand(kind: str, record: TrialRecord) -> dict[int, float]:
    if record.result.state is State.FAILED:
        return {}
    if kind == "wilcoxon":
        return {fold: result.curves[-1, 3] for fold, result in enumerate(record.result.folds)}
    curve = np.mean([fold.curves[:, 3] for fold in record.result.folds], axis=0)
    return {epochs: curve[epochs - 1] for epochs in range(2, len(curve) + 1, 2)}


@HARDEST
def test_failing_trials_fail_as_they_do_without_a_pruner(whole: Callable[[str], Path], kind: str) -> None:
    study = config(kind)
    (place,) = (whole(kind) / "records").iterdir()
    records = list(RecordBook(place).trials())
    trained = make_trainer(study.trainer).fit([record.result.spec for record in records], gather(study).prepared)
    failed = {record.number: str(record.result.cause) for record in records if record.result.state is State.FAILED}
    unpruned = {record.number: str(one.cause) for record, one in zip(records, trained, strict=True) if one.state is State.FAILED}
    # What overflows ends as inf or NaN.
    assert all(cause.replace("nan", "inf") == unpruned[number].replace("nan", "inf") for number, cause in failed.items())
    assert all(records[number].result.state is State.PRUNED for number in unpruned.keys() - failed.keys())
    for record, one in zip(records, trained, strict=True):
        if record.number in failed:
            continue
        for mine, theirs in zip(record.result.folds, one.folds, strict=False):
            np.testing.assert_array_equal(mine.curves, theirs.curves[: len(mine.curves)])


@HARDEST
def test_saved_epochs_are_counted(whole: Callable[[str], Path], kind: str) -> None:
    (place,) = (whole(kind) / "records").iterdir()
    book, folds = RecordBook(place), {"median": 1, "halving of folds": 3, "wilcoxon": 6}[kind]
    pruned = [record for record in book.trials() if record.result.state is State.PRUNED]
    by_hand = sum(12 * folds - sum(len(fold.curves) for fold in record.result.folds) for record in pruned)
    assert epochs_saved(book) == (by_hand, 16 * 12 * folds)
    assert by_hand > 0


@pytest.mark.slow
@HARDEST
def test_repair_brings_reports_and_marks_back_from_the_records(whole: Callable[[str], Path], workspace: Path, kind: str) -> None:
    run_study(gather(config(kind)), Workspace(workspace), Silent())
    (place,) = (workspace / "records").iterdir()
    with closing(sqlite3.connect(workspace / "optuna.db")) as database:
        database.execute("UPDATE trial_intermediate_values SET intermediate_value = intermediate_value + 1e-9 WHERE step >= 4")
        database.commit()
    findings = check(Workspace(workspace), RecordBook(place)).findings
    assert findings
    assert all("Optuna holds other reports of its curve than its record" in finding.text for finding in findings)
    assert repair(Workspace(workspace), RecordBook(place), lambda _: None).findings == ()
    assert reported(workspace) == reported(whole(kind))


@HARDEST
def test_a_pruned_trial_is_reproduced_as_far_as_it_came(whole: Callable[[str], Path], tmp_path: Path, kind: str) -> None:
    (place,) = (whole(kind) / "records").iterdir()
    book = RecordBook(place)
    pruned = next(record.number for record in book.trials() if record.result.state is State.PRUNED)
    (tmp_path / "record").symlink_to(book.place(pruned))
    assert reproduce(tmp_path, tolerance=0.0, announce=lambda _: None).sentence == "identical"


@pytest.mark.slow
def test_the_benchmark_plays_back_what_a_study_does(whole: Callable[[str], Path]) -> None:
    study = config("median")
    (place,) = (whole("median") / "records").iterdir()
    records = list(RecordBook(place).trials())
    trained = make_trainer(study.trainer).fit([record.result.spec for record in records], gather(study).prepared)
    played = play_back(study, trained)
    assert [one.state for one in played] == [record.result.state for record in records]
    for one, record in zip(played, records, strict=True):
        # A record has no infinite numbers.
        if one.state is not State.FAILED:
            assert one.curves.tobytes() == record.result.curves.tobytes()
