from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from regsweep.book import RecordBook
from regsweep.config import compose
from regsweep.data.features import Encoding, FoldEncoding
from regsweep.environment import Environment
from regsweep.errors import ConfigError, StorageError, UnreadableError
from regsweep.folder import read_folder
from regsweep.record import DatasetFacts, Features, StudyFacts, TrialRecord, identity, study_name
from regsweep.sums import read_sums, sums
from regsweep.trial import State
from tests.helpers import features, trained

ENVIRONMENT = Environment("3.11.7", "Linux", "a cpu", 2, {"keras": "3.15.1", "tensorflow": "2.21.0"}, "abc")


def facts(*overrides: str, sha256: str = "0" * 64) -> StudyFacts:
    dataset = DatasetFacts("d", "y", "points", 10, ("a", "b"), "", "", sha256, ("a note",))
    return StudyFacts("s", compose(overrides)[0], dataset, ENVIRONMENT)


def record(number: int = 0, **changes: object) -> TrialRecord:
    return TrialRecord(facts(), number, {"depth": 1, "optimizer": "adam"}, trained(number, **changes), 1000, 2500)  # type: ignore[arg-type]


@pytest.fixture
def book(tmp_path: Path) -> RecordBook:
    made = RecordBook(tmp_path / "s")
    made.open(facts(), features())
    return made


