"""A record as a folder: `record.json` and `arrays.npz`, whose sha256 stand in `SHA256SUMS`.

It is written beside its place and renamed, so it is there whole or not at all. Nothing in it is executed when it is read.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from regsweep.errors import StorageError, UnreadableError
from regsweep.failpoints import reach
from regsweep.sums import SUMS_FILE, read_sums, write_sums

FORMAT = "regsweep-record/2"
RECORD_FILE, _ARRAYS = "record.json", "arrays.npz"
_FORMER = ".former"


def write_folder(place: Path, content: Mapping[str, Any], arrays: Mapping[str, Any]) -> None:
    """Write a record, in place of an earlier one; it is durable when this returns. Raises StorageError."""
    draft, former = place.with_name(f".{place.name}.{os.getpid()}"), place.with_name(f".{place.name}{_FORMER}")
    try:
        reach("record/writing", place.name)
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(parents=True)
        text = json.dumps({"format": FORMAT, **_finite(content)}, indent=1, ensure_ascii=False)
        (draft / RECORD_FILE).write_text(text, encoding="utf-8")
        with (draft / _ARRAYS).open("wb") as stream:
            np.savez(stream, allow_pickle=False, **arrays)
        write_sums(draft)
        _flush_all(draft)
        reach("record/drafted", place.name)
        shutil.rmtree(former, ignore_errors=True)
        if place.exists():
            place.rename(former)
            reach("record/replacing", place.name)
        draft.rename(place)
        shutil.rmtree(former, ignore_errors=True)
        _flush(place.parent)
        reach("record/written", place.name)
    except OSError as error:
        shutil.rmtree(draft, ignore_errors=True)
        raise StorageError(f"{place}: can't be written ({error.strerror}); free space, then run the command again") from None


def read_folder(place: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read a record's JSON and its arrays. Raises UnreadableError if it is not what was written."""
    content = read_content(place)
    _check(place, _ARRAYS)
    try:
        with np.load(place / _ARRAYS, allow_pickle=False) as arrays:
            return content, dict(arrays)
    except ValueError as error:
        raise UnreadableError(f"{place / _ARRAYS}: is no plain NumPy archive ({error})") from None


def read_content(place: Path) -> dict[str, Any]:
    """Read a record's JSON alone. Raises UnreadableError if it is not what was written."""
    _check(place, RECORD_FILE)
    return read_json(place / RECORD_FILE)


def read_json(place: Path) -> dict[str, Any]:
    """Read a JSON file of ours. Raises UnreadableError where it is missing, torn or of another format."""
    try:
        content = json.loads(place.read_text(encoding="utf-8"))
    except OSError as error:
        raise UnreadableError(f"{place}: can't be read ({error.strerror})") from None
    except ValueError as error:
        raise UnreadableError(f"{place}: is no whole file ({error}); run the study again to have it written anew") from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise UnreadableError(f"{place}: is no record of format {FORMAT}")
    if "sha256" in content and content.pop("sha256") != _digest(content):
        raise UnreadableError(f"{place}: its content differs from what was written; run the study again to have it written anew")
    return content


def write_json(place: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON file of ours, with the sha256 of what it says: there whole, and durable, or not at all. Raises OSError."""
    said = {"format": FORMAT, **content}
    write_text(place, json.dumps({**said, "sha256": _digest(said)}, indent=1, ensure_ascii=False))


def write_text(place: Path, text: str) -> None:
    """Write a text file: there whole, and durable, or not at all. Raises OSError."""
    draft = place.with_name(f".{place.name}.{os.getpid()}")
    draft.write_text(text, encoding="utf-8")
    _flush(draft)
    draft.replace(place)
    _flush(place.parent)


def put(draft: Path, place: Path) -> None:
    """Have a folder of files take its place, durably. Raises OSError."""
    _flush_all(draft)
    draft.rename(place)
    _flush(place.parent)


def tidy(folder: Path) -> None:
    """Clear away what a crash left half written among a study's records; nothing else may be writing there."""
    for place in leftovers(folder):
        whole = place.with_name(place.name.removeprefix(".").removesuffix(_FORMER))
        if place.name.endswith(_FORMER) and not whole.exists():
            # The crash came between two renames: the former record stays until there is a new one.
            place.rename(whole)
        elif place.is_dir():
            shutil.rmtree(place)
        else:
            place.unlink()


def leftovers(folder: Path) -> list[Path]:
    """What a crash left half written among a study's records."""
    return sorted(folder.glob(".*"))


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _check(place: Path, name: str) -> None:
    try:
        listed = read_sums(place).get(name)
        found = hashlib.sha256((place / name).read_bytes()).hexdigest()
    except OSError as error:
        raise UnreadableError(f"{error.filename}: can't be read ({error.strerror}); run the study again to redo it") from None
    except ValueError:
        listed, found, name = "", "", SUMS_FILE
    if not listed or found != listed:
        raise UnreadableError(f"{place / name}: its bytes differ from what was recorded; run the study again to redo it")


def _finite(value: Any) -> Any:
    """Replace NaN and infinities, which JSON does not know, by null."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(part) for key, part in value.items()}
    return [_finite(part) for part in value] if isinstance(value, list | tuple) else value


def _flush_all(folder: Path) -> None:
    for place in (*folder.iterdir(), folder):
        _flush(place)


def _flush(place: Path) -> None:
    descriptor = os.open(place, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
