"""Damage of every kind: `fsck` names it and changes nothing, `repair` restores it."""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
import zipfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import optuna
import pytest
from mlflow import MlflowClient

from regsweep.book import RecordBook
from regsweep.config import StudyConfig, compose
from regsweep.errors import ConfigError, StorageError, UnreadableError
from regsweep.folder import write_folder
from regsweep.fsck import check
from regsweep.material import gather
from regsweep.paths import Workspace, read_only
from regsweep.repair import _set_aside, repair
from regsweep.show.console import find_books
from regsweep.show.studies import show_studies
from regsweep.show.upkeep import repair_and_show, sync_and_show
from regsweep.study import run_study
from regsweep.sums import is_whole
from regsweep.tracking.drain import sync
from regsweep.tracking.moved import bring_home
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
    bring_home(Workspace(root))
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


def contents(root: Path) -> dict[str, str]:
    """The sha256 of every file of a workspace but the databases' side files and the locks."""
    return {
        str(place.relative_to(root)): hashlib.sha256(place.read_bytes()).hexdigest()
        for place in sorted(root.rglob("*"))
        if place.is_file() and not place.name.endswith(("-wal", "-shm", "lock"))
    }


def table(root: Path) -> list[tuple[int, dict[str, object], float | None]]:
    return [(record.number, dict(record.params), record.objective) for record in book_of(root).trials()]


def folder(root: Path, name: str) -> Path:
    return book_of(root).folder / name


def rubbish(root: Path, name: str) -> None:
    for place in root.glob(f"{name}-*"):
        place.unlink()
    (root / name).write_bytes(b"rubbish " * 999)


def change_features(root: Path) -> None:
    place = folder(root, "features.json")
    place.write_text(place.read_text().replace("columns", "colours", 1))


