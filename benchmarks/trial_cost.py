"""What a trial costs, step by step, against the same trial written as the libraries' own pages show it.

    python -m benchmarks.trial_cost

Both sides train the same network (64-64-1, ReLU, Adam, batch 32, 50 epochs) on scikit-learn's diabetes data and leave six
curves and a loadable model in MLflow. Ratios within one run count; seconds depend on the machine.
"""

from __future__ import annotations

import json
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from regsweep.book import RecordBook
from regsweep.champion import model_of
from regsweep.config import compose
from regsweep.environment import Environment
from regsweep.paths import Workspace
from regsweep.record import TrialRecord
from regsweep.search import Search
from regsweep.study import gather, wall_clock
from regsweep.tracking import Recorder
from regsweep.train import make_trainer
from regsweep.trial import State, spec_from_values, trial_seed

REPEATS = 3
EPOCHS = 50
NETWORK = (
    "depth=2",
    "width=64",
    "activation=relu",
    "optimizer=adam",
    "batch_size=32",
    f"epochs={EPOCHS}",
    "dropout=0.0",
    "l2=0.0",
)
SPACE = tuple(f"space.parameters.{setting}" for setting in NETWORK)


def timed(steps: dict[str, list[float]], name: str, action: Callable[[], Any]) -> Any:
    """Run an action and add its seconds to a step."""
    started = time.perf_counter()
    result = action()
    steps.setdefault(name, []).append(time.perf_counter() - started)
    return result


def ours(workspace: Workspace) -> dict[str, list[float]]:
    """Seconds per step of regsweep's own trials."""
    steps: dict[str, list[float]] = {}
    material = gather(compose([*SPACE, "parallel_trials=1"])[0])
    trainer = make_trainer(material.config.trainer)
    search, recorder = Search(workspace, "s", material.config), Recorder(workspace, material.facts, material.dataset)
    book = RecordBook(workspace.records / "s")
    book.open(material.facts)
    for _ in range(REPEATS):
        (proposal,) = timed(steps, "ask", lambda: search.next_batch(REPEATS))
        spec = spec_from_values(proposal.params, seed=trial_seed(0, proposal.number))
        started = wall_clock()
        (result,) = timed(steps, "train", lambda spec=spec: trainer.fit([spec], material.prepared))
        record = TrialRecord(material.facts, proposal.number, proposal.params, result, started, wall_clock())
        place = timed(steps, "record on disk", lambda record=record: book.write_trial(record))
        timed(steps, "tell", lambda record=record: search.tell(record.number, State.COMPLETE, record.objective))
        model = model_of(result, material.prepared)
        timed(steps, "MLflow: run, curves, model", lambda r=record, p=place, m=model: recorder.trial(r, p, m))
    return steps


def as_the_pages_show(folder: Path) -> dict[str, list[float]]:
    """Seconds per step of `fit`, one `log_metric` per point and `log_model`."""
    import keras
    import mlflow
    import optuna

    steps: dict[str, list[float]] = {}
    material = gather(compose([*SPACE])[0])
    fold = material.prepared.folds[0]
    mlflow.set_tracking_uri(f"sqlite:///{folder}/naive.db")
    mlflow.set_experiment("naive")

    def log(model: keras.Model, history: dict[str, list[float]]) -> None:
        for name, values in history.items():
            for step, value in enumerate(values):
                if not name.endswith("loss"):
                    mlflow.log_metric(name, value, step)
        mlflow.keras.log_model(model, name="model")

    def objective(trial: optuna.Trial) -> float:
        model = keras.Sequential(
            [keras.Input((fold.inputs,)), keras.layers.Dense(64, "relu"), keras.layers.Dense(64, "relu"), keras.layers.Dense(1)]
        )
        rate = trial.suggest_float("learning_rate", 1e-4, 3e-2, log=True)
        model.compile(keras.optimizers.Adam(rate), "mse", metrics=["mse", "mae", keras.metrics.R2Score(name="r2")])
        with mlflow.start_run():
            mlflow.log_param("learning_rate", rate)
            held_out = (fold.x_val, fold.z_val[:, None])
            history = timed(
                steps,
                "train",
                lambda: model.fit(
                    fold.x_train, fold.z_train[:, None], batch_size=32, epochs=EPOCHS, validation_data=held_out, verbose=0
                ),
            ).history
            timed(steps, "MLflow: run, curves, model", lambda: log(model, history))
        return float(history["val_mse"][-1])

    optuna.create_study(storage=f"sqlite:///{folder}/naive-optuna.db").optimize(objective, n_trials=REPEATS)
    return steps


def main() -> None:
    """Measure both sides, print the table and write it to benchmarks/results/trial_cost.json."""
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        mine, naive = ours(Workspace(Path(folder) / "mlruns")), as_the_pages_show(Path(folder))
    table = Table("step", "regsweep, s", "as the pages show it, s", "ratio", title=f"one trial, median of {REPEATS}")
    rows = {}
    for step in mine:
        a, b = median(mine[step]), median(naive[step]) if step in naive else None
        rows[step] = {"regsweep": a, "naive": b}
        table.add_row(step, f"{a:.3f}", "" if b is None else f"{b:.3f}", "" if b is None else f"{b / a:.1f}")
    total = [sum(filter(None, (row[side] for row in rows.values()))) for side in ("regsweep", "naive")]
    table.add_row("sum", f"{total[0]:.3f}", f"{total[1]:.3f}", f"{total[1] / total[0]:.1f}")
    Console().print(table)
    results = Path(__file__).parent / "results"
    results.mkdir(exist_ok=True)
    content = {"command": "python -m benchmarks.trial_cost", "seconds": rows, "environment": Environment.here().to_json()}
    (results / "trial_cost.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