def test_a_trial_comes_back_as_it_was_written(book: RecordBook) -> None:
    before = record(3)
    book.write_trial(before)
    after = book.trial(3)
    assert after is not None
    assert (after.number, after.params, after.started, after.finished) == (3, before.params, 1000, 2500)
    assert (after.result.spec, after.result.state, after.objective) == (before.result.spec, State.COMPLETE, 4.0)
    assert after.facts == before.facts
    np.testing.assert_array_equal(after.result.folds[0].curves, before.result.folds[0].curves)
    for mine, theirs in zip(after.result.folds[0].network.kernels, before.result.folds[0].network.kernels, strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_a_record_is_plain_json_and_npz(book: RecordBook) -> None:
    folder = book.write_trial(record(0, mse=2.25))
    content = json.loads((folder / "record.json").read_text())
    assert content["objective"] == content["final"]["val/mse"] == content["folds"][0]["val/mse"][-1] == 2.25
    assert content["config"]["n_trials"] == 40
    with np.load(folder / "arrays.npz", allow_pickle=False) as arrays:
        assert arrays["0/kernel/0"].shape == (2, 3)


def test_a_diverged_trial_is_kept_with_its_cause_and_no_objective(book: RecordBook) -> None:
    failed = trained(1, mse=np.inf, state=State.FAILED, cause="diverged: val/mse is inf in epoch 3")
    book.write_trial(TrialRecord(facts(), 1, {}, failed, 0, 1))
    content = json.loads((book.place(1) / "record.json").read_text())
    assert (content["objective"], content["folds"][0]["val/mse"][-1], content["cause"]) == (None, None, failed.cause)
    after = book.trial(1)
    assert after is not None
    assert after.result.state is State.FAILED
    assert np.isnan(after.result.folds[0].curves[-1, 3])


@pytest.mark.parametrize("name", ["arrays.npz", "record.json", "SHA256SUMS"])
@pytest.mark.parametrize("damage", ["flipped", "torn", "gone"])
def test_a_damaged_file_is_noticed_and_named(book: RecordBook, name: str, damage: str) -> None:
    place = book.write_trial(record()) / name
    content = bytearray(place.read_bytes())
    content[len(content) // 2] ^= 1
    if damage == "gone":
        place.unlink()
    else:
        place.write_bytes(content if damage == "flipped" else content[: len(content) // 2])
    with pytest.raises(UnreadableError, match=r"trial-00000/.*run the study again to redo it"):
        book.trial(0)
    assert book.whole(0) is None
    if name == "record.json":
        with pytest.raises(UnreadableError, match=r"trial-00000/record\.json"):
            list(book.contents("trial"))


def test_the_listed_sums_are_those_that_sha256sum_checks(book: RecordBook) -> None:
    folder = book.write_trial(record())
    subprocess.run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=folder, check=True, capture_output=True)
    assert read_sums(folder) == sums(folder)
    assert sorted(sums(folder)) == ["arrays.npz", "record.json"]


@pytest.mark.parametrize("left", [".trial-00001.99", ".champion.former", ".network-00003"])
def test_what_a_crash_left_is_cleared_away(book: RecordBook, left: str) -> None:
    book.write_trial(record(0))
    book.write("champion", {"kind": "champion"}, {})
    (book.folder / left).mkdir()
    (book.folder / left / "file").touch()
    (book.folder / ".study.json.77").touch()
    book.open(facts(), features())
    assert sorted(place.name for place in book.folder.iterdir()) == [
        "champion",
        "features.json",
        "id",
        "study.json",
        "trial-00000",
    ]


def test_a_record_that_was_about_to_be_replaced_stays(book: RecordBook) -> None:
    book.write("test-openings", {"openings": [1]}, {})
    (book.folder / "test-openings").rename(book.folder / ".test-openings.former")
    book.open(facts(), features())
    assert read_folder(book.folder / "test-openings")[0]["openings"] == [1]


def test_nothing_half_written_stays_or_is_read(book: RecordBook) -> None:
    book.write_trial(record(0))
    (book.folder / ".trial-00001.99").mkdir()
    assert [found.number for found in book.trials()] == [0]
    book.write_trial(record(0, mse=1.0))
    assert [found.objective for found in book.trials()] == [1.0]


def test_a_study_goes_on_only_where_the_table_makes_the_same_numbers(book: RecordBook) -> None:
    def scaled(scale: float, unit: str = "points") -> Features:
        known = features()
        (fold,) = known.encoding.folds
        columns = tuple(replace(column, scale=scale) for column in fold.columns["plain"])
        return replace(known, encoding=Encoding("y", unit, (FoldEncoding({"plain": columns}, fold.target),)))

    book.open(facts(), scaled(3.0))
    # Nothing was trained yet.
    book.open(facts(), scaled(2.0))
    book.write_trial(record())
    book.open(facts(), scaled(2.0 + 1e-12, "other points"))
    with pytest.raises(ConfigError, match=r"was encoded otherwise, by another version .* choose another name with study=NAME"):
        book.open(facts(), scaled(3.0))
    assert book.features().encoding.unit == "other points"


def test_a_study_goes_on_with_more_trials_but_not_with_another_space(book: RecordBook) -> None:
    book.open(facts("n_trials=100", "executor=inline", "baselines=none"), features())
    with pytest.raises(ConfigError) as caught:
        book.open(facts("space.parameters.epochs=7", "seed=3"), features())
    text = str(caught.value)
    assert "study 's' exists with other settings; choose another name with study=NAME" in text
    assert "seed: was 0, is 3" in text
    assert "space.parameters.epochs: was" in text


def test_a_study_goes_on_where_more_is_noted_of_its_table(book: RecordBook) -> None:
    book.write_trial(record(0))
    before = facts()
    now = replace(before, dataset=replace(before.dataset, notes=("a note", "one that later versions make")))
    book.end("n_trials=1")
    book.open(now, features())
    assert book.facts().dataset.notes == now.dataset.notes
    assert [(one.number, one.facts.dataset.notes) for one in book.trials()] == [(0, ("a note",))]
    assert book.ended() == "n_trials=1"


def test_a_study_does_not_go_on_with_its_space_in_another_order(book: RecordBook) -> None:
    # A grid would be another one, and what was tried of it would be missing.
    now = facts()
    book.open(now, features())
    first, *rest = now.config.space.parameters.items()
    moved = now.config.space.model_copy(update={"parameters": dict([*rest, first])})
    with pytest.raises(ConfigError, match=r"order of space\.parameters: was \['depth', .* is \['width', "):
        book.open(replace(now, config=now.config.model_copy(update={"space": moved})), features())


def test_other_data_are_another_study(book: RecordBook) -> None:
    with pytest.raises(ConfigError, match=r"dataset\.sha256: was '000"):
        book.open(facts(sha256="1" * 64), features())


def test_the_name_of_a_study_follows_from_what_defines_it() -> None:
    config = compose([])[0]
    name = study_name(config, "0" * 64)
    assert name.startswith("diabetes-tpe-auto-seed0-")
    assert study_name(compose(["n_trials=9", "executor=inline"])[0], "0" * 64) == name
    assert study_name(compose(["features.target_log=true"])[0], "0" * 64) != name
    assert study_name(config, "1" * 64) != name
    assert study_name(compose(["study=mine"])[0], "0" * 64) == "mine"
    assert "n_trials" not in identity(config, "")


def test_a_change_of_package_or_machine_is_named() -> None:
    now = Environment("3.11.7", "Linux", "another cpu", 2, {"keras": "3.16.0", "tensorflow": "2.21.0"}, "def")
    assert ENVIRONMENT.changes(now) == ["CPU: a cpu in the record, another cpu here", "keras: 3.15.1 in the record, 3.16.0 here"]


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=r"file/s/study.json: can't be written \(.*\); free space or set tracking.dir"):
        RecordBook(tmp_path / "file" / "s").open(facts(), features())