def flip(place: Path) -> None:
    content = bytearray(place.read_bytes())
    content[len(content) // 2] ^= 1
    place.write_bytes(content)


def tell_otherwise(root: Path) -> None:
    # The last bit of an objective.
    sql(root, "UPDATE trial_values SET value = value * (1 + 3e-16)", "optuna.db")


def draw_otherwise(root: Path) -> None:
    sql(root, "UPDATE trial_params SET param_value = param_value * 1.5 WHERE param_name = 'learning_rate'", "optuna.db")


def stray_artifacts(root: Path) -> None:
    place = root / "artifacts" / "diabetes" / ("0" * 32)
    place.mkdir()
    # A recorder at work writes artifacts first: a young folder is no leftover.
    os.utime(place, (0, 0))


def leave_running(root: Path) -> None:
    storage = optuna.storages.RDBStorage(f"sqlite:///{root}/optuna.db")
    optuna.load_study(study_name="five", storage=storage).ask()
    # Else it would be tidied up some time later.
    storage.remove_session()
    storage.engine.dispose()


def forget_optuna(root: Path) -> None:
    for place in root.glob("optuna.db*"):
        place.unlink()


def lose_a_trial(root: Path) -> None:
    shutil.rmtree(book_of(root).place(2))
    shutil.rmtree(folder_of(root, "trial", 2))


def write_untold(root: Path) -> None:
    storage = optuna.storages.RDBStorage(f"sqlite:///{root}/optuna.db")
    trials = optuna.load_study(study_name="five", storage=storage).get_trials()
    optuna.delete_study(study_name="five", storage=storage)
    optuna.create_study(study_name="five", storage=storage).add_trials(trials[:4])
    storage.remove_session()
    storage.engine.dispose()


def double_a_run(root: Path) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{root}/mlflow.db")
    (experiment,) = (e.experiment_id for e in client.search_experiments() if e.name != "Default")
    run = client.search_runs([experiment], "tags.`regsweep.kind` = 'trial' AND tags.`regsweep.key` = '1'")[0]
    client.create_run(experiment, tags=run.data.tags)


COMPLETE = "SELECT run_uuid FROM tags WHERE key = 'regsweep.state' AND value = 'complete' LIMIT 1"
RIDGE = "baseline-ridge_closed_form"
METRICS = f"metrics WHERE key = 'val/mse' AND step = 1 AND run_uuid = ({COMPLETE})"
TRIAL = "run_uuid IN (SELECT run_uuid FROM tags WHERE key = 'regsweep.kind' AND value = 'trial')"
DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "flipped weights": (lambda root: flip(book_of(root).place(1) / "arrays.npz"), "trial-00001/arrays.npz: its bytes differ"),
    "torn record": (
        lambda root: (book_of(root).place(1) / "record.json").write_text('{"format"'),
        "trial-00001/record.json: its bytes differ",
    ),
    "record and copy gone": (lose_a_trial, "trial 2: Optuna holds it, but it has no whole record"),
    "left by a crash": (lambda root: (book_of(root).folder / ".trial-00009.77").mkdir(), "was left by a crash"),
    "another objective": (tell_otherwise, "Optuna complete"),
    "left running": (leave_running, "trial 5: Optuna holds it as running"),
    "Optuna's database gone": (forget_optuna, "trial 0: has a record that Optuna was not told"),
    "other hyperparameters": (draw_otherwise, "Optuna holds other hyperparameters"),
    "no Optuna database": (lambda root: rubbish(root, "optuna.db"), "optuna.db: can't be read"),
    "no MLflow database": (lambda root: rubbish(root, "mlflow.db"), "mlflow.db: can't be read"),
    "record gone": (lambda root: shutil.rmtree(book_of(root).place(3)), "trial 3: Optuna holds it, but it has no whole record"),
    "openings gone": (lambda root: shutil.rmtree(folder(root, "test-openings")), "test-openings/SHA256SUMS: can't be read"),
    "flipped openings": (lambda root: flip(folder(root, "test-openings") / "record.json"), "test-openings/record.json: its"),
    "champion gone": (lambda root: shutil.rmtree(folder(root, "champion")), "but its scores are missing"),
    "flipped champion": (lambda root: flip(folder(root, "champion") / "record.json"), "champion/record.json: its bytes differ"),
    "flipped champion's weights": (lambda root: flip(folder(root, "champion") / "arrays.npz"), "champion/arrays.npz: its bytes"),
    "flipped baseline's answers": (lambda root: flip(folder(root, RIDGE) / "arrays.npz"), f"{RIDGE}/arrays.npz: its bytes"),
    "study.json gone": (lambda root: folder(root, "study.json").unlink(), "study.json: can't be read"),
    "baseline gone": (lambda root: shutil.rmtree(folder(root, RIDGE)), f"{RIDGE}/SHA256SUMS: can't be read"),
    "torn study.json": (lambda root: folder(root, "study.json").write_text("{"), "study.json: is no whole file"),
    "changed features": (change_features, "features.json: its content differs"),
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
    "artifacts of no run": (stray_artifacts, "artifacts of no run"),
}  # fmt: skip


def test_a_sound_study_is_found_whole_and_left_alone(root: Path, sound: Path) -> None:
    before = contents(root)
    checked = check(Workspace(root), book_of(root))
    assert (checked.findings, checked.told, checked.judged) == ((), 5, True)
    assert contents(root) == before
    assert repair(Workspace(root), book_of(root), lambda _: None).findings == ()
    assert contents(root) == before
    assert table(root) == table(sound)


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


@pytest.mark.parametrize(
    "name",
    [
        "trial-00001",
        pytest.param("trial-00004", marks=pytest.mark.slow),
        "champion",
        pytest.param("baseline-ridge_closed_form", marks=pytest.mark.slow),
    ],
)
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


def test_repair_trains_nothing_on_other_data(tmp_path: Path, houses: Path, workspace: Path) -> None:
    shutil.copy(houses / "houses.csv", tmp_path)
    csv = ("dataset=csv", f"dataset.path={tmp_path}/houses.csv", "dataset.target=price", "study=five", "baselines=none")
    outcome = run_study(gather(compose([*TINY, *csv])[0]), Workspace(workspace), Silent())
    objective = outcome.book.place(1) / "record.json"
    assert objective.is_file()
    for place in (outcome.book.place(1), folder_of(workspace, "trial", 1)):
        shutil.rmtree(place)
    table = (tmp_path / "houses.csv").read_text().splitlines()
    (tmp_path / "houses.csv").write_text("\n".join([*table[:-1], table[-2]]))
    with pytest.raises(ConfigError, match=r"dataset\.sha256: was"):
        repair(Workspace(workspace), outcome.book, lambda _: None)


