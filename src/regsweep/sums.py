"""Lists of files with their sha256, as `sha256sum --check SHA256SUMS` reads them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

SUMS_FILE = "SHA256SUMS"


def sums(folder: Path) -> dict[str, str]:
    """The sha256 of every file below a folder but its list, by the file's path in it, in order."""
    names = [name for name in _files(str(folder), "") if name != SUMS_FILE]
    return {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in sorted(names)}


def _files(folder: str, prefix: str) -> Iterator[str]:
    # Ten times as fast as pathlib's rglob, which a check of thousands of runs would wait for.
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir():
                yield from _files(entry.path, f"{prefix}{entry.name}/")
            else:
                yield prefix + entry.name


def write_sums(folder: Path) -> str:
    """List every file below a folder in it; returns the list's own sha256."""
    lines = "".join(f"{value}  {name}\n" for name, value in sums(folder).items())
    (folder / SUMS_FILE).write_text(lines, encoding="utf-8")
    return hashlib.sha256(lines.encode()).hexdigest()


def read_sums(folder: Path) -> dict[str, str]:
    """What a folder's list says. Raises OSError where there is none, ValueError where it is no such list."""
    pairs = [line.split("  ", maxsplit=1) for line in (folder / SUMS_FILE).read_text(encoding="utf-8").splitlines()]
    return {name: value for value, name in pairs}


def digest(folder: Path) -> str | None:
    """The sha256 of a folder's list; None where there is none."""
    try:
        return hashlib.sha256((folder / SUMS_FILE).read_bytes()).hexdigest()
    except OSError:
        return None


def is_whole(folder: Path) -> bool:
    """Whether a folder is there with just the files that its list names, as they are listed."""
    try:
        return not differences(folder, read_sums(folder))
    except (OSError, ValueError):
        return False


def differences(folder: Path, listed: dict[str, str]) -> list[str]:
    """The files below a folder that are missing, unlisted or other than listed."""
    found = sums(folder)
    return sorted(name for name in {*found, *listed} if found.get(name) != listed.get(name))
