"""A study of ours, as a user would run it: worker processes, records, Optuna's database; without MLflow and baselines.

The clock starts before the table is read. Starting the fork server, which imports TensorFlow, and importing Keras Tuner or torch
come before it: no system's imports are counted.
"""

from __future__ import annotations

import os
import time
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.search.cells import Cell
from benchmarks.search.scoring import Searched
from regsweep.book import read_champion
from regsweep.config import compose
from regsweep.errors import RegsweepError
from regsweep.material import Material, gather
from regsweep.paths import Workspace
from regsweep.record import TrialRecord
from regsweep.runner import make_executor
from regsweep.study import Unwatched, run_study
from regsweep.train.runtime import import_tensorflow


class Clocked(Unwatched):
    """Notes when trials are told, and keeps the best."""

    def __init__(self) -> None:
        self.searched = Searched()
        self._started = time.perf_counter()

    def trial(self, record: TrialRecord) -> None:
        """Of a trial with folds, all epochs count that were trained."""
        epochs = sum(len(fold.curves) for fold in record.result.folds)
        if self.searched.take(time.perf_counter() - self._started, record.objective, epochs):
            self.searched.best.append((record.number, record.result))


def search(cell: Cell) -> tuple[Searched, Material]:
    """Run a cell's study; what it found and what it was run on."""
    if cell.system.startswith("kt_"):
        import_tensorflow()
        import_module("keras_tuner")
    elif cell.system == "gp":
        import_module("torch")
    with TemporaryDirectory() as folder:
        config = compose([*cell.overrides(), f"tracking.dir={folder}"])[0]
        with make_executor(config, gather(config).prepared) as executor:
            executor.call(os.getpid)
        watcher = Clocked()
        material = gather(config)
        try:
            book = run_study(material, Workspace(Path(folder)), watcher, bare=True).book
        except RegsweepError as error:
            watcher.searched.problem = str(error)
        else:
            judged = read_champion(book)
            assert judged is not None
            test = judged["test"]
            watcher.searched.champion = {"test_r2": test["r2"]["value"], "test_rmse": test["rmse"]["value"]}
    return watcher.searched, material
