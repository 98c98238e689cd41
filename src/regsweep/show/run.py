"""What `regsweep run` shows."""

from __future__ import annotations

import shlex
import time
from pathlib import Path

from regsweep.config import StudyConfig
from regsweep.config.schema import BudgetConfig
from regsweep.paths import Workspace
from regsweep.show.bar import Bar
from regsweep.show.console import by_budget, plain_console, where
from regsweep.show.pages import page
from regsweep.show.studies import print_study
from regsweep.warm_start import with_best_of

# A finished study shows so many of its trials.
SHOWN = 60


def run_and_show(config: StudyConfig, began: float | None = None) -> int:
    """Run a study with a progress bar, then print leaderboard, verdict and where everything lies.

    `began`: `time.perf_counter()` when the study's time began, for estimates to be compared with.
    """
    began = time.perf_counter() if began is None else began
    from regsweep.material import gather
    from regsweep.planning.history import keep
    from regsweep.runner import warm_up
    from regsweep.study import run_study

    console = plain_console()
    workspace = Workspace(Path(config.tracking.dir))
    config = with_best_of(config, workspace)
    warm_up(config)
    material = gather(config)
    bar = Bar(console, config)
    try:
        outcome = run_study(material, workspace, bar)
    finally:
        bar.close()
    print_study(console, outcome.book, trials=SHOWN)
    ended = outcome.book.ended()
    if bar.told == 0 and not by_budget(ended):
        keep(workspace, material.facts.study, config.n_trials, time.perf_counter() - began)
    if config.budget != BudgetConfig():
        console.print(f"the search was ended by {ended}")
    elif ended is not None and not ended.startswith("n_trials="):
        console.print(f"the search ended: {ended}")
    if outcome.problem:
        console.print(f"note: {outcome.problem}", style="yellow", soft_wrap=True)
        kept = f"note: nothing is lost; `regsweep sync{where(config)}` copies the records into MLflow when it works again"
        console.print(kept, style="yellow", soft_wrap=True)
    place, experiment = where(config), shlex.quote(config.experiment)
    lines = [
        ("records", str(outcome.book.folder)),
        ("plots, leaderboard", str(outcome.book.folder / "report")),
        ("MLflow", config.tracking.uri or f"{workspace.mlflow_db} and {workspace.artifacts}"),
        ("the study in the UI", _ui(config, outcome.experiment_id, place) if outcome.experiment_id else ""),
        ("leaderboard again", f"regsweep compare {experiment}{place}"),
        ("the model again", f"regsweep reproduce champion --experiment {experiment}{place}"),
        ("the model in Python", f'mlflow.set_tracking_uri("{config.tracking.uri or workspace.tracking_uri}")'),
        ("", f'mlflow.pyfunc.load_model("models:/{config.experiment}@champion").predict(table)'),
    ]
    for name, text in filter(lambda line: line[1], lines):
        console.print(f"{name + ':' if name else '':<21}{text}", soft_wrap=True)
    return 0


def _ui(config: StudyConfig, experiment: str, place: str) -> str:
    if config.tracking.uri is not None:
        return page(experiment, config.tracking.uri)
    return f"regsweep ui{place}, then {page(experiment, 'http://127.0.0.1:5000')}"
