"""Damage of every kind: `fsck` names it and changes nothing, `repair` restores it."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import optuna
import pytest

from regsweep.book import RecordBook
from regsweep.config import compose
from regsweep.folder import write_folder
from regsweep.fsck import check
from regsweep.paths import Workspace
from regsweep.repair import repair
from regsweep.study import gather, run_study
from tests.conftest import TINY, run_cli
from tests.helpers import Silent

FIVE = ("n_trials=5", "study=five", "baselines=closed_form", "space.parameters.learning_rate.high=1e30", "sampler=random")


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Path:
    """The workspace of a judged study with complete and failed trials. Read it, do not change it."""
    root = tmp_path_factory.mktemp("sound") / "mlruns"
    root.mkdir()
    shutil.copy(empty_store, root)
    outcome = run_study(gather(compose([*TINY, *FIVE])[0]), Workspace(root), Silent())
    assert {content["state"] for content in outcome.book.contents("trial")} == {"complete", "failed"}
    return root


@pytest.fixture
def root(sound: Path, tmp_path: Path) -> Path:
    """A copy of it, in which MLflow's paths lead to the copy."""
    root = tmp_path / "mlruns"
    shutil.copytree(sound, root)
    for table, column in (("runs", "artifact_uri"), ("experiments", "artifact_location")):
        sql(root, f"UPDATE {table} SET {column} = replace({column}, '{sound}', '{root}')")
    return root


def sql(root: Path, statement: str, database: str = "mlflow.db") -> None:
    with closing(sqlite3.connect(root / database)) as connection, connection:
        connection.execute(statement)


def book_of(root: Path) -> RecordBook:
    return RecordBook(root / "records" / "five")


def folder_of(root: Path, kind: str, key: object) -> Path:
    query = """
        SELECT artifact_uri FROM runs JOIN tags kind USING (run_uuid) JOIN tags key USING (run_uuid)
        WHERE kind.key = 'regsweep.kind' AND kind.value = ? AND key.key = 'regsweep.key' AND key.value = ?
    """
    with closing(sqlite3.connect(root / "mlflow.db")) as connection:
        return Path(connection.execute(query, (kind, str(key))).fetchone()[0])


def contents(root: Path) -> dict[str, bytes]:
    """Every file of a workspace but the databases' side files and the locks."""
    return {
        str(place.relative_to(root)): place.read_bytes()
        for place in sorted(root.rglob("*"))
        if place.is_file() and not place.name.endswith(("-wal", "-shm", "lock"))
    }


def table(root: Path) -> list[tuple[int, dict[str, object], float | None]]:
    return [(record.number, dict(record.params), record.objective) for record in book_of(root).trials()]


def flip(place: Path) -> None:
    content = bytearray(place.read_bytes())
    content[len(content) // 2] ^= 1
    place.write_bytes(content)


def tell_otherwise(root: Path) -> None:
    # The last bit of an objective.
    sql(root, "UPDATE trial_values SET value = value * (1 + 3e-16)", "optuna.db")


def leave_running(root: Path) -> None:
    optuna.load_study(study_name="five", storage=f"sqlite:///{root}/optuna.db").ask()


def forget_optuna(root: Path) -> None:
    for place in root.glob("optuna.db*"):
        place.unlink()


def lose_a_trial(root: Path) -> None:
    shutil.rmtree(book_of(root).place(2))
    shutil.rmtree(folder_of(root, "trial", 2))


def write_untold(root: Path) -> None:
    storage = f"sqlite:///{root}/optuna.db"
    trials = optuna.load_study(study_name="five", storage=storage).get_trials()
    optuna.delete_study(study_name="five", storage=storage)
    optuna.create_study(study_name="five", storage=storage).add_trials(trials[:4])


def double_a_run(root: Path) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{root}/mlflow.db")
    (experiment,) = (e.experiment_id for e in client.search_experiments() if e.name != "Default")
    run = client.search_runs([experiment], "tags.`regsweep.kind` = 'trial' AND tags.`regsweep.key` = '1'")[0]
    client.create_run(experiment, tags=run.data.tags)


COMPLETE = "SELECT run_uuid FROM tags WHERE key = 'regsweep.state' AND value = 'complete' LIMIT 1"
METRICS = f"metrics WHERE key = 'val/mse' AND step = 1 AND run_uuid = ({COMPLETE})"
TRIAL = "run_uuid IN (SELECT run_uuid FROM tags WHERE key = 'regsweep.kind' AND value = 'trial')"
DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "flipped weights": (lambda root: flip(book_of(root).place(1) / "arrays.npz"), "trial-00001/arrays.npz: its bytes differ"),
    "torn record": (
        lambda root: (book_of(root).place(1) / "record.json").write_text('{"format"'),
        "trial-00001/record.json: its bytes differ",
    ),
    "record and copy gone": (lose_a_trial, "trial 2: Optuna holds it, but it has no record"),
    "left by a crash": (lambda root: (book_of(root).folder / ".trial-00009.77").mkdir(), "was left by a crash"),
    "another objective": (tell_otherwise, "Optuna complete"),
    "left running": (leave_running, "trial 5: Optuna holds it as running"),
    "Optuna's database gone": (forget_optuna, "trial 0: has a record that Optuna was not told"),
    "untold": (write_untold, "trial 4: has a record that Optuna was not told"),
    "MLflow's database gone": (lambda root: (root / "mlflow.db").unlink(), "MLflow has no run of the study"),
    "doubled run": (double_a_run, "trial 1 has 2 runs"),
    "run left running": (lambda root: sql(root, f"UPDATE runs SET status = 'RUNNING' WHERE {TRIAL}"), "is RUNNING, should be"),
    "study left running": (lambda root: sql(root, "UPDATE runs SET status = 'RUNNING' WHERE name = 'five'"), "study's is"),
    "hole in a curve": (lambda root: sql(root, f"DELETE FROM {METRICS}"), "lacks 1 of its"),
    "one bit of a metric": (
        lambda root: sql(root, f"UPDATE metrics SET value = value * (1 + 3e-16) WHERE key = 'final/val/mse' AND {TRIAL}"),
        "metric points and has 1 others",
    ),
    "other parameters": (
        lambda root: sql(root, f"UPDATE params SET value = '7' WHERE key = 'depth' AND {TRIAL}"), "its parameters are not"
    ),
    "damaged model": (
        lambda root: flip(next(root.glob("artifacts/*/*/artifacts/model/artifacts/weights.npz"))), "weights.npz: is not what"
    ),
    "artifact too many": (lambda root: (folder_of(root, "trial", 0) / "x").touch(), "artifacts/x: is not what was recorded"),
    "artifacts of no run": (lambda root: next(root.glob("artifacts/*/")).joinpath("0" * 32).mkdir(), "artifacts of no run"),
}  # fmt: skip


