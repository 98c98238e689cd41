"""What benchmarks share: specs drawn from the broad space, one hold-out, a stop-watch, MLflow used well, tables and results.

Nothing heavy is imported before it is called for: worker processes import the benchmark that they were started from.
"""

from __future__ import annotations

import json
import sqlite3
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from regsweep.trial import CURVES, Scalar, TrialSpec

if TYPE_CHECKING:
    from regsweep.material import Material

# What networks are compared on with other programs, which have neither segments nor stacked folds.
PLAIN = ("space=broad", "split=holdout", "champion=bag")

Pair = tuple[Mapping[str, Scalar], TrialSpec]
History = Mapping[str, Sequence[float]]
Save = Callable[[str], Any]

# The six curves by the names that Keras's History has for them.
KEYS = {name: name.removeprefix("train/").replace("val/", "val_") for name in CURVES}
RESULTS = Path(__file__).parent / "results"


def material(*overrides: str) -> Material:
    """Data, split and features of the default data set, or of another config."""
    from regsweep.config import compose
    from regsweep.material import gather

    return gather(compose([*PLAIN, *overrides])[0])


def drawn_specs(n: int, seed: int = 0) -> list[Pair]:
    """`n` assignments drawn at random from the broad space, with the specs they make."""
    import optuna

    from regsweep.config import compose
    from regsweep.space import draw
    from regsweep.trial import spec_from_values, trial_seed

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study, space = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed)), compose(PLAIN)[0].space
    drawn = [draw(space, study.ask()) for _ in range(n)]
    return [(params, spec_from_values(params, seed=trial_seed(seed, number))) for number, params in enumerate(drawn)]


def representative(pairs: Sequence[Pair], n: int, rows: int) -> list[Pair]:
    """`n` pairs that stand for all: ordered by how many batches they train on, the middle of each of `n` equal parts."""
    ordered = sorted(pairs, key=lambda pair: (pair[1].epochs * -(-rows // pair[1].batch_size), pair[1].seed))
    n = min(n, len(ordered))
    return [ordered[(2 * part + 1) * len(ordered) // (2 * n)] for part in range(n)]


class Laps:
    """A stop-watch: every call, with whatever arguments, ends a lap; `seconds` holds the laps."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self._last = time.perf_counter()

    def __call__(self, *_: Any) -> None:
        now = time.perf_counter()
        self.seconds.append(now - self._last)
        self._last = now


class Store:
    """MLflow as an expert writes to it: WAL, tags with the run, one batch, a model saved with what MLflow would else work out."""

    def __init__(self, folder: Path) -> None:
        from mlflow import MlflowClient

        self._client = MlflowClient(f"sqlite:///{folder}/mlflow.db")
        known = self._client.get_experiment_by_name("peer")
        self._experiment = known.experiment_id if known else self._client.create_experiment("peer", str(folder / "artifacts"))
        with closing(sqlite3.connect(folder / "mlflow.db")) as database:
            database.execute("PRAGMA journal_mode=WAL")

    def record(self, name: str, params: Mapping[str, Scalar], history: History, write: Save | None = None) -> None:
        """Record a trial: hyperparameters, curves (keys as Keras's), and the model that `write` writes into a new folder."""
        from mlflow.entities import Metric, Param

        now = time.time_ns() // 1_000_000
        tags = {"state": "complete", "trainer": "peer", "mlflow.user": "benchmark", "mlflow.source.name": "benchmarks"}
        run_id = self._client.create_run(self._experiment, run_name=name, tags=tags).info.run_id
        points = [Metric(name, value, now, step) for name, key in KEYS.items() for step, value in enumerate(history[key])]
        self._client.log_batch(run_id, metrics=points, params=[Param(key, str(value)) for key, value in params.items()])
        if write is not None:
            with TemporaryDirectory() as draft:
                write(f"{draft}/model")
                self._client.log_artifacts(run_id, f"{draft}/model", "model")
        self._client.set_terminated(run_id)


def recorded(folder: Path) -> tuple[int, int]:
    """How many metric points and how many MLflow models lie under a folder."""
    points = 0
    for place in folder.rglob("mlflow.db"):
        with closing(sqlite3.connect(place)) as database:
            points += database.execute("SELECT COUNT(*) FROM metrics").fetchone()[0]
    return points, sum(1 for _ in folder.rglob("MLmodel"))


def show(title: str, columns: Sequence[str], rows: Sequence[Sequence[str | float | None]]) -> None:
    """Print a table: names to the left, numbers to the right with three digits, None as an empty cell."""
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    for position, column in enumerate(columns):
        words = any(isinstance(row[position], str) for row in rows)
        table.add_column(column, justify="left" if words else "right")
    for row in rows:
        table.add_row(*map(_cell, row))
    console = Console(markup=False, highlight=False)
    (console if console.is_terminal else Console(markup=False, highlight=False, width=160)).print(table)


def save(name: str, content: Mapping[str, Any]) -> Path:
    """Write results/NAME.json with the command that made it and the environment it ran in; returns the file."""
    from regsweep.environment import Environment

    RESULTS.mkdir(exist_ok=True)
    place = RESULTS / f"{name}.json"
    command = " ".join([f"python -m benchmarks.{name}", *sys.argv[1:]])
    whole = {"command": command, **content, "environment": Environment.here().to_json()}
    place.write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")
    return place


def _cell(value: str | float | None) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    return f"{value:,.0f}" if isinstance(value, int) or value >= 1000 else f"{value:.3g}"