def test_repair_leaves_the_alias_where_it_is(workspace: Path) -> None:
    from mlflow import MlflowClient

    for seed in (1, 2):
        config = compose([*TINY, f"study=s{seed}", f"seed={seed}", "baselines=none"])[0]
        run_study(gather(config), Workspace(workspace), Silent())
    client = MlflowClient(f"sqlite:///{workspace}/mlflow.db", f"sqlite:///{workspace}/mlflow.db")
    before = client.get_model_version_by_alias("diabetes", "champion").tags["regsweep.study"]
    older = RecordBook(workspace / "records" / "s1")
    flip(older.place(1) / "arrays.npz")
    assert repair(Workspace(workspace), older, lambda _: None).findings == ()
    # Nor does copying all studies afterwards move it: the older one has not run last because it was repaired last.
    sync_and_show(Workspace(workspace), None)
    assert before == "s2" == client.get_model_version_by_alias("diabetes", "champion").tags["regsweep.study"]
    assert [book.folder.name for book in find_books(Workspace(workspace), None)] == ["s2", "s1"]


def test_a_damaged_study_keeps_no_other_from_its_turn(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("old", "new"):
        config = compose([*TINY, "n_trials=1", "dataset=line", f"study={name}", "baselines=none"])[0]
        run_study(gather(config), Workspace(workspace), Silent(), bare=True)
    for place in ("trial-00000", "champion"):
        flip(workspace / "records" / "old" / place / "record.json")
    with pytest.raises(StorageError, match="old"):
        sync_and_show(Workspace(workspace), None)
    assert "new: 1 trials were missing in MLflow" in capsys.readouterr().out
    show_studies(Workspace(workspace))
    lines = capsys.readouterr().out.splitlines()
    assert ["damaged: see regsweep fsck" in line for line in lines if line.startswith("old ")] == [True]
    assert ["judged" in line for line in lines if line.startswith("new ")] == [True]
    with RecordBook(workspace / "records" / "new").locked():
        assert repair_and_show(Workspace(workspace), None) == 1
    out = capsys.readouterr().out
    assert "new: is running; repair it when it has ended" in out
    assert "old: 1 of 1 trials" in out


def test_runs_of_a_former_study_of_the_name_are_not_taken_for_this_ones(root: Path) -> None:
    book = book_of(root)
    shutil.rmtree(book.folder)
    other = compose([*TINY, *FIVE, "n_trials=2", "seed=7", "space.parameters.learning_rate.high=0.02"])[0]
    run_study(gather(other), Workspace(root), Silent())
    records = {number: book.place(number).joinpath("SHA256SUMS").read_bytes() for number in (0, 1)}
    assert any("trial 4 has no whole record" in finding.text for finding in check(Workspace(root), book).findings)
    assert repair(Workspace(root), book, lambda _: None).findings == ()
    assert book.numbers() == [0, 1]
    assert {number: book.place(number).joinpath("SHA256SUMS").read_bytes() for number in (0, 1)} == records


def test_a_database_that_cannot_be_read_for_now_is_left_where_it_is(tmp_path: Path) -> None:
    database, said = tmp_path / "optuna.db", list[str]()
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute("CREATE TABLE alembic_version (version_num)")
        connection.execute("BEGIN EXCLUSIVE")
        _set_aside(database, said.append)
    assert (said, list(tmp_path.iterdir())) == ([], [database])
    database.write_bytes(b"rubbish " * 999)
    _set_aside(database, said.append)
    assert (len(said), list(tmp_path.iterdir())) == (1, [tmp_path / "optuna.db.unusable"])
    database.write_bytes(b"rubbish again " * 999)
    _set_aside(database, said.append)
    assert {place.name for place in tmp_path.iterdir()} == {"optuna.db.unusable", "optuna.db.unusable-2"}


def test_a_database_with_a_damaged_page_is_made_anew(root: Path) -> None:
    for name, table in (("mlflow.db", "metrics"), ("optuna.db", "trials")):
        with closing(sqlite3.connect(root / name)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            (size,) = connection.execute("PRAGMA page_size").fetchone()
            (page,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)).fetchone()
        with open(root / name, "r+b") as file:
            file.seek((page - 1) * size)
            file.write(bytes(size))
    said: list[str] = []
    # A run of the user's own, which the damaged database knew.
    theirs = root / "artifacts" / "diabetes" / ("a" * 32)
    (theirs / "artifacts").mkdir(parents=True)
    (theirs / "artifacts" / "notes.txt").write_text("mine")
    os.utime(theirs, (0, 0))
    former = {place for place in theirs.parent.glob("*/artifacts/record") if os.utime(place.parents[1], (0, 0)) is None}
    assert repair(Workspace(root), book_of(root), said.append).findings == ()
    assert (theirs / "artifacts" / "notes.txt").read_text() == "mine"
    assert former and not any(place.exists() for place in former)
    assert [line for line in said if "is no database of ours" in line] != []
    assert {place.name for place in root.glob("*.unusable")} == {"mlflow.db.unusable", "optuna.db.unusable"}


def test_an_empty_id_is_written_anew(root: Path) -> None:
    book = book_of(root)
    (book.folder / "id").write_text("")
    with pytest.raises(UnreadableError, match="id: is missing or empty; run the study again"):
        _ = book.id
    run_study(gather(book.facts().config), Workspace(root), Silent(), bare=True)
    assert len(book.id) == 32


def test_other_baselines_are_not_scored_on_open_test_rows_without_trace(root: Path) -> None:
    shutil.rmtree(folder(root, "champion"))
    config = compose([*TINY, *FIVE, "baselines.names=[mean]"])[0]
    outcome = run_study(gather(config), Workspace(root), Silent())
    assert outcome.judgement is not None
    assert "other baselines are asked for" in (outcome.judgement.note or "")
    assert {content["name"] for content in outcome.book.contents("baseline")} != {"mean"}
    assert len(outcome.judgement.content["openings"]) == 1


@pytest.mark.slow
def test_repair_brings_no_baseline_back_that_was_dropped(tiny: Callable[..., StudyConfig], workspace: Path) -> None:
    for names in ("[mean,least_squares_qr]", "[mean]"):
        config = tiny("study=one", f"baselines.names={names}", "reopen_test=true")
        book = run_study(gather(config), Workspace(workspace), Silent()).book
    shutil.rmtree(book.place(0))
    assert repair(Workspace(workspace), book, lambda _: None).findings == ()
    assert book.place(0).is_dir()
    assert [content["name"] for content in book.contents("baseline")] == ["mean"]


@pytest.mark.slow
def test_networks_that_were_damaged_are_made_again(tiny: Callable[..., StudyConfig], workspace: Path) -> None:
    study = gather(tiny("study=one", "baselines=none", "champion=bag"))
    book = run_study(study, Workspace(workspace), Silent(), bare=True).book
    (place,) = book.networks(1).glob("*.keras")
    place.write_bytes(b"")
    run_study(study, Workspace(workspace), Silent(), bare=True)
    assert zipfile.is_zipfile(place)
    assert is_whole(book.networks(1))


def test_damaged_networks_of_an_earlier_champion_are_not_said_to_be_made_again(root: Path) -> None:
    book, said = book_of(root), list[str]()
    shutil.copytree(book.networks(1), book.networks(2))
    next(book.networks(2).glob("*.keras")).write_bytes(b"")
    (finding,) = check(Workspace(root), book).findings
    assert finding.text.endswith("networks-2: is not what was written; that champion's run in MLflow has its networks")
    assert repair(Workspace(root), book, said.append).findings == ()
    assert (len(said), book.networks(2).exists(), is_whole(book.networks(1))) == (1, False, True)


def test_scores_without_any_record_of_an_opening_are_refused(root: Path) -> None:
    shutil.rmtree(folder(root, "test-openings"))
    shutil.rmtree(folder(root, "champion"))
    with pytest.raises(UnreadableError, match="the test rows have been opened, but"):
        run_study(gather(compose([*TINY, *FIVE])[0]), Workspace(root), Silent())


def test_a_copied_workspace_leaves_the_original_alone(root: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(root, copy)
    before = contents(root)
    shutil.rmtree(book_of(copy).place(2))
    assert repair(Workspace(copy), book_of(copy), lambda _: None).findings == ()
    sync(Workspace(copy), book_of(copy), lambda _: None)
    assert contents(root) == before


def test_a_moved_workspace_finds_its_artifacts(root: Path, tmp_path: Path) -> None:
    moved = tmp_path / "moved"
    root.rename(moved)
    assert check(Workspace(moved), book_of(moved)).findings == ()
    assert sync(Workspace(moved), book_of(moved), lambda _: None) == 0
    assert not root.exists()
    client = MlflowClient(f"sqlite:///{moved}/mlflow.db")
    (model,) = client.search_registered_models()
    version = client.get_model_version_by_alias(model.name, "champion")
    place = Path(client.get_model_version_download_uri(model.name, version.version))
    assert place.is_relative_to(moved)
    assert (place / "MLmodel").is_file()
    assert Path(version.source) == place
    assert [item.path for item in client.list_artifacts(version.run_id) if item.path == "record"] == ["record"]


def test_paths_that_only_begin_like_the_former_ones_stay(root: Path, tmp_path: Path) -> None:
    sql(root, "UPDATE runs SET artifact_uri = replace(artifact_uri, '/artifacts/', '/artifacts2/')")
    moved = tmp_path / "moved"
    root.rename(moved)
    bring_home(Workspace(moved))
    with closing(sqlite3.connect(moved / "mlflow.db")) as connection:
        places = {place for (place,) in connection.execute("SELECT artifact_uri FROM runs")}
        (home,) = {place for (place,) in connection.execute("SELECT artifact_location FROM experiments WHERE name != 'Default'")}
    assert all(place.startswith(f"{root}/artifacts2/") for place in places)
    assert home.startswith(f"{moved}/artifacts/")


def test_a_trial_that_comes_out_otherwise_is_not_taken_for_the_one_that_was_told(root: Path) -> None:
    complete = next(number for number, _, objective in table(root) if objective is not None)
    number = f"SELECT trial_id FROM trials WHERE number = {complete}"
    sql(root, f"UPDATE trial_values SET value = value * (1 + 3e-16) WHERE trial_id = ({number})", "optuna.db")
    shutil.rmtree(book_of(root).place(complete))
    # Said again by the next run, which finds the record that the first one made.
    for said in ("trained again, it came out as", f"trial-{complete:05d}: says"):
        with pytest.raises(StorageError, match=said):
            run_study(gather(compose([*TINY, *FIVE])[0]), Workspace(root), Silent())
    repair(Workspace(root), book_of(root), lambda _: None)
    assert check(Workspace(root), book_of(root)).findings == ()


def test_a_workspace_that_can_not_be_written_is_checked(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    databases, archive = ("mlflow.db", "optuna.db"), tmp_path / "archive"
    for name in databases:
        sql(root, "PRAGMA wal_checkpoint(TRUNCATE)", name)
    shutil.copytree(root, archive, ignore=shutil.ignore_patterns("*.db-*"))
    # Root may write anywhere, so only the answer is changed: nothing may be made beside the databases, as sqlite else would.
    monkeypatch.setattr("regsweep.paths.os", SimpleNamespace(access=lambda *_: False, W_OK=os.W_OK))
    for name in databases:
        with closing(sqlite3.connect(read_only(archive / name), uri=True)) as connection:
            assert connection.execute("SELECT count(*) FROM alembic_version").fetchone() == (1,)
            assert not list(archive.glob("*.db-*"))
    assert check(Workspace(archive), book_of(archive)).findings == ()
    assert not list(archive.glob("*.db-*"))
