"""Records: one self-sufficient folder per trial, on disk before the study is told.

`mlruns/records/STUDY/trial-00007/` holds `record.json` (study, configuration, environment, hyperparameters, curves, state)
and `arrays.npz` (weights: `FOLD/kernel/LAYER` of shape (fan_in, fan_out), `FOLD/bias/LAYER`), whose sha256 stands in the
JSON. A record is written beside its place and renamed, so it is there whole or not at all. Nothing in it is executed when
it is read.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from regsweep.errors import ConfigError, StorageError, UnreadableError
from regsweep.locks import HeldError, lock
from regsweep.predictor import pack, unpack
from regsweep.record import Features, StudyFacts, TrialRecord, identity
from regsweep.trial import CURVES, FoldResult, Network, State, TrialResult, TrialSpec

FORMAT = "regsweep-record/1"


class RecordBook:
    """The records of one study on disk."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def open(self, facts: StudyFacts, features: Features) -> None:
        """Begin the book, or go on with it under this run's facts; call it while the study is `locked`.

        Raises ConfigError with the differences if it is another study's.
        """
        if (self.folder / "study.json").is_file():
            self._same_study(facts)
        contents = {"features.json": {"kind": "features", **features.to_json()}, "study.json": facts.to_json()}
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            for name, content in contents.items():
                text = json.dumps({"format": FORMAT, **content}, indent=1, ensure_ascii=False)
                _write_atomically(self.folder / name, text.encode())
        except OSError as error:
            place = self.folder / "study.json"
            raise StorageError(f"{place}: can't be written ({error.strerror}); free space or set tracking.dir") from None

    def _same_study(self, facts: StudyFacts) -> None:
        known = self.facts()
        before, now = identity(known.config, known.dataset.sha256), identity(facts.config, facts.dataset.sha256)
        before, now = ({**parts, "experiment": one.config.experiment} for parts, one in ((before, known), (now, facts)))
        changed = [key for key in sorted({*before, *now}) if before.get(key) != now.get(key)]
        if changed:
            lines = [f"{key}: was {before.get(key)!r}, is {now.get(key)!r}" for key in changed]
            raise ConfigError([f"study {facts.study!r} exists with other settings; choose another name with study=NAME", *lines])

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
            with lock(self.folder / "lock", wait=False):
                yield
        except HeldError:
            raise StorageError(f"{self.folder}: another run of this study is at work; wait for its end, or stop it") from None

    def held(self) -> bool:
        """Whether a run of the study is at work."""
        try:
            with self.locked():
                return False
        except StorageError:
            return True

    def touch(self) -> None:
        """Make this the study that ran last."""
        os.utime(self.folder)

    def facts(self) -> StudyFacts:
        """Read what the study's records share."""
        return StudyFacts.from_json(read_json(self.folder / "study.json"))

    def features(self) -> Features:
        """Read the fitted preprocessing and the table's columns."""
        return Features.from_json(read_json(self.folder / "features.json"))

    def numbers(self) -> list[int]:
        """The numbers of the trials that have a record, in order."""
        return sorted(int(place.name.removeprefix("trial-")) for place in self.folder.glob("trial-*"))

    def write_trial(self, record: TrialRecord) -> Path:
        """Write a trial's record; it is durable when this returns."""
        arrays = pack([fold.network for fold in record.result.folds])
        return self.write(self.place(record.number).name, _trial_json(record), arrays)

    def write(self, name: str, content: Mapping[str, Any], arrays: Mapping[str, Any]) -> Path:
        """Write one record folder, replacing an earlier one of that name."""
        place, draft = self.folder / name, self.folder / f".{name}.{os.getpid()}"
        try:
            shutil.rmtree(draft, ignore_errors=True)
            draft.mkdir(parents=True)
            with open(draft / "arrays.npz", "wb") as stream:
                np.savez(stream, allow_pickle=False, **arrays)
                _flush(stream.fileno())
            digest = hashlib.sha256((draft / "arrays.npz").read_bytes()).hexdigest()
            text = json.dumps({"format": FORMAT, **_finite(content), "arrays_sha256": digest}, indent=1, ensure_ascii=False)
            _write_atomically(draft / "record.json", text.encode())
            former = self.folder / f".{name}.former"
            shutil.rmtree(former, ignore_errors=True)
            if place.exists():
                place.rename(former)
            draft.rename(place)
            shutil.rmtree(former, ignore_errors=True)
            _flush_folder(self.folder)
        except OSError as error:
            raise StorageError(f"{place}: can't be written ({error.strerror}); free space, then run the command again") from None
        return place

    def remove(self, prefix: str) -> None:
        """Remove the records whose folder begins so."""
        for place in self.folder.glob(f"{prefix}-*"):
            shutil.rmtree(place)

    def trials(self) -> Iterator[TrialRecord]:
        """Read every trial's record, by number."""
        for place in sorted(self.folder.glob("trial-*")):
            yield read_trial(place)

    def contents(self, prefix: str) -> Iterator[dict[str, Any]]:
        """The JSON of every record whose folder begins so, in order; arrays are left unread."""
        for place in sorted(self.folder.glob(f"{prefix}-*")):
            yield read_json(place / "record.json")

    def place(self, number: int) -> Path:
        """The folder of a trial's record."""
        return self.folder / f"trial-{number:05d}"

    def networks(self, number: int) -> Path:
        """The folder of a champion's `.keras` files."""
        return self.folder / f"network-{number:05d}"

    def trial(self, number: int) -> TrialRecord | None:
        """Read one trial's record, if there is one."""
        return read_trial(self.place(number)) if self.place(number).is_dir() else None


