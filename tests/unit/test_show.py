"""What the commands show, as far as no study has to be run for it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from regsweep.book import RecordBook
from regsweep.config import compose
from regsweep.record import TrialRecord
from regsweep.search import Told
from regsweep.show.bar import Bar
from regsweep.show.console import plain_console, where
from regsweep.show.studies import print_study
from regsweep.trial import State
from tests.helpers import features, trained
from tests.unit.test_record import facts


def record(number: int, mse: float = 4.0, state: State = State.COMPLETE) -> TrialRecord:
    return TrialRecord(facts(), number, {"depth": number}, trained(number, mse=mse, state=state), 0, 1)


@pytest.fixture
def drawn() -> Callable[..., str]:
    """Draws a bar that is told these trials, and returns the last of it."""

    def draw(*records: TrialRecord, told: tuple[Told, ...] = (), lost: tuple[int, ...] = (), objective: str = "val/mse") -> str:
        screen = StringIO()
        bar = Bar(Console(file=screen, force_terminal=True, width=120), compose([f"objective={objective}", "n_trials=5"])[0])
        bar.begin(facts(), told)
        bar.redoing(lost)
        for one in records:
            bar.trial(one)
        bar.judging()
        # Without colours, and with a new line wherever the cursor goes elsewhere.
        lines = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "\n", re.sub(r"\x1b\[[0-9;]*m", "", screen.getvalue())).splitlines()
        return [line for line in lines if line.strip()][-1]

    return draw


def test_the_bar_shows_how_many_trials_are_done_and_the_best_of_them(drawn: Callable[..., str]) -> None:
    assert "best val/mse 4 " in (line := drawn(record(0, mse=9.0), record(1, mse=4.0), record(2, mse=16.0)))
    assert "3/5" in line
    assert "best val/mse 2 " in (line := drawn(record(1, mse=9.0), told=(Told(0, State.COMPLETE, 2.0, {}),)))
    assert "2/5" in line


def test_the_bar_takes_the_greatest_where_more_is_better(drawn: Callable[..., str]) -> None:
    told = tuple(Told(number, State.COMPLETE, value, {}) for number, value in enumerate([0.25, 0.75, 0.5]))
    assert "best val/r2 0.75 " in drawn(told=told, objective="val/r2")


def test_a_trial_that_is_trained_again_is_not_counted_twice(drawn: Callable[..., str]) -> None:
    told = tuple(Told(number, State.COMPLETE, 9.0, {}) for number in range(2))
    assert "2/5" in drawn(record(0), told=told, lost=(0,))
    assert "3/5" in drawn(record(0), record(2), told=told, lost=(0,))


def test_commands_to_copy_are_quoted_for_a_shell() -> None:
    assert where(compose([])[0]) == ""
    config = compose([])[0]
    spaced = config.model_copy(update={"tracking": config.tracking.model_copy(update={"dir": "my runs"})})
    assert where(spaced) == " --dir 'my runs'"


def test_a_studys_title_counts_what_failed_and_what_is_not_shown(tmp_path: Path) -> None:
    book = RecordBook(tmp_path / "s")
    book.open(facts(), features())
    for number, mse in enumerate([9.0, 4.0, 16.0, 25.0]):
        book.write_trial(record(number, mse))
    book.write_trial(record(4, state=State.FAILED))
    console = Console(width=200)
    with console.capture() as capture:
        print_study(console, book, trials=1)
    title = capture.get().splitlines()[0]
    assert "5 trials, 1 failed, " in title
    # The best one is shown, and three complete ones and the failed one are not.
    assert title.rstrip().endswith("4 not shown")


@pytest.mark.parametrize(("patience", "said"), [(None, "(saved 8 of 15 epochs)"), (3, "(saved at most 8 of 15 epochs)")])
def test_what_a_pruner_saved_where_patience_would_have_ended_trials_is_a_bound(
    tmp_path: Path, patience: int | None, said: str
) -> None:
    study = facts()
    trainer = study.config.trainer.model_copy(update={"patience": patience})
    book = RecordBook(tmp_path / "s")
    book.open(replace(study, config=study.config.model_copy(update={"trainer": trainer})), features())
    for number, epochs in enumerate([5, 1, 1]):
        result = trained(number, epochs=epochs, state=State.PRUNED if number else State.COMPLETE)
        result = replace(result, spec=replace(result.spec, epochs=5))
        book.write_trial(TrialRecord(facts(), number, {"depth": number}, result, 0, 1))
    console = Console(width=200)
    with console.capture() as capture:
        print_study(console, book, trials=1)
    assert f"2 stopped early {said}" in capture.get().splitlines()[0]


def test_a_verdict_of_before_the_search_went_on_is_said_to_be_that(tmp_path: Path) -> None:
    book = RecordBook(tmp_path / "s")
    book.open(facts("n_trials=2"), features())
    for number in range(2):
        book.write_trial(record(number))
    values = {"rmse": 1.0, "mae": 1.0, "r2": 0.5, "mse": 1.0}
    judged = {
        "kind": "champion", "trial": 0, "champion": "bag", "members": [[0, 1.0]], "name": "trial 0", "label": "the network",
        "val": values, "test": {name: {"value": one, "low": one, "high": one} for name, one in values.items()},
        "optimism": values, "verdict": "It is.", "openings": [],
    }  # fmt: skip
    book.write("champion", judged, {})
    book.end("n_trials=2")
    book.ending.settle(None)

    def shown() -> str:
        console = Console(width=200)
        with console.capture() as capture:
            print_study(console, book, trials=1)
        return capture.get()

    assert "It is." in shown() and "note:" not in shown()
    book.open(facts("n_trials=9"), features())
    book.write_trial(record(2))
    assert "note: the search has gone on since this verdict and was not judged again" in shown()


def test_a_console_takes_names_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    plain_console().print("'a:key:b' [bold]c[/bold] :x:")
    assert capsys.readouterr().out == "'a:key:b' [bold]c[/bold] :x:\n"