def test_a_sound_study_is_found_whole_and_left_alone(root: Path) -> None:
    before = contents(root)
    checked = check(Workspace(root), book_of(root))
    assert (checked.findings, checked.told, checked.judged) == ((), 5, True)
    assert contents(root) == before
    assert repair(Workspace(root), book_of(root), lambda _: None).findings == ()
    assert table(root) == table(root)


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_named_left_alone_by_fsck_and_repaired(damage: str, root: Path, sound: Path) -> None:
    harm, named = DAMAGES[damage]
    harm(root)
    before = contents(root)
    findings = [finding.text for finding in check(Workspace(root), book_of(root)).findings]
    assert any(named in text for text in findings), findings
    assert contents(root) == before
    done: list[str] = []
    assert [finding.text for finding in repair(Workspace(root), book_of(root), done.append).findings] == [], done
    assert table(root) == table(sound)
    told = optuna.load_study(study_name="five", storage=f"sqlite:///{root}/optuna.db").get_trials()
    assert [(trial.number, trial.value) for trial in told] == [(number, value) for number, _, value in table(sound)]


def test_a_damaged_record_comes_back_from_its_copy_byte_for_byte(root: Path, sound: Path) -> None:
    flip(book_of(root).place(3) / "record.json")
    done: list[str] = []
    repair(Workspace(root), book_of(root), done.append)
    assert any("trial-00003: copied back" in line for line in done)
    for name in ("record.json", "arrays.npz", "SHA256SUMS"):
        assert (book_of(root).place(3) / name).read_bytes() == (book_of(sound).place(3) / name).read_bytes()


@pytest.mark.parametrize("name", ["trial-00001", "trial-00004", "champion", "baseline-ridge_closed_form"])
def test_the_next_run_makes_a_damaged_record_again(name: str, root: Path, sound: Path) -> None:
    flip(book_of(root).folder / name / "record.json")
    watcher = Silent()
    outcome = run_study(gather(compose([*TINY, *FIVE])[0]), Workspace(root), watcher)
    assert outcome.problem is None
    assert watcher.redone == ([int(name[-1])] if name.startswith("trial") else [])
    assert check(Workspace(root), book_of(root)).findings == ()
    assert table(root) == table(sound)


def test_openings_of_the_test_rows_are_not_forgotten_in_a_crash_between_two_renames(root: Path) -> None:
    place = book_of(root).folder / "test-openings"
    write_folder(place.with_name(".test-openings.1"), {"openings": []}, {})
    place.rename(place.with_name(".test-openings.former"))
    outcome = run_study(gather(compose([*TINY, *FIVE])[0]), Workspace(root), Silent())
    assert outcome.judgement is not None
    assert len(outcome.judgement.content["openings"]) == 1


def test_the_commands_say_what_is_wrong_and_by_exit_code_whether(root: Path) -> None:
    assert "five: 5 of 5 trials, judged: whole" in run_cli("fsck", "five", cwd=root.parent).stdout
    flip(book_of(root).place(1) / "arrays.npz")
    shown = run_cli("fsck", cwd=root.parent, code=1).stdout
    assert "its bytes differ from what was recorded" in shown
    assert "problems; `regsweep repair` restores it" in shown
    assert "copied back" in run_cli("repair", "five", cwd=root.parent).stdout
    run_cli("fsck", "five", cwd=root.parent)
    assert "there is no study 'six' here; known: five" in run_cli("fsck", "six", cwd=root.parent, code=2).stderr
