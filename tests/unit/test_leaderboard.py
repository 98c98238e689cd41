from __future__ import annotations

from pathlib import Path

import pytest
from rich.console import Console

from regsweep.book import RecordBook, read_champion
from regsweep.champion import best_trial
from regsweep.leaderboard import as_frame, as_table, leaderboard
from regsweep.record import TrialRecord
from regsweep.trial import State
from tests.helpers import features, trained
from tests.unit.test_record import facts


@pytest.fixture
def book(tmp_path: Path) -> RecordBook:
    made = RecordBook(tmp_path / "s")
    made.open(facts(), features())
    for number, mse in enumerate([9.0, 4.0, 16.0]):
        made.write_trial(TrialRecord(facts(), number, {"depth": number}, trained(number, mse=mse), 0, 1))
    made.write_trial(TrialRecord(facts(), 3, {"depth": 3}, trained(3, mse=0.1, state=State.FAILED, cause="diverged"), 0, 1))
    interval = {"value": 1.5, "low": 1.0, "high": 2.0}
    test = dict.fromkeys(("mse", "rmse", "mae", "r2"), interval)
    val = {"mse": 6.25, "rmse": 2.5, "mae": 2.0, "r2": 0.5}
    made.write(
        "baseline-mean", {"kind": "baseline", "name": "mean", "parameters": {}, "val": val, "test": test, "seconds": 0.1}, {}
    )
    content = {"kind": "champion", "trial": 1, "members": [[1, 1.0]], "name": "trial 1", "test": test, "verdict": "so it is"}
    made.write("champion", content, {})
    return made


def test_rows_are_ordered_by_the_objective_and_failures_come_last(book: RecordBook) -> None:
    rows = leaderboard(book)
    assert [row.name for row in rows] == ["trial 1 (champion)", "the mean", "trial 0", "trial 2", "trial 3"]
    assert [row.val_rmse for row in rows] == [2.0, 2.5, 3.0, 4.0, None]
    assert list(as_frame(rows)["rank"]) == [1, 2, 3, 4, 5]


def test_an_ensemble_has_a_row_of_its_own(book: RecordBook) -> None:
    champion = read_champion(book)
    assert champion is not None
    members = {"members": [[0, 0.25], [1, 0.75]], "name": "ensemble of 2 trials"}
    book.write("champion", champion | members | {"val": {"mse": 3.61, "mae": 1.0, "r2": 0.9}}, {})
    first, second = leaderboard(book)[:2]
    assert (first.name, first.kind, first.val_rmse) == ("ensemble of 2 trials (champion)", "champion", 1.9)
    assert (first.test_mae, first.params, first.seconds) == (1.5, "25% of trial 0 75% of trial 1", 3.0)
    assert (second.name, second.kind, second.test_mae) == ("trial 1", "trial", None)


def test_only_champion_and_baselines_have_test_values(book: RecordBook) -> None:
    scored = [(row.name, row.test_mae) for row in leaderboard(book) if row.test_mae is not None]
    assert scored == [("trial 1 (champion)", 1.5), ("the mean", 1.5)]


def test_the_table_shows_the_best_trials_and_every_baseline(book: RecordBook) -> None:
    console = Console(width=200)
    with console.capture() as capture:
        console.print(as_table(leaderboard(book), unit="points", title="t", trials=1, wide=True))
    text = capture.get()
    assert "trial 0" in text
    assert "trial 2" not in text
    assert "the mean" in text
    assert "1.5 (1 to 2)" in text
    assert "RMSE and MAE in points" in text


def test_the_best_trial_is_complete_and_the_first_of_equals(book: RecordBook) -> None:
    found = best_trial(book.trials(), "val/mse")
    assert found is not None
    assert found.number == 1
    twins = [TrialRecord(facts(), number, {}, trained(0, mse=1.0), 0, 1) for number in (5, 2)]
    best = best_trial(twins, "val/mse")
    assert best is not None
    assert best.number == 2
    assert best_trial([], "val/mse") is None
