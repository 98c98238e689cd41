"""What ends a study, and what is left of what was in training: a small study on generated data, by an injected clock."""

from __future__ import annotations

from pathlib import Path

import pytest
from mlflow import MlflowClient

from regsweep.book import RecordBook
from regsweep.config import StudyConfig, compose
from regsweep.fsck import check
from regsweep.material import gather
from regsweep.paths import Workspace
from regsweep.repair import repair
from regsweep.show.run import run_and_show
from regsweep.study import Clock, Outcome, run_study, wall_clock
from tests.conftest import TINY
from tests.helpers import Silent

STUDY = (*TINY, "dataset=line", "baselines=none", "n_trials=12", "parallel_trials=4", "sampler=random", "study=budgets")
TWELVE = 12


class Ticking:
    """Milliseconds that pass by themselves, `each` with every look."""

    def __init__(self, each: int) -> None:
        self.now, self._each = 0, each

    def __call__(self) -> int:
        self.now += self._each
        return self.now


def config(*overrides: str) -> StudyConfig:
    return compose([*STUDY, *overrides])[0]


def values(book: RecordBook) -> list[float | None]:
    return [record.objective for record in book.trials()]


def ran(folder: Path, *overrides: str, watcher: Silent | None = None, clock: Clock = wall_clock, bare: bool = False) -> Outcome:
    return run_study(gather(config(*overrides)), Workspace(folder), watcher or Silent(), clock, bare=bare)


def assert_whole(folder: Path, told: int) -> None:
    workspace = Workspace(folder)
    checked = check(workspace, RecordBook(workspace.records / "budgets"))
    assert ([finding.text for finding in checked.findings], checked.told, checked.judged) == ([], told, True)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> list[float]:
    """The objectives of the study that no budget ends."""
    found = values(ran(tmp_path_factory.mktemp("whole"), bare=True).book)
    assert len(found) == TWELVE
    return [value for value in found if value is not None]


@pytest.fixture(scope="module")
def target(whole: list[float]) -> tuple[float, int]:
    """A target that some trial within a batch meets first, and how many trials that takes."""
    number = next(n for n in range(1, TWELVE) if whole[n] < min(whole[:n]) and n % 4 != 3)
    return (whole[number] + min(whole[:number])) / 2, number + 1


@pytest.mark.parametrize(
    "executor",
    [
        pytest.param((), marks=pytest.mark.slow),
        pytest.param(("executor=processes", "executor.workers=1"), marks=pytest.mark.slow),
        ("executor=processes", "executor.workers=2"),
    ],
)
def test_a_target_ends_the_study_at_the_trial_that_meets_it(
    workspace: Path, whole: list[float], target: tuple[float, int], executor: tuple[str, ...]
) -> None:
    goal, trials = target
    outcome = ran(workspace, f"budget.target={goal!r}", *executor)
    assert values(outcome.book) == whole[:trials]
    assert str(outcome.book.ended()).startswith(f"budget.target={goal:g}: val/mse is ")
    assert_whole(workspace, trials)
    client = MlflowClient(Workspace(workspace).tracking_uri)
    (parent,) = client.search_runs([outcome.experiment_id], "tags.`regsweep.kind` = 'study'")
    assert (parent.info.status, parent.data.tags["regsweep.ended"]) == ("FINISHED", outcome.book.ended())


def test_a_study_whose_target_is_met_asks_for_nothing_more_until_it_may_go_on(
    workspace: Path, whole: list[float], target: tuple[float, int]
) -> None:
    goal, trials = target
    ran(workspace, f"budget.target={goal!r}", bare=True)
    again = Silent()
    ran(workspace, f"budget.target={goal!r}", watcher=again)
    assert (again.told, again.seen) == (trials, [])
    assert_whole(workspace, trials)
    # Ended in the middle of a batch, it goes on as if it had not been.
    outcome = ran(workspace)
    assert values(outcome.book) == whole
    assert outcome.book.ended() == "n_trials=12"
    assert_whole(workspace, TWELVE)


