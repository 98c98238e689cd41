"""Several objectives, with real training, Optuna and MLflow: interrupted, resumed, checked, repaired."""

from __future__ import annotations

from pathlib import Path

import optuna
import pytest
from mlflow import MlflowClient

from regsweep.book import RecordBook
from regsweep.config import StudyConfig, compose
from regsweep.fsck import check
from regsweep.leaderboard import leaderboard
from regsweep.material import gather
from regsweep.paths import Workspace
from regsweep.repair import repair
from regsweep.study import run_study
from regsweep.tracking.drain import sync
from tests.conftest import TINY
from tests.helpers import FINITE, FINITE_SPACE, Silent

# A grid has no trials beyond its last one, with which this study goes on.
ALSO = ("tpe", "random", "qmc", "brute_force")


def config(sampler: str) -> StudyConfig:
    several = ("objective=[val/mse,parameters]", f"sampler={sampler}", "n_trials=14", "parallel_trials=3", "baselines=none")
    # 26 configurations.
    finite = ("space=broad", *FINITE_SPACE) if sampler in FINITE else ()
    # By its default it would have nothing to select from.
    population = ("sampler.population=4",) if sampler == "nsga2" else ()
    return compose([*TINY, *several, *finite, *population])[0]


def table(book: RecordBook) -> list[tuple[dict[str, object], float | None, tuple[float, ...]]]:
    return [(dict(record.params), record.objective, record.others) for record in book.trials()]


@pytest.mark.parametrize("sampler", ["nsga2", *(pytest.param(name, marks=pytest.mark.slow) for name in ALSO)])
def test_a_study_of_two_objectives_goes_on_and_says_the_same_everywhere(workspace: Path, tmp_path: Path, sampler: str) -> None:
    material, place = gather(config(sampler)), Workspace(workspace)
    with pytest.raises(KeyboardInterrupt):
        run_study(material, place, Silent(stop_after=7))
    outcome = run_study(material, place, Silent())
    book = outcome.book
    whole = run_study(material, Workspace(tmp_path / "whole"), Silent(), bare=True)
    assert table(book) == table(whole.book)
    assert all(others == (float(_weights(book, number)),) for number, (_, _, others) in enumerate(table(book)))

    kept = optuna.load_study(study_name=outcome.facts.study, storage=f"sqlite:///{workspace}/optuna.db")
    assert [trial.values for trial in kept.trials] == [[first, *others] for _, first, others in table(book)]
    front = {trial.number for trial in kept.best_trials}
    assert {int(row.name.split()[1]) for row in leaderboard(book) if row.pareto} == front
    values = [first for _, first, _ in table(book) if first is not None]
    assert outcome.judgement.trial.objective == min(values)

    client = MlflowClient(f"sqlite:///{workspace}/mlflow.db")
    experiment = [str(outcome.experiment_id)]
    found = client.search_runs(experiment, "tags.`regsweep.pareto` = 'true'")
    assert {int(run.data.tags["regsweep.key"]) for run in found} == front
    (parent,) = client.search_runs(experiment, "tags.`regsweep.kind` = 'study'")
    assert "pareto_front.png" in {entry.path for entry in client.list_artifacts(parent.info.run_id)}

    assert check(place, book).findings == ()
    client.delete_tag(found[0].info.run_id, "regsweep.pareto")
    (finding,) = check(place, book).findings
    assert "Pareto" in finding.text
    assert repair(place, book, lambda _: None).findings == ()
    assert len(client.search_runs(experiment, "tags.`regsweep.pareto` = 'true'")) == len(front)

    # Stopped on the way to more trials, it has a front of its own, which is tagged when it is judged.
    longer = material.config.model_copy(update={"n_trials": material.config.n_trials + 8})
    with pytest.raises(KeyboardInterrupt):
        run_study(gather(longer), place, Silent(stop_after=6))
    assert len(book.numbers()) > material.config.n_trials
    assert not [finding for finding in check(place, book).findings if "Pareto" in finding.text]
    sync(place, book, lambda _: None)
    assert check(place, book).findings == ()


def _weights(book: RecordBook, number: int) -> int:
    record = book.trial(number)
    assert record is not None
    network = record.result.folds[0].network
    return sum(array.size for array in (*network.kernels, *network.biases))


@pytest.mark.slow
def test_a_second_objective_that_optuna_holds_otherwise_is_found_and_restored(workspace: Path) -> None:
    import sqlite3
    from contextlib import closing

    outcome = run_study(gather(config("random")), Workspace(workspace), Silent())
    with closing(sqlite3.connect(workspace / "optuna.db")) as database, database:
        database.execute("UPDATE trial_values SET value = value + 1 WHERE objective = 1 AND trial_id = 3")
    (finding,) = check(Workspace(workspace), outcome.book).findings
    assert "trial 2" in finding.text
    said: list[str] = []
    assert repair(Workspace(workspace), outcome.book, said.append).findings == ()
    assert any("written anew" in line for line in said)
