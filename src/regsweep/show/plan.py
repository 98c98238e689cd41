"""What `regsweep plan` shows."""

from __future__ import annotations

import math
import time
from datetime import timedelta
from pathlib import Path

from rich.table import Table

from regsweep.book import RecordBook
from regsweep.config import StudyConfig
from regsweep.material import gather
from regsweep.paths import Workspace
from regsweep.planning import Count, Estimate, compared, estimate, promise, searched
from regsweep.runner import warm_up
from regsweep.show.console import plain_console
from regsweep.warm_start import with_best_of

SHOWN = 5


def plan_and_show(config: StudyConfig, began: float) -> None:
    """Calibrate, then print what a study is going to take. `began`: `time.perf_counter()` when the process started."""
    console = plain_console()
    workspace = Workspace(Path(config.tracking.dir))
    # In the order of a run, so that starting takes as long.
    config = with_best_of(config, workspace)
    warm_up(config)
    material = gather(config)
    config = material.config
    with console.status("calibrating"):
        expected = estimate(material, time.perf_counter() - began)
    study = material.facts.study
    promise(workspace, study, config.n_trials, expected.seconds)
    console.print(f"{study}: nothing has been run")
    table = Table(box=None, show_header=False, pad_edge=False)
    for name, text in _lines(config, expected, searched(config), len(material.prepared.folds)):
        table.add_row(name, text)
    there = len(RecordBook(workspace.records / study).numbers())
    if there:
        table.add_row("there already", f"{there} trials; time and disk are for the whole study from nothing")
    table.add_row("calibration", f"{time.perf_counter() - began:.0f} s")
    console.print(table)
    if last := compared(workspace)[-SHOWN:]:
        console.print("the last estimates, and how long the studies took:")
        shown = Table("study", "trials", "estimate", "actual", "actual / estimate", box=None, pad_edge=False)
        for one in last:
            shown.add_row(one.study, str(one.trials), _duration(one.estimate), _duration(one.actual), f"{one.ratio:.2f}")
        console.print(shown)


def _lines(config: StudyConfig, expected: Estimate, counted: Count | None, folds: int) -> list[tuple[str, str]]:
    budgets = [f"budget.{name}={value:g}" for name, value in config.budget if value is not None]
    earlier = f"; {' or '.join(budgets)} may end it earlier" if budgets else ""
    if counted is None:
        configurations = f"as {config.space.function} draws them: {', '.join(config.space.found)}"
    elif counted.total is None:
        configurations = f"infinitely many: {', '.join(counted.continuous)} {_are(counted.continuous)} continuous"
    else:
        # Hyperband tries some twice.
        few = counted.total < config.n_trials and config.sampler.kind != "kt_hyperband"
        configurations = f"{counted.total:,} distinct" + ("; the study ends when all have been tried" if few else "")
    each = f" ({folds} folds)" if folds > 1 else ""
    # What is not the search takes as long whatever ends it.
    rest = expected.seconds - expected.search
    bound = max(0.0, (config.budget.seconds or math.inf) - expected.start)
    search, least, most = (min(total - rest, bound) for total in (expected.seconds, expected.least, expected.most))
    notes = []
    if config.pruner.kind != "none":
        notes.append("pruning not counted")
    if config.trainer.patience is not None:
        notes.append("early stopping not counted")
    if config.tracking.uri is not None:
        notes.append("as if MLflow were written here")
    time_ = f"about {_duration(rest + search)}, of which {_duration(search)} is the search"
    if least < most:
        ends = f"{_duration(rest + least)} to {_duration(rest + most)}"
        notes.insert(0, f"{ends}, as {config.sampler.kind} comes to prefer short or long trainings")
    return [
        ("trials", f"{expected.trials}{earlier}"),
        ("configurations", configurations),
        ("trainings", f"{expected.trials * folds}{each}, and some more to judge the study and look into it"),
        ("time", "; ".join([time_, *notes])),
        ("disk", f"about {expected.bytes / 1e6:,.0f} MB in {config.tracking.dir}"),
    ]


def _are(names: tuple[str, ...]) -> str:
    return "is" if len(names) == 1 else "are"


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else str(timedelta(seconds=round(seconds)))