def test_trials_without_improvement_are_counted_over_interruptions(workspace: Path, tmp_path: Path, whole: list[float]) -> None:
    patience = 3
    best = 0
    for trials in range(1, TWELVE + 1):
        best = trials - 1 if whole[trials - 1] < whole[best] else best
        if trials - 1 - best >= patience:
            break
    assert trials < TWELVE, "the study must hold so long a drought for this to test anything"
    with pytest.raises(KeyboardInterrupt):
        ran(workspace, f"budget.no_improvement={patience}", watcher=Silent(stop_after=trials - 1), bare=True)
    outcome = ran(workspace, f"budget.no_improvement={patience}")
    assert values(outcome.book) == whole[:trials]
    assert str(outcome.book.ended()).startswith("budget.no_improvement=3: 3 trials without a better val/mse than ")
    assert_whole(workspace, trials)


def test_time_ends_a_call_and_the_next_call_has_as_much_again(workspace: Path, whole: list[float]) -> None:
    seen = 0
    while seen < TWELVE:
        watcher = Silent()
        # What the first call leaves to MLflow and fsck shows what any of them does.
        outcome = ran(workspace, "budget.seconds=3", watcher=watcher, clock=Ticking(each=200), bare=seen > 0)
        assert watcher.told == seen
        assert watcher.seen, "every call gets on"
        seen += len(watcher.seen)
        assert values(outcome.book) == whole[:seen]
        if watcher.told == 0:
            assert_whole(workspace, seen)
        if seen < TWELVE:
            assert str(outcome.book.ended()).startswith("budget.seconds=3: ")
    assert outcome.book.ended() == "n_trials=12"


def test_a_space_that_was_gone_through_ends_the_search_with_a_line(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(workspace.parent)
    one_each = ["depth=0", "learning_rate=0.01", "l2=0", "dropout=0", "optimizer=adam", "encoding=plain"]
    one_each.append("batch_size.choices=[16,32]")
    assert run_and_show(config("sampler=brute_force", *(f"space.parameters.{one}" for one in one_each))) == 0
    assert "the search ended: every configuration has been tried after 2 trials" in capsys.readouterr().out


def test_a_time_that_is_up_at_once_still_tells_a_trial(workspace: Path, whole: list[float]) -> None:
    outcome = ran(workspace, "budget.seconds=0.001", clock=Ticking(each=1000), bare=True)
    assert values(outcome.book) == whole[:1]


def test_a_trial_whose_telling_was_cut_off_is_told_though_the_budget_is_spent(workspace: Path, whole: list[float]) -> None:
    outcome = ran(workspace, "n_trials=6", bare=True)
    place, draft = outcome.book.place(5), workspace / "kept"
    place.rename(draft)
    from regsweep.search import Search, kept_trials

    search = Search(Workspace(workspace), "budgets", config())
    search.restore([told for told in kept_trials(Workspace(workspace), "budgets")[:5] if told is not None])
    draft.rename(place)
    # On disk: six records, of which Optuna knows five; a call that wants no more than five.
    watcher = Silent()
    ran(workspace, "n_trials=5", watcher=watcher)
    assert (watcher.told, watcher.seen) == (5, [5])
    assert_whole(workspace, 6)


@pytest.mark.slow
def test_fsck_and_repair_know_the_note_of_the_end(workspace: Path, target: tuple[float, int]) -> None:
    book = ran(workspace, f"budget.target={target[0]!r}").book
    (book.folder / "ended.json").write_text('{"trials": 5}')
    found = check(Workspace(workspace), book).findings
    assert ["ended.json" in finding.text for finding in found] == [True]
    assert repair(Workspace(workspace), book, lambda _: None).findings == ()
    ran(workspace, f"budget.target={target[0]!r}")
    assert str(book.ended()).startswith("budget.target")
