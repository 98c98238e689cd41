"""What each lever of the default space and features does: random search over the same trials, one lever changed at a time.

    python -m benchmarks.levers [--splits N] [--trials N] [--repeats N]

The splits are those of `benchmarks.quality`. A draw depends on its seed, trial and hyperparameter alone, so the trials differ in
the lever only. What counts is the champion's R² on the test rows. Of threads per trial, which change time alone, seconds count: a
search by two workers, the best of so many repeats.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import product
from pathlib import Path
from statistics import mean
from typing import Any, Final

from benchmarks.common import save, show
from benchmarks.folds import Watch
from benchmarks.quality import BARS, judged
from benchmarks.search.numbers import paired
from benchmarks.search.race import spread
from regsweep.bootstrap import Interval
from regsweep.config import compose
from regsweep.material import gather
from regsweep.paths import Workspace
from regsweep.study import run_study

LEVERS: Final[dict[str, tuple[str, ...]]] = {
    "plain numbers in every trial": ("space.parameters.encoding=plain",),
    "piecewise-linear segments in every trial": ("space.parameters.encoding=piecewise",),
    "a constant learning rate": ("space.parameters.schedule=constant",),
    "learning rates from 0.0001": ("space.parameters.learning_rate.low=0.0001",),
    "the target as it is": ("features.target_standardise=false",),
    "the target's logarithm": ("features.target_log=true",),
}
# Of the default's own trials.
ALONE: Final = {
    "the best trial's five networks": "best trial, all folds",
    "one network of the best trial": "best trial, one fold",
}
SETTINGS: Final = ("sampler=random", "baselines=none", "insight.ablation=false", "bootstrap_resamples=100")
THREADS: Final = (1, 2)


def changed(task: tuple[str, int, int]) -> dict[str, float]:
    """R² on the test rows of one split: the default's, and with each lever changed."""
    table, seed, trials = task
    settings = [*SETTINGS, f"n_trials={trials}", "executor=inline"]
    default = judged(table, seed, settings, bare=True)
    others = {lever: judged(table, seed, [*settings, *overrides], bare=True)["champion"] for lever, overrides in LEVERS.items()}
    return {"default": default["champion"], **others, **{lever: default[key] for lever, key in ALONE.items()}}


def seconds(table: str, trials: int, threads: int) -> float:
    """How long the search takes by two workers with so many threads each; their start is within."""
    overrides = [f"dataset={table}", *SETTINGS, f"n_trials={trials}", "executor.workers=2", f"trainer.threads={threads}"]
    with tempfile.TemporaryDirectory() as folder:
        watch, material = Watch(), gather(compose(overrides)[0])
        began = time.perf_counter()
        run_study(material, Workspace(Path(folder)), watch, bare=True)
        return watch.ended - began


def effects(scores: Sequence[dict[str, float]]) -> dict[str, Interval]:
    """By lever, how much higher R² is than the default's: mean and the corrected resampled t-test's 95 % interval."""
    levers = [lever for lever in scores[0] if lever != "default"]
    differences = {lever: [one[lever] - one["default"] for one in scores] for lever in levers}
    return {lever: paired(values) for lever, values in differences.items()}


def main() -> None:
    """Search, print two tables and write benchmarks/results/levers.json."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--splits", type=int, default=10)
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=3)
    asked = parser.parse_args()
    tasks = list(product(BARS, range(asked.splits), [asked.trials]))
    with ProcessPoolExecutor(os.cpu_count(), mp_context=multiprocessing.get_context("spawn")) as pool:
        scores = list(pool.map(changed, tasks))
    found = {table: [one for task, one in zip(tasks, scores, strict=True) if task[0] == table] for table in BARS}
    compared = {table: effects(some) for table, some in found.items()}
    show(
        f"R² on test rows, {asked.trials} trials, {asked.splits} splits: what a change does",
        ("", *BARS),
        [
            ["the default", *(f"{mean(one['default'] for one in some):.4f}" for some in found.values())],
            *(
                [lever, *(spread(compared[table][lever], "{:+.4f}".format) for table in BARS)]
                for lever in compared[next(iter(BARS))]
            ),
        ],
    )
    times = {table: {n: [seconds(table, 40, n) for _ in range(asked.repeats)] for n in THREADS} for table in BARS}
    show("Seconds of 40 trials", ("threads", *BARS), [[str(n), *(f"{min(times[t][n]):.1f}" for t in BARS)] for n in THREADS])
    rows = {table: {lever: vars(one) for lever, one in some.items()} for table, some in compared.items()}
    results: dict[str, Any] = {"trials": asked.trials, "scores": found, "effects": rows, "seconds": times}
    save("levers", results)


if __name__ == "__main__":
    main()
