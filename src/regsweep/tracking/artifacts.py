"""Lays out a run's artifacts in a folder, with a list of their sha256 that `sha256sum --check` reads."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

from regsweep.tracking.content import RunContent
from regsweep.tracking.models import ModelWriter

SUMS_FILE = "SHA256SUMS"


def write_artifacts(content: RunContent, folder: Path, models: ModelWriter, run: str) -> str:
    """Write all artifacts of a run into a folder, in place of what is there; returns the sha256 of their list."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name, source in content.folders.items():
        shutil.copytree(source, folder / name)
    for name, table in content.tables.items():
        (folder / name).write_text(json.dumps(table), encoding="utf-8")
    if content.model is not None:
        models.write(content.model, folder / "model", run=run, made=content.times[1], networks=content.networks)
    return write_sums(folder)


def write_sums(folder: Path) -> str:
    """List the sha256 of every file below a folder in it; returns the list's own."""
    lines = "".join(f"{digest}  {name}\n" for name, digest in sums(folder).items())
    (folder / SUMS_FILE).write_text(lines, encoding="utf-8")
    return hashlib.sha256(lines.encode()).hexdigest()


def sums(folder: Path) -> dict[str, str]:
    """The sha256 of every file below a folder but the list, by its path, in order."""
    places = {place.relative_to(folder).as_posix(): place for place in folder.rglob("*") if place.is_file()}
    return {name: hashlib.sha256(places[name].read_bytes()).hexdigest() for name in sorted(places) if name != SUMS_FILE}
