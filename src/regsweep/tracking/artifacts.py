"""Lays out a run's artifacts in a folder, with a list of their sha256 that `sha256sum --check` reads."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from regsweep.sums import write_sums
from regsweep.tracking.content import RunContent
from regsweep.tracking.models import ModelWriter


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
