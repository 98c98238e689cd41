"""What every sampler must keep, through the study's ask and tell."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from regsweep.config import StudyConfig, compose
from regsweep.errors import StorageError
from regsweep.paths import Workspace
from regsweep.search import Search
from regsweep.trial import Scalar, State

SAMPLERS = ("tpe", "random")
Table = list[tuple[int, dict[str, Scalar], float | None]]


def config(sampler: str, *overrides: str) -> StudyConfig:
    return compose([f"sampler={sampler}", "parallel_trials=3", *overrides])[0]


def value_of(params: dict[str, Scalar]) -> float:
    """A smooth objective with a known best at learning rate 0.003 and depth 2."""
    import math

    return (math.log10(float(params["learning_rate"])) + 2.5) ** 2 + (int(params["depth"]) - 2) ** 2 / 4


def go_on(folder: Path, study: StudyConfig, n_trials: int, *, stop_after: int | None = None) -> Table:
    """Ask and tell until `n_trials`, or give up after so many tells, as a killed driver would."""
    search = Search(Workspace(folder), "s", study)
    table: Table = []
    while batch := search.next_batch(n_trials):
        for proposal in batch:
            if stop_after is not None and len(table) == stop_after:
                return table
            params = dict(proposal.params)
            search.tell(proposal.number, State.COMPLETE, value_of(params))
            table.append((proposal.number, params, value_of(params)))
    return table


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("cut", [1, 13, 14])
def test_an_interrupted_study_goes_on_as_if_it_had_not_been(tmp_path: Path, sampler: str, cut: int) -> None:
    whole = go_on(tmp_path / "whole", config(sampler), 18)
    first = go_on(tmp_path / "cut", config(sampler), 18, stop_after=cut)
    assert len(first) == cut
    assert first + go_on(tmp_path / "cut", config(sampler), 18) == whole
    assert [number for number, _, _ in whole] == list(range(18))


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("first", [2, 12, 13, 17])
def test_an_extended_study_equals_one_that_was_as_long_from_the_start(tmp_path: Path, sampler: str, first: int) -> None:
    whole = go_on(tmp_path / "whole", config(sampler), 18)
    assert go_on(tmp_path / "short", config(sampler), first) + go_on(tmp_path / "short", config(sampler), 18) == whole


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_asked_trials_that_an_earlier_version_kept_are_asked_again(tmp_path: Path, sampler: str) -> None:
    import optuna

    whole = go_on(tmp_path / "whole", config(sampler), 18)
    go_on(tmp_path / "old", config(sampler), 18, stop_after=14)
    kept = optuna.load_study(study_name="s", storage=f"sqlite:///{tmp_path}/old/optuna.db")
    kept.ask()
    kept.ask()
    go_on(tmp_path / "old", config(sampler), 18)
    trials = optuna.load_study(study_name="s", storage=f"sqlite:///{tmp_path}/old/optuna.db").get_trials()
    assert [(trial.number, trial.value) for trial in trials] == [(number, value) for number, _, value in whole]


def test_a_trial_that_another_program_adds_is_noticed(tmp_path: Path) -> None:
    import optuna

    search = Search(Workspace(tmp_path), "s", config("random"))
    (proposal,) = search.next_batch(1)
    optuna.load_study(study_name="s", storage=f"sqlite:///{tmp_path}/optuna.db").ask()
    with pytest.raises(StorageError, match="added by another program"):
        search.tell(proposal.number, State.COMPLETE, 1.0)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_the_budget_counts_over_all_calls(tmp_path: Path, sampler: str) -> None:
    assert len(go_on(tmp_path, config(sampler), 4)) == 4
    assert len(go_on(tmp_path, config(sampler), 4)) == 0
    assert [number for number, _, _ in go_on(tmp_path, config(sampler), 7)] == [4, 5, 6]


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_proposals_are_the_same_in_another_process_and_differ_by_seed(tmp_path: Path, sampler: str) -> None:
    here = go_on(tmp_path / "here", config(sampler, "seed=0"), 12)
    program = (
        "import sys; from pathlib import Path; from tests.contract.test_search import *;"
        f"print(go_on(Path(sys.argv[1]), config({sampler!r}, 'seed=0'), 12))"
    )
    there = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "there")],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    assert there.stdout.strip() == str(here)
    assert go_on(tmp_path / "seed1", config(sampler, "seed=1"), 12) != here


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_proposals_lie_in_the_space_and_keep_its_conditions(tmp_path: Path, sampler: str) -> None:
    for _, params, _ in go_on(tmp_path, config(sampler), 30):
        assert 0 <= int(params["depth"]) <= 4
        assert 1e-4 <= float(params["learning_rate"]) <= 3e-2
        assert int(params["epochs"]) in (20, 30, 40, 50, 60)
        assert params["batch_size"] in (16, 32, 64)
        assert ("width" in params) == ("activation" in params) == ("dropout" in params) == (int(params["depth"]) > 0)


def test_tpe_finds_better_trials_than_its_random_start(tmp_path: Path) -> None:
    values = [value for _, _, value in go_on(tmp_path, config("tpe"), 60) if value is not None]
    assert min(values[10:]) < min(values[:10])
    assert sum(values[40:]) / 20 < sum(values[:10]) / 10


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_five_failures_in_a_row_are_survived_and_never_best(tmp_path: Path, sampler: str) -> None:
    search = Search(Workspace(tmp_path), "s", config(sampler))
    for _ in range(2):
        for proposal in search.next_batch(6):
            search.tell(proposal.number, State.FAILED, None)
    assert len(go_on(tmp_path, config(sampler), 20)) == 14
    states = [trial.state for trial in Search(Workspace(tmp_path), "s", config(sampler)).told()]
    assert states == [State.FAILED] * 6 + [State.COMPLETE] * 14


def test_r2_is_maximised_without_a_flipped_sign(tmp_path: Path) -> None:
    search = Search(Workspace(tmp_path), "s", config("random", "objective=val/r2"))
    for proposal in search.next_batch(3):
        search.tell(proposal.number, State.COMPLETE, 0.1 * proposal.number)
    assert [trial.value for trial in search.told()] == [0.0, 0.1, 0.2]
    assert search._study.best_trial.number == 2