def read_trial(folder: Path) -> TrialRecord:
    """Read a trial's record. Raises UnreadableError if a byte of its arrays differs from what was written."""
    content, arrays = read_record(folder)
    folds = tuple(
        FoldResult(
            curves=np.array([[np.nan if v is None else v for v in fold[key]] for key in CURVES], dtype=np.float64).T,
            network=Network(*unpack(arrays, index, len(content["spec"]["widths"]) + 1)),
            kept_epoch=fold["kept_epoch"],
        )
        for index, fold in enumerate(content["folds"])
    )
    spec = TrialSpec(**{**content["spec"], "widths": tuple(content["spec"]["widths"])})
    result = TrialResult(spec, State(content["state"]), folds, content["seconds"], content["trainer"], content["cause"])
    return TrialRecord(
        StudyFacts.from_json(content), content["number"], content["params"], result, content["started"], content["finished"]
    )


def read_record(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read a record folder: its JSON and its arrays, whose hash is checked."""
    content = read_json(folder / "record.json")
    packed = folder / "arrays.npz"
    if hashlib.sha256(packed.read_bytes()).hexdigest() != content["arrays_sha256"]:
        raise UnreadableError(f"{packed}: its bytes differ from what was recorded; delete {folder} and run the study again")
    with np.load(packed, allow_pickle=False) as arrays:
        return content, dict(arrays)


def read_champion(book: RecordBook) -> dict[str, Any] | None:
    """The champion's record, if the study has come so far."""
    return read_record(book.folder / "champion")[0] if (book.folder / "champion").is_dir() else None


def read_json(place: Path) -> dict[str, Any]:
    """Read a JSON file of ours. Raises UnreadableError where it is missing, torn or of another format."""
    try:
        content = json.loads(place.read_text(encoding="utf-8"))
    except OSError as error:
        raise UnreadableError(f"{place}: can't be read ({error.strerror})") from None
    except ValueError as error:
        raise UnreadableError(f"{place}: is no whole record ({error}); delete {place.parent} and run the study again") from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise UnreadableError(f"{place}: is no record of format {FORMAT}")
    return content


def _trial_json(record: TrialRecord) -> dict[str, Any]:
    result = record.result
    return {
        "kind": "trial",
        "number": record.number,
        "state": result.state.value,
        "cause": result.cause,
        "objective": record.objective,
        "params": dict(record.params),
        "spec": asdict(result.spec),
        "trainer": result.trainer,
        "seconds": result.seconds,
        "started": record.started,
        "finished": record.finished,
        "final": result.final,
        "best": result.best,
        "folds": [
            {"kept_epoch": fold.kept_epoch, **dict(zip(CURVES, fold.curves.T.tolist(), strict=True))} for fold in result.folds
        ],
        **record.facts.to_json(),
    }


def _finite(value: Any) -> Any:
    """Replace NaN and infinities, which JSON does not know, by null."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(part) for key, part in value.items()}
    return [_finite(part) for part in value] if isinstance(value, list | tuple) else value


def _write_atomically(place: Path, content: bytes) -> None:
    draft = place.with_name(f".{place.name}.{os.getpid()}")
    with open(draft, "wb") as stream:
        stream.write(content)
        stream.flush()
        _flush(stream.fileno())
    draft.replace(place)


def _flush(descriptor: int) -> None:
    os.fsync(descriptor)


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
