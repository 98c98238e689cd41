"""Records: one self-sufficient folder per trial, on disk before the study is told.

`mlruns/records/STUDY/trial-00007/` holds `record.json` (study, configuration, environment, hyperparameters, curves, state)
and `arrays.npz` (weights: `FOLD/kernel/LAYER` of shape (fan_in, fan_out), `FOLD/bias/LAYER`); `folder.py` says how it is kept.
"""

from __future__ import annotations

import math
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from regsweep.ending import Ending
from regsweep.errors import ConfigError, StorageError, UnreadableError
from regsweep.failpoints import reach
from regsweep.folder import read_content, read_folder, read_json, tidy, write_folder, write_json, write_text
from regsweep.locks import HeldError, lock
from regsweep.paths import Workspace
from regsweep.predictor import Model, pack
from regsweep.record import Features, StudyFacts, TrialRecord, differing, identity
from regsweep.sums import is_whole


class RecordBook:
    """The records of one study on disk."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ending = Ending(folder)

    def open(self, facts: StudyFacts, features: Features) -> None:
        """Begin the book, or go on with it under this run's facts; call it while the study is `locked`.

        Raises ConfigError with the differences if it is another study's, or if its networks were trained on other numbers made of
        the same table.
        """
        self.hold_to(facts)
        self._hold_to_features(features)
        contents = {"features.json": {"kind": "features", **features.to_json()}, "study.json": facts.to_json()}
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            tidy(self.folder)
            reach("study/opening")
            self._unsettle(facts)
            for name, content in contents.items():
                write_json(self.folder / name, content)
            if not self._said_id():
                write_text(self.folder / "id", f"{uuid4().hex}\n")
            reach("study/opened")
        except OSError as error:
            place = self.folder / "study.json"
            raise StorageError(f"{place}: can't be written ({error.strerror}); free space or set tracking.dir") from None

    def hold_to(self, facts: StudyFacts) -> None:
        """Raise ConfigError with the differences if the book is another study's than that of these facts."""
        known = self.known_facts()
        if known is None:
            return
        before, now = identity(known.config, known.dataset.sha256), identity(facts.config, facts.dataset.sha256)
        before, now = (
            # Grids and sequences go through a space in its order; names don't depend on it.
            {**parts, "experiment": one.config.experiment, "order of space.parameters": list(one.config.space.parameters)}
            for parts, one in ((before, known), (now, facts))
        )
        if changed := differing(before, now):
            lines = [f"{key}: was {before.get(key)!r}, is {now.get(key)!r}" for key in changed]
            raise ConfigError([f"study {facts.study!r} exists with other settings; choose another name with study=NAME", *lines])

    def _hold_to_features(self, features: Features) -> None:
        if not self.numbers():
            return
        try:
            known = self.features()
        except (UnreadableError, KeyError, TypeError):
            return
        if not _alike(known.encoding.to_json()["folds"], features.encoding.to_json()["folds"]):
            raise ConfigError(
                f"study {self.folder.name!r} was encoded otherwise, by another version of regsweep or of its packages, so its "
                "networks and new ones would see different numbers; choose another name with study=NAME"
            )

    def known_facts(self) -> StudyFacts | None:
        """What study.json says; where it is damaged or missing, what a trial's record says."""
        try:
            return self.facts()
        except UnreadableError:
            return next((record.facts for record in map(self.whole, self.numbers()) if record is not None), None)

    @property
    def id(self) -> str:
        """Tells this book from another one of a study of that name, where several folders share a tracking server."""
        if not (said := self._said_id()):
            raise UnreadableError(f"{self.folder / 'id'}: is missing or empty; run the study again to have it written anew")
        return said

    def _said_id(self) -> str:
        place = self.folder / "id"
        return place.read_text().strip() if place.is_file() else ""

    @property
    def begun(self) -> bool:
        """Whether the book has been opened before."""
        return all((self.folder / name).is_file() for name in ("study.json", "features.json"))

    def recording(self) -> AbstractContextManager[None]:
        """Wait for the right to copy this study's records into MLflow, and hold it."""
        return lock(self.folder / "recorder.lock")

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the study: one driver at a time asks, tells and writes. Raises StorageError if another one does."""
        try:
            # `held` asks by holding it for a moment.
            with lock(self.folder / "lock", patience=0.5):
                yield
        except HeldError:
            raise StorageError(f"{self.folder}: another run of this study is at work; wait for its end, or stop it") from None

    def held(self) -> bool:
        """Whether a run of the study is at work."""
        try:
            with lock(self.folder / "lock", patience=0.0):
                return False
        except HeldError:
            return True
        except StorageError:
            # Where nothing can be written, nothing is at work.
            return False

    def end(self, reason: str) -> None:
        """Write down what ended the search at the trials that there are."""
        self.ending.write(reason, len(self.numbers()))

    def ended(self) -> str | None:
        """What ended the search at the trials that there are; None where it has not come to an end, or the note is damaged."""
        return self.ending.reason(len(self.numbers()))

    def ended_as_asked(self) -> bool:
        """Whether what ended the search is what would end it now, as far as that is written down."""
        ended = self.ended()
        # A longer study that was stopped right at its beginning has the new config and the old end.
        return ended is not None and (not ended.startswith("n_trials=") or ended == f"n_trials={self.facts().config.n_trials}")

    def complete(self) -> bool:
        """Whether the search has ended: as is written down, or by as many trials as are asked for."""
        return len(self.numbers()) >= self.facts().config.n_trials or self.ended_as_asked()

    def finished(self) -> bool:
        """Whether the search has ended and no stop came before its report."""
        return self.complete() and not self.ending.cut_short()

    def judged(self) -> bool:
        """Whether the champion can be recorded as a run leaves it: it is there, and its networks as files, if it is networks.

        Raises UnreadableError.
        """
        if (champion := read_champion(self)) is None:
            return False
        has_files = champion.get("baseline") is not None or is_whole(self.networks(len(champion["openings"])))
        # Files that were lost later are a run's to make again; MLflow has had them.
        return has_files or not self.ending.cut_short()

    def _unsettle(self, facts: StudyFacts) -> None:
        """What was judged as is asked for no longer is not settled."""
        known = self.known_facts()
        if known is None or known.config != facts.config:
            self.ending.unsettle()

    def touch(self) -> None:
        """Make this the study that ran last."""
        os.utime(self.folder)

    @contextmanager
    def untouched(self) -> Iterator[None]:
        """Whatever is written meanwhile, the study that ran last stays that one."""
        before = self.folder.stat()
        try:
            yield
        finally:
            os.utime(self.folder, ns=(before.st_atime_ns, before.st_mtime_ns))

    def facts(self) -> StudyFacts:
        """Read what the study's records share. Raises UnreadableError."""
        place = self.folder / "study.json"
        content = read_json(place)
        try:
            return StudyFacts.from_json(content)
        except (ConfigError, KeyError, TypeError) as error:
            line = str(error).splitlines()[0]
            raise UnreadableError(f"{place}: is no study of this version ({line}); move {self.folder} away") from None

    def features(self) -> Features:
        """Read the fitted preprocessing and the table's columns."""
        return Features.from_json(read_json(self.folder / "features.json"))

    def numbers(self) -> list[int]:
        """The numbers of the trials that have a record, in order."""
        names = (re.fullmatch(r"trial-(\d{5,})", place.name) for place in self.folder.glob("trial-*"))
        return sorted(int(name[1]) for name in names if name)

    def write_trial(self, record: TrialRecord) -> Path:
        """Write a trial's record; it is durable when this returns."""
        arrays = pack([fold.network for fold in record.result.folds])
        return self.write(self.place(record.number).name, record.to_json(), arrays)

    def write(self, name: str, content: Mapping[str, Any], arrays: Mapping[str, Any]) -> Path:
        """Write one record, replacing an earlier one of that name."""
        write_folder(self.folder / name, content, arrays)
        return self.folder / name

    def remove(self, prefix: str) -> None:
        """Remove the records whose folder begins so."""
        for place in self.folder.glob(f"{prefix}-*"):
            shutil.rmtree(place)

    def trials(self) -> Iterator[TrialRecord]:
        """Read every trial's record, by number."""
        for number in self.numbers():
            yield read_trial(self.place(number))

    def contents(self, prefix: str) -> Iterator[dict[str, Any]]:
        """The JSON of every record whose folder begins so, in order; arrays are left unread."""
        for place in sorted(self.folder.glob(f"{prefix}-*")):
            yield read_content(place)

    def scored(self) -> list[Path]:
        """The folders of all that says how the test rows were opened and what came of it."""
        return [place for pattern in ("test-openings", "champion", "baseline-*") for place in sorted(self.folder.glob(pattern))]

    def place(self, number: int) -> Path:
        """The folder of a trial's record."""
        return self.folder / f"trial-{number:05d}"

    @property
    def insight(self) -> Path:
        """The file that says what mattered."""
        return self.folder / "insight.json"

    def networks(self, opening: int) -> Path:
        """The folder of the `.keras` files of the champion of an opening of the test rows, counted from 1."""
        return self.folder / f"networks-{opening}"

    def trial(self, number: int) -> TrialRecord | None:
        """Read one trial's record, if there is one."""
        return read_trial(self.place(number)) if self.place(number).is_dir() else None

    def remade(self) -> list[tuple[Path, bool]]:
        """The folders of what can be trained again, and whether a run does so: not for champions of earlier openings."""
        try:
            champion = read_champion(self)
        except UnreadableError:
            champion = None
        networks = sorted(self.folder.glob("networks-*"))
        if champion is None:
            now = set(networks)
        else:
            now = set() if champion.get("baseline") is not None else {self.networks(len(champion["openings"]))}
        return [*((place, place in now) for place in networks), *((place, True) for place in self.folder.glob("finalists"))]

    def whole(self, number: int) -> TrialRecord | None:
        """Read one trial's record, if there is one and it is what was written."""
        try:
            return self.trial(number)
        except UnreadableError:
            return None


def _alike(one: Any, other: Any) -> bool:
    """Whether JSON values are the same but for rounding."""
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-12)
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_alike(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(_alike, one, other))
    return bool(one == other)


def read_trial(folder: Path) -> TrialRecord:
    """Read a trial's record. Raises UnreadableError if a byte of it differs from what was written."""
    return TrialRecord.from_json(*read_folder(folder))


def books_in(workspace: Workspace) -> list[RecordBook]:
    """The books of all studies of a workspace, by name."""
    # Without study.json a trial's record says what the study is.
    marks = (*workspace.records.glob("*/study.json"), *workspace.records.glob("*/trial-*"))
    return [RecordBook(folder) for folder in sorted({place.parent for place in marks})]


def read_champion(book: RecordBook) -> dict[str, Any] | None:
    """The champion's record, if the study has come so far."""
    return read_content(book.folder / "champion") if (book.folder / "champion").is_dir() else None


def judged_model(book: RecordBook) -> Model:
    """The model that was judged. Raises UnreadableError."""
    content, arrays = read_folder(book.folder / "champion")
    return Model.join(content["model"], arrays)
